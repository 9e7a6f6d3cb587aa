"""What a difference looks like: names for changes that one cause made to many rows."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

FEWEST = 3
"""Cells or rows that it takes to speak of a pattern."""

PATTERNS = {
    "truncated-tail": "the last rows of the table are gone",
    "repeated-block": "a block of rows that follow each other is there once more",
    "rows-doubled": "every row is there twice as often",
    "rows-repeated": "every row is there several times as often",
    "everything-as-text": "every column that was no text is declared as text now",
    "one-column": "all that changed is in one column",
    "shifted-column": "a column has its values, and in other rows than before",
    "columns-moved": "columns have the values that other columns of the same row had",
    "column-emptied": "a column has lost all the values in question",
    "mojibake": "texts were written in one encoding and read in another",
    "unknown-characters": "characters were replaced by question marks",
    "trimmed": "blanks at the ends of texts came or went",
    "letter-case": "only upper and lower case changed",
    "unicode-form": "texts are the same but for their Unicode normal form",
    "null-spelling": "NULL, an empty text and words for nothing took each other's place",
    "rounded": "numbers were rounded",
    "sign-lost": "-0.0 became 0.0, or the other way round",
}
"""Every pattern, and what it means."""

Cell = str | None
Change = tuple[Cell, Cell]
_NOTHING = {"", "null", "none", "nan", "na", "n/a", "nil"}


def of_cells(changes: Sequence[tuple[int, Cell, Cell]]) -> Iterator[str]:
    """The patterns in altered cells: column, before, after. Texts begin with the letter of what they are.

    A value begins with `v`, a fraction among whole numbers with `f`, other values beside one as `canonical` has them.
    """
    columns = {column for column, *_ in changes}
    if len(changes) < FEWEST:
        return
    if len(columns) == 1:
        yield "one-column"
    by_column = groupby(sorted(changes, key=lambda each: each[0]), key=lambda each: each[0])
    found = [_of_column([(before, after) for _, before, after in cells]) for _, cells in by_column]
    for name in PATTERNS:
        if all(name in each for each in found):
            yield name


def of_rows(rows: Sequence[tuple[Sequence[Cell], Sequence[Cell]]]) -> Iterator[str]:
    """The patterns in altered rows: each as it was and as it is."""
    width = len(rows[0][0]) if rows else 0
    changed = {
        column: some
        for column in range(width)
        if len(some := [(before, after[column]) for before, after in rows if before[column] != after[column]]) >= FEWEST
    }
    if changed and all(_is_from_another(column, width, some) for column, some in changed.items()):
        yield "columns-moved"


def _is_from_another(column: int, width: int, changes: Sequence[tuple[Sequence[Cell], Cell]]) -> bool:
    """Whether one other column had all the values that this one has, and not one and the same."""
    others = (each for each in range(width) if each != column)
    telling = len({now for _, now in changes}) > 1
    return telling and any(all(before[other] == now for before, now in changes) for other in others)


def _of_column(changes: Sequence[Change]) -> set[str]:
    found = {name for name, holds in _TELLING.items() if all(holds(before, after) for before, after in changes)}
    same = Counter(before for before, _ in changes) == Counter(after for _, after in changes)
    return found | ({"shifted-column"} if same and len(changes) >= FEWEST else set())


def _value(cell: Cell) -> str | None:
    return cell[1:] if cell is not None and cell[0] in "vf" else None


def _both(test: Callable[[str, str], bool]) -> Callable[[Cell, Cell], bool]:
    def holds(before: Cell, after: Cell) -> bool:
        one, other = _value(before), _value(after)
        return one is not None and other is not None and test(one, other)

    return holds


def _misread(text: str) -> Iterator[str]:
    for codec in ("latin-1", "cp1252"):
        yield text.encode(errors="surrogatepass").decode(codec, errors="replace")


def _is_mojibake(before: str, after: str) -> bool:
    return after in _misread(before) or before in _misread(after)


def _is_unknown(before: str, after: str) -> bool:
    marks = {"?", "\ufffd"}
    return len(before) == len(after) and all(
        one == other or (other in marks and ord(one) > 127)  # noqa: PLR2004 - the last of ASCII
        for one, other in zip(before, after, strict=True)
    )


def _is_rounded(before: str, after: str) -> bool:
    try:
        one, other = float(before), float(after)
    except ValueError:
        return False
    return one != other and any(round(one, digits) == other for digits in range(-3, 13))


def _is_nothing(cell: Cell) -> bool:
    return cell is None or (cell[0] == "v" and cell[1:].strip().lower() in _NOTHING) or cell == "n"


_TELLING: dict[str, Callable[[Cell, Cell], bool]] = {
    "column-emptied": lambda before, after: before is not None and after is None and not _is_nothing(before),
    "mojibake": _both(_is_mojibake),
    "unknown-characters": _both(_is_unknown),
    "trimmed": _both(lambda one, other: one.strip() == other.strip()),
    "letter-case": _both(lambda one, other: one.casefold() == other.casefold()),
    "unicode-form": _both(lambda one, other: unicodedata.normalize("NFC", one) == unicodedata.normalize("NFC", other)),
    "null-spelling": lambda before, after: _is_nothing(before) and _is_nothing(after),
    "rounded": _both(_is_rounded),
    "sign-lost": lambda before, after: {before, after} <= {"z", "v0.0"},
}
