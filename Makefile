# Two words matter: `make run` shows the system at work, `make test` proves it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
.DEFAULT_GOAL := help

help: ## Show what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/.installed: requirements.lock pyproject.toml
	@echo "Setting up $(VENV): a few minutes the first time"
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "perf-alerts needs Python 3.11 or newer; set PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	$(BIN)/python -m compileall -q $(VENV)/lib perf_alerts_dagster || true
	touch $@

install: $(VENV)/.installed ## Build the environment in .venv

run: install ## Start the whole stack over the bundled sample record; stop with Ctrl-C
	exec $(BIN)/perf-alerts up

check: install ## Format, lint, types and import floors
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check ## Everything CI runs, in under ten minutes
	$(BIN)/pytest -n 2 --dist loadgroup -m "not long"

test-long: install ## Crash, fuzz and soak loops
	$(BIN)/pytest -m long

bench: install ## Benchmarks: ratios against a named peer, in one run
	for one in benchmarks/*.py; do $(BIN)/python $$one || exit 1; done

COMPILED := --universal --python-version 3.11 --generate-hashes --no-header --no-annotate

lock: install ## Pin the newest allowed versions: requirements.lock, and deploy/'s without dev (needs uv)
	uv pip compile $(COMPILED) --extra dev --extra build pyproject.toml -o requirements.lock
	uv pip compile $(COMPILED) --extra build --constraints requirements.lock pyproject.toml -o deploy/requirements.lock

.PHONY: help install run check test test-long bench lock
