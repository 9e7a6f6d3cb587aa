"""The conditions under which damage is reported, without a baseline."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from pytest_mdm_health.checks.data_corruption.facts import DataFacts, Recorded, TableState
from pytest_mdm_health.checks.data_corruption.findings import (
    COMPARE_COPIES,
    DAMAGED,
    DATA_NOT_EXAMINED,
    EMPTY_FILE,
    EMPTY_TABLE,
    EXTRA_FILE,
    FAIL,
    FEWER_ROWS_THAN_RECORDED,
    FILE_ACCESS,
    FOREIGN_LOG,
    FREE_SPACE,
    GRANT_SELECT,
    INTERRUPTED_WRITE,
    KEEP_COPY,
    LEAVE_FILE,
    LEAVE_UNREGISTERED,
    LEFT_OVER_LOG,
    LOST_COLUMNS,
    MAKE_AGAIN,
    MAKE_ROOM,
    MISSING_FILE,
    MISSING_TABLE,
    MORE_ROWS_THAN_RECORDED,
    NEWER_ENGINE,
    NOT_A_FILE,
    ORPHAN_DATA,
    RECOVER,
    REMOVE_OBSTACLE,
    RESTORE_BACKUP,
    RESTORE_DUMP,
    SERVER_ACCESS,
    SURPLUS,
    TABLE_NOT_EXAMINED,
    TRUNCATED,
    UNREADABLE_DATABASE,
    UNREGISTERED_TABLE,
    WAIT_FOR_FILE,
    WAIT_FOR_TABLE,
    WARN,
    WRONG_FORMAT,
)
from pytest_mdm_health.core.findings import Steps
from pytest_mdm_health.core.model import JSON, Finding
from pytest_mdm_health.core.text import counted, join_names

SHOWN = 3
"""Names that a message lists."""

BY_REASON = {
    "missing": MISSING_FILE,
    "no-database": MISSING_FILE,
    "not-a-file": NOT_A_FILE,
    "empty": EMPTY_FILE,
    "wrong-format": WRONG_FORMAT,
    "truncated": TRUNCATED,
    "damaged": UNREADABLE_DATABASE,
}
"""By the reason why data cannot be opened; every other one means that it was not examined."""


def restore(facts: DataFacts) -> Steps:
    """Put another copy of the data in the place of this one."""
    if not facts.in_file:
        return RESTORE_DUMP
    if facts.is_misregistered:
        return LEAVE_FILE if facts.registrations else LEAVE_UNREGISTERED
    if facts.saved_is_sound:
        return RESTORE_BACKUP
    return MAKE_AGAIN if facts.mdm_python else KEEP_COPY


def restore_or_compare(facts: DataFacts) -> Steps:
    """Put another copy in the place of one that can be read, if there is a sound one; else it stays."""
    steps = restore(facts)
    return COMPARE_COPIES if steps is KEEP_COPY else steps


def restore_or_recover(facts: DataFacts) -> Steps:
    """Put another copy in its place, or get out of the damaged file what can still be read."""
    steps = restore(facts)
    recoverable = facts.engine == "sqlite" and facts.file.size is not None
    return RECOVER if steps is KEEP_COPY and recoverable else steps


def check_file(facts: DataFacts) -> Iterator[Finding]:
    """The file as such."""
    file, at = facts.file, facts.location
    if file.code in BY_REASON:
        steps = restore_or_recover(facts) if file.code == "damaged" else restore(facts)
        yield BY_REASON[file.code](at=at, remedy=steps, facts=facts)
    elif file.code:
        holders = f" ({', '.join(file.holders)})" if file.holders else ""
        yield DATA_NOT_EXAMINED(at=at, remedy=access(facts), facts=facts, holders=holders)
    for reason in facts.unexamined:
        subject = reason.partition(" could")[0]
        yield TABLE_NOT_EXAMINED(at=at, subject=subject, remedy=table_access(facts, reason), reason=reason)

    failed = [f"table {table.name}: {table.failed}" for table in facts.tables if table.failed]
    problems = [*file.problems, *failed]
    if problems:
        shown = "; ".join(problems[:SHOWN])
        if len(problems) > SHOWN:
            shown += f", and {len(problems) - SHOWN} more"
        evidence: dict[str, JSON] = {"problems": list(problems)}
        yield DAMAGED(at=at, evidence=evidence, remedy=restore_or_recover(facts), facts=facts, problems=shown)
    if file.surplus:
        yield SURPLUS(at=at, facts=facts)


def access(facts: DataFacts) -> Steps:
    """How data is made readable that could not be opened."""
    by_reason = {"locked": WAIT_FOR_FILE, "newer-format": NEWER_ENGINE, "no-room": MAKE_ROOM}
    return by_reason.get(facts.file.code, FILE_ACCESS if facts.in_file else SERVER_ACCESS)


def table_access(facts: DataFacts, reason: str) -> Steps:
    """How a table is made readable; what prevents it passes, or is for its owner to allow."""
    folded = reason.casefold()
    if "permission" in folded and not facts.in_file:
        return GRANT_SELECT
    if any(word in folded for word in ("time", "lock", "being changed")):
        return WAIT_FOR_TABLE
    if any(word in folded for word in ("memory", "space", "full")):
        return FREE_SPACE
    return REMOVE_OBSTACLE


def check_logs(facts: DataFacts) -> Iterator[Finding]:
    """Journals and logs that a process left when it was killed."""
    for sidecar in facts.left_over:
        log = str(sidecar.path)
        if sidecar.live:
            continue
        if log == facts.stray_log:
            yield FOREIGN_LOG(at=log, subject="log", facts=facts, log=log)
        elif sidecar.kind == "duckdb-wal":
            yield LEFT_OVER_LOG(at=log, subject="log", size=sidecar.size, log=log)
        elif sidecar.kind == "journal":
            yield INTERRUPTED_WRITE(at=log, subject="journal")


def check_registration(facts: DataFacts) -> Iterator[Finding]:
    """Data that is not registered."""
    if not facts.registered:
        yield ORPHAN_DATA(at=facts.location, facts=facts)
    for other in facts.others:
        yield EXTRA_FILE(at=other, subject=other, other=other)
    if facts.data_tables:
        for table in facts.tables:
            if table.kind == "other":
                yield UNREGISTERED_TABLE(subject=f"table {table.name}", table=table.name)


def check_tables(facts: DataFacts) -> Iterator[Finding]:
    """Each registered table by itself; feature tables are examined by feature-generation-failure."""
    at, steps = facts.location, restore_or_compare(facts)
    for table in facts.data_tables:
        subject = f"table {table.name}"
        if not table.present:
            yield MISSING_TABLE(at=at, subject=subject, remedy=steps, facts=facts, table=table.name)
        elif table.rows == 0:
            severity, recorded = WARN, ""
            if had_rows(table, facts):
                severity, recorded = FAIL, ", and was not when MDM recorded it"
            yield EMPTY_TABLE(
                severity, at=at, subject=subject, remedy=steps, facts=facts, table=table.name, recorded=recorded
            )
        if table.lost_columns:
            yield LOST_COLUMNS(
                at=at,
                subject=subject,
                evidence={"columns": list(table.lost_columns)},
                remedy=steps,
                facts=facts,
                table=table.name,
                columns=counted(len(table.lost_columns), "column"),
                names=join_names(table.lost_columns, SHOWN),
            )


def had_rows(table: TableState, facts: DataFacts) -> bool:
    """Whether MDM recorded, or made features, of rows that the table does not have any more."""
    recorded = any(record.rows for record in facts.recorded if record.table == table.name and not record.outdated)
    features = any(other.rows for other in facts.tables if other.kind == "feature" and other.base == table.name)
    of_dataset = any(record.rows for record in facts.recorded if not record.table)
    return table.had_rows or recorded or features or (len(facts.data_tables) == 1 and of_dataset)


def check_recorded(facts: DataFacts) -> Iterator[Finding]:
    """Rows now, compared with rows that MDM counted once; an empty table is a finding of its own."""
    empty = {table.name for table in facts.tables if table.rows == 0}
    empty_data = empty & {table.name for table in facts.data_tables}

    def differs(record: Recorded) -> bool:
        if record.found in {None, record.rows} or record.outdated:
            return False
        return record.table not in empty if record.table else not empty_data

    differing = sorted(filter(differs, facts.recorded), key=_counted)
    for (table, rows), records in groupby(differing, key=_counted):
        yield _row_count(facts, table, rows, list(records))


def _counted(record: Recorded) -> tuple[str, int]:
    return record.table, record.rows


def _row_count(facts: DataFacts, table: str, recorded: int, records: list[Recorded]) -> Finding:
    found = records[0].found or 0
    at, evidence = facts.location, {"rows": found, "recorded": recorded}
    sources = " and ".join(dict.fromkeys(record.source for record in records))
    what, subject = (f"the table {table}", f"table {table}") if table else ("the dataset", "dataset")
    if found < recorded:
        return FEWER_ROWS_THAN_RECORDED(
            at=at,
            subject=subject,
            evidence=evidence,
            remedy=restore_or_compare(facts),
            facts=facts,
            what=what,
            found=found,
            recorded=recorded,
            sources=sources,
            missing=recorded - found,
        )
    return MORE_ROWS_THAN_RECORDED(
        at=at,
        subject=subject,
        evidence=evidence,
        what=what,
        found=found,
        recorded=recorded,
        sources=sources,
        surplus=found - recorded,
    )
