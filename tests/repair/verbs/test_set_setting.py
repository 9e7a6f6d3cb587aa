"""`set-setting` changes one key of `mdm.yaml` or `feature_flags.yaml`, or nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_mdm_health.mdm.settings import read_settings
from tests.helpers import repair

Capture = pytest.CaptureFixture[str]

TEXT = """\
# Ask Ana first.
database:
  default_backend: "sqlite"  # not duckdb
  pool_size: 7
  sqlite: {journal_mode: DELETE}
performance:
  batch_size: 5000
logging:
  level: info
"""


@pytest.fixture
def settings(home: Path) -> Path:
    file = home / "mdm.yaml"
    file.write_text(TEXT.replace("\n", "\r\n"), encoding="utf-8", newline="")
    return file


def text_of(file: Path) -> str:
    assert b"\n" not in file.read_bytes().replace(b"\r\n", b"")
    return file.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "old", "new", "key", "value"),
    [
        (("database.default_backend", "duckdb"), '"sqlite"', '"duckdb"', "database.default_backend", "duckdb"),
        (("performance.batch_size", "100"), "5000", "100", "performance.batch_size", 100),
        (("logging.level", "INFO", "--was=info"), "info", "INFO", "logging.level", "INFO"),
        (
            ("database.sqlite.journal_mode", "OFF"),
            "DELETE",
            "'OFF'",
            "database.sqlite.journal_mode",
            "OFF",
        ),
        (
            ("feature_engineering.generic.binning.n_bins", "4,8"),
            "level: info\n",
            "level: info\nfeature_engineering:\n  generic:\n    binning:\n      n_bins:\n      - 4\n      - 8\n",
            "feature_engineering.generic.binning.n_bins",
            (4, 8),
        ),
        (
            ("export.include_metadata", "no"),
            "level: info\n",
            "level: info\nexport:\n  include_metadata: false\n",
            "export.include_metadata",
            False,
        ),
        (
            ("database.duckdb.memory_limit", "2GB"),
            "DELETE}\n",
            "DELETE}\n  duckdb:\n    memory_limit: 2GB\n",
            "database.duckdb.memory_limit",
            "2GB",
        ),
        (
            ("database.sqlalchemy.pool_size", "--instead-of=database.pool_size"),
            "  pool_size: 7\n  sqlite: {journal_mode: DELETE}\n",
            "  sqlite: {journal_mode: DELETE}\n  sqlalchemy:\n    pool_size: 7\n",
            "database.sqlalchemy.pool_size",
            7,
        ),
        (
            ("database.sqlite.journal_mode", "--remove=yes"),
            "  sqlite: {journal_mode: DELETE}\n",
            "",
            "database.sqlite.journal_mode",
            "WAL",
        ),
        (("performance.batch_size", "--remove=yes"), "performance:\n  batch_size: 5000\n", "", "", None),
    ],
)
def test_only_the_lines_of_the_key_change(
    home: Path, settings: Path, arguments: tuple[str, ...], old: str, new: str, key: str, value: object
) -> None:
    before = read_settings(home, {})
    assert repair("set-setting", settings, *arguments) == 0
    assert text_of(settings) == TEXT.replace(old, new)
    after = read_settings(home, {})
    assert not key or after[key] == value
    changed = {name for name, each in after.values.items() if each.value != before[name]}
    assert changed <= {key, "performance.batch_size"}


def test_it_is_done_once_and_undone_byte_for_byte(settings: Path, capsys: Capture) -> None:
    before = settings.read_bytes()
    assert repair("set-setting", settings, "logging.level", "INFO") == 0
    undo = capsys.readouterr().out.rpartition("mdm-health ")[2].split()
    assert repair("set-setting", settings, "logging.level", "INFO") == 1
    assert "'INFO' already" in capsys.readouterr().err
    assert repair(*undo) == 0
    assert settings.read_bytes() == before


def test_a_file_that_is_not_there_is_made(home: Path) -> None:
    (home / "mdm.yaml").unlink()
    assert repair("set-setting", home / "mdm.yaml", "logging.level", "INFO") == 0
    assert (home / "mdm.yaml").read_text(encoding="utf-8") == "logging:\n  level: INFO\n"


def test_a_feature_flag_is_true_or_false(home: Path, capsys: Capture) -> None:
    file = home / "feature_flags.yaml"
    file.write_text("use_new_backend: 'off' # why\nuse_new_features: true\n", encoding="utf-8")
    assert repair("set-setting", file, "use_new_backend", "false") == 0
    assert file.read_text(encoding="utf-8") == "use_new_backend: false # why\nuse_new_features: true\n"
    assert repair("set-setting", file, "use_new_backend", "off") == 1
    assert "true or false" in capsys.readouterr().err
    assert repair("set-setting", file, "use_newest_backend", "true") == 1
    assert "something else" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("logging.level", "LOUD"), "takes DEBUG, INFO"),
        (("performance.batch_size", "5"), "takes a whole number from 100 up"),
        (("logging.levels", "INFO"), "the nearest is `logging.level`"),
        (("logging.level", "INFO", "--was=DEBUG"), "is not 'DEBUG' any more"),
        (("logging.level",), "name the value"),
        (("logging.level", "INFO", "--remove=yes"), "either removed or set"),
        (("logging.level", "--remove=please"), "nothing but yes"),
        (("logging.format", "--remove=yes"), "has no `logging.format`"),
        (("logging.level", "--instead-of=database.pool_size"), "does not have `database.pool_size` alone"),
        (("logging.max_bytes", "--instead-of=logging.level"), "that MDM does not take as"),
        (("validation.after_features.min_rows", "5"), "would then use another value for"),
    ],
)
def test_what_would_be_wrong_is_refused(
    settings: Path, capsys: Capture, arguments: tuple[str, ...], reason: str
) -> None:
    before = settings.read_bytes()
    assert repair("set-setting", settings, *arguments) == 1
    said = capsys.readouterr()
    assert reason in said.out + said.err
    assert settings.read_bytes() == before


@pytest.mark.parametrize("content", [b"a: [", b"\0\0\0", "über: 1\n".encode("latin-1"), b"- a\n", b"\xff\xfea\0"])
def test_a_file_that_yaml_cannot_read_is_left_alone(settings: Path, capsys: Capture, content: bytes) -> None:
    settings.write_bytes(content)
    assert repair("set-setting", settings, "logging.level", "INFO") == 1
    assert capsys.readouterr().err.startswith("ERROR ")
    assert settings.read_bytes() == content


def test_another_file_is_no_settings_file(home: Path, capsys: Capture) -> None:
    assert repair("set-setting", home / "config/datasets/shop.yaml", "version", "2") == 1
    assert "is neither" in capsys.readouterr().err


def test_a_password_is_not_printed(settings: Path, capsys: Capture) -> None:
    settings.write_text("database:\n  postgresql:\n    password: old-secret\n", encoding="utf-8")
    for more in (("--dry-run",), ()):
        assert repair("set-setting", settings, "database.postgresql.password", "new-secret", *more) == 0
    said = capsys.readouterr()
    assert "secret" not in (said.out + said.err)
