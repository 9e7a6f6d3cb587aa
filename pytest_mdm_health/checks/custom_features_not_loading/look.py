"""Looking at a home's custom features: their sources, how they load in MDM's interpreter, and what they make."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_mdm_health.backends import Backend, CannotOpen, Database, QueryFailed, server_backend
from pytest_mdm_health.checks.custom_features_not_loading.facts import CustomFacts, CustomFile, Gone, Loading
from pytest_mdm_health.checks.custom_features_not_loading.files import custom_files
from pytest_mdm_health.checks.feature_generation_failure.differences import ROWS_JUDGED
from pytest_mdm_health.checks.feature_generation_failure.rows import first_base_table, sample_task
from pytest_mdm_health.core.model import Depth, NotApplicable
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.mdm.engines import FILE_ENGINES
from pytest_mdm_health.mdm.files import FileKind, kind_of
from pytest_mdm_health.mdm.installed.custom_code import texts_in
from pytest_mdm_health.mdm.installed.installation import Installation
from pytest_mdm_health.mdm.installed.trial import CannotTry, abilities, attempt
from pytest_mdm_health.mdm.installed.trial_answers import Abilities, Trial
from pytest_mdm_health.mdm.inventory import Dataset, Inventory
from pytest_mdm_health.mdm.logs.features import last_runs
from pytest_mdm_health.mdm.registrations import FEATURES
from pytest_mdm_health.mdm.registrations.sources import source_of
from pytest_mdm_health.mdm.servers import connection_of

START_SHARE, LOAD_SHARE = 0.4, 0.4
"""How much of a check's time starting MDM's interpreter may take, and loading all files in it."""

LONGEST_S, LEAST_S = 10.0, 1.0
"""Seconds that one file may take, which MDM would have to wait for each time; less if many have to share the time."""

_SYNTAX = ("SyntaxError", "IndentationError", "TabError")
_NOTHING: Mapping[str, Any] = {"columns": [], "rows": [], "times": [], "judged": 0}


def gather(inventory: Inventory, options: Options, installation: Installation | None) -> CustomFacts:
    """Look at the custom features of a home, as closely as the depth says."""
    gaps: list[str] = []
    home = inventory.home
    registered = {each.name: each for each in inventory.datasets if each.registration is not None}
    files = tuple(custom_files(home, registered, gaps))
    gone = tuple(_gone(inventory, files))
    if not files and not gone:
        raise NotApplicable(gaps[0] if gaps else "no custom features")
    sources = {name: source_of(each.registration) for name, each in registered.items() if each.registration is not None}
    facts = CustomFacts(
        examined=len(files) or 1,
        home=str(home.root),
        folder=str(home.custom_features),
        files=files,
        gone=gone,
        sources={name: str(each.path) for name, each in sources.items() if each is not None and each.path is not None},
        regenerates=installation is not None and installation.offers("features regenerate"),
    )
    if files and options.depth == Depth.QUICK.value:
        gaps.append("nothing was loaded (see --mdm-depth)")
    elif files:
        facts = _Loader(inventory, options, installation, gaps).loaded(facts)
    return replace(facts, gaps=tuple(gaps))


def _gone(inventory: Inventory, files: tuple[CustomFile, ...]) -> Iterator[Gone]:
    """Files that MDM loaded the last time that it generated features."""
    names = {each.name for each in files}
    for dataset in inventory.datasets:
        run = last_runs(inventory.home.log_file).get(dataset.name.lower())
        if run is None or not run.custom or dataset.name in names:
            continue
        if kind_of(inventory.home.custom_features / Path(run.custom).name) is FileKind.MISSING:
            yield Gone(dataset=dataset.name, path=run.custom)


class _Loader:
    """Loads files in MDM's interpreter, one after the other, as long as there is time."""

    def __init__(
        self, inventory: Inventory, options: Options, installation: Installation | None, gaps: list[str]
    ) -> None:
        self._inventory = inventory
        self._options = options
        self._installation = installation
        self._gaps = gaps
        self._deadline = 0.0
        self._waiting = 0

    def loaded(self, facts: CustomFacts) -> CustomFacts:
        """With what happens when the files are loaded."""
        if self._installation is None or not self._installation.is_ml_data_manager:
            self._gaps.append("nothing was loaded: there is no MDM (see --mdm-python)")
            return facts
        python, root = self._installation.python, self._inventory.home.root
        try:
            found = abilities(python, root, self._options.timeout * START_SHARE)
        except CannotTry as error:
            self._gaps.append(f"nothing was loaded: {error}")
            return facts
        self._deadline = time.monotonic() + self._options.timeout * LOAD_SHARE
        if not found.guards:
            self._gaps.append("only Python itself kept custom features from writing in the home while they were loaded")
        if not found.base and not found.decorator:
            reasons = "; ".join(f"{name}: {why}" for name, why in found.failures.items()) or "it is no part of this MDM"
            self._gaps.append(f"nothing was loaded: what custom features are made with cannot be imported ({reasons})")
            return facts
        self._waiting = sum(_is_loadable(each) for each in facts.files)
        files = tuple(self._loaded(each, python, root, found) for each in facts.files)
        return replace(facts, files=files, takes_classes=found.base, takes_functions=found.decorator)

    def _loaded(self, file: CustomFile, python: Path, root: Path, found: Abilities) -> CustomFile:
        if not _is_loadable(file):
            return file
        left, waiting = self._deadline - time.monotonic(), self._waiting
        self._waiting -= 1
        if left <= 0:
            self._gaps.append(f"there was no time to load {file.path} (see --mdm-timeout)")
            return file
        dataset = next((each for each in self._inventory.datasets if each.name == file.name), None)
        task, columns, table = self._sample(dataset, file)
        try:
            within_s = min(LONGEST_S, max(left / waiting, LEAST_S))
            result = attempt(python, root, {**task, "do": "custom", "dataset": file.name}, within_s, Path(file.path))
        except CannotTry as error:
            self._gaps.append(f"{file.path} was not loaded: {error}")
            return file
        loading = _loading(result, {*task["columns"], file.name, *texts_in(Path(file.path))})
        if loading.barred:
            self._gaps.append(f"{file.path} was tried only until it wanted to write {loading.barred}")
        made = [name for names in loading.made.values() for name in names]
        made += file.code.features if found.decorator else ()
        missing = tuple(name for name in made if name not in columns) if dataset is not None and task["rows"] else ()
        return replace(file, loading=loading, feature_table=table, missing=missing)

    def _sample(self, dataset: Dataset | None, file: CustomFile) -> tuple[Mapping[str, Any], set[str], str]:
        """Some rows of a file's dataset, and its feature table with its columns."""
        backend = _backend(dataset, self._inventory) if dataset is not None else None
        if dataset is None or backend is None:
            return _NOTHING, set(), ""
        try:
            with backend.open() as database:
                return _rows_and_features(dataset, database)
        except (CannotOpen, QueryFailed) as error:
            self._gaps.append(f"what {file.path} makes was not tried: {backend.path} {error}")
            return _NOTHING, set(), ""


