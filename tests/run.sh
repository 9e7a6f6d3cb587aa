#!/bin/sh
# Set up and run everything that has to hold: formatting, lint, types, import layers, tests. Options go to pytest.
set -eu
. "$(dirname "$0")/../scripts/environment.sh"
debian_packages postgresql postgresql-contrib pgbouncer # the servers that the tests start
debian_packages chromium fonts-dejavu-core # the browser that they open the report in
command -v npm >/dev/null || debian_packages npm # to fetch axe-core
in_environment "[test,lint]"

cd "$root"
"$python" -m ruff format --check .
"$python" -m ruff check .
"$python" -m mypy
"$root/.venv/bin/lint-imports"
"$python" -m pytest -n 2 "$@"

[ $# = 0 ] || exit 0 # somebody wants something else than all tests
in_environment "[test,fast]" .venv-fast # the extensions are for another DuckDB than the newest
"$python" -c "import duckdb
from pytest_mdm_health.integrity import scanners
assert all(scanners.load(duckdb.connect(), engine) for engine in ('sqlite', 'postgres')), 'the extensions do not load'"
"$python" -m pytest -n 2 tests/integrity
