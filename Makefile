# `make run` and `make test` are all most people need. Each sets up what is missing and is quick the second time.
.DEFAULT_GOAL := help
.PHONY: help setup build run test bench asan tsan soak fuzz includes format tidy clean

help:
	@echo "make run    build, fetch the default model, serve it on http://127.0.0.1:8080"
	@echo "make test   build and run every test"
	@echo "make build  build only       make bench   the speed table (needs llama-cpp-python)"
	@echo "make asan   unit tests under AddressSanitizer and UBSan     make tsan   under ThreadSanitizer"
	@echo "make soak   clients that leave, cancel and crowd at random: 10 minutes under each sanitizer (SECONDS_EACH=600)"
	@echo "make fuzz   60 s of fuzzing the model loader                make format / make tidy / make clean"
	@echo "make includes   that every file includes what it uses: a build without precompiled headers"

setup:
	@tools/setup.sh build

build: setup
	@cmake --preset release -Wno-dev --log-level=WARNING
	@cmake --build --preset release --target tokenmill

run: build
	@tools/run.sh

test:
	@tools/setup.sh test
	@cmake --preset release -Wno-dev --log-level=WARNING
	@cmake --build --preset release
	@python3 tools/run_tests.py --build build/release

asan tsan:
	@tools/setup.sh test
	@cmake --preset $@ -Wno-dev --log-level=WARNING
	@cmake --build --preset $@
	@python3 tools/run_tests.py --build build/$@ --units-only

SECONDS_EACH ?= 600
soak:
	@tools/setup.sh test
	@for kind in asan tsan; do \
	  cmake --preset $$kind -Wno-dev --log-level=WARNING && \
	  cmake --build --preset $$kind --target mill_soak_test && \
	  build/$$kind/tests/mill_soak_test --seconds $(SECONDS_EACH) || exit 1; \
	done

fuzz:
	@tools/setup.sh fuzz
	@tools/fuzz.sh 60

bench:
	@tools/setup.sh build
	@cmake --preset bench -Wno-dev --log-level=WARNING
	@cmake --build --preset bench
	@python3 bench/compare.py --mill build/bench/src/app/tokenmill

format:
	@git ls-files 'src/*.h' 'src/*.cc' 'tests/*.cc' 'bench/*.cc' | xargs clang-format -i

includes:
	@tools/setup.sh test
	@cmake --preset includes -Wno-dev --log-level=WARNING
	@cmake --build --preset includes

tidy:
	@cmake --preset includes -Wno-dev --log-level=WARNING
	@cmake --build --preset includes --target mill_version_stamp
	@git ls-files 'src/*.cc' | grep -v -e _test.cc -e _fuzz.cc | xargs -P 2 -n 4 clang-tidy -p build/includes --quiet

clean:
	@rm -rf build
