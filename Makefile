# make demo       the story, on three real compute hosts
# make test       units, property tests, the lab's selection: what CI runs
# make test-all   the slow lab tests too
# make scenarios  every fault of tests/lab/scenarios against Nova's own driver (about an hour)
# make test-versions  the unit tests on Python 3.9 with the oldest libraries and on 3.13 with the newest (root; trees of Debian 11, 13)
# make deb rpm wheel  packages, into dist/
# make scenarios-random  an hour of random combinations of those faults
# make crash      --fix killed, torn and starved at every system call (about an hour)
# make hostile    nova against root: every trick, and 20 000 swaps of each kind while root writes
# make bench      what all of it costs, beside its floor and beside others; writes docs/benchmarks.md (about 20 minutes)

SHELL := /bin/sh
REQUIREMENTS := tests/requirements.txt
# Everything that is slow to make is kept outside the repository, keyed by what it is made from.
CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/resize-agent
VENV := $(CACHE)/venv-$(shell sha256sum $(REQUIREMENTS) | cut -c1-12)
PYTHON := $(VENV)/bin/python

.PHONY: test test-all test-versions deb rpm wheel scenarios scenarios-random crash hostile demo bench lint setup

test: setup
	@tests/run $(PYTHON) -m pytest -m "not slow"

test-all: setup
	@tests/setup all
	@tests/run $(PYTHON) -m pytest -m "not scenario or not slow"

test-versions: setup
	@tests/setup guests
	@tests/versions bullseye 3.9 oldest
	@tests/versions trixie 3.13 newest

deb rpm:
	@tests/setup $@
	@packaging/build $@ dist
	@ls dist/*.$@

wheel: $(VENV)/.ready
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check build
	@PYTHON=$(PYTHON) packaging/build $@ dist
	@ls dist/*.whl dist/*.tar.gz

scenarios: setup
	@tests/run $(PYTHON) -m pytest -m scenario tests/lab/scenarios

scenarios-random: setup
	@$(PYTHON) -m tests.lab.scenarios.generator --minutes 60 --save random.jsonl

crash: setup
	@tests/run $(PYTHON) -m pytest tests/crash

hostile: setup
	@tests/run $(PYTHON) -m pytest tests/hostile

demo:
	@tests/setup demo
	@python3 -m tests.lab.demo

bench: $(VENV)/.ready
	@tests/setup bench
	@$(PYTHON) -m bench

lint: setup
	@$(PYTHON) -m pytest -q tests/meta

setup: $(VENV)/.ready
	@tests/setup test

$(VENV)/.ready: $(REQUIREMENTS)
	@tests/setup venv
	@echo "setup: Python packages for the tests (once) ..."
	@python3 -m venv $(VENV)
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check -r $(REQUIREMENTS)
	@touch $@
