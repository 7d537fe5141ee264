# The two commands: `make demo` and `make test`. Everything they need is installed by them. Before a commit: `make check`, for which the
# package index is enough; it says NOT CHECKED where only a vulnerability service could answer, and `AUDIT=required make check`, before a
# release, fails there. `make coverage` shows what the tests leave untried where it matters most.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install -q --disable-pip-version-check
LOCK := $(VENV)/lock
HASHED := $(LOCK)/bin/uv pip compile -q --no-config --universal --python-version 3.11 --generate-hashes --no-header --no-annotate
READY := $(VENV)/.ready
TEST_READY := $(VENV)/.test-ready
FUZZ_READY := $(VENV)/.fuzz-ready
IMAPFLOW := 2.1.2
NODE_READY := $(VENV)/node/.imapflow-$(IMAPFLOW)
WITH_SCREEN := thunderbird xvfb imagemagick libnss3-tools dbus-daemon
WITHOUT_SCREEN := interimap offlineimap3 getmail6 mutt neomutt node:nodejs npm:npm
COVERING := tests/unit/trust tests/unit/crypto tests/unit/smtp/grammar tests/unit/delivery tests/simulation
ARGS ?=

.PHONY: demo test check coverage fix services campaign clients thunderbird bench walks clean lock

# Every package, the one that builds ours too, is taken only if its octets have a hash of the lock.
$(READY): pyproject.toml requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) --require-hashes -r requirements.txt
	$(PIP) --no-deps --no-build-isolation -e .
	touch $@

$(TEST_READY): $(READY) requirements-test.txt
	$(PIP) --require-hashes --no-deps -r requirements-test.txt
	touch $@

$(FUZZ_READY): $(TEST_READY) requirements-fuzz.txt
	$(PIP) --require-hashes --no-deps -r requirements-fuzz.txt
	touch $@

demo: $(READY)
	@$(BIN)/mssante demo $(ARGS)

services:
	@tests/support/services.sh

test: $(TEST_READY) services
	$(BIN)/pytest -n 2 --dist loadfile $(ARGS)

check: $(TEST_READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python tools/sizes.py
	$(BIN)/python tools/secret_scan.py
	$(BIN)/python tools/audit.py

# Trust, crypto, the DATA parser, reception and retry: the modules that pyproject.toml lists.
coverage: $(TEST_READY) services
	$(BIN)/coverage run -m pytest -n 0 $(COVERING) $(ARGS)
	$(BIN)/coverage report

fix: $(TEST_READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

campaign: $(FUZZ_READY) services
	$(BIN)/pytest -m campaign $(ARGS)

# Every real client; the quick ones are in `make test` too.
clients: $(TEST_READY)
	@tests/support/services.sh $(WITHOUT_SCREEN) $(WITH_SCREEN)
	@$(MAKE) --no-print-directory $(NODE_READY)
	$(BIN)/pytest -m 'client or not client' -n 0 tests/clients $(ARGS)

$(NODE_READY):
	npm install --prefix $(VENV)/node --no-audit --no-fund --no-save --loglevel=error imapflow@$(IMAPFLOW)
	touch $@

thunderbird: $(TEST_READY)
	@tests/support/services.sh $(WITH_SCREEN)
	$(BIN)/pytest -m client -n 0 tests/clients/test_thunderbird.py $(ARGS)

# The anchor (Postfix, Dovecot) is installed only where the scripts that set it up are.
bench: $(TEST_READY)
	@[ ! -d "$${PERF:-../shared/perf}" ] || tests/support/services.sh postfix postfix-lmdb dovecot-core dovecot-imapd dovecot-lmtpd
	$(BIN)/python tests/bench/run.py $(ARGS)

# How many files and layers one command crosses: tools/walks.py.
walks: $(TEST_READY)
	$(BIN)/python -m tools.walks $(ARGS)

# The newest versions that pyproject.toml allows, with the hashes of their files for every system: what operators install, and what tests add.
lock:
	$(PYTHON) -m venv --clear $(LOCK)
	$(LOCK)/bin/pip install -q --disable-pip-version-check '.[test]' 'setuptools>=80' uv
	$(LOCK)/bin/pip freeze --all --exclude mssante --exclude pip --exclude uv > $(LOCK)/versions.txt
	echo 'setuptools>=80' > $(LOCK)/build.txt
	$(HASHED) pyproject.toml $(LOCK)/build.txt -c $(LOCK)/versions.txt -o requirements.txt
	$(HASHED) --no-deps $(LOCK)/versions.txt -o requirements-test.txt
	echo 'atheris>=3.0' | $(HASHED) - -o requirements-fuzz.txt

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage
