#!/bin/sh
# Set up and run everything that has to hold: formatting, lint, types, import layers, tests. Options go to pytest.
set -eu
. "$(dirname "$0")/../scripts/environment.sh"
debian_packages postgresql postgresql-contrib pgbouncer # the servers that the tests start
in_environment "[test,lint]"

cd "$root"
"$PYTHON" -m ruff format --check .
"$PYTHON" -m ruff check .
"$PYTHON" -m mypy
"$root/.venv/bin/lint-imports"
"$PYTHON" -m pytest -n 2 "$@"
