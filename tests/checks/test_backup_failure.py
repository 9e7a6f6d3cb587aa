"""Backups that were really made, really damaged, and made anew by the commands that the findings offer."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

from pytest_mdm_health.checks.backup_failure import judge
from pytest_mdm_health.checks.backup_failure.collect import Collector
from pytest_mdm_health.checks.backup_failure.facts import BackupFacts
from pytest_mdm_health.core.model import Finding, Result, Severity, Status
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.mdm import backups
from pytest_mdm_health.mdm.inventory import take_inventory
from tests.helpers import follow, repair

CHECK = "backup-failure"
FAIL, WARN, NOTE = Severity.FAIL, Severity.WARN, Severity.NOTE
HOUR, DAY = 3600, 86400
PARTS = ("config", "datasets", "mdm.yaml")
NAMES = ("big", "breast_cancer", "shop", "wine")
Examine = Callable[..., Result]
Change = Callable[[Path], object]
Tree = Callable[[Path], object]

needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away and mount")


def collect(home: Path, **options: Any) -> BackupFacts:  # noqa: ANN401 - as the options have them
    return Collector(take_inventory(home, {}), Options(home=home, **options)).collect()


def archive_of(home: Path, name: str = "mdm_backup_1.tar.gz", *more: str, age_s: float = HOUR) -> Path:
    """Back a home up as people do."""
    (home / "backup").mkdir(exist_ok=True)
    path = home / "backup" / name
    fast = ("-I", "gzip -1")  # the tests read what is in it and not how well it was packed
    subprocess.run(["tar", "-C", str(home), "--exclude=./backup", *more, *fast, "-cf", str(path), "."], check=True)
    return aged(path, age_s)


def aged(path: Path, age_s: float) -> Path:
    os.utime(path, (time.time() - age_s, time.time() - age_s))
    return path


def settle(home: Path) -> None:
    """Let everything in the home be older than any backup."""
    for path in home.rglob("*"):
        aged(path, 5 * HOUR)


def only_show(home: Path, finding: Finding) -> str:
    """What the commands print, which change nothing."""
    before = tree_of(home)
    shown = ""
    for command in finding.remedy.commands:
        shown += subprocess.run(command, shell=True, check=True, capture_output=True).stdout.decode(errors="replace")  # noqa: S602 - as a person would
    assert tree_of(home) == before
    assert finding.remedy.text
    return shown


def tree_of(home: Path) -> dict[str, tuple[int, ...]]:
    """Everything below a folder: what it is, whose, and when it was changed in content and in state."""
    found = {str(path): path.lstat() for path in (home, *home.rglob("*"))}
    return {
        name: (each.st_mode, each.st_uid, each.st_gid, each.st_size, each.st_mtime_ns, each.st_ctime_ns)
        for name, each in found.items()
    }


def the(result: Result, code: str, severity: Severity | None = None) -> Finding:
    findings = [each for each in result.findings if each.code == f"{CHECK}.{code}"]
    assert findings, [each.code for each in result.findings]
    assert severity in {None, findings[0].severity}
    return findings[0]


def facts_of(result: Result) -> Any:  # noqa: ANN401 - plain data, as in the JSON
    return result.facts


def codes(result: Result) -> dict[str, Severity]:
    return {each.code: each.severity for each in result.findings}


def break_data(file: Path) -> None:
    with file.open("r+b") as content:
        content.seek(4096)
        content.write(b"\xff" * 512)


def rewritten(path: Path, change: Callable[[tarfile.TarFile, list[tuple[tarfile.TarInfo, bytes]]], None]) -> None:
    """Write an archive anew, member by member."""
    with tarfile.open(path) as tar:
        members = [(info, file.read() if (file := tar.extractfile(info)) else b"") for info in tar]
    with tarfile.open(path, "w:gz", compresslevel=1) as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
        change(tar, members)


def with_damage(damage: Change) -> Change:
    """Back up a home that is damaged, and leave the home itself sound."""

    def change(home: Path) -> None:
        other = home.parent / "damaged"
        shutil.copytree(home, other, symlinks=True)
        damage(other)
        made = archive_of(other)
        (home / "backup").mkdir()
        made.rename(home / "backup" / made.name)

    return change


def damaged_archive(damage: Change) -> Change:
    def change(home: Path) -> None:
        path = archive_of(home)
        damage(path)
        aged(path, HOUR)

    return change


def cut_off(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def no_archive(path: Path) -> None:
    path.write_text("<html>404</html>")


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"garbage")


def add_escape(path: Path) -> None:
    rewritten(path, lambda tar, _: tar.addfile(tarfile.TarInfo("../../.bashrc")))


def add_zeros(path: Path) -> None:
    """Gzip takes its streams one after the other for one, so a bomb costs nothing to make."""
    plain = bytearray(gzip.decompress(path.read_bytes()).rstrip(b"\0"))
    plain += bytes(-len(plain) % 512)
    zeros, times = gzip.compress(bytes(1 << 26)), 14
    info = tarfile.TarInfo("zeros")
    info.size = times << 26
    path.write_bytes(gzip.compress(info.tobuf()) + zeros * times + gzip.compress(plain + bytes(1024)))


def something_else(home: Path) -> None:
    (home / "backup").mkdir()
    (home.parent / "www").mkdir()
    (home.parent / "www" / "index.html").write_text("x")
    path = home / "backup" / "mdm_backup_1.tar.gz"
    subprocess.run(["tar", "-C", str(home.parent), "-czf", str(path), "www"], check=True)
    aged(path, HOUR)


def without(*names: str) -> Change:
    return lambda home: archive_of(home, "mdm_backup_1.tar.gz", *(f"--exclude={name}" for name in names))


def with_link(home: Path) -> None:
    (home / "datasets" / "more").symlink_to("/mnt/more")
    archive_of(home)


def without_link(home: Path) -> None:
    (home / "datasets" / "more").unlink()
    aged(archive_of(home, "mdm_backup_2.tar.gz"), 0)


def right_time(home: Path) -> None:
    aged(home / "backup" / "mdm_backup_1.tar.gz", HOUR)


def new_alone(home: Path) -> None:
    (home / "backup" / "mdm_backup_1.tar.gz").unlink()
    archive_of(home)


CHANGES = """
import os, sqlite3
c = sqlite3.connect({path!r})
c.execute("PRAGMA journal_mode=WAL")
c.execute("PRAGMA wal_autocheckpoint=0")
c.execute("DELETE FROM train WHERE rowid % 2 = 0")
c.commit()
os._exit(0)
"""


def without_log(home: Path) -> None:
    """Back up a database without the log that an interrupted process left beside it."""
    data = home / "datasets" / "shop" / "shop.sqlite"
    subprocess.run([sys.executable, "-c", CHANGES.format(path=str(data))], check=True)
    settle(home)
    archive_of(home, "mdm_backup_1.tar.gz", "--exclude=shop.sqlite-wal", "--exclude=shop.sqlite-shm")


def without_rows(home: Path) -> None:
    with contextlib.closing(sqlite3.connect(home / "datasets/shop/shop.sqlite")) as connection, connection:
        connection.execute("DELETE FROM train")


def without_settings(home: Path) -> None:
    (home / "mdm.yaml").write_bytes(bytes(400))


def hard_linked(home: Path) -> None:
    (home / "backup").mkdir()
    subprocess.run(["cp", "-al", *(str(home / part) for part in PARTS), str(home / "backup")], check=True)


def of_another_home(home: Path) -> None:
    other = home.parent / "other"
    (other / "config/datasets").mkdir(parents=True)
    (other / "datasets/birds").mkdir(parents=True)
    shutil.copy2(home / "datasets/shop/shop.sqlite", other / "datasets/birds/birds.sqlite")
    text = (home / "config/datasets/shop.yaml").read_text().replace("shop", "birds")
    (other / "config/datasets/birds.yaml").write_text(text)
    shutil.copy2(home / "mdm.yaml", other)
    (home / "backup").mkdir()
    shutil.move(archive_of(other), home / "backup")


def empty_folder(home: Path) -> None:
    """A folder that looks like a home hides the archives beside it."""
    shutil.rmtree(home / "backup")
    archive_of(home)


def no_fifo(home: Path) -> None:
    (home / "backup").unlink()
    archive_of(home)


def open_wide(home: Path) -> None:
    archive_of(home)
    (home / "datasets").chmod(0o777)


def with_change(home: Path) -> None:
    archive_of(home)
    aged(home / "datasets" / "shop" / "shop.sqlite", 0)


def huge(home: Path) -> None:
    archive_of(home)
    with (home / "datasets" / "shop" / "import.tmp").open("wb") as file:
        file.truncate(shutil.disk_usage(home).total * 8)


def on_server(home: Path) -> None:
    archive_of(home)
    text = "name: web\ndatabase: {backend: postgresql, host: db, port: 5432, user: ml, database: mdm_web}\ntables: {}\n"
    (home / "config" / "datasets" / "web.yaml").write_text(text)
    settle(home / "config")
    archive_of(home)


def dump_made(home: Path) -> None:
    (home / "backup" / "web.dump").write_bytes(b"PGDMP")


def failing_script(home: Path) -> None:
    archive_of(home)
    (home / "scripts").mkdir(mode=0o755)
    script = home / "scripts" / "backup_mdm_state.sh"
    script.write_text("#!/bin/sh\necho password=hunter2\necho 'Insufficient space' >&2\nexit 3\n")
    script.chmod(0o755)


def mended_script(home: Path) -> None:
    (home / "scripts" / "backup_mdm_state.sh").write_text('#!/bin/sh\ntest "$1 $2" = "--dry-run --verbose"\n')


@dataclass(frozen=True)
class Case:
    """A way to spoil backups, and what mends it if the finding's own commands do not."""

    code: str
    severity: Severity
    damage: Change
    repair: Change | None = None
    phase: str = "any"
    label: str = ""


