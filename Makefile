# Two commands do everything on a fresh machine: `make demo` and `make test`. Both set up what they need.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
STACK ?= embedded
STACK_SET = $(if $(filter emulators,$(STACK)),.emulators,.run)
SCALE ?= demo
PROVIDER ?= stripe
EVENT ?= charge.dispute.created
JOBS ?= 2

.DEFAULT_GOAL := help
.PHONY: help setup demo dev send console ops test check mutate bench providers contracts pins clean

help: ## This list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.check ## What development needs; every other target installs what it needs itself

# One virtual environment, and a stamp for each set of packages that is in it.
$(VENV)/bin/pip:
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Pay-In needs Python 3.11 or newer: make PYTHON=python3.13 ...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: NEEDS = requirements.txt
$(VENV)/.run: SIZE = 400 MB: scikit-learn with scipy and numpy, which train the model, 205; matplotlib, which draws the picture, 76; duckdb, the local warehouse, 58
$(VENV)/.emulators: NEEDS = tests/stack/requirements.txt
$(VENV)/.emulators: SIZE = 40 MB more: the clients of Firestore and BigQuery
$(VENV)/.ops: NEEDS = shared/cli/requirements.txt
$(VENV)/.ops: SIZE = 30 MB more: typer, and the client of BigQuery
$(VENV)/.deploy: NEEDS = terraform/requirements.txt
$(VENV)/.deploy: SIZE = 20 MB more: grpc, for a stand-in of the google provider
$(VENV)/.test: NEEDS = tests/requirements.txt
$(VENV)/.test: SIZE = 150 MB more: mostly the libraries of the providers, to which adapters are held
$(VENV)/.check: NEEDS = tests/checks.txt
$(VENV)/.check: SIZE = 80 MB more: mypy and ruff
$(VENV)/.mutate: NEEDS = tests/mutation.txt
$(VENV)/.mutate: SIZE = 60 MB more: mutmut
$(VENV)/.bench: NEEDS = tests/benchmarks/requirements.txt
$(VENV)/.bench: SIZE = 150 MB more: pyarrow, which reads public data sets
# Modules are compiled when they are first imported, and not all of them now: that is a fifth less to wait for and to keep.
STAMPS := $(addprefix $(VENV)/.,run emulators ops deploy test check mutate bench)
$(STAMPS): requirements.txt tests/requirements.txt tests/checks.txt tests/mutation.txt $(wildcard */*/requirements.txt) terraform/requirements.txt | $(VENV)/bin/pip
	@printf '%s\n' "installing $(NEEDS) into $(VENV): about $(SIZE)"
	$(PY) -m pip install --no-compile --disable-pip-version-check $(if $(CI),--quiet) --requirement $(NEEDS)
	@touch $@

demo: $(VENV)/$(STACK_SET) ## Weeks of simulated traffic through the real functions, with a summary and a picture (STACK=embedded|emulators SCALE=demo|short PROVIDERS=all|stripe,adyen SEED=11)
	$(PY) -m tests.stack.demo --stack $(STACK) --scale $(SCALE) $(if $(PROVIDERS),--providers $(PROVIDERS)) $(if $(SEED),--seed $(SEED))

dev: $(VENV)/$(STACK_SET) ## Every function running locally, with URLs to curl (STACK=embedded|emulators PORT=8080)
	$(PY) -m tests.stack.dev --stack $(STACK) $(if $(PORT),--port $(PORT))

send: $(VENV)/.run ## Sign and post one event to a running `make dev` (PROVIDER=stripe EVENT=charge.dispute.created PAYMENT=)
	$(PY) -m tests.stack.send --provider $(PROVIDER) --event $(EVENT) $(if $(PAYMENT),--payment $(PAYMENT))

console: $(VENV)/.ops ## The pages for people over what `make demo` or `make dev` left (HOME_OF=.payin/demo-embedded PORT=8090)
	$(PY) -m tests.stack.console $(if $(HOME_OF),--home $(HOME_OF)) $(if $(PORT),--port $(PORT))

ops: $(VENV)/.ops ## The command line of people on call (ARGS="trace <any id>"); afterwards also shared/cli/payin, which shells complete
	./shared/cli/payin $(ARGS)

test: $(VENV)/.test ## Every test; what is skipped lacks a server or a data set, and says which (CI skips nothing)
	$(PY) -m pytest -n $(JOBS) --dist worksteal

check: $(VENV)/.check ## Format, lint, types, import contract, what we promise to others, then every test
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(PY) -m shared.contracts --check
	$(MAKE) test

mutate: $(VENV)/.mutate ## Break the code a line at a time and see which tests notice; hours for all (PARTS="domain disputes" SAMPLE=120 SEED=1)
	$(PY) -m tests.mutation $(if $(SAMPLE),--sample $(SAMPLE)) $(if $(SEED),--seed $(SEED)) $(PARTS)

bench: $(VENV)/.bench ## Speed, each figure as a ratio to a baseline measured in the same run
	$(PY) -m tests.benchmarks

providers: $(VENV)/.run ## What each provider's adapter verifies and follows, as a table
	$(PY) -m tests.providers.table

contracts: $(VENV)/.run ## What topics and functions promise to others, as JSON Schema, AsyncAPI and OpenAPI (RELEASE=1 makes it the promise that holds)
	$(PY) -m shared.contracts $(if $(RELEASE),--release)

pins: $(VENV)/.test ## Complete every function's requirements.txt with the versions installed here
	$(PY) -m tests.functions.pins

clean: ## Remove the virtual environments and everything the local stack wrote
	rm -rf $(VENV) .venv-* .payin .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

include terraform/deploy.mk
