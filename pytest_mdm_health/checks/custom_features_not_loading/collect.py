"""Collecting custom features: their files and sources, how they load in MDM's interpreter, and what they create."""

from __future__ import annotations

import difflib
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pytest_mdm_health.backends import CannotOpen, Database, QueryFailed, backend_of
from pytest_mdm_health.checks._shared.sample_rows import ROWS_JUDGED, first_base_table, sample_task
from pytest_mdm_health.checks.custom_features_not_loading.facts import CustomFacts, CustomFile, DeletedFile, Loading
from pytest_mdm_health.core.model import Depth, NotApplicable
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.mdm.files import FileKind, kind_of
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.mdm.host.accounts import READ, Account, owner_of
from pytest_mdm_health.mdm.host.rights import missing_right
from pytest_mdm_health.mdm.installed.custom_code import INDEX, listed_in, read_custom_code, texts_in
from pytest_mdm_health.mdm.installed.installation import Installation
from pytest_mdm_health.mdm.installed.trial import BrokenOff, CannotTry, abilities, attempt
from pytest_mdm_health.mdm.installed.trial_answers import Abilities, Trial
from pytest_mdm_health.mdm.inventory import Dataset, Inventory
from pytest_mdm_health.mdm.logs.events import read_events
from pytest_mdm_health.mdm.registrations import FEATURES
from pytest_mdm_health.mdm.registrations.sources import source_of

MOST_FILES = 500
"""Files in one folder that are examined."""

START_SHARE, LOAD_SHARE = 0.4, 0.4
"""Shares of a check's time for starting MDM's interpreter, and for loading all files in it."""

LONGEST_S, LEAST_S = 10.0, 1.0
"""Seconds that one file may take, which MDM would have to wait for each time; less if many files share the time."""

_FOLDERS = ("config/custom_features", "custom_features")
"""Where some version looks, relative to the home."""

_SUFFIX = ".py"
_SYNTAX_ERRORS = ("SyntaxError", "IndentationError", "TabError")


def collect(inventory: Inventory, options: Options, installation: Installation | None) -> CustomFacts:
    """Collect the custom features of a home, as closely as the depth says."""
    gaps: list[str] = []
    home = inventory.home
    registered = {dataset.name: dataset for dataset in inventory.datasets if dataset.registration is not None}
    owner = owner_of(home.root)
    found = _find_files(home, registered, gaps)
    files = tuple(replace(file, withheld=bool(file.code.problem) and _is_withheld(file.path, owner)) for file in found)
    deleted = tuple(_find_deleted(inventory, files))
    if not files and not deleted:
        raise NotApplicable(gaps[0] if gaps else "no custom features")
    facts = CustomFacts(
        examined=len(files) or 1,
        folder=str(home.custom_features),
        files=files,
        deleted=deleted,
        sources=dict(_sources(registered)),
        has_regenerate=installation is not None and installation.offers("features regenerate"),
    )
    if files and options.depth == Depth.QUICK.value:
        gaps.append("no file was loaded (see --mdm-depth)")
    elif files:
        facts = _load_files(facts, inventory, options, installation, gaps)
    log = read_events(home.log_file)  # files that were deleted are known from there
    return replace(facts, gaps=(*gaps, *log.gaps), unexamined=(*facts.unexamined, *log.not_understood))


def _sources(registered: Mapping[str, Dataset]) -> Iterator[tuple[str, str]]:
    for name, dataset in registered.items():
        source = source_of(dataset.registration) if dataset.registration is not None else None
        if source is not None and source.path is not None:
            yield name, str(source.path)


def _find_deleted(inventory: Inventory, files: tuple[CustomFile, ...]) -> Iterator[DeletedFile]:
    """Files that MDM loaded when it last generated features."""
    names = {file.name for file in files}
    runs = read_events(inventory.home.log_file).feature_runs
    for dataset in inventory.datasets:
        run = runs.get(dataset.name.lower())
        if run is None or not run.custom or dataset.name in names:
            continue
        if kind_of(inventory.home.custom_features / Path(run.custom).name) is FileKind.MISSING:
            yield DeletedFile(dataset=dataset.name, path=run.custom)


