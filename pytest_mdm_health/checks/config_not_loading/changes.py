"""How the settings in force differ from those in the baseline, by what they mean."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import PurePath

from pytest_mdm_health.checks.config_not_loading.facts import ConfigFacts
from pytest_mdm_health.checks.config_not_loading.meaning import PATHS, meaning, place
from pytest_mdm_health.checks.config_not_loading.plan import shown_value
from pytest_mdm_health.core.secrets import HIDDEN
from pytest_mdm_health.mdm.settings.schema import BY_NAME


@dataclass(frozen=True)
class Changed:
    """A setting that has another value than it had.

    Attributes:
        key: dotted.
        was, now: the values as a person is shown them; of a secret only whether it is set.
        value: what it was, to be written again; None for a secret.
        set_by: what set it before: the name of the file or of a variable; empty if nothing did.
        reverted: whether it was set and has a default now.
        by_itself: whether nothing set it then or now: MDM's own default is another one.
    """

    key: str
    was: str
    now: str
    value: object
    set_by: str = ""
    reverted: bool = False
    by_itself: bool = False


def changes(before: ConfigFacts, facts: ConfigFacts) -> Iterator[Changed]:
    """Every setting that is not what it was; none if MDM does not start with the settings then or now.

    A baseline has no secrets, so what one was taken out of cannot be compared.
    """
    if not (_loads(before) and _loads(facts)):
        return
    before, facts = _alike(before, facts)
    for key in facts.in_force:
        if key not in before.in_force:
            continue
        was, now = _value(before, key), _value(facts, key)
        same = meaning(before.home, key, was) == meaning(facts.home, key, now) or HIDDEN in str(was)
        if same or _points_back(before, facts, key):
            continue
        then_set, now_set = _is_set(before, key), _is_set(facts, key)
        yield Changed(
            key,
            shown_value(was),
            shown_value(now),
            was,
            before.origins.get(key, ""),
            reverted=then_set and not now_set,
            by_itself=not (then_set or now_set),
        )
    yield from _of_secrets(before, facts)


def left_behind(before: ConfigFacts, facts: ConfigFacts) -> Iterator[str]:
    """The paths that lead into the home's old place, although it was moved."""
    yield from (key for key in facts.in_force if _points_back(before, facts, key))


def _points_back(before: ConfigFacts, facts: ConfigFacts, key: str) -> bool:
    if not key.startswith(PATHS) or before.home == facts.home:
        return False
    leads_to = PurePath(place(facts.home, _value(facts, key)))
    return leads_to.is_absolute() and leads_to.is_relative_to(before.home)


def _of_secrets(before: ConfigFacts, facts: ConfigFacts) -> Iterator[Changed]:
    for key in BY_NAME.values():
        if key.secret and (key.name in before.origins) is not (key.name in facts.origins):
            gone = key.name in before.origins
            was, now = ("set", "not set") if gone else ("not set", "set")
            yield Changed(key.name, was, now, None, before.origins.get(key.name, ""), reverted=gone)


def _alike(before: ConfigFacts, facts: ConfigFacts) -> tuple[ConfigFacts, ConfigFacts]:
    """Both as the installed MDM told it, or both as file and environment say."""
    if before.told and facts.told:
        return before, facts
    return replace(before, effective={}), replace(facts, effective={})


def _loads(facts: ConfigFacts) -> bool:
    return not facts.refusal and not any(problem.fatal for problem in facts.problems)


def _value(facts: ConfigFacts, key: str) -> object:
    return facts.effective.get(key, facts.in_force[key])


def _is_set(facts: ConfigFacts, key: str) -> bool:
    """Whether somebody set it and MDM takes it so."""
    if key not in facts.effective:
        return key in facts.origins
    defaults = [BY_NAME[key].default, *([BY_NAME[key].older] if BY_NAME[key].older is not None else [])]
    meant = meaning(facts.home, key, facts.effective[key])
    return key in facts.origins and meant not in [meaning(facts.home, key, each) for each in defaults]
