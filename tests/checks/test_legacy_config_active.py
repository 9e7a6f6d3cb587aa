from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_mdm_health.core.model import Finding, Result, Severity, Status
from tests.helpers import follow

CHECK = "legacy-config-active"
Examine = Callable[..., Result]
MakePython = Callable[..., Path]

OLD_SETTINGS = "[database]\ndefault_backend = duckdb\n"
FEATURE = """\
from mdm.config import CONFIG
from mdm.features.custom.base import BaseDomainFeatures


class ShopFeatures(BaseDomainFeatures):
    def _register_operations(self):
        self.size = CONFIG['performance']['batch_size']
"""
SWITCHED = {f"MDM_FEATURE_USE_NEW_{part}": "true" for part in ("BACKEND", "REGISTRAR", "FEATURES")}
WITH_FLAGS = {"mdm/core/__init__.py": "", "mdm/core/feature_flags.py": ""}


def codes(result: Result) -> list[str]:
    return [finding.code.partition(".")[2] for finding in result.findings]


def the(code: str, result: Result) -> Finding:
    (finding,) = (finding for finding in result.findings if finding.code == f"{CHECK}.{code}")
    return finding


def apply(finding: Finding, environ: dict[str, str] | None = None) -> dict[str, str]:
    """Do what the finding says, as a person would in a shell; returns the shell's `MDM_*` variables after it."""
    assert finding.remedy.commands
    script = "\n".join((*finding.remedy.commands, "env"))
    environ = {"PATH": os.environ["PATH"], **(environ or {})}
    done = subprocess.run(["sh", "-ec", script], check=True, env=environ, timeout=60, capture_output=True, text=True)
    pairs = (line.partition("=") for line in done.stdout.splitlines())
    return {name: value for name, _, value in pairs if name.startswith("MDM_")}


