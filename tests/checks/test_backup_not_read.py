"""Backups that cannot be read to their end, or lack the last changes: none of them passes before a migration."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from pytest_mdm_health.core.model import HOME, Finding, Result, Severity, Status
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.engine.runner import examine as examined
from pytest_mdm_health.mdm.inventory import take_inventory
from tests.helpers import crossed

CHECK = "backup-failure"
FAIL, WARN, NOTE = Severity.FAIL, Severity.WARN, Severity.NOTE
HOUR = 3600
Examine = Callable[..., Result]

needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can examine as somebody else")


def codes(result: Result) -> dict[str, Severity]:
    return {each.code.partition(".")[2]: each.severity for each in result.findings}


def the(result: Result, code: str) -> Finding:
    return next(each for each in result.findings if each.code == f"{CHECK}.{code}")


def aged(path: Path, age_s: float = HOUR) -> Path:
    os.utime(path, (time.time() - age_s, time.time() - age_s))
    return path


@pytest.fixture
def settled(home: Path) -> Path:
    """A home in which everything is older than any backup, with an empty folder for them."""
    for path in home.rglob("*"):
        aged(path, 5 * HOUR)
    (home / "backup").mkdir()
    return home


def archive_of(home: Path, name: str, flag: str = "z") -> Path:
    path = home / "backup" / name
    subprocess.run(["tar", "-C", str(home), "--exclude=./backup", f"-c{flag}f", str(path), "."], check=True)
    return aged(path)


def copied(home: Path, name: str = "copy") -> Path:
    """A plain copy of the home as a backup."""
    copy = home / "backup" / name
    shutil.copytree(home, copy, ignore=shutil.ignore_patterns("backup"))
    for path in (copy, *copy.rglob("*")):
        aged(path)
    return copy


def compressed(home: Path, ending: str) -> Path:
    if ending == "zst":
        if shutil.which("zstd") is None:
            pytest.skip("there is no zstd here")
        plain = archive_of(home, "plain", "")
        subprocess.run(["zstd", "-q", "--rm", str(plain), "-o", str(home / "backup/saved.tar.zst")], check=True)
        return aged(home / "backup/saved.tar.zst")
    return archive_of(home, f"saved.tar.{ending}", {"gz": "z", "bz2": "j", "xz": "J"}[ending])


@pytest.mark.parametrize("ending", ["gz", "bz2", "xz", "zst"])
def test_compressed_archives_are_read_to_the_end_and_fail_if_cut(settled: Path, examine: Examine, ending: str) -> None:
    path = compressed(settled, ending)
    sound = examine(CHECK, settled, phase="pre")
    assert (sound.status, sound.findings) == (Status.PASS, ())

    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    aged(path)

    assert codes(examine(CHECK, settled, phase="pre")) == {"damaged-archive": FAIL}


def encrypted_zip(home: Path) -> None:
    path = home / "backup" / "saved.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for each in sorted(each for each in home.rglob("*") if each.is_file() and each != path):
            archive.write(each, each.relative_to(home))
    content = bytearray(path.read_bytes())
    for magic, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = content.find(magic)
        while at >= 0:
            content[at + offset] |= 1
            at = content.find(magic, at + 4)
    path.write_bytes(content)


def with_gpg(home: Path) -> None:
    if shutil.which("gpg") is None:
        pytest.skip("there is no gpg here")
    plain = archive_of(home, "saved.tar.gz")
    with tempfile.TemporaryDirectory() as keys:
        command = ["gpg", "--batch", "--quiet", "--homedir", keys, "--pinentry-mode", "loopback", "--passphrase", "x"]
        subprocess.run([*command, "--symmetric", str(plain)], check=True, capture_output=True)
        subprocess.run(["gpgconf", "--homedir", keys, "--kill", "all"], check=False)
    plain.unlink()


def in_pieces(home: Path) -> None:
    content = archive_of(home, "saved.tar.gz").read_bytes()
    (home / "backup" / "saved.tar.gz").unlink()
    for number, start in enumerate(range(0, len(content), len(content) // 3 + 1), start=1):
        (home / "backup" / f"saved.tar.gz.{number:03d}").write_bytes(content[start : start + len(content) // 3 + 1])


def restic(home: Path) -> None:
    for name in ("data", "index", "keys", "snapshots"):
        (home / "backup" / "repo" / name).mkdir(parents=True)
    (home / "backup" / "repo" / "config").write_bytes(b"\x00\x01")


def borg(home: Path) -> None:
    (home / "backup" / "repo" / "data").mkdir(parents=True)
    (home / "backup" / "repo" / "config").write_text("[repository]\nversion = 1\n")
    (home / "backup" / "repo" / "README").write_text("This is a Borg Backup repository.\n")


def named(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda home: (home / "backup" / name).write_bytes(content)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (encrypted_zip, "is encrypted"),
        (with_gpg, "is encrypted with GnuPG"),
        (named("saved.tar.gz.age", b"age-encryption.org/v1\n"), "is encrypted with age"),
        (named("mdm_backup_20261129.tar.gz", b"Salted__xxxxxxxx"), "is encrypted with OpenSSL"),
        (named("saved.7z", b"7z\xbc\xaf\x27\x1c"), "is a 7z archive"),
        (named("saved.tar.lz4", b"\x04\x22\x4d\x18"), "is a tar.lz4 archive"),
        (named("shop.sqlite.gz", b"\x1f\x8b\x08"), "is a compressed file of one dataset"),
        (in_pieces, "saved.tar.gz.001 is a piece of a split archive"),
        (restic, "is a repository of restic"),
        (borg, "is a repository of Borg"),
    ],
    ids=["zip", "gpg", "age", "openssl", "7z", "lz4", "one-dataset", "split", "restic", "borg"],
)
def test_unreadable_formats_are_named_and_fail_before_migration(
    settled: Path, examine: Examine, make: Callable[[Path], object], says: str
) -> None:
    make(settled)

    before, later = examine(CHECK, settled, phase="pre"), examine(CHECK, settled, phase="any")

    assert codes(before) == {"not-read": FAIL}
    assert says in the(before, "not-read").message
    assert codes(later) == {"not-read": NOTE}
    assert the(before, "not-read").remedy.text

    archive_of(settled, "mdm_backup_good.tar.gz")  # which is older, or as old
    aged(settled / "backup" / "mdm_backup_good.tar.gz", -1)
    assert examine(CHECK, settled, phase="pre").findings == ()


def test_a_signature_beside_an_archive_is_no_backup(settled: Path, examine: Examine) -> None:
    archive_of(settled, "mdm_backup_1.tar.gz")
    for ending in ("asc", "sha256", "sig"):
        (settled / "backup" / f"mdm_backup_1.tar.gz.{ending}").write_text("-----BEGIN PGP SIGNATURE-----\n")

    assert examine(CHECK, settled, phase="pre").findings == ()


def test_an_older_good_backup_makes_a_newer_closed_one_a_warning(settled: Path, examine: Examine) -> None:
    aged(archive_of(settled, "mdm_backup_1.tar.gz"), 2 * HOUR)
    (settled / "backup" / "mdm_backup_2.7z").write_bytes(b"7z\xbc\xaf\x27\x1c")

    assert codes(examine(CHECK, settled, phase="pre")) == {"not-read": WARN}


def test_an_empty_archive_of_any_name_is_no_backup(settled: Path, examine: Examine) -> None:
    with tarfile.open(settled / "backup" / "mdm_backup_1.tar.xz", "w:xz"):
        pass
    assert codes(examine(CHECK, settled, phase="pre")) == {"nothing-inside": FAIL}
    (settled / "backup" / "mdm_backup_1.tar.xz").write_bytes(b"")
    assert codes(examine(CHECK, settled, phase="pre")) == {"damaged-archive": FAIL}
    (settled / "backup" / "mdm_backup_1.tar.xz").rename(settled / "backup" / "mdm_backup_1.part")
    assert codes(examine(CHECK, settled, phase="pre")) == {"damaged-archive": FAIL}


def test_settings_that_are_empty_in_a_backup_are_missing(settled: Path, examine: Examine) -> None:
    (copied(settled) / "mdm.yaml").write_text("")

    assert codes(examine(CHECK, settled, phase="pre")) == {"missing-settings": WARN}


@pytest.mark.parametrize("phase", ["pre", "any", "post"])
def test_what_was_not_read_for_time_is_an_error_in_every_phase(settled: Path, phase: str) -> None:
    archive_of(settled, "mdm_backup_1.tar.gz")

    result = looked_at(settled, phase=phase, timeout=1e-6)
    assert result.status is Status.ERROR
    assert "the time was up" in the(result, "not-read").message


def looked_at(home: Path, **options: object) -> Result:
    """The result, looked for in this process, with the rights that it has."""
    inventory = take_inventory(home, {})
    values = {"mdm_inventory": inventory, "mdm_options": Options(home=home, **options)}  # type: ignore[arg-type]
    return examined(CHECK, HOME, values)


@contextlib.contextmanager
def somebody_else() -> Iterator[None]:
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_home(settled: Path) -> Iterator[Path]:
    """A home that an ordinary user may read."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        Path(name).chmod(0o755)
        moved = Path(shutil.move(settled, Path(name) / "home"))
        for file in (*moved.rglob("*.yaml"), *moved.rglob("*.json")):
            file.write_text(file.read_text().replace(str(settled), str(moved)))
            aged(file, 5 * HOUR)
        looked_at(moved)  # what somebody else may not import is imported
        yield moved


