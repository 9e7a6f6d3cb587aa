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
from pytest_mdm_health.engine.runner import FixtureValues, Runner
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
        """Make or take over the plan of the run.

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
            SandboxError: the inventory of the home could not be made.
        """
        self.modules = load()
        self.explained = explanations(options.symptom) if options.symptom else ()
        known = {issue for module in self.modules.values() for issue in (module.check.issue, module.check.section)}
        wanted = [*options.select, *(explanation.issue for explanation in self.explained if explanation.issue in known)]
        chosen = select(self.modules, wanted, options.ignore)
        ordered = in_order(self.modules)
        self.checks = [
            module for module in ordered if module.check.id in chosen and in_phase(module.check, options.phase)
        ]
        self._lent = sandbox is not None
        self._sandbox = sandbox or Sandbox()
        if pickled is None:
            self.against = against or ComparisonInputs()
            self.plan = self._make_plan(options, environ)
        else:
            self.plan, self.against = pickle.loads(pickled)  # noqa: S301 - made by our own controller

    def _make_plan(self, options: Options, environ: Mapping[str, str]) -> Plan:
        baseline, expected = self.against.baseline, self.against.expected
        plan = make_plan(options, self._sandbox, environ, baseline.datasets if baseline else (), expected)
        if baseline is not None:
            refuse_foreign(baseline, (dataset.name for dataset in plan.inventory.datasets))
        refuse_misspelt(expected, plan)
        return plan

    def items(self) -> list[tuple[CheckModule, Target]]:
        """Every check with every target: the home, the servers, then all checks of one dataset after the other."""
        pairs = [(module, target) for module in self.checks for target in self.plan.targets(module.check)]
        return sorted(pairs, key=lambda pair: (list(Kind).index(pair[1].kind), pair[1].name))

    def idle(self) -> list[str]:
        """One sentence for each check that was asked for and has nothing to examine in this home: what it needs."""
        options = self.plan.options
        asked = self.checks if options.select or options.symptom else []
        return [
            f"{module.check.id} ({module.check.issue}) examines nothing here: it needs {_NEEDED[module.check.per]}"
            for module in asked
            if not self.plan.targets(module.check)
        ]

    def result(
        self,
        module: CheckModule,
        target: Target,
        values: FixtureValues | None = None,
        *,
        again: bool = False,
    ) -> Result:
        """The result of a check on a target, without secrets; what is waived is marked, and blocks all the same.

        Args:
            module: the check.
            target: what it is run on.
            values: those of the fixtures that it asks for; by default what the plan has for them.
            again: whether to examine it again if its result is known.
        """

        def values_of(other: CheckModule, other_target: Target) -> FixtureValues:
            if values is not None and (other, other_target) == (module, target):
                return self._shared_with_child(values)
            return self._shared_with_child(self._fixture_values(other, other_target))

        return self._fit_to_show(self._runner.result(module, target, values_of, again=again))

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
        return tuple(node_id(module.check, target) for module, target in self.items())

    def named(self, id_: str) -> tuple[CheckModule, Target]:
        """The check and the target of a node id."""
        return self._by_id[id_]

    def sorted_ids(self, ids: Iterable[str]) -> list[str]:
        """Node ids in the order of the guide, then of the targets."""
        order = {
            id_: (list(self.modules).index(module.check.id), target) for id_, (module, target) in self._by_id.items()
        }
        return sorted(ids, key=lambda id_: order[id_])

    @property
    def ignored_prerequisites(self) -> tuple[str, ...]:
        """One sentence for each check that is ignored although selected ones depend on it."""
        heeded = select(self.modules, (), self.plan.options.ignore)
        dependents: dict[str, list[str]] = {}
        for module in self.checks:
            for required in dict.fromkeys(requirement.partition(".")[0] for requirement in module.check.requires):
                if required not in heeded:
                    dependents.setdefault(required, []).append(module.check.id)
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
        return any("mdm_installation" in module.parameters for module in self.checks)

    def for_worker(self) -> bytes:
        """The plan and what it is compared with, for a worker; what must be asked only once is asked by then."""
        if self.asks_mdm:
            _ = self.plan.installation
        return pickle.dumps((self.plan, self.against))

    def how_far(self) -> str:
        """How far the check is that is running, such as `1.2 GiB of 3 GiB`; empty if that is not known."""
        step = self._sandbox.step
        return step.far if step is not None else ""

    def close(self) -> None:
        """End the child process and remove its temporary files; connections to servers are closed properly."""
        with contextlib.suppress(SandboxError):
            if self._sandbox.pid is not None:
                self._sandbox.call(f"{end_session.__module__}:{end_session.__name__}", timeout_s=_FAREWELL_S)
        if not self._lent:
            self._sandbox.close()

    @cached_property
    def _by_id(self) -> dict[str, tuple[CheckModule, Target]]:
        """Every check on every target, selected or not: what a selected check requires can have a result too."""
        pairs = ((module, target) for module in self.modules.values() for target in self.plan.targets(module.check))
        return {node_id(module.check, target): (module, target) for module, target in pairs}

    @cached_property
    def redactor(self) -> Redactor:
        """What takes the secrets of this home out of texts, and finds them in files."""
        return redactor_for(self.plan.inventory, self.plan.environ)

    @cached_property
    def _runner(self) -> Runner:
        heeded = select(self.modules, (), self.plan.options.ignore)
        return Runner(self._sandbox, heeded, self.plan, self.against.baseline)

    def _fixture_values(self, module: CheckModule, target: Target) -> FixtureValues:
        return {name: self.plan.fixture_value(name, target) for name in module.parameters}

    def _shared_with_child(self, values: FixtureValues) -> FixtureValues:
        """The same values, those of them that all checks get having been announced to the child."""
        self._sandbox.share(known_secrets=self.redactor.for_child)
        self._sandbox.share(**{name: value for name, value in values.items() if name in SHARED})
        return values


def refuse_misspelt(expected: Expected, plan: Plan) -> None:
    """Refuse a plan that speaks of no dataset there is or was.

    Raises:
        UnusableFile: which pattern matches none.
    """
    names = {dataset.name for dataset in (*plan.inventory.datasets, *plan.remembered)}
    if unmet := expected.matching_none(names):
        known = ", ".join(sorted(names)[:MANY]) or "none"
        raise UnusableFile(f"--mdm-expect: {plan.options.expect}: no dataset matches {unmet[0]!r}; there are {known}")