CASES = (
    Case("backup-failure.no-backup", FAIL, lambda _: None, phase="pre"),
    Case("backup-failure.no-backup", NOTE, lambda home: (home / "backup").mkdir(), label="empty-folder"),
    Case("backup-failure.damaged-archive", FAIL, damaged_archive(cut_off), label="cut-off"),
    Case("backup-failure.damaged-archive", FAIL, damaged_archive(flip_a_byte), label="flipped-byte"),
    Case("backup-failure.damaged-archive", FAIL, damaged_archive(no_archive), label="no-archive"),
    Case("backup-failure.damaged-archive", FAIL, damaged_archive(lambda path: path.write_bytes(b"")), label="empty"),
    Case("backup-failure.damaged-archive", FAIL, damaged_archive(add_escape), label="escape"),
    Case("backup-failure.damaged-archive", FAIL, damaged_archive(add_zeros), label="bomb"),
    Case("backup-failure.nothing-inside", FAIL, something_else),
    Case("backup-failure.missing-dataset", FAIL, without("shop.sqlite"), label="data"),
    Case("backup-failure.missing-dataset", FAIL, without("wine.yaml"), label="registration"),
    Case("backup-failure.damaged-data", FAIL, with_damage(lambda home: break_data(home / "datasets/shop/shop.sqlite"))),
    Case(
        "backup-failure.damaged-data",
        FAIL,
        with_damage(lambda home: (home / "datasets/wine/wine.sqlite").write_bytes(b"")),
        label="empty",
    ),
    Case("backup-failure.without-log", WARN, without_log),
    Case("backup-failure.without-log", FAIL, without_log, phase="pre"),
    Case("backup-failure.incomplete-data", FAIL, with_damage(without_rows), phase="pre"),
    Case("backup-failure.incomplete-data", WARN, with_damage(without_rows)),
    Case("backup-failure.damaged-metadata", FAIL, with_damage(without_settings), phase="pre"),
    Case("backup-failure.shared-files", FAIL, hard_linked, empty_folder, phase="pre"),
    Case("backup-failure.foreign-home", FAIL, of_another_home, phase="pre"),
    Case("backup-failure.missing-settings", WARN, without("mdm.yaml")),
    Case("backup-failure.link-out", WARN, with_link, without_link),
    Case("backup-failure.outdated", WARN, lambda home: archive_of(home, age_s=-30 * DAY), right_time, label="future"),
    Case("backup-failure.outdated", WARN, with_change, phase="pre"),
    Case("backup-failure.outdated", NOTE, with_change),
    Case("backup-failure.old-backups", NOTE, lambda home: archive_of(home, age_s=40 * DAY), new_alone, label="newest"),
    Case(
        "backup-failure.old-backups",
        NOTE,
        lambda home: (archive_of(home), archive_of(home, "mdm_backup_0.tar.gz", age_s=40 * DAY)),
        lambda home: (home / "backup" / "mdm_backup_0.tar.gz").unlink(),
        label="others",
    ),
    Case("backup-failure.server-data", NOTE, on_server, dump_made),
    Case("backup-failure.folder-access", WARN, lambda home: (home / "backup").write_text(""), no_fifo),
    Case("backup-failure.folder-access", FAIL, lambda home: os.mkfifo(home / "backup"), no_fifo, phase="pre"),
    Case("backup-failure.no-room", WARN, huge, lambda home: (home / "datasets" / "shop" / "import.tmp").unlink()),
    Case("backup-failure.script-fails", WARN, failing_script, mended_script),
    Case("backup-failure.script-fails", FAIL, failing_script, mended_script, phase="pre"),
    Case("backup-failure.writable-by-others", NOTE, open_wide),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.code}-{case.severity.value}-{case.label}".strip("-"))
