"""Features that are missing, incomplete or useless are found; what MDM normally omits is no finding."""

from __future__ import annotations

import copy
import itertools
import json
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import duckdb
import pytest
import yaml

from pytest_mdm_health.checks.feature_generation_failure.baseline.values import CELLS
from pytest_mdm_health.core.expected import Expected, ExpectedDataset
from pytest_mdm_health.core.model import Finding, Result, Severity, Status
from tests.conftest import HOMES, Hold
from tests.made_up_features import FEATURES
from tests.postgres import USER, MakePostgresHome, Server

CHECK = "feature-generation-failure"
FAIL, WARN, NOTE = Severity.FAIL, Severity.WARN, Severity.NOTE
ENGINES = ("sqlite", "duckdb")
Examine = Callable[..., Result]
MakeHome = Callable[..., Path]
MakePython = Callable[..., Path]
Tree = Callable[[Path], dict[str, tuple[int, int, int, int, str]]]


def data(home: Path, dataset: str = "shop") -> Path:
    (path,) = (each for each in (home / "datasets" / dataset).iterdir() if each.suffix in {".sqlite", ".duckdb"})
    return path


def run_sql(home: Path, *statements: str, dataset: str = "shop") -> None:
    path = data(home, dataset)
    if path.suffix == ".duckdb":
        with duckdb.connect(str(path)) as engine:
            for statement in statements:
                engine.execute(statement)
        return
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def register(home: Path, **fields: object) -> None:
    for file in (home / "config/datasets/shop.yaml", home / "datasets/shop/dataset_info.json"):
        registered = yaml.safe_load(file.read_text(encoding="utf-8"))
        file.write_text(yaml.safe_dump(registered | fields), encoding="utf-8")


def log(home: Path, *records: str) -> None:
    lines = (f"2026-11-23 08:18:38 | {record.replace(' ', ' | mdm.features.base:f:64 - ', 1)}\n" for record in records)
    with (home / "logs/mdm.log").open("a", encoding="utf-8") as file:
        file.writelines(lines)


def findings(result: Result, *but: str) -> list[tuple[str, Severity]]:
    """What was found, without the warning that the real data has anyway."""
    known = {f"{CHECK}.logged-error", *but}
    return [(finding.code, finding.severity) for finding in result.findings if finding.code not in known]


def the(result: Result, code: str) -> Finding:
    (found,) = (finding for finding in result.findings if finding.code == code)
    return found


@pytest.fixture(params=ENGINES)
def each_engine(request: pytest.FixtureRequest, make_home: MakeHome) -> Path:
    return make_home(f"mdm-1.0.6-{request.param}")


@pytest.mark.parametrize("depth", ["quick", "standard", "full"])
def test_healthy_features_are_examined_and_not_accused(
    each_home: Path, examine: Examine, depth: str, tree: Tree
) -> None:
    before = tree(each_home)
    for dataset, tables in {"breast_cancer": 1, "shop": 2, "wine": 1}.items():
        result = examine(CHECK, each_home, dataset, depth=depth)
        assert (result.status, result.examined) == (Status.WARN if result.findings else Status.PASS, tables)
        found = {finding.code for finding in result.findings}
        lost_by_mdm = {f"{CHECK}.left-out", f"{CHECK}.logged-error"}
        assert found <= (lost_by_mdm if dataset == "shop" else set())
    assert tree(each_home) == before


def test_a_dataset_without_features_is_skipped(home: Path, examine: Examine) -> None:
    result = examine(CHECK, home, "big")
    assert (result.status, result.reason) == (Status.SKIP, "no feature tables are registered")


def test_features_of_one_table_only_are_a_warning(make_home: MakeHome, examine: Examine) -> None:
    finding = the(examine(CHECK, make_home("mdm-0.1.0-sqlite"), "shop"), "feature-generation-failure.left-out")
    assert finding.severity is WARN
    assert finding.message.startswith("train_features lacks 14 features that test_features has")
    assert "city_frequency" in str(finding.evidence["columns"])


def test_an_error_whose_features_are_missing_is_a_warning(home: Path, examine: Examine) -> None:
    finding = the(examine(CHECK, home, "shop"), "feature-generation-failure.logged-error")
    assert finding.severity is WARN
    assert "'signup': Can only use .str accessor with string values! (2 times)" in finding.message
    assert finding.location is not None
    assert (Path(finding.location.file), finding.location.line) == (home / "logs/mdm.log", 896)


