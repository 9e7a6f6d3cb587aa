"""SQL about columns for DuckDB and PostgreSQL, whose columns have one type and which know regular expressions."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_mdm_health.integrity.profiles.column_sql import DIGITS_KEPT, SHAPED, Conditions, text_class
from pytest_mdm_health.integrity.profiles.column_types import Kind

_MONTH = "[JFMASOND][aepuco][nbrylgptvc].*[0-9]"
_DAY = (
    "[0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))|"
    "[0-9]{2}(0[48]|[2468][048]|[13579][26])-02-29"
)
"""A day that exists; the last of February in the first year of a century is left to arithmetic."""

_CLOCK = "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
_DECORATED = (
    r"[-+]?[$€£¥]? ?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]+)? ?[%$€£¥]?|[-+]?[$€£¥] ?[0-9]+(\.[0-9]+)?|"
    r"[-+]?[0-9]+(\.[0-9]+)? ?[%$€£¥]"
)


class RegexSql:
    """DuckDB and PostgreSQL, whose columns have one type and which know regular expressions."""

    stored_as: Mapping[Kind, str] = {
        Kind.INTEGER: "integers",
        Kind.FLOAT: "reals",
        Kind.TEXT: "texts",
    }
    free = False

    def __init__(self, engine: str) -> None:
        self._duckdb = engine == "duckdb"

    def as_declared(self, c: str, kind: Kind) -> str:  # noqa: ARG002 - the engine sees to it
        """As `ColumnSql.as_declared`."""
        return f"{c} IS NOT NULL"

    def storage(self, c: str) -> Mapping[str, str]:  # noqa: ARG002 - the engine sees to it
        """As `ColumnSql.storage`."""
        return {}

    def whole(self, c: str) -> str:
        """As `ColumnSql.whole`."""
        return f"abs({c}) < 1e300 AND {c} = floor({c})"

    def text_class(self, c: str) -> str:
        """As `ColumnSql.text_class`."""
        v = f"trim({c})"
        return text_class(
            c,
            Conditions(
                blank=f"{v} = ''",
                word=f"lower({v})",
                no_digit="NOT " + self._has(v, "[0-9]"),
                digits=self._like(v, "[0-9]+"),
                padded=f"{v} LIKE '0_%'",
                long=f"length({v}) > {DIGITS_KEPT}",
                day=self._like(f"left({v}, 10)", _DAY),
                bare_day=f"length({v}) = 10",
                clock=self._like(f"substr({v}, 12, 8)", _CLOCK),
                join=f"substr({v}, 11, 1)",
                bare_clock=f"length({v}) = 19",
                fraction=self._like(f"substr({v}, 20)", r"\.[0-9]+"),
                other=f"{self._has(v, '[^-+0-9.eE$€£¥% ,/:TZAPMGUC]')} AND NOT {self._has(v, _MONTH)}",
                number=self._like(v, r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?"),
                date=self._like(v, r"[0-9]+[-/.][0-9]+[-/.][0-9]+([ T,].*)?")
                + f" AND length({v}) >= 6 OR "
                + self._has(v, _MONTH),
                decorated=self._like(v, _DECORATED),
            ),
        )

    def shape(self, c: str) -> str:
        """As `ColumnSql.shape`."""
        return f"regexp_replace(left(trim({c}), {SHAPED}), '[0-9]', '0', 'g')"

    def numbers(self, c: str) -> str:
        """As `ColumnSql.numbers`."""
        before = ("", *(r"[0-9]+[^0-9]+" * count for count in range(1, 5)))
        return ", ".join(
            f"{self._found(c, f'^{skipped}([0-9]+)')} AS n{index}" for index, skipped in enumerate(before, 1)
        )

    def _like(self, text: str, pattern: str) -> str:
        if self._duckdb:
            return f"regexp_full_match({text}, '{pattern}')"
        return f"{text} ~ '^({pattern})$'"

    def _has(self, text: str, pattern: str) -> str:
        return f"regexp_matches({text}, '{pattern}')" if self._duckdb else f"{text} ~ '{pattern}'"

    def _found(self, c: str, pattern: str) -> str:
        if self._duckdb:
            return f"TRY_CAST(regexp_extract({c}, '{pattern}', 1) AS BIGINT)"
        return f"CAST(substring(substring({c} from '{pattern}') from 1 for 9) AS BIGINT)"
