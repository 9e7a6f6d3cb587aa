"""The bundle has what the guide asks for, and nothing that must not leave."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shlex
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_mdm_health.core.options import Options
from pytest_mdm_health.mdm.inventory import take_inventory
from pytest_mdm_health.redaction.redactor import Redactor, redactor_for
from pytest_mdm_health.reports.bundle import WHEN, _zipped, settings_text
from pytest_mdm_health.reports.debug_info import last_lines
from pytest_mdm_health.reports.home_files import home_files
from pytest_mdm_health.reports.reproduction import command
from tests.conftest import ARCHIVES
from tests.helpers import run_health


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, _unpack: Callable[[Path, Path], Path]) -> Path:
    """A home that only the fixture `bundle` changes."""
    return _unpack(ARCHIVES["mdm-1.0.6-sqlite"], tmp_path_factory.mktemp("bundle") / "home")


@pytest.fixture(scope="module")
def bundle(home: Path) -> zipfile.ZipFile:
    """The bundle of a run on a home with a password in its settings, its environment and its log; made once."""
    with (home / "logs" / "mdm.log").open("a") as log:
        log.write(f"2026-11-22 08:59:59 | INFO | a:b:1 - {'x' * 10_000}\n")
        log.write("2026-11-22 09:00:00 | INFO | a:b:1 - connecting with tr0ub4dor&3 to postgresql://ml:other@host/db\n")
        log.write("2026-11-22 09:00:01 | ERROR | a:b:1 - cannot insert 'Jane Doe' into 'shop'\n")
        log.write("[SQL: INSERT INTO shop\nVALUES ('Jane Doe', 4111)]\n[parameters: ('Jane Doe', '4111 1111')]\n")
        message = "column 'age': \"Jane Doe\"\nDETAIL:  Failing row contains (Jane Doe, 4111)."
        log.write(json.dumps({"record": {"message": message}}) + "\n")
    file = home.parent / "ticket.zip"
    password = {"MDM_DATABASE_POSTGRESQL_PASSWORD": "tr0ub4dor&3"}
    run_health(home, home.parent, "--mdm-bundle", file, "--mdm-phase", "post", environ=password)
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


def test_a_long_line_of_the_log_is_cut_and_says_so(bundle: zipfile.ZipFile) -> None:
    (line,) = [each for each in bundle.read("mdm-health/log.txt").decode().splitlines() if "xxx" in each]
    assert line.endswith("x […8,037 characters more]")
    assert line in json.loads(bundle.read("mdm-health/mdm_debug_info.json"))["recent_logs"]


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


MEMBERS = {
    *("README.txt", "report.html", "report.md", "results.json", "log.txt", "settings.yaml", "files.json"),
    *("environment.json", "mdm_debug_info.json"),
}


def test_its_manifest_fits(bundle: zipfile.ZipFile) -> None:
    sums = json.loads(bundle.read("mdm-health/MANIFEST.json"))
    assert set(sums) == MEMBERS
    assert {name.removeprefix("mdm-health/") for name in bundle.namelist()} == {*MEMBERS, "MANIFEST.json"}
    for name, digest in sums.items():
        assert hashlib.sha256(bundle.read(f"mdm-health/{name}")).hexdigest() == digest


def test_it_holds_no_data(bundle: zipfile.ZipFile) -> None:
    assert not [name for name in bundle.namelist() if name.endswith((".sqlite", ".duckdb", ".parquet", ".csv"))]


def test_it_lists_what_lies_in_the_home(bundle: zipfile.ZipFile, home: Path) -> None:
    listing = json.loads(bundle.read("mdm-health/files.json"))
    by_name = {each["name"]: each for each in listing["entries"]}
    file = home / "datasets" / "shop" / "shop.sqlite"
    shown = by_name["datasets/shop/shop.sqlite"]
    assert (shown["kind"], shown["mode"], shown["size"]) == ("file", "-rw-r--r--", file.stat().st_size)
    assert shown["modified"].endswith("+00:00")
    assert set(by_name) == {str(path.relative_to(home)) for path in home.rglob("*")}
    assert listing["left_out"] == 0


def test_it_names_packages_and_variables(bundle: zipfile.ZipFile) -> None:
    environment = json.loads(bundle.read("mdm-health/environment.json"))
    assert environment["packages"]["pytest"] == pytest.__version__
    assert environment["variables"]["MDM_DATABASE_POSTGRESQL_PASSWORD"] == "***"


def test_the_settings_are_in_it_without_secrets(bundle: zipfile.ZipFile) -> None:
    assert yaml.safe_load(bundle.read("mdm-health/settings.yaml"))["performance"]["batch_size"] == 5000


def test_the_same_content_is_the_same_zip() -> None:
    files = {"b": b"1", "a": b"2"}
    assert _zipped(files) == _zipped(dict(files))
    with zipfile.ZipFile(io.BytesIO(_zipped(files))) as archive:
        assert {each.date_time for each in archive.infolist()} == {WHEN}


def listed(root: Path, **limits: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(home_files(root, **limits)))
    return found


def test_a_home_of_many_files_is_listed_as_far_as_there_is_room(tmp_path: Path) -> None:
    for number in range(12):
        (tmp_path / f"{number:02}").mkdir()
        (tmp_path / f"{number:02}" / "x").touch()
    listing = listed(tmp_path, most=15)
    assert (len(listing["entries"]), listing["left_out"]) == (15, 9)
    assert listing["entries"][0]["name"] == "00"


def test_hostile_names_are_escaped_in_the_list(tmp_path: Path) -> None:
    for name in (b"\xff", b"a\nb", "\u202egpj".encode()):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).touch()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/nowhere")
    os.utime(tmp_path / "pipe", (0, -(2**40)))
    by_name = {each["name"]: each for each in listed(tmp_path)["entries"]}
    assert set(by_name) == {"\\udcff", "a\\nb", "\\u202egpj", "pipe", "link"}
    assert (by_name["pipe"]["kind"], by_name["link"]["kind"]) == ("FIFO", "link")


def test_a_folder_that_cannot_be_listed_is_named(tmp_path: Path) -> None:
    listing = listed(tmp_path / "gone")
    assert listing["cannot_be_listed"] == [f"{tmp_path / 'gone'}: No such file or directory"]


def test_settings_that_are_damaged_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "mdm.yaml").write_text("database: [\n  password: xq1zzyk2\n")
    inventory = take_inventory(tmp_path, {})
    assert settings_text(inventory.settings, redactor_for(inventory, {})) == f"# {tmp_path}/mdm.yaml is unusable\n"


def test_the_settings_lose_their_secrets_and_their_comments(tmp_path: Path) -> None:
    text = "database: {postgresql: {user: ml, password: xq1zzyk2}}  # xq1zzyk2\nother: a xq1zzyk2 b\n"
    (tmp_path / "mdm.yaml").write_text(text)
    inventory = take_inventory(tmp_path, {})
    shown = yaml.safe_load(settings_text(inventory.settings, redactor_for(inventory, {})))
    assert shown == {"database": {"postgresql": {"user": "ml", "password": "***"}}, "other": "a *** b"}


def test_the_command_to_run_it_again_has_every_option_in_force(tmp_path: Path) -> None:
    options = Options(
        home=tmp_path / "my home",
        phase="post",
        depth="full",
        select=("5", "3.2"),
        strict=True,
        timeout=5.0,
        html=tmp_path / "out.html",
    )
    assert shlex.split(command(options)) == [
        *("pytest", "--mdm-health", f"--mdm-home={tmp_path / 'my home'}", "--mdm-phase=post", "--mdm-depth=full"),
        *("--mdm-select=5", "--mdm-select=3.2", "--mdm-strict", "--mdm-timeout=5.0"),
    ]


def test_a_secret_that_goes_over_lines_of_the_log_is_masked(tmp_path: Path) -> None:
    (tmp_path / "mdm.log").write_text("first\nlogin with ab\ncd1\nlast\n")
    assert last_lines(tmp_path / "mdm.log", Redactor(["ab\ncd1"])) == ["first", "login with ***", "last"]


def test_the_readme_says_how_to_run_it_again(bundle: zipfile.ZipFile, home: Path) -> None:
    assert f"pytest --mdm-health --mdm-home={home} --mdm-phase=post\n" in bundle.read("mdm-health/README.txt").decode()
