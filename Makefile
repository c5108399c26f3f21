# Every way into the project. `make run` needs Python 3.11 with venv, and nothing else.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test simulate mutants chaos wire bench drain lint check alerts openapi clean lock

run: $(VENV)/run
	@$(BIN)/python -m compileall -q config processor queueing transactions
	@$(BIN)/python -m config.run

test: $(VENV)/dev
	@$(BIN)/python -m pytest

# The product in virtual time, with faults: SEEDS=2000 of them, or one with its trace: SEED=17
SEEDS ?= 2000
simulate: $(VENV)/dev
	@$(BIN)/python -m tests.simulation $(if $(SEED),--seed $(SEED) --trace,--seeds $(SEEDS))

# Deliberate defects, each of which the simulation must catch
mutants: $(VENV)/dev
	@$(BIN)/python -m tests.simulation.mutants

# tshark reads our frames
wire: $(VENV)/dev
	@$(BIN)/python -m pytest tests/wire

bench: $(VENV)/dev
	@$(BIN)/python -m tests.bench

# A million payments that wait, carried to their end
PAYMENTS ?= 1000000
drain: $(VENV)/dev
	@$(BIN)/python -m tests.bench.drain --payments $(PAYMENTS)

# Random faults under load: CHAOS_MINUTES, FAULTS and CHAOS_SEED change how long, how many and which
CHAOS_MINUTES ?= 30
FAULTS ?= 1000
CHAOS_SEED ?=
chaos: $(VENV)/dev
	@$(BIN)/python -m tests.faults.chaos --minutes $(CHAOS_MINUTES) --faults $(FAULTS) $(if $(CHAOS_SEED),--seed $(CHAOS_SEED))

lint: $(VENV)/dev
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

# What is derived is up to date: migrations and the API's description
check: $(VENV)/dev
	@STATE_DIR=var/check $(BIN)/python manage.py check --fail-level WARNING
	@STATE_DIR=var/check $(BIN)/python -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run
	@STATE_DIR=var/check $(BIN)/python manage.py spectacular --validate --fail-on-warn --file var/check/openapi.yaml
	@diff -u openapi.yaml var/check/openapi.yaml || { echo "openapi.yaml is out of date: run make openapi."; exit 1; }

# promtool checks and tests the alerts
alerts:
	promtool check rules production/prometheus/alerts.yaml
	promtool test rules production/prometheus/alerts_test.yaml

clean:
	@if test -e var/run.lock && ! flock -n var/run.lock true; then echo "make run is running; stop it first." >&2; exit 1; fi
	rm -rf var

lock: $(VENV)/uv
	$(BIN)/uv pip compile pyproject.toml --universal -p 3.11 --generate-hashes --no-header --no-annotate -q -o locks/run.txt
	$(BIN)/uv pip compile pyproject.toml --group dev --universal -p 3.11 --generate-hashes --no-header --no-annotate -q -o locks/dev.txt

$(VENV)/uv: locks/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Ferryman needs Python 3.11 or newer; name one with PYTHON=.")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r locks/uv.txt
	@touch $@

$(VENV)/run: $(VENV)/uv locks/run.txt
	@if test -e $(VENV)/dev; then $(MAKE) -s $(VENV)/dev; \
	else $(BIN)/uv pip sync -q --python $(BIN)/python --compile-bytecode --require-hashes locks/uv.txt locks/run.txt; fi
	@touch $@

$(VENV)/dev: $(VENV)/uv locks/dev.txt
	@$(BIN)/uv pip sync -q --python $(BIN)/python --compile-bytecode --require-hashes locks/uv.txt locks/dev.txt
	@touch $@ $(VENV)/run

openapi: $(VENV)/dev
	@STATE_DIR=var/openapi $(BIN)/python manage.py spectacular --validate --file openapi.yaml
