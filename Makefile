# Everything starts here, on a machine that has Python 3.11 or newer, git and make only.
#
#   make demo [ARGS=--exit]   the whole platform with sample jobs
#   make test [ARGS=...]      every test that this machine can run
#   make lint                 ruff, mypy, import-linter
#   make chaos [ARGS=...]     ten minutes of kill -9 while 200 jobs tick; ends with 1 at a run lost or doubled
#   make bench                measurements; they gate nothing
#   make lock                 resolve the requirements anew
#   make clean                remove what make made; the state in .job-platform stays

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
ARGS ?=

# PYTHON=... decides; otherwise the first that is new enough and can make a virtual environment.
CANDIDATES := python3.13 python3.12 python3.11 python3
NEW_ENOUGH := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for candidate in $(CANDIDATES); do \
	if "$$candidate" -c '$(NEW_ENOUGH)' >/dev/null 2>&1; then command -v "$$candidate"; break; fi; done)

.PHONY: help demo test pages lint chaos bench lock clean

help:
	@sed -n 's/^#   //p' Makefile

demo: $(VENV)/runs pages
	@$(BIN)/job-platform demo $(ARGS)

test: $(VENV)/develops pages
	@$(BIN)/python -m pytest $(ARGS)

# Scripts and styles of the web UI, bundled from npm; nothing is done while they are up to date.
pages: $(VENV)/runs
	@$(BIN)/python -m platform_api.web.build

lint: $(VENV)/develops
	@echo "==> ruff"; $(BIN)/ruff check . && $(BIN)/ruff format --check .
	@echo "==> mypy"; $(BIN)/mypy
	@echo "==> import-linter"; $(BIN)/lint-imports

chaos: $(VENV)/develops
	@$(BIN)/python -m tests.chaos $(ARGS)

bench: $(VENV)/develops
	@$(BIN)/python -m bench $(ARGS)

# The development lock is held to the versions of the other one. No package host is named in either.
LOCK := $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
	--no-header --no-emit-index-url --no-emit-find-links --quiet $(ARGS)

lock: $(VENV)/develops
	@echo "==> requirements.lock"; $(LOCK) --group build -o requirements.lock
	@echo "==> requirements-dev.lock"; $(LOCK) --group dev -c requirements.lock -o requirements-dev.lock

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

# Stamps: one environment serves all; what runs is installed first, what develops is added when it is asked for.
$(VENV)/runs: requirements.lock pyproject.toml | $(VENV)/bin/python
	@echo "==> installing the locked requirements into $(VENV) (a minute or so at the first time)"
	@$(call install,requirements.lock)
	@touch $(VENV)/runs

$(VENV)/develops: requirements-dev.lock pyproject.toml | $(VENV)/bin/python
	@echo "==> installing the locked requirements for development into $(VENV) (a minute or so at the first time)"
	@$(call install,requirements-dev.lock)
	@touch $(VENV)/develops $(VENV)/runs

$(VENV)/bin/python:
	@if [ -z "$(PYTHON)" ]; then \
		echo "No Python 3.11 or newer with venv was found (tried: $(CANDIDATES)). Name one: make PYTHON=/path/to/python" >&2; \
		exit 1; fi
	@echo "==> making $(VENV) with $(PYTHON) ($$("$(PYTHON)" --version))"
	@"$(PYTHON)" -m venv $(VENV)

# The lock is complete, so pip resolves nothing; everything is checked against its hash; the project itself is built by the locked setuptools, so nothing unhashed
# is fetched.
define install
$(PIP) install --progress-bar off --no-deps --require-hashes -r $(1) | \
	awk '/^Collecting/ {n++; if (n % 10 == 0) {print "    " n " packages ..."; fflush()}} \
	     /^(Installing|Successfully)/ {print "    " substr($$0, 1, 100) " ..."; fflush()}'
echo "==> installing the project"
$(PIP) install --quiet --no-deps --no-build-isolation --no-index -e .
endef
