"""The configuration from before the migration is still in effect.

Symptoms
--------
Values from before the migration still apply, whatever `mdm.yaml` says; one part of MDM behaves in the new way, another
in the old.

Causes
------
Files of the old configuration that were left behind and are edited by users who believe that they apply. Keys in
`mdm.yaml` with names of another configuration system: the one that all released versions use nests its settings
(`database.sqlite.journal_mode`), the one introduced in 0.2.0 has flat names (`database.sqlite_journal_mode`), and each
ignores the names of the other. Feature flags in `feature_flags.yaml` or `MDM_FEATURE_*` of which some are on and some
are off. A cached configuration. Code, custom features above all, that still reads `CONFIG['section']['key']`.

The feature flags have pitfalls: 0.2.0 reads them from `~/.mdm` regardless of `MDM_HOME_DIR`, treats the text `'false'`
as true, and does not read the file that it writes itself.

Diagnosis
---------
`find ~/.mdm -name "*.conf" -o -name "*.ini"`; `from mdm.config import CONFIG_TYPE` where MDM has it; `grep -rw
CONFIG src/mdm/`. This check parses the code instead, so that the `CONFIG` of another program is not reported; name the
source trees to search with `--mdm-source`.

Solutions
---------
Copy values that are still needed into mdm.yaml under the names that MDM reads, then move the files of the old
configuration into the backup. Set all feature flags to the same value. Move `cache/config` away once it is certain
that it is only a cache. Replace lookups in the old `CONFIG` by attributes of `get_settings()`, or of `get_config()`
where MDM calls it that. `MDM_FORCE_NEW_CONFIG=true` helps with a version of MDM that has both systems and reports
`CONFIG_TYPE`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from pytest_mdm_health.checks._shared.settings_file import EDIT, as_yaml, line_option, place
from pytest_mdm_health.checks.legacy_config_active.collect import (
    CodeSearch,
    accessor_of,
    cached_config,
    is_same_folder,
    other_names,
    system_in_use,
)
from pytest_mdm_health.checks.legacy_config_active.facts import LegacyFacts, LegacyUse, OtherName
from pytest_mdm_health.checks.legacy_config_active.findings import (
    CACHED_CONFIG,
    CHECK,
    COMPUTED_KEY,
    DAMAGED_FLAGS,
    FLAGS_OFF,
    FOREIGN_FILE,
    LEGACY_ACTIVE,
    LEGACY_CODE,
    LOOKALIKE_FILE,
    MISREAD_FLAG,
    MIXED_FLAGS,
    MORE_LEGACY_CODE,
    NO_SUCH_ATTRIBUTE,
    OLD_FILE,
    OTHER_NAME_BESIDE_CURRENT,
    OTHER_NAME_ONLY,
    OTHER_NAMES,
    RULES,
    STALE_CACHE,
    UNREAD_FLAGS,
    UNSET_VARIABLES,
    UNSET_VARIABLES_TOO,
    USE_CURRENT_NAME,
    WRITE_PLAIN_FLAG,
    WRITES_SETTING,
)
from pytest_mdm_health.core.findings import Rule, Steps, fill, remedy_of
from pytest_mdm_health.core.model import Finding, Location
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.core.text import counted
from pytest_mdm_health.core.verbs import Repair
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.mdm.installed.installation import Installation
from pytest_mdm_health.mdm.settings import Settings
from pytest_mdm_health.mdm.settings.environment import FLAG_PREFIX
from pytest_mdm_health.mdm.settings.feature_flags import SWITCHES, Flags, read_flags
from pytest_mdm_health.mdm.settings.legacy_files import LegacyFile, search

__all__ = ["CHECK", "RULES", "judge", "observe"]

SHOWN_USES = 50
FLAGS_FILE, FLAGS_MODULE = "feature_flags.yaml", "mdm.core.feature_flags"
LEGACY_TYPES = ("legacy", "old", "ini", "dict")


def observe(
    mdm_home: Home,
    mdm_config: Settings,
    mdm_environ: Mapping[str, str],
    mdm_options: Options,
    mdm_installation: Installation | None,
) -> LegacyFacts:
    """Collect everything that an older configuration may have left."""
    system = system_in_use(mdm_installation)
    files = search(mdm_home)
    code = CodeSearch(accessor_of(mdm_installation), system)
    code.search(mdm_home, mdm_options.source)
    gaps = [] if files.complete else [f"only {files.looked_at} names in the home were searched for old settings files"]
    has_flags = None
    if mdm_installation is not None and mdm_installation.modules:
        has_flags = FLAGS_MODULE in mdm_installation.modules
    return LegacyFacts(
        examined=1 + files.looked_at + len(code.files),
        gaps=(*gaps, *code.gaps),
        home=str(mdm_home.root),
        file=str(mdm_config.file),
        phase=mdm_options.phase,
        system=system,
        files=files.found,
        names=tuple(other_names(mdm_config, system)),
        flags=read_flags(mdm_home.feature_flags, mdm_environ),
        has_flags=has_flags,
        in_default_home=is_same_folder(mdm_home.root, Path("~/.mdm")),
        cache=cached_config(mdm_home),
        config_type=mdm_installation.config_type if mdm_installation is not None else None,
        uses=tuple(code.uses[:SHOWN_USES]),
        more_uses=max(0, len(code.uses) - SHOWN_USES),
    )


def judge(facts: LegacyFacts) -> Iterator[Finding]:
    """Settings files, names, feature flags, caches and code of an older configuration."""
    for file in facts.files:
        yield from _check_file(file, facts.home)
    for name in facts.names:
        yield _check_name(name, facts)
    yield from _check_flags(facts)
    cache = facts.cache
    if cache is not None:
        rule = STALE_CACHE if cache.older else CACHED_CONFIG
        files = counted(cache.files, "file")
        yield rule(at=cache.folder, subject="cache/config", folder=cache.folder, files=files)
    config_type = facts.config_type or ""
    if any(word in config_type.lower() for word in LEGACY_TYPES):
        yield LEGACY_ACTIVE(evidence={"config_type": config_type}, config_type=config_type)
    for use in facts.uses:
        yield _check_use(use)
    if facts.more_uses:
        yield MORE_LEGACY_CODE(subject="more", count=facts.more_uses)


def _check_file(file: LegacyFile, home: str) -> Iterator[Finding]:
    subject = file.file.removeprefix(home).lstrip("/\\")
    if file.known:
        rule = OLD_FILE if file.kind == "old" else LOOKALIKE_FILE
        settings = ", ".join(file.known[:8])
        yield rule(
            at=file.file,
            subject=subject,
            evidence={"known": list(file.known)},
            file=file.file,
            settings=settings,
            home=home,
        )
    elif file.kind == "old":
        yield FOREIGN_FILE(at=file.file, subject=subject, file=file.file)


def _check_name(name: OtherName, facts: LegacyFacts) -> Finding:
    rule = OTHER_NAMES
    if name.current is None:
        rule = OTHER_NAME_ONLY
    elif name.also_current:
        rule = OTHER_NAME_BESIDE_CURRENT
    return rule(
        at=Location(facts.file, name.origin.line, name.origin.column),
        subject=name.key,
        evidence={"written": name.key, "meant": name.current},
        remedy=_renaming(rule, name),
        place=place(name.origin),
        system=facts.system,
        key=name.key,
        new_key=name.current,
        current=name.current,
        as_yaml=as_yaml(name.current or ""),
        file=facts.file,
        line_option=line_option(name.origin.line),
    )


def _renaming(rule: Rule, name: OtherName) -> Steps:
    """By a command only where nothing else of the file would change."""
    if not name.editable:
        return Steps(rule.remedy.text, (EDIT,))
    return USE_CURRENT_NAME if rule is OTHER_NAMES else rule.remedy


def _check_flags(facts: LegacyFacts) -> Iterator[Finding]:
    flags = facts.flags
    if facts.has_flags is False:
        yield from _check_unread_flags(flags)
        return
    if facts.has_flags and flags.there and not facts.in_default_home:
        reason = "MDM reads its feature flags in ~/.mdm, which is not this home"
        yield UNREAD_FLAGS(subject=FLAGS_FILE, source=flags.file, reason=reason, flags_file=flags.file)
    if flags.damage:
        yield DAMAGED_FLAGS(
            at=Location(flags.file, flags.line),
            subject=FLAGS_FILE,
            file=flags.file,
            damage=flags.damage,
            line_option=line_option(flags.line),
        )
    for entry in flags.misread:
        yield MISREAD_FLAG(
            at=Location(flags.file, entry.line, entry.column),
            subject=entry.name,
            file=flags.file,
            line=entry.line,
            name=entry.name,
            problem=entry.what,
            remedy=WRITE_PLAIN_FLAG if entry.meant else MISREAD_FLAG.remedy,
            meant=entry.meant,
            line_option=line_option(entry.line),
        )
    if flags.given and flags.mixed:
        yield _check_values(MIXED_FLAGS, flags)
    elif facts.phase == "post" and (facts.has_flags or flags.given) and not any(flag.new for flag in flags.switches):
        yield _check_values(FLAGS_OFF, flags, _turning_on(flags))


def _check_unread_flags(flags: Flags) -> Iterator[Finding]:
    """An MDM without feature flags reads neither the file nor the variables."""
    set_by = [flag.origin.name for flag in flags.switches if flag.origin.kind == "environment"]
    if not flags.there and not set_by:
        return
    remedy = UNREAD_FLAGS.remedy
    if set_by:
        remedy = UNSET_VARIABLES_TOO if flags.there else UNSET_VARIABLES
    yield UNREAD_FLAGS(
        subject=FLAGS_FILE,
        remedy=remedy,
        source=flags.file if flags.there else ", ".join(set_by),
        reason="the installed MDM has none",
        flags_file=flags.file,
        variables=" ".join(set_by),
    )


def _turning_on(flags: Flags) -> tuple[Repair, ...]:
    """What selects the new code in the file; nothing where MDM reads the file otherwise, or a variable decides."""
    if not flags.there or flags.damage or flags.misread:
        return ()
    if any(flag.origin.kind == "environment" for flag in flags.switches):
        return ()
    wanted = ((flag.name, str(not flag.on).lower()) for flag in flags.switches if not flag.new)
    return tuple(Repair("set-setting", flags.file, words) for words in wanted)


def _check_values(rule: Rule, flags: Flags, repairs: tuple[Repair, ...] = ()) -> Finding:
    """A finding about what the flags select; only a file that exists is shown."""
    looking = rule.remedy.commands if flags.there else ()
    off = [flag.name for flag in flags.switches if not flag.on and flag.name in SWITCHES]
    assignments = ", ".join(f"{FLAG_PREFIX}{name.upper()}=true" for name in off)
    variables = f" As environment variables: {assignments}." if assignments else ""
    text = fill(rule.remedy.text, {"variables": variables})
    in_file = next((flag.origin for flag in flags.switches if flag.origin.kind == "file"), None)
    return rule(
        at=Location(in_file.name, in_file.line, in_file.column) if in_file else None,
        subject="switches",
        evidence={flag.name: flag.on for flag in flags.switches},
        remedy=remedy_of(text, repairs) if repairs else Steps(rule.remedy.text, looking),
        new=", ".join(flag.part for flag in flags.switches if flag.new),
        old=", ".join(flag.part for flag in flags.switches if not flag.new),
        flags_file=flags.file,
        variables=variables,
    )


def _check_use(legacy: LegacyUse) -> Finding:
    use = legacy.use
    return LEGACY_CODE(
        at=Location(legacy.file, use.line, use.column),
        subject=f"{legacy.file}:{use.line}:{use.column}",
        evidence={"written": use.text, "instead": legacy.replacement},
        remedy=_code_change(legacy),
        file=legacy.file,
        line=use.line,
        whose="a custom feature" if legacy.custom else "code",
        source=use.text,
        replacement=legacy.replacement,
        line_option=line_option(use.line),
    )


def _code_change(legacy: LegacyUse) -> Steps:
    if legacy.use.keys is None:  # an import
        return LEGACY_CODE.remedy
    if legacy.use.writes:
        return WRITES_SETTING
    if not legacy.replacement:
        return NO_SUCH_ATTRIBUTE
    return LEGACY_CODE.remedy if legacy.use.complete else COMPUTED_KEY
