"""Reading what a PostgreSQL server has recorded of the statements that were run on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pytest_mdm_health.backends import ConnectionLost, QueryFailed, Unfinished
from pytest_mdm_health.backends.sql_text import shown, takes_long_by_nature
from pytest_mdm_health.checks._shared.postgres import sql
from pytest_mdm_health.checks._shared.postgres.entry import ANSWER_S, Look
from pytest_mdm_health.checks._shared.postgres.facts import RecordedStatement, Statement

if TYPE_CHECKING:
    from pytest_mdm_health.backends.postgresql import PostgresDatabase

SLOW_STATEMENT_MS = 1000.0
"""The guide's limit for the mean time of a statement."""

_NOT_LOADED = "shared_preload_libraries"
"""The setting that the server names, in whatever language, where the extension was created and not loaded."""

RECORDED, RECORDED_TEXT = 200, 400
"""Statements that are kept to be compared with later ones, those that took most time; characters of each."""


def record_statements(database: PostgresDatabase, look: Look, databases: Sequence[str]) -> None:
    """What the extension has recorded, unless another database had it already; it records for the whole server."""
    if look.recording or look.missed_statements or not databases:
        return
    for view, recent, tells_since in look.ask(database, sql.EXTENSION, "extensions"):
        total = "total_exec_time" if recent else "total_time"
        try:
            rows = database.query(
                sql.STATEMENTS.format(view=view, total=total), (list(databases), SLOW_STATEMENT_MS), ANSWER_S
            )
            most = database.query(sql.MOST.format(view=view, total=total), (list(databases), RECORDED), ANSWER_S)
            since = database.query(sql.SINCE.format(view=view), (), ANSWER_S) if tells_since else [("",)]
        except ConnectionLost:
            raise
        except (QueryFailed, Unfinished) as error:
            if _NOT_LOADED in str(error):
                look.why_not_recording = f" ({error})"
            else:
                look.missed_statements = True
                look.missed.append(f"the statements that the server recorded could not be looked at: {error}")
            return
        look.recording, look.recorded_since = True, str(since[0][0])
        look.recorded += [(name, text, int(calls), float(mean)) for name, text, calls, mean in rows]
        look.measured += [_measured(*row) for row in most]


def _measured(database: str, query_id: str, text: str, calls: int, total_ms: float) -> RecordedStatement:
    return RecordedStatement(
        database=database,
        query_id=query_id,
        text=shown(text, RECORDED_TEXT),
        calls=calls,
        total_ms=round(total_ms, 3),
    )


def slow_statements(look: Look) -> Iterator[Statement]:
    """Those that take long and need not by their nature."""
    for name, text, calls, mean in look.recorded:
        if mean > SLOW_STATEMENT_MS and not takes_long_by_nature(text):
            yield Statement(database=name, text=shown(text), calls=calls, mean_ms=round(mean, 1))
