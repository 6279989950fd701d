# make demo: the whole chain on shipped Geant4 showers; make test: the tests. They set up what they need.

PYTHON ?= python3
VENV ?= .venv
CONFIG ?= configs/demo.yaml
# A pip requirement or wheel that replaces the pinned CPU torch; remembered in the environment.
TORCH ?= $(shell cat $(VENV)/.calogan-torch 2>/dev/null)
PYTEST_ARGS ?= -n 2

BIN := $(VENV)/bin
CONSTRAINTS := $(if $(TORCH),$(VENV)/.calogan-constraints,constraints.txt)
PIP := $(BIN)/python -m pip install --disable-pip-version-check --no-compile --quiet

.DEFAULT_GOAL := help
.PHONY: help demo test lint cpp clean
.DELETE_ON_ERROR:

help:
	@echo 'make demo     set up, then prepare, train and validate on the shipped showers (CONFIG=$(CONFIG))'
	@echo 'make test     set up, then run the tests (PYTEST_ARGS="$(PYTEST_ARGS)")'
	@echo 'make lint     ruff, mypy and import-linter'
	@echo 'make cpp      export the shipped surrogate and build and run the C++ example with it (see examples/cpp)'
	@echo 'make clean    remove the environment that make made, and caches; runs/ and mlflow.db stay'
	@echo
	@echo 'PYTHON=python3.12       the Python to make the environment with (3.11 or newer)'
	@echo 'VENV=path               an environment to use, made if it is missing (default .venv)'
	@echo 'TORCH="torch==2.11.0 --index-url https://download.pytorch.org/whl/cu128"'
	@echo '                        another torch than the pinned CPU one; TORCH=torch keeps the one that is there'

demo: $(VENV)/.calogan-train
	$(BIN)/calogan run $(CONFIG)

test: $(VENV)/.calogan-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(VENV)/.calogan-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

# Python and C++ run the same ONNX Runtime: the library of its wheel.
cpp: $(VENV)/.calogan-train
	@mkdir -p build/cpp
	cmake -S examples/cpp -B build/cpp -DONNXRUNTIME_LIBRARY="$$($(BIN)/python -c \
	  'import glob, onnxruntime; print(glob.glob(onnxruntime.__path__[0] + "/capi/libonnxruntime.so.*")[0])')"
	cmake --build build/cpp
	$(BIN)/calogan export --bundle ecal30-electron --onnx build/cpp/ecal30.onnx --overwrite
	rm -f build/cpp/hits.csv
	build/cpp/calogan_showers build/cpp/ecal30.onnx examples/cpp/particles.csv build/cpp/hits.csv 7

clean:
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache .snakemake

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "calogan needs Python 3.11 or newer, $(PYTHON) is $$($(PYTHON) --version 2>&1); choose one with PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# Constraints without torch, and the torch that was asked for; rewritten only where TORCH changes.
$(VENV)/.calogan-constraints: constraints.txt | $(BIN)/python
	grep -v '^torch==' constraints.txt > $@

$(VENV)/.calogan-torch: FORCE | $(BIN)/python
	@echo '$(TORCH)' | cmp -s - $@ || { $(if $(TORCH),$(PIP) $(TORCH) &&) echo '$(TORCH)' > $@; }

$(VENV)/.calogan-train: pyproject.toml $(CONSTRAINTS) $(VENV)/.calogan-torch
	@echo 'Installing calogan into $(VENV): a minute or two, once'
	$(PIP) --constraint $(CONSTRAINTS) --editable '.[train]'
	@touch $@

$(VENV)/.calogan-dev: pyproject.toml $(CONSTRAINTS) $(VENV)/.calogan-torch
	@echo 'Installing calogan and what its tests need into $(VENV): a minute or two, once'
	$(PIP) --constraint $(CONSTRAINTS) --editable '.[dev]'
	@touch $@

.PHONY: FORCE
FORCE:
