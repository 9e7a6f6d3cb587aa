"""What the plugin costs pytest runs that do not ask for it: start-up with it and without, in one run, as a ratio.

usage: python benchmarks/plain_pytest.py [ROUNDS]
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time


def seconds(folder: str, *more: str) -> float:
    """Wall time of one `pytest` in an empty folder."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *more]
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, check=False)
    return time.perf_counter() - started


def main(rounds: int) -> None:
    """Take turns, so that whatever else the machine does meets both."""
    with_plugin, without = [], []
    with tempfile.TemporaryDirectory() as folder:
        seconds(folder)
        for _ in range(rounds):
            with_plugin.append(seconds(folder))
            without.append(seconds(folder, "-p", "no:mdm-health"))
    ours, theirs = statistics.median(with_plugin), statistics.median(without)
    print(f"pytest without the plugin {theirs * 1000:.1f} ms, with it {ours * 1000:.1f} ms")
    print(f"difference {1000 * (ours - theirs):+.1f} ms, ratio {ours / theirs:.3f} (median of {rounds})")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 30)
