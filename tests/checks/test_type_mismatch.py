"""Values of the wrong type are found, those that MDM leaves as they are are not."""

from __future__ import annotations

import shlex
import sqlite3
import subprocess
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import duckdb
import pytest
import yaml
from pydantic import TypeAdapter

from pytest_mdm_health.backends import Backend, close_all
from pytest_mdm_health.checks.type_mismatch import judge, observe
from pytest_mdm_health.checks.type_mismatch.facts import TypeFacts
from pytest_mdm_health.core.model import Finding, Result, Severity, Status
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.mdm.inventory import take_inventory
from tests.helpers import repair
from tests.postgres import PASSWORD, USER, MakePostgresHome, Server

CHECK = "type-mismatch"
FAIL, WARN, NOTE = Severity.FAIL, Severity.WARN, Severity.NOTE
ENGINES = ("sqlite", "duckdb")
Examine = Callable[..., Result]
MakeHome = Callable[..., Path]
Tree = Callable[[Path], dict[str, tuple[int, int, int, int, str]]]


def data(home: Path, dataset: str = "shop") -> Path:
    (path,) = (each for each in (home / "datasets" / dataset).iterdir() if each.suffix in {".sqlite", ".duckdb"})
    return path


def run_sql(path: Path, *statements: str) -> None:
    if path.suffix == ".duckdb":
        with duckdb.connect(str(path)) as engine:
            for statement in statements:
                engine.execute(statement)
        return
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.executescript(statement)
        connection.commit()


def shown_by(result: Result, tree: Tree, home: Path) -> list[object]:
    """What the commands of all findings show, run as a shell would, with proof that they change nothing."""
    before = tree(home)
    commands = [command for finding in result.findings for command in finding.remedy.commands]
    shown = [row for command in commands if not command.startswith("mdm-health ") for row in _shown(command)]
    assert tree(home) == before
    return shown


def convert(finding: Finding) -> int:
    """Run the command of a finding that converts a column; its exit code."""
    (command,) = (each for each in finding.remedy.commands if each.startswith("mdm-health "))
    close_all()
    return repair(*shlex.split(command)[1:])


def rows(path: Path, statement: str) -> list[tuple[object, ...]]:
    if path.suffix == ".duckdb":
        with duckdb.connect(str(path)) as engine:
            return engine.execute(statement).fetchall()
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(statement).fetchall()


def _shown(command: str) -> list[object]:
    program, *words = shlex.split(command)
    statement = words.pop()
    assert statement.startswith("SELECT ")
    assert "-readonly" in words
    (path,) = (Path(word) for word in words if not word.startswith("-"))
    assert (program, path.suffix) in {("sqlite3", ".sqlite"), ("duckdb", ".duckdb")}
    if program == "duckdb":
        with duckdb.connect(str(path), read_only=True) as engine:
            return [row[0] for row in engine.execute(statement).fetchall()]
    with closing(sqlite3.connect(f"{path.as_uri()}?immutable=1", uri=True)) as connection:
        return [row[0] for row in connection.execute(statement)]


def codes(result: Result) -> set[str]:
    return {finding.code for finding in result.findings}


def the(result: Result, code: str) -> Finding:
    (found,) = (finding for finding in result.findings if finding.code == code)
    return found


def register(home: Path, **fields: object) -> None:
    """Change what is registered about the dataset, in both copies."""
    for file in (home / "config/datasets/shop.yaml", home / "datasets/shop/dataset_info.json"):
        registered = yaml.safe_load(file.read_text(encoding="utf-8"))
        file.write_text(yaml.safe_dump(registered | fields), encoding="utf-8")


