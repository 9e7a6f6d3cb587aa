"""What a migration is meant to change, from the file to what is planned for one table."""

from __future__ import annotations

import os
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import TypeAdapter, ValidationError

from pytest_mdm_health.baseline.expectations import ExpectationsFile, read_expectations
from pytest_mdm_health.baseline.user_yaml import schema_of
from pytest_mdm_health.core.errors import UnusableFile
from pytest_mdm_health.core.expected import Expected, ExpectedDataset, ExpectedTable, RowsExpected, matches

HEAD = "schema: mdm-expectations/1\n"
DOCS = Path(__file__).parent.parent.parent / "docs" / "waivers-and-expectations.md"
VALIDATOR = Draft202012Validator(schema_of(ExpectationsFile))

Read = Callable[[str], Expected]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Read a file with this text below the line with its schema."""

    def make(text: str) -> Expected:
        path = tmp_path / "expect.yaml"
        path.write_text(HEAD + text, encoding="utf-8")
        return read_expectations(path)

    return make


def test_everything_that_can_be_planned_is_read(read: Read) -> None:
    expected = read(
        """
datasets:
  shop:
    backend: duckdb
    added_tables: [notes]
    dropped_tables: [scratch]
    registration: {target_column: churned, tags: [eu], time_column: null}
    changed_fields: [description, metadata.owner]
    tables:
      orders:
        rename: {cust: customer_id}
        drop: [legacy_flag]
        add: [imported_at]
        types: {amount: "DECIMAL(12,2)"}
        values: [amount, customer_id]
        rows: {change: -3}
      "*": {rows: {at_most: 0.01}}
  "tmp_*": {removed: true}
