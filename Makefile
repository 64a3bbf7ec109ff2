# `make train` trains an agent and measures it; `make test` checks everything.
# Each target sets the machine up first, which takes no time when nothing has changed.

BIN := .venv/bin
PRESET ?= quickstart
BENCH ?= env

.DEFAULT_GOAL := help
.PHONY: help setup train test test-all bench lint format

help: ## Show these targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | \
		awk -F ':.*## ' '{ printf "  make %-10s %s\n", $$1, $$2 }'

setup: ## Make .venv with every package and a Chromium
	@scripts/setup

train: setup ## Train an agent on the quickstart preset (PRESET=…) and write its report
	@$(BIN)/webdojo train $(PRESET)

test: lint ## Lint, type-check and run the tests, a process for each core
	$(BIN)/python -m pytest -n logical --maxprocesses 8 --dist loadfile --no-loadscope-reorder
	@echo "make test: everything passed."

test-all: lint ## The same with the slow tests; JUnit XML in build/test-all.xml
	@mkdir -p build
	$(BIN)/python -m pytest -m "" --junitxml=build/test-all.xml
	@echo "make test-all: everything passed; results in build/test-all.xml."

bench: setup ## Measure a part (BENCH=env)
	@$(BIN)/webdojo bench $(BENCH)

lint: setup ## Ruff and mypy, changing nothing
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: setup ## Let ruff mend what it can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
