from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import yaml

from pytest_mdm_health.core.expected import Expected, ExpectedDataset
from pytest_mdm_health.core.model import Finding, Remedy, Result, Severity, Status
from tests.conftest import HOMES
from tests.helpers import crossed, follow, repair

CHECK = "config-not-loading"
SECRET = "correct horse"
Examine = Callable[..., Result]
MakeHome = Callable[..., Path]
MakePython = Callable[..., Path]
Change = Callable[[Path], object]


def file_of(home: Path) -> Path:
    return home / "mdm.yaml"


def says(text: str | bytes) -> Change:
    content = text if isinstance(text, bytes) else text.encode()
    return lambda home: file_of(home).write_bytes(content)


def changed(old: str, new: str) -> Change:
    def change(home: Path) -> None:
        text = file_of(home).read_text(encoding="utf-8")
        assert old in text
        file_of(home).write_text(text.replace(old, new), encoding="utf-8")

    return change


def make_fifo(home: Path) -> None:
    file_of(home).unlink()
    os.mkfifo(file_of(home))


def make_folder(home: Path) -> None:
    file_of(home).unlink()
    file_of(home).mkdir()


def make_broken_link(home: Path) -> None:
    file_of(home).unlink()
    file_of(home).symlink_to(home / "gone.yaml")


def put_good_settings_back(home: Path) -> None:
    """Move what is there elsewhere, as the text says."""
    file_of(home).rename(home.parent / "moved")
    says("cli: {page_size: 50}\n")(home)


@dataclass(frozen=True)
class Case:
    """A way to damage the settings, and what repairs them if no command does."""

    code: str
    severity: Severity
    damage: Change
    repair: Change | None = None
    label: str = ""


def fail(code: str, damage: Change, repair: Change | None = None, label: str = "") -> Case:
    return Case(code, Severity.FAIL, damage, repair, label)


def warn(code: str, damage: Change, repair: Change | None = None, label: str = "") -> Case:
    return Case(code, Severity.WARN, damage, repair, label)


CASES = (
    fail(
        "config-not-loading.syntax",
        changed("  batch_size", "\tbatch_size"),
        changed("\tbatch_size", "  batch_size"),
        "tab",
    ),
    fail("config-not-loading.syntax", says("cli: {}\n---\nb: 2\n"), says("cli: {}\n"), "two-documents"),
    fail("config-not-loading.syntax", says("logging:\n  file: 2026-13-45\n"), says("logging: {file: a}\n"), "no-date"),
    fail("config-not-loading.unreasonable", says("a: " + "[" * 5000), says("cli: {}\n")),
    fail("config-not-loading.unreasonable", says("#" * 2_000_000), says("cli: {}\n"), "size"),
    fail("config-not-loading.encoding", says(b"logging:\n  file: caf\xe9.log\n"), says("cli: {}\n"), "latin-1"),
    fail("config-not-loading.encoding", says("logging: {level: DEBUG}\n".encode("utf-16")), label="utf-16"),
    fail("config-not-loading.encoding", says("logging: {level: DEBUG}\0\n"), says("cli: {}\n"), "nul"),
    fail("config-not-loading.unreadable", make_fifo, put_good_settings_back, "fifo"),
    fail("config-not-loading.unreadable", make_folder, put_good_settings_back, "folder"),
    warn("config-not-loading.unreadable", make_broken_link, put_good_settings_back, "link"),
    fail("config-not-loading.not-a-mapping", says("- database\n"), says("database: {}\n")),
    fail("config-not-loading.odd-key", says("on: 1\n"), says("cli: {}\n"), "top"),
    warn("config-not-loading.odd-key", says("logging: {1: x}\n"), says("logging: {level: INFO}\n"), "below"),
    warn(
        "config-not-loading.duplicate-key",
        changed("  level: INFO", "  level: INFO\n  level: DEBUG"),
        changed("  level: INFO\n", ""),
    ),
    warn(
        "config-not-loading.unknown-key",
        changed("default_backend", "default_backnd"),
        label="similar",
    ),
    warn("config-not-loading.unknown-key", says("debug: {on_error: 1}\n"), says("cli: {}\n"), "other"),
    warn(
        "config-not-loading.unknown-key",
        says("database:\n  pool_size: 7 # of the guide\n"),
        label="guide",
    ),
    fail(
        "config-not-loading.refused-value",
        changed("batch_size: 5000", "batch_size: 50"),
        changed("batch_size: 50", "batch_size: 500"),
        "range",
    ),
    fail("config-not-loading.refused-value", says("logging:\ncli: {}\n"), label="empty-section"),
    fail("config-not-loading.refused-value", says("export:\n  compression: ZIP\n"), label="letters"),
    fail("config-not-loading.refused-value", says("logging:\n  file: 2026\n"), label="no-text"),
    fail("config-not-loading.refused-value", says("performance: {batch_size: 1e4}\n"), label="exponent"),
    fail(
        "config-not-loading.refused-value",
        says("database: {sqlite: {synchronous: OFF}}\n"),
        label="off",
    ),
    warn(
        "config-not-loading.read-otherwise",
        says("database: {sqlite: {cache_size: 012}}\n"),
        says("database: {sqlite: {cache_size: 12}}\n"),
    ),
)


def codes(result: Result) -> set[str]:
    return {finding.code.partition(".")[2] for finding in result.findings}


def the(code: str, result: Result) -> Finding:
    (finding,) = (finding for finding in result.findings if finding.code == f"{CHECK}.{code}")
    return finding


def apply(finding: Finding, environ: dict[str, str] | None = None) -> dict[str, str]:
    """Do what the finding says, as a person would in a shell; returns the shell's `MDM_*` variables after it."""
    if finding.remedy.repairs:
        follow(finding)
        return {}
    assert finding.remedy.commands
    script = "\n".join((*finding.remedy.commands, "env"))
    environ = {"PATH": os.environ["PATH"], **(environ or {})}
    done = subprocess.run(["sh", "-ec", script], check=True, env=environ, timeout=60, capture_output=True, text=True)
    pairs = (line.partition("=") for line in done.stdout.splitlines())
    return {name: value for name, _, value in pairs if name.startswith("MDM_")}


def test_a_healthy_home_has_settings_that_load(each_home: Path, examine: Examine) -> None:
    result = examine(CHECK, each_home, environ={"MDM_HOME_DIR": str(each_home), "MDM_LOGGING_LEVEL": "DEBUG"})
    assert (result.status, result.findings) == (Status.PASS, ())
    assert result.examined == 3
    assert result.facts["in_force"]["performance.batch_size"] == 5000  # type: ignore[index, call-overload] # plain data


@pytest.mark.skipif(os.name != "posix", reason="FIFOs and shells are POSIX")
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.code.partition('.')[2]}-{case.label}".strip("-"))
def test_damaged_settings_are_found_and_repaired_ones_are_not(home: Path, examine: Examine, case: Case) -> None:
    case.damage(home)
    result = examine(CHECK, home)
    finding = next((each for each in result.findings if each.code == case.code), None)
    assert finding is not None, result
    assert finding.severity is case.severity
    assert result.status.value == case.severity.value
    if case.repair is not None:
        assert not finding.remedy.repairs
        case.repair(home)
    else:
        follow(finding)
    assert examine(CHECK, home).status is Status.PASS, "repaired"


def test_a_good_copy_among_the_backups_repairs_invalid_yaml(home: Path, examine: Examine) -> None:
    (home / "backup").mkdir()
    good = file_of(home).read_bytes()
    (home / "backup" / "mdm.yaml").write_bytes(good)
    says("database: [\n")(home)
    finding = the("syntax", examine(CHECK, home))
    apply(finding)
    assert file_of(home).read_bytes() == good
    assert examine(CHECK, home).findings == ()


CHANGING = re.compile(r"\b(mv|rm|cp|tr|iconv|export|chown|chmod|mkdir|tee)\b|[^2]>(?!&)")


def test_settings_of_zeros_are_restored_and_never_emptied(home: Path, examine: Examine) -> None:
    good = file_of(home).read_bytes()
    for damage in (b"\0" * len(good), good[:100] + b"\0" * 100, good[:50] + b"\0" + good[50:], good[:-9] + b"\x01" * 9):
        says(damage)(home)
        remedy = the("encoding", examine(CHECK, home)).remedy
        assert remedy.text.startswith("Restore the file from a backup")
        assert not CHANGING.search("\n".join(remedy.commands))
        assert file_of(home).read_bytes() == damage
    (home / "backup").mkdir()
    (home / "backup" / "mdm.yaml").write_bytes(good)
    apply(the("encoding", examine(CHECK, home)))
    assert file_of(home).read_bytes() == good
    assert examine(CHECK, home).findings == ()


SPEAKING = "logging:\n  file: Übersicht-€-Ł-я-日本-😀.log\npaths: {logs_path: größe}\n"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-16-le", "utf-32", "utf-32-be"])
def test_settings_that_name_their_encoding_become_utf_8(home: Path, examine: Examine, encoding: str) -> None:
    content = (SPEAKING if encoding in {"utf-16", "utf-32"} else f"\ufeff{SPEAKING}").encode(encoding)
    says(content)(home)
    file_of(home).chmod(0o600)
    apply(the("encoding", examine(CHECK, home)))
    assert file_of(home).read_text(encoding="utf-8") == SPEAKING
    assert yaml.safe_load(file_of(home).read_text(encoding="utf-8")) == yaml.safe_load(SPEAKING)
    assert (home / "mdm.yaml.before").read_bytes() == content
    assert {each.stat().st_mode & 0o777 for each in (file_of(home), home / "mdm.yaml.before")} == {0o600}
    assert "encoding" not in codes(examine(CHECK, home))


@pytest.mark.parametrize(
    "content",
    [
        SPEAKING.encode("utf-16")[:-1],
        SPEAKING.encode("utf-16")[:61],
        b"\xff\xfe" + bytes(200),
        b"\xff\xfe\x00\xd8" + SPEAKING.encode("utf-16-le"),
        "logging: {file: größe€.log}\n".encode("cp1252"),
        "logging: {file: größe.log}\n".encode("latin-1"),
        "logging: {file: журнал.log}\n".encode("cp1251"),
        "logging: {file: Łódź.log}\n".encode("cp1250"),
        "logging: {file: größe.log}\n".encode("mac-roman"),
        "logging: {file: größe.log}\n".encode() + "paths: {logs_path: größe}\n".encode("cp1252"),
    ],
    ids=["odd", "cut", "zeros", "surrogate", "cp1252", "latin-1", "cp1251", "cp1250", "mac", "mixed"],
)
def test_the_meaning_of_an_unknown_encoding_is_not_guessed(home: Path, examine: Examine, content: bytes) -> None:
    says(content)(home)
    remedy = the("encoding", examine(CHECK, home)).remedy
    assert remedy.text.startswith("Restore the file from a backup")
    assert remedy.commands
    assert not CHANGING.search("\n".join(remedy.commands))