settings: {database.default_backend: duckdb, performance.batch_size: 5000}
"""
    )
    assert expected == Expected(
        given=True,
        datasets={
            "shop": ExpectedDataset(
                backend="duckdb",
                added_tables=("notes",),
                dropped_tables=("scratch",),
                registration={"target_column": "churned", "tags": ["eu"], "time_column": None},
                changed_fields=("description", "metadata.owner"),
                renamed={"orders": {"cust": "customer_id"}},
                dropped={"orders": ("legacy_flag",)},
                added={"orders": ("imported_at",)},
                types={"orders": {"amount": "DECIMAL(12,2)"}},
                values={"orders": ("amount", "customer_id")},
                rows={"orders": RowsExpected(change=-3), "*": RowsExpected(at_most=0.01)},
            ),
            "tmp_*": ExpectedDataset(removed=True),
        },
        settings={"database.default_backend": "duckdb", "performance.batch_size": 5000},
    )


def test_a_file_that_plans_nothing_is_a_plan(read: Read) -> None:
    assert read("") == Expected(given=True)
    assert not Expected().given


def test_a_planned_setting_is_what_mdm_makes_of_it(read: Read) -> None:
    key = "feature_engineering.generic.binning.n_bins"
    assert read(f'settings: {{{key}: [3, 4], performance.batch_size: "500"}}').settings == {
        key: (3, 4),
        "performance.batch_size": 500,
    }


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("dataset: {}", 2, "`dataset` is not known here; the nearest is `datasets`"),
        ("datasets:\n  shop:\n    removd: true", 4, "`removd` is not known here; the nearest is `removed`"),
        ("datasets:\n  shop:\n    backend: duckbd", 4, "one of sqlite, duckdb, postgresql.* nearest is `duckdb`"),
        ("datasets:\n  shop:\n    removed: maybe", 4, "`removed` is text, where true or false belongs"),
        ("datasets:\n  shop:\n    tables: []", 4, "`tables` is a list, where a mapping belongs"),
        ("datasets:\n  shop:\n    tables:", 4, "`tables` is nothing, where a mapping belongs"),
        ("datasets:\n  '': {}", 3, "a key is empty"),
        ("datasets: {2024: {}}", 2, "the key `2024` is no text; put it in quotes"),
        ("datasets: {shop: {on: 1}}", 2, "put it in quotes"),
        ("datasets: {shop: {added_tables: [a, 5]}}", 2, "entry 2 of `added_tables` is a number.*put it in quotes"),
        ("datasets: {shop: {tables: {t: {rename: {x: no}}}}}", 2, "`x` is true or false, where text.*in quotes"),
        ("datasets: {shop: {tables: {t: {rename: {no: x}}}}}", 2, "a key such as yes, no.*put it in quotes"),
        ("datasets: {shop: {tables: {t: {drop: ['']}}}}", 2, "entry 1 of `drop` is empty"),
        ("datasets: {shop: {tables: {t: {rows: {at_most: 5}}}}}", 2, "`at_most`.*a number from 0 to 1 belongs"),
        ("datasets: {shop: {tables: {t: {rows: {change: 0.5}}}}}", 2, "`change`.*a whole number belongs"),
        ("datasets: {shop: {tables: {t: {rows: {}}}}}", 2, "`rows` takes either `change` or `at_most`"),
        ("datasets: {shop: {tables: {t: {rows: {change: 1, at_most: 1}}}}}", 2, "takes either `change` or `at_most`"),
        ("datasets: {shop: {tables: {t: {drop: [a], rename: {a: b}}}}}", 2, "`a` that it is dropped and renamed"),
        ("datasets: {shop: {tables: {t: {drop: [a], add: [a]}}}}", 2, "`a` that it is dropped and added"),
        ("datasets: {shop: {tables: {t: {rename: {a: b}, add: [b]}}}}", 2, "`b` that it is the new name of a column"),
        ("datasets: {shop: {tables: {t: {rename: {a: c, b: c}}}}}", 2, "`t` gives two columns one new name"),
        ("datasets: {shop: {tables: {t: {drop: [a], values: [a]}}}}", 2, "`a` that it is dropped and has other values"),
        ("datasets: {shop: {tables: {t: {add: [a], values: [a]}}}}", 2, "`a` that it is added and has other values"),
        ("datasets: {shop: {tables: {t: {rename: {a: b}, values: [a]}}}}", 2, "`a` .*values under its old name"),
        ("datasets: {shop: {tables: {t: {values: a}}}}", 2, "`values` is text, where a list belongs"),
        ("datasets: {shop: {dropped_tables: [t], added_tables: [t]}}", 2, "`t` that it is dropped and added"),
        ("datasets: {shop: {dropped_tables: [t], tables: {t: {}}}}", 2, "`t` that it is dropped and changed"),
        ("datasets: {shop: {removed: true, backend: duckdb}}", 2, "`shop` is removed, so nothing else"),
        ("datasets: {shop: {registration: {database.path: /x}}}", 2, "plans `database.path` .*not compared"),
        ("datasets: {shop: {registration: {metadata: {a: 1}}}}", 2, "plans `metadata` .*not compared"),
        ("datasets: {shop: {changed_fields: [registered_at]}}", 2, "plans `registered_at` .*not compared"),
        ("datasets: {shop: {changed_fields: [database.password]}}", 2, "plans `database.password` .*not compared"),
        ("datasets: {shop: {registration: {tags: [a]}, changed_fields: [tags]}}", 2, "`tags` that it is of one value"),
        ("datasets: {shop: {registration: {problem_type: guess}}}", 2, "`problem_type` a value that MDM rejects"),
        ("datasets: {shop: {registration: {id_columns: id}}}", 2, "rejects; it takes a list of texts"),
        (
            "settings:\n  database: {default_backend: duckdb}",
            3,
            "`database` is a section; write each key with its dots",
        ),
        ("settings: {default_backend: duckdb}", 2, "no setting of MDM; the nearest is `database.default_backend`"),
        ("settings: {performance.batch_sise: 5}", 2, "no setting of MDM; the nearest is `performance.batch_size`"),
        ("settings: {performance.batch_size: 5}", 2, "`performance.batch_size` takes a whole number from 100 up"),
        ("settings: {database.postgresql.password: hunter2}", 2, "is a secret, which is not compared; take it out"),
        ("schema: mdm-expectations/1", 2, "`schema` is there twice"),
        ("---\nb: 1", 2, "a second document starts here"),
        ("settings: !secret x", 2, "has a tag"),
        ("settings: [", 2, "expected"),
        ("a: &a [*a]", 2, "contains itself"),
    ],
)
def test_what_does_not_fit_is_named_with_its_line_and_what_would(read: Read, text: str, line: int, why: str) -> None:
    with pytest.raises(UnusableFile) as refused:
        read(text)
    said = str(refused.value)
    assert re.match(rf"--mdm-expect: .*expect\.yaml, line {line}: ", said), said
    assert re.search(why, said), said
    assert said.isprintable()
    assert "hunter2" not in said


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty"),
        (b"- a", "holds a list, where a mapping belongs"),
        (b"datasets: {}", "`schema: mdm-expectations/1` is missing"),
        (b"schema: mdm-expectations/2", "`schema` is `mdm-expectations/2`, where `mdm-expectations/1` belongs"),
        (b"schema: 1", "`schema` is a number, where `mdm-expectations/1` belongs"),
        (b"schema: mdm-expectations/1\nx: \xff", "line 2: is not UTF-8 text"),
        (b"\xff\xfes\x00", "is not UTF-8 text"),
        (b"x" * (5 * 1024 * 1024), "is larger than"),
        (b"a: &a [x, x]\nb: &b [" + b"*a, " * 1000 + b"]\nc: [" + b"*b, " * 1000 + b"]", "aliases make more than"),
        (b"[" * 5000, "nested more than"),
    ],
)
def test_a_file_that_is_something_else_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "expect.yaml"
    path.write_bytes(content)
    with pytest.raises(UnusableFile, match=re.escape(why)):
        read_expectations(path)


@pytest.mark.parametrize(
    ("kind", "why"), [("missing", "does not exist"), ("folder", "is a folder"), ("fifo", "is a FIFO")]
)
def test_what_is_no_file_is_refused_without_waiting(tmp_path: Path, kind: str, why: str) -> None:
    path = tmp_path / "ex\npect.yaml"
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    with pytest.raises(UnusableFile, match=why) as refused:
        read_expectations(path)
    assert str(refused.value).isprintable()


def test_all_patterns_that_match_count_and_the_later_wins(read: Read) -> None:
    expected = read(
        """
