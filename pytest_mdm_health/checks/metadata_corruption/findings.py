"""What metadata-corruption can find: every code with its wording and its remedy."""

from __future__ import annotations

from pytest_mdm_health.checks._shared.prerequisites import SERVER_LETS_IN
from pytest_mdm_health.core.changes import Change
from pytest_mdm_health.core.findings import Rules, Steps
from pytest_mdm_health.core.model import Check, Kind, Severity
from pytest_mdm_health.core.verbs import Call
from pytest_mdm_health.mdm.engines import ENGINES

FAIL, WARN, NOTE = Severity.FAIL, Severity.WARN, Severity.NOTE

CHECK = Check(
    id="metadata-corruption",
    issue="7.2",
    title="Damaged or contradictory dataset registration",
    per=Kind.DATASET,
    requires=SERVER_LETS_IN,
    tags=("registration", "metadata"),
)
RULES = Rules(CHECK)

KEY_ERROR = "KeyError on dataset properties"
INCONSISTENT = "inconsistent dataset information"
UNUSABLE = "registration succeeds but dataset unusable"

_COMPARE = ("ls -l -- {first!q} {second!q}", "sha256sum -- {first!q} {second!q}")
_REGISTER_AGAIN = "register the dataset's sources under a new name, with the same target, ids and other options"
_OWN_PATH_FIRST = "If so, let `path` name it in {file} and in the JSON copy; keep both files first."

_SET_PATH = Call("set-field", "{yaml}", ("path", "{right}"), (("was", "{written}"),))
_SET_BACKEND = Call("set-field", "{yaml}", ("backend", "{right}"), (("was", "{backend}"),))
_RENAME = Call("rename-registration", "{file}", ("{right_name}",))

# The text of the YAML file
CORRECT_OR_RESTORE = Steps(
    f"Correct the file, or restore it from a backup. Without one, {_REGISTER_AGAIN}, and compare the data; with "
    "`--force` MDM deletes the dataset's folder."
)
CORRECT_FROM_JSON_COPY = Steps(
    "Keep a copy of the file, then correct it, or restore it from a backup. Its JSON copy, {json_copy}, has all "
    "fields, and JSON is valid YAML; but {lacks}, so compare it with what is left of the YAML file, field by field."
)
COMPLETE_FROM_JSON_COPY = Steps(
    "Restore the file from a backup if there is one. Without one, add what it lacks from its JSON copy, {json_copy}, "
    "which agrees with all that is left of it; but {lacks}.",
    (Call("restore-registration", "{yaml}"),),
)
_DAMAGED = "{file}: {problem}; {consequence}"
SYNTAX = RULES.declare(
    "syntax",
    FAIL,
    means="the YAML file is truncated or not valid YAML; MDM's commands do not know the dataset",
    message=_DAMAGED,
    remedy=CORRECT_OR_RESTORE,
)
ENCODING = RULES.declare(
    "encoding",
    FAIL,
    means="the YAML file is not UTF-8, or contains characters that YAML forbids",
    message=_DAMAGED,
    remedy=CORRECT_OR_RESTORE,
)
UNREADABLE = RULES.declare(
    "unreadable",
    FAIL,
    means="the YAML file is not a file of a few kilobytes that can be read",
    message=_DAMAGED,
    remedy=CORRECT_OR_RESTORE,
)
NOT_A_MAPPING = RULES.declare(
    "not-a-mapping",
    FAIL,
    means="the YAML file is empty, or contains something else than fields with values",
    message="{file} {content}; {consequence}",
    remedy=CORRECT_OR_RESTORE,
)
DUPLICATE_KEY = RULES.declare(
    "duplicate-key",
    WARN,
    means="a field appears twice; MDM silently uses the last",
    message="duplicate key `{key}`; MDM silently uses the last",
    remedy="Delete the line that is wrong.",
)
BROKEN_POINTER = RULES.declare(
    "broken-pointer",
    FAIL,
    means="the registration points to a folder without a readable `dataset.yaml`",
    message="the registration points to {target}, which cannot be read",
    remedy="Correct `path`, or move the dataset's folder with its dataset.yaml back to where it points.",
)