def with_source(home: Path, **columns: Sequence[object]) -> Path:
    """Register a source that has these columns in its train.csv."""
    folder = home.parent / "sources"
    folder.mkdir(exist_ok=True)
    lines = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
    (folder / "train.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    register(home, source=str(folder))
    return folder / "train.csv"


@pytest.fixture(params=ENGINES)
def each_engine(request: pytest.FixtureRequest, make_home: MakeHome) -> Path:
    return make_home(f"mdm-1.0.6-{request.param}")


@pytest.mark.parametrize("depth", ["quick", "standard", "full"])
def test_healthy_data_is_examined_and_not_accused(
    each_home: Path, make_home: MakeHome, examine: Examine, depth: str, tree: Tree
) -> None:
    sources = make_home("raw", "raw")
    before = tree(each_home), tree(sources)
    for dataset in ("big", "breast_cancer", "shop", "wine"):
        result = examine(CHECK, each_home, dataset, depth=depth)
        assert (result.status, result.findings) == (Status.PASS, ())
        assert result.examined >= 4
        assert (result.reason == "") is (depth == "full" or (depth, dataset) == ("standard", "wine"))
    assert (tree(each_home), tree(sources)) == before


def test_the_result_says_what_was_not_looked_at(home: Path, examine: Examine) -> None:
    quick, standard, full = (examine(CHECK, home, "big", depth=depth) for depth in ("quick", "standard", "full"))
    assert "only declared types were examined, no values" in quick.reason
    assert "in table big, 8192 of about 25000 rows were examined (--mdm-depth=full examines all)" in standard.reason
    assert "rows" not in full.reason
    assert "identifiers were not compared with the source: raw/big was not found" in full.reason


def test_what_cannot_be_read_in_the_time_given_is_not_examined(home: Path) -> None:
    inventory = take_inventory(home, {})
    dataset = next(each for each in inventory.datasets if each.name == "big")
    backend = Backend("sqlite", data(home, "big"))
    facts = observe(dataset, backend, inventory.home, Options(home=home, depth="full", timeout=0))
    close_all()
    assert "all rows of the table big could not be read: reading them takes longer than 0 s (see --mdm-timeout)" in (
        facts.unexamined
    )
    assert "in table big, 8192 of about 25000 rows were examined" in facts.gaps
    assert {each.code for each in judge(facts, None)} == {"type-mismatch.not-examined"}


def add(name: str, type_: str, value: str) -> str:
    """A further column; in the value, `id` is the row's number."""
    return f"ALTER TABLE train ADD COLUMN {name} {type_}; UPDATE train SET {name} = {value};"


IN_EVERY_ENGINE: dict[str, tuple[str, Severity, str]] = {
    "prices with a few words among them": (
        "type-mismatch.numbers-as-text",
        WARN,
        add("price", "TEXT", "CASE WHEN id % 50 = 0 THEN 'unknown' ELSE CAST(id / 4.0 AS VARCHAR) END"),
    ),
    "prices with separators": (
        "type-mismatch.numbers-as-text",
        WARN,
        add("price", "TEXT", "CASE WHEN id % 3 = 0 THEN '1,200' ELSE CAST(id AS VARCHAR) END"),
    ),
    "days and times": (
        "type-mismatch.mixed-dates",
        WARN,
        add("seen", "TEXT", "CASE WHEN id % 2 = 0 THEN '2024-05-06' ELSE '2024-05-06 10:00:00' END"),
    ),
    "a T between day and time": (
        "type-mismatch.mixed-dates",
        WARN,
        add("seen", "TEXT", "CASE WHEN id % 2 = 0 THEN '2024-05-06T10:00:00' ELSE '2024-05-06 10:00:00' END"),
    ),
    "truth in words": (
        "type-mismatch.boolean-spellings",
        WARN,
        add("paid", "TEXT", "CASE id % 4 WHEN 0 THEN 'yes' WHEN 1 THEN 'Y' WHEN 2 THEN 'no' END"),
    ),
    "counts with gaps": (
        "type-mismatch.float-integers",
        NOTE,
        add("visits", "DOUBLE", "CASE WHEN id % 7 <> 0 THEN id END"),
    ),
    "identifiers with gaps": (
        "type-mismatch.float-integers",
        WARN,
        add("account_id", "DOUBLE", "CASE WHEN id % 7 <> 0 THEN id END"),
    ),
}


@pytest.mark.parametrize("name", IN_EVERY_ENGINE)
def test_damaged_columns_are_found_and_shown_and_no_value_is_changed(
    each_engine: Path, examine: Examine, tree: Tree, name: str
) -> None:
    code, severity, damage = IN_EVERY_ENGINE[name]
    run_sql(data(each_engine), *damage.split("; "))
    before = tree(each_engine)
    result = examine(CHECK, each_engine, "shop")
    assert tree(each_engine) == before
    assert [(finding.code, finding.severity) for finding in result.findings] == [(code, severity)]
    assert shown_by(result, tree, each_engine)


WRITTEN_OTHERWISE = {
    "decimal commas": ("CASE WHEN id % 100 = 0 THEN CAST(id AS VARCHAR) || ',5' ELSE CAST(id AS VARCHAR) END", "100,5"),
    "separators of thousands": ("CASE WHEN id % 3 = 0 THEN '24,775' ELSE CAST(id AS VARCHAR) END", "24,775"),
    "shares": ("CASE WHEN id % 4 = 0 THEN '0.05' ELSE '5%' END", "5%"),
    "currencies": ("CASE WHEN id % 50 = 0 THEN '€ 5' ELSE CAST(id AS VARCHAR) || '.5' END", "€ 5"),
}


@pytest.mark.parametrize("name", WRITTEN_OTHERWISE)
def test_numbers_that_a_conversion_would_change_are_shown_and_said_to_be_changed_by_it(
    each_engine: Path, examine: Examine, tree: Tree, name: str
) -> None:
    value, odd = WRITTEN_OTHERWISE[name]
    run_sql(data(each_engine), *add("price", "TEXT", value).split("; "))
    result = examine(CHECK, each_engine, "shop")
    finding = the(result, "type-mismatch.numbers-as-text")
    assert "18,5" in finding.remedy.text
    assert "5% is 0.05" in finding.remedy.text
    assert odd in shown_by(result, tree, each_engine)


def test_dates_with_and_without_fractions_are_shown_with_both(each_engine: Path, examine: Examine, tree: Tree) -> None:
    value = "CASE WHEN id % 2 = 0 THEN '2024-03-01 02:30:00' ELSE '2024-03-01 02:30:00.000599' END"
    run_sql(data(each_engine), *add("seen", "TEXT", value).split("; "))
    result = examine(CHECK, each_engine, "shop")
    assert "with the fractions of seconds" in the(result, "type-mismatch.mixed-dates").remedy.text
    assert sorted(map(int, map(str, shown_by(result, tree, each_engine)))) == [19, 26]


ONLY_IN_SQLITE: dict[str, tuple[str, Severity, str]] = {
    "words among numbers": (
        "type-mismatch.mixed-types",
        FAIL,
        "UPDATE train SET qty = 'many' WHERE id % 100 = 0",
    ),
    "numbers with separators among numbers": (
        "type-mismatch.mixed-types",
        FAIL,
        "UPDATE train SET amount = '1,234.5' WHERE id = 7",
    ),
    "raw bytes among texts": ("type-mismatch.mixed-types", FAIL, "UPDATE train SET note = x'ff00' WHERE id = 7"),
    "years among dates": (
        "type-mismatch.mixed-types",
        FAIL,
        add("day", "DATE", "CASE WHEN id = 7 THEN '2024' ELSE '2024-01-01' END"),
    ),
    "no type at all": (
        "type-mismatch.mixed-types",
        FAIL,
        add("free", "", "CASE WHEN id = 7 THEN 'seven' ELSE id END"),
    ),
    "only words": ("type-mismatch.declared-type", FAIL, "UPDATE train SET qty = 'many'"),
    "only years": ("type-mismatch.declared-type", WARN, add("day", "DATE", "2024")),
    "fractions": ("type-mismatch.declared-type", WARN, "UPDATE train SET qty = qty + 0.5 WHERE id = 7"),
    "neither true nor false": ("type-mismatch.declared-type", WARN, "UPDATE train SET active = 2 WHERE id = 7"),
    "truth in words too": (
        "type-mismatch.boolean-spellings",
        WARN,
        "UPDATE train SET active = 'True' WHERE id % 3 = 0 AND active = 1",
    ),
}


@pytest.mark.parametrize("name", ONLY_IN_SQLITE)
def test_values_that_only_sqlite_lets_in_are_found_and_a_repaired_column_passes(
    home: Path, examine: Examine, tree: Tree, name: str
) -> None:
    code, severity, damage = ONLY_IN_SQLITE[name]
    run_sql(data(home), damage)
    result = examine(CHECK, home, "shop")
    assert [(finding.code, finding.severity) for finding in result.findings] == [(code, severity)]
    assert shown_by(result, tree, home)
    column = result.findings[0].subject.partition(".")[2]
    run_sql(data(home), f"UPDATE train SET {column} = NULL")
    assert code not in codes(examine(CHECK, home, "shop"))


def test_a_single_odd_value_in_a_large_table_is_found_when_all_rows_are_read(home: Path, examine: Examine) -> None:
    run_sql(data(home, "big"), "UPDATE big SET k = 'late' WHERE id = 12345")
    standard, full = (examine(CHECK, home, "big", depth=depth) for depth in ("standard", "full"))
    assert (standard.status, codes(full)) == (Status.PASS, {"type-mismatch.mixed-types"})
    assert the(full, "type-mismatch.mixed-types").message == "big.k mixes value types: 24999 integers and 1 text"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (("31/12/2024", "12/31/2024"), "dates with the day first and dates with the month first"),
        (("31.12.2024", "2024-12-31"), "as DD.MM.YYYY"),
        (("Dec 31, 2024", "2024-12-31"), "with the month's name"),
    ],
)
def test_dates_whose_order_only_the_source_tells_are_left_to_it(
    each_engine: Path, make_home: MakeHome, examine: Examine, values: tuple[str, str], message: str
) -> None:
    make_home("raw", "raw")
    one, other = values
    run_sql(
        data(each_engine), *add("seen", "TEXT", f"CASE WHEN id % 2 = 0 THEN '{one}' ELSE '{other}' END").split("; ")
    )
    finding = the(examine(CHECK, each_engine, "shop"), "type-mismatch.mixed-dates")
    assert message in finding.message
    assert f"register it from {each_engine.parent}/raw/shop under a new name" in finding.remedy.text
    assert all("SELECT" in command for command in finding.remedy.commands)


