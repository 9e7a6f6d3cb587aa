"""The rule by which a value of one type becomes one of another: exactly, or not at all.

A value fits if what it becomes is the same value: all digits of a number, the fractions of a moment, a word that means
true or false and nothing else. What a number may be that is written otherwise (`10,5`, `5%`, `007`) is not guessed.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any

from pytest_mdm_health.integrity.digest.canonical import EXACT, Form, form_of


class DoesNotFit(ValueError):
    """A value that does not fit a type exactly."""


Rule = Callable[[Any], Any]
"""What a value becomes.

Raises:
    DoesNotFit: it does not fit; likewise any other `ValueError`.
"""

_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?")
_INSTANT = re.compile(_MOMENT.pattern + r"(Z|\+00(:00)?)")
_WORDS = {"true": True, "false": False}
_LARGEST = 2**63


def rule_for(type_: str, engine: str) -> Rule | None:
    """The rule for a type as the engine declares it; None for a type to which nothing is converted."""
    form = form_of(type_, engine)
    if engine == "sqlite" and form in _OF_SQLITE:
        return _OF_SQLITE[form]
    if form is Form.TIME:
        return _date if type_.strip().upper() == "DATE" else _moment
    return None if form is None else _RULES.get(form)


def _whole(value: Any) -> int:  # noqa: ANN401 - whatever the column has
    if isinstance(value, str):
        number = _decimal(value)
        if number != number.to_integral_value():
            raise DoesNotFit
        found = int(number)
    elif isinstance(value, float):
        if not value.is_integer() or abs(value) >= EXACT or _is_negative_zero(value):
            raise DoesNotFit
        found = int(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        found = value
    else:
        raise DoesNotFit
    if not -_LARGEST <= found < _LARGEST:
        raise DoesNotFit
    return found


def _float(value: Any) -> float:  # noqa: ANN401 - whatever the column has
    if isinstance(value, float):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        if abs(value) > EXACT:
            raise DoesNotFit
        return float(value)
    if not isinstance(value, str):
        raise DoesNotFit
    exact = _decimal(value)
    found = float(value)
    if not math.isfinite(found) or Decimal(repr(found)) != exact or (abs(exact) > EXACT and "e" not in value.lower()):
        raise DoesNotFit
    return found


def _short_float(value: Any) -> float:  # noqa: ANN401 - whatever the column has
    found = _float(value)
    if not math.isnan(found) and struct.unpack("f", struct.pack("f", found))[0] != found:
        raise DoesNotFit
    return found


def _exact(value: Any) -> Decimal:  # noqa: ANN401 - whatever the column has
    if isinstance(value, Decimal):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    if isinstance(value, str):
        return _decimal(value)
    raise DoesNotFit


def _truth(value: Any) -> bool:  # noqa: ANN401 - whatever the column has
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _WORDS:
        return _WORDS[value.lower()]
    if isinstance(value, int) and value in {0, 1}:
        return bool(value)
    raise DoesNotFit


def _date(value: Any) -> date:  # noqa: ANN401 - whatever the column has
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        raise DoesNotFit
    return date.fromisoformat(value)


def _moment(value: Any) -> datetime:  # noqa: ANN401 - whatever the column has
    if isinstance(value, datetime) and value.tzinfo is None:
        return value
    if not isinstance(value, str) or not _MOMENT.fullmatch(value):
        raise DoesNotFit
    return _parsed(value)


def _instant(value: Any) -> datetime:  # noqa: ANN401 - whatever the column has
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value
    if not isinstance(value, str) or not (found := _INSTANT.fullmatch(value)):
        raise DoesNotFit
    return _parsed(value[: found.start(2)]).replace(tzinfo=timezone.utc)


def _moment_as_text(value: Any) -> str:  # noqa: ANN401 - whatever the column has
    """SQLite keeps a moment as the text that it is."""
    if isinstance(value, str):
        for rule in (_date, _moment, _instant):
            try:
                rule(value)
            except ValueError:
                continue
            return value
    raise DoesNotFit


def _number(value: Any) -> int | float:  # noqa: ANN401 - whatever the column has
    """SQLite keeps a decimal as an integer or a floating-point number."""
    try:
        return _whole(value)
    except ValueError:
        return _float(value)


def _text(value: Any) -> str:  # noqa: ANN401 - whatever the column has
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise DoesNotFit  # how a fraction or a moment was written is not known


_RULES: dict[Form, Rule] = {
    Form.INTEGER: _whole,
    Form.FLOAT: _float,
    Form.FLOAT32: _short_float,
    Form.DECIMAL: _exact,
    Form.BOOLEAN: _truth,
    Form.INSTANT: _instant,
    Form.TEXT: _text,
}


_OF_SQLITE: dict[Form, Rule] = {
    Form.TIME: _moment_as_text,
    Form.INSTANT: _moment_as_text,
    Form.DECIMAL: _number,
}


def _decimal(text: str) -> Decimal:
    if not _NUMBER.fullmatch(text):
        raise DoesNotFit
    found = Decimal(text)
    if found == 0 and text.startswith("-"):
        raise DoesNotFit
    return found


def _parsed(text: str) -> datetime:
    before, _, fraction = text.partition(".")
    return datetime.fromisoformat(f"{before}.{fraction:0<6}")


def _is_negative_zero(value: float) -> bool:
    return value == 0 and math.copysign(1, value) < 0