# The fields of the YAML file
MISSING_FIELD = RULES.declare(
    "missing-field",
    FAIL,
    means="a field is missing that a registration of this shape requires",
    message="`{field}` is missing; {consequence}",
    remedy="Add `{field}` to {file}, as in the registration of another dataset; keep a copy of the file first.",
    answers=(KEY_ERROR,),
)
ADD_FROM_JSON_COPY = Steps(
    "Add `{field}` to {file} as its JSON copy, {json_copy}, has it; keep a copy of the file first, and compare the "
    "other fields of the two{caution}."
)
COMPLETE_FIELDS = Steps(
    "Add `{field}`, and what else {file} lacks, from its JSON copy, {json_copy}, which agrees with all that the file "
    "says{caution}.",
    (Call("restore-registration", "{yaml}"),),
)
FIELD_TYPE = RULES.declare(
    "field-type",
    FAIL,
    WARN,
    means="MDM rejects a field's value, and with it the whole file; a warning while MDM can use the JSON copy",
    message="`{field}`: expected {expected}, got {got}; {consequence}",
    remedy="Write {expected} for `{field}`{line} of {file}.{hint}",
)

# Names
NAME_DIFFERS = RULES.declare(
    "name-differs",
    FAIL,
    WARN,
    means="the name in the file differs from the file's name; a warning if only in letter case",
    message="the file is called {name!r} and the name in it is {inside!r}: MDM lists the one and opens the other",
    remedy="Set `name` to the file's name, {wanted!r}, if that is the dataset's name; if it is {inside!r}, another "
    "registration was copied here, which belongs under that name.",
)
SET_NAME = Steps(
    "Set `name` to the file's name, {wanted!r}{sure}.",
    (Call("set-field", "{yaml}", ("name", "{wanted}"), (("was", "{inside}"),)),),
)
NOT_SEEN = RULES.declare(
    "not-seen",
    FAIL,
    WARN,
    means="MDM ignores a file with such a name (`.yml`, capital letters); a warning while it reads another copy",
    message="{who} looks for {wanted} and never at {file}",
    remedy="Give the file the name that MDM looks for.",
    commands=(_RENAME,),
)
BESIDE_THE_RIGHT_ONE = RULES.reworded(
    NOT_SEEN,
    WARN,
    message=NOT_SEEN.message,
    remedy="Compare the two. If {wanted} is the right one, move this one out of the folder and keep it.",
    commands=_COMPARE,
)
IMPOSSIBLE_NAME = RULES.reworded(
    NOT_SEEN,
    message="MDM accepts no dataset called {name!r}, so {who} never looks at {file}",
    remedy="Give the file a name of letters, digits, `-` and `_`, in lower case, and set `name` to the same.",
)
RENAME_TO_NAME_INSIDE = Steps(
    "MDM accepts no dataset of the file's name: rename the file to what `name` says.", (_RENAME,)
)
SET_VALID_NAME = Steps("MDM accepts no dataset of the file's name: rename the file to what `name` says.")
NAME_IS_TAKEN = Steps("{wanted} exists already: compare the two, keep the right one and move the other away.")

# Datasets without a YAML file
UNREGISTERED = RULES.declare(
    "unregistered",
    FAIL,
    WARN,
    means="there is data without a YAML registration; a warning if nothing shows that there ever was one. What a "
    "registration in progress has created, or an interrupted one left behind, is reported by `registration-hang`",
    message="{name!r} has a {json_copy} and no YAML file: `mdm dataset list` does not show it; MDM's Python API {api}",
    remedy="Restore the YAML file from a backup; without one, make it from its JSON copy (what `mdm dataset update` "
    "changed is not in there).",
    commands=(Call("restore-registration", "{wanted}"),),
)
DATA_ONLY = RULES.reworded(
    UNREGISTERED,
    WARN,
    message="nothing registers {name!r}, whose data is in {files}; MDM does not know of it",
    remedy=f"Restore {{wanted}} from a backup. Otherwise {_REGISTER_AGAIN}, and compare the data; MDM refuses the old "
    "name while this data is there, and `--force` would delete it.",
)
LOST_REGISTRATION = RULES.declare(
    "lost-registration",
    FAIL,
    WARN,
    means="the YAML registration of the baseline is gone, and the data still exists; a warning if the data is "
    "registered under another name",
    message="{name!r} was registered in the baseline and has no YAML file now{data}",
    remedy=DATA_ONLY.remedy,
    change=("dataset", Change.REMOVED),
)
RENAMED = Steps("Use its new name, or rename the registration back if this was unintentional.")
VANISHED = RULES.declare(
    "vanished",
    FAIL,
    WARN,
    NOTE,
    means="a dataset of the baseline is neither registered nor on disk; a warning if it is unknown whether it was "
    "registered, a note if its removal was planned, or if nothing registered it",
    message="{name!r} existed in the baseline; neither its registration nor its data{where} exists now",
    remedy="{lacking}Restore {what} from a backup, or register its sources again with the same target, ids and other "
    "options.",
    change=("dataset", Change.REMOVED),
)
VANISHED_UNKNOWN = RULES.reworded(
    VANISHED,
    WARN,
    message="{name!r} existed in the baseline and is gone{where}; whether anything registered it is unknown",
    remedy=VANISHED.remedy,
)
VANISHED_UNREGISTERED = RULES.reworded(
    VANISHED,
    NOTE,
    message="data that nothing registered, {name!r}, existed in the baseline and is gone{where}",
    remedy="Restore it from a backup if it is needed.",
)
REMOVED_AS_PLANNED = RULES.reworded(
    VANISHED, NOTE, message="{name!r} was removed, as planned", remedy="No action required."
)
NOT_DONE = RULES.declare(
    "not-done",
    FAIL,
    means="a planned change did not happen: the dataset is planned to be removed and still exists, or a field of its "
    "registration does not have its planned value, or that of the baseline although it was to change",
    message="{name!r} is planned to be removed, but is registered in {file}",
    remedy="After a backup of it was verified, remove it with `mdm dataset remove {name}`, which deletes its folder "
    "and registration. Or take the removal out of the plan.",
)
DATA_NOT_REMOVED = RULES.reworded(
    NOT_DONE,
    message="{name!r} is planned to be removed, but its data is still there ({files})",
    remedy="Move the data away once it is saved: nothing registers it any more. Or take the removal out of the plan.",
)
FIELD_NOT_DONE = RULES.reworded(
    NOT_DONE,
    message="`{field}` is planned to be {value}, and is not",
    remedy="Correct `{field}` in {file}, and in {json_copy} too; keep both files first. Or take it out of the plan.",
)
SET_PLANNED_VALUE = Steps(
    "Set `{field}` as planned, in both copies, or take it out of the plan.",
    (Call("set-field", "{yaml}", ("{field}", "{planned}")),),
)
FIELD_AS_BEFORE = RULES.reworded(
    NOT_DONE,
    message="`{field}` is planned to change, and is what it was in the baseline",
    remedy="Correct `{field}` in {file}, or take it out of the plan.",
)
PLAN_IT_OR = "Add the change to the plan (--mdm-expect) if it is intended. "
RESTORE_FROM = Steps("Restore it from {backups}; what changed since then is not in there.")
WRONG_FOLDER = Steps(
    "Its registration is {default_yaml}, and the settings have MDM look in {registrations}: correct "
    "`paths.configs_path` or remove it, rather than registering again.{hint}"
)
IN_THE_FOLDER_OF_THE_SETTINGS = Steps(
    "See whether {registrations} is where the registrations are: `paths.configs_path` says so. If it is, restore the "
    "YAML file from a backup; without one, copy the JSON copy there (what `mdm dataset update` changed is not in "
    "there)."
)
_COPIED = "Its JSON copy is that of {owner!r}, as in a folder that was copied or renamed. "
COPIED_WITHOUT_DATA = Steps(f"{_COPIED}As it has no data of its own, move {{folder}} out of the datasets.")
COPIED_UNDER_IMPOSSIBLE_NAME = Steps(
    f"{_COPIED}As MDM accepts no dataset of this name, move {{folder}} out of the datasets."
)
COPIED = Steps(
    f"{_COPIED}If it is to be a dataset of its own, copy that to {{wanted}} and let `name` and `path` say {{name}} and "
    "{data} in both files; or, if it is not needed, move {folder} out of the datasets."
)

