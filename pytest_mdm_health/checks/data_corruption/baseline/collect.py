"""A dataset's tables for a baseline that is recorded, and against one that is given."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

from pytest_mdm_health.backends import Backend
from pytest_mdm_health.checks.data_corruption.baseline.compare import DatasetComparison
from pytest_mdm_health.checks.data_corruption.baseline.keep import Failures, Until, records, with_digests
from pytest_mdm_health.checks.data_corruption.baseline.rules import gaps
from pytest_mdm_health.checks.data_corruption.facts import DataFacts, Place, TableRecord
from pytest_mdm_health.core.expected import Expected
from pytest_mdm_health.core.model import Depth
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.mdm.inventory import Dataset
from pytest_mdm_health.mdm.settings import Settings

_SHARE_OF_TIME = 0.85
"""How much of a check's time may be gone when tables are still read; what is left is for what cannot be broken off."""

_UNDONE = {"incomparable", "failed"}
_DONE = {"equal", "differs", "lost"}


@dataclass(frozen=True)
class SnapshotRequest:
    """What a dataset's tables are kept for and held against; `started` is when the looking began."""

    dataset: Dataset
    backend: Backend | None
    home: Home
    settings: Settings
    options: Options
    expected: Expected
    before: DataFacts | None
    started: float = field(default_factory=time.monotonic)

    def tables(
        self, facts: DataFacts, backend: Backend, now: tuple[TableRecord, ...], until: Until
    ) -> DatasetComparison | None:
        """What there is to compare, if there is."""
        if self.before is None or self.options.baseline is None:
            return None
        return DatasetComparison(
            dataset=self.dataset,
            backend=backend,
            now=now,
            facts=facts,
            before=self.before,
            plan=self.expected.of(self.dataset.name),
            home=self.home,
            settings=self.settings,
            options=self.options,
            until=until,
        )


def with_tables(facts: DataFacts, request: SnapshotRequest) -> DataFacts:
    """The facts with what a baseline keeps of the tables, and with what became of them since another one."""
    if not request.options.keeps_tables:
        return facts
    plan = request.expected.of(request.dataset.name) if request.expected.given else None
    own = request.expected.datasets.get(request.dataset.name)
    facts = replace(facts, plan=plan, own_plan=own, place=_place(facts, request))
    if request.backend is None or not facts.readable:
        return facts
    if facts.stray_log:
        why = f"the tables were not compared with the baseline: {facts.stray_log} does not belong to them"
        return replace(facts, gaps=(*facts.gaps, why))
    seconds = request.options.timeout * _SHARE_OF_TIME
    until = Until(request.started + seconds, seconds)
    try:
        facts = replace(facts, known=records(request.dataset, request.backend, facts))
    except Failures as error:
        return replace(facts, examined=0, unexamined=(*facts.unexamined, f"the tables could not be listed: {error}"))
    tables = request.tables(facts, request.backend, facts.known, until)
    facts = facts if tables is None else _compared(facts, tables)
    if request.options.save_baseline is None or Depth(request.options.depth) is Depth.QUICK:
        return facts
    kept = tuple(with_digests(request.backend, facts.known, request.options, until))
    lacking = tuple(why for _, why in kept if why)
    return replace(facts, known=tuple(table for table, _ in kept), gaps=(*facts.gaps, *lacking))


def _compared(facts: DataFacts, tables: DatasetComparison) -> DataFacts:
    """With the changes; what could not be compared and should have been makes it nothing that was examined."""
    changes = tuple(tables.changes())
    done = sum(each.verdict in _DONE for each in changes)
    undone = any(each.verdict in _UNDONE for each in changes)
    nothing = () if tables.before.known else (f"the baseline has nothing of its tables{_why(tables.before)}",)
    return replace(
        facts,
        examined=0 if undone else 1 + done,
        changes=changes,
        gaps=(*facts.gaps, *nothing, *gaps(changes)),
    )


def _why(before: DataFacts) -> str:
    return f": the file {before.file.reason}" if before.file.reason else ""


def _place(facts: DataFacts, request: SnapshotRequest) -> Place:
    connection = request.backend.connection if request.backend is not None else None
    if connection is not None:
        return Place(
            path=connection.address,
            relative=connection.address,
            host=connection.host,
            port=connection.port,
            database=connection.database,
            user=connection.user or "",
        )
    path, root = facts.file.path, f"{request.home.root}/"
    return Place(path=path, relative=path.removeprefix(root))
