"""From what a person sees to the issue of the guide that explains it: error messages first, then words."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from pytest_mdm_health.engine.registry import load
from pytest_mdm_health.knowledge.guide import AREAS, SYMPTOMS, TITLES, Symptom
from pytest_mdm_health.knowledge.messages import messages_in


@dataclass(frozen=True)
class Explanation:
    """An issue of the guide (or a whole section) that may explain what a user saw, and why it is named."""

    issue: str
    why: str


class UnknownSymptom(LookupError):
    """A text that no issue explains; the message has the nearest symptoms."""


ENOUGH = 0.5
"""The share of a symptom's words that a text must have to mean it."""

LOG = "8.3"
"""The issue of the check that reads the log."""

_EMPTY_WORDS = re.compile(
    r"(?:an?|the|of|or|and|in|on|to|is|are|was|be|by|with|for|from|at|as|its?|not?|do|does|than|after|before|my|i|we|our"
    r"|this|that|there|very|all|any|have|has|had|when|while|but|problem|error)"
)
_GENERIC_WORDS = (
    "data database dataset file table column value row query connection system server feature registration mdm"
    " sqlite duckdb postgresql failure failed found processing"
)
"""Words that messages of any kind have; they alone lead to no issue."""


def explanations(text: str) -> tuple[Explanation, ...]:
    """The issues that explain an error message or a few words, the likeliest first; each once.

    Raises:
        UnknownSymptom: nothing does.
    """
    found = _by_message(text) or _by_words(text)
    if not found:
        nearest = "; ".join(f"{each.text!r} ({each.issue})" for each in sorted(SYMPTOMS, key=_distance_to(text))[:3])
        raise UnknownSymptom(f"--mdm-symptom: nothing explains {text!r}; the nearest symptoms are {nearest}")
    first: dict[str, Explanation] = {}
    for each in found:
        first.setdefault(each.issue, each)
    return tuple(first.values())


def findings_of(symptom: Symptom) -> tuple[str, ...]:
    """The codes of the findings that say it is so: those whose rules answer it."""
    rules = (rule for each in load().values() for rule in each.rules if symptom.text in rule.answers)
    return tuple(dict.fromkeys(rule.full_code for rule in rules))


def _by_message(text: str) -> list[Explanation]:
    return [
        Explanation(issue, f"the message {message.name!r}: {message.cause}")
        for message in messages_in(text)
        for issue in (message.issue, *message.also)
    ]


def _by_words(text: str) -> list[Explanation]:
    symptoms = [each for each in sorted(SYMPTOMS, key=_distance_to(text)) if _likeness(text, each.text) >= ENOUGH]
    found = [
        Explanation(issue, f"the guide's symptom {each.text!r}") for each in symptoms for issue in _issues_of(each)
    ]
    found += [
        Explanation(issue, f"the guide's issue {title!r}")
        for issue, title in TITLES.items()
        if _likeness(text, title) >= ENOUGH
    ]
    return found + [
        Explanation(section, f"the guide's quick diagnosis of a {area}")
        for area, section in AREAS.items()
        if _likeness(text, area) == 1
    ]


def _issues_of(symptom: Symptom) -> tuple[str, ...]:
    """Its own issue, then those of other checks that can find it; not the log's, which tells of what others examine."""
    issues = {id_: each.check.issue for id_, each in load().items()}
    finders = (issues[code.partition(".")[0]] for code in findings_of(symptom))
    return (symptom.issue, *(issue for issue in finders if issue != LOG))


def _distance_to(text: str) -> Callable[[Symptom], float]:
    return lambda symptom: -_share(text, symptom.text)


def _likeness(text: str, words: str) -> float:
    """The share of the words that the text has; none, if it has too few of those that tell them from others."""
    wanted, has = _stems(words), _stems(text)
    telling = wanted - _stems(_GENERIC_WORDS)
    if len(telling & has) < ENOUGH * len(telling) or not (telling or wanted <= has):
        return 0.0
    return _share(text, words)


def _share(text: str, words: str) -> float:
    wanted = _stems(words)
    return len(wanted & _stems(text)) / len(wanted)


def _stems(text: str) -> frozenset[str]:
    words = re.findall(r"[a-z0-9_.]+", text.lower())
    return frozenset(
        re.sub(r"(?:ing|ed|er|ures?|es?|s|ly)$", "", word.strip("."))
        for word in words
        if not _EMPTY_WORDS.fullmatch(word)
    )
