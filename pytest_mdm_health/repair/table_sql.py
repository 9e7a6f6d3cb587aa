"""The statement that made a SQLite table, with another type for one of its columns. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from pytest_mdm_health.backends.base import quote

_TOKEN = re.compile(
    r"\s+|\"(?:[^\"]|\"\")*\"|`(?:[^`]|``)*`|\[[^\]]*\]|'(?:[^']|'')*'|[(),]|[^\s(),\"'`\[]+", re.DOTALL
)
_CONSTRAINTS = {
    *("CONSTRAINT", "PRIMARY", "NOT", "NULL", "UNIQUE", "CHECK"),
    *("DEFAULT", "COLLATE", "REFERENCES", "GENERATED", "AS"),
}


def with_type(statement: str, table: str, column: str, type_: str) -> str | None:
    """The statement for a table of another name, in which a column has another type; None if it is not understood."""
    if "--" in statement or "/*" in statement:
        return None
    tokens = _TOKEN.findall(statement)
    if "".join(tokens) != statement or "(" not in tokens:
        return None
    opening = tokens.index("(")
    head = [token for token in tokens[:opening] if not token.isspace()]
    if [token.upper() for token in head[:-1]] != ["CREATE", "TABLE"]:
        return None
    found = next((part for part in _definitions(tokens, opening) if _name(tokens, part) == column.casefold()), None)
    if found is None:
        return None
    name, *rest = found
    kept = next((at for at in rest if tokens[at].upper() in _CONSTRAINTS), found[-1] + 1)
    edited = [*tokens[opening : name + 1], " ", type_, " ", *tokens[kept:]]
    return f"CREATE TABLE {quote(table)} {''.join(edited)}"


def _definitions(tokens: Sequence[str], opening: int) -> Iterator[list[int]]:
    """The places of the tokens of each column or constraint, without spaces and what is in parentheses of their own."""
    depth, part = 0, list[int]()
    for at in range(opening, len(tokens)):
        piece = tokens[at]
        depth += (piece == "(") - (piece == ")")
        if depth == 0 or (depth == 1 and piece == ","):
            yield part
            part = []
            if depth == 0:
                return
        elif not piece.isspace() and at > opening:
            part.append(at)


def _name(tokens: Sequence[str], part: Sequence[int]) -> str:
    token = tokens[part[0]] if part else ""
    if token[:1] in {'"', "`"}:
        return token[1:-1].replace(token[0] * 2, token[0]).casefold()
    return (token[1:-1] if token.startswith("[") else token).casefold()