def test_what_spoils_backups_is_found_and_gone_once_repaired(home: Path, examine: Examine, case: Case) -> None:
    settle(home)
    case.damage(home)

    result = examine(CHECK, home, phase=case.phase, run_scripts=True)
    assert codes(result)[case.code] is case.severity

    if case.repair:
        case.repair(home)
    else:
        follow(the(result, case.code.partition(".")[2]))
    result = examine(CHECK, home, phase=case.phase, run_scripts=True)
    assert case.code not in codes(result)
    assert result.status is Status.PASS, result.findings


@pytest.mark.parametrize(("depth", "phase"), [("quick", "any"), ("standard", "pre"), ("full", "post")])
def test_a_healthy_home_with_a_backup_has_nothing_to_say(home: Path, examine: Examine, depth: str, phase: str) -> None:
    settle(home)
    archive_of(home)

    result = examine(CHECK, home, phase=phase, depth=depth)

    assert result.findings == ()
    (assessed,) = facts_of(result)["assessed"]
    assert assessed["reading"]["complete"]
    assert assessed["opened"] == (0 if depth == "quick" else 4)
    assert assessed["verified"] is (depth != "quick")


def test_every_healthy_real_home_only_lacks_a_backup(each_home: Path, examine: Examine) -> None:
    assert codes(examine(CHECK, each_home)) == {"backup-failure.no-backup": NOTE}
    assert codes(examine(CHECK, each_home, phase="post")) == {"backup-failure.no-backup": NOTE}
    assert codes(examine(CHECK, each_home, phase="pre")) == {"backup-failure.no-backup": FAIL}


def test_every_healthy_real_home_can_be_backed_up_with_the_command_that_is_offered(
    each_home: Path, examine: Examine
) -> None:
    follow(the(examine(CHECK, each_home), "no-backup"))

    result = examine(CHECK, each_home, phase="pre", depth="full")

    assert result.findings == ()
    assert facts_of(result)["assessed"][0]["opened"] == 4


def test_looking_leaves_the_home_and_its_backups_as_they_were(each_home: Path, examine: Examine, tree: Tree) -> None:
    archive_of(each_home)
    shutil.copytree(each_home, each_home.parent / "copy", ignore=shutil.ignore_patterns("backup"))
    shutil.move(each_home.parent / "copy", each_home / "backup" / "copy")
    before = tree(each_home)

    examine(CHECK, each_home, depth="full", phase="pre")

    assert tree(each_home) == before


def test_a_home_with_a_space_and_a_quote_in_its_name_is_backed_up_too(
    make_home: Callable[..., Path], examine: Examine
) -> None:
    home = make_home(folder="it's $(a) home")
    follow(the(examine(CHECK, home), "no-backup"))

    assert examine(CHECK, home, phase="pre").findings == ()


def test_the_next_older_backup_is_looked_into_when_the_newest_would_not_restore(home: Path, examine: Examine) -> None:
    settle(home)
    archive_of(home, "mdm_backup_1.tar.gz", age_s=2 * HOUR)
    cut_off(archive_of(home, "mdm_backup_2.tar.gz"))

    result = examine(CHECK, home)

    assert codes(result) == {"backup-failure.damaged-archive": FAIL}
    assert [each["verified"] for each in facts_of(result)["assessed"]] == [False, True]


