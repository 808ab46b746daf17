# Partition Studio. `make demo` on a fresh clone is all that is needed to try it; `make help` lists the rest.
SHELL := bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

BIN := .venv/bin
STATIC := backend/partition_studio/static/index.html
PACKAGES := frontend/node_modules/.installed
FRONTEND_SOURCES := $(shell find frontend/src frontend/public -type f 2>/dev/null) \
	$(wildcard frontend/index.html frontend/*.config.ts frontend/*.config.js frontend/tsconfig*.json)
LOCKS := pyproject.toml $(wildcard requirements/*.txt)

.PHONY: help demo setup frontend test test-all lint format bench wheel lock clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: .venv/.studio-installed $(STATIC) ## the studio with three local devices, ready in the browser
	$(BIN)/partition-studio demo

setup: .venv/.dev-installed $(PACKAGES) ## everything needed to work on the studio

frontend: $(STATIC) ## build the browser part

test: .venv/.dev-installed $(STATIC) ## every check and test; installs openssh-server and chromium where it may
	scripts/test.sh

test-all: .venv/.dev-installed $(STATIC) ## test with the slow ones (large networks), then bench
	scripts/test.sh --all
	$(MAKE) bench

lint: .venv/.dev-installed $(PACKAGES) ## ruff, mypy, import-linter, eslint, tsc, generated types
	scripts/lint.sh

format: .venv/.dev-installed ## format and repair what ruff can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/.bench-installed ## measure partitioned against whole networks, and splitting itself, on this machine
	$(BIN)/python -m bench

wheel: .venv/.studio-installed $(STATIC) ## one wheel with the browser part inside, in dist/
	scripts/wheel.sh

lock: ## remake the locked requirements (needs uv)
	scripts/lock.sh

clean: ## remove what was built or installed here
	rm -rf .venv dist build backend/partition_studio/static frontend/node_modules frontend/dist \
		.mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache test-artifacts

.venv/.studio-installed: $(LOCKS)
	scripts/setup.sh studio

.venv/.dev-installed: $(LOCKS)
	scripts/setup.sh dev

.venv/.bench-installed: requirements/bench.txt | .venv/.dev-installed
	$(BIN)/python -m pip --disable-pip-version-check --no-input install --quiet --require-hashes -r requirements/bench.txt
	touch $@

# Node.js may come from .venv, which must exist first; that it changes later is no reason to install these again.
$(PACKAGES): frontend/package.json frontend/package-lock.json | .venv/.studio-installed
	scripts/frontend.sh packages

$(STATIC): $(FRONTEND_SOURCES) $(PACKAGES)
	scripts/frontend.sh build
