# Everything a newcomer types. `make serve` and `make test` each set up what they need.
PYTHON ?= python3.11
BIN := .venv/bin
SOAK_SECONDS ?= 3600
# Test processes at the same time; 0: the tests run in the one that a debugger sees. One more than there are
# processors, since a test that starts a server waits for it.
TEST_PROCESSES ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
ROUNDS ?= 20
MINUTES ?= 120
INSTALL := $(BIN)/python -m pip --disable-pip-version-check install --quiet
PIP := $(INSTALL) --constraint constraints.txt

.PHONY: help setup serve test lint types unit test-serving coverage test-wheel lint-ops docs figures test-tutorial pictures page-picture samples reproduce audit sbom lock bench-serving bench-client bench-page bench-training bench-peers bench-neighbours soak overload kill-rounds clean

help:
	@echo "make serve   serve the shipped model on http://localhost:8000"
	@echo "make test    lint, types and every test"
	@echo "make setup   prepare .venv for both"
	@echo "make test-serving   the tests of serving, without PyTorch"
	@echo "make coverage   the tests with the share of lines and branches that they run, and its floor"
	@echo "make test-wheel   the wheel in an environment of its own, with all that it needs"
	@echo "make lint-ops   check Dockerfile, compose file, Kubernetes example, Prometheus rules and alerts"
	@echo "make docs   the documents as a site, in build/site"
	@echo "make test-tutorial   run every block of the tutorial as a reader would (ARGS='--epochs 2': with a shorter training)"
	@echo "make figures   draw the figures of the mathematics page"
	@echo "make pictures DATA=test.parquet   draw the README's pictures from images that were not trained on"
	@echo "make page-picture   draw the README's picture of the page (needs Chromium)"
	@echo "make samples DATA='test.parquet validation.parquet'   choose the page's sample images anew"
	@echo "make audit   look the pinned versions up among known vulnerabilities (needs a network)"
	@echo "make lock    constraints.txt and serving.lock for pyproject.toml (ARGS=--upgrade; needs a network)"
	@echo "make sbom    sbom.cdx.json: what is installed, as CycloneDX"
	@echo "make reproduce TRAIN=train.parquet TEST=test.parquet   the paper's comparisons, MINUTES at a time"
	@echo "make bench-serving   this service beside LitServe, BentoML, MLServer and mosec (ARGS=--help)"
	@echo "make bench-page   clicks on the page of a service that runs, in Chromium (ARGS=--help)"
	@echo "make bench-client   the Python client beside curl's stream on one server (ARGS=--help)"
	@echo "make bench-training   the whole training step against the bare encoder (ARGS=--help)"
	@echo "make bench-peers   other methods of training with the same encoder, views and processor seconds (ARGS='--data train.parquet')"
	@echo "make bench-neighbours   the index beside usearch, FAISS, LanceDB, Qdrant Edge and a bare pgvector (ARGS=--help)"
	@echo "make soak   random clients for an hour (SOAK_SECONDS): no failure, flat memory"
	@echo "make kill-rounds   kill the server and its PostgreSQL again and again (ROUNDS): nothing acknowledged is lost"
	@echo "make overload   ten times full load of small images, photographs and large pictures: latency, refusals, whether Retry-After is true"
	@echo "make clean   remove .venv, the embedded index and training runs"

.venv/python:
	$(PYTHON) -m venv .venv
	touch $@

.venv/serving: .venv/python pyproject.toml setup.py constraints.txt serving.lock
	@echo "Installing what serving needs into .venv: 0.9 GB, once. pip is silent meanwhile, for a minute or more."
	$(INSTALL) --require-hashes --requirement serving.lock
	$(INSTALL) --no-deps --editable .
	touch $@

.venv/complete: .venv/serving
	@echo "Installing what training and tests need into .venv: 2 GB more, several with CUDA, once. pip is silent meanwhile, for minutes."
	$(PIP) --editable '.[training,test,docs,ray,tracing]'
	touch $@

.venv/serving-tests: .venv/serving
	$(PIP) --editable '.[test]'
	touch $@

.venv/ops: .venv/serving
	$(PIP) --editable '.[ops]'
	touch $@

setup: .venv/complete

# The index stays in this checkout, wherever that of an installed service lies.
serve: .venv/serving
	INFOMAX_DATA_DIR="$${INFOMAX_DATA_DIR:-.infomax}" exec $(BIN)/infomax serve $(ARGS)