def test_an_older_safety_copy_is_never_overwritten(home: Path, examine: Examine) -> None:
    (home / "backup").mkdir()
    (home / "backup" / "mdm.yaml").write_bytes(file_of(home).read_bytes())
    (home / "mdm.yaml.before").write_text("older")
    damage = "cli: {}\n".encode("utf-16")
    says(damage)(home)
    (finding,) = (each for each in examine(CHECK, home).findings if each.severity is Severity.FAIL)
    (command,) = finding.remedy.commands
    done = subprocess.run(["sh", "-c", command], check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert "already exists, so nothing was changed" in done.stderr
    assert (home / "mdm.yaml.before").read_text() == "older"
    assert file_of(home).read_bytes() == damage


@pytest.mark.parametrize("damage", [lambda home: file_of(home).unlink(), says(""), says("# later\n")])
def test_lost_settings_are_a_warning_where_a_copy_has_some(home: Path, examine: Examine, damage: Change) -> None:
    good = file_of(home).read_bytes()
    (home / "backup").mkdir()
    (home / "backup" / "mdm.yaml").write_bytes(good)
    damage(home)
    finding = the("defaults-in-force", examine(CHECK, home))
    assert finding.severity is Severity.WARN
    apply(finding)
    assert file_of(home).read_bytes() == good
    assert examine(CHECK, home).findings == ()


LITERAL = ("~/.mdm/x", "~ml/x", "${MDM_HOME_DIR}/x", "$MDM_DATA", "sub/$USER/x", "%APPDATA%/x", "C:\\Users\\me", "x\\y")
FOLDERS = ("datasets_path", "configs_path", "custom_features_path", "logs_path")


@pytest.mark.parametrize(("key", "value"), crossed(FOLDERS, LITERAL))
def test_a_path_that_mdm_takes_literally_is_found_and_repaired(
    home: Path, examine: Examine, key: str, value: str
) -> None:
    good = file_of(home).read_text(encoding="utf-8")
    written(home, paths={key: value})
    finding = the("unexpanded-path", examine(CHECK, home))
    assert (finding.severity, finding.subject) == (Severity.FAIL, f"paths.{key}")
    assert finding.evidence["folder"] == f"{home}/{value}"
    assert not CHANGING.search("\n".join(finding.remedy.commands))
    (home / value).mkdir(parents=True)
    assert the("unexpanded-path", examine(CHECK, home)).severity is Severity.WARN, "config-not-loading.unexpanded-path"
    (home / value / "something").touch()
    assert "unexpanded-path" not in codes(examine(CHECK, home)), "a folder of that name"
    says(good)(home)
    assert "unexpanded-path" not in codes(examine(CHECK, home))


def test_a_path_that_a_shell_would_expand_is_written_out(home: Path, examine: Examine) -> None:
    datasets = os.path.relpath(home / "datasets", Path.home())
    written(home, paths={"datasets_path": f"~/{datasets}", "logs_path": "$HOME/nowhere"})
    found = {each.subject: each for each in examine(CHECK, home).findings}
    assert found["paths.logs_path"].remedy.repairs == ()
    follow(found["paths.datasets_path"])
    named = Path(yaml.safe_load(file_of(home).read_text())["paths"]["datasets_path"])
    assert named.is_absolute()
    assert named.samefile(home / "datasets")
    assert {each.subject for each in examine(CHECK, home).findings} == {"paths.logs_path"}


def test_a_path_from_a_variable_and_the_log_are_looked_at_too(home: Path, examine: Examine) -> None:
    result = examine(CHECK, home, environ={"MDM_PATHS_DATASETS_PATH": "~/data", "MDM_LOGGING_FILE": "$HOME/mdm.log"})
    found = {each.subject: each for each in result.findings if each.code == f"{CHECK}.unexpanded-path"}
    assert {subject: each.severity for subject, each in found.items()} == {
        "paths.datasets_path": Severity.FAIL,
        "logging.file": Severity.WARN,
    }
    assert "by MDM_PATHS_DATASETS_PATH" in found["paths.datasets_path"].message


@pytest.mark.parametrize(
    ("text", "line", "name"),
    [
        ("cli:\n\u00a0 page_size: 9\n", 2, "U+00A0 NO-BREAK SPACE"),
        ("cli:\n  page_\u200bsize: 9\n", 2, "U+200B ZERO WIDTH SPACE"),
        ("cli: {}\n\ufefflogging: {}\n", 2, "U+FEFF"),
        ("cli: {page_size:\u30009}\n", 1, "U+3000 IDEOGRAPHIC SPACE"),
        ("paths:\n  logs_path: 'lo\u00adgs'\n", 2, "U+00AD SOFT HYPHEN"),
        ("cli:\n  page_size: 9\u202e\n", 2, "U+202E RIGHT-TO-LEFT OVERRIDE"),
    ],
)
def test_a_character_that_is_not_seen_is_named_with_its_line(
    home: Path, examine: Examine, text: str, line: int, name: str
) -> None:
    says(text)(home)
    finding = next(each for each in examine(CHECK, home).findings if each.code == "config-not-loading.odd-character")
    assert name in finding.message
    assert finding.location is not None
    assert finding.location.line == line


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffcli: {page_size: 9}\n",
        "cli: {page_size: 9}  # a\u00a0comment\n#\u200b\n",
        "logging: {file: Übersicht-日本.log}\r\n",
        "paths: {logs_path: '/srv/a:b'}\n",
    ],
)
def test_what_yaml_reads_as_it_is_seen_is_healthy(home: Path, examine: Examine, text: str) -> None:
    says(text)(home)
    assert examine(CHECK, home).findings == ()


def test_a_colon_without_a_blank_is_named_and_repaired(home: Path, examine: Examine) -> None:
    says("database:\n  default_backend:sqlite\n")(home)
    finding = the("missing-blank", examine(CHECK, home))
    assert (finding.code, finding.subject) == ("config-not-loading.missing-blank", "line 2")
    says("database:\n  default_backend: sqlite\n")(home)
    assert examine(CHECK, home).findings == ()