datasets:
  "*": {backend: duckdb, tables: {orders: {drop: [a], rename: {b: c}, types: {x: INTEGER}, rows: {change: 1}}}}
  "sh*": {tables: {orders: {rename: {a: z}, drop: [b], types: {y: TEXT}}}}
  shop: {backend: sqlite, tables: {orders: {rows: {at_most: 0.5}}}}
  other: {removed: true}
"""
    )
    assert expected.of("shop") == ExpectedDataset(
        backend="sqlite",
        renamed={"orders": {"a": "z"}},
        dropped={"orders": ("b",)},
        types={"orders": {"x": "INTEGER", "y": "TEXT"}},
        rows={"orders": RowsExpected(at_most=0.5)},
    )
    assert expected.of("else").backend == "duckdb"
    assert expected.of("other").removed


def test_changed_columns_add_up_without_dropped_or_renamed_ones(read: Read) -> None:
    expected = read(
        """
datasets:
  "*": {tables: {orders: {values: [a, b, c]}, "*": {values: [x]}}}
  shop: {tables: {orders: {drop: [a], rename: {b: bb}, values: [bb, d]}}}
  swapped: {tables: {orders: {rename: {a: b, b: a}}}}
"""
    )
    assert expected.of("shop").table("orders").values == ("x", "c", "bb", "d")
    assert expected.of("shop").table("items").values == ("x",)
    assert expected.of("swapped").table("orders").values == ("x", "a", "b", "c")
    assert expected.of("shop").tables == ("orders",)


def test_a_dataset_can_be_kept_from_what_is_planned_for_all(read: Read) -> None:
    expected = read('datasets: {"*": {removed: true}, shop: {removed: false}}')
    assert expected.of("shop").removed is False
    assert expected.of("tmp").removed is True


def test_a_table_kept_by_a_later_pattern_is_not_dropped(read: Read) -> None:
    expected = read(
        'datasets: {"*": {dropped_tables: [a, b], added_tables: [c]}, shop: {dropped_tables: [c], added_tables: [a]}}'
    )
    assert expected.of("shop") == ExpectedDataset(added_tables=("a",), dropped_tables=("b", "c"))


def test_a_table_that_is_named_wins_over_every_table() -> None:
    planned = ExpectedDataset(
        dropped={"*": ("a", "b"), "orders": ("c",)},
        renamed={"orders": {"a": "z"}},
        rows={"*": RowsExpected(at_most=0.1), "orders": RowsExpected(change=2)},
    )
    assert planned.table("orders") == ExpectedTable(dropped=("b", "c"), renamed={"a": "z"}, rows=RowsExpected(change=2))
    assert planned.table("items") == ExpectedTable(dropped=("a", "b"), rows=RowsExpected(at_most=0.1))
    assert planned.tables == ("orders",)


def test_patterns_that_match_no_dataset_are_told(read: Read) -> None:
    expected = read("datasets: {'sh*': {}, shp: {}, other: {}}")
    assert expected.matching_none(["shop", "other"]) == ("shp",)


@pytest.mark.parametrize(
    ("rows", "before", "after", "allowed"),
    [
        (RowsExpected(change=-3), 10, 7, True),
        (RowsExpected(change=-3), 10, 10, False),
        (RowsExpected(at_most=0.1), 10, 11, True),
        (RowsExpected(at_most=0.1), 10, 9, True),
        (RowsExpected(at_most=0.1), 10, 12, False),
        (RowsExpected(at_most=0.1), 10, 8, False),
        (RowsExpected(at_most=0.0), 0, 1, False),
    ],
)
def test_a_tolerance_of_rows_holds_up_and_down(rows: RowsExpected, before: int, after: int, allowed: bool) -> None:
    assert rows.allows(before, after) is allowed


names = st.sampled_from(["a", "b", "c", "*"])
tables = st.builds(
    ExpectedDataset,
    backend=st.sampled_from([None, "sqlite", "duckdb"]),
    removed=st.sampled_from([None, True, False]),
    renamed=st.dictionaries(names, st.dictionaries(st.sampled_from("ab"), st.sampled_from("xy"), min_size=1)),
    registration=st.dictionaries(st.sampled_from(["tags", "target_column"]), st.sampled_from(["y", None])),
    dropped=st.dictionaries(names, st.just(("c",))),
    added=st.dictionaries(names, st.just(("n", "m"))),
    types=st.dictionaries(names, st.dictionaries(st.sampled_from("ab"), st.sampled_from("xy"), min_size=1)),
    values=st.dictionaries(names, st.just(("v", "w"))),
    rows=st.dictionaries(names, st.builds(RowsExpected, change=st.integers(-3, 3))),
)


@given(tables)
def test_one_pattern_alone_says_just_what_it_says(planned: ExpectedDataset) -> None:
    expected = Expected(given=True, datasets={"x": ExpectedDataset(backend="duckdb"), "shop": planned})
    assert expected.of("shop") == planned
    assert expected.of("none of them") == ExpectedDataset()


@given(tables, tables)
def test_merging_keeps_the_later_value_and_what_it_leaves_out(earlier: ExpectedDataset, later: ExpectedDataset) -> None:
    merged = Expected(given=True, datasets={"*": earlier, "shop": later}).of("shop")
    assert merged.backend == (later.backend or earlier.backend)
    assert merged.removed == (earlier.removed if later.removed is None else later.removed)
    for name in {*earlier.types, *later.types}:
        assert merged.types[name] == {**earlier.types.get(name, {}), **later.types.get(name, {})}
    for name in {*earlier.rows, *later.rows}:
        assert merged.rows[name] == later.rows.get(name, earlier.rows.get(name))
    assert Expected(datasets={"*": merged, "shop": later}).of("shop") == merged


@given(tables)
def test_a_plan_travels_unchanged_through_pickle_and_plain_data(planned: ExpectedDataset) -> None:
    expected = Expected(given=True, datasets={"*": planned}, settings={"performance.batch_size": 500})
    adapter = TypeAdapter(Expected)
    assert pickle.loads(pickle.dumps(expected)) == expected  # noqa: S301 - our own
    assert adapter.validate_python(adapter.dump_python(expected, mode="json")) == expected


@given(st.text(), st.text())
def test_a_name_without_marks_matches_itself_alone(glob: str, name: str) -> None:
    assert matches(name, name)
    if not set("*?[") & set(glob):
        assert matches(glob, name) is (glob == name)


anything = st.sampled_from(
    [None, True, 1, 0.5, 7, "", "text", "duckdb", [], ["a"], [""], [1], {}, {"a": "b"}, {"": "b"}]
)


def shaped(**keys: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Mostly what belongs there, now and then something else or one key too many."""
    optional = {name: strategy | anything for name, strategy in keys.items()}
    return st.fixed_dictionaries({}, optional={**optional, "other": anything}) | anything


