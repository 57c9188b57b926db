# make demo: train on the embedded digits and write a report.   make test: all that CI runs.   make check: the quick part.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test check lint unit slow bench figures clean

demo: $(STAMP)
	@out=$$($(BIN)/python -c "from pathlib import Path; from zatlas.runs import free_name; print(free_name(Path('runs'), 'demo'))") \
	&& $(BIN)/zatlas train digits --out $$out && $(BIN)/zatlas report $$out

test: check slow

check: lint unit

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: $(STAMP)
	$(BIN)/pytest -q -m "not slow"

slow: $(STAMP)
	$(BIN)/pytest -q -m slow

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache
