"""The examples of docs/ci.md are YAML, and their commands do what the page says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from tests.helpers import own_environment

PAGE = Path(__file__).parent.parent / "docs" / "ci.md"
TEXT = PAGE.read_text(encoding="utf-8")
OURS = ("pytest ", "mdm-health ")
HOUR = 3600


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)


def texts_in(data: object) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    for each in data.values() if isinstance(data, dict) else data if isinstance(data, list) else ():
        yield from texts_in(each)


def commands_in(texts: Iterator[str]) -> list[str]:
    return [line for text in texts for line in text.splitlines() if line.startswith(OURS)]


GITHUB, GITLAB = (yaml.safe_load(block) for block in blocks("yaml"))
PIPELINES = [pytest.param(GITHUB, id="github"), pytest.param(GITLAB, id="gitlab", marks=pytest.mark.slow)]
VARIATIONS = commands_in(iter(blocks("sh")))

Run = Callable[[str], "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(home: Path, tmp_path: Path) -> Run:
    """Run a command of the page as a pipeline would, with a home that has just been backed up."""
    old = time.time() - 5 * HOUR
    for path in home.rglob("*"):
        os.utime(path, (old, old))
    log = home / "logs" / "mdm.log"  # without the error that MDM swallowed: the gates fail on warnings
    lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
    log.write_text("".join(line for line in lines if "column 'signup'" not in line), encoding="utf-8")
    (home / "backup").mkdir()
    archive = home / "backup" / "mdm_backup_1.tar.gz"
    subprocess.run(["tar", "-C", str(home), "--exclude=./backup", "-czf", str(archive), "."], check=True)
    programs = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    environ = own_environment(PATH=programs, MDM_HOME_DIR=str(home))
    (tmp_path / "job").mkdir()

    def start(command: str) -> subprocess.CompletedProcess[str]:
        line = ["sh", "-c", command]
        return subprocess.run(line, cwd=tmp_path / "job", env=environ, capture_output=True, text=True, check=False)

    return start


def test_the_page_has_commands_for_both_and_variations() -> None:
    assert [len(commands_in(texts_in(each))) for each in (GITHUB, GITLAB)] == [2, 2]
    assert len(VARIATIONS) == 4


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_a_healthy_home_passes_both_gates_and_leaves_artifacts(run: Run, tmp_path: Path, pipeline: object) -> None:
    for command in commands_in(texts_in(pipeline)):
        done = run(command)
        assert done.returncode == 0, done.stdout
    files = {path.name for path in (tmp_path / "job").iterdir()}
    assert files >= {"before.json", "before.html", "before.xml", "after.json", "after.html", "after.xml"}


@pytest.mark.parametrize("pipeline", PIPELINES)
@pytest.mark.slow
def test_a_migration_that_loses_data_stops_at_the_second_gate(run: Run, home: Path, pipeline: object) -> None:
    before, after = commands_in(texts_in(pipeline))
    assert run(before).returncode == 0
    (home / "datasets" / "wine" / "wine.sqlite").unlink()
    done = run(after)
    assert done.returncode == 1
    assert "FAIL metadata-corruption.missing-data [wine] (new)" in done.stdout


@pytest.mark.slow
def test_the_variations_do_what_they_say(run: Run, home: Path) -> None:
    (home / "config" / "datasets" / "shop.yaml").write_text("name: [unclosed\n", encoding="utf-8")
    assert run("pytest --mdm-health --mdm-save-baseline=before.json").returncode == 1
    regression, tonight, report, compare = VARIATIONS
    assert run(regression).returncode == 0
    assert run(tonight).returncode == 1
    assert run(report).returncode == 0
    assert run(compare).returncode == 0


def test_gitlab_lets_the_code_for_warnings_pass() -> None:
    assert GITLAB[".gate"]["allow_failure"] == {"exit_codes": [10]}
    gates = [job for job in GITLAB.values() if isinstance(job, dict) and job.get("extends") == ".gate"]
    assert len(gates) == 2
    assert all("--mdm-fail-on=warn" in job["script"][0] for job in gates)


def test_the_stages_come_one_after_the_other() -> None:
    assert GITLAB["stages"] == [GITLAB[job]["stage"] for job in ("gate before", "migrate", "gate after")]
    names = [step.get("name") for step in GITHUB["jobs"]["migrate"]["steps"]]
    assert names[2:] == ["Back up", "Gate before", "Migrate", "Gate after", "Keep the reports"]


def test_every_exit_code_is_told() -> None:
    told = re.findall(r"^\| (\d+)", TEXT, flags=re.MULTILINE)
    assert {int(code) for code in told} == {0, 1, 2, 10, 11, 12}
