"""A waivers file drafted from a run (`--mdm-write-waivers`): reason and owner are left for a person to write."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta

import yaml

from pytest_mdm_health.baseline.waivers import (
    ALTERED_ROWS,
    PLACEHOLDER,
    SCHEMA,
    Waiver,
    columns_of,
    needs_bound,
    rows_of,
)
from pytest_mdm_health.core.model import Finding, Result, Severity, Status
from pytest_mdm_health.core.text import shortened

DAYS = 30
"""How long what is drafted would be accepted."""

MOST_SUBJECTS = 20
"""Findings of one code on one target that have entries of their own; of more, one entry covers all."""

MOST_BYTES = 2_000_000
"""What a draft may have, about half of what is read."""

Value = str | int | date | list[str]
_NO_TEXT = re.compile("[\ud800-\udfff]")
_HEAD = f"""\
# Findings of this run that are not accepted yet. Take out what should be repaired; for the rest, replace
# {PLACEHOLDER} by why it is accepted and by who answers for that, and choose the last day on which it counts.
schema: {SCHEMA}
"""


def draft(results: Iterable[Result], today: date, days: int = DAYS) -> str:
    """A waivers file with an entry for every fail and warning that is not waived already."""
    entries: list[str] = []
    size = left_out = 0
    for result in results:
        for text in _entries(result, today + timedelta(days=days)):
            size += len(text.encode("utf-8"))
            entries += [text] if size <= MOST_BYTES else []
            left_out += size > MOST_BYTES
    key = "waivers:\n" if any("\n- " in text for text in entries) else "waivers: []\n"
    return _HEAD + key + "".join(entries) + (f"# {left_out} more entries have no room here.\n" if left_out else "")


def _entries(result: Result, expires: date) -> Iterator[str]:
    if result.status not in {Status.WARN, Status.FAIL}:
        return
    grouped: dict[str, dict[str, list[Finding]]] = {}
    for finding in result.findings:
        if finding.severity is not Severity.NOTE and finding.waiver is None:
            grouped.setdefault(finding.code, {}).setdefault(finding.subject, []).append(finding)
    for code, by_subject in grouped.items():
        about: dict[str, Value] = {"code": code, "target": _pattern(result.target.name)}
        every = [finding for findings in by_subject.values() for finding in findings]
        entry = _bounded_entry if any(map(needs_bound, every)) else _entry
        if entry is _bounded_entry or len(by_subject) in range(2, MOST_SUBJECTS + 1):
            for subject, findings in by_subject.items():
                yield entry({**about, "subject": _pattern(subject)}, findings, expires)
        else:
            yield entry(about, every, expires)


def _pattern(name: str) -> str:
    """A pattern for this name alone; bytes of a file's name that are no text can be written as any character only."""
    return _NO_TEXT.sub("?", glob.escape(name))


def _bounded_entry(about: Mapping[str, Value], findings: list[Finding], expires: date) -> str:
    """An entry for no more than is reported; where that is not known exactly, the reason why there is none."""
    code, known = findings[0].code, [rows_of(finding) for finding in findings]
    columns = {column for finding in findings for column in columns_of(finding)} if code == ALTERED_ROWS else set()
    rows = max((count for count in known if count is not None), default=None)
    waiver = Waiver(
        code=code,
        codes=frozenset({code}),
        target="*",
        columns=frozenset(columns) or None,
        rows=None if None in known else rows,
        reason=PLACEHOLDER,
        owner=PLACEHOLDER,
        expires=expires,
    )
    if not all(map(waiver.reaches, findings)) or any(map(_NO_TEXT.search, columns)):
        told = "".join(f"# {finding.severity.value}: {shortened(finding.message)}\n" for finding in findings)
        return (
            f"\n{told}# No entry: how much is concerned is not known exactly. Give an earlier copy with --mdm-backup.\n"
        )
    bounds: dict[str, Value] = {"columns": sorted(columns)} if columns else {}
    if waiver.rows is not None:
        bounds["rows"] = waiver.rows
    return _entry({**about, **bounds}, findings, expires)


def _entry(about: Mapping[str, Value], findings: list[Finding], expires: date) -> str:
    entry = {**about, "reason": PLACEHOLDER, "owner": PLACEHOLDER, "expires": expires}
    readable = all(str(value).isprintable() for value in entry.values())
    text: str = yaml.safe_dump([entry], sort_keys=False, allow_unicode=readable, width=float("inf"))
    told = [f"# {finding.severity.value}: {shortened(finding.message)}" for finding in findings[:MOST_SUBJECTS]]
    told += [f"# and {len(findings) - MOST_SUBJECTS} more"] if len(findings) > MOST_SUBJECTS else []
    return "\n".join(("", *told, text))
