"""`register-again REGISTRATION`: the data of a dataset made from its source once more, by the MDM that is installed.

MDM itself would first remove the folder of the dataset, and forget what its registration says. Here it works in a home
of its own; what it made takes the place of the old data if every row that could be read before is in it, and the
registration and all else in the folder stay.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_mdm_health.backends.sidecars import SUFFIXES
from pytest_mdm_health.core.text import counted, join_names
from pytest_mdm_health.core.verbs import Repair
from pytest_mdm_health.mdm.edits import CannotEdit, json_text, yaml_text
from pytest_mdm_health.mdm.engines import FILE_ENGINES, engine_of
from pytest_mdm_health.mdm.files import Unreadable, read_bytes
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.mdm.installed.commands import CannotRun
from pytest_mdm_health.mdm.installed.search import UnusableInterpreter, find_interpreter
from pytest_mdm_health.mdm.registrations import Registration, read_registration
from pytest_mdm_health.mdm.registrations.command_line import Outside, command_for, make_private_home, run_mdm
from pytest_mdm_health.mdm.registrations.json_copy import canonical
from pytest_mdm_health.mdm.registrations.sources import Source, source_of
from pytest_mdm_health.mdm.yaml_file import SIZE_LIMIT
from pytest_mdm_health.repair.databases import refuse_damaged, refuse_held
from pytest_mdm_health.repair.files import copy_content
from pytest_mdm_health.repair.lost_rows import refuse_lost_rows
from pytest_mdm_health.repair.step import Changes, NotDone, Outline
from pytest_mdm_health.repair.texts import real_file, written_in

_A_DAY_S = 86_400.0
_DEFAULT_BACKEND = "MDM_DATABASE_DEFAULT_BACKEND"
_OPTIONS = {
    "target_column": "target",
    "id_columns": "id-columns",
    "problem_type": "problem-type",
    "time_column": "time-column",
    "group_column": "group-column",
    "description": "description",
    "tags": "tags",
}
_MADE = ("tables", "feature_tables")
"""Fields that say what the new data holds."""


@dataclass(frozen=True)
class _Task:
    """What is registered again, and by which interpreter."""

    registration: Registration
    source: Source
    place: Path
    database: Path
    python: Path

    @property
    def files(self) -> tuple[Path, ...]:
        """The old data, with what is beside it."""
        beside = (self.database.with_name(self.database.name + suffix) for suffix, _ in SUFFIXES)
        return tuple(file for file in (self.database, *beside) if file.is_file())

    @property
    def words(self) -> tuple[str, ...]:
        """The arguments of `mdm`."""
        data = self.registration.data
        given = ((option, _as_argument(option, data.get(field))) for field, option in _OPTIONS.items())
        options = (f"--{option}={value}" for option, value in given if value)
        return ("dataset", "register", self.registration.name, str(self.place), *options)


@dataclass(frozen=True)
class RegisterAgain:
    """The step; see the module."""

    repair: Repair
    home: Home

    def outline(self) -> Outline:
        """See `Step`."""
        task = self._task()
        copies = [task.registration.file]
        if task.registration.json_copy is not None:
            copies.append(task.registration.json_copy.path)
        sources = tuple(task.source.files.values())
        sizes = (path.stat().st_size for path in (*task.files, *sources, *sources, *sources))
        return Outline(
            f"make the data of {task.registration.name} from {task.place} again, in {task.database}",
            touches=(*task.files, *copies, *sources),
            details=(f"in a home of its own: {shlex.join(command_for(task.python, task.words))}",),
            room=2 * sum(sizes),
        )

    def make(self, work: Path) -> Changes:
        """See `FileStep`."""
        task = self._task()
        made = self._registered(task, work)
        new = made.database
        if new is None or engine_of(new) != task.registration.backend:
            raise NotDone(f"MDM registered {task.registration.name} and made no {task.registration.backend} file")
        logs = [f"{new.name}{suffix}" for suffix, _ in SUFFIXES if new.with_name(new.name + suffix).is_file()]
        if logs:
            raise NotDone(f"MDM left {join_names(logs)} beside the new data")
        refuse_damaged(new, str(task.registration.backend))
        _refuse_other_registration(task.registration, made)
        refuse_lost_rows(_copied(task, work / "old"), new, str(task.registration.backend))
        texts = written_in(work, _texts(task.registration, made))
        return Changes({task.database: new, **dict.fromkeys(task.files[task.database.is_file() :]), **texts})

    def _task(self) -> _Task:
        file = Path(self.repair.place)
        registration = read_registration(file, self.home)
        if registration.in_force != "yaml" or registration.shape != "full":
            raise NotDone(f"{file} is no registration that MDM can use: repair that first")
        if registration.backend not in FILE_ENGINES or registration.database is None:
            raise NotDone(f"the data of {registration.name} is on a server: register its source under a new name")
        folder = self.home.datasets / registration.name
        database = Path(os.path.realpath(registration.database))
        if database.parent != Path(os.path.realpath(folder)):
            raise NotDone(f"{database} is not in {folder}, where MDM makes the data: correct `path` first")
        if database.is_file():
            real_file(database)
        elif os.path.lexists(registration.database):
            raise NotDone(f"{registration.database} is not a file: move it away first")
        logs = [path for suffix, _ in SUFFIXES if (path := database.with_name(database.name + suffix)).is_file()]
        if logs and not database.is_file():
            raise NotDone(f"{logs[0]} is there and its file is not: look for that first, or set the log aside")
        source, place = self._source(registration)
        task = _Task(registration, source, place, database, self._python())
        refuse_held((database, *task.files))
        return task

    def _source(self, registration: Registration) -> tuple[Source, Path]:
        given = self.repair.option("source")
        if given is not None:
            data = {**registration.data, "source": os.path.abspath(given)}  # noqa: PTH100 - a link stays one
            registration = Registration(
                name=registration.name, file=registration.file, root=self.home.root, shape="full", data=data
            )
        source = source_of(registration)
        if source is None:
            raise NotDone(f"{registration.file} names no source; name it with --source")
        if source.path is None or not source.files:
            tried = join_names([str(each) for each in source.tried])
            raise NotDone(f"the source, {source.written}, is not in {tried}, or has no data; name it with --source")
        return source, source.path

    def _python(self) -> Path:
        try:
            python = find_interpreter(self.repair.option("python"))
        except UnusableInterpreter as error:
            raise NotDone(str(error)) from None
        if python is None or not python.exists():
            raise NotDone("no MDM is installed here; name the interpreter that it is installed in with --python")
        return python

    def _registered(self, task: _Task, work: Path) -> Registration:
        """What MDM made, in a home of its own below `work`."""
        root = work / "user" / ".mdm"
        try:
            make_private_home(self.home, root, self.home.custom_features.glob("*.py"))
            backend = {_DEFAULT_BACKEND: str(task.registration.backend)}
            outcome = run_mdm(task.python, task.words, root, backend, _A_DAY_S)
        except (Outside, CannotRun) as error:
            raise NotDone(str(error)) from None
        file = root / self.home.registrations.relative_to(self.home.root) / task.registration.file.name
        if outcome.code != 0 or not file.is_file():
            last = [line.strip() for line in outcome.output.splitlines() if line.strip()][-1:]
            raise NotDone(f"`mdm dataset register` {outcome.how}{': ' if last else ''}{''.join(last)}")
        return read_registration(file, _moved(self.home, root))


def step(repair: Repair, home: Home) -> RegisterAgain:
    """The step that a call means; see `step_of`."""
    return RegisterAgain(repair, home)


def _moved(home: Home, root: Path) -> Home:
    """The home with the same places below another root."""
    places = {name: root / place.relative_to(home.root) for name, place in vars(home).items()}
    return Home(**places)


def _as_argument(option: str, value: object) -> str:
    if not isinstance(value, list):
        return value if isinstance(value, str) else ""
    if any("," in str(item) for item in value):
        raise NotDone(f"MDM takes no {option} with a comma in it: register the source by MDM's Python API")
    return ",".join(map(str, value))


def _copied(task: _Task, folder: Path) -> Path:
    """A copy of the old data, to be read."""
    folder.mkdir(mode=0o700)
    for file in task.files:
        copy_content(file, folder / file.name)
    return folder / task.database.name


def _refuse_other_registration(old: Registration, new: Registration) -> None:
    """Refuse what is not the same dataset, or has less than there was."""
    for field in ("name", *_OPTIONS):
        before, after = canonical(old.data.get(field)), canonical(new.data.get(field))
        if before not in (None, [], {}) and before != after:
            raise NotDone(f"MDM registered another `{field}` than there was")
    for what, before, after in (
        ("table", old.tables, new.tables),
        ("feature table", old.feature_tables, new.feature_tables),
    ):
        lost = sorted(set(before.items()) - set(after.items()))
        if lost:
            raise NotDone(f"MDM did not make the {what} {lost[0][1]!r}, which is registered: is it the same source?")
    counts = [each.recorded_rows for each in (old, new)]
    if None not in counts and counts[0] != counts[1]:
        raise NotDone(f"the source has {counted(counts[1] or 0, 'row')}, and {counts[0]} were registered")


def _texts(old: Registration, new: Registration) -> Mapping[Path, bytes]:
    """Both copies of the registration where the new data has tables that are not registered yet."""
    changed = [field for field in _MADE if canonical(old.data.get(field)) != canonical(new.data.get(field))]
    if not changed:
        return {}
    try:
        return dict(_changed_texts(old, new, changed))
    except (CannotEdit, Unreadable) as error:
        raise NotDone(f"{old.file} {error}") from None


def _changed_texts(old: Registration, new: Registration, fields: list[str]) -> Iterator[tuple[Path, bytes]]:
    text = read_bytes(old.file, SIZE_LIMIT)
    for field in fields:
        text = yaml_text.with_mapping(text, field, new.data[field])
    yield real_file(old.file), text
    copied = old.json_copy
    if copied is not None and copied.usable:
        text = read_bytes(copied.path, SIZE_LIMIT)
        for field in fields:
            text = json_text.with_value(text, [field], new.data[field])
        yield real_file(copied.path), text