def _find_files(home: Home, datasets: Collection[str], gaps: list[str]) -> Iterator[CustomFile]:
    """All files of custom features, those where MDM looks first, each with what its source contains."""
    in_place = list(_python_files(home.custom_features, gaps))
    listed = listed_in(home.custom_features / INDEX, [path.stem for path in in_place])
    for path in in_place:
        file = _described(path, path.stem, datasets)
        if listed is not None and path.name != INDEX:
            file = replace(file, listed=path.stem in listed)
        yield file
    for path, name in _find_elsewhere(home, datasets, gaps):
        yield replace(_described(path, name, datasets), expected_path=str(home.custom_features / f"{name}{_SUFFIX}"))


def _find_elsewhere(home: Home, datasets: Collection[str], gaps: list[str]) -> Iterator[tuple[Path, str]]:
    """Files where other versions look, and those in a folder named after their dataset."""
    for relative in _FOLDERS:
        folder = home.root / relative
        if not _is_same_folder(folder, home.custom_features):
            yield from ((path, path.stem) for path in _python_files(folder, gaps) if path.name != INDEX)
    for folder in _entries(home.custom_features, gaps):
        if folder.name.lower() in datasets and kind_of(folder) is FileKind.FOLDER:
            for path in (folder / f"{folder.name}{_SUFFIX}", folder / INDEX):
                if kind_of(path) is FileKind.FILE:
                    yield path, folder.name


def _python_files(folder: Path, gaps: list[str]) -> Iterator[Path]:
    for path in _entries(folder, gaps):
        if path.suffix == _SUFFIX and not path.name.startswith("."):
            yield path


def _entries(folder: Path, gaps: list[str]) -> list[Path]:
    try:
        entries = sorted(folder.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        gaps.append(f"{folder} cannot be listed: {error.strerror}")
        return []
    if len(entries) > MOST_FILES:
        gaps.append(f"only {MOST_FILES} of {len(entries)} files in {folder} were examined")
    return entries[:MOST_FILES]


def _described(path: Path, name: str, datasets: Collection[str]) -> CustomFile:
    similar = difflib.get_close_matches(name.lower(), sorted(datasets), n=1)
    return CustomFile(
        path=str(path),
        name=name,
        registered=name in datasets,
        nearest=similar[0] if similar else "",
        code=read_custom_code(path),
    )


def _is_withheld(path: str, owner: Account) -> bool:
    """Whether MDM, which runs as the home's owner, may read a file that this user may not."""
    if missing_right(Path(path)) is None:
        return False
    try:
        return owner.reaches(Path(path)) and owner.may(Path(path).stat(), READ)
    except OSError:
        return False


def _is_same_folder(one: Path, other: Path) -> bool:
    try:
        return one == other or one.samefile(other)
    except OSError:
        return False


def _load_files(
    facts: CustomFacts, inventory: Inventory, options: Options, installation: Installation | None, gaps: list[str]
) -> CustomFacts:
    """The facts with what happens when the files are loaded, as far as the installed MDM can load any."""
    if installation is None or not installation.is_ml_data_manager:
        gaps.append("no file was loaded: no MDM was found (see --mdm-python)")
        return facts
    try:
        found = abilities(installation.python, inventory.home.root, options.timeout * START_SHARE)
    except CannotTry as error:
        gaps.append(f"no file was loaded: {error}")
        return facts
    deadline = time.monotonic() + options.timeout * LOAD_SHARE
    if not found.guards:
        gaps.append("this system cannot keep custom features from writing to the home; only Python itself blocked them")
    if not found.base and not found.decorator:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in found.failures.items())
        reasons = reasons or "this MDM does not have it"
        gaps.append(f"no file was loaded: the base of custom features cannot be imported ({reasons})")
        return facts
    unexamined: list[str] = []
    loader = _Loader(inventory, installation.python, found, gaps, unexamined)
    files = tuple(loader.load_all(facts.files, deadline))
    return replace(
        facts,
        files=files,
        unexamined=tuple(unexamined),
        supports_classes=found.base,
        supports_functions=found.decorator,
    )


@dataclass(frozen=True)
class _Sample:
    """Some rows of a dataset as a task for MDM's interpreter, and its feature table with the columns."""

    task: Mapping[str, Any]
    feature_table: str = ""
    columns: frozenset[str] = frozenset()


_NO_ROWS = _Sample({"columns": [], "rows": [], "times": [], "judged": 0})


