# The commands of every day; `make` alone says what there is. CMake (CMakePresets.json) does the work.
#
#   make train DATA=/path/to/cifar-10-batches-bin ARGS="--epochs 1"
#   make train MODEL=flowers DATA=/path/to/photos

BUILD  := build/release
CMAKE  := .venv/bin/cmake
PRESET ?= release
MODEL  ?= cifar10
DATA   ?= $(CIFAR10_DIR)
ARGS   ?=
SECONDS ?= 60
CONFIGURE ?=  # CMake's options: -DHALCYON_BENCH_ONEDNN=ON

.DEFAULT_GOAL := help
.PHONY: help setup configure build train test adding faults fuzz sanitize bench compare lint clean

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo 'DATA=PATH trains on the images there; ARGS="..." passes flags on.'

setup: ## install what the build needs (apt packages; Halide, CMake, Ninja into .venv)
	@cmake/setup.sh

configure: setup
	@PATH="$(CURDIR)/.venv/bin:$$PATH" $(CMAKE) --preset $(PRESET) $(CONFIGURE)

build: configure ## set up and build the trainer, the model compiler and the tool
	@$(CMAKE) --build --preset $(PRESET) --target halcyonc halcyon $(MODEL)

train: build ## train the network of models/cifar10.json; MODEL=flowers that of models/flowers.json
	@$(BUILD)/bin/$(MODEL) train $(if $(DATA),--data "$(DATA)") $(ARGS)

test: configure ## build and run every test
	@$(CMAKE) --build --preset $(PRESET)
	@$(if $(DATA),CIFAR10_DIR="$(DATA)") .venv/bin/ctest --preset $(PRESET) --parallel 2 $(ARGS)

adding: configure ## add the layers of docs/adding-a-layer.md to a copy of the tree, and test them: minutes
	@.venv/bin/ctest --preset $(PRESET) -C adding -L adding $(ARGS)

faults: configure ## make every call of a run fail in turn, and kill it 1000 times: an hour and more
	@$(CMAKE) --build --preset $(PRESET) --target cifar10 halcyonc halcyon_fail_calls
	@HALCYON_FAULTS=all .venv/bin/ctest --preset $(PRESET) --parallel 2 -L faults $(ARGS)

fuzz: ## feed whatever reads files from outside, each for SECONDS=60, with clang's libFuzzer
	@cmake/setup.sh clang libclang-rt-dev
	@PATH="$(CURDIR)/.venv/bin:$$PATH" $(CMAKE) --preset fuzz $(CONFIGURE)
	@$(CMAKE) --build --preset fuzz
	@tests/fuzz/run.sh build/fuzz $(SECONDS) $(ARGS)

sanitize: configure ## run the tests under sanitizers, and build all with clang: hours; TESTS="plan runtime" for these alone
	@cmake/setup.sh clang
	@$(CMAKE) --build --preset $(PRESET) --target kernel_gen
	@cmake/sanitize.sh $(TESTS)

bench: configure ## time every kernel and the whole step, of every schedule this machine can run; MODEL=flowers those of models/flowers.json
	@$(CMAKE) --build --preset $(PRESET) --target $(MODEL)_bench
	@$(BUILD)/bin/$(MODEL)_bench --json=build/bench.json $(ARGS)

compare: configure ## time training and inference beside other frameworks (ARGS=--torch: and PyTorch), in turns (makes .venv-compare); ARGS=--zoo: other networks beside PyTorch
	@$(CMAKE) --build --preset $(PRESET) --target $(if $(findstring --zoo,$(ARGS)),zoo,cifar10 cifar10_shared)
	@python3 bench/compare/compare.py $(if $(DATA),--data "$(DATA)") $(ARGS)

lint: ## check clang-format and clang-tidy
	@cmake/setup.sh clang-format
	@.venv/bin/pip install --quiet --disable-pip-version-check -r cmake/requirements-lint.txt
	@cmake/lint.sh

clean: ## remove what was built; .venv stays
	@rm -rf build
