# EdgeLens: `make serve` runs it, `make test` tests it, `make help` lists the rest.

SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= $(shell command -v python3.11 || command -v python3)
GATEWAY := .venv/bin
INFERENCE := .venv-inference/bin
SOURCES := gateway inference exporter serving export_model.py serve.py
MODEL ?= efficientnet_lite0
WEIGHTS ?= imagenet
MINUTES ?= 30
CHAOS_SECONDS ?= 60
FUZZ_SECONDS ?= 180

export PYTHON
# They are meant for another Python of the user's: ours would not find its own packages, or not end.
unexport PYTHONHOME PYTHONPATH PYTHONINSPECT

.PHONY: help serve model test test-fast test-compose test-chaos soak fuzz bench bench-overload tune audit sbom deploy selftest \
    bundle unbundle check format lock clean

help: ## list every target
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

serve: .venv/.gateway .venv-inference/.export ## install, export a model, and run Triton and the gateway
	@exec $(PYTHON) serve.py

model: .venv-inference/.export ## export a model: make model MODEL=vgg16 WEIGHTS=imagenet|random|FILE LABELS=FILE MODEL_NAME=mine VERSION=N
	$(INFERENCE)/python export_model.py $(MODEL) --weights "$(WEIGHTS)" \
	    $(if $(LABELS),--labels "$(LABELS)") $(if $(MODEL_NAME),--name "$(MODEL_NAME)") \
	    $(if $(VERSION),--version $(VERSION))

test: test-packages .venv/.dev .venv-inference/.export ## run all tests but those of `test-compose` and `test-chaos`
	@$(MAKE) --no-print-directory --jobs=4 --output-sync=none test-computing test-inference test-serving test-stack

# They run at once and share the cores: most of the time, most of them wait for a server.
test-computing:
	$(INFERENCE)/python -m pytest --quiet tests/exporter
	$(GATEWAY)/python -m pytest --quiet tests/gateway tests/benchmarks
test-inference:
	$(INFERENCE)/python -m pytest tests/inference
	$(INFERENCE)/python -m pytest --quiet tests/backend
SERVING := tests/e2e/test_serve.py tests/e2e/test_deploy.py
# Without the flags of this make, because some of these tests run `make` themselves.
test-serving: ; MAKEFLAGS= $(GATEWAY)/python -m pytest $(SERVING)
test-stack: ; MAKEFLAGS= $(GATEWAY)/python -m pytest tests/examples tests/e2e $(addprefix --ignore=, $(SERVING))

test-fast: .venv/.dev ## run the gateway's unit tests
	$(GATEWAY)/python -m pytest tests/gateway

test-compose: .venv/.dev ## run the container tests: build the images and run the stack (needs a Docker engine)
	$(GATEWAY)/python -m pytest --timeout 900 tests/compose

test-chaos: test-packages .venv/.dev .venv-inference/.export ## test faults, bad requests and the API's promises under load: CHAOS_SECONDS=60
	CHAOS_SECONDS=$(CHAOS_SECONDS) $(GATEWAY)/python -m pytest -s tests/chaos

soak: .venv/.dev ## keep a running `make serve` busy and report its memory: MINUTES=30
	$(GATEWAY)/python -m tests.chaos.soak --minutes $(MINUTES)

fuzz: .venv-fuzz/.fuzz ## fuzz picture decoding, guided by coverage: FUZZ_SECONDS=180
	@mkdir -p .cache/fuzz
	PATH="$(CURDIR)/.venv-fuzz/bin:$$PATH" fuzz/image_fuzzer.py .cache/fuzz fuzz/corpus -max_total_time=$(FUZZ_SECONDS) \
	    -max_len=8192 -timeout=5 -rss_limit_mb=500 -artifact_prefix=.cache/fuzz/ -close_fd_mask=2

bench: .venv-peers/.peers .venv-inference/.export .venv/.gateway bench-packages ## compare speed with other servers, 15 minutes: PICTURES=DIR for int8's agreement
	.venv-peers/bin/python -m benchmarks $(if $(PICTURES),--pictures "$(PICTURES)") $(BENCH_FLAGS)

bench-overload: .venv-peers/.peers .venv-inference/.export .venv/.gateway bench-packages ## measure goodput under ten times the sustainable load
	.venv-peers/bin/python -m benchmarks.overload

audit: .venv-audit/.audit ## report known vulnerabilities of the pinned packages
	scripts/audit

sbom: .venv-audit/.audit ## write dist/sbom-*.json, the software bill of materials (CycloneDX)
	@mkdir -p dist
	@for name in gateway inference export; do \
	    .venv-audit/bin/python -m cyclonedx_py requirements requirements/$$name.txt --output-file dist/sbom-$$name.json || exit 1; \
	    echo dist/sbom-$$name.json; done

tune: .venv-inference/.export ## tune a model's configuration for this machine: make tune MODEL=vgg16 SECONDS=120
	$(INFERENCE)/python -m inference.tune $(if $(filter-out file,$(origin MODEL)),$(MODEL)) $(if $(SECONDS),--seconds $(SECONDS))

