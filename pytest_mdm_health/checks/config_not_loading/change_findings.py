"""What it means that settings are not what they were, or not what they were meant to become."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator

from pytest_mdm_health.checks.config_not_loading import repairs
from pytest_mdm_health.checks.config_not_loading.changes import Changed, changes, left_behind
from pytest_mdm_health.checks.config_not_loading.facts import ConfigFacts
from pytest_mdm_health.checks.config_not_loading.meaning import place
from pytest_mdm_health.checks.config_not_loading.plan import Planned
from pytest_mdm_health.core.model import Check, Finding, Location, Remedy, Severity
from pytest_mdm_health.mdm.settings.environment import PREFIX

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./+-]*")
_READ_OTHERWISE = re.compile("on|off|yes|no|true|false|null|y|n", re.IGNORECASE)


def of_changes(check: Check, facts: ConfigFacts, before: ConfigFacts) -> Iterator[Finding]:
    """Settings with another value than in the baseline, one by one, then what MDM itself has changed."""
    found = tuple(changes(before, facts))
    plan = {each.key for each in facts.planned}
    for each in found:
        if not each.by_itself and each.key not in plan:
            yield _unplanned(check, facts, each) if facts.plan_given else _of_change(check, facts, each)
    defaults = [each for each in found if each.by_itself and each.key not in plan]
    if defaults:
        named = "; ".join(f"{each.key} {each.now} for {each.was}" for each in defaults)
        yield check.finding(
            "changed-default",
            Severity.NOTE,
            f"MDM itself has other defaults than in the baseline: {named}",
            Remedy("Write what matters into mdm.yaml, and it no longer depends on the version."),
            evidence={each.key: {"was": each.was, "now": each.now} for each in defaults},
        )
    for key in left_behind(before, facts):
        yield _left_behind(check, facts, key)


def of_plan(check: Check, facts: ConfigFacts) -> Iterator[Finding]:
    """Whether the planned settings are in force; nothing while MDM does not start."""
    if facts.refusal or any(problem.fatal for problem in facts.problems):
        return
    for each in facts.planned:
        yield _as_planned(check, each) if each.done else _not_done(check, facts, each)


def _of_change(check: Check, facts: ConfigFacts, each: Changed) -> Finding:
    if each.reverted:
        message = f"`{each.key}` was {each.was} and is {each.now} now, as if nobody had set it: {_why(facts, each)}"
        return check.finding(
            "reverted",
            Severity.WARN,
            message,
            _again(facts, each),
            evidence={"was": each.was, "now": each.now, "set_by": each.set_by},
            location=Location(facts.file),
            subject=each.key,
        )
    by = f" by {facts.origins[each.key]}" if each.key in facts.origins else ""
    return check.finding(
        "changed-setting",
        Severity.NOTE,
        f"`{each.key}` was {each.was} and is {each.now} now{by}",
        Remedy("Nothing has to be done if that is meant."),
        evidence={"was": each.was, "now": each.now},
        location=Location(facts.file),
        subject=each.key,
    )


def _unplanned(check: Check, facts: ConfigFacts, each: Changed) -> Finding:
    again = _again(facts, each)
    return check.finding(
        "unplanned-setting",
        Severity.FAIL,
        f"`{each.key}` was {each.was} and is {each.now} now, which is not planned",
        Remedy(f"{again.text} Or add it to the plan (--mdm-expect) if it is meant.", again.commands),
        evidence={"was": each.was, "now": each.now},
        location=Location(facts.file),
        subject=each.key,
    )


def _as_planned(check: Check, each: Planned) -> Finding:
    why = ", which the planned backend takes" if each.implied else ", as planned"
    return check.finding(
        "as-planned",
        Severity.NOTE,
        f"`{each.key}` is {each.value}{why}",
        Remedy("Nothing has to be done."),
        subject=each.key,
    )


def _not_done(check: Check, facts: ConfigFacts, each: Planned) -> Finding:
    why = f"which cannot be: {each.wrong}" if each.wrong else f"and is {_now(facts, each.key)}"
    if each.wrong:
        remedy = Remedy("Correct the plan (--mdm-expect).")
    else:
        remedy = Remedy(f"Write it into mdm.yaml: {repairs.nested(each.key)}", (repairs.edit(facts.file),))
    return check.finding(
        "not-done",
        Severity.FAIL,
        f"`{each.key}` is planned to be {each.value}, {why}",
        remedy,
        evidence={"planned": each.value},
        location=Location(facts.file),
        subject=each.key,
    )


def _left_behind(check: Check, facts: ConfigFacts, key: str) -> Finding:
    leads_to = place(facts.home, facts.in_force[key])
    return check.finding(
        "points-back",
        Severity.WARN,
        f"`{key}` leads to {leads_to}, where the home was before; it is {facts.home} now",
        Remedy("Write the path as seen from the home, and it moves with it.", (repairs.edit(facts.file),)),
        evidence={"leads_to": leads_to},
        location=Location(facts.file),
        subject=key,
    )


def _now(facts: ConfigFacts, key: str) -> str:
    value = facts.effective.get(key, facts.in_force.get(key, "another one"))
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _why(facts: ConfigFacts, each: Changed) -> str:
    """What became of that which set it."""
    if each.key in facts.origins:
        return (
            f"{facts.origins[each.key]} still sets it, and the installed MDM {facts.version}".rstrip() + " ignores it"
        )
    if each.set_by.startswith(PREFIX):
        ignored = any(variable.name == each.set_by for variable in facts.ignored)
        return f"{each.set_by} is " + ("there, and this MDM ignores it" if ignored else "not set any more")
    if facts.state in {"missing", "empty"}:
        return "mdm.yaml " + ("is gone" if facts.state == "missing" else "says nothing any more")
    other = next((problem.key for problem in facts.problems if problem.suggestion == each.key), "")
    if other:
        return f"mdm.yaml calls it `{other}` now, which MDM ignores"
    return "mdm.yaml no longer sets it" + (
        " under a name that this MDM reads" if facts.generation in {"flat", "mixed"} else ""
    )


def _again(facts: ConfigFacts, each: Changed) -> Remedy:
    """Set it as before."""
    if each.set_by.startswith(PREFIX):
        if each.value is None:
            return Remedy(f"Set {each.set_by} again.")
        return Remedy(f"Set the variable again, as it was: {each.set_by}={shlex.quote(_in_shell(each.value))}")
    written = repairs.nested(each.key)
    if each.value is not None:
        written = written.replace("...", _in_yaml(each.value), 1)
    return Remedy(f"Write it into mdm.yaml again: {written}", (repairs.edit(facts.file),))


def _in_shell(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _in_yaml(value: object) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and not _READ_OTHERWISE.fullmatch(value):
        return value
    return json.dumps(value, ensure_ascii=False)
