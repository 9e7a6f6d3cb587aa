"""The commands that backup-failure prints, run as they are: they make one archive, or change a name or modes."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_mdm_health.core.model import Finding, Result, Severity, Status

CHECK = "backup-failure"
Examine = Callable[..., Result]
Seen = dict[str, tuple[int, bytes]]
LOGGED = """
import os, sqlite3
c = sqlite3.connect({path!r})
c.execute("PRAGMA journal_mode=WAL")
c.execute("PRAGMA wal_autocheckpoint=0")
c.execute("DELETE FROM train WHERE rowid % 2 = 0")
c.commit()
os._exit(0)
"""


def the(result: Result, code: str) -> Finding:
    return next(each for each in result.findings if each.code == f"{CHECK}.{code}")


def seen(folder: Path, *, but: str = "backup") -> Seen:
    """Everything below a folder, with its mode and content."""
    found: Seen = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not but or name.partition("/")[0] != but:
            content = os.fsencode(path.readlink()) if path.is_symlink() else b""
            found[name] = (path.lstat().st_mode, path.read_bytes() if path.is_file() else content)
    return found


def run(finding: Finding, **environ: str) -> list[int]:
    """Paste the commands; how each ended."""
    return [
        subprocess.run(command, shell=True, check=False, env=os.environ | environ).returncode  # noqa: S602 - as a person would
        for command in finding.remedy.commands
    ]


def only_file(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def unpacked(archive: Path, into: Path) -> Path:
    into.mkdir()
    subprocess.run(["tar", "-C", str(into), "-xpzf", str(archive)], check=True)
    return into


def test_the_new_archive_holds_everything_with_the_logs_and_nothing_is_changed(
    each_home: Path, examine: Examine, tmp_path: Path
) -> None:
    if each_home.joinpath("datasets/shop/shop.sqlite").exists():
        data = each_home / "datasets/shop/shop.sqlite"
        subprocess.run([sys.executable, "-c", LOGGED.format(path=str(data))], check=True)
        assert data.with_name("shop.sqlite-wal").stat().st_size
    (each_home / "cache").mkdir(exist_ok=True)
    (each_home / "cache" / "junk").write_bytes(b"x")
    finding = the(examine(CHECK, each_home, phase="pre"), "no-backup")
    before = seen(each_home)

    assert set(run(finding)) == {0}

    archive = only_file(each_home / "backup")
    assert seen(each_home) == before
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600  # there may be passwords in it
    assert seen(unpacked(archive, tmp_path / "restored")) == {
        name: each for name, each in before.items() if name.partition("/")[0] != "cache"
    }
    again = examine(CHECK, each_home, phase="pre")
    assert (again.status, again.findings) == (Status.PASS, ())


def test_data_that_the_settings_put_into_the_cache_is_in_the_archive(home: Path, examine: Examine) -> None:
    (home / "cache").mkdir(exist_ok=True)
    (home / "datasets").rename(home / "cache" / "datasets")
    with (home / "mdm.yaml").open("a", encoding="utf-8") as settings:
        settings.write("paths: {datasets_path: cache/datasets}\n")
    for file in (*home.rglob("*.yaml"), *home.rglob("dataset_info.json")):
        file.write_text(file.read_text().replace(f"{home}/datasets/", f"{home}/cache/datasets/"), encoding="utf-8")
    finding = the(examine(CHECK, home, phase="pre"), "no-backup")
    assert set(run(finding)) == {0}
    assert examine(CHECK, home, phase="pre").findings == ()


@pytest.mark.parametrize("folder", ["saved[1]", "a b", "deep/er", "li*nk"])
def test_backups_in_the_home_are_left_out_of_the_next_one_however_their_folder_is_called(
    home: Path, examine: Examine, tmp_path: Path, folder: str
) -> None:
    place = home / folder
    place.mkdir(parents=True)
    (place / "earlier.txt").write_text("x")
    given = place
    if folder == "li*nk":  # named by a way that does not begin like the home
        given = tmp_path / "way"
        given.symlink_to(place)
    finding = the(examine(CHECK, home, phase="pre", backup=given), "no-backup")

    assert set(run(finding)) == {0}

    (archive,) = place.glob("mdm_backup_*.tar.gz")
    held = seen(unpacked(archive, tmp_path / "restored"))
    assert "mdm.yaml" in held
    assert not any(name == folder or name.startswith(f"{folder}/") for name in held)


def fixed_date(tmp_path: Path) -> str:
    """A PATH on which it is always the same second."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "date").write_text("#!/bin/sh\necho 20261129_120000\n")
    (tmp_path / "bin" / "date").chmod(0o755)
    return f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_an_archive_that_is_there_is_never_overwritten(home: Path, examine: Examine, tmp_path: Path, kind: str) -> None:
    (home / "backup").mkdir()
    finding = the(examine(CHECK, home, phase="pre"), "no-backup")
    there = home / "backup" / "mdm_backup_20261129_120000.tar.gz"
    if kind == "file":
        there.write_text("the only good one")
    elif kind == "folder":
        there.mkdir()
    else:
        there.symlink_to("elsewhere.tar.gz")
    before = seen(home, but="")

    codes = run(finding, PATH=fixed_date(tmp_path))

    if kind != "folder":
        assert codes == [1]
        assert seen(home, but="") == before
    else:
        assert before.items() <= seen(home, but="").items()


