.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
# Threads that wait sleep instead of spinning: a busy neighbour on few cores would stall every tiny parallel loop.
test test-slow test-slurm test-browser: export OMP_WAIT_POLICY = passive
test test-slow: export OMP_NUM_THREADS = 1

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

test: install ## The fast tests, a file to a core at a time
	$(BIN)/pytest -n logical --dist loadfile -m 'not slow and not slurm and not browser'

test-slow: install ## The long tests, likewise
	$(BIN)/pytest -n logical --dist loadfile -m slow

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

bench-scaling soak bench-peers: export OMP_WAIT_POLICY = passive
bench-scaling: install ## Measure time and memory against size, write experiments/benchmark/SCALING.md
	$(BIN)/python -m experiments.benchmark.scaling --write

soak: install ## Predict 20 000 images, watch the memory, write experiments/benchmark/SOAK.md
	$(BIN)/python -m experiments.benchmark.soak --write

bench-peers: .venv-peers/.installed ## Compare with anomalib, write experiments/benchmark/PEERS.md
	.venv-peers/bin/python -W ignore -m experiments.benchmark.peers --write

# It sees the packages of .venv, so that both sides have one torch, and adds what anomalib needs (0.4 GB).
.venv-peers/.installed: $(BIN)/.installed experiments/benchmark/peers.txt
	$(PYTHON) -m venv .venv-peers
	$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > .venv-peers/padim.pth
	mv .venv-peers/padim.pth "$$(.venv-peers/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
	.venv-peers/bin/pip install --quiet --no-deps --requirement experiments/benchmark/peers.txt
	touch $@

clean: ## Remove what the other targets made, environments and data/ excepted
	rm -rf outputs/demo dist .mypy_cache .pytest_cache .ruff_cache

.PHONY: help install demo test test-slow test-slurm test-browser lint types bench bench-scaling soak bench-peers clean
