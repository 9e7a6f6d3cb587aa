"""What in the text of `mdm.yaml` is hard to see and keeps it from meaning what it seems to say."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from pytest_mdm_health.mdm.files import Unreadable, read_bytes
from pytest_mdm_health.mdm.settings.problems import Origin, SettingsProblem
from pytest_mdm_health.mdm.settings.schema import BY_NAME, SECTIONS
from pytest_mdm_health.mdm.yaml_file import SIZE_LIMIT

_LINES_TOLD = 10
_COMMENT = re.compile(r"(?:^|(?<=\s))#[^'\"]*$")
_UNSEEN = re.compile("[^\x00-\x7e\xa1-\xac\xae-\u02ff]")
_UNSEEN_KINDS = frozenset({"Cf", "Zs", "Zl", "Zp", "Cc"})
_NO_BLANK = re.compile(r"\s*(?P<key>[A-Za-z_]+):(?P<rest>[^\s/\\])")
_WORDS = frozenset(part for name in (*BY_NAME, *SECTIONS) for part in name.split("."))
_MARKERS = ("<<<<<<< ", "||||||| ", "=======", ">>>>>>> ")
_SIDES = ("<<<<<<< ", ">>>>>>> ")


def marks_in(file: Path, *, usable: bool) -> Iterator[SettingsProblem]:
    """Invisible characters, colons without a blank and the marks of a merge, each with its line.

    Args:
        file: `mdm.yaml`.
        usable: whether it can be read as YAML all the same.
    """
    try:
        text = read_bytes(file, SIZE_LIMIT).decode("utf-8-sig")
    except (Unreadable, UnicodeDecodeError):  # a problem of its own
        return
    lines = text.replace("\r\n", "\n").split("\n")
    place = str(file)
    yield from _conflict(lines, place, usable=usable)
    told = 0
    for number, line in enumerate(lines, 1):
        for problem in _in_line(_COMMENT.sub("", line), place, number):
            told += 1
            if told > _LINES_TOLD:
                return
            yield problem


def _in_line(line: str, place: str, number: int) -> Iterator[SettingsProblem]:
    unseen = next((each for each in _UNSEEN.finditer(line) if unicodedata.category(each[0]) in _UNSEEN_KINDS), None)
    if unseen is not None:
        known = "BYTE ORDER MARK" if unseen[0] == "\ufeff" else unicodedata.name(unseen[0], "")
        name = f"U+{ord(unseen[0]):04X} {known}".rstrip()
        message = f"holds a character that is not seen, {name}; YAML takes it for a part of the key or value"
        advice = "Delete it, and type a plain blank where one belongs."
        yield SettingsProblem("unseen", "", message, Origin("file", place, number, unseen.start() + 1), advice)
    joined = _NO_BLANK.match(line)
    if joined is not None and joined["key"] in _WORDS:
        message = f"`{joined['key']}:` is not followed by a blank, so YAML takes it and its value for one text"
        origin = Origin("file", place, number, joined.end("key") + 1)
        yield SettingsProblem("no-blank", "", message, origin, "Put a blank after the colon.")


def _conflict(lines: list[str], place: str, *, usable: bool) -> Iterator[SettingsProblem]:
    marked = [number for number, line in enumerate(lines, 1) if f"{line} ".startswith(_MARKERS)]
    if not any(lines[number - 1].startswith(_SIDES) for number in marked):
        return
    where = ", ".join(map(str, marked[:_LINES_TOLD]))
    message = f"a merge left its marks (`<<<<<<<`, `=======`, `>>>>>>>`) on the lines {where}"
    advice = "Decide for each of the two sides what is meant, and take the marks out."
    yield SettingsProblem("conflict", "", message, Origin("file", place, marked[0], 1), advice, fatal=not usable)
