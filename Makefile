# One command for each thing to do; `make test` is what continuous integration runs.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)
PYTHONS := $(PYTHON) python3 python3.13 python3.12 python3.11 python3.14 python
CODE := src tests examples $(wildcard benchmarks)

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1

.PHONY: help demo test check bench format format-check lint types layers tests clean

help:
	@echo "make demo     set up, and watch a workflow be killed and go on"
	@echo "make test     set up, then lint, types, layers and all tests (what CI runs)"
	@echo "make check    make test, and is the formatting right"
	@echo "make bench    set up, and measure"
	@echo "make format   format the code, and fix what can be fixed by machine"
	@echo "make clean    remove the environment, caches and databases"

demo: $(VENV)/.demo
	@$(BIN)/python examples/invention_analysis/demo.py

test: lint types layers tests

check: format-check test

bench: $(VENV)/.bench
	@$(BIN)/python benchmarks/run.py

format: $(VENV)/.test
	@$(BIN)/ruff check --quiet --fix-only $(CODE)
	@$(BIN)/ruff format --quiet $(CODE)

format-check: $(VENV)/.test
	@$(BIN)/ruff format --quiet --check $(CODE) || { \
	    echo "Not formatted: run make format." >&2; exit 1; }

lint: $(VENV)/.test
	@$(BIN)/ruff check --quiet $(CODE)

types: $(VENV)/.test
	@$(BIN)/mypy --no-error-summary

layers: $(VENV)/.test
	@log="$$($(BIN)/python -m tests.test_layers 2>&1)" || { echo "$$log" >&2; exit 1; }

tests: $(VENV)/.test
	@$(BIN)/python -m pytest -q -n 2

clean:
	@rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@find . \( -name '*.db' -o -name '*.db-shm' -o -name '*.db-wal' \) -delete

# Each stamp says: installed with these extras, since pyproject.toml last changed.
$(VENV)/.demo: EXTRAS := server,example
$(VENV)/.test: EXTRAS := test
$(VENV)/.bench: EXTRAS := bench,test
$(VENV)/.demo $(VENV)/.test $(VENV)/.bench: pyproject.toml | $(BIN)/python
	@echo "Installing stepwell[$(EXTRAS)] into $(VENV) …" >&2
ifdef UV
	@$(UV) pip install --quiet --python $(BIN)/python -e '.[$(EXTRAS)]'
else
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null
	@$(BIN)/python -m pip install --quiet -e '.[$(EXTRAS)]'
endif
	@touch $@

$(BIN)/python:
ifdef UV
	@$(UV) venv --quiet --python '>=3.11' $(VENV)
else
	@for python in $(PYTHONS); do \
	    if "$$python" -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	        exec "$$python" -m venv $(VENV); \
	    fi; \
	done; \
	echo "Stepwell needs Python 3.11 or newer, and there is none on the PATH." >&2; \
	echo "Install one, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; \
	exit 1
endif
