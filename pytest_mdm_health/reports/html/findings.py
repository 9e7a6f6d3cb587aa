"""The findings as the page tells them: by section, check and kind, each kind once, and no more than a page can hold."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pytest_mdm_health.core.model import Check, Finding, Result, Severity
from pytest_mdm_health.engine.registry import SECTIONS, CheckModule, Documentation
from pytest_mdm_health.reports.html.text import COMMAND, SENTENCE
from pytest_mdm_health.reports.json.document import plain

WHOLE, BRIEF = 20, 200
"""Findings of one kind that are shown in full, and further ones that are shown in a line."""
ROOM = 1_500_000
"""Characters that all findings of a page may take before the rest is shown in a line each, and twice that in all."""
_MARKUP = 900
_SEVERITIES = re.compile(r"^\([a-z/]+\):? *")
Pair = tuple[Result, Finding]


@dataclass(frozen=True)
class KindOfFinding:
    """Findings of one code and severity.

    Attributes:
        meaning: what the code means, from the check's documentation; empty if this version does not know it.
        whole: those that are shown in full.
        brief: those that are shown in a line.
        left_out: how many more there are.
    """

    code: str
    severity: Severity
    meaning: str
    whole: tuple[Pair, ...]
    brief: tuple[Pair, ...]
    left_out: int

    @property
    def anchor(self) -> str:
        """Where it is in the page."""
        return anchor(self.code, self.severity)

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.whole) + len(self.brief) + self.left_out


@dataclass(frozen=True)
class CheckPart:
    """What one check found."""

    check: Check
    documentation: Documentation | None
    kinds: tuple[KindOfFinding, ...]


@dataclass(frozen=True)
class SectionPart:
    """What the checks of one section of the guide found."""

    number: str
    title: str
    checks: tuple[CheckPart, ...]


class Room:
    """How much the page can still take."""

    def __init__(self, characters: int = ROOM) -> None:
        self._left, self._lines = characters, characters

    def takes(self, pair: Pair) -> bool:
        """Whether this one can be shown in full; if so, its place is taken."""
        size = _size(pair[1])
        self._left -= size if self._left >= size else 0
        return self._left >= size

    def takes_line(self, pair: Pair) -> bool:
        """Whether it can be shown in a line."""
        size = min(len(pair[1].message), SENTENCE) + len(pair[0].target.name) + 60
        self._lines -= size if self._lines >= size else 0
        return self._lines >= size


def anchor(code: str, severity: Severity) -> str:
    """The page's name for findings of this kind."""
    return f"{severity.value}-{code.replace('.', '-')}"


def sections(pairs: Iterable[Pair], modules: Mapping[str, CheckModule], room: Room) -> tuple[SectionPart, ...]:
    """The findings in the order of the guide, the worst of a check first; the worst get the room."""
    by_kind: dict[tuple[str, Severity], list[Pair]] = {}
    for result, finding in pairs:
        by_kind.setdefault((finding.code, finding.severity), []).append((result, finding))
    kinds = [_kind(*key, found, modules, room) for key, found in by_kind.items()]
    checks = {found[0][0].check.id: found[0][0].check for found in by_kind.values()}
    parts = [
        CheckPart(check, _documented(id_, modules), tuple(kind for kind in kinds if _check_id(kind.code) == id_))
        for id_, check in checks.items()
    ]
    ordered = sorted(parts, key=lambda part: part.check.issue.split("."))
    return tuple(_sections(ordered))


def about(finding: Finding) -> Iterator[tuple[str, object]]:
    """The evidence by name, without what is empty."""
    for name, value in plain(finding.evidence).items():
        if value not in (None, "", [], {}):
            yield name.replace("_", " "), value


def is_table(value: object) -> bool:
    """Whether a piece of evidence is a list of things with the same few names."""
    if not isinstance(value, list) or not value or not all(isinstance(each, dict) for each in value):
        return False
    flat = all(not isinstance(cell, (dict, list)) for each in value for cell in each.values())
    return flat and len({tuple(each) for each in value}) == 1 and len(value[0]) <= 6  # noqa: PLR2004 - fits a phone, with a scroll box


def is_listing(value: object) -> bool:
    """Whether a piece of evidence is a list of texts and numbers."""
    return isinstance(value, list) and not any(isinstance(each, (dict, list)) for each in value)


def as_json(value: object) -> str:
    """A piece of evidence that is neither a text nor a number."""
    return json.dumps(value, ensure_ascii=False, indent=None if _is_flat(value) else 1)


def _is_flat(value: object) -> bool:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return not any(isinstance(each, (dict, list)) for each in inside)


def _kind(
    code: str, severity: Severity, pairs: Sequence[Pair], modules: Mapping[str, CheckModule], room: Room
) -> KindOfFinding:
    whole = [pairs[0], *(pair for pair in pairs[1:WHOLE] if room.takes(pair))]
    rest = pairs[len(whole) :]
    brief = [pair for pair in rest[:BRIEF] if room.takes_line(pair)]
    documentation = _documented(_check_id(code), modules)
    meaning = documentation.findings.get(code.partition(".")[2], "") if documentation else ""
    return KindOfFinding(
        code, severity, _SEVERITIES.sub("", meaning), tuple(whole), tuple(brief), len(rest) - len(brief)
    )


def _sections(parts: Sequence[CheckPart]) -> Iterator[SectionPart]:
    for number in dict.fromkeys(part.check.section for part in parts):
        ours = tuple(part for part in parts if part.check.section == number)
        yield SectionPart(number, SECTIONS.get(number, ""), ours)


def _documented(id_: str, modules: Mapping[str, CheckModule]) -> Documentation | None:
    return modules[id_].documentation if id_ in modules else None


def _check_id(code: str) -> str:
    return code.partition(".")[0]


def _size(finding: Finding) -> int:
    texts = min(len(finding.message), SENTENCE) + min(len(finding.remedy.text), SENTENCE)
    commands = sum(min(len(command), COMMAND) + 80 for command in finding.remedy.commands)
    return texts + commands + min(len(json.dumps(plain(finding.evidence))), COMMAND) + _MARKUP
