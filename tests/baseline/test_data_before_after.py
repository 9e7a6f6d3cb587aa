"""Check 5.1 before and after: equal data is found equal wherever it is, damage is found and located."""

from __future__ import annotations

import csv
import json
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from pytest_mdm_health.backends import Backend
from pytest_mdm_health.checks.data_corruption import judge, observe
from pytest_mdm_health.checks.data_corruption.baseline import SnapshotRequest
from pytest_mdm_health.checks.data_corruption.baseline.collect import with_tables
from pytest_mdm_health.core.expected import Expected, ExpectedDataset, RowsExpected
from pytest_mdm_health.core.model import Finding, Result, Severity, Status
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.mdm.inventory import take_inventory
from pytest_mdm_health.redaction.redactor import Redactor
from tests.conftest import ARCHIVES, HOMES
from tests.helpers import crossed
from tests.postgres import USER, MakePostgresHome, Server

CHECK = "data-corruption"
DATASETS = ("big", "breast_cancer", "shop", "wine")
Look = Callable[..., Result]
MakeHome = Callable[..., Path]
Tree = Callable[[Path], dict[str, tuple[int, int, int, int, str]]]


@pytest.fixture
def look(examine: Look) -> Look:
    """The check on one dataset; `save=True` keeps what a baseline keeps."""

    def run(home: Path, dataset: str = "shop", *, save: bool = False, **options: object) -> Result:
        more = {"save_baseline": home.parent / "saved.json"} if save else {}
        return examine(CHECK, home, dataset, ignore=("metadata-corruption", "postgres-slowdown"), **more, **options)

    return run


def codes(result: Result, *severities: Severity) -> set[str]:
    wanted = severities or (Severity.FAIL, Severity.WARN)
    return {each.code.partition(".")[2] for each in result.findings if each.severity in wanted}


def finding(result: Result, code: str) -> Finding:
    (found,) = (each for each in result.findings if each.code == f"{CHECK}.{code}")
    return found


def change(result: Result, table: str) -> dict[str, Any]:
    changes: Any = result.facts["changes"]
    (found,) = (each for each in changes if each["table"] == table)
    return dict(found)


@pytest.fixture(scope="session")
def real_homes(tmp_path_factory: pytest.TempPathFactory, _unpack: Callable[[Path, Path], Path]) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("homes")
    return {name: _unpack(ARCHIVES[name], root / name) for name in HOMES}


@pytest.fixture(scope="session")
def recorded() -> dict[tuple[str, str], Result]:
    """What was recorded of real homes so far."""
    return {}


@pytest.mark.parametrize(("before", "after"), list(permutations(HOMES, 2)))
def test_the_data_of_every_pair_of_real_homes_is_equal(
    real_homes: dict[str, Path], recorded: dict[tuple[str, str], Result], look: Look, before: str, after: str
) -> None:
    for dataset in DATASETS:
        key = (before, dataset)
        recorded[key] = recorded.get(key) or look(real_homes[before], dataset, save=True)
        result = look(real_homes[after], dataset, before=recorded[key])
        assert (result.status, codes(result), result.reason) == (Status.PASS, set(), "")
        told: Any = result.facts["changes"]
        assert {each["verdict"] for each in told} == {"equal"}
        assert {each["by"] for each in told} == {"digest"}
        assert {each["reader"] for each in told} == {"direct" if after.endswith("duckdb") else "adbc"}
        assert {each["table"] for each in told} == ({"train", "test"} if dataset == "shop" else {dataset})
        assert result.examined == 1 + len(told)
        moved = {"backend-changed"} if before.rpartition("-")[2] != after.rpartition("-")[2] else set()
        assert codes(result, Severity.NOTE) >= {"moved", *moved}


class Store:
    """One dataset's data on one engine, free to change."""

    def __init__(self, home: Path, run: Callable[..., None]) -> None:
        self.home, self.run = home, run


ROWS = 40
TABLE = (
    "CREATE TABLE train (id BIGINT, name TEXT, amount DOUBLE PRECISION, born TIMESTAMP)",
    *(
        f"INSERT INTO train VALUES ({id_}, 'name {id_ % 7}', {id_}.25, '2020-01-{1 + id_ % 28:02} 10:00:00')"
        for id_ in range(ROWS)
    ),
)


def register(home: Path, engine: str, file: Path, **more: object) -> None:
    target = home / "config" / "datasets" / "shop.yaml"
    target.parent.mkdir(parents=True, exist_ok=True)
    data = {
        "name": "shop",
        "database": {"backend": engine, "path": str(file)},
        "tables": {"train": "train"},
        "id_columns": ["id"],
        "registered_at": "2026-01-02T03:04:05+00:00",
        **more,
    }
    target.write_text(yaml.safe_dump(data))


def file_of(home: Path, engine: str) -> Path:
    return home / "datasets" / "shop" / f"shop.{engine}"


def run_in(file: Path, *statements: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(file) if file.suffix == ".sqlite" else duckdb.connect(str(file))) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


@pytest.fixture
def store(tmp_path: Path) -> Callable[..., Store]:
    """A home with one dataset on SQLite or DuckDB: `store("sqlite", *statements, folder="old")`."""

    def make(engine: str, *statements: str, folder: str = "home", **registered: object) -> Store:
        home = tmp_path / folder
        file = file_of(home, engine)
        register(home, engine, file, **registered)
        (home / "mdm.yaml").write_text(f"database: {{default_backend: {engine}}}\n")
        run_in(file, *(statements or TABLE))
        return Store(home, lambda *more: run_in(file, *more))

    return make


ENGINES = ("sqlite", "duckdb", "postgresql")


@pytest.fixture(params=ENGINES)
def each_store(
    request: pytest.FixtureRequest, store: Callable[..., Store], make_postgres_home: MakePostgresHome
) -> Store:
    """The same data on each engine."""
    if request.param != "postgresql":
        return store(request.param)
    server: Server = request.getfixturevalue("postgres")
    server.add_database("mdm_shop", *TABLE, owner=USER)
    home = make_postgres_home(server)
    return Store(home, lambda *more: _on_server(server, more))


def _on_server(server: Server, statements: tuple[str, ...]) -> None:
    server.run(*statements, database="mdm_shop", user=USER)


SWAP = (
    "UPDATE train SET amount = 1000 WHERE id = 3",
    "UPDATE train SET amount = 3.25 WHERE id = 4",
    "UPDATE train SET amount = 4.25 WHERE id = 3",
)
DAMAGE: dict[str, tuple[tuple[str, ...], str, dict[str, int], str]] = {
    "a number": (("UPDATE train SET amount = 3.5 WHERE id = 3",), "altered", {"amount": 1}, "altered-rows"),
    "a text": (("UPDATE train SET name = 'name 3 ' WHERE id = 3",), "altered", {"name": 1}, "altered-rows"),
    "a time": (
        ("UPDATE train SET born = '2020-01-04 10:00:00.001' WHERE id = 3",),
        "altered",
        {"born": 1},
        "altered-rows",
    ),
    "a NULL": (("UPDATE train SET amount = NULL WHERE id = 3",), "altered", {"amount": 1}, "altered-rows"),
    "a lost row": (("DELETE FROM train WHERE id = 3",), "missing", {}, "missing-rows"),
    "a new row": (("INSERT INTO train (id, name) VALUES (1000, 'new')",), "added", {}, "added-rows"),
    "a row twice": (("INSERT INTO train SELECT * FROM train WHERE id = 3",), "duplicated", {}, "duplicated-rows"),
}


@pytest.fixture
def saved_as_parquet(tmp_path: Path) -> Path:
    """A backup as the guide has it: each dataset as one Parquet file."""
    folder = tmp_path / "backups"
    folder.mkdir()
    with closing(duckdb.connect()) as connection:
        for statement in TABLE:
            connection.execute(statement)
        connection.execute(f"COPY train TO '{folder / 'shop.parquet'}' (FORMAT parquet)")
    return folder


@pytest.mark.parametrize(("each_store", "what"), crossed(ENGINES, [*DAMAGE]), indirect=["each_store"])
def test_damage_is_found_and_located_with_a_backup_in_parquet(
    each_store: Store, look: Look, saved_as_parquet: Path, what: str
) -> None:
    statements, kind, cells, expected = DAMAGE[what]
    before = look(each_store.home, save=True)
    assert codes(look(each_store.home, before=before)) == set()
    each_store.run(*statements)
    result = look(each_store.home, before=before, backup=saved_as_parquet)
    assert (result.status, codes(result)) == (Status.FAIL, {expected})
    told = change(result, "train")
    assert told["rows"] == {
        **dict.fromkeys(("missing", "added", "duplicated", "altered"), 0),
        kind: 1,
        "of": None,
        "complete": True,
    }
    assert told["cells"] == cells
    assert [each["kind"] for each in told["examples"]] == [kind]
    assert str(saved_as_parquet / "shop.parquet") in finding(result, expected).message


@pytest.mark.parametrize(("each_store", "what"), crossed(ENGINES, [*DAMAGE]), indirect=["each_store"])
def test_damage_is_found_without_a_copy_and_names_its_columns(each_store: Store, look: Look, what: str) -> None:
    statements, _, cells, expected = DAMAGE[what]
    before = look(each_store.home, save=True)
    each_store.run(*statements)
    result = look(each_store.home, before=before)
    assert result.status is Status.FAIL
    assert codes(result) == {expected.replace("duplicated", "added")}
    assert change(result, "train")["altered_columns"] == ([*cells] or None)


def test_swapped_values_are_found_though_the_columns_are_equal(each_store: Store, look: Look) -> None:
    before = look(each_store.home, save=True)
    each_store.run(*SWAP)
    result = look(each_store.home, before=before)
    assert "values were swapped between rows" in finding(result, "altered-rows").message


@pytest.mark.parametrize(
    ("type_", "value", "other"),
    [
        ("DOUBLE", "'NaN'", "NULL"),
        ("DECIMAL(20, 18)", "0.123456789012345678", "0.1"),
    ],
)
def test_a_value_that_the_column_sum_omits_was_not_swapped(
    store: Callable[..., Store], look: Look, type_: str, value: str, other: str
) -> None:
    made = (f"CREATE TABLE train (id BIGINT, x {type_})", f"INSERT INTO train VALUES (1, {value}), (2, 5), (3, NULL)")
    home = store("duckdb", *made)
    before = look(home.home, save=True)
    home.run(f"UPDATE train SET x = {other} WHERE id = 1")
    message = finding(look(home.home, before=before), "altered-rows").message
    assert "other values are in x" in message


def test_digits_that_a_column_sum_omits_are_not_called_swapped(store: Callable[..., Store], look: Look) -> None:
    made = (
        "CREATE TABLE train (id BIGINT, x DECIMAL(20, 18))",
        "INSERT INTO train VALUES (1, 0.123456789012345678)",
    )
    home = store("duckdb", *made)
    before = look(home.home, save=True)
    home.run("UPDATE train SET x = 0.123456789012345679")
    assert "places" not in finding(look(home.home, before=before), "altered-rows").message


def test_values_are_told_only_when_they_may_be(store: Callable[..., Store], look: Look, saved_as_parquet: Path) -> None:
    home = store("sqlite")
    before = look(home.home, save=True)
    home.run("UPDATE train SET name = 'Anna' WHERE id = 3")
    hidden = look(home.home, before=before, backup=saved_as_parquet)
    assert "Anna" not in repr(hidden)
    assert "name 3" not in repr(hidden)
    shown = look(home.home, before=before, backup=saved_as_parquet, show_values=True)
    assert "row 4, id 3: name was name 3 and is Anna" in finding(shown, "altered-rows").message
    assert "name 6" not in json.dumps(dict(before.kept))
    assert "name 6" in json.dumps(dict(look(home.home, save=True, show_values=True).kept))


def test_rows_are_compared_with_the_old_file_at_its_old_place(store: Callable[..., Store], look: Look) -> None:
    old, new = store("duckdb", folder="old"), store("sqlite", *TABLE, DAMAGE["a number"][0][0], folder="new")
    result = look(new.home, before=look(old.home, save=True))
    assert change(result, "train")["copy"] == str(file_of(old.home, "duckdb"))
    assert change(result, "train")["cells"] == {"amount": 1}


def test_rows_are_compared_with_the_old_database_on_a_server(
    postgres: Server, make_postgres_home: MakePostgresHome, look: Look
) -> None:
    postgres.add_database("mdm_old", *TABLE, owner=USER)
    postgres.add_database("mdm_shop", *TABLE, DAMAGE["a lost row"][0][0], owner=USER)
    before = look(make_postgres_home(postgres, shop={"database": "mdm_old"}), save=True)
    result = look(make_postgres_home(postgres), before=before)
    assert change(result, "train")["copy"].endswith("/mdm_old")
    assert change(result, "train")["rows"]["missing"] == 1
    assert "moved" in codes(result, Severity.NOTE)


