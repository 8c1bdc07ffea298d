# `make` alone lists the verbs. Variables: MODEL ENGINE DEVICE PROMPT INPUTS PORT TO PYTHON and more; see README.md.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/sh
MAKEFLAGS += --no-print-directory

# What is typed reaches the programs by the environment, as it was typed: quotes, dollar signs, newlines.
# A recipe that needs a shell for that says `exec`: a signal to make then reaches the program, not a shell around it.
define as_typed
override $(1) := $$(value $(1))
export $(1)
endef
$(foreach name,$(.VARIABLES),$(if $(filter command,$(origin $(name))),$(eval $(call as_typed,$(name)))))

# Text is UTF-8 in every locale. Settings of a shell that would lead .venv's Python and its pip elsewhere do not count.
export PYTHONUTF8 := 1
unexport PYTHONHOME PYTHONPATH PYTHONSAFEPATH PYTHONINSPECT PYTHONWARNINGS
unexport PIP_USER PIP_TARGET PIP_PREFIX PIP_ROOT PIP_PYTHON PIP_REQUIRE_VIRTUALENV PIP_NO_DEPS PIP_DRY_RUN

.NOTPARALLEL: # the installations share .venv

PY := .venv/bin/python -m
GPU := $(if $(DEVICE),$(filter cuda,$(DEVICE)),$(shell nvidia-smi --list-gpus 2>/dev/null))
RUNS := $(or $(ENGINE),$(shell sh scripts/engine.sh $(if $(GPU),cuda,cpu)),openvino)
ENGINES := openvino transformers torch plain
ifneq ($(filter-out $(ENGINES),$(RUNS)),)
$(error there is no engine $(RUNS): ENGINE is one of $(ENGINES), or left out)
endif

# A verb of one of these groups is shown by `make`, 16 at most: write `## [group] what it does`.
GROUPS := "start" "make it yours" "ship" "publish" "measure"

help: ## list the verbs of every day
	@for group in $(GROUPS); do \
	  echo "$$group"; \
	  sed -n "s/^\([a-z-]*\):.*## \[$$group\] \(.*\)/\1:\2/p" $(firstword $(MAKEFILE_LIST)) | awk -F : '{ rest = substr($$0, length($$1) + 2); printf "  make %-10s %s\n", $$1, rest }'; \
	done
	@echo "make help-all lists all others"

help-all: .venv/.$(RUNS) ## list every verb, and every command of scripts/
	@$(PY) scripts.verbs

setup: .venv/.$(RUNS) ## make .venv with what this machine needs (ENGINE=transformers for torch)

predict: .venv/.$(RUNS) ## [start] one prediction through Cog's server, no Docker: PROMPT="..." INPUTS="-i temperature=0"
	@exec $(PY) scripts.call local --inputs "$$INPUTS"

serve: .venv/.$(RUNS) ## [start] serve the model on 127.0.0.1 (PORT=5001), no Docker
	@exec $(PY) scripts.serve $${PORT:+--port "$$PORT"}

weights: .venv/.$(RUNS) ## download, verify and convert the weights
	@$(PY) scripts.weights

weights-lock: .venv/.$(RUNS) ## pin what the source of the weights is now, to the byte: weights.lock
	@$(PY) scripts.weights_lock

weights-verify: .venv/.$(RUNS) ## read every byte of the weights and compare
	@$(PY) scripts.weights_verify

weights-info: .venv/.$(RUNS) ## files, number formats, parameters, memory needed, and which hardware of Replicate it fits
	@$(PY) scripts.weights_info

# A file for each process at a time. Tests start Python about a thousand times, so its compiled modules are kept.
PYTEST := PYTHONDONTWRITEBYTECODE= $(PY) pytest --dist loadfile --no-loadscope-reorder

# Tests of some minutes wait for servers a third of their time; browsers and containers keep two cores busy.
test: .venv/.dev ## [make it yours] the tests of some minutes, without containers; says how many it left out
	@$(PYTEST) --numprocesses 3 -m "not container and not slow"

test-all: .venv/.dev ## every test this machine can run (CONTAINER_TESTS=required: none is skipped for want of Docker)
	@$(PYTEST) --numprocesses 2

check: .venv/.check ## [make it yours] lint, types, and whether the rendered files are current
	@$(PY) ruff check . && $(PY) ruff format --check . && $(PY) mypy && $(PY) scripts.requirements --check && $(PY) scripts.render --check

