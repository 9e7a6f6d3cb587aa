"""Features that are missing, incomplete or useless are found; what MDM normally leaves out is not held against it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import duckdb
import pytest
import yaml

from pytest_mdm_health.model import Finding, Result, Severity, Status
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
    """What was found, without the note that the real data has anyway."""
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
        assert (result.status, result.examined) == (Status.PASS, tables)
        assert {finding.severity for finding in result.findings} <= {NOTE}
    assert tree(each_home) == before


def test_a_dataset_without_features_is_skipped(home: Path, examine: Examine) -> None:
    result = examine(CHECK, home, "big")
    assert (result.status, result.reason) == (Status.SKIP, "no feature tables are registered")


def test_what_mdm_leaves_out_because_it_tells_too_little_is_a_note(make_home: MakeHome, examine: Examine) -> None:
    finding = the(examine(CHECK, make_home("mdm-0.1.0-sqlite"), "shop"), "feature-generation-failure.left-out")
    assert finding.severity is NOTE
    assert finding.message.startswith("train_features lacks 14 features that test_features has")
    assert "city_frequency" in str(finding.evidence["columns"])


def test_an_error_that_was_followed_by_success_is_a_note(home: Path, examine: Examine) -> None:
    finding = the(examine(CHECK, home, "shop"), "feature-generation-failure.logged-error")
    assert finding.severity is NOTE
    assert "'signup': Can only use .str accessor with string values! (2 times)" in finding.message
    assert finding.location is not None
    assert (Path(finding.location.file), finding.location.line) == (home / "logs/mdm.log", 896)


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
    "a table that nobody registered": (
        "feature-generation-failure.left-behind",
        WARN,
        ("CREATE TABLE extra AS SELECT * FROM test", "CREATE TABLE extra_features AS SELECT * FROM test"),
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damaged_features_are_found_and_repaired_when_they_are_made_again(
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
        again = f"MDM_HOME_DIR={each_engine} mdm dataset register shop {each_engine.parent}/raw/shop --force"
        assert the(result, code).remedy.commands == (again,)
    data(each_engine).write_bytes(sound)
    assert findings(examine(CHECK, each_engine, "shop")) == []


def test_evidence_names_the_columns_and_the_rows(home: Path, examine: Examine) -> None:
    run_sql(home, "UPDATE train_features SET amount_log = NULL, qty_log = 9e999 WHERE id <> 7 OR amount_log > 0")
    result = examine(CHECK, home, "shop")
    assert the(result, f"{CHECK}.empty-feature").evidence == {"columns": ["amount_log"], "rows": 2000}
    assert the(result, f"{CHECK}.infinite-feature").evidence == {"columns": {"qty_log": 2000}, "rows": 2000}


def test_columns_that_the_data_itself_does_not_fill_are_not_accused(each_engine: Path, examine: Examine) -> None:
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


def test_a_generation_that_failed_is_found_and_repaired_by_the_next_one(home: Path, examine: Examine) -> None:
    register(home, feature_tables={}, tables={"train": "train", "test": "test"})
    run_sql(home, "DROP TABLE test_features", "DELETE FROM train_features WHERE id > 1000")
    log(home, "INFO Generating features for dataset 'shop'", "ERROR Failed to generate features: no column named x")
    result = examine(CHECK, home, "shop")
    assert findings(result) == [
        ("feature-generation-failure.logged-failure", FAIL),
        ("feature-generation-failure.left-behind", WARN),
    ]
    finding = the(result, "feature-generation-failure.logged-failure")
    assert "no column named x; MDM registered the dataset without any" in finding.message
    assert finding.location is not None
    assert finding.location.line == len((home / "logs/mdm.log").read_text().splitlines()) - 1
    log(home, "INFO Generating features for dataset 'shop'", "INFO Generated 2 feature tables")
    run_sql(home, "DROP TABLE train_features")
    assert examine(CHECK, home, "shop").status is Status.SKIP


def test_a_generation_that_failed_while_there_are_older_features_is_a_warning(home: Path, examine: Examine) -> None:
    log(home, "INFO Generating features for dataset 'shop'", "ERROR Failed to generate features: no column named x")
    assert findings(examine(CHECK, home, "shop")) == [("feature-generation-failure.logged-failure", WARN)]


def test_the_result_says_what_was_not_looked_at(home: Path, examine: Examine) -> None:
    quick, standard = (examine(CHECK, home, "shop", depth=depth) for depth in ("quick", "standard"))
    assert quick.reason == "no values were looked at and the generator was not tried (see --mdm-depth)"
    assert standard.reason == "the generator was not tried: there is no MDM (see --mdm-python)"


def test_a_large_table_is_sampled_and_read_as_a_whole_when_that_is_wanted(home: Path, examine: Examine) -> None:
    run_sql(
        home,
        *["INSERT INTO train SELECT * FROM train", "INSERT INTO train_features SELECT * FROM train_features"] * 4,
        "UPDATE train_features SET qty_log = 9e999 WHERE rowid = 12345",
    )
    standard, full = (examine(CHECK, home, "shop", depth=depth) for depth in ("standard", "full"))
    assert findings(standard) == []
    assert (
        "in table train_features, 8192 of 32000 rows were looked at (--mdm-depth=full looks at all)" in standard.reason
    )
    assert findings(full) == [("feature-generation-failure.infinite-feature", WARN)]


def test_the_installed_generator_is_run_on_the_data_and_is_healthy(
    each_engine: Path, make_python: MakePython, examine: Examine, tree: Tree
) -> None:
    before = tree(each_engine)
    result = examine(CHECK, each_engine, "shop", python=str(make_python(FEATURES)))
    assert tree(each_engine) == before
    assert (result.status, result.reason) == (Status.PASS, "")
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
def test_a_generator_that_fails_is_found_and_one_that_is_repaired_passes(
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


def test_errors_that_the_generator_only_logs_are_found_and_gone_when_the_data_is_repaired(
    home: Path, make_python: MakePython, examine: Examine
) -> None:
    sound = data(home).read_bytes()
    run_sql(home, "UPDATE train SET qty = x'00ff' WHERE id = 7")
    broken = FEATURES["mdm/features/generator.py"].replace("value * 2", "value * 2.0")
    python = str(make_python({**FEATURES, "mdm/features/generator.py": broken}))
    finding = the(examine(CHECK, home, "shop", python=python), "feature-generation-failure.generator-errors")
    assert finding.severity is WARN
    assert "logs 1 errors on the first 100 rows of train: Error in column 'qty'" in finding.message
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
    assert (result.status, result.examined) == (Status.PASS, 2)
    assert reason in result.reason


def test_an_mdm_that_makes_features_again_by_a_command_is_told_to(
    home: Path, make_python: MakePython, examine: Examine
) -> None:
    program = (
        "class Command:\n    def __init__(self, **commands):\n        self.commands = commands or None\n"
        "app = Command(features=Command(regenerate=Command()))\n"
    )
    typer = {"typer/__init__.py": "", "typer/main.py": "def get_command(app):\n    return app\n"}
    run_sql(home, "DROP TABLE test_features")
    python = make_python({**FEATURES, **typer, "mdm/cli/main.py": program})
    finding = the(examine(CHECK, home, "shop", python=str(python)), "feature-generation-failure.missing-table")
    assert finding.remedy.commands == (f"MDM_HOME_DIR={home} mdm features regenerate shop --force",)


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


def test_a_database_that_cannot_be_opened_is_skipped_with_the_reason(home: Path, examine: Examine) -> None:
    data(home).write_bytes(b"no database at all, whatever its name says" * 100)
    result = examine(CHECK, home, "shop", ignore=("metadata-corruption",))
    assert result.status is Status.SKIP
    assert str(data(home)) in result.reason


def test_a_feature_table_that_cannot_be_read_is_found(home: Path, examine: Examine) -> None:
    run_sql(home, "DROP TABLE test_features", "CREATE VIEW test_features AS SELECT * FROM nowhere")
    finding = the(examine(CHECK, home, "shop"), "feature-generation-failure.missing-table")
    assert "cannot be read: no such table" in finding.message
