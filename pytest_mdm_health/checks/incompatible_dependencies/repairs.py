"""What to do about the findings of check 1.2.

Only a new environment is ever installed into: a release that is put into one that is there brings others with it, which
may not fit what worked before. For what is there, the commands only show.
"""

from __future__ import annotations

import shlex
import sys

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion, Version

from pytest_mdm_health.checks.incompatible_dependencies.facts import Cause, DependencyFacts
from pytest_mdm_health.core.model import Remedy
from pytest_mdm_health.mdm.installed.installation import NAME

NONE = Remedy("Nothing to do: no command and no public interface of this release gets there.")
OTHER_INTERPRETER = Remedy("Name the interpreter that the ML Data Manager is installed in with --mdm-python.")
CORRECT_FILE = Remedy("Correct the file: name==version, with a version that MDM accepts too.")

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
"""Modules that the standard library had, and the release of Python from which on it does not have them."""

_NEW = "new-mdm"
_CAREFULLY = "in a new environment, so that the old one stays until the new one works"


def of_import(facts: DependencyFacts, cause: Cause) -> Remedy:
    """Make a module importable."""
    if cause.missing:
        return of_module(facts, cause.missing)
    raised_in = (cause.where or NAME).partition(".")[0]
    if raised_in == NAME:
        return _reinstall(facts)
    if _is_pythons(raised_in):
        return _of_python(facts, raised_in)
    name = _name_of(PROVIDERS.get(raised_in, raised_in))
    text = (
        f"{raised_in} is damaged, or does not fit what it was built for. See which versions are there and go back to "
        f"those that worked, {_CAREFULLY}."
    )
    return Remedy(text, (_pip(facts, "show", name), _pip(facts, "check"), _imported(facts, raised_in)))


def of_module(facts: DependencyFacts, module: str) -> Remedy:
    """Say what has a module that is not there."""
    top = module.partition(".")[0]
    if top == NAME:
        return _reinstall(facts)
    if _is_pythons(top):
        return _of_python(facts, top)
    known = PROVIDERS.get(top) or facts.needs.get(top) or (top if top in facts.versions else None)
    if known is None:
        text = (
            f"Find out what the module {top} is part of: which distribution has it is not known here, and one of the "
            f"same name may be another program. Install that in a version that MDM accepts, {_CAREFULLY}."
        )
        return Remedy(text, (_imported(facts, top), _pip(facts, "check")))
    note = " Releases from 82 on do not have that module any more." if top == "pkg_resources" else ""
    text = f"The module {top} is part of {facts.needs.get(_name_of(known), known)}.{note} Install it {_CAREFULLY}."
    return Remedy(text, (_imported(facts, top), _pip(facts, "show", _name_of(known)), _pip(facts, "check")))


def of_requirement(facts: DependencyFacts, requirement: str) -> Remedy:
    """Say which version is required."""
    text = (
        f"Install a release that meets {requirement} and goes with everything else that MDM requires, {_CAREFULLY}: "
        "put into the one that is there, it may bring releases with it that do not fit."
    )
    return Remedy(text, (_pip(facts, "show", _name_of(requirement)), _pip(facts, "check")))


def of_file(facts: DependencyFacts, file: str) -> Remedy:
    """Install exactly what a file of requirements asks for."""
    text = f"Install exactly what the file asks for {_CAREFULLY}; then install MDM in it, too."
    return Remedy(text, (_new_environment(facts.python, "--no-cache-dir", "-r", file),))


def by_hand(facts: DependencyFacts, cause: Cause) -> Remedy:
    """See what an import that takes so long is waiting for."""
    return Remedy(
        "See what it waits for, and allow more time with --mdm-timeout if it is only slow.",
        (shlex.join([facts.python, "-X", "importtime", "-c", f"import {cause.modules[0]}"]),),
    )


def new_environment(facts: DependencyFacts, first: str = "") -> Remedy:
    """Start over with an interpreter that is there."""
    text = (
        f"{first}Make a new environment with a Python that MDM supports and install MDM in it; or name the interpreter "
        "that MDM is installed in with --mdm-python."
    )
    return Remedy(text, (_new_environment("python3", facts.source),) if facts.source else ())


def of_command(facts: DependencyFacts) -> Remedy:
    """Have a command again that starts."""
    if facts.lost:
        return new_environment(facts, f"Put the source tree back to {facts.lost}, where MDM was installed from. Or: ")
    seen = (f"ls -l -- {shlex.quote(facts.command)}", f"head -n 1 -- {shlex.quote(facts.command)} | od -c")
    remedy = new_environment(facts, "The command was written by the installation, and that is not whole any more. ")
    return Remedy(remedy.text, (*(seen if facts.command else ()), *remedy.commands))


def _reinstall(facts: DependencyFacts) -> Remedy:
    text = "This module belongs to MDM itself: the installation is incomplete, or the release is. Install MDM again"
    if not facts.source:
        return Remedy(f"{text} from where it came from (not from PyPI, where mdm is another program), {_CAREFULLY}.")
    text = f"{text} {_CAREFULLY}; if that does not help, take another release."
    return Remedy(text, (_new_environment(facts.python, facts.source),))


def _of_python(facts: DependencyFacts, module: str) -> Remedy:
    removed = REMOVED.get(module)
    if removed and facts.python_version and _at_least(facts.python_version, removed):
        text = (
            f"{module} was a module of Python itself, and Python {removed} and later do not have it. Take a release of "
            f"MDM and its dependencies that does without, or an older Python, {_CAREFULLY}."
        )
    else:
        text = (
            f"{module} is a module of Python itself, and nothing on PyPI replaces it: this Python was built without "
            "it, or a library of the system that it needs is missing. Rebuild or reinstall Python, or take another one "
            f"and install MDM there, {_CAREFULLY}."
        )
    return Remedy(text, (_imported(facts, module),))


def _is_pythons(module: str) -> bool:
    return module in sys.stdlib_module_names or module in REMOVED


def _at_least(version: str, least: str) -> bool:
    try:
        return Version(version) >= Version(least)
    except InvalidVersion:
        return False


def _name_of(requirement: str) -> str:
    try:
        return Requirement(requirement).name
    except InvalidRequirement:
        return requirement


def _imported(facts: DependencyFacts, module: str) -> str:
    return shlex.join([facts.python, "-c", f"import {module}"])


def _new_environment(python: str, *installed: str) -> str:
    """Install something in a new environment, if there is nothing of its name yet."""
    made = f"{shlex.quote(python)} -m venv {_NEW}"
    return f"test ! -e {_NEW} && {made} && {_NEW}/bin/python -m pip install {shlex.join(installed)}"


def _pip(facts: DependencyFacts, command: str, *arguments: str) -> str:
    if facts.pip:
        return shlex.join([facts.python, "-m", "pip", command, *arguments])
    return shlex.join(["uv", "pip", command, "--python", facts.python, *arguments])
