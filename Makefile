# One verb per chore; each makes what it needs. `make serve` is all a newcomer types.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
endif

.PHONY: serve test check fuzz chaos bench bench-engine parity screenshots clean

serve: $(VENV)/.base
	@exec $(BIN)/chatterbox-plus serve

# Up to four files of tests at once, as many as there are cores; then what must have the machine to itself.
# Tests start hundreds of processes: the empty variable lets them keep the bytecode, where others forbid that.
test: export PYTHONDONTWRITEBYTECODE =
# Small networks lose by a second thread, and with several workers there is no core for it.
test: export OMP_NUM_THREADS = 1
test: $(VENV)/.dev
	$(BIN)/python -m pytest -m "not alone" --numprocesses logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder
	$(BIN)/python -m pytest -m alone

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

# Both need PyTorch, which comes with the tools. Upstream's own environment, .venv-parity, is made by the first.
parity: $(VENV)/.dev
	@$(BIN)/python -m parity compare

# ARGS=--full measures everything, for hours.
bench-engine: $(VENV)/.dev
	@$(BIN)/python -m bench.engine --vs-upstream --json $(ARGS)

# Pictures of the page for the documentation.
screenshots: $(VENV)/.dev
	@$(BIN)/python -m tests.web.screenshots

clean:
	rm -rf $(VENV) .venv-parity build dist .pytest_cache .mypy_cache .ruff_cache

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
