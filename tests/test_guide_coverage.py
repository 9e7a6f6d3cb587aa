"""Everything in the guide ends in a finding.

What the guide has is held here, apart from the product's own tables: each of its lines by a fingerprint, because its
sentences are not copied, with the findings that have to answer it. A line that is lost, changed or given to another
issue, and a finding that is taken away from one, are seen.
"""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from pytest_mdm_health.checks.system_check import COMMANDS
from pytest_mdm_health.engine.registry import load
from pytest_mdm_health.knowledge.guide import AREAS, SYMPTOMS, TITLES, Symptom
from pytest_mdm_health.knowledge.messages import KNOWN_ERRORS
from pytest_mdm_health.knowledge.symptoms import findings_of

CODES = {f"{id_}.{code}" for id_, each in load().items() for code in each.documentation.findings}


class Line(NamedTuple):
    """A symptom of the guide: its issue, its fingerprint, and the findings that say that it is so."""

    issue: str
    fingerprint: str
    findings: tuple[str, ...]


class Row(NamedTuple):
    """A row of the guide's table of messages: its issue, the message's fingerprint, the finding, a word of the fix."""

    issue: str
    fingerprint: str
    finding: str
    fix: str


LINES = (
    Line("1.1", "727bc85f45eb1b13785c7d5569db1c81", ("backup-failure.script-fails",)),
    Line(
        "1.1",
        "285469d7db9793c8b8ed9bfc9f0f21ee",
        ("backup-failure.unreadable", "backup-failure.folder-access", "logged-errors.permission-denied"),
    ),
    Line("1.1", "147bd04a86c2793c64defde18a2ae8c0", ("backup-failure.no-room",)),
    Line(
        "1.2",
        "7e99681afef14f56164da77762ddfd04",
        (
            "incompatible-dependencies.not-importable",
            "logged-errors.module-missing",
            "incompatible-dependencies.not-installed",
            "incompatible-dependencies.known-trouble",
        ),
    ),
    Line(
        "1.2",
        "657abed0f1cfb290a478f4354ecaf174",
        ("incompatible-dependencies.version", "incompatible-dependencies.contradiction"),
    ),
    Line(
        "1.2",
        "ca84f9d703be40fd4fff7a39c57bd434",
        ("incompatible-dependencies.python", "incompatible-dependencies.missing"),
    ),
    Line(
        "2.1",
        "7ee05660a867190ed4220d12dd5f9a9b",
        (
            "config-not-loading.syntax",
            "config-not-loading.refused-value",
            "config-not-loading.encoding",
            "config-not-loading.mdm-refuses",
        ),
    ),
    Line(
        "2.1",
        "6ce5cb15898bbb26e0411c9fd072dc1f",
        ("config-not-loading.defaults-in-force", "config-not-loading.unknown-key", "config-not-loading.reverted"),
    ),
    Line(
        "2.1",
        "53627d80d6116f4e3ec627171bb8493f",
        ("config-not-loading.ignored-variable", "config-not-loading.refused-variable"),
    ),
    Line(
        "2.2",
        "b902d1fff7327f2a49caae3549f5a2eb",
        ("legacy-config-active.old-file", "legacy-config-active.legacy-active"),
    ),
    Line(
        "2.2",
        "bed201310d04207f6d19d8ada469c71d",
        ("legacy-config-active.other-names", "legacy-config-active.stale-cache"),
    ),
    Line(
        "2.2",
        "dd88bcdbc784989101ae08ee8970eef6",
        ("legacy-config-active.mixed-flags", "legacy-config-active.legacy-code"),
    ),
    Line(
        "3.1",
        "6ae5fe4f6fe97a0ead1e6272eb612558",
        ("pool-exhaustion.logged-exhaustion", "pool-exhaustion.pool-too-small", "logged-errors.pool-limit"),
    ),
    Line(
        "3.1",
        "8b4fd42d8e7c198f47a70b76abcc4a8d",
        (
            "pool-exhaustion.leaked-transaction",
            "pool-exhaustion.leaked-connection",
            "postgres-slowdown.blocked-session",
        ),
    ),
    Line("3.1", "b8d73ca9ada5f74e4adc088239e6ca33", ("pool-exhaustion.server-full", "pool-exhaustion.exceeds-server")),
    Line(
        "3.2",
        "0d1feaa5ca6de9aa87e55048c84ed305",
        ("sqlite-locking.locked-now", "sqlite-locking.lock-errors", "logged-errors.database-locked"),
    ),
    Line(
        "3.2", "f0f45c3ed713bc068a17e4cca0dd2a72", ("sqlite-locking.journal-mode", "sqlite-locking.network-file-system")
    ),
    Line("3.2", "ff3e82594d1905226457e9157c1be9d6", ("sqlite-locking.readers-refused", "sqlite-locking.lock-errors")),
    Line(
        "3.3",
        "4904ab2089cb6a788a31d2b96f6fc25c",
        (
            "postgres-slowdown.slower-statements",
            "postgres-slowdown.slow-statement",
            "postgres-slowdown.sequential-scan",
        ),
    ),
    Line(
        "3.3",
        "18eacd71a05293f9c033147d09391df8",
        ("postgres-slowdown.memory-settings", "postgres-slowdown.dead-rows", "postgres-slowdown.cache-misses"),
    ),
    Line(
        "3.3",
        "93e6b73acb94d6299d7ef8e96d59ea6b",
        ("postgres-slowdown.slow-connection", "postgres-slowdown.unreachable"),
    ),
    Line(
        "4.1",
        "450e1c6c6c9a1ae752a1e235e4312361",
        (
            "slow-registration.slower-than-before",
            "slow-registration.took-hours",
            "slow-registration.slower-than-others",
        ),
    ),
    Line("4.1", "01382f764adf056d94902f6af4ace6c8", ("registration-hang.idle", "registration-hang.stopped")),
    Line(
        "4.1",
        "545eff59423cc9e83ae7d1830ef713d7",
        ("memory-exhaustion.batch-too-large", "memory-exhaustion.process-memory"),
    ),
    Line("4.2", "4edbf27e7e9089be12b380f655c0fde6", ("memory-exhaustion.ran-out", "logged-errors.out-of-memory")),
    Line(
        "4.2", "328216f954e099930e84821a43906477", ("memory-exhaustion.memory-low", "memory-exhaustion.process-memory")
    ),
    Line("4.2", "1feb7773beaa0471bb51dba67cb761bd", ("memory-exhaustion.oom-kills",)),
    Line(
        "5.1",
        "f1897681c50808dca479212ff6e68c9e",
        (
            "data-corruption.row-count",
            "feature-generation-failure.row-count",
            "data-corruption.missing-rows",
            "data-corruption.added-rows",
            "data-corruption.duplicated-rows",
        ),
    ),
    Line(
        "5.1",
        "d773dafdfb2a6f6d3d7db8b39381f3fb",
        ("data-corruption.damaged", "data-corruption.altered-rows", "postgres-slowdown.checksum-failure"),
    ),
    Line(
        "5.1",
        "9810a65d239e0c57ccb7fd20e1c094cd",
        (
            "data-corruption.lost-columns",
            "data-corruption.empty-table",
            "data-corruption.altered-rows",
            "data-corruption.missing-rows",
            "data-corruption.dropped-columns",
        ),
    ),
    Line("5.2", "93e1a069624860bf378a2b66f0d4b07c", ("type-mismatch.mixed-types", "type-mismatch.changed-type")),
    Line(
        "5.2",
        "26c2b2c586b0216ed04a3da92f4f471c",
        ("type-mismatch.declared-type", "type-mismatch.tables-differ", "type-mismatch.changed-type"),
    ),
    Line("5.2", "e09e6a7a83ac248551d806fa8c4dc6a5", ("type-mismatch.numbers-as-text",)),
    Line(
        "6.1",
        "e3fe8bc357151565fcf254e046e2455e",
        ("feature-generation-failure.logged-failure", "feature-generation-failure.generator-fails"),
    ),
    Line(
        "6.1",
        "a5ba38765a3a81dd93992789934bc300",
        (
            "feature-generation-failure.missing-table",
            "feature-generation-failure.tables-differ",
            "feature-generation-failure.lost-features",
        ),
    ),
    Line(
        "6.1",
        "01d2378f67946673ed94eed03f4243be",
        (
            "feature-generation-failure.empty-feature",
            "feature-generation-failure.infinite-feature",
            "feature-generation-failure.altered-features",
        ),
    ),
    Line(
        "6.2",
        "5daea4fa4cdea05b5f21ff65651ad342",
        (
            "custom-features-not-loading.not-in-table",
            "custom-features-not-loading.bare-functions",
            "custom-features-not-loading.no-operations",
            "custom-features-not-loading.operation-fails",
        ),
    ),
    Line(
        "6.2",
        "4b742ce49e5c4beaab73491217b6dd5b",
        ("custom-features-not-loading.not-listed", "custom-features-not-loading.wrong-place"),
    ),
    Line(
        "6.2",
        "5f8853e26baed7963424708d048ceec0",
        ("custom-features-not-loading.fails-to-load", "custom-features-not-loading.other-api"),
    ),
    Line("7.1", "5325e339dbdd4456d1a59dbc27b42369", ("registration-hang.stopped", "registration-hang.idle")),
    Line("7.1", "91cb826727f2b186316b7a69188dc734", ("registration-hang.idle",)),
    Line("7.1", "048e451c6cb4e616d63a63a599b212e8", ("registration-hang.waiting-for-lock",)),
    Line(
        "7.2", "a33e64f4d063f785044ef7d219bb3e21", ("metadata-corruption.missing-field", "logged-errors.metadata-key")
    ),
    Line(
        "7.2",
        "caf9364016ead1882d48fcb22aac5fd7",
        ("metadata-corruption.twins-disagree", "metadata-corruption.damaged-twin"),
    ),
    Line(
        "7.2",
        "9a80060cf4a2d6a567f5bf44ca78b723",
        ("metadata-corruption.other-default", "metadata-corruption.missing-data", "metadata-corruption.wrong-engine"),
    ),
)
"""The guide's symptoms, three for each issue, in its order."""

