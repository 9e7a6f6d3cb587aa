from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_mdm_health.mdm.inventory import take_inventory
from pytest_mdm_health.mdm.registrations.passwords import files_with_passwords


def found(home: Path) -> list[str]:
    return [path.relative_to(home).as_posix() for path in files_with_passwords(take_inventory(home, {}))]


def test_a_real_home_holds_no_password(each_home: Path) -> None:
    assert found(each_home) == []


@pytest.mark.parametrize(
    "database",
    [
        "{backend: postgresql, host: db, user: ml, password: hunter2, database: mdm_shop}",
        "{backend: postgresql, connection_string: 'postgresql://ml:hunter2@db/mdm_shop'}",
        "{backend: postgresql, password: 12345}",
    ],
)
def test_a_registration_with_a_password_is_found(home: Path, database: str) -> None:
    (home / "config" / "datasets" / "shop.yaml").write_text(f"name: shop\ndatabase: {database}\ntables: {{}}\n")

    assert found(home) == ["config/datasets/shop.yaml"]


def test_a_copy_of_a_registration_is_found(home: Path) -> None:
    json_copy = home / "datasets" / "shop" / "dataset_info.json"
    data = json.loads(json_copy.read_text())
    json_copy.write_text(json.dumps({**data, "database": {"backend": "postgresql", "password": "hunter2"}}))

    assert found(home) == ["datasets/shop/dataset_info.json"]


def test_settings_with_a_password_are_found(home: Path) -> None:
    (home / "mdm.yaml").write_text("database:\n  postgresql: {user: ml, password: hunter2}\n")

    assert found(home) == ["mdm.yaml"]


@pytest.mark.parametrize("password", ["", "null", "''"])
def test_an_empty_password_is_none(home: Path, password: str) -> None:
    (home / "mdm.yaml").write_text(f"database:\n  postgresql: {{user: ml, password: {password}}}\n")

    assert found(home) == []


def test_columns_that_are_called_like_a_secret_are_none(home: Path) -> None:
    text = (
        "name: shop\ndatabase: {backend: sqlite, path: shop.sqlite}\ntables: {token: password}\ntarget_column: secret\n"
    )
    (home / "config" / "datasets" / "shop.yaml").write_text(text)

    assert found(home) == []
