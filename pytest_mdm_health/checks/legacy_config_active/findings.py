"""The findings of `legacy-config-active`."""

from __future__ import annotations

from pytest_mdm_health.checks._shared.settings_file import EDIT, MOVE, REMOVE
from pytest_mdm_health.core.findings import Rules, Steps
from pytest_mdm_health.core.model import Check, Kind, Severity
from pytest_mdm_health.core.verbs import Call

CHECK = Check(
    id="legacy-config-active",
    issue="2.2",
    title="Configuration from before the migration still in effect",
    per=Kind.HOME,
    reads=("custom-features",),
    tags=("configuration", "migration"),
)
WARN, NOTE = Severity.WARN, Severity.NOTE
RULES = Rules(CHECK)

OLD_VALUES, NO_EFFECT, MIXED = (
    "old configuration values still used",
    "changes to mdm.yaml have no effect",
    "mixed old and new behaviour",
)
"""The symptoms of the guide."""

CAT, CAT_FLAGS = "cat -- {file!q}", "cat -- {flags_file!q}"
KEEP_VALUES = Steps(
    "Copy the values that are still needed into mdm.yaml. Then move the file into a folder of its own below "
    "{home}/backup, so that it is not mistaken for the settings.",
    (CAT,),
)

OLD_FILE = RULES.declare(
    "old-file",
    WARN,
    means="the home has a settings file of the old format; a note if no MDM setting is in it",
    message="{file} contains MDM settings ({settings}), but MDM reads mdm.yaml only",
    remedy=KEEP_VALUES,
    answers=(OLD_VALUES,),
)
FOREIGN_FILE = RULES.reworded(
    OLD_FILE,
    NOTE,
    message="{file} has the format of old settings files, but contains no MDM settings",
    remedy="Find out which program it belongs to. It can stay if another program reads it there.",
    commands=(CAT,),
)
LOOKALIKE_FILE = RULES.declare(
    "lookalike-file",
    WARN,
    means="a settings file has almost the name `mdm.yaml`, and MDM does not read it",
    message="{file} contains MDM settings ({settings}), but MDM reads mdm.yaml only",
    remedy=KEEP_VALUES,
)
OTHER_NAMES = RULES.declare(
    "other-names",
    WARN,
    means="a key in `mdm.yaml` has a name of the configuration system that is not in use",
    message="{place}: the configuration system in use ({system}) ignores `{key}`, which it calls `{current}`",
    remedy="Write {as_yaml} instead.",
    commands=(EDIT,),
    answers=(NO_EFFECT,),
)
USE_CURRENT_NAME = Steps("Write it under its name, {as_yaml}; from then on MDM uses the value.", (MOVE,))
OTHER_NAME_BESIDE_CURRENT = RULES.reworded(
    OTHER_NAMES,
    message="{place}: the configuration system in use ({system}) ignores `{key}`, which it calls `{current}`; the file "
    "sets `{current}` too",
    remedy="Remove the key; the value of `{current}` applies.",
    commands=(REMOVE,),
)
OTHER_NAME_ONLY = RULES.reworded(
    OTHER_NAMES,
    message="{place}: the configuration system in use ({system}) ignores `{key}` and has no corresponding setting",
    remedy="Remove the key; there is no setting to replace it with.",
    commands=(REMOVE,),
)
MIXED_FLAGS = RULES.declare(
    "mixed-flags",
    WARN,
    means="some feature flags select the new code and some the old",
    message="feature flags select the new code for {new} and the old code for {old}",
    remedy="Set all feature flags to the same value: on after the migration, off before it.{variables}",
    commands=(CAT_FLAGS,),
    answers=(MIXED,),
)
FLAGS_OFF = RULES.declare(
    "flags-off",
    WARN,
    means="after the migration, all feature flags still select the old code",
    message="the migration is complete, but all feature flags still select the old code",
    remedy="Turn the feature flags on.{variables}",
    commands=(CAT_FLAGS,),
)
MISREAD_FLAG = RULES.declare(
    "misread-flag",
    WARN,
    means="MDM interprets an entry of `feature_flags.yaml` differently from how it is written",
    message="feature_flags.yaml, line {line}: `{name}`: {problem}",
    remedy="Write each feature flag as a top-level key with the value true or false.",
    commands=(EDIT,),
)
DAMAGED_FLAGS = RULES.declare(
    "damaged-flags",
    WARN,
    means="MDM cannot use `feature_flags.yaml`, so none of its entries applies",
    message="{file} {damage}; MDM only logs the error, and every feature flag keeps its default",
    remedy="Correct the file, or move it out of the home if the defaults are intended.",
    commands=(EDIT,),
)
UNREAD_FLAGS = RULES.declare(
    "unread-flags",
    NOTE,
    means="the installed MDM does not read these feature flags",
    message="the feature flags in {source} have no effect: {reason}",
    remedy="No action is required for this version of MDM. Keep the file while another version may be started with "
    "this home; then move it into the backup, so that no user relies on it.",
    commands=(CAT_FLAGS,),
)
UNSET_VARIABLES = Steps("Unset the variables.", ("unset {variables}",))
UNSET_VARIABLES_TOO = Steps(
    f"{UNREAD_FLAGS.remedy.text} Unset the variables.", (*UNREAD_FLAGS.remedy.commands, *UNSET_VARIABLES.commands)
)
_WRITE_FLAG = Call("set-setting", "{file}", ("{name}", "{meant}"))
WRITE_PLAIN_FLAG = Steps("Write true or false without quotes, as it is meant.", (_WRITE_FLAG,))
CACHED_CONFIG = RULES.declare(
    "stale-cache",
    NOTE,
    means="there is a cached configuration; a note if `mdm.yaml` has not changed since",
    message="{folder} contains a cached configuration ({files})",
    remedy="No released version of MDM reads it. Check its contents; if it is only a cache, and no MDM process is "
    "running, move it out of the home and keep it until MDM has started with the intended settings.",
    commands=("ls -lR -- {folder!q}",),
    answers=(NO_EFFECT,),
)
STALE_CACHE = RULES.reworded(
    CACHED_CONFIG,
    WARN,
    message="{folder} contains a cached configuration ({files}) that is older than mdm.yaml; changes made to mdm.yaml "
    "since then may have no effect",
    remedy=CACHED_CONFIG.remedy,
)
LEGACY_ACTIVE = RULES.declare(
    "legacy-active",
    WARN,
    means="the installed MDM reports that it uses the old configuration",
    message="the installed MDM uses the configuration {config_type!r} (mdm.config.CONFIG_TYPE)",
    remedy="Copy the values of the old configuration that are still needed into mdm.yaml; then start MDM with "
    "MDM_FORCE_NEW_CONFIG=true, and compare the settings in effect.",
    answers=(OLD_VALUES,),
)
LEGACY_CODE = RULES.declare(
    "legacy-code",
    WARN,
    means="code uses the old configuration",
    message="{file}:{line}: {whose} uses the old configuration: {source}",
    remedy="Write `{replacement}` instead.",
    commands=(EDIT,),
    answers=(MIXED,),
)
MORE_LEGACY_CODE = RULES.reworded(
    LEGACY_CODE,
    message="{count} more places in code use the old configuration",
    remedy="Replace the uses that are listed, then run this check again.",
)
COMPUTED_KEY = Steps("Write `getattr({replacement}, ...)` for the computed key.", (EDIT,))
WRITES_SETTING = Steps("Code can no longer change settings: write the value into mdm.yaml.", (EDIT,))
NO_SUCH_ATTRIBUTE = Steps("The new configuration has attributes instead of keys, and none of that name.", (EDIT,))
