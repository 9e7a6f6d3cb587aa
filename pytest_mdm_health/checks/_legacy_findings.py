"""The findings of `legacy-config-active`."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from pytest_mdm_health.checks._config_repairs import edit, nested
from pytest_mdm_health.checks._legacy_look import LegacyFacts, OldUse
from pytest_mdm_health.mdm.environment import FLAG_PREFIX
from pytest_mdm_health.mdm.feature_flags import SWITCHES, Flag
from pytest_mdm_health.mdm.legacy_files import LegacyFile
from pytest_mdm_health.model import Check, Finding, Location, Remedy, Severity

_LEGACY_TYPES = ("legacy", "old", "ini", "dict")


def of_files(check: Check, facts: LegacyFacts) -> Iterator[Finding]:
    """Settings files that MDM does not read."""
    for each in facts.files:
        if each.kind == "lookalike" and not each.known:
            continue
        has = f"with {', '.join(each.known[:8])} in it" if each.known else "with nothing of MDM's in it"
        yield check.finding(
            "old-file" if each.kind == "old" else "lookalike-file",
            Severity.WARN if each.known else Severity.NOTE,
            f"{each.file} lies in the home, {has}; MDM reads its settings from mdm.yaml only",
            _moved(each, facts),
            evidence={"known": list(each.known)},
            location=Location(each.file),
            subject=each.file.removeprefix(facts.home).lstrip("/\\"),
        )


def of_names(check: Check, facts: LegacyFacts) -> Iterator[Finding]:
    """Keys in the words of the system that is not in use."""
    for each in facts.names:
        instead = f", which it calls `{each.meant}`" if each.meant else " and has nothing like it"
        twice = ", and the file sets that too" if each.twice else ""
        advice = f"Write {nested(each.meant)} instead." if each.meant else "Take it out."
        yield check.finding(
            "other-names",
            Severity.WARN,
            f"mdm.yaml, line {each.line}: the configuration system in use ({facts.in_use}) ignores `{each.written}`"
            f"{instead}{twice}",
            Remedy("Take it out; the other one counts." if each.twice else advice, (edit(facts.file, each.line),)),
            evidence={"written": each.written, "meant": each.meant},
            location=Location(facts.file, each.line, each.column),
            subject=each.written,
        )


def of_flags(check: Check, facts: LegacyFacts) -> Iterator[Finding]:
    """The switches between old and new code."""
    flags = facts.flags
    yield from _unread_flags(check, facts)
    if facts.has_flags is False:
        return
    yield from _of_flags_file(check, facts)
    if flags.given and flags.mixed:
        new = ", ".join(each.part for each in flags.switches if each.new)
        old = ", ".join(each.part for each in flags.switches if not each.new)
        yield check.finding(
            "mixed-flags",
            Severity.WARN,
            f"the new code is switched on for {new} and off for {old}",
            Remedy("Set all switches alike: all on after the migration, all off before it.", _all_on(flags.switches)),
            evidence={each.name: each.on for each in flags.switches},
            location=_place(flags.switches),
            subject="switches",
        )
    elif facts.phase == "post" and (facts.has_flags or flags.given) and not any(each.new for each in flags.switches):
        yield check.finding(
            "flags-off",
            Severity.WARN,
            "the migration is over, and every switch still has the old code at work",
            Remedy("Switch the new code on.", _all_on(flags.switches)),
            location=_place(flags.switches),
            subject="switches",
        )


def of_cache(check: Check, facts: LegacyFacts) -> Iterator[Finding]:
    """A cached configuration."""
    cache = facts.cache
    if cache is None:
        return
    files = f"{cache.files} file{'s' if cache.files > 1 else ''}"
    yield check.finding(
        "stale-cache",
        Severity.WARN if cache.older else Severity.NOTE,
        f"{cache.folder} holds a configuration in {files}"
        + (", older than mdm.yaml: what has changed since may not be in force" if cache.older else ""),
        Remedy(
            "Delete it; it is a cache, which an MDM that has one makes again.", (f"rm -r -- {_quoted(cache.folder)}",)
        ),
        location=Location(cache.folder),
        subject="cache/config",
    )


def of_installed(check: Check, facts: LegacyFacts) -> Iterator[Finding]:
    """What the installed MDM says about itself."""
    said = facts.config_type or ""
    if any(word in said.lower() for word in _LEGACY_TYPES):
        yield check.finding(
            "legacy-active",
            Severity.WARN,
            f"the installed MDM works with the configuration {said!r} (mdm.config.CONFIG_TYPE)",
            Remedy("Make it use the new one.", ("export MDM_FORCE_NEW_CONFIG=true",)),
            evidence={"config_type": said},
        )


def of_code(check: Check, facts: LegacyFacts) -> Iterator[Finding]:
    """Places in code that ask the old configuration."""
    for each in facts.uses:
        what = "a custom feature asks" if each.custom else "code asks"
        yield check.finding(
            "legacy-code",
            Severity.WARN,
            f"{each.file}:{each.use.line}: {what} the old configuration: {each.use.text}",
            Remedy(_instead(each), (edit(each.file, each.use.line),)),
            evidence={"written": each.use.text, "instead": each.new},
            location=Location(each.file, each.use.line, each.use.column),
            subject=f"{each.file}:{each.use.line}:{each.use.column}",
        )
    if facts.more_uses:
        yield check.finding(
            "legacy-code",
            Severity.WARN,
            f"{facts.more_uses} more places in code ask the old configuration",
            Remedy("Replace those that are listed, then run this again."),
            subject="more",
        )


def _unread_flags(check: Check, facts: LegacyFacts) -> Iterator[Finding]:
    flags = facts.flags
    why_unread = _why_unread(facts)
    if why_unread and (flags.there or flags.given):
        what = flags.file if flags.there else ", ".join(each.origin.name for each in flags.switches if each.origin.name)
        remove = (f"mv -n -- {shlex.quote(flags.file)} {shlex.quote(flags.file + '.before')}",) if flags.there else ()
        text = "Move it aside, so that nobody goes by it." if flags.there else "Unset the variables."
        yield check.finding(
            "unread-flags",
            Severity.NOTE,
            f"{what}: {why_unread}",
            Remedy(text, (*remove, *_unset(flags.switches))),
            subject="feature_flags.yaml",
        )


def _of_flags_file(check: Check, facts: LegacyFacts) -> Iterator[Finding]:
    flags = facts.flags
    if flags.damage:
        yield check.finding(
            "damaged-flags",
            Severity.WARN,
            f"{flags.file} {flags.damage}; MDM only logs that and leaves every switch at its default",
            Remedy("Correct it, or take it away.", (edit(flags.file, flags.line),)),
            location=Location(flags.file, flags.line),
            subject="feature_flags.yaml",
        )
    for each in flags.misread:
        yield check.finding(
            "misread-flag",
            Severity.WARN,
            f"feature_flags.yaml, line {each.line}: `{each.name}`: {each.what}",
            Remedy(
                "Write each switch as a key of its own at the top, with true or false.", (edit(flags.file, each.line),)
            ),
            location=Location(flags.file, each.line, each.column),
            subject=each.name,
        )


def _why_unread(facts: LegacyFacts) -> str:
    if facts.has_flags is False:
        return "the installed MDM has no such switches"
    if facts.has_flags and facts.flags.there and not facts.flags_seen:
        return "MDM looks for its switches in ~/.mdm, which is not this home"
    return ""


def _all_on(switches: tuple[Flag, ...]) -> tuple[str, ...]:
    off = (each.name for each in switches if not each.on and each.name in SWITCHES)
    return tuple(f"export {FLAG_PREFIX}{name.upper()}=true" for name in off)


def _unset(switches: tuple[Flag, ...]) -> tuple[str, ...]:
    return tuple(f"unset {each.origin.name}" for each in switches if each.origin.kind == "environment")


def _place(switches: tuple[Flag, ...]) -> Location | None:
    found = next((each.origin for each in switches if each.origin.kind == "file"), None)
    return Location(found.name, found.line, found.column) if found else None


def _moved(each: LegacyFile, facts: LegacyFacts) -> Remedy:
    folder = f"{facts.home}/backup/legacy"
    commands = (f"mkdir -p -- {_quoted(folder)}", f"mv -n -- {_quoted(each.file)} {_quoted(folder)}")
    if each.known:
        return Remedy("Write what still counts into mdm.yaml, and move the file out of the way.", commands)
    return Remedy("Move it out of the home, if it is not needed there.", commands)


def _instead(each: OldUse) -> str:
    if each.use.keys is None:
        return f"Write `{each.new}`."
    if each.use.writes:
        return "Settings are not changed by code any more: write the value into mdm.yaml."
    if not each.new:
        return "The new configuration has attributes for keys; there is none of that name."
    if not each.use.complete:
        return f"Write `getattr({each.new}, ...)` for the key that is computed."
    return f"Write `{each.new}`."


def _quoted(text: str) -> str:
    return shlex.quote(text)