def test_the_old_server_is_asked_with_the_configured_password(
    postgres: Server, make_postgres_home: MakePostgresHome, store: Callable[..., Store], look: Look
) -> None:
    postgres.add_database("mdm_shop", *TABLE, owner=USER)
    before = look(make_postgres_home(postgres), save=True)
    settings = (before_home := Path(str(before.facts["home"]))) / "mdm.yaml"
    new = store("sqlite", *TABLE, DAMAGE["a text"][0][0], folder="new")
    shutil.copy2(settings, new.home / "mdm.yaml")
    assert before_home != new.home
    result = look(new.home, before=before)
    assert change(result, "train")["cells"] == {"name": 1}


def test_a_copy_of_another_state_is_said_to_be_none_of_before(
    store: Callable[..., Store], look: Look, saved_as_parquet: Path
) -> None:
    home = store("duckdb", *TABLE, "UPDATE train SET amount = 7 WHERE id = 9")
    before = look(home.home, save=True)
    home.run(*DAMAGE["a number"][0])
    result = look(home.home, before=before, backup=saved_as_parquet)
    told = change(result, "train")
    assert (told["copy"], told["cells"]) == ("", {})
    assert told["not_it"] == [f"{saved_as_parquet / 'shop.parquet'} is not what was there before"]
    assert told["not_it"][0] in finding(result, "altered-rows").message


def test_a_packed_backup_is_named_and_a_plain_copy_is_read(
    store: Callable[..., Store], look: Look, tmp_path: Path
) -> None:
    home = store("sqlite")
    before = look(home.home, save=True)
    backup = tmp_path / "backups"
    backup.mkdir()
    shutil.make_archive(str(backup / "mdm_backup_1"), "gztar", home.home)
    home.run(*DAMAGE["a number"][0])
    packed = look(home.home, before=before, backup=backup)
    assert change(packed, "train")["not_it"] == [f"{backup / 'mdm_backup_1.tar.gz'} has to be unpacked first"]
    shutil.unpack_archive(backup / "mdm_backup_1.tar.gz", backup / "unpacked")
    (backup / "mdm_backup_1.tar.gz").unlink()
    plain = look(home.home, before=before, backup=backup)
    assert change(plain, "train")["copy"] == str(file_of(backup / "unpacked", "sqlite"))
    assert change(plain, "train")["cells"] == {"amount": 1}


@pytest.mark.parametrize(("form", "inside"), [("gztar", ""), ("zip", ""), ("tar", ""), ("gztar", "home")])
def test_a_backup_unpacked_as_printed_outside_names_the_rows(
    store: Callable[..., Store], look: Look, tree: Tree, form: str, inside: str
) -> None:
    made = store("sqlite")
    home = made.home
    before = look(home, save=True)
    (home / "backup").mkdir()
    root = {"root_dir": home.parent, "base_dir": inside} if inside else {"root_dir": home}
    archive = shutil.make_archive(str(home.parent / "mdm_backup_1"), form, **root)
    shutil.move(archive, home / "backup")
    made.run(*DAMAGE["a number"][0])
    seen = tree(home)
    remedy = finding(look(home, before=before), "altered-rows").remedy
    (command,) = remedy.commands
    folder = Path(f"{home}.unpacked")
    assert f"--mdm-backup={folder}" in remedy.text
    subprocess.run(["sh", "-c", command], check=True)
    assert tree(home) == seen
    assert folder.stat().st_mode & 0o777 == 0o700
    result = look(home, before=before, backup=folder)
    assert change(result, "train")["copy"].startswith(f"{folder}/mdm_backup_1/")
    assert change(result, "train")["cells"] == {"amount": 1}
    unpacked = tree(folder)
    assert subprocess.run(["sh", "-c", command], check=False, stderr=subprocess.DEVNULL).returncode != 0
    assert tree(folder) == unpacked


def test_the_registered_source_is_a_copy_if_its_rows_are_equal(
    store: Callable[..., Store], look: Look, tmp_path: Path
) -> None:
    source = tmp_path / "source" / "train.csv"
    source.parent.mkdir()
    home = store("duckdb", source=str(source.parent))
    with source.open("w", newline="") as file, closing(duckdb.connect(str(file_of(home.home, "duckdb")))) as engine:
        writer = csv.writer(file)
        writer.writerow(["id", "name", "amount", "born"])
        writer.writerows(engine.execute("SELECT * FROM train").fetchall())
    before = look(home.home, save=True)
    home.run(*DAMAGE["a text"][0])
    result = look(home.home, before=before)
    assert (change(result, "train")["copy"], change(result, "train")["cells"]) == (str(source), {"name": 1})


ODD = (
    'CREATE TABLE "select" ("order" BIGINT, "a ""b""" TEXT, "größe" DOUBLE PRECISION, "x.y" BOOLEAN)',
    """INSERT INTO "select" VALUES (1, 'it''s', 1.5, TRUE), (1, 'it''s', 1.5, TRUE), (2, '', NULL, FALSE)""",
    """INSERT INTO "select" VALUES (9007199254740993, NULL, -2.5, NULL), (4, 'Ünï\N{COMBINING DIAERESIS}', 0, TRUE)""",
    'CREATE TABLE "leer" (a BIGINT, b TEXT)',
)
REGISTERED = {"tables": {"train": "select", "test": "leer"}, "id_columns": []}


@pytest.mark.parametrize(("old", "new"), list(permutations(("sqlite", "duckdb"), 2)))
def test_odd_names_and_rows_are_equal_on_another_backend(
    store: Callable[..., Store], look: Look, old: str, new: str
) -> None:
    before = look(store(old, *ODD, folder="old", **REGISTERED).home, save=True)
    after = store(new, *ODD, folder="new", **REGISTERED)
    result = look(after.home, before=before)
    assert [change(result, name)["verdict"] for name in ("select", "leer")] == ["equal", "equal"]
    after.run('UPDATE "select" SET "größe" = 0 WHERE "order" = 2')
    assert "1 cell of größe" in finding(look(after.home, before=before), "altered-rows").message
    after.run("INSERT INTO leer VALUES (NULL, NULL)")
    result = look(after.home, before=before)
    assert finding(result, "added-rows").subject == "table leer"
    assert finding(result, "altered-rows").subject == "table select"


def test_odd_names_on_a_server_are_equal_in_a_file(
    postgres: Server, make_postgres_home: MakePostgresHome, store: Callable[..., Store], look: Look
) -> None:
    postgres.add_database("mdm_shop", *ODD, owner=USER)
    home = make_postgres_home(postgres)
    for file in (home / "config/datasets/shop.yaml", home / "datasets/shop/dataset_info.json"):
        registered = {**yaml.safe_load(file.read_text()), **REGISTERED}
        file.write_text(json.dumps(registered) if file.suffix == ".json" else yaml.safe_dump(registered))
    before = look(home, save=True)
    result = look(store("duckdb", *ODD, folder="new", **REGISTERED).home, before=before)
    assert [change(result, name)["verdict"] for name in ("select", "leer")] == ["equal", "equal"]


