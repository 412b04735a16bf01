# Every target works from a clean clone with only python3 (3.10 or newer) and make: what is missing is set up first.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.set-up

.DEFAULT_GOAL := help
.PHONY: help setup demo check test soak mutants bench fmt clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## create .venv with all that the targets below need

$(STAMP): pyproject.toml constraints.txt scripts/setup.sh scripts/system-packages.sh
	@PYTHON='$(PYTHON)' scripts/setup.sh $(VENV)
	@touch $@

demo: $(STAMP) ## train a small model, kill it in several ways, compare with an undisturbed run
	@$(BIN)/outlast demo

check: $(STAMP) ## format, lint, types, floors, house, unit, contract, short simulation (under a minute)
	@$(BIN)/python scripts/check.py

test: check ## check, then its slower tests, the model, crash and live tests (under 20 minutes on two cores)
	@$(BIN)/python scripts/pytests.py unit simulate contract -- -m 'slow and not soak and not alone' -n 2
	@$(BIN)/python scripts/pytests.py unit -- -m alone
	@$(BIN)/python scripts/pytests.py model crash live -- -m 'not soak'

soak: $(STAMP) ## the long simulations, crash and live tests
	@$(BIN)/python scripts/pytests.py unit contract simulate model crash live -- -m soak

mutants: $(STAMP) ## plant every known bug and show that a test turns red
	@$(BIN)/python -m tests.mutants

bench: $(STAMP) ## measure what benchmarks/README.md lists
	@$(BIN)/python -m benchmarks

fmt: $(STAMP) ## format, repair what the linter can, renew the pages that are made from code
	@$(BIN)/ruff check --quiet --fix --exit-zero .
	@$(BIN)/ruff format --quiet .
	@$(BIN)/python scripts/reference.py
	@$(BIN)/python scripts/scenarios.py

clean: ## remove everything that the targets made
	rm -rf $(VENV) build dist mutants .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
