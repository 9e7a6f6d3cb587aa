"""The plugin as pytest's users meet it: whole runs, in a process of their own, on real homes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers import ALONE_OR_ON_WORKERS, Health, break_registration, results_in

IMPORTED = """
import sys
HEAVY = {"pandas", "duckdb", "sqlalchemy", "yaml", "pydantic", "psycopg", "psutil"}
def pytest_unconfigure():
    print("IMPORTED", sorted(name for name in sys.modules if name.startswith("pytest_mdm_health")))
    print("HEAVY", sorted(HEAVY & set(sys.modules)))
"""


def test_plain_pytest_is_untouched(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(IMPORTED)
    pytester.makepyfile("def test_own(): pass")
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        [
            (
                "IMPORTED ['pytest_mdm_health', 'pytest_mdm_health.core', 'pytest_mdm_health.core.options', "
                "'pytest_mdm_health.plugin', 'pytest_mdm_health.plugin.hooks', 'pytest_mdm_health.plugin.options']"
            ),
            "HEAVY []",
        ]
    )


def test_plain_pytest_in_an_empty_folder_collects_nothing(pytester: pytest.Pytester) -> None:
    assert pytester.runpytest_subprocess().ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_a_healthy_home_ends_with_zero_and_says_so(health: Health) -> None:
    result = health()
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*MDM health: degraded*", "exit code 0: nothing failed; warnings are allowed*"])
    result.stdout.no_fnmatch_line("*collected 0 items*")


def test_only_the_suite_is_collected_in_a_repository_with_tests(pytester: pytest.Pytester, health: Health) -> None:
    pytester.makepyfile("def test_own(): raise SystemError('must not run')")
    result = health()
    assert result.ret == 0
    result.stdout.no_fnmatch_line("*test_own*")


@pytest.mark.slow
def test_the_ini_files_testpaths_are_not_collected_either(pytester: pytest.Pytester, health: Health) -> None:
    pytester.makeini("[pytest]\ntestpaths = .")
    pytester.makepyfile("def test_own(): raise SystemError('must not run')")
    assert health().ret == 0


def test_paths_are_collected_as_well(pytester: pytest.Pytester, health: Health) -> None:
    own = pytester.makepyfile("def test_own(): pass")
    result = health("-v", own)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*mdm-health::*PASSED*", "*::test_own PASSED*"])


def test_a_failure_among_the_users_own_tests_is_a_failure(pytester: pytest.Pytester, health: Health) -> None:
    assert health(pytester.makepyfile("def test_own(): assert False")).ret == 1


def test_a_hostile_repository_changes_nothing(pytester: pytest.Pytester, health: Health, tmp_path: Path) -> None:
    own_only = "collect_imported_tests = false" if pytest.version_tuple >= (8, 4) else ""
    pytester.makeini(f"[pytest]\nfilterwarnings = error\npython_functions = none\n{own_only}")
    pytester.makeconftest(
        """
        import pytest
        @pytest.fixture(autouse=True)
        def breaks_everything():
            raise RuntimeError("autouse reached the suite")

        @pytest.fixture(scope="session")
        def mdm_home():
            raise RuntimeError("a fixture of the same name reached the suite")

        def pytest_generate_tests(metafunc):
            raise RuntimeError("parametrization reached the suite")

        def pytest_runtest_setup(item):
            raise RuntimeError("a hook for items reached the suite")
        """
    )
    result = health("--mdm-json", tmp_path / "out.json")
    assert result.ret == 0
    assert {each["status"] for each in results_in(tmp_path / "out.json").values()} <= {"pass", "skip", "warn"}


def test_two_workers_find_what_one_process_finds(home: Path, health: Health, tmp_path: Path) -> None:
    break_registration(home, "shop")
    assert health("--mdm-json", tmp_path / "one.json").ret == 1
    assert health("--mdm-json", tmp_path / "two.json", "-n", "2").ret == 1
    one, two = results_in(tmp_path / "one.json"), results_in(tmp_path / "two.json")
    assert list(one) == list(two)
    for name, result in one.items():
        assert {**result, "duration_s": 0, "facts": 0} == {**two[name], "duration_s": 0, "facts": 0}


@pytest.mark.parametrize(
    "selection",
    [("-k", "sqlite-locking and shop"), ("--mdm-select=3.2",), ("mdm-health::sqlite-locking[shop]",)],
    ids=["by-keyword", "by-issue", "by-node-id"],
)
@pytest.mark.parametrize("workers", ALONE_OR_ON_WORKERS)
def test_a_failure_blocking_a_selected_check_makes_the_run_red(
    home: Path, health: Health, tmp_path: Path, selection: tuple[str, ...], workers: tuple[str, ...]
) -> None:
    break_registration(home, "shop")
    run = health("--mdm-json", tmp_path / "out.json", *selection, *workers)
    results = results_in(tmp_path / "out.json")
    blocked = results["sqlite-locking[shop]"]
    assert (blocked["status"], blocked["blocked_by"]) == ("blocked", "mdm-health::metadata-corruption[shop]")
    assert results["metadata-corruption[shop]"]["status"] == "fail"
    assert run.ret == 1
    run.stdout.fnmatch_lines(["blocked by metadata-corruption[[]shop]: sqlite-locking[[]shop]"])


def test_what_a_waived_failure_blocks_is_accepted_with_it(home: Path, health: Health, tmp_path: Path) -> None:
    break_registration(home, "shop")
    waivers = tmp_path / "waivers.yaml"
    waivers.write_text(
        "schema: mdm-waivers/1\nwaivers:\n- {code: metadata-corruption.*, target: shop, reason: known, owner: Ann, "
        "expires: 2999-01-01}\n",
        encoding="utf-8",
    )
    run = health("--mdm-json", tmp_path / "out.json", f"--mdm-waivers={waivers}", "--mdm-select=3.2")
    results = results_in(tmp_path / "out.json")
    assert (results["sqlite-locking[shop]"]["status"], results["metadata-corruption[shop]"]["status"]) == (
        "blocked",
        "waived",
    )
    assert run.ret == 0


@pytest.mark.parametrize("content", [(), ("a.csv", "data/b.csv"), ("datasets/c.csv", "logs/app.log")])
def test_a_folder_without_anything_of_mdm_is_no_home(health: Health, tmp_path: Path, content: tuple[str, ...]) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in content:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("a,b\n1,2\n", encoding="utf-8")
    run = health(f"--mdm-home={folder}")
    assert run.ret == pytest.ExitCode.USAGE_ERROR
    (line,) = (each for each in run.errlines if each)
    assert line.startswith(f"ERROR: --mdm-home: {folder} is no MDM home")


@pytest.mark.parametrize(
    "made",
    [
        "config/datasets",
        pytest.param("datasets", marks=pytest.mark.slow),
        pytest.param("config/custom_features", marks=pytest.mark.slow),
    ],
)
def test_a_home_just_made_by_mdm_is_a_home_without_datasets(health: Health, tmp_path: Path, made: str) -> None:
    folder = tmp_path / "folder"
    (folder / made).mkdir(parents=True)
    run = health(f"--mdm-home={folder}")
    assert run.ret == 0
    run.stdout.fnmatch_lines(["MDM home: * (nothing registered in *)*"])


@pytest.mark.parametrize("left", ["nothing", pytest.param("the folders", marks=pytest.mark.slow)])
def test_a_home_that_lost_everything_since_its_baseline_fails(
    home: Path, health: Health, tmp_path: Path, left: str
) -> None:
    health(f"--mdm-save-baseline={tmp_path / 'before.json'}", "--mdm-depth=quick")
    shutil.rmtree(home)
    (home / ("config/datasets" if left == "the folders" else "")).mkdir(parents=True)
    run = health(f"--mdm-baseline={tmp_path / 'before.json'}", "--mdm-depth=quick")
    assert run.ret == 1
    run.stdout.fnmatch_lines(["*metadata-corruption.*wine*"])


@pytest.mark.slow
def test_a_node_id_from_the_output_works_as_an_argument(pytester: pytest.Pytester, health: Health) -> None:
    listed = health("--collect-only", "-q").outlines
    id_ = next(line for line in listed if "sqlite-locking[shop]" in line)
    health(id_).assert_outcomes(passed=1)
    below = pytester.mkdir("below")
    os.chdir(below)
    health(f"../{id_}").assert_outcomes(passed=1)


@pytest.mark.parametrize("workers", ALONE_OR_ON_WORKERS)
def test_a_node_id_that_is_not_there_is_a_usage_error(
    pytester: pytest.Pytester, health: Health, workers: tuple[str, ...]
) -> None:
    own = pytester.makepyfile("def test_one(): pass\ndef test_two(): pass")
    result = health(own, "mdm-health::sqlite-locking[nobody]", *workers)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: mdm-health::sqlite-locking[[]nobody]: no such check on this home*"])


@pytest.mark.slow
def test_keywords_and_markers_select(health: Health) -> None:
    counts = health("-k", "wine and sqlite-locking").parseoutcomes()
    assert counts.pop("deselected") > 5
    assert counts == {"passed": 1}
    assert health("-m", "not mdm_health").ret == pytest.ExitCode.NO_TESTS_COLLECTED


@pytest.mark.slow
def test_last_failed_runs_what_failed(home: Path, health: Health) -> None:
    break_registration(home, "shop")
    health()
    counts = health("--lf").parseoutcomes()
    counts.pop("deselected")
    assert counts == {"failed": 1}


@pytest.mark.slow
def test_it_needs_no_cache(health: Health) -> None:
    assert health("-p", "no:cacheprovider").ret == 0


@pytest.mark.slow
def test_junit_names_check_and_status(home: Path, health: Health, tmp_path: Path) -> None:
    break_registration(home, "shop")
    health("--junitxml", tmp_path / "junit.xml")
    cases = {case.attrib["name"]: case for case in ET.parse(tmp_path / "junit.xml").getroot().iter("testcase")}  # noqa: S314 - our own
    failed = cases["metadata-corruption[shop]"]
    properties = {each.attrib["name"]: each.attrib["value"] for each in failed.iter("property")}
    assert properties == {
        "mdm_check": "metadata-corruption",
        "mdm_issue": "7.2",
        "mdm_target": "shop",
        "mdm_status": "fail",
        "mdm_codes": "metadata-corruption.syntax",
    }
    assert "next:" in (failed.findtext("failure") or "")


STOPS_THE_CHILD = """
import os, signal, threading

