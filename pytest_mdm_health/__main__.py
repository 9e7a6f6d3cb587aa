"""`python -m pytest_mdm_health`, the same as `mdm-health`: see `cli`."""

import sys

from pytest_mdm_health.cli import main

if __name__ == "__main__":
    sys.exit(main())