def test_an_error_about_a_column_with_features_is_a_note(home: Path, examine: Examine) -> None:
    for table in ("train_features", "test_features"):
        run_sql(
            home, f"ALTER TABLE {table} ADD COLUMN signup_day INTEGER", f"UPDATE {table} SET signup_day = 1 + id % 28"
        )
    finding = the(examine(CHECK, home, "shop"), "feature-generation-failure.logged-error")
    assert finding.severity is NOTE
    run_sql(home, "ALTER TABLE test_features DROP COLUMN signup_day")
    finding = the(examine(CHECK, home, "shop"), "feature-generation-failure.logged-error")
    assert finding.severity is WARN


def test_an_error_that_did_not_come_back_is_repaired(home: Path, examine: Examine) -> None:
    log(home, "INFO Generating features for dataset 'shop'", "INFO Generated 2 feature tables")
    assert examine(CHECK, home, "shop").findings == ()


DAMAGE: dict[str, tuple[str, Severity, tuple[str, ...]]] = {
    "a dropped table": ("feature-generation-failure.missing-table", FAIL, ("DROP TABLE test_features",)),
    "lost rows": ("feature-generation-failure.row-count", FAIL, ("DELETE FROM train_features WHERE id > 1500",)),
    "doubled rows": (
        "feature-generation-failure.row-count",
        FAIL,
        ("INSERT INTO train_features SELECT * FROM train_features WHERE id = 5",),
    ),
    "a feature without values": (
        "feature-generation-failure.empty-feature",
        FAIL,
        ("UPDATE train_features SET amount_log = NULL",),
    ),
    "a copied column without values": (
        "feature-generation-failure.empty-feature",
        FAIL,
        ("UPDATE train_features SET city = NULL",),
    ),
    "infinite numbers": (
        "feature-generation-failure.infinite-feature",
        WARN,
        ("UPDATE train_features SET amount_div_mean = 9e307 * 100 WHERE id < 3",),
    ),
    "a constant": (
        "feature-generation-failure.constant-feature",
        NOTE,
        ("UPDATE train_features SET qty_log = 1.5",),
    ),
    "features for training only": (
        "feature-generation-failure.tables-differ",
        WARN,
        ("ALTER TABLE test_features DROP COLUMN amount_log",),
    ),
    "features for testing only": (
        "feature-generation-failure.tables-differ",
        WARN,
        ("ALTER TABLE train_features DROP COLUMN qty_boxcox", "ALTER TABLE train_features DROP COLUMN note_length"),
    ),
    "a number that became text": (
        "feature-generation-failure.tables-differ",
        WARN,
        (
            "ALTER TABLE test_features DROP COLUMN amount_log",
            "ALTER TABLE test_features ADD COLUMN amount_log TEXT",
            "UPDATE test_features SET amount_log = 'high' WHERE id > 3",
        ),
    ),
    "a table that is not registered": (
        "feature-generation-failure.left-behind",
        WARN,
        ("CREATE TABLE extra AS SELECT * FROM test", "CREATE TABLE extra_features AS SELECT * FROM test"),
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damaged_features_are_found_until_they_are_made_again(
    each_engine: Path, make_home: MakeHome, examine: Examine, tree: Tree, name: str
) -> None:
    code, severity, statements = DAMAGE[name]
    make_home("raw", "raw")
    sound = data(each_engine).read_bytes()
    infinite = tuple(statement.replace("9e307 * 100", "'inf'") for statement in statements)
    run_sql(each_engine, *(infinite if data(each_engine).suffix == ".duckdb" else statements))
    before = tree(each_engine)
    result = examine(CHECK, each_engine, "shop")
    assert tree(each_engine) == before
    assert findings(result) == [(code, severity)]
    if severity is not NOTE:
        assert the(result, code).remedy.commands == ()
        assert the(result, code).remedy.text
    data(each_engine).write_bytes(sound)
    assert findings(examine(CHECK, each_engine, "shop")) == []


def test_evidence_names_the_columns_and_the_rows(home: Path, examine: Examine) -> None:
    run_sql(home, "UPDATE train_features SET amount_log = NULL, qty_log = 9e999 WHERE id <> 7 OR amount_log > 0")
    result = examine(CHECK, home, "shop")
    assert the(result, f"{CHECK}.empty-feature").evidence == {"columns": ["amount_log"], "rows": 2000}
    assert the(result, f"{CHECK}.infinite-feature").evidence == {"columns": {"qty_log": 2000}, "rows": 2000}


def test_columns_that_the_data_leaves_empty_are_not_reported(each_engine: Path, examine: Examine) -> None:
    infinite = "'inf'" if data(each_engine).suffix == ".duckdb" else "9e999"
    for table in ("train", "train_features"):
        run_sql(each_engine, f"UPDATE {table} SET city = NULL, amount = {infinite}, qty = 7")
    assert findings(examine(CHECK, each_engine, "shop")) == []


EXPECTED = {
    "a column that only one has": (
        "ALTER TABLE test DROP COLUMN note",
        *(f"ALTER TABLE test_features DROP COLUMN {name}" for name in ("note", "note_length", "note_avg_word_length")),
    ),
    "the target": (
        "ALTER TABLE train_features ADD COLUMN churn_rank FLOAT",
        "UPDATE train_features SET churn_rank = id",
    ),
    "combinations that MDM chose": (
        "ALTER TABLE train_features ADD COLUMN qty_plus_amount FLOAT",
        "UPDATE train_features SET qty_plus_amount = id",
    ),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_differences_with_a_known_reason_are_no_warning(each_engine: Path, examine: Examine, name: str) -> None:
    run_sql(each_engine, *EXPECTED[name])
    assert findings(examine(CHECK, each_engine, "shop"), "feature-generation-failure.left-out") == []


def test_a_failed_generation_is_repaired_by_the_next_one(home: Path, examine: Examine) -> None:
    register(home, feature_tables={}, tables={"train": "train", "test": "test"})
    run_sql(home, "DROP TABLE test_features", "DELETE FROM train_features WHERE id > 1000")
    log(home, "INFO Generating features for dataset 'shop'", "ERROR Failed to generate features: no column named x")
    result = examine(CHECK, home, "shop")
    assert findings(result) == [
        ("feature-generation-failure.logged-failure", FAIL),
        ("feature-generation-failure.left-behind", WARN),
    ]
    finding = the(result, "feature-generation-failure.logged-failure")
    assert "no column named x; MDM registered the dataset without features" in finding.message
    assert finding.location is not None
    assert finding.location.line == len((home / "logs/mdm.log").read_text().splitlines()) - 1
    log(home, "INFO Generating features for dataset 'shop'", "INFO Generated 2 feature tables")
    run_sql(home, "DROP TABLE train_features")
    assert examine(CHECK, home, "shop").status is Status.SKIP


def test_a_failed_generation_beside_older_features_is_a_warning(home: Path, examine: Examine) -> None:
    log(home, "INFO Generating features for dataset 'shop'", "ERROR Failed to generate features: no column named x")
    assert findings(examine(CHECK, home, "shop")) == [("feature-generation-failure.logged-failure", WARN)]


def test_the_result_says_what_was_not_looked_at(home: Path, examine: Examine) -> None:
    quick, standard = (examine(CHECK, home, "shop", depth=depth) for depth in ("quick", "standard"))
    assert quick.reason == "no values were examined and the generator was not run (see --mdm-depth)"
    assert standard.reason == "the generator was not run: no MDM was found (see --mdm-python)"


def test_a_large_table_is_sampled_unless_all_of_it_is_wanted(home: Path, examine: Examine) -> None:
    run_sql(
        home,
        *["INSERT INTO train SELECT * FROM train", "INSERT INTO train_features SELECT * FROM train_features"] * 4,
        "UPDATE train_features SET qty_log = 9e999 WHERE rowid = 12345",
    )
    standard, full = (examine(CHECK, home, "shop", depth=depth) for depth in ("standard", "full"))
    assert findings(standard) == []
    assert "8192 of 32000 rows of table train_features were examined (--mdm-depth=full examines all)" in standard.reason
    assert findings(full) == [("feature-generation-failure.infinite-feature", WARN)]


def test_the_installed_generator_runs_on_the_data_and_is_healthy(
    each_engine: Path, make_python: MakePython, examine: Examine, tree: Tree
) -> None:
    before = tree(each_engine)
    result = examine(CHECK, each_engine, "shop", python=str(make_python(FEATURES)))
    assert tree(each_engine) == before
    assert (result.status, result.reason) == (Status.WARN, "")
    trial = result.facts["trial"]
    assert trial == {"table": "train", "rows": 100, "features": 2, "raised": "", "errors": []}


RAISING = "class FeatureGenerator:\n    def generate_features(self, df):\n        {}\n"


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("raise ValueError(\"no 'c0165' in 'customer'\")", "ValueError: no '…' in 'customer'"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("import os; os._exit(3)", "it ended with exit code 3"),
        ("return None", "AttributeError: '…' object has no attribute '…'"),
    ],
)
def test_a_failing_generator_is_found_until_it_is_repaired(
    home: Path, make_python: MakePython, examine: Examine, statement: str, message: str
) -> None:
    broken = make_python({**FEATURES, "mdm/features/generator.py": RAISING.format(statement)}, name="broken")
    finding = the(examine(CHECK, home, "shop", python=str(broken)), "feature-generation-failure.generator-fails")
    assert finding.severity is FAIL
    assert finding.message == f"the installed generator fails on the first 100 rows of train: {message}"
    assert findings(examine(CHECK, home, "shop", python=str(make_python(FEATURES)))) == []


def test_a_generator_that_hangs_is_stopped_in_time(home: Path, make_python: MakePython, examine: Examine) -> None:
    hanging = RAISING.format("import time; time.sleep(600)")
    started = time.monotonic()
    python = str(make_python({**FEATURES, "mdm/features/generator.py": hanging}))
    result = examine(CHECK, home, "shop", python=python, timeout=5)
    assert "it did not finish in time" in the(result, "feature-generation-failure.generator-fails").message
    assert time.monotonic() - started < 120


def test_errors_that_the_generator_only_logs_are_found(home: Path, make_python: MakePython, examine: Examine) -> None:
    sound = data(home).read_bytes()
    run_sql(home, "UPDATE train SET qty = x'00ff' WHERE id = 7")
    broken = FEATURES["mdm/features/generator.py"].replace("value * 2", "value * 2.0")
    python = str(make_python({**FEATURES, "mdm/features/generator.py": broken}))
    finding = the(examine(CHECK, home, "shop", python=python), "feature-generation-failure.generator-errors")
    assert finding.severity is WARN
    assert "logs 1 error on the first 100 rows of train: Error in column 'qty'" in finding.message
    data(home).write_bytes(sound)
    assert findings(examine(CHECK, home, "shop", python=python)) == []


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        ("import no_such_module", "cannot be imported (mdm.features.generator: ModuleNotFoundError: No module named"),
        ("", "this MDM has no generator"),
    ],
)
def test_an_mdm_whose_generator_cannot_be_had_is_a_gap(
    home: Path, make_python: MakePython, examine: Examine, module: str, reason: str
) -> None:
    python = make_python({**FEATURES, "mdm/features/generator.py": module})
    result = examine(CHECK, home, "shop", python=str(python))
    assert (result.status, result.examined) == (Status.WARN, 2)
    assert reason in result.reason


