"""No secret leaves, whatever its characters are and wherever MDM keeps it; what would show one is held back."""

from __future__ import annotations

import html
import io
import json
import os
import zipfile
from collections.abc import Callable
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pytest_mdm_health import reports
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.engine.plan import Plan
from pytest_mdm_health.mdm.inventory import take_inventory
from pytest_mdm_health.redaction.encodings import is_word
from pytest_mdm_health.redaction.redactor import Redactor, redactor_for
from pytest_mdm_health.reports import markdown
from pytest_mdm_health.reports.html import page as html_report
from pytest_mdm_health.reports.json import report as json_report
from pytest_mdm_health.reports.model import Report
from tests.helpers import ALONE_OR_ON_WORKERS, Health
from tests.reports.full_report import REPORT
from tests.reports.planted import leaked_in, plant, random_secrets

SECRET = "tr0ub4dor&\"3'\\"
OUTPUTS = {
    "--mdm-html": "report.html",
    "--mdm-json": "results.json",
    "--mdm-markdown": "report.md",
    "--mdm-bundle": "ticket.zip",
    "--mdm-save-baseline": "baseline.json",
    "--mdm-write-waivers": "waivers.yaml",
    "--junitxml": "junit.xml",
    "--html": "page.html",
}


@pytest.fixture
def outputs(tmp_path: Path) -> list[str]:
    """The options that switch everything on that can be written."""
    (tmp_path / "out").mkdir()
    return [f"{option}={tmp_path / 'out' / name}" for option, name in OUTPUTS.items()]


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 10))])
def test_no_secret_from_any_place_is_in_any_output(
    seed: int, home: Path, health: Health, outputs: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = random_secrets(seed)
    for name, value in plant(home, secrets).items():
        monkeypatch.setenv(name, value)
    workers = ("-n", "2") if seed % 2 else ()
    result = health(*outputs, *workers, "-rA", "-vv")
    written = sorted((tmp_path / "out").iterdir())
    assert {each.name for each in written} >= set(OUTPUTS.values())
    for output in said_and_written(result, written):
        assert leaked_in(output, secrets) == [], output
    assert "***" in (tmp_path / "out" / "results.json").read_text() + zipped(tmp_path / "out" / "ticket.zip")
    assert result.ret == 1
    result.stdout.no_fnmatch_line("*would have shown*")


def said_and_written(result: pytest.RunResult, files: list[Path]) -> list[str | Path]:
    return [result.stdout.str(), result.stderr.str(), *files]


def zipped(file: Path) -> str:
    with zipfile.ZipFile(file) as archive:
        return "\n".join(archive.read(name).decode() for name in archive.namelist())


def test_output_and_errors_of_users_tests_show_no_secret(
    pytester: pytest.Pytester, health: Health, outputs: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MDM_DATABASE_POSTGRESQL_PASSWORD", SECRET)
    own = pytester.makepyfile(
        """
        import os, pytest
        secret = os.environ["MDM_DATABASE_POSTGRESQL_PASSWORD"]
        def test_fails(): print(secret); assert secret == 1
        def test_raises(): raise OSError(f"cannot connect to postgresql://ml:{secret}@db/x")
        def test_is_skipped(): pytest.skip(f"no {secret}")
        def test_warns(): import warnings; warnings.warn(f"deprecated login {secret}", UserWarning)
        def test_passes(record_property): print(secret); record_property("login", secret)
        """
    )
    result = health(own, *outputs, "-rA")
    assert result.ret == 1
    for output in said_and_written(result, sorted((tmp_path / "out").iterdir())):
        assert leaked_in(output, [SECRET]) == [], output
    result.stdout.fnmatch_lines(["*cannot connect to postgresql://ml:[*][*][*]@db/x*"])
    result.stdout.fnmatch_lines(["*UserWarning: deprecated login [*][*][*]*"])


WRITES_IT = """
import os, pytest
SECRET = os.environ["MDM_DATABASE_POSTGRESQL_PASSWORD"]

@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session):
    for plugin in session.config.pluginmanager.get_plugins():
        if hasattr(plugin, "add_global_property"):
            plugin.add_global_property("login", SECRET)

def pytest_html_results_summary(prefix):
    import html
    prefix.append(html.escape(SECRET))
"""


WRITES_TO_THE_TERMINAL = """
import os, pytest
SECRET = os.environ["MDM_DATABASE_POSTGRESQL_PASSWORD"]

def pytest_report_header():
    return f"header {SECRET}"

def pytest_terminal_summary(terminalreporter):
    terminalreporter.write_line(f"login {SECRET} there")
    terminalreporter.write_sep("-", "".join(f"\\\\u{ord(c):04x}" for c in SECRET))
"""


def test_terminal_output_of_other_plugins_shows_no_secret(
    pytester: pytest.Pytester, health: Health, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MDM_DATABASE_POSTGRESQL_PASSWORD", SECRET)
    pytester.makeconftest(WRITES_TO_THE_TERMINAL)
    result = health("--mdm-select=config-not-loading")
    assert leaked_in(result.stdout.str(), [SECRET]) == []
    result.stdout.fnmatch_lines(["header [*][*][*]", "login [*][*][*] there", "*- [*][*][*] -*"])
    assert result.ret == 0


WRITES_IN_PIECES = """
import os
def pytest_sessionstart(session):
    for character in os.environ["MDM_DATABASE_POSTGRESQL_PASSWORD"]:
        session.config.get_terminal_writer().write(character)
"""


def test_a_secret_written_to_the_terminal_in_pieces_is_reported(
    pytester: pytest.Pytester, health: Health, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MDM_DATABASE_POSTGRESQL_PASSWORD", SECRET)
    pytester.makeconftest(WRITES_IN_PIECES)
    result = health("--mdm-select=config-not-loading")
    assert result.ret == 11
    result.stdout.fnmatch_lines(["ERROR the terminal shows a secret, the one in the variable MDM_*, written in pieces"])


@pytest.mark.parametrize("workers", ALONE_OR_ON_WORKERS)
def test_a_file_that_pytest_wrote_with_a_secret_in_it_is_deleted(
    pytester: pytest.Pytester, health: Health, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: tuple[str, ...]
) -> None:
    monkeypatch.setenv("MDM_DATABASE_POSTGRESQL_PASSWORD", SECRET)
    pytester.makeconftest(WRITES_IT)
    files = {name: tmp_path / name for name in ("junit.xml", "page.html", "out.json")}
    options = zip(("--junitxml", "--html", "--mdm-json"), files.values(), strict=True)
    result = health(*(f"{option}={file}" for option, file in options), "--self-contained-html", *workers)
    assert result.ret == 11
    assert not files["junit.xml"].exists()
    assert not files["page.html"].exists()
    assert json.loads(files["out.json"].read_text())["exit_code"] == 11
    told = "was deleted: it would have shown a secret, the one in the variable MDM_DATABASE_POSTGRESQL_PASSWORD"
    result.stdout.fnmatch_lines_random([f"ERROR --junitxml: *{told}", f"ERROR --html: *{told}"])
    assert leaked_in(result.stdout.str(), [SECRET]) == []


def test_a_leak_counts_even_where_checks_failed(
    home: Path, pytester: pytest.Pytester, health: Health, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "config" / "datasets" / "shop.yaml").write_text("name: [unclosed\n")
    monkeypatch.setenv("MDM_DATABASE_POSTGRESQL_PASSWORD", SECRET)
    pytester.makeconftest(WRITES_IT)
    result = health(f"--junitxml={tmp_path / 'junit.xml'}")
    assert result.ret == 11
    result.stdout.fnmatch_lines(["exit code 11: *a report was held back because it would have shown a secret"])


def plan_of(home: Path, **options: object) -> Plan:
    return Plan(Options(home=home, **options), take_inventory(home, {}), {})  # type: ignore[arg-type] # as the test says


@pytest.mark.parametrize("name", ["html", "json", "markdown", "bundle"])
def test_a_report_that_would_show_a_secret_is_not_written(home: Path, tmp_path: Path, name: str) -> None:
    file = tmp_path / "out"
    file.write_text("old")
    shown = replace(REPORT, gaps=(f"{SECRET} is in it",))
    troubles = reports.write(shown, plan_of(home, **{name: file}), Redactor([SECRET]).leaks)
    assert [str(each).partition(" was not written: ")[0] for each in troubles] == [f"--mdm-{name}: {file}"]
    assert troubles[0].leaked
    assert SECRET not in troubles[0].message
    assert file.read_text() == "old"
    assert sorted(tmp_path.glob(".out*")) == []


@pytest.mark.parametrize(
    ("name", "place"),
    [
        *((name, "the result of {0.check.id} on {0.target.name}") for name in ("html", "json", "markdown")),
        ("bundle", "the member *"),
    ],
)
def test_what_holds_a_report_back_is_named(home: Path, tmp_path: Path, name: str, place: str) -> None:
    bad = REPORT.results[1]
    finding = replace(bad.findings[0], message=f"{SECRET} is in it")
    results = (REPORT.results[0], replace(bad, findings=(finding,)), *REPORT.results[2:])
    shown = replace(REPORT, results=results)
    troubles = reports.write(shown, plan_of(home, **{name: tmp_path / "out"}), Redactor([SECRET]).leaks)
    assert fnmatch(troubles[0].message, f"* it is in {place.format(bad)}")


def in_a_zip(text: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("member.json", text)
    return stream.getvalue()


WRAPPED: list[Callable[[str], str | bytes]] = [
    str,
    lambda text: json.dumps({"a": text}),
    lambda text: json.dumps({"a": text}, ensure_ascii=False),
    lambda text: html.escape(json.dumps({"a": f"<b>{html.escape(text)}</b>"})),
    lambda text: json.dumps(repr({"a": text})),
    lambda text: json.dumps(quote(text, safe="")),
    lambda text: html.escape(repr(text)),
    lambda text: in_a_zip(json.dumps(text)),
]


@pytest.mark.parametrize("wrap", WRAPPED)
@given(secret=st.text(st.characters(codec="utf-8"), min_size=5, max_size=40))
def test_a_secret_is_found_however_it_is_wrapped(wrap: Callable[[str], str | bytes], secret: str) -> None:
    if not is_word(secret) and secret.strip("* "):
        assert Redactor([secret]).leaks.in_content(wrap(f"before {secret} after")) is not None


def told_of(secret: str) -> Report:
    """A report with something in every place where a secret of a home could stand."""
    finding = replace(
        REPORT.results[1].findings[0], message=f"no {secret}!", evidence={secret: [secret, {"a": secret}]}
    )
    result = replace(REPORT.results[1], reason=f"because of {secret}", findings=(finding,), facts={"k": secret})
    return replace(REPORT, results=(result,), gaps=(secret,))


@example(secret="transactions were")
@given(secret=st.text(min_size=5, max_size=40).filter(lambda text: not is_word(text) and text.strip("* \n")))
def test_what_is_rendered_of_a_clean_report_has_no_secret(secret: str) -> None:
    redactor = Redactor([secret])
    clean = redactor.everywhere(told_of(secret))
    for render in (html_report.render, json_report.render, markdown.render):
        if redactor.leaks.in_content(render(told_of("***"))) is None:  # else our own words are like it
            assert redactor.leaks.in_content(render(clean)) is None


@pytest.mark.parametrize(
    "option", ["--mdm-dataset", "--mdm-select", "--mdm-baseline", "--mdm-explain", "--mdm-symptom"]
)
def test_what_is_refused_before_the_run_shows_no_secret(
    health_here: Health, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    monkeypatch.setenv("PGPASSWORD", "xq1zzyk2")
    result = health_here(f"{option}=/no/xq1zzyk2/password=xq2zzyk3")
    assert result.ret in {4, 12}
    assert leaked_in(result.stdout.str() + result.stderr.str(), ["xq1zzyk2", "xq2zzyk3"]) == []
    assert "***" in result.stdout.str() + result.stderr.str()


ORDINARY = ["table", "postgres", "5432", "2026", "1.0.6", "a", "***", "healthy", "status", "html", "0", "100", "shop"]


def test_a_password_that_is_a_common_word_breaks_no_report(
    health: Health, outputs: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, word in enumerate(ORDINARY):
        monkeypatch.setenv(f"MDM_NUMBER{number}_PASSWORD", word)
    result = health(*outputs)
    assert result.ret == 0
    assert {each.name for each in (tmp_path / "out").iterdir()} >= set(OUTPUTS.values())
    result.stdout.fnmatch_lines(["mdm-health *", "*MDM health: degraded*"])
    document = json.loads((tmp_path / "out" / "results.json").read_text())
    assert document["verdict"] == "degraded"
    assert {each["target"]["name"] for each in document["results"]} == {"home", "big", "breast_cancer", "shop", "wine"}


def test_a_common_word_is_masked_where_it_can_be_the_password(home: Path) -> None:
    environ = {"MDM_X_PASSWORD": "table"}
    inventory = take_inventory(home, environ)
    ours, theirs = (redactor_for(inventory, environ, {}, foreign=foreign) for foreign in (False, True))
    assert ours.text("the table is locked; password=table") == "the table is locked; password=***"
    assert theirs.text("login with table failed; tables") == "login with *** failed; tables"


@pytest.mark.parametrize(
    ("variables", "text", "clean"),
    [
        ({"PGPASSWORD": "xq1zz"}, "say xq1zz", "say ***"),
        ({"DEPLOY_TOKEN": "xq1zzyk2"}, "say xq1zzyk2", "say ***"),
        ({"DEPLOY_TOKEN": "xq1zz"}, "say xq1zz", "say xq1zz"),
        ({"DATABASE_URL": "mysql://a:xq1zz@b/c"}, "say xq1zz", "say ***"),
        ({"EDITOR": "xq1zzyk2"}, "say xq1zzyk2", "say xq1zzyk2"),
        ({"PWD": "/srv/xq1zz"}, "in /srv/xq1zz", "in /srv/xq1zz"),
        ({"POSTGRES_PASSWORD_FILE": "/run/xq1zz"}, "in /run/xq1zz", "in /run/xq1zz"),
    ],
)
def test_other_programs_variables_are_known_too(home: Path, variables: dict[str, str], text: str, clean: str) -> None:
    assert redactor_for(take_inventory(home, {}), {}, variables).text(text) == clean


def test_a_thousand_secrets_are_looked_for_in_bounded_time() -> None:
    secrets = [f"{number}-{os.urandom(9).hex()}" for number in range(1000)]
    redactor = Redactor(secrets)
    assert redactor.text("x" * 20_000 + secrets[500]) == "x" * 20_000 + "***"
    assert redactor.leaks.in_content("x" * 20_000) is None
