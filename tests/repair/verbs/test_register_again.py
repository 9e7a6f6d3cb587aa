"""`register-again` has a real MDM make the data from its source, and loses neither a row nor the registration."""

from __future__ import annotations

import csv
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pytest_mdm_health.core.model import Result, Status
from tests.helpers import follow, repair
from tests.real_mdm import real_mdm, register
from tests.registrations import json_copy_file, said, yaml_file

__all__ = ["real_mdm"]

Capture = pytest.CaptureFixture[str]
Examine = Callable[..., Result]

TRAIN, TEST = 120, 30


@pytest.fixture(scope="session", params=["sqlite", "duckdb"])
def registered(request: pytest.FixtureRequest, real_mdm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which a real MDM registered `tiny` with all that can be said of it; the source is beside it."""
    folder = tmp_path_factory.mktemp(request.param)
    source, home = folder / "the source", folder / "home"
    source.mkdir()
    home.mkdir()
    for name, count, first in (("train", TRAIN, 0), ("test", TEST, 1000)):
        with (source / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(["id", "kind", "seen", "amount", "note", *(["label"] if name == "train" else [])])
            for number in range(first, first + count):
                label = [number % 2] if name == "train" else []
                values = [number, "abc"[number % 3], f"2026-01-{number % 28 + 1:02d}", number / 8, f"é {number % 7}"]
                rows.writerow([*values, *label])
    (home / "mdm.yaml").write_text(f"database:\n  default_backend: {request.param}\n", encoding="utf-8")
    words = ("--target=label", "--id-columns=id", "--problem-type=binary_classification", "--group-column=kind")
    register(real_mdm, home, "tiny", source, *words, "--description=it's, tiny", "--tags=a,b")
    return folder


@pytest.fixture
def tiny(registered: Path, tmp_path: Path) -> Iterator[Path]:
    """A home of its own for each test, where it was registered; its backend is the name of its data's ending."""
    home, kept = registered / "home", tmp_path / "kept"
    shutil.copytree(home, kept)
    yield home
    shutil.rmtree(home)
    shutil.copytree(kept, home)


def database(home: Path) -> Path:
    return next(path for path in (home / "datasets/tiny").iterdir() if path.suffix in {".sqlite", ".duckdb"})


def run(path: Path, *statements: str) -> list[Any]:
    found: list[Any] = []
    with closing(sqlite3.connect(path) if path.suffix == ".sqlite" else duckdb.connect(str(path))) as connection:
        for statement in statements:
            found = connection.execute(statement).fetchall()
        if isinstance(connection, sqlite3.Connection):
            connection.commit()
    return found


def rows(home: Path) -> list[Any]:
    tables = ("train", "test", "train_features", "test_features")
    return [run(database(home), f"SELECT * FROM {table} ORDER BY id") for table in tables]


def again(home: Path, python: Path, *more: str) -> int:
    return repair("register-again", yaml_file(home, "tiny"), f"--python={python}", *more)


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["gone", "cut", "table", "rows"])
def test_lost_data_is_made_again_and_nothing_else_changes(
    tiny: Path, real_mdm: Path, capsys: Capture, examine: Examine, damage: str
) -> None:
    right, file = rows(tiny), database(tiny)
    texts = [path.read_bytes() for path in (yaml_file(tiny, "tiny"), json_copy_file(tiny, "tiny"))]
    if damage == "gone":
        file.unlink()
    elif damage == "cut":
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 3])
    elif damage == "table":
        run(file, "DROP TABLE test")
    else:
        run(file, "DELETE FROM train WHERE id > 50")
    before = file.read_bytes() if file.exists() else None
    assert again(tiny, real_mdm) == 0
    undo = capsys.readouterr().out.rpartition("mdm-health ")[2].split()
    assert rows(tiny) == right
    assert [path.read_bytes() for path in (yaml_file(tiny, "tiny"), json_copy_file(tiny, "tiny"))] == texts
    assert examine("data-corruption", tiny, "tiny").status is Status.PASS
    assert examine("metadata-corruption", tiny, "tiny").status is Status.PASS
    assert repair(*undo) == 0
    assert (file.read_bytes() if file.exists() else None) == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("statements", "reason"),
    [
        (("UPDATE train SET amount = 99 WHERE id = 5",), "1 row of table train would be gone"),
        (("INSERT INTO test SELECT * FROM test WHERE id = 1001",), "1 row of table test would be gone"),
        (("UPDATE train_features SET id = 7000 WHERE id = 5",), "1 row of table train_features would be gone"),
        (("CREATE TABLE mine AS SELECT 1 AS x",), "table mine with 1 row would be gone"),
        (("ALTER TABLE train ADD COLUMN extra INTEGER",), "would lack the column extra"),
    ],
)
def test_where_a_row_would_be_lost_nothing_changes(
    tiny: Path, real_mdm: Path, capsys: Capture, statements: tuple[str, ...], reason: str
) -> None:
    run(database(tiny), *statements)
    before = database(tiny).read_bytes()
    assert again(tiny, real_mdm) == 1
    assert reason in capsys.readouterr().out
    assert database(tiny).read_bytes() == before


