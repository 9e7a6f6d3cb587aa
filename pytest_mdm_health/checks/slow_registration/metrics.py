"""What MDM's `metrics.db` keeps since 0.2.0: how long registrations and queries took."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from pytest_mdm_health.backends import Backend, CannotOpen, QueryFailed, Row
from pytest_mdm_health.backends.sql_text import shown
from pytest_mdm_health.checks.slow_registration.facts import Measured, Query
from pytest_mdm_health.mdm.files import FileKind, kind_of

OPERATIONS, KEPT = 50, 20
"""Of queries, the operations that took most time altogether, and the newest measurements of each, are kept."""

QUERIES = ("query_execution", "dataset_read")
"""What MDM calls the types of metrics that are of queries."""

_SQL = """
    SELECT metric_type = 'dataset_register', operation, dataset_name, timestamp, duration_ms, row_count FROM metrics
    WHERE metric_type {types} AND success AND duration_ms > 0 ORDER BY id DESC LIMIT {most}
"""
_REGISTRATIONS = _SQL.format(types="= 'dataset_register'", most=2000)
_QUERIES = _SQL.format(types=f"IN {QUERIES}", most=20_000)


@dataclass(frozen=True)
class Metric:
    """One measurement that MDM made of something that went well; the newest come first."""

    operation: str
    dataset: str
    ended: datetime | None
    seconds: float
    rows: int | None


@dataclass(frozen=True)
class Metrics:
    """The measurements of registrations and those of queries."""

    registrations: tuple[Metric, ...] = ()
    queries: tuple[Metric, ...] = ()


def read_metrics(file: Path, gaps: list[str]) -> Metrics:
    """What MDM measured; nothing where it keeps no metrics, nothing and a gap where they cannot be read."""
    if kind_of(file) is FileKind.MISSING:
        return Metrics()
    try:
        with Backend("sqlite", file).open() as database:
            registrations, queries = (database.query(sql) for sql in (_REGISTRATIONS, _QUERIES))
    except (CannotOpen, QueryFailed) as error:
        gaps.append(f"the durations in {file} could not be read: it {error}")
        return Metrics()
    return Metrics(tuple(_made(registrations)), tuple(_made(queries)))


def queries_of(metrics: Metrics) -> tuple[Query, ...]:
    """The queries by what they do and on which dataset, with their newest measurements."""
    found: dict[tuple[str, str], list[Metric]] = defaultdict(list)
    for each in metrics.queries:
        found[shown(each.operation), each.dataset].append(each)
    longest = sorted(found.items(), key=lambda item: (-sum(each.seconds for each in item[1]), item[0]))[:OPERATIONS]
    return tuple(
        Query(operation=operation, dataset=dataset, measured=tuple(_measured(each for each in made[:KEPT])))
        for (operation, dataset), made in sorted(longest)
    )


def iso(time: datetime | None) -> str:
    """A time in UTC, to the second, so that later ones sort later; empty for None."""
    return time.astimezone(timezone.utc).isoformat(" ", "seconds") if time is not None else ""


def _made(rows: Iterable[Row]) -> Iterator[Metric]:
    for registration, operation, dataset, timestamp, milliseconds, count in rows:
        named = isinstance(dataset, str) or not registration
        if named and isinstance(operation, str) and isinstance(milliseconds, (int, float)):
            known = count if isinstance(count, int) and count > 0 else None  # MDM writes 0 where it did not count
            yield Metric(operation, str(dataset or "").lower(), _time(timestamp), milliseconds / 1000, known)


def _measured(metrics: Iterable[Metric]) -> Iterator[Measured]:
    for each in metrics:
        yield Measured(ended=iso(each.ended), seconds=round(each.seconds, 6), rows=each.rows)


def _time(value: object) -> datetime | None:
    """MDM writes local time without a zone."""
    try:
        return datetime.fromisoformat(value).astimezone() if isinstance(value, str) else None
    except (ValueError, OverflowError, OSError):
        return None
