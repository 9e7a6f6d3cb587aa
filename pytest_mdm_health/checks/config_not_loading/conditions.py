"""The conditions of `config-not-loading` that concern the settings as they are now."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path, PurePath

from pytest_mdm_health.checks._shared.permissions import allowed
from pytest_mdm_health.checks._shared.settings_file import as_yaml, line_option, place
from pytest_mdm_health.checks.config_not_loading.collect import DEFAULT_BACKEND
from pytest_mdm_health.checks.config_not_loading.facts import LOG_FILE, ConfigFacts, LiteralPath, Planned
from pytest_mdm_health.checks.config_not_loading.findings import (
    AS_PLANNED,
    BACKEND_VARIABLE,
    BESIDE_KNOWN_KEY,
    CONVERT_TO_UTF_8,
    CORRECT_ARCHIVED,
    DAMAGED_UTF,
    DEFAULTS_IN_FORCE,
    DUPLICATE_KEY,
    EMPTY_HOME_VARIABLE,
    ENCODING,
    EXPAND,
    FAIL,
    FORBIDDEN_CHARACTER,
    FOREIGN_VARIABLE,
    HOME_VARIABLE,
    IGNORED_VARIABLE,
    IMPOSSIBLE_PLAN,
    MDM_REFUSES,
    MERGE_CONFLICT,
    MISSING_BLANK,
    NO_SIMILAR_KEY,
    NO_SUGGESTION,
    NO_VARIABLE,
    NOT_A_MAPPING,
    NOT_DONE,
    NOT_EFFECTIVE,
    NOTE,
    ODD_CHARACTER,
    ODD_KEY,
    OTHER_DEFAULT,
    OTHER_HOME,
    OTHER_NAME,
    OTHER_VARIABLE,
    READ_OTHERWISE,
    REFUSED_VALUE,
    REFUSED_VARIABLE,
    REPAIR_UNDER_WAY,
    RESTORE_ARCHIVED,
    RESTORE_COPY,
    RESTORE_MISSING,
    SET_AS_PLANNED,
    SETTINGS_LOST,
    SYNTAX,
    TAKE_OUT,
    TRY_YAML,
    UNEXPANDED_PATH,
    UNFINISHED_REPAIR,
    UNKNOWN_KEY,
    UNKNOWN_REPAIR,
    UNREADABLE,
    UNREADABLE_WITH_COPY,
    UNREASONABLE,
    UNSET_VARIABLE,
    USE_KNOWN_KEY,
    VALIDATE,
    WARN,
    WRITE_AS_MEANT,
    ZERO_BYTES,
)
from pytest_mdm_health.core.findings import Rule, Steps
from pytest_mdm_health.core.model import Finding, Location, Remedy
from pytest_mdm_health.core.secrets import HIDDEN
from pytest_mdm_health.core.verbs import PROGRAM
from pytest_mdm_health.mdm.repair_marker import MARKER
from pytest_mdm_health.mdm.settings import SettingsProblem
from pytest_mdm_health.mdm.settings.environment import IgnoredVariable

RULE_OF_PROBLEM = {
    **dict.fromkeys(("syntax", "multiple-documents", "tag", "merge", "absurd-value"), SYNTAX),
    **dict.fromkeys(("too-large", "too-deep", "too-many-nodes", "alias-bomb", "recursive"), UNREASONABLE),
    "encoding": ENCODING,
    "unreadable": UNREADABLE,
    "not-a-mapping": NOT_A_MAPPING,
    "duplicate-key": DUPLICATE_KEY,
    "unknown-key": UNKNOWN_KEY,
    "key-not-text": ODD_KEY,
    "unseen": ODD_CHARACTER,
    "no-blank": MISSING_BLANK,
    "conflict": MERGE_CONFLICT,
    "trap": READ_OTHERWISE,
}
"""Code of a problem to its rule; all others are values that MDM rejects."""

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def check_problem(problem: SettingsProblem, facts: ConfigFacts) -> Finding:
    """A problem of the file or of a variable."""
    origin = problem.origin
    in_file = origin.kind != "environment"
    rule = RULE_OF_PROBLEM.get(problem.code, REFUSED_VALUE if in_file else REFUSED_VARIABLE)
    return rule(
        FAIL if problem.fatal else WARN,
        at=Location(facts.file, origin.line, origin.column) if in_file else None,
        subject=_subject(problem),
        evidence={"problem": problem.code, "key": problem.key, "suggestion": problem.suggestion},
        remedy=_remedy(problem, facts) if in_file else _variable_remedy(problem),
        place=place(origin),
        problem=problem.message,
        effect="; MDM does not start" if problem.fatal else "",
        file=facts.file,
        home=facts.home,
        spare=facts.spare,
        archive=facts.archive,
        encoding=facts.encoding,
        python=sys.executable or "python3",  # it runs this check, so it has PyYAML
        suggestion=problem.suggestion,
        as_yaml=as_yaml(problem.suggestion),
        key=problem.key,
        new_key=problem.suggestion,
        new_value=problem.meant,
        variable=origin.name,
        line=origin.line or 1,
        line_option=line_option(origin.line),
    )


def _subject(problem: SettingsProblem) -> str:
    if problem.origin.kind == "environment":
        return problem.origin.name
    if problem.code in {"unseen", "no-blank"}:  # there may be one on every line
        return f"line {problem.origin.line}"
    return problem.key or problem.code


def _variable_remedy(problem: SettingsProblem) -> Steps:
    return _for_shell(REFUSED_VARIABLE.remedy if problem.suggestion else UNSET_VARIABLE, problem.origin.name)


def _for_shell(steps: Steps, variable: str) -> Steps:
    """The steps without commands if a shell cannot name the variable."""
    return steps if _IDENTIFIER.fullmatch(variable) else Steps(steps.text)


def _remedy(problem: SettingsProblem, facts: ConfigFacts) -> Steps | Remedy:
    rule = RULE_OF_PROBLEM.get(problem.code, REFUSED_VALUE)
    if rule is UNREADABLE and facts.barrier is not None:
        return allowed(facts.barrier, facts.home)
    if rule is UNREADABLE:
        return UNREADABLE_WITH_COPY if facts.spare else UNREADABLE.remedy
    if rule is ENCODING:
        return _encoding_remedy(problem, facts)
    if rule in {SYNTAX, NOT_A_MAPPING, UNREASONABLE} and facts.spare:
        return RESTORE_COPY
    return _correction(rule, problem, facts)


def _correction(rule: Rule, problem: SettingsProblem, facts: ConfigFacts) -> Steps:
    """Change the one key if that is sure; else correct the line by hand, then let MDM or YAML read the file."""
    edit = facts.edits.get(problem.key)
    if edit is not None and rule in {UNKNOWN_KEY, REFUSED_VALUE}:
        return {"move": USE_KNOWN_KEY, "set": WRITE_AS_MEANT, "remove": TAKE_OUT}[edit]
    if rule is UNREASONABLE:  # reading it could take all memory
        return rule.remedy
    steps = CORRECT_ARCHIVED if facts.archive and rule in {SYNTAX, NOT_A_MAPPING} else rule.remedy
    if not problem.suggestion:
        steps = {UNKNOWN_KEY: NO_SIMILAR_KEY, REFUSED_VALUE: NO_SUGGESTION}.get(rule, steps)
    if rule is UNKNOWN_KEY and problem.suggestion in facts.origins:
        steps = BESIDE_KNOWN_KEY
    if facts.validate:
        return Steps(steps.text, (*steps.commands, VALIDATE))
    if rule in {SYNTAX, NOT_A_MAPPING}:
        return Steps(steps.text, (*steps.commands, TRY_YAML))
    return steps


def _encoding_remedy(problem: SettingsProblem, facts: ConfigFacts) -> Steps:
    """Only a file that names its encoding is converted; no guess is safe."""
    if facts.encoding:
        return CONVERT_TO_UTF_8
    if facts.spare:
        return RESTORE_COPY
    if "U+0000" in problem.message:
        return RESTORE_ARCHIVED if facts.archive and facts.only_zeros else ZERO_BYTES
    if "U+" in problem.message:
        return FORBIDDEN_CHARACTER
    if "UTF-" in problem.message.partition("where")[0] and "encoded" in problem.message:
        return DAMAGED_UTF
    return ENCODING.remedy


def check_variable(variable: IgnoredVariable) -> Finding:
    """A variable that has no effect."""
    is_mdm = variable.known or variable.key is not None
    return IGNORED_VARIABLE(
        WARN if is_mdm else NOTE,
        subject=variable.name,
        evidence={"key": variable.key, "instead": variable.instead},
        remedy=_for_shell(_ignored_variable_remedy(variable), variable.name),
        variable=variable.name,
        reason=_why_ignored(variable),
        key=variable.key,
        instead=variable.instead,
        as_yaml=as_yaml(variable.key or ""),
    )


def _why_ignored(variable: IgnoredVariable) -> str:
    if variable.key is None:
        return "no released version of MDM reads it" if variable.known else "MDM has no setting of that name"
    meant = f"it is meant for `{variable.key}`" if variable.exact else f"the most similar setting is `{variable.key}`"
    return f"{meant}, whose variable is {variable.instead}" if variable.instead else f"{meant}, which has no variable"


def _ignored_variable_remedy(variable: IgnoredVariable) -> Steps:
    if variable.key is None:
        return FOREIGN_VARIABLE if variable.known else IGNORED_VARIABLE.remedy
    if variable.instead is None:
        return NO_VARIABLE
    return BACKEND_VARIABLE if variable.key == DEFAULT_BACKEND else OTHER_VARIABLE


def check_home(facts: ConfigFacts) -> Iterator[Finding]:
    """Which home MDM uses, and whether that has settings."""
    given = facts.home_variable
    if given == "":
        yield EMPTY_HOME_VARIABLE(subject="MDM_HOME_DIR", home=facts.home)
    elif given is not None and not PurePath(given).is_absolute():
        yield HOME_VARIABLE(subject="MDM_HOME_DIR", value=given, home=facts.home)
    elif not facts.names_this_home:
        yield OTHER_HOME(subject="MDM_HOME_DIR", value=given, home=facts.home)
    if facts.state not in {"missing", "empty"}:
        return
    missing = facts.state == "missing"
    state = "does not exist" if missing else "contains no settings"
    if facts.spare:
        remedy = RESTORE_MISSING if missing else RESTORE_COPY
        yield SETTINGS_LOST(at=facts.file, remedy=remedy, file=facts.file, state=state, spare=facts.spare)
    else:
        yield DEFAULTS_IN_FORCE(at=facts.file, file=facts.file, state=state)


def check_repair(facts: ConfigFacts) -> Iterator[Finding]:
    """A repair that is not over."""
    if facts.repair is None:
        return
    if facts.repair.saved is None:
        yield UNKNOWN_REPAIR(marker=str(Path(facts.home) / MARKER), home=facts.home)
    elif facts.repair.under_way:
        yield REPAIR_UNDER_WAY(saved=str(facts.repair.saved))
    else:
        yield UNFINISHED_REPAIR(saved=str(facts.repair.saved), program=PROGRAM)


def check_path(path: LiteralPath, facts: ConfigFacts) -> Finding:
    """A path that MDM takes literally, although it is written to be expanded."""
    return UNEXPANDED_PATH(
        WARN if path.there or path.key == LOG_FILE else FAIL,
        at=Location(facts.file, path.line) if path.line else None,
        remedy=EXPAND if path.expanded else UNEXPANDED_PATH.remedy,
        new_value=path.expanded,
        file=facts.file,
        subject=path.key,
        evidence={"folder": path.folder},
        key=path.key,
        value=path.value,
        source=path.source,
        reason=path.why,
        folder=path.folder,
        state="is empty" if path.there else "does not exist",
        home=facts.home,
    )


def check_runtime(facts: ConfigFacts) -> Iterator[Finding]:
    """What the installed MDM makes of the settings."""
    mdm = f"the installed MDM {facts.version}".rstrip()
    if facts.refusal:
        yield MDM_REFUSES(
            evidence={"version": facts.version},
            remedy=_if_offered(MDM_REFUSES.remedy, facts),
            mdm=mdm,
            reason=facts.refusal,
            home=facts.home,
        )
    for setting in facts.differences:
        origin = setting.origin
        if origin.kind != "default":
            steps = OTHER_NAME if setting.name != setting.key else NOT_EFFECTIVE.remedy
            yield NOT_EFFECTIVE(
                at=Location(facts.file, origin.line) if origin.kind == "file" else None,
                subject=setting.key,
                evidence={"said": setting.said, "effective": setting.effective, "name": setting.name},
                remedy=_if_offered(steps, facts),
                key=setting.key,
                value=setting.said,
                place=place(origin),
                mdm=mdm,
                effective=setting.effective,
                name=setting.name,
                home=facts.home,
            )
    defaults = [setting for setting in facts.differences if setting.origin.kind == "default"]
    if defaults:
        yield OTHER_DEFAULT(
            evidence={setting.key: setting.effective for setting in defaults},
            mdm=mdm,
            settings="; ".join(f"`{setting.key}` is {setting.effective}, not {setting.said}" for setting in defaults),
        )


def _if_offered(steps: Steps, facts: ConfigFacts) -> Steps:
    """The steps without `mdm config show` if the installed MDM does not have it."""
    return steps if facts.show else Steps(steps.text)


def check_plan(setting: Planned, facts: ConfigFacts) -> Finding:
    """Whether a planned setting is in effect."""
    if setting.done:
        reason = "which follows from the planned backend" if setting.implied else "as planned"
        return AS_PLANNED(subject=setting.key, key=setting.key, value=setting.value, reason=reason)
    evidence = {"planned": setting.value}
    if setting.wrong:
        return IMPOSSIBLE_PLAN(
            at=facts.file,
            subject=setting.key,
            evidence=evidence,
            key=setting.key,
            value=setting.value,
            reason=setting.wrong,
        )
    current = facts.value_of(setting.key)
    return NOT_DONE(
        at=facts.file,
        subject=setting.key,
        evidence=evidence,
        key=setting.key,
        value=setting.value,
        now="different" if current is None else _joined(current),
        as_yaml=as_yaml(setting.key),
        remedy=SET_AS_PLANNED if _can_be_set(setting, facts) else NOT_DONE.remedy,
        new_value=setting.value,
        file=facts.file,
        line_option="",
    )


def _can_be_set(setting: Planned, facts: ConfigFacts) -> bool:
    """Whether the file can set the value, which no variable then sets to another."""
    from_file = facts.origins.get(setting.key, Path(facts.file).name) == Path(facts.file).name
    known = setting.value != HIDDEN and not setting.implied
    return facts.state in {"present", "empty"} and from_file and known and setting.key not in facts.effective


def _joined(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
