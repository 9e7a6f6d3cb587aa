"""A new check in a checkout of this project: its module, its tests and the record of its wording, ready to be changed.

What is written examines something simple (the size of the settings file), so that the contract holds from the start.
"""

from __future__ import annotations

import keyword
import re
import subprocess
import sys
from collections.abc import Collection, Mapping
from importlib import resources
from pathlib import Path

from pytest_mdm_health.core.text import one_line
from pytest_mdm_health.engine.registry import SECTIONS, load

FILES: Mapping[str, str] = {
    "check.py.txt": "pytest_mdm_health/checks/{module}.py",
    "test_check.py.txt": "tests/checks/test_{module}.py",
    "messages.txt": "tests/snapshots/messages/{id}.txt",
}
"""The templates beside this file, with the places that they are for."""

PAGE = "docs/checks.md"
_ID = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_ISSUE = re.compile(r"[1-9]\d*\.[1-9]\d*")


class CannotWrite(Exception):
    """The check cannot be written; the text says why, on one line."""


def write(root: Path, id_: str, issue: str, title: str) -> tuple[Path, ...]:
    """Write a check and its tests, and what is generated from all checks.

    Args:
        root: a checkout of this project.
        id_: the check's id, such as `sqlite-locking`.
        issue: a number that no other check has, such as `9.1`.
        title: what it is about, in one line.

    Returns:
        The files that were written.

    Raises:
        CannotWrite: a value is not valid or is taken, or the folder is not a checkout.
        OSError: a file could not be written.
    """
    _refuse_values(id_, issue, title)
    module = id_.replace("-", "_")
    places = {template: root / place.format(id=id_, module=module) for template, place in FILES.items()}
    _refuse_places(root, places.values())
    words = {"@id@": id_, "@module@": module, "@Class@": _class_name(id_), "@issue@": issue, "@title@": title}
    for template, path in places.items():
        text = resources.files(__name__).joinpath(template).read_text(encoding="utf-8")
        for word, value in words.items():
            text = text.replace(word, value)
        path.write_text(text, encoding="utf-8")
    return (*places.values(), _write_page(root))


def _refuse_values(id_: str, issue: str, title: str) -> None:
    checks = {check_id: each.check for check_id, each in load().items()}
    if not _ID.fullmatch(id_) or keyword.iskeyword(id_):
        raise CannotWrite(f"{one_line(id_)!r} is not an id: lower-case words with hyphens between them")
    if id_ in checks:
        raise CannotWrite(f"there is a check {id_!r}")
    section = issue.partition(".")[0]
    if not _ISSUE.fullmatch(issue) or section not in SECTIONS:
        own = max(SECTIONS)
        raise CannotWrite(
            f"{one_line(issue)!r} is not an issue of a section: {own}.1, {own}.2, … are for further checks"
        )
    taken = {check.issue: check.id for check in checks.values()}
    if issue in taken:
        raise CannotWrite(f"{issue} is the issue of {taken[issue]!r}")
    if not title.strip() or title.endswith(".") or '"' in title or "\\" in title or not title.isprintable():
        raise CannotWrite("the title is one line without quotation marks, backslashes, and a full stop at its end")


def _refuse_places(root: Path, places: Collection[Path]) -> None:
    folders = [path.parent for path in places] + [root / "docs"]
    if not all(folder.is_dir() for folder in folders):
        raise CannotWrite(f"{root} is not a checkout of pytest-mdm-health")
    for path in places:
        if path.exists():
            raise CannotWrite(f"{path} exists already")


def _class_name(id_: str) -> str:
    return "".join(part.capitalize() for part in id_.split("-"))


def _write_page(root: Path) -> Path:
    """Generate the documentation in another process: this one has loaded the checks as they were."""
    command = [sys.executable, "-m", "pytest_mdm_health", "docs"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, encoding="utf-8", check=False)
    if done.returncode:
        raise CannotWrite(f"{PAGE} could not be generated: {one_line(done.stderr.strip()[-300:])}")
    page = root / PAGE
    page.write_text(done.stdout, encoding="utf-8")
    return page
