"""Every secret of a home is known, with the place where it is kept."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml

from pytest_mdm_health.mdm.inventory import take_inventory
from pytest_mdm_health.redaction.known import Secret, secrets_of

SETTINGS = [
    "database: {postgresql: {password: xq1zz}}",
    "database: {postgresql_password: xq1zz}",
    "postgresql_password: xq1zz",
    "database: {connection_string: 'postgresql://ml:xq1zz@db/x'}",
    "database: {connection_string: 'postgresql://db/x?user=ml&sslpassword=xq1zz'}",
    "database: {connection_string: 'host=db password=xq1zz'}",
    "export: {credentials: {user: ml, pass: xq1zz}}",
    "export: {api_key: [a, xq1zz]}",
    "development: {webhook: 'https://a:xq1zz@b/c'}",
    "database: [\n  password: xq1zz\n",
    "database:\n  password: !!python/object:os.system xq1zz\n",
]


def known(home: Path, environ: dict[str, str] | None = None) -> dict[str, str]:
    return {each.value: each.place for each in secrets_of(take_inventory(home, environ or {}), environ or {}, {})}


@pytest.mark.parametrize("text", SETTINGS)
def test_in_the_settings_however_they_are_spelled(tmp_path: Path, text: str) -> None:
    (tmp_path / "mdm.yaml").write_text(text)
    assert known(tmp_path)["xq1zz"] == str(tmp_path / "mdm.yaml")


def test_a_number_is_known_as_it_is_written_too(tmp_path: Path) -> None:
    (tmp_path / "mdm.yaml").write_text("database: {postgresql: {password: 012345}}")
    assert {"012345", "5349"} <= known(tmp_path).keys()


def test_limits_and_switches_are_none(tmp_path: Path) -> None:
    (tmp_path / "mdm.yaml").write_text("cli: {max_tokens: 512, hide_password: true, password: null}")
    assert known(tmp_path) == {}


def test_in_every_copy_of_a_registration(tmp_path: Path) -> None:
    folder, own = tmp_path / "config" / "datasets", tmp_path / "datasets" / "shop"
    folder.mkdir(parents=True)
    own.mkdir(parents=True)
    login = {"backend": "postgresql", "host": "db", "user": "ml"}
    shop = {"name": "shop", "tables": {}, "database": {**login, "password": "first"}}
    (folder / "shop.yaml").write_text(yaml.safe_dump(shop))
    (folder / "shop.yml").write_text("database:\n  password: 'third one'\n")
    (own / "dataset_info.json").write_text(json.dumps({**shop, "database": {**login, "password": "second"}}))
    found = known(tmp_path)
    places = {name: Path(found[name]).name for name in ("first", "second", "third one")}
    assert places == {"first": "shop.yaml", "second": "dataset_info.json", "third one": "shop.yml"}


def test_in_a_copy_that_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "config" / "datasets").mkdir(parents=True)
    (tmp_path / "datasets" / "shop").mkdir(parents=True)
    (tmp_path / "config" / "datasets" / "shop.yaml").write_text("name: shop\n")
    file = tmp_path / "datasets" / "shop" / "dataset_info.json"
    file.write_text('{"database": {"password": "xq1zz"')
    assert known(tmp_path)["xq1zz"] == str(file)


@pytest.mark.parametrize(
    ("name", "text", "secrets"),
    [
        ("MDM_DATABASE_POSTGRESQL_PASSWORD", "xq1zz", {"xq1zz"}),
        ("MDM_DATABASE_POSTGRESQL_PASSWORD", "xq1zz,yk2", {"xq1zz,yk2", "xq1zz", "yk2"}),
        ("MDM_DATABASE_POSTGRESQL_PASSWORD", "007", {"007", "7"}),
        ("MDM_DATABASE_URL", "postgresql://ml:xq%401@db/x", {"xq%401", "xq@1"}),
        ("MDM_DATABASE_URL", "host=db password=xq1zz", {"xq1zz"}),
        ("MDM_PERFORMANCE_BATCH_SIZE", "5000", set()),
    ],
)
def test_in_variables_as_they_are_and_as_mdm_takes_them(
    tmp_path: Path, name: str, text: str, secrets: set[str]
) -> None:
    found = known(tmp_path, {name: text})
    assert secrets <= found.keys()
    assert set(found.values()) <= {f"the variable {name}"}


def test_a_fifo_in_the_place_of_a_copy_holds_nobody_up(tmp_path: Path) -> None:
    (tmp_path / "backup").mkdir()
    os.mkfifo(tmp_path / "backup" / "mdm.yaml")
    assert known(tmp_path) == {}


def test_a_secret_never_shows_itself() -> None:
    assert "xq1zz" not in repr(Secret("xq1zz", "here"))
