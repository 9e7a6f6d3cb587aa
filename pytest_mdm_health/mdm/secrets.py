"""Keeping passwords out of whatever quotes text that MDM or a driver wrote."""

from __future__ import annotations

import re

HIDDEN = "***"
NAMES = r"passwd|password|passphrase|pwd|secret|token|api_?key|access_?key|private_?key|credentials?"
"""The words that make the name of a setting, variable or parameter a secret's name, as a regular expression."""

_NAME = re.compile(NAMES, re.IGNORECASE)
# Every repetition is bounded or starts at a word boundary: a log line of megabytes must not take minutes.
_USER_INFO = re.compile(r"(?P<front>\b[a-z][a-z0-9+.\-]{0,30}://[^\s/@:'\"]{0,100}):[^\s'\"]{0,200}@", re.IGNORECASE)
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


def is_secret(name: str) -> bool:
    """Whether a setting, variable or parameter of this name holds a secret."""
    return _NAME.search(name) is not None


def redact(text: str) -> str:
    """The text without the passwords in it: in connection URLs, and as the value of anything named like a secret."""
    text = _ASSIGNED.sub(_hide, _USER_INFO.sub(rf"\g<front>:{HIDDEN}@", text))
    for pattern in (_BEARER, _OPTION, _SIGNED):
        text = pattern.sub(rf"\g<name>{HIDDEN}", text)
    return text


def _hide(match: re.Match[str]) -> str:
    value = match["value"]
    if value in _NOT_A_VALUE:
        return match[0]
    quote = value[0] if value[0] in "'\"" else ""
    return f"{match['name']}{quote}{HIDDEN}{quote}"
