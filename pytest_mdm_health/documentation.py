"""The checks' documentation as text: `--mdm-list` and `--mdm-explain`."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from pytest_mdm_health.registry import HEADINGS, SECTIONS, CheckModule, UnknownCheck, load


def listing() -> str:
    """All checks by section of the guide, one line each."""
    return "\n".join(_listed(list(load().values())))


def explain(name: str) -> str:
    """One check's documentation, found by its id, its issue number or one of its finding codes.

    Raises:
        UnknownCheck: there is none of that name.
    """
    modules = load()
    wanted = name.partition(".")[0] if name.partition(".")[0] in modules else name
    for each in modules.values():
        if wanted in {each.check.id, each.check.issue}:
            return "\n".join(_explained(each))
    near = difflib.get_close_matches(name, modules, n=1, cutoff=0.3)
    raise UnknownCheck(f"--mdm-explain: {name!r} is no check" + (f"; the nearest is {near[0]!r}" if near else ""))


def _listed(modules: list[CheckModule]) -> Iterator[str]:
    for number, title in SECTIONS.items():
        ours = [each.check for each in modules if each.check.section == number]
        if ours:
            yield f"{number} {title}"
        for check in ours:
            yield f"  {check.issue}  {check.id:<28} {check.title}  [per {check.per.value}]"


def _explained(each: CheckModule) -> Iterator[str]:
    check = each.check
    yield f"{check.id} (guide {check.issue}, per {check.per.value})"
    yield each.documentation.title
    for heading in HEADINGS:
        yield f"\n{heading}\n{'-' * len(heading)}"
        yield each.documentation.sections[heading]
