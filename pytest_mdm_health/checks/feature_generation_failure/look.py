"""Looking at one dataset's features: the tables, the log, and what the installed generator does with its rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from pytest_mdm_health.backends import Backend, CannotOpen, Database, QueryFailed
from pytest_mdm_health.checks._shared.sample_rows import first_base_table
from pytest_mdm_health.checks.feature_generation_failure.differences import differences
from pytest_mdm_health.checks.feature_generation_failure.facts import Difference, FeatureFacts, FeatureTable
from pytest_mdm_health.checks.feature_generation_failure.trial import try_generator
from pytest_mdm_health.core.model import Depth, NotApplicable
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.integrity.profiles.features import FeatureColumn, feature_profile
from pytest_mdm_health.mdm.files import FileKind, kind_of
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.mdm.installed.installation import Installation
from pytest_mdm_health.mdm.installed.trial import CannotTry
from pytest_mdm_health.mdm.inventory import Dataset
from pytest_mdm_health.mdm.logs.features import last_runs
from pytest_mdm_health.mdm.registrations import FEATURES
from pytest_mdm_health.mdm.registrations.sources import source_of

_SHARE_OF_TIME = 0.4
"""How much of a check's time starting MDM's interpreter may take, and again running its generator."""

_PASSES = {"locked", "unreadable", "no-room", "away", "refused", "starting", "full"}
"""Why a database cannot be opened though nothing is known to be wrong with it; what is wrong is told by 5.1."""


def gather(
    dataset: Dataset,
    backend: Backend | None,
    home: Home,
    options: Options,
    installation: Installation | None,
    *,
    had_some: bool = False,
) -> FeatureFacts:
    """Look at a dataset's features, as closely as the depth says; `had_some` in the baseline, that is."""
    if backend is None:
        raise NotApplicable("there is no database whose feature tables could be looked at")
    source = source_of(dataset.registration) if dataset.registration is not None else None
    run = last_runs(home.log_file).get(dataset.name.lower())
    facts = FeatureFacts(
        examined=0,
        name=dataset.name,
        home=str(home.root),
        source=str(source.path) if source is not None and source.path is not None else "",
        refactored=kind_of(home.metrics) is FileKind.FILE,
        regenerates=installation is not None and installation.offers("features regenerate"),
        registered=len(_registered(dataset)),
        failure=run.failure if run is not None else "",
        failure_at=(run.place.file, run.place.line or 1) if run is not None else None,
        errors=tuple(run.errors.values()) if run is not None else (),
    )
    try:
        with backend.open() as database:
            looking = _Looking(dataset, database, Depth(options.depth), had_some=had_some)
            return looking.gather(facts, home, options, installation)
    except CannotOpen as error:
        reason = f"{backend.path} {error}"
        if error.code in _PASSES and facts.registered:
            return replace(facts, unexamined=(f"its feature tables were not looked at: {reason}",))
        raise NotApplicable(reason) from error


def _registered(dataset: Dataset) -> dict[str, str]:
    return dict(dataset.registration.feature_tables) if dataset.registration is not None else {}