render: .venv/.$(RUNS) ## [make it yours] write cog.yaml, cog.cpu.yaml, .dockerignore and schemas/ from the manifest and predict.py
	@$(PY) scripts.render

new: .venv/.$(if $(filter custom,$(TASK)),torch,$(RUNS)) ## [make it yours] add a model: NAME=my-model SOURCE=hf://ORG/NAME, or your own: TASK=custom (TASK= LICENSE= FILES= YES=1 DRY_RUN=1)
	@exec $(PY) scripts.new --task "$$TASK" --license "$$LICENSE" --files "$$FILES" $${YES:+--yes} $${DRY_RUN:+--dry-run} \
	  "$$NAME" "$$SOURCE"

models: .venv/.$(RUNS) ## the catalog: task, licence, size, memory, hardware, state of the weights, last benchmark
	@$(PY) scripts.models

use: .venv/.$(RUNS) ## serve another model of the catalog from now on: MODEL=SLUG
	@$(PY) scripts.use $${DRY_RUN:+--dry-run} "$$MODEL"

image: .venv/.$(RUNS) ## [ship] build the container with cog (DEVICE=cpu or cuda)
	@exec $(PY) scripts.image --device "$$DEVICE"

container-predict: .venv/.$(RUNS) ## build the container, one prediction in it: PROMPT="..."
	@exec $(PY) scripts.container_predict --device "$$DEVICE" --inputs "$$INPUTS"

push: .venv/.$(RUNS) ## [ship] release it: gate, build, proof, push to staging, promote: TO=r8.im/OWNER/MODEL (UNTIL= STAGE= BREAKING="why" CREATE=private DIRTY=1 DRY_RUN=1)
	@exec $(PY) scripts.push --device "$$DEVICE" --until "$$UNTIL" --only "$$STAGE" --create "$$CREATE" \
	  $${DIRTY:+--dirty} $${DRY_RUN:+--dry-run} "$$TO"

promote: .venv/.$(RUNS) ## make live what passed staging, without a rebuild (DIGEST= REASON=)
	@exec $(PY) scripts.promote --digest "$$DIGEST" $${DRY_RUN:+--dry-run} "$$TO"

rollback: .venv/.$(RUNS) ## make live again what was live before (DIGEST= REASON=)
	@exec $(PY) scripts.rollback --digest "$$DIGEST" $${DRY_RUN:+--dry-run} "$$TO"

call: .venv/.$(RUNS) ## [start] run anything: WHAT=OWNER/MODEL, deployment:OWNER/NAME, local, image:NAME or a URL, INPUTS="name=value ..."
	@exec $(PY) scripts.call "$$WHAT" --inputs "$$INPUTS"

demo: .venv/.space ## [start] open a page to try the model on: it runs here, or on WHAT= as for call (PORT=7860)
	@exec $(PY) scripts.demo $${PORT:+--port "$$PORT"} $${WHAT:+"$$WHAT"}

space: .venv/.$(RUNS) ## [publish] write spaces/MODEL: the page of make demo as a Space of the Hub, with the model in it or on WHAT=
	@exec $(PY) scripts.space $${WHAT:+"$$WHAT"}

releases: .venv/.$(RUNS) ## what was shipped, what became of it, what is live
	@$(PY) scripts.releases

status: .venv/.$(RUNS) ## what is live where on Replicate, and how its last predictions went
	@exec $(PY) scripts.status "$$TO"

doctor: .venv/.$(RUNS) ## what this machine has and lacks, and the command that mends each
	@$(PY) scripts.doctor

bench: .venv/.dev ## [measure] how fast, against Cog's streaming example and llama.cpp, and how close to float32; writes benchmarks/ (URL= another Cog server)
	@exec $(PY) scripts.bench --url "$$URL"

eval: .venv/.evaluation ## [measure] how good: the task's metrics with intervals; writes evals/ (DATA= METRICS= AGAINST= DATASET= TASK_ID=)
	@exec $(PY) scripts.eval --data "$$DATA" --metrics "$$METRICS" --against "$$AGAINST" \
	  --dataset "$$DATASET" --task-id "$$TASK_ID"

soak: .venv/.dev ## ten minutes of every kind of use and misuse at once (MINUTES=10)
	@exec $(PY) scripts.soak $${MINUTES:+--minutes "$$MINUTES"}

