"""Whatever is beside a database, reading it creates, removes and changes nothing in its folder."""

from __future__ import annotations

import ast
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import pytest_mdm_health
from pytest_mdm_health.backends import Backend, CannotOpen, QueryFailed, close_all
from pytest_mdm_health.integrity.duckdb_session import Workbench
from pytest_mdm_health.integrity.readers.base import TableIn
from pytest_mdm_health.integrity.readers.sources import opened

Tree = Callable[[Path], dict[str, tuple[int, int, int, int, str]]]
Hold = Callable[[str], "subprocess.Popen[bytes]"]
ROWS = 1000


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    close_all()


def sqlite_file(folder: Path, mode: str) -> tuple[bytes, dict[str, bytes]]:
    """A file in this mode, and what a later crash in WAL mode and in the middle of a rollback would leave beside it."""
    path = folder / "shop.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (a INTEGER, b TEXT)")
        connection.executemany("INSERT INTO t VALUES (?, ?)", ((i, f"text {i}" * 20) for i in range(ROWS)))
    connection.close()
    left = {}
    for pragma, last in (("journal_mode=WAL", "COMMIT"), ("journal_mode=DELETE", "SELECT 1")):
        code = (
            f"import os, sqlite3; c = sqlite3.connect({str(path)!r}, isolation_level=None); "
            f"c.execute('PRAGMA {pragma}'); c.execute('PRAGMA cache_size=2'); "
            "c.execute('BEGIN'); c.execute('DELETE FROM t WHERE a % 2'); "
            f"c.execute('{last}'); os._exit(9)"
        )
        before = path.read_bytes()
        subprocess.run([sys.executable, "-c", code], check=False, timeout=60)
        for each in folder.glob("shop.sqlite-*"):
            left[each.name.removeprefix("shop.sqlite")] = each.read_bytes()
            each.unlink()
        path.write_bytes(before)
    content = bytearray(path.read_bytes())
    content[18:20] = b"\2\2" if mode == "wal" else b"\1\1"
    path.write_bytes(content)
    return bytes(content), left


