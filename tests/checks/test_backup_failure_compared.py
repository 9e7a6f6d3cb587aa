"""Before a migration a backup is compared with the home: what it lacks, what it shares, and what is of another home."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pytest_mdm_health.core.model import Finding, Result, Severity, Status

CHECK = "backup-failure"
FAIL, WARN, NOTE = Severity.FAIL, Severity.WARN, Severity.NOTE
HOUR = 3600
PARTS = ("config", "datasets", "mdm.yaml")
Examine = Callable[..., Result]
Change = Callable[[Path], object]


def codes(result: Result) -> dict[str, Severity]:
    return {finding.code.partition(".")[2]: finding.severity for finding in result.findings}


def the(result: Result, code: str) -> Finding:
    return next(finding for finding in result.findings if finding.code == f"{CHECK}.{code}")


def aged(path: Path, age_s: float) -> None:
    os.utime(path, (time.time() - age_s, time.time() - age_s), follow_symlinks=False)


@pytest.fixture
def settled(home: Path) -> Path:
    """A home in which everything is older than any backup, with an empty folder for them."""
    for path in home.rglob("*"):
        aged(path, 5 * HOUR)
    (home / "backup").mkdir()
    return home


def copied(home: Path, change: Change) -> Path:
    """A copy of the home among its backups, in which something was changed."""
    copy = home / "backup" / "copy"
    copy.mkdir()
    for part in PARTS:
        (shutil.copytree if (home / part).is_dir() else shutil.copy2)(home / part, copy / part)
    change(copy)
    return copy


def packed(home: Path, change: Change) -> None:
    """The same as an archive, beside which there is no copy."""
    copy = copied(home, change)
    shutil.make_archive(str(home / "backup" / "mdm_backup_1"), "gztar", copy)
    shutil.rmtree(copy)


def sql(*statements: str, name: str = "shop") -> Change:
    """Change a database of SQLite."""

    def change(home: Path) -> None:
        with contextlib.closing(sqlite3.connect(home / f"datasets/{name}/{name}.sqlite")) as connection, connection:
            for statement in statements:
                connection.execute(statement)

    return change


def written(name: str, content: bytes | Callable[[str], str]) -> Change:
    """Write a file of the copy: these bytes, or its text changed."""

    def change(home: Path) -> None:
        text = content if isinstance(content, bytes) else content((home / name).read_text()).encode()
        (home / name).write_bytes(text)

    return change


SHOP = "config/datasets/shop.yaml"
WRONG: dict[str, tuple[Change, str, str]] = {
    "no rows": (sql("DELETE FROM train"), "incomplete-data", "has 0 rows in 'train', not "),
    "one row less": (sql("DELETE FROM test WHERE rowid = 1"), "incomplete-data", "in 'test', not "),
    "a row twice": (sql("INSERT INTO train SELECT * FROM train LIMIT 1"), "incomplete-data", "in 'train', not "),
    "another column": (
        sql("ALTER TABLE train RENAME COLUMN note TO remark"),
        "incomplete-data",
        "it lacks note and it adds remark",
    ),
    "a table less": (sql("DROP TABLE test"), "incomplete-data", "lacks the table 'test' with "),
    "zeros for a registration": (written(SHOP, bytes(900)), "damaged-metadata", "is no registration: "),
    "half a registration": (written(SHOP, lambda text: text[:60]), "damaged-metadata", "is no registration: "),
    "a field less": (
        written(SHOP, lambda text: text.replace("name: shop\n", "", 1)),
        "damaged-metadata",
        "registers no dataset: name",
    ),
    "a list as registration": (written(SHOP, b"- shop\n- wine\n"), "damaged-metadata", "registers no dataset"),
    "another dataset": (
        written(SHOP, lambda text: text.replace("name: shop\n", "name: wine\n")),
        "damaged-metadata",
        "registers 'wine', not 'shop'",
    ),
    "other tables": (
        written(SHOP, lambda text: text.replace("train: train", "train: other")),
        "damaged-metadata",
        "differs from the home's in ",
    ),
    "zeros for settings": (written("mdm.yaml", bytes(300)), "damaged-metadata", "cannot be used as settings"),
    "settings as a text": (written("mdm.yaml", b"no settings\n"), "damaged-metadata", "cannot be used as settings"),
    "other settings": (
        written("mdm.yaml", b"database: {default_backend: duckdb}\n"),
        "damaged-metadata",
        "differs from the home's in database.default_backend",
    ),
}


@pytest.mark.parametrize("kept", [copied, packed])
@pytest.mark.parametrize("kind", WRONG)
def test_a_backup_unlike_the_home_fails_before_a_migration(
    settled: Path, examine: Examine, kind: str, kept: Callable[[Path, Change], object]
) -> None:
    change, code, says = WRONG[kind]
    kept(settled, change)

    before = examine(CHECK, settled, phase="pre", depth="quick" if kept is packed else "standard")

    assert codes(before) == {code: FAIL}
    assert says in the(before, code).message


@pytest.mark.parametrize("kept", [copied, packed])
def test_a_faithful_backup_of_any_age_passes_before_a_migration(
    settled: Path, examine: Examine, kept: Callable[[Path, Change], object]
) -> None:
    kept(settled, lambda _: None)

    assert examine(CHECK, settled, phase="pre", depth="full").findings == ()


def test_rows_added_to_the_home_since_make_a_backup_outdated(settled: Path, examine: Examine) -> None:
    packed(settled, lambda _: None)
    sql("INSERT INTO train SELECT * FROM train LIMIT 5", "CREATE TABLE more AS SELECT 1 AS a")(settled)

    assert codes(examine(CHECK, settled, phase="pre")) == {"outdated": WARN}


def test_settings_changed_since_make_a_backup_outdated(settled: Path, examine: Examine) -> None:
    copied(settled, lambda _: None)
    written("mdm.yaml", lambda text: text.replace("INFO", "DEBUG"))(settled)
    written(SHOP, lambda text: f"{text}\ntags: [sold]\n" if "tags: []" not in text else text.replace("[]", "[x]"))(
        settled
    )

    result = examine(CHECK, settled, phase="pre")

    assert codes(result) == {"outdated": WARN}
    assert "mdm.yaml" in the(result, "outdated").message
    assert SHOP in the(result, "outdated").message


def test_a_table_empty_in_a_backup_is_never_just_outdated(settled: Path, examine: Examine) -> None:
    copied(settled, sql("DELETE FROM train"))
    for path in (settled / "backup").rglob("*"):
        aged(path, 2 * HOUR)
    sql("INSERT INTO train SELECT * FROM train LIMIT 5")(settled)

    assert codes(examine(CHECK, settled, phase="pre")) == {"incomplete-data": FAIL, "outdated": WARN}


def test_a_dataset_registered_again_since_makes_it_outdated(settled: Path, examine: Examine) -> None:
    copied(settled, sql("ALTER TABLE train RENAME COLUMN note TO remark"))
    for path in (settled / "backup").rglob("*"):
        aged(path, 2 * HOUR)
    text = (settled / SHOP).read_text()
    line = next(line for line in text.splitlines() if line.startswith("registered_at"))
    (settled / SHOP).write_text(text.replace(line, "registered_at: '2099-01-01T00:00:00+00:00'"))
    aged(settled / "datasets/shop/shop.sqlite", 0)

    assert codes(examine(CHECK, settled, phase="pre")) == {"outdated": WARN}


def test_after_a_migration_a_backup_is_not_compared(settled: Path, examine: Examine) -> None:
    copied(settled, sql("DELETE FROM train"))

    assert examine(CHECK, settled, phase="post").findings == ()


@pytest.mark.parametrize("statement", ["DELETE FROM train", "ALTER TABLE train RENAME COLUMN note TO remark"])
def test_a_duckdb_file_in_a_backup_is_compared_too(
    make_home: Callable[..., Path], examine: Examine, statement: str
) -> None:
    home = make_home("mdm-1.0.6-duckdb")
    (home / "backup").mkdir()

    def change(copy: Path) -> None:
        with duckdb.connect(str(copy / "datasets/shop/shop.duckdb")) as connection:
            connection.execute(statement)

    packed(home, change)

    assert codes(examine(CHECK, home, phase="pre")) == {"incomplete-data": FAIL}


def test_values_that_differ_are_found_at_full_depth(settled: Path, examine: Examine) -> None:
    packed(settled, sql("UPDATE train SET amount = amount + 1 WHERE rowid = 7"))

    result = examine(CHECK, settled, phase="pre", depth="full")

    assert codes(result) == {"incomplete-data": FAIL}
    assert "has other values than the home's" in the(result, "incomplete-data").message


def test_the_log_beside_a_database_counts_as_part_of_it(settled: Path, examine: Examine) -> None:
    """All rows but those in the log are gone from the copy, and the log brings them back."""
    data = settled / "datasets/shop/shop.sqlite"
    connection = sqlite3.connect(data)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA wal_autocheckpoint=0")
    connection.execute("INSERT INTO train SELECT * FROM train LIMIT 9")
    connection.commit()
    for path in data.parent.iterdir():
        aged(path, 5 * HOUR)
    with contextlib.closing(connection):
        copied(settled, lambda _: None)
        assert "incomplete-data" not in codes(examine(CHECK, settled, phase="pre"))


def hard_links(home: Path) -> None:
    subprocess.run(["cp", "-al", *(str(home / part) for part in PARTS), str(home / "backup")], check=True)


def one_hard_link(home: Path) -> None:
    copy = copied(home, lambda _: None)
    (copy / "datasets/wine/wine.sqlite").unlink()
    (copy / "datasets/wine/wine.sqlite").hardlink_to(home / "datasets/wine/wine.sqlite")


def linked_settings(home: Path) -> None:
    copy = copied(home, lambda _: None)
    (copy / "mdm.yaml").unlink()
    (copy / "mdm.yaml").symlink_to("../../mdm.yaml")


def linked_folder(home: Path) -> None:
    copy = copied(home, lambda _: None)
    shutil.rmtree(copy / "datasets")
    (copy / "datasets").symlink_to(home / "datasets")


@pytest.mark.parametrize("make", [hard_links, one_hard_link, linked_settings, linked_folder])
def test_a_copy_that_shares_files_with_the_home_is_none(settled: Path, examine: Examine, make: Change) -> None:
    make(settled)

    before, later = (examine(CHECK, settled, phase=phase) for phase in ("pre", "any"))

    assert codes(before)["shared-files"] is FAIL
    assert codes(later)["shared-files"] is WARN
    assert "what damages one damages both" in the(before, "shared-files").message


def test_links_to_nothing_but_the_home_hold_nothing(settled: Path, examine: Examine) -> None:
    copy = settled / "backup" / "mdm_backup_1"
    copy.mkdir()
    for part in PARTS:
        (copy / part).symlink_to(settled / part)

    result = examine(CHECK, settled, phase="pre")

    assert codes(result)["shared-files"] is FAIL
    assert codes(result)["nothing-inside"] is FAIL


def test_hard_links_within_an_archive_are_followed(settled: Path, examine: Examine) -> None:
    def change(copy: Path) -> None:
        (copy / "config/datasets/saved").mkdir()
        (copy / "config/datasets/saved/shop.yaml").hardlink_to(copy / SHOP)

    copy = copied(settled, change)
    names = ("config/datasets/saved", "config", "datasets", "mdm.yaml")  # so that the other name is the first
    subprocess.run(["tar", "-C", copy, "-czf", settled / "backup/mdm_backup_1.tar.gz", *names], check=True)
    shutil.rmtree(copy)

    assert examine(CHECK, settled, phase="pre").findings == ()


def test_copies_that_share_files_with_each_other_are_fine(settled: Path, examine: Examine) -> None:
    copied(settled, lambda _: None)
    subprocess.run(["cp", "-al", settled / "backup/copy", settled / "backup/newer"], check=True)

    assert examine(CHECK, settled, phase="pre").findings == ()


def test_a_file_of_one_dataset_is_compared_too(settled: Path, examine: Examine) -> None:
    shutil.copy2(settled / "mdm.yaml", settled / "backup" / "mdm.yaml")
    for name in ("big", "breast_cancer", "shop", "wine"):
        shutil.copy2(settled / f"datasets/{name}/{name}.sqlite", settled / f"backup/{name}.sqlite")
    assert examine(CHECK, settled, phase="pre").findings == ()
    with contextlib.closing(sqlite3.connect(settled / "backup/shop.sqlite")) as connection, connection:
        connection.execute("DELETE FROM train WHERE rowid > 3")
    (settled / "backup/wine.sqlite").unlink()
    (settled / "backup/wine.sqlite").hardlink_to(settled / "datasets/wine/wine.sqlite")

    result = examine(CHECK, settled, phase="pre")

    assert codes(result) == {"incomplete-data": FAIL, "shared-files": FAIL}
    assert "has 3 rows in 'train', not " in the(result, "incomplete-data").message


def test_a_backup_of_another_home_fails_with_one_sentence(settled: Path, examine: Examine) -> None:
    def change(copy: Path) -> None:
        for name in ("big", "breast_cancer", "wine"):
            shutil.rmtree(copy / "datasets" / name)
            (copy / f"config/datasets/{name}.yaml").unlink()
        (copy / "datasets/shop").rename(copy / "datasets/birds")
        (copy / "datasets/birds/shop.sqlite").rename(copy / "datasets/birds/birds.sqlite")
        (copy / SHOP).rename(copy / "config/datasets/birds.yaml")

    packed(settled, change)

    before, later = (examine(CHECK, settled, phase=phase) for phase in ("pre", "any"))

    assert codes(before) == {"foreign-home": FAIL}
    assert codes(later) == {"foreign-home": WARN}
    assert "it registers birds, and no dataset of this home" in the(before, "foreign-home").message


def test_data_of_another_home_under_the_same_name_is_found(settled: Path, examine: Examine) -> None:
    """Its file is older than the home's, which then could explain other rows, but no other registration."""

    def change(copy: Path) -> None:
        text = (copy / SHOP).read_text()
        line = next(line for line in text.splitlines() if line.startswith("registered_at"))
        (copy / SHOP).write_text(text.replace(line, "registered_at: '2024-01-01T00:00:00+00:00'"))
        aged(copy / SHOP, 50 * HOUR)

    copied(settled, change)

    result = examine(CHECK, settled, phase="pre")

    assert codes(result) == {"damaged-metadata": FAIL}
    assert "is of 2024-01-01" in the(result, "damaged-metadata").message


