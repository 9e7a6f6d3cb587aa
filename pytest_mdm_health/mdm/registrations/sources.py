"""The files that a dataset was registered from, as far as they are still there.

MDM records the path as it was typed, so a relative one is seen from a folder that is not recorded.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_mdm_health.mdm.files import FileKind, kind_of
from pytest_mdm_health.mdm.registrations import Registration

SUFFIXES = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet", ".json", ".xlsx", ".xls")
"""What MDM loads, in the order in which it looks for it."""

READ_WHOLE = (".parquet", ".json", ".xlsx", ".xls")
"""What MDM reads into memory as a whole, twice, whatever the batch size."""

_USUAL = {
    **{name: name for name in ("train", "test", "validation", "sample_submission")},
    "val": "validation",
    "dev": "validation",
    "training": "train",
    "testing": "test",
}


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where a dataset came from.

    Attributes:
        written: the path as it is registered.
        path: the file or folder; None if it is in none of the likely places.
        tried: the places where it was looked for.
        files: the table that MDM makes of each data file there.
    """

    written: str
    path: Path | None
    tried: tuple[Path, ...]
    files: Mapping[str, Path]


def source_of(registration: Registration) -> Source | None:
    """The source of a registered dataset; None if none is registered.

    A relative path is looked for in the home, beside it, in the current folder and in the user's own.
    """
    written = registration.data.get("source")
    if not isinstance(written, str) or not written or "\0" in written:
        return None
    tried = tuple(dict.fromkeys(_places(written, registration.root)))
    path = next((each for each in tried if kind_of(each) in {FileKind.FILE, FileKind.FOLDER}), None)
    return Source(written=written, path=path, tried=tried, files=_data_files(path) if path else {})


def suffix_of(file: Path) -> str:
    """The ending that tells MDM how to load a file, in lower case; empty if it does not load such files."""
    return max((each for each in SUFFIXES if file.name.lower().endswith(each)), key=len, default="")


def _places(written: str, root: Path) -> Iterator[Path]:
    path = Path(written)
    if path.is_absolute():
        yield path
        return
    for base in (root, root.parent, *_current(), *_users_home()):
        yield base / path


def _current() -> Iterator[Path]:
    """The user's working directory, which is not the one that a check is run in."""
    yield Path.cwd()
    if os.environ.get("PWD"):
        yield Path(os.environ["PWD"])


def _users_home() -> Iterator[Path]:
    try:
        yield Path.home()
    except RuntimeError:  # there is none
        return


def _data_files(path: Path) -> dict[str, Path]:
    """A file by itself is one table; in a folder, files with a usual name are, else all that MDM can load."""
    if kind_of(path) is FileKind.FILE:
        return {"data": path} if suffix_of(path) else {}
    try:
        entries = sorted(entry for entry in path.iterdir() if suffix_of(entry))
    except OSError:
        return {}
    ranked = sorted(entries, key=lambda entry: SUFFIXES.index(suffix_of(entry)), reverse=True)  # the first one wins
    stems = {entry.name[: -len(suffix_of(entry))]: entry for entry in ranked if kind_of(entry) is FileKind.FILE}
    usual = {_USUAL[stem]: entry for stem, entry in stems.items() if stem in _USUAL}
    return usual or stems
