# The project's commands. They need Python 3.11 or later and make, nothing else.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run front-end demo test model fuzz bench soak format lock openapi stored-format types clean

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
LOCK := $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
	--generate-hashes --custom-compile-command "make lock"

NEW_ENOUGH := -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null

# The first Python that is new enough; looked for only when there is no virtual environment yet.
PYTHON ?= $(shell for candidate in python3.11 python3 python3.14 python3.13 python3.12; do \
	$$candidate $(NEW_ENOUGH) && echo $$candidate && break; done)

# Tests of one `xdist_group` run one after the other, all others where a core is free.
SIDE_BY_SIDE := --numprocesses logical --dist loadgroup

# Tests start the program some hundred times: it must not be compiled each time.
unexport PYTHONDONTWRITEBYTECODE

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' Makefile | expand -t 16

run: $(VENV)/.run ## start the service with its own Valkey on 127.0.0.1:8080; Ctrl-C stops it
	@exec $(BIN)/lease-service serve

front-end: $(VENV)/.dev ## start the service and the example front-end; FRONT_END="--stock demo" passes options
	@exec $(BIN)/python -m examples.booking_front_end $(FRONT_END)

demo: $(VENV)/.dev ## start both with two weeks of classes and courts, and Customers who come and go
	@exec $(BIN)/python -m examples.booking_front_end --stock demo --customers

test: $(VENV)/.dev ## lint, check the types, run every test; PYTEST="-k lease" passes options to pytest
	$(BIN)/ruff check --quiet
	$(BIN)/ruff format --check --quiet
	$(BIN)/mypy
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) $(PYTEST)

model: $(VENV)/.dev ## play 100 times as many steps as `make test` does, and 1,000 histories (an hour, or two on a busy machine)
	$(BIN)/python -m pytest tests/model --hypothesis-profile=long

fuzz: $(VENV)/.dev ## play the OpenAPI document, and bend bytes, 30 times as long as `make test` does
	FUZZ_FACTOR=30 $(BIN)/python -m pytest tests/fuzz

bench: $(VENV)/.dev ## measure beside peers, and as things grow (minutes), for docs/benchmarks.md; BENCH=peers
	@$(BIN)/python -m bench $(BENCH)

soak: $(VENV)/.dev ## keep it busy for half an hour, and see whether memory levels off; SOAK_MINUTES=5
	@$(BIN)/python -m bench.soak --minutes $(or $(SOAK_MINUTES),30)

format: $(VENV)/.dev ## format the code, and mend what the linter can mend
	$(BIN)/ruff check --fix-only --quiet
	$(BIN)/ruff format

lock: $(BIN)/python ## bring requirements/*.lock to the newest versions that pyproject.toml allows
	$(PIP) install uv
	$(LOCK) pyproject.toml --extra editable --extra embedded --output-file requirements/run.lock
	$(LOCK) pyproject.toml --all-extras --constraint requirements/run.lock \
		--output-file requirements/dev.lock
	$(LOCK) pyproject.toml --extra tracing --extra front-end --constraint requirements/dev.lock \
		--output-file requirements/image.lock
	$(LOCK) --group image-build --constraint requirements/dev.lock \
		--output-file requirements/image-build.lock

openapi: $(VENV)/.dev ## write docs/openapi.json from the types
	$(BIN)/python -m service.http.openapi > docs/openapi.json

stored-format: $(VENV)/.dev ## write what this release stores in Redis to tests/data, for the next to read
	$(BIN)/python -m tests.ledger.stored_format

types: openapi ## write examples/typescript/lease-service.d.ts from docs/openapi.json
	npm ci --prefix tests/docs --silent
	tests/docs/node_modules/.bin/openapi-typescript docs/openapi.json --default-non-nullable=false \
		--output examples/typescript/lease-service.d.ts

clean: ## remove what make made; the data of the embedded Valkey stays
	rm -rf $(VENV) .hypothesis .mypy_cache .pytest_cache .ruff_cache dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# What is installed: exactly what a lock names, and the project itself as it stands here.
$(VENV)/.run $(VENV)/.dev: $(VENV)/.%: requirements/%.lock pyproject.toml $(BIN)/python
	@echo "Installing what $< names into $(VENV) (the first time takes a moment) …"
	@$(PIP) install --require-hashes --requirement $<
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(BIN)/python:
	@test -n "$(PYTHON)" && $(PYTHON) $(NEW_ENOUGH) || { echo "There is no Python 3.11 or later" \
		"on the PATH: install one, or name it: make run PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "This Python cannot make a virtual" \
		"environment; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