@pytest.mark.parametrize(
    ("value", "what"), [("2024-02-30 10:00:00", "not an existing date or time"), ("soon", "not look like a date")]
)
def test_values_that_are_no_dates_are_found_among_dates_and_repaired(
    each_engine: Path, examine: Examine, value: str, what: str
) -> None:
    run_sql(data(each_engine), f"UPDATE train SET signup = '{value}' WHERE id < 20")
    finding = the(examine(CHECK, each_engine, "shop"), "type-mismatch.odd-dates")
    assert finding.severity is WARN
    assert "of 2000 values 20 " in finding.message
    assert what in finding.message
    run_sql(data(each_engine), "UPDATE train SET signup = '2024-02-28 10:00:00' WHERE id < 20")
    assert examine(CHECK, each_engine, "shop").findings == ()


SOUND = {
    "identifiers with zeros in front": "printf('%07d', id)",
    "long identifiers": "'12345678901234567' || CAST(id AS VARCHAR)",
    "mostly codes": "CASE WHEN id % 3 = 0 THEN 'A' || CAST(id AS VARCHAR) ELSE CAST(id AS VARCHAR) END",
    "numbers that nothing shows to be meant as such": "CAST(id AS VARCHAR)",
    "addresses": "'10.0.0.' || CAST(id % 200 AS VARCHAR)",
    "versions": "'1.2.' || CAST(id AS VARCHAR)",
    "short versions": "CAST(1 + id % 4 AS VARCHAR) || '.' || CAST(id % 3 AS VARCHAR)",
    "versions of two parts": "'1.' || CAST(id % 120 AS VARCHAR)",
    "telephone numbers": "'+4930' || CAST(100000 + id AS VARCHAR)",
    "codes with a point": "printf('%03d.5', id % 90)",
    "codes, some unknown": "CASE WHEN id % 4 = 0 THEN '-1' ELSE CAST(id AS VARCHAR) END",
    "one spelling": "CASE WHEN id % 2 = 0 THEN 'yes' ELSE 'no' END",
    "one format": "'31/12/20' || CAST(10 + id % 10 AS VARCHAR)",
    "prices with a currency": "'$' || CAST(id AS VARCHAR) || '.50'",
    "free text with numbers": "CASE WHEN id % 2 = 0 THEN 'about ' || CAST(id AS VARCHAR) ELSE 'late' END",
    "nothing": "NULL",
    "blanks": "'  '",
}