def test_marks_of_a_merge_are_named_and_repaired(home: Path, examine: Examine) -> None:
    says("cli:\n<<<<<<< HEAD\n  page_size: 9\n=======\n  page_size: 7\n>>>>>>> other\n")(home)
    finding = the("merge-conflict", examine(CHECK, home))
    assert (finding.code, finding.severity) == ("config-not-loading.merge-conflict", Severity.FAIL)
    assert finding.message.startswith("mdm.yaml, line 2: ")
    assert "on the lines 2, 4, 6" in finding.message
    says("cli:\n  page_size: 7\n")(home)
    assert examine(CHECK, home).findings == ()


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX")
def test_settings_that_may_not_be_read_are_not_moved_away(home: Path, tmp_path: Path) -> None:
    bound = [] if os.geteuid() else ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]

    def found() -> dict[str, list[str]]:
        report = tmp_path / "report.json"
        command = [*bound, sys.executable, "-m", "pytest", "--mdm-health", f"--mdm-home={home}", "--mdm-select=2.1"]
        subprocess.run([*command, f"--mdm-json={report}"], cwd=tmp_path, capture_output=True, check=False, timeout=120)
        (result,) = json.loads(report.read_text(encoding="utf-8"))["results"]
        return {each["code"]: each["remediation"]["commands"] for each in result["findings"]}

    said = file_of(home).read_bytes()
    file_of(home).chmod(0o000)
    commands = found()[f"{CHECK}.unreadable"]
    assert commands == [f"mdm-health permissions {file_of(home)} readable"]
    environ = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "MDM_HEALTH_YES": "1"}
    subprocess.run([*bound, "sh", "-ec", "\n".join(commands)], check=True, timeout=60, env=environ)
    assert found() == {}
    assert file_of(home).read_bytes() == said


@pytest.mark.skipif(os.name != "posix", reason="shells are POSIX")
def test_the_command_that_tries_the_file_needs_no_python_in_path(home: Path, tmp_path: Path, examine: Examine) -> None:
    changed("  batch_size", "\tbatch_size")(home)
    (_, trial) = the("syntax", examine(CHECK, home)).remedy.commands
    typed = [str(shutil.which("sh")), "-c", trial]
    assert subprocess.run(typed, check=False, env={"PATH": str(tmp_path)}, capture_output=True, timeout=60).returncode
    changed("\tbatch_size", "  batch_size")(home)
    done = subprocess.run(typed, check=True, env={"PATH": str(tmp_path)}, capture_output=True, timeout=60)
    assert done.stdout.strip() == b"readable"


def test_an_unknown_key_beside_the_known_one_is_not_doubled(home: Path, examine: Examine) -> None:
    changed("  batch_size: 5000", "  batch_size: 5000\n  batchsize: 7")(home)
    text = the("unknown-key", examine(CHECK, home)).remedy.text
    assert text.startswith("`performance.batch_size` is set as well")


def test_an_archive_repairs_zeros_and_is_named_for_the_rest(home: Path, examine: Examine) -> None:
    good = file_of(home).read_bytes()
    assert repair("back-up", home) == 0
    file_of(home).write_bytes(bytes(len(good)))
    follow(the("encoding", examine(CHECK, home)))
    assert file_of(home).read_bytes() == good
    assert f"{CHECK}.encoding" not in codes(examine(CHECK, home))
    changed("  batch_size", "\tbatch_size")(home)
    assert "an older copy of the file is in" in the("syntax", examine(CHECK, home)).remedy.text


def test_a_damaged_copy_among_the_backups_is_not_offered(home: Path, tmp_path: Path, examine: Examine) -> None:
    says("database: [\n")(home)
    (tmp_path / "backups").mkdir()
    (tmp_path / "backups" / "mdm.yaml").write_text("a: [")
    result = examine(CHECK, home, backup=tmp_path / "backups")
    assert result.facts["spare"] == ""
    assert "there is no copy" in the("syntax", result).remedy.text


def test_a_finding_leads_to_the_line_and_column(home: Path, examine: Examine) -> None:
    changed("threads: 2", "threds: 2")(home)
    finding = the("unknown-key", examine(CHECK, home))
    assert finding.location is not None
    assert (finding.location.file, finding.location.line, finding.location.column) == (str(file_of(home)), 5, 5)
    says("\n\ndatabase: {duckdb: {threds: 2, memory_limit: 1GB}}\n")(home)
    finding = the("unknown-key", examine(CHECK, home))  # which a person has to change
    assert finding.remedy.text == "Write database: {duckdb: {threads: ...}} instead."
    assert finding.remedy.commands == (f'"${{EDITOR:-vi}}" +3 {file_of(home)}',)


def test_names_of_the_other_generation_belong_to_another_check(home: Path, examine: Examine) -> None:
    says("database: {sqlite_journal_mode: WAL}\n")(home)
    assert examine(CHECK, home).findings == ()


@pytest.mark.parametrize("damage", [lambda home: file_of(home).unlink(), says(""), says("# later\n")])
def test_without_settings_the_defaults_are_a_note(home: Path, examine: Examine, damage: Change) -> None:
    damage(home)
    result = examine(CHECK, home)
    assert result.status is Status.PASS
    assert [finding.code for finding in result.findings] == ["config-not-loading.defaults-in-force"]
    says("cli: {page_size: 50}\n")(home)
    assert examine(CHECK, home).findings == (), "repaired"


@pytest.mark.parametrize(
    ("name", "value", "instead"),
    [
        ("MDM_DATABASE__DEFAULT_BACKEND", "sqlite", {"MDM_DATABASE_DEFAULT_BACKEND": "sqlite"}),
        ("MDM_FEATURES_GENERATE_ON_REGISTER", "false", {"MDM_FEATURE_ENGINEERING_ENABLED": "false"}),
        ("MDM_LOG_LEVEL", "DEBUG", {"MDM_LOGGING_LEVEL": "DEBUG"}),
        ("MDM_DATABASE_POOL_SIZE", "30", {}),
        ("MDM_FORCE_NEW_CONFIG", "true", {}),
    ],
)
def test_a_variable_that_sets_nothing_is_found_and_repaired(
    home: Path, examine: Examine, name: str, value: str, instead: dict[str, str]
) -> None:
    finding = the("ignored-variable", examine(CHECK, home, environ={name: value}))
    assert finding.severity is Severity.WARN
    if instead:
        assert finding.remedy.commands == ()
        assert all(f"Set {each} in its place" in finding.remedy.text for each in instead)
        assert ("set it only for the command" in finding.remedy.text) is (name == "MDM_DATABASE__DEFAULT_BACKEND")
    else:
        assert apply(finding, {name: value}) == {}
    assert examine(CHECK, home, environ=instead).findings == ()


