"""MDM and its dependencies do not work together, or MDM does not even import.

Symptoms
--------
Import errors after requirements were updated; `ModuleNotFoundError: mdm.…`; complaints about version conflicts;
`pip install` that fails; an `mdm version` that answers while every other command fails at once.

Causes
------
MDM sets no upper bounds, so a fresh installation gets releases that it was never tested with. A dependency can meet
every declared requirement and still break the import: setuptools from 82 on comes without `pkg_resources`, which a
library that MDM uses imports. Other modules are used and not declared at all. An upgrade of Python leaves an
environment whose interpreter is gone; moving the source tree of an editable installation leaves a command without its
module. And a distribution called `mdm` on PyPI is a different program.

Diagnosis
---------
Ask the interpreter that MDM is installed in, not any other: `python -m pip check`, `python -m pip show sqlalchemy
pydantic typer`, `python --version`, and `python -c 'import mdm.api, mdm.cli.dataset'`, since only importing shows it.

Solutions
---------
Install the exact versions of `requirements_migration.txt` without the cache, or releases that are known to work, in a
new virtual environment (`python -m venv`, or `uv venv` with Python 3.10), which keeps the old one until the new one
works. No printed command changes an existing environment: a release without an upper bound brings others with it that
do not fit. What belongs to Python itself, such as `_sqlite3`, comes with Python and not from PyPI.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pytest_mdm_health.checks.incompatible_dependencies import conditions
from pytest_mdm_health.checks.incompatible_dependencies.collect import collect
from pytest_mdm_health.checks.incompatible_dependencies.facts import DependencyFacts
from pytest_mdm_health.checks.incompatible_dependencies.findings import (
    CHECK,
    CONTRADICTION,
    FAIL,
    INTERPRETER,
    KNOWN_TROUBLE,
    LEFT_OVER,
    MIGRATION_REQUIREMENTS,
    MISSING,
    NO_MODULE,
    NOT_IMPORTABLE,
    NOT_IMPORTABLE_ON_CALL,
    NOT_INSTALLED,
    NOT_STARTING,
    NOTE,
    OTHER_MDM,
    PYTHON,
    REQUIREMENTS_FILE,
    RULES,
    SHADOWED,
    UNFINISHED,
    VERSION,
    WARN,
)
from pytest_mdm_health.core.model import JSON, Finding, Location, NotApplicable
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.mdm.installed.import_graph import Use
from pytest_mdm_health.mdm.installed.installation import NAME, Installation
from pytest_mdm_health.mdm.installed.search import find_command
from pytest_mdm_health.mdm.installed.wrapper import ask_wrapper
from pytest_mdm_health.mdm.settings import Settings

__all__ = ["CHECK", "RULES", "judge", "observe"]


def observe(mdm_installation: Installation | None, mdm_options: Options, mdm_config: Settings) -> DependencyFacts:
    """Compare what MDM's interpreter has with what is required of it."""
    command = find_command() if mdm_options.python is None else None
    if command is not None and command.opaque:
        answer = ask_wrapper(command, mdm_options.timeout / 2)
        if answer.unfinished:
            return DependencyFacts(examined=0, unexamined=(answer.unfinished,), python="", command=command)
        command = replace(command, start_problem=answer.start_problem)
        has_mdm = mdm_installation is not None and mdm_installation.is_ml_data_manager
        if answer.is_mdm and not command.start_problem and not has_mdm:
            unexamined = (
                f"the packages of MDM were not examined: {command.path} does not show which interpreter it starts; "
                "name it with --mdm-python"
            )
            return DependencyFacts(examined=0, unexamined=(unexamined,), python="", command=command)
    cannot_start = command is not None and command.start_problem
    if mdm_installation is None:
        if cannot_start:
            return DependencyFacts(examined=1, python="", command=command)
        if command is not None:
            raise NotApplicable(f"{command.path} is another program; name MDM's interpreter with --mdm-python")
        raise NotApplicable("there is no mdm command on the PATH; name MDM's interpreter with --mdm-python")
    facts = collect(mdm_installation, mdm_options.requirements, command)
    if facts.python_version and not facts.folder and not facts.missing_module and not cannot_start:
        raise NotApplicable(f"{facts.python} has no MDM; name MDM's interpreter with --mdm-python")
    return replace(facts, duckdb_by_default=mdm_config["database.default_backend"] == "duckdb")


