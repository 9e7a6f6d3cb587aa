"""What to do about settings. Commands keep what they change beside it, under a name that MDM does not read."""

from __future__ import annotations

import re
import shlex
import sys

from pytest_mdm_health.mdm.environment import IgnoredVariable
from pytest_mdm_health.mdm.settings import SettingsProblem
from pytest_mdm_health.model import Remedy

KEPT = ".before"
PYTHON = shlex.quote(sys.executable or "python3")  # it runs this, so it has PyYAML
_ENCODED = re.compile(r"UTF-(16|32)")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_READABLE = "import sys, yaml; yaml.safe_load(open(sys.argv[1], encoding='utf-8')); print('readable')"


def corrected(file: str, problem: SettingsProblem, advice: str, *more: str) -> Remedy:
    """Change the place by hand."""
    return Remedy(advice, (edit(file, problem.origin.line), *more))


def restored(file: str, spare: str, problem: SettingsProblem, validate: str) -> Remedy:
    """Put the copy of the file back, or correct the place by hand where there is no copy."""
    if spare:
        return Remedy("Put back the copy that can be read, after a look at what has changed since.", _put(file, spare))
    more = (validate,) if validate else (f"{PYTHON} -c {shlex.quote(_READABLE)} {shlex.quote(file)}",)
    return corrected(file, problem, "Correct the line that is named; there is no copy of the file to put back.", *more)


def replaced(file: str, spare: str) -> Remedy:
    """Move away what is no settings file."""
    aside = f"mv -n -- {shlex.quote(file)} {shlex.quote(file + KEPT)}"
    again = (f"cp -n -- {shlex.quote(spare)} {shlex.quote(file)}",) if spare else ()
    text = "Move it aside" + (" and put back the copy that can be read." if spare else "; MDM then uses its defaults.")
    return Remedy(text, (aside, *again))


def encoded(file: str, problem: SettingsProblem) -> Remedy:
    """Write the file anew in UTF-8."""
    kept, now = shlex.quote(file + KEPT), shlex.quote(file)
    keep = f"cp -p -- {now} {kept}"
    found = _ENCODED.search(problem.message)
    if found:
        return Remedy("Write the file anew in UTF-8.", (keep, f"iconv -f {found[0]} -t UTF-8 {kept} > {now}"))
    if "U+" in problem.message:
        text = "Take the characters out that are no text, then look the file over."
        return Remedy(text, (keep, rf"LC_ALL=C tr -d '\000-\010\013\014\016-\037\177' < {kept} > {now}"))
    text = "Write the file anew in UTF-8; it was probably saved in the encoding of Western European Windows."
    return Remedy(text, (keep, f"iconv -f WINDOWS-1252 -t UTF-8 {kept} > {now}"))


def variable_renamed(variable: IgnoredVariable) -> Remedy:
    """Set what does what the variable was meant to do."""
    taken_out = _unset(variable.name)
    if variable.key is None:
        known = "No released MDM has such a variable." if variable.known else "Unset it if it was meant for MDM."
        return Remedy(known, taken_out)
    if variable.instead is not None:
        text = f"The variable for `{variable.key}` is {variable.instead}."
        return Remedy(text, (f'export {variable.instead}="${variable.name}"', *taken_out) if taken_out else ())
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


def _put(file: str, spare: str) -> tuple[str, ...]:
    old, new = shlex.quote(file), shlex.quote(spare)
    return (f"cp -p -- {old} {shlex.quote(file + KEPT)}", f"cp -- {new} {old}")
