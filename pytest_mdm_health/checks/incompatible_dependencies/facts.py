"""What is known of an installed MDM and of what it depends on."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

from pytest_mdm_health.core.model import Facts
from pytest_mdm_health.mdm.installed.import_graph import Use
from pytest_mdm_health.mdm.installed.installation import Failure
from pytest_mdm_health.mdm.installed.requirements import Conflict, Unclear, Wanted
from pytest_mdm_health.mdm.installed.search import Command


@dataclass(frozen=True)
class ImportFailure:
    """One reason why some of MDM's modules do not import.

    Attributes:
        failure: what was raised, in the first of the modules.
        modules: MDM's modules that fail for this reason, in the order in which they were imported.
        use: when users need the first of them.
    """

    failure: Failure
    modules: tuple[str, ...]
    use: Use

    @property
    def error(self) -> str:
        """The exception, as Python prints it."""
        return str(self.failure)

    @property
    def named(self) -> str:
        """The first module, and how many others there are."""
        more = len(self.modules) - 1
        if not more:
            return self.modules[0]
        return f"{self.modules[0]} (and {more} more module{'s' * (more > 1)} of MDM)"


@dataclass(frozen=True)
class UnmetRequirement:
    """A requirement of an installed distribution that is not met.

    Attributes:
        whose: `mdm` for MDM's own, `its` for one of what MDM needs, `other` for the rest.
    """

    conflict: Conflict
    whose: str


@dataclass(frozen=True)
class MigrationRequirement:
    """A line of the migration's requirements.

    Attributes:
        wanted: the line.
        installed: the installed version; None if there is none.
        met: whether that is what the line asks for.
        contradicts: MDM's own requirement, if the line asks for a version that does not meet it.
    """

    wanted: Wanted
    installed: str | None
    met: bool
    contradicts: str | None


@dataclass(frozen=True, kw_only=True)
class DependencyFacts(Facts):
    """What was examined.

    Attributes:
        python: the interpreter; empty if the command leads to none.
        python_version: its version; None if it does not answer.
        python_fits: whether MDM supports that version.
        requires_python: the versions that MDM supports, as it declares them.
        broken: why the interpreter does not answer.
        command: the `mdm` command on the PATH, if that was searched for.
        missing_module: the module that the command starts with, or MDM itself, if it is not there.
        folder: the folder of the package called `mdm`.
        shadowed: the folder of the installed MDM, if another one is imported.
        other: what is called `mdm` there instead of the ML Data Manager.
        source: the folder or address that MDM was installed from, if it still exists.
        lost_source: the folder that MDM was installed from, if it does not exist.
        versions: the installed version of everything that MDM requires directly.
        needs: MDM's direct requirements, by name.
        import_failures: why modules do not import.
        late: modules that MDM imports late and that are not there.
        unmet: requirements of installed distributions that are not met.
        migration: the lines of the migration's requirements; `unclear` those that could not be compared.
        pip: whether pip is installed there.
        duckdb_by_default: whether new datasets go to DuckDB.
    """

    python: str
    python_version: str | None = None
    python_fits: bool = True
    requires_python: str | None = None
    broken: str | None = None
    command: Command | None = None
    missing_module: str = ""
    folder: str | None = None
    shadowed: str | None = None
    other: str | None = None
    source: str | None = None
    lost_source: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    needs: Mapping[str, str] = field(default_factory=dict)
    import_failures: tuple[ImportFailure, ...] = ()
    late: tuple[str, ...] = ()
    unmet: tuple[UnmetRequirement, ...] = ()
    migration: tuple[MigrationRequirement, ...] = ()
    unclear: tuple[Unclear, ...] = ()
    pip: bool = True
    duckdb_by_default: bool = False

    @property
    def pip_show(self) -> str:
        """The command that shows an installed distribution, to be followed by its name."""
        return self._pip("show")

    @property
    def pip_check(self) -> str:
        """The command that compares all requirements with what is installed."""
        return self._pip("check")

    def _pip(self, command: str) -> str:
        if self.pip:
            return shlex.join([self.python, "-m", "pip", command])
        return shlex.join(["uv", "pip", command, "--python", self.python])
