#!/bin/sh
# Set up, then run what has to hold. CONTRIBUTING.md says what is in which tier.
#
#   sh tests/run.sh              lint, and the fast tests
#   sh tests/run.sh --full       the rest: slow tests, and property tests with many examples
#   sh tests/run.sh OPTION ...   lint, and pytest with these options, slow tests included
set -eu
. "$(dirname "$0")/../scripts/setup.sh"

# One worker more than there are processors: many tests wait for a lock, a timer or a server.
workers=$("$python" -c 'import os; print((os.cpu_count() or 1) + 1)')

run_tests() {
    "$python" -m pytest -n "$workers" --dist worksteal --durations=10 "$@"
}

cd "$root"
if [ "${1:-}" = --full ]; then
    shift
    run_tests -m "slow or hypothesis" --hypothesis-profile=full "$@"
    exit
fi

sh scripts/lint.sh
if [ $# = 0 ]; then
    run_tests -m "not slow"
else
    run_tests "$@"
fi
