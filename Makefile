# Two words matter: `make run` shows the system at work, `make test` proves it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Not isolated, or a package without a wheel would be built by tools that no lock holds.
PIP_LOCKED = $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --require-hashes
.DEFAULT_GOAL := help

help: ## Show what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/.installed: requirements.lock deploy/build.lock pyproject.toml
	@echo "Setting up $(VENV): a few minutes the first time"
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "perf-alerts needs Python 3.11 or newer; set PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(PIP_LOCKED) -r deploy/build.lock
	$(PIP_LOCKED) -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	$(BIN)/python -m compileall -q $(VENV)/lib perf_alerts_dagster || true
	touch $@

# Compiled code depends on the CPU: it is made here, once. Without it the first runs compile.
$(VENV)/.compiled: $(VENV)/.installed $(wildcard $(addprefix perf_alerts_dagster/,projections/*.py projections/*/*.py statistics/*.py))
	@$(BIN)/python -m perf_alerts_dagster.projections && touch $@ || true

install: $(VENV)/.installed $(VENV)/.compiled ## Build the environment in .venv

run: install ## Start the whole stack over the bundled sample record; stop with Ctrl-C
	exec $(BIN)/perf-alerts up

# Rooms without a clock, a process, a network or a database; their stores and sources are left out.
PURE := $(addprefix perf_alerts_tests/,statistics judging incidents records settings)
IMPURE := $(addprefix --ignore=perf_alerts_tests/,judging/store incidents/store records/sources)

fast: install ## The pure tests, in half a minute: statistics, records, judging, incidents, settings
	$(BIN)/pytest -n 2 -q -m "not slow and not long and not e2e" $(IMPURE) $(PURE)

check: install ## Format, lint, types and import floors
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

$(VENV)/.deploy-tools: deploy/tools.lock $(VENV)/.installed
	$(PIP_LOCKED) -r deploy/tools.lock
	touch $@

# Three on two cores: real processes are waited for most of the time.
WORKERS ?= 3
PYTEST := $(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder
IN_FULL := judging incidents notifications
# The rooms and files whose tests reach every branch of those.
COVERING := $(IN_FULL) api executions/test_shadow_incidents.py pages/test_incidents.py
comma := ,
empty :=
FULL := $(BIN)/coverage report --fail-under=100 --include="$(subst $(empty) $(empty),$(comma),$(IN_FULL:%=perf_alerts_dagster/%/*))"

# Each test runs once. A tracer that is switched on and off beside threads fails now and then, so
# the tests that are counted run by themselves.
test: export COVERING := $(if $(COVERED),$(COVERING))
test: check $(VENV)/.deploy-tools ## All tests but the long ones; 15 minutes are the aim (COVERED=1: and every branch of judging, incidents, notifications)
	$(PYTEST) -m "not long and not covering"
	$(if $(COVERED),$(PYTEST) -m covering --cov --cov-report= $(addprefix perf_alerts_tests/,$(COVERING)))
	$(if $(COVERED),$(FULL))

test-long: install ## Crash, fuzz and soak loops, and other examples of each property
	$(BIN)/pytest -m long
	$(BIN)/pytest -m "hypothesis and not long and not e2e" --hypothesis-profile=others

coverage: install ## Branches that the tests of this process reach: all of judging, incidents, notifications
	$(PYTEST) -q -m "not slow and not long and not e2e" --cov --cov-report=
	$(BIN)/coverage report --fail-under=94
	$(FULL)

$(VENV)/.mutation: mutation.lock $(VENV)/.installed
	$(PIP_LOCKED) -r mutation.lock
	touch $@

mutate: $(VENV)/.mutation ## Mutants of judging and incidents: 90 % must die (ONLY="perf_alerts_dagster.judging.limits*": of some)
	$(BIN)/mutmut run --max-children 2 $(if $(ONLY),"$(ONLY)")
	$(BIN)/mutmut export-cicd-stats
	$(BIN)/python .ci/mutation_score.py mutants/mutmut-cicd-stats.json --minimum 90 $(if $(ONLY),--partial)

bench: install ## Benchmarks: ratios against a named peer, in one run
	for script in benchmarks/*.py; do $(BIN)/python $$script || exit 1; done

pictures: install ## The pictures of README.md and docs/ui.md, from the sample, in Debian's Chromium
	$(BIN)/python docs/pictures.py

SBOM := dist/perf-alerts.cdx.json

sbom: $(VENV)/.deploy-tools ## The bill of materials of what the image and the service install: CycloneDX, from the lock
	mkdir -p dist
	$(BIN)/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible -o $(SBOM) deploy/requirements.lock

audit: $(VENV)/.deploy-tools ## Known vulnerabilities of the same packages; fails as well where the network allows no audit
	$(BIN)/pip-audit --strict --disable-pip --require-hashes -r deploy/requirements.lock

COMPILED := --universal --python-version 3.11 --generate-hashes --no-header --no-annotate

lock: install ## Pin what is allowed and not pinned yet: each lock; the runtime's has neither dev nor build tools (needs uv)
	uv pip compile $(COMPILED) --extra dev --group pyproject.toml:build pyproject.toml -o requirements.lock
	uv pip compile $(COMPILED) --constraints requirements.lock pyproject.toml -o deploy/requirements.lock
	uv pip compile $(COMPILED) --group pyproject.toml:build --constraints requirements.lock -o deploy/build.lock
	uv pip compile $(COMPILED) --group pyproject.toml:deploy --constraints requirements.lock -o deploy/tools.lock
	uv pip compile $(COMPILED) --group pyproject.toml:mutation --constraints requirements.lock -o mutation.lock

.PHONY: help install run fast check test test-long coverage mutate bench pictures sbom audit lock
