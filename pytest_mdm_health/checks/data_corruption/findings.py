"""What data-corruption concludes. Pure; each function yields what is wrong in one respect."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from pytest_mdm_health.checks.data_corruption import repairs
from pytest_mdm_health.checks.data_corruption.facts import BROKEN, DataFacts, Recorded, TableState
from pytest_mdm_health.core.model import JSON, Check, Finding, Location, Remedy, Severity
from pytest_mdm_health.core.text import counted

FAIL, WARN, NOTE = Severity.FAIL, Severity.WARN, Severity.NOTE
_SHOWN = 3


def of_file(check: Check, facts: DataFacts) -> Iterator[Finding]:
    """The file as such."""
    file, where = facts.file, _where(facts)
    if file.code in BROKEN:
        message = f"{file.path} {file.reason}"
        remedy = repairs.rescued(facts) if file.code == "damaged" else repairs.restored(facts)
        yield check.finding(BROKEN[file.code], FAIL, message, remedy, location=where)
    elif file.code:
        message = f"the data could not be examined: {file.path} {file.reason}"
        yield check.finding("not-examined", WARN, message, _let_in(facts), location=where)
    for why in facts.unexamined:
        remedy = _let_read(facts, why)
        yield check.finding("not-examined", WARN, why, remedy, location=where, subject=why.partition(" could")[0])
    if file.problems or any(table.failed for table in facts.tables):
        problems = (*file.problems, *(f"table {each.name}: {each.failed}" for each in facts.tables if each.failed))
        more = f", and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        message = f"{facts.engine} finds the data damaged: {'; '.join(problems[:_SHOWN])}{more}"
        evidence: dict[str, JSON] = {"problems": list(problems)}
        yield check.finding("damaged", FAIL, message, repairs.rescued(facts), evidence=evidence, location=where)
    if file.surplus:
        message = f"{file.surplus} bytes after the end of the database do not belong to it"
        yield check.finding("surplus", WARN, message, repairs.cut_to_size(facts), location=where)


def of_left_over(check: Check, facts: DataFacts) -> Iterator[Finding]:
    """Journals and logs that a process left when it was killed."""
    for each in facts.left_over:
        where = Location(each.path)
        if each.live:
            continue
        if each.path == facts.stray_log:
            message = (
                f"{each.path} does not belong to the file beside it, but to another copy of it: by itself the file is "
                "sound, and with what is in there it is not"
            )
            remedy = repairs.without_log(facts)
            yield check.finding("foreign-log", FAIL, message, remedy, location=where, subject="log")
            continue
        if each.kind == "duckdb-wal":
            message = (
                f"{each.size} bytes of changes lie in a log beside the file, left by a process that did not end well; "
                "a log that is cut off is dropped by DuckDB without a word"
            )
            text = (
                "Copy the file and the log to a folder outside the home. Then open the dataset once with MDM, which "
                "takes the changes over, and count its rows afterwards."
            )
            yield check.finding("left-over-log", WARN, message, Remedy(text), location=where, subject="log")
        elif each.kind == "journal":
            message = (
                "a transaction was interrupted; what is said here is of the state before it, to which SQLite returns"
            )
            text = "Find out what was being written, and whether that has to be done again."
            yield check.finding("interrupted-write", NOTE, message, Remedy(text), location=where, subject="journal")


def of_registration(check: Check, facts: DataFacts) -> Iterator[Finding]:
    """Data that nobody registered."""
    where = _where(facts)
    if not facts.registered:
        message = f"{facts.file.path} is not registered, so there is nothing to hold its tables against"
        text = (
            "Find out whether a registration is running or broke off. Then register the dataset, or move the file out "
            "of the datasets once it is clear that nobody misses it."
        )
        yield check.finding("orphan-data", NOTE, message, Remedy(text), location=where)
    for other in facts.others:
        message = f"{other} lies in the dataset's folder and is not the data that is registered"
        text = "MDM does not read it. Move it out of the datasets once it is clear that nobody misses it."
        yield check.finding("extra-file", NOTE, message, Remedy(text), location=Location(other), subject=other)
    if any(table.kind == "base" for table in facts.tables):
        for table in (each for each in facts.tables if each.kind == "other"):
            message = f"the table {table.name} is in the database and not registered: MDM does not show it"
            text = "Nothing has to be done. It may be what an interrupted registration left."
            yield check.finding("unregistered-table", NOTE, message, Remedy(text), subject=f"table {table.name}")


def of_tables(check: Check, facts: DataFacts) -> Iterator[Finding]:
    """Each registered table by itself; feature tables are another check's."""
    where = _where(facts)
    for table in (each for each in facts.tables if each.kind == "base"):
        subject = f"table {table.name}"
        if not table.present:
            message = f"the registered table {table.name} is not in the database"
            remedy = repairs.compared(facts)
            yield check.finding("missing-table", FAIL, message, remedy, location=where, subject=subject)
        elif table.rows == 0:
            proven = _had_rows(table, facts)
            message = f"the table {table.name} is empty" + (", and it was not when MDM recorded it" if proven else "")
            severity = FAIL if proven else WARN
            remedy = repairs.compared(facts)
            yield check.finding("empty-table", severity, message, remedy, location=where, subject=subject)
        if table.lost_columns:
            names = ", ".join(table.lost_columns[:_SHOWN]) + (", …" if len(table.lost_columns) > _SHOWN else "")
            columns = counted(len(table.lost_columns), "column")
            message = f"the table {table.name} has lost {columns} that MDM recorded: {names}"
            evidence: dict[str, JSON] = {"columns": list(table.lost_columns)}
            remedy = repairs.compared(facts)
            yield check.finding(
                "lost-columns", FAIL, message, remedy, evidence=evidence, location=where, subject=subject
            )


def of_recorded(check: Check, facts: DataFacts) -> Iterator[Finding]:
    """Rows now against rows that MDM counted once."""
    empty = {table.name for table in facts.tables if table.rows == 0}
    differing = [
        each
        for each in facts.recorded
        if each.found is not None
        and each.found != each.rows
        and not each.outdated
        and not (each.table in empty if each.table else empty & {t.name for t in facts.tables if t.kind == "base"})
    ]
    for (table, rows), same in groupby(sorted(differing, key=_what), key=_what):
        yield _row_count(check, facts, table, rows, list(same))


def _where(facts: DataFacts) -> Location | None:
    return Location(facts.file.path) if facts.in_file else None


def _what(recorded: Recorded) -> tuple[str, int]:
    return recorded.table, recorded.rows


def _row_count(check: Check, facts: DataFacts, table: str, rows: int, same: list[Recorded]) -> Finding:
    found = same[0].found or 0
    sources = " and ".join(dict.fromkeys(each.source for each in same))
    what = f"the table {table}" if table else "the dataset"
    fewer = found < rows
    difference = f"{rows - found} are missing" if fewer else f"{found - rows} too many"
    message = f"{what} has {found} rows and had {rows} according to {sources}: {difference}"
    first = "If rows were added on purpose, have them counted again: `mdm dataset stats`."
    remedy = repairs.compared(facts) if fewer else repairs.kept(first)
    return check.finding(
        "row-count",
        FAIL if fewer else WARN,
        message,
        remedy,
        evidence={"rows": found, "recorded": rows},
        location=_where(facts),
        subject=f"table {table}" if table else "dataset",
    )


def _had_rows(table: TableState, facts: DataFacts) -> bool:
    counted = any(each.rows for each in facts.recorded if each.table == table.name and not each.outdated)
    features = any(each.rows for each in facts.tables if each.kind == "feature" and each.base == table.name)
    alone = sum(each.kind == "base" for each in facts.tables) == 1
    of_all = alone and any(each.rows for each in facts.recorded if not each.table)
    return table.had_rows or counted or features or of_all


def _let_read(facts: DataFacts, why: str) -> Remedy:
    """What keeps a table from being read, which passes or is for its owner to allow."""
    folded = why.casefold()
    if "permission" in folded and not facts.in_file:
        text = "Ask the owner of the table, or of its database, to let the registered role read it (GRANT SELECT)"
    elif "time" in folded or "lock" in folded or "being changed" in folded:
        text = "Wait until whoever locks or changes it is done, or give the reading more time with --mdm-timeout"
    elif "memory" in folded or "space" in folded or "full" in folded:
        text = (
            "Give the machine the memory or the room that it lacks; TMPDIR names another folder for what is temporary"
        )
    else:
        text = "Remove what the message names"
    return Remedy(f"{text}; then run this check again: until it was read, nothing is known of it.")


def _let_in(facts: DataFacts) -> Remedy:
    code = facts.file.code
    if code == "locked":
        by = f" ({', '.join(facts.file.holders)})" if facts.file.holders else ""
        return Remedy(
            f"Wait until whoever holds the file{by} is done, or close it the usual way; then run this check again."
        )
    if code == "newer-format":
        return Remedy("Run this with the release of the database engine that MDM uses, or a newer one.")
    if code == "no-room":
        return Remedy("Make room, or name a folder on another file system in TMPDIR.")
    if not facts.in_file:
        return Remedy("See what postgres-slowdown says of the server, and whether the registered role may connect.")
    return Remedy("Run this as the user that MDM runs as, or let that user read the file.")
