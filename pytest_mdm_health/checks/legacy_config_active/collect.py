"""How `legacy-config-active` collects its facts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pytest_mdm_health.checks.legacy_config_active.facts import Cache, LegacyUse, OtherName
from pytest_mdm_health.mdm.files import Unreadable, read_bytes
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.mdm.installed.installation import Installation
from pytest_mdm_health.mdm.installed.legacy_code import NotReadable, Use, uses_in
from pytest_mdm_health.mdm.settings import Settings
from pytest_mdm_health.mdm.settings.edits import can_be_moved, can_be_removed
from pytest_mdm_health.mdm.settings.runtime import told_by
from pytest_mdm_health.mdm.settings.schema import ALIASES, BY_NAME, flat_name

MAX_SOURCE_FILES = 20_000
SOURCE_LIMIT = 1024 * 1024
_NOT_SOURCE = frozenset({"__pycache__", "node_modules", "site-packages", "build", "dist"})


def system_in_use(installation: Installation | None) -> str:
    """The configuration system of the installed MDM: `nested` or `flat`."""
    settings = told_by(installation)
    return "flat" if any(setting.name != key for key, setting in settings.items()) else "nested"


def accessor_of(installation: Installation | None) -> str:
    """The function of the installed MDM that returns its settings."""
    apis = installation.apis if installation is not None else {}
    has_only_get_config = apis.get("mdm.config.get_config") and not apis.get("mdm.config.get_settings")
    return "get_config" if has_only_get_config else "get_settings"


def other_names(settings: Settings, system: str) -> Iterator[OtherName]:
    """The keys of `mdm.yaml` with names of the system that is not in use."""
    if system == "flat":
        written = settings.document.positions if settings.document is not None else {}
        for key, value in settings.values.items():
            name = flat_name(key)
            if value.origin.kind == "file" and name != key:
                yield OtherName(key, name, value.origin, also_current=name in written)
        return
    for problem in settings.problems:
        if problem.code == "other-generation":
            current = problem.suggestion or None
            also_current = current is not None and settings.values[current].origin.kind == "file"
            if current is None or also_current:
                editable = can_be_removed(settings.file, problem.key)
            else:
                editable = can_be_moved(settings.file, problem.key, current)
            yield OtherName(problem.key, current, problem.origin, also_current=also_current, editable=editable)


def cached_config(home: Home) -> Cache | None:
    """The contents of `cache/config`."""
    folder = home.cache / "config"
    try:
        with os.scandir(folder) as entries:
            times = [entry.stat(follow_symlinks=False).st_mtime for entry, _ in zip(entries, range(100), strict=False)]
    except OSError:
        return None
    try:
        settings_changed = home.settings_file.stat().st_mtime
    except OSError:
        settings_changed = 0.0
    return Cache(str(folder), len(times), min(times) < settings_changed) if times else None


def is_same_folder(one: Path, other: Path) -> bool:
    """Whether two paths lead to the same place."""
    try:
        return one.resolve() == other.expanduser().resolve()
    except (OSError, RuntimeError):
        return False


@dataclass
class CodeSearch:
    """A search of source files for uses of the old configuration.

    Attributes:
        accessor: the function of the installed MDM that returns its settings.
        system: the configuration system in use.
        files: those that were searched.
        uses: those that were found.
        gaps: what was not searched, and why.
    """

    accessor: str
    system: str
    files: set[Path] = field(default_factory=set)
    uses: list[LegacyUse] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)

    def search(self, home: Home, sources: tuple[Path, ...]) -> None:
        """Search the custom features of the home and the source trees."""
        for folder in (home.custom_features, *sources):
            for file in _python_files(folder):
                if len(self.files) >= MAX_SOURCE_FILES:
                    self.gaps.append(f"only the first {MAX_SOURCE_FILES} source files were searched")
                    return
                if file not in self.files:
                    self.files.add(file)
                    self._search_file(file, custom=folder is home.custom_features)

    def _search_file(self, file: Path, *, custom: bool) -> None:
        try:
            uses = uses_in(read_bytes(file, SOURCE_LIMIT), inside_mdm=_is_in_mdm(file))
        except (Unreadable, NotReadable) as error:
            self.gaps.append(f"{file} was not searched: {getattr(error, 'reason', error)}")
            return
        for use in uses:
            self.uses.append(LegacyUse(str(file), use, self._replacement(use), custom))

    def _replacement(self, use: Use) -> str:
        """The expression to write instead; empty if there is none."""
        if use.keys is None:
            return f"from mdm.config import {self.accessor}"
        name = ".".join(use.keys)
        alias = ALIASES.get(name)
        if self.system == "flat":
            name = flat_name(name)
        elif alias is not None and alias.key is not None:
            name = alias.key
        if use.writes and name not in BY_NAME:
            return ""
        if not name:
            return f"{self.accessor}()"
        is_attribute = all(part.isidentifier() for part in name.split(".") if part)
        return f"{self.accessor}().{name}" if is_attribute else ""


def _is_in_mdm(file: Path) -> bool:
    return any(folder.name == "mdm" and (folder / "__init__.py").is_file() for folder in file.parents)


def _python_files(folder: Path) -> Iterator[Path]:
    if folder.is_file():
        yield folder
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if _may_contain_source(Path(place, name)))
        yield from (Path(place, name) for name in sorted(names) if name.endswith(".py"))


def _may_contain_source(folder: Path) -> bool:
    hidden = folder.name.startswith(".") or folder.name in _NOT_SOURCE
    return not hidden and not (folder / "pyvenv.cfg").exists()