def test_a_command_that_makes_features_again_is_named(home: Path, make_python: MakePython, examine: Examine) -> None:
    program = (
        "class Command:\n    def __init__(self, **commands):\n        self.commands = commands or None\n"
        "app = Command(features=Command(regenerate=Command()))\n"
    )
    typer = {"typer/__init__.py": "", "typer/main.py": "def get_command(app):\n    return app\n"}
    run_sql(home, "DROP TABLE test_features")
    python = make_python({**FEATURES, **typer, "mdm/cli/main.py": program})
    finding = the(examine(CHECK, home, "shop", python=str(python)), "feature-generation-failure.missing-table")
    assert finding.remedy.commands == ()
    assert "`mdm features regenerate shop --force`" in finding.remedy.text
    assert "save the dataset's folder" in finding.remedy.text


def test_features_are_remade_without_deleting_the_dataset(home: Path, make_home: MakeHome, examine: Examine) -> None:
    sources = make_home("raw", "raw")
    run_sql(home, "DROP TABLE test_features")
    remedy = the(examine(CHECK, home, "shop"), "feature-generation-failure.missing-table").remedy
    assert remedy.commands == ()
    assert f"from its source, {sources}/shop" in remedy.text
    assert all(word in remedy.text for word in ("deletes the folder", "target", "problem type", "new name"))


