"""The findings of `config-not-loading`."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import PurePath

from pytest_mdm_health.checks._shared.permissions import allowed
from pytest_mdm_health.checks.config_not_loading import repairs
from pytest_mdm_health.checks.config_not_loading.facts import HOME_VARIABLE, ConfigFacts, Difference
from pytest_mdm_health.core.model import Check, Finding, Location, Remedy, Severity
from pytest_mdm_health.mdm.settings import SettingsProblem
from pytest_mdm_health.mdm.settings.environment import IgnoredVariable

_CODES = {
    **dict.fromkeys(("syntax", "multiple-documents", "tag", "merge", "absurd-value"), "syntax"),
    **dict.fromkeys(("too-large", "too-deep", "too-many-nodes", "alias-bomb", "recursive"), "unreasonable"),
    **{code: code for code in ("encoding", "unreadable", "not-a-mapping", "duplicate-key", "unknown-key")},
    "key-not-text": "odd-key",
    "unseen": "odd-character",
    "no-blank": "missing-blank",
    "conflict": "merge-conflict",
    "trap": "read-otherwise",
}
"""Codes of problems to codes of findings; all others are values that MDM refuses."""


def of_problems(check: Check, facts: ConfigFacts) -> Iterator[Finding]:
    """What is wrong with the file and with what variables set."""
    for problem in facts.problems:
        by_variable = problem.origin.kind == "environment"
        code = _CODES.get(problem.code, "refused-variable" if by_variable else "refused-value")
        where = problem.origin.name if by_variable else _place(problem)
        yield check.finding(
            code,
            Severity.FAIL if problem.fatal else Severity.WARN,
            f"{where}: {problem.message}{'; MDM does not start with that' if problem.fatal else ''}",
            _remedy(code, problem, facts),
            evidence={"problem": problem.code, "key": problem.key, "meant": problem.suggestion},
            location=None if by_variable else Location(facts.file, problem.origin.line, problem.origin.column),
            subject=_subject(problem),
        )


def of_variables(check: Check, facts: ConfigFacts) -> Iterator[Finding]:
    """The variables that set nothing."""
    for variable in facts.ignored:
        ours = variable.known or variable.key is not None
        yield check.finding(
            "ignored-variable",
            Severity.WARN if ours else Severity.NOTE,
            f"{variable.name} sets nothing: {_why_ignored(variable)}",
            repairs.variable_renamed(variable),
            evidence={"key": variable.key, "instead": variable.instead},
            subject=variable.name,
        )


def of_home(check: Check, facts: ConfigFacts) -> Iterator[Finding]:
    """Where MDM looks for the settings, and whether it finds any."""
    given = facts.home_variable
    if given is not None and not PurePath(given).is_absolute():
        what = "is empty, and MDM takes that for" if not given else f"is {given!r}, which MDM takes for a place below"
        yield check.finding(
            "home-variable",
            Severity.WARN,
            f"{HOME_VARIABLE} {what} the folder that it happens to be started in",
            Remedy(f"Give it the whole path of the home that is meant, such as {_home(facts)} for this one."),
            subject=HOME_VARIABLE,
        )
    elif given is not None and not facts.names_this_home:
        yield check.finding(
            "other-home",
            Severity.NOTE,
            f"{HOME_VARIABLE} leads MDM to {given}, while this run examines {facts.home}",
            Remedy(f"Set {_home(facts)} if MDM is to work with this home; else nothing has to be done."),
            subject=HOME_VARIABLE,
        )
    if facts.state in {"missing", "empty"}:
        what = "does not exist" if facts.state == "missing" else "says nothing"
        message = f"{facts.file} {what}, so all settings that no variable sets have their defaults"
        remedy = Remedy("Nothing has to be done if that is meant.")
        if facts.spare:
            message += f"; {facts.spare} has settings"
            remedy = repairs.put_back(facts.file, facts.spare, missing=facts.state == "missing")
        severity = Severity.WARN if facts.spare else Severity.NOTE
        yield check.finding("defaults-in-force", severity, message, remedy, location=Location(facts.file))


def of_paths(check: Check, facts: ConfigFacts) -> Iterator[Finding]:
    """The paths that MDM takes literally although they are written for somebody who expands them."""
    for each in facts.literal_paths:
        state = "which is not there" if not each.there else "which is empty"
        yield check.finding(
            "unexpanded-path",
            Severity.WARN if each.there or each.key == "logging.file" else Severity.FAIL,
            f"`{each.key}` is {each.value} by {each.source}; {each.why}, so it looks in the folder of that very "
            f"name, {each.folder}, {state}",
            Remedy(
                f"Write the whole path, or one as seen from the home, as `{each.key}`; then see with "
                "`mdm dataset list` that MDM finds what it found before. Register nothing again before that: the data "
                "is where it was, and MDM looks elsewhere.",
                (f"ls -la -- {shlex.quote(facts.home)}",),
            ),
            evidence={"folder": each.folder},
            location=Location(facts.file, each.line) if each.line else None,
            subject=each.key,
        )


def of_the_installed(check: Check, facts: ConfigFacts) -> Iterator[Finding]:
    """What the installed MDM makes of the settings."""
    mdm = f"the installed MDM {facts.version}".rstrip()
    if facts.refusal:
        yield check.finding(
            "mdm-refuses",
            Severity.FAIL,
            f"{mdm} does not load these settings, in which nothing else is wrong: {facts.refusal}",
            Remedy("Correct what it names, or look at what this version understands.", _ask(facts)),
            evidence={"version": facts.version},
        )
    for each in facts.differences:
        yield check.finding(
            "not-effective",
            Severity.WARN,
            f"`{each.key}` is {each.said} by {_source(each)}, and {mdm} works with {each.effective}",
            Remedy(_why_other(each), _ask(facts)),
            evidence={"said": each.said, "effective": each.effective, "name": each.name},
            location=Location(facts.file, each.origin.line) if each.origin.kind == "file" else None,
            subject=each.key,
        )
    if facts.other_defaults:
        named = "; ".join(f"{each.key} {each.effective} for {each.said}" for each in facts.other_defaults)
        yield check.finding(
            "other-default",
            Severity.NOTE,
            f"{mdm} has defaults of its own: {named}",
            Remedy("Write what matters into mdm.yaml, and it no longer depends on the version."),
            evidence={each.key: each.effective for each in facts.other_defaults},
        )


def _remedy(code: str, problem: SettingsProblem, facts: ConfigFacts) -> Remedy:
    validate = f"MDM_HOME_DIR={shlex.quote(facts.home)} mdm config validate" if facts.validate else ""
    if code == "unreadable" and facts.barrier is not None:
        return allowed(facts.barrier)
    of_file = {
        "unreadable": lambda: repairs.no_settings(facts.file, facts.spare),
        "unreasonable": lambda: repairs.unreasonable(facts.file, facts.spare, problem),
        "encoding": lambda: repairs.encoded(facts.file, facts.spare, problem, facts.encoding),
        **dict.fromkeys(
            ("syntax", "not-a-mapping"), lambda: repairs.restored(facts.file, facts.spare, problem, validate)
        ),
    }
    if code in of_file:
        return of_file[code]()
    if problem.origin.kind == "environment":
        return repairs.unset(problem.origin.name, _advice(problem))
    return repairs.corrected(facts.file, problem, _advice(problem), *((validate,) if validate else ()))


def _advice(problem: SettingsProblem) -> str:
    if problem.code in {"unseen", "no-blank", "conflict"}:
        return problem.suggestion
    if problem.code == "duplicate-key":
        return "Take out the one that is not meant."
    if problem.code == "unknown-key":
        meant = problem.suggestion
        return f"Write {repairs.nested(meant)} instead." if meant else "Take it out, or see what it is called now."
    if problem.origin.kind == "environment":
        return f"Unset the variable, or: {problem.suggestion}." if problem.suggestion else "Unset the variable."
    return f"Write another value: {problem.suggestion}." if problem.suggestion else "Write a value that MDM takes."


def _place(problem: SettingsProblem) -> str:
    return "mdm.yaml" if problem.origin.line is None else f"mdm.yaml, line {problem.origin.line}"


def _subject(problem: SettingsProblem) -> str:
    if problem.origin.kind == "environment":
        return problem.origin.name
    if problem.code in {"unseen", "no-blank"}:  # there may be one on every line
        return f"line {problem.origin.line}"
    return problem.key or problem.code


def _why_ignored(variable: IgnoredVariable) -> str:
    if variable.key is None:
        return "no released MDM reads it" if variable.known else "MDM has no setting that is called like this"
    meant = f"it is meant for `{variable.key}`" if variable.exact else f"the nearest setting is `{variable.key}`"
    return f"{meant}, whose variable is {variable.instead}" if variable.instead else f"{meant}, which has no variable"


def _why_other(each: Difference) -> str:
    if each.name != each.key:
        return f"This MDM calls the setting `{each.name}`; write it under that name."
    return "See whether older settings are still in the way (`legacy-config-active`), and how MDM was started."


def _source(each: Difference) -> str:
    return each.origin.name if each.origin.kind == "environment" else f"mdm.yaml, line {each.origin.line}"


def _ask(facts: ConfigFacts) -> tuple[str, ...]:
    return (f"MDM_DEBUG_CONFIG=true {_home(facts)} mdm config show --sources",) if facts.show else ()


def _home(facts: ConfigFacts) -> str:
    return f"{HOME_VARIABLE}={shlex.quote(facts.home)}"
