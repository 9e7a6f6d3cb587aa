"""The verbs, one module each; `step_of` makes the step that a call means."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from pytest_mdm_health.core.verbs import Repair
from pytest_mdm_health.mdm.home import Home
from pytest_mdm_health.repair.step import FileStep, ServerStep


def step_of(repair: Repair, home: Home) -> FileStep | ServerStep:
    """The step that a call means on this home; its premise is checked when it is outlined.

    Raises:
        NotDone: its words make no sense.
    """
    module = import_module(f"{__name__}.{repair.verb.replace('-', '_')}")
    return cast("FileStep | ServerStep", module.step(repair, home))