class _Loader:
    """Loads files in MDM's interpreter, one after the other, while there is time."""

    def __init__(
        self, inventory: Inventory, python: Path, found: Abilities, gaps: list[str], unexamined: list[str]
    ) -> None:
        self._inventory = inventory
        self._datasets = {dataset.name: dataset for dataset in inventory.datasets}
        self._python = python
        self._found = found
        self._gaps = gaps
        self._unexamined = unexamined

    def load_all(self, files: tuple[CustomFile, ...], deadline: float) -> Iterator[CustomFile]:
        """Every file, with what happened where MDM would load it; the remaining time is shared equally."""
        waiting = sum(map(_is_loadable, files))
        for file in files:
            if not _is_loadable(file):
                yield file
                continue
            left = deadline - time.monotonic()
            if left > 0:
                yield self._load(file, min(LONGEST_S, max(left / waiting, LEAST_S)))
            else:
                self._unexamined.append(f"there was no time to load {file.path} (see --mdm-timeout)")
                yield file
            waiting -= 1

    def _load(self, file: CustomFile, within_s: float) -> CustomFile:
        path, sample = Path(file.path), self._sample(file)
        task = {**sample.task, "do": "custom", "dataset": file.name}
        try:
            result = attempt(self._python, self._inventory.home.root, task, within_s, path)
        except BrokenOff as error:
            self._unexamined.append(f"{path} was not loaded: {error}")
            return file
        except CannotTry as error:
            self._gaps.append(f"{path} was not loaded: {error}")
            return file
        if result.ran_out:
            self._unexamined.append(f"{path} was not loaded to its end: {result.ran_out}")
            return file
        loading = _loading(result, {*sample.task["columns"], file.name, *texts_in(path)})
        if loading.blocked_at:
            self._gaps.append(f"{path} was tested only until it tried to {loading.blocked_at}")
        missing: tuple[str, ...] = ()
        if sample.task["rows"]:
            created = self._created(file, result)
            missing = tuple(name for name in created if name not in sample.columns)
        return replace(file, loading=loading, feature_table=sample.feature_table, missing=missing)

    def _created(self, file: CustomFile, result: Trial) -> Iterator[str]:
        """The features that the file's operations created, and those that its decorators name."""
        for names in result.named("made").values():
            yield from map(str, names)
        if self._found.decorator:
            yield from file.code.features

    def _sample(self, file: CustomFile) -> _Sample:
        dataset = self._datasets.get(file.name)
        backend = backend_of(dataset, self._inventory.settings) if dataset is not None else None
        if dataset is None or backend is None:
            return _NO_ROWS
        try:
            with backend.open() as database:
                return _sample_of(dataset, database)
        except (CannotOpen, QueryFailed) as error:
            self._gaps.append(f"{file.path} was not run on data: {backend.path} {error}")
            return _NO_ROWS


def _is_loadable(file: CustomFile) -> bool:
    """Whether MDM would load a file, if there is a dataset of its name."""
    return not (file.is_private or file.code.problem or file.expected_path)


def _sample_of(dataset: Dataset, database: Database) -> _Sample:
    tables = database.tables()
    table = first_base_table(dataset, tables)
    if table is None:
        return _NO_ROWS
    task = sample_task(dataset, database, table)
    task["judged"] = min(database.count(table), ROWS_JUDGED)
    feature_table = f"{table}{FEATURES}"
    registered = dataset.registration.feature_tables if dataset.registration is not None else {}
    if feature_table not in dict(registered).values() or feature_table not in tables:
        return _Sample(task)
    columns = frozenset(column.name for column in database.columns(feature_table))
    return _Sample(task, feature_table, columns)


def _loading(result: Trial, known: set[str]) -> Loading:
    """What a task reported, without values of the data: the known names are those that are none."""
    operations, raised, failures = result.names("operations"), result.raised, result.failures()
    blocked = (error.barred for error in (raised, *failures.values()) if error is not None and error.barred)
    known_in_failures = {*known, *operations}
    failed = {name: error.text(known_in_failures) for name, error in failures.items() if not error.barred}
    loading = Loading(
        stage=str(result.last("stage") or ""),
        ended=result.how,
        classes=result.names("classes"),
        operations=operations,
        failed=failed,
        wrote=tuple(dict.fromkeys(map(str, result.told.get("wrote", ())))),
        ends_process=bool(result.how) and result.in_time,
        blocked_at=next(blocked, ""),
    )
    if raised is None:
        return loading
    return replace(
        loading,
        error=raised.text(),
        is_syntax_error=raised.error in _SYNTAX_ERRORS,
        line=raised.line,
        ends_process=raised.ends,
    )
