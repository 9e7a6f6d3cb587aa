"""What pytest and its plugins write and show, of our checks and of the user's own tests: it shows no secret either."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from pytest_mdm_health.reports import named, shows
from pytest_mdm_health.reports.model import Trouble

if TYPE_CHECKING:
    import warnings

    import pytest
    from _pytest._io import TerminalWriter

    from pytest_mdm_health.redaction.redactor import Redactor
    from pytest_mdm_health.redaction.scan import Leaks

_OPTIONS = {"--junitxml": "xmlpath", "--html": "htmlpath"}
_ASSETS = "assets"
"""The folder beside it into which pytest-html puts what does not fit into its page."""


def files_of_others(config: pytest.Config) -> Mapping[str, tuple[Path, ...]]:
    """The files that others write at the end of this run, absolute, by the option that asks for them."""
    found = {}
    for name, dest in _OPTIONS.items():
        given = getattr(config.option, dest, None)
        if given:
            file = Path.cwd() / Path(os.path.expandvars(given)).expanduser()
            found[name] = (file, file.parent / _ASSETS) if name == "--html" else (file,)
    return found


def delete_leaking(files: Mapping[str, tuple[Path, ...]], leaks: Leaks, since: float) -> list[Trouble]:
    """Delete each file that shows a secret; return what is wrong.

    Args:
        files: as `files_of_others` has them; in a folder, those that this run wrote.
        leaks: what finds secrets.
        since: when the run began, in seconds since the epoch.
    """
    written = [(name, file) for name, places in files.items() for place in places for file in _written(place, since)]
    told = (_delete_if_leaking(name, file, leaks) for name, file in written)
    return [trouble for trouble in told if trouble is not None]


def _delete_if_leaking(name: str, file: Path, leaks: Leaks) -> Trouble | None:
    try:
        secret = leaks.in_content(file.read_bytes())
        if secret is None:
            return None
        file.unlink()
    except OSError as error:
        return Trouble(f"{name}: {file} could not be searched for secrets: {error.strerror}")
    return Trouble(f"{name}: {file} was deleted: {shows(secret)}", leaked=True)


def _written(place: Path, since: float) -> list[Path]:
    if not place.is_dir():
        return [place] if place.is_file() else []
    return [file for file in sorted(place.iterdir()) if file.is_file() and file.stat().st_mtime >= since - 1]


class MaskedTerminal:
    """Masks whatever is written to pytest's terminal, by whomever, from now on, and remembers it for a search.

    A terminal that cannot be written to any more, such as a closed pipe or a full disk, ends nothing.
    """

    def __init__(self, config: pytest.Config, leaks: Leaks) -> None:
        self._leaks = leaks
        self._written: list[str] = []
        self._broken = ""
        self._writer: TerminalWriter | None = None
        if config.pluginmanager.has_plugin("terminalreporter"):
            writer = config.get_terminal_writer()
            self._writer, self._write, self._flush = writer, writer.write, writer.flush
            writer.write = self._write_masked  # type: ignore[method-assign] # all of its methods write with this one
            writer.flush = self.flush  # type: ignore[method-assign]

    def _write_masked(self, msg: str, *, flush: bool = False, **markup: bool) -> None:
        clean = self._leaks.mask(msg)
        self._written.append(clean)
        self._if_it_can(lambda: self._write(clean, flush=flush, **markup))

    def flush(self) -> None:
        """Have what was written go out."""
        if self._writer is not None:
            self._if_it_can(self._flush)

    def _if_it_can(self, write: Callable[[], None]) -> None:
        if self._broken:
            return
        try:
            write()
        except OSError as error:
            self._broken = f"the terminal, or where it leads to, could not be written to: {error.strerror}"
            _discard(self._writer._file)  # type: ignore[union-attr] # noqa: SLF001 - pytest has no public way to it

    def troubles(self) -> list[Trouble]:
        """What is wrong with all of it together: a secret that was written in pieces cannot be masked."""
        secret = self._leaks.in_content("".join(self._written))
        found = [Trouble(self._broken)] if self._broken else []
        if secret is not None:
            found.append(Trouble(f"the terminal shows {named(secret)}, written in pieces", leaked=True))
        return found


def _discard(file: TextIO) -> None:
    """Take away what a stream still holds and cannot get rid of: at its end Python would fail over it."""
    with contextlib.suppress(OSError, ValueError):  # it has no descriptor, or it is closed
        null = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(null, file.fileno())
        finally:
            os.close(null)
        file.flush()


def clean_warning(warning: warnings.WarningMessage, redactor: Redactor) -> None:
    """Take secrets out of a warning before it is shown. Its kind and its place stay."""
    text = str(warning.message)
    if (shown := redactor.text(text)) != text:
        warning.message = Warning(shown)


def clean(report: pytest.TestReport | pytest.CollectReport, redactor: Redactor) -> None:
    """Take secrets out of what pytest says of a test: why it failed or was skipped, and what it printed."""
    if isinstance(report.longrepr, tuple):
        path, line, reason = report.longrepr
        report.longrepr = (path, line, redactor.text(reason))
    elif report.longrepr is not None:
        text = report.longreprtext
        if (shown := redactor.text(text)) != text:
            report.longrepr = shown
    report.sections = [(name, redactor.text(content)) for name, content in report.sections]
    properties = getattr(report, "user_properties", None)  # what was collected has none
    if properties is not None:
        properties[:] = [(name, redactor.text(each) if isinstance(each, str) else each) for name, each in properties]
