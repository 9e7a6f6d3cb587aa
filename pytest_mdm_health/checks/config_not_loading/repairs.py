"""What to do about settings. A command that changes the file keeps it first, under a name that MDM does not read."""

from __future__ import annotations

import re
import shlex
import sys

from pytest_mdm_health.core.model import Remedy
from pytest_mdm_health.mdm.settings import SettingsProblem
from pytest_mdm_health.mdm.settings.environment import IgnoredVariable

KEPT = ".before"
PYTHON = shlex.quote(sys.executable or "python3")  # it runs this, so it has PyYAML
_BACKEND = "database.default_backend"
_ONE_BACKEND = (
    "MDM then refuses every dataset that is on another backend, so set it only for the command that needs it."
)
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_READABLE = "import sys, yaml; yaml.safe_load(open(sys.argv[1], encoding='utf-8')); print('readable')"


def corrected(file: str, problem: SettingsProblem, advice: str, *more: str) -> Remedy:
    """Change the place by hand."""
    return Remedy(advice, (edit(file, problem.origin.line), *more))


def restored(file: str, spare: str, problem: SettingsProblem, validate: str) -> Remedy:
    """Put the copy of the file back, or correct the place by hand where there is no copy."""
    if spare:
        return put_back(file, spare)
    more = (validate,) if validate else (f"{PYTHON} -c {shlex.quote(_READABLE)} {shlex.quote(file)}",)
    return corrected(file, problem, "Correct the line that is named; there is no copy of the file to put back.", *more)


def put_back(file: str, spare: str, *, missing: bool = False) -> Remedy:
    """Put a copy that can be read in the place of the file, which is kept beside it."""
    text = f"Compare the two, then put back the copy that can be read ({spare})"
    if missing:
        return Remedy(f"{text}.", (f"cp -n -- {shlex.quote(spare)} {shlex.quote(file)}",))
    text += f"; the file is kept as {file + KEPT}, and write what has changed since the copy was made into it again."
    return Remedy(text, (after_keeping(file, f"cp -- {shlex.quote(spare)} {shlex.quote(file)}"),))


def after_keeping(file: str, command: str) -> str:
    """A command that changes a file, run only once a copy of it was made; an older copy is never overwritten."""
    kept = shlex.quote(file + KEPT)
    already = shlex.quote(f"{file + KEPT} exists already, so nothing was changed")
    return (
        f"if test -e {kept}; then echo {already} >&2; false; else cp -p -- {shlex.quote(file)} {kept} && {command}; fi"
    )


def no_settings(file: str, spare: str) -> Remedy:
    """Look at what has the place of the settings file; it may be needed, so it is not moved by a command."""
    text = "See what has its place, and move that elsewhere yourself; then put mdm.yaml back"
    text += f" from {spare}." if spare else " from a backup. Without the file every setting has its default."
    return Remedy(text, (f"ls -ld -- {shlex.quote(file)}",))


def unreasonable(file: str, spare: str, problem: SettingsProblem) -> Remedy:
    """Put a copy back, or take out by hand what is no settings."""
    if spare:
        return put_back(file, spare)
    return corrected(file, problem, "Restore it from a backup, or take out what is no settings and keep the rest.")


def encoded(file: str, spare: str, problem: SettingsProblem, encoding: str) -> Remedy:
    """Write the file in UTF-8 where its encoding is known; else restore it, for no guess is safe."""
    if encoding:
        now = shlex.quote(file)
        convert = f'new=$(mktemp) && iconv -f {encoding} -t UTF-8 {now} > "$new" && cat "$new" > {now} && rm "$new"'
        text = f"Write the file in UTF-8; as it is now, it is kept as {file + KEPT}."
        return Remedy(text, (after_keeping(file, convert),))
    if spare:
        return put_back(file, spare)
    look = (f"od -A d -c {shlex.quote(file)} | head -n 20",)
    if "U+0000" in problem.message:
        text = (
            "Restore the file from a backup. Zeros are what a power cut or a full disk leaves in the place of text; "
            "what was there cannot be told from them, so do not take them out: that leaves an empty or a cut file, "
            "and MDM goes on with its defaults. (Zeros between all letters are UTF-16 that was saved without its mark.)"
        )
        return Remedy(text, look)
    if "U+" in problem.message:
        text = (
            "Restore the file from a backup, or correct the line that is named in an editor that shows the character."
        )
        return Remedy(text, (edit(file, problem.origin.line),))
    if "UTF-" in problem.message.partition("where")[0] and "encoded" in problem.message:
        return Remedy("Restore the file from a backup: it is cut or damaged, and cannot be read as that either.", look)
    text = (
        "Restore the file from a backup, or open it in an editor with the encoding that it was saved in and save it as "
        "UTF-8. Which encoding that was cannot be told from the file: the same byte is another letter in each, and a "
        "file may have lines of several. Compare every value that is not plain ASCII afterwards."
    )
    return Remedy(text, (f"LC_ALL=C sed -n {problem.origin.line or 1}l {shlex.quote(file)}",))


def variable_renamed(variable: IgnoredVariable) -> Remedy:
    """Set what does what the variable was meant to do."""
    taken_out = _unset(variable.name)
    if variable.key is None:
        known = "No released MDM has such a variable." if variable.known else "Unset it if it was meant for MDM."
        return Remedy(known, taken_out)
    if variable.instead is not None:
        text = f"Set {variable.instead} in its place, which is the variable for `{variable.key}`, then unset this one."
        return Remedy(f"{text} {_ONE_BACKEND}" if variable.key == _BACKEND else text)
    text = f"No variable can set `{variable.key}`; write it into mdm.yaml: {nested(variable.key)}"
    return Remedy(text, taken_out)


def unset(variable: str, advice: str) -> Remedy:
    """Take a variable out of the environment."""
    return Remedy(advice, _unset(variable))


def _unset(variable: str) -> tuple[str, ...]:
    """No shell can name a variable that is no identifier."""
    return (f"unset {variable}",) if _IDENTIFIER.fullmatch(variable) else ()


def edit(file: str, line: int | None = None) -> str:
    """Open the file at the line."""
    at = f" +{line}" if line else ""
    return f'"${{EDITOR:-vi}}"{at} {shlex.quote(file)}'


def nested(key: str) -> str:
    """How the key is written in YAML on one line: `a: {b: {c: ...}}`."""
    parts = key.split(".")
    return ": {".join(parts) + ": ..." + "}" * (len(parts) - 1)
