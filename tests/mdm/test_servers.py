"""Which servers a home names, and how its databases are reached."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from pytest_mdm_health.mdm.inventory import Inventory, take_inventory
from pytest_mdm_health.mdm.servers import Connection, connection_of, is_left_to_defaults, servers_of

Take = Callable[..., Inventory]
FIELDS = {
    "backend": "postgresql",
    "host": "db1",
    "port": 5433,
    "user": "ml",
    "password": "s3cret",
    "database": "mdm_shop",
}


@pytest.fixture
def take(tmp_path: Path) -> Take:
    """The inventory of a home with these registrations' `database` and these settings."""

    def inventory(settings: dict[str, object] | None = None, **databases: dict[str, object]) -> Inventory:
        folder = tmp_path / "config" / "datasets"
        folder.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mdm.yaml").write_text(yaml.safe_dump({"database": settings or {}}))
        for name, database in databases.items():
            (folder / f"{name}.yaml").write_text(yaml.safe_dump({"name": name, "database": database, "tables": {}}))
        return take_inventory(tmp_path, {})

    return inventory


def connection(inventory: Inventory) -> Connection:
    found = connection_of(inventory.datasets[0], inventory.settings)
    assert found is not None
    return found


def test_the_registrations_own_fields_come_first(take: Take) -> None:
    both = FIELDS | {"connection_string": "postgresql://other@db9/elsewhere"}
    found = connection(take({"postgresql": {"host": "db2", "user": "me"}}, shop=both))
    assert (found.address, found.user, found.password) == ("db1:5433/mdm_shop", "ml", "s3cret")
    assert found.origin == "fields"


@pytest.mark.parametrize(
    ("text", "address", "user", "password"),
    [
        ("postgresql://ml:s3cret@db3:5999/shop?sslmode=require", "db3:5999/shop", "ml", "s3cret"),
        ("postgres://ml@db3/shop", "db3:5432/shop", "ml", None),
        ("postgresql+psycopg2://ml:p%40ss%2Fw@db3/shop", "db3:5432/shop", "ml", "p@ss/w"),
        ("postgresql://ml:p@ss/w:rd@db3/shop", "db3:5432/shop", "ml", "p@ss/w:rd"),
        ("postgresql://ml@[::2]:7/shop", "::2:7/shop", "ml", None),
        ("postgresql:///shop?host=/run/postgresql&user=ml", "/run/postgresql:5432/shop", "ml", None),
        ("host=db3 port=6 dbname=shop user=ml password='it\\'s'", "db3:6/shop", "ml", "it's"),
    ],
)
def test_a_connection_string_is_taken_apart(take: Take, text: str, address: str, user: str, password: str) -> None:
    found = connection(take({}, shop={"backend": "postgresql", "connection_string": text}))
    assert (found.address, found.user, found.password) == (address, user, password)
    assert found.origin == "connection_string"
    assert not found.problem


def test_the_settings_say_where_what_is_registered_does_not(take: Take) -> None:
    own = {"host": "db2", "port": 5444, "user": "me", "password": "pw", "database_prefix": "ml_", "sslmode": "require"}
    found = connection(take({"postgresql": own}, Shop={"backend": "postgresql"}))
    assert (found.address, found.user, found.password) == ("db2:5444/ml_shop", "me", "pw")
    assert dict(found.ssl) == {"sslmode": "require"}
    assert found.origin == "settings"


@pytest.mark.parametrize(
    ("settings", "database", "left"),
    [
        ({}, {}, True),
        ({"postgresql": {"pool_size": 3}}, {}, True),
        ({"postgresql": {"user": "me"}}, {}, False),
        ({"postgresql": {"host": "localhost"}}, {}, False),
        ({}, {"host": "db1"}, False),
        ({}, {"connection_string": "postgresql://db1/shop"}, False),
        ({}, {"backend": "sqlite"}, False),
    ],
)
def test_where_nobody_says_the_server_it_is_left_to_defaults(
    take: Take, settings: dict[str, object], database: dict[str, object], left: bool
) -> None:
    inventory = take(settings, shop={"backend": "postgresql", **database})
    assert is_left_to_defaults(inventory.datasets[0], inventory.settings) is left


