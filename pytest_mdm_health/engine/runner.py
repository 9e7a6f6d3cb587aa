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
    status_of,
)
from pytest_mdm_health.core.session import kept_for_session
from pytest_mdm_health.core.text import one_line
from pytest_mdm_health.engine.file_stability import Seen, files_of, seen_now, what_changed
from pytest_mdm_health.engine.plan import Plan
from pytest_mdm_health.engine.registry import BEFORE, CheckModule, load
from pytest_mdm_health.engine.sandbox import Sandbox, SandboxError
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.mdm.host.rights import MissingRight, missing_rights
from pytest_mdm_health.mdm.inventory import Inventory

FixtureValues = Mapping[str, object]
"""What a check's `observe` is called with, by the name of the fixture."""

FixtureValuesOf = Callable[[CheckModule, Target], FixtureValues]
Plain = Mapping[str, JSON]
FOREIGN_FACTS = (
    "the baseline was recorded by a version of pytest-mdm-health that saw other things here; "
    "compare with a baseline that this version recorded"
)
NOTHING_SEEN: Seen = {}
WHILE_READ = "while it was read"
SERVER_RECHECK_S = 2.0
"""After a check that found nothing to examine, a server that was examined less than this ago is not examined again."""

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
        self._rechecked_at: dict[Target, float] = {}
        self._corrected: list[Result] = []

    def result(self, module: CheckModule, target: Target, values_of: FixtureValuesOf, *, again: bool = False) -> Result:
        """The result of a check on a target.

        Args:
            module: the check.
            target: what it is run on.
            values_of: gives what a check is called with on a target.
            again: whether to examine it again if its result is known, as a rerun does.
        """
        key = (module.check.id, target)
        if key not in self._known or again:
            self._known[key] = (
                self._inapplicable(module, target)
                or self._blocked(module, target, values_of)
                or self._examined_or_blocked(module, target, values_of)
            )
        return self._known[key]

    def cause_of(self, result: Result) -> Result | None:
        """The failed result that blocks this one; None if it is not blocked."""
        if result.blocked_by is None:
            return None
        return next((known for known in self._known.values() if known.node_id == result.blocked_by), None)

    def corrected(self) -> tuple[Result, ...]:
        """Results that were returned earlier and are not true any more, as they are now; each is returned here once."""
        corrected, self._corrected = tuple(self._corrected), []
        return corrected

    def _inapplicable(self, module: CheckModule, target: Target) -> Result | None:
        reason = self._plan.skip_reason(module.check, target)
        if not reason:
            return None
        return Result(check=module.check, target=target, status=Status.SKIP, reason=reason)

    def _blocked(self, module: CheckModule, target: Target, values_of: FixtureValuesOf) -> Result | None:
        for required, required_target, finding in self._prerequisites(module, target):
            result = self.result(required, required_target, values_of)
            if _blocks(result, finding, module.check.tolerates, target):
                return _blocked_by(module.check, target, result.blocked_by or result.node_id)
        return None

    def _examined_or_blocked(self, module: CheckModule, target: Target, values_of: FixtureValuesOf) -> Result:
        """The result; blocked where nothing could be examined because a server that was there has gone away since."""
        result = self._examined(module, target, values_of)
        if result.status not in {Status.ERROR, Status.SKIP}:
            return result
        for server, server_target, finding in self._required_servers(module, target):
            checked_s = time.monotonic() - self._rechecked_at.get(server_target, -SERVER_RECHECK_S)
            if result.status is Status.ERROR or checked_s >= SERVER_RECHECK_S:
                self._recheck(server, server_target, values_of)
            known = self._known[server.check.id, server_target]
            if _blocks(known, finding, module.check.tolerates, target):
                return _blocked_by(module.check, target, known.node_id)
        return result

    def _recheck(self, server: CheckModule, server_target: Target, values_of: FixtureValuesOf) -> None:
        """Examine a server again; a failure corrects the result that it had."""
        before = self.result(server, server_target, values_of)
        now = self._examined(server, server_target, values_of)
        self._rechecked_at[server_target] = time.monotonic()
        if now.status is Status.FAIL and before.status is not Status.FAIL:
            self._known[server.check.id, server_target] = now
            self._corrected.append(now)

    def _prerequisites(self, module: CheckModule, target: Target) -> Iterator[tuple[CheckModule, Target, str]]:
        """The checks that it requires, with what they are run on for it and the finding that matters, if one does."""
        for id_, finding in module.check.prerequisites:
            required = self._modules.get(id_)
            if required is None:
                continue
            required_target = self._plan.target_of(required.check, target)
            if required_target is not None:
                yield required, required_target, finding

    def _required_servers(self, module: CheckModule, target: Target) -> Iterator[tuple[CheckModule, Target, str]]:
        """The checks of servers among them, also those that a prerequisite on the same target requires."""
        for required, required_target, finding in self._prerequisites(module, target):
            if required_target == target:
                yield from self._required_servers(required, target)
            elif required_target.kind is Kind.SERVER:
                yield required, required_target, finding

    def _examined(self, module: CheckModule, target: Target, values_of: FixtureValuesOf) -> Result:
        started = time.perf_counter()
        values = values_of(module, target)
        stored = self._baseline.facts_of(module.check.id, target) if self._baseline is not None else None
        try:
            result: Result = self._sandbox.call(
                f"{__name__}:{examine.__name__}",
                module.check.id,
                target,
                values,
                stored,
                self._plan.seen_of(module.check, values.values()),
                timeout_s=self._plan.options.timeout,
            )
        except SandboxError as error:
            result = Result(check=module.check, target=target, status=Status.ERROR, reason=str(error))
        return replace(result, duration_s=round(time.perf_counter() - started, 6))


