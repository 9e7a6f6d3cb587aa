"""Collecting a dataset's tables for a baseline that is recorded, and comparing them with one that is given."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial

from pytest_mdm_health.backends import Backend
from pytest_mdm_health.checks.data_corruption.baseline import SnapshotRequest
from pytest_mdm_health.checks.data_corruption.baseline.conditions import gaps, unexamined
from pytest_mdm_health.checks.data_corruption.baseline.copies import copies
from pytest_mdm_health.checks.data_corruption.facts import DataFacts, Place, TableState
from pytest_mdm_health.core.model import Depth
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.core.session import progress
from pytest_mdm_health.integrity.compare_stored import StoredComparison
from pytest_mdm_health.integrity.deadline import READ_FAILURES, Deadline
from pytest_mdm_health.integrity.stored_tables import StoredColumn, StoredTable, with_digest
from pytest_mdm_health.integrity.table_comparison import TableComparison
from pytest_mdm_health.mdm.inventory import Dataset
from pytest_mdm_health.mdm.registrations import FEATURES

_SHARE_OF_TIME = 0.85
"""How much of a check's time may be gone when tables are still read; what is left is for what cannot be broken off."""

_UNDONE = {"incomparable", "failed"}
_DONE = {"equal", "differs", "lost"}


def with_tables(facts: DataFacts, request: SnapshotRequest) -> DataFacts:
    """The facts with what a baseline stores of the tables, and with what became of them since another one."""
    options, before = request.options, request.before
    if not options.keeps_tables:
        return facts
    facts = replace(
        facts,
        plan=request.expected.of(request.dataset.name) if request.expected.given else None,
        own_plan=request.expected.datasets.get(request.dataset.name),
        place=_place(facts, request),
    )
    if request.backend is None or not facts.readable:
        return facts
    if facts.stray_logs:
        logs = " and ".join(facts.stray_logs)
        reason = f"the tables were not compared with the baseline: {logs} must be moved away first"
        return replace(facts, gaps=(*facts.gaps, reason))
    seconds = options.timeout * _SHARE_OF_TIME
    deadline = Deadline(request.started + seconds, seconds)
    try:
        facts = replace(facts, known=tuple(_described(facts, request.dataset, request.backend)))
    except READ_FAILURES as error:
        return replace(facts, examined=0, unexamined=(*facts.unexamined, f"the tables could not be listed: {error}"))
    if before is not None and options.baseline is not None:
        changes = tuple(_changes(facts, before, request, request.backend, deadline))
        facts = _with_changes(facts, before, changes)
    if options.save_baseline is None or Depth(options.depth) is Depth.QUICK:
        return facts
    return _with_digests(facts, request.backend, options, deadline)


def _place(facts: DataFacts, request: SnapshotRequest) -> Place:
    connection = request.backend.connection if request.backend is not None else None
    if connection is None:
        return Place(path=facts.file.path, relative=facts.file.path.removeprefix(f"{request.home.root}/"))
    return Place(
        path=connection.address,
        relative=connection.address,
        host=connection.host,
        port=connection.port,
        database=connection.database,
        user=connection.user or "",
    )


def data_tables(facts: DataFacts) -> Iterator[TableState]:
    """The tables that there are, without what was made from others: by the registration, else by their names."""
    names = {table.name.casefold() for table in facts.tables if table.present}
    for table in facts.tables:
        name = table.name.casefold()
        base = name.removesuffix(FEATURES)
        derived = table.kind == "feature" or (table.kind == "other" and base != name and base in names)
        if table.present and not (table.failed or table.broken or derived):
            yield table


def _described(facts: DataFacts, dataset: Dataset, backend: Backend) -> Iterator[StoredTable]:
    """What is known of each data table without reading its rows.

    Raises:
        CannotOpen, QueryFailed: the database cannot be read any more.
    """
    registered = dataset.registration.data.get("id_columns") if dataset.registration is not None else None
    key = [name for name in registered if isinstance(name, str)] if isinstance(registered, list) else []
    with backend.open() as database:
        names = {name.casefold(): name for name in database.tables()}
        for table in data_tables(facts):
            name = names.get(table.name.casefold(), table.name)
            columns = tuple(StoredColumn(name=column.name, type=column.type) for column in database.columns(name))
            has_key = {column.name for column in columns}.issuperset(key)
            yield StoredTable(name=name, rows=table.rows, columns=columns, key=tuple(key) if has_key else ())


