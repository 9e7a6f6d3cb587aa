"""MDM's own commands fail, hang, or contradict the files on disk.

Symptoms
--------
`mdm config validate`, `mdm storage test`, `mdm features test` or `mdm benchmark --quick` end with an error or never
end. `mdm dataset list` shows fewer or other datasets than are registered.

Causes
------
An installation that is broken in a part that only some commands use; registrations that MDM skips silently; settings
that MDM refuses.

Diagnosis
---------
Run each of these commands that the installed MDM has, with a time-out, and compare the output of `mdm dataset list`
with the registrations. The commands get a private copy of the settings and registrations without data, because MDM
writes into its home whatever it is asked. Of these commands, released versions have only `mdm dataset list`. The state
of each area of the guide is at the top of the terminal summary and of every report; it is derived from the results of
all checks.

Solutions
---------
Run the command that fails by hand and read its last lines: an import error leads to `incompatible-dependencies`, a
refused setting to `config-not-loading`. A dataset that is not listed has a registration that MDM cannot read: see
`metadata-corruption` for it.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pytest_mdm_health import SUITE
from pytest_mdm_health.core.findings import Rules, Steps
from pytest_mdm_health.core.model import Check, Facts, Finding, Kind, NotApplicable, Severity, Target
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.core.secrets import redact
from pytest_mdm_health.mdm.installed.commands import CannotRun
from pytest_mdm_health.mdm.installed.installation import Installation
from pytest_mdm_health.mdm.inventory import Inventory
from pytest_mdm_health.mdm.registrations.command_line import Outside, command_for, private_home, run_mdm

CHECK = Check(
    id="system-check",
    issue="8.1",
    title="MDM's own commands fail or contradict the disk",
    per=Kind.HOME,
    requires=("incompatible-dependencies", "config-not-loading"),
    tags=("mdm", "commands"),
)
RULES = Rules(CHECK)

RUN_BY_HAND = Steps("Run it by hand and read its last lines: {last_lines}", commands=("{command}",))
RUN_ON_A_COPY = Steps(
    "Run it on a copy of the home, because it may write into the home that it is given, and read its last lines: "
    "{last_lines}"
)

COMMAND_FAILED = RULES.declare(
    "command-failed",
    Severity.FAIL,
    means="one of MDM's own commands ends with an error",
    message="`{command}` {ending}",
    remedy=RUN_BY_HAND,
)
COMMAND_HANGS = RULES.declare(
    "command-hangs",
    Severity.FAIL,
    means="one of MDM's own commands did not end in time and was stopped",
    message="`{command}` did not finish in time and was stopped",
    remedy=RUN_BY_HAND,
)
NOT_LISTED = RULES.declare(
    "not-listed",
    Severity.FAIL,
    means="a registered dataset is missing from `mdm dataset list`",
    message="{name!r} is registered, but `mdm dataset list` does not show it",
    remedy="Examine its registration, and repair what MDM cannot read.",
    commands=("pytest {node_id!q}",),
)
LISTED_ONLY = RULES.declare(
    "listed-only",
    Severity.WARN,
    means="MDM lists a dataset that has neither a registration nor data",
    message="`mdm dataset list` shows {name!r}, but this home has neither a registration nor data for it",
    remedy="Check which home the installed MDM uses: `MDM_HOME_DIR`, and `paths.*` in mdm.yaml.",
)

COMMANDS = {
    "config validate": (),
    "storage test": ("--verbose",),
    "dataset list": ("--format", "json", "--limit", "1000000"),
    "features test": (),
    "benchmark": ("--quick", "--format", "json"),
}
"""The guide's commands with their options."""

READ_ONLY = {"config validate", "dataset list"}
"""The commands that change no data, and so may be run on the home itself."""

SHARE_OF_TIME = 0.8
"""The part of the check's time that its commands may take together."""

LAST_LINES = 5
_START_OF_LIST = re.compile(r"^\[(?=\s*[{\]])", re.MULTILINE)
_DECODER = json.JSONDecoder(strict=False)  # MDM's console may have broken a very long line within a text


@dataclass(frozen=True)
class CommandRun:
    """How one command ended.

    Attributes:
        command: the words of it that name it, such as `dataset list`.
        typed: what a person types to run it.
        code: its exit code; None if it was stopped.
        ending: how it ended, to follow its name in a sentence.
        last_lines: the end of its output, without secrets.
    """

    command: str
    typed: str
    code: int | None
    ending: str
    last_lines: str


@dataclass(frozen=True, kw_only=True)
class SystemFacts(Facts):
    """How MDM's commands ended; `listed` is None if `mdm dataset list` printed no list that can be read whole."""

    runs: tuple[CommandRun, ...]
    registered: tuple[str, ...]
    on_disk: tuple[str, ...]
    listed: tuple[str, ...] | None