# The backend and the place of the data
UNKNOWN_BACKEND = RULES.declare(
    "unknown-backend",
    FAIL,
    means="MDM has no backend of that name",
    message="MDM has no backend {backend!r}, only {known}",
    remedy="Write the backend of the data, {right}, as `backend` in {file} and in its JSON copy.",
)
SET_BACKEND = Steps("Set `backend` to that of the data, {right}, in both copies.", (_SET_BACKEND,))
BACKEND_IS_NO_NAME = RULES.reworded(
    UNKNOWN_BACKEND,
    message=f"the registered backend is not a name; MDM has {', '.join(ENGINES)}",
    remedy=f"Write one of {', '.join(ENGINES)}, the one of the data.",
)
WRITE_ONE_OF_THE_BACKENDS = BACKEND_IS_NO_NAME.remedy
WRONG_ENGINE = RULES.declare(
    "wrong-engine",
    FAIL,
    means="the data is of another engine than the registered one",
    message="registered as {backend}, but the data is {right}, according to its first bytes",
    remedy=UNKNOWN_BACKEND.remedy,
    answers=(UNUSABLE,),
)
OTHER_DEFAULT = RULES.declare(
    "other-default",
    FAIL,
    means="MDM's commands refuse datasets that are not on the default backend",
    message="the dataset is on {backend} and the default backend is {default} (from {source}): MDM's commands refuse "
    "to show or export it",
    remedy="For one command, set the variable in front of it: `MDM_DATABASE_DEFAULT_BACKEND={backend} mdm …` reaches "
    "this dataset. If most datasets are on {backend}, make it database.default_backend; MDM then refuses those on "
    "{default}.",
    answers=(UNUSABLE,),
)
MISSING_DATA = RULES.declare(
    "missing-data",
    FAIL,
    means="the registered file does not exist or is not a file; the server has no such database",
    message="{path} {state}{found}",
    remedy="Restore {name!r} from a backup into this home, and let `path` name the restored file.",
    answers=(UNUSABLE,),
)
MISSING_DATA_BESIDE_LOG = RULES.reworded(
    MISSING_DATA,
    message="{path} {state}{found}, but {logs} is still there: whoever opens the dataset makes an empty file and "
    "deletes the log, and a file that is restored beside it is merged with a log that is not its own",
    remedy="Before anything is opened or restored there, move {logs} to a folder outside the home, and keep it: it "
    "holds changes, and goes only with the very file that it was written for. Search for that file first; a disk or "
    "link that is missing may be all. Otherwise restore {name!r} from a backup into this home, and let `path` name the "
    "restored file.",
    commands=("ls -l -- {paths}",),
)
NO_PATH = RULES.reworded(
    MISSING_DATA,
    message="the registered path of the data is not a path",
    remedy=MISSING_DATA.remedy,
)
NO_DATABASE = RULES.reworded(
    MISSING_DATA,
    message="the server has no such database: {address}",
    remedy="Restore the database of {name!r} from a backup, or register its sources again; if MDM removed the dataset, "
    "move the registration out of the folder.",
)
NO_DATABASE_ON_DEFAULT_SERVER = RULES.reworded(
    MISSING_DATA,
    message="the server has no such database: {address}, which is MDM's default: neither the registration nor the "
    "settings name the server",
    remedy="Say where the data is: `host` and `user` in the settings below `database.postgresql`, or "
    "`connection_string` in the registration.",
)
OUT_OF_REACH = RULES.declare(
    "out-of-reach",
    FAIL,
    WARN,
    means="a permission is missing, so it is unknown whether the data, or with a warning the JSON copy, is intact",
    message="{path}: permission denied, {effect}",
    remedy="Allow MDM's user to read {path}.",
)
BAD_CONNECTION = RULES.declare(
    "bad-connection",
    FAIL,
    means="no server can be reached with the registered connection, whatever runs there",
    message="the data {reason}",
    remedy="Correct `host`, `port`, `database` or `connection_string` in the registration and in its JSON copy.",
)
PATH_ELSEWHERE = RULES.declare(
    "path-elsewhere",
    FAIL,
    WARN,
    means="the registered path is outside this home, as in a copied one; a warning for data that was deliberately put "
    "somewhere else",
    message="the registered path is outside this home: {path} ({state}); {own}",
    remedy=MISSING_DATA.remedy,
)
DATA_OUTSIDE = RULES.reworded(
    PATH_ELSEWHERE,
    WARN,
    message="the data is at {path}, outside this home; a copy of the home does not contain it",
    remedy="Include it in backups, or move it into the dataset's folder and correct `path`.",
)
OTHER_DATASETS_FILE = RULES.declare(
    "other-datasets-file",
    FAIL,
    means="the registered path is another dataset's own file, though this dataset has one of its own",
    message="the registered path is that of another dataset, {owner!r}: {path}; its own file is {own}{named}",
    remedy=MISSING_DATA.remedy,
    answers=(UNUSABLE,),
)
RELATIVE_PATH = RULES.declare(
    "relative-path",
    WARN,
    means="MDM finds the data only when it is started in one particular folder",
    message="the path {written!r} is relative: MDM resolves it from wherever it is started",
    remedy="Let `path` be absolute in both copies: {path}, if that is the dataset's data.",
)
MAKE_ABSOLUTE = Steps("Let `path` be absolute, {path}, in both copies.", (_SET_PATH,))
SHARED_DATA = RULES.declare(
    "shared-data",
    WARN,
    means="two registrations name the same data; what one of them changes, changes the other",
    message="registered with the same data as {others}",
    remedy="See which of them the data belongs to, and let `path` of the others name their own data, from a backup if "
    "need be; move a registration that is not needed out of the folder and keep it.",
)
NAME_A_FILE = Steps("Let `path` name the file of the data, in quotes, such as {example}.")
NAME_OWN_FILE = Steps("Let `path` name this home's own file, which has all the registered tables: {own}.", (_SET_PATH,))
CHECK_OWN_FILE = Steps(
    f"See whether {{own}} is this dataset's data, and has all of it. {_OWN_PATH_FIRST}", ("ls -l -- {own_folder!q}",)
)
COMPARE_WITH_OWN_FILE = Steps(
    "MDM still uses the registered file, so compare the two, which may both have changed. See whether {second} is this "
    f"dataset's data, and has all of it. {_OWN_PATH_FIRST}",
    _COMPARE,
)