def test_a_tar_that_fails_leaves_nothing_that_looks_like_a_backup(home: Path, examine: Examine, tmp_path: Path) -> None:
    shutil.move(home / "datasets/shop/shop.sqlite", tmp_path / "shop.sqlite")
    (home / "datasets/shop/shop.sqlite").symlink_to(tmp_path / "shop.sqlite")
    (home / "backup").mkdir()
    finding = the(examine(CHECK, home, phase="pre"), "no-backup")
    (tmp_path / "shop.sqlite").unlink()
    before = seen(home, but="")

    (code,) = run(finding)

    assert code != 0
    assert seen(home, but="") == before


@pytest.mark.skipif(os.getuid() != 0, reason="only root can mount")
def test_a_full_disk_leaves_nothing_that_looks_like_a_backup(home: Path, examine: Examine) -> None:
    (home / "backup").mkdir()
    finding = the(examine(CHECK, home, phase="pre"), "no-backup")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", str(home / "backup")], check=False).returncode:
        pytest.skip("nothing may be mounted here")
    try:
        (code,) = run(finding)
        left = [*(home / "backup").iterdir()]
    finally:
        subprocess.run(["umount", str(home / "backup")], check=True)

    assert code != 0
    assert left == []


def test_packing_harder_elsewhere_makes_a_good_backup_too(home: Path, examine: Examine, tmp_path: Path) -> None:
    with (home / "datasets/shop/import.tmp").open("wb") as file:
        file.truncate(shutil.disk_usage(home).total * 8)
    finding = the(examine(CHECK, home), "no-room")
    (home / "datasets/shop/import.tmp").unlink()
    before = seen(home)
    (tmp_path / "storage").mkdir()
    (command,) = finding.remedy.commands

    subprocess.run(command.replace("/path/on/other/storage", str(tmp_path / "storage")), shell=True, check=True)  # noqa: S602 - as a person would

    assert seen(home) == before
    assert seen(unpacked(only_file(tmp_path / "storage"), tmp_path / "restored")) == before
    assert examine(CHECK, home, phase="pre", backup=tmp_path / "storage").status is Status.PASS


def test_the_home_itself_is_no_place_for_its_backups(home: Path, examine: Examine) -> None:
    finding = the(examine(CHECK, home, phase="pre", backup=home), "no-backup")

    assert finding.remedy.commands == ()
    assert "--mdm-backup" in finding.remedy.text


@pytest.fixture
def open_home(home: Path) -> Iterator[Path]:
    """A home of an ordinary user in a folder that everybody may enter, with a backup."""
    (home / "backup").mkdir()
    archive = home / "backup" / "mdm_backup_1.tar.gz"
    subprocess.run(["tar", "-C", str(home), "--exclude=./backup", "-czf", str(archive), "."], check=True)
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        Path(name).chmod(0o755)
        moved = Path(shutil.move(home, Path(name) / "home"))
        for file in (*moved.rglob("*.yaml"), *moved.rglob("*.json")):
            file.write_text(file.read_text().replace(str(home), str(moved)))
        for path in moved.rglob("*"):
            os.utime(path, (time.time() - 7200, time.time() - 7200))
        if os.getuid() == 0:
            subprocess.run(["chown", "-R", "nobody", str(moved)], check=True)
        yield moved


