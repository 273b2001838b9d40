# `make bench` and `make test` do all the set-up on a fresh clone. `make help` lists the rest.
#
# PYTHON=...      the interpreter to make .venv with (3.11 or newer; default python3)
# SYSTEM_SITE=1   let .venv see that interpreter's packages, to use a CUDA torch that is there as it is
#                 (`make clean` first, if there is a .venv without it)
#
# .venv has all that measuring needs, torch included. For predictions alone `pip install .` is enough.

PYTHON ?= python3
SYSTEM_SITE ?=
LOAD_MINUTES ?= 10
SCALE_RECORDS ?= 100000
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev
# The pins are of a plain install; a torch that is there already brings its own versions.
SEES_SYSTEM = $(SYSTEM_SITE)$(shell grep -s 'include-system-site-packages = true' $(VENV)/pyvenv.cfg)
PINS = $(if $(strip $(SEES_SYSTEM)),,-c constraints.txt)

# The tests run in one process more than there are cores, because some wait for others most of the time, but in at most
# four; a file in one of them. Where there is a GPU, which they would share, in one.
CORES = $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
PROCESSES = $(if $(wildcard /dev/nvidia[0-9]* /dev/dxg),0,$(shell echo $$(($(CORES) > 3 ? 4 : $(CORES) + 1))))
PYTEST = $(BIN)/python -m pytest -n $(PROCESSES) --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help install bench test check coverage check-models lint report traces time-model predictions compat golden mutants benchmark gpu-tour clean

help: ## Show this list.
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

install: $(STAMP) ## Make .venv with the command `bench` in it.

bench: $(STAMP) ## Measure this machine (docs sweep on CUDA, else the small CPU sweep) and an endpoint on it; write all pages. DEVICES=all: each GPU of it.
	@status=0; $(BIN)/bench run $(if $(DEVICES),--devices '$(DEVICES)') || status=$$?; \
		if [ $$status -le 1 ]; then also=0; $(BIN)/bench remote --loopback || also=$$?; \
			if [ $$also -gt $$status ]; then status=$$also; fi; fi; \
		if [ $$status -le 1 ]; then $(BIN)/bench report || exit $$?; fi; exit $$status

test: check ## Run what CI runs.

check: $(DEV_STAMP) ## The same as test: ruff, then pytest with mypy beside it.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@types=$$(mktemp); $(BIN)/mypy >$$types 2>&1 & mypy=$$!; $(PYTEST); tests=$$?; \
		wait $$mypy; wrong=$$?; cat $$types; rm $$types; exit $$((tests ? tests : wrong))

coverage: $(DEV_STAMP) ## Run the tests and list the lines of bench/ that none of them ran; takes much longer than test.
	$(PYTEST) --cov --cov-report=term:skip-covered

check-models: $(DEV_STAMP) ## Run what `make test` leaves out: full-size models in an endpoint, and their memory on the CPU.
	$(PYTEST) -m full_size
	nice $(BIN)/python benchmarks/vae_memory.py --write

lint: $(DEV_STAMP) ## ruff and mypy alone.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

report: $(STAMP) ## Write reports/ again from results/.
	$(BIN)/bench report

# The docs' five cards, and those that endpoints have.
CARDS := 4090 "4080 SUPER" 3090 "RTX 3080" 3070 T4 L4 A10G L40S A100-SXM4-80GB H100 H200

traces: $(DEV_STAMP) ## Capture the traces that come with the program again, from the installed torch and diffusers.
	$(BIN)/python -m bench.traces.capture_templates

time-model: $(STAMP) ## Fit the figures of the model of times that come with the program again, to results/published/.
	$(BIN)/python -m bench.predictions.time_model

predictions: $(STAMP) ## Predict the docs' sweep for twelve cards again, and the verdicts for all cards; write their pages again.
	for card in $(CARDS); do set -- "$$@" --gpu "$$card"; done; \
		$(BIN)/bench predict docs --allocator native --quiet --out results/predicted/docs.jsonl "$$@"
	$(BIN)/python -m bench.predictions.verdicts
	$(BIN)/python -m bench.predictions.pipelines
	$(BIN)/bench advise --allocator native
	$(BIN)/bench report