@pytest.mark.parametrize("value", ["'NaN'::DOUBLE", "'-0.0'::DOUBLE"])
def test_what_sqlite_cannot_store_is_a_loss_only_on_sqlite(store: Callable[..., Store], look: Look, value: str) -> None:
    old = store("duckdb", "CREATE TABLE train (id BIGINT, x DOUBLE)", f"INSERT INTO train VALUES (1, {value}), (2, 5)")
    before = look(old.home, save=True)
    lost = "NULL" if "NaN" in value else "0.0"
    made = ("CREATE TABLE train (id BIGINT, x DOUBLE)", f"INSERT INTO train VALUES (1, {lost}), (2, 5)")
    on_sqlite = look(store("sqlite", *made, folder="new").home, before=before)
    assert (on_sqlite.status, codes(on_sqlite)) == (Status.PASS, set())
    assert finding(on_sqlite, "lossy-backend").severity is Severity.NOTE
    on_duckdb = look(store("duckdb", *made, folder="other").home, before=before)
    assert "altered-rows" in codes(on_duckdb)


@pytest.mark.parametrize("registered", [True, False])
def test_feature_tables_are_no_data_registered_or_only_so_named(
    store: Callable[..., Store], look: Look, registered: bool
) -> None:
    features = "CREATE TABLE train_features AS SELECT id, amount * 2 AS twice FROM train"
    tables = {"train": "train", **({"train_features": "train_features"} if registered else {})}
    home = store("sqlite", *TABLE, features, tables=tables)
    before = look(home.home, save=True)
    assert [table["name"] for table in _known(before)] == ["train"]
    home.run("UPDATE train_features SET twice = 0", "ALTER TABLE train_features ADD COLUMN thrice INTEGER")
    result = look(home.home, before=before)
    assert result.status is Status.PASS
    assert [each["table"] for each in _changes(result)] == ["train"]
    home.run("DROP TABLE train_features")
    assert [each["table"] for each in _changes(look(home.home, before=before))] == ["train"]


def _known(result: Result) -> list[dict[str, Any]]:
    known: Any = result.kept["known"]
    return list(known)


def _changes(result: Result) -> list[dict[str, Any]]:
    changes: Any = result.facts["changes"]
    return list(changes)


def test_a_home_moved_with_its_data_is_equal_and_called_moved(
    store: Callable[..., Store], look: Look, tmp_path: Path
) -> None:
    old = store("sqlite", folder="old")
    before = look(old.home, save=True)
    shutil.move(old.home, tmp_path / "new")
    register(tmp_path / "new", "sqlite", file_of(tmp_path / "new", "sqlite"))
    result = look(tmp_path / "new", before=before)
    assert result.status is Status.PASS
    assert [each.message for each in result.findings] == [
        f"the home was at {old.home} when the baseline was recorded, and is at {tmp_path / 'new'}"
    ]


def planned(plan: ExpectedDataset | None = None) -> Expected:
    return Expected(given=True, datasets={"shop": plan or ExpectedDataset()})


RENAME = "ALTER TABLE train RENAME COLUMN amount TO price"
DROP = "ALTER TABLE train DROP COLUMN born"
RENAMED = planned(ExpectedDataset(renamed={"train": {"amount": "price"}}))
DROPPED = planned(ExpectedDataset(dropped={"*": ("born",)}))


@pytest.mark.parametrize(
    ("statement", "expected", "damage", "by"),
    [
        (RENAME, RENAMED, "UPDATE train SET price = 1 WHERE id = 3", "digest"),
        (DROP, DROPPED, "UPDATE train SET amount = 1 WHERE id = 3", "columns"),
    ],
)
def test_what_remains_of_planned_columns_is_still_compared(
    each_store: Store, look: Look, statement: str, expected: Expected, damage: str, by: str
) -> None:
    before = look(each_store.home, save=True)
    each_store.run(statement)
    result = look(each_store.home, before=before, expected=expected)
    assert (result.status, codes(result)) == (Status.PASS, set())
    assert finding(result, "as-planned").severity is Severity.NOTE
    assert change(result, "train")["by"] == by
    assert ("proves nothing of the rows" in finding(result, "as-planned").message) is (by == "columns")
    each_store.run(damage)
    assert "altered-rows" in codes(look(each_store.home, before=before, expected=expected))
    assert "not-done" not in codes(look(each_store.home, before=before, expected=expected))


def test_scrambled_rows_are_found_by_digest_beside_a_rename(each_store: Store, look: Look) -> None:
    before = look(each_store.home, save=True)
    each_store.run(*SWAP, RENAME)
    result = look(each_store.home, before=before, expected=RENAMED)
    assert codes(result) == {"altered-rows"}
    assert "values were swapped between rows" in finding(result, "altered-rows").message


@pytest.mark.parametrize(
    ("statements", "expected", "column"),
    [
        ((DROP,), DROPPED, "amount"),
        ((RENAME,), RENAMED, "price"),
        (
            (DROP, RENAME),
            planned(ExpectedDataset(renamed={"train": {"amount": "price"}}, dropped={"train": ("born",)})),
            "price",
        ),
    ],
)
def test_rows_of_the_old_copy_are_compared_by_remaining_columns(
    each_store: Store,
    look: Look,
    saved_as_parquet: Path,
    statements: tuple[str, ...],
    expected: Expected,
    column: str,
) -> None:
    before = look(each_store.home, save=True)
    each_store.run(*statements)
    same = look(each_store.home, before=before, expected=expected, backup=saved_as_parquet)
    assert (same.status, change(same, "train")["verdict"], change(same, "train")["by"]) == (
        Status.PASS,
        "equal",
        "digest",
    )
    assert "proves nothing" not in repr(same.findings)
    each_store.run(*(each.replace("amount", column) for each in SWAP))
    result = look(each_store.home, before=before, expected=expected, backup=saved_as_parquet)
    assert codes(result) == {"altered-rows"}
    assert change(result, "train")["copy"] == str(saved_as_parquet / "shop.parquet")
    assert change(result, "train")["cells"] == {column: 2}


