"""MDM and what it depends on do not fit together, or MDM does not even import.

Symptoms
--------
Import errors after requirements were updated; `ModuleNotFoundError: mdm.…`; complaints about version conflicts;
`pip install` that fails; an `mdm version` that answers while every other command dies at once.

Causes
------
MDM sets no upper bounds, so a fresh installation gets releases that it was never tried with. A dependency can meet
every declared requirement and still break the import: setuptools from 82 on comes without `pkg_resources`, which a
library below MDM imports. Others are used and not declared at all. An upgrade of Python leaves an environment whose
interpreter is gone; moving the source tree of an editable installation leaves a command without its module. And a
distribution called `mdm` on PyPI is a different program.

Diagnosis
---------
Ask the interpreter that MDM is installed in, not any other: `python -m pip check`, `python -m pip show sqlalchemy
pydantic typer`, `python --version`, and `python -c 'import mdm.api, mdm.cli.dataset'`, since only importing tells.

Solutions
---------
Install the exact versions of `requirements_migration.txt` without the cache, or releases that are known to work, in a
new virtual environment (`python -m venv`, or `uv venv` with Python 3.10), which keeps the old one until the new one
works. No command that is offered changes an environment that is there: a release without an upper bound brings others
with it that do not fit. What belongs to Python itself, such as `_sqlite3`, comes with Python and not from PyPI.

Findings
--------
* `interpreter` (fail): the interpreter of the `mdm` command is gone or does not answer.
* `not-starting` (fail): the `mdm` command cannot start, or ends in `No module named 'mdm'`.
* `other-mdm` (warn): what is installed as `mdm` is not the ML Data Manager.
* `not-importable` (fail/warn): modules that commands or backends need do not import; a warning if only some call
  gets there.
* `unfinished` (warn): importing a module took longer than the check may.
* `not-installed` (warn): something that MDM's code imports late is not there; the call that needs it will fail.
* `left-over` (note): modules of this release do not import, and nothing uses them.
* `missing` (fail/warn/note): a requirement is not installed; a failure if it is MDM's own, a note if it has nothing to
  do with MDM.
* `version` (warn/note): the installed version is not one that is required; a note if it has nothing to do with MDM.
* `python` (warn): MDM does not support this version of Python.
* `known-trouble` (fail/note): the installed versions are known not to work together; a note if nothing here uses that.
* `migration-requirements` (warn): what is installed is not what the migration's requirements ask for.
* `contradiction` (warn): the migration's requirements ask for a version that MDM does not accept.
* `requirements-file` (warn/note): the file of requirements cannot be read, or a line in it cannot be checked (a note).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pytest_mdm_health.checks.incompatible_dependencies import repairs
from pytest_mdm_health.checks.incompatible_dependencies.facts import (
    DependencyFacts,
    gather,
    of_command,
    stopped_by,
    troubles,
)
from pytest_mdm_health.core.model import JSON, Check, Finding, Kind, Location, NotApplicable, Severity
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.mdm.installed.installation import Installation
from pytest_mdm_health.mdm.installed.search import find_command
from pytest_mdm_health.mdm.settings import Settings

CHECK = Check(
    id="incompatible-dependencies",
    issue="1.2",
    title="Incompatible dependencies",
    per=Kind.HOME,
    tags=("installation", "dependencies"),
)
FAIL, WARN, NOTE = Severity.FAIL, Severity.WARN, Severity.NOTE


def observe(mdm_installation: Installation | None, mdm_options: Options, mdm_config: Settings) -> DependencyFacts:
    """Compare what MDM's interpreter has with what is required of it."""
    command = find_command() if mdm_options.python is None else None
    stopped = stopped_by(command, mdm_installation)
    if mdm_installation is None:
        if command is not None and stopped:
            return of_command(command, stopped)
        raise NotApplicable("there is no mdm command on the PATH; name MDM's interpreter with --mdm-python")
    if mdm_installation.python_version and not mdm_installation.folder and not stopped:
        raise NotApplicable(f"{mdm_installation.python} has no MDM; name MDM's interpreter with --mdm-python")
    duckdb = mdm_config["database.default_backend"] == "duckdb"
    facts = gather(mdm_installation, mdm_options.requirements, duckdb_by_default=duckdb)
    return replace(facts, command=command.path if command else "", stopped=stopped)


