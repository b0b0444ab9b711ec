# Every target makes the environment it needs and remembers it: the first run takes minutes,
# the next one seconds. Another interpreter: make test PYTHON=python3.13

PYTHON ?= python3
PIP := -m pip --disable-pip-version-check install -qq

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help demo test wheel oldest bench soak notebook lint format clean

help:  ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /make \1	/p' Makefile

demo: .venv/installed-learn,show  ## train on real digits and draw a graph, into out/
	@.venv/bin/python notebooks/demo.py

test: .venv/installed-test  ## run every test and every documented example
	@.venv/bin/python -m pytest

# Pictures, estimators and files are tested with the extras in the environments of the other two.
CORE := elementwise tensor transforms forward levels reductions shapes indexing custom module optim

wheel: .venv/installed-test  ## build the wheel, and test the core with it and NumPy alone
	@rm -rf .venv-wheel out/wheel
	@.venv/bin/python -m build --outdir out/wheel >/dev/null
	@.venv/bin/python -m venv .venv-wheel
	@.venv-wheel/bin/python $(PIP) out/wheel/*.whl
	@cp -r tests pyproject.toml out/wheel
	@cd out/wheel && ../../.venv-wheel/bin/python -c 'import autograd, nn, optim' \
		&& ../../.venv-wheel/bin/python $(PIP) pytest \
		&& ../../.venv-wheel/bin/python -m pytest $(CORE:%=tests/test_%.py)

# Old versions warn of each other, and scikit-learn's own checks differ from one to the next.
oldest: .venv-oldest/installed  ## test with the least versions that pyproject.toml allows
	@.venv-oldest/bin/python -m pytest -W ignore::DeprecationWarning -k 'not scikit_learn' \
		$(patsubst %,tests/test_%.py,$(CORE) linalg numerics source estimators encoding files minimize sparse)

bench: .venv/installed-bench .venv-hips/installed  ## measure against other libraries
	@HIPS_PYTHON="$(CURDIR)/.venv-hips/bin/python" .venv/bin/python -m benchmarks
	@.venv/bin/python -m benchmarks.quality

soak: .venv/installed-test  ## train a hundred thousand steps, and see that nothing grows
	@.venv/bin/python -m benchmarks.soak

notebook: .venv/installed-notebook,learn,show  ## open the notebooks in JupyterLab
	@.venv/bin/python -m jupyterlab notebooks

lint: .venv/installed-test  ## check style and layout
	@.venv/bin/python -m ruff check
	@.venv/bin/python -m ruff format --check

format: .venv/installed-test  ## lay the source out and mend what can be mended
	@.venv/bin/python -m ruff check --fix
	@.venv/bin/python -m ruff format

clean:  ## remove the environments and everything made
	@rm -rf .venv .venv-hips .venv-wheel .venv-oldest out build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A new pyproject.toml is installed anew, by whatever target comes first to need it.
.venv/installed-%: pyproject.toml .venv/pyvenv.cfg
	@echo "Installing speelpenning[$*] into .venv; the first time takes a minute or more ..."
	@.venv/bin/python $(PIP) --editable '.[$*]'
	@touch $@

.venv-hips/installed: .venv-hips/pyvenv.cfg
	@echo "Installing HIPS's autograd, a peer of our import name, into .venv-hips ..."
	@.venv-hips/bin/python $(PIP) autograd 'numpy>=2.0'
	@touch $@

.venv-oldest/installed: pyproject.toml .venv-oldest/pyvenv.cfg
	@echo "Installing the least versions into .venv-oldest ..."
	@sed -n 's/.*"\([a-z][a-z0-9-]*\)>=\([0-9.]*\)".*/\1==\2/p' pyproject.toml >$(@D)/oldest.txt
	@.venv-oldest/bin/python $(PIP) --constraint $(@D)/oldest.txt \
		--editable '.[jit,learn,show]' pytest hypothesis
	@touch $@

.venv/pyvenv.cfg .venv-hips/pyvenv.cfg .venv-oldest/pyvenv.cfg:
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "speelpenning needs Python 3.11 or newer, and '$(PYTHON)' is not:" \
		"say where one is, as in: make $(MAKECMDGOALS) PYTHON=/path/to/python3.12" >&2; exit 1; }
	@echo "Making the environment $(@D) ..."
	@"$(PYTHON)" -m venv --clear $(@D)