def test_old_backups_are_only_listed_and_none_is_deleted(home: Path, examine: Examine, tree: Tree) -> None:
    settle(home)
    archive_of(home)
    archive_of(home, "by-hand.tar.gz", age_s=50 * DAY)
    old = archive_of(home, "mdm_backup_0.tar.gz", age_s=50 * DAY)
    finding = the(examine(CHECK, home), "old-backups", NOTE)
    before = tree(home)

    command, pruning = finding.remedy.commands
    assert pruning.startswith("mdm-health prune-backups ")
    listed = subprocess.run(command, shell=True, check=True, capture_output=True, text=True)  # noqa: S602 - as a person would

    assert listed.stdout == f"{old}\n"
    assert tree(home) == before
    assert "restored" in finding.remedy.text


def test_a_dataset_that_was_registered_after_the_backup_is_a_warning(home: Path, examine: Examine) -> None:
    settle(home)
    archive_of(home, "mdm_backup_1.tar.gz", "--exclude=shop*")
    for file in (home / "config/datasets/shop.yaml", home / "datasets/shop/dataset_info.json"):
        text = "\n".join(line for line in file.read_text().splitlines() if "registered_at" not in line)
        separator = "registered_at: '2099-01-01T00:00:00+00:00'\n" if file.suffix == ".yaml" else ""
        file.write_text(separator + text)

    assert the(examine(CHECK, home), "missing-dataset", WARN).message.endswith("it was registered later")
    assert codes(examine(CHECK, home, phase="pre"))["backup-failure.missing-dataset"] is FAIL


def test_many_missing_datasets_are_told_together_after_the_first(home: Path, examine: Examine) -> None:
    without("shop*")(home)
    yaml = (home / "config/datasets/shop.yaml").read_text()
    for number in range(30):
        (home / f"config/datasets/more{number}.yaml").write_text(yaml.replace("name: shop", f"name: more{number}"))

    missing = [each for each in examine(CHECK, home, depth="quick").findings if each.code.endswith("missing-dataset")]

    assert len(missing) == 21
    assert "does not hold 11 more: " in missing[-1].message
    assert len({each.subject for each in missing}) == 21


def test_data_on_another_disk_is_backed_up_by_the_command_that_is_offered(home: Path, examine: Examine) -> None:
    settle(home)
    for name in ("shop", "wine"):
        (home / "datasets" / name / f"{name}.sqlite").rename(home.parent / f"{name}.sqlite")
    (home / "datasets" / "shop" / "shop.sqlite").symlink_to(home.parent / "shop.sqlite")
    yaml = home / "config" / "datasets" / "wine.yaml"
    yaml.write_text(yaml.read_text().replace(f"{home}/datasets/wine/wine.sqlite", f"{home.parent}/wine.sqlite"))
    follow(the(examine(CHECK, home), "no-backup"))

    result = examine(CHECK, home, phase="pre")

    assert result.findings == ()
    assert facts_of(result)["assessed"][0]["opened"] == 4


def test_data_that_is_behind_a_link_is_missing_in_the_backup(home: Path, examine: Examine) -> None:
    settle(home)
    database = home / "datasets" / "shop" / "shop.sqlite"
    database.rename(home.parent / "shop.sqlite")
    database.symlink_to(home.parent / "shop.sqlite")
    archive_of(home)

    assert codes(examine(CHECK, home)) == {
        "backup-failure.missing-dataset": FAIL,
        "backup-failure.link-out": WARN,
    }


def test_a_log_that_belongs_to_a_database_is_restored_with_it(home: Path, examine: Examine) -> None:
    """Without its log, the database in the backup would not have the table."""
    database = home / "datasets" / "shop" / "shop.sqlite"
    database.unlink()
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("CREATE TABLE shop_train (id)")
    connection.execute("CREATE TABLE shop_test (id)")
    connection.commit()
    archive_of(home)
    archive_of(home, "mdm_backup_2.tar.gz", "--exclude=shop.sqlite-wal", age_s=0)
    registered = (home / "config" / "datasets" / "shop.yaml").read_text()
    names = [line.split(":")[1].strip() for line in registered.splitlines() if line.startswith("  train")]
    connection.execute(f'ALTER TABLE shop_train RENAME TO "{names[0]}"' if names != ["shop_train"] else "SELECT 1")
    connection.commit()
    archive_of(home, "mdm_backup_1.tar.gz", age_s=10)

    without_log, with_log = (
        examine(CHECK, home, backup=folder)
        for folder in (only(home, "mdm_backup_2.tar.gz"), only(home, "mdm_backup_1.tar.gz"))
    )
    connection.close()

    assert "none of the tables" in the(without_log, "damaged-data").message
    assert "backup-failure.damaged-data" not in codes(with_log)


def test_what_is_wrong_with_a_database_in_a_backup_is_told(home: Path, examine: Examine) -> None:
    settle(home)
    with_damage(lambda other: break_data(other / "datasets/shop/shop.sqlite"))(home)

    finding = the(examine(CHECK, home), "damaged-data")

    assert f"datasets/shop/shop.sqlite in {home}/backup/mdm_backup_1.tar.gz is damaged: " in finding.message
    assert "***" not in repr(finding.evidence)


def test_bytes_after_the_end_of_a_database_in_a_backup_do_no_harm(home: Path, examine: Examine) -> None:
    settle(home)
    with_damage(lambda other: append(other / "datasets/shop/shop.sqlite"))(home)

    assert examine(CHECK, home).findings == ()


def only(home: Path, name: str) -> Path:
    folder = home.parent / f"only-{name}"
    folder.mkdir()
    shutil.copy2(home / "backup" / name, folder / name)
    return folder


