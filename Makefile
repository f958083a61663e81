# make demo   set up, ingest sample_docs, ask a question in English and one in Chinese
# make test   set up, run ruff, mypy and all tests
# make unit   only the tests that need no engine, server, model or process: under a minute
# Needs Python 3.11-3.13 and make. PYTHON=python3.12 make test picks another one.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install --no-compile -c constraints.txt
# uv takes a tenth of pip's time; torch by pip, which also looks where it is told to; pip does all if uv cannot
UV := $(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt
install = $(PIP) torch uv && $(UV) $(1) || $(PIP) $(1)
# Python compiles what it imports: on one core, in each process that starts meanwhile
COMPILE := $(BIN)/python -m compileall -qq -j 2 -x '/(torch|transformers|sympy|scipy|sklearn|numba|networkx|pip|mypy|mypyc|setuptools|tests)/' $(VENV)/lib
WORKERS ?= 2
QUESTION ?= How many days of annual leave do employees get?
QUESTION_ZH ?= 流明云的专业版可以免费试用多少天？

# Tests start many processes; without its bytecode each compiles all of kbqa first.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test lint unit browser clean

demo: $(VENV)/.installed
	@rm -rf demo-data
	@echo '$$ kbqa ingest sample_docs'
	@KBQA_DATA_DIR=demo-data $(BIN)/kbqa ingest sample_docs
	@echo
	@echo '$$ kbqa ask "$(QUESTION)"'
	@KBQA_DATA_DIR=demo-data $(BIN)/kbqa ask "$(QUESTION)"
	@echo
	@echo '$$ kbqa ask "$(QUESTION_ZH)"'
	@KBQA_DATA_DIR=demo-data $(BIN)/kbqa ask "$(QUESTION_ZH)"

test:
	@$(MAKE) --no-print-directory --jobs=2 lint browser
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

lint: $(VENV)/.tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@# its workers have seconds to start: too few on a busy machine
	$(BIN)/mypy --num-workers=2 || $(BIN)/mypy

# the page is tested in Debian's Chromium; without it those tests are skipped, with a reason
browser:
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && apt-get install -qq -y chromium >/dev/null 2>&1; } || echo "no chromium: the tests of the page are skipped"

unit: $(VENV)/.tested
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not (integration or end_to_end or torch)"

clean:
	rm -rf $(VENV) demo-data build *.egg-info

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if (3, 11) <= v < (3, 14) else f"kbqa needs Python 3.11 to 3.13, this is {v.major}.{v.minor}: PYTHON=python3.12 make ...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	@$(call install,-e .)
	@$(COMPILE) || true
	@touch $@

$(VENV)/.tested: pyproject.toml constraints.txt | $(VENV)/bin/python
	@$(call install,-e '.[test]')
	@$(COMPILE) || true
	@touch $(VENV)/.installed $@
