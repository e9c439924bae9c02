# make fit: learn the default stream. make test: style, types and tests. make test-all: those that start processes, train
# for long or test the benchmarks as well. make docs: build the site into site/, and check its figures and links. make notebooks:
# run examples/notebooks and keep what they show (needs the extra robot as well). make learn2learn: add learn2learn, an option.
# All make .venv first if need be.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: fit test test-all style docs learn2learn notebooks clean

fit: $(VENV)/installed
	$(BIN)/python -m lifelong fit $(ARGS)

# Writes the tables and figures of README.md and docs/ anew from benchmarks/results/; ARGS=--check names those that are stale.
.PHONY: figures
figures: $(VENV)/installed
	$(BIN)/python -m benchmarks.figures $(ARGS)

style: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: style
	$(BIN)/python -m pytest -n auto -m "not slow"

test-all: style
	$(BIN)/python -m pytest -n auto --cov --cov-report=term:skip-covered --cov-fail-under=90

docs: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	$(BIN)/python -m benchmarks.figures --check
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --clean
	$(BIN)/python -m docs.generate.check site
	@echo "The site is in site/: python -m http.server -d site shows it, with its search."

# docs/guides/learn2learn.md says why learn2learn takes lines, and a folder, of its own.
learn2learn: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt \
		setuptools wheel Cython cloudpickle requests scipy tqdm
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --upgrade \
		--target $(VENV)/learn2learn --no-deps --use-pep517 --no-build-isolation \
		--config-settings=--global-option=build_ext gym torchvision learn2learn

notebooks: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[notebooks,robot]'
	$(BIN)/python examples/notebooks/run.py $(ARGS)

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) site .coverage* .mypy_cache .ruff_cache .pytest_cache