def put(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def test_a_healthy_home_has_nothing_left_of_an_old_configuration(each_home: Path, examine: Examine) -> None:
    for phase in ("pre", "any", "post"):
        result = examine(CHECK, each_home, phase=phase)
        assert (result.status, result.findings, result.reason) == (Status.PASS, (), "")
        assert result.examined > 5


@pytest.mark.parametrize("place", ["mdm.conf", "config/database.INI", "cache/x/settings.cfg", "logs/old.conf"])
def test_an_old_settings_file_is_found_and_repaired_by_moving_it(home: Path, examine: Examine, place: str) -> None:
    file = put(home / place, OLD_SETTINGS)
    result = examine(CHECK, home)
    finding = the("old-file", result)
    assert (finding.severity, result.status, finding.subject) == (Severity.WARN, Status.WARN, place)
    assert finding.evidence["known"] == ["database", "default_backend"]
    assert finding.remedy.commands == (f"cat -- {file}",)
    assert "Copy the values that are still needed into mdm.yaml" in finding.remedy.text
    (home / "backup" / "legacy").mkdir(parents=True)
    file.rename(home / "backup" / "legacy" / file.name)
    assert examine(CHECK, home).findings == (), "legacy-config-active.old-file is repaired"


def test_a_settings_file_of_another_program_is_a_note(home: Path, examine: Examine) -> None:
    put(home / "logs" / "rotate.conf", "[handlers]\nkeys = console\n")
    result = examine(CHECK, home)
    assert result.status is Status.PASS
    assert the("old-file", result).severity is Severity.NOTE


@pytest.mark.parametrize("place", ["datasets/shop/notes.ini", "backup/old.conf", "mdm.yaml.conf.gz"])
def test_data_and_backups_are_not_searched_for_settings(home: Path, examine: Examine, place: str) -> None:
    put(home / place, OLD_SETTINGS)
    assert examine(CHECK, home).findings == ()


def test_a_link_to_a_folder_elsewhere_is_not_followed(home: Path, tmp_path: Path, examine: Examine) -> None:
    put(tmp_path / "elsewhere" / "mdm.conf", OLD_SETTINGS)
    (home / "link").symlink_to(tmp_path / "elsewhere")
    assert examine(CHECK, home).findings == ()


@pytest.mark.parametrize("name", ["mdm.yml", "MDM.yaml", "config.yaml", "mdm.json", "mdm.toml"])
def test_a_settings_file_of_nearly_the_right_name_is_found_and_repaired(
    home: Path, examine: Examine, name: str
) -> None:
    text = {"mdm.json": '{"database": {}}', "mdm.toml": "[database]\n"}.get(name, "database: {}\n")
    file = put(home / name, text)
    finding = the("lookalike-file", examine(CHECK, home))
    assert (finding.code, finding.severity) == ("legacy-config-active.lookalike-file", Severity.WARN)
    assert finding.remedy.commands == (f"cat -- {file}",)
    (home / "backup").mkdir()
    file.rename(home / "backup" / name)
    assert examine(CHECK, home).findings == ()


def test_flat_names_are_found_and_repaired_by_the_names_that_count(home: Path, examine: Examine) -> None:
    put(home / "mdm.yaml", "database:\n  sqlite_journal_mode: DELETE\n  sqlite:\n    cache_size: 5\n")
    finding = the("other-names", examine(CHECK, home))
    assert finding.code == "legacy-config-active.other-names"
    assert finding.severity is Severity.WARN
    assert finding.location is not None
    assert (finding.location.line, finding.location.column) == (2, 3)
    assert finding.remedy.text.startswith("Write it under its name, database: {sqlite: {journal_mode: ...}}")
    follow(finding)
    assert (home / "mdm.yaml").read_text() == "database:\n  sqlite:\n    cache_size: 5\n    journal_mode: DELETE\n"
    assert examine(CHECK, home).findings == ()


def test_a_setting_under_both_names_says_which_counts(home: Path, examine: Examine) -> None:
    put(home / "mdm.yaml", "database:\n  sqlite_journal_mode: DELETE\n  sqlite:\n    journal_mode: WAL\n")
    finding = the("other-names", examine(CHECK, home))
    assert "the file sets `database.sqlite.journal_mode` too" in finding.message
    assert finding.remedy.text == "Remove the key; the value of `database.sqlite.journal_mode` applies."
    follow(finding)
    assert (home / "mdm.yaml").read_text() == "database:\n  sqlite:\n    journal_mode: WAL\n"
    assert examine(CHECK, home).findings == ()


def test_a_key_that_cannot_be_changed_alone_is_left_to_an_editor(home: Path, examine: Examine) -> None:
    put(home / "mdm.yaml", "database: {sqlite_journal_mode: DELETE, connection_timeout: 5}\n")
    finding = the("other-names", examine(CHECK, home))
    assert finding.remedy.repairs == ()
    assert finding.remedy.text == "Write database: {sqlite: {journal_mode: ...}} instead."


def test_nested_names_are_the_others_where_the_installed_mdm_has_flat_ones(
    home: Path, examine: Examine, make_python: MakePython
) -> None:
    source = "def get_settings():\n    return {'database': {'sqlite_journal_mode': 'WAL'}}\n"
    python = str(make_python({"mdm/config.py": source}))
    put(home / "mdm.yaml", "database:\n  sqlite:\n    journal_mode: DELETE\n")
    finding = the("other-names", examine(CHECK, home, python=python))
    assert "in use (flat) ignores `database.sqlite.journal_mode`" in finding.message
    put(home / "mdm.yaml", "database:\n  sqlite_journal_mode: DELETE\n")
    assert examine(CHECK, home, python=python).findings == ()


def test_switches_that_are_half_on_are_found_and_repaired(home: Path, examine: Examine) -> None:
    put(home / "feature_flags.yaml", "use_new_backend: true\n")
    finding = the("mixed-flags", examine(CHECK, home))
    assert (finding.code, finding.severity) == ("legacy-config-active.mixed-flags", Severity.WARN)
    assert finding.message == "feature flags select the new code for backend and the old code for registrar, features"
    repaired = {name: "true" for name in SWITCHED if "BACKEND" not in name}
    assert all(f"{name}=true" in finding.remedy.text for name in repaired)
    assert finding.remedy.commands == (f"cat -- {home / 'feature_flags.yaml'}",)
    assert examine(CHECK, home, environ=repaired).findings == ()


def test_a_variable_alone_can_make_the_switches_mixed(home: Path, examine: Examine) -> None:
    assert codes(examine(CHECK, home, environ={"MDM_FEATURE_USE_NEW_BACKEND": "true"})) == ["mixed-flags"]
    assert examine(CHECK, home, environ=SWITCHED).findings == ()


def test_switches_that_are_all_off_matter_only_after_the_migration(home: Path, examine: Examine) -> None:
    put(home / "feature_flags.yaml", "use_new_backend: false\n")
    assert examine(CHECK, home, phase="any").findings == ()
    finding = the("flags-off", examine(CHECK, home, phase="post"))
    assert (finding.code, finding.severity) == ("legacy-config-active.flags-off", Severity.WARN)
    assert all(f"{name}=true" in finding.remedy.text for name in SWITCHED)
    assert examine(CHECK, home, phase="post", environ=SWITCHED).findings == ()
    follow(finding)
    assert examine(CHECK, home, phase="post").findings == ()
    lines = (home / "feature_flags.yaml").read_text().splitlines()
    assert lines == ["use_new_backend: true", "use_new_registrar: true", "use_new_features: true"]


@pytest.mark.parametrize(
    "line", ["auto_fallback: 'false'", "use_new_storage: true", "rollout_percentage: {new_backend: 50}"]
)
def test_a_switch_that_is_misread_is_found_and_repaired(home: Path, examine: Examine, line: str) -> None:
    new = "use_new_backend: true\nuse_new_registrar: true\nuse_new_features: true\n"
    put(home / "feature_flags.yaml", f"{new}{line}\n")
    finding = the("misread-flag", examine(CHECK, home))
    assert (finding.code, finding.severity) == ("legacy-config-active.misread-flag", Severity.WARN)
    assert finding.location is not None
    assert finding.location.line == 4
    if finding.remedy.repairs:
        follow(finding)
        assert (home / "feature_flags.yaml").read_text() == f"{new}auto_fallback: false\n"
    else:
        put(home / "feature_flags.yaml", new)
    assert examine(CHECK, home).findings == ()


def test_damaged_switches_are_found_and_repaired(home: Path, examine: Examine) -> None:
    put(home / "feature_flags.yaml", "use_new_backend: [\n")
    finding = the("damaged-flags", examine(CHECK, home))
    assert (finding.code, finding.severity) == ("legacy-config-active.damaged-flags", Severity.WARN)
    put(home / "feature_flags.yaml", "use_new_backend: false\n")
    assert examine(CHECK, home).findings == ()


def test_switches_that_the_installed_mdm_does_not_have_are_a_note_and_repaired(
    home: Path, examine: Examine, make_python: MakePython
) -> None:
    python = str(make_python())
    put(home / "feature_flags.yaml", "use_new_backend: true\n")
    environ = {"MDM_FEATURE_USE_NEW_FEATURES": "false"}
    result = examine(CHECK, home, environ=environ, python=python)
    finding = the("unread-flags", result)
    assert (finding.code, finding.severity) == ("legacy-config-active.unread-flags", Severity.NOTE)
    assert codes(result) == ["unread-flags"]
    assert apply(finding, environ) == {}
    assert (home / "feature_flags.yaml").read_text() == "use_new_backend: true\n"
    (home / "feature_flags.yaml").unlink()
    assert examine(CHECK, home, python=python).findings == ()


def test_switches_in_a_home_where_the_installed_mdm_does_not_look_are_a_note(
    home: Path, examine: Examine, make_python: MakePython
) -> None:
    put(home / "feature_flags.yaml", "use_new_backend: false\n")
    result = examine(CHECK, home, python=str(make_python(WITH_FLAGS)))
    assert "MDM reads its feature flags in ~/.mdm" in the("unread-flags", result).message


def test_a_cache_that_is_older_than_the_settings_is_found_and_repaired(home: Path, examine: Examine) -> None:
    cached = put(home / "cache" / "config" / "settings.pickle", "x")
    settled = (home / "mdm.yaml").stat().st_mtime
    os.utime(cached, (settled + 60, settled + 60))
    assert the("stale-cache", examine(CHECK, home)).severity is Severity.NOTE
    os.utime(cached, (settled - 60, settled - 60))
    finding = the("stale-cache", examine(CHECK, home))
    assert (finding.code, finding.severity) == ("legacy-config-active.stale-cache", Severity.WARN)
    apply(finding)
    assert cached.read_text() == "x"
    assert finding.remedy.commands == (f"ls -lR -- {cached.parent}",)
    shutil.rmtree(cached.parent)
    assert examine(CHECK, home).findings == ()


def test_an_mdm_that_says_it_works_the_old_way_is_found_and_repaired(
    home: Path, examine: Examine, make_python: MakePython
) -> None:
    source = (
        "import os\n"
        "CONFIG_TYPE = 'new' if os.environ.get('MDM_FORCE_NEW_CONFIG') == 'true' else 'legacy'\n"
        "def get_settings():\n    return {}\n"
    )
    python = str(make_python({"mdm/config.py": source}))
    finding = the("legacy-active", examine(CHECK, home, python=python))
    assert (finding.code, finding.severity) == ("legacy-config-active.legacy-active", Severity.WARN)
    assert (finding.remedy.commands, "MDM_FORCE_NEW_CONFIG=true" in finding.remedy.text) == ((), True)
    assert examine(CHECK, home, environ={"MDM_FORCE_NEW_CONFIG": "true"}, python=python).findings == ()


def test_a_custom_feature_that_asks_the_old_configuration_is_found_and_repaired(home: Path, examine: Examine) -> None:
    file = put(home / "config" / "custom_features" / "shop.py", FEATURE)
    imported, used = examine(CHECK, home).findings
    assert imported.code == used.code == "legacy-config-active.legacy-code"
    assert used.severity is Severity.WARN
    assert used.message.startswith(f"{file}:7: a custom feature uses the old configuration: CONFIG['performance']")
    assert imported.evidence["instead"] == "from mdm.config import get_settings"
    assert used.evidence["instead"] == "get_settings().performance.batch_size"
    for finding in (imported, used):
        text = file.read_text(encoding="utf-8")
        file.write_text(text.replace(str(finding.evidence["written"]), str(finding.evidence["instead"])))
    assert examine(CHECK, home).findings == ()
    compile(file.read_text(encoding="utf-8"), str(file), "exec")


def test_a_source_tree_is_searched_when_it_is_named(home: Path, tmp_path: Path, examine: Examine) -> None:
    source = tmp_path / "src"
    put(source / "app" / "main.py", "import mdm.config as c\nprint(c.CONFIG['database']['sqlite_journal_mode'])\n")
    put(source / "app" / "own.py", "CONFIG = {}\nCONFIG['a']\n")
    put(source / "mdm" / "__init__.py", "")
    put(source / "mdm" / "core.py", "from .config import CONFIG\n")
    put(source / "old" / "two.py", "from mdm.config import CONFIG\nprint CONFIG['logging']['level']\n")
    put(source / ".venv" / "lib.py", "from mdm.config import CONFIG\n")
    put(source / "env" / "pyvenv.cfg", "")
    put(source / "env" / "lib.py", "from mdm.config import CONFIG\n")
    assert examine(CHECK, home).findings == ()
    result = examine(CHECK, home, source=(source,))
    places = {(f.location.file, f.location.line): f.evidence["instead"] for f in result.findings if f.location}
    assert places == {
        (str(source / "app" / "main.py"), 2): "get_settings().database.sqlite.journal_mode",
        (str(source / "mdm" / "core.py"), 1): "from mdm.config import get_settings",
        (str(source / "old" / "two.py"), 1): "from mdm.config import get_settings",
        (str(source / "old" / "two.py"), 2): "get_settings().logging.level",
    }


def test_the_replacement_is_what_the_installed_mdm_has(home: Path, examine: Examine, make_python: MakePython) -> None:
    put(home / "config" / "custom_features" / "shop.py", FEATURE)
    result = examine(CHECK, home, python=str(make_python()))
    assert [finding.evidence["instead"] for finding in result.findings] == [
        "from mdm.config import get_config",
        "get_config().performance.batch_size",
    ]


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        ("CONFIG['logging']['level'] = 'DEBUG'", "write the value into mdm.yaml"),
        ("x = CONFIG['logging'][name]", "Write `getattr(get_settings().logging, ...)`"),
        ("x = CONFIG['my key']", "none of that name"),
    ],
)
def test_what_cannot_be_replaced_word_for_word_comes_with_advice(
    home: Path, examine: Examine, line: str, advice: str
) -> None:
    put(home / "config" / "custom_features" / "shop.py", f"from mdm.config import CONFIG\n{line}\n")
    assert advice in examine(CHECK, home).findings[1].remedy.text