# What the registration says
MISSING_COLUMN = RULES.declare(
    "missing-column",
    FAIL,
    means="the target, id, time or group column is in none of the tables",
    message="`{field}` names the column {column!r}, which is not in {tables}{nearest}",
    remedy="Let `{field}` name a column of the table, in both copies; keep them first.{hint}",
)
SET_COLUMN = Steps(
    "Let `{field}` name a column of the table, in both copies.{hint}",
    (Call("set-field", "{yaml}", ("{field}", "{right}"), (("was", "{was}"),)),),
)
ODD_DATE = RULES.declare(
    "odd-date",
    WARN,
    means="a date cannot be right",
    message="`{field}` {reason}",
    remedy="Write the right moment into `{field}`, such as '2026-01-31T12:00:00+00:00'.",
)
ODD_VERSION = RULES.declare(
    "odd-version",
    NOTE,
    means="invalid version",
    message="invalid version: `version` does not count as 1.0.0 does",
    remedy="Count versions in the manner of 1.0.0.",
)

# The JSON copy
DAMAGED_JSON_COPY = RULES.declare(
    "damaged-twin",
    WARN,
    means="the JSON copy cannot be used, so MDM has no fallback for the YAML file",
    message="the JSON copy {problem}",
    remedy="Keep it as it is until {yaml} is seen to have every field, and restore it from a backup.",
    answers=(INCONSISTENT,),
)
INCOMPLETE = RULES.declare(
    "incomplete",
    FAIL,
    WARN,
    means="the YAML file lacks fields that its JSON copy has, as when its end is lost; a failure if the problem type, "
    "tables, or the target, id, time or group column are among them",
    message="the YAML file lacks {fields}, which its JSON copy {json_copy} has",
    remedy="Keep a copy of the YAML file, and add these fields to it as the JSON copy has them{others}. Leave the JSON "
    "copy as it is.",
    answers=(INCONSISTENT,),
)
ADD_ALL_FROM_JSON_COPY = Steps(
    "Add these fields to the YAML file from its JSON copy, which agrees with all that the YAML file says.",
    (Call("restore-registration", "{yaml}"),),
)
LOST_FIELD = RULES.declare(
    "lost-field",
    FAIL,
    WARN,
    means="the target, time or group column or an id column of the baseline is no longer registered, or another column "
    "is in its place; a warning if another copy of the registration was in force then",
    message="`{field}` named {lost} in the baseline and {now}",
    remedy="If this is unintentional, compare {file} with a backup from before and correct `{field}`, in {json_copy} "
    "too; keep both files first. Registering with `--force` again loses such fields.",
    change=("field", Change.REMOVED),
    answers=(INCONSISTENT,),
)
CHANGED_FIELD = RULES.declare(
    "changed-field",
    WARN,
    FAIL,
    means="any other field of the registration has another value than in the baseline, has lost its value or got one, "
    "or the version went back; a failure if there is a plan without it. Dates, statistics, and what other checks "
    "compare (settings, backend and path of the data) are left out",
    message="`{field}` {change}",
    remedy=LOST_FIELD.remedy,
    change=("field", Change.NEW),
    answers=(INCONSISTENT,),
)
COPIES_DISAGREE = RULES.declare(
    "twins-disagree",
    WARN,
    NOTE,
    means="the two copies contradict each other; a note for what `mdm dataset update` leaves behind",
    message="the YAML file and its JSON copy differ in {fields}; MDM's Python API reads {read}",
    remedy="See which of the two is right in each of these fields, with a backup where neither is sure, and correct "
    "the other one by hand; keep both files first.",
    answers=(INCONSISTENT,),
)
REPAIR_YAML_FIRST = Steps("Repair {doubtful} in the YAML file first: the JSON copy may have the right values.")
REPAIR_YAML_IN_FORCE = Steps("Repair the YAML file first; the JSON copy is in force and may have the right values.")
LEFT_BY_UPDATE = Steps(
    "This is how `mdm dataset update` leaves it, or text for people only. No action required; keep the YAML file in "
    "backups, which alone has what was updated."
)
NO_JSON_COPY = RULES.declare(
    "no-twin",
    NOTE,
    means="the JSON copy is missing",
    message="there is no {json_copy}; MDM has no fallback if the YAML file is damaged",
    remedy="Keep the YAML file in a backup. MDM writes the copy only when it registers a dataset, in the folder that "
    "`paths.datasets_path` names; see that this is the right one.",
)
