from __future__ import annotations

import time

import pytest

from pytest_mdm_health.mdm.secrets import is_secret, redact


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("postgresql://ml:hunter2@db:5432/mdm_shop", "postgresql://ml:***@db:5432/mdm_shop"),
        (
            "could not connect to 'postgresql+psycopg2://ml:p@ss/w:rd@db/x'",
            "could not connect to 'postgresql+psycopg2://ml:***@db/x'",
        ),
        ("https://:tok@host/simple", "https://:***@host/simple"),
        ("host=db user=ml password=hunter2 dbname=x", "host=db user=ml password=*** dbname=x"),
        ("password='hunter 2' dbname=x", "password='***' dbname=x"),
        ("{'user': 'ml', 'password': 'hunter2', 'port': 5432}", "{'user': 'ml', 'password': '***', 'port': 5432}"),
        ('{"api_key": "k-1", "n": 1}', '{"api_key": "***", "n": 1}'),
        ("MDM_DATABASE_POSTGRESQL_PASSWORD=hunter2", "MDM_DATABASE_POSTGRESQL_PASSWORD=***"),
        ("url: password=hunter2", "url: password=***"),
        ("{'password': 'it\\'s', 'n': 1}", "{'password': '***', 'n': 1}"),
    ],
)
def test_the_password_is_hidden_and_the_rest_stays(text: str, redacted: str) -> None:
    assert redact(text) == redacted


@pytest.mark.parametrize(
    "text",
    [
        "Error generating features for column 'signup': Can only use .str accessor with string values!",
        "see https://example.org/a/b@c for 10:30",
        "password authentication failed for user 'ml'",
        "{'password': None}",
        "2026-11-22 08:14:34 | INFO | mdm.dataset.registrar:register:74 - Starting",
    ],
)
def test_text_without_a_secret_is_left_alone(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize(
    "name", ["password", "MDM_DATABASE_POSTGRESQL_PASSWORD", "api_key", "apikey", "auth_token", "pwd"]
)
def test_a_secret_is_known_by_its_name(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize("name", ["user", "host", "target_column", "key", "pool_size"])
def test_an_ordinary_name_is_no_secret(name: str) -> None:
    assert not is_secret(name)


@pytest.mark.parametrize(
    "text", ["a://" * 50_000, "password=" * 20_000, "'" * 200_000, "x" * 500_000, "a:b@" * 50_000, "pwd" * 70_000]
)
def test_a_long_line_takes_no_long_time(text: str) -> None:
    started = time.perf_counter()
    redact(text)
    assert time.perf_counter() - started < 2