PARAPHRASED = {
    "backup script returns non-zero exit": "727bc85f45eb1b13785c7d5569db1c81",
    "insufficient space for backup": "147bd04a86c2793c64defde18a2ae8c0",
    "package version conflicts": "657abed0f1cfb290a478f4354ecaf174",
    "failed to load configuration MDMSettingsError": "7ee05660a867190ed4220d12dd5f9a9b",
    "settings revert to defaults": "6ce5cb15898bbb26e0411c9fd072dc1f",
    "old configuration values still used": "b902d1fff7327f2a49caae3549f5a2eb",
    "mixed old and new behaviour": "dd88bcdbc784989101ae08ee8970eef6",
    "QueuePool limit exceeded": "6ae5fe4f6fe97a0ead1e6272eb612558",
    "database is locked": "0d1feaa5ca6de9aa87e55048c84ed305",
    "queries slower than before migration": "4904ab2089cb6a788a31d2b96f6fc25c",
    "high CPU or memory on database server": "18eacd71a05293f9c033147d09391df8",
    "registration takes hours instead of minutes": "450e1c6c6c9a1ae752a1e235e4312361",
    "high memory during registration": "545eff59423cc9e83ae7d1830ef713d7",
    "system becomes unresponsive": "328216f954e099930e84821a43906477",
    "killed by OOM killer": "1feb7773beaa0471bb51dba67cb761bd",
    "TypeError while processing data": "93e1a069624860bf378a2b66f0d4b07c",
    "incompatible feature values": "01d2378f67946673ed94eed03f4243be",
    "custom features not in dataset": "5daea4fa4cdea05b5f21ff65651ad342",
    "custom features work in test but not production": "5f8853e26baed7963424708d048ceec0",
    "registration progress stops": "5325e339dbdd4456d1a59dbc27b42369",
    "inconsistent dataset information": "caf9364016ead1882d48fcb22aac5fd7",
    "registration succeeds but dataset unusable": "9a80060cf4a2d6a567f5bf44ca78b723",
}
"""Where our words are not the guide's: the fingerprint of the line that they stand for."""

ROWS = (
    Row("3.1", "712bb395b9663f292bb7533200774978", "logged-errors.pool-limit", "pool_size"),
    Row("3.2", "c4da09e093eb5aabb4eb42d051c79766", "logged-errors.database-locked", "WAL"),
    Row("5.1", "917269a1c2b907540761f483214eddaa", "logged-errors.no-such-table", "migration"),
    Row("7.2", "b511f73e97a483ce5364af178bd4c6df", "logged-errors.metadata-key", "rebuild"),
    Row("4.2", "4edbf27e7e9089be12b380f655c0fde6", "logged-errors.out-of-memory", "batch_size"),
    Row("3.3", "95ab7f30c1211b0fde42366d3237b689", "logged-errors.timed-out", "indexes"),
    Row("1.1", "034b5870d3e0430050a7cccd3a25c620", "logged-errors.permission-denied", "chown"),
    Row("1.2", "d48e0a6c27c8c6934344e71bf2854643", "logged-errors.module-missing", "install"),
)
"""The guide's table of messages (8.3)."""

DEBUG_FIELDS: dict[str, tuple[str, ...]] = {
    "system": ("platform", "python", "mdm_version"),
    "environment": (),
    "configuration": (),
    "datasets": (),
    "disk_usage": (),
    "process_info": (),
    "recent_logs": (),
}
"""What `mdm_debug_info.json` has (8.2)."""

