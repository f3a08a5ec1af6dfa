# make train          make the environment in .venv, then train IQL and a chain on the shipped dataset, two minutes
# make train ARGS="backend=jax algorithm=rebrac"        ... with options of pogo-train
# make pendulum-dataset   a set like the shipped one, made anew by an agent that learns: pendulum-medium-replay.hdf5
# make test           make the environment, then run every test that is not marked slow
# make test-slow      the rest
# make planted-bugs   plant bugs in a copy of the source, one at a time, and see each caught by its tests
# make check          lint, formatting, types and import contracts
# make docs           the documentation as a site in build/site; every link and reference must lead somewhere

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
ARGS ?=
JOBS ?= 2
# Two minutes on two cores, and better than the data.
FIRST_RUN := train.updates=5000 eval.every=500 eval.episodes=20 log.every=500 checkpoint.every=2500

.PHONY: install train pendulum-dataset test test-slow planted-bugs test-torch-alone test-jax-alone check docs clean

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[all,dev]"
	touch $(INSTALLED)

train: $(INSTALLED)
	$(BIN)/pogo-train backend=jax algorithm=iql $(FIRST_RUN) $(ARGS)

pendulum-dataset: $(INSTALLED)
	$(BIN)/pogo-train backend=jax experiment=sac/pendulum_medium_replay run.dir=runs/pendulum-dataset
	$(BIN)/pogo-collect runs/pendulum-dataset --replay --transitions 11600 --num-envs 2 --best-return -131.8 \
		--out pendulum-medium-replay.hdf5

test: $(INSTALLED)
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m "not slow"

test-slow: $(INSTALLED)
	XLA_FLAGS="--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1" \
		$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m slow

planted-bugs: $(INSTALLED)
	$(BIN)/python -m tests.planted.run

# With the other framework hidden: everything is imported, and every algorithm trains (tests/test_isolation.py). What chains,
# distances, learners and probes compute, which know no other framework, is `make test`'s.
NOT_ALONE := chain distances learner paper_steps phases probing
ALONE := -m "not slow" $(NOT_ALONE:%=--ignore-glob "*/test_%.py")

test-torch-alone: $(INSTALLED)
	$(BIN)/python -m pytest -n $(JOBS) $(ALONE) --hide jax tests/backends tests/torch_backend tests/test_isolation.py

test-jax-alone: $(INSTALLED)
	$(BIN)/python -m pytest -n $(JOBS) $(ALONE) --hide torch tests/backends tests/jax_backend tests/test_isolation.py

check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

docs: $(INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

clean:
	rm -rf $(VENV) build dist
