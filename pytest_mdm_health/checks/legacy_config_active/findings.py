"""The findings of `legacy-config-active`."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from pytest_mdm_health.checks.config_not_loading.repairs import edit, nested
from pytest_mdm_health.checks.legacy_config_active.look import LegacyFacts, OldUse
from pytest_mdm_health.core.model import Check, Finding, Location, Remedy, Severity
from pytest_mdm_health.mdm.settings.environment import FLAG_PREFIX
from pytest_mdm_health.mdm.settings.feature_flags import SWITCHES, Flag
from pytest_mdm_health.mdm.settings.legacy_files import LegacyFile

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
            _looked_at(each, facts),
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
            Remedy(
                "Set all switches alike: all on after the migration, all off before it. "
                + _by_variables(flags.switches),
                _shown(facts),
            ),
            evidence={each.name: each.on for each in flags.switches},
            location=_place(flags.switches),
            subject="switches",
        )
    elif facts.phase == "post" and (facts.has_flags or flags.given) and not any(each.new for each in flags.switches):
        yield check.finding(
            "flags-off",
            Severity.WARN,
            "the migration is over, and every switch still has the old code at work",
            Remedy("Switch the new code on. " + _by_variables(flags.switches), _shown(facts)),
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
            "No released MDM reads it. Look at what is in it; if it is a cache and nothing else, and no MDM runs, move "
            "it out of the home and keep it until MDM has started with the settings that are meant.",
            (f"ls -lR -- {shlex.quote(cache.folder)}",),
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
            Remedy(
                "Write into mdm.yaml what the old configuration says and is still meant; then start MDM with "
                "MDM_FORCE_NEW_CONFIG=true, and compare the settings that it works with."
            ),
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
        text = "Unset the variables."
        if flags.there:
            text = (
                "Nothing has to be done for this MDM. Keep the file while another version may still be started with "
                "this home; then move it into the backup, so that it misleads no reader."
            )
        yield check.finding(
            "unread-flags",
            Severity.NOTE,
            f"{what}: {why_unread}",
            Remedy(text, (*_shown(facts), *_unset(flags.switches))),
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


def _by_variables(switches: tuple[Flag, ...]) -> str:
    off = [each.name for each in switches if not each.on and each.name in SWITCHES]
    names = ", ".join(f"{FLAG_PREFIX}{name.upper()}=true" for name in off)
    return f"On is, as variables: {names}." if names else ""


def _shown(facts: LegacyFacts) -> tuple[str, ...]:
    return (f"cat -- {shlex.quote(facts.flags.file)}",) if facts.flags.there else ()


def _unset(switches: tuple[Flag, ...]) -> tuple[str, ...]:
    return tuple(f"unset {each.origin.name}" for each in switches if each.origin.kind == "environment")


def _place(switches: tuple[Flag, ...]) -> Location | None:
    found = next((each.origin for each in switches if each.origin.kind == "file"), None)
    return Location(found.name, found.line, found.column) if found else None


def _looked_at(each: LegacyFile, facts: LegacyFacts) -> Remedy:
    look = (f"cat -- {shlex.quote(each.file)}",)
    if each.known:
        text = (
            "Write what still counts into mdm.yaml. Then move the file to a place of its own below "
            f"{facts.home}/backup, so that nobody edits it in the belief that it counts."
        )
        return Remedy(text, look)
    return Remedy("See whose it is; it may stay if another program reads it there.", look)


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
