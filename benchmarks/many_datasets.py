"""Whether time per dataset stays the same as datasets become many, and what memory the main process takes.

Homes of 100 and 1,000 SQLite datasets are made by copying one of the example home.
usage: python benchmarks/many_datasets.py [pytest options]
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent


def multiply(home: Path, count: int) -> None:
    """Leave `count` copies of the dataset `wine` in the home, and nothing else."""
    original = home / "datasets" / "wine"
    text = (home / "config" / "datasets" / "wine.yaml").read_text(encoding="utf-8")
    twin = (original / "dataset_info.json").read_text(encoding="utf-8")
    for each in ("big", "breast_cancer", "shop"):
        shutil.rmtree(home / "datasets" / each)
        (home / "config" / "datasets" / f"{each}.yaml").unlink()
    for number in range(count):
        name = f"wine_{number:04}"
        folder = home / "datasets" / name
        (folder / "metadata").mkdir(parents=True)
        shutil.copy(original / "wine.sqlite", folder / f"{name}.sqlite")
        paths = (f"{original}/wine.sqlite", f"{folder}/{name}.sqlite")
        (folder / "dataset_info.json").write_text(twin.replace(*paths).replace('"name": "wine"', f'"name": "{name}"'))
        registered = text.replace(*paths).replace("name: wine\n", f"name: {name}\n", 1)
        (home / "config" / "datasets" / f"{name}.yaml").write_text(registered, encoding="utf-8")
    shutil.rmtree(original)
    (home / "config" / "datasets" / "wine.yaml").unlink()


def measure(count: int, options: list[str]) -> tuple[float, float]:
    """Seconds and peak megabytes of the main process for one run on `count` datasets."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        archive = ROOT / "examples" / "mdm-1.0.6-sqlite.tar.gz"
        subprocess.run(
            [sys.executable, ROOT / "examples" / "unpack.py", archive, home], check=True, capture_output=True
        )
        multiply(home, count)
        command = [sys.executable, "-c", RUN, "--mdm-health", "--mdm-home", str(home), "-q", *options]
        started = time.perf_counter()
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - started
    print(done.stdout[-400:])
    return seconds, float(done.stderr.rpartition("PEAK ")[2])


RUN = """
import resource, sys, pytest
code = pytest.main(sys.argv[1:])
print("PEAK", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, file=sys.stderr)
raise SystemExit(code)
"""


def main(options: list[str]) -> None:
    """Print both, and the ratio of the times per dataset."""
    few, many = 100, 1000
    times = {}
    for count in (few, many):
        seconds, megabytes = measure(count, options)
        times[count] = seconds / count
        print(f"{count} datasets: {seconds:.2f} s, {1000 * times[count]:.1f} ms each, main process {megabytes:.0f} MB")
    print(f"time per dataset at {many} against {few}: {times[many] / times[few]:.2f}")


if __name__ == "__main__":
    main(sys.argv[1:])
