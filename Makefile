# Two commands on a fresh machine with Python 3.11+ and make:
#   make study    sets everything up and runs the starter study on real images
#   make test     sets everything up and passes the tests
#
# The environment is .venv here; with VENV=/some/place it is /some/place/<digest of the constraints>, which any number of
# checkouts can share.

PYTHON ?= python3
DIGEST := $(shell cat constraints.txt pyproject.toml | sha256sum | cut -c1-12)
ENV := $(if $(VENV),$(VENV)/$(DIGEST),.venv)
BIN := $(ENV)/bin
READY := $(ENV)/.ready-$(DIGEST)
# The checkout's own sources, whichever checkout set the environment up.
export PYTHONPATH := $(CURDIR)/src

.PHONY: study test test-slow test-lowest benchmark gpu gpu-wheels check lint format setup clean

study: setup
	$(BIN)/python -m frostline run starter

# One thread each: two workers on two cores would spend their time waiting for each other.
test: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadgroup

test-slow: setup
	$(BIN)/python -m pytest -m slow

# The default tests on the oldest versions that pyproject.toml allows. What these libraries warn of among themselves is
# none of ours.
LOWEST := $(if $(VENV),$(VENV)/lowest,.venv-lowest)
LOWEST_READY := $(LOWEST)/.ready-$(shell cat constraints-lowest.txt pyproject.toml | sha256sum | cut -c1-12)

test-lowest: $(LOWEST_READY)
	OMP_NUM_THREADS=1 $(LOWEST)/bin/python -m pytest -n 2 --dist loadgroup -W default::DeprecationWarning \
	  -W default::FutureWarning

$(LOWEST_READY): constraints-lowest.txt pyproject.toml
	$(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check hatchling editables
	$(LOWEST)/bin/python -m pip install --disable-pip-version-check --no-build-isolation -c constraints-lowest.txt \
	  -e '.[starter,pandas]' hypothesis pytest pytest-timeout pytest-xdist
	touch $(LOWEST_READY)

# Some or all of: make benchmark PARTS="frozen sweep"
benchmark: setup
	$(BIN)/python -m benchmarks $(PARTS)

# Checks and times everything on a GPU in 8 minutes, on a machine that has torch, torchvision, timm and pytest but no
# network: fill .gpu/wheels by make gpu-wheels elsewhere, copy the checkout there, and see .gpu/results.
gpu:
	$(PYTHON) -m benchmarks.gpu $(OPTIONS)

gpu-wheels: setup
	$(BIN)/python -m benchmarks.gpu.wheels .gpu/wheels

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

check: lint test

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

setup: $(READY)

$(READY): constraints.txt pyproject.toml
	$(PYTHON) -m venv $(ENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt hatchling editables
	$(BIN)/python -m pip install --disable-pip-version-check --no-build-isolation -c constraints.txt -e '.[starter,pandas]' \
	  hypothesis mypy pandas-stubs pre-commit pytest pytest-timeout pytest-xdist ruff
	touch $(READY)

clean:
	rm -rf .venv .venv-lowest .mypy_cache .ruff_cache .pytest_cache