def duckdb_file(folder: Path) -> tuple[bytes, dict[str, bytes]]:
    path = folder / "shop.duckdb"
    code = (
        f"import duckdb, os; c = duckdb.connect({str(path)!r}); "
        f"c.execute('CREATE TABLE t AS SELECT range AS a, range::VARCHAR AS b FROM range({ROWS})'); "
        "c.execute('CHECKPOINT'); c.execute('DELETE FROM t WHERE a % 2 = 1'); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code], check=False, timeout=60)
    log = path.with_name("shop.duckdb.wal")
    content = log.read_bytes()
    log.unlink()
    return path.read_bytes(), {".wal": content, ".wal.checkpoint": content}


def real(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def garbage(path: Path, content: bytes) -> None:
    path.write_bytes(b"x" * len(content))


def empty(path: Path, content: bytes) -> None:  # noqa: ARG001 - as the others
    path.write_bytes(b"")


def link(path: Path, content: bytes) -> None:
    path.with_name("elsewhere").write_bytes(content)
    path.symlink_to("elsewhere")


def broken_link(path: Path, content: bytes) -> None:  # noqa: ARG001 - as the others
    path.symlink_to("nowhere")


def fifo(path: Path, content: bytes) -> None:  # noqa: ARG001 - as the others
    os.mkfifo(path)


def folder(path: Path, content: bytes) -> None:  # noqa: ARG001 - as the others
    path.mkdir()


def read_all(backend: Backend) -> int:
    """Every way in which the product reads a table; how many rows it saw, or -1 if it is refused."""
    try:
        with backend.open() as database:
            database.tables()
            database.integrity(complete=True)
            database.query("SELECT * FROM t")
            if backend.engine == "sqlite":
                database.query("PRAGMA journal_mode")
                database.query("PRAGMA schema_version")
            found = database.count("t")
        close_all()
        with Workbench([backend.path]) as workbench, opened(TableIn(backend, "t"), workbench) as reader:
            for batch in reader.batches([each.name for each in reader.columns]):
                workbench.run(f"SELECT count(*) FROM {batch.relation}")
    except (CannotOpen, QueryFailed):
        return -1
    return found


def all_beside(left: dict[str, bytes], kinds: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    yield from ((kind,) for kind in kinds if kind in left)
    yield tuple(kind for kind in kinds if kind in left)


@pytest.mark.parametrize("make", [real, garbage, empty, link, broken_link, fifo, folder])
@pytest.mark.parametrize("mode", ["wal", "rollback"])
def test_nothing_beside_a_sqlite_file_is_touched(
    tmp_path: Path, tree: Tree, mode: str, make: Callable[..., None]
) -> None:
    place = tmp_path / "datasets"
    place.mkdir()
    content, left = sqlite_file(place, mode)
    assert set(left) == {"-wal", "-shm", "-journal"}
    assert read_all(Backend("sqlite", place / "shop.sqlite")) == ROWS
    for names in all_beside(left, ("-wal", "-shm", "-journal")):
        for each in place.iterdir():
            each.rmdir() if each.is_dir() and not each.is_symlink() else each.unlink()
        (place / "shop.sqlite").write_bytes(content)
        for name in names:
            make(place / f"shop.sqlite{name}", left[name])
        before = tree(place)
        read_all(Backend("sqlite", place / "shop.sqlite"))
        close_all()
        assert tree(place) == before, names


@pytest.mark.parametrize("make", [real, garbage, empty, link, broken_link, fifo, folder])
def test_nothing_beside_a_duckdb_file_is_touched(tmp_path: Path, tree: Tree, make: Callable[..., None]) -> None:
    place = tmp_path / "datasets"
    place.mkdir()
    content, left = duckdb_file(place)
    for names in all_beside(left, (".wal", ".wal.checkpoint")):
        for each in place.iterdir():
            each.rmdir() if each.is_dir() and not each.is_symlink() else each.unlink()
        (place / "shop.duckdb").write_bytes(content)
        for name in names:
            make(place / f"shop.duckdb{name}", left[name])
        before = tree(place)
        found = read_all(Backend("duckdb", place / "shop.duckdb"))
        close_all()
        assert tree(place) == before, names
        assert found == (ROWS // 2 if make in {real, link} and ".wal" in names else found)


@pytest.mark.parametrize(
    "lately", ["", "c.execute('PRAGMA wal_checkpoint(TRUNCATE)'); c.execute('INSERT INTO t VALUES (1, 2)')"]
)
def test_a_large_file_that_others_work_on_keeps_the_index_of_its_log(
    tmp_path: Path, tree: Tree, hold: Hold, lately: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pytest_mdm_health.backends.sqlite.open._SNAPSHOT_LIMIT", 0)
    path = tmp_path / "datasets" / "shop.sqlite"
    path.parent.mkdir()
    hold(
        f"import sqlite3; c = sqlite3.connect({str(path)!r}, isolation_level=None); "
        f"c.execute('PRAGMA journal_mode=WAL'); c.execute('CREATE TABLE t (a, b)'); "
        f"c.execute('INSERT INTO t VALUES (1, 2)'); {lately}"
    )
    before = tree(path.parent)
    with Backend("sqlite", path).open() as database:
        assert database.how == "live"
        assert database.count("t") == (2 if lately else 1)
        assert tree(path.parent) == before
    close_all()
    assert tree(path.parent) == before


def test_files_are_opened_in_the_places_that_know_what_is_beside_them() -> None:
    """Who opens a database elsewhere opens one of their own, in a temporary folder or in memory."""
    root = Path(pytest_mdm_health.__file__).parent
    opening = set()
    examining = (source for source in root.rglob("*.py") if "repair" not in source.relative_to(root).parts)
    for source in examining:  # a repair works on copies
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            named = isinstance(node, ast.Attribute) and node.attr == "connect" and isinstance(node.value, ast.Name)
            if named and node.value.id in {"sqlite3", "duckdb"}:  # type: ignore[attr-defined] # as `named` says
                opening.add(f"{node.value.id} {source.relative_to(root)}")  # type: ignore[attr-defined] # as above
    assert opening == {
        "sqlite3 backends/sqlite/open.py",
        "duckdb backends/duckdb.py",
        "duckdb backends/duckdb_log.py",  # a private copy
        "duckdb integrity/duckdb_session.py",
        "sqlite3 checks/pool_exhaustion/probe.py",
    }
