"""Compare what two versions of the suite find: the same damaged homes, examined by both, result by result.

    python scripts/same_results.py OLD_PYTHON NEW_PYTHON [--only TEXT] [--jobs N] [--retired CODE ...]

Each Python has one version installed. The homes are those in tests/homes and examples: whole, as before/after pairs,
and with about a hundred damages. Wording, evidence, facts and times may differ; statuses, codes, severities, subjects,
locations and exit codes may not. Exits with 1 and lists the differences if there are any.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ARCHIVES = {
    path.name.removesuffix(".tar.gz"): path
    for folder in (ROOT / "tests" / "homes", ROOT / "examples")
    for path in sorted(folder.glob("mdm-*.tar.gz"))
}
AFTER = "mdm-1.0.6-sqlite"
FILES = {
    "settings": "mdm.yaml",
    "registration": "config/datasets/shop.yaml",
    "json copy": "datasets/shop/dataset_info.json",
    "database": "datasets/shop/shop.sqlite",
    "log": "logs/mdm.log",
}
FIELDS = ("name", "database", "tables", "target_column", "id_columns", "registered_at", "problem_type", "version")

Damage = Callable[[Path], None]
Key = tuple[str, str]


@dataclass(frozen=True)
class Case:
    """One home as it is examined.

    Attributes:
        name: what was done to it.
        home: the archive it is made from.
        damage: what is done to it before it is examined.
        before: the archive of the home that a baseline is recorded of first, by the version under test; empty for none.
        options: further options of the run.
    """

    name: str
    home: str
    damage: Damage
    before: str = ""
    options: tuple[str, ...] = ()


def nothing(home: Path) -> None:
    """Leave the home as it is."""


def on_file(relative: str, change: Callable[[Path], None]) -> Damage:
    """Change one file of the home."""
    return lambda home: change(home / relative)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _zeros(path: Path) -> None:
    path.write_bytes(b"\0" * path.stat().st_size)


def _garbage_after(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\xff\xfe garbage \x00" * 40)


def _flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    for place in range(200, len(content), max(1, len(content) // 20)):
        content[place] ^= 0x55
    path.write_bytes(content)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _broken_link(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.with_name("nowhere"))


def _utf16(path: Path) -> None:
    path.write_bytes(path.read_bytes().decode("utf-8", "replace").encode("utf-16"))


FILE_DAMAGES: dict[str, Callable[[Path], None]] = {
    "missing": Path.unlink,
    "cut": _cut,
    "empty": _empty,
    "zeros": _zeros,
    "garbage after the end": _garbage_after,
    "flipped bytes": _flipped,
    "a folder": _folder,
    "a FIFO": _fifo,
    "a broken link": _broken_link,
    "UTF-16": _utf16,
}


def _without(text: str, field: str) -> str:
    """YAML without a top-level field and what is indented below it."""
    kept, inside = [], False
    for line in text.splitlines(keepends=True):
        if not line.startswith((" ", "-")):
            inside = line.startswith(f"{field}:")
        if not inside:
            kept.append(line)
    return "".join(kept)


def without_field(field: str) -> Damage:
    """Take a field out of a registration."""

    def change(path: Path) -> None:
        path.write_text(_without(path.read_text(encoding="utf-8"), field), encoding="utf-8")

    return on_file(FILES["registration"], change)


def wrong_field(field: str) -> Damage:
    """Give a field of a registration a value of a kind that it never has."""

    def change(path: Path) -> None:
        path.write_text(_without(path.read_text(encoding="utf-8"), field) + f"{field}: [[7]]\n", encoding="utf-8")

    return on_file(FILES["registration"], change)


def with_settings(text: str) -> Damage:
    """Add lines to the settings."""

    def change(path: Path) -> None:
        path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")

    return on_file(FILES["settings"], change)


def with_sql(*statements: str) -> Damage:
    """Run SQL in a dataset's database."""

    def change(path: Path) -> None:
        connection = sqlite3.connect(path, isolation_level=None)
        for statement in statements:
            connection.execute(statement)
        connection.close()

    return on_file(FILES["database"], change)


def with_log(*lines: str) -> Damage:
    """Add lines to the log."""

    def change(path: Path) -> None:
        with path.open("a", encoding="utf-8") as log:
            log.writelines(f"{line}\n" for line in lines)

    return on_file(FILES["log"], change)


