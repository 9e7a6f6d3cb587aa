"""The built-in checks are parametrized test functions, and what a repository defines does not redirect them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest

from tests.helpers import ALONE_OR_ON_WORKERS

Health = Callable[..., pytest.RunResult]


def results_in(path: Path) -> dict[str, dict[str, Any]]:
    document = json.loads(path.read_text(encoding="utf-8"))
    return {f"{each['check']}[{each['target']['name']}]": each for each in document["results"]}


def break_registration(home: Path, dataset: str) -> None:
    (home / "config" / "datasets" / f"{dataset}.yaml").write_text("name: [unclosed\n")


def test_setup_show_lists_the_fixtures_of_a_check(health: Health) -> None:
    run = health("--setup-show", "-k", "sqlite-locking and shop")
    run.stdout.fnmatch_lines(
        ["*SETUP *F mdm_target*", "*sqlite-locking?shop? (fixtures used: *mdm_dataset*mdm_target*"]
    )


def test_an_item_has_what_plugins_expect_of_a_function(pytester: pytest.Pytester, health: Health) -> None:
    pytester.makeconftest(
        """
        def pytest_collection_modifyitems(items):
            for item in items:
                source = item.path.name
                print(item.nodeid, item.callspec.id, item.originalname, source, item.location[2])
                assert "mdm_target" in item.fixturenames
                assert item.get_closest_marker("mdm_health")
        """
    )
    run = health("--collect-only", "-s", "--mdm-select=3.2", "--mdm-select=2.1")
    assert run.ret == 0
    run.stdout.fnmatch_lines(
        [
            "mdm-health::config-not-loading?home? home config-not-loading *.py config-not-loading?home?",
            "mdm-health::sqlite-locking?shop? shop sqlite-locking *.py sqlite-locking?shop?",
        ]
    )


def test_names_that_are_not_ascii_are_shown_as_they_are(home: Path, health: Health) -> None:
    registration = home / "config/datasets/wine.yaml"
    registration.rename(registration.with_name("größe.yaml"))
    run = health("--collect-only", "-q")
    run.stdout.fnmatch_lines(["mdm-health::sqlite-locking?größe?"])


@pytest.mark.parametrize("workers", ALONE_OR_ON_WORKERS)
def test_a_fixture_of_the_repository_does_not_redirect_the_suite(
    pytester: pytest.Pytester, health: Health, tmp_path: Path, workers: tuple[str, ...]
) -> None:
    pytester.makeconftest(
        """
        import pytest

        @pytest.fixture(scope="session")
        def mdm_home(tmp_path_factory):
            return tmp_path_factory.mktemp("elsewhere")

        @pytest.fixture(scope="session")
        def mdm_inventory():
            raise RuntimeError("a fixture of the same name reached the suite")
        """
    )
    run = health("--mdm-json", tmp_path / "out.json", *workers)
    assert run.ret == 0
    document = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert sorted(document["environment"]["fixtures_not_used"]) == ["mdm_home", "mdm_inventory"]
    run.stdout.fnmatch_lines(["the built-in checks do not use the fixture mdm_home of *conftest.py, but their own"])


def test_autouse_fixtures_of_the_repository_do_not_reach_it(pytester: pytest.Pytester, health: Health) -> None:
    pytester.makeconftest(
        """
        import pytest

        @pytest.fixture(autouse=True)
        def breaks_everything(request):
            raise RuntimeError(f"reached {request.node.nodeid}")
        """
    )
    run = health(pytester.makepyfile("def test_own(): pass"))
    assert run.ret == 1
    run.stdout.fnmatch_lines(["*RuntimeError: reached *::test_own"])
    assert not any("reached mdm-health" in line for line in run.outlines)


EXPECTED = """
import pytest

def pytest_collection_modifyitems(items):
    for item in items:
        if item.nodeid == "mdm-health::metadata-corruption[shop]":
            item.add_marker(pytest.mark.{mark})
"""


@pytest.mark.parametrize(
    ("mark", "reason", "findings"),
    [
        ("xfail(reason='mended next week')", "xfail: mended next week", True),
        ("skip(reason='mended next week')", "Skipped: mended next week", False),
    ],
    ids=["xfail", "skip"],
)
@pytest.mark.parametrize("workers", ALONE_OR_ON_WORKERS)
def test_a_mark_of_the_repository_counts_like_a_waiver(
    pytester: pytest.Pytester,
    home: Path,
    health: Health,
    tmp_path: Path,
    mark: str,
    reason: str,
    findings: bool,
    workers: tuple[str, ...],
) -> None:
    break_registration(home, "shop")
    pytester.makeconftest(EXPECTED.format(mark=mark))
    select = ("--mdm-select=7.2", *workers)
    run = health("--mdm-json", tmp_path / "out.json", *select)
    result = results_in(tmp_path / "out.json")["metadata-corruption[shop]"]
    assert (result["status"], result["waiver"], bool(result["findings"])) == ("waived", reason, findings)
    assert run.ret == 0
    run.stdout.fnmatch_lines([f"waived: *[[]shop]: {reason}{'; accepted: ?*' if findings else ''}"])


def test_a_mark_does_not_make_up_for_what_nobody_examined(
    pytester: pytest.Pytester, home: Path, health: Health
) -> None:
    break_registration(home, "shop")
    pytester.makeconftest(EXPECTED.format(mark="skip(reason='not now')"))
    assert health("--mdm-select=7.2", "--mdm-dataset=shop").ret == 11


def test_a_rerun_examines_again(
    pytester: pytest.Pytester, home: Path, health: Health, tmp_path: Path, hold: Callable[[str], Popen[bytes]]
) -> None:
    database = home / "datasets/shop/shop.sqlite"
    holder = hold(f"import sqlite3; c = sqlite3.connect({str(database)!r}); c.execute('BEGIN IMMEDIATE')")
    pytester.makeconftest(
        f"""
        import os, signal
        from _pytest.runner import runtestprotocol

        def pytest_collection_finish(session):
            session.config.pluginmanager.register(Again())

        class Again:
            def pytest_runtest_protocol(self, item, nextitem):
                item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
                reports = runtestprotocol(item, nextitem=nextitem, log=False)
                print("first:", dict(reports[1].user_properties)["mdm_status"])
                os.kill({holder.pid}, signal.SIGKILL)
                item._initrequest()
                runtestprotocol(item, nextitem=nextitem)
                return True
        """
    )
    run = health("--mdm-json", tmp_path / "out.json", "-s", "mdm-health::sqlite-locking[shop]")
    run.stdout.fnmatch_lines(["*first: warn"])
    assert results_in(tmp_path / "out.json")["sqlite-locking[shop]"]["status"] == "pass"


def test_a_debugger_stops_in_the_process_that_examines(pytester: pytest.Pytester, health_alone: Health) -> None:
    pytester.makepyfile(
        says_where="""
        import os
        import pytest_mdm_health.checks.sqlite_locking as check

        real = check.observe

        def observe(*args, **kwargs):
            print("examined in", os.getpid())
            return real(*args, **kwargs)

        observe.__signature__ = __import__("inspect").signature(real)
        observe.__annotations__ = real.__annotations__
        check.observe = observe

        def pytest_configure():
            print("pytest runs in", os.getpid())
        """
    )
    run = health_alone("-p", "says_where", "--pdb", "-s", "mdm-health::sqlite-locking[shop]")
    said = {line.rpartition(" ")[0].strip("."): line.rpartition(" ")[2] for line in run.outlines if " in " in line}
    (inside,) = (pid for words, pid in said.items() if words.endswith("examined in"))
    assert said["pytest runs in"] == inside