def test_hundreds_of_uses_are_counted_and_not_all_listed(home: Path, tmp_path: Path, examine: Examine) -> None:
    put(tmp_path / "src" / "app.py", "from mdm.config import CONFIG\n" + "CONFIG['a']\n" * 500)
    result = examine(CHECK, home, source=(tmp_path / "src",))
    assert len(result.findings) == 51
    assert result.findings[-1].message == "451 more places in code use the old configuration"


@pytest.mark.skipif(os.name != "posix", reason="FIFOs are POSIX")
def test_a_source_that_cannot_be_read_is_a_gap(home: Path, examine: Examine) -> None:
    folder = home / "config" / "custom_features"
    folder.mkdir(parents=True, exist_ok=True)
    os.mkfifo(folder / "shop.py")
    (folder / "wine.py").write_bytes(b"\xff\xfeCONFIG")
    result = examine(CHECK, home)
    assert result.status is Status.PASS
    assert "shop.py was not searched: is a FIFO" in result.reason
    assert "wine.py was not searched: is not text" in result.reason


def test_looking_for_what_is_left_changes_nothing(home: Path, examine: Examine, tree: Callable[[Path], object]) -> None:
    put(home / "config" / "custom_features" / "shop.py", FEATURE)
    put(home / "mdm.conf", OLD_SETTINGS)
    before = tree(home)
    examine(CHECK, home)
    assert tree(home) == before
