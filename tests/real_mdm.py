"""A real MDM, installed from the wheels that MDM_TEST_WHEELS names, or that are in `shared/mdm` beside the project.

Where they are not, or cannot be installed, the tests that need it are skipped. MDM_TEST_PYTHON names an interpreter
that has MDM already, which saves the time.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
_ALSO_NEEDED = ("setuptools", "psutil", "duckdb-engine")


@pytest.fixture(scope="session")
def real_mdm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a virtual environment with MDM 1.0.6."""
    given = os.environ.get("MDM_TEST_PYTHON")
    if given:
        return Path(given)
    wheels = _wheels()
    wheel = wheels / "mdm-1.0.6-py3-none-any.whl"
    if not wheel.is_file():
        pytest.skip(f"there is no {wheel}; MDM_TEST_WHEELS names the folder of MDM's wheels")
    folder = tmp_path_factory.mktemp("real-mdm")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    constraints = ("-c", wheels / "constraints.txt") if (wheels / "constraints.txt").is_file() else ()
    command = [python, "-m", "pip", "install", "-q", *constraints, wheel, *_ALSO_NEEDED]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"MDM cannot be installed here: {done.stderr.strip().splitlines()[-1:]}")
    return python


def _wheels() -> Path:
    given = os.environ.get("MDM_TEST_WHEELS")
    if given:
        return Path(given)
    places = [folder / "shared" / "mdm" for folder in ROOT.parents]
    return next((place for place in places if place.is_dir()), places[0])


def register(python: Path, home: Path, *words: str | Path) -> None:
    """Run `mdm dataset register` with these words in a home."""
    command = [python.parent / "mdm", "dataset", "register", *words]
    environ = {**os.environ, "MDM_HOME_DIR": str(home)}
    subprocess.run(command, env=environ, check=True, capture_output=True, cwd=home.parent, timeout=300)