def test_a_column_that_seems_to_have_been_renamed_is_named(each_store: Store, look: Look) -> None:
    before = look(each_store.home, save=True)
    each_store.run(RENAME, "ALTER TABLE train ADD COLUMN other BIGINT")
    result = look(each_store.home, before=before)
    assert "price has the values that amount had, so it may have been renamed" in (
        finding(result, "dropped-columns").message
    )
    assert "other" not in finding(result, "dropped-columns").message.partition("; each of the others")[0]


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (ExpectedDataset(backend="duckdb"), "was to be on duckdb, and is on sqlite"),
        (ExpectedDataset(dropped_tables=("train",)), "the table train still exists"),
        (ExpectedDataset(added_tables=("valid",)), "the table valid was not added"),
        (ExpectedDataset(renamed={"train": {"amount": "price"}}), "was not renamed to price"),
        (ExpectedDataset(dropped={"train": ("born",)}), "the column born of the table train still exists"),
        (ExpectedDataset(added={"train": ("more",)}), "the column more of the table train was not added"),
        (ExpectedDataset(types={"train": {"id": "TEXT"}}), "was to be TEXT, and is BIGINT"),
        (
            ExpectedDataset(values={"train": ("born",)}),
            "the values of the column born of the table train did not change",
        ),
        (ExpectedDataset(rows={"train": RowsExpected(change=5)}), "was to change by 5, and is 40 as before"),
    ],
)
def test_what_was_planned_and_did_not_happen_fails(
    store: Callable[..., Store], look: Look, plan: ExpectedDataset, message: str
) -> None:
    home = store("sqlite").home
    before = look(home, save=True)
    result = look(home, before=before, expected=planned(plan))
    assert codes(result) == {"not-done"}
    assert message in finding(result, "not-done").message


@pytest.mark.parametrize(
    ("plan", "messages"),
    [
        (
            ExpectedDataset(dropped={"trani": ("x",)}, rows={"trani": RowsExpected(change=3)}),
            {"no table is or was called trani (the nearest name is train)"},
        ),
        (
            ExpectedDataset(dropped_tables=("nix",), added_tables=("train",)),
            {
                "no table is or was called nix",
                "the table train was to be added, and existed before",
            },
        ),
        (
            ExpectedDataset(
                renamed={"train": {"amuont": "price"}},
                types={"train": {"nux": "BIGINT", "id": "bigint"}},
                dropped={"train": ("bron",), "*": ("nowhere",)},
                added={"train": ("name",)},
                values={"train": ("brn",), "*": ("never",)},
            ),
            {
                "no column of the table train is or was called brn (the nearest name is born)",
                "no column of any table is or was called never",
                "no column of the table train is or was called amuont (the nearest name is amount)",
                "no column of the table train is or was called nux",
                "no column of the table train is or was called bron (the nearest name is born)",
                "no column of any table is or was called nowhere",
                "the column name of the table train was to be added, and existed before",
                "the column id of the table train was to be bigint, and was so before",
            },
        ),
    ],
)
def test_a_plan_for_what_is_absent_or_was_so_before_fails(
    store: Callable[..., Store], look: Look, plan: ExpectedDataset, messages: set[str]
) -> None:
    home = store("sqlite").home
    before = look(home, save=True)
    result = look(home, before=before, expected=planned(plan))
    assert codes(result) == {"not-done"}
    assert {each.message for each in result.findings} == {f"{each}, although it is planned" for each in messages}


def test_a_pattern_may_plan_for_tables_of_other_datasets_only(store: Callable[..., Store], look: Look) -> None:
    home = store("sqlite").home
    before = look(home, save=True)
    plan = Expected(given=True, datasets={"s*": ExpectedDataset(dropped={"other": ("x",)})})
    assert look(home, before=before, expected=plan).status is Status.PASS


LATER = "UPDATE train SET amount = amount * 1.2"
RECOMPUTED = planned(ExpectedDataset(values={"train": ("amount",)}))


@pytest.mark.parametrize("copied", [True, False])
@pytest.mark.parametrize(
    ("each_store", "what"),
    crossed(ENGINES, ["a text", "nothing", "a time", "a lost row", "a new row", "a row twice"]),
    indirect=["each_store"],
)
def test_planned_values_are_left_out_and_all_else_is_compared(
    each_store: Store, look: Look, saved_as_parquet: Path, what: str, copied: bool
) -> None:
    before = look(each_store.home, save=True)
    statements, kind, cells, expected = DAMAGE.get(what, ((), "", {}, ""))
    each_store.run(*statements, LATER)
    backup = {"backup": saved_as_parquet} if copied else {}
    result = look(each_store.home, before=before, expected=RECOMPUTED, **backup)
    left_out = finding(result, "as-planned")
    assert (left_out.severity, left_out.evidence["columns"]) == (Severity.NOTE, ["amount"])
    assert "as planned, in the table train the values of amount were not compared" in left_out.message
    told = change(result, "train")
    assert (told["recomputed"], told["unaltered"]) == (["amount"], [])
    if what == "nothing":
        assert (result.status, codes(result), told["verdict"]) == (Status.PASS, set(), "equal")
        assert ("in the others every row is as it was" in left_out.message) is copied
        assert ("proves nothing of the rows" in left_out.message) is not copied
    elif copied and what != "a row twice":  # which is not the same twice: one column of it is not compared
        assert codes(result) == {expected}
        assert told["rows"][kind] == 1
        assert told["cells"] == cells
    else:
        assert codes(result) == {expected if copied else expected.replace("duplicated", "added")}
        assert told["altered_columns"] == (None if copied or not cells else [*cells])


def test_a_column_beside_the_planned_one_is_counted_by_cells(
    store: Callable[..., Store], look: Look, tmp_path: Path
) -> None:
    rows = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 2999) "
    made = store("sqlite", *TABLE[:1], f"INSERT INTO train {rows} SELECT i, 'n' || i, i / 4.0, '2024-01-02' FROM n")
    before = look(made.home, save=True)
    backup = tmp_path / "backups"
    backup.mkdir()
    shutil.copy2(file_of(made.home, "sqlite"), backup / "shop.sqlite")
    made.run("UPDATE train SET born = '2024-01-01'", "UPDATE train SET name = '?' WHERE id < 1500")
    made.run("DELETE FROM train WHERE id IN (7, 2000)", "INSERT INTO train VALUES (9000, 'new', 1, '2024-01-01')")
    plan = planned(ExpectedDataset(values={"train": ("born",)}))
    result = look(made.home, before=before, expected=plan, backup=backup)
    assert codes(result) == {"altered-rows", "missing-rows", "added-rows"}
    told = change(result, "train")["rows"]
    assert (told["altered"], told["missing"], told["added"], told["complete"]) == (1499, 2, 1, True)
    assert change(result, "train")["cells"] == {"name": 1499}
    assert "1499 cells of name" in finding(result, "altered-rows").message


