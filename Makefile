# The two commands of the README are `make demo` and `make test`; everything else is for developers.
VENV   ?= .venv
PYTHON ?= python3
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
FAST   := not slow and not browser and not ray and not gpu
# One OpenMP thread a process: two of them on a busy machine run at a twentieth of the speed.
export OMP_NUM_THREADS = 1
# Compiled tests are kept between runs, also where the environment says otherwise.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test portable check fast fuzz format lint viewer bench clean

demo: $(VENV)/.base
	$(BIN)/lossatlas demo --out out/demo

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --dist worksteal

# What must not depend on the machine: instruction sets, hash seeds and the order of tests.
PORTABLE := $(BIN)/python -m pytest -n 2 --dist worksteal -q
portable: $(VENV)/.dev
	ATEN_CPU_CAPABILITY=default PYTHONHASHSEED=7 LOSSATLAS_TEST_ORDER=1 $(PORTABLE) -m "$(FAST)"
	ATEN_CPU_CAPABILITY=default $(PORTABLE) -k compile tests/compute/evaluators
	ATEN_CPU_CAPABILITY=avx2 PYTHONHASHSEED=8 LOSSATLAS_TEST_ORDER=2 $(PORTABLE) -m "$(FAST)" tests/compute

check: $(VENV)/.dev
	$(MAKE) --no-print-directory --output-sync -j2 lint fast

fast: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "$(FAST)" -q

# Minutes of mutated archives, files, commands and requests; FUZZ_SECONDS=600 makes them longer.
FUZZ_SECONDS ?= 60
fuzz: $(VENV)/.dev
	LOSSATLAS_FUZZ_SECONDS=$(FUZZ_SECONDS) $(BIN)/python -m pytest -n 0 -s -q --timeout 0 tests/fuzz

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports

viewer:
	cd viewer && npm ci --ignore-scripts --no-audit --no-fund --silent && npx tsc --noEmit && npx vitest run && node build.mjs ../src/lossatlas/viz/static

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.base: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) -e .
	touch $@

$(VENV)/.dev: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) -e '.[dev]'
	touch $@ $(VENV)/.base

clean:
	rm -rf $(VENV) out dist build .pytest_cache .ruff_cache .hypothesis
