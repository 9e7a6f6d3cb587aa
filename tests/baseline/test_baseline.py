"""The baseline file: recorded, read back, and refused when it is not what it has to be."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_mdm_health.baseline.file import Baseline, read
from pytest_mdm_health.core.errors import UnusableFile
from pytest_mdm_health.core.model import HOME, Kind, Status, Target
from tests.conftest import ARCHIVES
from tests.helpers import Health, MakeHome, run_health


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory, _unpack: Callable[[Path, Path], Path]) -> Path:
    """A healthy home that no test here changes."""
    return _unpack(ARCHIVES["mdm-1.0.6-sqlite"], tmp_path_factory.mktemp("healthy") / "home")


@pytest.fixture(scope="module")
def _recorded(healthy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("recorded") / "before.json"
    assert run_health(healthy, file.parent, f"--mdm-save-baseline={file}").returncode == 0
    return file


@pytest.fixture
def recorded(_recorded: Path, tmp_path: Path) -> Path:
    """Its baseline, free to damage."""
    return Path(shutil.copy(_recorded, tmp_path / "before.json"))


def test_it_has_all_results_with_their_facts(recorded: Path) -> None:
    baseline = read(recorded)
    assert {each.name for each in baseline.datasets} == {"big", "breast_cancer", "shop", "wine"}
    assert {each.backend for each in baseline.datasets} == {"sqlite"}
    facts = baseline.facts_of("config-not-loading", HOME)
    assert facts is not None
    assert facts["examined"]
    assert baseline.facts_of("data-corruption", Target(Kind.DATASET, "shop")) is not None


def test_what_was_not_examined_then_is_not_known(recorded: Path) -> None:
    baseline = read(recorded)
    skipped = next(each for each in baseline.results if each.status is Status.SKIP)
    assert baseline.facts_of(skipped.check.id, skipped.target) is None
    assert baseline.facts_of("data-corruption", Target(Kind.DATASET, "nobody")) is None
    assert Baseline().facts_of("config-not-loading", HOME) is None


def test_the_same_home_gives_the_same_results_again(healthy: Path, recorded: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.json"
    assert run_health(healthy, tmp_path, f"--mdm-save-baseline={again}").returncode == 0
    runs = [json.loads(file.read_text())["content"] for file in (recorded, again)]
    for content in runs:
        content["run"]["started_at"] = content["run"]["duration_s"] = None
        for result in content["run"]["results"]:
            result["duration_s"] = None
            result["findings"] = None  # what the machine does meanwhile
        content["facts"] = None  # likewise
    assert runs[0] == runs[1]


@pytest.mark.parametrize("at", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_half_of_one_is_refused(recorded: Path, at: float) -> None:
    whole = recorded.read_bytes()
    recorded.write_bytes(whole[: int(len(whole) * at)])
    with pytest.raises(UnusableFile, match="is damaged"):
        read(recorded)


def test_no_altered_byte_goes_unnoticed(recorded: Path) -> None:
    whole, chance = recorded.read_bytes(), random.Random(7)  # noqa: S311 - which bytes, no secret
    unaltered = read(recorded)
    for _ in range(300):
        place = chance.randrange(len(whole))
        recorded.write_bytes(whole[:place] + bytes([chance.randrange(256)]) + whole[place + 1 :])
        try:
            assert read(recorded) == unaltered  # a blank for a line break, or the byte that was there
        except UnusableFile:
            continue


def test_a_changed_fact_is_refused(recorded: Path) -> None:
    data = json.loads(recorded.read_text())
    data["content"]["run"]["results"][0]["examined"] += 1
    recorded.write_text(json.dumps(data))
    with pytest.raises(UnusableFile, match="its content does not match its checksum"):
        read(recorded)


NO_BASELINES = {
    "nothing": (b"", "it is empty"),
    "no JSON": (b"\x00\xff", "it is not valid JSON"),
    "deep": (b"[" * 100_000, "it is not valid JSON"),
    "a list": (b"[]", "is no baseline"),
    "results": (b'{"schema": "mdm-health/2"}', "no facts to compare with: record a baseline with --mdm-save-baseline"),
    "earlier results": (b'{"schema": "mdm-health/1"}', "no facts to compare with"),
    "a later one": (
        b'{"schema": "mdm-health-baseline/3"}',
        "is of the schema 'mdm-health-baseline/3'; mdm-health-base",
    ),
    "an empty one": (b'{"schema": "mdm-health-baseline/2", "content": {}}', "does not match its checksum"),
}


@pytest.mark.parametrize("name", NO_BASELINES)
def test_what_is_no_baseline_is_refused(tmp_path: Path, name: str) -> None:
    content, why = NO_BASELINES[name]
    file = tmp_path / "before.json"
    file.write_bytes(content)
    with pytest.raises(UnusableFile, match=why):
        read(file)


@pytest.mark.parametrize("kind", ["missing", "folder", "fifo"])
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "before.json"
    if kind == "folder":
        file.mkdir()
    elif kind == "fifo":
        os.mkfifo(file)
    with pytest.raises(UnusableFile, match=str(file)):
        read(file)


def test_an_unusable_baseline_is_one_line_and_its_own_exit_code(health: Health, tmp_path: Path) -> None:
    result = health(f"--mdm-baseline={tmp_path / 'none.json'}")
    assert result.ret == 12
    assert "none.json does not exist" in "\n".join([*result.outlines, *result.errlines])
    assert "Traceback" not in result.stdout.str() + result.stderr.str()


def test_results_of_a_run_are_refused_as_a_baseline_in_one_line(health: Health, tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    assert health("--mdm-select=config-not-loading", f"--mdm-json={results}").ret == 0
    result = health(f"--mdm-baseline={results}")
    assert result.ret == 12
    (said,) = [line for line in (*result.outlines, *result.errlines) if "--mdm-baseline" in line]
    assert "results.json has the results of a run (mdm-health/2), and no facts to compare with" in said


def in_version_1(content: dict[str, Any]) -> dict[str, Any]:
    """The content of a baseline as version 1 had it: facts in the results, and what reports do not show beside them."""
    run = {**content["run"], "schema": "mdm-health/1"}
    del run["not_run"]
    tables = [
        {key: value for key, value in facts.items() if key not in {"known", "digests"}} for facts in content["facts"]
    ]
    more = [{key: value for key, value in facts.items() if key in {"known", "digests"}} for facts in content["facts"]]
    run["results"] = [
        {**result, "attempts": 1, "facts": facts} for result, facts in zip(run["results"], tables, strict=True)
    ]
    without_facts = {name: value for name, value in content.items() if name != "facts"}
    return {**without_facts, "run": run, "kept": more}


def test_a_baseline_of_version_1_says_the_same(recorded: Path) -> None:
    now = read(recorded)
    content = in_version_1(json.loads(recorded.read_text())["content"])
    checksum = hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    document = {"schema": "mdm-health-baseline/1", "sha256": checksum, "content": content}
    recorded.write_text(json.dumps(document))
    assert read(recorded) == now


def test_a_baseline_of_another_home_is_refused(health: Health, recorded: Path, make_home: MakeHome) -> None:
    other = make_home(folder="other")
    for name in ("big", "breast_cancer", "shop", "wine"):
        (other / "config" / "datasets" / f"{name}.yaml").unlink()
        (other / "datasets" / name).rename(other / "datasets" / f"other_{name}")
    result = health(f"--mdm-home={other}", f"--mdm-baseline={recorded}")
    assert result.ret == 12
    assert "has no dataset in common with this home" in "\n".join([*result.outlines, *result.errlines])


WRITER = """
import sys
from pathlib import Path
from pytest_mdm_health.reports import write_whole
path, whole = Path(sys.argv[1]), Path(sys.argv[2]).read_text()
print("ready", flush=True)
while True:
    write_whole(path, whole)
"""


def test_a_writer_that_is_killed_leaves_no_half_of_a_file(recorded: Path, tmp_path: Path) -> None:
    whole = recorded.read_text().replace("\n", " " * 3_000_000 + "\n")  # large enough to be caught in the middle
    source, target, chance = tmp_path / "source.json", tmp_path / "target.json", random.Random(5)  # noqa: S311 - when to kill, no secret
    source.write_text(whole)
    seen = 0
    for attempt in range(12):
        command = [sys.executable, "-c", WRITER, str(target), str(source)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            time.sleep(chance.random() / 20 * (1 + attempt))  # later and later, so that a slow machine writes one too
            process.send_signal(signal.SIGKILL)
        if target.exists():
            seen += 1
            assert read(target).datasets
    assert seen