@pytest.mark.parametrize("name", SOUND)
def test_texts_that_are_as_they_should_be_are_healthy(each_engine: Path, examine: Examine, name: str) -> None:
    run_sql(data(each_engine), *add("extra", "TEXT", SOUND[name]).split("; "))
    assert examine(CHECK, each_engine, "shop").findings == ()


NUMBERS_AS_TEXT = {
    "prices": "CAST(id AS VARCHAR) || '.50'",
    "quarters": "CAST(id / 4.0 AS VARCHAR)",
    "exponents": "CAST(id AS VARCHAR) || 'e3'",
    "differences": "CAST(id - 1000 AS VARCHAR)",
    "thousands": "CAST(1 + id % 900 AS VARCHAR) || ',250'",
}


@pytest.mark.parametrize("name", NUMBERS_AS_TEXT)
def test_numbers_that_are_kept_as_text_for_no_known_reason_are_a_note(
    each_engine: Path, examine: Examine, name: str
) -> None:
    run_sql(data(each_engine), *add("price", "TEXT", NUMBERS_AS_TEXT[name]).split("; "))
    result = examine(CHECK, each_engine, "shop")
    finding = the(result, "type-mismatch.numbers-as-text")
    assert (result.status, finding.severity, len(result.findings)) == (Status.PASS, NOTE, 1)
    assert finding.message.startswith("train.price stores 2000 numbers as text, ")
    assert "nothing is lost while they are text" in finding.remedy.text