def _is_loadable(file: CustomFile) -> bool:
    """Whether MDM would load a file, if there is a dataset of its name."""
    return not (file.name.startswith("_") or file.code.problem or file.belongs)


def _rows_and_features(dataset: Dataset, database: Database) -> tuple[Mapping[str, Any], set[str], str]:
    there = database.tables()
    table = first_base_table(dataset, there)
    if table is None:
        return _NOTHING, set(), ""
    task = sample_task(dataset, database, table)
    task["judged"] = min(database.count(table), ROWS_JUDGED)
    features = dict(dataset.registration.feature_tables) if dataset.registration is not None else {}
    made = next((name for name in features.values() if name == f"{table}{FEATURES}" and name in there), "")
    return task, {column.name for column in database.columns(made)} if made else set(), made


def _backend(dataset: Dataset, inventory: Inventory) -> Backend | None:
    connection = connection_of(dataset, inventory.settings)
    if connection is not None:
        return server_backend(connection)
    if dataset.backend not in FILE_ENGINES or dataset.database is None:
        return None
    return Backend(dataset.backend, dataset.database)


def _loading(result: Trial, known: set[str]) -> Loading:
    operations, raised, failures = result.names("operations"), result.raised, result.failures()
    made = {name: tuple(map(str, features)) for name, features in result.named("made").items()}
    return Loading(
        stage=str(result.last("stage") or ""),
        how=result.how,
        error=raised.text() if raised is not None else "",
        syntax=raised is not None and raised.error in _SYNTAX,
        line=raised.line if raised is not None else None,
        classes=result.names("classes"),
        operations=operations,
        made=made,
        failed={name: each.text({*known, *operations}) for name, each in failures.items() if not each.barred},
        wrote=tuple(dict.fromkeys(map(str, result.told.get("wrote", ())))),
        ends=raised.ends if raised is not None else bool(result.how) and result.in_time,
        barred=next((each.barred for each in (raised, *failures.values()) if each is not None and each.barred), ""),
        seconds=round(result.seconds, 3),
    )
