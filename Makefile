# Everything runs in .venv, which the first command that needs it makes.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
WHEELHOUSE := wheelhouse
TRAINING := .venv-training
PIP    := $(BIN)/python -m pip --disable-pip-version-check
CHECKED := media_server tests bench fuzz models/training scripts download_models.py

.DEFAULT_GOAL := help
.PHONY: help install dev serve test coverage test-real real-models lint format bench fuzz docs wheel wheelhouse clean evaluate-models starter-models

help: ## this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  ARGS are passed on:  make serve ARGS='--port 9000'   make test ARGS='-k speaker'"

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed; name one: make PYTHON=python3.11 …"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python scripts/compile_llama.py $(WHEELHOUSE)
	$(PIP) install --constraint constraints.txt --find-links $(WHEELHOUSE) --editable .
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python scripts/compile_llama.py $(WHEELHOUSE)
	$(PIP) install --constraint constraints.txt --find-links $(WHEELHOUSE) --editable '.[dev]'
	@touch $@ $(VENV)/.installed

install: $(VENV)/.installed ## set up .venv with what the server needs

dev: $(VENV)/.dev ## set up .venv with what working on it needs as well

serve: $(VENV)/.installed ## set up if need be, and start the server
	$(BIN)/media-server serve $(ARGS)

test: $(VENV)/.dev ## set up if need be, and run all tests
	@command -v chromium chromium-browser google-chrome >/dev/null \
		|| echo "NOTE: no Chromium here, so the tests of the page are skipped. Debian: apt-get install chromium"
	$(BIN)/python scripts/run_tests.py $(ARGS)

coverage: $(VENV)/.dev ## run the unit tests, and say which lines of the server they do not reach
	$(BIN)/coverage run -m pytest tests/unit $(ARGS)
	$(BIN)/coverage report

real-models: $(VENV)/.dev ## fetch real models and recorded speech, for tests and benchmarks: 1.4 GB; ARGS=real-small for the small pack
	$(BIN)/python -m tests.real_models $(ARGS)

test-real: $(VENV)/.dev ## run the tests that need real models on the pack `real` (make real-models fetches it)
	MEDIA_SERVER_TESTS_REAL=real $(BIN)/python -m pytest -m real $(ARGS)

lint: $(VENV)/.dev ## ruff, mypy --strict, layers, and the page's modules where Node.js is
	$(BIN)/ruff check $(CHECKED)
	$(BIN)/ruff format --check $(CHECKED)
	$(BIN)/mypy
	$(BIN)/lint-imports
	@if command -v npx >/dev/null; then npx --yes @biomejs/biome@2.6.8 check static tests/static && npx --yes -p typescript@5.9.3 tsc -p static/jsconfig.json; \
		else echo "NOTE: no Node.js here, so the page's modules are not checked."; fi

format: $(VENV)/.dev ## put the code into shape
	$(BIN)/ruff check --fix $(CHECKED)
	$(BIN)/ruff format $(CHECKED)
	@if command -v npx >/dev/null; then npx --yes @biomejs/biome@2.6.8 check --write static tests/static; fi

bench: $(VENV)/.dev ## response times and cost per call, with the starter models
	$(BIN)/python -m bench.latency
	$(BIN)/python -m bench.load

fuzz: $(VENV)/.dev ## damage what strangers and files say, for a minute; ARGS="--minutes 30" for longer
	$(BIN)/python -m fuzz $(ARGS)

evaluate-models: $(VENV)/.dev ## score the starter models as they are shipped, in under five minutes
	$(BIN)/python models/training/evaluate.py $(ARGS)

$(TRAINING)/.installed: models/training/requirements.txt pyproject.toml constraints.txt
	$(PYTHON) -m venv $(TRAINING)
	$(TRAINING)/bin/python -m pip --disable-pip-version-check install \
		--constraint constraints.txt --requirement $< --editable '.[dev]'
	@touch $@

starter-models: $(TRAINING)/.installed ## make the starter models from nothing: a night on a CPU; ARGS=--quick tries it out
	$(TRAINING)/bin/python models/training/rebuild.py $(ARGS)

wheelhouse: $(VENV)/bin/python ## build or fetch the wheels of the server and all that it needs, to be kept and carried
	$(BIN)/python scripts/compile_llama.py $(WHEELHOUSE)
	$(PIP) wheel --constraint constraints.txt --find-links $(WHEELHOUSE) --wheel-dir $(WHEELHOUSE) .

docs: $(VENV)/.dev ## build the documents into site/, which the server then shows at /docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict

wheel: $(VENV)/.dev ## build the wheel into dist/
	$(BIN)/python -m build --wheel

clean: ## remove .venv and what was built; wheelhouse/ is kept, as compiling takes long
	rm -rf $(VENV) dist build site .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
