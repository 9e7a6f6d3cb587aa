"""What registration-hang looks at: registrations that run, that the log saw begin and not end, and what they left."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime, timezone
from pathlib import Path

from pytest_mdm_health.checks.registration_hang.facts import SHOWN, Blocker, HangFacts, Leftover, Running, Trace
from pytest_mdm_health.mdm.engines import DATABASE_SUFFIXES
from pytest_mdm_health.mdm.files import FileKind, kind_of
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.mdm.host.processes import holders
from pytest_mdm_health.mdm.inventory import Dataset, Inventory
from pytest_mdm_health.mdm.logs.registrations import Outcome, RegistrationRun, read_history
from pytest_mdm_health.mdm.registrations.running import Registering, running_registrations

_IN_THE_WAY = {
    "reserved",
    "pending",
    "exclusive",
    "wal-writer",
    "wal-checkpoint",
    "wal-recovery",
    "whole-file",
    "other",
}


def gather(inventory: Inventory) -> HangFacts:
    """Look at processes, log and folders."""
    home = inventory.home
    history = read_history(home.log_file)
    gaps = list(history.gaps)
    latest = {run.dataset: run for run in history.runs}
    running = [
        _running(each, home, latest.get(each.dataset)) for each in running_registrations() if _is_ours(each, home)
    ]
    gaps += [_cannot_tell(each) for each in running if not each.seen]
    at_work = {each.dataset for each in running}
    leftovers = [each for each in _leftovers(inventory, latest, gaps) if each.dataset not in at_work]
    explained = at_work | {each.dataset for each in leftovers}
    registered = {each.name.lower() for each in inventory.datasets if each.registration is not None}
    return HangFacts(
        examined=len(running) + len(history.runs) + len(leftovers) + (kind_of(home.datasets) is FileKind.FOLDER),
        home=str(home.root),
        log=str(home.log_file),
        running=tuple(running),
        leftovers=tuple(leftovers),
        unfinished=tuple(_unfinished(latest.values(), explained, registered)),
        registered=tuple(sorted(registered)),
        gaps=tuple(gaps),
    )


def registering(dataset: str, home: Home) -> Registering | None:
    """A registration that runs in this home for a dataset of this name, or for one that cannot be told."""
    ours = (each for each in running_registrations() if _is_ours(each, home))
    return next((each for each in ours if each.dataset in {"", dataset.lower()}), None)


def is_half_registered(dataset: Dataset, home: Home) -> bool:
    """Whether nothing registers this data, and the log does not tell that a registration of it ever came to its end."""
    ours = dataset.folder.parent == home.datasets and not dataset.folder.name.startswith(".")
    if dataset.registration is not None or not dataset.files or not ours:
        return False
    return not was_completed(dataset.folder.name, home)


def was_completed(dataset: str, home: Home) -> bool:
    """Whether the log tells that the last registration of a dataset came to its end."""
    runs = {run.dataset: run for run in read_history(home.log_file).runs}
    return _was_completed(runs.get(dataset.lower()))


def _was_completed(run: RegistrationRun | None) -> bool:
    return run is not None and run.outcome is Outcome.COMPLETED


def _is_ours(each: Registering, home: Home) -> bool:
    """Whether it may work on this home; one whose home cannot be told, or is nowhere, is not passed over."""
    elsewhere = each.home is not None and kind_of(each.home) is FileKind.FOLDER
    return not elsewhere or _is_proven_ours(each, home)


def _is_proven_ours(each: Registering, home: Home) -> bool:
    """Whether what it has open or its environment leaves no doubt that it works on this home."""
    if any(_lies_in(file, home) for file in each.files):
        return True
    named = each.home  # a relative one is seen from where that process was started
    return named is not None and named.is_absolute() and os.path.realpath(named) == os.path.realpath(home.root)


def _lies_in(file: Path, home: Home) -> bool:
    real = Path(os.path.realpath(file))
    return any(real.is_relative_to(os.path.realpath(folder)) for folder in (home.root, home.datasets))


def _running(each: Registering, home: Home, run: RegistrationRun | None) -> Running:
    files = [file for file in each.files if _lies_in(file, home)][:SHOWN]
    heard = run.last if run is not None and run.outcome is Outcome.UNFINISHED else None
    return Running(
        pid=each.pid,
        dataset=each.dataset,
        age_s=round(each.age, 1),
        silent_s=None if heard is None else max(0.0, (datetime.now(timezone.utc) - heard).total_seconds()),
        state=each.state,
        stopped=each.stopped,
        idle=each.idle,
        cpu_s=round(each.cpu, 3),
        moved_bytes=each.moved,
        waits_for=each.waits_for,
        connected=each.connected,
        files=tuple(map(str, files)),
        blockers=tuple(_blockers(each.pid, files)) if each.idle else (),
        seen=each.moved is not None and each.home is not None,
        ours=_is_proven_ours(each, home),
    )


def _cannot_tell(each: Running) -> str:
    return f"without privileges it cannot be told which home process {each.pid} registers in and what it has open"


def _blockers(pid: int, files: Sequence[Path]) -> Iterator[Blocker]:
    """Who is in the way; in WAL mode every connection locks the database itself, and only a writer is in the way."""
    for file in dict.fromkeys(each for opened in files for each in (opened, opened.with_name(f"{opened.name}-shm"))):
        in_wal_mode = kind_of(file.with_name(f"{file.name}-shm")) is FileKind.FILE
        in_the_way = _IN_THE_WAY if in_wal_mode else {*_IN_THE_WAY, "shared"}
        for holder in holders([file]).answer:
            if holder.pid != pid and holder.lock in in_the_way:
                yield Blocker(file=str(file), holder=str(holder), pid=holder.pid, lock=holder.lock)


def _leftovers(inventory: Inventory, latest: Mapping[str, RegistrationRun], gaps: list[str]) -> Iterator[Leftover]:
    """Folders that no registration knows; what was registered once and lost its registration is no half of anything."""
    home = inventory.home
    if any(gap.startswith(f"{home.registrations} ") for gap in inventory.gaps):
        gaps.append("what is half registered cannot be told, because the registrations cannot be listed")
        return
    known = {os.path.realpath(folder) for each in inventory.datasets if each.registration for folder in _folders(each)}
    databases = {each.folder: each.files for each in inventory.datasets if each.registration is None}
    for folder in _folders_in(home.datasets):
        run = latest.get(folder.name.lower())
        if os.path.realpath(folder) in known or _was_completed(run):
            continue
        names = _names_in(folder)
        if run is not None or folder in databases or not [name for name in names if not _may_be_mdms(name)]:
            yield _leftover(folder, names, databases.get(folder, ()), run)


def _folders(dataset: Dataset) -> Iterator[Path]:
    yield dataset.folder
    registered = dataset.registration.database if dataset.registration else None
    yield from (path.parent for path in (dataset.database, registered) if path is not None)


def _folders_in(datasets: Path) -> list[Path]:
    try:
        entries = sorted(path for path in datasets.iterdir() if not path.name.startswith("."))
    except OSError:
        return []
    return [path for path in entries if kind_of(path) is FileKind.FOLDER]


def _names_in(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir())
    except OSError:
        return []


def _may_be_mdms(name: str) -> bool:
    return name in {"metadata", "tmp"} or name.endswith(
        (*DATABASE_SUFFIXES, "-wal", "-shm", "-journal", ".wal", ".tmp")
    )


def _leftover(folder: Path, names: Sequence[str], databases: Sequence[Path], run: RegistrationRun | None) -> Leftover:
    held = holders(databases).answer if databases else ()
    return Leftover(
        dataset=folder.name.lower(),
        folder=str(folder),
        holds=tuple(names[:SHOWN]),
        size=sum(path.stat().st_size for path in databases if kind_of(path) is FileKind.FILE),
        changed=_changed(folder),
        holder=str(held[0]) if held else "",
        trace=_trace(run, registered=False) if run is not None else None,
    )


def _changed(folder: Path) -> str:
    try:
        return datetime.fromtimestamp(folder.stat().st_mtime).astimezone().strftime("%Y%m%d-%H%M%S")
    except (OSError, ValueError, OverflowError):
        return "of-unknown-age"


def _unfinished(
    runs: Iterable[RegistrationRun], explained: AbstractSet[str], registered: AbstractSet[str]
) -> Iterator[Trace]:
    for run in runs:
        if run.outcome is Outcome.UNFINISHED and run.dataset not in explained:
            yield _trace(run, registered=run.dataset in registered)


def _trace(run: RegistrationRun, *, registered: bool) -> Trace:
    return Trace(
        dataset=run.dataset,
        began=run.began.astimezone().isoformat(" ", "seconds") if run.began else "",
        step=run.step,
        error=run.error,
        sources=tuple(run.sources[:SHOWN]),
        file=run.place.file,
        line=run.place.line,
        registered=registered,
    )
