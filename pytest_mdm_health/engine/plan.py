"""What a run examines: the options, what the home holds, and so the targets of every check.

It is made once, on the controller, and travels to the workers as it is, so that all of them collect the same.
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from pytest_mdm_health.backends import backend_of
from pytest_mdm_health.core.expected import Expected
from pytest_mdm_health.core.model import HOME, Check, Depth, Kind, Target
from pytest_mdm_health.core.options import Options
from pytest_mdm_health.engine.file_stability import Seen, files_of, inventory_with_files
from pytest_mdm_health.engine.sandbox import Sandbox
from pytest_mdm_health.mdm.installed.interpreter import Installation, find_interpreter, probe
from pytest_mdm_health.mdm.installed.search import find_command
from pytest_mdm_health.mdm.installed.wrapper import interpreter_behind
from pytest_mdm_health.mdm.inventory import Dataset, Inventory, remembered_dataset
from pytest_mdm_health.mdm.servers import Server, connection_of, server_key, servers_of

NOTHING_EXPECTED = Expected()
INVENTORY_TIMEOUT_S = 120.0
WHAT_IS_GONE = "metadata-corruption"
"""The check that speaks of datasets which only the baseline knows."""

MANY = 10
"""How many names of datasets an error message gives."""

SHARED = ("mdm_home", "mdm_config", "mdm_inventory", "mdm_installation", "mdm_options", "mdm_environ", "mdm_expected")
"""The fixtures that are the same for every target."""


@dataclass(frozen=True)
class BaselineDataset:
    """A dataset as a baseline knows it.

    Attributes:
        backend: the engine, if it was known.
        database: where its data lay, if in a file.
    """

    name: str
    backend: str | None = None
    database: Path | None = None


class NothingSelected(LookupError):
    """A pattern that no dataset of the home matches; the text has those there are."""


class NoHome(LookupError):
    """A folder that holds none of MDM's files; the text says what was looked for."""


@dataclass(frozen=True)
class Plan:
    """What a run examines.

    Attributes:
        options: what the user asked for.
        inventory: what the home holds.
        environ: the environment as it was at the start.
        remembered: datasets that the baseline knows and the home does not.
        expected: the changes that the migration is meant to make.
        seen: the files that the inventory was made from, as they were.
    """

    options: Options
    inventory: Inventory
    environ: Mapping[str, str]
    remembered: tuple[Dataset, ...] = ()
    expected: Expected = field(default_factory=Expected)
    seen: Seen = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        _ = self._datasets  # refuses a pattern that selects nothing

    @cached_property
    def _datasets(self) -> dict[str, Dataset]:
        by_name = {each.name: each for each in (*self.inventory.datasets, *self.remembered)}
        matching = {glob: fnmatch.filter(by_name, glob) for glob in self.options.dataset or ("*",)}
        for glob in self.options.dataset:
            if not matching[glob]:
                known = ", ".join(sorted(by_name)[:MANY]) or "none"
                raise NothingSelected(f"--mdm-dataset: no dataset matches {glob!r}; there are {known}")
        return {name: by_name[name] for names in matching.values() for name in names}

    def targets(self, check: Check) -> tuple[Target, ...]:
        """What the check is run on, sorted by name."""
        names: dict[Kind, Iterable[str]] = {
            Kind.HOME: (HOME.name,),
            Kind.SERVER: (each.name for each in self.servers),
            Kind.DATASET: sorted(self._datasets),
        }
        return tuple(Target(check.per, name) for name in names.get(check.per, ()))

    def target_of(self, required: Check, target: Target) -> Target | None:
        """What a check that another one requires is run on, for the other's sake; None if there is no such thing."""
        if required.per in {target.kind, Kind.HOME}:
            return target if required.per is target.kind else HOME
        server = self._server_of(target) if required.per is Kind.SERVER else None
        return None if server is None else Target(Kind.SERVER, server.name)

    def skip_reason(self, check: Check, target: Target) -> str:
        """Why the check has nothing to say about this target; empty when it has."""
        if list(Depth).index(check.depth) > list(Depth).index(Depth(self.options.depth)):
            return f"needs --mdm-depth={check.depth.value}"
        if target.kind is Kind.DATASET and self._datasets[target.name].remembered and check.id != WHAT_IS_GONE:
            return f"the dataset is not in this home any more; see {WHAT_IS_GONE}"
        if target.kind is not Kind.DATASET or not check.backends:
            return ""
        backend = self._datasets[target.name].backend
        ours = " and ".join(check.backends)
        return (
            ""
            if backend in check.backends
            else f"applies to {ours} datasets; this one is on {backend or 'an unknown backend'}"
        )

    def fixture_value(self, fixture: str, target: Target) -> object:
        """What the fixture of this name gives to a check on this target: a small description, nothing opened."""
        values: dict[str, Callable[[], object]] = {
            "mdm_options": lambda: self.options,
            "mdm_environ": lambda: self.environ,
            "mdm_expected": lambda: self.expected,
            "mdm_inventory": lambda: self.inventory,
            "mdm_home": lambda: self.inventory.home,
            "mdm_config": lambda: self.inventory.settings,
            "mdm_installation": lambda: self.installation,
            "mdm_dataset": lambda: self._datasets[target.name],
            "mdm_backend": lambda: backend_of(self._datasets[target.name], self.inventory.settings),
            "mdm_server": lambda: self._server_of(target),
        }
        return values[fixture]()

    def seen_of(self, check: Check, values: Iterable[object]) -> Seen:
        """What the inventory was made from and a check depends on, as it was then: the home, and its files."""
        files = () if check.live else files_of(values)
        return {file: self.seen[file] for file in (self.inventory.home.root, *files) if file in self.seen}

    @property
    def not_selected(self) -> tuple[str, ...]:
        """The names of the datasets that are not examined, although there are some of these names, sorted."""
        known = {each.name for each in (*self.inventory.datasets, *self.remembered)}
        return tuple(sorted(known - self._datasets.keys()))

    @property
    def datasets(self) -> tuple[Dataset, ...]:
        """The datasets of the home that are examined, sorted by name."""
        return tuple(each for _, each in sorted(self._datasets.items()) if not each.remembered)

    @cached_property
    def servers(self) -> tuple[Server, ...]:
        """The PostgreSQL servers that the home names, sorted by name."""
        return servers_of(self.inventory)

    def _server_of(self, target: Target) -> Server | None:
        """The server that a target is, or that a dataset is on."""
        if target.kind is Kind.SERVER:
            return next(each for each in self.servers if each.name == target.name)
        dataset = self._datasets.get(target.name) if target.kind is Kind.DATASET else None
        wanted = connection_of(dataset, self.inventory.settings) if dataset else None
        if wanted is None or wanted.problem:
            return None
        return next((each for each in self.servers if server_key(each.logins[0]) == server_key(wanted)), None)

    @property
    def known_installation(self) -> Installation | None:
        """The installed MDM if some check asked for it, without asking now."""
        return self.installation if "installation" in self.__dict__ else None

    @cached_property
    def interpreter(self) -> Path | None:
        """The interpreter that MDM is installed in, if one was named or can be found."""
        return find_interpreter(self.options.python)

    @cached_property
    def installation(self) -> Installation | None:
        """The installed MDM as its own interpreter describes it; asked once, on first use. None: there is none."""
        others = {name: value for name, value in os.environ.items() if not name.startswith("MDM_")}
        environ = others | dict(self.environ)
        python = self.interpreter
        command = find_command() if self.options.python is None else None
        if command is not None and command.opaque:
            python = interpreter_behind(command, self.options.timeout, environ) or python
        return probe(python, self.options.home, self.options.timeout, environ) if python is not None else None


def make_plan(
    options: Options,
    sandbox: Sandbox,
    environ: Mapping[str, str] = os.environ,
    known: Iterable[BaselineDataset] = (),
    expected: Expected = NOTHING_EXPECTED,
) -> Plan:
    """Make the inventory of the home, in the sandbox because its files may be anything.

    Args:
        options: what the user asked for.
        sandbox: where it is done.
        environ: the environment that MDM would run in.
        known: the datasets that a baseline of this home knows.
        expected: the changes that the migration is meant to make.

    Raises:
        NoHome: nothing there is MDM's, and no baseline says that something was.
        SandboxError: it could not be done, and why.
    """
    snapshot = {name: value for name, value in environ.items() if name.startswith("MDM_")}
    inventory, seen = sandbox.call(
        f"{inventory_with_files.__module__}:{inventory_with_files.__name__}",
        options.home,
        snapshot,
        timeout_s=INVENTORY_TIMEOUT_S,
    )
    known = tuple(known)
    if not inventory.is_home and not known:
        raise NoHome(
            f"--mdm-home: {options.home} is no MDM home: it has neither mdm.yaml nor config/datasets, a log or a "
            "dataset; name the folder that MDM_HOME_DIR names"
        )
    there = {each.name for each in inventory.datasets}
    gone = [each for each in known if each.name not in there]
    remembered = tuple(remembered_dataset(inventory.home, each.name, each.backend, each.database) for each in gone)
    return Plan(options, inventory, snapshot, remembered, expected, seen)
