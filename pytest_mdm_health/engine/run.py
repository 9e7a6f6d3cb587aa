"""What a run consists of: the checks that were selected, the plan, the sandbox and the runner, in one process."""

from __future__ import annotations

import contextlib
import os
import pickle
from collections.abc import Collection, Iterable, Mapping
from functools import cached_property

from pytest_mdm_health.baseline.file import refuse_foreign
from pytest_mdm_health.baseline.inputs import ComparisonInputs
from pytest_mdm_health.core.errors import UnusableFile
from pytest_mdm_health.core.expected import Expected
from pytest_mdm_health.core.model import Kind, Result, Target, node_id
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.core.session import end_session
from pytest_mdm_health.core.text import counted, join_names
from pytest_mdm_health.engine.plan import MANY, SHARED, Plan, make_plan
from pytest_mdm_health.engine.registry import CheckModule, in_order, in_phase, load, select
from pytest_mdm_health.engine.runner import Runner
from pytest_mdm_health.engine.sandbox import Sandbox, SandboxError
from pytest_mdm_health.knowledge.symptoms import explanations
from pytest_mdm_health.redaction.redactor import Redactor, redactor_for

_FAREWELL_S = 2.0
_NEEDED = {
    Kind.SERVER: "a PostgreSQL server, and this home names none",
    Kind.DATASET: "a dataset, and this home has none",
}


