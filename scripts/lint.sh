#!/bin/sh
# Formatting, lint, spelling, wording, types, import layers.
set -eu
. "$(dirname "$0")/../scripts/environment.sh"
in_environment "[test,lint]"

cd "$root"
"$python" -m ruff format --check .
"$python" -m ruff check .
"$root/.venv/bin/codespell"
"$root/.venv/bin/validate-pyproject" pyproject.toml
"$python" scripts/words.py
"$python" -m mypy
"$root/.venv/bin/lint-imports"