deploy: .venv-inference/.export ## switch a running server to another version: make deploy MODEL=vgg16 VERSION=2, or DEPLOY_FLAGS=--rollback
	$(INFERENCE)/python -m inference.deploy $(MODEL) $(if $(VERSION),--version $(VERSION)) $(DEPLOY_FLAGS)

selftest: .venv-inference/.export ## check a running server against its own contract: make selftest URL=http://...
	$(INFERENCE)/python -m inference.selftest $(if $(URL),"$(URL)") $(if $(filter-out file,$(origin MODEL)),--model $(MODEL))

bundle: ## save the images and the model into one archive for machines without a network
	scripts/bundle

unbundle: ## load such an archive: make unbundle BUNDLE=dist/edgelens.tar
	scripts/unbundle "$(BUNDLE)"

check: .venv/.dev ## check formatting, lint and strict types
	$(GATEWAY)/ruff format --check .
	$(GATEWAY)/ruff check .
	$(GATEWAY)/python -m mypy $(SOURCES)

format: .venv/.dev ## format the code and fix what the linter can
	$(GATEWAY)/ruff check --fix --exit-zero .
	$(GATEWAY)/ruff format .

LOCK := $(GATEWAY)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --upgrade
lock: .venv/.dev ## update requirements/*.txt to the newest compatible versions
	cd requirements && for name in installer gateway inference export dev peers audit fuzz; do \
	    ../$(LOCK) $$name.in -o $$name.txt || exit 1; done

clean: ## remove the environments, caches and built archives (models stay)
	@for run in .cache/run "$$EDGELENS_RUNTIME_DIR"; do [ ! -d "$$run" ] || flock -n "$$run" true || { \
	    echo "edgelens: a server is running, and needs what this removes: stop it first" >&2; exit 1; }; done
	rm -rf .venv .venv-inference .venv-peers .venv-audit .venv-fuzz .cache dist .mypy_cache .ruff_cache .pytest_cache .hypothesis examples/node/node_modules

.PHONY: test-computing test-inference test-packages serve-packages bench-packages
bench-packages: ; @scripts/system-packages bench
test-packages: ; @scripts/system-packages test
serve-packages: ; @scripts/system-packages serve
test-packages bench-packages: | serve-packages  # apt runs one at a time

# The environments. A stamp is a copy of the lock file that an environment was made from. Times would not tell: files from an
# archive bring old ones, and so does a clock that is wrong. It counts as long as the environment's Python is there, which an
# update of the system may remove. .venv has the installers, which fill the others too; if its creation was interrupted, it is
# created again. Programs written in Python are run as modules: their own first lines name the directory in which they were
# installed, which may since have been moved or copied.
# Two of make at once would clear and fill an environment under each other's hands: the second waits, and then finds it filled.
STAMPS := .venv/.installer .venv/.gateway .venv/.dev .venv-inference/.inference .venv-inference/.export .venv-peers/.peers \
    .venv-audit/.audit .venv-fuzz/.fuzz
lock = requirements/$(patsubst .%,%,$(notdir $(1))).txt
filled = [ -x $(dir $(1))bin/python ] && cmp -s $(call lock,$(1)) $(1)
.PHONY: $(foreach stamp,$(STAMPS),$(shell $(call filled,$(stamp)) || echo $(stamp)))
ALONE = exec 9<requirements; flock -n 9 || { echo "edgelens: waiting for another installation"; flock 9; }
WRITABLE = place=$(1); [ -e "$$place" ] || place=.; [ -w "$$place" ] || { \
    echo "edgelens: user $$(id -u) may not write to $$(realpath "$$place"): run make as the user whom it belongs to," \
    "or give it to this one (chown -R)" >&2; exit 1; }
INSTALL = @$(ALONE); $(call filled,$@) || { $(call WRITABLE,$(@D)); echo "edgelens: installing $(1)"; \
    PATH="$(CURDIR)/$(GATEWAY):$$PATH" scripts/install $(@D) $(call lock,$@) && cp $(call lock,$@) $@; }

.venv/.installer: | serve-packages
	@$(ALONE); $(call filled,$@) || { $(call WRITABLE,$(@D)); \
	    $(GATEWAY)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv && \
	    $(GATEWAY)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(call lock,$@) && \
	    cp $(call lock,$@) $@; }
.venv-%/bin/python: | .venv/.installer
	@$(ALONE); [ -x $@ ] || { $(call WRITABLE,.venv-$*); $(PYTHON) -m venv --clear --without-pip .venv-$*; }

.venv/.gateway: | .venv/.installer
	$(call INSTALL,the gateway's packages)
.venv/.dev: | .venv/.gateway
	$(call INSTALL,the test and lint packages)
.venv-inference/.inference: | .venv-inference/bin/python
	$(call INSTALL,Triton and OpenVINO (about 250 MB to fetch))
.venv-inference/.export: | .venv-inference/.inference
	$(call INSTALL,TensorFlow for the exporter (about 300 MB to fetch))
.venv-peers/.peers: | .venv-peers/bin/python
	$(call INSTALL,the peers to measure (about 1 GB to fetch))
.venv-audit/.audit: | .venv-audit/bin/python
	$(call INSTALL,the audit's packages)
.venv-fuzz/.fuzz: | .venv-fuzz/bin/python
	$(call INSTALL,the fuzzer)
