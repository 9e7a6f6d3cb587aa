"""The commands that backup-failure prints, run as they are: they make one archive, or change modes."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_mdm_health.core.model import Finding, Result, Severity, Status
from tests.helpers import follow

CHECK = "backup-failure"
Examine = Callable[..., Result]
Seen = dict[str, tuple[int, bytes]]


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


def only_file(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def test_the_new_backup_is_one_that_this_check_finds_good(each_home: Path, examine: Examine) -> None:
    finding = the(examine(CHECK, each_home, phase="pre"), "no-backup")
    before = seen(each_home)
    follow(finding)
    assert seen(each_home) == before
    again = examine(CHECK, each_home, phase="pre", depth="full")
    assert (again.status, again.findings) == (Status.PASS, ())


def test_a_backup_goes_where_backups_were_looked_for(home: Path, examine: Examine, tmp_path: Path) -> None:
    folder = tmp_path / "a b[1]"
    folder.mkdir()
    follow(the(examine(CHECK, home, phase="pre", backup=folder), "no-backup"))
    assert len(list(folder.iterdir())) == 1
    assert examine(CHECK, home, phase="pre", backup=folder).findings == ()


def test_without_room_the_place_is_for_a_person_to_say(home: Path, examine: Examine) -> None:
    with (home / "datasets/shop/import.tmp").open("wb") as file:
        file.truncate(shutil.disk_usage(home).total * 8)
    finding = the(examine(CHECK, home), "no-room")
    assert finding.remedy.commands == ()
    assert f"mdm-health back-up {home} --to=FOLDER" in finding.remedy.text


def test_old_archives_are_listed_and_go_once_a_newer_is_good(home: Path, examine: Examine) -> None:
    follow(the(examine(CHECK, home), "no-backup"))
    newest = only_file(home / "backup")
    old = home / "backup" / "mdm_backup_0.tar.gz"
    shutil.copy(newest, old)
    os.utime(old, (time.time() - 40 * 86400,) * 2)
    before = seen(home)
    finding = the(examine(CHECK, home), "old-backups")
    assert "cannot be taken back" in finding.remedy.text
    follow(finding)
    assert seen(home) == before
    assert only_file(home / "backup") == newest
    assert examine(CHECK, home).findings == ()


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

    follow(finding)

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
                (
                    "mdm-health back-up ",
                    "mdm-health permissions ",
                    "mdm-health prune-backups ",
                    "ls -l",
                    "find ",
                    "date",
                    "df ",
                )
            ) or (command.endswith("--dry-run --verbose")), command
    assert result.status is not Status.PASS
    assert Severity.FAIL in {each.severity for each in result.findings}
