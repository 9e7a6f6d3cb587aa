"""Settings files that MDM does not read: left from another time, or under a name that it does not know.

The home is gone through with bounds, and not into data, backups or links.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pytest_mdm_health.mdm.files import FileKind, Unreadable, kind_of, read_bytes
from pytest_mdm_health.mdm.home import SETTINGS_FILE, Home
from pytest_mdm_health.mdm.settings.schema import ALIASES, BY_NAME
from pytest_mdm_health.mdm.yaml_file import load_yaml

MOST_ENTRIES = 20_000
DEEPEST = 6
_INI = (".conf", ".ini", ".cfg")
_LOOKALIKES = frozenset(
    {"mdm.yml", "mdm.json", "mdm.toml", "config.yaml", "config.yml", "config.json", "settings.yaml", "settings.yml"}
)
_READ_LIMIT = 256 * 1024
_SECTION = re.compile(r"^\s*\[\s*([^\]\n]{1,80}?)\s*\]", re.MULTILINE)
_KEY = re.compile(r"^\s*([A-Za-z_][\w.\-]{0,80})\s*[=:]", re.MULTILINE)
_SECTIONS = frozenset(name.partition(".")[0] for name in BY_NAME) | {"mdm", "features", "storage"}
_KEYS = frozenset(name.rpartition(".")[2] for name in (*BY_NAME, *ALIASES)) - {
    "file",
    "level",
    "format",
    "host",
    "port",
}


@dataclass(frozen=True)
class LegacyFile:
    """A file that looks as if it were to set something.

    Attributes:
        file: its path.
        kind: `old` for `*.conf`, `*.ini` and `*.cfg`, `lookalike` for what is nearly called `mdm.yaml`.
        known: the sections and keys of MDM's that it has; empty if it is probably another program's.
    """

    file: str
    kind: str
    known: tuple[str, ...]


@dataclass(frozen=True)
class Search:
    """What going through a home came to.

    Attributes:
        found: the files, sorted.
        looked_at: how many names were seen.
        complete: whether that was all.
    """

    found: tuple[LegacyFile, ...]
    looked_at: int
    complete: bool


def search(home: Home) -> Search:
    """Look for such files. Never raises."""
    skipped = {home.datasets, home.backup, home.cache / "config"}
    found: list[LegacyFile] = []
    looked_at = 0
    for entry in _entries(home.root, skipped, DEEPEST):
        looked_at += 1
        if looked_at > MOST_ENTRIES:
            break
        kind = _kind(entry, home.root)
        if kind:
            found.append(LegacyFile(str(entry), kind, _known_in(entry)))
    return Search(tuple(sorted(found, key=lambda each: each.file)), looked_at, looked_at <= MOST_ENTRIES)


def _entries(folder: Path, skipped: set[Path], depth: int) -> Iterator[Path]:
    below = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                yield Path(entry.path)
                if entry.is_dir(follow_symlinks=False) and Path(entry.path) not in skipped:
                    below.append(Path(entry.path))
    except OSError:
        return  # other checks say what cannot be read
    for each in sorted(below) if depth else ():
        yield from _entries(each, skipped, depth - 1)


def _kind(entry: Path, root: Path) -> str:
    if kind_of(entry) is not FileKind.FILE:
        return ""
    if entry.suffix.lower() in _INI:
        return "old"
    name = entry.name.lower()
    lookalike = name in _LOOKALIKES or (name == SETTINGS_FILE and entry.name != SETTINGS_FILE)
    same = entry.name != SETTINGS_FILE and _is_settings_file(entry)
    return "lookalike" if lookalike and entry.parent == root and not same else ""


def _is_settings_file(entry: Path) -> bool:
    """Whether this is `mdm.yaml` itself, in a file system that takes no notice of letter case."""
    try:
        return entry.samefile(entry.with_name(SETTINGS_FILE))
    except OSError:
        return False


def _known_in(file: Path) -> tuple[str, ...]:
    document = (
        load_yaml(file) if file.suffix in {".yaml", ".yml", ".json"} or file.name.lower() == SETTINGS_FILE else None
    )
    if document is not None and isinstance(document.data, dict):
        return tuple(sorted(str(key) for key in document.data if key in _SECTIONS | _KEYS))
    try:
        text = read_bytes(file, _READ_LIMIT).decode("utf-8", "replace")
    except Unreadable:
        return ()
    sections = {name for name in _SECTION.findall(text) if name.partition(".")[0].lower() in _SECTIONS}
    keys = {name for name in _KEY.findall(text) if name.rpartition(".")[2] in _KEYS}
    return tuple(sorted(sections | keys))
