"""The health suite as pytest sees it: one parametrized test function per check, its parameters real fixtures.

Each check is a function in a module that exists only in memory; the module's path is the check's own source file. The
parameters of a check's `observe` are the parameters of its function, so pytest's own machinery provides them, and
`--setup-show`, `item.callspec` and plugins that look at functions find what they expect.

Two things are kept away from these functions, because they would change without notice what is examined: autouse
fixtures of the repository, and its fixtures that have the name of one of ours. See docs/decisions.
"""

from __future__ import annotations

import dataclasses
import inspect
import types
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from pytest_mdm_health import SUITE
from pytest_mdm_health.core.model import Result, Status, Target
from pytest_mdm_health.core.text import one_line
from pytest_mdm_health.plugin import fixtures
from pytest_mdm_health.plugin.session import OVERRIDDEN, carry
from pytest_mdm_health.reports.junit import properties
from pytest_mdm_health.reports.pytest_outputs import clean, clean_warning
from pytest_mdm_health.reports.result_text import describe

if TYPE_CHECKING:
    import warnings

    from pytest_mdm_health.engine.registry import CheckModule
    from pytest_mdm_health.engine.run import Run

RESULTS = pytest.StashKey[tuple[Result, ...]]()
"""The result of an item after it was run, followed by those that have to be reported with it."""

Overridden = Mapping[str, str]
"""The file that overrides a fixture of ours, by the fixture's name."""


class SuiteModule(pytest.Module):
    """One check, as a module with one test function."""

    @classmethod
    def of(cls, session: pytest.Session, run: Run, check_module: CheckModule) -> SuiteModule:
        """The module of this check."""
        source = inspect.getsourcefile(check_module.module) or check_module.module.__name__
        path = session.config.rootpath / source  # absolute paths stay as they are
        module: SuiteModule = cls.from_parent(session, name=SUITE, path=path, nodeid=SUITE)
        module.run, module.check_module = run, check_module
        return module

    run: Run
    check_module: CheckModule

    def _getobj(self) -> types.ModuleType:
        """What pytest would import; its parametrization applies to this module alone."""
        module = types.ModuleType(fixtures.SUITE_MODULE)
        targets = self.run.plan.targets(self.check_module.check)
        vars(module).update(
            {
                self.check_module.check.id: as_test(self.run, self.check_module),
                "pytest_generate_tests": _parametrized_over(targets),
            }
        )
        return module

    def funcnamefilter(self, name: str) -> bool:
        """Only the check is a test, however the repository calls its own."""
        return name == self.check_module.check.id

    def classnamefilter(self, name: str) -> bool:  # noqa: ARG002 - as pytest calls it
        """No class is one."""
        return False

    def collect(self) -> Iterator[pytest.Item | pytest.Collector]:
        """One function per target; none where there is no target, since pytest would make one that is skipped."""
        if self.run.plan.targets(self.check_module.check):
            yield from super().collect()


def as_test(run: Run, check_module: CheckModule) -> Callable[..., None]:
    """A check as a test function whose parameters are the fixtures that its `observe` asks for."""

    def test(request: pytest.FixtureRequest, mdm_target: Target, **values: object) -> None:
        item = request.node
        result = run.result(check_module, mdm_target, values, again=RESULTS in item.stash)
        item.stash[RESULTS] = (result, *run.accompanying(result))
        item.user_properties += properties(result)
        if result.status in {Status.FAIL, Status.ERROR}:
            pytest.fail(describe(result), pytrace=False)
        if result.status in {Status.SKIP, Status.BLOCKED}:
            pytest.skip(one_line(result.reason))

    names = ("request", "mdm_target", *check_module.parameters)
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    test.__name__ = test.__qualname__ = check_module.check.id
    test.__doc__ = check_module.check.title
    test.__module__ = fixtures.SUITE_MODULE  # with collect_imported_tests = false pytest takes no function of another
    attributes: dict[str, Any] = {
        "__signature__": inspect.Signature([inspect.Parameter(name, kind) for name in names]),
        "pytestmark": [pytest.mark.mdm_health],
        "place_as": check_module.observe,  # where pytest says the test is
    }
    vars(test).update(attributes)
    return test


def _parametrized_over(targets: Sequence[Target]) -> Callable[[pytest.Metafunc], None]:
    def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
        metafunc.parametrize("mdm_target", targets, indirect=True, ids=[target.id for target in targets])
        # pytest escapes what is not ASCII in ids, and has no public way around it; names of datasets stay as they are
        calls = metafunc._calls  # noqa: SLF001
        calls[:] = [
            dataclasses.replace(call, _idlist=(target.id,)) for call, target in zip(calls, targets, strict=True)
        ]

    return pytest_generate_tests