LOG_LINES = 100


def fingerprint(issue: str, text: str) -> str:
    """Half of the SHA-256 of the words of a line of the guide, with its issue."""
    words = " ".join(re.findall(r"[a-z0-9_.*]+", text.lower()))
    return hashlib.sha256(f"{issue} {words}".encode()).hexdigest()[:32]


def line_of(symptom: Symptom) -> str:
    return PARAPHRASED.get(symptom.text) or fingerprint(symptom.issue, symptom.text)


def test_every_line_of_the_guide_is_a_symptom_of_its_issue_once() -> None:
    assert [(symptom.issue, line_of(symptom)) for symptom in SYMPTOMS] == [line[:2] for line in LINES]


@pytest.mark.parametrize("line", LINES, ids=lambda line: f"{line.issue}-{line.fingerprint[:6]}")
def test_every_line_of_the_guide_ends_in_its_findings(line: Line) -> None:
    (symptom,) = (each for each in SYMPTOMS if line_of(each) == line.fingerprint)
    assert set(line.findings) <= set(findings_of(symptom)) <= CODES
    assert line.findings


def test_every_row_of_the_message_table_ends_in_its_finding() -> None:
    known = [(each.issue, fingerprint(each.issue, each.name), f"logged-errors.{each.finding}") for each in KNOWN_ERRORS]
    assert known == [row[:3] for row in ROWS]
    assert {row.finding for row in ROWS} <= CODES
    assert [row.fix for row, each in zip(ROWS, KNOWN_ERRORS, strict=True) if row.fix not in each.fix] == []


def test_every_issue_has_its_check_and_its_title() -> None:
    issues = {line.issue for line in LINES} | {"8.1", "8.3"}
    assert set(TITLES) == issues <= {each.check.issue for each in load().values()}


def test_the_quick_diagnosis_leads_to_every_symptom_section() -> None:
    assert sorted(AREAS.values()) == ["2", "3", "4", "5", "6", "7", "8"]


def test_the_comprehensive_check_runs_every_command_of_the_guide() -> None:
    wanted = {
        "config validate": [],
        "storage test": ["--verbose"],
        "dataset list": ["--format", "json"],
        "features test": [],
        "benchmark": ["--quick", "--format", "json"],
    }
    assert {command: list(COMMANDS[command][: len(options)]) for command, options in wanted.items()} == wanted
    assert {"system-check.command-failed", "system-check.command-hangs", "system-check.not-listed"} <= CODES


def test_a_run_gives_what_the_guide_asks_for_in_a_ticket(
    health: Callable[..., pytest.RunResult], tmp_path: Path
) -> None:
    result = health(
        "--mdm-phase", "post", "--mdm-select", "8.3", "--mdm-select", "2.1", "--mdm-bundle", tmp_path / "t.zip"
    )

    result.stdout.re_match_lines([r"configuration \w+ · .*"])
    with zipfile.ZipFile(tmp_path / "t.zip") as bundle:
        texts = {Path(name).name: bundle.read(name).decode() for name in bundle.namelist()}
    info = json.loads(texts["mdm_debug_info.json"])
    assert set(DEBUG_FIELDS) <= set(info)
    assert set(DEBUG_FIELDS["system"]) <= set(info["system"])
    assert info["migration_stage"] == json.loads(texts["results.json"])["phase"] == "post"
    assert "pytest --mdm-health" in texts["README.txt"]  # the steps to reproduce
    assert len(info["recent_logs"]) == LOG_LINES
    assert "logged-errors" in texts["results.json"]  # the error messages