# Types are checked beside the tests; what is said of them follows at the end.
test: lint .venv/complete
	@said=$$(mktemp) && trap 'rm -f "$$said"' EXIT && { $(BIN)/mypy >"$$said" 2>&1 & } && mypy=$$! && \
	trap 'kill $$mypy' INT TERM && \
	{ $(MAKE) --no-print-directory unit; tests=$$?; wait $$mypy; types=$$?; cat "$$said"; \
	  [ $$tests -eq 0 ] && [ $$types -eq 0 ]; }

lint: .venv/complete
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/complete
	$(BIN)/mypy

# In a folder of its own: another user's or another checkout's pytest would close the shared one to the account
# that PostgreSQL runs as when the tests run as root.
IN_OWN_FOLDER = folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && PYTEST_DEBUG_TEMPROOT=$$folder
PYTEST := $(BIN)/pytest --numprocesses $(TEST_PROCESSES) --dist worksteal

# The test processes import what the first of them compiled, also where the environment forbids Python to keep it.
unit: export PYTHONDONTWRITEBYTECODE =
unit: .venv/complete
	@$(IN_OWN_FOLDER) $(PYTEST)

# What a serving machine runs, in an environment that has no PyTorch.
test-serving: .venv/serving-tests
	@$(IN_OWN_FOLDER) $(PYTEST) --ignore tests/training --ignore tests/bench --ignore tests/docs

# Slower by a third than `unit`, so that continuous integration runs it beside that.
coverage: .venv/complete
	@$(IN_OWN_FOLDER) $(PYTEST) --cov --cov-report term --cov-report html

# Everything that `unit` tests of the wheel with what is installed here, in an environment that pip fills from the
# wheel; readable by the account that PostgreSQL runs as when the tests run as root.
test-wheel: .venv/complete
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && chmod 755 "$$folder" && \
	wheel=$$($(BIN)/python -m tests.end_to_end.wheel "$$folder") && \
	$(PYTHON) -m venv "$$folder/environment" && \
	PYTHONPATH= "$$folder/environment/bin/python" -m pip --disable-pip-version-check install --quiet \
	  --constraint constraints.txt "$$wheel[training]" && \
	INFOMAX_TEST_ENVIRONMENT=$$folder/environment PYTEST_DEBUG_TEMPROOT=$$folder \
	  $(BIN)/pytest tests/end_to_end/test_wheel.py

