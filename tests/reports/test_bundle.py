"""The bundle has what the guide asks for, and nothing that must not leave."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path

import pytest


@pytest.fixture
def bundle(pytester: pytest.Pytester, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> zipfile.ZipFile:
    """The bundle of a run on a home with a password in its settings, its environment and its log."""
    monkeypatch.setenv("MDM_DATABASE_POSTGRESQL_PASSWORD", "tr0ub4dor&3")
    with (home / "logs" / "mdm.log").open("a") as log:
        log.write("2026-11-22 09:00:00 | INFO | a:b:1 - connecting with tr0ub4dor&3 to postgresql://ml:other@host/db\n")
        log.write("2026-11-22 09:00:01 | ERROR | a:b:1 - cannot insert 'Jane Doe' into 'shop'\n")
        log.write("[SQL: INSERT INTO shop\nVALUES ('Jane Doe', 4111)]\n[parameters: ('Jane Doe', '4111 1111')]\n")
        message = "column 'age': \"Jane Doe\"\nDETAIL:  Failing row contains (Jane Doe, 4111)."
        log.write(json.dumps({"record": {"message": message}}) + "\n")
    file = tmp_path / "ticket.zip"
    pytester.runpytest_subprocess("--mdm-health", "--mdm-home", home, "--mdm-bundle", file, "--mdm-phase", "post")
    return zipfile.ZipFile(file)


def test_it_has_the_fields_of_the_guide(bundle: zipfile.ZipFile, home: Path) -> None:
    info = json.loads(bundle.read("mdm-health/mdm_debug_info.json"))
    assert info["migration_stage"] == "post"
    assert {"system", "environment", "configuration", "datasets", "disk_usage", "process_info"} < set(info)
    assert {"platform", "python", "mdm_version"} <= set(info["system"])
    assert [each["name"] for each in info["datasets"]] == ["big", "breast_cancer", "shop", "wine"]
    assert info["configuration"]["performance.batch_size"]["value"] == 5000
    assert info["disk_usage"][str(home)]["free_bytes"] > 0
    assert len(info["recent_logs"]) == 100


def test_no_secret_is_in_it(bundle: zipfile.ZipFile) -> None:
    everything = b"".join(bundle.read(name) for name in bundle.namelist()).decode()
    assert "tr0ub4dor" not in everything
    assert "ml:other@" not in everything
    assert "ml:***@" in everything


def test_no_value_of_data_from_the_log_is_in_it_and_names_are(bundle: zipfile.ZipFile) -> None:
    everything = b"".join(bundle.read(name) for name in bundle.namelist()).decode()
    assert "Jane" not in everything
    assert "4111 1111" not in everything
    assert "4111)" not in everything
    lines = json.loads(bundle.read("mdm-health/mdm_debug_info.json"))["recent_logs"]
    assert lines[-5].endswith("cannot insert '…' into 'shop'")
    assert json.loads(lines[-1])["record"]["message"] == "column 'age': \"…\"\nDETAIL: …"


def test_its_manifest_fits(bundle: zipfile.ZipFile) -> None:
    sums = json.loads(bundle.read("mdm-health/MANIFEST.json"))
    assert {"README.txt", "report.html", "results.json", "mdm_debug_info.json"} == set(sums)
    for name, digest in sums.items():
        assert hashlib.sha256(bundle.read(f"mdm-health/{name}")).hexdigest() == digest


def test_it_holds_no_data(bundle: zipfile.ZipFile) -> None:
    assert not [name for name in bundle.namelist() if name.endswith((".sqlite", ".duckdb", ".parquet", ".csv"))]


def test_the_command_to_run_it_again_is_quoted(pytester: pytest.Pytester, tmp_path: Path) -> None:
    home, file = tmp_path / "my home", tmp_path / "ticket.zip"
    (home / "config" / "datasets").mkdir(parents=True)
    pytester.runpytest_subprocess("--mdm-health", "--mdm-home", home, "--mdm-bundle", file)
    with zipfile.ZipFile(file) as bundle:
        text = bundle.read("mdm-health/README.txt").decode()
    assert f"--mdm-home '{home}' --mdm-phase" in text