@needs_root
@pytest.mark.parametrize("depth", ["quick", "standard"])
@pytest.mark.parametrize("kind", ["archive", "folder", "file in a copy", "folder in a copy", "settings in a copy"])
def test_a_closed_backup_is_an_error_in_every_phase(open_home: Path, kind: str, depth: str) -> None:
    backup = open_home / "backup"
    if kind == "archive":
        closed = archive_of(open_home, "mdm_backup_1.tar.gz")
    elif kind == "folder":
        archive_of(open_home, "mdm_backup_1.tar.gz")
        closed = backup
    else:
        inside = {"file in a copy": "datasets/shop/shop.sqlite", "folder in a copy": "datasets/shop"}
        closed = copied(open_home) / inside.get(kind, "mdm.yaml")
    with somebody_else():
        assert looked_at(open_home, phase="pre", depth=depth).status is Status.PASS
    closed.chmod(0o000)

    with somebody_else():
        before, later = (looked_at(open_home, phase=phase, depth=depth) for phase in ("pre", "any"))

    for result in (before, later):
        if kind != "folder in a copy":  # of which it is not known what it holds
            assert result.status is Status.ERROR
        assert result.status in {Status.ERROR, Status.FAIL}
        assert codes(result)["not-read"] is WARN
        assert "no-backup" not in codes(result)
        assert "Permission denied" in the(result, "not-read").message


