"""Finding files of custom features: where MDM looks for them, and where people and other versions put them."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator
from pathlib import Path

from pytest_mdm_health.checks.custom_features_not_loading.facts import CustomFile
from pytest_mdm_health.mdm.files import FileKind, kind_of
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.mdm.installed.custom_code import INDEX, listed_in, read_custom_code

MOST = 500
"""Files that are looked at."""

_USUAL = ("config/custom_features", "custom_features")
"""Where some version or other looks, below the home."""

_SUFFIX = ".py"


def custom_files(home: Home, datasets: Collection[str], gaps: list[str]) -> Iterator[CustomFile]:
    """The files of custom features in a home, those in the right place first, each with what its source tells."""
    found = list(_in_place(home.custom_features, gaps))
    listed = listed_in(home.custom_features / INDEX, [path.stem for path in found])
    for path in found:
        yield _described(
            path, path.stem, datasets, None if listed is None or path.name == INDEX else path.stem in listed
        )
    for path, name in _elsewhere(home, datasets, gaps):
        belongs = str(home.custom_features / f"{name}{_SUFFIX}")
        described = _described(path, name, datasets, None)
        yield CustomFile(**{**vars(described), "belongs": belongs})


def _in_place(folder: Path, gaps: list[str]) -> Iterator[Path]:
    for path in _entries(folder, gaps):
        if path.suffix == _SUFFIX and not path.name.startswith("."):
            yield path


def _elsewhere(home: Home, datasets: Collection[str], gaps: list[str]) -> Iterator[tuple[Path, str]]:
    """Files where other versions look, and those in a folder of their own."""
    for place in _USUAL:
        folder = home.root / place
        if not _same(folder, home.custom_features):
            yield from ((path, path.stem) for path in _in_place(folder, gaps) if path.name != INDEX)
    for path in _entries(home.custom_features, gaps):
        if path.name.lower() in datasets and kind_of(path) is FileKind.FOLDER:
            inside = [path / name for name in (f"{path.name}{_SUFFIX}", INDEX)]
            yield from ((each, path.name) for each in inside if kind_of(each) is FileKind.FILE)


def _described(path: Path, name: str, datasets: Collection[str], listed: bool | None) -> CustomFile:
    near = difflib.get_close_matches(name.lower(), sorted(datasets), n=1)
    return CustomFile(
        path=str(path),
        name=name,
        registered=name in datasets,
        nearest=near[0] if near else "",
        code=read_custom_code(path),
        listed=listed,
    )


def _entries(folder: Path, gaps: list[str]) -> list[Path]:
    try:
        entries = sorted(folder.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        gaps.append(f"{folder} cannot be listed: {error.strerror}")
        return []
    if len(entries) > MOST:
        gaps.append(f"of {len(entries)} files in {folder}, {MOST} were looked at")
    return entries[:MOST]


def _same(one: Path, other: Path) -> bool:
    try:
        return one == other or one.samefile(other)
    except OSError:
        return False