def test_numbers_as_text_of_which_the_type_is_recorded_are_told_once(home: Path, examine: Examine) -> None:
    run_sql(data(home), "ALTER TABLE train DROP COLUMN qty", add("qty", "TEXT", "CAST(id / 4.0 AS VARCHAR)"))
    found = codes(examine(CHECK, home, "shop"))
    assert "type-mismatch.changed-type" in found
    assert "type-mismatch.numbers-as-text" not in found


def test_a_single_stray_value_is_spoken_of_in_the_singular(home: Path, examine: Examine) -> None:
    run_sql(data(home), "UPDATE train SET active = 2 WHERE id = 7")
    message = the(examine(CHECK, home, "shop"), "type-mismatch.declared-type").message
    assert message.endswith(" but contains 1 value that is neither 0 nor 1")


@pytest.mark.parametrize("column", ["zip", "phone", "customer_id", "stockCode"])
def test_identifiers_may_be_a_mixture(home: Path, examine: Examine, column: str) -> None:
    run_sql(data(home), add(column, "TEXT", "CASE WHEN id % 50 = 0 THEN 'K' || id ELSE CAST(id AS VARCHAR) END"))
    assert examine(CHECK, home, "shop").findings == ()


def test_a_regression_target_that_is_kept_as_text_is_found(home: Path, examine: Examine) -> None:
    run_sql(data(home), add("price", "TEXT", "CAST(id AS VARCHAR)"))
    register(home, target_column="price", problem_type="regression")
    assert "it is the target" in the(examine(CHECK, home, "shop"), "type-mismatch.numbers-as-text").message


def test_texts_that_the_source_shows_to_be_numbers_are_found(each_engine: Path, examine: Examine) -> None:
    run_sql(data(each_engine), *add("price", "TEXT", "CAST(id AS VARCHAR)").split("; "))
    with_source(each_engine, id=range(2000), qty=range(2000), price=range(2000))
    finding = the(examine(CHECK, each_engine, "shop"), "type-mismatch.numbers-as-text")
    assert "all of its values in the source are numbers" in finding.message
    others = rows(data(each_engine), "SELECT * FROM test"), rows(data(each_engine), "SELECT id, note FROM train")
    assert convert(finding) == 0
    assert codes(examine(CHECK, each_engine, "shop")) == set()
    assert rows(data(each_engine), "SELECT id, price FROM train WHERE id <> price") == []
    assert rows(data(each_engine), "SELECT count(*) FROM train WHERE price = 7") == [(1,)]
    assert others == (
        rows(data(each_engine), "SELECT * FROM test"),
        rows(data(each_engine), "SELECT id, note FROM train"),
    )


def test_a_column_that_became_text_is_converted_back_to_its_type(each_engine: Path, examine: Examine) -> None:
    """The comparison with the baseline has nothing to say then: what came back are the values that were there."""
    checks = (CHECK, "data-corruption")
    before = {check: examine(check, each_engine, "shop") for check in checks}
    whole = rows(data(each_engine), "SELECT * FROM train ORDER BY id")
    text = "CREATE TABLE new AS SELECT {} FROM train; DROP TABLE train; ALTER TABLE new RENAME TO train"
    names = [name for name, *_ in rows(data(each_engine), "SELECT name FROM pragma_table_info('train')")]
    columns = ", ".join("CAST(qty AS VARCHAR) AS qty" if name == "qty" else str(name) for name in names)
    run_sql(data(each_engine), *text.format(columns).split("; "))
    finding = the(examine(CHECK, each_engine, "shop", before=before[CHECK]), "type-mismatch.changed-type")
    assert convert(finding) == 0
    assert rows(data(each_engine), "SELECT * FROM train ORDER BY id") == whole
    for check in checks:
        after = examine(check, each_engine, "shop", before=before[check])
        assert after.status in {Status.PASS, before[check].status}, after.findings


def test_a_column_with_one_value_that_does_not_fit_stays_text(each_engine: Path, examine: Examine) -> None:
    value = "CASE WHEN id = 1900 THEN '+7' ELSE CAST(id AS VARCHAR) END"
    run_sql(data(each_engine), *add("price", "TEXT", value).split("; "))
    with_source(each_engine, id=range(2000), qty=range(2000), price=range(2000))
    finding = the(examine(CHECK, each_engine, "shop"), "type-mismatch.numbers-as-text")
    content = data(each_engine).read_bytes()
    assert convert(finding) == 1
    assert data(each_engine).read_bytes() == content


