"""The findings about the installation.

Commands install into a new environment only: a release that is put into an existing one brings others with it, which
may not fit what worked before. For what exists, the commands only show.
"""

from __future__ import annotations

from pytest_mdm_health.core.findings import Rules, Steps
from pytest_mdm_health.core.model import Check, Kind, Severity

FAIL, WARN, NOTE = Severity.FAIL, Severity.WARN, Severity.NOTE

CHECK = Check(
    id="incompatible-dependencies",
    issue="1.2",
    title="Incompatible dependencies",
    per=Kind.HOME,
    tags=("installation", "dependencies"),
)
RULES = Rules(CHECK)

SHOW_COMMAND = ("ls -l -- {facts.command.path!q}", "head -n 1 -- {facts.command.path!q} | od -c")
SHOW_IMPORT = "{facts.python!q} -c 'import {module}'"
SHOW_DISTRIBUTION = "{facts.pip_show} {distribution!q}"
CHECK_ALL = "{facts.pip_check}"

INTO_NEW = "-m venv new-mdm && new-mdm/bin/python -m pip install"
"""Whatever is called `new-mdm` already is not installed into."""

INSTALL_WITH_ANY_PYTHON = (f"test ! -e new-mdm && python3 {INTO_NEW} {{facts.source!q}}",)
INSTALL_AGAIN = (f"test ! -e new-mdm && {{facts.python!q}} {INTO_NEW} {{facts.source!q}}",)
INSTALL_FILE = (f"test ! -e new-mdm && {{facts.python!q}} {INTO_NEW} --no-cache-dir -r {{file!q}}",)

IN_NEW = "in a new environment, so that the old one stays until the new one works"

_CREATE = (
    "Create a new environment with a Python that MDM supports and install MDM in it, or name the interpreter that MDM "
    "is installed in with --mdm-python."
)
NEW_ENVIRONMENT = Steps(_CREATE, INSTALL_WITH_ANY_PYTHON)
NEW_ENVIRONMENT_BY_HAND = Steps(_CREATE)

_INCOMPLETE = f"The installation that wrote the command is incomplete. {_CREATE}"
REPLACE_INSTALLATION = Steps(_INCOMPLETE, (*SHOW_COMMAND, *INSTALL_WITH_ANY_PYTHON))
REPLACE_WITHOUT_SOURCE = Steps(_INCOMPLETE, SHOW_COMMAND)
CORRECT_WRAPPER = Steps(
    f"Correct the script, which is no part of MDM's installation, or the environment that it starts. {_CREATE}",
    ("ls -l -- {facts.command.path!q}", "cat -- {facts.command.path!q}"),
)
REPLACE_WITHOUT_COMMAND = Steps(_INCOMPLETE, INSTALL_WITH_ANY_PYTHON)
RESTORE_SOURCE = Steps(
    f"Put the source tree back to {{facts.lost_source}}, where MDM was installed from. Otherwise: {_CREATE}"
)

_OF_MDM = "This module belongs to MDM itself: the installation is incomplete, or the release is. Install MDM again"
REINSTALL = Steps(f"{_OF_MDM} {IN_NEW}; if that does not help, install another release.", INSTALL_AGAIN)
REINSTALL_BY_HAND = Steps(
    f"{_OF_MDM} from its original source (not from PyPI, where mdm is another program), {IN_NEW}."
)
PART_OF_PYTHON = Steps(
    "{module} is a module of Python itself, and nothing on PyPI replaces it: this Python was built without it, or a "
    "system library that it needs is missing. Rebuild or reinstall Python, or use another Python and install MDM "
    f"there, {IN_NEW}.",
    (SHOW_IMPORT,),
)
REMOVED_FROM_PYTHON = Steps(
    "{module} was a module of Python itself, and Python {release} and later do not have it. Use a release of MDM and "
    f"its dependencies that does not need it, or an older Python, {IN_NEW}.",
    (SHOW_IMPORT,),
)
DAMAGED_LIBRARY = Steps(
    "{module} is damaged, or does not fit what it was built for. See which versions are installed and go back to those "
    f"that worked, {IN_NEW}.",
    (SHOW_DISTRIBUTION, CHECK_ALL, SHOW_IMPORT),
)
INSTALL_DISTRIBUTION = Steps(
    f"The module {{module}} is part of {{requirement}}.{{note}} Install it {IN_NEW}.",
    (SHOW_IMPORT, SHOW_DISTRIBUTION, CHECK_ALL),
)
FIND_DISTRIBUTION = Steps(
    "Find out which distribution contains the module {module}: that is not known here, and one of the same name may be "
    f"another program. Install it in a version that MDM accepts, {IN_NEW}.",
    (SHOW_IMPORT, CHECK_ALL),
)
MEET_REQUIREMENT = Steps(
    f"Install a release that meets {{requirement}} and fits everything else that MDM requires, {IN_NEW}: in the "
    "existing one, it may bring releases with it that do not fit.",
    (SHOW_DISTRIBUTION, CHECK_ALL),
)
CORRECT_FILE = Steps("Correct the file: name==version, with a version that MDM accepts too.")

