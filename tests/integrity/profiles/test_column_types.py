from __future__ import annotations

import pytest

from pytest_mdm_health.integrity.profiles.column_types import Kind, is_identifier, kind_of


@pytest.mark.parametrize(
    ("declared", "kind"),
    [
        ("BIGINT", Kind.INTEGER),
        ("integer", Kind.INTEGER),
        ("HUGEINT", Kind.INTEGER),
        ("bigserial", Kind.INTEGER),
        ("FLOAT", Kind.FLOAT),
        ("double precision", Kind.FLOAT),
        ("DECIMAL(18,3)", Kind.FLOAT),
        ("BOOLEAN", Kind.BOOLEAN),
        ("DATETIME", Kind.TIME),
        ("timestamp without time zone", Kind.TIME),
        ("TEXT", Kind.TEXT),
        ("character varying(255)", Kind.TEXT),
        ("INTEGER[]", Kind.OTHER),
        ("ENUM('small', 'point')", Kind.OTHER),
        ("interval", Kind.OTHER),
        ("point", Kind.OTHER),
        ("uuid", Kind.OTHER),
        ("", Kind.OTHER),
    ],
)
def test_a_declared_type_means_the_same_in_every_engine(declared: str, kind: Kind) -> None:
    assert kind_of(declared) is kind


@pytest.mark.parametrize("name", ["id", "customer_id", "customerId", "zip", "ZIP code", "account-key", "sku", "ISBN"])
def test_a_column_is_known_for_identifiers_by_its_name(name: str) -> None:
    assert is_identifier(name)


@pytest.mark.parametrize("name", ["width", "paid", "humidity", "amount", "keyboard", "encoded", "idle"])
def test_a_name_that_only_contains_such_a_word_is_none(name: str) -> None:
    assert not is_identifier(name)