def observe(
    mdm_inventory: Inventory,
    mdm_installation: Installation | None,
    mdm_environ: Mapping[str, str],
    mdm_options: Options,
) -> SystemFacts:
    """Run the commands that the installed MDM has on a private copy of the home."""
    if mdm_installation is None or not mdm_installation.is_ml_data_manager:
        raise NotApplicable("no installed MDM was found; name its interpreter with --mdm-python")
    offered = [command for command in COMMANDS if mdm_installation.offers(command)]
    if not offered:
        raise NotApplicable("the installed MDM has none of the guide's commands, or does not report its commands")
    timeout_s = mdm_options.timeout * SHARE_OF_TIME / len(offered)
    try:
        runs, listing = _run_all(offered, mdm_installation, mdm_inventory, mdm_environ, timeout_s)
    except (Outside, CannotRun) as reason:
        raise NotApplicable(str(reason)) from None
    listed = None if listing is None else parse_listing(listing)
    gaps = []
    missing = [f"`mdm {command}`" for command in COMMANDS if command not in offered]
    if missing:
        gaps.append(f"the installed MDM has no {', '.join(missing)}")
    if "dataset list" in offered and listed is None:
        gaps.append("`mdm dataset list` printed no complete list, so it was not compared with the registrations")
    return SystemFacts(
        examined=len(runs),
        gaps=tuple(gaps),
        runs=tuple(runs),
        registered=tuple(dataset.name for dataset in mdm_inventory.datasets if dataset.registration),
        on_disk=tuple(dataset.name for dataset in mdm_inventory.datasets),
        listed=listed,
    )


def _run_all(
    offered: Sequence[str],
    installation: Installation,
    inventory: Inventory,
    environ: Mapping[str, str],
    timeout_s: float,
) -> tuple[list[CommandRun], str | None]:
    """Every command, and what `mdm dataset list` printed if it succeeded."""
    runs, listing = [], None
    variable = f"MDM_HOME_DIR={shlex.quote(str(inventory.home.root))}"
    with private_home(inventory) as copy:
        for command in offered:
            words = (*command.split(), *COMMANDS[command])
            outcome = run_mdm(installation.python, words, copy, environ, timeout_s)
            if command == "dataset list" and outcome.code == 0:
                listing = outcome.answer
            output = outcome.output.replace(str(copy), str(inventory.home.root))
            last_lines = " / ".join(line.strip() for line in output.strip().splitlines()[-LAST_LINES:])
            runs.append(
                CommandRun(
                    command=command,
                    typed=f"{variable} {shlex.join(command_for(installation.python, words))}",
                    code=outcome.code,
                    ending=outcome.how,
                    last_lines=redact(last_lines),
                )
            )
    return runs, listing


def parse_listing(output: str) -> tuple[str, ...] | None:
    """The names in the output of `mdm dataset list --format json`; None if no list can be read from it whole.

    MDM's own messages may surround the list, which starts on a line of its own. Of several lists, the last that has
    names counts.
    """
    names: tuple[str, ...] | None = None
    for start in _START_OF_LIST.finditer(output):
        try:
            entries, _ = _DECODER.raw_decode(output, start.start())
        except (ValueError, RecursionError):
            return None
        if not all(isinstance(entry, dict) and entry.get("name") for entry in entries):
            return None
        names = tuple(str(entry["name"]) for entry in entries) or names or ()
    return names


def judge(facts: SystemFacts) -> Iterator[Finding]:
    """The commands first, then the differences between the list and the disk."""
    for run in facts.runs:
        remedy = RUN_BY_HAND if run.command in READ_ONLY else RUN_ON_A_COPY
        output = run.last_lines or "it printed nothing"
        if run.code is None:
            yield COMMAND_HANGS(subject=run.typed, command=run.typed, last_lines=output, remedy=remedy)
        elif run.code != 0:
            yield COMMAND_FAILED(
                subject=run.typed, command=run.typed, ending=run.ending, last_lines=output, remedy=remedy
            )
    if facts.listed is None:
        return
    for name in _missing_from(facts.listed, facts.registered):
        node_id = f"{SUITE}::metadata-corruption[{Target(Kind.DATASET, name).id}]"
        yield NOT_LISTED(subject=name, name=name, node_id=node_id)
    for name in _missing_from(facts.on_disk, facts.listed):
        yield LISTED_ONLY(subject=name, name=name)


def _missing_from(names: Sequence[str], expected: Sequence[str]) -> list[str]:
    """The expected names that are missing, in order; MDM does not distinguish upper and lower case."""
    lower = {name.lower() for name in names}
    return sorted(name for name in set(expected) if name.lower() not in lower)
