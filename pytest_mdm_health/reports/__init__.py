"""The reports, siblings that all render the same finished run."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_mdm_health.core.text import one_line
from pytest_mdm_health.redaction.scan import Leaks
from pytest_mdm_health.reports import bundle, markdown
from pytest_mdm_health.reports.html import page as html
from pytest_mdm_health.reports.json import report as json_report
from pytest_mdm_health.reports.model import Report, Trouble

if TYPE_CHECKING:
    from pytest_mdm_health.core.options import Options
    from pytest_mdm_health.engine.plan import Plan
    from pytest_mdm_health.redaction.known import Secret

Render = Callable[[Report, "Plan"], str | bytes]
FORMATS: Mapping[str, Render] = {
    "json": lambda report, plan: json_report.render(report, facts=plan.options.json_facts),
    "html": lambda report, _plan: html.render(report),
    "markdown": lambda report, _plan: markdown.render(report),
    "bundle": bundle.render,
}
"""How to render each kind of report, by the name of its option."""


def write(report: Report, plan: Plan, leaks: Leaks, formats: Mapping[str, Render] = FORMATS) -> list[Trouble]:
    """Write every report that was asked for, unless it shows a secret; return what went wrong."""
    troubles = []
    for name, render in formats.items():
        path = getattr(plan.options, name.replace("-", "_"))
        if path is None:
            continue
        try:
            content = render(report, plan)
            if (secret := leaks.in_content(content)) is not None:
                place = _place(report, leaks, content, lambda part, make=render: make(part, plan))  # type: ignore[misc] # of this loop
                troubles.append(Trouble(f"{path} was not written: {shows(secret)}{place}", name, leaked=True))
            else:
                write_whole(path, content)
        except OSError as error:
            troubles.append(Trouble(f"{path} could not be written: {error.strerror}", name))
        except Exception as error:  # noqa: BLE001 - one report that cannot be made must not cost the others
            troubles.append(Trouble(f"{path} could not be made: {type(error).__name__}: {error}", name))
    return troubles


def delete_earlier(options: Options) -> None:
    """Delete what an earlier run wrote to the paths of this one's reports.

    A run that ends before it can write them must not leave others that look like its own.
    """
    for name in FORMATS:
        path: Path | None = getattr(options, name)
        if path is not None:
            with contextlib.suppress(OSError):  # then writing the new one fails too, and says why
                path.unlink()


def shows(secret: Secret) -> str:
    """What is wrong with a file that has a secret in it, without a full stop."""
    return f"it would have shown {named(secret)}"


def named(secret: Secret) -> str:
    """A secret by the place it is known from."""
    return f"a secret, the one in {one_line(secret.place)}"


def _place(report: Report, leaks: Leaks, content: str | bytes, render: Callable[[Report], str | bytes]) -> str:
    """Where in a report a secret stands: the member of an archive, or the result; found by halving the results."""
    if member := leaks.member(content):
        return f"; it is in the member {one_line(member)}"
    results = report.results
    if leaks.in_content(render(replace(report, results=()))) is not None:
        return "; it is outside of the results"
    while len(results) > 1:
        half = results[: len(results) // 2]
        shown = leaks.in_content(render(replace(report, results=half))) is not None
        results = half if shown else results[len(half) :]
    return "".join(f"; it is in the result of {each.check.id} on {one_line(each.target.name)}" for each in results)


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file so that whoever looks sees the old one or the new one, never half of it; its folder may be new.

    Raises:
        OSError: it could not be written; the old file, if any, is as it was.
    """
    path.parent.mkdir(exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content.encode("utf-8") if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o666 & ~_umask())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask
