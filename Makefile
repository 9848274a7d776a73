.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
# Threads that wait sleep instead of spinning: a busy neighbour on few cores would stall every tiny parallel loop.
test test-slow test-slurm test-browser: export OMP_WAIT_POLICY = passive

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

install: $(BIN)/.installed ## Make .venv with padim and all that its tests need (5 GB: torch brings CUDA along)

$(BIN)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: install ## Fit, test and draw on the synthetic data set, with random weights
	$(BIN)/padim-train output_dir=outputs/demo

test: install ## The fast tests
	$(BIN)/pytest -m 'not slow and not slurm and not browser'

test-slow: install ## The long tests
	$(BIN)/pytest -m slow

test-slurm: install ## Sweeps, clusters and many processes, on a SLURM of their own; root installs it when it is missing
	$(BIN)/pytest -m slurm

test-browser: install ## The report of a run in Chromium; root installs it when it is missing
	$(BIN)/pytest -m browser

lint: install ## Style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install ## Static types
	$(BIN)/mypy

bench: install ## Measure speed and memory, write experiments/benchmark/RESULTS.md; MVTEC=DIR uses real images
	$(BIN)/python -m experiments.benchmark --write $(if $(MVTEC),--mvtec $(MVTEC))

clean: ## Remove what the other targets made, .venv and data/ excepted
	rm -rf outputs/demo dist .mypy_cache .pytest_cache .ruff_cache

.PHONY: help install demo test test-slow test-slurm test-browser lint types bench clean
