"""docs/repair.md lists every verb, and its story is a real one."""

from __future__ import annotations

import os
from pathlib import Path

from pytest_mdm_health.core.verbs import VERBS, Verb

PAGE = Path(__file__).parents[2] / "docs" / "repair.md"
BEGIN, END = "<!-- verbs: begin -->\n", "<!-- verbs: end -->\n"


def usage(verb: Verb) -> str:
    words = (f"[{word.rstrip('?')}]" if word.endswith("?") else word for word in verb.words)
    options = (f"[--{option}=X]" for option in verb.options)
    return " ".join((verb.name, verb.place, *words, *options))


def table() -> str:
    rows = (f"| `{usage(verb)}` | {verb.does} | {'yes' if verb.undone else 'no'} |" for verb in VERBS.values())
    return "\n".join(("| verb | what it does | can be taken back |", "|---|---|---|", *rows)) + "\n"


def test_the_page_lists_every_verb() -> None:
    """`UPDATE_SNAPSHOTS=1` writes the table."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    listed, _, after = rest.partition(END)
    if os.environ.get("UPDATE_SNAPSHOTS"):
        PAGE.write_text(f"{before}{BEGIN}{table()}{END}{after}", encoding="utf-8")
        return
    assert listed == table()
