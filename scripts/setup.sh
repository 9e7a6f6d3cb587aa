#!/bin/sh
# Make .venv with all that tests and lint need.
set -eu
. "$(dirname "$0")/../scripts/environment.sh"
debian_packages postgresql postgresql-contrib pgbouncer # the servers that the tests start
debian_packages chromium fonts-dejavu-core # the browser that they open the report in
command -v npm >/dev/null || debian_packages npm # to fetch axe-core
in_environment "[test,lint]"
