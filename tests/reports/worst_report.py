"""Reports by hand that no home should give: hostile names in every place, and very many results."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from pytest_mdm_health.core.changes import Change, Changed, ComparedTable, Comparison
from pytest_mdm_health.core.model import HOME, Check, Finding, Kind, Location, Remedy, Result, Severity, Status, Target
from pytest_mdm_health.engine.registry import load
from pytest_mdm_health.reports.model import InstalledMdm, Report, WaiverUse

STARTED = datetime(2026, 11, 22, 21, 0, tzinfo=timezone.utc)
HOSTILE = (
    "<script>document.title = 'it ran'; alert(1)</script>",
    '"><img src=x onerror="document.title = \'it ran\'">',
    "</style><svg onload=alert(1)><style>*{display:none}",
    'o\'brien "the $(id) `id`"',
    "two\nlines\r\nand\ta tab\x1b[31m\x00",
    "harmless \u202egnp.exe\u2066 turned \u200f round",
    "שלום עולם",
    "W" * 10_000,
    "many words " * 1_000,
    "😀👩‍👩‍👧‍👦 é ﷽",
    "back\\slash\\",
    "lone \ud800 surrogate \udcff",
    "{{ 7 * 7 }} {% raw %} ${7*7}",
    "&lt;b&gt; &amp; <bdi> --> ]]>",
    "javascript:alert(1)",
)
CHECKS = {id_: each.check for id_, each in load().items()}


def hostile() -> Report:
    """Every hostile name in every place where a name can be."""
    results = (*(result for name in HOSTILE for result in _results(name)), *_on_the_home())
    data = CHECKS["data-corruption"]
    changes = [
        Changed(change, what, f"{data.id}.row-count", name, name, f"{name} is not as it was")
        for name in HOSTILE
        for change, what in zip(
            Change, ("finding", "table", "check", name, "dataset", "setting", "column"), strict=True
        )
    ]
    file = f"/srv/{HOSTILE[0]}/{HOSTILE[7]}"
    return Report(
        results=results,
        started_at=STARTED,
        duration_s=12.5,
        exit_code=1,
        home=f"/srv/{HOSTILE[1]}",
        phase="post",
        environment={name: name for name in HOSTILE},
        gaps=HOSTILE,
        mdm=InstalledMdm(version=HOSTILE[0], python=file, error=HOSTILE[5]),
        comparison=Comparison(
            file=file,
            created_at=HOSTILE[5],
            home=HOSTILE[7],
            moved=True,
            recorded_by=HOSTILE[0],
            same_checks=False,
            counts={"new": 3, "lost": 2},
            changes=tuple(changes),
            regressions=3,
            lost=2,
            tables=tuple(ComparedTable(name, name, 1000, len(name), "differs") for name in HOSTILE),
        ),
        waivers=WaiverUse(file=file, expired=HOSTILE, unused=HOSTILE),
    )


def many(count: int, findings: int = 0, words: str = "it is bad") -> Report:
    """As many results on one check for each of ten, with this many findings each."""
    checks = [each for each in CHECKS.values() if each.per is Kind.DATASET][:5]
    return Report(
        results=tuple(_many(count, checks, findings, words)),
        started_at=STARTED,
        duration_s=600,
        exit_code=1 if findings else 0,
        home="/srv/mdm",
    )


def _many(count: int, checks: list[Check], findings: int, words: str) -> Iterator[Result]:
    for number in range(count):
        target = Target(Kind.DATASET, f"dataset_{number // len(checks):05d}")
        check = checks[number % len(checks)]
        found = tuple(
            _finding(check, f"kind-{which}", f"{words} in {target.name}", f"table_{which}", "")
            for which in range(findings)
        )
        status = Status.FAIL if findings else Status.PASS
        yield Result(check=check, target=target, status=status, examined=3, duration_s=0.01, findings=found)


def _results(name: str) -> Iterator[Result]:
    target = Target(Kind.DATASET, name)
    data, types, features = (CHECKS[id_] for id_ in ("data-corruption", "type-mismatch", "feature-generation-failure"))
    bad = _finding(data, "row-count", f"the table {name} has lost rows, and `{name}` too", name, name)
    accepted = _finding(data, "surplus", f"the file {name} is too long", name, name)
    yield Result(
        check=data,
        target=target,
        status=Status.FAIL,
        reason=f"{name} was not looked at",
        examined=2,
        findings=(bad, replace(accepted, waiver=f"{name} (ann, until 2027-01-31)")),
        baseline="new",
    )
    note = _finding(types, "mixed-types", f"the column {name}", name, name, Severity.NOTE)
    yield Result(check=types, target=target, status=Status.PASS, reason=name, examined=1, findings=(note,))
    yield Result(check=features, target=target, status=Status.ERROR, reason=f"it crashed: {name}", duration_s=1.5)


def _on_the_home() -> Iterator[Result]:
    for name, status in zip(HOSTILE, (Status.SKIP, Status.BLOCKED) * len(HOSTILE), strict=False):
        check = Check(id="logged-errors", issue="8.3", title=name, per=Kind.HOME)
        server = Target(Kind.SERVER, name)
        yield Result(check=check, target=server, status=status, reason=name, blocked_by=f"mdm-health::x[{name}]")
    warning = _finding(CHECKS["logged-errors"], "error", f"The log has {HOSTILE[0]}", "", HOSTILE[7], Severity.WARN)
    yield Result(check=CHECKS["logged-errors"], target=HOME, status=Status.WARN, examined=9, findings=(warning,))


def _finding(
    check: Check, code: str, message: str, subject: str, name: str, severity: Severity = Severity.FAIL
) -> Finding:
    evidence: dict[str, Any] = {"column": "price", "rows": [{"row": 1, "was": "abc"}, {"row": 2, "was": "def"}]}
    if name:
        evidence |= {name: name, "nested": {name: [name, {name: float("nan")}]}, "table": [{name: name, "n": 1}] * 30}
    commands = (f"cp -p -- {shlex.quote('/srv/mdm/' + (name or subject))} /srv/aside", f"mdm dataset info {subject}")
    return check.finding(
        code,
        severity,
        message,
        Remedy(f"Put {name or 'it'} right.", commands),
        evidence=evidence,
        location=Location(f"/srv/mdm/{name or subject}", 3, 7),
        subject=subject,
    )