@needs_root
def test_an_unreadable_dataset_file_is_an_error_before_migration(open_home: Path) -> None:
    shutil.copy2(open_home / "mdm.yaml", open_home / "backup" / "mdm.yaml")
    for name in ("big", "breast_cancer", "shop", "wine"):
        aged(Path(shutil.copy2(open_home / f"datasets/{name}/{name}.sqlite", open_home / "backup" / f"{name}.db")))
    with somebody_else():
        assert looked_at(open_home, phase="pre").status is Status.PASS
    (open_home / "backup" / "wine.db").chmod(0o000)

    with somebody_else():
        result = looked_at(open_home, phase="pre")

    assert result.status is Status.ERROR
    assert the(result, "not-read").subject == "wine"


LOGGED = """
import os, sqlite3
c = sqlite3.connect({path!r})
c.execute("PRAGMA journal_mode=WAL")
c.execute("PRAGMA wal_autocheckpoint=0")
c.execute("DELETE FROM train WHERE rowid % 2 = 0")
c.commit()
os._exit(0)
"""
LOGGED_BY_DUCKDB = """
import duckdb, os
c = duckdb.connect({path!r})
c.execute("SET wal_autocheckpoint = '1TB'")
c.execute("CREATE TABLE late AS SELECT 1 AS id")
os._exit(0)
"""


def with_log(home: Path, code: str, data: Path) -> Path:
    """Let changes of a dataset be in the log beside its file, and older than any backup."""
    subprocess.run([sys.executable, "-c", code.format(path=str(data))], check=True)
    (log,) = (each for each in data.parent.glob(f"{data.name}*wal"))
    assert log.stat().st_size
    for path in home.rglob("*"):
        aged(path, 5 * HOUR)
    return log


@pytest.mark.parametrize(("how", "engine"), crossed(["folder", "archive"], ["sqlite", "duckdb"]))
@pytest.mark.parametrize("depth", ["quick", pytest.param("standard", marks=pytest.mark.slow)])
def test_a_copy_without_the_wal_of_its_last_changes_is_found(
    make_home: Callable[..., Path], examine: Examine, engine: str, how: str, depth: str
) -> None:
    home = make_home(f"mdm-1.0.6-{engine}")
    (home / "backup").mkdir()
    log = with_log(home, LOGGED if engine == "sqlite" else LOGGED_BY_DUCKDB, home / f"datasets/shop/shop.{engine}")

    def backed_up(*left_out: str) -> None:
        shutil.rmtree(home / "backup")
        (home / "backup").mkdir()
        if how == "folder":
            shutil.copytree(home, home / "backup" / "copy", ignore=shutil.ignore_patterns("backup", *left_out))
            for path in (home / "backup" / "copy").rglob("*"):
                aged(path)
        else:
            path = home / "backup" / "saved.tar.gz"
            without = [f"--exclude={each}" for each in left_out]
            subprocess.run(["tar", "-C", str(home), "--exclude=./backup", *without, "-czf", str(path), "."], check=True)
            aged(path)

    backed_up()
    assert examine(CHECK, home, phase="pre", depth=depth).findings == ()
    backed_up(log.name, f"shop.{engine}-shm")
    before, later = (examine(CHECK, home, phase=phase, depth=depth) for phase in ("pre", "any"))

    assert codes(before) == {"without-log": FAIL}
    assert codes(later) == {"without-log": WARN}
    assert f"lacks the changes that {log} holds for 'shop'" in the(before, "without-log").message
    assert log.stat().st_size


def test_a_copy_made_by_the_engine_is_complete_without_a_wal(settled: Path, examine: Examine) -> None:
    data = settled / "datasets/shop/shop.sqlite"
    with_log(settled, LOGGED, data)
    copy = copied(settled)
    for name in ("shop.sqlite-wal", "shop.sqlite-shm", "shop.sqlite"):
        (copy / "datasets/shop" / name).unlink()
    with contextlib.closing(sqlite3.connect(settled.parent / "reader.sqlite")) as whole:
        for ending in ("", "-wal"):
            shutil.copy2(f"{data}{ending}", settled.parent / f"other.sqlite{ending}")
        with contextlib.closing(sqlite3.connect(settled.parent / "other.sqlite")) as other:
            other.execute("VACUUM INTO ?", (str(copy / "datasets/shop/shop.sqlite"),))
        whole.execute("SELECT 1")
    aged(copy / "datasets/shop/shop.sqlite")

    assert examine(CHECK, settled, phase="pre").findings == ()


def test_a_wal_newer_than_the_backup_fails_before_migration(settled: Path, examine: Examine) -> None:
    data = settled / "datasets/shop/shop.sqlite"
    log = with_log(settled, LOGGED, data)
    copy = copied(settled)
    (copy / "datasets/shop/shop.sqlite-wal").unlink()
    aged(log, 0)

    before, later = (examine(CHECK, settled, phase=phase) for phase in ("pre", "any"))

    assert codes(before) == {"without-log": FAIL, "outdated": WARN}
    assert codes(later) == {"without-log": NOTE, "outdated": NOTE}


def test_an_incomparable_wal_is_an_error_before_migration(settled: Path, examine: Examine) -> None:
    log = with_log(settled, LOGGED, settled / "datasets/shop/shop.sqlite")
    copy = copied(settled)
    (copy / "datasets/shop" / log.name).unlink()
    data = settled / "datasets/shop/shop.sqlite"
    data.write_bytes(data.read_bytes()[:5000])
    log.write_bytes(b"x" * 100)
    for path in (data, log):
        aged(path, 5 * HOUR)

    result = examine(CHECK, settled, phase="pre")

    assert result.status is Status.ERROR
    assert "was not compared with what is in" in the(result, "not-read").message


def exported(home: Path, ending: str) -> None:
    """A file with one table of each dataset."""
    shutil.copy2(home / "mdm.yaml", home / "backup" / "mdm.yaml")
    for name in ("big", "breast_cancer", "shop", "wine"):
        with contextlib.closing(sqlite3.connect(home / f"datasets/{name}/{name}.sqlite")) as connection:
            tables = [each for (each,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            table = next(each for each in sorted(tables) if each[0] != "_" and not each.endswith("_features"))
            frame = pd.read_sql_query(f'SELECT * FROM "{table}"', connection).astype(str)  # noqa: F841 - used below
        options = "PARQUET" if ending == "parquet" else "CSV, HEADER"
        duckdb.execute(f"COPY (SELECT * FROM frame) TO '{home / 'backup' / name}.{ending}' (FORMAT {options})")
        aged(home / "backup" / f"{name}.{ending}")


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_a_file_for_each_dataset_is_read_to_its_end(settled: Path, examine: Examine, ending: str) -> None:
    exported(settled, ending)
    assert examine(CHECK, settled, phase="pre").findings == ()
    path = settled / "backup" / f"big.{ending}"
    content = bytearray(path.read_bytes())
    if ending == "parquet":
        content[2000:2200] = bytes(200)
    else:
        content = content[: content.index(b"\n", len(content) // 2) + 1]
    path.write_bytes(content)
    aged(path)

    result = examine(CHECK, settled, phase="pre")

    code, says = {
        "parquet": ("damaged-data", "cannot be read"),
        "csv": ("incomplete-data", "no table of 'big' has as many"),
    }[ending]
    assert codes(result) == {code: FAIL}
    assert says in the(result, code).message


def test_a_dataset_in_a_damaged_dump_still_has_to_be_archived(settled: Path, examine: Examine) -> None:
    path = settled / "backup" / "mdm_backup_1.tar.gz"
    subprocess.run(
        ["tar", "-C", str(settled), "--exclude=./backup", "--exclude=shop.sqlite", "-czf", str(path), "."], check=True
    )
    aged(path)
    (settled / "backup" / "shop.parquet").write_bytes(b"PAR1 and no more")

    assert codes(examine(CHECK, settled, phase="pre")) == {"missing-dataset": FAIL, "damaged-data": FAIL}