def _changes(
    facts: DataFacts, before: DataFacts, request: SnapshotRequest, backend: Backend, deadline: Deadline
) -> Iterator[TableComparison]:
    """What became of each data table, those that the baseline does not have last."""
    from pytest_mdm_health.integrity.readers.base import TableIn

    features = {table.name.casefold() for table in facts.tables if table.kind == "feature"}
    failed = _failed(facts)
    known = {table.name.casefold(): table for table in facts.known}
    for number, stored in enumerate(before.known):
        progress(f"tables of {facts.file.path} since the baseline", number, len(before.known), "tables")
        name = stored.name.casefold()
        if name in known:
            now = known[name]
            yield StoredComparison(
                source=TableIn(backend, now.name),
                before=stored,
                now=now,
                engine_before=before.engine,
                planned=facts.expected.table(stored.name),
                copies=partial(copies, stored.name, backend, before, request),
                options=request.options,
                deadline=deadline,
            ).result()
        elif name in failed:
            yield TableComparison(table=stored.name, verdict="failed", reason=failed[name])
        elif name in features:
            reason = "it is registered as a feature table now"
            yield TableComparison(table=stored.name, verdict="not-compared", reason=reason, rows_before=stored.rows)
        else:
            yield TableComparison(table=stored.name, verdict="lost", rows_before=stored.rows)
    if before.readable:
        yield from _not_stored(facts.known, before)


def _not_stored(tables: Iterable[StoredTable], before: DataFacts) -> Iterator[TableComparison]:
    """Tables that are new, and those that could not be read when the others were stored."""
    names = {name.casefold() for name in (*_names(before.known), *_names(before.tables))}
    failed = _failed(before) | _refused(before)
    for table in tables:
        name = table.name.casefold()
        if name in failed:
            reason = f"it could not be read when the baseline was recorded: {failed[name]}"
            yield TableComparison(table=table.name, verdict="not-compared", reason=reason, rows_after=table.rows)
        elif name not in names:
            yield TableComparison(table=table.name, verdict="added", rows_after=table.rows)


def _names(tables: Iterable[StoredTable | TableState]) -> Iterator[str]:
    return (table.name for table in tables)


def _failed(facts: DataFacts) -> dict[str, str]:
    reasons = {table.name.casefold(): table.failed or table.broken for table in facts.tables}
    return {name: reason for name, reason in reasons.items() if reason}


def _refused(facts: DataFacts) -> dict[str, str]:
    return {table.name.casefold(): table.refused for table in facts.tables if table.refused}


def _with_changes(facts: DataFacts, before: DataFacts, changes: tuple[TableComparison, ...]) -> DataFacts:
    """With the changes; what could not be compared and should have been leaves nothing examined."""
    examined = 1 + sum(change.verdict in _DONE for change in changes)
    if any(change.verdict in _UNDONE for change in changes):
        examined = 0
    nothing_stored = []
    if not before.readable:
        reason = f": the file {before.file.reason}" if before.file.reason else ""
        nothing_stored.append(f"the tables could not be compared with the baseline, which has nothing of them{reason}")
    return replace(
        facts,
        examined=examined,
        changes=changes,
        gaps=(*facts.gaps, *gaps(changes)),
        unexamined=(*facts.unexamined, *nothing_stored, *unexamined(changes, facts.expected)),
    )


def _with_digests(facts: DataFacts, backend: Backend, options: Options, deadline: Deadline) -> DataFacts:
    from pytest_mdm_health.integrity.readers.base import TableIn

    known = []
    for number, table in enumerate(facts.known):
        progress(f"tables of {facts.file.path}", number, len(facts.known), "tables")
        known.append(with_digest(table, TableIn(backend, table.name), options, deadline))
    incomplete = (
        f"the table {table.name} is not kept whole for a comparison: {table.why_not}"
        for table in known
        if table.why_not
    )
    return replace(facts, known=tuple(known), gaps=(*facts.gaps, *incomplete))