def test_leading_zeros_that_the_source_has_are_missed_and_gone_when_they_are_text(
    each_engine: Path, examine: Examine, tree: Tree
) -> None:
    run_sql(data(each_engine), *add("account_id", "BIGINT", "id + 7").split("; "))
    with_source(each_engine, id=range(2000), account_id=[f"{number + 7:08}" for number in range(2000)])
    result = examine(CHECK, each_engine, "shop")
    finding = the(result, "type-mismatch.lost-identifiers")
    assert finding.severity is FAIL
    assert "2000 values" in finding.message
    assert "the source still has them, all with 8 digits" in finding.remedy.text
    assert shown_by(result, tree, each_engine)
    run_sql(data(each_engine), "ALTER TABLE train DROP COLUMN account_id")
    run_sql(data(each_engine), *add("account_id", "TEXT", "printf('%08d', id + 7)").split("; "))
    assert examine(CHECK, each_engine, "shop").findings == ()


@pytest.mark.parametrize(
    ("column", "values", "severity"),
    [
        ("region", [f"{number:04}" for number in range(2000)], WARN),
        ("region", ["7", "007"] * 1000, FAIL),
        ("month", [f"{number % 12 + 1:02}" for number in range(2000)], None),
        ("amount2", [f"{number}.50" for number in range(2000)], None),
    ],
)
def test_zeros_in_front_matter_unless_they_only_fill_up_a_month(
    home: Path, examine: Examine, column: str, values: list[str], severity: Severity | None
) -> None:
    run_sql(data(home), add(column, "BIGINT", "id"))
    with_source(home, id=range(2000), **{column: values})
    result = examine(CHECK, home, "shop")
    assert [finding.severity for finding in result.findings] == ([severity] if severity else [])


def test_digits_that_a_float_has_lost_are_known_from_the_source_or_from_their_number(
    each_engine: Path, examine: Examine
) -> None:
    run_sql(data(each_engine), *add("account_id", "DOUBLE", "12345678901234567 + id * 1000").split("; "))
    finding = the(examine(CHECK, each_engine, "shop"), "type-mismatch.rounded-identifiers")
    assert (finding.severity, "rounds 2000 of them" in finding.message) == (FAIL, True)
    with_source(each_engine, id=range(2000), account_id=[12345678901234567 + number * 1000 for number in range(2000)])
    finding = the(examine(CHECK, each_engine, "shop"), "type-mismatch.lost-identifiers")
    assert (finding.severity, "has lost digits" in finding.message) == (FAIL, True)
    run_sql(data(each_engine), "UPDATE train SET account_id = NULL")
    assert examine(CHECK, each_engine, "shop").findings == ()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(b"a;b\n1;2\n", "has other columns than the table"), (b"id,qty,churn\n" + b"9" * 200_000, "cannot be read")],
)
def test_a_source_that_does_not_fit_is_a_gap(home: Path, examine: Examine, content: bytes, complaint: str) -> None:
    with_source(home, id=(1,)).write_bytes(content)
    result = examine(CHECK, home, "shop", depth="full")
    assert (result.status, result.findings) == (Status.PASS, ())
    assert complaint in result.reason


def test_tables_that_differ_in_a_columns_type_are_found_and_repaired(each_engine: Path, examine: Examine) -> None:
    retype = (
        ["ALTER TABLE test DROP COLUMN qty", "ALTER TABLE test ADD COLUMN qty TEXT", "UPDATE test SET qty = 'many'"]
        if data(each_engine).suffix == ".sqlite"
        else ["ALTER TABLE test ALTER COLUMN qty TYPE VARCHAR"]
    )
    run_sql(data(each_engine), *retype)
    finding = the(examine(CHECK, each_engine, "shop"), "type-mismatch.tables-differ")
    assert (finding.severity, finding.subject) == (WARN, "train.qty")
    run_sql(data(each_engine), "UPDATE test SET qty = NULL")
    assert "type-mismatch.tables-differ" not in codes(examine(CHECK, each_engine, "shop"))


@pytest.mark.parametrize("depth", ["quick", "standard"])
def test_a_column_that_mdm_recorded_otherwise_is_found_and_repaired(home: Path, examine: Examine, depth: str) -> None:
    run_sql(data(home), "ALTER TABLE train DROP COLUMN qty", add("qty", "TEXT", "CAST(id AS VARCHAR)"))
    finding = the(examine(CHECK, home, "shop", depth=depth), "type-mismatch.changed-type")
    assert finding.severity is WARN
    assert finding.message == "train.qty is TEXT but was BIGINT when MDM registered it"
    run_sql(data(home), "ALTER TABLE train DROP COLUMN qty", add("qty", "BIGINT", "id"))
    assert examine(CHECK, home, "shop", depth=depth).findings == ()