LEAVES_A_LOG = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA journal_mode=WAL")
connection.execute("PRAGMA wal_autocheckpoint=0")
connection.execute("DELETE FROM train WHERE rowid = 1")
os._exit(0)
"""


def _left_over_wal(home: Path) -> None:
    path = home / FILES["database"]
    subprocess.run([sys.executable, "-c", LEAVES_A_LOG, str(path)], check=True)


def _half_registered(home: Path) -> None:
    (home / "config/datasets/shop.yaml").unlink()
    (home / "datasets/shop/dataset_info.json").unlink()


def _not_in_place(home: Path) -> None:
    path = home / FILES["registration"]
    path.write_text(path.read_text(encoding="utf-8").replace(str(home), "/old/place"), encoding="utf-8")


def _custom_feature(source: str) -> Damage:
    def change(home: Path) -> None:
        folder = home / "config" / "custom_features"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "shop.py").write_text(source, encoding="utf-8")

    return change


SETTINGS = {
    "unknown key": "databse: {default_backend: duckdb}\n",
    "wrong type": "performance: {batch_size: many}\n",
    "too small": "performance: {batch_size: 5}\n",
    "duplicate": "logging: {level: INFO}\nlogging: {level: DEBUG}\n",
    "tab": "validation:\n\tbefore_features: 1\n",
    "other backend": "database: {default_backend: duckdb}\n",
    "home in a variable": "paths: {datasets_path: $HOME/datasets}\n",
    "memory": "export: {}\n",
}
SQL = {
    "dropped table": ("DROP TABLE train",),
    "dropped feature table": ("DROP TABLE train_features",),
    "no rows": ("DELETE FROM train",),
    "fewer rows": ("DELETE FROM train WHERE rowid % 7 = 0",),
    "rollback journal": ("PRAGMA journal_mode=DELETE",),
    "further table": ("CREATE TABLE left_behind AS SELECT * FROM train",),
    "doubled rows": ("INSERT INTO train SELECT * FROM train LIMIT 3",),
    "text for numbers": ("ALTER TABLE train ADD COLUMN price TEXT", "UPDATE train SET price = rowid || ',5'"),
    "dates in two forms": (
        "ALTER TABLE train ADD COLUMN weekday TEXT",
        "UPDATE train SET weekday = CASE WHEN rowid % 2 THEN '2024-01-02' ELSE '02.01.2024' END",
    ),
    "stray text": (
        "ALTER TABLE train ADD COLUMN n BIGINT",
        "UPDATE train SET n = CASE rowid WHEN 5 THEN 'x' ELSE 1 END",
    ),
}
LOG = {
    "locked": ("2026-11-22 08:20:00,007 - mdm.cli.main - ERROR - (sqlite3.OperationalError) database is locked",),
    "pool": ("2026-11-22 08:20:00,007 - mdm.cli.main - ERROR - QueuePool limit of size 5 overflow 10 reached",),
    "memory": ("2026-11-22 08:20:00 | ERROR | mdm.dataset.registrar:register:74 - MemoryError",),
    "no table": ("2026-11-22 08:20:00 | ERROR | mdm.dataset.registrar:register:74 - no such table: shop_train",),
    "began": ("2026-11-22 08:20:00 | INFO | mdm.dataset.registrar:register:74 - Starting registration for dataset: x",),
    "other form": ("who wrote this",),
}
FEATURES = {
    "syntax error": "def broken(:\n",
    "import error": "import a_module_that_is_not_there\n",
    "no class": "x = 1\n",
}


OTHERS = {"left-over log": _left_over_wal, "half registered": _half_registered, "moved": _not_in_place}
DAMAGES: dict[str, Damage] = {
    **{
        f"{file}: {name}": on_file(relative, change)
        for file, relative in FILES.items()
        for name, change in FILE_DAMAGES.items()
    },
    **{f"registration without {field}": without_field(field) for field in FIELDS},
    **{f"registration with a wrong {field}": wrong_field(field) for field in FIELDS},
    **{f"settings: {name}": with_settings(text) for name, text in SETTINGS.items()},
    **{f"log: {name}": with_log(*lines) for name, lines in LOG.items()},
    **{f"features: {name}": _custom_feature(source) for name, source in FEATURES.items()},
    **{f"data: {name}": with_sql(*statements) for name, statements in SQL.items()},
    **OTHERS,
}


def cases() -> Iterator[Case]:
    """Every home that is examined."""
    for name in ARCHIVES:
        yield Case(name, name, nothing)
        yield Case(
            f"{name} in full, before a migration", name, nothing, options=("--mdm-depth=full", "--mdm-phase=pre")
        )
    pairs = [(before, after) for before in ARCHIVES for after in ARCHIVES if "0.1.0" in before and "1.0.6" in after]
    for before, after in pairs:
        yield Case(f"{before} to {after}", after, nothing, before=before, options=("--mdm-phase=post",))
    for name, damage in DAMAGES.items():
        yield Case(name, AFTER, damage)
    for name, damage in {**{name: with_sql(*what) for name, what in SQL.items()}, **OTHERS}.items():
        yield Case(f"since the baseline: {name}", AFTER, damage, before=AFTER, options=("--mdm-phase=post",))


def main() -> int:
    """Compare; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path, metavar="OLD_PYTHON")
    parser.add_argument("new", type=Path, metavar="NEW_PYTHON")
    parser.add_argument("--only", default="", metavar="TEXT", help="only cases whose name contains it")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument(
        "--retired", action="append", default=[], metavar="CODE", help="a code that only the old one has"
    )
    given = parser.parse_args()
    chosen = [case for case in cases() if given.only in case.name]
    with tempfile.TemporaryDirectory(prefix="same-results-") as folder, ThreadPoolExecutor(given.jobs) as pool:
        places = [(case, Path(folder, str(number))) for number, case in enumerate(chosen)]
        outcomes = pool.map(lambda place: difference(place[0], place[1], given, frozenset(given.retired)), places)
        differing = 0
        for case, lines in zip(chosen, outcomes, strict=True):
            differing += bool(lines)
            print(f"{'differs' if lines else 'same':8}{case.name}", *lines, sep="\n    ", flush=True)
    print(f"{len(chosen)} homes, {differing} with differences")
    return 1 if differing else 0


