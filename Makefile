# The commands that README names. Everything is installed into a virtual environment inside the clone.
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
JOBS ?= 2

.PHONY: verify test lint benchmark bench-static stress rules api gpu clean

verify: $(STAMP)
	$(BIN)/verify T035 --time-limit 1200
	$(BIN)/verify T036 --stage syntax --stage logic --stage security

test: $(STAMP)
	$(BIN)/pytest -n $(JOBS) --dist worksteal

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

benchmark: $(STAMP)
	$(BIN)/pytest -m benchmark -s tests/benchmarks

bench-static: $(STAMP)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group bench
	$(BIN)/python -m tests.benchmarks.static $(BENCH)

stress: $(STAMP)
	$(BIN)/pytest -m stress -s tests/kills tests/reports

rules: $(STAMP)
	$(BIN)/python -m reports.rule_pages docs/rules

api: $(STAMP)
	$(BIN)/python -m reports.api_page amp_runtime docs/api.md

gpu: $(STAMP)
	$(BIN)/pytest -m gpu

$(STAMP): pyproject.toml constraints.txt
	python3 -c 'import sys; sys.exit(sys.version_info < (3, 11) and "verify needs Python 3.11 or newer")'
	test -x $(BIN)/python || python3 -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group dev --editable ".[all,ray]"
	touch $(STAMP)

clean:
	rm -rf $(VENV) .verify build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
