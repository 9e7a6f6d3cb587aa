"""SQL about columns for SQLite, which stores what it is given and knows no regular expressions."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_mdm_health.integrity.profiles.column_sql import DIGITS_KEPT, SHAPED, Conditions, text_class
from pytest_mdm_health.integrity.profiles.column_types import Kind

_MONTH_GLOB = "*[JFMASOND][aepuco][nbrylgptvc]*[0-9]*"


class SqliteSql:
    """SQLite, which stores what it is given and knows no regular expressions."""

    stored_as: Mapping[Kind, str] = {
        Kind.INTEGER: "integers",
        Kind.FLOAT: "reals",
        Kind.BOOLEAN: "integers",
        Kind.TIME: "texts",
        Kind.TEXT: "texts",
    }
    free = True

    def as_declared(self, c: str, kind: Kind) -> str:
        """As `ColumnSql.as_declared`."""
        return self.storage(c)[self.stored_as[kind]] if kind in self.stored_as else "FALSE"

    def storage(self, c: str) -> Mapping[str, str]:
        """As `ColumnSql.storage`."""
        return {f"{name}s": f"typeof({c}) = '{name}'" for name in ("integer", "real", "text", "blob")}

    def whole(self, c: str) -> str:
        """As `ColumnSql.whole`."""
        return f"typeof({c}) = 'real' AND {c} = CAST({c} AS INTEGER)"

    def text_class(self, c: str) -> str:
        """As `ColumnSql.text_class`."""
        v = f"trim({c})"
        unsigned = f"ltrim({v}, '+-')"
        bare = f"trim({v}, '$€£¥% +-')"
        one_sign = f"length({v}) - length({unsigned}) <= 1"
        day, clock = f"substr({v}, 1, 10)", f"substr({v}, 12, 8)"
        return text_class(
            c,
            Conditions(
                blank=f"{v} = ''",
                word=f"lower({v})",
                no_digit=f"{v} NOT GLOB '*[0-9]*'",
                digits=f"{v} NOT GLOB '*[^0-9]*'",
                padded=f"{v} LIKE '0_%'",
                long=f"length({v}) > {DIGITS_KEPT}",
                day=f"{day} = date({day}, '+0 days')",
                bare_day=f"length({v}) = 10",
                clock=f"{clock} IS time({clock}, '+0 seconds')",
                join=f"substr({v}, 11, 1)",
                bare_clock=f"length({v}) = 19",
                fraction=f"substr({v}, 20, 1) = '.' AND length({v}) > 20 AND substr({v}, 21) NOT GLOB '*[^0-9]*'",
                other=f"{v} GLOB '*[^-+0-9.eE$€£¥% ,/:TZAPMGUC]*' AND {v} NOT GLOB '{_MONTH_GLOB}'",
                number=f"{one_sign} AND {unsigned} NOT GLOB '*.*.*' AND ({unsigned} NOT GLOB '*[^0-9.]*' OR "
                f"({unsigned} NOT GLOB '*[^-+0-9.eE]*' AND {unsigned} GLOB '[0-9.]*[eE]*[0-9]' AND "
                f"{unsigned} NOT GLOB '*[eE]*[eE.]*' AND {unsigned} NOT GLOB '*[^eE][-+]*'))",
                date=f"({v} GLOB '[0-9]*[-/.][0-9]*[-/.][0-9]*' AND length({v}) >= 6) OR {v} GLOB '{_MONTH_GLOB}'",
                decorated=f"{v} NOT GLOB '[-+][-+]*' AND "
                f"{bare} NOT GLOB '*[^0-9.,]*' AND {bare} GLOB '[0-9]*' AND {bare} NOT GLOB '*.*.*' AND "
                f"({bare} NOT GLOB '*,*' OR ({bare} GLOB '*,[0-9][0-9][0-9]*' AND {bare} NOT GLOB '*,[0-9],*' AND "
                f"{bare} NOT GLOB '*,[0-9][0-9],*' AND {bare} NOT GLOB '*[0-9][0-9][0-9][0-9],*'))",
            ),
        )

    def shape(self, c: str) -> str:
        """As `ColumnSql.shape`."""
        expression = f"substr(trim({c}), 1, {SHAPED})"
        for digit in "123456789":
            expression = f"replace({expression}, '{digit}', '0')"
        return expression

    def numbers(self, c: str) -> str:
        """As `ColumnSql.numbers`: a text cast to a number is the number that it begins with."""
        rest, columns = f"substr(trim({c}), 1, {SHAPED})", []
        for index in range(1, 6):
            columns.append(f"CAST({rest} AS INTEGER) AS n{index}")
            rest = f"substr(ltrim({rest}, '0123456789'), 2)"
        return ", ".join(columns)
