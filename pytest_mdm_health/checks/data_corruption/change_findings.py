"""What data-corruption concludes from a dataset's data before and after. Pure.

A change that harms is a failure unless it is planned; one that does not harm is a note, and a failure if there is a
plan that does not have it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pytest_mdm_health.checks.data_corruption import repairs
from pytest_mdm_health.checks.data_corruption.change_facts import Retyped, TableChange
from pytest_mdm_health.checks.data_corruption.facts import DataFacts
from pytest_mdm_health.checks.data_corruption.plan_names import cannot_happen
from pytest_mdm_health.checks.data_corruption.planned import Planned, not_done, planned_for, split
from pytest_mdm_health.checks.data_corruption.row_findings import evidence_of, listed, messages, more
from pytest_mdm_health.core.model import JSON, Check, Finding, Location, Remedy, Severity
from pytest_mdm_health.core.text import counted

FAIL, WARN, NOTE = Severity.FAIL, Severity.WARN, Severity.NOTE
_BY_VALUES = {"digest", "columns", "sample"}
_LOSSY = {"boolean-as-number", "time-as-text"}


def of_changes(check: Check, facts: DataFacts, before: DataFacts) -> Iterator[Finding]:
    """From the place of the data to its rows."""
    telling = _Telling(check, facts, planned_for(facts))
    yield from telling.of_place(before)
    for change in facts.changes:
        yield from telling.of_table(change, before)
    for subject, message in (*not_done(facts), *cannot_happen(facts, before)):
        remedy = Remedy("Find out why the migration did not do it, or take it out of the file of expectations.")
        yield telling.finding("not-done", FAIL, f"{message}, although it is planned", subject, remedy)


@dataclass(frozen=True)
class _Telling:
    """How changes are told: by what is planned."""

    check: Check
    facts: DataFacts
    planned: Planned

    def of_place(self, before: DataFacts) -> Iterator[Finding]:
        """Where the data is."""
        facts = self.facts
        if before.engine != facts.engine:
            message = f"the data was on {before.engine} and is on {facts.engine}"
            yield self._told("backend-changed", NOTE, message, "backend", planned=self.planned.moves(facts))
        if before.home != facts.home:
            message = f"the home was at {before.home} when the baseline was recorded, and is at {facts.home}"
            yield self.finding("moved", NOTE, message, "home", Remedy("Nothing has to be done."))
        old, new = before.place, facts.place
        if old and new and before.engine == facts.engine and old.relative != new.relative:
            message = f"the data was at {old.path} and is at {new.path}"
            yield self.finding("moved", NOTE, message, "data", Remedy("Nothing has to be done."))

    def of_table(self, change: TableChange, before: DataFacts) -> Iterator[Finding]:
        """One table."""
        name, subject = f"the table {change.table}", f"table {change.table}"
        if change.verdict == "incomparable":
            message = f"{name} cannot be compared with the baseline: {change.reason}"
            yield self.finding("incomparable", WARN, message, subject, _record_again())
        elif change.verdict == "failed":
            message = f"{name} could not be compared with the baseline: {change.reason}"
            yield self.finding("not-compared", WARN, message, subject, _let_it_be_read())
        elif change.verdict == "lost":
            yield from self._lost(change)
        elif change.verdict == "added":
            planned = change.table in self.planned.plan.added_tables
            yield self._told("added-table", NOTE, f"{name} is new since the baseline", subject, planned=planned)
        else:
            yield from self._columns(change)
            yield from self._types(change, before)
            yield from self._rows(change)

    def _lost(self, change: TableChange) -> Iterator[Finding]:
        name, subject = f"the table {change.table}", f"table {change.table}"
        planned = change.table in self.planned.plan.dropped_tables
        if planned or not any(each.name == change.table and not each.present for each in self.facts.tables):
            had = f" and had {counted(change.rows_before, 'row')}" if change.rows_before is not None else ""
            message = f"{name} was there when the baseline was recorded{had}, and is gone"
            yield self._told("lost-table", FAIL, message, subject, planned=planned)

    def _columns(self, change: TableChange) -> Iterator[Finding]:
        of, subject, plan = f"the table {change.table}", f"table {change.table}", self.planned.table(change.table)
        rest = _rest(change)
        for code, severity, word, names, meant in (
            ("dropped-columns", FAIL, "has lost", change.dropped, plan.dropped),
            ("added-columns", NOTE, "has got", change.added, plan.added),
        ):
            for planned, some in zip((True, False), split(names, meant), strict=True):
                if some:
                    columns = counted(len(some), "column")
                    message = f"{of} {word} {columns} since the baseline: {listed(some)}"
                    message += f"{_alike(change)}{rest}" if code == "dropped-columns" else ""
                    evidence: dict[str, JSON] = {"columns": list(some)}
                    yield self._told(code, severity, message, subject, planned=planned, evidence=evidence)
        if change.renamed:
            message = f"in {of} {listed([f'{old} is now called {new}' for old, new in change.renamed.items()])}"
            remedy = Remedy("Nothing has to be done.")
            yield self.finding("as-planned", NOTE, f"as planned, {message}", f"{subject} (renamed)", remedy)
        left_out = [each for each in change.recomputed if each not in change.unaltered]
        if left_out and change.by in _BY_VALUES:
            message = f"as planned, in {of} the values of {listed(left_out)} were not compared{rest}"
            evidence = {"columns": list(left_out)}
            remedy = Remedy("No action is required.")
            yield self.finding("as-planned", NOTE, message, f"{subject} (values)", remedy, evidence)

    def _types(self, change: TableChange, before: DataFacts) -> Iterator[Finding]:
        of, subject = f"the table {change.table}", f"table {change.table}"
        moved = before.engine != self.facts.engine
        lossy = [each for each in change.retyped if moved and self._is_lossy(each)]
        if lossy or change.losses:
            what = [f"{each.column} ({each.before}) is {each.after}" for each in lossy]
            message = f"{of} differs in what {self._lossy_side(before)} cannot keep: {listed([*what, *change.losses])}"
            evidence: dict[str, JSON] = {"columns": [each.column for each in lossy], "losses": list(change.losses)}
            remedy = Remedy("Nothing has to be done: all other values are as they were.")
            yield self.finding("lossy-backend", NOTE, message, subject, remedy, evidence)
        others = [each for each in change.retyped if each not in lossy]
        as_planned = moved and (self.planned.moves(self.facts) or not self.planned.given)
        meant = [each for each in others if self.planned.retypes(change.table, each)]
        because = [each for each in others if each not in meant and as_planned]
        for planned, some in ((True, meant + because), (False, [x for x in others if x not in meant + because])):
            if some:
                as_were = "; the values are as they were"
                changed = listed([f"{each.column} was {each.before} and is {each.after}" for each in some])
                same = change.verdict == "equal" and not {each.column for each in some} & {*change.recomputed}
                evidence = {"columns": [each.column for each in some]}
                yield self._told(
                    "retyped",
                    NOTE,
                    f"in {of} {changed}{as_were if same else ''}",
                    subject,
                    planned=planned,
                    evidence=evidence,
                )

    def _is_lossy(self, column: Retyped) -> bool:
        return self.facts.engine == "sqlite" and column.code in _LOSSY

    def _lossy_side(self, before: DataFacts) -> str:
        return "SQLite" if "sqlite" in {before.engine, self.facts.engine} else self.facts.engine

    def _rows(self, change: TableChange) -> Iterator[Finding]:
        if change.verdict != "differs":
            return
        planned = self.planned.allows_rows(change)
        evidence = evidence_of(change)
        for code, message in messages(change):
            fine = planned and code != "altered-rows"
            text = message + ("" if fine else more(change))
            yield self._told(code, FAIL, text, f"table {change.table}", planned=fine, evidence=evidence, change=change)

    def _told(
        self,
        code: str,
        severity: Severity,
        message: str,
        subject: str,
        *,
        planned: bool,
        evidence: Mapping[str, JSON] | None = None,
        change: TableChange | None = None,
    ) -> Finding:
        """A change: as it is, or by what the plan says of it."""
        about = f"{subject} ({code})"
        if self.planned.given and planned:
            return self.finding("as-planned", NOTE, f"as planned, {message}", about, Remedy("Nothing has to be done."))
        if self.planned.given and severity is NOTE:
            text = "Find out what did it. If it was meant, write it into the file of expectations (--mdm-expect)."
            return self.finding("unplanned-change", FAIL, f"{message}, which is not planned", about, Remedy(text))
        remedy = Remedy("Nothing has to be done if it was meant.") if severity is NOTE else self._remedy(change)
        return self.finding(code, severity, message, subject, remedy, evidence)

    def finding(
        self,
        code: str,
        severity: Severity,
        message: str,
        subject: str,
        remedy: Remedy,
        evidence: Mapping[str, JSON] | None = None,
    ) -> Finding:
        """A finding at the place of the data."""
        where = Location(self.facts.file.path) if self.facts.in_file else None
        return self.check.finding(code, severity, message, remedy, evidence=evidence, location=where, subject=subject)

    def _remedy(self, change: TableChange | None) -> Remedy:
        meant = "If it was meant, say so in a file of expectations (--mdm-expect)."
        if change is not None and change.copy:
            return Remedy(f"{change.copy} holds the rows as they were: put them back from there. {meant}")
        if change is not None and change.packed:
            return repairs.unpacked(self.facts, change.packed, meant)
        remedy = repairs.compared(self.facts)
        return Remedy(f"{remedy.text} {meant}", remedy.commands)


def _rest(change: TableChange) -> str:
    """What is known of the columns that could be compared."""
    if change.verdict != "equal":
        return ""
    if change.by == "columns":
        return "; each of the others has the same values as before, taken by itself, which proves nothing of the rows"
    return f"; in the others every row is as it was, as compared with {change.copy}" if change.copy else ""


def _alike(change: TableChange) -> str:
    """The columns that look as if they had only been renamed."""
    pairs = [f"{new} has the values that {old} had" for old, new in change.alike.items()]
    return f"; {listed(pairs)}, so it may have been renamed" if pairs else ""


def _record_again() -> Remedy:
    text = (
        "Run this with the release of DuckDB that recorded the baseline; the name of the hash function in a baseline "
        "changes with it. Where the home of before still exists, record it again with this one."
    )
    return Remedy(text)


def _let_it_be_read() -> Remedy:
    return Remedy("Remove what is in the way; give it more time with --mdm-timeout, if that is what it takes.")
