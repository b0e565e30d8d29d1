# One verb per chore; each makes what it needs. `make serve` is all a newcomer types.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
endif

.PHONY: serve test check fuzz chaos bench clean

serve: $(VENV)/.base
	@exec $(BIN)/chatterbox-plus serve

test: $(VENV)/.dev
	$(BIN)/python -m pytest

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

fuzz: $(VENV)/.dev
	$(BIN)/python -m tests.fuzz.audio
	$(BIN)/python -m tests.fuzz.openapi

chaos: $(VENV)/.dev
	$(BIN)/python -m tests.chaos

bench: $(VENV)/.base
	@$(BIN)/python -m bench

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache

# The package is installed editable, so only a change of pyproject.toml (or, for tests, of the pins) installs again.
$(VENV)/.base: pyproject.toml
	@echo "Installing into $(VENV); this takes a minute, once."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt
	@echo "Installing into $(VENV), with the tools; this takes a minute or two, once."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $(VENV)/.base $@