class HealthCollector:
    """The plugin that puts the suite into the run and sends its results along with pytest's reports."""

    def __init__(self, run: Run, wanted: Sequence[str]) -> None:
        self._run = run
        self._wanted = frozenset(wanted)
        self._deselected: set[str] = set()

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        """Remember what is deselected by name."""
        self._deselected |= {getattr(item, "nodeid", "") for item in items}

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(
        self, session: pytest.Session, items: list[pytest.Item]
    ) -> Generator[None, None, None]:
        """Put the suite's items before all others, early enough for `-k`, `--lf` and the like.

        What is taken out and not said to be deselected is put back: a plugin such as testmon leaves out tests whose
        code did not change, and a home changes without any code.
        """
        ours = self._collected(session)
        items[:0] = ours
        yield
        remaining = {item.nodeid for item in items} | self._deselected
        items[:0] = [item for item in ours if item.nodeid not in remaining]

    def _collected(self, session: pytest.Session) -> list[pytest.Item]:
        by_id: dict[str, pytest.Item] = {}
        overridden: dict[str, str] = {}
        for check_module in self._run.checks:
            collected = list(_collected(SuiteModule.of(session, self._run, check_module)))
            by_id |= {item.nodeid: item for item in collected}
            if collected:
                overridden |= keep_to_own_fixtures(collected)
        session.config.stash[OVERRIDDEN] = overridden
        return [by_id[id_] for id_ in self._run.ids if id_ in by_id and (not self._wanted or id_ in self._wanted)]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Send the result along with pytest's report of it; of the user's own tests too, pytest shows no secret."""
        report = yield
        clean(report, self._run.redactor)
        if report.when == "call" and RESULTS in item.stash:
            result, *accompanying = item.stash[RESULTS]
            carry(report, result, *accompanying)
            if report.skipped and not hasattr(report, "wasxfail"):
                report.longrepr = (SUITE, 0, one_line(result.reason))
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_warning_recorded(self, warning_message: warnings.WarningMessage) -> None:
        """Show no secret in a warning of the user's own tests either; a worker sends on what is left of it."""
        clean_warning(warning_message, self._run.redactor)

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(self) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Show no secret in an error of collecting the user's own tests either."""
        report = yield
        clean(report, self._run.redactor)
        return report


def _collected(module: SuiteModule) -> Iterator[pytest.Function]:
    report = module.ihook.pytest_make_collect_report(collector=module)
    module.ihook.pytest_collectreport(report=report)
    check = module.check_module.check
    for item in report.result:
        assert isinstance(item, pytest.Function)
        item.extra_keyword_matches |= {check.issue, _target_of(item).name, *check.tags}
        yield item


def _target_of(item: pytest.Function) -> Target:
    return cast("Target", item.callspec.params["mdm_target"])


def keep_to_own_fixtures(functions: Sequence[pytest.Function]) -> Overridden:
    """Keep the repository's fixtures out of all functions of a check; the overrides of ours that were left out.

    Its autouse fixtures leave the closure, and of every fixture that has the name of one of ours only ours remains.
    Fixtures of installed plugins stay.
    """
    item = functions[0]  # all functions of a check share what is known of their fixtures
    info, manager = item._fixtureinfo, item.session._fixturemanager  # noqa: SLF001 - pytest has no public way
    overridden: dict[str, str] = {}
    for name in fixtures.NAMES:
        definitions = info.name2fixturedefs.get(name) or manager.getfixturedefs(name, item) or ()
        info.name2fixturedefs[name] = own = [
            definition for definition in definitions if definition.func.__module__ == fixtures.__name__
        ]
        if len(own) < len(definitions):
            overridden[name] = str(_source_of(definitions[-1]))
    foreign = {
        name
        for name, definitions in info.name2fixturedefs.items()
        if name not in info.argnames and _is_of_repository(_source_of(definitions[-1]), item.config.rootpath)
    }
    info.names_closure[:] = [name for name in info.names_closure if name not in foreign]
    for function in functions:
        function._initrequest()  # noqa: SLF001 - up to pytest 9.0 the request has a copy of the definitions
    return overridden


def _source_of(definition: pytest.FixtureDef[Any]) -> Path:
    return Path(inspect.getsourcefile(inspect.unwrap(definition.func)) or "")


def _is_of_repository(source: Path, root: Path) -> bool:
    return source.name == "conftest.py" or (source.is_relative_to(root) and "site-packages" not in source.parts)
