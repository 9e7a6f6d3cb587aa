"""Whoever relies on the log does not pass where it could not be understood, and says so with the same words."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_mdm_health.core.model import Result, Status

Examine = Callable[..., Result]
FORMS = {
    "logfmt": "ts=2026-11-22T08:17:57Z level=info msg=\"Starting registration for dataset 'late'\"",
    "web server": '10.0.0.7 - - [22/Nov/2026:08:17:57 +0000] "GET /health HTTP/1.1" 200 warning',
    "bracketed": "[2026/11/22 08:17:57.120] [worker-3] ERROR Failed to generate features: no such column",
}
RELIES = [
    ("registration-hang", None),
    ("slow-registration", None),
    ("memory-exhaustion", None),
    ("feature-generation-failure", "shop"),
    ("custom-features-not-loading", None),
]


def look(examine: Examine, home: Path, check: str, dataset: str | None) -> Result:
    return examine(check, home, *([dataset] if dataset else []), depth="quick")


def add_custom_features(home: Path) -> None:
    folder = home / "config/custom_features"
    folder.mkdir(exist_ok=True)
    (folder / "shop.py").write_text("x = 1\n")


@pytest.mark.parametrize(("check", "dataset"), RELIES)
@pytest.mark.parametrize("form", FORMS)
def test_lines_of_another_form_keep_a_check_from_passing(
    examine: Examine, home: Path, check: str, dataset: str | None, form: str
) -> None:
    add_custom_features(home)
    log = home / "logs/mdm.log"
    was = log.read_text()
    assert look(examine, home, check, dataset).status in {Status.PASS, Status.WARN}
    log.write_text(f"{was}{FORMS[form]}\n" * 3)
    result = look(examine, home, check, dataset)
    assert (result.status, f"{log} has 3 lines in a form that MDM does not write" in result.reason) == (
        Status.ERROR,
        True,
    )
    log.write_text(was)
    assert look(examine, home, check, dataset).status in {Status.PASS, Status.WARN}


@pytest.mark.parametrize(("check", "dataset"), RELIES)
def test_a_rotated_log_of_another_program_counts_too(
    examine: Examine, home: Path, check: str, dataset: str | None
) -> None:
    add_custom_features(home)
    rotated = home / "logs/mdm.log.1.gz"
    rotated.write_bytes(gzip.compress(b"\n".join(b"%d;stopped;exit 3" % number for number in range(40))))
    result = look(examine, home, check, dataset)
    assert (result.status, f"{rotated} has 40 lines" in result.reason) == (Status.ERROR, True)


@pytest.mark.parametrize(("check", "dataset"), RELIES)
def test_a_log_that_cannot_be_read_to_its_end_is_said(
    examine: Examine, home: Path, check: str, dataset: str | None
) -> None:
    add_custom_features(home)
    packed = gzip.compress((home / "logs/mdm.log").read_bytes() * 50)
    (home / "logs/mdm.log.2.gz").write_bytes(packed[: len(packed) // 2])
    assert "mdm.log.2.gz cannot be read behind line" in look(examine, home, check, dataset).reason