def judge(facts: DependencyFacts, before: DependencyFacts | None) -> Iterator[Finding]:  # noqa: ARG001 - stands for itself
    """From what stops MDM to what may trouble it one day."""
    if facts.stopped and not facts.broken:
        remedy = repairs.of_command(facts)
        yield CHECK.finding(
            "not-starting", FAIL, facts.stopped, remedy, location=Location(facts.command or facts.python)
        )
    if facts.python_version and not facts.folder:
        return
    if facts.broken:
        message = f"MDM's interpreter gives no answer: {facts.broken}."
        yield CHECK.finding("interpreter", FAIL, message, repairs.new_environment(facts))
    elif facts.other:
        message = f"What {facts.python} has under the name mdm is not the ML Data Manager but {facts.other}."
        yield CHECK.finding("other-mdm", WARN, message, repairs.OTHER_INTERPRETER)
    else:
        yield from _imports(facts)
        yield from _late_imports(facts)
        yield from _metadata(facts)
        yield from _troubles(facts)
        yield from _migration(facts)


def _imports(facts: DependencyFacts) -> Iterator[Finding]:
    reported = set()
    for cause in facts.causes:
        code, severity, message, remedy = "left-over", NOTE, cause.as_left_over, repairs.NONE
        if cause.unfinished:
            code, severity, message, remedy = "unfinished", WARN, cause.as_unfinished, repairs.by_hand(facts, cause)
        elif cause.use != "never":
            severity = FAIL if cause.use == "always" else WARN
            code, message, remedy = "not-importable", cause.as_failure, repairs.of_import(facts, cause)
        if cause.error not in reported:  # what fails at once hides what would fail later for the same reason
            evidence: dict[str, JSON] = {"modules": [*cause.modules], "error": cause.error, "raised_in": cause.where}
            subject = cause.missing or cause.error
            yield CHECK.finding(code, severity, message, remedy, evidence=evidence, subject=subject)
        reported.add(cause.error)


def _late_imports(facts: DependencyFacts) -> Iterator[Finding]:
    for name in facts.late:
        message = f"MDM imports {name} only when it is needed, and it is not there: the call that needs it will fail."
        yield CHECK.finding("not-installed", WARN, message, repairs.of_module(facts, name), subject=name)


def _metadata(facts: DependencyFacts) -> Iterator[Finding]:
    if not facts.python_fits:
        message = f"MDM needs Python {facts.requires_python}; its interpreter is {facts.python_version}."
        yield CHECK.finding("python", WARN, message, repairs.new_environment(facts))
    for each in facts.unmet:
        evidence = {"required_by": each.by, "requirement": each.needs, "installed": each.installed}
        code, severity = "missing", {"mdm": FAIL, "its": WARN}.get(each.whose, NOTE)
        there = "which is not installed"
        if each.installed is not None:
            code, severity = "version", NOTE if each.whose == "other" else WARN
            there = f"but installed is {each.installed}"
        message = f"{each.by} requires {each.needs}, {there}."
        remedy = repairs.of_requirement(facts, each.needs)
        yield CHECK.finding(code, severity, message, remedy, evidence=evidence, subject=f"{each.by}:{each.name}")


def _troubles(facts: DependencyFacts) -> Iterator[Finding]:
    for each in troubles(facts.versions):
        versions = " and ".join(f"{name} {facts.versions[name]}" for name in (each.one, each.other))
        message = f"With {versions}, {each.what}."
        severity = FAIL if facts.duckdb_by_default else NOTE
        remedy = repairs.of_requirement(facts, each.repair)
        yield CHECK.finding("known-trouble", severity, message, remedy, subject=f"{each.one}:{each.other}")


def _migration(facts: DependencyFacts) -> Iterator[Finding]:
    for each in facts.asked:
        place = Location(each.file, each.line)
        if not each.met:
            there = f"installed is {each.installed}" if each.installed else "it is not installed"
            message = f"The migration's requirements ask for {each.needs}; {there}."
            remedy = repairs.of_file(facts, each.file)
            yield CHECK.finding("migration-requirements", WARN, message, remedy, location=place, subject=each.name)
        if each.against:
            message = f"The migration's requirements ask for {each.needs}, but MDM itself needs {each.against}."
            yield CHECK.finding("contradiction", WARN, message, repairs.CORRECT_FILE, location=place, subject=each.name)
    for line in facts.unclear:
        at = f"Line {line.line} of {line.file}" if line.line else line.file
        message = f"{at} {line.reason}; it was not compared with what is installed."
        severity = WARN if line.wrong else NOTE
        yield CHECK.finding(
            "requirements-file", severity, message, repairs.CORRECT_FILE,
            location=Location(line.file, line.line), subject=f"{line.file}:{line.line}",
        )  # fmt: skip