def test_a_column_that_was_of_another_type_in_the_baseline_is_found(make_home: MakeHome, examine: Examine) -> None:
    def facts(home: Path) -> TypeFacts:
        return TypeAdapter(TypeFacts).validate_python({"examined": 1, **examine(CHECK, home, "shop").facts})

    before, after = make_home("mdm-1.0.6-sqlite", "before"), make_home("mdm-1.0.6-duckdb", "after")
    assert list(judge(facts(after), facts(before))) == []
    run_sql(data(after), "ALTER TABLE train ALTER COLUMN amount TYPE VARCHAR")
    (found,) = (finding for finding in judge(facts(after), facts(before)) if finding.code.endswith("changed-type"))
    assert found.message == "train.amount is VARCHAR but was FLOAT in the baseline"


ON_A_SERVER = {
    "type-mismatch.numbers-as-text": "CASE WHEN id % 50 = 0 THEN '?' ELSE (id / 4.0)::text END",
    "type-mismatch.mixed-dates": "CASE WHEN id % 2 = 0 THEN '2024-05-06' ELSE '2024-05-06 10:00:00' END",
    "type-mismatch.boolean-spellings": "CASE id % 3 WHEN 0 THEN 'yes' WHEN 1 THEN 'Y' ELSE 'no' END",
}


@pytest.mark.parametrize("code", ON_A_SERVER)
def test_data_on_a_server_is_examined_and_shown_by_the_commands_that_are_given(
    postgres: Server, make_postgres_home: MakePostgresHome, examine: Examine, code: str
) -> None:
    fill = "INSERT INTO train SELECT n, n::text, n * 0.5, now() FROM generate_series(1, 300) AS n"
    create = "CREATE TABLE train (id bigint, customer_id text, amount double precision, seen timestamp)"
    postgres.add_database("mdm_shop", create, fill, owner=USER)
    home = make_postgres_home(postgres)
    healthy = examine(CHECK, home, "shop")
    assert (healthy.status, healthy.findings, healthy.examined) == (Status.PASS, (), 4)
    damage = ("ALTER TABLE train ADD COLUMN extra text", f"UPDATE train SET extra = {ON_A_SERVER[code]}")
    postgres.run(*damage, database="mdm_shop", user=USER)
    finding = the(examine(CHECK, home, "shop"), code)
    (command,) = finding.remedy.commands
    program, *arguments = shlex.split(command)
    assert arguments[-1].startswith("SELECT ")
    environ = {"PGPASSWORD": PASSWORD, "PGOPTIONS": "-c default_transaction_read_only=on"}
    whole: list[str | Path] = [postgres.programs / program, *arguments]
    done = subprocess.run(whole, check=True, env=environ, capture_output=True, text=True)
    assert "(0 rows)" not in done.stdout


def test_numbers_that_a_server_keeps_as_text_are_a_note(
    postgres: Server, make_postgres_home: MakePostgresHome, examine: Examine
) -> None:
    create = "CREATE TABLE train AS SELECT n AS id, (n - 50.5)::text AS price FROM generate_series(1, 100) AS n"
    postgres.add_database("mdm_shop", create, owner=USER)
    (finding,) = examine(CHECK, make_postgres_home(postgres), "shop").findings
    assert (finding.code, finding.severity, finding.subject) == ("type-mismatch.numbers-as-text", NOTE, "train.price")


def test_no_value_of_the_data_is_in_a_result(home: Path, examine: Examine) -> None:
    run_sql(data(home), "UPDATE train SET qty = 'Xsecret7' WHERE id = 7", add("price", "TEXT", "'Xsecret' || id"))
    with_source(home, id=range(2000), qty=[f"00{number}" for number in range(2000)])
    result = examine(CHECK, home, "shop", depth="full")
    assert {finding.severity for finding in result.findings} == {FAIL}
    assert "Xsecret" not in repr(result)


def test_a_database_that_cannot_be_opened_is_an_error_with_the_reason(home: Path, examine: Examine) -> None:
    data(home).write_bytes(b"no database at all, whatever its name says" * 100)
    result = examine(CHECK, home, "shop", ignore=("metadata-corruption",))
    assert (result.status, codes(result)) == (Status.ERROR, {"type-mismatch.not-examined"})
    assert str(data(home)) in result.reason


def test_a_table_that_cannot_be_read_is_an_error_though_others_were_examined(home: Path, examine: Examine) -> None:
    run_sql(data(home), "ALTER TABLE train RENAME TO gone", "CREATE VIEW train AS SELECT * FROM nowhere")
    result = examine(CHECK, home, "shop")
    assert (result.status, result.examined) == (Status.ERROR, 8)
    assert "the table train could not be read: no such table" in result.reason


