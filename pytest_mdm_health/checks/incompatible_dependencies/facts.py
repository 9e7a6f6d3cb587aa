"""What check 1.2 sees of an installation, and the looking that it does beyond asking for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from packaging.requirements import Requirement

from pytest_mdm_health.core.model import Facts
from pytest_mdm_health.mdm.installed.import_graph import Use
from pytest_mdm_health.mdm.installed.installation import NAME, Failure, Installation
from pytest_mdm_health.mdm.installed.requirements import (
    Unclear,
    Wanted,
    allows,
    conflicts,
    direct_requirements,
    needed_by,
    read_requirements,
)
from pytest_mdm_health.mdm.installed.search import Command


@dataclass(frozen=True)
class Cause:
    """Why some of MDM's modules do not import.

    Attributes:
        error: the exception, as Python prints it.
        missing: the module that is not there, if that is the reason.
        where: the module whose code was running.
        modules: MDM's modules that fail for this reason, the first one first.
        use: when users need the first of them: `always`, `on call`, `never`.
        unfinished: whether importing had merely not come to an end.
    """

    error: str
    missing: str | None
    where: str | None
    modules: tuple[str, ...]
    use: str
    unfinished: bool = False

    @property
    def as_failure(self) -> str:
        """In a sentence, for modules that are in use."""
        when = "" if self.use == "always" else " once a call gets there"
        return f"{self._which} cannot be imported{when}: {self.error}."

    @property
    def as_left_over(self) -> str:
        """In a sentence, for modules that are not in use."""
        return f"{self._which} cannot be imported, and nothing in this release uses it: {self.error}."

    @property
    def as_unfinished(self) -> str:
        """In a sentence, for a module whose import took too long."""
        return f"{self.modules[0]} had not finished importing when the time was up."

    @property
    def _which(self) -> str:
        more = len(self.modules) - 1
        return self.modules[0] + (f" (and {more} more module{'s' * (more > 1)} of MDM)" if more else "")


@dataclass(frozen=True)
class Trouble:
    """Two distributions that are known not to work together in these versions, what happens then, and what helps."""

    one: str
    one_versions: str
    other: str
    other_versions: str
    what: str
    repair: str


TROUBLES = (
    Trouble(
        one="duckdb-engine",
        one_versions="<=0.17.0",
        other="sqlalchemy",
        other_versions=">=2.1.dev0",
        what="registering a dataset on DuckDB breaks off halfway and leaves a database without a registration",
        repair="sqlalchemy<2.1",
    ),
)


@dataclass(frozen=True)
class Unmet:
    """A requirement of an installed distribution that is not met.

    Attributes:
        whose: `mdm` for MDM's own, `its` for one of what MDM needs, `other` for the rest.
    """

    by: str
    name: str
    needs: str
    installed: str | None
    whose: str


@dataclass(frozen=True)
class Asked:
    """A line of the migration's requirements, with what is installed and what MDM itself needs of the same name."""

    name: str
    needs: str
    file: str
    line: int
    installed: str | None
    met: bool
    against: str | None


@dataclass(frozen=True, kw_only=True)
class DependencyFacts(Facts):
    """What was seen.

    Attributes:
        python: the interpreter.
        broken: why it gives no answer.
        other: what is called `mdm` there instead of the ML Data Manager.
        requires_python: what MDM says it needs; `python_fits` whether that is met.
        source: the folder or address that MDM was installed from.
        versions: the installed version of everything that MDM requires directly.
        causes: why modules do not import; `late` what is imported late and is not there.
        pip: whether pip is installed there.
        duckdb_by_default: whether new datasets go to DuckDB.
        folder: where the package called `mdm` lies.
        command: the `mdm` command on the PATH, if that was looked for.
        stopped: why it cannot start, as a sentence without a full stop.
        lost: the folder that MDM was installed from, if it is not there any more.
    """

    python: str
    broken: str | None = None
    other: str | None = None
    python_version: str | None = None
    requires_python: str | None = None
    python_fits: bool = True
    mdm_version: str | None = None
    source: str | None = None
    versions: dict[str, str]
    needs: dict[str, str]
    causes: tuple[Cause, ...] = ()
    late: tuple[str, ...] = ()
    unmet: tuple[Unmet, ...] = ()
    asked: tuple[Asked, ...] = ()
    unclear: tuple[Unclear, ...] = ()
    pip: bool = True
    duckdb_by_default: bool = False
    folder: str | None = None
    command: str = ""
    stopped: str = ""
    lost: str | None = None


def stopped_by(command: Command | None, installation: Installation | None) -> str:
    """Why the `mdm` command, or MDM itself, cannot start; empty if it can, as far as this is known."""
    if command is not None and command.why_not:
        return f"{command.path} cannot start: it {command.why_not}"
    if installation is None or not installation.python_version:
        return ""
    starts = command.module if command is not None else ""
    if not installation.found:
        named = installation.distributions.get(NAME)
        origin = _source(named.origin) if named else None
        what = command.path if command is not None and starts else f"MDM in {installation.python}" if origin else ""
        source = f"; it was installed from {origin}" if origin else ""
        return f"{what} ends in: No module named {NAME!r}{source}" if what else ""
    if command is None or not starts or installation.is_ml_data_manager or _has(installation.folder, starts):
        return ""
    return f"{command.path} ends in: No module named {starts!r}"


