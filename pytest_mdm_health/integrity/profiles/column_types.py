"""What a column's declared type means, alike for every engine, and which columns hold identifiers."""

from __future__ import annotations

import re
from enum import Enum


class Kind(str, Enum):
    """What the values of a column are meant to be."""

    INTEGER = "integer"
    FLOAT = "float"
    BOOLEAN = "boolean"
    TIME = "time"
    TEXT = "text"
    OTHER = "other"


NUMBERS = (Kind.INTEGER, Kind.FLOAT)

_WORDS = (
    (r"BOOL", Kind.BOOLEAN),
    (r"\[|^(?:LIST|STRUCT|MAP|ARRAY|UNION|ENUM|INTERVAL|UUID|JSON|BIT|BLOB|BYTEA|POINT)", Kind.OTHER),
    (r"INT(?!ERVAL)|SERIAL", Kind.INTEGER),
    (r"DATE|TIME", Kind.TIME),
    (r"CHAR|CLOB|TEXT|STRING", Kind.TEXT),
    (r"REAL|FLOA|DOUB|DECIMAL|NUMERIC", Kind.FLOAT),
)
_IDENTIFIER = re.compile(
    r"(?:^|_|-|\s)(?:ids?|keys?|codes?|uuid|guid|sku|isbn|ean|upc|imei|iban|ssn|zip|zipcode|postcode|postal|phone|"
    r"telephone|mobile|fax|account|acct|serial)(?:$|_|-|\s)",
    re.IGNORECASE,
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def kind_of(declared: str) -> Kind:
    """What a type means, as a database declares it; an unknown one, or none, is `OTHER`."""
    return next((kind for pattern, kind in _WORDS if re.search(pattern, declared, re.IGNORECASE)), Kind.OTHER)


def is_identifier(column: str) -> bool:
    """Whether a column's name says that its values name things rather than count them."""
    return _IDENTIFIER.search(_CAMEL.sub("_", column)) is not None