lint-ops: .venv/ops
	@if [ -x $(BIN)/hadolint ]; then $(BIN)/hadolint Dockerfile && echo "hadolint: ok"; \
	else echo "skipped: hadolint (its wheel is for Linux on x86-64 only)"; fi
	$(BIN)/kubernetes-validate --strict $(filter-out %/kustomization.yml %/prometheus-adapter.yml,$(wildcard ops/kubernetes/*.yml))
	@if docker compose version >/dev/null 2>&1; then \
	  docker compose --env-file ops/compose.env.example config --quiet \
	  && docker compose --env-file ops/compose.env.example --file docker-compose.yml --file ops/compose.gpu.yml config --quiet \
	  && echo "docker compose config: ok"; \
	else echo "skipped: docker compose config (no docker client with the compose plugin)"; fi
	@if command -v promtool >/dev/null; then \
	  promtool check config ops/prometheus.yml && promtool test rules ops/alerts_test.yml; \
	else echo "skipped: promtool (it comes with Prometheus)"; fi

# Strict: a warning, such as a link that leads nowhere, ends it. The theme's note on its own future is not one.
docs: .venv/complete
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build

test-tutorial: .venv/complete
	$(BIN)/python -m tests.end_to_end.tutorial $(ARGS)

figures: .venv/complete
	$(BIN)/python -m docs.figures

pictures: .venv/complete
	$(BIN)/python -m docs.pictures $(DATA)

# Of a service that runs on port 8000 with an empty index.
page-picture: .venv/complete
	$(BIN)/python -m docs.page_picture

samples: .venv/complete
	$(BIN)/python -m docs.samples $(DATA)

# Call it again to go on: status 75, which make reports as an error, says that time ran out before the end.
reproduce: .venv/complete
	$(BIN)/infomax reproduce all --train $(TRAIN) --test $(TEST) --out runs/reproduced --minutes $(MINUTES)

# Tools that look at an environment from outside, so that they are no part of it.
.tools/audit: Makefile
	$(PYTHON) -m venv .tools
	.tools/bin/python -m pip --disable-pip-version-check install --quiet \
	  pip-audit==2.10.1 cyclonedx-bom==7.5.0 uv==0.13.9
	touch $@

# constraints.txt pins what any extra installs, serving.lock what serving installs, with its hashes. Versions stay where
# the ranges of pyproject.toml allow them; ARGS=--upgrade takes the newest, ARGS='--upgrade-package NAME' that of one.
LOCK := .tools/bin/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --no-annotate \
  --custom-compile-command 'make lock'
lock: .tools/audit
	$(LOCK) --all-extras --output-file constraints.txt $(ARGS)
	$(LOCK) --extra serving --generate-hashes --constraint constraints.txt --output-file serving.lock

# Strict: a version that could not be looked up fails as well.
audit: .tools/audit
	.tools/bin/pip-audit --requirement constraints.txt --disable-pip --no-deps --strict

sbom: .venv/serving .tools/audit
	.tools/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible \
	  --output-file sbom.cdx.json $(BIN)/python

# An environment of their own: what they need contradicts what this service needs.
PEERS := litserve bentoml mlserver mosec
PEERS_PIP := bench/.venv-peers/bin/python -m pip --disable-pip-version-check install --quiet \
  --constraint bench/requirements-peers.txt

bench/.venv-peers/ready: bench/requirements-peers.txt
	$(PYTHON) -m venv bench/.venv-peers
	$(PEERS_PIP) numpy orjson pillow pydantic \
	  "onnxruntime-gpu; platform_machine == 'x86_64' and sys_platform == 'linux'" \
	  "onnxruntime; sys_platform == 'darwin' or platform_machine != 'x86_64'"
	@for peer in $(PEERS); do $(PEERS_PIP) $$peer || echo "skipped: $$peer cannot be installed here"; done
	touch $@

# The figures are drawn by matplotlib, which is not a part of serving.
bench-serving: .venv/complete bench/.venv-peers/ready
	$(BIN)/python -m bench.serving $(ARGS)

bench-page: .venv/complete
	$(BIN)/python -m bench.page_clicks $(ARGS)

bench-client: .venv/serving
	$(BIN)/python -m bench.client $(ARGS)

bench-training: .venv/complete
	$(BIN)/python -m bench.training $(ARGS)

# Losses alone: lightly itself needs torchvision, whose wheels do not fit every PyTorch.
bench/.venv-lightly/ready: bench/requirements-lightly.txt
	$(PYTHON) -m venv bench/.venv-lightly
	bench/.venv-lightly/bin/python -m pip --disable-pip-version-check install --quiet --no-deps \
	  --requirement bench/requirements-lightly.txt
	touch $@

bench-peers: .venv/complete bench/.venv-lightly/ready
	$(BIN)/python -m bench.training.peers $(ARGS)

# usearch, FAISS and LanceDB bring libraries of their own for threads; they stay out of this service's environment.
NEIGHBOURS_PIP := bench/.venv-neighbours/bin/python -m pip --disable-pip-version-check install --quiet \
  --constraint bench/requirements-neighbours.txt

bench/.venv-neighbours/ready: bench/requirements-neighbours.txt
	$(PYTHON) -m venv bench/.venv-neighbours
	$(NEIGHBOURS_PIP) numpy psutil
	@for peer in usearch faiss-cpu lancedb qdrant-edge-py; do \
	  $(NEIGHBOURS_PIP) $$peer || echo "skipped: $$peer cannot be installed here"; done
	touch $@

bench-neighbours: .venv/complete bench/.venv-neighbours/ready
	$(BIN)/python -m bench.neighbours $(ARGS)

soak: .venv/complete
	$(BIN)/python -m bench.soak --seconds $(SOAK_SECONDS)

kill-rounds: .venv/complete
	$(BIN)/python -m bench.kill_rounds --rounds $(ROUNDS)

overload: .venv/complete
	$(BIN)/python -m bench.overload --pictures small
	$(BIN)/python -m bench.overload --pictures photographs
	$(BIN)/python -m bench.overload --pictures large

clean:
	rm -rf bench/.venv-peers bench/.venv-neighbours bench/.venv-lightly .venv .tools .infomax runs