def _has(folder: Path | None, module: str) -> bool:
    if folder is None:
        return False
    path = folder.joinpath(*module.split(".")[1:])
    return path.is_dir() or path.with_suffix(".py").is_file()


def of_command(command: Command, stopped: str) -> DependencyFacts:
    """What is known where there is a command that leads to no interpreter."""
    return DependencyFacts(examined=1, python="", versions={}, needs={}, command=command.path, stopped=stopped)


def gather(installation: Installation, requirements: Path | None, *, duckdb_by_default: bool) -> DependencyFacts:
    """Put together what the interpreter told with what is required of it."""
    environment = installation.environment
    ours = installation.distributions.get(NAME) if installation.is_ml_data_manager else None
    needs = direct_requirements(ours, environment)
    versions = {name: found.version for name in needs if (found := installation.distributions.get(name))}
    wanted, unclear = read_requirements(requirements, environment) if requirements else ([], [])
    python_version = installation.python_version
    named = installation.distributions.get(NAME) if ours or installation.folder is None else None
    source = _source(named.origin if named else None)
    asked = tuple(_asked(each, installation, needs) for each in wanted)
    return DependencyFacts(
        examined=len(installation.modules) + len(installation.distributions) + len(asked),
        gaps=(installation.error,) if installation.error and python_version else (),
        python=str(installation.python),
        broken=None if python_version else installation.error,
        other=installation.other_distribution,
        python_version=python_version,
        requires_python=ours.requires_python if ours else None,
        python_fits=not (ours and python_version) or allows(ours.requires_python or "", python_version),
        mdm_version=installation.version,
        source=_still_there(source),
        lost=source if source != _still_there(source) else None,
        folder=str(installation.folder) if installation.folder else None,
        versions=versions,
        needs=needs,
        causes=tuple(_causes(installation)),
        late=tuple(_late(installation)),
        unmet=tuple(_unmet(installation)),
        asked=asked,
        unclear=tuple(unclear),
        pip="pip" in installation.distributions,
        duckdb_by_default=duckdb_by_default,
    )


def troubles(versions: dict[str, str]) -> Iterator[Trouble]:
    """What is known to go wrong between these versions."""
    for each in TROUBLES:
        one, other = versions.get(each.one), versions.get(each.other)
        if one and other and allows(each.one_versions, one) and allows(each.other_versions, other):
            yield each


def _causes(installation: Installation) -> Iterator[Cause]:
    """One cause per reason and use, in the order in which modules were imported; those used soonest first."""
    groups: dict[tuple[Use, Failure], list[str]] = {}
    for name, module in installation.modules.items():
        if module.failure:
            groups.setdefault((module.use, _without_place(module.failure)), []).append(name)
    order = list(Use)
    for (use, failure), modules in sorted(groups.items(), key=lambda item: order.index(item[0][0])):
        where = next(m.failure.where for n, m in installation.modules.items() if n == modules[0] and m.failure)
        yield Cause(str(failure), failure.missing, where, tuple(modules), use.value, failure.unfinished)


def _without_place(failure: Failure) -> Failure:
    return Failure(**{**asdict(failure), "where": None})


def _late(installation: Installation) -> Iterator[str]:
    """What is not there and has not made any import fail yet."""
    known = {module.failure.missing for module in installation.modules.values() if module.failure}
    return (name for name in installation.missing if name not in known)


def _unmet(installation: Installation) -> Iterator[Unmet]:
    needed = needed_by(NAME, installation.distributions, installation.environment)
    for each in conflicts(installation.distributions, installation.environment):
        whose = "mdm" if each.by == NAME else "its" if each.by in needed else "other"
        yield Unmet(each.by, each.name, each.needs, each.installed, whose)


def _asked(wanted: Wanted, installation: Installation, needs: dict[str, str]) -> Asked:
    found = installation.distributions.get(wanted.name)
    met = allows(wanted.specifier, found.version) if found else wanted.optional
    return Asked(
        wanted.name,
        wanted.needs,
        wanted.file,
        wanted.line,
        found.version if found else None,
        met,
        _contradicted(wanted, needs.get(wanted.name)),
    )


def _contradicted(wanted: Wanted, needed: str | None) -> str | None:
    """MDM's own requirement, if the exact version that is asked for does not fit it."""
    exact = wanted.specifier.removeprefix("==") if wanted.specifier.startswith("==") else ""
    if not needed or not exact or exact.endswith("*") or "," in exact:
        return None
    return None if allows(str(Requirement(needed).specifier), exact) else needed


def _still_there(source: str | None) -> str | None:
    return None if source and source.startswith("/") and not Path(source).exists() else source


def _source(origin: str | None) -> str | None:
    if origin and origin.startswith("file:"):
        return unquote(urlsplit(origin).path)
    return origin