def test_features_on_a_server_are_examined(
    postgres: Server, make_postgres_home: MakePostgresHome, examine: Examine
) -> None:
    create = "CREATE TABLE train AS SELECT n AS id, n * 0.5::float AS amount FROM generate_series(1, 300) AS n"
    features = "CREATE TABLE train_features AS SELECT *, ln(amount) AS amount_log, amount / 0.5 AS d FROM train"
    postgres.add_database("mdm_shop", create, features, owner=USER)
    home = make_postgres_home(postgres)
    register(home, tables={"train": "train", "train_features": "train_features"})
    assert examine(CHECK, home, "shop").status is Status.PASS
    postgres.run("UPDATE train_features SET amount_log = NULL, d = 'Infinity'", database="mdm_shop", user=USER)
    assert findings(examine(CHECK, home, "shop")) == [
        (f"{CHECK}.empty-feature", FAIL),
        (f"{CHECK}.infinite-feature", WARN),
    ]


def test_a_database_that_cannot_be_opened_is_an_error(home: Path, examine: Examine) -> None:
    data(home).write_bytes(b"no database at all, whatever its name says" * 100)
    result = examine(CHECK, home, "shop", ignore=("metadata-corruption",))
    assert result.status is Status.ERROR
    assert str(data(home)) in result.reason


