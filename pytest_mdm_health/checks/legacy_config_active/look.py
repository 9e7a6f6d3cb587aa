"""What `legacy-config-active` sees, and how it looks."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pytest_mdm_health.core.model import Facts
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.mdm.files import Unreadable, read_bytes
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.mdm.installed.installation import Installation
from pytest_mdm_health.mdm.installed.legacy_code import NotReadable, Use, uses_in
from pytest_mdm_health.mdm.settings import Settings
from pytest_mdm_health.mdm.settings.feature_flags import Flags, read_flags
from pytest_mdm_health.mdm.settings.legacy_files import LegacyFile, search
from pytest_mdm_health.mdm.settings.runtime import told_by
from pytest_mdm_health.mdm.settings.schema import ALIASES, BY_NAME, flat_name

MOST_SOURCES = 20_000
MOST_USES = 50
SOURCE_LIMIT = 1024 * 1024
FLAGS_MODULE = "mdm.core.feature_flags"
_NOT_SOURCE = frozenset({"__pycache__", "node_modules", "site-packages", "build", "dist"})


@dataclass(frozen=True)
class OtherName:
    """A key of `mdm.yaml` in the words of the configuration system that is not in use.

    Attributes:
        written: dotted, as it stands there.
        meant: what the system in use calls it; None if it has nothing like it.
        line: counted from 1.
        column: counted from 1.
        twice: whether the file sets it under the right name too.
    """

    written: str
    meant: str | None
    line: int | None
    column: int | None
    twice: bool


@dataclass(frozen=True)
class OldUse:
    """A place in code that asks the old configuration.

    Attributes:
        file: the source.
        use: the place and what is written there.
        new: what to write instead; empty if that cannot be said.
        custom: whether it is a custom feature of this home.
    """

    file: str
    use: Use
    new: str
    custom: bool


@dataclass(frozen=True)
class StaleCache:
    """What lies in `cache/config`.

    Attributes:
        folder: its path.
        files: how many there are, counted up to a hundred.
        older: whether one of them is older than `mdm.yaml`.
    """

    folder: str
    files: int
    older: bool


@dataclass(frozen=True, kw_only=True)
class LegacyFacts(Facts):
    """What was seen.

    Attributes:
        home: the home.
        file: its `mdm.yaml`.
        phase: in which the run is made.
        in_use: the configuration system whose names count: `nested` or `flat`.
        files: settings files that MDM does not read.
        names: keys of the other system.
        flags: the switches of the migration.
        has_flags: whether the installed MDM has such switches; None if that is not known.
        flags_seen: whether the installed MDM looks for them in this home.
        cache: what lies in `cache/config`; None if nothing does.
        config_type: what the installed MDM says about itself; None if it does not.
        accessor: the function of the installed MDM that returns its settings.
        uses: places in code that ask the old configuration.
        more_uses: how many more there are.
    """

    home: str
    file: str
    phase: str
    in_use: str
    files: tuple[LegacyFile, ...] = ()
    names: tuple[OtherName, ...] = ()
    flags: Flags
    has_flags: bool | None = None
    flags_seen: bool = True
    cache: StaleCache | None = None
    config_type: str | None = None
    accessor: str = "get_settings"
    uses: tuple[OldUse, ...] = ()
    more_uses: int = 0


@dataclass
class _Sources:
    """The uses found so far, and what it took."""

    uses: list[OldUse] = field(default_factory=list)
    files: set[Path] = field(default_factory=set)
    gaps: list[str] = field(default_factory=list)


def gather(
    home: Home, settings: Settings, environ: Mapping[str, str], options: Options, installation: Installation | None
) -> LegacyFacts:
    """Look for everything that an older configuration may have left."""
    told = told_by(installation)
    in_use = "flat" if any(each.name != key for key, each in told.items()) else "nested"
    accessor = "get_config" if _lacks_get_settings(installation) else "get_settings"
    files, flags = search(home), read_flags(home.feature_flags, environ)
    sources = _read_sources(home, options, accessor, in_use)
    gaps = [] if files.complete else [f"only {files.looked_at} names of the home were looked at for old settings files"]
    return LegacyFacts(
        examined=1 + files.looked_at + len(sources.files),
        gaps=(*gaps, *sources.gaps),
        home=str(home.root),
        file=str(settings.file),
        phase=options.phase,
        in_use=in_use,
        files=files.found,
        names=tuple(_other_names(settings, in_use)),
        flags=flags,
        has_flags=FLAGS_MODULE in installation.modules if installation is not None and installation.modules else None,
        flags_seen=_same(home.feature_flags.parent, Path("~/.mdm")),
        cache=_stale_cache(home),
        config_type=installation.config_type if installation is not None else None,
        accessor=accessor,
        uses=tuple(sources.uses[:MOST_USES]),
        more_uses=max(0, len(sources.uses) - MOST_USES),
    )


def _lacks_get_settings(installation: Installation | None) -> bool:
    apis = installation.apis if installation is not None else {}
    return bool(apis.get("mdm.config.get_config")) and not apis.get("mdm.config.get_settings")


def _other_names(settings: Settings, in_use: str) -> Iterator[OtherName]:
    if in_use == "flat":
        for key, value in settings.values.items():
            if value.origin.kind == "file" and flat_name(key) != key:
                positions = settings.document.positions if settings.document is not None else {}
                twice = flat_name(key) in positions
                yield OtherName(key, flat_name(key), value.origin.line, value.origin.column, twice)
        return
    for problem in settings.problems:
        if problem.code == "other-generation":
            meant = problem.suggestion or None
            twice = meant is not None and settings.values[meant].origin.kind == "file"
            yield OtherName(problem.key, meant, problem.origin.line, problem.origin.column, twice)


def _stale_cache(home: Home) -> StaleCache | None:
    folder = home.cache / "config"
    try:
        with os.scandir(folder) as entries:
            times = [entry.stat(follow_symlinks=False).st_mtime for entry, _ in zip(entries, range(100), strict=False)]
    except OSError:
        return None
    try:
        settled = home.settings_file.stat().st_mtime
    except OSError:
        settled = 0.0
    return StaleCache(str(folder), len(times), min(times) < settled) if times else None


def _read_sources(home: Home, options: Options, accessor: str, in_use: str) -> _Sources:
    sources = _Sources()
    for folder in (home.custom_features, *options.source):
        for file in _python_files(folder):
            if len(sources.files) >= MOST_SOURCES:
                sources.gaps.append(f"only {MOST_SOURCES} source files were searched")
                return sources
            if file not in sources.files:
                sources.files.add(file)
                _read_source(file, sources, custom=folder is home.custom_features, accessor=accessor, in_use=in_use)
    return sources


def _read_source(file: Path, into: _Sources, *, custom: bool, accessor: str, in_use: str) -> None:
    try:
        uses = uses_in(read_bytes(file, SOURCE_LIMIT), inside_mdm=_is_in_mdm(file))
    except (Unreadable, NotReadable) as error:
        into.gaps.append(f"{file} was not searched: {getattr(error, 'reason', error)}")
        return
    into.uses.extend(OldUse(str(file), use, replacement(use, accessor, in_use), custom) for use in uses)


def _is_in_mdm(file: Path) -> bool:
    return any(folder.name == "mdm" and (folder / "__init__.py").is_file() for folder in file.parents)


def _python_files(folder: Path) -> Iterator[Path]:
    if folder.is_file():
        yield folder
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if _may_hold_source(Path(place, name)))
        yield from (Path(place, name) for name in sorted(names) if name.endswith(".py"))


def _may_hold_source(folder: Path) -> bool:
    hidden = folder.name.startswith(".") or folder.name in _NOT_SOURCE
    return not hidden and not (folder / "pyvenv.cfg").exists()


def replacement(use: Use, accessor: str, in_use: str) -> str:
    """What to write in place of a use of the old configuration; empty if that cannot be said."""
    if use.keys is None:
        return f"from mdm.config import {accessor}"
    name = ".".join(use.keys)
    alias = ALIASES.get(name)
    if in_use == "flat":
        name = flat_name(name)
    elif alias is not None and alias.key is not None:
        name = alias.key
    if not all(part.isidentifier() for part in name.split(".") if part) or (use.writes and name not in BY_NAME):
        return ""
    return f"{accessor}().{name}" if name else f"{accessor}()"


def _same(one: Path, other: Path) -> bool:
    try:
        return one.resolve() == other.expanduser().resolve()
    except (OSError, RuntimeError):
        return False
