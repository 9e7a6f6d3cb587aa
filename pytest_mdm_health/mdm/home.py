"""Where an MDM home keeps what: the default layout, moved by `paths.*` and `logging.file`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_mdm_health.mdm.settings import Settings

SETTINGS_FILE = "mdm.yaml"


@dataclass(frozen=True)
class Home:
    """The places in an MDM home; absolute, whether or not anything is there.

    Attributes:
        root: the home itself.
        datasets: one folder per dataset.
        registrations: one YAML file per dataset.
        logs: the folder of the logs.
        log_file: the log that MDM writes now.
        custom_features: one Python file per dataset.
        backup: where the guide puts backups.
        feature_flags: the switches of the migration.
        metrics: the database of recorded operations.
    """

    root: Path
    datasets: Path
    registrations: Path
    logs: Path
    log_file: Path
    custom_features: Path
    backup: Path
    cache: Path
    settings_file: Path
    feature_flags: Path
    metrics: Path


def locate(root: Path, settings: Settings) -> Home:
    """The places in the home at `root` under these settings. Nothing has to exist."""
    root = root.absolute()
    logs = _place(root, settings["paths.logs_path"], "logs")
    return Home(
        root=root,
        datasets=_place(root, settings["paths.datasets_path"], "datasets"),
        registrations=_place(root, settings["paths.configs_path"], "config/datasets"),
        logs=logs,
        log_file=_place(logs, settings["logging.file"], "mdm.log"),
        custom_features=_place(root, settings["paths.custom_features_path"], "config/custom_features"),
        backup=root / "backup",
        cache=root / "cache",
        settings_file=root / SETTINGS_FILE,
        feature_flags=root / "feature_flags.yaml",
        metrics=root / "metrics.db",
    )


def is_home(home: Home) -> bool:
    """Whether anything there is MDM's own: a file that only MDM writes, or one of the folders that it creates.

    A folder called `datasets` proves nothing while something else is kept in it, so it counts only when it is empty.
    """
    files = (home.settings_file, home.feature_flags, home.metrics, home.log_file)
    if any(map(_is_there, (*files, home.registrations, home.custom_features))):
        return True
    return home.datasets.is_dir() and not any(home.datasets.iterdir())


def under(base: Path, text: str) -> Path | None:
    """The path that a text in MDM's files means, seen from `base`; None if no file system has such a path.

    MDM itself takes a leading `~` for a folder of that name, so such a folder wins over the user's own home.
    """
    if not text or "\0" in text:
        return None
    literal = base / text
    if not text.startswith("~") or _is_there(literal):
        return literal
    try:
        return base / Path(text).expanduser()
    except RuntimeError:  # a user that does not exist, or no home at all
        return literal


def _place(base: Path, setting: object, default: str) -> Path:
    """Where MDM looks: it expands neither `~` nor variables in its settings."""
    usable = isinstance(setting, str) and setting and "\0" not in setting
    return base / str(setting) if usable else base / default


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False