def test_the_next_older_backup_counts_if_the_newest_lacks_rows(settled: Path, examine: Examine) -> None:
    packed(settled, lambda _: None)
    (settled / "backup/mdm_backup_1.tar.gz").rename(settled / "backup/mdm_backup_0.tar.gz")
    aged(settled / "backup/mdm_backup_0.tar.gz", HOUR)
    packed(settled, sql("DELETE FROM train"))

    result = examine(CHECK, settled, phase="pre")

    facts: Any = result.facts
    assert [assessed["verified"] for assessed in facts["assessed"]] == [True, True]
    assert codes(result) == {"incomplete-data": FAIL}


def test_a_home_that_cannot_be_read_is_an_error_before_migration(settled: Path, examine: Examine) -> None:
    packed(settled, lambda _: None)
    data = settled / "datasets/shop/shop.sqlite"
    data.write_bytes(data.read_bytes()[:5000])
    aged(data, 5 * HOUR)

    result = examine(CHECK, settled, phase="pre")

    assert result.status is Status.ERROR
    assert "was not compared with" in the(result, "not-read").message


def test_a_damaged_home_does_not_make_its_backup_a_wrong_one(settled: Path, examine: Examine) -> None:
    packed(settled, lambda _: None)
    for name in ("mdm.yaml", SHOP):
        (settled / name).write_bytes(bytes(500))
        aged(settled / name, 5 * HOUR)

    assert "damaged-metadata" not in codes(examine(CHECK, settled, phase="pre"))