def test_a_damaged_block_of_a_duckdb_file_in_a_backup_is_found_at_full_depth(
    make_home: Callable[..., Path], examine: Examine
) -> None:
    home = make_home("mdm-1.0.6-duckdb")
    settle(home)

    def flip(other: Path) -> None:
        content = bytearray((other / "datasets/wine/wine.duckdb").read_bytes())
        position = next(at for at in range(300_000, len(content), 4096) if any(content[at : at + 64]))
        content[position : position + 64] = bytes(byte ^ 0xFF for byte in content[position : position + 64])
        (other / "datasets/wine/wine.duckdb").write_bytes(content)

    with_damage(flip)(home)

    assert codes(examine(CHECK, home, depth="full")) == {"backup-failure.damaged-data": FAIL}


def test_a_zip_and_a_plain_tar_are_backups_too(home: Path, examine: Examine) -> None:
    settle(home)
    (home / "backup").mkdir()
    shutil.make_archive(str(home.parent / "saved"), "zip", home.parent, "home")
    shutil.move(home.parent / "saved.zip", home / "backup" / "saved.zip")

    zipped = examine(CHECK, home, phase="pre")
    (home / "backup" / "saved.zip").unlink()
    subprocess.run(
        ["tar", "-C", str(home.parent), "--exclude=backup", "-cf", str(home / "backup" / "a.tar"), "home"], check=True
    )
    plain = examine(CHECK, home, phase="pre")

    for result, form in ((zipped, "zip"), (plain, "tar")):
        assert result.findings == ()
        (assessed,) = facts_of(result)["assessed"]
        assert (assessed["reading"]["form"], assessed["root"], assessed["opened"]) == (form, "home", 4)


def test_a_plain_copy_of_the_home_is_a_backup_and_its_data_is_verified(home: Path, examine: Examine) -> None:
    settle(home)
    copy = home / "backup" / "copy"
    shutil.copytree(home, home.parent / "copy")
    (home / "backup").mkdir()
    shutil.move(home.parent / "copy", copy)
    assert examine(CHECK, home, phase="pre").findings == ()

    break_data(copy / "datasets" / "shop" / "shop.sqlite")

    assert codes(examine(CHECK, home)) == {"backup-failure.damaged-data": FAIL}


