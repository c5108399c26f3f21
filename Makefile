# Every way into the project. `make run` needs Python 3.11 with venv, and nothing else.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test simulate mutants chaos partition outages stuck wire browser screenshots bench drain pages lint check messages translated alerts openapi clean lock

run: $(VENV)/run
	@$(BIN)/python -m compileall -q config processor queueing staff transactions
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

# A browser on a running Ferryman: Debian's Chromium; axe-core comes by npm
browser: $(VENV)/dev var/browser/node_modules
	@$(BIN)/python -m pytest tests/browser

# Every page, desktop and phone, light and dark
screenshots: $(VENV)/dev var/browser/node_modules
	@$(BIN)/python -m tests.browser.screenshots

var/browser/node_modules: tests/browser/package.json tests/browser/package-lock.json
	@mkdir -p var/browser
	@cp tests/browser/package.json tests/browser/package-lock.json var/browser/
	@npm ci --prefix var/browser --ignore-scripts --no-audit --no-fund --silent
	@touch $@

bench: $(VENV)/dev
	@$(BIN)/python -m tests.bench

# A million payments that wait, carried to their end
PAYMENTS ?= 1000000
drain: $(VENV)/dev
	@$(BIN)/python -m tests.bench.drain --payments $(PAYMENTS)

# Every page of the back office among so many payments; DATABASE_URL and BROKER_URL name a database that has them
PAGES_AMONG ?= 5000000
pages: $(VENV)/dev
	@$(BIN)/python -m tests.bench.pages --payments $(PAGES_AMONG)

# Random faults under load: CHAOS_MINUTES, FAULTS and CHAOS_SEED change how long, how many and which;
# BROKER=amqp://… is a RabbitMQ in which it uses a virtual host of its own
CHAOS_MINUTES ?= 30
FAULTS ?= 1000
CHAOS_SEED ?=
chaos: $(VENV)/dev
	@$(BIN)/python -m tests.faults.chaos --minutes $(CHAOS_MINUTES) --faults $(FAULTS) $(if $(CHAOS_SEED),--seed $(CHAOS_SEED)) $(if $(BROKER),--broker $(BROKER))

# The link's holder is cut off from the database by nft, in a network namespace: as root
partition: $(VENV)/dev
	@$(BIN)/python -m tests.faults.partition

# PostgreSQL, Valkey and a virtual host in RabbitMQ restarted and wiped under a steady load
RATE ?= 200
outages: $(VENV)/dev
	@$(BIN)/python -m tests.faults.outages --rate $(RATE)

# A host that stops reading for 5 minutes under a steady load
stuck: $(VENV)/dev
	@$(BIN)/python -m tests.faults.stuck --rate $(RATE)

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

# Gathers every text of the pages for translators, and compiles what they wrote; needs gettext
messages: $(VENV)/dev
	@STATE_DIR=var/check $(BIN)/python manage.py makemessages --locale id --ignore .venv --ignore var --no-location --no-wrap
	@STATE_DIR=var/check $(BIN)/python manage.py compilemessages --locale id --ignore .venv --ignore var

# Fails when a text has no translation
translated:
	@mkdir -p var/check && cp locale/id/LC_MESSAGES/django.po var/check/before.po
	@$(MAKE) -s messages
	@diff -I '^"POT-Creation-Date' var/check/before.po locale/id/LC_MESSAGES/django.po \
	  || { echo "Texts changed: run make messages, and translate what is new in locale/."; exit 1; }
	@for state in --untranslated --only-fuzzy; do \
	  msgattrib $$state --no-obsolete locale/id/LC_MESSAGES/django.po | grep . && exit 1; done; true

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
