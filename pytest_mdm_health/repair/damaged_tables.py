"""Rows read out of a damaged SQLite file around what cannot be read, by the numbers of the rows."""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pytest_mdm_health.core.text import counted

FIRST, LAST = -(2**63), 2**63 - 1
"""The numbers that a row can have."""

_SEEKS = 50_000
"""How often one table is looked into behind a damaged place."""

_SMALL = 2**16
_SHOWN = 5
Row = tuple[object, ...]
Keep = Callable[[Row], bool]
"""Keeps a row, which begins with its number; whether it could be kept."""


@dataclass
class Reading:
    """What could be read of a table with row numbers.

    Attributes:
        connection: the damaged database.
        columns: of the table, quoted, with the row number first.
        table: its name, quoted.
        keep: what is done with each row.
        saved: how many rows were kept.
        lost: ranges of row numbers that could not be read or kept; some of these may never have had a row.
    """

    connection: sqlite3.Connection
    columns: Sequence[str]
    table: str
    keep: Keep
    saved: int = 0
    lost: list[tuple[int, int]] = field(default_factory=list)
    _seeks: int = 0

    def read(self) -> None:
        """Read from the first row on, from the last one back, and then what is in between in ever smaller ranges."""
        waiting = [(0, LAST - FIRST, FIRST, LAST)]  # first what is next to rows that could be read, then what is small
        while waiting:
            failures, _, first, last = heapq.heappop(waiting)
            if self._seeks > _SEEKS:
                self.lost.append((first, last))
                continue
            low, complete = self._walk(first, last, "ASC")
            high = last
            if not complete and low <= high:
                high, complete = self._walk(low, high, "DESC")
            if complete or low > high:
                continue
            if low == high:
                self.lost.append((low, high))
                continue
            failures = failures + 1 if (low, high) == (first, last) else 0
            for part in _parts(low, high):
                heapq.heappush(waiting, (failures, part[1] - part[0], *part))
        self.lost = _joined(self.lost)

    @property
    def said(self) -> str:
        """How many rows were saved, and where some may be lost."""
        saved = f"{counted(self.saved, 'row')} saved"
        ranges = [_range(low, high) for low, high in self.lost]
        more = f" and {len(ranges) - _SHOWN} more ranges" if len(ranges) > _SHOWN else ""
        return f"{saved}, lost where rowid is {', '.join(ranges[:_SHOWN])}{more}" if ranges else saved

    def _walk(self, low: int, high: int, direction: str) -> tuple[int, bool]:
        """Keep the rows from one end of a range; where the rest of it begins (or ends), and whether there is none."""
        at, complete = self._keep_rows(low, high, direction, "")
        while not complete:  # Python looks for the next row before it gives one, so the one before a bad place is left
            before = at
            at, nothing_left = self._keep_rows(*((at, high) if direction == "ASC" else (low, at)), direction, "LIMIT 1")
            if at == before:
                return at, nothing_left
        return at, True

    def _keep_rows(self, low: int, high: int, direction: str, limit: str) -> tuple[int, bool]:
        self._seeks += 1
        number, step = self.columns[0], 1 if direction == "ASC" else -1
        at = low if direction == "ASC" else high
        query = (
            f"SELECT {', '.join(self.columns)} FROM {self.table} NOT INDEXED "  # noqa: S608 - quoted
            f"WHERE {number} BETWEEN ? AND ? ORDER BY {number} {direction} {limit}"
        )
        try:
            for row in self.connection.execute(query, (low, high)):
                found = row[0]
                if not isinstance(found, int) or not low <= found <= high or (found - at) * step < 0:
                    return at, False  # a page of another place
                if self.keep(row):
                    self.saved += 1
                else:
                    self.lost.append((found, found))
                at = found + step
        except (sqlite3.Error, UnicodeDecodeError):
            return at, False
        return at, True


def _parts(low: int, high: int) -> list[tuple[int, int]]:
    """A range in parts: halves of a small one, of others ever larger ones from where rows are close together."""
    size = high - low + 1
    if size == 1:
        return [(low, high)]
    if low < 0 <= high:
        return [*_parts(low, -1), *_parts(0, high)]
    if size <= _SMALL:
        middle = low + size // 2
        return [(low, middle - 1), (middle, high)]
    borders = [low + 2**power for power in range(size.bit_length()) if low + 2**power <= high]
    if low == FIRST:
        borders = sorted(high + 1 - 2**power for power in range(size.bit_length()) if high + 1 - 2**power > low)
    return list(zip([low, *borders], [*(border - 1 for border in borders), high], strict=True))


def _joined(ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if joined and low <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(high, joined[-1][1]))
        else:
            joined.append((low, high))
    return joined


def _range(low: int, high: int) -> str:
    if low == high:
        return str(low)
    first, last = "the first" if low == FIRST else str(low), "the last" if high == LAST else str(high)
    return f"{first} to {last}"