@pytest.mark.slow
def test_another_source_is_not_taken_for_it(tiny: Path, real_mdm: Path, capsys: Capture) -> None:
    database(tiny).unlink()
    other = tiny.parent / "other"
    shutil.copytree(tiny.parent / "the source", other, dirs_exist_ok=True)
    lines = (other / "train.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    (other / "train.csv").write_text("".join(lines[:-1]), encoding="utf-8")
    assert again(tiny, real_mdm, f"--source={other}") == 1
    assert f"the source has {TRAIN + TEST - 1} rows, and {TRAIN + TEST} were registered" in capsys.readouterr().out
    (other / "test.csv").unlink()
    assert again(tiny, real_mdm, f"--source={other}") == 1
    assert "which is registered: is it the same source?" in capsys.readouterr().out


@pytest.mark.slow
def test_features_that_were_never_made_are_registered(tiny: Path, real_mdm: Path) -> None:
    right = said(yaml_file(tiny, "tiny"))
    text = yaml_file(tiny, "tiny").read_text(encoding="utf-8")
    text = text.replace("  train_features: train_features\n  test_features: test_features\n", "")
    yaml_file(tiny, "tiny").write_text(f"# ours\n{text}".replace("feature_tables:", "feature_tables: {}"), "utf-8")
    run(database(tiny), "DROP TABLE train_features", "DROP TABLE test_features")
    assert again(tiny, real_mdm) == 0
    assert said(yaml_file(tiny, "tiny")) == right
    assert yaml_file(tiny, "tiny").read_text(encoding="utf-8").startswith("# ours\n")


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["empty", "cut", "text", "table", "rows"])
def test_the_finding_of_lost_data_names_it_and_is_gone(
    tiny: Path, real_mdm: Path, examine: Examine, damage: str
) -> None:
    right, file = rows(tiny), database(tiny)
    if damage == "table":
        run(file, "DROP TABLE test")
    elif damage == "rows":
        run(file, "DELETE FROM train WHERE id > 50")
    else:
        content = {"empty": b"", "cut": file.read_bytes()[:20_000], "text": b"no database" * 1000}
        file.write_bytes(content[damage])
    result = examine("data-corruption", tiny, "tiny", python=str(real_mdm))
    finding = next(each for each in result.findings if each.remedy.repairs)
    assert [each.verb for each in finding.remedy.repairs] == ["register-again"]
    follow(finding)
    assert rows(tiny) == right
    assert examine("data-corruption", tiny, "tiny").status is Status.PASS


def test_without_an_mdm_or_a_source_it_says_so(home: Path, capsys: Capture, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(tmp_path))
        assert repair("register-again", yaml_file(home)) == 1
    assert "name it with --source" in capsys.readouterr().err
    (tmp_path / "train.csv").write_text("id\n1\n", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(tmp_path))
        assert repair("register-again", yaml_file(home), f"--source={tmp_path}") == 1
    assert "no MDM is installed here" in capsys.readouterr().err


def test_a_registration_that_is_damaged_comes_first(home: Path, capsys: Capture) -> None:
    yaml_file(home).write_text("name: [", encoding="utf-8")
    assert repair("register-again", yaml_file(home)) == 1
    assert "repair that first" in capsys.readouterr().err