@pytest.mark.parametrize("copied", [True, False])
def test_values_swapped_only_in_a_planned_column_are_as_planned(
    store: Callable[..., Store], look: Look, saved_as_parquet: Path, copied: bool
) -> None:
    made = store("duckdb")
    before = look(made.home, save=True)
    made.run(*SWAP)
    backup = {"backup": saved_as_parquet} if copied else {}
    result = look(made.home, before=before, expected=RECOMPUTED, **backup)
    assert (result.status, codes(result)) == (Status.PASS, set())
    elsewhere = planned(ExpectedDataset(values={"train": ("born",)}))
    result = look(made.home, before=before, expected=elsewhere, backup=saved_as_parquet)
    assert "altered-rows" in codes(result)
    assert change(result, "train")["cells"] == {"amount": 2}


def test_unchanged_planned_values_are_reported_beside_losses(
    store: Callable[..., Store], look: Look, saved_as_parquet: Path
) -> None:
    made = store("sqlite")
    before = look(made.home, save=True)
    made.run(*DAMAGE["a text"][0])
    assert codes(look(made.home, before=before, expected=RECOMPUTED)) == {"altered-rows", "not-done"}
    made.run(*DAMAGE["a lost row"][0])
    plan = planned(ExpectedDataset(values={"train": ("amount",)}, rows={"train": RowsExpected(change=-1)}))
    result = look(made.home, before=before, expected=plan, backup=saved_as_parquet)
    assert codes(result) == {"not-done"}
    made.run(LATER)
    assert codes(look(made.home, before=before, expected=plan, backup=saved_as_parquet)) == set()


def test_a_column_without_values_is_not_said_to_have_kept_them(store: Callable[..., Store], look: Look) -> None:
    made = store("sqlite", *TABLE, "UPDATE train SET amount = NULL")
    before = look(made.home, save=True)
    assert codes(look(made.home, before=before, expected=RECOMPUTED)) == set()
    made.run("UPDATE train SET name = 'x' WHERE id = 1")
    assert codes(look(made.home, before=before, expected=RECOMPUTED)) == {"altered-rows"}


def test_one_plan_may_rename_retype_and_change_a_column(
    store: Callable[..., Store], look: Look, saved_as_parquet: Path
) -> None:
    made = store("duckdb")
    before = look(made.home, save=True)
    made.run("ALTER TABLE train RENAME COLUMN born TO born_utc")
    plan = ExpectedDataset(renamed={"train": {"born": "born_utc"}}, values={"train": ("born_utc",)})
    assert codes(look(made.home, before=before, expected=planned(plan))) == {"not-done"}
    made.run("ALTER TABLE train ALTER born_utc TYPE BIGINT USING epoch_us(born_utc) - 3600000000")
    plan = replace(plan, types={"train": {"born_utc": "BIGINT"}})
    for backup in ({}, {"backup": saved_as_parquet}):
        result = look(made.home, before=before, expected=planned(plan), **backup)
        assert (result.status, codes(result)) == (Status.PASS, set())
        assert "the values are as they were" not in repr(result.findings)
        assert any("the values of born_utc were not compared" in each.message for each in result.findings)
    made.run("UPDATE train SET name = 'x' WHERE id = 1")
    result = look(made.home, before=before, expected=planned(plan), backup=saved_as_parquet)
    assert codes(result) == {"altered-rows"}
    assert change(result, "train")["cells"] == {"name": 1}


@pytest.mark.parametrize(
    ("rows", "statement", "expected"),
    [
        (RowsExpected(change=1), DAMAGE["a new row"][0][0], set()),
        (RowsExpected(change=-1), DAMAGE["a lost row"][0][0], set()),
        (RowsExpected(at_most=0.05), DAMAGE["a lost row"][0][0], set()),
        (RowsExpected(at_most=0.01), DAMAGE["a lost row"][0][0], {"missing-rows"}),
        (RowsExpected(change=2), DAMAGE["a new row"][0][0], {"added-rows"}),
        (RowsExpected(change=-1), DAMAGE["a new row"][0][0], {"added-rows"}),
        (RowsExpected(at_most=0.5), DAMAGE["a number"][0][0], {"altered-rows"}),
    ],
)
@pytest.mark.parametrize("copied", [True, False])
def test_rows_may_come_and_go_as_planned_and_not_otherwise(
    store: Callable[..., Store],
    look: Look,
    saved_as_parquet: Path,
    rows: RowsExpected,
    statement: str,
    expected: set[str],
    copied: bool,
) -> None:
    home = store("duckdb")
    before = look(home.home, save=True)
    home.run(statement)
    backup = {"backup": saved_as_parquet} if copied else {}
    plan = planned(ExpectedDataset(rows={"*": rows}))
    result = look(home.home, before=before, expected=plan, **backup)
    untold = set() if expected or copied else {"not-examined"}
    assert codes(result) == expected | untold
    assert ("as-planned" in codes(result, Severity.NOTE)) is (not expected)
    if not expected:
        assert result.status is (Status.PASS if copied else Status.ERROR)


def test_a_planned_row_count_suffices_if_only_it_is_asked_for(store: Callable[..., Store], look: Look) -> None:
    home = store("sqlite")
    before = look(home.home, save=True)
    home.run(*DAMAGE["a new row"][0])
    plan = planned(ExpectedDataset(rows={"*": RowsExpected(change=1)}))
    quick = look(home.home, before=before, expected=plan, depth="quick")
    assert (quick.status, codes(quick)) == (Status.PASS, set())
    result = look(home.home, before=before, expected=plan)
    assert result.status is Status.ERROR
    assert "of the table train only the number of rows, which is as planned, could be compared" in result.reason
    assert "--mdm-backup" in finding(result, "not-examined").remedy.text


@pytest.mark.parametrize(
    ("rows", "statement", "expected"),
    [
        (RowsExpected(at_most=0.01), "UPDATE train SET id = -id WHERE id % 2 = 0", {"missing-rows", "added-rows"}),
        (RowsExpected(at_most=0.01), "DELETE FROM train WHERE id % 200 = 0", set()),
        (RowsExpected(change=0), "UPDATE train SET id = -id WHERE id % 2 = 0", {"missing-rows", "added-rows"}),
        (RowsExpected(change=-5001), "DELETE FROM train WHERE id % 200 = 0", set()),
    ],
)
def test_a_sample_tells_which_rows_of_a_planned_number_changed(
    large: Callable[..., Store], look: Look, rows: RowsExpected, statement: str, expected: set[str]
) -> None:
    home = large()
    before = look(home.home, save=True)
    home.run(statement)
    result = look(home.home, before=before, expected=planned(ExpectedDataset(rows={"train": rows})))
    assert codes(result) == expected


