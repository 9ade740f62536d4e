# Two commands do everything: `make demo` and `make test`. Both set up what is missing.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
BENCH_READY := $(VENV)/.bench
# libgl1 and libglib2.0-0 are for the OpenCV that docTR brings.
SYSTEM_PACKAGES := tesseract-ocr tesseract-ocr-eng tesseract-ocr-fra tesseract-ocr-osd libgl1 libglib2.0-0
TEST_PACKAGES := chromium

HALF := ragflow_tests/cli ragflow_tests/defs ragflow_tests/e2e ragflow_tests/faults ragflow_tests/ocr

.DEFAULT_GOAL := help
.PHONY: help setup system demo dev test lint unit faults bench clean

help:
	@echo "make demo    set up, and run the whole job on a sample archive"
	@echo "make test    set up, lint, and run the tests"
	@echo "make dev     set up, and start Dagster's UI on http://127.0.0.1:3000"
	@echo "make faults  set up, put faults into real runs, and print what catches them"
	@echo "make bench   set up, and print the benchmarks (takes more than an hour)"
	@echo "make setup   set up only;  make lint, make unit: the parts of make test"

setup: system $(READY)

# Installs what is missing; says what to do where it may not.
system:
	@missing=""; for p in $(SYSTEM_PACKAGES); do \
	  dpkg-query -W -f='$${Status}' $$p 2>/dev/null | grep -q "ok installed" || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then \
	  if [ "$$(id -u)" = 0 ]; then run=""; elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then run="sudo"; \
	  else echo "These system packages are missing, and I may not install them:$$missing" >&2; \
	    echo "Run: sudo apt-get install -y$$missing" >&2; exit 1; fi; \
	  echo "Installing$$missing"; \
	  $$run apt-get update -q >/dev/null && DEBIAN_FRONTEND=noninteractive $$run apt-get install -y -q $$missing >/dev/null; \
	fi

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; set PYTHON=/path/to/python3.11" if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "Python's venv is missing. Run: sudo apt-get install -y python3-venv" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing Python packages into $(VENV) (minutes the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

# The tests of the search page drive a browser.
test unit: SYSTEM_PACKAGES += $(TEST_PACKAGES)

demo: setup
	@$(BIN)/ragflow demo

dev: setup
	@$(BIN)/ragflow dev

test: lint unit

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

# In two processes, for most tests keep one core busy: the named folders, and beside them all the others. One thread for
# the model in each, or they get in each other's way.
unit: setup
	@echo "pytest: $(HALF), and beside them all the others"
	@export OMP_NUM_THREADS=1; log=$$(mktemp); $(BIN)/python -m pytest $(HALF) >$$log 2>&1 & half=$$!; \
	$(BIN)/python -m pytest $(addprefix --ignore=,$(HALF)); others=$$?; \
	wait $$half; named=$$?; cat $$log; rm -f $$log; \
	if [ $$others = 0 ] && [ $$named = 0 ]; then exit 0; else exit 1; fi

faults: setup
	@$(BIN)/python -m ragflow_tests.faults

bench: setup $(BENCH_READY)
	@$(BIN)/python -m ragflow_tests.benchmarks

# What makes load, which nothing else needs.
$(BENCH_READY): $(READY)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,bench]'
	@touch $@

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .hypothesis
