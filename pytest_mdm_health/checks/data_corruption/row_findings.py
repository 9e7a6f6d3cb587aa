"""What data-corruption says of rows that are not as they were. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from pytest_mdm_health.checks.data_corruption.change_facts import Rows, TableChange
from pytest_mdm_health.core.model import JSON
from pytest_mdm_health.core.text import counted

_SHOWN = 3
_LONGEST = 60
_NO_KEY = (
    "more rows differ than were looked at, and no column tells which are the same: as many as went and came are "
    "counted as altered"
)


def messages(change: TableChange) -> Iterator[tuple[str, str]]:
    """What became of rows, each code with what is said of it."""
    rows = change.rows
    if rows is None or rows.none:
        yield _by_number(change)
        return
    of = f"the table {change.table}" if rows.of is None else f"{counted(rows.of, 'row')} of the table {change.table}"
    looked = "in" if rows.of is None else "of a sample of"
    for code, count, word in (
        ("altered-rows", rows.altered, "altered"),
        ("missing-rows", rows.missing, "missing"),
        ("added-rows", rows.added, "new"),
        ("duplicated-rows", rows.duplicated, "there more often than before"),
    ):
        if count:
            verb = "is" if count == 1 else "are"
            where = ""
            if code == "altered-rows" and change.cells:
                where = f": {'' if rows.complete else 'in those looked at '}{_cells(change.cells)}"
            first = _first(change, code.partition("-")[0])
            yield code, f"{looked} {of} {counted(count, 'row')} {verb} {word} since the baseline{where}{first}"


def _first(change: TableChange, kind: str) -> str:
    """The first row of a kind: where it is, its key, and the first of its cells."""
    each = next((example for example in change.examples if example["kind"] == kind), None)
    if each is None:
        return ""
    place = each["before"] if each["after"] is None else each["after"]
    parts = [f"row {place}", *(f"{name} {value}" for name, value in zip(change.key, each["key"], strict=False))]
    cells = [f"{cell['column']} was {_value(cell['before'])} and is {_value(cell['after'])}" for cell in each["cells"]]
    return f" (the first: {', '.join(parts)}{': ' if cells else ''}{listed(cells)})"


def _value(value: str | None) -> str:
    line = "NULL" if value is None else " ".join(value.split()) or repr(value)
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def _by_number(change: TableChange) -> tuple[str, str]:
    """What can be said without the rows of before."""
    of, before, after = f"the table {change.table}", change.rows_before or 0, change.rows_after or 0
    if before == after:
        which = ""
        if change.altered_columns:
            which = f": other values are in {listed(change.altered_columns)}"
        elif change.altered_columns == ():
            which = ": each column has the values that it had, so some have changed places between rows"
        return "altered-rows", f"{of} has {counted(after, 'row')} as before, and not the same ones{which}"
    had = f"{of} had {counted(before, 'row')} when the baseline was recorded, and has {after}"
    if {"rows-doubled", "rows-repeated"} & {*change.patterns}:
        return "duplicated-rows", f"{had}: each is there {after // before} times as often"
    unknown = "whether the others are as they were cannot be told without a copy from before"
    if after < before:
        return "missing-rows", f"{had}: {before - after} fewer; {unknown}"
    return "added-rows", f"{had}: {after - before} more; {unknown}"


def more(change: TableChange) -> str:
    """What else is known: what it looks like, and what was compared with what."""
    parts = []
    if change.patterns:
        parts.append(f"this looks like {listed(change.patterns)}")
    if change.rows is not None and not change.rows.complete:
        parts.append(_NO_KEY)
    if change.copy:
        parts.append(f"as compared with {change.copy}")
    parts += change.not_it[:_SHOWN]
    return "".join(f"; {part}" for part in parts)


def evidence_of(change: TableChange) -> dict[str, JSON]:
    """What the comparison of a table saw, for reports."""
    found: dict[str, JSON] = {"rows_before": change.rows_before, "rows_after": change.rows_after, "by": change.by}
    if change.rows is not None:
        found["rows"] = cast("JSON", vars(change.rows))
    more: Mapping[str, object] = {
        "cells": dict(change.cells),
        "examples": [dict(each) for each in change.examples],
        "altered_columns": list(change.altered_columns or ()),
        "figures": dict(change.figures),
        "patterns": list(change.patterns),
        "copy": change.copy,
        "not_it": list(change.not_it),
    }
    return found | {name: cast("JSON", value) for name, value in more.items() if value}


def _cells(cells: Mapping[str, int]) -> str:
    ranked = sorted(cells.items(), key=lambda item: (-item[1], item[0]))
    return listed([f"{counted(count, 'cell')} of {column}" for column, count in ranked])


def listed(names: Sequence[str]) -> str:
    """The first names of a list, and how many more there are."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"


def gaps(changes: Sequence[TableChange]) -> Iterator[str]:
    """What was not compared, or not all of it, and why."""
    for change in changes:
        if change.verdict == "not-compared":
            yield f"the table {change.table} was not compared with the baseline: {change.reason}"
        elif change.by == "sample" and isinstance(change.rows, Rows):
            of = f"{change.rows_after} rows of the table {change.table}"
            yield f"of {of} a sample of {change.rows.of} was compared with the baseline (--mdm-depth=full compares all)"
            if change.recomputed:
                yield (
                    f"of the table {change.table} only the keys of rows were compared, as values of "
                    f"{listed(change.recomputed)} are planned to change; what is in the other columns is not known"
                )
        elif change.verdict == "differs" and change.by == "count":
            why = f": {change.reason}" if change.reason else ""
            yield f"of the table {change.table} only the number of rows was compared with the baseline{why}"