def test_an_unreadable_feature_table_is_not_missing_or_skipped(home: Path, examine: Examine) -> None:
    run_sql(home, "DROP TABLE test_features", "CREATE VIEW test_features AS SELECT * FROM nowhere")
    result = examine(CHECK, home, "shop")
    assert (result.status, findings(result), result.examined) == (Status.ERROR, [], 1)
    assert result.reason.startswith("the table test_features cannot be read: no such table")


def test_features_that_may_not_be_read_are_blocked_and_no_loss(
    postgres: Server, make_postgres_home: MakePostgresHome, examine: Examine
) -> None:
    create = "CREATE TABLE train AS SELECT n AS id, n * 0.5::float AS amount FROM generate_series(1, 300) AS n"
    features = "CREATE TABLE train_features AS SELECT *, ln(amount) AS amount_log FROM train"
    postgres.add_database("mdm_shop", create, features, owner=USER)
    home = make_postgres_home(postgres)
    register(home, tables={"train": "train", "train_features": "train_features"})
    before = examine(CHECK, home, "shop", save_baseline=home.parent / "kept.json")
    assert before.status is Status.PASS
    for other in ("train_features", "train"):
        postgres.run(f"REVOKE ALL ON {other} FROM {USER}", database="mdm_shop")
        result = examine(CHECK, home, "shop", before=before)
        assert (result.status, result.findings) == (Status.BLOCKED, ())
        assert (result.blocked_by or "").startswith("mdm-health::postgres-slowdown[")
        postgres.run(f"GRANT ALL ON {other} TO {USER}", database="mdm_shop")
    assert examine(CHECK, home, "shop", before=before).status is Status.PASS


def test_locked_features_are_an_error(make_home: MakeHome, examine: Examine, hold: Hold) -> None:
    home = make_home("mdm-1.0.6-duckdb")
    hold(f"import duckdb; c = duckdb.connect({str(data(home))!r}); c.execute('BEGIN')")
    result = examine(CHECK, home, "shop", ignore=("metadata-corruption",))
    assert (result.status, findings(result)) == (Status.ERROR, [])
    assert "its feature tables were not examined" in result.reason


CHANGES = {f"{CHECK}.lost-features", f"{CHECK}.new-features", f"{CHECK}.altered-features"}


@pytest.fixture
def recorded(examine: Examine, tmp_path: Path) -> Callable[..., Result]:
    """A dataset's features as a baseline has them."""

    def record(home: Path, dataset: str = "shop", **options: object) -> Result:
        return examine(CHECK, home, dataset, save_baseline=tmp_path / "kept.json", **options)

    return record


def since(result: Result) -> dict[tuple[str, str], Severity]:
    return {
        (each.code.partition(".")[2], each.subject): each.severity for each in result.findings if each.code in CHANGES
    }


@pytest.mark.parametrize(("earlier", "later"), list(itertools.permutations(HOMES, 2)))
@pytest.mark.parametrize("dataset", ["breast_cancer", "shop", "wine"])
def test_between_real_homes_lost_features_are_failures(
    make_home: MakeHome, examine: Examine, recorded: Callable[..., Result], earlier: str, later: str, dataset: str
) -> None:
    before = recorded(make_home(earlier, "before"), dataset)
    result = examine(CHECK, make_home(later, "after"), dataset, before=before)
    was, now = (features(each) for each in (before, result))
    found: dict[tuple[str, str], set[str]] = {}
    for finding in result.findings:
        if finding.code in CHANGES:
            found[finding.code.partition(".")[2], finding.subject.removeprefix("table ")] = columns(finding)
    lost = {("lost-features", table): was[table] - now[table] for table in was if was[table] - now[table]}
    new = {("new-features", table): now[table] - was[table] for table in was if now[table] - was[table]}
    assert found == lost | new, "and no value is another one"
    assert (result.status is Status.FAIL) == bool(lost)
    assert {severity for (code, _), severity in since(result).items() if code == "new-features"} <= {NOTE}