# Its own environment, without the pins of constraints.txt, which are for the default torch.
TORCH ?=
COMPAT := .venv-compat-$(TORCH)
compat: ## Run the memory trace's tests with another torch, in a venv of its own: make compat TORCH=2.14.1
	@test -n "$(TORCH)" || { echo "Name a version of torch: make compat TORCH=2.14.1"; exit 2; }
	@test -x $(COMPAT)/bin/pip || { echo "Making $(COMPAT)"; $(PYTHON) -m venv $(COMPAT); }
	@echo "Installing torch $(TORCH) and the project in $(COMPAT): the first time that takes minutes and gigabytes"
	@$(COMPAT)/bin/python -m pip install --quiet --disable-pip-version-check 'torch==$(TORCH)' -e '.[dev]' \
		|| { echo "torch $(TORCH) was not installed, for the reason that pip gives above." \
			"Name a version from 2.6 on that has a wheel for this Python: make compat TORCH=2.14.1"; exit 1; }
	@$(COMPAT)/bin/python -c 'import torch; print("Testing with torch", torch.__version__)'
	$(COMPAT)/bin/python -m pytest -n 0 -p no:cacheprovider tests/unit/traces/test_memory_layouts.py \
		tests/unit/traces/test_selfcheck.py tests/unit/traces/test_shipped.py tests/unit/traces/test_trace.py \
		tests/unit/traces/test_real_layouts.py

golden: $(DEV_STAMP) ## Rewrite the golden files and the record's schema; review the diff.
	BENCH_GOLDEN=write $(BIN)/python -m pytest -q -p no:cacheprovider tests/unit

SAMPLE ?= 20
mutants: $(DEV_STAMP) ## Change pure modules one operator at a time, and see whether their unit tests notice; SAMPLE=20 of each, MODULES=all.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PINS) -e '.[mutants]'
	nice -n 19 $(BIN)/python benchmarks/mutants.py --sample $(SAMPLE) $(MODULES)

benchmark: $(DEV_STAMP) ## Measure the overhead of harness and endpoint, and the endpoint under load; LOAD_MINUTES=1 and SCALE_RECORDS=10000 shorten it.
	$(BIN)/python benchmarks/overhead.py
	$(BIN)/python -m bench.checks.other_timers
	$(BIN)/python benchmarks/false_alarms.py
	$(BIN)/python benchmarks/payloads.py
	$(BIN)/python benchmarks/network.py
	$(BIN)/python benchmarks/network_drawn.py
	$(BIN)/python benchmarks/endpoint_fuzz.py
	$(BIN)/python benchmarks/endpoint_overhead.py
	$(BIN)/python benchmarks/endpoint_throughput.py
	$(BIN)/python benchmarks/overlap.py
	$(BIN)/python benchmarks/process_time.py
	$(BIN)/python benchmarks/cpu_memory.py
	$(BIN)/python benchmarks/scale.py --records $(SCALE_RECORDS)
	$(BIN)/python benchmarks/fleet_simulation.py --records $(SCALE_RECORDS)
	$(BIN)/python benchmarks/endpoint_load.py --minutes $(LOAD_MINUTES)

MINUTES ?= 15
gpu-tour: $(DEV_STAMP) ## Run everything that needs a CUDA GPU, the most valuable first, in MINUTES=15 minutes.
	$(BIN)/python benchmarks/gpu_tour.py --minutes $(MINUTES)

clean: ## Remove .venv and caches; results stay.
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .coverage

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed; name one with: make install PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(if $(SYSTEM_SITE),--system-site-packages) $(VENV)

$(STAMP): $(VENV)/pyvenv.cfg pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PINS) -e '.[measure,endpoint,remote]'
	@$(BIN)/python -m compileall -q bench # else the first commands do it, or all where bytecode is not written
	@touch $@

$(DEV_STAMP): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PINS) -e '.[dev]'
	@touch $@
