"""What blocks a check: any failure of what it requires, or one finding, on its own target, its server or the home."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from pytest_mdm_health.core.model import (
    HOME,
    Check,
    Facts,
    Finding,
    Kind,
    NotApplicable,
    Remedy,
    Severity,
    Status,
    Target,
)
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.core.session import Session
from pytest_mdm_health.engine.plan import Plan, make_plan
from pytest_mdm_health.engine.registry import CheckModule, ContractError, load
from pytest_mdm_health.engine.run import Run
from pytest_mdm_health.engine.runner import Runner
from pytest_mdm_health.engine.sandbox import Sandbox

FIELDS = {"backend": "postgresql", "host": "db1", "user": "ml", "database": "mdm_shop"}


@dataclass(frozen=True, kw_only=True)
class Seen(Facts):
    codes: tuple[tuple[str, Severity], ...]


def made_up(check: Check, *codes: tuple[str, Severity]) -> CheckModule:
    """A check that finds just this."""

    def observe() -> Seen:
        return Seen(examined=1, codes=codes)

    def judge(facts: Seen, before: Seen | None) -> Iterator[Finding]:  # noqa: ARG001 - the contract's
        for code, severity in facts.codes:
            yield check.finding(code, severity, "found", Remedy("mend it"))

    module = ModuleType(check.id)
    module.__dict__.update(CHECK=check, observe=observe, judge=judge)
    return CheckModule(module)


class InThisProcess(Sandbox):
    """Calls the made-up checks, which a child could not import."""

    def __init__(self, modules: dict[str, CheckModule]) -> None:
        super().__init__()
        self._modules = modules

    def call(self, function: str, *arguments: object, timeout_s: float) -> object:  # noqa: ARG002 - as the real one
        from pytest_mdm_health.engine import runner

        with Session(), pytest.MonkeyPatch.context() as patch:
            patch.setattr(runner, "load", lambda: self._modules)
            return runner.examine(*arguments)  # type: ignore[arg-type] # as the runner sends them


@pytest.fixture
def plan(tmp_path: Path) -> Iterator[Plan]:
    """The plan of a home with one dataset on a server and one in a file."""
    folder = tmp_path / "config" / "datasets"
    folder.mkdir(parents=True)
    for name, database in {"shop": FIELDS, "local": {"backend": "sqlite", "path": "x.sqlite"}}.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump({"name": name, "database": database, "tables": {}}))
    sandbox = Sandbox()
    yield make_plan(Options(home=tmp_path), sandbox, {})
    sandbox.close()


def run_on(plan: Plan, target: Target, *modules: CheckModule) -> tuple[Status, str | None]:
    known = {each.check.id: each for each in modules}
    runner = Runner(InThisProcess(known), known, plan)
    result = runner.result(modules[-1], target, lambda _, __: {})
    return result.status, result.blocked_by


def check(id_: str, per: Kind, *requires: str) -> Check:
    return Check(id=id_, issue="3.3", title="t", per=per, requires=requires)


SHOP, LOCAL = Target(Kind.DATASET, "shop"), Target(Kind.DATASET, "local")
AWAY, OTHER = ("away", Severity.FAIL), ("slow", Severity.FAIL)


@pytest.mark.parametrize(
    ("requires", "found", "status"),
    [
        ("server", AWAY, Status.BLOCKED),
        ("server", OTHER, Status.BLOCKED),
        ("server.away", AWAY, Status.BLOCKED),
        ("server.away", OTHER, Status.PASS),
        ("server.away", ("away", Severity.WARN), Status.PASS),
        ("server", ("away", Severity.WARN), Status.PASS),
    ],
)
def test_a_dataset_is_blocked_by_its_server(
    plan: Plan, requires: str, found: tuple[str, Severity], status: Status
) -> None:
    server = made_up(check("server", Kind.SERVER), found)
    dataset = made_up(check("dataset", Kind.DATASET, requires))
    by = "mdm-health::server[db1:5432]" if status is Status.BLOCKED else None
    assert run_on(plan, SHOP, server, dataset) == (status, by)
    assert run_on(plan, LOCAL, server, dataset) == (Status.PASS, None)


def test_the_finding_counts_among_others(plan: Plan) -> None:
    server = made_up(check("server", Kind.SERVER), OTHER, AWAY)
    dataset = made_up(check("dataset", Kind.DATASET, "server.away"))
    assert run_on(plan, SHOP, server, dataset)[0] is Status.BLOCKED


def test_the_first_cause_is_named_however_long_the_way(plan: Plan) -> None:
    home = made_up(check("home", Kind.HOME), AWAY)
    server = made_up(check("server", Kind.SERVER, "home"))
    dataset = made_up(check("dataset", Kind.DATASET, "server.away"))
    assert run_on(plan, SHOP, home, server, dataset) == (Status.BLOCKED, "mdm-health::home[home]")


def test_a_home_is_not_blocked_by_one_of_its_servers(plan: Plan) -> None:
    server = made_up(check("server", Kind.SERVER), AWAY)
    assert run_on(plan, HOME, server, made_up(check("home", Kind.HOME, "server")))[0] is Status.PASS


def test_servers_run_before_datasets_and_are_named_with_port(plan: Plan) -> None:
    (target,) = plan.targets(check("server", Kind.SERVER))
    assert (target.kind, target.name, target.id) == (Kind.SERVER, "db1:5432", "db1:5432")
    assert list(Kind).index(Kind.SERVER) < list(Kind).index(Kind.DATASET)


def test_colons_that_pytest_would_read_are_escaped() -> None:
    assert Target(Kind.SERVER, "::1:5432").id == "\\x3a\\x3a1:5432"


def test_a_server_is_handed_out_for_itself_and_for_its_datasets(plan: Plan) -> None:
    (server,) = plan.servers
    assert plan.fixture_value("mdm_server", Target(Kind.SERVER, "db1:5432")) is server
    assert plan.fixture_value("mdm_server", SHOP) is server
    assert plan.fixture_value("mdm_server", LOCAL) is None
    assert plan.fixture_value("mdm_server", HOME) is None


def test_a_requirement_that_nobody_can_find_breaks_the_contract(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = ModuleType("made_up_requirements")
    package.__path__ = [str(tmp_path)]
    monkeypatch.setitem(__import__("sys").modules, "made_up_requirements", package)
    real = Path(load()["system-check"].module.__file__ or "").read_text()
    (tmp_path / "system_check.py").write_text(re.sub("requires=.*", "requires=(REQ,),", real, count=1))
    for requirement, complaint in {"system-check.nothing": "cannot find", "nothing.at-all": "no check"}.items():
        text = (tmp_path / "system_check.py").read_text()
        (tmp_path / "system_check.py").write_text(text.replace("REQ", repr(requirement)))
        with pytest.raises(ContractError, match=complaint):
            load(package)
        (tmp_path / "system_check.py").write_text(text)
        monkeypatch.delitem(__import__("sys").modules, "made_up_requirements.system_check")


def test_a_run_on_a_home_without_servers_has_no_server_items(home: Path) -> None:
    run = Run(Options(home=home), environ={})
    try:
        assert [target for _, target in run.items() if target.kind is Kind.SERVER] == []
    finally:
        run.close()


def test_a_skipped_prerequisite_blocks_nothing(plan: Plan) -> None:
    server = made_up(check("server", Kind.SERVER))

    def observe() -> Seen:
        raise NotApplicable("nothing to see")

    server.module.__dict__["observe"] = observe
    assert run_on(plan, SHOP, server, made_up(check("dataset", Kind.DATASET, "server")))[0] is Status.PASS


@pytest.mark.parametrize(
    ("examined", "found", "status"),
    [
        (0, (), Status.ERROR),
        (3, (), Status.ERROR),
        (3, (("slow", Severity.NOTE),), Status.ERROR),
        (3, (("slow", Severity.WARN),), Status.ERROR),
        (3, (AWAY,), Status.FAIL),
    ],
)
def test_what_was_not_examined_is_an_error_unless_a_check_failed(
    plan: Plan, examined: int, found: tuple[tuple[str, Severity], ...], status: Status
) -> None:
    each = made_up(check("dataset", Kind.DATASET))
    each.module.__dict__["observe"] = lambda: Seen(
        examined=examined, codes=found, gaps=("one is large",), unexamined=("the table train may not be read",)
    )
    known = {"dataset": CheckModule(each.module)}
    result = Runner(InThisProcess(known), known, plan).result(known["dataset"], LOCAL, lambda _, __: {})
    assert (result.status, result.reason) == (status, "the table train may not be read; one is large")
    assert result.examined == examined
    assert "unexamined" not in result.facts