def save_parquet(home: Path, *names: str) -> None:
    (home / "backup").mkdir(exist_ok=True)
    shutil.copy2(home / "mdm.yaml", home / "backup" / "mdm.yaml")
    for name in names:
        with contextlib.closing(sqlite3.connect(home / f"datasets/{name}/{name}.sqlite")) as connection:
            tables = [table for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            table = next(each for each in sorted(tables) if each[0] != "_" and not each.endswith("_features"))
            frame = pd.read_sql_query(f'SELECT * FROM "{table}"', connection).astype(str)  # noqa: F841 - used below
        duckdb.execute(f"COPY (SELECT * FROM frame) TO '{home / 'backup' / name}.parquet'")


def test_a_file_for_each_dataset_is_a_backup_too(home: Path, examine: Examine) -> None:
    settle(home)
    save_parquet(home, *NAMES)

    assert examine(CHECK, home, phase="pre").findings == ()


def test_a_dataset_without_a_file_of_its_own_is_missing(home: Path, examine: Examine) -> None:
    save_parquet(home, "big", "shop")

    missing = [each.subject for each in examine(CHECK, home).findings if each.code == "backup-failure.missing-dataset"]

    assert missing == ["breast_cancer", "wine"]


def test_settings_and_changes_count_for_files_of_single_datasets_too(home: Path, examine: Examine) -> None:
    settle(home)
    save_parquet(home, *NAMES)
    (home / "backup" / "mdm.yaml").unlink()
    aged(home / "backup" / "shop.parquet", DAY)

    result = examine(CHECK, home, phase="pre")

    assert codes(result) == {"backup-failure.missing-settings": WARN, "backup-failure.outdated": WARN}


def test_settings_that_are_saved_by_themselves_need_not_be_in_the_archive(home: Path, examine: Examine) -> None:
    settle(home)
    without("mdm.yaml")(home)
    save_parquet(home)

    assert examine(CHECK, home).findings == ()


def test_saved_settings_alone_are_no_backup_of_the_data(home: Path, examine: Examine) -> None:
    save_parquet(home)

    assert "only settings" in the(examine(CHECK, home), "no-backup", NOTE).message


def test_a_file_of_a_dataset_that_would_be_of_no_use_is_damaged_data(home: Path, examine: Examine) -> None:
    save_parquet(home, "big", "shop")
    cut_off(home / "backup" / "shop.parquet")
    (home / "backup" / "big.parquet").write_bytes(b"")
    shutil.copy2(home / "datasets" / "wine" / "wine.sqlite", home / "backup" / "wine.db")
    break_data(home / "backup" / "wine.db")

    damaged = {each.subject for each in examine(CHECK, home).findings if each.code == "backup-failure.damaged-data"}

    assert damaged == {"big", "shop", "wine"}


def test_a_dataset_that_is_saved_by_itself_need_not_be_in_the_archive(home: Path, examine: Examine) -> None:
    settle(home)
    without("shop.sqlite")(home)
    save_parquet(home, "shop")

    assert examine(CHECK, home).findings == ()


def test_an_archive_of_something_else_is_no_backup(home: Path, examine: Examine) -> None:
    something_else(home)
    (home / "backup" / "mdm_backup_1.tar.gz").rename(home / "backup" / "www.tar.gz")

    assert codes(examine(CHECK, home)) == {"backup-failure.no-backup": NOTE}


def test_what_the_time_did_not_suffice_for_is_named_and_never_called_verified(home: Path) -> None:
    archive_of(home)

    facts = collect(home, timeout=1e-6)

    assert any("the time was up" in reason for reason in facts.unexamined)
    assert not facts.assessed[0].verified
    assert {each.code: each.severity for each in judge(facts)}["backup-failure.not-read"] is WARN


def test_in_the_guides_other_place_only_what_is_of_mdm_counts(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle(home)
    archive_of(home)
    (home / "backup").rename(tmp_path / "backup")
    (tmp_path / "backup" / "broken.tar.gz").write_bytes(b"\x1f\x8b nothing")
    monkeypatch.setattr(backups, "ELSEWHERE", tmp_path / "backup")

    facts = collect(home, phase="pre")

    assert [each.backup.path.name for each in facts.assessed] == ["mdm_backup_1.tar.gz"]
    assert list(judge(facts)) == []


def test_room_is_counted_from_data_logs_and_how_the_last_backup_packed(home: Path, examine: Examine) -> None:
    archive_of(home)
    (home / "datasets" / "shop" / "shop.sqlite-wal").write_bytes(b"x" * 5000)
    (home / "cache").mkdir()
    (home / "cache" / "junk").write_bytes(b"x" * 1_000_000)
    place = facts_of(examine(CHECK, home, depth="quick"))["place"]

    files = [
        path for path in home.rglob("*") if path.is_file() and path.parts[len(home.parts)] not in {"backup", "cache"}
    ]
    packed = (home / "backup" / "mdm_backup_1.tar.gz").stat().st_size
    assert place["needed"] == sum(path.stat().st_size for path in files)
    assert place["beside"] == 5000
    assert packed * 0.8 < place["expected"] < packed * 1.2
    assert place["free"] > 0


def test_data_outside_the_home_takes_room_too(home: Path, examine: Examine) -> None:
    outside = home.parent / "outside.sqlite"
    needed = facts_of(examine(CHECK, home, depth="quick"))["place"]["needed"]
    shutil.copy2(home / "datasets" / "shop" / "shop.sqlite", outside)
    yaml = home / "config" / "datasets" / "shop.yaml"
    before = yaml.stat().st_size
    yaml.write_text(yaml.read_text().replace(str(home / "datasets" / "shop" / "shop.sqlite"), str(outside)))

    place = facts_of(examine(CHECK, home, depth="quick"))["place"]

    assert place["needed"] == needed + outside.stat().st_size + yaml.stat().st_size - before


def test_room_that_suffices_if_the_backup_packs_well_is_no_failure(home: Path) -> None:
    facts = collect(home, phase="pre")

    def judged(free: int, expected: int | None, *, full: bool = False) -> list[Severity]:
        place = replace(facts.place, needed=1000, expected=expected, free=free, full=full)
        found = judge(replace(facts, place=place))
        return [each.severity for each in found if each.code == "backup-failure.no-room"]

    assert [judged(free, None) for free in (99, 101, 999, 1001)] == [[FAIL], [WARN], [WARN], []]
    assert [judged(free, 300) for free in (299, 301)] == [[FAIL], []]
    assert judged(10_000, None, full=True) == [FAIL]


def test_a_file_system_that_is_only_mounted_read_only_is_a_note(home: Path) -> None:
    facts = collect(home, phase="pre")

    findings = judge(replace(facts, place=replace(facts.place, read_only=True)))

    assert [each.severity for each in findings if each.code == "backup-failure.folder-access"] == [NOTE]
    assert not facts.place.read_only


def test_names_that_are_no_text_are_told_all_the_same(home: Path, examine: Examine) -> None:
    settle(home)
    made = archive_of(home)
    odd = os.fsdecode(b"mdm_backup_\xff\n.tar.gz")
    cut_off(made.rename(made.with_name(odd)))
    (home / "logs" / odd).touch()
    (home / "logs" / odd).chmod(0o666)

    result = examine(CHECK, home)

    assert result.status is Status.FAIL
    assert "mdm_backup_\\udcff\\n.tar.gz" in the(result, "damaged-archive").message
    assert "mdm_backup_" in only_show(home, the(result, "writable-by-others"))


@needs_root
def test_a_full_disk_is_no_room_for_a_backup(home: Path, examine: Examine) -> None:
    (home / "backup").mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(home / "backup")], check=False
    ).returncode:
        pytest.skip("nothing may be mounted here")
    try:
        result = examine(CHECK, home, phase="pre")
        finding, lacking = the(result, "no-room", FAIL), the(result, "no-backup", FAIL)
    finally:
        subprocess.run(["umount", str(home / "backup")], check=True)

    assert finding.evidence["free"] == 65536
    assert lacking.remedy.commands == ()
    assert "has no room, so it has to go to other storage" in lacking.remedy.text
    assert f"{home}/backup" in finding.message


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may enter; pytest's own is closed."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def ordinary_home(home: Path, open_folder: Path) -> Path:
    """A home with a backup, of an ordinary user, whoever runs the tests."""
    settle(home)
    archive_of(home)
    moved = Path(shutil.move(home, open_folder / "home"))
    for file in (*moved.rglob("*.yaml"), *moved.rglob("*.json")):
        file.write_text(file.read_text().replace(str(home), str(moved)))
        aged(file, 5 * HOUR)
    if os.getuid() == 0:
        subprocess.run(["chown", "-R", "nobody", str(moved)], check=True)
    return moved


def test_a_home_of_an_ordinary_user_is_healthy(ordinary_home: Path, examine: Examine) -> None:
    result = examine(CHECK, ordinary_home, phase="pre", backup=ordinary_home / "backup")

    assert result.findings == ()


