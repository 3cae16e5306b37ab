# `make demo` and `make test` work on a fresh clone: they need Python 3.11 or newer, make, and PyPI.

.DEFAULT_GOAL := help
.PHONY: help setup model demo test mutants lint types contracts drawing generate check-generated migrations-check dormouse clean

BIN := .venv/bin
STEADY := MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=4000000000 OMP_WAIT_POLICY=PASSIVE

help:  ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | while IFS='	' read -r name what; do printf '  %-18s %s\n' "$$name" "$$what"; done

demo: .venv/.installed model  ## Install, then show one memory's life: told, asked, killed, rebuilt, taken back
	@$(BIN)/hypnogram demo

test: .venv/.installed-dev model  ## Install, then run every test
	@OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

mutants: .venv/.installed-dev  ## Change the rules a little, thousands of times, and see tests fail (ARGS="core.state.plan*")
	@CI=1 OMP_NUM_THREADS=1 $(BIN)/python -m mutmut run --max-children 2 $(ARGS)
	@$(BIN)/python -m mutmut results

lint: .venv/.installed-dev  ## Check style and format
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: .venv/.installed-dev  ## Check types, strictly
	@$(BIN)/mypy

contracts: .venv/.installed-dev  ## Check that imports point inwards, and that their drawing is fresh
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python .ci/draw_imports.py --check

drawing: .venv/.installed-dev  ## Draw the imports into ARCHITECTURE.md
	@$(BIN)/python .ci/draw_imports.py

generate: .venv/.installed-dev  ## Make proto/hypnogram/v1/*.py from the .proto files
	@$(BIN)/python -m proto.generate

check-generated: .venv/.installed-dev  ## Check that the generated code is fresh
	@$(BIN)/python -m proto.generate --check

migrations-check: .venv/.installed-dev  ## Check the migrations against the tables, on both databases
	@$(BIN)/python .ci/check_migrations.py

dormouse: .venv/.installed  ## Train dormouse from nothing (an hour or two; goes on where it was stopped)
	@$(STEADY) $(BIN)/python -m models.dormouse.train
	@$(STEADY) $(BIN)/python -m models.dormouse.statistics

setup: .venv/.installed-dev model  ## Install everything into .venv, and pull SmolLM2

model: .venv/.installed  ## Pull SmolLM2-135M-Instruct (93 MB), which the demo and tests of real models ask
	@$(BIN)/hypnogram model show smollm2 >/dev/null 2>&1 || $(BIN)/hypnogram model pull smollm2 || \
	  echo "SmolLM2 cannot be had here: the demo is on dormouse, and tests that ask it are skipped" >&2

clean:  ## Remove the environment and the caches (training checkpoints in build/ stay)
	@rm -rf .venv mutants .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	@for python in $(PYTHON) python3.14 python3.13 python3.12 python3.11 python3; do \
	  if "$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    echo "Creating .venv with $$("$$python" --version)"; exec "$$python" -m venv .venv; \
	  fi; \
	done; echo "No Python 3.11 or newer with venv was found; install one, or name it: make PYTHON=..." >&2; exit 1

.venv/.installed: pyproject.toml | .venv/bin/python
	@echo "Installing hypnogram into .venv (once; a few minutes)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

.venv/.installed-dev: pyproject.toml | .venv/bin/python
	@echo "Installing hypnogram and its tools into .venv (once; a few minutes)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch .venv/.installed $@
