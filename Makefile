# Two commands matter: `make demo` and `make test`. Each sets up what it needs.
# PYTHON=/path/to/python3.12 chooses the interpreter (3.11, 3.12 or 3.13).
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
  $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null \
  && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install --no-deps
PROJECT := $(PIP) --no-build-isolation --editable .

.PHONY: setup setup-dev demo test lint lock translations screenshots clean

setup: $(VENV)/.runtime
setup-dev: $(VENV)/.dev

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed. Install one, or say where: make PYTHON=/path/to/python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: requirements/runtime.txt pyproject.toml | $(BIN)/python
	$(PIP) --require-hashes --requirement requirements/runtime.txt
	$(PROJECT)
	@touch $@

$(VENV)/.dev: requirements/dev.txt pyproject.toml | $(BIN)/python
	$(PIP) --require-hashes --requirement requirements/dev.txt
	$(PROJECT)
	@touch $@ $(VENV)/.runtime

demo: setup
	$(BIN)/tongqiao demo $(DEMO)

test: setup-dev
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

lint: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Writes the locks anew. Needs uv on the PATH; the files name no index.
lock:
	for name in runtime production dev; do uv pip compile --quiet --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-annotate --override requirements/overrides.in --custom-compile-command "make lock" \
	  requirements/$$name.in -o requirements/$$name.txt || exit 1; done

# Takes a screenshot of every page in both languages, while the browser tests walk through them.
screenshots: setup-dev
	rm -rf docs/screenshots
	SCREENSHOTS=docs/screenshots $(BIN)/python -m pytest tests/browser

# Collects the strings of the pages into the catalogue, and compiles it. Fill in what is new by hand.
CATALOGUE := api/pages/translations
translations: setup-dev
	$(BIN)/pybabel -q extract -F $(CATALOGUE)/babel.cfg -k _l -k lazy_gettext --no-location --no-wrap \
	  --sort-output --omit-header -o $(CATALOGUE)/messages.pot .
	$(BIN)/pybabel -q update -i $(CATALOGUE)/messages.pot -d $(CATALOGUE) --no-fuzzy-matching --no-wrap \
	  --ignore-obsolete --omit-header
	$(BIN)/pybabel -q compile -d $(CATALOGUE) --use-fuzzy

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