@pytest.mark.parametrize(
    ("path", "mode", "severity"),
    [
        ("datasets/shop/shop.sqlite", 0o000, FAIL),
        ("datasets/shop", 0o600, FAIL),
        ("config/datasets/shop.yaml", 0o055, FAIL),
        ("mdm.yaml", 0o200, FAIL),
        ("datasets/shop/shop.sqlite", 0o444, WARN),
        ("logs/mdm.log", 0o000, WARN),
        ("logs", 0o555, WARN),
    ],
)
def test_what_the_owner_may_not_use_is_found_and_repaired(
    ordinary_home: Path, examine: Examine, path: str, mode: int, severity: Severity
) -> None:
    (ordinary_home / path).chmod(mode)

    result = examine(CHECK, ordinary_home)
    assert codes(result)["backup-failure.unreadable"] is severity

    follow(the(result, "unreadable"))
    assert "backup-failure.unreadable" not in codes(examine(CHECK, ordinary_home))


@pytest.mark.parametrize(("phase", "severity"), [("pre", FAIL), ("any", WARN)])
def test_a_folder_of_backups_that_the_owner_may_not_write_to_is_found_and_repaired(
    ordinary_home: Path, examine: Examine, phase: str, severity: Severity
) -> None:
    (ordinary_home / "backup").chmod(0o555)

    result = examine(CHECK, ordinary_home, phase=phase)
    finding = the(result, "folder-access", severity)
    assert "cannot be written to" in finding.message

    only_show(ordinary_home, finding)
    (ordinary_home / "backup").chmod(0o755)
    assert "backup-failure.folder-access" not in codes(examine(CHECK, ordinary_home, phase=phase))


def test_a_folder_of_backups_behind_a_closed_one_is_found(
    ordinary_home: Path, examine: Examine, open_folder: Path
) -> None:
    (open_folder / "closed" / "backup").mkdir(parents=True)
    (open_folder / "closed").chmod(0o600)
    if os.getuid():
        pytest.skip("only root can look into what is closed")

    assert (
        "cannot be reached"
        in the(examine(CHECK, ordinary_home, backup=open_folder / "closed/backup"), "folder-access").message
    )


@needs_root
def test_files_of_somebody_else_are_found_and_repaired(ordinary_home: Path, examine: Examine) -> None:
    for path in (ordinary_home / "logs" / "mdm.log", ordinary_home / "datasets" / "shop"):
        os.chown(path, 0, 0)

    result = examine(CHECK, ordinary_home)
    finding = the(result, "foreign-owner", WARN)
    assert finding.code == "backup-failure.foreign-owner"
    only_show(ordinary_home, finding)
    for path in (ordinary_home / "logs" / "mdm.log", ordinary_home / "datasets" / "shop"):
        shutil.chown(path, "nobody")
    assert "backup-failure.foreign-owner" not in codes(examine(CHECK, ordinary_home))


@needs_root
@pytest.mark.parametrize(
    ("path", "severity"), [("datasets/shop/shop.sqlite", FAIL), ("datasets/shop", FAIL), ("logs/mdm.log", WARN)]
)
def test_what_is_unreadable_because_it_is_of_somebody_else_is_one_finding_and_gone_once_given_back(
    ordinary_home: Path, examine: Examine, path: str, severity: Severity
) -> None:
    os.chown(ordinary_home / path, 0, 0)
    (ordinary_home / path).chmod(0o700 if (ordinary_home / path).is_dir() else 0o600)

    result = examine(CHECK, ordinary_home)
    finding = the(result, "unreadable", severity)
    assert set(codes(result)) == {"backup-failure.unreadable"}
    only_show(ordinary_home, finding)

    shutil.chown(ordinary_home / path, "nobody")
    assert examine(CHECK, ordinary_home).findings == ()


@needs_root
def test_a_backup_goes_elsewhere_while_its_folder_is_mounted_read_only(
    home: Path, tmp_path: Path, examine: Examine
) -> None:
    folder = home / "backup"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(folder)], check=False).returncode:
        pytest.skip("nothing may be mounted here")
    try:
        result = examine(CHECK, home, phase="pre")
        remedy = the(result, "no-backup", FAIL).remedy
        opened = the(result, "folder-access", NOTE)
        follow(opened)
        assert os.statvfs(folder).f_flag & os.ST_RDONLY
    finally:
        subprocess.run(["umount", str(folder)], check=True)

    assert f"mounted read-only here, at {folder}" in opened.message
    assert remedy.commands == ()
    assert "is mounted read-only, so it has to go to other storage" in remedy.text
    other = tmp_path / "storage"
    assert repair("back-up", home, "--to", other) == 0
    assert "backup-failure.no-backup" not in codes(examine(CHECK, home, phase="pre", backup=other))


@needs_root
def test_many_files_of_somebody_else_are_all_listed_at_once(ordinary_home: Path, examine: Examine) -> None:
    subprocess.run(["chown", "-R", "root", str(ordinary_home / "datasets")], check=True)
    for number in range(30):
        (ordinary_home / "cache" / str(number)).parent.mkdir(exist_ok=True)
        (ordinary_home / "cache" / str(number)).touch()

    result = examine(CHECK, ordinary_home)

    assert facts_of(result)["access"]["foreign"]["count"] > 40
    shown = only_show(ordinary_home, the(result, "foreign-owner"))
    assert len(shown.splitlines()) == facts_of(result)["access"]["foreign"]["count"]


def test_what_everybody_may_change_is_a_warning_where_nothing_is_in_their_way(
    ordinary_home: Path, examine: Examine
) -> None:
    (ordinary_home / "datasets" / "shop" / "shop.sqlite").chmod(0o666)

    finding = the(examine(CHECK, ordinary_home), "writable-by-others", WARN)

    follow(finding)
    assert "backup-failure.writable-by-others" not in codes(examine(CHECK, ordinary_home))


@needs_root
def test_a_group_that_may_write_is_a_note(ordinary_home: Path, examine: Examine) -> None:
    os.chown(ordinary_home / "datasets", -1, 12345)
    (ordinary_home / "datasets").chmod(0o775)

    finding = the(examine(CHECK, ordinary_home), "writable-by-others", NOTE)

    follow(finding)
    assert stat.S_IMODE((ordinary_home / "datasets").stat().st_mode) == 0o755


def set_password(home: Path) -> None:
    twin = home / "datasets" / "shop" / "dataset_info.json"
    data = json.loads(twin.read_text())
    data["database"] = {
        "backend": "postgresql",
        "host": "db",
        "user": "ml",
        "password": "hunter2",
        "database": "mdm_shop",
    }
    twin.write_text(json.dumps(data))
    (home / "config" / "datasets" / "shop.yaml").write_text(json.dumps(data))


def test_a_password_that_others_can_read_is_found_and_repaired(ordinary_home: Path, examine: Examine) -> None:
    set_password(ordinary_home)

    result = examine(CHECK, ordinary_home)
    finding = the(result, "password-readable", WARN)
    assert finding.code == "backup-failure.password-readable"
    assert "hunter2" not in repr(result)
    assert facts_of(result)["access"]["passwords"]["count"] == 3  # both copies, and the backup that may hold them

    follow(finding)
    assert "backup-failure.password-readable" not in codes(examine(CHECK, ordinary_home))


def test_a_password_in_a_closed_home_is_only_worth_a_note(ordinary_home: Path, examine: Examine) -> None:
    set_password(ordinary_home)
    ordinary_home.chmod(0o700)

    assert codes(examine(CHECK, ordinary_home))["backup-failure.password-readable"] is NOTE


def test_the_script_is_run_only_when_asked_and_in_a_folder_of_its_own(home: Path, examine: Examine) -> None:
    archive_of(home)
    seen = home.parent / "seen"
    (home / "scripts").mkdir()
    script = home / "scripts" / "backup_mdm_state.sh"
    script.write_text(f'#!/bin/sh\n(pwd; echo "$MDM_HOME_DIR"; ls -A) > {seen}\n')
    script.chmod(0o755)

    examine(CHECK, home)
    assert not seen.exists()

    result = examine(CHECK, home, run_scripts=True)
    folder, named = seen.read_text().splitlines()
    assert facts_of(result)["script"] == {
        "path": str(script),
        "ran": True,
        "code": 0,
        "how": "ended with exit code 0",
        "output": "",
    }
    assert named == str(home)
    assert not Path(folder).exists()


def test_what_a_failing_script_says_is_told_without_its_passwords(home: Path, examine: Examine) -> None:
    failing_script(home)

    finding = the(examine(CHECK, home, run_scripts=True), "script-fails")

    assert finding.message.endswith("ended with exit code 3: Insufficient space")
    assert "hunter2" not in repr(finding)


def test_a_script_that_hangs_is_stopped(home: Path, examine: Examine) -> None:
    failing_script(home)
    (home / "scripts" / "backup_mdm_state.sh").write_text("#!/bin/sh\nsleep 300\n")

    finding = the(examine(CHECK, home, run_scripts=True, timeout=4), "script-fails")

    assert "did not finish in time" in finding.message


def test_a_script_that_everybody_may_change_is_not_run(home: Path, examine: Examine) -> None:
    failing_script(home)
    (home / "scripts" / "backup_mdm_state.sh").chmod(0o777)

    result = examine(CHECK, home, run_scripts=True)

    assert "everybody may change it" in result.reason
    assert "backup-failure.script-fails" not in codes(result)


def test_the_command_that_makes_a_script_executable_is_quoted(home: Path, examine: Examine) -> None:
    home = home.rename(home.with_name("my home"))
    failing_script(home)
    script = home / "scripts" / "backup_mdm_state.sh"
    script.chmod(0o644)

    result = examine(CHECK, home, run_scripts=True)

    assert f"(chmod +x '{script}')" in result.reason


def test_a_script_that_is_nowhere_is_a_gap_when_it_was_asked_for(home: Path, examine: Examine) -> None:
    assert "backup_mdm_state.sh is not there" in examine(CHECK, home, run_scripts=True).reason
    assert examine(CHECK, home).reason == ""


def test_a_script_in_a_source_tree_is_found(home: Path, tmp_path: Path, examine: Examine) -> None:
    failing_script(home)
    shutil.move(home / "scripts", tmp_path / "scripts")
    (tmp_path / "src" / "mdm").mkdir(parents=True)

    result = examine(CHECK, home, run_scripts=True, source=(tmp_path / "src" / "mdm",))

    assert str(tmp_path / "scripts") in the(result, "script-fails").message


def test_an_empty_home_needs_a_backup_no_less(tmp_path: Path, examine: Examine) -> None:
    (tmp_path / "empty/config/datasets").mkdir(parents=True)

    assert codes(examine(CHECK, tmp_path / "empty")) == {"backup-failure.no-backup": NOTE}


def test_facts_are_plain_data(home: Path) -> None:
    archive_of(home)
    facts = collect(home)

    assert isinstance(facts, BackupFacts)
    assert facts.datasets == 4


def test_data_on_a_server_does_not_make_a_missing_backup_a_partial_one(
    home: Path, examine: Callable[..., Result]
) -> None:
    text = "name: web\ndatabase: {backend: postgresql, host: db, port: 5432, user: ml, database: mdm_web}\ntables: {}\n"
    (home / "config" / "datasets" / "web.yaml").write_text(text)
    found = {finding.code for finding in examine("backup-failure", home).findings}
    assert "backup-failure.no-backup" in found
    assert "backup-failure.missing-dataset" not in found