rows = shaped(change=st.just(3), at_most=st.just(0.5))
table = shaped(
    rename=st.just({"a": "b"}),
    drop=st.just(["x"]),
    add=st.just(["n"]),
    types=st.just({"y": "INT"}),
    values=st.just(["z"]),
    rows=rows,
)
dataset = shaped(
    backend=st.just("sqlite"),
    removed=st.just(False),
    added_tables=st.just(["n"]),
    dropped_tables=st.just(["o"]),
    registration=st.just({"target_column": "y", "metadata.owner": 7}),
    changed_fields=st.just(["tags"]),
    tables=st.dictionaries(st.sampled_from(["t", "*"]), table),
)
documents = shaped(
    schema=st.just("mdm-expectations/1"),
    datasets=st.dictionaries(st.sampled_from(["shop", "*"]), dataset),
    settings=st.just({"performance.batch_size": 500}),
)


@given(documents)
def test_the_published_schema_agrees_with_the_reader(document: object) -> None:
    try:
        ExpectationsFile.model_validate(document)
        taken = True
    except ValidationError as error:
        if all(each["type"] == "value_error" and "rows" not in each["loc"] for each in error.errors()):
            return  # contradictions between keys, which a schema cannot express
        taken = False
    assert VALIDATOR.is_valid(document) is taken


def test_the_example_in_the_documentation_is_read(tmp_path: Path) -> None:
    examples = [text for text in re.findall(r"```yaml\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL) if HEAD in text]
    assert examples
    for text in examples:
        (tmp_path / "expect.yaml").write_text(text, encoding="utf-8")
        assert read_expectations(tmp_path / "expect.yaml").datasets
