"""What commands do is told from their words, and each test that is to prove one exists."""

from __future__ import annotations

import ast
import os
import shlex
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from pytest_mdm_health.core.model import Finding, Remedy, Severity
from pytest_mdm_health.engine.registry import load
from tests.printed import banned, changes, complaints
from tests.proven import PROVEN
from tests.watched import differences, snapshot, unchanged

TESTS = Path(__file__).parent
PYTHON = "/usr/bin/python3.11"
LOOKING = (
    "ps -o pid,stat,etime,args -p 12",
    "ls -l -- '/home/it'\"'\"'s/a b' x",
    "sed -n 5,9p /log",
    "zcat /log.gz | sed -n '5,9p'",
    "ps aux --sort=-rss | head",
    "lsof -p 12 2>/dev/null",
    "grep -rn 'a > b; rm -r' . 2>&1 | sort | head -3",
    "find /home -name '*.conf' -o -name '*.ini'",
    '"${EDITOR:-vi}" +5 /home/mdm.yaml',
    "MDM_HOME_DIR=/home mdm dataset info shop",
    f"MDM_HOME_DIR=/home {PYTHON} -m mdm dataset list",
    f"{PYTHON} -m pip check",
    f"{PYTHON} -m pip install --dry-run pyarrow",
    f"{PYTHON} -m pytest 'mdm-health::x[y]'",
    f"{PYTHON} -c 'import yaml, sys; yaml.safe_load(open(sys.argv[1]))' f",
    f'{PYTHON} -c \'import sqlite3; print(sqlite3.connect("file:x?mode=ro", uri=True).execute("SELECT 1"))\'',
    "sqlite3 -readonly /x.sqlite 'SELECT \"update\", '\"'\"'DELETE'\"'\"' FROM t'",
    "duckdb -readonly /x.duckdb -c 'SELECT count(*) FROM t'",
    "psql -h h -c 'SELECT pid, query FROM pg_stat_activity'",
    "psql 'host=h' -c 'EXPLAIN SELECT 1'",
    "tar -tzf /backup.tar.gz",
    "tar tf /backup.tar",
    "kill -0 12",
    "test -e /x && diff /x /y",
    'for f in /x /y; do cat "$f" || exit 1; done',
    "if [ -e /x ]; then { ls /x; }; fi",
    "duckdb -readonly /x.duckdb -c 'SELECT a FROM t WHERE TRY_CAST(a AS DOUBLE) IS NULL'",
)
CHANGING = (
    "sqlite3 /x.sqlite 'SELECT 1'",
    "sqlite3 -readonly /x.sqlite 'UPDATE t SET a = 1'",
    "duckdb /x.duckdb -c 'SELECT 1'",
    "psql -c 'SELECT pg_terminate_backend(12)'",
    "psql -c 'EXPLAIN ANALYZE UPDATE t SET a = 1'",
    "psql -c 'ANALYZE t'",
    "psql -f repair.sql",
    "export MDM_PERFORMANCE_BATCH_SIZE=100",
    "unset MDM_X",
    "chmod u+rX -- /x",
    "sudo chown -- me /x",
    "sudo -u other mv /a /b",
    "cp -n -- /a /b",
    "sed -i.before s/a/b/ /x",
    "touch -- /x",
    "mkdir -p -- /x",
    "ls > /list",
    "ls >> /list",
    "cat /a | tee /b",
    "find / -exec chmod 600 {} +",
    "MDM_HOME_DIR=/home mdm dataset update shop --target t",
    "mdm dataset stats shop",
    f"{PYTHON} -m pip install pyarrow",
    "uv pip install pyarrow",
    f'{PYTHON} -c \'open("x", "w")\'',
    f'{PYTHON} -c \'import sqlite3; sqlite3.connect("x").execute("PRAGMA schema_version")\'',
    f"{PYTHON} repair.py",
    "ls $(touch /x)",
    'ls "`touch /x`"',
    "true; touch /x",
    "kill -CONT 12",
    "tar -xzf /backup.tar.gz",
    '(umask 077 && part=$(mktemp -- /x.XXXXXX) && { tar -C /home -czf "$part" . || { rm -f -- "$part"; false; }; })',
    "if test -e /x; then false; else touch /x; fi",
    'for f in /x /y; do touch "$f"; done',
    "a-program-of-which-nothing-is-known",
)


@pytest.mark.parametrize("command", LOOKING)
def test_a_command_that_looks_is_told(command: str) -> None:
    assert (changes(command), list(banned(command))) == ("", [])


@pytest.mark.parametrize("command", CHANGING)
def test_a_command_that_changes_something_is_told(command: str) -> None:
    assert changes(command) != ""
    assert list(banned(command)) == []


