"""What slow-registration can find, with its sentences.

The remedies are sentences where they set a variable: one that is exported affects every command after it.
"""

from __future__ import annotations

from pytest_mdm_health.core.changes import Change
from pytest_mdm_health.core.findings import Rules, Steps
from pytest_mdm_health.core.model import Check, Kind, Severity

WARN, NOTE = Severity.WARN, Severity.NOTE
CHECK = Check(
    id="slow-registration",
    issue="4.1",
    title="Registration that takes hours instead of minutes",
    per=Kind.HOME,
    reads=("log", "metrics"),
    tags=("performance", "registration"),
)
RULES = Rules(CHECK)

_LARGER_BATCHES = (
    "Use batches of {better} rows for the next registration, as far as memory allows (4.2): set "
    "MDM_PERFORMANCE_BATCH_SIZE={better} in front of that one command."
)
_PROFILE = (
    "Profile it: `MDM_HOME_DIR={home!q} python -m cProfile -m mdm.cli.main dataset register …` with MDM's interpreter."
)
PROFILE = Steps(_PROFILE)
LARGER_BATCHES = Steps(f"{_LARGER_BATCHES} {_PROFILE}")
WITHOUT_FEATURES = Steps(
    "For a new registration give `--no-features`, or set MDM_FEATURE_ENGINEERING_ENABLED=false in front of that one "
    "command (the guide's MDM_FEATURES_GENERATE_ON_REGISTER is read by no released MDM). A dataset that is registered "
    "stays as it is."
)
TO_DUCKDB = Steps(
    "Register its source under a new name on DuckDB, with MDM_DATABASE_DEFAULT_BACKEND=duckdb in front of that one "
    "command and the same target, ids and other options, and compare the two before you give the old one up. MDM "
    "refuses datasets that are not on the default backend, so every later command on the new one needs the variable "
    "too; do not change the default for those that stay on SQLite."
)

_TOOK = "the registration of {dataset!r}{ended} took {seconds:duration}{rows}, {reasons}"
"""One registration is one finding: that of the first rule that applies, with the reasons of all."""

SLOWER_THAN_BEFORE = RULES.declare(
    "slower-than-before",
    WARN,
    means="for each row it took three times as long as earlier registrations of the same dataset; or twice as long as "
    "in the baseline and at least 5 seconds more; or a query takes twice as long as in the baseline and at least 1 "
    "second more (a note if the registration of its dataset is already a warning)",
    message=_TOOK,
    remedy=PROFILE,
    change=("duration", Change.WORSE),
    answers=("registration takes hours instead of minutes",),
)
SLOWER_QUERIES = RULES.reworded(
    SLOWER_THAN_BEFORE,
    WARN,
    NOTE,
    message="{operation!r}{dataset} takes {seconds:duration}, {factor:.0f} times as long as in the baseline{others}",
    remedy="See when it became slow, and what changed then: the backend, its settings, the number of rows, an index. "
    "On PostgreSQL, see postgres-slowdown.",
    commands=("sqlite3 -readonly {metrics!q} {statement!q}",),
)
SLOWER_THAN_OTHERS = RULES.declare(
    "slower-than-others",
    WARN,
    means="for each row it took ten times as long as comparable datasets in this home",
    message=_TOOK,
    remedy=PROFILE,
    answers=("registration takes hours instead of minutes",),
)
TOOK_HOURS = RULES.declare(
    "took-hours",
    WARN,
    NOTE,
    means="it took an hour or more; a note where the number of rows explains it",
    message=_TOOK,
    remedy=PROFILE,
    answers=("registration takes hours instead of minutes",),
    formerly=("estimate",),
)
FEATURES_TAKE_MOST = RULES.declare(
    "features-take-most",
    NOTE,
    means="most of a long registration was spent on features",
    message=_TOOK,
    remedy=WITHOUT_FEATURES,
)
SMALL_BATCHES = RULES.declare(
    "small-batches",
    WARN,
    NOTE,
    means="the data is loaded in thousands of batches; a note up to ten thousand",
    message="{dataset!r} with {rows:rows} is loaded in {batches} batches of {batch_size} (batch_size from {set_in}), "
    "each with an overhead of its own{others}",
    remedy=_LARGER_BATCHES,
)
SQLITE_FOR_LARGE_DATA = RULES.declare(
    "sqlite-for-large-data",
    WARN,
    NOTE,
    means="gigabytes in SQLite; a warning from ten",
    message="{dataset!r} is {size:size} in SQLite, which writes and reads row by row",
    remedy=TO_DUCKDB,
)
READER_MISSING = RULES.declare(
    "reader-missing",
    WARN,
    NOTE,
    means="MDM's interpreter cannot read the kind of file that a dataset comes from; a note while no dataset needs it",
    message="{python} has no {package}, which pandas needs for {suffix} files{datasets}",
    remedy="See what else installing {package} for MDM's interpreter would change, and install it in a release that "
    "leaves pandas, numpy and SQLAlchemy as they are.",
    commands=("{python!q} -m pip install --dry-run {package}",),
)
NO_ROOM = RULES.declare(
    "no-room",
    WARN,
    means="too little room for what a registration writes",
    message="{folder} has {free:size} free for {use}; a registration like that of {dataset!r} may need {needed:size}",
    remedy="Make room there{elsewhere}.",
    commands=("df -h -- {folder!q}",),
)