def features(result: Result) -> dict[str, set[str]]:
    tables = cast("list[dict[str, Any]]", result.facts["tables"])
    return {each["name"]: set(each["columns"]) - set(each["copied"]) for each in tables}


def columns(finding: Finding) -> set[str]:
    return set(cast("list[str]", finding.evidence["columns"]))


def test_it_is_said_why_features_went_in_the_refactoring(
    make_home: MakeHome, examine: Examine, recorded: Callable[..., Result]
) -> None:
    before = recorded(make_home("mdm-0.1.0-sqlite", "before"))
    result = examine(CHECK, make_home("mdm-1.0.6-duckdb", "after"), "shop", before=before)
    (finding,) = (each for each in result.findings if each.subject == "table train_features" and "lost" in each.code)
    assert finding.message == (
        "train_features lost 5 features (signup_day, signup_hour, signup_hour_sin, signup_hour_cos, "
        "signup_days_since_start); they were generated after the refactoring, previously before it, and "
        "the backend is duckdb, previously sqlite; MDM logged an error about signup"
    )


DROP = "ALTER TABLE {} DROP COLUMN {}"
LATER: dict[str, tuple[tuple[str, ...], dict[tuple[str, str], Severity]]] = {
    "a feature of MDM's own": (
        (DROP.format("train_features", "qty_log"), DROP.format("test_features", "qty_log")),
        {("lost-features", "table train_features"): FAIL, ("lost-features", "table test_features"): FAIL},
    ),
    "a feature more": (
        ("ALTER TABLE train_features ADD COLUMN extra INTEGER", "UPDATE train_features SET extra = id"),
        {("new-features", "table train_features"): NOTE},
    ),
    "one other value": (
        ("UPDATE test_features SET amount_log = amount_log * 1.0000001 WHERE id = 7 OR id = 2007",),
        {("altered-features", "values in test_features"): WARN},
    ),
    "one other value in what was taken from the data": (
        ("UPDATE train_features SET qty = qty + 1 WHERE id = 7",),
        {("altered-features", "values in train_features"): WARN},
    ),
    "values in other rows": (
        (
            "UPDATE train_features SET note_length = note_length + 1 WHERE id = 7",
            "UPDATE train_features SET note_length = note_length - 1 WHERE id = 7",
        ),
        {},
    ),
    "other data and other features": (
        ("UPDATE train SET qty = qty + 1 WHERE id = 7", "UPDATE train_features SET qty = qty + 1 WHERE id = 7"),
        {("altered-features", "values in train_features"): NOTE},
    ),
}


@pytest.mark.parametrize("change", LATER)
def test_changed_features_are_found_until_they_are_repaired(
    each_engine: Path, examine: Examine, recorded: Callable[..., Result], tmp_path: Path, change: str
) -> None:
    statements, expected = LATER[change]
    before, good = recorded(each_engine), tmp_path / "good"
    shutil.copy2(data(each_engine), good)
    run_sql(each_engine, *statements)
    result = examine(CHECK, each_engine, "shop", before=before)
    assert since(result) == expected
    shutil.copy2(good, data(each_engine))
    assert since(examine(CHECK, each_engine, "shop", before=before)) == {}, "repaired"


def test_values_that_changed_rows_are_found(
    each_engine: Path, examine: Examine, recorded: Callable[..., Result]
) -> None:
    before = recorded(each_engine)
    run_sql(
        each_engine,
        "CREATE TABLE swapped AS SELECT id, 1999 - id AS other, amount_percentile AS value FROM train_features",
        "UPDATE train_features SET amount_percentile = "
        "(SELECT value FROM swapped WHERE swapped.other = train_features.id)",
        "DROP TABLE swapped",
    )
    finding = the(examine(CHECK, each_engine, "shop", before=before), f"{CHECK}.altered-features")
    assert finding.severity is WARN
    assert finding.message.startswith("train_features has the same values in each column, but in different rows")


