"""Whether a dataset is being registered, or was left half registered."""

from __future__ import annotations

import os
from pathlib import Path

from pytest_mdm_health.mdm.files import FileKind, kind_of
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.mdm.inventory import Dataset
from pytest_mdm_health.mdm.logs.events import read_events
from pytest_mdm_health.mdm.logs.registrations import Outcome, RegistrationRun
from pytest_mdm_health.mdm.registrations.running import Registering, running_registrations


def registering(dataset: str, home: Home) -> Registering | None:
    """A registration that may run in this home, of this dataset or of one whose name is unknown."""
    processes = (process for process in running_registrations() if may_use(process, home))
    return next((process for process in processes if process.dataset in {"", dataset.lower()}), None)


def is_half_registered(dataset: Dataset, home: Home) -> bool:
    """Whether this data has no registration, and the log does not say that a registration of it was completed."""
    inside = dataset.folder.parent == home.datasets and not dataset.folder.name.startswith(".")
    if dataset.registration is not None or not dataset.files or not inside:
        return False
    return not was_completed(dataset.folder.name, home)


def was_completed(dataset: str, home: Home) -> bool:
    """Whether the last registration of a dataset was completed, according to the log."""
    runs = {run.dataset: run for run in read_events(home.log_file).history.runs}
    return is_completed(runs.get(dataset.lower()))


def is_completed(run: RegistrationRun | None) -> bool:
    """Whether there is a registration, and it was completed."""
    return run is not None and run.outcome is Outcome.COMPLETED


def may_use(process: Registering, home: Home) -> bool:
    """Whether a registration may use this home: not if its own home exists and is another one."""
    elsewhere = process.home is not None and kind_of(process.home) is FileKind.FOLDER
    return not elsewhere or uses(process, home)


def uses(process: Registering, home: Home) -> bool:
    """Whether the open files or the environment of a registration prove that it uses this home."""
    if any(is_inside(file, home) for file in process.files):
        return True
    named = process.home  # a relative path depends on where that process was started
    return named is not None and named.is_absolute() and os.path.realpath(named) == os.path.realpath(home.root)


def is_inside(file: Path, home: Home) -> bool:
    """Whether a file is in the home or in its folder of datasets, symbolic links resolved."""
    real = Path(os.path.realpath(file))
    return any(real.is_relative_to(os.path.realpath(folder)) for folder in (home.root, home.datasets))
