# `make lab` opens the lab, `make test` runs everything that checks it, `make help` lists the rest.
# The first one that you use makes a Python environment in .venv, in this folder, and nothing outside it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LISTS := pyproject.toml requirements.txt requirements-torch.txt
# named by what the lists hold, whatever the clock says
READY := $(VENV)/.ready-$(shell cat $(LISTS) | cksum | cut -d' ' -f1)
PIP := $(BIN)/python -m pip install --disable-pip-version-check
EXTRA := $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))

.DEFAULT_GOAL := help
.PHONY: help setup lab test verify notebooks check record book zip pair benchmark pins clean

help: ## list what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):[^#]*## (.*)/make \1@\2/' | awk -F@ '{printf "%-16s %s\n", $$1, $$2}'

setup: $(READY) ## make the Python environment (again when its lists have changed)

# What has hashes is complete but for PyTorch, which has none and so comes in a step of its own
$(READY):
	@rm -f $(VENV)/.ready*
	@$(PYTHON) -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' || { echo "RegLab needs Python 3.11 or newer with venv, and $(PYTHON) is `$(PYTHON) --version 2>&1`. On Debian and Ubuntu: apt install python3-venv. Another Python: make PYTHON=python3.12" >&2; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	$(PIP) --require-hashes --no-deps -r requirements.txt
	$(PIP) $(EXTRA) -r requirements-torch.txt
	$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

lab: setup ## open the lab in JupyterLab
	$(BIN)/reglab lab

test: setup ## run all tests, in as many processes as there are cores; style and types are among them
	$(BIN)/pytest -n logical --dist loadgroup

verify: setup ## run the expensive checks of all papers: notebooks, claims, recorded points, pages in a browser
	$(BIN)/reglab verify --all

notebooks: setup ## run all notebooks from top to bottom
	$(BIN)/reglab execute

check: setup ## measure the claims of all papers again
	$(BIN)/reglab check

record: setup ## recompute the grids that the website replays
	$(BIN)/reglab record

book: setup ## build the website in book/_build/html
	$(BIN)/reglab book

zip: setup ## pack the website into book/_build/reglab.zip, which opens without a server
	$(BIN)/reglab book --zip

pair: setup ## rebuild every .ipynb of the lab from its .py
	$(BIN)/reglab pair

benchmark: setup ## measure how fast the widgets run
	@for script in tests/benchmarks/*.py; do PYTHONPATH=tests $(BIN)/python $$script || exit 1; done

pins: setup ## write requirements.txt and the versions of environment.yml again; UPGRADE=--upgrade takes the newest
	$(BIN)/uv pip compile --quiet $(UPGRADE) pyproject.toml -c requirements-torch.txt -o requirements.txt
	@cat requirements-torch.txt requirements.txt | awk -F'==| ' 'NR == FNR { if (/^[a-z]/) pin[$$1] = $$2; next } { name = $$8; if (name in pin) sub(/==.*/, "==" pin[name]); print }' - environment.yml > environment.tmp
	@mv environment.tmp environment.yml

clean: ## remove what was built: website, executed notebooks, caches; the environment stays
	rm -rf book/_build book/lab book/generated .pytest_cache .mypy_cache .ruff_cache .hypothesis .cache
	find reglab tests lab -name __pycache__ -type d -prune -exec rm -rf {} +