def test_a_number_that_became_text_since_is_found(
    each_engine: Path, examine: Examine, recorded: Callable[..., Result]
) -> None:
    before = recorded(each_engine)
    for table in ("train_features", "test_features"):
        run_sql(
            each_engine,
            f"ALTER TABLE {table} ADD COLUMN kept TEXT",
            f"UPDATE {table} SET kept = CAST(qty_log AS TEXT)",
            DROP.format(table, "qty_log"),
            f"ALTER TABLE {table} RENAME COLUMN kept TO qty_log",
        )
    found = since(examine(CHECK, each_engine, "shop", before=before))
    assert found["altered-features", "types in train_features"] is WARN


def test_a_missing_custom_feature_is_found_after_any_migration(
    make_home: MakeHome, examine: Examine, recorded: Callable[..., Result]
) -> None:
    old = make_home("mdm-0.1.0-sqlite", "before")
    for table in ("train_features", "test_features"):
        run_sql(old, f"ALTER TABLE {table} ADD COLUMN per_piece FLOAT", f"UPDATE {table} SET per_piece = id * 1.5")
    result = examine(CHECK, make_home("mdm-1.0.6-sqlite", "after"), "shop", before=recorded(old))
    lost = {subject: severity for (code, subject), severity in since(result).items() if code == "lost-features"}
    assert lost == {
        "table train_features": FAIL,
        "table test_features": FAIL,
        "custom features of train_features": FAIL,
        "custom features of test_features": FAIL,
    }


@pytest.mark.parametrize("forgotten", [{}, {"train_features": "train_features"}])
def test_missing_feature_tables_are_found_and_repaired(
    each_engine: Path, examine: Examine, recorded: Callable[..., Result], tmp_path: Path, forgotten: dict[str, str]
) -> None:
    shutil.copytree(each_engine, tmp_path / "good")
    before = recorded(each_engine)
    gone = [name for name in ("train_features", "test_features") if name not in forgotten]
    run_sql(each_engine, *(f"DROP TABLE {name}" for name in gone))
    register(each_engine, feature_tables=forgotten, tables={"train": "train", "test": "test", **forgotten})
    result = examine(CHECK, each_engine, "shop", before=before)
    assert since(result) == {("lost-features", f"table {name}"): FAIL for name in gone}
    assert result.status is Status.FAIL
    shutil.rmtree(each_engine)
    (tmp_path / "good").rename(each_engine)
    assert since(examine(CHECK, each_engine, "shop", before=before)) == {}, "feature-generation-failure.lost-features"


def test_a_table_that_is_registered_and_gone_is_found_once(
    home: Path, examine: Examine, recorded: Callable[..., Result]
) -> None:
    before = recorded(home)
    run_sql(home, "DROP TABLE train_features")
    result = examine(CHECK, home, "shop", before=before)
    assert findings(result) == [("feature-generation-failure.missing-table", FAIL)]


def test_features_that_came_are_a_note(make_home: MakeHome, examine: Examine, recorded: Callable[..., Result]) -> None:
    without = make_home(folder="before")
    run_sql(without, "DROP TABLE test_features")
    register(without, feature_tables={"train_features": "train_features"}, tables={"train": "train", "test": "test"})
    result = examine(CHECK, make_home(folder="after"), "shop", before=recorded(without))
    assert since(result) == {("new-features", "table test_features"): NOTE}, "feature-generation-failure.new-features"


def test_what_was_registered_again_may_have_other_values(
    home: Path, examine: Examine, recorded: Callable[..., Result]
) -> None:
    before = recorded(home)
    run_sql(home, "UPDATE train_features SET amount_log = amount_log + 1")
    register(home, registered_at="2026-11-23T08:00:00")
    finding = the(examine(CHECK, home, "shop", before=before), "feature-generation-failure.altered-features")
    assert finding.severity is NOTE
    assert finding.message == (
        "train_features has different values in 1 feature (amount_log); the dataset was registered again"
    )


def test_other_settings_explain_other_features(home: Path, examine: Examine, recorded: Callable[..., Result]) -> None:
    before = recorded(home)
    run_sql(home, *(DROP.format(table, "qty_log") for table in ("train_features", "test_features")))
    with (home / "mdm.yaml").open("a", encoding="utf-8") as file:
        file.write("feature_engineering: {generic: {statistical: {include_log: false}}}\n")
    unexplained = examine(CHECK, home, "shop", before=before)
    assert "no explanation found" in repr(unexplained.findings), "none was generated again"
    register(home, registered_at="2026-11-23T08:00:00")
    result = examine(CHECK, home, "shop", before=before)
    assert set(since(result).values()) == {FAIL}, "an explanation brings no feature back"
    assert "feature_engineering.generic.statistical.include_log changed" in repr(result.findings)


