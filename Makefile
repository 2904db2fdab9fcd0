# Thin targets over setup/machine.py, the command `stockhelm` and pytest. `make help` lists them.
PYTHON ?= python3
ARGS ?=
WORKERS ?= 3
BIN := .venv/bin
LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--custom-compile-command "make lock"

.DEFAULT_GOAL := help
.PHONY: help demo test soak check bench setup setup-test lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/:[^#]*## /\t/' | expand -t 14

demo: ## set up, then run the closed loop: make demo ARGS="--headless --seconds 60"
	@$(PYTHON) setup/machine.py run
	@exec $(BIN)/stockhelm demo $(ARGS)

test: ## set up, then run all tests: make test ARGS="tests/unit -k broker"
	@$(PYTHON) setup/machine.py test
	@exec $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

soak: ## set up, then run the tests that `make test` leaves out because they take long
	@$(PYTHON) setup/machine.py test
	@exec $(BIN)/python -m pytest -n $(WORKERS) -m soak $(ARGS)

check: ## lint, formatting, types and import rules (also run as tests)
	@$(PYTHON) setup/machine.py test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports
	$(BIN)/mypy

bench: ## our speed and quality beside its peers: make bench ARGS="loop --json loop.json"
	@$(PYTHON) setup/machine.py run
	@exec $(BIN)/stockhelm bench $(ARGS)

setup: ## prepare this machine for `make demo`, trying again what could not be had before
	@$(PYTHON) setup/machine.py run --retry

setup-test: ## prepare this machine for `make test` likewise
	@$(PYTHON) setup/machine.py test --retry

lock: ## write the lock files anew from pyproject.toml (needs uv; UPGRADE=--upgrade takes newer versions)
	$(LOCK) $(UPGRADE) pyproject.toml -o requirements.lock
	$(LOCK) $(UPGRADE) --group dev -c requirements.lock -o requirements-dev.lock
	$(LOCK) $(UPGRADE) --group build -o requirements-build.lock
	sed -n 's/^opencv-python==\([^ ;]*\).*/opencv-python-headless==\1/p' requirements.lock \
		| $(LOCK) --no-deps - -o requirements-headless.lock

clean: ## remove caches and what runs left behind; the environment stays
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist var
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
