"""Commands in the terminal can be copied, whatever a dataset is called."""

from __future__ import annotations

import shlex

from pytest_mdm_health.model import Check, Kind, Result, Status, Target
from pytest_mdm_health.reports.terminal import describe


def test_the_command_after_an_error_is_quoted_whatever_the_dataset_is_called() -> None:
    check = Check(id="data-corruption", issue="5.1", title="Data", per=Kind.DATASET)
    result = Result(check=check, target=Target(Kind.DATASET, "bob's $(id)"), status=Status.ERROR, reason="too slow")
    (command,) = [line for line in describe(result).splitlines() if line.startswith("    $ ")]
    node_id = "mdm-health::data-corruption[bob's $(id)]"
    assert shlex.split(command.strip().removeprefix("$ ")) == ["pytest", node_id, "--mdm-timeout", "600"]
