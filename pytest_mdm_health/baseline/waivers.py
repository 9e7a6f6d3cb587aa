"""Findings that are accepted for a time (`--mdm-waivers`): the file, and what it does to results."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from pytest_mdm_health.baseline.user_yaml import FileShape, Shape, ShapedFile, nearest, read_shaped
from pytest_mdm_health.core.expected import matches
from pytest_mdm_health.core.model import Finding, Phase, Result, Severity, Status, Target, status_of
from pytest_mdm_health.engine.registry import CheckModule
from pytest_mdm_health.reports.model import WaiverUse

PLACEHOLDER = "<fill in>"
"""What a draft has in place of reason and owner; a file that still has it is refused."""

SCHEMA = "mdm-waivers/1"
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_EXAMINED = {Status.PASS, Status.WARN, Status.FAIL, Status.WAIVED}
_UNKNOWN = {Status.ERROR, Status.BLOCKED}
_NAMES_COLUMNS = ("columns", "cells", "altered_columns")
"""Where the evidence of a finding says which columns it is about."""

_WHOLE_ROWS = frozenset({"missing-rows", "added-rows", "duplicated-rows"})
Covered = list[tuple[Finding, list["Waiver"]]]


@dataclass(frozen=True, kw_only=True)
class Waiver:
    """An accepted finding.

    Attributes:
        code: of the finding, or a pattern of codes.
        codes: the codes that it means.
        target: name of the target, or a pattern.
        subject: what in the target, or a pattern.
        columns: those whose changed values are accepted; None where it does not speak of columns.
        phase: the runs in which it counts.
        reason: why it is accepted.
        owner: who answers for that.
        expires: the last day on which it counts.
        line: in the file, counted from 1.
    """

    code: str
    codes: frozenset[str]
    target: str
    subject: str = "*"
    columns: frozenset[str] | None = None
    phase: Phase = Phase.ANY
    reason: str
    owner: str
    expires: date
    line: int | None = None

    @property
    def text(self) -> str:
        """Why, by whom and until when, on one line."""
        return " ".join(f"{self.reason} ({self.owner}, until {self.expires})".split())

    @property
    def name(self) -> str:
        """What it is about and where it stands, on one line."""
        about = f"{self.code} on {self.target}" + (f", {self.subject}" if self.subject != "*" else "")
        return " ".join((f"line {self.line}: {about}" if self.line else about).split())

    @property
    def checks(self) -> frozenset[str]:
        """The ids of the checks whose findings it means."""
        return frozenset(code.partition(".")[0] for code in self.codes)

    def counts_in(self, phase: Phase) -> bool:
        """Whether it speaks of runs in this phase."""
        return self.phase in {Phase.ANY, phase}

    def covers(self, finding: Finding, target: Target) -> bool:
        """Whether it means this finding."""
        about = finding.code in self.codes and matches(self.target, target.name)
        return about and matches(self.subject, finding.subject) and self._covers_columns(finding)

    def _covers_columns(self, finding: Finding) -> bool:
        """Whether all columns of the finding are accepted; rows that are lost or new are never a matter of columns."""
        if self.columns is None:
            return True
        rows = finding.evidence.get("rows")
        seen_all = not isinstance(rows, Mapping) or rows.get("complete") is not False
        about = _columns_of(finding)
        return seen_all and bool(about) and about <= self.columns and finding.code.partition(".")[2] not in _WHOLE_ROWS


@dataclass(frozen=True)
class Waivers:
    """The accepted findings of a file, in its order."""

    file: Path
    entries: tuple[Waiver, ...] = ()


@dataclass(frozen=True, kw_only=True)
class WaiverOutcome:
    """What waivers did.

    Attributes:
        results: all results in their order, with what is waived marked.
        expired: waivers whose day has gone by; they did nothing.
        unused: waivers in force without a finding, though what they are about was examined.
    """

    results: tuple[Result, ...]
    expired: tuple[Waiver, ...] = ()
    unused: tuple[Waiver, ...] = ()

    def use(self, waivers: Waivers) -> WaiverUse:
        """What reports say of it beside the results: the entries by name."""
        return WaiverUse(
            file=str(waivers.file),
            expired=tuple(f"{each.name}, on {each.expires}" for each in self.expired),
            unused=tuple(each.name for each in self.unused),
        )


def _columns_of(finding: Finding) -> frozenset[str]:
    """The columns that a finding is about, as far as it says so."""
    told = (finding.evidence.get(name) for name in _NAMES_COLUMNS)
    return frozenset(str(column) for columns in told if isinstance(columns, (list, Mapping)) for column in columns)


def _day(value: object) -> object:
    """A date that was put in quotes is one all the same."""
    if isinstance(value, str) and _DAY.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            return value
    return value


def _filled_in(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty")
    if PLACEHOLDER in text:
        raise ValueError(f"still says {PLACEHOLDER}; write it, or take the entry out")
    return text


Pattern = Annotated[str, Field(min_length=1)]
Said = Annotated[str, AfterValidator(_filled_in)]


class _Entry(Shape):
    code: Pattern
    target: Pattern
    subject: str = "*"
    columns: Annotated[list[Pattern], Field(min_length=1)] = Field(default_factory=list)
    phase: Literal["pre", "post", "any"] = "any"
    reason: Said
    owner: Said
    expires: Annotated[date, BeforeValidator(_day)]


class WaiversFile(FileShape):
    """The whole file."""

    option: ClassVar[str] = "--mdm-waivers"
    published: ClassVar[str] = "waivers.schema.json"

    version: Literal["mdm-waivers/1"] = Field(alias="schema")
    waivers: list[_Entry]


def known_codes(modules: Mapping[str, CheckModule]) -> frozenset[str]:
    """Every finding that the documentation of these checks knows, as `<check>.<finding>`."""
    return frozenset(f"{id_}.{code}" for id_, each in modules.items() for code in each.documentation.findings)


def read_waivers(path: Path, known: Iterable[str]) -> Waivers:
    """The waivers in a file; `known` are all codes of findings there are.

    Raises:
        UnusableFile: it cannot be read, is not what it has to be, or speaks of findings that nothing makes.
    """
    file, codes = read_shaped(path, WaiversFile), frozenset(known)
    return Waivers(path, tuple(_waiver(file, number, codes) for number in range(len(file.content.waivers))))


def apply(results: Iterable[Result], waivers: Waivers, phase: Phase, today: date) -> WaiverOutcome:
    """Mark what is waived.

    Only fails and warnings are; what could not be examined is never accepted by anybody, and what was blocked by a
    result that is waived stays blocked, for its prerequisite is not there. To do it twice is to do it once, so results
    may be waived one by one, and all together again to learn what was expired or unused.
    """
    expired = tuple(each for each in waivers.entries if each.expires < today)
    in_force = tuple(each for each in waivers.entries if each.expires >= today and each.counts_in(phase))
    by_code: dict[str, list[Waiver]] = {}
    for each in in_force:
        for code in each.codes:
            by_code.setdefault(code, []).append(each)
    before = tuple(results)
    covered = [_covered(result, by_code) for result in before]
    used = {each for pairs in covered for _, covering in pairs for each in covering}
    return WaiverOutcome(
        results=tuple(_applied(result, pairs) for result, pairs in zip(before, covered, strict=True)),
        expired=expired,
        unused=tuple(each for each in in_force if each not in used and _was_looked_for(each, before)),
    )


def _waiver(file: ShapedFile[WaiversFile], number: int, known: frozenset[str]) -> Waiver:
    entry = file.content.waivers[number]
    codes = frozenset(code for code in known if matches(entry.code, code))
    if not codes:
        whole = {f"{code.partition('.')[0]}.*" for code in known}
        why = f"`{entry.code}` is no finding of any check; {nearest(entry.code, known | whole)}"
        raise file.unusable(why, "waivers", number, "code")
    return Waiver(
        codes=codes,
        columns=frozenset(entry.columns) or None,
        phase=Phase(entry.phase),
        line=file.line("waivers", number),
        **entry.model_dump(exclude={"columns", "phase"}),
    )


def _covered(result: Result, by_code: Mapping[str, Sequence[Waiver]]) -> Covered:
    """The findings of a result, each with the waivers that cover it; nothing covers what is none of their business."""
    if result.status not in {Status.WARN, Status.FAIL, Status.WAIVED}:
        return []
    return [(finding, _covering(finding, result.target, by_code)) for finding in result.findings]


def _covering(finding: Finding, target: Target, by_code: Mapping[str, Sequence[Waiver]]) -> list[Waiver]:
    if finding.severity is Severity.NOTE:
        return []
    return [each for each in by_code.get(finding.code, ()) if each.covers(finding, target)]


def _applied(result: Result, covered: Covered) -> Result:
    reasons = [by[0].text for _, by in covered if by]
    if not reasons:
        return result
    marked = [replace(finding, waiver=by[0].text) if by else finding for finding, by in covered]
    status = status_of(finding for finding in marked if finding.waiver is None)
    if status is Status.PASS:
        why = "; ".join(dict.fromkeys(reasons))
        return replace(result, status=Status.WAIVED, waiver=why, findings=tuple(marked))
    left_first = sorted(marked, key=lambda finding: finding.waiver is not None)
    return replace(result, status=status, findings=tuple(left_first))


def _was_looked_for(waiver: Waiver, results: Iterable[Result]) -> bool:
    """Whether what it speaks of was examined, and all of that could be."""
    spoken_of = {
        result.status
        for result in results
        if result.check.id in waiver.checks and matches(waiver.target, result.target.name)
    }
    return bool(spoken_of & _EXAMINED) and not spoken_of & _UNKNOWN