@pytest.mark.parametrize(
    "command",
    [
        "mdm dataset register shop /raw --force",
        "MDM_HOME_DIR=/x mdm features regenerate shop --force",
        "sqlite3 a .recover | sqlite3 b",
        "find /backup -name '*.tar.gz' -mtime +30 -delete",
        "rm -rf /x",
        "true && sudo rm /x",
        "sudo -u other rm /x",
        "tr -d '\\0' < /x",
        "truncate -s 100 /x",
        "kill 12",
        "kill -9 12",
        "pkill mdm",
        "psql -c 'DROP DATABASE mdm_shop'",
        "sqlite3 /x 'PRAGMA wal_checkpoint(TRUNCATE)'",
        "duckdb x -c 'UPDATE t SET a = TRY_CAST(a AS DOUBLE)'",
        "sed -i s/a/b/ /x",
        "part=$(mktemp) && rm -f -- /x",
        "psql -c 'ALTER TABLE t ALTER COLUMN a TYPE bigint'",
    ],
)
def test_a_command_that_destroys_is_banned(command: str) -> None:
    assert list(banned(command)) != []


def test_what_is_there_is_not_written_over(tmp_path: Path) -> None:
    there, kept = tmp_path / "it's there", tmp_path / "it's there.before"
    there.write_text("x")
    one, other, free = (shlex.quote(str(path)) for path in (there, kept, tmp_path / "free"))
    for command in (
        f"cp -p -- {one} {other}",
        f"mv -- {one} {other}",
        f"cat x > {other}",
        f"sed -i.before s/a/b/ {one}",
    ):
        assert list(banned(command)) == []
        kept.write_text("older")
        assert len(list(banned(command))) == 1, command
        kept.unlink()
    keep_first = f"(umask 077; set -C; cat -- {one} > {other}) && sed s/a/b/ {other} > {one}"
    test_first = f"if test -e {other}; then echo there >&2; false; else cp -p -- {one} {other} && cp -- x {one}; fi"
    assert [list(banned(command)) for command in (keep_first, test_first, f"cp -- x {one}")][:2] == [[], []]
    assert list(banned(f"cp -- x {one}")) != []
    assert list(banned(f"sed s/a/b/ x > {one}")) != []
    kept.write_text("older")
    assert [list(banned(command)) for command in (keep_first, test_first)] == [[], []]
    assert list(banned(f"cat -- {one} > {other} && sed s/a/b/ {other} > {one}")) != []
    assert list(banned(f"cp -n -- {one} {other}; mv -n {one} {free}; cp -- {one} {shlex.quote(str(tmp_path))}")) == []


def test_a_finding_is_held_to_what_is_proven() -> None:
    def made(code: str, *commands: str, text: str = "do it") -> list[str]:
        return list(complaints([Finding(code, Severity.WARN, "m", Remedy(text, commands))]))

    assert made("made-up.code", "ls /x") == []
    assert len(made("made-up.code", "ls /x", "touch /x")) == 1
    assert len(made("made-up.code", "rm /x")) == 2
    assert len(made("made-up.code", text=" ")) == 1
    assert made(next(iter(PROVEN)), "touch /x") == []
    assert len(made(next(iter(PROVEN)), "rm /x")) == 1


@pytest.mark.parametrize("code", PROVEN)
def test_every_finding_that_is_proven_exists_and_so_do_its_tests(code: str) -> None:
    check, _, finding = code.partition(".")
    assert finding in load()[check].documentation.findings
    assert PROVEN[code]
    for test in PROVEN[code]:
        file, _, function = test.partition("::")
        tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
        assert function.startswith("test_")
        assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, test


def test_every_way_to_change_a_home_is_noticed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "folder").mkdir(parents=True)
    file, link = home / "folder" / "file", home / "link"
    file.write_text("content")
    link.symlink_to("folder")
    before = snapshot(home)
    assert differences(before, snapshot(home)) == []
    with pytest.raises(AssertionError, match=r"came: .*file-shm"), unchanged(home):
        file.with_name("file-shm").touch()
    changes_of_home: tuple[Callable[[], object], ...] = (
        lambda: file.chmod(0o600),
        lambda: file.write_text("another"),
        lambda: os.utime(file, (1, 1)),
        lambda: link.rename(home / "other link"),
        lambda: (home / "folder").chmod(0o700),
        file.unlink,
    )
    for change in changes_of_home:
        with pytest.raises(AssertionError, match="changed the home"), unchanged(home):
            change()


def test_watching_a_home_drops_no_lock_that_the_test_holds(tmp_path: Path) -> None:
    path = tmp_path / "shop.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE t (a)")
        connection.execute("BEGIN EXCLUSIVE")
        with unchanged(tmp_path):
            pass
        other = f"import sqlite3; sqlite3.connect({str(path)!r}, timeout=0).execute('SELECT * FROM t')"
        done = subprocess.run([sys.executable, "-c", other], check=False, capture_output=True, text=True)
    assert "database is locked" in done.stderr
