"""The findings of `config-not-loading`."""

from __future__ import annotations

from pytest_mdm_health.checks._shared.settings_file import EDIT, MOVE, REMOVE, SET
from pytest_mdm_health.core.changes import Change
from pytest_mdm_health.core.findings import Rules, Steps
from pytest_mdm_health.core.model import Check, Kind, Severity
from pytest_mdm_health.core.verbs import Call

CHECK = Check(
    id="config-not-loading",
    issue="2.1",
    title="Configuration that does not load or does not apply",
    per=Kind.HOME,
    tags=("configuration",),
)
FAIL, WARN, NOTE = Severity.FAIL, Severity.WARN, Severity.NOTE
RULES = Rules(CHECK)

LOAD_FAILS = "failed to load configuration MDMSettingsError"
DEFAULTS = "settings revert to defaults"
VARIABLES = "environment variables not recognised"


def with_copy(command: str) -> str:
    """A command that changes `file` after it was copied to `<file>.before`; an older copy is never overwritten."""
    refuse = "echo {file!q}'.before already exists, so nothing was changed' >&2; false"
    return f"if test -e {{file!q}}.before; then {refuse}; else cp -p -- {{file!q}} {{file!q}}.before && {command}; fi"


VALIDATE = "MDM_HOME_DIR={home!q} mdm config validate"
SHOW_SOURCES = "MDM_DEBUG_CONFIG=true MDM_HOME_DIR={home!q} mdm config show --sources"
_READ_YAML = "import sys, yaml; yaml.safe_load(open(sys.argv[1], encoding='utf-8')); print('readable')"
TRY_YAML = f'{{python!q}} -c "{_READ_YAML}" {{file!q}}'
SHOW_BYTES = "od -A d -c {file!q} | head -n 20"
_PUT_BACK = Call("put-back", "{file}", options=(("from", "{spare}"),))
RESTORE_COPY = Steps(
    "Compare the two files, then put back the readable copy ({spare}). Repeat the changes that were made after it.",
    (_PUT_BACK,),
)
RESTORE_ARCHIVED = Steps(
    "Put the file back out of {archive}, and repeat the changes that were made after it. A power failure or a full "
    "disk leaves zero bytes in place of text; what was there cannot be recovered from them.",
    (Call("put-back", "{file}", options=(("from", "{archive}"),)),),
)
CORRECT_ARCHIVED = Steps("Correct the line in the message; an older copy of the file is in {archive}.", (EDIT,))
RESTORE_MISSING = Steps("Check the copy ({spare}), then put it back.", (_PUT_BACK,))
CONVERT_TO_UTF_8 = Steps(
    "Convert the file to UTF-8; the original is kept as {file}.before.",
    (
        with_copy(
            'new=$(mktemp) && iconv -f {encoding} -t UTF-8 {file!q} > "$new" && cat "$new" > {file!q} && rm "$new"'
        ),
    ),
)

