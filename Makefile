# Every command a person needs. A fresh machine needs python3 (3.11 or newer), git and make; the rest comes by itself.

PYTHON ?= python3
ARGS ?=
PYTEST_ARGS ?=
FULL ?=

BIN := .venv/bin
# Written when the environment is complete, so an interrupted set-up is taken up again.
READY := .venv/.ready
CORES := $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)

# Where the environment forbids it, each of the many processes of the tests would compile everything again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo run test test-all tests lint docs bench-assignment trace-task bench-conflicts bench-scheduler bench-intake \
	chaos lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

demo: $(READY) ## watch agents turn issues into merged code in a sandbox, e.g. make demo ARGS=--json
	@$(BIN)/orchestrator demo $(ARGS)

run: $(READY) ## run the bot for a real GitHub App; settings from the environment or .env
	@$(BIN)/orchestrator serve $(ARGS)

# One more than there are cores, because some tests wait for processes that they started.
WORKERS ?= $(shell expr $(CORES) + 1)

test: $(READY) ## every check, long ones in a short form: style, types, tests, coverage; at most three minutes
	@$(call CHECKED,)

test-all: $(READY) ## every check at full length: also kills, storms, the whole demo, many examples of each property
	@$(call CHECKED,--full)

# Style and types are checked beside the tests, and told last, where they are seen.
define CHECKED
set -u; log=$$(mktemp); trap 'kill $$lint 2>/dev/null; rm -f "$$log"' EXIT; trap 'exit 130' INT TERM; \
$(MAKE) --no-print-directory lint >"$$log" 2>&1 & lint=$$!; \
$(MAKE) --no-print-directory tests FULL=$(1); tests=$$?; \
wait $$lint; style=$$?; cat "$$log"; \
exit $$((tests != 0 ? tests : style))
endef

tests: $(READY)
	$(BIN)/python -m pytest $(FULL) -n $(WORKERS) --maxschedchunk 2 --cov --cov-report= $(PYTEST_ARGS)
	$(BIN)/coverage report --fail-under=85
	$(BIN)/coverage report --include='core/*' --fail-under=95

lint: $(READY) ## style, imports and types only
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/mypy --strict

docs: $(READY) ## write the generated documentation
	$(BIN)/python -m tools.docs --write

bench-assignment: $(READY) ## measure the assignment, a line of JSON for each figure; e.g. ARGS='--seconds 300'
	@$(BIN)/python -m tests.bench $(ARGS)

trace-task: $(READY) ## one task from issue to merge: statements, jobs, git processes, each with its cause
	@$(BIN)/python -m tests.bench.trace $(ARGS)

bench-conflicts: $(READY) ## measure the checks for conflicts, likewise; e.g. ARGS=--tiny
	@$(BIN)/python -m tests.bench.conflicts $(ARGS)

bench-scheduler: $(READY) ## measure the clock and the audit trail, likewise
	@$(BIN)/python -m tests.bench.scheduler_load $(ARGS)

bench-intake: $(READY) ## measure how deliveries are received, likewise; e.g. ARGS='--seconds 10'
	@$(BIN)/python -m tests.bench.intake $(ARGS)

chaos: $(READY) ## deliveries lost, calls failing, replicas and PostgreSQL killed; e.g. ARGS='--seed 7', ARGS=--short
	@$(BIN)/python -m tests.chaos $(ARGS)

lock: ## make requirements.lock again from pyproject.toml; needs uv
	@command -v uv >/dev/null || { echo "make lock needs uv (a package manager for Python): install it first" >&2; exit 1; }
	uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-emit-index-url --no-header \
		--no-annotate --extra dev pyproject.toml -o requirements.lock

clean: ## remove the environment and everything that was made
	rm -rf .venv build dist *.egg-info .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || \
		{ echo "$(PYTHON) is not installed: install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$$($(PYTHON) --version) is too old: install Python 3.11 or newer, or name one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
		{ echo "$(PYTHON) has no venv module: install it (on Debian and Ubuntu: apt install python3-venv)" >&2; exit 1; }
	@command -v git >/dev/null || { echo "git is not installed: install git 2.39 or newer" >&2; exit 1; }
	@echo "Setting up .venv; this is done once and takes about a minute."
	@$(BIN)/python -c '' 2>/dev/null || { rm -rf .venv; $(PYTHON) -m venv .venv; }
# The lock is complete, so nothing is to be resolved: without --no-deps, older versions of pip ask for the newest release
# of a package that another one wants with an extra, and refuse it for not being pinned.
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input --no-deps --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input --no-deps --no-build-isolation -e .
	@touch $@
