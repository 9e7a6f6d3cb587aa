"""What postgres-slowdown concludes from the statements that a server has recorded. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_mdm_health.backends.sql_text import shown
from pytest_mdm_health.checks._shared.postgres import commands as repairs
from pytest_mdm_health.checks._shared.postgres.facts import PostgresFacts
from pytest_mdm_health.checks.postgres_slowdown.since import SlowerStatement, slower_statements
from pytest_mdm_health.core.model import JSON, Check, Finding, Remedy, Severity
from pytest_mdm_health.core.text import counted

REPEATED_CALLS = 3
"""Runs of a statement from which on its mean time is no accident."""

TOLD = 10
"""How many statements of one database are named as slower."""

_INDEXES = "SELECT tablename, indexdef FROM pg_indexes WHERE schemaname !~ '^(pg_|information_schema)' ORDER BY 1, 2"


def of_statements(check: Check, facts: PostgresFacts, before: PostgresFacts | None) -> Iterator[Finding]:
    """What became slower since the baseline, then what takes long anyway."""
    slower = slower_statements(facts, before)
    for database, statements in slower.items():
        yield _slower(check, facts, database, statements)
    told = {(each.database, shown(each.text)) for statements in slower.values() for each in statements}
    for statement in facts.statements:
        if (statement.database, statement.text) in told:
            continue
        severity = Severity.WARN if statement.calls >= REPEATED_CALLS else Severity.NOTE
        message = (
            f"a statement in {statement.database} takes {statement.mean_ms / 1000:.1f} s on average "
            f"({counted(statement.calls, 'run')}): {statement.text}"
        )
        text = "See what it does with EXPLAIN (ANALYZE, BUFFERS); statistics, an index or more work_mem may help."
        remedy = Remedy(text, (repairs.psql(facts, "ANALYZE", statement.database),))
        subject = f"{statement.database} {statement.text}"
        evidence = {"mean_ms": statement.mean_ms, "calls": statement.calls}
        yield check.finding("slow-statement", severity, message, remedy, evidence=evidence, subject=subject)


def _slower(check: Check, facts: PostgresFacts, database: str, statements: list[SlowerStatement]) -> Finding:
    worst, others = statements[0], len(statements) - 1
    more = f"; {counted(others, 'more statement')} became slower" if others else ""
    message = (
        f"a statement in {database} takes {worst.after_ms:.0f} ms on average ({counted(worst.calls, 'run')}), "
        f"{worst.after_ms / worst.before_ms:.0f} times the {worst.before_ms:.0f} ms in the baseline: "
        f"{shown(worst.text)}{more}"
    )
    text = (
        "Compare its plan with EXPLAIN (ANALYZE, BUFFERS), and the indexes with those that there were. A database that "
        "was restored or filled anew has no statistics until they are computed, and no indexes that nobody made."
    )
    commands = (repairs.psql(facts, "ANALYZE", database), repairs.psql(facts, _INDEXES, database))
    evidence: dict[str, JSON] = {
        shown(each.text): [round(each.before_ms, 1), round(each.after_ms, 1), each.calls] for each in statements[:TOLD]
    }
    return check.finding(
        "slower-statements", Severity.WARN, message, Remedy(text, commands), evidence=evidence, subject=database
    )
