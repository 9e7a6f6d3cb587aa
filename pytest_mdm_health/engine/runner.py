"""One check on one target becomes one result: prerequisites, the sandbox, the time-out. Knows no pytest."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from typing import Protocol

from pydantic import TypeAdapter, ValidationError

from pytest_mdm_health.core.model import (
    JSON,
    Check,
    Facts,
    Finding,
    Kind,
    NotApplicable,
    NotExamined,
    Result,
    Severity,
    Status,
    Target,
    node_id,
    status_of,
)
from pytest_mdm_health.core.session import kept_for_session
from pytest_mdm_health.engine.file_stability import Seen, files_of, seen_now, what_moved
from pytest_mdm_health.engine.plan import Plan
from pytest_mdm_health.engine.registry import BEFORE, CheckModule, load
from pytest_mdm_health.engine.sandbox import Sandbox, SandboxError
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.mdm.host.rights import MissingRight, missing_rights
from pytest_mdm_health.mdm.inventory import Inventory

Handles = Mapping[str, object]
Plain = Mapping[str, JSON]
HandlesOf = Callable[[CheckModule, Target], Handles]
FOREIGN_FACTS = (
    "the baseline was recorded by a version of pytest-mdm-health that saw other things here; "
    "compare with a baseline that this version recorded"
)
NOTHING_SEEN: Seen = {}
WHILE_LOOKING = "while it was read"
ASK_AGAIN_AFTER_S = 2.0
"""A server is asked again for every check that broke off, and this often for those that found nothing to examine."""

_WORST_FIRST = (Severity.FAIL, Severity.WARN, Severity.NOTE)


class StoredFacts(Protocol):
    """A baseline, as far as checks need it."""

    def facts_of(self, check_id: str, target: Target) -> Plain | None:
        """The plain facts of a check on a target; None if it was not examined."""


class Runner:
    """Runs checks, each at most once per target, and knows which are blocked.

    A prerequisite that is not known yet is run here and now, so whether a check is blocked does not depend on which
    worker ran what, nor on what else was selected.
    """

    def __init__(
        self, sandbox: Sandbox, modules: Mapping[str, CheckModule], plan: Plan, baseline: StoredFacts | None = None
    ) -> None:
        """Prepare a run.

        Args:
            sandbox: where checks are done.
            modules: the checks that may be run, by id; others block nothing.
            plan: what is examined.
            baseline: what an earlier run stored.
        """
        self._sandbox = sandbox
        self._modules = modules
        self._plan = plan
        self._baseline = baseline
        self._known: dict[tuple[str, Target], Result] = {}
        self._asked_again: dict[Target, float] = {}
        self._corrected: list[Result] = []

    def result(self, each: CheckModule, target: Target, handles: HandlesOf, *, again: bool = False) -> Result:
        """The result of a check on a target.

        Args:
            each: the check.
            target: what it is run on.
            handles: gives what a check's parameters are on a target.
            again: whether to examine it again if its result is known, as a rerun does.
        """
        key = (each.check.id, target)
        if key not in self._known or again:
            self._known[key] = (
                self._inapplicable(each, target)
                or self._blocked(each, target, handles)
                or self._on_a_server_that_is_there(each, target, handles)
            )
        return self._known[key]

    def cause_of(self, result: Result) -> Result | None:
        """The failed result that blocks this one; None if it is not blocked."""
        if result.blocked_by is None:
            return None
        return next((each for each in self._known.values() if each.node_id == result.blocked_by), None)

    def corrected(self) -> tuple[Result, ...]:
        """Results that were handed out and are not true any more, as they are now; each is told once."""
        told, self._corrected = tuple(self._corrected), []
        return told

    def _on_a_server_that_is_there(self, each: CheckModule, target: Target, handles: HandlesOf) -> Result:
        """The result; blocked where nothing could be examined because the server went away meanwhile."""
        result = self._examined(each, target, handles(each, target))
        if result.status not in {Status.ERROR, Status.SKIP}:
            return result
        for server, on, finding in self._servers(each, target):
            asked_s = time.monotonic() - self._asked_again.get(on, -ASK_AGAIN_AFTER_S)
            if result.status is Status.ERROR or asked_s >= ASK_AGAIN_AFTER_S:
                self._ask_again(server, on, handles)
            if _blocks(self._known[server.check.id, on], finding, each.check.tolerates, target):
                return _blocked_by(each.check, target, node_id(server.check, on))
        return result

    def _servers(self, each: CheckModule, target: Target) -> Iterator[tuple[CheckModule, Target, str]]:
        """The checks of servers that it requires, also by way of others, with the finding that matters."""
        for id_, finding in each.check.prerequisites:
            required = self._modules.get(id_)
            on = self._plan.target_of(required.check, target) if required is not None else None
            if required is not None and on is not None and on != target and on.kind is Kind.SERVER:
                yield required, on, finding
            elif required is not None and on == target:
                yield from self._servers(required, on)

    def _ask_again(self, server: CheckModule, on: Target, handles: HandlesOf) -> None:
        before, now = self.result(server, on, handles), self._examined(server, on, handles(server, on))
        self._asked_again[on] = time.monotonic()
        if now.status is Status.FAIL and before.status is not Status.FAIL:
            self._known[server.check.id, on] = now
            self._corrected.append(now)

    def _inapplicable(self, each: CheckModule, target: Target) -> Result | None:
        reason = self._plan.skip_reason(each.check, target)
        if not reason:
            return None
        return Result(check=each.check, target=target, status=Status.SKIP, reason=reason)

    def _blocked(self, each: CheckModule, target: Target, handles: HandlesOf) -> Result | None:
        for id_, finding in each.check.prerequisites:
            required = self._modules.get(id_)
            on = self._plan.target_of(required.check, target) if required is not None else None
            if required is None or on is None:
                continue
            result = self.result(required, on, handles)
            if _blocks(result, finding, each.check.tolerates, target):
                return _blocked_by(each.check, target, result.blocked_by or node_id(required.check, on))
        return None

    def _examined(self, each: CheckModule, target: Target, handles: Handles) -> Result:
        started = time.perf_counter()
        try:
            result: Result = self._sandbox.call(
                f"{__name__}:{examine.__name__}",
                each.check.id,
                target,
                handles,
                self._baseline.facts_of(each.check.id, target) if self._baseline is not None else None,
                self._plan.seen_of(each.check, handles.values()),
                timeout_s=self._plan.options.timeout,
            )
        except SandboxError as error:
            result = Result(check=each.check, target=target, status=Status.ERROR, reason=str(error))
        return replace(result, duration_s=round(time.perf_counter() - started, 6))


def _blocked_by(check: Check, target: Target, culprit: str) -> Result:
    reason = f"{culprit} failed; repair that first"
    return Result(check=check, target=target, status=Status.BLOCKED, reason=reason, blocked_by=culprit)


def _blocks(result: Result, finding: str, tolerates: tuple[str, ...], target: Target) -> bool:
    """Whether a prerequisite that ended like this keeps a check on this target from meaning anything."""
    if result.status is not Status.FAIL:
        return result.status is Status.BLOCKED
    failures = {each.code for each in result.findings if each.severity is Severity.FAIL and _concerns(each, target)}
    return f"{result.check.id}.{finding}" in failures if finding else bool(failures - set(tolerates))


def _concerns(finding: Finding, target: Target) -> bool:
    datasets = finding.evidence.get("datasets")
    return target.kind is not Kind.DATASET or not isinstance(datasets, list) or target.name in datasets


def examine(
    check_id: str, target: Target, handles: Handles, before: Plain | None = None, seen: Seen = NOTHING_SEEN
) -> Result:
    """Look and judge, in this process; what moves meanwhile is neither good nor bad.

    Args:
        check_id: the check.
        target: what it is run on.
        handles: what it is given, by parameter.
        before: the plain facts that the baseline has of it.
        seen: files that were read before, as they were then.
    """
    each = _modules()[check_id]
    moved = what_moved(seen, "after the run had begun")
    if moved:
        return Result(check=each.check, target=target, status=Status.ERROR, reason=moved)
    watched = {**({} if each.check.live else seen_now(files_of(handles.values()))), **seen}
    try:
        result = _looked_at(each, target, handles, before)
    except Exception:
        moved = what_moved(watched, WHILE_LOOKING)
        if not moved:
            raise
    else:
        moved = what_moved(watched, WHILE_LOOKING)
    return Result(check=each.check, target=target, status=Status.ERROR, reason=moved) if moved else result


def _looked_at(each: CheckModule, target: Target, handles: Handles, before: Plain | None) -> Result:
    check = each.check
    try:
        wanted = before is not None and (each.compares or each.looks_back)
        earlier = _adapter(each.facts).validate_python(before) if wanted else None
    except ValidationError:
        return Result(check=check, target=target, status=Status.ERROR, reason=FOREIGN_FACTS)
    home = next(filter(None, map(_home_of, handles.values())), None)
    closed = missing_rights(home, check.reads) if home is not None else ()
    try:
        facts = each.observe(**handles, **({BEFORE: earlier} if each.looks_back else {}))
        facts = _without_rights(facts, closed)
        findings = tuple(sorted(each.judge(facts, earlier), key=lambda finding: _WORST_FIRST.index(finding.severity)))
    except NotApplicable as reason:
        if closed:  # whether it applies is not known
            return Result(check=check, target=target, status=Status.ERROR, reason="; ".join(_reasons(closed)))
        return Result(check=check, target=target, status=Status.SKIP, reason=str(reason))
    except NotExamined as reason:
        return Result(check=check, target=target, status=Status.ERROR, reason=str(reason))
    return _concluded(check, target, facts, findings)


def _home_of(handle: object) -> Home | None:
    if isinstance(handle, Inventory):
        return handle.home
    return handle if isinstance(handle, Home) else None


def _without_rights(facts: Facts, closed: Sequence[MissingRight]) -> Facts:
    """The facts with what this user may not read as not examined, and not as a gap."""
    gaps = (gap for gap in facts.gaps if not any(str(right.path) in gap for right in closed))
    return replace(facts, gaps=tuple(gaps), unexamined=(*facts.unexamined, *_reasons(closed)))


def _reasons(closed: Sequence[MissingRight]) -> tuple[str, ...]:
    return tuple(right.reason for right in closed)


def _concluded(check: Check, target: Target, facts: Facts, findings: tuple[Finding, ...]) -> Result:
    status = status_of(findings)
    missed = facts.unexamined
    if status is Status.PASS and not facts.examined and not missed:
        reasons = "; ".join(facts.gaps) or "there was nothing to examine"
        return Result(check=check, target=target, status=Status.SKIP, reason=reasons, findings=findings)
    unseen = status is Status.WARN and not facts.examined and not missed
    shown, kept = _plain(facts)
    return Result(
        check=check,
        target=target,
        status=Status.ERROR if unseen or (missed and status is not Status.FAIL) else status,
        reason=findings[0].message if unseen else "; ".join((*missed, *facts.gaps)),
        examined=facts.examined,
        facts=shown,
        kept=kept,
        findings=findings,
    )


def _plain(facts: Facts) -> tuple[dict[str, JSON], dict[str, JSON]]:
    """The facts as plain data: those that reports show, and those that only the baseline keeps."""
    plain: dict[str, JSON] = _adapter(type(facts)).dump_python(facts, mode="json")
    only = {each.name for each in fields(facts) if "kept" in each.metadata}
    shown = {name: value for name, value in plain.items() if name not in only | {"examined", "gaps", "unexamined"}}
    return shown, {name: plain[name] for name in only}


@kept_for_session(64)
def _adapter(kind: type[Facts]) -> TypeAdapter[Facts]:
    """Made once for each kind of facts: making it takes longer than most checks."""
    return TypeAdapter(kind)


@kept_for_session(1)
def _modules() -> Mapping[str, CheckModule]:
    return load()