@pytest.mark.parametrize(
    ("code", "names", "mode", "wanted"),
    [
        ("unreadable", ("datasets/shop/shop.sqlite", "datasets/it's $(a).sqlite"), 0o000, 0o600),
        ("unreadable", ("logs",), 0o500, 0o700),
        ("writable-by-others", ("datasets/shop/shop.sqlite", "datasets/it's $(a).sqlite"), 0o666, 0o644),
    ],
)
def test_modes_are_changed_of_what_is_named_and_of_nothing_else(
    open_home: Path, examine: Examine, code: str, names: tuple[str, ...], mode: int, wanted: int
) -> None:
    shutil.copy2(open_home / "datasets/wine/wine.sqlite", open_home / "datasets/it's $(a).sqlite")
    for name in names:
        if os.getuid() == 0:
            shutil.chown(open_home / name, "nobody")
        (open_home / name).chmod(mode)
    before = seen(open_home, but="")
    finding = the(examine(CHECK, open_home), code)

    assert run(finding) == [0]

    after = seen(open_home, but="")
    assert {name for name in before if before[name] != after[name]} == set(names)
    assert {name: content for name, (_, content) in after.items()} == {
        name: content for name, (_, content) in before.items()
    }
    assert {stat.S_IMODE((open_home / name).stat().st_mode) for name in names} == {wanted}
    assert f"{CHECK}.{code}" not in {each.code for each in examine(CHECK, open_home).findings}


def test_where_too_many_have_to_be_changed_they_are_only_shown(open_home: Path, examine: Examine) -> None:
    for number in range(30):
        path = open_home / "datasets" / f"{number:02d}.sqlite"
        path.write_bytes(b"x")
        if os.getuid() == 0:
            shutil.chown(path, "nobody")
        path.chmod(0o666)
    finding = the(examine(CHECK, open_home), "writable-by-others")
    before = seen(open_home, but="")

    (command,) = finding.remedy.commands
    shown = subprocess.run(command, shell=True, check=True, capture_output=True, text=True).stdout  # noqa: S602 - as a person would

    assert seen(open_home, but="") == before
    assert len(shown.splitlines()) == 30
    assert "chmod go-w" in finding.remedy.text


NEVER = (" -delete", "chown ", "mount ", "touch ", "pg_dump", "chmod -R", "backup_mdm_state.sh --output")


def test_no_command_deletes_gives_away_mounts_or_forges_a_time(open_home: Path, examine: Examine) -> None:
    """On a home with a bit of everything, whatever is printed is of a kind that a test above runs, or only shows."""
    backup = open_home / "backup"
    os.utime(backup / "mdm_backup_1.tar.gz", (time.time() + 86400, time.time() + 86400))
    shutil.copy2(backup / "mdm_backup_1.tar.gz", backup / "mdm_backup_0.tar.gz")
    os.utime(backup / "mdm_backup_0.tar.gz", (1.6e9, 1.6e9))
    (open_home / "datasets" / "odd").mkdir(mode=0o750)
    (open_home / "scripts").mkdir()
    (open_home / "scripts" / "backup_mdm_state.sh").write_text("#!/bin/sh\nexit 3\n")
    (open_home / "scripts" / "backup_mdm_state.sh").chmod(0o755)
    registration = "name: web\ndatabase: {backend: postgresql, host: db, port: 5432, database: mdm_web}\ntables: {}\n"
    (open_home / "config/datasets/web.yaml").write_text(registration)
    (open_home / "logs" / "mdm.log").chmod(0o666)
    backup.chmod(0o555)

    result = examine(CHECK, open_home, phase="pre", run_scripts=True)

    assert len({each.code for each in result.findings}) >= 7
    for finding in result.findings:
        assert finding.remedy.text
        for command in finding.remedy.commands:
            assert not any(word in command for word in NEVER), command
            assert command.startswith(
                ("(umask 077 && part=", "chmod ", "mkdir -p", "ls -l", "find ", "date", "df ")
            ) or (command.endswith("--dry-run --verbose")), command
    assert result.status is not Status.PASS
    assert Severity.FAIL in {each.severity for each in result.findings}