class _Looking:
    """One open database."""

    def __init__(self, dataset: Dataset, database: Database, depth: Depth, *, had_some: bool) -> None:
        self._dataset = dataset
        self._database = database
        self._depth = depth
        self._had_some = had_some
        self._gaps: list[str] = []

    def gather(
        self, facts: FeatureFacts, home: Home, options: Options, installation: Installation | None
    ) -> FeatureFacts:
        """Everything."""
        try:
            there = self._database.tables()
        except QueryFailed as error:
            return replace(facts, unexamined=(f"its tables cannot be listed: {error}",))
        tables = tuple(self._looked_at(each) for each in self._tables(there))
        if not (tables or facts.failure or self._had_some):
            raise NotApplicable("no feature tables are registered")
        read = [table for table in tables if not table.failed]
        unread = tuple(f"the table {each.name} cannot be read: {each.failed}" for each in tables if each.failed)
        facts = replace(facts, examined=len(read) if tables else 1, tables=tables, unexamined=unread)
        if self._depth is Depth.QUICK:
            self._gaps.append("no values were looked at and the generator was not tried (see --mdm-depth)")
            return replace(facts, gaps=tuple(self._gaps))
        facts = replace(facts, differences=self._differences(read))
        return replace(self._tried(facts, there, home, options, installation), gaps=tuple(self._gaps))

    def _differences(self, tables: Sequence[FeatureTable]) -> tuple[Difference, ...]:
        try:
            return tuple(differences(self._dataset, self._database, tables))
        except QueryFailed as error:
            self._gaps.append(f"the feature tables were not compared with each other: {error}")
            return ()

    def _tables(self, there: Sequence[str]) -> Iterator[FeatureTable]:
        """The registered feature tables, then those that are called like one and are not registered."""
        registered = _registered(self._dataset)
        base = dict(self._dataset.registration.tables) if self._dataset.registration is not None else {}
        for role, name in registered.items():
            made_from = base.get(role.removesuffix(FEATURES)) or name.removesuffix(FEATURES)
            known = made_from if made_from in there else ""
            yield FeatureTable(role=role, name=name, base=known, present=name in there)
        for name in there:
            made_from = name.removesuffix(FEATURES)
            if name.endswith(FEATURES) and made_from in there and name not in registered.values():
                yield FeatureTable(role="", name=name, base=made_from)

    def _looked_at(self, table: FeatureTable) -> FeatureTable:
        if not table.present:
            return table
        try:
            columns = {column.name: column.type for column in self._database.columns(table.name)}
            base = {column.name for column in self._database.columns(table.base)} if table.base else set()
            table = replace(table, columns=columns, copied=tuple(name for name in columns if name in base))
            return table if self._depth is Depth.QUICK else self._values(table)
        except QueryFailed as error:
            return replace(table, failed=str(error))

    def _values(self, table: FeatureTable) -> FeatureTable:
        everything = self._depth is Depth.FULL
        rows = self._database.count(table.name)
        found = feature_profile(self._database, table.name, everything=everything)
        if not found.complete:
            more = "" if everything else " (--mdm-depth=full looks at all)"
            self._gaps.append(f"in table {table.name}, {found.rows} of {rows} rows were looked at{more}")
        empty = {each.name for each in found.columns if each.empty} if found.rows else set()
        infinite = {each.name: each.infinite for each in found.columns if each.infinite}
        base = self._base(table, {*empty, *infinite})
        return replace(
            table,
            rows=rows,
            base_rows=self._database.count(table.base) if table.base else None,
            looked_at=found.rows,
            empty=tuple(sorted(empty - {each.name for each in base if each.empty})),
            infinite={name: count for name, count in infinite.items() if name not in _infinite_in(base)},
            constant=tuple(each.name for each in found.columns if each.constant and each.name not in table.copied),
        )

    def _base(self, table: FeatureTable, doubtful: set[str]) -> Sequence[FeatureColumn]:
        """The columns of the same names in the table that it was made of."""
        if not table.base or not doubtful:
            return ()
        everything = self._depth is Depth.FULL
        return feature_profile(self._database, table.base, doubtful, everything=everything).columns

    def _tried(
        self,
        facts: FeatureFacts,
        there: Sequence[str],
        home: Home,
        options: Options,
        installation: Installation | None,
    ) -> FeatureFacts:
        """With what the installed generator makes of the first rows."""
        table = first_base_table(self._dataset, there)
        if table is None:
            return facts
        try:
            within_s = options.timeout * _SHARE_OF_TIME
            trial = try_generator(self._dataset, self._database, table, installation, home.root, within_s)
        except (CannotTry, QueryFailed) as error:
            self._gaps.append(f"the generator was not tried: {error}")
            return facts
        return replace(facts, trial=trial)


def _infinite_in(columns: Sequence[FeatureColumn]) -> set[str]:
    return {each.name for each in columns if each.infinite}
