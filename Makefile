.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.runtime
DEV := $(VENV)/.dev
PORT ?= 8080
ONLY ?= all
WORKERS ?= 2

.PHONY: help demo run test browser check fmt bench mutants clean

help: ## List the commands
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(RUNTIME): pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable .
	touch $(RUNTIME)

$(DEV): pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $(DEV) $(RUNTIME)

demo: $(RUNTIME) ## Play the whole story: phones, segment, journey, vendors, cap
	$(BIN)/python -m mobile_stub demo

run: $(RUNTIME) ## Start the embedded service and leave it running
	$(BIN)/edgepost run --port $(PORT)

test: check browser ## Run every check and every test
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup

browser: $(DEV) ## Bring what the browser tests need: Chromium and the Web SDK
	$(BIN)/python -m tests.browser

check: $(DEV) ## Lint, types and import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fmt: $(DEV) ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(DEV) ## Run the benchmarks, one JSON line each (ONLY=ingest for one)
	$(BIN)/python -m tests.bench $(ONLY)

mutants: $(DEV) ## Show that ten hand-picked mutations each fail a test
	$(BIN)/python -m tests.mutants

clean: ## Remove the environment and caches
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis
