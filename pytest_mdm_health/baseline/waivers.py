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

_WHOLE_ROWS = frozenset(f"data-corruption.{kind}-rows" for kind in ("missing", "added", "duplicated"))
ALTERED_ROWS = "data-corruption.altered-rows"
_ROW_COUNT = "data-corruption.row-count"
BOUNDED = _WHOLE_ROWS | {ALTERED_ROWS}
"""What may become more after a waiver was written; it is accepted only as far as the waiver says."""

_UPGRADE = (
    "needs {bound}, so that what is lost or altered later is not accepted as well; --mdm-write-waivers writes it, and "
    "what is intended belongs into --mdm-expect"
)
Covered = list[tuple[Finding, list["Waiver"]]]


@dataclass(frozen=True, kw_only=True)
class Waiver:
    """An accepted finding.

    Attributes:
        code: of the finding, or a pattern of codes.
        codes: the codes that it means, as they are now; none if nothing finds them any more.
        target: name of the target, or a pattern.
        subject: what in the target, or a pattern.
        columns: those whose changed values are accepted; None where it does not speak of columns.
        rows: how many rows may be missing, new, duplicated or altered; None where it does not speak of rows.
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
    rows: int | None = None
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
        """Whether it accepts this finding: it means it, and the finding reports no more than it says."""
        return self.means(finding, target) and self.reaches(finding)

    def means(self, finding: Finding, target: Target) -> bool:
        """Whether it is about this finding."""
        about = finding.code in self.codes and matches(self.target, target.name)
        return about and matches(self.subject, finding.subject)

    def reaches(self, finding: Finding) -> bool:
        """Whether the finding reports no more rows and columns than are accepted."""
        return self._reaches_columns(finding) and self._reaches_rows(finding)

    def limit(self, code: str) -> str:
        """Why it does not accept a finding of this code that it means, as a clause."""
        bound, given = ("columns", self.columns) if code == ALTERED_ROWS else ("rows", self.rows)
        return "which is not within what is accepted" if given else f"which needs `{bound}`"

    def _reaches_columns(self, finding: Finding) -> bool:
        """Whether all columns of the finding are accepted; rows that are lost or new are never a matter of columns."""
        if finding.code in _WHOLE_ROWS:
            return self.rows is not None
        if self.columns is None:
            return finding.code != ALTERED_ROWS
        counts = finding.evidence.get("rows")
        seen_all = not isinstance(counts, Mapping) or counts.get("complete") is not False
        about = columns_of(finding)
        return seen_all and bool(about) and about <= self.columns

    def _reaches_rows(self, finding: Finding) -> bool:
        """Whether no more rows are concerned than are accepted; with `rows`, what counts no rows is not meant."""
        if self.rows is None:
            return finding.code == ALTERED_ROWS or not needs_bound(finding)
        rows = rows_of(finding)
        return rows is not None and rows <= self.rows


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
        exceeded: waivers in force with the code of a finding that reports more than they accept.
    """

    results: tuple[Result, ...]
    expired: tuple[Waiver, ...] = ()
    unused: tuple[Waiver, ...] = ()
    exceeded: tuple[tuple[Waiver, str], ...] = ()

    def use(self, waivers: Waivers) -> WaiverUse:
        """What reports say of it beside the results: the entries by name."""
        return WaiverUse(
            file=str(waivers.file),
            expired=tuple(f"{each.name}, on {each.expires}" for each in self.expired),
            unused=(
                *(each.name for each in self.unused),
                *(f"{each.name}, for {code}, {each.limit(code)}" for each, code in self.exceeded),
            ),
        )


def needs_bound(finding: Finding) -> bool:
    """Whether it is accepted only as far as a waiver says: rows that are lost or altered may become more."""
    return finding.code in BOUNDED or (finding.code == _ROW_COUNT and finding.severity is Severity.FAIL)