def _blocked_by(check: Check, target: Target, cause: str) -> Result:
    reason = f"{cause} failed; repair that first"
    return Result(check=check, target=target, status=Status.BLOCKED, reason=reason, blocked_by=cause)


def _blocks(result: Result, finding: str, tolerates: tuple[str, ...], target: Target) -> bool:
    """Whether a prerequisite that ended like this keeps a check on this target from meaning anything."""
    if result.status is not Status.FAIL:
        return result.status is Status.BLOCKED
    failures = {found.code for found in result.findings if found.severity is Severity.FAIL and _concerns(found, target)}
    return f"{result.check.id}.{finding}" in failures if finding else bool(failures - set(tolerates))


def _concerns(finding: Finding, target: Target) -> bool:
    """Whether a finding says something of this target; that of a server may name the datasets that it concerns."""
    datasets = finding.evidence.get("datasets")
    return target.kind is not Kind.DATASET or not isinstance(datasets, list) or target.name in datasets


def examine(
    check_id: str, target: Target, values: FixtureValues, before: Plain | None = None, seen: Seen = NOTHING_SEEN
) -> Result:
    """Observe and judge, in this process; where files change meanwhile, the result is inconclusive.

    Args:
        check_id: the check.
        target: what it is run on.
        values: what it is called with.
        before: the plain facts that the baseline has of it.
        seen: files that were read before, as they were then.
    """
    module = _modules()[check_id]
    changed = what_changed(seen, "after the run had begun")
    if changed:
        return _error(module.check, target, changed)
    current = {} if module.check.live else seen_now(files_of(values.values()))
    watched = {**current, **seen}
    try:
        result = _observed_and_judged(module, target, values, before)
    except Exception as error:
        changed = what_changed(watched, WHILE_READ)
        if not changed:
            raise
        if not isinstance(error, OSError):  # it says no more than that the file is gone
            changed += f"; the check had failed with {type(error).__name__}: {one_line(str(error))}"
    else:
        changed = what_changed(watched, WHILE_READ)
    return _error(module.check, target, changed) if changed else result


def _observed_and_judged(module: CheckModule, target: Target, values: FixtureValues, before: Plain | None) -> Result:
    check = module.check
    earlier: Facts | None = None
    if before is not None and (module.compares or module.looks_back):
        try:
            earlier = _adapter(module.facts).validate_python(before)
        except ValidationError:
            return _error(check, target, FOREIGN_FACTS)
    home = next(filter(None, map(_home_of, values.values())), None)
    closed = missing_rights(home, check.reads) if home is not None else ()
    try:
        facts = module.observe(**values, **({BEFORE: earlier} if module.looks_back else {}))
        facts = _without_rights(facts, closed)
        findings = tuple(sorted(module.judge(facts, earlier), key=lambda found: _WORST_FIRST.index(found.severity)))
    except NotApplicable as reason:
        if closed:  # whether it applies is not known
            return _error(check, target, "; ".join(_reasons(closed)))
        return Result(check=check, target=target, status=Status.SKIP, reason=str(reason))
    except NotExamined as reason:
        return _error(check, target, str(reason))
    return _result_from(check, target, facts, findings)


def _home_of(value: object) -> Home | None:
    if isinstance(value, Inventory):
        return value.home
    return value if isinstance(value, Home) else None


def _without_rights(facts: Facts, closed: Sequence[MissingRight]) -> Facts:
    """The facts with what this user may not read as not examined, and not as a gap."""
    gaps = (gap for gap in facts.gaps if not any(str(right.path) in gap for right in closed))
    return replace(facts, gaps=tuple(gaps), unexamined=(*facts.unexamined, *_reasons(closed)))


def _reasons(closed: Sequence[MissingRight]) -> tuple[str, ...]:
    return tuple(right.reason for right in closed)


def _result_from(check: Check, target: Target, facts: Facts, findings: tuple[Finding, ...]) -> Result:
    """The result that facts and findings amount to.

    A failure is one whatever else was not examined. Of the rest, what should have been examined and was not makes an
    error; so does a warning, and a pass is a skip, where nothing was examined.
    """
    status = status_of(findings)
    reasons = (*facts.unexamined, *facts.gaps)
    if facts.unexamined and status is not Status.FAIL:
        status = Status.ERROR
    elif not facts.examined and status is Status.WARN:
        status = Status.ERROR
        reasons = (findings[0].message,)
    elif not facts.examined and status is Status.PASS:
        reason = "; ".join(reasons) or "there was nothing to examine"
        return Result(check=check, target=target, status=Status.SKIP, reason=reason, findings=findings)
    shown, kept = _plain(facts)
    return Result(
        check=check,
        target=target,
        status=status,
        reason="; ".join(reasons),
        examined=facts.examined,
        facts=shown,
        kept=kept,
        findings=findings,
    )


def _error(check: Check, target: Target, reason: str) -> Result:
    return Result(check=check, target=target, status=Status.ERROR, reason=reason)


def _plain(facts: Facts) -> tuple[dict[str, JSON], dict[str, JSON]]:
    """The facts as plain data: those that reports show, and those that only the baseline keeps."""
    plain: dict[str, JSON] = _adapter(type(facts)).dump_python(facts, mode="json")
    baseline_only = {field.name for field in fields(facts) if "kept" in field.metadata}
    of_the_result = {"examined", "gaps", "unexamined"}
    shown = {name: value for name, value in plain.items() if name not in baseline_only | of_the_result}
    return shown, {name: plain[name] for name in baseline_only}


@kept_for_session(64)
def _adapter(facts: type[Facts]) -> TypeAdapter[Facts]:
    """What reads and writes facts of this class; making it takes longer than most checks."""
    return TypeAdapter(facts)


@kept_for_session(1)
def _modules() -> Mapping[str, CheckModule]:
    return load()
