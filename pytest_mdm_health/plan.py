"""What a run examines: the options, what the home holds, and so the targets of every check.

It is made once, on the controller, and travels to the workers as it is, so that all of them collect the same.
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from pytest_mdm_health.backends import Backend
from pytest_mdm_health.mdm.interpreter import Installation, find_interpreter, probe
from pytest_mdm_health.mdm.inventory import Dataset, Inventory, take_inventory
from pytest_mdm_health.model import HOME, Check, Depth, Kind, Target
from pytest_mdm_health.options import Options
from pytest_mdm_health.sandbox import Sandbox

INVENTORY_TIMEOUT_S = 120.0
SHARED = ("mdm_home", "mdm_config", "mdm_inventory", "mdm_installation", "mdm_options", "mdm_environ")
"""The fixtures that are the same for every target."""


@dataclass
class Plan:
    """What a run examines.

    Attributes:
        options: what the user asked for.
        inventory: what the home holds.
        environ: the environment as it was at the start.
    """

    options: Options
    inventory: Inventory
    environ: Mapping[str, str]
    _datasets: dict[str, Dataset] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        globs = self.options.dataset or ("*",)
        chosen = (
            each for each in self.inventory.datasets if any(fnmatch.fnmatchcase(each.name, glob) for glob in globs)
        )
        self._datasets = {each.name: each for each in chosen}

    def targets(self, check: Check) -> tuple[Target, ...]:
        """What the check is run on, sorted by name."""
        if check.per is Kind.HOME:
            return (HOME,)
        return tuple(Target(Kind.DATASET, each.name) for each in self.datasets) if check.per is Kind.DATASET else ()

    def why_not(self, check: Check, target: Target) -> str:
        """Why the check has nothing to say about this target; empty when it has."""
        if list(Depth).index(check.depth) > list(Depth).index(Depth(self.options.depth)):
            return f"needs --mdm-depth={check.depth.value}"
        if target.kind is not Kind.DATASET or not check.backends:
            return ""
        backend = self._datasets[target.name].backend
        ours = " and ".join(check.backends)
        return (
            ""
            if backend in check.backends
            else f"applies to {ours} datasets; this one is on {backend or 'an unknown backend'}"
        )

    def handle(self, fixture: str, target: Target) -> object:
        """What the fixture of this name hands to a check on this target: a small description, nothing opened."""
        handles = {
            "mdm_options": lambda: self.options,
            "mdm_environ": lambda: self.environ,
            "mdm_inventory": lambda: self.inventory,
            "mdm_home": lambda: self.inventory.home,
            "mdm_config": lambda: self.inventory.settings,
            "mdm_installation": lambda: self.installation,
            "mdm_dataset": lambda: self._datasets[target.name],
            "mdm_backend": lambda: backend_of(self._datasets[target.name]),
        }
        return handles[fixture]()

    @property
    def datasets(self) -> tuple[Dataset, ...]:
        """The datasets that are examined, sorted by name."""
        return tuple(self._datasets[name] for name in sorted(self._datasets))

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
        if self.interpreter is None:
            return None
        return probe(self.interpreter, self.options.home, self.options.timeout)


def backend_of(dataset: Dataset) -> Backend | None:
    """The handle for the dataset's data; None when it is not known what or where it is."""
    if dataset.backend not in {"sqlite", "duckdb"} or dataset.database is None:
        return None
    return Backend(dataset.backend, dataset.database)


def make_plan(options: Options, sandbox: Sandbox, environ: Mapping[str, str] = os.environ) -> Plan:
    """Take stock of the home, in the sandbox because its files may be anything.

    Raises:
        SandboxError: it could not be done, and why.
    """
    snapshot = {name: value for name, value in environ.items() if name.startswith("MDM_")}
    inventory = sandbox.call(
        f"{take_inventory.__module__}:{take_inventory.__name__}", options.home, snapshot, timeout_s=INVENTORY_TIMEOUT_S
    )
    return Plan(options, inventory, snapshot)
