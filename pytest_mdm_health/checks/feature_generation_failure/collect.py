"""Collecting one dataset's features: the tables, the log, and what the installed generator does with the rows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pytest_mdm_health.backends import Backend, CannotOpen, Database, QueryFailed, quote
from pytest_mdm_health.checks._shared.sample_rows import ROWS_JUDGED, first_base_table, sample_task
from pytest_mdm_health.checks.feature_generation_failure.facts import (
    Difference,
    FeatureFacts,
    FeatureTable,
    GeneratorTrial,
)
from pytest_mdm_health.core.expected import Expected
from pytest_mdm_health.core.model import Depth, NotApplicable
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.core.secrets import without_values
from pytest_mdm_health.integrity.profiles.features import distinct_values, feature_profile
from pytest_mdm_health.mdm.files import FileKind, kind_of
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.mdm.installed.installation import Installation
from pytest_mdm_health.mdm.installed.trial import BrokenOff, CannotTry, abilities, attempt
from pytest_mdm_health.mdm.installed.trial_answers import Trial
from pytest_mdm_health.mdm.inventory import Dataset
from pytest_mdm_health.mdm.logs.events import read_events
from pytest_mdm_health.mdm.registrations import FEATURES
from pytest_mdm_health.mdm.registrations.sources import source_of
from pytest_mdm_health.mdm.settings import Settings

SHARE_NEEDED = 0.01
"""The share of different values among `ROWS_JUDGED` that a feature needed before the refactoring."""

MOST_COUNTED = 100
"""Features of one table whose values are counted."""

_TIME_SHARE = 0.4
"""The share of a check's time for starting MDM's interpreter, and again for running its generator."""


_BINARY = 2
_COMBINED = re.compile(r"(?P<one>.+)_(?:plus|minus|times|div)_(?P<other>.+)")
_SETTINGS = "feature_engineering."


def circumstances_of(
    dataset: Dataset, home: Home, settings: Settings, installation: Installation | None, expected: Expected
) -> FeatureFacts:
    """What features depend on, without the database: registration, log, backend, version and settings."""
    data = dataset.registration.data if dataset.registration is not None else {}
    source = source_of(dataset.registration) if dataset.registration is not None else None
    return FeatureFacts(
        examined=0,
        name=dataset.name,
        source=str(source.path) if source is not None and source.path is not None else "",
        has_regenerate=installation is not None and installation.offers("features regenerate"),
        registered=len(_registered(dataset)),
        run=read_events(home.log_file).feature_runs.get(dataset.name.lower()),
        engine=dataset.backend or "",
        version=(installation.version or "") if installation is not None else "",
        refactored=kind_of(home.metrics) is FileKind.FILE,
        registered_at=str(data.get("registered_at") or data.get("created_at") or ""),
        settings={key: setting.value for key, setting in settings.values.items() if key.startswith(_SETTINGS)},
        plan=expected.of(dataset.name) if expected.given else None,
    )


def collect(
    facts: FeatureFacts,
    dataset: Dataset,
    backend: Backend | None,
    home: Home,
    options: Options,
    installation: Installation | None,
    *,
    had_tables: bool = False,
) -> FeatureFacts:
    """The facts with what the database shows, as closely as the depth says.

    Args:
        facts: what is known without the database.
        dataset: the dataset.
        backend: where its data is; None if that is unknown.
        home: the home.
        options: how closely to examine it.
        installation: the installed MDM.
        had_tables: whether the baseline has feature tables, so that their absence is worth examining.
    """
    if backend is None:
        raise NotApplicable("there is no database with feature tables")
    try:
        with backend.open() as database:
            collector = _Collector(dataset, database, Depth(options.depth))
            collected = collector.collect(facts, home, options, installation, had_tables=had_tables)
    except CannotOpen as error:
        reason = f"{backend.path} {error}"
        if facts.registered:
            return replace(facts, unexamined=(f"its feature tables were not examined: {reason}",))
        raise NotApplicable(reason) from error
    log = read_events(home.log_file)  # the only witness of an error that MDM swallowed
    return replace(
        collected,
        gaps=(*collected.gaps, *log.gaps),
        unexamined=(*collected.unexamined, *log.not_understood),
    )


def _registered(dataset: Dataset) -> Mapping[str, str]:
    return dataset.registration.feature_tables if dataset.registration is not None else {}


class _Collector:
    """Examines one open database."""

    def __init__(self, dataset: Dataset, database: Database, depth: Depth) -> None:
        self._dataset = dataset
        self._database = database
        self._depth = depth
        self._gaps: list[str] = []
        self._unexamined: list[str] = []

    def collect(
        self, facts: FeatureFacts, home: Home, options: Options, installation: Installation | None, *, had_tables: bool
    ) -> FeatureFacts:
        """The tables, and unless the depth forbids it their differences and a trial of the generator."""
        try:
            existing = self._database.tables()
        except QueryFailed as error:
            return replace(facts, unexamined=(f"its tables cannot be listed: {error}",))
        tables = tuple(self._examined(table) for table in self._feature_tables(existing))
        failed_run = facts.run is not None and bool(facts.run.failure)
        if not (tables or failed_run or had_tables):
            raise NotApplicable("no feature tables are registered")
        readable = [table for table in tables if not table.failed]
        unread = tuple(f"the table {table.name} cannot be read: {table.failed}" for table in tables if table.failed)
        unread += tuple(self._unexamined)
        facts = replace(facts, examined=len(readable) if tables else 1, tables=tables, unexamined=unread)
        if self._depth is Depth.QUICK:
            gap = "no values were examined and the generator was not run (see --mdm-depth)"
            return replace(facts, gaps=(*self._gaps, gap))
        differences = self._differences(readable)
        trial = self._trial(existing, home, options, installation)
        unexamined = tuple(dict.fromkeys((*unread, *self._unexamined)))
        return replace(facts, differences=differences, trial=trial, gaps=tuple(self._gaps), unexamined=unexamined)

    def _feature_tables(self, existing: Sequence[str]) -> Iterator[FeatureTable]:
        """The registered feature tables, then those with such a name that are not registered."""
        registered = _registered(self._dataset)
        base = self._dataset.registration.tables if self._dataset.registration is not None else {}
        for role, name in registered.items():
            expected_base = base.get(role.removesuffix(FEATURES)) or name.removesuffix(FEATURES)
            known_base = expected_base if expected_base in existing else ""
            yield FeatureTable(role=role, name=name, base=known_base, present=name in existing)
        for name in existing:
            stem = name.removesuffix(FEATURES)
            if name.endswith(FEATURES) and stem in existing and name not in registered.values():
                yield FeatureTable(role="", name=name, base=stem)

    def _examined(self, table: FeatureTable) -> FeatureTable:
        if not table.present:
            return table
        try:
            columns = {column.name: column.type for column in self._database.columns(table.name)}
            table = self._with_readable_base(table)
            base = {column.name for column in self._database.columns(table.base)} if table.base else set()
            table = replace(table, columns=columns, copied=tuple(name for name in columns if name in base))
            return table if self._depth is Depth.QUICK else self._with_values(table)
        except QueryFailed as error:
            return replace(table, failed=str(error))

    def _with_readable_base(self, table: FeatureTable) -> FeatureTable:
        """The table; without the one that it was made from if only that cannot be read."""
        if not table.base:
            return table
        try:
            self._database.query(f"SELECT * FROM {quote(table.base)} LIMIT 1")  # noqa: S608 - quoted
        except QueryFailed as error:
            self._unexamined.append(f"{table.name} was not compared with {table.base}, which cannot be read: {error}")
            return replace(table, base="")
        return table

    def _with_values(self, table: FeatureTable) -> FeatureTable:
        everything = self._depth is Depth.FULL
        rows = self._database.count(table.name)
        profile = feature_profile(self._database, table.name, everything=everything)
        if not profile.complete:
            hint = "" if everything else " (--mdm-depth=full examines all)"
            self._gaps.append(f"{profile.rows} of {rows} rows of table {table.name} were examined{hint}")
        empty = {column.name for column in profile.columns if column.empty} if profile.rows else set()
        infinite = {column.name: column.infinite for column in profile.columns if column.infinite}
        empty_in_base, infinite_in_base = self._doubtful_in_base(table, {*empty, *infinite})
        constant = [column.name for column in profile.columns if column.constant]
        return replace(
            table,
            rows=rows,
            base_rows=self._database.count(table.base) if table.base else None,
            rows_examined=profile.rows,
            empty=tuple(sorted(empty - empty_in_base)),
            infinite={name: count for name, count in infinite.items() if name not in infinite_in_base},
            constant=tuple(name for name in constant if name not in table.copied),
        )

    def _doubtful_in_base(self, table: FeatureTable, names: set[str]) -> tuple[set[str], set[str]]:
        """Which of these columns are empty in the base table too, and which have infinite numbers there."""
        if not table.base or not names:
            return set(), set()
        columns = feature_profile(self._database, table.base, names, everything=self._depth is Depth.FULL).columns
        empty = {column.name for column in columns if column.empty}
        return empty, {column.name for column in columns if column.infinite}

    def _differences(self, tables: Sequence[FeatureTable]) -> tuple[Difference, ...]:
        try:
            return tuple(_find_differences(self._dataset, self._database, tables))
        except QueryFailed as error:
            self._unexamined.append(f"the feature tables were not compared with each other: {error}")
            return ()

    def _trial(
        self, existing: Sequence[str], home: Home, options: Options, installation: Installation | None
    ) -> GeneratorTrial | None:
        table = first_base_table(self._dataset, existing)
        if table is None:
            return None
        try:
            timeout_s = options.timeout * _TIME_SHARE
            return _run_generator(self._dataset, self._database, table, installation, home.root, timeout_s)
        except BrokenOff as error:
            self._unexamined.append(f"the generator was not run to its end: {error}")
            return None
        except (CannotTry, QueryFailed) as error:
            self._gaps.append(f"the generator was not run: {error}")
            return None


def _find_differences(dataset: Dataset, database: Database, tables: Sequence[FeatureTable]) -> Iterator[Difference]:
    """What the other feature tables and the one for training do not have in common.

    MDM generates features of each table separately and omits those that are not informative there, which depends on
    the number of rows; so tables that were generated without any error differ too. What that explains is kept apart.
    """
    generated = [table for table in tables if table.role and table.base and table.columns]
    train = next((table for table in generated if table.role.startswith("train")), None)
    target = dataset.registration.data.get("target_column") if dataset.registration is not None else None
    for other in generated:
        if train is None or other is train:
            continue
        pair = _Pair(database, target if isinstance(target, str) else "")
        differences = (pair.difference(train, other), pair.difference(other, train))
        yield from (difference for difference in differences if difference.any)


class _Pair:
    """Two feature tables of one dataset."""

    def __init__(self, database: Database, target: str) -> None:
        self._database = database
        self._target = target

    def difference(self, has: FeatureTable, lacks: FeatureTable) -> Difference:
        """The features that one has and the other one lacks, and those that are numbers only in the first."""
        base, other_base = self._base(has), self._base(lacks)
        made_of = {*(base - other_base), self._target} - {""}
        missing = [name for name in has.columns if name not in lacks.columns and name not in base]
        # a feature of a column that only one of the tables has, such as the target, is expected there only
        missing = [name for name in missing if not any(name.startswith(f"{column}_") for column in made_of)]
        explained = [
            name
            for place, name in enumerate(missing)
            if place >= MOST_COUNTED or self._is_explained(name, base, has, lacks)
        ]
        common = [name for name in has.columns if name in lacks.columns and name not in base]
        retyped = [name for name in common if has.is_numeric(name) is True and lacks.is_numeric(name) is False]
        return Difference(
            has=has.name,
            lacks=lacks.name,
            missed=tuple(name for name in missing if name not in explained),
            explained=tuple(explained),
            retyped=tuple(name for name in retyped if name not in {*has.empty, *lacks.empty}),
        )

    def _base(self, table: FeatureTable) -> set[str]:
        return {column.name for column in self._database.columns(table.base)}

    def _is_explained(self, name: str, base: set[str], has: FeatureTable, lacks: FeatureTable) -> bool:
        """Whether MDM may have omitted a feature as not informative, or chosen another combination instead."""
        combined = _COMBINED.fullmatch(name)
        if combined is not None and {combined["one"], combined["other"]} <= base:
            return True
        try:
            different = distinct_values(self._database, has.name, name, ROWS_JUDGED)
        except QueryFailed:
            return True
        judged = min(lacks.rows or ROWS_JUDGED, ROWS_JUDGED)
        return different <= _BINARY or different < SHARE_NEEDED * judged


def _run_generator(
    dataset: Dataset, database: Database, table: str, installation: Installation | None, root: Path, timeout_s: float
) -> GeneratorTrial:
    """Run the installed generator on the first rows of a table.

    Raises:
        CannotTry: there is no generator that could be run, and why.
        QueryFailed: the rows cannot be read.
    """
    if installation is None or not installation.is_ml_data_manager:
        raise CannotTry("no MDM was found (see --mdm-python)")
    found = abilities(installation.python, root, timeout_s)
    if not found.generator:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in found.failures.items())
        raise CannotTry(f"MDM's generator cannot be imported ({reasons})" if reasons else "this MDM has no generator")
    task = sample_task(dataset, database, table)
    known = {*task["columns"], dataset.name}
    result = attempt(installation.python, root, {**task, "do": "generate"}, timeout_s)
    errors = (without_values(str(error), known) for error in result.told.get("logged", ()))
    return GeneratorTrial(
        table=table,
        rows=len(task["rows"]),
        features=len(result.names("features")),
        raised=_how_it_failed(result, known),
        errors=tuple(dict.fromkeys(errors)),
    )


def _how_it_failed(result: Trial, known: set[str]) -> str:
    """The exception that stopped the generator, or how its process ended; empty if it finished."""
    if result.raised is not None:
        return result.raised.text(known)
    return f"it {result.how}" if result.how else ""
