# make demo: train on the embedded digits and write a report.   make test: all that CI runs.   make check: the quick part.
# make thorough: the slow tests that CI leaves out, the same laws for more kinds.
# make book: the course book as HTML, at its quick setting; make book BOOK= at its full one.
# make docs: the site, into site/; site/index.html opens from the disk. With the course book, where make book made it.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Empty is unset: tests start hundreds of processes, and each would compile all modules again (a quarter of the collecting).
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test tests check lint unit slow thorough book docs clean

demo: $(STAMP)
	@run=runs/demo-$$(date +%Y%m%d-%H%M%S) && $(BIN)/zatlas train digits --out $$run && $(BIN)/zatlas report $$run && echo "Explore it in the browser: $(BIN)/zatlas explore $$run"

test: lint tests

check: lint unit

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Stealing: each core has a run of neighbours, which share their module's fixtures, and takes from another's when it is idle.
PYTEST := $(BIN)/pytest -q -n auto --dist worksteal

tests: $(STAMP)
	$(PYTEST) -m "not thorough"

unit: $(STAMP)
	$(PYTEST) -m "not slow"

slow: $(STAMP)
	$(PYTEST) -m "slow and not thorough"

thorough: $(STAMP)
	$(PYTEST) -m thorough

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev]"
	touch $@

BOOK ?= --quick

book: $(STAMP)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[book]"
	$(BIN)/python examples/course/book.py $(BOOK)

docs: $(STAMP)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[docs]"
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict

clean:
	rm -rf $(VENV) build dist site .mypy_cache .ruff_cache .pytest_cache