class Run:
    """What is examined and by what.

    Attributes:
        modules: all checks there are, by id.
        checks: those selected, each after what it requires.
        explained: why they were selected, if a symptom was given.
        plan: what they are run on.
        against: what it is compared with.
    """

    plan: Plan
    against: ComparisonInputs

    def __init__(
        self,
        options: Options,
        pickled: bytes | None = None,
        environ: Mapping[str, str] = os.environ,
        sandbox: Sandbox | None = None,
        against: ComparisonInputs | None = None,
    ) -> None:
        """Take stock of the home.

        Args:
            options: what the user asked for.
            pickled: on a worker, the plan and what its controller compares it with.
            environ: the environment that MDM would run in.
            sandbox: one that goes on after this run; otherwise the run has its own.
            against: the files that it is compared with.

        Raises:
            UnknownCheck: a selection names no check.
            UnknownSymptom: no check explains the symptom.
            UnusableFile: the baseline is of another home, or the expectations of other datasets.
            SandboxError: the home could not be taken stock of.
        """
        self.modules = load()
        self.explained = explanations(options.symptom) if options.symptom else ()
        known = {issue for each in self.modules.values() for issue in (each.check.issue, each.check.section)}
        wanted = [*options.select, *(each.issue for each in self.explained if each.issue in known)]
        chosen = select(self.modules, wanted, options.ignore)
        ordered = in_order(self.modules)
        self.checks = [each for each in ordered if each.check.id in chosen and in_phase(each.check, options.phase)]
        self._lent = sandbox is not None
        self._sandbox = sandbox or Sandbox()
        if pickled is None:
            self.against = against or ComparisonInputs()
            self.plan = self._take_stock(options, environ)
        else:
            self.plan, self.against = pickle.loads(pickled)  # noqa: S301 - made by our own controller

    def _take_stock(self, options: Options, environ: Mapping[str, str]) -> Plan:
        baseline, expected = self.against.baseline, self.against.expected
        plan = make_plan(options, self._sandbox, environ, baseline.datasets if baseline else (), expected)
        if baseline is not None:
            refuse_foreign(baseline, (each.name for each in plan.inventory.datasets))
        refuse_misspelt(expected, plan)
        return plan

    def items(self) -> list[tuple[CheckModule, Target]]:
        """Every check with every target: the home, the servers, then all checks of one dataset after the other."""
        pairs = [(each, target) for each in self.checks for target in self.plan.targets(each.check)]
        return sorted(pairs, key=lambda pair: (list(Kind).index(pair[1].kind), pair[1].name))

    def idle(self) -> list[str]:
        """One sentence for each check that was asked for and has nothing to examine in this home: what it needs."""
        options = self.plan.options
        asked = self.checks if options.select or options.symptom else []
        return [
            f"{each.check.id} ({each.check.issue}) examines nothing here: it needs {_NEEDED[each.check.per]}"
            for each in asked
            if not self.plan.targets(each.check)
        ]

    def result(
        self,
        each: CheckModule,
        target: Target,
        given: Mapping[str, object] | None = None,
        *,
        again: bool = False,
    ) -> Result:
        """The result of a check on a target, without secrets; what is waived is marked, and blocks all the same.

        Args:
            each: the check.
            target: what it is run on.
            given: what its parameters are; by default what the plan has for them.
            again: whether to examine it again if its result is known.
        """

        def handles_of(other: CheckModule, on: Target) -> Mapping[str, object]:
            mine = other is each and on == target and given is not None
            return self._shared_with_child(given if mine and given is not None else self._handles(other, on))

        return self._fit_to_show(self._runner.result(each, target, handles_of, again=again))

    def accompanying(self, result: Result) -> tuple[Result, ...]:
        """What has to be reported together with a result: the failure that blocks it, and corrected earlier results.

        The failure counts even where its check was not selected. A result is corrected when a server went away after
        this process had handed it out; each correction is reported once.
        """
        cause = self._runner.cause_of(result)
        others = (*self._runner.corrected(), *([cause] if cause is not None else []))
        return tuple(map(self._fit_to_show, others))

    def _fit_to_show(self, result: Result) -> Result:
        return self.against.waived(self.redactor.everywhere(result), self.plan.options.phase)

    @property
    def ids(self) -> tuple[str, ...]:
        """The node ids of all items, in their order."""
        return tuple(node_id(each.check, target) for each, target in self.items())

    def named(self, id_: str) -> tuple[CheckModule, Target]:
        """The check and the target that a node id stands for."""
        return self._by_id[id_]

    def sorted_ids(self, ids: Iterable[str]) -> list[str]:
        """Node ids in the order of the guide, then of the targets."""
        order = {id_: (list(self.modules).index(each.check.id), target) for id_, (each, target) in self._by_id.items()}
        return sorted(ids, key=lambda id_: order[id_])

    @property
    def ignored_prerequisites(self) -> tuple[str, ...]:
        """One sentence for each check that is ignored although selected ones depend on it."""
        heeded = select(self.modules, (), self.plan.options.ignore)
        dependents: dict[str, list[str]] = {}
        for each in self.checks:
            for required in dict.fromkeys(requirement.partition(".")[0] for requirement in each.check.requires):
                if required not in heeded:
                    dependents.setdefault(required, []).append(each.check.id)
        return tuple(
            f"{ignored} was ignored: its failure would block {join_names(ids)}, which ran without it"
            for ignored, ids in dependents.items()
        )

    def not_selected(self, ids: Collection[str]) -> tuple[str, ...]:
        """What of the home a run with results of these node ids was not asked about, in sentences.

        However that was said: by our own options, or by those of pytest, such as `-k`.
        """
        asked = [self._by_id[id_] for id_ in ids if id_ in self._by_id]
        names = {target.name for _, target in asked if target.kind is Kind.DATASET}
        every = {target.name for _, target in self._by_id.values() if target.kind is Kind.DATASET}
        datasets = sorted({*self.plan.not_selected, *(every - names)})
        checks = {each.check.id for each, _ in asked}
        others = [id_ for id_ in self.modules if id_ not in checks and self.plan.targets(self.modules[id_].check)]
        missing = (
            len(self._by_id)
            - len(asked)
            - sum(each.check.id in others or target.name in datasets for each, target in self._by_id.values())
        )
        said = []
        if datasets:
            said.append(f"{counted(len(datasets), 'dataset')} not examined: {join_names(datasets, MANY)}")
        if others:
            said.append(f"{counted(len(others), 'check')} not run: {join_names(others, MANY)}")
        if missing > 0:
            said.append(f"{counted(missing, 'check')} not run on everything that they apply to")
        return tuple(said)

    @property
    def asks_mdm(self) -> bool:
        """Whether a selected check asks the installed MDM."""
        return any("mdm_installation" in each.parameters for each in self.checks)

    def for_worker(self) -> bytes:
        """The plan and what it is compared with, for a worker; what must be asked only once is asked by then."""
        if self.asks_mdm:
            _ = self.plan.installation
        return pickle.dumps((self.plan, self.against))

    def close(self) -> None:
        """End the child process and remove its temporary files; a server is told that its connection is done with."""
        with contextlib.suppress(SandboxError):
            if self._sandbox.pid is not None:
                self._sandbox.call(f"{end_session.__module__}:{end_session.__name__}", timeout_s=_FAREWELL_S)
        if not self._lent:
            self._sandbox.close()

    @cached_property
    def _by_id(self) -> dict[str, tuple[CheckModule, Target]]:
        """Every check on every target, selected or not: what a selected check requires can have a result too."""
        pairs = ((each, target) for each in self.modules.values() for target in self.plan.targets(each.check))
        return {node_id(each.check, target): (each, target) for each, target in pairs}

    @cached_property
    def redactor(self) -> Redactor:
        """What takes the secrets of this home out of texts, and finds them in files."""
        return redactor_for(self.plan.inventory, self.plan.environ)

    @cached_property
    def _runner(self) -> Runner:
        heeded = select(self.modules, (), self.plan.options.ignore)
        return Runner(self._sandbox, heeded, self.plan, self.against.baseline)

    def _handles(self, each: CheckModule, target: Target) -> dict[str, object]:
        return {name: self.plan.handle(name, target) for name in each.parameters}

    def _shared_with_child(self, handles: Mapping[str, object]) -> Mapping[str, object]:
        """The same handles, those of them that all checks get having been announced to the child."""
        self._sandbox.share(known_secrets=self.redactor.for_child)
        self._sandbox.share(**{name: handle for name, handle in handles.items() if name in SHARED})
        return handles


def refuse_misspelt(expected: Expected, plan: Plan) -> None:
    """Refuse a plan that speaks of no dataset there is or was.

    Raises:
        UnusableFile: which pattern matches none.
    """
    names = {each.name for each in (*plan.inventory.datasets, *plan.remembered)}
    if unmet := expected.matching_none(names):
        known = ", ".join(sorted(names)[:MANY]) or "none"
        raise UnusableFile(f"--mdm-expect: {plan.options.expect}: no dataset matches {unmet[0]!r}; there are {known}")
