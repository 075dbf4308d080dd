# One command per job; `make` alone lists them. They need Python 3.11 or newer, and nothing else.

VENV    ?= .venv
PYTHON  ?=
WORKERS ?= auto

BIN  := $(VENV)/bin
CODE := $(wildcard src tests examples benchmarks scripts)

.DEFAULT_GOAL := help
# Also under `make -j` one part runs after the other: the machine is the tests' to use.
.NOTPARALLEL:
.PHONY: help demo test check bench format lint types layers tests clean

help:
	@echo "make demo     set up, then run the example: an analysis that survives a kill -9"
	@echo "make test     set up, then lint, types, layers and all tests: what CI runs"
	@echo "make check    the same after formatting the code: run it before each commit"
	@echo "make bench    set up, then measure against bare sqlite3 and DBOS"
	@echo "make format   format the code and fix what can be fixed"
	@echo "make clean    remove caches and build outputs; the environment in $(VENV) stays"
	@echo
	@echo "Parts of test:  lint  types  layers  tests"
	@echo "Settings:       PYTHON=python3.12  VENV=/tmp/venv  WORKERS=4 (test processes)"

# A stamp per set of extras: an environment is set up once, and again when pyproject.toml changes.
$(BIN)/.ready-demo: EXTRAS := server,example
$(BIN)/.ready-test: EXTRAS := test
$(BIN)/.ready-bench: EXTRAS := bench
$(BIN)/.ready-%: pyproject.toml
	@scripts/setup.sh "$(VENV)" "$(EXTRAS)" "$(PYTHON)"
	@touch $@

demo: $(BIN)/.ready-demo
	@$(BIN)/python examples/invention_analysis/demo.py

bench: $(BIN)/.ready-bench
	@$(BIN)/python benchmarks/run.py

test: lint types layers tests

check: format test

format: $(BIN)/.ready-test
	@$(BIN)/ruff check --quiet --fix-only $(CODE)
	@$(BIN)/ruff format --quiet $(CODE)

lint: $(BIN)/.ready-test
	@$(BIN)/ruff format --check --output-format concise $(CODE) || { echo "Run: make format"; exit 1; }
	@$(BIN)/ruff check --quiet $(CODE)

types: $(BIN)/.ready-test
	@$(BIN)/mypy --no-error-summary $(wildcard src examples tests/typing)
	@test ! -d tests/typing || $(BIN)/pyright --pythonpath $(BIN)/python

layers: $(BIN)/.ready-test
	@$(BIN)/lint-imports --no-logo

# First what measures time, with the machine to itself (exit code 5: there is no such test), then
# the rest, on all cores.
tests: $(BIN)/.ready-test
	@$(BIN)/pytest -q -m timing || [ $$? -eq 5 ]
	@$(BIN)/pytest -q -m "not timing" -n $(WORKERS) --dist worksteal

clean:
	@rm -rf build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache .stepwell
	@find $(CODE) -type d -name __pycache__ -prune -exec rm -rf {} +