def difference(case: Case, folder: Path, given: argparse.Namespace, retired: frozenset[str]) -> list[str]:
    """What the two find differently on one home, a line each."""
    found = [examined(case, folder / "work", python, retired) for python in (given.old, given.new)]
    shutil.rmtree(folder)
    then, now = found
    keys = sorted({*then, *now})
    return [f"{' '.join(key)}: {then.get(key)} -> {now.get(key)}" for key in keys if then.get(key) != now.get(key)]


def examined(case: Case, work: Path, python: Path, retired: frozenset[str]) -> dict[Key, object]:
    """The results of one version: status and findings by check and target, and the exit code."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    home, results, options = work / "home", work / "results.json", case.options
    if case.before:
        unpack(case.before, home)
        baseline = work / "baseline.json"
        run(python, work, home, f"--mdm-save-baseline={baseline}")
        shutil.rmtree(home)
        options = (*options, f"--mdm-baseline={baseline}")
    unpack(case.home, home)
    case.damage(home)
    code, said = run(python, work, home, f"--mdm-json={results}", *options)
    if not results.exists():
        return {("exit code", ""): code, ("said", ""): said[-300:]}
    document = json.loads(results.read_text(encoding="utf-8"))
    by_key: dict[Key, object] = {("exit code", ""): code, ("verdict", ""): document["verdict"]}
    for result in document["results"]:
        findings = sorted(
            (each["code"], each["severity"], each["fingerprint"], str(each["location"]))
            for each in result["findings"]
            if each["code"] not in retired
        )
        key = (result["check"], result["target"]["name"])
        by_key[key] = (result["status"], result["baseline"], bool(result["blocked_by"]), findings)
    return by_key


def run(python: Path, work: Path, home: Path, *options: str) -> tuple[int, str]:
    """Run the suite; the exit code and what it said."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("MDM_", "PYTEST_"))}
    command = [str(python), "-m", "pytest", "--mdm-health", f"--mdm-home={home}", "-p", "no:cacheprovider", *options]
    done = subprocess.run(command, cwd=work, env=environ, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def unpack(name: str, to: Path) -> None:
    """Make a real home."""
    spec = importlib.util.spec_from_file_location("unpack_example", ROOT / "examples" / "unpack.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.unpack(ARCHIVES[name], to)


if __name__ == "__main__":
    sys.exit(main())
