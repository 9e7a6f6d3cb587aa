"""The conditions under which damage is reported, without a baseline."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from itertools import groupby

from pytest_mdm_health.backends import Violated, literal
from pytest_mdm_health.checks.data_corruption.facts import BROKEN, DataFacts, Recorded, TableState
from pytest_mdm_health.checks.data_corruption.findings import (
    BROKEN_CONSTRAINT,
    BROKEN_OBJECT,
    BROKEN_UNREGISTERED,
    COMPARE_COPIES,
    DAMAGED,
    DATA_NOT_EXAMINED,
    DECRYPT,
    EMPTY_FILE,
    EMPTY_TABLE,
    END_PREPARED,
    EXTRA_FILE,
    FAIL,
    FEWER_ROWS_THAN_RECORDED,
    FILE_ACCESS,
    FOREIGN_DUCKDB_LOG,
    FOREIGN_LOG,
    FREE_MEMORY,
    FREE_SPACE,
    GRANT_SELECT,
    HAVE_WHAT_IT_NEEDS,
    IGNORED_LOG,
    INDEX_DISAGREES,
    INDEX_HAS_MORE,
    INTERRUPTED_WRITE,
    KEEP_COPY,
    KEEP_ROWS,
    LEAVE_FILE,
    LEAVE_UNREGISTERED,
    LEFT_OVER_LOG,
    LOOK_AT_FILE,
    LOST_COLUMNS,
    MAKE_AGAIN,
    MAKE_ROOM,
    MISSING_FILE,
    MISSING_FILE_BESIDE_LOG,
    MISSING_TABLE,
    MORE_ROWS_THAN_RECORDED,
    MOVE_LOG_FIRST,
    NEWER_ENGINE,
    NOT_A_FILE,
    NOTE,
    OLDER_ENGINE,
    ORPHAN_DATA,
    RAISE_LIMIT,
    REACH_REMOTE,
    READ_AROUND_DAMAGE,
    READ_ERROR,
    READ_IT_ELSEWHERE,
    REMOVE_OBSTACLE,
    RESTORE_AFTERWARDS,
    RESTORE_BACKUP,
    RESTORE_DUMP,
    RESTORE_OVER_FOLDER,
    RESTORE_TABLE,
    SERVER_ACCESS,
    SURPLUS,
    TABLE_NOT_EXAMINED,
    TRUNCATED,
    UNREADABLE_DATABASE,
    UNREGISTERED_TABLE,
    UNREPLAYABLE_LOG,
    UNUSABLE_INDEX,
    WAIT_FOR_FILE,
    WAIT_FOR_TABLE,
    WARN,
    WRONG_FORMAT,
)
from pytest_mdm_health.core.findings import Steps, remedy_of
from pytest_mdm_health.core.model import JSON, Finding
from pytest_mdm_health.core.text import counted, join_names
from pytest_mdm_health.core.verbs import Repair

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
    "foreign-log": UNREADABLE_DATABASE,
    "damaged-log": UNREADABLE_DATABASE,
}
"""By the reason why data cannot be opened; every other one means that it was not examined."""
_OVER_OBSTACLE = {
    "is a folder": RESTORE_OVER_FOLDER,
    "is a socket": RESTORE_AFTERWARDS,
    "is a device": RESTORE_AFTERWARDS,
}
"""By what is where the data belongs and cannot be replaced at one moment."""


def restore(facts: DataFacts) -> Steps:
    """Put another copy of the data in the place of this one."""
    if not facts.in_file:
        return RESTORE_DUMP
    if facts.is_misregistered:
        return LEAVE_FILE if facts.registrations else LEAVE_UNREGISTERED
    if facts.saved_is_sound:
        return RESTORE_BACKUP
    return MAKE_AGAIN if facts.mdm_python else KEEP_COPY


def restore_over(facts: DataFacts) -> Steps:
    """Put another copy in the place of this one, or of what is there instead of a file."""
    steps = restore(facts)
    return _OVER_OBSTACLE.get(facts.file.reason, steps) if steps is RESTORE_BACKUP else steps


def restore_or_compare(facts: DataFacts) -> Steps:
    """Put another copy in the place of one that can be read, if there is a sound one; else it stays."""
    steps = restore(facts)
    return COMPARE_COPIES if steps is KEEP_COPY else steps


def restore_or_recover(facts: DataFacts) -> Steps:
    """Put another copy in its place, or get out of the damaged file what can still be read."""
    steps = restore(facts)
    recoverable = facts.engine == "sqlite" and facts.file.size is not None
    return READ_AROUND_DAMAGE if steps is KEEP_COPY and recoverable else steps


def check_file(facts: DataFacts) -> Iterator[Finding]:
    """The file as such."""
    file, at = facts.file, facts.location
    if file.code == "missing" and facts.logs:
        yield _missing_beside_logs(facts)
    elif file.code in BY_REASON:
        steps = restore_or_recover(facts) if file.code == "damaged" else restore_over(facts)
        yield BY_REASON[file.code](at=at, remedy=steps, facts=facts)
    elif file.code:
        holders = f" ({', '.join(file.holders)})" if file.holders else ""
        yield DATA_NOT_EXAMINED(at=at, remedy=access(facts), facts=facts, holders=holders)
    for reason in facts.unexamined:
        subject = reason.partition(" could")[0]
        refused = (table.why for table in facts.tables if table.refused and reason.endswith(f": {table.refused}"))
        steps = table_access(facts, reason, next(refused, ""))
        yield TABLE_NOT_EXAMINED(at=at, subject=subject, remedy=steps, reason=reason)

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


def _missing_beside_logs(facts: DataFacts) -> Finding:
    """A log without its file, which is worse than nothing for whatever is put beside it."""
    logs, paths = _named([str(log.path) for log in facts.logs])
    steps = restore(facts)
    if steps is not RESTORE_BACKUP:  # its command puts the logs aside
        steps = Steps(f"{MOVE_LOG_FIRST.text} {steps.text}", ("ls -l -- {paths}", *steps.commands))
    return MISSING_FILE_BESIDE_LOG(at=facts.location, remedy=steps, facts=facts, logs=logs, paths=paths)


def _named(paths: Sequence[str]) -> tuple[str, str]:
    """Paths as a message names them, and as a shell takes them."""
    return " and ".join(paths), shlex.join(paths)


def access(facts: DataFacts) -> Steps:
    """How data is made readable that could not be opened."""
    return _ACCESS.get(facts.file.code, LOOK_AT_FILE if facts.in_file else SERVER_ACCESS)


_ACCESS = {
    "locked": WAIT_FOR_FILE,
    "newer-format": NEWER_ENGINE,
    "older-format": OLDER_ENGINE,
    "encrypted": DECRYPT,
    "no-permission": FILE_ACCESS,
    "no-descriptors": RAISE_LIMIT,
    "no-memory": FREE_MEMORY,
    "no-room": MAKE_ROOM,
    "io-error": READ_ERROR,
}


BY_FAILURE = {
    "forbidden": GRANT_SELECT,
    "locked": WAIT_FOR_TABLE,
    "remote": REACH_REMOTE,
    "lacking": HAVE_WHAT_IT_NEEDS,
    "restricted": READ_IT_ELSEWHERE,
}
"""By the one word for why a table could not be read."""


def table_access(facts: DataFacts, reason: str, why: str) -> Steps:
    """How a table is made readable; what prevents it passes, or is for its owner to allow."""
    folded = reason.casefold()
    if why == "locked" and "the prepared transaction" in folded:
        return END_PREPARED
    if why in BY_FAILURE:
        return BY_FAILURE[why]
    if "permission" in folded and not facts.in_file:
        return GRANT_SELECT
    if any(word in folded for word in ("time", "lock", "being changed")):
        return WAIT_FOR_TABLE
    if any(word in folded for word in ("memory", "space", "full")):
        return FREE_SPACE
    return KEEP_ROWS if "the baseline" in folded else REMOVE_OBSTACLE


def check_objects(facts: DataFacts) -> Iterator[Finding]:
    """What cannot be used or breaks a rule of its own, while no page of the file is damaged."""
    at = facts.location
    for table in facts.tables:
        if table.broken:
            rule = BROKEN_UNREGISTERED if table.kind == "other" else BROKEN_OBJECT
            yield rule(
                at=at,
                subject=f"table {table.name}",
                facts=facts,
                table=table.name,
                reason=table.broken,
                statement=definition(facts, table.name),
            )
    for unusable in facts.unusable:
        yield UNUSABLE_INDEX(
            WARN if facts.is_registered(unusable.table) else NOTE,
            at=at,
            subject=f"{unusable.kind} {unusable.name}",
            facts=facts,
            kind=unusable.kind,
            name=unusable.name,
            table=unusable.table,
            reason=unusable.reason,
            statement=definition(facts, unusable.name),
        )
    for index in facts.indexes:
        more = f", and {len(index.problems) - SHOWN} more" if len(index.problems) > SHOWN else ""
        yield INDEX_DISAGREES(
            FAIL if facts.is_registered(index.table) else WARN,
            at=at,
            subject=f"index {index.name}",
            evidence={"problems": list(index.problems)},
            facts=facts,
            index=index.name,
            table=index.table,
            problems="; ".join(index.problems[:SHOWN]) + more,
            remedy=INDEX_HAS_MORE if index.surplus else None,
        )
    for violated in facts.violated:
        registered = facts.is_registered(violated.table) and violated.constraint != "type"
        yield BROKEN_CONSTRAINT(
            WARN if registered else NOTE,
            at=at,
            subject=f"{violated.constraint} {violated.table} {violated.detail}".rstrip(),
            evidence={"rows": violated.count},
            facts=facts,
            what=what_breaks(violated),
            statement=definition(facts, violated.table),
        )


def definition(facts: DataFacts, name: str) -> str:
    """The statement that shows how an object of the database is defined."""
    if facts.engine == "sqlite":
        return f"SELECT type, name, sql FROM sqlite_master WHERE name = {literal(name)}"  # noqa: S608 - quoted
    if facts.engine == "duckdb":
        return f"SELECT sql FROM duckdb_views() WHERE view_name = {literal(name)}"  # noqa: S608 - quoted
    return f"SELECT relkind, pg_get_viewdef(oid) FROM pg_class WHERE relname = {literal(name)}"  # noqa: S608 - quoted


def what_breaks(violated: Violated) -> str:
    """Which rows break which constraint."""
    rows, table, detail = counted(violated.count, "row"), violated.table, violated.detail
    return {
        "NOT NULL": f"{table} has no value in {detail}, which is NOT NULL, in {rows}",
        "CHECK": f"{table} does not meet its CHECK in {rows}",
        "UNIQUE": f"{table} has values twice that its index {detail} wants to be UNIQUE, in {rows}",
        "FOREIGN KEY": f"{table} refers to rows that {detail} does not have, in {rows}",
        "type": f"{table} has values of another type than the column {detail}, in {rows}",
    }[violated.constraint]


def check_logs(facts: DataFacts) -> Iterator[Finding]:
    """Journals and logs that a process left when it was killed."""
    if facts.stray_logs:
        yield _stray(facts)
    elif facts.file.code not in BROKEN and facts.engine == "duckdb":
        yield from _left_over(facts)
    elif facts.file.code not in BROKEN:
        for journal in (log for log in facts.logs if log.kind == "journal"):
            yield INTERRUPTED_WRITE(at=str(journal.path), subject="journal")


def _stray(facts: DataFacts) -> Finding:
    """Logs that keep a sound file from being opened, or damage it."""
    logs, paths = _named(facts.stray_logs)
    refused = {"damaged-log": UNREPLAYABLE_LOG, "foreign-log": FOREIGN_DUCKDB_LOG}
    rule = refused.get(facts.with_logs, FOREIGN_LOG)
    shown = rule.remedy.fill({"facts": facts, "logs": logs, "paths": paths})
    moves = (Repair("set-aside", log) for log in facts.stray_logs)
    remedy = remedy_of(shown.text, (*shown.commands, *moves))
    return rule(at=facts.stray_logs[0], subject="log", remedy=remedy, facts=facts, logs=logs, paths=paths)


def _left_over(facts: DataFacts) -> Iterator[Finding]:
    """DuckDB's logs with changes: those that it merges, and those that it passes over."""
    ignored = [log for log in facts.logs if str(log.path) in facts.ignored_logs]
    merged = [log for log in facts.logs if log not in ignored]
    for rule, found in ((LEFT_OVER_LOG, merged), (IGNORED_LOG, ignored)):
        if found:
            logs, paths = _named([str(log.path) for log in found])
            size, subject = sum(log.size for log in found), "log" if rule is LEFT_OVER_LOG else "ignored log"
            yield rule(at=str(found[0].path), subject=subject, facts=facts, size=size, logs=logs, paths=paths)


