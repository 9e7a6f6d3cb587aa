"""A reader that passes on to another one, for those that change one thing of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_mdm_health.backends import Column
from pytest_mdm_health.integrity.digest.canonical import Form

if TYPE_CHECKING:
    from pytest_mdm_health.integrity.readers.base import Batch, Reader


@dataclass(frozen=True)
class ReaderAround:
    """Another reader as it is; a `sources.Reader`."""

    reader: Reader

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
        return self.reader.columns

    @property
    def forms(self) -> Mapping[str, Form]:
        """As `Reader.forms`."""
        return self.reader.forms

    @property
    def single(self) -> frozenset[str]:
        """As `Reader.single`."""
        return self.reader.single

    def batches(self, names: Sequence[str], places: Sequence[int] | None = None) -> Iterator[Batch]:
        """As `Reader.batches`."""
        return self.reader.batches(names, places)
