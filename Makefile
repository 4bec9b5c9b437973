# Everything on a fresh machine: `make demo` and `make test`. Both make .venv and the backends' environments first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help demo test test-full check setup constraints bench reference clean
.DEFAULT_GOAL := help

help:
	@echo "make demo       environments, then all frameworks on the embedded digits, ending in a report"
	@echo "make test       environments, then every test and the conformance suite"
	@echo "make test-full  what make test does, then what is long: every network and fault in every framework, full conformance, 11,000 malformed inputs, 1,000 kills, 2,000 runs, real races, other versions"
	@echo "make check      formatting, lint and types alone"
	@echo "make constraints  every environment's versions anew, in constraints.txt and backends/requirements/"
	@echo "make bench      every manner beside tutorial loops and bare loops, in turn: an hour of a quiet machine, resumable"
	@echo "make reference  the published results on all of MNIST: hours, continued where it stopped"

$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
	touch $@

setup: $(VENV)/ready
	$(BIN)/python -m harness setup

demo: setup
	$(BIN)/python -m harness compare --backends all --models lenet5,mlp \
		--datasets digits --epochs 5 --repeats 1 --budget 45

# First what can share the machine (tests/conftest.py says how); then what needs all of it: threads, true times.
test: setup check
	$(BIN)/python -m pytest -m "not alone and not long" --numprocesses auto --no-loadscope-reorder
	$(BIN)/python -m pytest -m "alone and not long"

# Before a release. CI runs `make test`.
test-full: test
	$(BIN)/python -m pytest -m long
	$(BIN)/python -m pytest tests/conformance --scope full
	HARNESS_REAL_RACES=1 $(BIN)/python -m pytest tests/harness/racing/test_frameworks.py
	HARNESS_REAL_VERSIONS=1 $(BIN)/python -m pytest tests/end_to_end/test_real_versions.py
	HARNESS_CLUSTER_UNITS=500 $(BIN)/python -m pytest -s tests/harness/execution/test_many_units.py
	HARNESS_SOAK_RUNS=2000 HARNESS_FUZZ_EXAMPLES=1000 HARNESS_KILLS=1000 $(BIN)/python -m pytest -s \
		tests/reliability tests/specs/test_loading_fuzz.py tests/harness/datasets/test_fuzz.py

constraints: $(VENV)/ready
	$(BIN)/python -m tests.constraints

# Writes the table in docs/performance.md.
bench: setup
	$(BIN)/python -m tests.benchmarks.bench

# Writes the table in the READMEs. A study that has a failed run does not keep the others from running.
reference: setup
	-for study in $(basename $(notdir $(sort $(wildcard results/reference/*.yaml)))); do \
		$(BIN)/python -m harness compare results/reference/$$study.yaml --out results/reference --resume; done
	$(BIN)/python -m tests.benchmarks.reference

check: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) build *.egg-info
