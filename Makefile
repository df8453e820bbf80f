# The two commands of the README are `make demo` and `make test`; everything else is for developers.
VENV   ?= .venv
PYTHON ?= python3
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
WORKERS ?= 2
FAST   := not slow and not browser and not ray and not gpu
# curvlinops, an oracle of the tests, and what it needs, but for torchvision: beside a CPU build of torch that does not load
# ("operator torchvision::nms does not exist") and takes `import lightning` with it.
ORACLES := curvlinops-for-pytorch backpack-for-pytorch einconv einops linear_operator opt_einsum unfoldNd
# One OpenMP thread a process: two of them on a busy machine run at a twentieth of the speed.
export OMP_NUM_THREADS = 1
# Compiled tests are kept between runs, also where the environment says otherwise.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test portable lowest pythons versions check fast fuzz format lint viewer bench docs pictures docs-check release-check clean

demo: $(VENV)/.base
	$(BIN)/lossatlas demo --out out/demo

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

# What must not depend on the machine: instruction sets, hash seeds and the order of tests.
PORTABLE := $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -q
portable: $(VENV)/.dev
	ATEN_CPU_CAPABILITY=default PYTHONHASHSEED=7 LOSSATLAS_TEST_ORDER=1 $(PORTABLE) -m "$(FAST)"
	ATEN_CPU_CAPABILITY=default $(PORTABLE) -k compile tests/compute/evaluation/evaluators
	ATEN_CPU_CAPABILITY=avx2 PYTHONHASHSEED=8 LOSSATLAS_TEST_ORDER=2 $(PORTABLE) -m "$(FAST)" tests/compute

# Promises of pyproject.toml, each in a venv of its own below build/: the oldest versions (but for torch, which keeps that of
# constraints.txt), and the other Pythons. Older packages warn of newer ones: here a warning is no error.
QUIET      := -W ignore::DeprecationWarning -W ignore::FutureWarning
TORCH_FREE := tests/viz tests/formats tests/analysis/test_surface_roughness.py tests/zoo/data \
              src/lossatlas/viz src/lossatlas/archive src/lossatlas/analysis src/lossatlas/formats src/lossatlas/_util \
              $(addprefix --ignore=,tests/viz/compose/test_inputs.py tests/viz/scene/test_provenance_text.py \
                tests/viz/web/test_run_control.py tests/viz/web/test_running_training.py src/lossatlas/analysis/sample_losses.py)
SMOKE      := $(TORCH_FREE) tests/cli tests/test_examples.py src/lossatlas/compute/planes src/lossatlas/compute/params
PYTHONS    ?= $(wildcard $(HOME)/.pyenv/versions/3.1[1-9].*/bin/python)
lowest: build/lowest/.torch
	PYTHONPATH=src build/lowest/bin/python -m pytest -n $(WORKERS) --dist worksteal $(QUIET) -m "$(FAST)" -q

# `make pythons TORCH=--torch` installs torch as well, which on Linux is gigabytes where the index has no CPU wheel of it.
TORCH ?=
pythons:
	@test -n "$(PYTHONS)" || { echo "no other Python: name some with PYTHONS='...'"; exit 1; }
	for python in $(PYTHONS); do $(MAKE) --no-print-directory smoke PYTHON=$$python || exit 1; done

.PHONY: smoke
smoke: OTHER = build/$(shell $(PYTHON) -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
smoke:
	test -x $(OTHER)/bin/python || $(PYTHON) -m venv $(OTHER)
	$(PYTHON) .ci/requirements.py $(TORCH) > $(OTHER)/requirements.txt
	$(OTHER)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -r $(OTHER)/requirements.txt
	PYTHONPATH=src $(OTHER)/bin/python -m pytest -n $(WORKERS) --dist worksteal -m "$(FAST)" -q $(if $(TORCH),$(SMOKE),$(TORCH_FREE))

# What of that CI has the time for: reading, drawing and analysis, which do without torch, with the oldest versions and on the newest Python.
versions: build/lowest/.base
	PYTHONPATH=src build/lowest/bin/python -m pytest -n $(WORKERS) --dist worksteal $(QUIET) -m "$(FAST)" -q $(TORCH_FREE)
	$(if $(PYTHONS),$(MAKE) --no-print-directory smoke PYTHON=$(lastword $(PYTHONS)))

build/lowest/.base build/lowest/.torch: build/lowest/.%: pyproject.toml constraints.txt .ci/requirements.py
	test -x build/lowest/bin/python || $(PYTHON) -m venv build/lowest
	$(PYTHON) .ci/requirements.py --lowest $(if $(filter torch,$*),--torch) > build/lowest/requirements.txt
	build/lowest/bin/python -m pip install --quiet --disable-pip-version-check -r build/lowest/requirements.txt
	touch $@

check: $(VENV)/.dev
	$(MAKE) --no-print-directory --output-sync -j2 lint fast

fast: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "$(FAST)" -q

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

# The site into docs/_build/html, its notebooks and gallery executed where they changed; docs-check opens every page of it.
SPHINX ?= -W --keep-going -q
docs: $(VENV)/.docs
	$(BIN)/python -m sphinx -b html $(SPHINX) -d docs/_build/doctrees docs docs/_build/html

# README's thumbnails anew; docs/pictures.py also draws the pictures of the sources and of both ResNet-56, from recipes' results.
pictures: $(VENV)/.dev
	$(BIN)/python docs/pictures.py gallery

docs-check: docs
	$(BIN)/python .ci/docs_check.py

# Both distributions into dist/, and all that is promised of them, in a venv of its own; RELEASE=--no-install leaves the demo out.
release-check: build/release/.tools
	build/release/bin/python .ci/release_check.py $(RELEASE)

build/release/.tools: .ci/release-requirements.txt
	test -x build/release/bin/python || $(PYTHON) -m venv build/release
	build/release/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.base: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) -e .
	touch $@

$(VENV)/.dev: $(VENV)/bin/python pyproject.toml constraints.txt Makefile
	$(PIP) -e '.[dev]'
	$(PIP) --no-deps $(ORACLES)
	touch $@ $(VENV)/.base

$(VENV)/.docs: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) -e '.[docs]'
	touch $@

clean:
	rm -rf $(VENV) docs/_build docs/gallery out dist build .pytest_cache .ruff_cache .hypothesis
