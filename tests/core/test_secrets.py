from __future__ import annotations

import time

import pytest

from pytest_mdm_health.core.secrets import is_secret, redact, secrets_in, without_values


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
    assert time.perf_counter() - started < 120


@pytest.mark.parametrize(
    "text", ["'" * 200_000, "[SQL:" * 50_000, "[SQL: ] x" * 30_000, "'a" * 100_000, "DETAIL:" * 70_000]
)
def test_values_of_a_long_line_are_left_out_in_no_long_time(text: str) -> None:
    started = time.perf_counter()
    without_values(text)
    assert time.perf_counter() - started < 120


def test_names_of_tables_and_limits_are_never_secrets() -> None:
    document = {"tables": {"tokens": "shop_tokens"}, "metadata": {"max_tokens": 512, "has_secret": True}}
    assert [*secrets_in({**document, "database": {"backend": "sqlite", "use_credentials": True}})] == []
    assert [*secrets_in(document)] == []


@pytest.mark.parametrize(
    ("document", "secrets"),
    [
        ({"database": {"backend": "postgresql", "password": "hunter2"}}, ["hunter2"]),
        ({"database": {"postgresql": {"password": 12345}}}, ["12345"]),
        ({"database": {"connection_string": "host=db password='hunter2'"}}, ["hunter2"]),
        ({"connection_string": "host=db password=hunter2"}, ["hunter2"]),
        ({"name": "shop", "db_type": "postgresql", "password": "hunter2"}, ["hunter2"]),
        ({"source": ["postgresql://ml:hunter2@db/x"]}, ["hunter2"]),
        ({"database": {"password": ""}}, []),
        ({"database": {"password": None}}, []),
        (["password"], []),
    ],
)
def test_secrets_are_in_connections_and_in_every_address(document: object, secrets: list[str]) -> None:
    assert [*secrets_in(document)] == secrets


def test_quoted_values_and_passwords_are_left_out_of_messages() -> None:
    message = "could not convert 'secret value' in column 'amount' of \"shop\"; password=hunter2"
    assert without_values(message, {"amount"}) == "could not convert '…' in column 'amount' of \"…\"; password=***"


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("could not convert string to float: 'Jane Doe'", "could not convert string to float: '…'"),
        ('KeyError: "O\'Brien"', 'KeyError: "…"'),
        ("value 'O'Brien' isn't known", "value '…' isn't known"),
        ("bytes b'Jane' are cut off: 'Jane D", "bytes b'…' are cut off: '…'"),
        ("[parameters: ('Jane Doe', '4111 [1111]')]\n(Background on", "[parameters: …]\n(Background on"),
        ("[parameters: ('Jane Doe', '4111", "[parameters: …"),
        (
            "[SQL: SELECT \"age\" FROM t1 WHERE name = 'Ja]ne' AND pin = 4111]\n[parameters: {'n': 'Jane'}]",
            "[SQL: SELECT \"age\" FROM t1 WHERE name = '…' AND pin = …]\n[parameters: …]".replace("'…'", "…"),
        ),
        (
            'duplicate key breaks constraint "mail_key"\nDETAIL:  Key (mail)=(jane@x) exists.\nCONTEXT: COPY',
            'duplicate key breaks constraint "mail_key"\nDETAIL: …\nCONTEXT: COPY',
        ),
    ],
)
def test_values_of_data_are_left_out(message: str, shown: str) -> None:
    assert without_values(message) == shown


@pytest.mark.parametrize(
    "message",
    [
        "Error generating features for column 'signup': Can only use .str accessor with string values!",
        "Starting registration for dataset 'shop'",
        "Loaded 569 rows into 'data'",
        "Loading /home/a/train.csv as table 'train'",
        "'NoneType' object has no attribute 'columns'",
        "No module named 'duckdb'",
        "[Errno 13] Permission denied: '/home/a/.mdm/logs'",
        'relation "shop" does not exist',
        "unsupported operand type(s) for instances of 'str' and 'int'",
        '  File "/usr/lib/python3/json/decoder.py", line 3, in decode',
    ],
)
def test_names_stay_where_nearby_words_identify_them_as_names(message: str) -> None:
    assert without_values(message) == message
