# Everyday commands. `make demo` and `make test` set up a fresh Debian or Ubuntu machine by themselves.
SHELL := /bin/bash
.DEFAULT_GOAL := build
.PHONY: setup build demo test asan asan-operators gpu-check gpu-check-build format format-check clean

JOBS ?= $(shell nproc)
BUILD := build/release
# What the demo trains: the digits preset, shortened to about a minute on two cores.
DEMO_SETTINGS := --preset digits --set train.runs=1 --set train.steps=2500 --set log.eval_every_steps=500
SOURCES := git ls-files -z --cached --others --exclude-standard -- '*.h' '*.cpp' '*.cu' '*.cuh'

setup:
	@.ci/setup

build: setup
	cmake --preset release
	cmake --build --preset release --parallel $(JOBS)

demo: build
	$(BUILD)/roap train $(DEMO_SETTINGS)

test: build
	ctest --preset release --no-tests=error --parallel $(JOBS)

# Tests with AddressSanitizer and UndefinedBehaviorSanitizer; whole models and thread counts take minutes there and check nothing
# that the release tests do not.
ASAN_EXCLUDE ?= Golden|OverfitOneBatch|Threads|Trainer
asan: setup
	cmake --preset asan-ubsan
	cmake --build --preset asan-ubsan --parallel $(JOBS)
	ctest --preset asan-ubsan --no-tests=error --parallel $(JOBS) -E '$(ASAN_EXCLUDE)'

# The part of it that touches memory by hand: the emulator's own tests and every case of every operator on reference, CPU and emulator.
# Each program runs whole, in as many shards as there are cores: a process for every test would take several times as long.
ASAN_OPERATOR_TESTS := test_simt test_ops test_cuda
ASAN_OPERATOR_EXCLUDE := *Threads*:CudaTraining*
asan-operators: setup
	cmake --preset asan-ubsan
	cmake --build --preset asan-ubsan --parallel $(JOBS) --target $(ASAN_OPERATOR_TESTS)
	set -e; for test in $(ASAN_OPERATOR_TESTS); do echo "$$test, $(JOBS) shards"; \
	  seq 0 $$(($(JOBS) - 1)) | GTEST_TOTAL_SHARDS=$(JOBS) xargs -P $(JOBS) -I{} env GTEST_SHARD_INDEX={} \
	    build/asan-ubsan/tests/$$test --gtest_brief=1 --gtest_filter='-$(ASAN_OPERATOR_EXCLUDE)'; done

# Everything that needs a GPU; CIFAR10=FOLDER adds the published setting on real images. gpu-check-build makes build/gpu-check/gpu_check, and an archive of it, for a machine with a GPU but
# without compiler or packages: copy it there and run its gpu_check.py.
gpu-check:
	@python3 tests/gpu/gpu_check.py --probe
	$(MAKE) --no-print-directory gpu-check-build
	build/gpu-check/gpu_check/gpu_check.py --out bench/results $(if $(CIFAR10),--cifar10 "$(CIFAR10)")

gpu-check-build: setup
	cmake --preset gpu-check
	cmake --build --preset gpu-check --parallel $(JOBS)

format:
	$(SOURCES) | xargs -0 clang-format -i

format-check:
	$(SOURCES) | xargs -0 clang-format --dry-run --Werror

clean:
	rm -rf build
