"""docs/repair.md lists every verb, and its story is a real one."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from pytest_mdm_health.core.verbs import VERBS, Verb
from tests.helpers import repair, run_health
from tests.proven import PROVEN
from tests.watched import differences, snapshot

PAGE = Path(__file__).parents[2] / "docs" / "repair.md"


def usage(verb: Verb) -> str:
    words = (f"[{word.rstrip('?')}]" if word.endswith("?") else word for word in verb.words)
    options = (f"[--{option}=X]" for option in verb.options)
    return " ".join((verb.name, verb.place, *words, *options))


def verbs() -> str:
    rows = (f"| `{usage(verb)}` | {verb.does} | {'yes' if verb.undone else 'no'} |" for verb in VERBS.values())
    return "\n".join(("| verb | what it does | can be taken back |", "|---|---|---|", *rows)) + "\n"


def proven() -> str:
    rows = (f"| `{code}` | {', '.join(map(_sentence, tests))} |" for code, tests in sorted(PROVEN.items()))
    return "\n".join(("| finding | tests |", "|---|---|", *rows)) + "\n"


def _sentence(test: str) -> str:
    file, _, function = test.partition("::")
    return f"[{function.removeprefix('test_').replace('_', ' ')}](../tests/{file})"


@pytest.mark.parametrize(("part", "made"), [("verbs", verbs), ("proven", proven)])
def test_the_page_lists_every_verb_and_every_proof(part: str, made: Callable[[], str]) -> None:
    """`UPDATE_SNAPSHOTS=1` writes the tables."""
    begin, end = f"<!-- {part}: begin -->\n", f"<!-- {part}: end -->\n"
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(begin)
    listed, _, after = rest.partition(end)
    if os.environ.get("UPDATE_SNAPSHOTS"):
        PAGE.write_text(f"{before}{begin}{made()}{end}{after}", encoding="utf-8")
        return
    assert listed == made()


def values(database: Path, folder: Path) -> dict[str, list[str]]:
    """Every value of every table, of a copy together with its log."""
    copy = folder / f"{len(list(folder.iterdir()))}-{database.name}"
    for ending in ("", "-wal"):
        if database.with_name(database.name + ending).exists():
            shutil.copy(database.with_name(database.name + ending), f"{copy}{ending}")
    with closing(sqlite3.connect(copy)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return {name: [repr(row) for row in connection.execute(f"SELECT * FROM {name}")] for (name,) in tables}


def test_the_story_ends_well(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    databases = [home / f"datasets/{name}/{name}.sqlite" for name in ("big", "shop", "wine")]
    assert repair("back-up", home, "--saved", tmp_path / "first") == 0
    killed = (
        "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); "
        "c.execute('UPDATE wine SET rowid = rowid + 1000'); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", killed, databases[2]], check=False)
    (copies := tmp_path / "copies").mkdir()
    right = [values(database, copies) for database in databases]
    databases[0].unlink()
    registration = home / "config/datasets/shop.yaml"
    text = registration.read_text(encoding="utf-8")
    registration.write_text(text.replace(f"path: {databases[1]}", "path: /old/place/shop.sqlite"), encoding="utf-8")
    damaged = snapshot(home)
    report = tmp_path / "report.json"
    assert run_health(home, tmp_path, f"--mdm-json={report}").returncode == 1
    assert repair("repair", report, "--home", home) == 0
    plan = capsys.readouterr().out
    assert [line.split()[1] for line in plan.splitlines() if line[:3] in {"1. ", "2. ", "3. "}] == [
        "metadata-corruption.path-elsewhere",
        "metadata-corruption.missing-data",
        "sqlite-locking.left-over-wal",
    ]
    repair("repair", report, "--home", home, "--apply")
    said = capsys.readouterr().out
    assert said.count("done: ") == 3
    assert "examined again: degraded" in said
    assert [values(database, copies) for database in databases] == right
    assert registration.read_text(encoding="utf-8") == text
    (saved,) = home.parent.glob("mdm-health-saved-*")
    assert repair("repair", "--undo", saved) == 0
    wrong = [line for line in differences(damaged, snapshot(home)) if not line.endswith(")") or "content" in line]
    assert [line for line in wrong if "sqlite-shm" not in line] == []
