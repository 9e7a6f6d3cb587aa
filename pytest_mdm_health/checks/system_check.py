"""MDM's own commands fail, hang, or tell another story than the disk.

Symptoms
--------
`mdm config validate`, `mdm storage test`, `mdm features test` or `mdm benchmark --quick` end with an error or do not
end. `mdm dataset list` shows fewer datasets than there are registrations, or others.

Causes
------
An installation that is broken in a part that only some commands use; registrations that MDM skips without a word;
settings that MDM refuses.

Diagnosis
---------
Run every one of these commands that the installed MDM has, with a time-out, and compare what `mdm dataset list` shows
with the registrations. The commands work on a private copy of the settings and registrations without data, because MDM
writes into its home whatever it is asked. Released versions have only `mdm dataset list` of them. How each area of the
guide fares as a whole leads the terminal summary and every report; it is made from the results of all checks.

Solutions
---------
Run the command that fails by hand and read its last lines: an import error leads to `incompatible-dependencies`, a
refused setting to `config-not-loading`. A dataset that is not listed has a registration that MDM cannot read: see
`metadata-corruption` for it.

Findings
--------
* `command-failed` (fail): one of MDM's own commands ends with an error.
* `command-hangs` (fail): one of MDM's own commands did not end in time and was stopped.
* `not-listed` (fail): a registered dataset is missing from what MDM lists.
* `listed-only` (warn): MDM lists a dataset for which there is neither a registration nor data.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pytest_mdm_health import SUITE
from pytest_mdm_health.core.model import Check, Facts, Finding, Kind, NotApplicable, Remedy, Severity, Target
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
COMMANDS = {
    "config validate": (),
    "storage test": ("--verbose",),
    "dataset list": ("--format", "json", "--limit", "1000000"),
    "features test": (),
    "benchmark": ("--quick", "--format", "json"),
}
"""The guide's commands with their options."""

ONLY_LOOK = ("config validate", "dataset list")
"""Those that change no data, and so may be run on the home itself."""
_NOT_COMPARED = (
    "`mdm dataset list` gave no list that could be read whole, so it was not compared with the registrations"
)
_LIST = re.compile(r"^\[(?=\s*[{\]])", re.MULTILINE)
_DECODER = json.JSONDecoder(strict=False)  # MDM's console may have broken a very long line within a text
SHARE_OF_TIME = 0.8
LINES = 5


@dataclass(frozen=True)
class CommandRun:
    """How one command ended: its exit code, or None when it was stopped, and its last lines."""

    typed: str
    code: int | None
    how: str
    last_lines: str


@dataclass(frozen=True, kw_only=True)
class SystemFacts(Facts):
    """What MDM's commands said; `listed` is None when MDM gave no list that can be read."""

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
    """Run the commands that there are on a private copy of the home."""
    if mdm_installation is None or not mdm_installation.is_ml_data_manager:
        raise NotApplicable("no installed MDM to ask; name its interpreter with --mdm-python")
    offered = [command for command in COMMANDS if mdm_installation.offers(command)]
    if not offered:
        raise NotApplicable("the installed MDM has none of the guide's commands, or does not tell which it has")
    timeout_s = mdm_options.timeout * SHARE_OF_TIME / len(offered)
    try:
        runs, listing = _run_all(offered, mdm_installation, mdm_inventory, mdm_environ, timeout_s)
    except (Outside, CannotRun) as reason:
        raise NotApplicable(str(reason)) from None
    missing = [f"`mdm {command}`" for command in COMMANDS if command not in offered]
    names = None if listing is None else listed(listing)
    gaps = [f"the installed MDM has no {', '.join(missing)}"] if missing else []
    if "dataset list" in offered and names is None:
        gaps.append(_NOT_COMPARED)
    return SystemFacts(
        examined=len(runs),
        gaps=tuple(gaps),
        runs=tuple(runs),
        registered=tuple(each.name for each in mdm_inventory.datasets if each.registration),
        on_disk=tuple(each.name for each in mdm_inventory.datasets),
        listed=names,
    )


def judge(facts: SystemFacts, before: SystemFacts | None) -> Iterator[Finding]:  # noqa: ARG001 - told by itself
    """Commands first, then what the list has and has not."""
    for each in facts.runs:
        if each.code != 0:
            code = "command-hangs" if each.code is None else "command-failed"
            text = f"Run it by hand and read its last lines: {each.last_lines or 'it printed nothing'}"
            message = f"`{each.typed}` {each.how}"
            remedy = Remedy(text, (each.typed,))
            if not _only_looks(each.typed):
                remedy = Remedy(f"{text}. Run it on a copy of the home, since it may write into the one it is given")
            yield CHECK.finding(code, Severity.FAIL, message, remedy, subject=each.typed)
    if facts.listed is None:
        return
    there = {name.lower() for name in facts.listed}
    for name in sorted(name for name in facts.registered if name.lower() not in there):
        message = f"'{name}' is registered, and MDM does not list it"
        node_id = f"{SUITE}::metadata-corruption[{Target(Kind.DATASET, name).id}]"
        remedy = Remedy("See what is wrong with its registration.", (shlex.join(("pytest", node_id)),))
        yield CHECK.finding("not-listed", Severity.FAIL, message, remedy, subject=name)
    on_disk = {name.lower() for name in facts.on_disk}
    for name in sorted(name for name in set(facts.listed) if name.lower() not in on_disk):
        message = f"MDM lists '{name}', of which there is neither a registration nor data in this home"
        remedy = Remedy("See which home the installed MDM takes for its own: `MDM_HOME_DIR` and `paths.*`.")
        yield CHECK.finding("listed-only", Severity.WARN, message, remedy, subject=name)


def _only_looks(typed: str) -> bool:
    return any(f" {command}" in typed for command in ONLY_LOOK)


def listed(answer: str) -> tuple[str, ...] | None:
    """The names in what `mdm dataset list --format json` answered; None when no list can be read from it whole.

    MDM's own messages may stand around the list, which begins a line of its own. Of several it is the last that has
    names.
    """
    found: tuple[str, ...] | None = None
    for start in _LIST.finditer(answer):
        try:
            values, _ = _DECODER.raw_decode(answer, start.start())
        except (ValueError, RecursionError):
            return None
        if not all(isinstance(each, dict) and each.get("name") for each in values):
            return None
        found = tuple(str(each["name"]) for each in values) or found or ()
    return found


def _run_all(
    offered: Sequence[str],
    installation: Installation,
    inventory: Inventory,
    environ: Mapping[str, str],
    timeout_s: float,
) -> tuple[list[CommandRun], str | None]:
    runs, listing = [], None
    given = f"MDM_HOME_DIR={shlex.quote(str(inventory.home.root))}"
    with private_home(inventory) as root:
        for command in offered:
            words = (*command.split(), *COMMANDS[command])
            outcome = run_mdm(installation.python, words, root, environ, timeout_s)
            said = outcome.output.replace(str(root), str(inventory.home.root))
            if command == "dataset list" and outcome.code == 0:
                listing = outcome.answer
            last = " / ".join(line.strip() for line in said.strip().splitlines()[-LINES:])
            typed = f"{given} {shlex.join(command_for(installation.python, words))}"
            runs.append(CommandRun(typed, outcome.code, outcome.how, redact(last)))
    return runs, listing
