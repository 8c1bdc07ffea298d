# `make` alone lists the verbs. Variables: MODEL ENGINE DEVICE PROMPT INPUTS PORT TO PYTHON and more; see README.md.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/sh
MAKEFLAGS += --no-print-directory

# What is typed freely reaches the script by the environment, as it was typed: quotes, dollar signs, newlines.
ifneq ($(origin PROMPT),undefined)
override PROMPT := $(value PROMPT)
export PROMPT
endif
ifneq ($(origin REASON),undefined)
override REASON := $(value REASON)
endif
ifneq ($(origin BREAKING),undefined)
override BREAKING := $(value BREAKING)
endif
ifneq ($(MODEL),)
export MODEL
endif
ifneq ($(ENGINE),)
export ENGINE
endif

PORT ?= 5001
PIP := .venv/bin/python -m pip --disable-pip-version-check install --quiet --progress-bar off
PY := .venv/bin/python -m
GPU := $(if $(DEVICE),$(filter cuda,$(DEVICE)),$(shell nvidia-smi --list-gpus 2>/dev/null))
RUNS := $(or $(ENGINE),$(if $(GPU),transformers,openvino))
export BREAKING REASON DIGEST TO
SHIP = $(if $(UNTIL),--until "$(UNTIL)") $(if $(STAGE),--only "$(STAGE)") $(if $(DIRTY),--dirty) \
  $(if $(CREATE),--create "$(CREATE)") $(if $(DRY_RUN),--dry-run)
WHICH = $(if $(value DIGEST),--digest "$$DIGEST") $(if $(DRY_RUN),--dry-run)
DEVICE_OPTION := $(if $(DEVICE),--device $(DEVICE))

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: .venv/.$(RUNS) ## make .venv with what this machine needs (ENGINE=transformers for torch)

predict: .venv/.$(RUNS) ## one prediction through Cog's server, no Docker: PROMPT="..." INPUTS="-i temperature=0"
	@$(PY) scripts.predict $(INPUTS)

serve: .venv/.$(RUNS) ## serve the model on 127.0.0.1 (PORT=5001), no Docker
	@$(PY) scripts.serve --port $(PORT)

weights: .venv/.$(RUNS) ## download, verify and convert the weights
	@$(PY) scripts.weights

weights-lock: .venv/.$(RUNS) ## pin what the source of the weights is now, to the byte: weights.lock
	@$(PY) scripts.weights_lock

weights-verify: .venv/.$(RUNS) ## read every byte of the weights and compare
	@$(PY) scripts.weights_verify

weights-info: .venv/.$(RUNS) ## files, number formats, parameters, memory needed, and which hardware of Replicate it fits
	@$(PY) scripts.weights_info

test: .venv/.dev ## every test this machine can run; says what it left out (CONTAINER_TESTS=required: nothing)
	@$(PY) pytest -m "not container" --numprocesses 2 --dist loadfile
	@$(PY) pytest -m container # one after the other: they share Docker's images and the registry's ports

check: .venv/.dev ## lint, types, and whether the rendered files are current
	@$(PY) ruff check . && $(PY) ruff format --check . && $(PY) mypy && $(PY) scripts.render --check

render: .venv/.$(RUNS) ## write cog.yaml, cog.cpu.yaml, .dockerignore and schemas/ from the manifest and predict.py
	@$(PY) scripts.render

image: .venv/.$(RUNS) ## build the container with cog (DEVICE=cpu or cuda)
	@$(PY) scripts.image $(DEVICE_OPTION)

container-predict: .venv/.$(RUNS) ## one prediction in the container: cog predict with PROMPT="..."
	@$(PY) scripts.container_predict $(DEVICE_OPTION) $(INPUTS)

push: .venv/.$(RUNS) ## ship: gate, build, proof, push to staging, promote: TO=r8.im/OWNER/MODEL (UNTIL= STAGE= BREAKING="why")
	@$(PY) scripts.push $(DEVICE_OPTION) $(SHIP) "$(TO)"

promote: .venv/.$(RUNS) ## make live what passed staging, without a rebuild (DIGEST= REASON=)
	@$(PY) scripts.promote $(WHICH) "$$TO"

rollback: .venv/.$(RUNS) ## make live again what was live before (DIGEST= REASON=)
	@$(PY) scripts.rollback $(WHICH) "$$TO"

call: .venv/.$(RUNS) ## run anything: WHAT=OWNER/MODEL, deployment:OWNER/NAME, local, image:NAME or a URL, INPUTS="name=value ..."
	@$(PY) scripts.call "$(WHAT)" $(INPUTS)

releases: .venv/.$(RUNS) ## what was shipped, what became of it, what is live
	@$(PY) scripts.releases

status: .venv/.$(RUNS) ## what is live where on Replicate, and how its last predictions went
	@$(PY) scripts.status $(patsubst r8.im/%,%,$(TO))

doctor: .venv/.$(RUNS) ## what this machine has and lacks, and the command that mends each
	@$(PY) scripts.doctor

bench: .venv/.dev ## how fast, against Cog's streaming example; writes benchmarks/ (URL= another Cog server)
	@$(PY) scripts.bench $(if $(URL),--url $(URL))

soak: .venv/.dev ## ten minutes of every kind of use and misuse at once (MINUTES=10)
	@$(PY) scripts.soak --minutes $(or $(MINUTES),10)

clean: ## remove .venv, weights and everything else that was made here
	rm -rf .venv weights baked .cog .pytest_cache .mypy_cache .ruff_cache

.PHONY: help setup predict serve weights weights-lock weights-verify weights-info test check render image container-predict push promote rollback call releases status doctor bench soak clean

.venv/.python:
	@PYTHON="$(PYTHON)" sh scripts/make_venv.sh >&2

.venv/.openvino: .venv/.python requirements/text_generation.cpu.txt requirements/scripts.txt
	@echo "installing the CPU packages into .venv, once" >&2
	@$(PIP) -r requirements/text_generation.cpu.txt -r requirements/scripts.txt >&2 && touch $@

.venv/.transformers: .venv/.python requirements/text_generation.txt requirements/scripts.txt
	@echo "installing torch and the rest into .venv, once (some gigabytes)" >&2
	@$(PIP) -r requirements/text_generation.txt -r requirements/scripts.txt >&2 && touch $@

.venv/.dev: .venv/.openvino .venv/.transformers requirements/dev.txt
	@$(PIP) -r requirements/dev.txt >&2 && touch $@
