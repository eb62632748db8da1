# What you can do here: make help
#
# Every path below is relative, so that the folder may have any name, spaces included.

.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python

include Makefile.test.mk

##@ Start here

.PHONY: help
help: ## Show this list
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z0-9-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' Makefile Makefile.test.mk

.PHONY: demo
demo: $(VENV)/ready ## Run a real example project 25 times and report on it
	@$(PY) scripts/demo.py

.PHONY: setup
setup: $(VENV)/ready ## Make .venv with testlytics and the tools to develop it

$(VENV)/ready: pyproject.toml plugins/pytest-testlytics/pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'testlytics needs Python 3.11 or newer; name one with: make PYTHON=python3.12 ...' >&2; exit 2; }
	@echo 'Setting up $(VENV) (about a minute) ...' >&2
	@$(PYTHON) -m venv $(VENV) || \
	  { echo 'Could not make a virtual environment; on Debian: apt-get install python3-venv' >&2; exit 2; }
	@$(PY) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
	  --editable plugins/pytest-testlytics --editable '.[dev]'
	@touch $@

# The oldest DuckDB we promise to work with, beside the newest one in the environment.
$(VENV)/duckdb-oldest: $(VENV)/ready
	@rm -rf $@
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --target $@ duckdb==1.5.5

##@ Change the code

.PHONY: check
check: $(VENV)/ready ## Style, types and layers; writes nothing
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@$(VENV)/bin/lint-imports --no-cache

.PHONY: fix
fix: $(VENV)/ready ## Mend the style where a tool can
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

.PHONY: docs
docs: $(VENV)/ready ## Write the reference pages that follow from the code
	@$(PY) scripts/generate_reference.py

.PHONY: build
build: $(VENV)/ready ## Build the wheels of both distributions into dist/
	@rm -rf dist
	@$(PY) -m pip wheel --quiet --no-deps --wheel-dir dist . ./plugins/pytest-testlytics

.PHONY: clean
clean: ## Remove everything that was built or recorded here
	@rm -rf $(VENV) dist build .testlytics/demo .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
