"""Keeping passwords out of whatever quotes text that MDM or a driver wrote."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date
from typing import ClassVar
from urllib.parse import parse_qsl, unquote

HIDDEN = "***"
NAMES = r"passwd|password|passphrase|pwd|secret|token|api_?key|access_?key|private_?key|credentials?"
"""The words that make the name of a setting, variable or parameter a secret's name, as a regular expression."""

_NAME = re.compile(NAMES, re.IGNORECASE)
# Every repetition is bounded or starts at a word boundary: a log line of megabytes must not take minutes.
_USER_INFO = re.compile(
    r"(?P<front>\b[a-z][a-z0-9+.\-]{0,30}://[^\s/@:'\"]{0,100}):(?:[^\s'\"]{0,200}|\S{0,200}?)@", re.IGNORECASE
)
_ASSIGNED = re.compile(
    rf"""(?P<name>(?<![\w-])(?=[\w-]*?(?:{NAMES}))[\w-]+['"]?\s{{0,9}}[=:]\s{{0,9}})"""
    r"""(?P<value>'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|[^\s,;&)}\]'"]+)""",
    re.IGNORECASE,
)
_WORD = rf"[\w-]{{0,40}}(?:{NAMES})[\w-]{{0,40}}"
_BEARER = re.compile(r"\b(?P<name>(?:bearer|basic)\s{1,9})[A-Za-z0-9._~+/=\-]{8,2000}", re.IGNORECASE)
_OPTION = re.compile(rf"(?P<name>--?(?:{_WORD}|pass)\s{{1,9}})[^\s'\"]{{1,200}}", re.IGNORECASE)
_SIGNED = re.compile(r"(?P<name>[?&](?:sig|signature|x-amz-\w{1,20}|key)=)[^&\s'\"]{1,500}", re.IGNORECASE)
_NOT_A_VALUE = frozenset({"None", "null", "True", "False", "true", "false", HIDDEN})
_ADDRESS = re.compile(r"://[^/\s:@]*:(?P<rest>\S+)")
_WHOLE_ADDRESS = re.compile(r"\s*[a-z][a-z0-9+.\-]*://[^/\s:@]*:(?P<rest>[\s\S]+)", re.IGNORECASE)
_PAIR = re.compile(r"(?<!\w)(?P<name>\w+)\s*=\s*(?:'(?P<quoted>(?:[^'\\]|\\.)*)'|(?P<plain>\S+))")
_PASSWORD = re.compile(r"passw|pwd|passphrase|secret", re.IGNORECASE)

LEFT_OUT = "…"
"""What replaces a value of data."""

_PLACES = ("database", "connection_string")
_DEEPEST = 20
_MOST_PARTS = 5
_VALUES = re.compile(
    r"""(?P<parameters>\[parameters:(?:[^\n]*\]|[^\n]*))"""
    r"""|(?P<sql>\[SQL:[\s\S]*?(?:\](?=\s{0,9}(?:$|\[parameters:|\(Background))|\Z))"""
    r"""|(?P<detail>\bDETAIL:[^\n]*)"""
    r"""|(?P<quoted>(?:(?<!\w)|(?<=\b[bru]))"""
    r"""(?:'(?:[^'\\\n]|\\.|'(?=\w))*(?:'|\\?$)|"(?:[^"\\\n]|\\.|"(?=\w))*(?:"|\\?$)))""",
    re.MULTILINE,
)
_LITERAL = re.compile(r"'(?:[^']|'')*(?:'|\Z)|(?<![\w.])\d[\w.]*")
_NAMING = re.compile(
    r"\b(?:dataset|table|view|column|feature|transformer|step|stage|operation|backend|engine|schema|relation|constraint"
    r"|index|sequence|field|setting|option|argument|parameter|attribute|function|method|class|type|module|module named"
    r"|package|import name|codec|file|folder|path|variable|user|role|database|host|server at|into|as|instances of"
    r")\s?\Z|\[Errno \d+\] [\w ]+: \Z",
    re.IGNORECASE,
)
_NAMED_AFTER = re.compile(r" (?:object|codec|module|package|dataset|column|table|backend)\b")
_PATH = re.compile(r"(?:/|[A-Z]:\\)\S+")
_WORDS = {"str", "int", "float", "bool", "bytes", "list", "dict", "tuple", "set", "NoneType", "Timestamp"} | {
    *("name", "display_name", "database", "backend", "path", "tables", "target_column", "id_columns", "problem_type")
}
"""Types, and the fields of a registration."""

_LONGEST_NAMING = 60


def is_secret(name: str) -> bool:
    """Whether a setting, variable or parameter of this name holds a secret."""
    return _NAME.search(name) is not None


def is_password(name: str) -> bool:
    """Whether even a number of this name is a secret."""
    return _PASSWORD.search(name) is not None


class SecretMask:
    """The secrets that are known of the examined home. `redact` masks them first in the process that unpickles this.

    Otherwise what looks like a secret is masked by its place, which may be its start only, and the rest
    is not recognised any more.
    """

    here: ClassVar[re.Pattern[str] | None] = None

    def __init__(self, pattern: re.Pattern[str] | None) -> None:
        self._pattern = pattern

    def __reduce__(self) -> tuple[object, ...]:
        return _know, (self._pattern,)


