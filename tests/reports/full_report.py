"""A report that uses every field there is, made by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone

from pytest_mdm_health.core.changes import Change, Changed, ComparedTable, Comparison
from pytest_mdm_health.core.model import HOME, Check, Finding, Kind, Location, Remedy, Result, Severity, Status, Target
from pytest_mdm_health.reports.model import InstalledMdm, Report, WaiverUse

SHOP = Target(Kind.DATASET, "shop")
LOCKED = Finding(
    "sqlite-locking.held-open",
    Severity.FAIL,
    "PID 4711 holds the database",
    Remedy("Let it end, or end it.", ("ps -p 4711", "kill 4711")),
    {"pid": 4711, "since": None, "share": 0.5, "files": ["shop.sqlite"], "in": {"mode": "wal", "live": True}},
    Location("/srv/mdm/datasets/shop/shop.sqlite", 3, 7),
    "shop.sqlite",
)
SMALL_CACHE = Finding("sqlite-locking.journal-mode", Severity.WARN, "DELETE, not WAL", Remedy("Set it."), subject="wal")
ADVICE = Finding(
    "config-not-loading.unused",
    Severity.NOTE,
    "`x` is read by nobody",
    Remedy("Take it out."),
    location=Location("/srv/mdm/mdm.yaml"),
)
NOT_LOADING = Check(id="config-not-loading", issue="2.1", title="Settings are not in force", per=Kind.HOME)
LOCKING = Check(id="sqlite-locking", issue="3.2", title='SQLite answers "database is locked"', per=Kind.DATASET)
SLOWDOWN = Check(id="postgres-slowdown", issue="3.3", title="PostgreSQL became slow", per=Kind.SERVER)
GENERATION = Check(id="feature-generation-failure", issue="6.1", title="Features", per=Kind.DATASET)
SYSTEM = Check(id="system-check", issue="8.1", title="The system as a whole", per=Kind.SERVER)
RESULTS = (
    Result(
        check=NOT_LOADING,
        target=HOME,
        status=Status.PASS,
        examined=12,
        duration_s=0.25,
        facts={"keys": 12, "ratio": 0.5, "names": ["a", None]},
        findings=(ADVICE,),
        baseline="unchanged",
    ),
    Result(
        check=LOCKING,
        target=SHOP,
        status=Status.FAIL,
        reason="the log was not read",
        examined=3,
        duration_s=1.5,
        findings=(LOCKED, replace(SMALL_CACHE, waiver="moves next week (ann, until 2027-01-31)")),
        baseline="worse",
    ),
    Result(
        check=LOCKING,
        target=Target(Kind.DATASET, "größe"),
        status=Status.WAIVED,
        examined=3,
        findings=(replace(SMALL_CACHE, waiver="read only (ann, until 2027-01-31)"),),
        waiver="read only (ann, until 2027-01-31)",
        baseline="new",
    ),
    Result(
        check=SLOWDOWN,
        target=Target(Kind.SERVER, "db:5432"),
        status=Status.ERROR,
        reason="took longer than 60 s",
        duration_s=60.0,
        baseline="lost",
    ),
    Result(
        check=GENERATION,
        target=SHOP,
        status=Status.BLOCKED,
        reason="sqlite-locking failed",
        blocked_by="mdm-health::sqlite-locking[shop]",
    ),
    Result(check=SYSTEM, target=Target(Kind.SERVER, "odd:1"), status=Status.SKIP, reason="none here"),
    Result(check=SYSTEM, target=Target(Kind.SERVER, "bad:1"), status=Status.WARN, examined=1, duration_s=0.001),
)
COMPARISON = Comparison(
    file="/tmp/before.json",
    created_at="2026-11-21T20:00:00+00:00",
    home="/srv/old",
    moved=True,
    recorded_by="0.9.0",
    same_checks=False,
    counts={"new": 1, "unchanged": 1, "worse": 1, "lost": 1},
    changes=(
        Changed(Change.WORSE, "finding", LOCKED.code, "shop", "shop.sqlite", LOCKED.message, "fail"),
        Changed(
            Change.REMOVED, "dataset", "metadata-corruption.vanished", "old", "", "old is not there any more", "fail"
        ),
    ),
    regressions=2,
    lost=1,
    unknown=("data-corruption [big]: the table big was not compared",),
    unasked=2,
    tables=(
        ComparedTable("shop", "train", 158, 150, "differs", "digest", "adbc"),
        ComparedTable("old", "gone", 7, None, "lost"),
    ),
)
REPORT = Report(
    results=RESULTS,
    started_at=datetime(2026, 11, 22, 21, 0, tzinfo=timezone.utc),
    duration_s=61.75,
    exit_code=1,
    home="/srv/mdm",
    phase="post",
    depth="full",
    environment={"platform": "Linux", "python": "3.11.2", "executable": "/usr/bin/python3"},
    gaps=("/srv/mdm/datasets/secret: permission denied",),
    not_selected=("2 datasets not examined: big, wine", "1 check not run: backup-failure"),
    ignored=("metadata-corruption was ignored: its failure would block sqlite-locking, which ran without it",),
    mdm=InstalledMdm(version=None, python="/opt/mdm/bin/python", error="it does not start"),
    comparison=COMPARISON,
    waivers=WaiverUse(
        file="/srv/mdm-waivers.yaml", expired=("line 4: a.b on shop",), unused=("line 9: c.d on home", "line 12: e.f")
    ),
    not_run=1,
    version="1.2.3",
)
