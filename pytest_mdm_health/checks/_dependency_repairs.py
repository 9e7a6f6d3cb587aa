"""What to do about the findings of check 1.2, with the interpreter and the installer that are there."""

from __future__ import annotations

import shlex

from pytest_mdm_health.checks._dependency_facts import Cause, DependencyFacts
from pytest_mdm_health.mdm.installation import NAME
from pytest_mdm_health.model import Remedy

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


def of_import(facts: DependencyFacts, cause: Cause) -> Remedy:
    """Make a module importable."""
    if cause.missing:
        return of_module(facts, cause.missing)
    raised_in = (cause.where or NAME).partition(".")[0]
    if raised_in == NAME:
        return _reinstall(facts)
    broken = PROVIDERS.get(raised_in, raised_in)
    return Remedy(
        f"{raised_in} is damaged, or does not fit what it was built for. Install it anew; if that does not help, go "
        "back to the versions that worked.",
        (_pip(facts, "install", "--force-reinstall", "--no-cache-dir", facts.needs.get(broken, broken)),),
    )


def of_module(facts: DependencyFacts, module: str) -> Remedy:
    """Install what has a module."""
    top = module.partition(".")[0]
    if top == NAME:
        return _reinstall(facts)
    distribution = PROVIDERS.get(top, top)
    requirement = facts.needs.get(distribution, distribution)
    note = " Releases from 82 on do not have that module any more." if top == "pkg_resources" else ""
    return Remedy(f"Install what the module {top} is part of.{note}", (_pip(facts, "install", requirement),))


def of_requirement(facts: DependencyFacts, requirement: str) -> Remedy:
    """Install a version that is required."""
    return Remedy("Install a version that fits.", (_pip(facts, "install", requirement),))


def of_file(facts: DependencyFacts, file: str) -> Remedy:
    """Install exactly what a file of requirements asks for."""
    return Remedy(
        "Install exactly what the file asks for, best in a new environment, so that the old one stays until the new "
        "one works.",
        (_pip(facts, "install", "--no-cache-dir", "-r", file),),
    )


def by_hand(facts: DependencyFacts, cause: Cause) -> Remedy:
    """See what an import that takes so long is waiting for."""
    return Remedy(
        "See what it waits for, and allow more time with --mdm-timeout if it is only slow.",
        (shlex.join([facts.python, "-X", "importtime", "-c", f"import {cause.modules[0]}"]),),
    )


def new_environment(facts: DependencyFacts) -> Remedy:
    """Start over with an interpreter that is there."""
    install = [shlex.join(["new-mdm/bin/python", "-m", "pip", "install", facts.source])] if facts.source else []
    return Remedy(
        "Make a new environment with a Python that MDM supports and install MDM in it; or name the interpreter that "
        "MDM is installed in with --mdm-python.",
        ("python3 -m venv new-mdm", *install),
    )


def _reinstall(facts: DependencyFacts) -> Remedy:
    text = "This module belongs to MDM itself: the installation is incomplete, or the release is. Install MDM again"
    if not facts.source:
        return Remedy(f"{text} from where it came from (not from PyPI, where mdm is another program).")
    return Remedy(f"{text}; if that does not help, take another release.", (
        _pip(facts, "install", "--force-reinstall", "--no-deps", facts.source),
    ))  # fmt: skip


def _pip(facts: DependencyFacts, command: str, *arguments: str) -> str:
    if facts.pip:
        return shlex.join([facts.python, "-m", "pip", command, *arguments])
    options = [argument for argument in arguments if argument != "--no-cache-dir"]
    return shlex.join(["uv", "pip", command, "--python", facts.python, *options])
