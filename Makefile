# The five commands. Each does what it says from a fresh clone; CONTRIBUTING.md says when to use which.
.PHONY: help setup test full lint example

help: ## list the commands
	@sed -n 's/^\([a-z]*\):.*## /make \1\t/p' $(MAKEFILE_LIST)

setup: ## make .venv, with all that tests and lint need
	sh scripts/setup.sh

test: ## lint, and the fast tests
	sh tests/run.sh

full: test ## lint, and all tests
	sh tests/run.sh --full

lint: ## formatting, lint, spelling, wording, types, import layers
	sh scripts/lint.sh

example: ## examine the example home
	sh examples/run.sh