PROBLEM = "{place}: {problem}{effect}"
SYNTAX = RULES.declare(
    "syntax",
    FAIL,
    means="the file is not valid YAML for MDM",
    message=PROBLEM,
    remedy="Correct the line in the message; there is no copy of the file to restore.",
    commands=(EDIT,),
    answers=(LOAD_FAILS,),
)
MERGE_CONFLICT = RULES.declare(
    "merge-conflict",
    FAIL,
    WARN,
    means="the file contains conflict markers of a merge; a warning if it can still be read",
    message=PROBLEM,
    remedy="Decide which of the two sides to keep, and remove the markers.",
    commands=(EDIT,),
)
ODD_CHARACTER = RULES.declare(
    "odd-character",
    WARN,
    means="the file contains an invisible character, such as a no-break space",
    message=PROBLEM,
    remedy="Delete the character, and type a plain space where one is needed.",
    commands=(EDIT,),
)
MISSING_BLANK = RULES.declare(
    "missing-blank",
    WARN,
    means="the colon after a key is not followed by a space, so YAML reads the line as text",
    message=PROBLEM,
    remedy="Insert a space after the colon.",
    commands=(EDIT,),
)
UNREASONABLE = RULES.declare(
    "unreasonable",
    FAIL,
    means="the file is too large, too deeply nested or too repetitive to be a settings file",
    message=PROBLEM,
    remedy="Restore it from a backup, or remove what does not belong to the settings and keep the rest.",
    commands=(EDIT,),
)
ENCODING = RULES.declare(
    "encoding",
    FAIL,
    means="the file is not UTF-8, or contains characters that YAML does not allow",
    message=PROBLEM,
    remedy="Restore the file from a backup, or open it in an editor with the encoding that it was saved in and save it "
    "as UTF-8. The encoding cannot be determined from the file: the same byte is a different letter in each, and lines "
    "may have different encodings. Compare every value that is not plain ASCII afterwards.",
    commands=("LC_ALL=C sed -n {line}l {file!q}",),
    answers=(LOAD_FAILS,),
)
ZERO_BYTES = Steps(
    "Restore the file from a backup. A power failure or a full disk leaves zero bytes in place of text; what was there "
    "cannot be recovered from them. Do not delete them: that leaves an empty or truncated file, and MDM continues with "
    "its defaults. (Zero bytes between all letters are UTF-16 saved without a byte order mark.)",
    (SHOW_BYTES,),
)
FORBIDDEN_CHARACTER = Steps(
    "Restore the file from a backup, or correct the line in an editor that shows the character.", (EDIT,)
)
DAMAGED_UTF = Steps(
    "Restore the file from a backup: it is truncated or damaged, and cannot be read in the encoding that it names "
    "either.",
    (SHOW_BYTES,),
)
UNREADABLE = RULES.declare(
    "unreadable",
    FAIL,
    WARN,
    means="there is no readable file in its place; a warning for a broken link, which MDM treats as a missing file",
    message=PROBLEM,
    remedy="Find out what is in its place and move that elsewhere yourself; then restore mdm.yaml from a backup. "
    "Without the file every setting has its default.",
    commands=("ls -ld -- {file!q}",),
)
UNREADABLE_WITH_COPY = Steps(
    "Find out what is in its place and move that elsewhere yourself; then restore mdm.yaml from {spare}.",
    UNREADABLE.remedy.commands,
)
NOT_A_MAPPING = RULES.declare(
    "not-a-mapping",
    FAIL,
    means="the file contains something other than sections with keys and values",
    message=PROBLEM,
    remedy=SYNTAX.remedy,
)
ODD_KEY = RULES.declare(
    "odd-key",
    FAIL,
    WARN,
    means="a key is not text; MDM fails if it is at the top level and ignores it elsewhere",
    message=PROBLEM,
    remedy="Remove the key and what is below it.",
    commands=(EDIT,),
)
DUPLICATE_KEY = RULES.declare(
    "duplicate-key",
    WARN,
    means="a key appears twice, and MDM silently uses the last one",
    message=PROBLEM,
    remedy="Remove the entry that is not intended.",
    commands=(EDIT,),
)
UNKNOWN_KEY = RULES.declare(
    "unknown-key",
    WARN,
    means="MDM does not know a key and ignores it",
    message=PROBLEM,
    remedy="Write {as_yaml} instead.",
    commands=(EDIT,),
    answers=(DEFAULTS,),
)
USE_KNOWN_KEY = Steps("Write it under its name, {as_yaml}; from then on MDM uses the value.", (MOVE,))
BESIDE_KNOWN_KEY = Steps(
    "`{new_key}` is set as well, and its value is the one in force: remove this key, or move its value there.", (EDIT,)
)
NO_SIMILAR_KEY = Steps("Remove it, or find out the current name of the setting.", (EDIT,))
REFUSED_VALUE = RULES.declare(
    "refused-value",
    FAIL,
    means="MDM rejects a value, and with it all settings",
    message=PROBLEM,
    remedy="Correct the value: {suggestion}.",
    commands=(EDIT,),
    answers=(LOAD_FAILS,),
)
WRITE_AS_MEANT = Steps("Write the value in the form that MDM takes.", (SET,))
TAKE_OUT = Steps("Remove the key, which has no value, or write one.", (REMOVE,))
NO_SUGGESTION = Steps("Write a value that MDM accepts.", (EDIT,))
REFUSED_VARIABLE = RULES.declare(
    "refused-variable",
    FAIL,
    means="MDM rejects the value of an environment variable, and with it all settings",
    message=PROBLEM,
    remedy="Unset the variable, or correct its value: {suggestion}.",
    commands=("unset {variable}",),
    answers=(VARIABLES,),
)
UNSET_VARIABLE = Steps("Unset the variable.", ("unset {variable}",))
READ_OTHERWISE = RULES.declare(
    "read-otherwise",
    WARN,
    means="MDM reads a value as something other than what is written",
    message=PROBLEM,
    remedy="Correct the value: {suggestion}.",
    commands=(EDIT,),
)
IGNORED_VARIABLE = RULES.declare(
    "ignored-variable",
    WARN,
    NOTE,
    means="an environment variable has no effect; a note if it resembles no setting, so may not be MDM's",
    message="{variable} has no effect: {reason}",
    remedy="Unset it if it was meant for MDM.",
    commands=("unset {variable}",),
    answers=(VARIABLES,),
)
FOREIGN_VARIABLE = Steps("Unset it; no released version of MDM has such a variable.", ("unset {variable}",))
OTHER_VARIABLE = Steps("Set {instead} in its place, the variable for `{key}`, then unset this one.")
BACKEND_VARIABLE = Steps(
    f"{OTHER_VARIABLE.text} MDM then rejects every dataset with another backend, so set it only for the command that "
    "needs it."
)
NO_VARIABLE = Steps("No variable can set `{key}`; write it into mdm.yaml: {as_yaml}", ("unset {variable}",))
HOME_VARIABLE = RULES.declare(
    "home-variable",
    WARN,
    means="`MDM_HOME_DIR` is not an absolute path, so the home depends on where MDM is started",
    message="MDM_HOME_DIR is {value!r}, which MDM resolves against the directory in which it is started",
    remedy="Set it to the absolute path of the intended home, such as MDM_HOME_DIR={home!q} for this one.",
)
EMPTY_HOME_VARIABLE = RULES.reworded(
    HOME_VARIABLE,
    message="MDM_HOME_DIR is empty, so MDM uses the directory in which it is started",
    remedy=HOME_VARIABLE.remedy,
)
OTHER_HOME = RULES.declare(
    "other-home",
    NOTE,
    means="`MDM_HOME_DIR` names a home other than the one examined",
    message="MDM_HOME_DIR makes MDM use {value}, but this run examines {home}",
    remedy="Set MDM_HOME_DIR={home!q} if MDM should use this home; otherwise no action is required.",
)
UNEXPANDED_PATH = RULES.declare(
    "unexpanded-path",
    FAIL,
    WARN,
    means="a path contains `~`, a variable or Windows separators, MDM takes it literally, and the folder of exactly "
    "that name does not exist; a warning if it exists and is empty, and for `logging.file`",
    message="`{key}` is set to {value} by {source}; {reason}, so it uses the folder of exactly that name, {folder}, "
    "which {state}",
    remedy="Write `{key}` as an absolute path, or relative to the home; then check with `mdm dataset list` that MDM "
    "finds its datasets again. Do not register any of them before that: the data is still in its place, and MDM "
    "searches elsewhere.",
    commands=("ls -la -- {home!q}",),
)
EXPAND = Steps(
    "Write `{key}` as the folder that is meant, {new_value}. Do not register any dataset before that: MDM searches "
    "elsewhere, and the data is still in its place.",
    (SET,),
)
LOG_NOT_WRITABLE = RULES.declare(
    "log-not-writable",
    FAIL,
    means="the user that the home belongs to may not write the log, without which MDM does not start",
    message="MDM does not start for the owner of this home, who may not write its log {log_file}: {refusal}",
    remedy="Let the user that MDM runs as write the log: correct its mode or its owner. Deleting it would lose what it "
    "recorded.",
    commands=("ls -ld -- {folder!q} {log_file!q}",),
)
UNFINISHED_REPAIR = RULES.declare(
    "unfinished-repair",
    FAIL,
    means="a repair by `mdm-health` broke off or is under way, so files may be half changed",
    message="a repair of this home broke off; its journal is in {saved}",
    remedy="Bring its last step to an end, or take the whole repair back with --undo instead of --finish. Either way "
    "no file stays half changed.",
    commands=("{program} repair --finish {saved!q}",),
)
REPAIR_UNDER_WAY = RULES.reworded(
    UNFINISHED_REPAIR,
    message="a repair of this home is under way; its journal is in {saved}",
    remedy="Examine the home again when the repair is over.",
)
UNKNOWN_REPAIR = RULES.reworded(
    UNFINISHED_REPAIR,
    message="{marker} says that a repair of this home is not over, and cannot be understood",
    remedy="Look for a folder mdm-health-saved-… beside the home: `mdm-health repair --undo` takes back what is "
    "recorded there. Where there is none, no file was changed, and the file can go.",
    commands=("ls -ld -- {marker!q} {home!q}/../mdm-health-saved-*",),
)
DEFAULTS_IN_FORCE = RULES.declare(
    "defaults-in-force",
    NOTE,
    means="there is no settings file, or it contains no settings; a warning if a copy among the backups has settings",
    message="{file} {state}, so all settings that no variable sets have their defaults",
    remedy="No action is required if this is intended.",
    answers=(DEFAULTS,),
)
SETTINGS_LOST = RULES.reworded(
    DEFAULTS_IN_FORCE,
    WARN,
    message="{file} {state}, so all settings that no variable sets have their defaults; {spare} contains settings",
    remedy=RESTORE_COPY,
)
NOT_EFFECTIVE = RULES.declare(
    "not-effective",
    WARN,
    means="the installed MDM uses a value other than the one that is set",
    message="`{key}` is set to {value} by {place}, but {mdm} uses {effective}",
    remedy="Check whether older settings still apply (`legacy-config-active`), and how MDM was started.",
    commands=(SHOW_SOURCES,),
)
OTHER_NAME = Steps("This version of MDM calls the setting `{name}`; write it under that name.", (SHOW_SOURCES,))
MDM_REFUSES = RULES.declare(
    "mdm-refuses",
    FAIL,
    means="the installed MDM does not load the settings, for a reason of its own",
    message="{mdm} does not load these settings, although nothing else is wrong with them: {reason}",
    remedy="Correct what the message names, or check which settings this version supports.",
    commands=(SHOW_SOURCES,),
    answers=(LOAD_FAILS,),
)
WRITE_WHAT_MATTERS = Steps("Write the settings that matter into mdm.yaml, so that they do not depend on the version.")
OTHER_DEFAULT = RULES.declare(
    "other-default",
    NOTE,
    means="the installed MDM has defaults other than those of the released versions",
    message="{mdm} has other defaults than the released versions: {settings}",
    remedy=WRITE_WHAT_MATTERS,
)
NOT_NOW = "`{key}` was {was} and is now {now}"
WRITE_AGAIN = Steps("Write it into mdm.yaml again: {as_yaml}", (EDIT,))
SET_AS_BEFORE = Steps("Set it in mdm.yaml again: {as_yaml}", (SET,))
REVERTED = RULES.declare(
    "reverted",
    WARN,
    means="a setting that was set in the baseline has its default now",
    message="`{key}` reverted to its default: it was {was} and is now {now}; {reason}",
    remedy=WRITE_AGAIN,
    change=("setting", Change.WORSE),
    answers=(DEFAULTS,),
)
SET_AGAIN = Steps("Set {variable} again.")
SET_AGAIN_AS_IT_WAS = Steps("Set the variable to its earlier value again: {variable}={old_value!q}")
CHANGED_SETTING = RULES.declare(
    "changed-setting",
    NOTE,
    means="a setting has another value than in the baseline",
    message=f"{NOT_NOW}{{source}}",
    remedy="No action is required if this is intended.",
    change=("setting", Change.NEW),
)
CHANGED_DEFAULT = RULES.declare(
    "changed-default",
    NOTE,
    means="MDM itself has other defaults than in the baseline",
    message="MDM has other defaults than in the baseline: {settings}",
    remedy=WRITE_WHAT_MATTERS,
    change=("setting", Change.NEW),
)
POINTS_BACK = RULES.declare(
    "points-back",
    WARN,
    means="the home was moved, and a path in the settings still leads to its former location",
    message="`{key}` leads to {leads_to}, below the former location of the home, which is now {home}",
    remedy="Write the path relative to the home, so that it moves with it.",
    commands=(EDIT,),
)
MAKE_RELATIVE = Steps("Write the path relative to the home, {new_value}, so that it moves with it.", (SET,))
AS_PLANNED = RULES.declare(
    "as-planned",
    NOTE,
    means="a setting has its planned value",
    message="`{key}` is {value}, {reason}",
    remedy="No action is required.",
)
NOT_DONE = RULES.declare(
    "not-done",
    FAIL,
    means="a setting does not have its planned value",
    message="`{key}` is planned to be {value}, but is {now}",
    remedy="Write it into mdm.yaml: {as_yaml}",
    commands=(EDIT,),
)
SET_AS_PLANNED = Steps("Set it in mdm.yaml as planned.", (SET,))
IMPOSSIBLE_PLAN = RULES.reworded(
    NOT_DONE,
    message="`{key}` is planned to be {value}, which is impossible: {reason}",
    remedy="Correct the plan (--mdm-expect).",
)
UNPLANNED_SETTING = RULES.declare(
    "unplanned-setting",
    FAIL,
    means="there is a plan, and a setting changed that is not in it",
    message=f"{NOT_NOW}, which is not planned",
    remedy=WRITE_AGAIN,
    change=("setting", Change.WORSE),
)
PLAN_IT_OR = "Add the change to the plan (--mdm-expect) if it is intended. Otherwise: "
