"""A table whose columns are called as they were before they were renamed, or as they are going to be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytest_mdm_health.backends import Column
from pytest_mdm_health.integrity.digest.canonical import Form
from pytest_mdm_health.integrity.readers.delegating import ReaderAround

if TYPE_CHECKING:
    from pytest_mdm_health.integrity.readers.base import Batch


@dataclass(frozen=True)
class RenamedReader(ReaderAround):
    """A reader whose columns have other names.

    Attributes:
        called: names of columns in the table to what they are called; the others keep their names.
    """

    called: Mapping[str, str]

    @property
    def columns(self) -> tuple[Column, ...]:
        """As `Reader.columns`."""
        return tuple(replace(each, name=self._name(each.name)) for each in self.reader.columns)

    @property
    def forms(self) -> Mapping[str, Form]:
        """As `Reader.forms`."""
        return {self._name(name): form for name, form in self.reader.forms.items()}

    @property
    def single(self) -> frozenset[str]:
        """As `Reader.single`."""
        return frozenset(map(self._name, self.reader.single))

    def batches(self, names: Sequence[str], places: Sequence[int] | None = None) -> Iterator[Batch]:
        """As `Reader.batches`."""
        in_table = {name: column for column, name in self.called.items()}
        return self.reader.batches([in_table.get(name, name) for name in names], places)

    def _name(self, column: str) -> str:
        return self.called.get(column, column)
