# Everything a newcomer types. `make serve` and `make test` each set up what they need.
PYTHON ?= python3.11
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt

.PHONY: help setup serve test lint types unit clean

help:
	@echo "make serve   serve the shipped model on http://localhost:8000"
	@echo "make test    lint, types and every test"
	@echo "make setup   prepare .venv for both"

.venv/python:
	$(PYTHON) -m venv .venv
	touch $@

.venv/serving: .venv/python pyproject.toml constraints.txt
	$(PIP) --editable .
	touch $@

.venv/complete: .venv/serving
	$(PIP) --editable '.[training,test]'
	touch $@

setup: .venv/complete

serve: .venv/serving
	$(BIN)/infomax serve

test: lint types unit

lint: .venv/complete
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/complete
	$(BIN)/mypy

unit: .venv/complete
	$(BIN)/pytest

clean:
	rm -rf .venv .infomax runs
