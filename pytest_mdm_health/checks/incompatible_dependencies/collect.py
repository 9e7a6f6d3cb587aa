"""Compare what MDM's interpreter reported with what is required of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from packaging.requirements import Requirement

from pytest_mdm_health.checks.incompatible_dependencies.facts import (
    DependencyFacts,
    ImportFailure,
    MigrationRequirement,
    UnmetRequirement,
)
from pytest_mdm_health.mdm.installed.import_graph import Use
from pytest_mdm_health.mdm.installed.installation import NAME, Failure, Installation
from pytest_mdm_health.mdm.installed.requirements import (
    Wanted,
    allows,
    conflicts,
    direct_requirements,
    needed_by,
    read_requirements,
)
from pytest_mdm_health.mdm.installed.search import Command


def collect(installation: Installation, requirements: Path | None, command: Command | None) -> DependencyFacts:
    """Put together what the interpreter reported with what is required of it."""
    environment, distributions = installation.environment, installation.distributions
    python_version = installation.python_version
    mdm = distributions.get(NAME) if installation.is_ml_data_manager else None
    needs = direct_requirements(mdm, environment)
    requires_python = mdm.requires_python if mdm else None
    source = _source(installation)
    source_is_lost = source is not None and source.startswith("/") and not Path(source).exists()
    wanted, unclear = read_requirements(requirements, environment) if requirements else ([], [])
    failures = tuple(_import_failures(installation))
    return DependencyFacts(
        unexamined=tuple(_unfinished(failures)),
        examined=len(installation.modules) + len(distributions) + len(wanted),
        gaps=(installation.error,) if installation.error and python_version else (),
        python=str(installation.python),
        python_version=python_version,
        python_fits=not python_version or allows(requires_python or "", python_version),
        requires_python=requires_python,
        broken=None if python_version else installation.error,
        command=command,
        missing_module=missing_module(installation, command),
        folder=str(installation.folder) if installation.folder else None,
        shadowed=str(installation.shadowed) if installation.shadowed else None,
        other=installation.other_distribution,
        source=None if source_is_lost else source,
        lost_source=source if source_is_lost else None,
        versions={name: distributions[name].version for name in needs if name in distributions},
        needs=needs,
        import_failures=failures,
        late=tuple(_late(installation)),
        unmet=tuple(_unmet(installation)),
        migration=tuple(_compared(line, installation, needs) for line in wanted),
        unclear=tuple(unclear),
        pip="pip" in distributions,
    )


def missing_module(installation: Installation, command: Command | None) -> str:
    """The module that the `mdm` command starts with, or MDM itself, if it is not there; empty if it is, or unknown."""
    if not installation.python_version:
        return ""
    start = command.module if command is not None else ""
    if not installation.found:
        # Without a command that starts it, only a distribution that says where it came from shows that MDM was there.
        return NAME if start or _source(installation) else ""
    if not start or installation.is_ml_data_manager or _has(installation.folder, start):
        return ""
    return start


def _has(folder: Path | None, module: str) -> bool:
    if folder is None:
        return False
    path = folder.joinpath(*module.split(".")[1:])
    return path.is_dir() or path.with_suffix(".py").is_file()


def _source(installation: Installation) -> str | None:
    """The folder or address that MDM was installed from; None if another program is called `mdm` there."""
    if installation.folder is not None and not installation.is_ml_data_manager:
        return None
    mdm = installation.distributions.get(NAME)
    if mdm is None or not mdm.origin:
        return None
    return unquote(urlsplit(mdm.origin).path) if mdm.origin.startswith("file:") else mdm.origin


def _import_failures(installation: Installation) -> Iterator[ImportFailure]:
    """One for each error and use, in the order in which modules were imported; those used soonest first."""
    modules: dict[tuple[Use, Failure], list[str]] = {}
    first: dict[tuple[Use, Failure], Failure] = {}
    for name, module in installation.modules.items():
        if module.failure:
            key = module.use, replace(module.failure, where=None)  # the same error from several places is one
            modules.setdefault(key, []).append(name)
            first.setdefault(key, module.failure)
    order = list(Use)
    for key in sorted(modules, key=lambda key: order.index(key[0])):
        yield ImportFailure(first[key], tuple(modules[key]), key[0])


def _unfinished(failures: Iterable[ImportFailure]) -> Iterator[str]:
    """What could not be imported within the time and the memory of this run, which says nothing about MDM."""
    for each in failures:
        if each.failure.unfinished:
            yield f"{each.modules[0]} was not imported to its end: {each.failure.message}"


def _late(installation: Installation) -> Iterator[str]:
    """What is not there and has not made any import fail yet."""
    known = {module.failure.missing for module in installation.modules.values() if module.failure}
    return (name for name in installation.missing if name not in known)


def _unmet(installation: Installation) -> Iterator[UnmetRequirement]:
    needed = needed_by(NAME, installation.distributions, installation.environment)
    for conflict in conflicts(installation.distributions, installation.environment):
        whose = "its" if conflict.by in needed else "other"
        yield UnmetRequirement(conflict, "mdm" if conflict.by == NAME else whose)


def _compared(wanted: Wanted, installation: Installation, needs: Mapping[str, str]) -> MigrationRequirement:
    found = installation.distributions.get(wanted.name)
    met = allows(wanted.specifier, found.version) if found else wanted.optional
    contradicts = _contradicted(wanted, needs.get(wanted.name))
    return MigrationRequirement(wanted, found.version if found else None, met, contradicts)


def _contradicted(wanted: Wanted, needed: str | None) -> str | None:
    """MDM's own requirement, if the exact version that is asked for does not meet it."""
    exact = wanted.specifier.removeprefix("==") if wanted.specifier.startswith("==") else ""
    if not needed or not exact or exact.endswith("*") or "," in exact:
        return None
    return None if allows(str(Requirement(needed).specifier), exact) else needed
