# make demo    from a fresh clone to scored reviews
# make test    every test but the slow ones, which take more than ten seconds each
# make test-engines   install Ray, Spark and MLflow, and run the recipes of examples/engines on them
# make faults  try to break the promises, and write what was tried into docs/reliability.md
# make check   format, lint, types, import contracts
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
COGGED := docs/commands.md docs/design.md docs/languages.md
PIP_INSTALL = $(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt

.PHONY: demo test test-slow test-full test-engines check format faults bench bench-full clean

demo: $(VENV)/.demo
	$(BIN)/sent-train
	$(BIN)/sent-export --opset 17
	$(BIN)/sent-score data/reviews.parquet -o scores.parquet --overwrite
	$(BIN)/python data/show.py data/reviews.parquet scores.parquet

test: $(VENV)/.dev
	$(BIN)/python -m pytest -m "not slow and not engines"

test-slow: $(VENV)/.dev
	$(BIN)/python -m pytest -m "slow and not engines"

test-full: test test-slow

test-engines: $(VENV)/.engines
	$(BIN)/python -m pytest tests/engines

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/cog --check $(COGGED)

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/cog -r $(COGGED)

faults: $(VENV)/.dev
	$(BIN)/python -m pytest tests/faults --faults-full --faults-report docs/reliability.md

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks.run quick

bench-full: $(VENV)/.dev
	$(BIN)/python -m benchmarks.run full
	$(BIN)/python -m benchmarks.report

clean:
	rm -rf $(VENV) artifacts scores.parquet films-scored.parquet build *.egg-info

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || { \
	  echo "$(PYTHON) is `$(PYTHON) -V 2>&1`; CPython 3.11 to 3.13 is needed: make PYTHON=python3.12 …" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(BIN)/python pyproject.toml constraints.txt
	$(PIP_INSTALL) -e '.[train]'
	@touch $@

$(VENV)/.dev: $(BIN)/python pyproject.toml constraints.txt
	$(PIP_INSTALL) -e '.[train,teacher,dev]'
	@touch $@ $(VENV)/.demo

$(VENV)/.engines: $(VENV)/.dev
	$(PIP_INSTALL) -e '.[ray,spark,mlflow]'
	@touch $@
