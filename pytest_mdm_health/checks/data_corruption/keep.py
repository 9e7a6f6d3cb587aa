"""What a baseline keeps of each data table: its columns always, its digest and its figures where one is recorded."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from pytest_mdm_health.backends import Backend, CannotOpen, QueryFailed
from pytest_mdm_health.backends.interrupting import interrupting
from pytest_mdm_health.checks.data_corruption.change_facts import ColumnRecord, TableRecord
from pytest_mdm_health.checks.data_corruption.facts import DataFacts, TableState
from pytest_mdm_health.core.model import Depth
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.integrity.shared_session import shared_workbench
from pytest_mdm_health.mdm.files import Unreadable
from pytest_mdm_health.mdm.inventory import Dataset
from pytest_mdm_health.mdm.registrations import FEATURES

if TYPE_CHECKING:
    from pytest_mdm_health.integrity.digest.tables import TableDigest
    from pytest_mdm_health.integrity.duckdb_session import Workbench
    from pytest_mdm_health.integrity.readers.base import Source

T = TypeVar("T")
Failures = (CannotOpen, QueryFailed, Unreadable)
_TIMES = 3
"""What is less needed is only begun with so many times the time left that reading the table took."""


@dataclass(frozen=True)
class Until:
    """How long tables may be read.

    Attributes:
        end: when it is over, as `time.monotonic` has it.
        seconds: how long it was at the beginning.
    """

    end: float
    seconds: float

    @property
    def left(self) -> float:
        """Seconds."""
        return self.end - time.monotonic()

    @property
    def over(self) -> str:
        """What is said when it is."""
        return f"that takes longer than {self.seconds:.3g} s (see --mdm-timeout)"

    @contextmanager
    def workbench(self, *sources: Source) -> Iterator[Workbench]:
        """A workbench that is interrupted when the time is up.

        Raises:
            QueryFailed: no time is left.
        """
        if self.left <= 0:
            raise QueryFailed(self.over)
        with (
            shared_workbench(*sources) as workbench,
            interrupting(workbench.connection.interrupt, self.left),
        ):
            workbench.deadline = self.end
            try:
                yield workbench
            except QueryFailed as error:
                raise (error if self.left > 0 else QueryFailed(self.over)) from error


def data_tables(facts: DataFacts) -> tuple[TableState, ...]:
    """The tables that there are, without what was made from others: by the registration, else by their names."""
    names = {table.name.casefold() for table in facts.tables if table.present}

    def made(table: TableState) -> bool:
        stem = table.name.casefold().removesuffix(FEATURES)
        return table.kind == "feature" or (table.kind == "other" and stem != table.name.casefold() and stem in names)

    return tuple(table for table in facts.tables if table.present and not table.failed and not made(table))


def records(dataset: Dataset, backend: Backend, facts: DataFacts) -> tuple[TableRecord, ...]:
    """What is known of each data table without reading its rows.

    Raises:
        CannotOpen, QueryFailed: the database cannot be read any more.
    """
    key = _key(dataset)
    found = []
    with backend.open() as database:
        there = {name.casefold(): name for name in database.tables()}
        for table in data_tables(facts):
            name = there.get(table.name.casefold(), table.name)
            columns = tuple(ColumnRecord(name=each.name, type=each.type) for each in database.columns(name))
            names = {each.name for each in columns}
            own = key if names.issuperset(key) else ()
            found.append(TableRecord(name=name, rows=table.rows, columns=columns, key=own))
    return tuple(found)


def with_digests(
    backend: Backend, tables: Sequence[TableRecord], options: Options, until: Until
) -> Iterator[tuple[TableRecord, str]]:
    """The tables with what a later run is compared with, each with what is missing of it, for a person."""
    from pytest_mdm_health.integrity.readers.base import TableIn

    for table in tables:
        try:
            kept = _with_digest(table, TableIn(backend, table.name), options, until)
        except Failures as error:
            kept = replace(table, why_not=str(error))
        yield kept, kept.why_not and f"the table {table.name} is not kept whole for a comparison: {kept.why_not}"


def _with_digest(table: TableRecord, source: Source, options: Options, until: Until) -> TableRecord:
    import duckdb

    from pytest_mdm_health.integrity.digest.columns import profiled
    from pytest_mdm_health.integrity.digest.tables import digested
    from pytest_mdm_health.integrity.sampling.by_hash import STANDARD_ROWS, sampled

    table = replace(table, hashed_by=duckdb.__version__)
    if (table.rows or 0) > STANDARD_ROWS:
        if table.key and until.left > 0:
            with until.workbench(source) as workbench:
                sample = sampled(workbench, source, table.key, table.rows or 0)
            table = replace(table, sample=sample.to_plain())
        if Depth(options.depth) is not Depth.FULL:
            lacking = "" if table.key else ", and no key to sample it by is registered"
            return replace(table, why_not=f"it has {table.rows} rows{lacking}; --mdm-depth=full keeps all of them")
    with until.workbench(source) as workbench:
        started = time.monotonic()
        with digested(workbench, source) as (digest, _):
            took = time.monotonic() - started
        show_values = options.show_values
        more = _if_time(until, took, lambda: profiled(workbench, source, digest, show_values=show_values))
    digest, figures = more or (digest, {})
    columns = (replace(each, **vars(figures[each.name])) if figures else each for each in table.columns)
    return replace(table, rows=digest.rows, columns=tuple(columns), digest=as_kept(digest))


def as_kept(digest: TableDigest) -> dict[str, Any]:
    """A digest as plain data in which nothing can be taken for a password and masked, as base64 might be."""
    plain = digest.to_plain()
    return {**plain, "buckets": base64.b64decode(plain["buckets"]).hex()}


def from_kept(kept: Mapping[str, Any]) -> TableDigest:
    """The digest that `as_kept` made this of.

    Raises:
        BadDigest: it is none.
    """
    from pytest_mdm_health.integrity.digest.tables import BadDigest, TableDigest

    try:
        buckets = base64.b64encode(bytes.fromhex(kept["buckets"])).decode()
    except (KeyError, TypeError, ValueError) as error:
        raise BadDigest("its buckets are not readable") from error
    return TableDigest.from_plain({**kept, "buckets": buckets})


def _if_time(until: Until, took: float, make: Callable[[], T]) -> T | None:
    """What can be done without, if there is time for it."""
    if until.left <= _TIMES * took:
        return None
    try:
        return make()
    except Failures:
        return None


def _key(dataset: Dataset) -> tuple[str, ...]:
    registered = dataset.registration.data.get("id_columns") if dataset.registration is not None else None
    return tuple(each for each in registered if isinstance(each, str)) if isinstance(registered, list) else ()