def test_what_a_registration_leaves_out_is_read_from_settings(take: Take) -> None:
    fields = {"backend": "postgresql", "host": "db2", "database": "mdm_shop", "user": None}
    found = connection(take({"postgresql": {"host": "db2", "user": "me", "password": "pw"}}, shop=fields))
    assert (found.user, found.password, found.port) == ("me", "pw", 5432)


@pytest.mark.parametrize("other", [{"host": "db9"}, {"user": "you"}, {"port": 1}])
def test_a_password_goes_to_no_other_server_or_user(take: Take, other: dict[str, object]) -> None:
    fields = {"backend": "postgresql", "host": "db2", "database": "mdm_shop"} | other
    found = connection(take({"postgresql": {"host": "db2", "user": "me", "password": "pw"}}, shop=fields))
    assert found.password is None


@pytest.mark.parametrize("port", ["abc", 0, 70000, True, "5432; x"])
def test_a_port_that_is_none_is_a_problem(take: Take, port: object) -> None:
    found = connection(take({}, shop=FIELDS | {"port": port}))
    assert "port" in found.problem


def test_a_connection_string_of_something_else_is_a_problem(take: Take) -> None:
    found = connection(take({}, shop={"backend": "postgresql", "connection_string": "mysql://ml:hunter22@db/x"}))
    assert "hunter22" not in found.problem
    assert "no address" in found.problem


def test_a_password_is_never_shown(take: Take) -> None:
    inventory = take({"postgresql": {"user": "me", "password": "pw-of-settings"}}, shop=FIELDS)
    shown = repr(servers_of(inventory)) + repr(connection(inventory)) + str(connection(inventory))
    assert "s3cret" not in shown
    assert "pw-of-settings" not in shown


def test_a_dataset_elsewhere_has_no_connection(take: Take) -> None:
    inventory = take({}, shop={"backend": "sqlite", "path": "x.sqlite"})
    assert connection_of(inventory.datasets[0], inventory.settings) is None


def test_a_home_without_postgresql_names_no_server(home: Path) -> None:
    assert servers_of(take_inventory(home, {})) == ()


def test_the_settings_name_a_server_only_if_it_is_the_default(take: Take) -> None:
    server = {"host": "db2", "user": "me"}
    assert servers_of(take({"postgresql": server})) == ()
    (found,) = servers_of(take({"postgresql": server, "default_backend": "postgresql"}))
    assert found.name == "db2:5432"
    assert [each.address for each in found.logins] == ["db2:5432/postgres"]


def test_registrations_on_one_server_are_one_server(take: Take) -> None:
    a, b = FIELDS | {"host": "127.0.0.1"}, FIELDS | {"host": "localhost", "database": "mdm_two", "user": "other"}
    elsewhere = FIELDS | {"port": 5434}
    local, other = sorted(servers_of(take({}, a=a, b=b, c=elsewhere)), key=lambda server: len(server.databases))[::-1]
    assert sorted(local.databases) == ["a", "b"]
    assert sorted(str(each.user) for each in local.logins) == ["ml", "other"]
    assert local.local
    assert other.name == "db1:5434"
    assert not other.local


def test_a_login_without_a_user_counts_only_if_it_is_alone(take: Take) -> None:
    fields = {name: value for name, value in FIELDS.items() if name != "user"}
    (alone,) = servers_of(take({}, a=fields))
    assert [each.user for each in alone.logins] == [None]
    (both,) = servers_of(take({}, a=fields, b=FIELDS))
    assert [each.user for each in both.logins] == ["ml"]


def test_the_json_copy_counts_where_it_is_in_force(take: Take, tmp_path: Path) -> None:
    folder = tmp_path / "datasets" / "shop"
    folder.mkdir(parents=True)
    (folder / "dataset_info.json").write_text(json.dumps({"name": "shop", "database": FIELDS, "tables": {}}))
    assert connection(take()).address == "db1:5433/mdm_shop"


def test_a_connection_to_another_database_is_the_same_otherwise(take: Take) -> None:
    found = connection(take({}, shop=FIELDS))
    assert dataclasses.replace(found.to("other"), database=found.database) == found
