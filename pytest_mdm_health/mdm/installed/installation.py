"""What is known of an installed MDM, as its own interpreter tells it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pytest_mdm_health.core.model import JSON
from pytest_mdm_health.mdm.installed.import_graph import Use

NAME = "mdm"
"""The ML Data Manager's import name, which is also the name of an unrelated distribution."""

MARKS = ("config", "dataset", "features", "models", "storage")
"""Subpackages that all versions of the ML Data Manager have."""

MARKS_NEEDED = 3

ENTRIES = ("mdm", "mdm.cli.main", "mdm.api", "mdm.config", "mdm.storage")
"""The modules through which people and programs enter MDM."""

SETTINGS = ("mdm.config.get_settings", "mdm.config.get_config")
"""The functions that, in one version or another, return the settings in force."""

APIS = (
    *SETTINGS,
    "mdm.config.get_config_manager",
    "mdm.config.CONFIG_TYPE",
    "mdm.storage.get_backend",
    "mdm.storage.BackendFactory.create",
    "mdm.dataset.register",
    "mdm.dataset.manager.DatasetManager.get_backend",
    "mdm.api.MDMClient.get_dataset",
    "mdm.api.MDMClient.load_dataset",
    "mdm.features.FeatureGenerator.generate",
    "mdm.features.FeatureGenerator.get_errors",
    "mdm.features.generator.FeatureGenerator.generate_features",
    "mdm.features.custom_feature",
    "mdm.features.discover_custom_features",
    "mdm.features.register_feature",
    "mdm.features.custom.base.BaseDomainFeatures",
    "mdm.models.DatasetMetadata",
    "mdm.models.dataset.DatasetInfo",
)
"""What the guide and the released versions offer; no version has all of it."""

PROGRAM = {"module": "mdm.cli.main", "application": "app", "prepare": "ensure_subcommands"}
"""The command line: where its typer application is, and the function that completes it in some versions."""

CRASHED, UNFINISHED = "Crash", "Unfinished"
"""What a failure is called when no exception says it."""


@dataclass(frozen=True)
class Failure:
    """What went wrong inside MDM's interpreter.

    Attributes:
        error: the exception's type.
        message: its text.
        missing: the module that was not found.
        where: the module whose code was running.
    """

    error: str
    message: str
    missing: str | None = None
    where: str | None = None

    @property
    def unfinished(self) -> bool:
        """Whether it only had not come to an end when the time was up."""
        return self.error == UNFINISHED

    def __str__(self) -> str:
        """As Python prints it."""
        return f"{self.error}: {self.message}" if self.message else self.error


@dataclass(frozen=True)
class Module:
    """One module of MDM: when its users need it, and why it does not import, if it does not."""

    use: Use
    failure: Failure | None = None


@dataclass(frozen=True)
class Distribution:
    """One installed distribution, as its metadata says.

    Attributes:
        origin: the address it was installed from, when that is no index.
        place: the folder that it is installed in, which has its packages unless it is editable.
    """

    name: str
    version: str
    requires: tuple[str, ...] = ()
    requires_python: str | None = None
    summary: str | None = None
    origin: str | None = None
    place: str | None = None


@dataclass(frozen=True)
class Effective:
    """The settings as MDM itself sees them.

    Attributes:
        source: the function that was asked; None when this version has none.
        values: nested as MDM has them, secrets hidden; None when it did not answer.
        failure: why it did not.
    """

    source: str | None = None
    values: Mapping[str, JSON] | None = None
    failure: Failure | None = None


@dataclass(frozen=True, kw_only=True)
class Installation:
    """What one interpreter says about the MDM in it.

    Attributes:
        python: the interpreter.
        python_version: such as `3.11.7`; None when it did not answer.
        environment: what environment markers are compared with there.
        folder: where the package called `mdm` lies, whatever it is.
        found: whether anything called `mdm` can be imported there at all.
        is_ml_data_manager: whether that package is the ML Data Manager.
        version: the ML Data Manager's version, where its distribution says one.
        other_distribution: what is called `mdm` there instead.
        shadowed: the folder of the installed ML Data Manager, if another one is imported in its place.
        modules: every module of the package.
        missing: modules that MDM's own code needs, its own or others', and that are not there, with when.
        distributions: what is installed, by normalised name.
        settings: what MDM says is in force for this home.
        config_type: the value of `mdm.config.CONFIG_TYPE`, where there is one.
        apis: which of `APIS` exist.
        commands: the commands of the command line, such as `dataset register`; empty when unknown.
        error: why the answers are not complete, as a clause; None when they are.
    """

    python: Path
    python_version: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None
    found: bool = True
    is_ml_data_manager: bool = False
    version: str | None = None
    other_distribution: str | None = None
    shadowed: Path | None = None
    modules: Mapping[str, Module] = field(default_factory=dict)
    missing: Mapping[str, Use] = field(default_factory=dict)
    distributions: Mapping[str, Distribution] = field(default_factory=dict)
    settings: Effective = field(default_factory=Effective)
    config_type: str | None = None
    apis: Mapping[str, bool] = field(default_factory=dict)
    commands: tuple[str, ...] = ()
    error: str | None = None

    @property
    def has_trace(self) -> bool:
        """Whether there is an MDM, a distribution of one whose module is missing, or something else of that name."""
        return self.found or NAME in self.distributions

    def offers(self, command: str) -> bool:
        """Whether the installed MDM has this command, such as `config validate`."""
        return command in self.commands


def is_ml_data_manager(folder: Path) -> bool:
    """Whether the package in this folder is the ML Data Manager."""
    present = [mark for mark in MARKS if (folder / mark).is_dir() or (folder / f"{mark}.py").is_file()]
    return len(present) >= MARKS_NEEDED
