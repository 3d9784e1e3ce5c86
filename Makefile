# Every target sets up .venv by itself, so `make demo` works in a bare clone.
# Another Python: make PYTHON=/path/to/python3.12 demo · one test: make test ARGS='-k align'

VENV := .venv
BIN := $(VENV)/bin
JOBS ?= 2
ARGS ?=
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for name in python3 python3.13 python3.12 python3.11 python3.14; do \
	"$$name" -c '$(NEW_ENOUGH)' 2>/dev/null && { echo "$$name"; break; }; done)

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help demo test test-floors fuzz lint bench table browser clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.demo ## find the same expression on another person; leaves the page demo/demo.html
	@$(BIN)/ferkit demo --out demo

test: $(VENV)/.dev ## run the tests (ARGS='-k name' for some of them)
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -p no:benchmark -n $(JOBS) --durations=10 $(ARGS)

test-floors: $(BIN)/python ## install the oldest releases that pyproject.toml allows; run the demo, pretrain and index
	@$(BIN)/python -m venv --clear .venv-floors
	@$(BIN)/python tests/floors.py > .venv-floors/floors.txt
	@.venv-floors/bin/python -m pip install --quiet --requirement .venv-floors/floors.txt --editable . pytest
	@.venv-floors/bin/ferkit demo --out .venv-floors/demo
	@.venv-floors/bin/ferkit pretrain .venv-floors/demo/faces --set epochs=.5 --set batch_size=4 -o .venv-floors/run
	@.venv-floors/bin/python -m pytest -p no:benchmark -W default -k recall tests/search/test_approximate.py

fuzz: $(VENV)/.dev ## damage files of every kind at random, FERKIT_FUZZ=500 times each (test takes 4)
	@FERKIT_FUZZ=$${FERKIT_FUZZ:-500} OMP_NUM_THREADS=1 $(BIN)/python -m pytest -p no:benchmark -n $(JOBS) tests/fuzz

lint: $(VENV)/.dev ## check style, types and the direction of imports
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(VENV)/.dev ## measure speed against what users would pick instead
	@$(BIN)/python -m pytest benchmarks $(ARGS)

table: $(VENV)/.dev ## write the tables of encoders into README.md, from models.yaml
	@$(BIN)/python benchmarks/readme_tables.py

browser: $(VENV)/.dev ## install the browser that the page is tested in, where there is none
	@command -v chromium chromium-browser google-chrome >/dev/null \
		|| apt-get install --yes --no-install-recommends chromium \
		|| $(BIN)/python -m playwright install chromium

clean: ## remove caches, built packages and the demo (.venv, runs, faces and embeddings stay)
	rm -rf demo dist build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .benchmarks .hypothesis
	find src tests examples benchmarks -type d -name __pycache__ -prune -exec rm -rf {} +

$(BIN)/python:
	@test -n "$(PYTHON)" && "$(PYTHON)" -c '$(NEW_ENOUGH)' || { \
		echo "ferkit needs Python 3.11 or newer and found none; install one, or name it: make PYTHON=/path/to/python3.12" >&2; \
		exit 1; }
	@echo "creating $(VENV) with $(PYTHON)"
	@"$(PYTHON)" -m venv $(VENV)

# The stamps are older than pyproject.toml whenever the dependencies may have changed. `dev` includes `demo`.
$(VENV)/.demo: pyproject.toml | $(BIN)/python
	@echo "installing ferkit into $(VENV) (PyTorch comes with it: some minutes, about 6 GB)"
	@$(BIN)/python -m pip install --quiet --editable '.[demo]'
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	@echo "installing ferkit and its development tools into $(VENV) (PyTorch comes with it: some minutes, about 6 GB)"
	@$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $(VENV)/.demo $@
