# Everything on a fresh machine: `make demo` and `make test`. Both make .venv and the backends' environments first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test check setup bench reference soak clean
.DEFAULT_GOAL := help

help:
	@echo "make demo       environments, then all frameworks and NumPy on the embedded digits, ending in a report"
	@echo "make test       environments, then every test and the conformance suite"
	@echo "make check      formatting, lint and types alone"
	@echo "make bench      adapters beside tutorial loops and bare loops, in turn: half an hour of a quiet machine"
	@echo "make reference  the published results on all of MNIST: hours, continued where it stopped"
	@echo "make soak       the reliability tests at length: 2,000 runs, 11,000 malformed inputs"

$(VENV)/ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	touch $@

setup: $(VENV)/ready
	$(BIN)/python -m harness setup

demo: setup
	$(BIN)/python -m harness compare --backends all,numpy --models lenet5,mlp \
		--datasets digits --epochs 5 --repeats 3

# First what can share the machine, a file at a time on each processor; then what needs all of it: threads, true times.
test: setup check
	$(BIN)/python -m pytest -m "not alone" --numprocesses auto --dist loadfile
	$(BIN)/python -m pytest -m alone

# Hours of it in minutes: 2,000 runs in one parent, 11,000 malformed inputs, and every other reliability test.
soak: $(VENV)/ready
	HARNESS_SOAK_RUNS=2000 HARNESS_FUZZ_EXAMPLES=1000 $(BIN)/python -m pytest -s tests/reliability \
		tests/specs/test_loading_fuzz.py tests/harness/datasets/test_fuzz.py

# Writes the table in docs/performance.md.
bench: setup
	$(BIN)/python -m tests.benchmarks.bench

# Writes the table in the READMEs. A study that has a failed run does not keep the others from running.
reference: setup
	-for study in mnist mnist-alexnet mnist-seeds; do \
		$(BIN)/python -m harness compare results/reference/$$study.yaml --out results/reference --resume; done
	$(BIN)/python -m tests.benchmarks.reference

check: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) build *.egg-info