def test_altered_rows_are_none_of_a_planned_growth(
    store: Callable[..., Store], look: Look, saved_as_parquet: Path
) -> None:
    home = store("sqlite")
    before = look(home.home, save=True)
    home.run(*DAMAGE["a new row"][0], *DAMAGE["a number"][0])
    plan = planned(ExpectedDataset(rows={"train": RowsExpected(change=1)}))
    assert codes(look(home.home, before=before, expected=plan, backup=saved_as_parquet)) == {"altered-rows"}


def test_a_planned_backend_is_as_planned_and_another_fails(store: Callable[..., Store], look: Look) -> None:
    before = look(store("sqlite", folder="old").home, save=True)
    new = store("duckdb", folder="new").home
    assert codes(look(new, before=before, expected=planned())) == {"unplanned-change"}
    as_planned = look(new, before=before, expected=planned(ExpectedDataset(backend="duckdb")))
    assert (as_planned.status, codes(as_planned)) == (Status.PASS, set())


RETYPE = (
    "CREATE TABLE old AS SELECT * FROM train",
    "DROP TABLE train",
    "CREATE TABLE train (id DOUBLE, name TEXT, amount DOUBLE, born TIMESTAMP)",
    "INSERT INTO train SELECT * FROM old",
    "DROP TABLE old",
)


@pytest.mark.parametrize(
    ("expected", "code", "severity"),
    [
        (None, "retyped", Severity.NOTE),
        (planned(ExpectedDataset(types={"*": {"id": "double"}})), "as-planned", Severity.NOTE),
        (planned(), "unplanned-change", Severity.FAIL),
    ],
)
def test_another_type_with_equal_values_is_judged_by_the_plan(
    store: Callable[..., Store], look: Look, expected: Expected | None, code: str, severity: Severity
) -> None:
    home = store("duckdb")
    before = look(home.home, save=True)
    home.run(*RETYPE)
    found = finding(look(home.home, before=before, expected=expected), code)
    assert found.severity is severity
    assert "id was BIGINT and is DOUBLE; the values are as they were" in found.message


def test_a_manipulated_digest_is_an_error_and_not_equal(store: Callable[..., Store], look: Look) -> None:
    home = store("sqlite").home
    before = look(home, save=True)
    kept = json.loads(json.dumps(dict(before.kept)))
    kept["known"][0]["digest"]["buckets"] = "00ff"
    result = look(home, before=replace(before, kept=kept))
    assert (result.status, codes(result)) == (Status.ERROR, {"incomparable"})


def test_a_baseline_without_the_data_has_nothing_to_compare(
    store: Callable[..., Store], look: Look, tmp_path: Path
) -> None:
    home = store("sqlite").home
    file = file_of(home, "sqlite")
    whole = shutil.copy2(file, tmp_path / "whole")
    file.write_bytes(b"no database" * 1000)
    before = look(home, save=True)
    shutil.copy2(whole, file)
    result = look(home, before=before)
    assert result.status is Status.ERROR
    assert "could not be compared with the baseline, which has nothing of them: the file" in result.reason
    assert (codes(result), _changes(result)) == ({"not-examined"}, [])
    assert look(home, before=before, expected=planned()).status is Status.ERROR


def test_a_database_that_had_no_tables_is_compared_with_that(store: Callable[..., Store], look: Look) -> None:
    home = store("sqlite", "PRAGMA user_version = 1", tables={})
    before = look(home.home, save=True)
    home.run("CREATE TABLE train (id INTEGER)", "INSERT INTO train VALUES (1)")
    result = look(home.home, before=before)
    assert "not-examined" not in codes(result)
    assert "added-table" in codes(result, Severity.NOTE)


def test_a_table_that_became_a_feature_table_is_not_compared(store: Callable[..., Store], look: Look) -> None:
    home = store("sqlite", *TABLE, "CREATE TABLE train_features AS SELECT * FROM train")
    before = look(home.home, save=True)
    register(
        home.home, "sqlite", file_of(home.home, "sqlite"), tables={"test": "train_features"},
        feature_tables={"train": "train"},
    )  # fmt: skip
    result = look(home.home, before=before)
    assert change(result, "train")["reason"] == "it is registered as a feature table now"
    assert result.status in {Status.ERROR, Status.FAIL}


def test_a_table_unread_for_the_baseline_is_called_not_compared(store: Callable[..., Store], look: Look) -> None:
    home = store("sqlite")
    file = file_of(home.home, "sqlite")
    whole = file.read_bytes()
    with closing(sqlite3.connect(file)) as connection:
        ((page,),) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'train'")
        ((size,),) = connection.execute("PRAGMA page_size")
    file.write_bytes(whole[: (page - 1) * size] + b"\xff" * size + whole[page * size :])
    before = look(home.home, save=True)
    file.write_bytes(whole)
    result = look(home.home, before=before)
    assert (codes(result), change(result, "train")["verdict"]) == ({"not-examined"}, "not-compared")
    assert "it could not be read when the baseline was recorded" in result.reason
    assert result.status is Status.ERROR


def test_a_table_that_was_to_go_is_not_missed(store: Callable[..., Store], look: Look) -> None:
    home = store("sqlite", *TABLE, "CREATE TABLE test (a INTEGER)", "INSERT INTO test VALUES (1)", tables={
        "train": "train", "test": "test"
    })  # fmt: skip
    before = look(home.home, save=True)
    home.run("DROP TABLE test")
    assert codes(look(home.home, before=before)) == {"missing-table"}
    plan = planned(ExpectedDataset(dropped_tables=("test",)))
    result = look(home.home, before=before, expected=plan)
    assert (result.status, codes(result)) == (Status.PASS, set())
    assert "as planned, the table test of the baseline" in finding(result, "as-planned").message


@pytest.fixture
def large(store: Callable[..., Store]) -> Callable[..., Store]:
    def make(**registered: object) -> Store:
        statement = "CREATE TABLE train AS SELECT i AS id, i % 1000 AS amount FROM range(1000001) t(i)"
        return store("duckdb", statement, **registered)

    return make