def test_what_is_planned_to_go_is_a_note(home: Path, examine: Examine, recorded: Callable[..., Result]) -> None:
    before = recorded(home)
    run_sql(home, DROP.format("train_features", "qty_log"), "DROP TABLE test_features")
    register(home, feature_tables={"train_features": "train_features"}, tables={"train": "train", "test": "test"})
    planned = ExpectedDataset(dropped={"train_features": ("qty_log",)}, dropped_tables=("test_features",))
    expected = Expected(given=True, datasets={"shop": planned})
    result = examine(CHECK, home, "shop", before=before, expected=expected)
    assert since(result) == {
        ("lost-features", "planned for train_features"): NOTE,
        ("lost-features", "table test_features"): NOTE,
    }


def test_values_are_only_digested_for_a_baseline(home: Path, examine: Examine, recorded: Callable[..., Result]) -> None:
    assert examine(CHECK, home, "shop").kept["digests"] == {}
    assert recorded(home, depth="quick").kept["digests"] == {}
    kept = recorded(home)
    assert set(cast("dict[str, object]", kept.kept["digests"])) == {"train_features", "test_features"}
    assert len(json.dumps(kept.kept)) < 60_000
    quick = examine(CHECK, home, "shop", before=kept, depth="quick")
    assert since(quick) == {}


def test_digests_that_say_nothing_about_each_other_are_an_error(
    home: Path, examine: Examine, recorded: Callable[..., Result]
) -> None:
    before = recorded(home)
    digests = copy.deepcopy(cast("dict[str, Any]", before.kept["digests"]))
    digests["train_features"]["vector"] = "another"
    digests["test_features"]["rows"] = -1
    result = examine(CHECK, home, "shop", before=replace(before, kept={**before.kept, "digests": digests}))
    assert result.status is Status.ERROR
    assert "the values of train_features were not compared: the digests were made with different" in result.reason
    assert "the values of test_features were not compared: the digest does not count" in result.reason


def test_values_that_the_baseline_does_not_have_are_an_error(
    home: Path, examine: Examine, recorded: Callable[..., Result]
) -> None:
    without = recorded(home, depth="quick")
    result = examine(CHECK, home, "shop", before=without)
    assert result.status is Status.ERROR
    assert "the values of train_features were not compared: the baseline has none of them" in result.reason
    assert since(examine(CHECK, home, "shop", before=without, depth="quick")) == {}


def test_a_large_feature_table_is_left_to_full_depth(home: Path, recorded: Callable[..., Result]) -> None:
    rows = CELLS // 50
    run_sql(
        home,
        "DELETE FROM test_features",
        f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i <= {rows}) "
        "INSERT INTO test_features (id, amount_log) SELECT i, i * 0.5 FROM n",
    )
    before = recorded(home)
    assert "(--mdm-depth=full compares all)" in before.reason
    assert set(cast("dict[str, object]", before.kept["digests"])) == {"train_features"}


def test_recording_and_comparing_change_nothing(
    each_home: Path, examine: Examine, recorded: Callable[..., Result], tree: Tree
) -> None:
    seen = tree(each_home)
    examine(CHECK, each_home, "shop", before=recorded(each_home), depth="full")
    assert tree(each_home) == seen


def test_values_on_postgresql_are_compared(
    postgres: Server, make_postgres_home: MakePostgresHome, examine: Examine, recorded: Callable[..., Result]
) -> None:
    create = "CREATE TABLE train AS SELECT i AS id, i * 1.5 AS amount FROM generate_series(1, 300) AS i"
    features = "CREATE TABLE train_features AS SELECT *, ln(amount) AS amount_log FROM train"
    postgres.add_database("mdm_shop", create, features, owner=USER)
    home = make_postgres_home(postgres)
    register(home, tables={"train": "train", "train_features": "train_features"})
    before = recorded(home)
    assert before.status is Status.PASS
    assert since(examine(CHECK, home, "shop", before=before)) == {}
    postgres.run("UPDATE train_features SET amount_log = 1 WHERE id = 7", database="mdm_shop", user=USER)
    finding = the(examine(CHECK, home, "shop", before=before), f"{CHECK}.altered-features")
    assert (finding.severity, columns(finding)) == (WARN, {"amount_log"})
