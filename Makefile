# The two commands are `make run` and `make test`. Both need Python 3.11 or newer, and nothing else.
SHELL := /bin/sh
VENV := .venv
PYTHON_OF_VENV := $(VENV)/bin/python
INSTALL := $(PYTHON_OF_VENV) -m pip install --quiet --disable-pip-version-check --require-hashes
LOCK := uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --quiet

.PHONY: run test chaos lint bench vercel lock clean clean-data

run: $(VENV)/.for-running  ## Run the product on this machine; Ctrl-C ends it
	@exec $(PYTHON_OF_VENV) -m assisters_app run

test: $(VENV)/.for-testing  ## Run every test on real parts
	@$(PYTHON_OF_VENV) -m assisters_app build
	@exec $(PYTHON_OF_VENV) -m pytest --numprocesses=2 --dist=loadfile $(TESTS)

chaos: $(VENV)/.for-testing  ## Kill every part at random under load, and compare the books with what was seen: SECONDS=60 SEED=1
	@PYTHONPATH=.:tests $(PYTHON_OF_VENV) tests/chaos/storm.py --seconds $(or $(SECONDS),60) --seed $(or $(SEED),1)

lint: $(VENV)/.for-testing  ## Check style, types and the floors of the house
	$(PYTHON_OF_VENV) -m ruff check .
	$(PYTHON_OF_VENV) -m ruff format --check .
	$(PYTHON_OF_VENV) -m mypy
	$(VENV)/bin/lint-imports

bench: $(VENV)/.for-running  ## Measure the API beside its peers; about six minutes, and as long again at first
	@$(PYTHON_OF_VENV) -m assisters_app build
	@$(PYTHON_OF_VENV) bench/installing.py
	@exec $(PYTHON_OF_VENV) bench/run.py $(BENCH)

vercel: $(VENV)/.for-running  ## Build the metered API for Vercel: PAGES=https://your.host, with a Python that they run
	@$(INSTALL) -r deploy/vercel/requirements.txt
	@exec $(PYTHON_OF_VENV) -m assisters_app build-for-vercel --pages $(or $(PAGES),$(error Say where the pages are: make vercel PAGES=https://your.host))

lock: $(VENV)/.for-locking  ## Choose new versions and pin them with their hashes
	$(VENV)/locking/bin/$(LOCK) --upgrade requirements.in -o requirements.txt
	$(VENV)/locking/bin/$(LOCK) --constraint requirements.txt requirements-dev.in -o requirements-dev.txt
	$(VENV)/locking/bin/uv pip compile --universal --python-version 3.12 --generate-hashes --no-header --quiet --upgrade \
	  deploy/vercel/requirements.in -o deploy/vercel/requirements.txt
	cd bench && ../$(VENV)/locking/bin/$(LOCK) --upgrade requirements.in -o requirements.txt
	cd bench/peers && ../../$(VENV)/locking/bin/$(LOCK) --upgrade --constraint ../requirements.txt \
	  requirements-litellm.in -o requirements-litellm.txt

clean:  ## Remove what was installed and built; the development data stay
	rm -rf $(VENV) .venv-bench .web .states .import_linter_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

clean-data:  ## Remove the development data: accounts, mail, payments, all of it
	@for link in .local/*; do if [ -L "$$link" ]; then rm -rf "$$(dirname "$$(readlink "$$link")")"; fi; done
	rm -rf .local

# A stamp says what is installed; it lives in the environment, so that it goes when the environment goes.
$(VENV)/.for-running: requirements.txt | $(PYTHON_OF_VENV)
	@echo "Installing what the product needs (once, and when requirements.txt changes) …"
	@$(INSTALL) -r requirements.txt
	@touch $@

$(VENV)/.for-testing: requirements-dev.txt requirements.txt tests/node/package-lock.json | $(PYTHON_OF_VENV)
	@echo "Installing what the product and its tests need (once, and when the pins change) …"
	@$(INSTALL) -r requirements-dev.txt
	@mkdir -p $(VENV)/node && cp tests/node/package.json tests/node/package-lock.json $(VENV)/node
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" npm ci --prefix $(VENV)/node --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $(VENV)/.for-running $@

$(VENV)/.for-locking: | $(PYTHON_OF_VENV)
	@$(PYTHON_OF_VENV) -m venv $(VENV)/locking
	@$(VENV)/locking/bin/python -m pip install --quiet --disable-pip-version-check uv
	@touch $@

$(PYTHON_OF_VENV):
	@for python in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11; do \
	  if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    echo "Making a virtual environment with $$($$python --version) …"; \
	    "$$python" -m venv $(VENV) && exit 0; \
	    rm -rf $(VENV); exit 1; \
	  fi; \
	done; \
	echo "Assisters needs Python 3.11 or newer, and found none. Name one with: make run PYTHON=/path/to/python3" >&2; \
	exit 1