def check_registration(facts: DataFacts) -> Iterator[Finding]:
    """Data that is not registered."""
    if not facts.registered:
        yield ORPHAN_DATA(at=facts.location, facts=facts)
    for other in facts.others:
        yield EXTRA_FILE(at=other, subject=other, other=other)
    if facts.data_tables:
        for table in facts.tables:
            if table.kind == "other" and not table.broken:
                yield UNREGISTERED_TABLE(subject=f"table {table.name}", table=table.name)


def check_tables(facts: DataFacts) -> Iterator[Finding]:
    """Each registered table by itself; feature tables are examined by feature-generation-failure."""
    at, steps = facts.location, restore_or_compare(facts)
    one_table = RESTORE_TABLE if steps is RESTORE_BACKUP else steps
    for table in facts.data_tables:
        subject = f"table {table.name}"
        if not table.present:
            yield MISSING_TABLE(at=at, subject=subject, remedy=one_table, facts=facts, table=table.name)
        elif table.rows == 0:
            severity, recorded = WARN, ""
            if had_rows(table, facts):
                severity, recorded = FAIL, ", and was not when MDM recorded it"
            yield EMPTY_TABLE(
                severity, at=at, subject=subject, remedy=one_table, facts=facts, table=table.name, recorded=recorded
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
