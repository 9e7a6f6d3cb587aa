"""A step is done whole or not at all, and what it changed can be taken back, byte for byte."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pytest_mdm_health.core.verbs import Repair
from pytest_mdm_health.mdm.repair_marker import MARKER, read_marker
from pytest_mdm_health.repair.carrying_out import carry_out
from pytest_mdm_health.repair.journal import Unusable, new_journal, read_journal
from pytest_mdm_health.repair.step import Changes, NotDone, Outline
from pytest_mdm_health.repair.undo import undo
from tests.helpers import repair
from tests.watched import differences, snapshot


@dataclass(frozen=True)
class Rewriting:
    """A step that changes files as the test says."""

    changes: Changes
    touches: tuple[Path, ...] = ()
    meanwhile: Callable[[], object] = field(default=lambda: None)

    @property
    def repair(self) -> Repair:
        return Repair("set-aside", "/somewhere")

    def outline(self) -> Outline:
        return Outline("rewrite files", touches=self.touches)

    def make(self, work: Path) -> Changes:
        self.meanwhile()
        files = {}
        for number, (path, content) in enumerate(self.changes.files.items()):
            files[path] = content and work / str(number)
            if content is not None:
                (work / str(number)).write_bytes(os.fsencode(content))
        return Changes(files, self.changes.modes, self.changes.folders)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return tmp_path / "saved"


def changed_home(home: Path) -> Rewriting:
    """A file rewritten, one removed, a new one in a new folder, a link replaced, a mode and a folder that go."""
    (home / "empty/inner").mkdir(parents=True)
    (home / "link").symlink_to("mdm.yaml")
    settings = home / "mdm.yaml"
    settings.chmod(0o640)
    files = {
        settings: Path("new: content\n"),
        home / "metrics.db": None,
        home / "a/b/new.txt": Path("new"),
        home / "link": None,
    }
    modes = {home / "config/datasets/shop.yaml": 0o600}
    return Rewriting(Changes(files, modes, (home / "empty/inner", home / "empty")))


def test_what_was_done_is_taken_back_to_the_byte(home: Path, saved: Path) -> None:
    step = changed_home(home)
    before = snapshot(home)
    with new_journal(home, saved) as journal:
        assert carry_out(step, journal) == "rewrite files"
        assert read_marker(home) is not None
    settings = home / "mdm.yaml"
    assert settings.read_text(encoding="utf-8") == "new: content\n"
    assert stat.S_IMODE(settings.stat().st_mode) == 0o640
    assert not (home / "empty").exists()
    assert not os.path.lexists(home / "link")
    assert stat.S_IMODE((home / "config/datasets/shop.yaml").stat().st_mode) == 0o600
    assert not (home / MARKER).exists()
    assert repair("repair", "--undo", saved) == 0
    wrong = [line for line in differences(before, snapshot(home)) if "mtime_ns" not in line]
    assert wrong == []
    assert snapshot(home)[str(settings)] == before[str(settings)]


def test_taking_back_twice_changes_nothing_more(home: Path, saved: Path) -> None:
    with new_journal(home, saved) as journal:
        carry_out(changed_home(home), journal)
    assert list(undo(read_journal(saved)))
    once = snapshot(home)
    assert list(undo(read_journal(saved))) == []
    assert snapshot(home) == once


def test_what_was_changed_since_is_not_taken_back(home: Path, saved: Path) -> None:
    with new_journal(home, saved) as journal:
        carry_out(changed_home(home), journal)
    (home / "mdm.yaml").write_text("mine: 1\n", encoding="utf-8")
    before = snapshot(home)
    with pytest.raises(NotDone, match=r"mdm\.yaml is not as the repair left it"):
        list(undo(read_journal(saved)))
    assert snapshot(home) == before


def test_two_steps_on_one_file_are_taken_back_in_turn(home: Path, saved: Path) -> None:
    settings = home / "mdm.yaml"
    content = settings.read_bytes()
    with new_journal(home, saved) as journal:
        carry_out(Rewriting(Changes({settings: Path("one")})), journal)
        carry_out(Rewriting(Changes({settings: Path("two")})), journal)
    assert len(list(undo(read_journal(saved)))) == 2
    assert settings.read_bytes() == content


def test_a_file_that_changes_meanwhile_is_left_alone(home: Path, saved: Path) -> None:
    settings = home / "mdm.yaml"
    step = Rewriting(
        Changes({settings: Path("new")}), (settings,), lambda: settings.write_text("theirs", encoding="utf-8")
    )
    with new_journal(home, saved) as journal, pytest.raises(NotDone, match="changed meanwhile"):
        carry_out(step, journal)
    assert settings.read_text(encoding="utf-8") == "theirs"
    assert not (home / MARKER).exists()


def test_a_step_that_cannot_be_finished_is_taken_back(home: Path, saved: Path) -> None:
    """The second of its files is in a place where none can be made."""
    settings = home / "mdm.yaml"
    blocked = settings / "below" / "a-file"
    before = snapshot(home)
    step = Rewriting(Changes({settings: Path("new"), home / "metrics.db": None, blocked: Path("new")}))
    with new_journal(home, saved) as journal, pytest.raises(NotDone):
        carry_out(step, journal)
    wrong = [line for line in differences(before, snapshot(home)) if not line.startswith(f"changed: {home} (")]
    assert wrong == []


def test_ctrl_c_within_a_step_leaves_the_home_as_it_was(home: Path, saved: Path) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    before = (home / "mdm.yaml").read_bytes()
    step = Rewriting(Changes({home / "mdm.yaml": Path("new")}), meanwhile=interrupted)
    with pytest.raises(KeyboardInterrupt), new_journal(home, saved) as journal:
        carry_out(step, journal)
    assert (home / "mdm.yaml").read_bytes() == before
    assert read_marker(home) is None


def test_a_second_repair_waits_for_the_first(home: Path, saved: Path, tmp_path: Path) -> None:
    with new_journal(home, saved):
        with pytest.raises(NotDone, match="is under way"), new_journal(home, tmp_path / "other"):
            pass
        assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("content", [None, "", "{", '{"event": "begin"}\n{\n{}\n', "\x00"])
def test_a_folder_without_a_journal_is_refused(
    tmp_path: Path, content: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        (tmp_path / "journal.jsonl").write_text(content, encoding="utf-8")
    with pytest.raises(Unusable):
        read_journal(tmp_path)
    assert repair("repair", "--undo", tmp_path) == 12
    assert capsys.readouterr().err.count("\n") == 1


def test_a_verb_asks_and_without_an_answer_does_nothing(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pytest_mdm_health.cli import main

    monkeypatch.delenv("MDM_HEALTH_YES", raising=False)
    before = snapshot(home)
    assert main(["set-aside", str(home / "metrics.db")]) == 1
    assert "nothing was changed" in capsys.readouterr().out
    assert main(["set-aside", str(home / "metrics.db"), "--dry-run"]) == 0
    assert snapshot(home) == before
    assert list(home.parent.glob("mdm-health-saved-*")) == []


def test_without_standard_input_nothing_is_changed(home: Path) -> None:
    command = f'exec "{sys.executable}" -m pytest_mdm_health set-aside "{home}/metrics.db" <&-'
    done = subprocess.run(command, shell=True, check=False, capture_output=True, text=True)  # noqa: S602 - closes it
    assert (done.returncode, done.stderr) == (1, "")
    assert "nothing was changed" in done.stdout
    assert (home / "metrics.db").exists()


def test_a_home_on_a_full_disk_is_left_without_a_marker(home: Path, tmp_path: Path, saved: Path) -> None:
    """Half a marker would bar every later repair, also when there is room again."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", str(disk)], check=False).returncode:
        pytest.skip("only root can mount a small disk")
    try:
        (disk / "mdm.yaml").write_bytes((home / "mdm.yaml").read_bytes())
        with suppress(OSError):
            (disk / "rest").write_bytes(bytes(65536))
        with pytest.raises(NotDone, match="No space left on device"), new_journal(disk, saved):
            pass
        assert not (disk / MARKER).exists()
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_repair_taken_back_before_is_told(home: Path, saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with new_journal(home, saved) as journal:
        carry_out(changed_home(home), journal)
    assert repair("repair", "--undo", saved) == 0
    assert "step 1 is taken back" in capsys.readouterr().out
    assert repair("repair", "--undo", saved) == 0
    assert "no step of it is left to be taken back" in capsys.readouterr().out
    assert repair("repair", "--finish", saved) == 0
    assert "no step of it broke off" in capsys.readouterr().out


def test_what_is_kept_is_never_in_the_home(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert repair("set-aside", home / "metrics.db", "--saved", home / "backup") == 1
    assert "is in the home" in capsys.readouterr().err
    assert (home / "metrics.db").exists()


def test_a_place_outside_of_every_home_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "some.sqlite").touch()
    assert repair("checkpoint", tmp_path / "some.sqlite") == 1
    assert "is in no MDM home; name the home with --home" in capsys.readouterr().err


def test_what_is_not_of_the_home_is_not_set_aside(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Data that is registered in it is, wherever it is, with the log beside it."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    database = elsewhere / "shop.sqlite"
    shutil.move(home / "datasets/shop/shop.sqlite", database)
    log, foreign = elsewhere / "shop.sqlite-wal", elsewhere / "notes.txt"
    log.write_bytes(b"log")
    foreign.write_text("of another program", encoding="utf-8")
    registration = home / "config/datasets/shop.yaml"
    text = registration.read_text(encoding="utf-8")
    registration.write_text(text.replace(str(home / "datasets/shop/shop.sqlite"), str(database)), encoding="utf-8")
    assert repair("set-aside", foreign, "--home", home) == 1
    assert "nor data that is registered there" in capsys.readouterr().err
    assert foreign.exists()
    assert repair("set-aside", log, "--home", home) == 0
    assert not log.exists()
    assert repair("set-aside", database, "--home", home) == 0
    assert not database.exists()


def test_a_database_with_another_name_is_not_split(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = home / "datasets/shop/shop.sqlite"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    (home / "datasets/shop/copy.sqlite").hardlink_to(file)
    assert repair("journal-mode", file) == 1
    assert "hard link" in capsys.readouterr().err
