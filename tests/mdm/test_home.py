from __future__ import annotations

from pathlib import Path

import pytest

from pytest_mdm_health.mdm.home import locate, under
from pytest_mdm_health.mdm.settings import read_settings


def test_a_home_without_settings_has_the_usual_places(tmp_path: Path) -> None:
    home = locate(tmp_path, read_settings(tmp_path, {}))
    assert home.datasets == tmp_path / "datasets"
    assert home.registrations == tmp_path / "config" / "datasets"
    assert home.custom_features == tmp_path / "config" / "custom_features"
    assert home.log_file == tmp_path / "logs" / "mdm.log"
    assert home.settings_file == tmp_path / "mdm.yaml"
    assert home.metrics == tmp_path / "metrics.db"


def test_paths_in_the_settings_move_the_places(tmp_path: Path) -> None:
    settings = "paths:\n  datasets_path: data\n  configs_path: /srv/registry\nlogging:\n  file: other.log\n"
    (tmp_path / "mdm.yaml").write_text(settings)
    home = locate(tmp_path, read_settings(tmp_path, {"MDM_PATHS_LOGS_PATH": "protocol"}))
    assert home.datasets == tmp_path / "data"
    assert home.registrations == Path("/srv/registry")
    assert home.log_file == tmp_path / "protocol" / "other.log"


def test_settings_that_mean_nothing_leave_the_usual_places(tmp_path: Path) -> None:
    (tmp_path / "mdm.yaml").write_text('paths:\n  datasets_path: [1, 2]\n  logs_path: "a\\0b"\n')
    home = locate(tmp_path, read_settings(tmp_path, {}))
    assert home.datasets == tmp_path / "datasets"
    assert home.logs == tmp_path / "logs"


def test_a_relative_home_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert locate(Path("here"), read_settings(Path("here"), {})).datasets == tmp_path / "here" / "datasets"


@pytest.mark.parametrize("value", ["~/data", "$HOME/data", "${HOME}/data"])
def test_paths_in_the_settings_are_taken_literally_as_mdm_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    (tmp_path / "mdm.yaml").write_text(f"paths:\n  datasets_path: {value}\n")
    assert locate(tmp_path, read_settings(tmp_path, {})).datasets == tmp_path / value


def test_a_tilde_is_the_users_home_unless_a_folder_has_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    assert under(tmp_path, "~/data") == Path("/home/somebody/data")
    (tmp_path / "~" / "data").mkdir(parents=True)
    assert under(tmp_path, "~/data") == tmp_path / "~" / "data"
    assert under(tmp_path, "~nobody-of-this-name/data") == tmp_path / "~nobody-of-this-name" / "data"


@pytest.mark.parametrize("text", ["", "a\0b"])
def test_what_no_file_system_takes_is_no_path(tmp_path: Path, text: str) -> None:
    assert under(tmp_path, text) is None


def test_a_name_longer_than_any_file_system_allows_is_no_error(tmp_path: Path) -> None:
    assert under(tmp_path, "~" + "x" * 5000) is not None
