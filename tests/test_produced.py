"""A finding that no test produces fails the run, and an incomplete run concludes nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers import ALONE_OR_ON_WORKERS

CONFTEST = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
import pytest
from tests.produced import ProducedFindings, claim, register_findings

def pytest_configure(config):
    codes = {{"made-up": ["made-up.a", "made-up.b"], "second": ["second.c"]}}
    config.pluginmanager.register(ProducedFindings(codes, Path(__file__).parent))

@pytest.fixture(autouse=True)
def claimed(request):
    yield
    claim(request.node)
"""
HEAD = "import pytest\nfrom tests.produced import register_findings\n"
A = "def test_a(): register_findings(['made-up.a'])\n"
B = "def test_b(): register_findings(['made-up.b'])\n"
C = "def test_c(): register_findings(['second.c'])\n"
ALL = "findings: the tests produce all that are documented"

Run = Callable[..., pytest.RunResult]


@pytest.fixture
def run(pytester: pytest.Pytester) -> Run:
    """Run tests of two made-up checks, by default complete ones."""

    def start(*options: str, made_up: str = A + B, second: str = C) -> pytest.RunResult:
        pytester.makeconftest(CONFTEST)
        pytester.makeini("[pytest]\nmarkers = slow: slow")
        pytester.makepyfile(test_made_up=HEAD + made_up, test_second=HEAD + second)
        runs = pytester.runpytest_subprocess if "-n" in options else pytester.runpytest_inprocess
        return runs("-p", "no:cacheprovider", *options)

    return start


@pytest.mark.parametrize("options", ALONE_OR_ON_WORKERS)
def test_a_complete_run_says_so(run: Run, options: tuple[str, ...]) -> None:
    result = run(*options)
    assert result.ret == 0
    result.stdout.fnmatch_lines([ALL])


@pytest.mark.parametrize("options", [(), ("-n", "2")], ids=["alone", "two-workers"])
def test_a_finding_that_no_test_produces_fails_the_run(run: Run, options: tuple[str, ...]) -> None:
    result = run(*options, made_up=A)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["findings that no test produces: made-up.b"])


def test_a_finding_of_another_checks_tests_does_not_count(run: Run) -> None:
    result = run(made_up=A, second=C + B)
    result.stdout.fnmatch_lines(["findings that no test produces: made-up.b"])


def test_a_slow_test_alone_is_not_enough(run: Run) -> None:
    slow = f"{A}@pytest.mark.slow\n{B}"
    result = run("-m", "not slow", made_up=slow)
    result.stdout.fnmatch_lines(["findings that no test produces: made-up.b"])
    assert run("-m", "slow", made_up=slow).ret == 0


@pytest.mark.parametrize(
    "options",
    [("-k", "not test_b"), ("test_made_up.py::test_a", "test_second.py"), ("--deselect", "test_made_up.py::test_b")],
    ids=["selected by a word", "by a node id", "deselected"],
)
def test_a_check_whose_tests_did_not_all_run_is_left_out(run: Run, options: tuple[str, ...]) -> None:
    result = run(*options)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["findings: not checked for made-up, *"])


@pytest.mark.parametrize("ending", ["assert False", "pytest.skip('no server')"], ids=["fails", "is skipped"])
def test_a_check_with_a_test_that_did_not_pass_is_left_out(run: Run, ending: str) -> None:
    run(made_up=f"{A}def test_b(): {ending}\n").stdout.fnmatch_lines(["findings: not checked for made-up, *"])


def test_a_run_without_tests_of_checks_says_so(run: Run) -> None:
    result = run("-k", "nothing")
    result.stdout.fnmatch_lines(["findings: not checked for any check, *"])


def test_a_parameter_that_was_not_run_leaves_the_check_out(run: Run) -> None:
    both = "@pytest.mark.parametrize('code', ['a', 'b'])\ndef test_it(code): register_findings([f'made-up.{code}'])\n"
    assert run(made_up=both).ret == 0
    run("-k", "not b", made_up=both).stdout.fnmatch_lines(["findings: not checked for made-up, *"])