def pytest_runtest_call(item):
    if item.name == "sqlite-locking[shop]":
        run = item.config.pluginmanager.get_plugin("mdm-health-session")._run
        run._sandbox.call("os:getpid", timeout_s=30)
        send = lambda number, pid=run._sandbox.pid: os.kill(pid, number)
        send(signal.SIGSTOP)
        {then}

def give_up_soon(sandbox):
    # On one call only: on a busy machine the other checks may take their time.
    patient = sandbox.call
    def hasty(*arguments, timeout_s):
        sandbox.call = patient
        return patient(*arguments, timeout_s=1.5)
    sandbox.call = hasty
"""

HANG = "give_up_soon(run._sandbox)"
KILL = "threading.Timer(0.3, send, [signal.SIGKILL]).start()"
CRASH = "threading.Timer(0.3, lambda: [send(signal.SIGSEGV), send(signal.SIGCONT)]).start()"


@pytest.mark.parametrize(
    ("then", "reason"),
    [
        pytest.param(HANG, "took longer than 1.5 s", id="hang"),
        pytest.param(KILL, "killed by SIGKILL", id="killed", marks=pytest.mark.slow),
        pytest.param(CRASH, "killed by SIGSEGV", id="crash", marks=pytest.mark.slow),
    ],
)
def test_a_hanging_or_dying_check_is_one_error_beside_the_rest(
    pytester: pytest.Pytester, health: Health, tmp_path: Path, then: str, reason: str
) -> None:
    pytester.makepyfile(stops_the_child=STOPS_THE_CHILD.format(then=then))
    result = health(
        "-p",
        "stops_the_child",
        "--mdm-json",
        tmp_path / "out.json",
        "--mdm-html",
        tmp_path / "out.html",
    )
    results = results_in(tmp_path / "out.json")
    broken = {name: each["reason"] for name, each in results.items() if each["status"] == "error"}
    assert list(broken) == ["sqlite-locking[shop]"]
    assert reason in broken["sqlite-locking[shop]"]
    assert {each["status"] for name, each in results.items() if name not in broken} <= {"pass", "skip", "warn"}
    assert result.ret == 11
    assert reason in (tmp_path / "out.html").read_text()
    result.stdout.no_fnmatch_line("*Traceback*")


def test_a_worker_that_dies_is_an_error_of_the_check_it_ran(
    pytester: pytest.Pytester, health: Health, tmp_path: Path
) -> None:
    pytester.makepyfile(
        dies="import os\ndef pytest_runtest_call(item):\n    if item.name == 'sqlite-locking[shop]': os._exit(9)"
    )
    result = health("-p", "dies", "-n", "2", "--mdm-json", tmp_path / "out.json")
    results = results_in(tmp_path / "out.json")
    assert results["sqlite-locking[shop]"]["status"] == "error"
    assert "crashed" in results["sqlite-locking[shop]"]["reason"]
    assert len(results) > 10
    assert result.ret == 11


@pytest.mark.slow
def test_what_a_stopped_run_left_out_does_not_vanish(home: Path, health: Health, tmp_path: Path) -> None:
    for dataset in ("big", "wine"):
        break_registration(home, dataset)
    complete = health("--collect-only", "-q").outlines
    assert health("-x", "--mdm-json", tmp_path / "out.json").ret == 1
    results = results_in(tmp_path / "out.json")
    assert len(results) == sum("mdm-health::" in line for line in complete)
    assert any("not run" in each["reason"] for each in results.values())


@pytest.mark.parametrize("workers", ALONE_OR_ON_WORKERS)
def test_the_home_is_the_same_before_and_after(
    each_home: Path, pytester: pytest.Pytester, tree: Callable[[Path], object], workers: tuple[str, ...]
) -> None:
    before = tree(each_home)
    result = pytester.runpytest_subprocess("--mdm-health", f"--mdm-home={each_home}", "--mdm-depth=full", *workers)
    assert result.ret == 0
    assert tree(each_home) == before


def test_running_inside_the_home_leaves_no_cache_there(
    home: Path, health: Health, tree: Callable[[Path], object]
) -> None:
    os.chdir(home)
    before = tree(home)
    assert health("--rootdir", home).ret == 0
    assert tree(home) == before


def test_an_empty_home_is_healthy_and_says_what_was_looked_at(pytester: pytest.Pytester, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    (empty / "config" / "datasets").mkdir(parents=True)
    result = pytester.runpytest_inprocess("--mdm-health", f"--mdm-home={empty}")
    assert result.ret == 0
    result.stdout.fnmatch_lines([f"MDM home: {empty} (nothing registered in {empty}/config/datasets)*"])


def test_an_unexpected_file_kind_is_a_finding_at_once(home: Path, health: Health, tmp_path: Path) -> None:
    for file in (
        home / "mdm.yaml",
        home / "config/datasets/wine.yaml",
        home / "datasets/big/big.sqlite",
        home / "logs/mdm.log",
    ):
        file.unlink()
        os.mkfifo(file)
    result = health("--mdm-json", tmp_path / "out.json", "--mdm-timeout", "20")
    results = results_in(tmp_path / "out.json")
    assert result.ret == 1
    assert not [name for name, each in results.items() if each["status"] == "error"]
    for name in ("config-not-loading[home]", "metadata-corruption[wine]", "logged-errors[home]"):
        assert "FIFO" in json.dumps(results[name]), name


BAD_INPUT = [
    (("--mdm-home", "/nowhere/at/all"), "--mdm-home: /nowhere/at/all does not exist"),
    (("--mdm-home", __file__), f"--mdm-home: {__file__} is not a folder"),
    (("--mdm-select", "sqlite-loking"), "'sqlite-loking' names no check; the nearest is 'sqlite-locking'"),
    (("--mdm-ignore", "9.9"), "'9.9' names no check*"),
    (("--mdm-timeout", "soon"), "--mdm-timeout: 'soon' is not a number of seconds above 0*"),
    (("--mdm-timeout", "-1"), "--mdm-timeout: '-1' is not a number of seconds above 0*"),
    (("--mdm-timeout", "1e10"), "--mdm-timeout: '1e10' is not a number of seconds above 0*"),
    (("--mdm-json", "/tmp/" + 300 * "x"), "--mdm-json: *is no path: File name too long"),
    (("--mdm-json=x", "--mdm-html=x"), "two reports cannot go into one file: *"),
    (("--mdm-timeout", "nan"), "--mdm-timeout: 'nan' is not a number of seconds above 0*"),
    (("--mdm-depth", "deep"), "--mdm-depth: 'deep' is none of quick, standard, full"),
    (("--mdm-phase", "later"), "--mdm-phase: 'later' is none of pre, post, any"),
    (("--mdm-backup", "/nowhere"), "--mdm-backup: /nowhere does not exist"),
    (("--mdm-source", "/nowhere"), "--mdm-source: /nowhere does not exist"),
    (("--mdm-requirements", "/nowhere"), "--mdm-requirements: /nowhere does not exist"),
    (("--mdm-json", "/"), "--mdm-json: / is a folder; a file is needed"),
    (("--mdm-explain", "sqlite"), "--mdm-explain: 'sqlite' is no check; the nearest is 'sqlite-locking'"),
    (("--mdm-python", "/nowhere"), "--mdm-python: '/nowhere' does not exist"),
    (("--mdm-python", __file__), f"--mdm-python: '{__file__}' cannot be executed"),
    (("--mdm-fail-on", "regression"), "--mdm-fail-on=regression needs --mdm-baseline: without it nothing is known*"),
]


@pytest.mark.parametrize(("args", "line"), BAD_INPUT, ids=[" ".join(args) for args, _ in BAD_INPUT])
def test_bad_input_is_one_clear_line(health_here: Health, args: tuple[str, ...], line: str) -> None:
    result = health_here(*args)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert len([each for each in result.errlines if each.strip()]) == 1
    result.stderr.fnmatch_lines([f"ERROR: {line}".replace("[", "[[]") + "*"])


def test_an_unreadable_home_is_one_clear_line(home: Path, tmp_path: Path) -> None:
    home.chmod(0o000)
    bound = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    command = [*bound, sys.executable, "-m", "pytest", "--mdm-health", f"--mdm-home={home}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    home.chmod(0o755)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert done.stderr.strip() == f"ERROR: --mdm-home: {home} cannot be read: Permission denied"


def test_a_report_inside_the_home_is_refused(home: Path, health_here: Health) -> None:
    assert health_here("--mdm-json", home / "out.json").ret == pytest.ExitCode.USAGE_ERROR


def test_an_unwritable_report_is_reported_in_the_exit_code(health: Health, tmp_path: Path) -> None:
    result = health("--mdm-html", "/proc/nowhere/out.html", "--mdm-json", tmp_path / "out.json")
    assert result.ret == 11
    result.stdout.fnmatch_lines(["ERROR --mdm-html: *could not be written*", "exit code 11: *"])
    assert json.loads((tmp_path / "out.json").read_text())["exit_code"] == 11


@pytest.mark.slow
def test_one_report_folder_is_made_and_more_are_a_usage_error(health: Health, tmp_path: Path) -> None:
    assert health(f"--mdm-json={tmp_path / 'new' / 'out.json'}").ret == 0
    assert (tmp_path / "new" / "out.json").is_file()
    result = health(f"--mdm-json={tmp_path / 'no' / 'such' / 'out.json'}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [f"ERROR: --mdm-json: *cannot be written, because there is no folder {tmp_path / 'no'}"]
    )


@pytest.mark.parametrize("report", ["/dev/null", "link"])
@pytest.mark.slow
def test_a_report_does_not_replace_what_is_no_file(health: Health, tmp_path: Path, report: str) -> None:
    if report == "link":
        (tmp_path / "link").symlink_to(tmp_path / "target")
        assert health(f"--mdm-json={tmp_path / 'link'}").ret == 0
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "target").is_file()
    else:
        assert health(f"--mdm-json={report}").ret == pytest.ExitCode.USAGE_ERROR
        assert not Path(report).is_file()


@pytest.mark.slow
def test_help_is_there(pytester: pytest.Pytester, health: Health) -> None:
    for result in (pytester.runpytest_subprocess("--help"), health("--help")):
        assert result.ret == 0
        result.stdout.fnmatch_lines(["*--mdm-home=DIR*"])


@pytest.mark.slow
def test_looking_at_fixtures_leaves_an_old_report_alone(health: Health, tmp_path: Path) -> None:
    (tmp_path / "out.json").write_text("old")
    health("--fixtures", f"--mdm-json={tmp_path}/out.json")
    health("--setup-plan", f"--mdm-json={tmp_path}/out.json")
    assert (tmp_path / "out.json").read_text() == "old"


@pytest.mark.slow
def test_a_run_that_stops_early_is_never_healthy(pytester: pytest.Pytester, health: Health) -> None:
    pytester.makepyfile(
        stops="def pytest_runtest_logfinish(nodeid):\n    stop[0].shouldstop = 'enough'\nstop = []\n"
        "def pytest_sessionstart(session): stop.append(session)"
    )
    assert health("-p", "stops").ret != 0


@pytest.mark.slow
def test_folders_that_may_not_be_listed_are_not_called_empty(home: Path, tmp_path: Path) -> None:
    for folder in (home / "config" / "datasets", home / "datasets"):
        folder.chmod(0o000)
    bound = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    command = [*bound, sys.executable, "-m", "pytest", "--mdm-health", f"--mdm-home={home}", "--mdm-ignore=1.1"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    for folder in (home / "config" / "datasets", home / "datasets"):
        folder.chmod(0o755)
    assert done.returncode == 11
    assert "not listed" in done.stdout
    assert "nothing registered" not in done.stdout


def test_selecting_no_existing_dataset_is_a_usage_error(health_here: Health) -> None:
    result = health_here("--mdm-dataset=nope")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: --mdm-dataset: no dataset matches 'nope'; there are big, breast_cancer, shop, wine"]
    )


@pytest.mark.slow
def test_an_error_in_collecting_the_users_tests_is_a_failure(pytester: pytest.Pytester, health: Health) -> None:
    own = pytester.makepyfile("import no_such_module_anywhere")
    assert health(own, "--continue-on-collection-errors").ret == 1


@pytest.mark.slow
def test_a_skip_mark_from_a_conftest_is_a_skip(pytester: pytest.Pytester, health: Health, tmp_path: Path) -> None:
    pytester.makeconftest(
        """
        import pytest
        def pytest_collection_modifyitems(items):
            for item in items:
                item.add_marker(pytest.mark.skip(reason="not tonight"))
        """
    )
    assert health(f"--mdm-json={tmp_path}/out.json").ret == 11
    assert {each["reason"] for each in results_in(tmp_path / "out.json").values()} == {"Skipped: not tonight"}


@pytest.mark.slow
def test_a_file_name_that_is_no_text_does_not_end_the_run(home: Path, health: Health) -> None:
    folder = os.fsencode(home / "config" / "datasets")
    Path(os.fsdecode(folder + b"/bad\xffx.yaml")).write_bytes((home / "config/datasets/wine.yaml").read_bytes())
    assert health("-n", "2").ret == 1
    assert health().ret == 1


@pytest.mark.slow
def test_paths_in_the_ini_file_are_relative_to_it(pytester: pytest.Pytester, home: Path) -> None:
    pytester.makeini(f"[pytest]\nmdm_home = {os.path.relpath(home, pytester.path)}\nmdm_health = true")
    os.chdir(pytester.mkdir("below"))
    assert pytester.runpytest_subprocess().ret == 0


@pytest.mark.slow
def test_it_runs_without_docstrings(pytester: pytest.Pytester, home: Path) -> None:
    assert pytester.run(sys.executable, "-OO", "-m", "pytest", "--mdm-health", f"--mdm-home={home}").ret == 0


def test_options_prefer_command_line_then_ini_then_environment(
    pytester: pytest.Pytester, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_MDM_HOME", str(home))
    monkeypatch.setenv("PYTEST_MDM_PHASE", "pre")
    monkeypatch.setenv("PYTEST_MDM_DEPTH", "quick")
    pytester.makeini("[pytest]\nmdm_phase = post\nmdm_health = true\nmdm_select =\n    2.1\n    sqlite-locking")
    result = pytester.runpytest_subprocess("--mdm-dataset", "w*")
    result.stdout.fnmatch_lines([f"MDM home: {home} (1 dataset); phase post, depth quick"])
    result.assert_outcomes(passed=2)


def test_a_symptom_selects_what_explains_it_and_says_why(health: Health) -> None:
    result = health("--mdm-symptom", "sqlite3.OperationalError: database is locked")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["MDM symptom: 3.2, because of the message 'database is locked'*"])
    assert sum(result.parseoutcomes().values()) == 4


def test_an_unexplained_symptom_is_answered_with_the_nearest(health_here: Health) -> None:
    result = health_here("--mdm-symptom", "purple smoke")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --mdm-symptom: nothing explains 'purple smoke'; the nearest*"])


def test_the_users_own_tests_get_the_same_fixtures(pytester: pytest.Pytester, health_alone: Health) -> None:
    own = pytester.makepyfile(
        """
        def test_rows(mdm_dataset, mdm_backend, mdm_connection, mdm_frame):
            table = next(iter(mdm_dataset.registration.tables.values()))
            assert mdm_connection.count(table) == len(mdm_frame(table)) > 0

        def test_home(mdm_home, mdm_config, mdm_inventory, mdm_options, mdm_environ):
            assert mdm_home.root == mdm_options.home
            assert mdm_config["performance.batch_size"] == 5000
            assert [each.name for each in mdm_inventory.datasets] == ["big", "breast_cancer", "shop", "wine"]
        """
    )
    result = health_alone(own, "-v")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*test_rows[[]big] PASSED*", "*test_rows[[]wine] PASSED*", "*test_home PASSED*"])