def judge(facts: DependencyFacts) -> Iterator[Finding]:
    """From what stops MDM to what may cause trouble one day."""
    if not facts.broken:
        yield from check_start(facts)
    if facts.python_version and not facts.folder:
        return
    if facts.broken:
        yield INTERPRETER(remedy=conditions.remedy_for_interpreter(facts), facts=facts)
    elif facts.other:
        yield OTHER_MDM(facts=facts)
    else:
        if facts.shadowed:
            yield SHADOWED(subject=facts.shadowed, facts=facts)
        yield from check_imports(facts)
        for module in facts.late:
            remedy = conditions.remedy_for_module(facts, module)
            yield NOT_INSTALLED(subject=module, remedy=remedy, late=module)
        yield from check_requirements(facts)
        yield from check_known_troubles(facts)
        yield from check_migration(facts)


def check_start(facts: DependencyFacts) -> Iterator[Finding]:
    """A command that cannot start, or an interpreter that MDM is missing from."""
    command, remedy = facts.command, conditions.remedy_for_start(facts)
    if command is not None and command.start_problem:
        yield NOT_STARTING(at=command.path, remedy=remedy, facts=facts)
    elif facts.missing_module:
        program = command.path if command is not None and command.module else f"MDM in {facts.python}"
        source = facts.lost_source or facts.source if facts.missing_module == NAME else None
        yield NO_MODULE(
            at=command.path if command is not None else facts.python,
            remedy=remedy,
            facts=facts,
            program=program,
            source=f"; it was installed from {source}" if source else "",
        )


def check_imports(facts: DependencyFacts) -> Iterator[Finding]:
    """Modules of MDM that do not import."""
    reported = set()
    for cause in facts.import_failures:
        if cause.error in reported:  # what fails at once hides what would fail later for the same reason
            continue
        reported.add(cause.error)
        failure = cause.failure
        subject = failure.missing or cause.error
        evidence: dict[str, JSON] = {
            "modules": list(cause.modules),
            "error": cause.error,
            "raised_in": failure.where,
        }
        if failure.unfinished:
            yield UNFINISHED(subject=subject, evidence=evidence, facts=facts, cause=cause, module=cause.modules[0])
        elif cause.use is Use.NEVER:
            yield LEFT_OVER(subject=subject, evidence=evidence, cause=cause)
        else:
            rule = NOT_IMPORTABLE if cause.use is Use.ALWAYS else NOT_IMPORTABLE_ON_CALL
            remedy = conditions.remedy_for_failure(facts, failure)
            yield rule(subject=subject, evidence=evidence, remedy=remedy, cause=cause)


def check_requirements(facts: DependencyFacts) -> Iterator[Finding]:
    """Requirements that distributions declare: those of MDM, of what it needs, and of others."""
    if not facts.python_fits:
        yield PYTHON(remedy=conditions.remedy_for_interpreter(facts), facts=facts)
    for unmet in facts.unmet:
        conflict = unmet.conflict
        if conflict.installed is None:
            rule, severity = MISSING, {"mdm": FAIL, "its": WARN}.get(unmet.whose, NOTE)
        else:
            rule, severity = VERSION, NOTE if unmet.whose == "other" else WARN
        yield rule(
            severity,
            subject=f"{conflict.by}:{conflict.name}",
            evidence={"required_by": conflict.by, "requirement": conflict.needs, "installed": conflict.installed},
            facts=facts,
            conflict=conflict,
            requirement=conflict.needs,
            distribution=conditions.distribution_of(conflict.needs),
        )


def check_known_troubles(facts: DependencyFacts) -> Iterator[Finding]:
    """Versions that meet every requirement and do not work together."""
    for trouble in conditions.known_troubles(facts):
        one, other = trouble.one, trouble.other
        yield KNOWN_TROUBLE(
            FAIL if facts.duckdb_by_default else NOTE,
            subject=f"{one}:{other}",
            facts=facts,
            versions=f"{one} {facts.versions[one]} and {other} {facts.versions[other]}",
            effect=trouble.effect,
            requirement=trouble.helps,
            distribution=conditions.distribution_of(trouble.helps),
        )


def check_migration(facts: DependencyFacts) -> Iterator[Finding]:
    """The migration's requirements, compared with what is installed and with what MDM accepts."""
    for line in facts.migration:
        wanted, place = line.wanted, Location(line.wanted.file, line.wanted.line)
        if not line.met:
            installed = f"{line.installed} is installed" if line.installed else "it is not installed"
            yield MIGRATION_REQUIREMENTS(
                at=place, subject=wanted.name, facts=facts, wanted=wanted, installed=installed, file=wanted.file
            )
        if line.contradicts:
            yield CONTRADICTION(at=place, subject=wanted.name, wanted=wanted, needed=line.contradicts)
    for unclear in facts.unclear:
        yield REQUIREMENTS_FILE(
            WARN if unclear.wrong else NOTE,
            at=Location(unclear.file, unclear.line),
            subject=f"{unclear.file}:{unclear.line}",
            place=f"line {unclear.line} of {unclear.file}" if unclear.line else unclear.file,
            reason=unclear.reason,
        )
