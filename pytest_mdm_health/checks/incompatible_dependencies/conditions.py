"""Which remedy helps with a module that does not import, and which versions are known not to work together."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion, Version

from pytest_mdm_health.checks.incompatible_dependencies.facts import DependencyFacts
from pytest_mdm_health.checks.incompatible_dependencies.findings import (
    CORRECT_WRAPPER,
    DAMAGED_LIBRARY,
    FIND_DISTRIBUTION,
    INSTALL_DISTRIBUTION,
    NEW_ENVIRONMENT,
    NEW_ENVIRONMENT_BY_HAND,
    PART_OF_PYTHON,
    REINSTALL,
    REINSTALL_BY_HAND,
    REMOVED_FROM_PYTHON,
    REPLACE_INSTALLATION,
    REPLACE_WITHOUT_COMMAND,
    REPLACE_WITHOUT_SOURCE,
    RESTORE_SOURCE,
)
from pytest_mdm_health.core.findings import Steps
from pytest_mdm_health.core.model import Remedy
from pytest_mdm_health.mdm.installed.installation import NAME, Failure
from pytest_mdm_health.mdm.installed.requirements import allows

PROVIDERS = {
    "PIL": "pillow",
    "dateutil": "python-dateutil",
    "duckdb_engine": "duckdb-engine",
    "magic": "python-magic",
    "pkg_resources": "setuptools<81",
    "psycopg2": "psycopg2-binary",
    "pydantic_settings": "pydantic-settings",
    "sklearn": "scikit-learn",
    "ydata_profiling": "ydata-profiling",
    "yaml": "pyyaml",
}
"""Which distribution has a module, where the names differ or not every version has it."""

REMOVED = {
    **dict.fromkeys(("asynchat", "asyncore", "distutils", "imp", "smtpd"), "3.12"),
    **dict.fromkeys(
        (
            "aifc", "audioop", "cgi", "cgitb", "chunk", "crypt", "imghdr", "lib2to3", "mailcap", "msilib", "nis",
            "nntplib", "ossaudiodev", "pipes", "sndhdr", "spwd", "sunau", "telnetlib", "uu", "xdrlib",
        ),
        "3.13",
    ),
}  # fmt: skip
"""Modules that the standard library had, and the release of Python that removed them."""


@dataclass(frozen=True)
class KnownTrouble:
    """Two distributions that are known not to work together in these versions, what happens then, and what helps."""

    one: str
    one_versions: str
    other: str
    other_versions: str
    effect: str
    helps: str


KNOWN_TROUBLES = (
    KnownTrouble(
        one="duckdb-engine",
        one_versions="<=0.17.0",
        other="sqlalchemy",
        other_versions=">=2.1.dev0",
        effect="registering a dataset on DuckDB breaks off halfway and leaves a database without a registration",
        helps="sqlalchemy<2.1",
    ),
)


def known_troubles(facts: DependencyFacts) -> Iterator[KnownTrouble]:
    """What is known to fail with the installed versions."""
    for trouble in KNOWN_TROUBLES:
        one, other = facts.versions.get(trouble.one), facts.versions.get(trouble.other)
        if one and other and allows(trouble.one_versions, one) and allows(trouble.other_versions, other):
            yield trouble


def remedy_for_start(facts: DependencyFacts) -> Steps:
    """How to get a command that starts."""
    if facts.lost_source:
        return RESTORE_SOURCE
    if facts.command is None:
        return REPLACE_WITHOUT_COMMAND
    if facts.command.opaque:
        return CORRECT_WRAPPER
    return REPLACE_INSTALLATION if facts.source else REPLACE_WITHOUT_SOURCE


def remedy_for_interpreter(facts: DependencyFacts) -> Steps:
    """How to get an interpreter that answers and that MDM supports."""
    return NEW_ENVIRONMENT if facts.source else NEW_ENVIRONMENT_BY_HAND


def remedy_for_failure(facts: DependencyFacts, failure: Failure) -> Remedy:
    """How to make a module importable."""
    if failure.missing:
        return remedy_for_module(facts, failure.missing)
    raised_in = (failure.where or NAME).partition(".")[0]
    remedy = remedy_of_origin(facts, raised_in)
    if remedy is not None:
        return remedy
    distribution = distribution_of(PROVIDERS.get(raised_in, raised_in))
    return DAMAGED_LIBRARY.fill({"facts": facts, "module": raised_in, "distribution": distribution})


def remedy_for_module(facts: DependencyFacts, module: str) -> Remedy:
    """How to get a module that is not there."""
    top = module.partition(".")[0]
    remedy = remedy_of_origin(facts, top)
    if remedy is not None:
        return remedy
    known = PROVIDERS.get(top) or facts.needs.get(top) or (top if top in facts.versions else None)
    if known is None:
        return FIND_DISTRIBUTION.fill({"facts": facts, "module": top})
    distribution = distribution_of(known)
    return INSTALL_DISTRIBUTION.fill(
        {
            "facts": facts,
            "module": top,
            "distribution": distribution,
            "requirement": facts.needs.get(distribution, known),
            "note": " Releases from 82 on do not have that module." if top == "pkg_resources" else "",
        }
    )


def remedy_of_origin(facts: DependencyFacts, module: str) -> Remedy | None:
    """The remedy for a module that belongs to MDM or to Python itself; None for any other."""
    values = {"facts": facts, "module": module}
    if module == NAME:
        return (REINSTALL if facts.source else REINSTALL_BY_HAND).fill(values)
    release = REMOVED.get(module)
    if release and facts.python_version and is_at_least(facts.python_version, release):
        return REMOVED_FROM_PYTHON.fill({**values, "release": release})
    if release or module in sys.stdlib_module_names:
        return PART_OF_PYTHON.fill(values)
    return None


def is_at_least(version: str, least: str) -> bool:
    """Whether a version is this one or a later one."""
    try:
        return Version(version) >= Version(least)
    except InvalidVersion:
        return False


def distribution_of(requirement: str) -> str:
    """The name of the distribution that a requirement asks for."""
    try:
        return Requirement(requirement).name
    except InvalidRequirement:
        return requirement
