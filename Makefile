# `make help` lists the verbs. Everything is installed into .venv/ from the locks in requirements/.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: help setup run test test-jax test-stack lint sbom dist docs docs-config bench lock

BIN := .venv/bin
STAMP := .venv/.setup-done
PARTS := contract cells layers losses heads models
BENCHMARKS := batch counts drift faults gate hostile kill memory scale serving shifts speed
ON_DATA := accuracy defaults frames insight loop nab newcomer symbols
LOCKS := requirements/uv.txt requirements/build.txt requirements/dev.txt
COMPILE := $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --quiet
CANDIDATES := $(PYTHON) python3.11 python3.12 python3.13 python3
# Its name is not checked, its version is; venv needs ensurepip, which Debian ships separately.
SUITABLE := import sys, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP)  ## install everything into .venv/ (nothing to do when it is up to date)

$(STAMP): $(LOCKS) pyproject.toml
	@python=""; for candidate in $(CANDIDATES); do \
	  if "$$candidate" -c '$(SUITABLE)' 2>/dev/null; then python="$$candidate"; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "Gatecast needs Python 3.11, 3.12 or 3.13 with its venv module (Debian: apt install python3-venv)." >&2; \
	  echo "Where it has another name: make $(or $(MAKECMDGOALS),setup) PYTHON=/path/to/python3.11" >&2; exit 1; \
	fi; \
	$(BIN)/python -c '$(SUITABLE)' 2>/dev/null || "$$python" -m venv --clear .venv
	@cmp -s requirements/uv.txt .venv/uv.txt || $(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --require-hashes -r requirements/uv.txt
	@cp requirements/uv.txt .venv/uv.txt
	@echo "Installing the locked packages into .venv/ (a few minutes where they must be downloaded) ..." >&2
	@$(BIN)/uv pip install --python $(BIN)/python --quiet --require-hashes -r requirements/build.txt -r requirements/dev.txt
	@$(BIN)/uv pip install --python $(BIN)/python --quiet --no-deps --no-build-isolation --editable .
	@touch $@

run: setup  ## train, judge and promote a network on real sensor data, store its forecasts, write a report
	$(BIN)/gatecast run configs/quickstart.yaml

test: setup  ## all tests; what networks are made of on JAX first, then everything on TensorFlow
	KERAS_BACKEND=jax $(BIN)/python -m pytest -q -n auto --dist loadfile $(PARTS:%=tests/nn/test_%.py)
	KERAS_BACKEND=tensorflow $(BIN)/python -m pytest -q -n auto --dist loadfile

test-jax: setup  ## all tests of the networks on JAX, which compiles each of them: ten minutes
	KERAS_BACKEND=jax $(BIN)/python -m pytest -q -n auto --dist loadfile tests/nn

test-stack: setup  ## every service of docker-compose.yml without an engine; as root on Linux, with a PostgreSQL
	unshare --net --mount --pid --fork --mount-proc --kill-child $(BIN)/python -m pytest -q -m stack tests/stack

lint: setup  ## style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict forecasting pipelines
	$(BIN)/lint-imports

sbom: setup  ## sbom-serve.json, sbom-worker.json: what the two images install (CycloneDX)
	$(BIN)/python requirements/sbom.py --check requirements/*.txt
	$(BIN)/python requirements/sbom.py requirements/serve.txt > sbom-serve.json
	$(BIN)/python requirements/sbom.py requirements/worker.txt > sbom-worker.json

dist: setup  ## wheel and sdist in dist/, built twice, installed into empty environments and tried there
	sh requirements/dist.sh $(BIN)

docs: setup  ## the documentation as a site in site/, which opens from a disk; a broken link is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo site/index.html

docs-config: setup  ## write docs/configuration.md and configs/job.schema.json anew: the configuration explains itself
	$(BIN)/python -m forecasting.config.reference docs
	$(BIN)/gatecast schema > configs/job.schema.json

bench: setup  ## the measurements of docs/benchmarks.md, those on public data where GATECAST_DATASETS names it: hours
	@for job in quickstart sensors stocks $${GATECAST_DATASETS:+ett}; do \
	  echo "== gatecast run configs/$$job.yaml"; $(BIN)/gatecast run "configs/$$job.yaml"; \
	done
	@for name in $(BENCHMARKS) $${GATECAST_DATASETS:+$(ON_DATA)}; do \
	  echo "== benchmarks.$$name"; $(BIN)/python -m "benchmarks.$$name"; \
	done

lock: setup  ## make the locks anew from pyproject.toml, for every Python that is supported
	$(COMPILE) pyproject.toml --extra dev --upgrade -o requirements/dev.txt
	$(COMPILE) pyproject.toml --constraints requirements/dev.txt -o requirements/serve.txt
	$(COMPILE) pyproject.toml --extra stack --constraints requirements/dev.txt -o requirements/worker.txt
	$(COMPILE) pyproject.toml --extra stack --extra gpu --constraints requirements/dev.txt -o requirements/gpu.txt
	$(COMPILE) requirements/build.in --constraints requirements/dev.txt --upgrade -o requirements/build.txt
