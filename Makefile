# Two commands do everything on a fresh machine: `make demo` and `make test`. Both set up what they need.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
STACK ?= embedded
SCALE ?= demo
PROVIDER ?= stripe
EVENT ?= charge.dispute.created
JOBS ?= 2

.DEFAULT_GOAL := help
.PHONY: help setup demo dev send test check bench providers pins clean

help: ## This list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.ready ## A virtual environment with everything in requirements.txt

$(VENV)/.ready: requirements.txt $(wildcard functions/*/requirements.txt)
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Pay-In needs Python 3.11 or newer: make PYTHON=python3.13 ...")'
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check --requirement requirements.txt
	@touch $@

demo: setup ## Weeks of simulated traffic through the real functions, with a summary and a picture (STACK=embedded|emulators SCALE=demo|short PROVIDERS=all|stripe,adyen)
	$(PY) -m tests.stack.demo --stack $(STACK) --scale $(SCALE) $(if $(PROVIDERS),--providers $(PROVIDERS))

dev: setup ## Every function running locally, with URLs to curl (STACK=embedded|emulators)
	$(PY) -m tests.stack.dev --stack $(STACK)

send: setup ## Sign and post one event to a running `make dev` (PROVIDER=stripe EVENT=charge.dispute.created)
	$(PY) -m tests.stack.send --provider $(PROVIDER) --event $(EVENT)

test: setup ## Every test; what is skipped lacks a server or a data set, and says which (CI skips nothing)
	$(PY) -m pytest -n $(JOBS) --dist loadgroup

check: setup ## Format, lint, types, import contract, then every test
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(MAKE) test

bench: setup ## Speed, each figure as a ratio to a baseline measured in the same run
	$(PY) -m tests.benchmarks

providers: setup ## What each provider's adapter verifies and follows, as a table
	$(PY) -m tests.providers.table

pins: setup ## Complete every function's requirements.txt with the versions installed here
	$(PY) -m tests.functions.pins

clean: ## Remove the virtual environments and everything the local stack wrote
	rm -rf $(VENV) .venv-* .payin .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

include terraform/deploy.mk
