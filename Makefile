# Every target is self-sufficient: it makes .venv on first use and reuses it afterwards.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# Processes that run tests side by side; each takes up to 4 GB.
WORKERS ?= 2
BENCHMARKS := corpus_reading chunking xquad bm25 dense_search cache_reading encoding harness_overhead report_page scale_plan
# Every package is pinned, so that two installs are the same; 3.10 needs some older releases.
CONSTRAINTS := constraints/python$(shell $(PYTHON) -c 'import sys; print("3.10" if sys.version_info < (3, 11) else "3.11")').txt

.PHONY: help demo test browser bench generate format constraints clean

help:           ## list the targets
	@grep -hE '^[a-z]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/'

demo: $(INSTALLED) ## build the mini caches, evaluate the reader in every setting, write the report
	$(BIN)/m4rag demo --output-dir out/demo

test: $(INSTALLED) ## lint, check the generated tasks, run all tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/m4rag generate --check
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile

browser:        ## install Chromium, for the tests of the report's page (Debian, as root; else they are skipped)
	command -v chromium >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; }

bench: $(INSTALLED) ## measure everything (about an hour), rewrite docs/benchmarks.md and the README's table
	$(BIN)/python -m pip install --quiet --constraint $(CONSTRAINTS) --editable '.[test,bench]'
	set -e; for name in $(BENCHMARKS); do echo "== $$name"; $(BIN)/python -m benchmarks.$$name; done
	$(BIN)/python -m benchmarks.table

generate: $(INSTALLED) ## rewrite the generated task YAMLs
	$(BIN)/m4rag generate

format: $(INSTALLED) ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(INSTALLED): pyproject.toml $(CONSTRAINTS)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint $(CONSTRAINTS) --editable '.[test]'
	touch $@

constraints:    ## pin what is installed in .venv now
	echo "# Versions with which the tests pass on this Python and later. Written by: make constraints" > $(CONSTRAINTS)
	$(BIN)/python -m pip freeze --exclude-editable >> $(CONSTRAINTS)

clean:          ## remove .venv and outputs
	rm -rf $(VENV) out build dist
