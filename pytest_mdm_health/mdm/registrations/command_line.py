"""MDM's own commands, run on a private copy of a home's settings and registrations, without its data.

MDM writes logs and folders into its home whatever it is asked, so it never gets the real one: the copies of the
registrations speak of the copy, and what lies outside the home by an absolute path is a reason not to run at all.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from pytest_mdm_health.mdm.files import Unreadable, read_bytes
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.mdm.installed.commands import Outcome, run
from pytest_mdm_health.mdm.inventory import Inventory
from pytest_mdm_health.mdm.registrations.json_copy import JSON_COPY_FILE

_START = "import sys; sys.argv[0] = 'mdm'; from mdm.cli.main import main; main()"
_WIDE = {"COLUMNS": "10000", "NO_COLOR": "1", "TERM": "dumb", "PYTHONDONTWRITEBYTECODE": "1"}


def run_mdm(python: Path, words: Sequence[str], root: Path, environ: Mapping[str, str], timeout_s: float) -> Outcome:
    """Run `mdm <words>` with `root` as its home, and keep its answer apart from its warnings.

    Raises:
        CannotRun: the interpreter could not be started.
    """
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith(("MDM_", "PYTEST_"))}
    private = {"HOME": str(root.parent), "MDM_HOME_DIR": str(root), **_WIDE}
    return run(
        [str(python), "-B", "-c", _START, *words],
        cwd=root.parent,
        environ={**surroundings, **environ, **private},
        timeout_s=timeout_s,
        apart=True,
    )


@contextmanager
def private_home(inventory: Inventory) -> Iterator[Path]:
    """A temporary home with the settings and registrations of the real one and none of its data.

    Raises:
        Outside: a place of the home lies elsewhere, where MDM would find and touch it.
    """
    with tempfile.TemporaryDirectory(prefix="mdm-health-") as folder:
        copy = Path(folder) / ".mdm"
        make_private_home(inventory.home, copy, _to_copy(inventory))
        yield copy


def make_private_home(home: Home, copy: Path, files: Iterable[Path] = ()) -> None:
    """Make a home at `copy` with the settings of the real one and these files of it, which then speak of the copy.

    Raises:
        Outside: a place of the home is elsewhere, where MDM would find and touch it.
    """
    for place in (home.datasets, home.registrations, home.logs, home.custom_features):
        if not place.is_relative_to(home.root):
            raise Outside(f"{place} is outside the home, and MDM would write there")
    for file in (home.settings_file, home.feature_flags, *files):
        _copy(file, home, copy)
    for place in (home.datasets, home.registrations, home.logs):
        (copy / place.relative_to(home.root)).mkdir(parents=True, exist_ok=True)


class Outside(Exception):
    """A home whose places are not all below it."""


def _to_copy(inventory: Inventory) -> Iterator[Path]:
    for dataset in inventory.datasets:
        if dataset.registration is not None:
            yield dataset.registration.file
        yield dataset.folder / JSON_COPY_FILE


def _copy(file: Path, home: Home, copy: Path) -> None:
    if not file.is_relative_to(home.root):
        return
    try:
        text = read_bytes(file)
    except Unreadable:
        return
    target = copy / file.relative_to(home.root)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(text.replace(os.fsencode(home.root), os.fsencode(copy)))


def command_for(python: Path, words: Sequence[str]) -> tuple[str, ...]:
    """What a person types to run the same: the `mdm` beside the interpreter if there is one."""
    beside = python.parent / "mdm"
    return (str(beside), *words) if beside.exists() or not shutil.which("mdm") else ("mdm", *words)