def test_a_variable_that_cannot_be_meant_for_mdm_is_a_note(home: Path, examine: Examine) -> None:
    result = examine(CHECK, home, environ={"MDM_SERVER_URL": "https://example.org"})
    assert result.status is Status.PASS
    assert the("ignored-variable", result).severity is Severity.NOTE


def test_a_key_without_a_variable_is_to_be_written_into_the_file(home: Path, examine: Examine) -> None:
    result = examine(CHECK, home, environ={"MDM_DATABASE_SQLALCHEMY_POOL_SIZE": "30"})
    remedy = the("ignored-variable", result).remedy
    assert "mdm.yaml: database: {sqlalchemy: {pool_size: ...}}" in remedy.text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MDM_LOGGING_LEVEL", "debug"),
        ("MDM_DATABASE", "foo"),
        ("MDM_EXPORT_COMPRESSION_LEVEL", "9"),
        ("MDM_DATABASE_POSTGRESQL_PASSWORD", "90210"),
    ],
)
def test_a_refused_variable_is_found_and_repaired(home: Path, examine: Examine, name: str, value: str) -> None:
    result = examine(CHECK, home, environ={name: value})
    finding = next(each for each in result.findings if each.code == "config-not-loading.refused-variable")
    assert (finding.severity, finding.subject) == (Severity.FAIL, name)
    assert "90210" not in repr(result)
    repaired = apply(finding, {name: value})
    assert examine(CHECK, home, environ=repaired).findings == ()


@pytest.mark.parametrize("name", ["MDM_LOGGING_LEVEL;x", "MDM_LOGGING__LEVEL x", "MDM_SERVER-URL"])
def test_a_variable_that_no_shell_can_name_is_given_no_command(home: Path, examine: Examine, name: str) -> None:
    findings = [each for each in examine(CHECK, home, environ={name: "debug"}).findings if each.subject == name]
    assert len(findings) == 1
    assert findings[0].remedy.commands == ()


@pytest.mark.parametrize("value", ["", "~/.mdm", "work/mdm"])
def test_a_home_variable_without_a_whole_path_is_repaired(home: Path, examine: Examine, value: str) -> None:
    finding = next(iter(examine(CHECK, home, environ={"MDM_HOME_DIR": value}).findings))
    assert (finding.code, finding.severity) == ("config-not-loading.home-variable", Severity.WARN)
    assert f"MDM_HOME_DIR={home}" in finding.remedy.text
    assert finding.remedy.commands == ()
    assert examine(CHECK, home, environ={"MDM_HOME_DIR": str(home)}).findings == ()


def test_a_variable_for_another_home_is_a_note(home: Path, tmp_path: Path, examine: Examine) -> None:
    result = examine(CHECK, home, environ={"MDM_HOME_DIR": str(tmp_path / "other")})
    finding = next(iter(result.findings))
    assert (finding.code, result.status) == ("config-not-loading.other-home", Status.PASS)
    assert (finding.remedy.commands, f"MDM_HOME_DIR={home}" in finding.remedy.text) == ((), True)


FLAT = """
import os, pathlib, re
def get_config():
    text = (pathlib.Path(os.environ["MDM_HOME_DIR"]) / "mdm.yaml").read_text()
    mode = re.search("sqlite_journal_mode: ([A-Z]+)", text)
    threads = os.environ.get("MDM_DATABASE_DUCKDB_THREADS", "4")
    database = {"sqlite_journal_mode": mode[1] if mode else "WAL", "duckdb_threads": int(threads)}
    return {"database": database}
"""
STRICT = """
import os, pathlib
def get_config():
    if "5000" in (pathlib.Path(os.environ["MDM_HOME_DIR"]) / "mdm.yaml").read_text():
        raise ValueError("batch_size must be\\n at most 1000")
    return {"cli": {"page_size": 50}, "performance": {"batch_size": 900}, "postgresql": {"password": "hunter2"}}
"""


def test_a_value_that_the_installed_mdm_refuses_is_repaired(
    home: Path, examine: Examine, make_python: MakePython
) -> None:
    python = str(make_python({"mdm/config.py": FLAT}))
    says("database:\n  sqlite:\n    journal_mode: DELETE\n")(home)
    result = examine(CHECK, home, python=python)
    assert result.reason == ""
    finding = the("not-effective", result)
    assert finding.severity is Severity.WARN
    assert finding.evidence == {"said": "DELETE", "effective": "WAL", "name": "database.sqlite_journal_mode"}
    says("database:\n  sqlite_journal_mode: DELETE\n")(home)
    assert "not-effective" not in codes(examine(CHECK, home, python=python)), "config-not-loading.not-effective"


def test_a_variable_that_the_installed_mdm_reads_is_not_ignored(
    home: Path, examine: Examine, make_python: MakePython
) -> None:
    says("")(home)
    environ = {"MDM_DATABASE_DUCKDB_THREADS": "8", "MDM_DATABASE_DUCKDB_MEMORY_LIMIT": "1GB"}
    result = examine(CHECK, home, environ=environ, python=str(make_python({"mdm/config.py": FLAT})))
    assert [each.subject for each in result.findings if each.code == "config-not-loading.ignored-variable"] == [
        "MDM_DATABASE_DUCKDB_MEMORY_LIMIT"
    ]


