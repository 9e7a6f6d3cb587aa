"""What of a home this user may not read, and the right that is missing: no fault of the home, and no reason to pass."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.mdm.host.accounts import owner_of
from pytest_mdm_health.mdm.host.permissions import barrier
from pytest_mdm_health.mdm.logs.files import log_files


@dataclass(frozen=True)
class MissingRight:
    """Something that this user may not read; `reason` is a sentence without a full stop."""

    path: Path
    reason: str


def _log(home: Home) -> Iterator[Path]:
    yield home.log_file.parent
    yield from log_files(home.log_file)


def _metrics(home: Home) -> Iterator[Path]:
    yield home.metrics


def _custom_features(home: Home) -> Iterator[Path]:
    yield home.custom_features
    try:
        yield from sorted(path for path in home.custom_features.iterdir() if path.suffix in {"", ".py"})
    except OSError:  # nothing is there, or it may not be listed, which its own barrier says
        return


_PLACES: Mapping[str, Callable[[Home], Iterable[Path]]] = {
    "log": _log,
    "metrics": _metrics,
    "custom-features": _custom_features,
}
READABLE = frozenset(_PLACES)
"""The words for what a check may declare that it reads."""


def missing_rights(home: Home, reads: Iterable[str]) -> tuple[MissingRight, ...]:
    """What this user may not read of these parts of a home, each closed folder once."""
    found: dict[str, MissingRight] = {}
    for path in (path for part in reads for path in _PLACES[part](home)):
        if (right := missing_right(path)) is not None:
            found.setdefault(right.reason.partition(" has no right ")[2], right)
    return tuple(found.values())


def missing_right(path: Path) -> MissingRight | None:
    """The right that is missing to read a file or list a folder; None if none is."""
    closed = barrier(path)
    if closed is None:
        return None
    place = Path(closed.path)
    info = place.stat()
    verb = "enter and list" if stat.S_ISDIR(info.st_mode) else "read"
    mode = f"{stat.S_IMODE(info.st_mode):03o}"
    reason = (
        f"{path} could not be read: this user has no right to {verb} {closed.path}, which has mode {mode} and belongs "
        f"to {owner_of(place).name}; run this as a user who may read it"
    )
    return MissingRight(path, reason)
