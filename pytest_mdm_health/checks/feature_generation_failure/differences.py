"""Features that the tables for training and for testing do not have in common.

MDM makes features of each table by itself and leaves out those that tell too little there, which depends on the number
of rows; so tables that were made without any error differ too. What that explains is told apart from what it does not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from pytest_mdm_health.backends import Database, QueryFailed
from pytest_mdm_health.checks._shared.sample_rows import ROWS_JUDGED
from pytest_mdm_health.checks.feature_generation_failure.facts import Difference, FeatureTable
from pytest_mdm_health.integrity.profiles.column_types import NUMBERS, Kind, kind_of
from pytest_mdm_health.integrity.profiles.features import distinct_values
from pytest_mdm_health.mdm.inventory import Dataset

SHARE_NEEDED = 0.01
"""The share of different values among these that a feature needed before the refactoring."""

LOOKED_INTO = 100
"""Features whose values are counted at most."""

_BINARY = 2
_COMBINED = re.compile(r"(?P<one>.+)_(?:plus|minus|times|div)_(?P<other>.+)")


def differences(dataset: Dataset, database: Database, tables: Sequence[FeatureTable]) -> Iterator[Difference]:
    """What the feature tables of a dataset do not have in common with that of its training table."""
    made = [table for table in tables if table.role and table.base and table.columns]
    train = next((table for table in made if table.role.startswith("train")), None)
    for other in made if train is not None else ():
        if train is not None and other is not train:
            pair = _Pair(dataset, database)
            found = (pair.difference(train, other), pair.difference(other, train))
            yield from (each for each in found if each.missed or each.explained or each.retyped)


class _Pair:
    """Two feature tables of one dataset."""

    def __init__(self, dataset: Dataset, database: Database) -> None:
        target = dataset.registration.data.get("target_column") if dataset.registration is not None else None
        self._target = target if isinstance(target, str) else ""
        self._database = database

    def difference(self, has: FeatureTable, lacks: FeatureTable) -> Difference:
        """The features of one that the other one lacks; in the other direction, also those of another type."""
        own, others = self._base(has), self._base(lacks)
        wanting = [name for name in has.columns if name not in lacks.columns and name not in own]
        wanting = [name for name in wanting if not self._expected(name, own - others)]
        explained = [
            name for place, name in enumerate(wanting) if place >= LOOKED_INTO or self._explained(name, has, lacks)
        ]
        common = [name for name in has.columns if name in lacks.columns and name not in own]
        retyped = [name for name in common if _is_number(has, name) is True and _is_number(lacks, name) is False]
        return Difference(
            has=has.name,
            lacks=lacks.name,
            missed=tuple(name for name in wanting if name not in explained),
            explained=tuple(explained),
            retyped=tuple(name for name in retyped if name not in {*has.empty, *lacks.empty}),
        )

    def _base(self, table: FeatureTable) -> set[str]:
        return {column.name for column in self._database.columns(table.base)}

    def _expected(self, name: str, only_here: set[str]) -> bool:
        """Whether a feature is made of a column that only one of the tables has, as the target is."""
        return any(name.startswith(f"{column}_") for column in {*only_here, self._target} - {""})

    def _explained(self, name: str, has: FeatureTable, lacks: FeatureTable) -> bool:
        """Whether MDM may have left a feature out because it told too little, or chosen another one in its place."""
        combined = _COMBINED.fullmatch(name)
        base = self._base(has)
        if combined is not None and {combined["one"], combined["other"]} <= base:
            return True
        try:
            different = distinct_values(self._database, has.name, name, ROWS_JUDGED)
        except QueryFailed:
            return True
        judged = min(lacks.rows or ROWS_JUDGED, ROWS_JUDGED)
        return different <= _BINARY or different < SHARE_NEEDED * judged


def _is_number(table: FeatureTable, name: str) -> bool | None:
    kind = kind_of(table.columns[name])
    return None if kind is Kind.OTHER else kind in {*NUMBERS, Kind.BOOLEAN}