def rows_of(finding: Finding) -> int | None:
    """How many rows a finding is about; None where that is not known, as of a sample."""
    counts, code = finding.evidence.get("rows"), finding.code
    if code == _ROW_COUNT:
        return _difference(counts, finding.evidence.get("recorded"))
    if code not in BOUNDED:
        return None
    if not isinstance(counts, Mapping):
        by_number = _difference(finding.evidence.get("rows_before"), finding.evidence.get("rows_after"))
        return by_number if code in _WHOLE_ROWS else None
    count = counts.get(code.partition(".")[2].partition("-")[0])
    exact = counts.get("of") is None and counts.get("complete") is not False
    return count if exact and isinstance(count, int) else None


def _difference(before: object, after: object) -> int | None:
    return abs(after - before) if isinstance(before, int) and isinstance(after, int) else None


def columns_of(finding: Finding) -> frozenset[str]:
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
    rows: Annotated[int, Field(ge=1)] = 0
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


def known_codes(modules: Mapping[str, CheckModule]) -> Mapping[str, str]:
    """Every code that a waiver may name, as `<check>.<finding>`, with the code that its findings have today.

    That is an empty text for a code of an earlier version that nothing finds any more.
    """
    known = {f"{id_}.{code}": f"{id_}.{code}" for id_, each in modules.items() for code in each.documentation.findings}
    former = {code: current for each in modules.values() for code, current in each.former_codes.items()}
    return known | former


def read_waivers(path: Path, known: Mapping[str, str]) -> Waivers:
    """The waivers in a file; `known` are all codes that it may name (`known_codes`).

    Raises:
        UnusableFile: it cannot be read, is not what it has to be, or speaks of findings that nothing makes.
    """
    file = read_shaped(path, WaiversFile)
    return Waivers(path, tuple(_waiver(file, number, known) for number in range(len(file.content.waivers))))


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
    exceeded = dict.fromkeys(
        (each, finding.code)
        for result, pairs in zip(before, covered, strict=True)
        for finding, covering in pairs
        if not covering and finding.severity is not Severity.NOTE
        for each in by_code.get(finding.code, ())
        if each.means(finding, result.target)
    )
    unused = set(in_force) - used - {each for each, _ in exceeded}
    return WaiverOutcome(
        results=tuple(_applied(result, pairs) for result, pairs in zip(before, covered, strict=True)),
        expired=expired,
        unused=tuple(each for each in in_force if each in unused and _was_looked_for(each, before)),
        exceeded=tuple(exceeded),
    )


def _waiver(file: ShapedFile[WaiversFile], number: int, known: Mapping[str, str]) -> Waiver:
    entry = file.content.waivers[number]
    matching = [current for code, current in known.items() if matches(entry.code, code)]
    codes = frozenset(filter(None, matching))
    if not matching:
        whole = {f"{code.partition('.')[0]}.*" for code in known}
        why = f"`{entry.code}` is no finding of any check; {nearest(entry.code, {*known.values(), *whole} - {''})}"
        raise file.unusable(why, "waivers", number, "code")
    bound = _missing_bound(entry, codes) if codes else ""
    if bound:
        raise file.unusable(f"`{entry.code}` {_UPGRADE.format(bound=bound)}", "waivers", number, "code")
    return Waiver(
        codes=codes,
        columns=frozenset(entry.columns) or None,
        rows=entry.rows or None,
        phase=Phase(entry.phase),
        line=file.line("waivers", number),
        **entry.model_dump(exclude={"columns", "rows", "phase"}),
    )


def _missing_bound(entry: _Entry, codes: frozenset[str]) -> str:
    """What an entry lacks that means nothing but rows that are lost or altered; empty if it lacks nothing.

    A pattern that means other findings as well is one of those; of rows it accepts none.
    """
    if not codes <= BOUNDED:
        return ""
    if codes <= {ALTERED_ROWS}:
        return "" if entry.columns else "`columns`"
    return "" if entry.rows or (entry.columns and ALTERED_ROWS in codes) else "`rows`"


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
