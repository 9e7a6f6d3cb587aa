"""What can be done without pytest: `python -m pytest_mdm_health docs` prints the documentation of the checks."""

from __future__ import annotations

import sys

from pytest_mdm_health import documentation


def main(arguments: list[str]) -> int:
    """Do what the arguments say; return the exit code."""
    if arguments != ["docs"]:
        print("usage: python -m pytest_mdm_health docs", file=sys.stderr)  # noqa: T201 - a command line
        return 4
    print(documentation.page(), end="")  # noqa: T201 - what was asked for
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