def test_settings_that_only_the_installed_mdm_refuses_are_found(
    home: Path, examine: Examine, make_python: MakePython
) -> None:
    python = str(make_python({"mdm/config.py": STRICT}))
    finding = the("mdm-refuses", examine(CHECK, home, python=python))
    assert finding.severity is Severity.FAIL
    assert "ValueError: batch_size must be at most 1000" in finding.message
    changed("batch_size: 5000", "batch_size: 900")(home)
    result = examine(CHECK, home, python=python)
    assert result.status is Status.PASS
    assert [(each.code, each.severity) for each in result.findings] == [
        ("config-not-loading.other-default", Severity.NOTE)
    ]
    assert "hunter2" not in repr(result)
    says("cli: {page_size: 50}\nperformance: {batch_size: 900}\n")(home)
    assert examine(CHECK, home, python=python).findings == (), "config-not-loading.mdm-refuses is gone"


def test_an_installed_mdm_that_does_not_answer_is_a_gap(home: Path, examine: Examine, make_python: MakePython) -> None:
    python = str(make_python({"mdm/config.py": "import no_such_thing\n"}))
    result = examine(CHECK, home, python=python)
    assert (result.status, result.findings) == (Status.PASS, ())
    assert "could not be asked for its settings: ModuleNotFoundError" in result.reason


def test_no_installed_mdm_is_a_gap(home: Path, examine: Examine) -> None:
    assert "no installed MDM" in examine(CHECK, home).reason


def test_looking_at_settings_changes_nothing(home: Path, examine: Examine, tree: Callable[[Path], object]) -> None:
    before = tree(home)
    examine(CHECK, home, environ={"MDM_LOGGING_LEVEL": "debug"})
    assert tree(home) == before


def written(home: Path, **sections: object) -> None:
    """Settings of a home, these sections put over those it has."""
    file = home / "mdm.yaml"
    data = yaml.safe_load(file.read_text(encoding="utf-8")) if file.exists() else {}
    file.write_text(yaml.safe_dump({**data, **sections}), encoding="utf-8")


def told(result: Result) -> dict[tuple[str, str], Severity]:
    return {(each.code.partition(".")[2], each.subject): each.severity for each in result.findings}


@pytest.mark.parametrize(("earlier", "later"), list(itertools.permutations(HOMES, 2)))
def test_between_real_homes_only_the_backend_is_another_one(
    make_home: MakeHome, examine: Examine, earlier: str, later: str
) -> None:
    before = examine(CHECK, make_home(earlier, "before"))
    result = examine(CHECK, make_home(later, "after"), before=before)
    assert result.status is Status.PASS
    same = earlier.rpartition("-")[2] == later.rpartition("-")[2]
    expected = {} if same else {("changed-setting", "database.default_backend"): Severity.NOTE}
    assert told(result) == expected


def test_a_setting_that_vanished_is_found_and_repaired(home: Path, examine: Examine) -> None:
    before = examine(CHECK, home)
    good = (home / "mdm.yaml").read_text(encoding="utf-8")
    written(home, performance={})
    result = examine(CHECK, home, before=before)
    finding = the("reverted", result)
    assert (finding.severity, finding.subject) == (Severity.WARN, "performance.batch_size")
    assert finding.message.startswith(
        "`performance.batch_size` reverted to its default: it was 5000 and is now 10000; "
    )
    assert finding.message.endswith("mdm.yaml no longer sets it")
    assert "performance: {batch_size: 5000}" in finding.remedy.text
    follow(finding)
    assert yaml.safe_load(file_of(home).read_text()) == yaml.safe_load(good)
    assert examine(CHECK, home, before=before).findings == (), "config-not-loading.reverted is gone"


@pytest.mark.parametrize(
    ("text", "because"),
    [
        (None, "mdm.yaml is missing"),
        ("", "mdm.yaml no longer contains any settings"),
        ("performance: {batch_sise: 5000}\n", "mdm.yaml now calls it `performance.batch_sise`, which MDM ignores"),
        ("database: {sqlite_journal_mode: WAL}\n", "under a name that this MDM reads"),
    ],
)
def test_it_is_said_what_became_of_a_setting(home: Path, examine: Examine, text: str | None, because: str) -> None:
    before = examine(CHECK, home)
    (home / "mdm.yaml").unlink() if text is None else says(text)(home)
    result = examine(CHECK, home, before=before)
    (finding,) = (each for each in result.findings if each.subject == "performance.batch_size")
    assert finding.code == f"{CHECK}.reverted"
    assert because in finding.message


def test_a_setting_that_was_written_as_the_default_may_go(home: Path, examine: Examine) -> None:
    before = examine(CHECK, home)
    written(home, logging={})
    assert examine(CHECK, home, before=before).findings == ()


def test_a_variable_that_is_no_longer_set_is_found_and_repaired(home: Path, examine: Examine) -> None:
    environ = {"MDM_PERFORMANCE_BATCH_SIZE": "700", "MDM_CLI_SHOW_PROGRESS": "false"}
    before = examine(CHECK, home, environ=environ)
    result = examine(CHECK, home, before=before)
    assert told(result) == {
        ("changed-setting", "performance.batch_size"): Severity.NOTE,  # the file has a value too
        ("reverted", "cli.show_progress"): Severity.WARN,
    }
    finding = the("reverted", result)
    assert finding.message.endswith("MDM_CLI_SHOW_PROGRESS is no longer set")
    assert finding.remedy == Remedy("Set the variable to its earlier value again: MDM_CLI_SHOW_PROGRESS=false")
    assert examine(CHECK, home, environ=environ, before=before).findings == ()


def test_another_value_is_a_note(home: Path, examine: Examine) -> None:
    before = examine(CHECK, home)
    written(home, performance={"batch_size": 800}, cli={"page_size": 7})
    result = examine(CHECK, home, before=before)
    assert result.status is Status.PASS
    assert {each.message for each in result.findings} == {
        "`performance.batch_size` was 5000 and is now 800, set by mdm.yaml",
        "`cli.page_size` was 20 and is now 7, set by mdm.yaml",
    }
    written(home, performance={"batch_size": 5000}, cli={})
    assert examine(CHECK, home, before=before).findings == (), "config-not-loading.changed-setting is gone"


