"""The checks' documentation: `--mdm-list`, `--mdm-explain` and the page `docs/checks.md`."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from pytest_mdm_health.engine.registry import HEADINGS, SECTIONS, CheckModule, UnknownCheck, load


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
    for module in modules.values():
        if wanted in {module.check.id, module.check.issue}:
            return "\n".join(_explained(module))
    near = difflib.get_close_matches(name, modules, n=1, cutoff=0.3)
    raise UnknownCheck(f"--mdm-explain: {name!r} is no check" + (f"; the nearest is {near[0]!r}" if near else ""))


def page() -> str:
    """All of it as one Markdown page. `docs/checks.md` is this text, and a test holds it to that."""
    return "\n".join(_page(list(load().values()))) + "\n"


def _page(modules: list[CheckModule]) -> Iterator[str]:
    yield "# The checks\n"
    yield "Made from the check modules; `mdm-health docs > docs/checks.md` makes it again.\n"
    for number, title in SECTIONS.items():
        ours = [module for module in modules if module.check.section == number]
        if ours:
            yield f"## {number} {title}\n"
        for module in ours:
            yield f"### {module.check.id}\n"
            yield f"Guide {module.check.issue}, per {module.check.per.value}. {module.documentation.title}\n"
            for heading in HEADINGS:
                yield f"**{heading}**\n\n{module.documentation.sections[heading]}\n"


def _listed(modules: list[CheckModule]) -> Iterator[str]:
    for number, title in SECTIONS.items():
        ours = [module.check for module in modules if module.check.section == number]
        if ours:
            yield f"{number} {title}"
        for check in ours:
            yield f"  {check.issue}  {check.id:<28} {check.title}  [per {check.per.value}]"


def _explained(module: CheckModule) -> Iterator[str]:
    check = module.check
    yield f"{check.id} (guide {check.issue}, per {check.per.value})"
    yield module.documentation.title
    for heading in HEADINGS:
        yield f"\n{heading}\n{'-' * len(heading)}"
        yield module.documentation.sections[heading]