def test_a_large_table_is_compared_whole_only_at_full_depth(large: Callable[..., Store], look: Look) -> None:
    home = large()
    before = look(home.home, save=True)
    result = look(home.home, before=before)
    assert change(result, "train")["by"] == "sample"
    assert (result.status, "of 1000001 rows of the table train a sample of" in result.reason) == (Status.PASS, True)
    whole = look(home.home, save=True, depth="full")
    kept = json.loads(json.dumps(dict(before.kept)))
    kept["known"][0]["sample"]["vector"] = "1-0000000000000000"
    assert codes(look(home.home, before=replace(before, kept=kept))) == {"incomparable"}
    home.run("UPDATE train SET amount = amount + 1 WHERE id = 77")
    assert codes(look(home.home, before=whole, depth="full")) == {"altered-rows"}
    home.run("UPDATE train SET amount = amount + 1")
    result = look(home.home, before=before)
    assert "altered since the baseline" in finding(result, "altered-rows").message
    assert change(result, "train")["rows"]["altered"] == change(result, "train")["rows"]["of"] > 1000


def test_keys_of_a_large_table_with_planned_values_are_compared(large: Callable[..., Store], look: Look) -> None:
    home = large()
    before = look(home.home, save=True)
    assert codes(look(home.home, before=before, expected=RECOMPUTED)) == {"not-done"}
    home.run("UPDATE train SET amount = amount + 1")
    result = look(home.home, before=before, expected=RECOMPUTED)
    assert (result.status, codes(result)) == (Status.PASS, set())
    assert "only the keys of rows were compared, as values of amount are planned to change" in result.reason
    home.run("DELETE FROM train WHERE id % 2 = 0", "INSERT INTO train SELECT -id - 1, 0 FROM train")
    assert codes(look(home.home, before=before, expected=RECOMPUTED)) >= {"missing-rows"}


def test_a_large_table_without_a_key_is_counted_not_compared(large: Callable[..., Store], look: Look) -> None:
    home = large(id_columns=[])
    before = look(home.home, save=True)
    assert "no key to sample it by is registered" in before.reason
    result = look(home.home, before=before)
    assert (result.status, change(result, "train")["verdict"]) == (Status.ERROR, "not-compared")
    assert "no key to sample it by is registered" in result.reason
    assert look(home.home, before=before, depth="quick").status is Status.PASS
    complete = look(home.home, save=True, depth="full")
    sampled = look(home.home, before=complete)
    assert (sampled.status, "--mdm-depth=full compares all of them" in sampled.reason) == (Status.ERROR, True)
    assert look(home.home, before=complete, depth="full").status is Status.PASS
    home.run("DELETE FROM train WHERE id = 5")
    assert codes(look(home.home, before=before)) == {"missing-rows"}


def test_at_depth_quick_only_columns_are_compared(store: Callable[..., Store], look: Look) -> None:
    home = store("sqlite")
    quick, whole = look(home.home, save=True, depth="quick"), look(home.home, save=True)
    home.run(DROP)
    assert codes(look(home.home, before=whole, depth="quick")) == {"dropped-columns"}
    result = look(home.home, before=quick)
    assert codes(result) == {"dropped-columns", "not-examined"}
    assert "more of its rows than their number: it was recorded at --mdm-depth=quick" in result.reason


@pytest.mark.parametrize(("saved", "depth"), [("quick", "quick"), ("quick", "full"), ("standard", "quick")])
def test_rows_are_counted_for_a_baseline_at_every_depth(each_store: Store, look: Look, saved: str, depth: str) -> None:
    before = look(each_store.home, save=True, depth=saved)
    same = look(each_store.home, before=before, depth=depth)
    asked = depth != "quick"
    assert (same.status, codes(same)) == ((Status.ERROR, {"not-examined"}) if asked else (Status.PASS, set()))
    assert change(same, "train")["verdict"] == "not-compared"
    assert f"the table train {'could not be' if asked else 'was not'} compared with the baseline: " in same.reason
    each_store.run(*DAMAGE["a lost row"][0])
    assert codes(look(each_store.home, before=before, depth=depth)) == {"missing-rows"}


def test_no_time_is_an_error_and_not_equality(store: Callable[..., Store]) -> None:
    home = store("sqlite").home
    inventory = take_inventory(home, {})
    (dataset,) = inventory.datasets
    backend = Backend("sqlite", file_of(home, "sqlite"))
    options = Options(home=home, save_baseline=home / "x", baseline=home / "x")
    before = observe(dataset, backend, inventory.home, inventory.settings, options, Expected())
    hasty = Options(home=home, baseline=home / "x", timeout=1e-9)
    request = SnapshotRequest(dataset, backend, inventory.home, inventory.settings, hasty, Expected(), before)
    facts = with_tables(before, request)
    assert facts.examined == 0
    (found,) = judge(facts, before)
    assert (found.code, found.severity) == ("data-corruption.not-compared", Severity.WARN)
    assert "--mdm-timeout" in found.message


def test_a_loss_of_rows_is_told_though_no_row_could_be_compared(store: Callable[..., Store]) -> None:
    made = store("sqlite")
    inventory = take_inventory(made.home, {})
    (dataset,) = inventory.datasets
    backend = Backend("sqlite", file_of(made.home, "sqlite"))
    home, settings = inventory.home, inventory.settings
    recording = Options(home=made.home, save_baseline=made.home / "x")
    before = observe(dataset, backend, home, settings, recording, Expected())
    made.run(*DAMAGE["a lost row"][0])
    hasty = Options(home=made.home, baseline=made.home / "x", timeout=1e-9)
    now = observe(dataset, backend, home, settings, replace(hasty, timeout=60.0, baseline=None), Expected())
    facts = with_tables(now, SnapshotRequest(dataset, backend, home, settings, hasty, Expected(), before))
    assert "data-corruption.missing-rows" in {each.code for each in judge(facts, before)}
    assert any(
        "only the number of rows was compared with the baseline: that takes longer" in each for each in facts.gaps
    )


def test_recording_and_comparing_change_nothing_in_the_home(home: Path, look: Look, tree: Tree, tmp_path: Path) -> None:
    file = home / "datasets" / "shop" / "shop.sqlite"
    untouched = tmp_path / "backups"
    untouched.mkdir()
    shutil.copy2(file, untouched / "shop.sqlite")
    before = look(home, save=True)
    run_in(file, "UPDATE test SET qty = 0 WHERE id = 1")
    trees = (tree(home), tree(untouched))
    result = look(home, before=before, backup=untouched, depth="full")
    assert change(result, "test")["copy"] == str(untouched / "shop.sqlite")
    assert (tree(home), tree(untouched)) == trees


def test_no_password_however_short_spoils_a_digest_that_is_kept(store: Callable[..., Store], look: Look) -> None:
    digest = _known(look(store("sqlite").home, save=True))[0]["digest"]
    every = [f"{number:02x}" for number in range(256)]
    assert Redactor(every).everywhere(digest["buckets"]) == digest["buckets"]