NOT_STARTING = RULES.declare(
    "not-starting",
    FAIL,
    means="the `mdm` command cannot start, or ends in `No module named 'mdm'`",
    message="{facts.command.path} cannot start: it {facts.command.start_problem}",
    remedy=REPLACE_WITHOUT_SOURCE,
)
NO_MODULE = RULES.reworded(
    NOT_STARTING,
    message="{program} ends in: No module named {facts.missing_module!r}{source}",
    remedy=REPLACE_INSTALLATION,
)
INTERPRETER = RULES.declare(
    "interpreter",
    FAIL,
    means="the interpreter of the `mdm` command is gone or does not answer",
    message="the interpreter of MDM does not answer: {facts.broken}",
    remedy=NEW_ENVIRONMENT_BY_HAND,
)
OTHER_MDM = RULES.declare(
    "other-mdm",
    WARN,
    means="what is installed as `mdm` is not the ML Data Manager",
    message="the mdm in {facts.python} is not the ML Data Manager but {facts.other}",
    remedy="Name the interpreter that the ML Data Manager is installed in with --mdm-python.",
)
SHADOWED = RULES.declare(
    "shadowed",
    WARN,
    means="another copy of MDM is imported than the one that is installed",
    message="{facts.python} imports MDM from {facts.folder}, and not from {facts.shadowed}, where it is installed",
    remedy="Find out which of the two is meant. The search path decides: PYTHONPATH, a .pth file, or the folder that "
    "the command is started in. Leave the other one out of it before anything is migrated.",
    commands=("{facts.python!q} -c 'import sys; print(*sys.path, sep=chr(10))'", "printenv PYTHONPATH"),
)
NOT_IMPORTABLE = RULES.declare(
    "not-importable",
    FAIL,
    means="modules that commands or backends need do not import; a warning if only some calls need them",
    message="{cause.named} cannot be imported: {cause.error}",
    remedy=INSTALL_DISTRIBUTION,
    answers=("import errors after updating requirements",),
)
NOT_IMPORTABLE_ON_CALL = RULES.reworded(
    NOT_IMPORTABLE,
    WARN,
    message="{cause.named} cannot be imported when a call needs it: {cause.error}",
    remedy=INSTALL_DISTRIBUTION,
)
UNFINISHED = RULES.declare(
    "unfinished",
    WARN,
    means="importing a module took longer than the check may, or more memory than this run may have; the result is an "
    "error",
    message="importing {module} did not finish: {cause.failure.message}",
    remedy="See what it waits for, and allow more time with --mdm-timeout if it is only slow, or more memory "
    "(ulimit -v) if it lacks that.",
    commands=("{facts.python!q} -X importtime -c 'import {module}'",),
)
NOT_INSTALLED = RULES.declare(
    "not-installed",
    WARN,
    means="a module that MDM's code imports late is not installed; the call that needs it will fail",
    message="MDM imports {late} only when it is needed, and it is not installed: the call that needs it will fail",
    remedy=FIND_DISTRIBUTION,
    answers=("import errors after updating requirements",),
)
LEFT_OVER = RULES.declare(
    "left-over",
    NOTE,
    means="modules of this release do not import, and nothing uses them",
    message="{cause.named} cannot be imported, but nothing in this release uses it: {cause.error}",
    remedy="No action required: no command and no public interface of this release needs it.",
)
MISSING = RULES.declare(
    "missing",
    FAIL,
    WARN,
    NOTE,
    means=("a requirement is not installed; a failure if it is MDM's own, a note if it is not related to MDM"),
    message="{conflict.by} requires {conflict.needs}, which is not installed",
    remedy=MEET_REQUIREMENT,
    answers=("pip install failures",),
)
VERSION = RULES.declare(
    "version",
    WARN,
    NOTE,
    means="the installed version does not meet a requirement; a note if it is not related to MDM",
    message="{conflict.by} requires {conflict.needs}, but {conflict.installed} is installed",
    remedy=MEET_REQUIREMENT,
    answers=("package version conflicts",),
)
PYTHON = RULES.declare(
    "python",
    WARN,
    means="MDM does not support this version of Python",
    message="MDM requires Python {facts.requires_python}, but its interpreter is {facts.python_version}",
    remedy=NEW_ENVIRONMENT_BY_HAND,
    answers=("pip install failures",),
)
KNOWN_TROUBLE = RULES.declare(
    "known-trouble",
    FAIL,
    NOTE,
    means="the installed versions are known not to work together; a note if this home does not use that",
    message="with {versions}, {effect}",
    remedy=MEET_REQUIREMENT,
    answers=("import errors after updating requirements",),
)
MIGRATION_REQUIREMENTS = RULES.declare(
    "migration-requirements",
    WARN,
    means="what is installed is not what the migration's requirements ask for",
    message="the migration's requirements ask for {wanted.needs}; {installed}",
    remedy=f"Install exactly what the file asks for {IN_NEW}; then install MDM in it, too.",
    commands=INSTALL_FILE,
)
CONTRADICTION = RULES.declare(
    "contradiction",
    WARN,
    means="the migration's requirements ask for a version that MDM does not accept",
    message="the migration's requirements ask for {wanted.needs}, but MDM itself requires {needed}",
    remedy=CORRECT_FILE,
    answers=("package version conflicts",),
)
REQUIREMENTS_FILE = RULES.declare(
    "requirements-file",
    WARN,
    NOTE,
    means="the file of requirements cannot be read, or a line of it cannot be compared (a note)",
    message="{place} {reason}; it was not compared with the installed versions",
    remedy=CORRECT_FILE,
)
