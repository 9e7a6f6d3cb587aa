"""The conditions of `config-not-loading` that compare the settings with those of the baseline."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import PurePath

from pytest_mdm_health.checks._shared.settings_file import as_yaml
from pytest_mdm_health.checks.config_not_loading.collect import DEFAULT_BACKEND
from pytest_mdm_health.checks.config_not_loading.facts import PATHS, ConfigFacts, canonical, shown, target_of
from pytest_mdm_health.checks.config_not_loading.findings import (
    CHANGED_DEFAULT,
    CHANGED_SETTING,
    MAKE_RELATIVE,
    PLAN_IT_OR,
    POINTS_BACK,
    REVERTED,
    SET_AGAIN,
    SET_AGAIN_AS_IT_WAS,
    SET_AS_BEFORE,
    UNPLANNED_SETTING,
    WRITE_AGAIN,
)
from pytest_mdm_health.core.findings import Rule, Steps
from pytest_mdm_health.core.model import Finding
from pytest_mdm_health.core.secrets import HIDDEN
from pytest_mdm_health.mdm.settings.edits import as_word
from pytest_mdm_health.mdm.settings.environment import PREFIX
from pytest_mdm_health.mdm.settings.schema import BY_NAME

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./+-]*")
_READ_OTHERWISE = re.compile("on|off|yes|no|true|false|null|y|n", re.IGNORECASE)


@dataclass(frozen=True)
class SettingChange:
    """A setting whose value is not that of the baseline.

    Attributes:
        key: dotted.
        was: the value in the baseline as it is printed; of a secret only whether it is set.
        now: likewise the current value.
        old_value: the value in the baseline; None for a secret.
        set_by: the file or variable that set it in the baseline; empty if none did.
        reverted: whether it was set and has its default now.
        default_only: whether it was and is not set: the default of MDM itself changed.
    """

    key: str
    was: str
    now: str
    old_value: object
    set_by: str
    reverted: bool
    default_only: bool = False


def check_changes(facts: ConfigFacts, baseline: ConfigFacts) -> Iterator[Finding]:
    """Settings whose value is not that of the baseline, then defaults of MDM, then paths to the former home."""
    planned = {setting.key for setting in facts.planned}
    changes = [change for change in setting_changes(facts, baseline) if change.key not in planned]
    for change in changes:
        if not change.default_only:
            yield _check_change(change, facts)
    defaults = [change for change in changes if change.default_only]
    if defaults:
        yield CHANGED_DEFAULT(
            evidence={change.key: {"was": change.was, "now": change.now} for change in defaults},
            settings="; ".join(f"`{change.key}` is {change.now}, was {change.was}" for change in defaults),
        )
    for key in facts.in_force:
        if _points_back(key, facts, baseline):
            leads_to = target_of(facts.home, facts.in_force[key])
            from_file = facts.origins.get(key) == PurePath(facts.file).name
            yield POINTS_BACK(
                at=facts.file,
                subject=key,
                remedy=MAKE_RELATIVE if from_file else POINTS_BACK.remedy,
                new_value=str(PurePath(leads_to).relative_to(baseline.home)),
                evidence={"leads_to": leads_to},
                key=key,
                leads_to=leads_to,
                home=facts.home,
                file=facts.file,
                line_option="",
            )


def setting_changes(facts: ConfigFacts, baseline: ConfigFacts) -> Iterator[SettingChange]:
    """Every changed setting; none if MDM does not start with the settings now or did not then.

    A baseline has no secrets, so a value from which one was removed cannot be compared.
    """
    if not (baseline.loads and facts.loads):
        return
    if not (baseline.told and facts.told):  # compare what file and environment say
        baseline, facts = replace(baseline, effective={}), replace(facts, effective={})
    for key in facts.in_force:
        if key not in baseline.in_force:
            continue
        was, now = baseline.value_of(key), facts.value_of(key)
        same = canonical(baseline.home, key, was) == canonical(facts.home, key, now)
        if same or HIDDEN in str(was) or _points_back(key, facts, baseline):
            continue
        was_set, is_set = _is_set(key, baseline), _is_set(key, facts)
        yield SettingChange(
            key,
            shown(was),
            shown(now),
            was,
            set_by=baseline.origins.get(key, ""),
            reverted=was_set and not is_set,
            default_only=not was_set and not is_set,
        )
    yield from _secret_changes(facts, baseline)


def _secret_changes(facts: ConfigFacts, baseline: ConfigFacts) -> Iterator[SettingChange]:
    for key in (key.name for key in BY_NAME.values() if key.secret):
        set_by = baseline.origins.get(key, "")
        if set_by and key not in facts.origins:
            yield SettingChange(key, "set", "not set", None, set_by, reverted=True)
        elif not set_by and key in facts.origins:
            yield SettingChange(key, "not set", "set", None, "", reverted=False)


def _is_set(key: str, facts: ConfigFacts) -> bool:
    """Whether the setting is set and MDM uses the value."""
    if key not in facts.origins or key not in facts.effective:
        return key in facts.origins
    definition = BY_NAME[key]
    defaults = [definition.default]
    if definition.older is not None:
        defaults.append(definition.older)
    effective = canonical(facts.home, key, facts.effective[key])
    return effective not in [canonical(facts.home, key, default) for default in defaults]


def _points_back(key: str, facts: ConfigFacts, baseline: ConfigFacts) -> bool:
    """Whether a path leads to the former location of a home that was moved."""
    if not key.startswith(PATHS) or baseline.home == facts.home:
        return False
    target = PurePath(target_of(facts.home, facts.value_of(key)))
    return target.is_absolute() and target.is_relative_to(baseline.home)


def _check_change(change: SettingChange, facts: ConfigFacts) -> Finding:
    rule: Rule = CHANGED_SETTING
    remedy = CHANGED_SETTING.remedy
    if facts.plan_given:
        rule, steps = UNPLANNED_SETTING, _set_again(change, facts)
        remedy = Steps(PLAN_IT_OR + steps.text, steps.commands)
    elif change.reverted:
        rule, remedy = REVERTED, _set_again(change, facts)
    value = "..." if change.old_value is None else _in_yaml(change.old_value)
    return rule(
        at=facts.file,
        subject=change.key,
        evidence={"was": change.was, "now": change.now, "set_by": change.set_by},
        remedy=remedy,
        key=change.key,
        was=change.was,
        now=change.now,
        reason=_why_reverted(change, facts),
        source=f", set by {facts.origins[change.key]}" if change.key in facts.origins else "",
        as_yaml=as_yaml(change.key, value),
        variable=change.set_by,
        old_value=as_word(change.old_value),
        new_value=as_word(change.old_value),
        file=facts.file,
        line_option="",
    )


def _set_again(change: SettingChange, facts: ConfigFacts) -> Steps:
    if not change.set_by.startswith(PREFIX):
        return SET_AS_BEFORE if _can_be_set(change, facts) else WRITE_AGAIN
    return SET_AGAIN if change.old_value is None else SET_AGAIN_AS_IT_WAS


def _can_be_set(change: SettingChange, facts: ConfigFacts) -> bool:
    """Whether the file can set the value, which nothing else sets and no other finding repairs.

    Another default backend would have MDM refuse every dataset with the one that it is now.
    """
    if change.key == DEFAULT_BACKEND or (change.reverted and change.key in facts.origins):
        return False
    file = PurePath(facts.file).name
    renamed = any(problem.suggestion == change.key for problem in facts.problems)
    from_file = facts.origins.get(change.key, file) == file and change.set_by in {"", file}
    readable = facts.state == "present" and facts.generation not in {"flat", "mixed"}
    return readable and from_file and not renamed and change.old_value is not None


def _why_reverted(change: SettingChange, facts: ConfigFacts) -> str:
    """How the file or variable that set it has changed."""
    key, set_by = change.key, change.set_by
    if key in facts.origins:
        mdm = f"the installed MDM {facts.version}".rstrip()
        return f"{facts.origins[key]} still sets it, but {mdm} ignores it"
    if not set_by.startswith(PREFIX):
        return _why_not_in_file(key, facts)
    if any(variable.name == set_by for variable in facts.ignored):
        return f"{set_by} is set, but this MDM ignores it"
    return f"{set_by} is no longer set"


def _why_not_in_file(key: str, facts: ConfigFacts) -> str:
    if facts.state == "missing":
        return "mdm.yaml is missing"
    if facts.state == "empty":
        return "mdm.yaml no longer contains any settings"
    for problem in facts.problems:
        if problem.suggestion == key:
            return f"mdm.yaml now calls it `{problem.key}`, which MDM ignores"
    if facts.generation in {"flat", "mixed"}:
        return "mdm.yaml no longer sets it under a name that this MDM reads"
    return "mdm.yaml no longer sets it"


def _in_yaml(value: object) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and not _READ_OTHERWISE.fullmatch(value):
        return value
    return json.dumps(value, ensure_ascii=False)