HELD = {
    "sqlite": "import sqlite3; c = sqlite3.connect({path!r}, isolation_level=None)\n"
    "c.execute('PRAGMA journal_mode=DELETE'); c.execute('PRAGMA cache_size=2'); c.execute('BEGIN')\n"
    "c.execute('UPDATE train_features SET id = -1')",
    "duckdb": "import duckdb; c = duckdb.connect({path!r})",
}


@pytest.mark.parametrize("engine", ENGINES)
def test_data_that_another_process_holds_is_an_error_until_it_is_free(
    make_home: MakeHome, examine: Examine, hold: Callable[[str], subprocess.Popen[bytes]], engine: str
) -> None:
    home = make_home(f"mdm-1.0.6-{engine}")
    holder = hold(HELD[engine].format(path=str(data(home))))
    result = examine(CHECK, home, "shop")
    assert (result.status, codes(result)) == (Status.ERROR, {"type-mismatch.not-examined"})
    assert f"(PID {holder.pid})" in result.reason
    assert holder.stdin is not None
    holder.stdin.close()
    holder.wait()
    assert examine(CHECK, home, "shop").status is Status.PASS


def test_tables_on_a_server_that_cannot_be_read_are_no_pass(
    postgres: Server, make_postgres_home: MakePostgresHome, examine: Examine
) -> None:
    create = "CREATE TABLE train AS SELECT n AS id, n * 0.5::float8 AS amount FROM generate_series(1, 100) AS n"
    postgres.add_database("mdm_shop", create, owner=USER)
    home = make_postgres_home(postgres)
    assert examine(CHECK, home, "shop").status is Status.PASS
    with postgres.connect("mdm_shop") as other, other.transaction():
        other.execute("LOCK TABLE train IN ACCESS EXCLUSIVE MODE")
        locked = examine(CHECK, home, "shop")
    assert (locked.status, codes(locked)) == (Status.ERROR, {"type-mismatch.not-examined"})
    assert "lock timeout" in locked.reason
    postgres.run(f'REVOKE SELECT ON train FROM "{USER}"', database="mdm_shop")
    refused = examine(CHECK, home, "shop")
    assert refused.status is Status.BLOCKED
    assert (refused.blocked_by or "").startswith("mdm-health::postgres-slowdown[")


@pytest.mark.parametrize("heading", [("id", "x", "y"), (" ID", "X ", "y")])
def test_a_heading_among_the_rows_is_one_finding_with_its_row_and_a_repaired_table_passes(
    each_engine: Path, examine: Examine, tree: Tree, heading: tuple[str, ...]
) -> None:
    types = ("BIGINT", "FLOAT", "BIGINT") if data(each_engine).suffix == ".sqlite" else ("VARCHAR",) * 3
    columns = ", ".join(f"{name} {type_}" for name, type_ in zip("abc", types, strict=True)).replace("a B", "id B")
    columns = columns.replace("a V", "id V").replace("b ", "x ").replace("c ", "y ")
    before, after = (
        ", ".join(f"({n}, 0.5, 1)" for n in range(300)),
        ", ".join(f"({n}, 0.5, 0)" for n in range(300, 600)),
    )
    path = data(each_engine)
    drop = ("DROP TABLE train", f"CREATE TABLE train ({columns})", f"INSERT INTO train VALUES {before}")
    run_sql(path, *drop, f"INSERT INTO train VALUES {heading}", f"INSERT INTO train VALUES {after}")
    result = examine(CHECK, each_engine, "shop")
    finding = the(result, "type-mismatch.heading-row")
    assert (finding.severity, finding.subject) == (FAIL, "table train")
    assert finding.message == "table train contains a header among its data, in row 301"
    assert not {"type-mismatch.mixed-types", "type-mismatch.numbers-as-text"} & codes(result)
    assert heading[0] in shown_by(result, tree, each_engine)
    run_sql(path, f"DELETE FROM train WHERE y = '{heading[2]}'")
    assert "type-mismatch.heading-row" not in codes(examine(CHECK, each_engine, "shop"))


def test_a_column_that_holds_its_own_name_once_is_no_heading(home: Path, examine: Examine) -> None:
    run_sql(data(home), "UPDATE train SET qty = 'qty' WHERE id = 7")
    assert codes(examine(CHECK, home, "shop")) == {"type-mismatch.mixed-types"}


def test_data_without_a_registration_is_examined_too(home: Path, examine: Examine) -> None:
    (home / "config/datasets/shop.yaml").unlink()
    (home / "datasets/shop/dataset_info.json").unlink()
    run_sql(data(home), "UPDATE train SET qty = 'many' WHERE id = 7")
    result = examine(CHECK, home, "shop", ignore=("metadata-corruption",))
    assert codes(result) == {"type-mismatch.mixed-types"}
    assert result.examined == 17
