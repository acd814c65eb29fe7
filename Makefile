# Every target does its own set-up: one virtual environment, made anew when pyproject.toml changes.
# Needed on the machine: Python >= 3.10, make, git.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
# The stamp changes with pyproject.toml and with the list of files: the strict editable install
# links files one by one.
HASH   := $(shell (cat pyproject.toml; git ls-files -co --exclude-standard -- videojudge_bench judges tasks training | sort) | cksum | cut -d' ' -f1)
STAMP  := $(VENV)/.installed-$(HASH)
DEPS   := $(VENV)/.dependencies-$(shell cksum < pyproject.toml | cut -d' ' -f1)
OUT    ?= out
# An environment with a vLLM, for test-engines alone.
VLLM   ?= $(or $(VIDEOJUDGE_VLLM),$(OUT)/vllm)
# pip prints what a setuptools build has to say, such as where the links of the install lie.
QUIETLY = PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet
LMMS_EVAL = HF_HUB_OFFLINE=1 $(BIN)/lmms_eval
TINY   := $(OUT)/tiny_qwen
TINY_ARGUMENTS = pretrained=$(TINY),device_map=cpu,max_num_frames=4,min_pixels=3136,max_pixels=12544
SAMPLES = videojudge_llava,videojudge_vcg,videojudge_pairwise,videojudge_longvideobench

.PHONY: help install demo tiny-model bootstrap loop test test-slow test-engines torture check bench leaderboard docs docs-serve clean
help:  ## show this help
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

install: $(STAMP)  ## install the package and everything it needs into $(VENV)

$(DEPS): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "videojudge-bench needs Python >= 3.10; $(PYTHON) is $$($(PYTHON) --version). Give another: make PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(QUIETLY) --upgrade pip "setuptools>=77"
	$(QUIETLY) -e ".[dev,minilm,serve]" --config-settings editable_mode=strict
	@rm -f $(VENV)/.dependencies-* && touch $@

$(STAMP): $(DEPS)
	@rm -rf build
	$(QUIETLY) --no-deps --no-build-isolation -e . --config-settings editable_mode=strict
	@rm -f $(VENV)/.installed-* && touch $@

demo: $(STAMP) $(TINY)  ## judge real captions and real videos, and print the leaderboard
	@mkdir -p $(OUT)
	@echo "Judging the captions of VATEX-EVAL with compact, 1 reference (lmms_eval's log: $(OUT)/compact.log)"
	@$(LMMS_EVAL) --model videojudge --model_args judge=compact,references=1,journal=$(OUT)/journal \
	  --tasks videojudge_vatex --output_path $(OUT)/lmms_eval > $(OUT)/compact.log 2>&1 || { tail -n 30 $(OUT)/compact.log; exit 1; }
	@echo "Judging all eight sets with longest ($(OUT)/longest.log)"
	@$(LMMS_EVAL) --model videojudge --model_args judge=longest,journal=$(OUT)/journal \
	  --tasks 'videojudge_*' --output_path $(OUT)/lmms_eval > $(OUT)/longest.log 2>&1 || { tail -n 30 $(OUT)/longest.log; exit 1; }
	@echo "Judging real videos with lmms-eval's own qwen2_5_vl, weights tiny and random: it sees frames and talks nonsense ($(OUT)/qwen.log)"
	@$(LMMS_EVAL) --model qwen2_5_vl --model_args $(TINY_ARGUMENTS) --device cpu --gen_kwargs max_new_tokens=24 --limit 4 --log_samples \
	  --tasks $(SAMPLES) --output_path $(OUT)/qwen > $(OUT)/qwen.log 2>&1 || { tail -n 30 $(OUT)/qwen.log; exit 1; }
	@$(BIN)/videojudge leaderboard add $(OUT)/journal --results $(OUT)/results --overwrite
	@$(BIN)/videojudge leaderboard add $(OUT)/qwen --results $(OUT)/results --overwrite
	@$(BIN)/videojudge leaderboard --results $(OUT)/results
	@echo "lmms-eval's own results are in $(OUT)/lmms_eval and $(OUT)/qwen, the journals in $(OUT)/journal."

$(TINY): $(STAMP)
	@$(BIN)/python -m videojudge_bench.judges.tiny_qwen $@

tiny-model: $(TINY)  ## build a tiny random Qwen2.5-VL in $(OUT)/tiny_qwen: no download

bootstrap: $(STAMP)  ## make rated training data without a model, and the report on them
	$(BIN)/videojudge bootstrap --recipe embedded --output $(OUT)/bootstrap

loop: $(STAMP)  ## close the circle on a CPU: world, rated rows, a trained judge, lmms_eval, leaderboard
	$(BIN)/python -m videojudge_bench.training.small_world loop $(OUT)/loop

test: $(STAMP)  ## run the tests (without the slow ones)
	$(BIN)/pytest -n 2 --dist loadfile --cov --cov-report=term:skip-covered

test-slow: $(STAMP)  ## run all tests
	$(BIN)/pytest -n 2 --dist loadfile -m "not gpu"

test-engines: $(STAMP)  ## compare engines on a real vLLM (3.5 GB, in $(OUT)/vllm) and transformers serve
	@mkdir -p $(OUT)/engines
	PYTHON=$(PYTHON) tests/engines/setup_vllm.sh $(VLLM)
	VIDEOJUDGE_VLLM=$(VLLM) VIDEOJUDGE_ENGINES_JUDGES=$(OUT)/engines \
	  VIDEOJUDGE_ENGINES_FIGURES=results/benchmarks/engines.json $(BIN)/pytest -m slow tests/engines
	$(BIN)/python tests/engines/engines_table.py

torture: $(STAMP)  ## kill, starve and confuse everything; writes results/reliability.md
	OMP_NUM_THREADS=1 $(BIN)/python tests/torture

$(VENV)/.docs-$(HASH): $(STAMP)
	$(QUIETLY) -e ".[docs]" --no-build-isolation --config-settings editable_mode=strict
	@rm -f $(VENV)/.docs-* && touch $@

docs: $(VENV)/.docs-$(HASH)  ## build the site of the documents in out/site
	$(BIN)/python docs/site.py out/site-sources && $(BIN)/zensical build --strict

docs-serve: $(VENV)/.docs-$(HASH)  ## serve the documents at http://127.0.0.1:8000
	$(BIN)/python docs/site.py out/site-sources && $(BIN)/zensical serve

check: $(STAMP)  ## lint, words, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python tests/house_words.py
	@# From another folder: here, videojudge_bench/ would be found without judges/ and tasks/.
	cd tests && ../$(BIN)/mypy --config-file ../pyproject.toml -p videojudge_bench
	cd tests && ../$(BIN)/mypy --config-file ../pyproject.toml . ../examples ../docs
	cd tests && ../$(BIN)/lint-imports --config ../pyproject.toml --no-cache

bench: $(STAMP)  ## measure speed; writes results/benchmarks/
	$(BIN)/python tests/benchmarks

leaderboard: $(STAMP)  ## build results/leaderboard.{md,csv,json} and index.html from results/runs/
	$(BIN)/videojudge leaderboard

clean:  ## remove what the other targets made
	rm -rf $(VENV) build out *.egg-info .mypy_cache .pytest_cache .ruff_cache
