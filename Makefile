# Every target does its own set-up: one virtual environment, made anew when pyproject.toml changes.
# Needed on the machine: Python >= 3.10, make, git.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
# The stamp changes with pyproject.toml and with the list of files: the strict editable install
# links files one by one.
HASH   := $(shell (cat pyproject.toml; git ls-files -co --exclude-standard -- videojudge_bench judges tasks | sort) | cksum | cut -d' ' -f1)
STAMP  := $(VENV)/.installed-$(HASH)
DEPS   := $(VENV)/.dependencies-$(shell cksum < pyproject.toml | cut -d' ' -f1)
OUT    ?= out
# pip prints what a setuptools build has to say, such as where the links of the install lie.
QUIETLY = PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet
LMMS_EVAL = HF_HUB_OFFLINE=1 $(BIN)/lmms_eval --model videojudge

.PHONY: help install demo test test-slow check bench leaderboard clean
help:  ## show this help
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

install: $(STAMP)  ## install the package and everything it needs into $(VENV)

$(DEPS): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "videojudge-bench needs Python >= 3.10; $(PYTHON) is $$($(PYTHON) --version). Give another: make PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(QUIETLY) --upgrade pip "setuptools>=77"
	$(QUIETLY) -e ".[dev,minilm]" --config-settings editable_mode=strict
	@rm -f $(VENV)/.dependencies-* && touch $@

$(STAMP): $(DEPS)
	@rm -rf build
	$(QUIETLY) --no-deps --no-build-isolation -e . --config-settings editable_mode=strict
	@rm -f $(VENV)/.installed-* && touch $@

demo: $(STAMP)  ## judge real captions with real human ratings and print the leaderboard
	@mkdir -p $(OUT)
	@echo "Judging the captions of VATEX-EVAL with rouge_l, 1 reference (lmms_eval's log: $(OUT)/rouge_l.log)"
	@$(LMMS_EVAL) --model_args judge=rouge_l,references=1,journal=$(OUT)/journal --tasks 'videojudge_*' \
	  --output_path $(OUT)/lmms_eval > $(OUT)/rouge_l.log 2>&1 || { tail -n 30 $(OUT)/rouge_l.log; exit 1; }
	@echo "Judging the options of NExT-QA, which has no references, with longest ($(OUT)/longest.log)"
	@$(LMMS_EVAL) --model_args judge=longest,journal=$(OUT)/journal --tasks videojudge_nextqa \
	  --output_path $(OUT)/lmms_eval > $(OUT)/longest.log 2>&1 || { tail -n 30 $(OUT)/longest.log; exit 1; }
	@$(BIN)/videojudge leaderboard add $(OUT)/journal --results $(OUT)/results --replace
	@$(BIN)/videojudge leaderboard --results $(OUT)/results
	@echo "lmms-eval's own results are in $(OUT)/lmms_eval, the journals in $(OUT)/journal."

test: $(STAMP)  ## run the tests (without the slow ones)
	$(BIN)/pytest -n 2 --cov --cov-report=term:skip-covered

test-slow: $(STAMP)  ## run all tests
	$(BIN)/pytest -n 2 -m "not gpu"

check: $(STAMP)  ## lint, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@# From another folder: here, videojudge_bench/ would be found without judges/ and tasks/.
	cd tests && ../$(BIN)/mypy --config-file ../pyproject.toml -p videojudge_bench
	cd tests && ../$(BIN)/mypy --config-file ../pyproject.toml .
	cd tests && ../$(BIN)/lint-imports --config ../pyproject.toml --no-cache

bench: $(STAMP)  ## measure speed; writes results/benchmarks/
	$(BIN)/python tests/benchmarks

leaderboard: $(STAMP)  ## build results/leaderboard.{md,csv,json} from results/runs/
	$(BIN)/videojudge leaderboard

clean:  ## remove what the other targets made
	rm -rf $(VENV) build out *.egg-info .mypy_cache .pytest_cache .ruff_cache