def test_paths_are_compared_as_seen_from_the_home(make_home: MakeHome, examine: Examine) -> None:
    old, new = make_home(folder="old"), make_home(folder="new")
    written(old, paths={"datasets_path": str(old / "datasets"), "logs_path": "./logs"}, logging={"file": "./mdm.log"})
    written(new, paths={"datasets_path": "datasets", "logs_path": str(new / "logs")}, logging={"file": "mdm.log"})
    assert examine(CHECK, new, before=examine(CHECK, old)).findings == ()


def test_a_path_to_the_old_place_of_a_home_is_found_and_repaired(make_home: MakeHome, examine: Examine) -> None:
    old = make_home(folder="old")
    written(old, paths={"datasets_path": str(old / "datasets")})
    before = examine(CHECK, old)
    new = Path(shutil.copytree(old, old.parent / "new"))
    finding = the("points-back", examine(CHECK, new, before=before))
    assert (finding.severity, finding.subject) == (Severity.WARN, "paths.datasets_path")
    assert str(old / "datasets") in finding.message
    follow(finding)
    assert yaml.safe_load(file_of(new).read_text())["paths"] == {"datasets_path": "datasets"}
    assert examine(CHECK, new, before=before).findings == (), "config-not-loading.points-back is gone"


def test_of_a_password_only_that_it_is_set_is_known(home: Path, examine: Examine) -> None:
    without = examine(CHECK, home)
    written(home, database={"postgresql": {"password": SECRET}})
    having = examine(CHECK, home)
    written(home, database={"postgresql": {"password": f"{SECRET}!"}})
    assert ("reverted", "database.postgresql.password") not in told(examine(CHECK, home, before=having))
    came = examine(CHECK, home, before=without)
    assert told(came)["changed-setting", "database.postgresql.password"] is Severity.NOTE
    written(home, database={"default_backend": "sqlite"})
    gone = examine(CHECK, home, before=having)
    assert told(gone)["reverted", "database.postgresql.password"] is Severity.WARN
    for result in (having, came, gone):
        assert SECRET not in repr(result)
        assert SECRET not in json.dumps([result.facts, result.kept])


def test_what_a_baseline_keeps_hidden_is_not_called_changed(home: Path, examine: Examine) -> None:
    written(home, database={"postgresql": {"password": SECRET}, "duckdb": {"temp_directory": f"/tmp/{SECRET}"}})
    before = examine(CHECK, home)
    assert SECRET not in json.dumps(before.facts)
    assert examine(CHECK, home, before=before).findings == ()


def test_settings_that_do_not_load_are_not_said_to_have_changed(home: Path, examine: Examine) -> None:
    good = examine(CHECK, home)
    says("database: [\n")(home)
    broken = examine(CHECK, home, before=good)
    assert {code for code, _ in told(broken)} == {"syntax"}
    says("cli: {page_size: 9}\n")(home)
    assert examine(CHECK, home, before=broken).findings == ()


def test_what_another_mdm_no_longer_reads_is_found(home: Path, examine: Examine, make_python: MakePython) -> None:
    says("database: {sqlite: {journal_mode: DELETE}}\n")(home)
    nested = FLAT.replace('"sqlite_journal_mode: ([A-Z]+)"', '"journal_mode: ([A-Z]+)"')
    before = examine(CHECK, home, python=str(make_python({"mdm/config.py": nested}, name="old")))
    now = str(make_python({"mdm/config.py": FLAT}, name="new"))
    finding = the("reverted", examine(CHECK, home, python=now, before=before))
    assert finding.message.startswith(
        "`database.sqlite.journal_mode` reverted to its default: it was DELETE and is now WAL; "
    )
    assert finding.message.endswith("mdm.yaml still sets it, but the installed MDM 1.0.6 ignores it")
    says("database: {sqlite_journal_mode: DELETE}\n")(home)
    assert "reverted" not in {code for code, _ in told(examine(CHECK, home, python=now, before=before))}


DEFAULTS = 'def get_config():\n    return {"cli": {"page_size": 50}, "logging": {"format": "json"}}\n'


def test_other_defaults_of_mdm_itself_are_one_note(home: Path, examine: Examine, make_python: MakePython) -> None:
    before = examine(CHECK, home, python=str(make_python({"mdm/config.py": DEFAULTS}, name="old")))
    later = DEFAULTS.replace("50", "20").replace('"json"', '"console"')
    result = examine(CHECK, home, python=str(make_python({"mdm/config.py": later}, name="new")), before=before)
    assert told(result) == {("changed-default", ""): Severity.NOTE}
    assert the("changed-default", result).message.endswith(
        "`logging.format` is console, was json; `cli.page_size` is 20, was 50"
    )
    assert examine(CHECK, home, before=before).findings == (), "no MDM, no config-not-loading.changed-default"


def plan(**settings: object) -> Expected:
    return Expected(given=True, settings={name.replace("__", "."): value for name, value in settings.items()})


def test_a_change_that_is_planned_is_a_note(home: Path, examine: Examine) -> None:
    before = examine(CHECK, home)
    written(home, performance={"batch_size": 800})
    result = examine(CHECK, home, before=before, expected=plan(performance__batch_size="800"))
    assert told(result) == {("as-planned", "performance.batch_size"): Severity.NOTE}


def test_a_change_that_is_not_planned_fails_and_is_repaired(home: Path, examine: Examine) -> None:
    before = examine(CHECK, home)
    good = (home / "mdm.yaml").read_text(encoding="utf-8")
    written(home, performance={}, cli={"page_size": 7})
    result = examine(CHECK, home, before=before, expected=plan(cli__page_size=7))
    assert result.status is Status.FAIL
    assert told(result) == {
        ("as-planned", "cli.page_size"): Severity.NOTE,
        ("unplanned-setting", "performance.batch_size"): Severity.FAIL,
    }
    follow(the("unplanned-setting", result))
    assert yaml.safe_load(file_of(home).read_text()) == {**yaml.safe_load(good), "cli": {"page_size": 7}}
    repaired = examine(CHECK, home, before=before, expected=plan(cli__page_size=7))
    assert told(repaired) == {("as-planned", "cli.page_size"): Severity.NOTE}, "config-not-loading.unplanned-setting"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"performance.batch_size": 800}, "`performance.batch_size` is planned to be 800, but is 5000"),
        ({"performance.chunk_size": 800}, "`performance.batch_size` is planned to be 800, but is 5000"),
        ({"performance.batch_size": 8}, "is impossible: MDM accepts a whole number from 100 up"),
        (
            {"performance.no_such": 8},
            "`performance.no_such` is planned to be 8, which is impossible: MDM has no such setting",
        ),
        (
            {"database.postgresql.password": SECRET},
            "`database.postgresql.password` is planned to be ***, but is different",
        ),
    ],
)
def test_a_plan_that_did_not_come_true_fails(
    home: Path, examine: Examine, settings: dict[str, object], message: str
) -> None:
    result = examine(CHECK, home, expected=Expected(given=True, settings=settings))
    finding = the("not-done", result)
    assert (finding.severity, result.status) == (Severity.FAIL, Status.FAIL)
    assert message in finding.message
    assert SECRET not in repr(result)


def test_what_was_not_done_is_repaired_by_doing_it(home: Path, examine: Examine) -> None:
    expected = plan(performance__batch_size=800, database__postgresql__password=SECRET)
    written(home, database={"postgresql": {"password": SECRET}})
    follow(the("not-done", examine(CHECK, home, expected=expected)))
    result = examine(CHECK, home, expected=expected)
    assert {each.code for each in result.findings} == {"config-not-loading.as-planned"}, (
        "config-not-loading.not-done is gone"
    )
    assert SECRET not in repr(result)


def test_the_backend_planned_for_datasets_is_the_planned_default(make_home: MakeHome, examine: Examine) -> None:
    before = examine(CHECK, make_home("mdm-1.0.6-sqlite", "before"))
    after = make_home("mdm-1.0.6-duckdb", "after")
    moving = Expected(given=True, datasets={"*": ExpectedDataset(backend="duckdb")})
    found = examine(CHECK, after, before=before, expected=moving)
    assert told(found) == {("as-planned", "database.default_backend"): Severity.NOTE}
    staying = Expected(given=True, datasets={"*": ExpectedDataset(removed=True)})
    assert examine(CHECK, after, before=before, expected=staying).status is Status.FAIL


def test_no_finding_of_a_change_is_made_without_a_baseline(home: Path, examine: Examine) -> None:
    written(home, performance={"batch_size": 800})
    assert examine(CHECK, home, expected=plan()).findings == ()


def test_facts_keep_only_the_beginning_of_an_endless_text(home: Path, examine: Examine) -> None:
    written(home, logging={"file": "x" * 100_000})
    assert len(json.dumps(examine(CHECK, home).facts)) < 20_000


def give_away(home: Path) -> None:
    """Make an ordinary user the owner of the home, as it usually is."""
    if os.geteuid() == 0:
        for path in (home, *home.rglob("*")):
            os.chown(path, 65534, 65534)


def read_only_log(home: Path) -> None:
    (home / "logs" / "mdm.log").chmod(0o444)


def anothers_log(home: Path) -> None:
    os.chown(home / "logs" / "mdm.log", 0, 0)
    (home / "logs" / "mdm.log").chmod(0o644)


def closed_folder(home: Path) -> None:
    (home / "logs" / "mdm.log").unlink()
    (home / "logs").chmod(0o555)


def folder_for_a_log(home: Path) -> None:
    (home / "logs" / "mdm.log").unlink()
    (home / "logs" / "mdm.log").mkdir()


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="needs several users")
@pytest.mark.parametrize("damage", [read_only_log, anothers_log, closed_folder, folder_for_a_log])
def test_a_log_that_the_owner_may_not_write_is_found(home: Path, examine: Examine, damage: Change) -> None:
    give_away(home)
    assert not any(each.code == f"{CHECK}.log-not-writable" for each in examine(CHECK, home).findings)
    damage(home)
    (finding,) = (each for each in examine(CHECK, home).findings if each.code == f"{CHECK}.log-not-writable")
    assert finding.severity is Severity.FAIL
    assert str(home / "logs") in finding.message


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="needs several users")
def test_a_log_that_a_group_may_write_is_in_order(home: Path, examine: Examine) -> None:
    give_away(home)
    os.chown(home / "logs" / "mdm.log", 0, 65534)
    (home / "logs" / "mdm.log").chmod(0o664)
    assert not any(each.code == f"{CHECK}.log-not-writable" for each in examine(CHECK, home).findings)


@pytest.mark.parametrize(("whose", "said"), [("mine", "is under way"), ("gone", "broke off"), ("", "understood")])
def test_a_repair_that_is_not_over_is_reported(home: Path, examine: Examine, whose: str, said: str) -> None:
    marker: dict[str, object] = {"saved": str(home.parent / "mdm-health-saved-1")}
    if whose:
        process = psutil.Process()
        marker |= {"pid": process.pid, "started": process.create_time() if whose == "mine" else 0.0}
    (home / ".mdm-health-repair").write_text(json.dumps(marker), encoding="utf-8")
    (finding,) = (each for each in examine(CHECK, home).findings if each.code.endswith("unfinished-repair"))
    assert finding.severity is Severity.FAIL
    assert said in finding.message
    (home / ".mdm-health-repair").unlink()
    assert examine(CHECK, home).status is Status.PASS