prices: .venv/.$(RUNS) ## prices and limits of hardware, with their age, source and confidence
	@$(PY) scripts.prices

cost: .venv/.economics ## [measure] what a prediction costs, by hardware and billing (LOAD=100000 a month LATENCY= ONLY=replicate,own URL=)
	@exec $(PY) scripts.cost --url "$$URL" --only "$$ONLY" --hardware "$$HARDWARE" \
	  $${LOAD:+--load "$$LOAD"} $${LATENCY:+--latency "$$LATENCY"}

price: .venv/.economics ## what to charge (MARGIN=0.5 PRICE= LOAD= HARDWARE= BILLING=, or PLAN= for each of its channels)
	@exec $(PY) scripts.price --plan "$$PLAN" --hardware "$$HARDWARE" --billing "$$BILLING" \
	  $${LOAD:+--load "$$LOAD"} $${LATENCY:+--latency "$$LATENCY"} $${MARGIN:+--margin "$$MARGIN"} $${PRICE:+--price "$$PRICE"}

revenue: .venv/.economics ## what a plan earns: PLAN=examples/plans/sketch.yaml (CURRENCY= RATE= RATE_SOURCE= LOCALE=)
	@exec $(PY) scripts.revenue "$$PLAN" --rate-source "$$RATE_SOURCE" \
	  $${CURRENCY:+--currency "$$CURRENCY"} $${RATE:+--rate "$$RATE"} $${LOCALE:+--locale "$$LOCALE"}

card: .venv/.$(RUNS) ## [publish] the model card, with what the licence asks for, beside the manifest; a page of it in reports/
	@exec $(PY) scripts.card

licence: .venv/.$(RUNS) ## what the licence allows of what the manifest plans; writes what it asks for (OF=llama3.1: of one licence)
	@exec $(PY) scripts.licence --of "$$OF"

publish: .venv/.$(if $(DRY_RUN),$(RUNS),transformers) ## [publish] put the model on the Hugging Face Hub: TO=ORG/NAME (SPACE= WHAT= CREATE=public ONTO= DRY_RUN=1)
	@exec $(PY) scripts.publish --space "$$SPACE" --what "$$WHAT" --create "$$CREATE" --onto "$$ONTO" \
	  $${DRY_RUN:+--dry-run} "$$TO"

publish-all: .venv/.$(if $(DRY_RUN),$(RUNS),transformers) ## all of a plan, on the Hub and Replicate: PLAN=examples/publication/smollm2.yaml
	@exec $(PY) scripts.publish_all $${DRY_RUN:+--dry-run} "$$PLAN"

clean: ## remove .venv, weights and everything else that was made here, except outputs/
	rm -rf .venv .venv-optimum weights baked reports spaces .cog .hypothesis .pytest_cache .mypy_cache .ruff_cache

.PHONY: help help-all setup predict serve weights weights-lock weights-verify weights-info test test-all check render new models use image container-predict push promote rollback call demo space releases status doctor bench eval soak prices cost price revenue card licence publish publish-all clean

ifeq ($(realpath .venv/bin/python),) # there is none yet, or its Python was uninstalled
.PHONY: .venv/.python
endif

.venv/.python:
	@sh scripts/make_venv.sh >&2

LOCK := requirements/lock.txt

$(ENGINES:%=.venv/.%): .venv/.%: .venv/.python $(LOCK) requirements/%.in requirements/scripts.in
	@echo "installing $* and the rest into .venv, once$(if $(filter transformers torch,$*), (torch: some gigabytes))" >&2
	@sh scripts/install.sh $* scripts >&2 && touch $@

.venv/.check: .venv/.python $(LOCK) requirements/plain.in requirements/scripts.in requirements/check.in
	@echo "installing what the checks need into .venv, once" >&2
	@sh scripts/install.sh plain scripts check >&2 && touch $@

.venv/.economics .venv/.evaluation: .venv/.%: .venv/.$(RUNS) $(LOCK) requirements/%.in
	@sh scripts/install.sh $* >&2 && touch $@

.venv/.space: .venv/.$(RUNS) $(LOCK) requirements/space.in
	@echo "installing gradio into .venv, once" >&2
	@sh scripts/install.sh space >&2 && touch $@

DEV := dev economics evaluation space
.venv/.dev: .venv/.openvino .venv/.transformers .venv/.check $(LOCK) $(DEV:%=requirements/%.in)
	@sh scripts/install.sh $(DEV) >&2 && touch $@
