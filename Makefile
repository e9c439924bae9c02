# make fit: learn the default stream. make test: style, types and tests. Both make .venv first if need be.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: fit test clean

fit: $(VENV)/installed
	$(BIN)/python -m lifelong fit $(ARGS)

test: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest
	$(BIN)/coverage combine -q
	$(BIN)/coverage report --skip-covered --fail-under=90

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) .coverage* .mypy_cache .ruff_cache .pytest_cache
