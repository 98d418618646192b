# Every target is self-sufficient: it makes .venv on first use and reuses it afterwards.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: help demo test generate lint constraints clean

help:           ## list the targets
	@grep -hE '^[a-z]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/'

demo: $(INSTALLED) ## build the mini caches, evaluate the reader in every setting, write the report
	$(BIN)/m4rag demo --output-dir out/demo

test: $(INSTALLED) ## lint, check the generated tasks, run all tests
	$(BIN)/ruff check .
	$(BIN)/m4rag generate --check
	$(BIN)/python -m pytest

generate: $(INSTALLED) ## rewrite the generated task YAMLs
	$(BIN)/m4rag generate

lint: $(INSTALLED) ## ruff alone
	$(BIN)/ruff check .

# constraints.txt makes the install repeatable; it is rewritten by `make constraints`.
$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test]'
	touch $@

constraints:    ## pin what is installed in .venv now
	$(BIN)/python -m pip freeze --exclude-editable > constraints.txt

clean:          ## remove .venv and outputs
	rm -rf $(VENV) out build dist