def _know(pattern: re.Pattern[str] | None) -> SecretMask:
    SecretMask.here = pattern
    return SecretMask(pattern)


def redact(text: str) -> str:
    """The text without the passwords in it: known ones, in connection URLs, and the value of what is named like one."""
    if SecretMask.here is not None:
        text = SecretMask.here.sub(HIDDEN, text)
    text = _ASSIGNED.sub(_hide, _USER_INFO.sub(rf"\g<front>:{HIDDEN}@", text))
    for pattern in (_BEARER, _OPTION, _SIGNED):
        text = pattern.sub(rf"\g<name>{HIDDEN}", text)
    return text


def secrets_in(document: object, *, of_settings: bool = False) -> Iterator[str]:
    """The secrets that the settings or a registration hold.

    What is named like a secret is one only where a connection is described: elsewhere names are those of tables,
    columns and limits. In the settings that is everywhere. A password in an address is one wherever it stands.
    """
    yield from dict.fromkeys(_every_secret_in(document, of_settings=of_settings))


def _every_secret_in(document: object, *, of_settings: bool) -> Iterator[str]:
    flat = _is_flat(document)
    for names, value in _scalars(document):
        connects = of_settings or (bool(names) and names[0] in _PLACES) or (flat and len(names) == 1)
        text = _as_text(value, names)
        if isinstance(value, str):
            yield from passwords_in(value)
        if connects and text and text not in _NOT_A_VALUE:
            if any(is_secret(name) for name in names):
                yield text
            yield from assigned_in(text)


def passwords_in(text: str) -> Iterator[str]:
    """The passwords of the addresses in a text, as written and as meant; all that it may be where an `@` is in it."""
    whole = _WHOLE_ADDRESS.fullmatch(text)
    for match in (*_ADDRESS.finditer(text), *([whole] if whole else [])):
        *parts, last = match["rest"].split("@")
        for count in {*range(1, min(len(parts), _MOST_PARTS) + 1), *([len(parts)] if parts else [])}:
            yield from _as_meant("@".join(parts[:count]))
        yield from (value for name, value in parse_qsl(last.partition("?")[2]) if is_secret(name))


def assigned_in(text: str) -> Iterator[str]:
    """The values in a text of parameters that are named like a secret."""
    for match in _ASSIGNED.finditer(text):
        found = match["value"].strip("'\"")
        if found and found not in _NOT_A_VALUE:
            yield from _as_meant(found)
    for match in _PAIR.finditer(text):
        if is_secret(match["name"]):
            plain = match["plain"]
            yield from (re.sub(r"\\([\s\S])", r"\1", each) for each in (match["quoted"], plain) if each)


def _as_meant(password: str) -> Iterator[str]:
    yield from (each for each in dict.fromkeys((password, unquote(password))) if each)


def _as_text(value: object, names: Sequence[str]) -> str:
    """A single value as a person wrote it, if it can be a secret: a limit is none, and neither is a switch."""
    if isinstance(value, (bytes, str)):
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    is_number = isinstance(value, (int, float, date)) and not isinstance(value, bool)
    return str(value) if is_number and any(map(is_password, names)) else ""


def without_values(message: str, known: Collection[str] | None = None) -> str:
    """A message of MDM's, a driver's or the user's code without passwords, and without values of data.

    Args:
        message: of any number of lines.
        known: what may stay of what is quoted; without it, what the word beside it says to be a name.
    """

    def left_out(match: re.Match[str]) -> str:
        text = match[0]
        if match["sql"]:
            return _LITERAL.sub(LEFT_OUT, text)
        if match["quoted"] is None:
            return f"{text.partition(':')[0]}: {LEFT_OUT}{']' if text.endswith(']') else ''}"
        stays = text[1:-1] == HIDDEN or (_is_name(match) if known is None else text[1:-1] in known)
        return text if stays else f"{text[0]}{LEFT_OUT}{text[0]}"

    return _VALUES.sub(left_out, redact(message))


def _is_name(match: re.Match[str]) -> bool:
    before = match.string[max(0, match.start() - _LONGEST_NAMING) : match.start()]
    return (
        match[0][1:-1] in _WORDS
        or _PATH.fullmatch(match[0][1:-1]) is not None
        or _NAMING.search(before) is not None
        or _NAMED_AFTER.match(match.string, match.end()) is not None
    )


def _is_flat(document: object) -> bool:
    return isinstance(document, Mapping) and not isinstance(document.get("database"), Mapping)


def _scalars(value: object, names: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    """Every single value with the names that lead to it."""
    if len(names) > _DEEPEST:
        return
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _scalars(each, (*names, str(key)))
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _scalars(each, names)
    else:
        yield names, value


def _hide(match: re.Match[str]) -> str:
    value = match["value"]
    if value in _NOT_A_VALUE:
        return match[0]
    quote = value[0] if value[0] in "'\"" else ""
    return f"{match['name']}{quote}{HIDDEN}{quote}"
