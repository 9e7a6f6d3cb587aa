"""A table whose columns have the names from before a change or after it, without those that are not to be read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_mdm_health.backends import Column
from pytest_mdm_health.integrity.digest.canonical import Form
from pytest_mdm_health.integrity.readers.base import Batch, Reader


@dataclass(frozen=True)
class RenamedReader:
    """Another reader with other names of columns, or fewer columns; a `base.Reader`.

    Attributes:
        called: names of columns in the table to what they are called; the others keep their names.
        without: columns that are left out, by what they are called.
    """

    reader: Reader
    called: Mapping[str, str]
    without: frozenset[str]

    @property
    def engine(self) -> str:
        """As `Reader.engine`."""
        return self.reader.engine

    @property
    def how(self) -> str:
        """As `Reader.how`."""
        return self.reader.how

    @property
    def columns(self) -> tuple[Column, ...]:
        """As `Reader.columns`."""
        named = (replace(each, name=self._name(each.name)) for each in self.reader.columns)
        return tuple(each for each in named if each.name not in self.without)

    @property
    def forms(self) -> Mapping[str, Form]:
        """As `Reader.forms`."""
        named = {self._name(name): form for name, form in self.reader.forms.items()}
        return {name: form for name, form in named.items() if name not in self.without}

    @property
    def single(self) -> frozenset[str]:
        """As `Reader.single`."""
        return frozenset(map(self._name, self.reader.single)) - self.without

    def batches(self, names: Sequence[str], places: Sequence[int] | None = None) -> Iterator[Batch]:
        """As `Reader.batches`."""
        in_table = {name: column for column, name in self.called.items()}
        return self.reader.batches([in_table.get(name, name) for name in names], places)

    def _name(self, column: str) -> str:
        return self.called.get(column, column)
