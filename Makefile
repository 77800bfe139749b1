# The common commands. Each is also a line that works by hand; see README.md.
PYTHON ?= python3
BIN = .venv/bin

help:                  ## this list
	@grep -E '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.venv/installed: requirements.txt constraints.txt $(wildcard requirements/*.txt)
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet -r requirements.txt
	@touch $@

demo: .venv/installed  ## train Keras, PyTorch and JAX on the demo galaxies: table and report
	$(BIN)/python -m benchmarks.run --frameworks keras torch jax

test: .venv/installed  ## the default tests
	$(BIN)/python -m pytest

slow: .venv/installed  ## the long tests
	$(BIN)/python -m pytest -m slow

gpu: .venv/installed   ## all that is to be measured on a GPU: nine minutes, resumable, in gpu-out/
	$(BIN)/python -m benchmarks.gpu --output gpu-out

gpu-rehearsal: .venv/installed  ## the same steps on a CPU with tiny sizes, in gpu-rehearsal/
	$(BIN)/python -m benchmarks.gpu --rehearsal --output gpu-rehearsal

lint: .venv/installed  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/installed ## rewrite the code in the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:                 ## remove the environment and caches, not results
	rm -rf .venv .tox .mypy_cache .ruff_cache .hypothesis

.PHONY: help demo test slow gpu gpu-rehearsal lint format clean
