"""A table without some of its columns, which are not read at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pytest_mdm_health.backends import Column
from pytest_mdm_health.integrity.digest.canonical import Form
from pytest_mdm_health.integrity.readers.delegating import ReaderAround


@dataclass(frozen=True)
class NarrowedReader(ReaderAround):
    """A reader that has fewer columns than the table.

    Attributes:
        without: the names of those that are left out.
    """

    without: frozenset[str]

    @property
    def columns(self) -> tuple[Column, ...]:
        """As `Reader.columns`."""
        return tuple(each for each in self.reader.columns if each.name not in self.without)

    @property
    def forms(self) -> Mapping[str, Form]:
        """As `Reader.forms`."""
        return {name: form for name, form in self.reader.forms.items() if name not in self.without}
