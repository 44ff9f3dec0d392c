# `make` lists what can be made. CONTRIBUTING.md says which of it to use when.

.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

# A profile of Cargo.toml: release for use and benchmarks, ci for tests, dev for the demo and while editing.
PROFILE ?= release
# Where `make demo` puts its exports, its lake and its page.
DEMO ?= demo
PYTHON ?= $(shell command -v python3.11 || command -v python3)

TARGET := $(or $(CARGO_TARGET_DIR),target)
ifdef WABALAKE
build: ; @: # WABALAKE names a program that is there already.
else
WABALAKE = $(TARGET)/$(PROFILE:dev=debug)/wabalake
build: ## The program, target/release/wabalake (PROFILE=dev is quicker to build and slower to run)
	@test -e $(WABALAKE) || echo 'The first build takes up to $(if $(filter dev,$(PROFILE)),10,40) minutes on 2 cores.'
	cargo build --locked --workspace --bins --profile $(PROFILE)

cluster: .venv ## The same, able to ask a Spark cluster as well: `wabalake query NAME --engine spark`
	PROTOC=$(PROTOC) cargo build --locked --workspace --bins --features cluster --profile $(PROFILE)
endif
# The compiler of the protocol's messages, from PyPI.
PROTOC = $(CURDIR)/.venv/bin/protoc

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# ---- To use ----

# What is quick to compile answers a demo's questions soon enough.
ifneq ($(origin PROFILE), command line)
demo: PROFILE = dev
endif
demo: build ## Made-up exports loaded into a lake, three answers and the page: ./demo
	@$(WABALAKE) demo --out $(DEMO)

# ---- While editing ----

check: ## The edit loop: formatting, lints, and whether everything compiles
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings

bless: ## Rewrites every golden answer from the plans: read the difference before you commit it
	BLESS=1 cargo test --locked --workspace

docs: .venv ## The documentation as a site: target/docs/index.html
	.venv/bin/zensical build --clean

docs-write: ci-program ## Rewrites the generated pages, and the outputs of examples in README.md and docs/
	BLESS=1 $(CARGO_TEST) --test catalog pages
	WABALAKE=$(abspath $(TARGET)/ci/wabalake) .venv/bin/python tests/python/examples.py --write

bench: .venv ## The benchmark that docs/benchmarks.md shows: a year of made-up exports, both cores, an hour and a half
	PROFILE=release $(MAKE) build
	.venv/bin/python benches/compare.py

bench-peers: .venv ## SQL for DuckDB alone against the twins, on DuckDB: what of it is still faster?
	PROFILE=release $(MAKE) build
	.venv/bin/python benches/compare.py --peers

bench-nightly: .venv ## The time of a nightly run on a lake of 40 days and on one of 400
	PROFILE=release $(MAKE) build
	.venv/bin/python benches/nightly.py

bench-skew: .venv ## Every query where one person or session has all rows, or no row has one
	PROFILE=release $(MAKE) build
	.venv/bin/python benches/skew.py

bench-store: .venv .venv-store ## A lake on an object store of 30 ms a request, beside Polars and DuckDB
	PROFILE=release $(MAKE) build
	.venv/bin/python benches/store.py

# ---- To hand out: ./dist ----

# A wheel may not be larger.
WHEEL_BYTES := 60000000

wheel: .venv ## dist/wabalake-*.whl: the program and the Python module, for machines like this; installed and tried
	rm -f dist/wabalake-*.whl
	.venv/bin/maturin build --profile $(PROFILE) --compatibility linux --out dist
	@wheel=$$(echo dist/wabalake-*.whl); size=$$(($$(wc -c < $$wheel))); echo "$$wheel: $$size bytes"; \
	test $(PROFILE) != release -o $$size -lt $(WHEEL_BYTES) || { echo 'more than $(WHEEL_BYTES) bytes'; exit 1; }; \
	folder=$$(mktemp -d); trap 'rm -rf $$folder' EXIT; \
	$(PYTHON) -m venv $$folder/venv; \
	$$folder/venv/bin/python -m pip install --quiet --disable-pip-version-check --no-index $$wheel; \
	cd $$folder; venv/bin/wabalake demo; venv/bin/python -m wabalake --version

TRIPLE = $(shell rustc -vV | sed -n 's/^host: //p')
# macOS has the second one.
SHA256 = $(shell command -v sha256sum || echo shasum -a 256)

archive: build ## dist/wabalake-VERSION-TARGET.tar.gz: the program, its manual pages and completions; and its hash
	@version=$$($(WABALAKE) --version | cut -d ' ' -f 2); name=wabalake-$$version-$(TRIPLE); \
	rm -rf dist/$$name; mkdir -p dist/$$name/completions; \
	cp $(WABALAKE) dist/$$name/wabalake; cp LICENSE README.md CHANGELOG.md dist/$$name; \
	$(WABALAKE) man --out dist/$$name/man; \
	for shell in bash elvish fish powershell zsh; do \
		$(WABALAKE) completions $$shell > dist/$$name/completions/wabalake.$$shell; \
	done; \
	tar -czf dist/$$name.tar.gz -C dist $$name; rm -r dist/$$name; \
	cd dist; $(SHA256) $$name.tar.gz > $$name.tar.gz.sha256; cat $$name.tar.gz.sha256

# ---- To test: everything that CI checks ----

STEPS := test-format test-lints test-docs test-engine test-page test-clients test-twins \
	test-examples test-store test-sail
# Waits for Java most of the time, so it runs beside the steps after test-page, whose browser is timed.
BESIDE := test-spark
# What later steps need is downloaded while the first ones compile.
INSTALLED := .venv-spark .venv-duckdb .venv-store chromium

test: ## Everything that CI checks, and how long each step took
	@times=; failed=; log=$$(mktemp); trap 'rm -f $$log' EXIT; \
	$(MAKE) --no-print-directory .venv; \
	$(MAKE) --no-print-directory $(INSTALLED) > $$log 2>&1 & installing=$$!; \
	ended() { \
		test $$2 = passed || failed="$$failed $$1"; \
		times+=$$(printf '%-14s %s  %2d min %02d s' $$1 $$2 $$(($$3 / 60)) $$(($$3 % 60)))$$'\n'; \
	}; \
	for step in $(STEPS); do \
		printf '\n==== make %s\n' $$step; started=$$SECONDS; \
		$(MAKE) --no-print-directory $$step && outcome=passed || outcome=FAILED; \
		if test $$step = test-lints; then wait $$installing || cat $$log; fi; \
		ended $$step $$outcome $$((SECONDS - started)); \
		if test $$step = test-page; then \
			beside=$$SECONDS; $(MAKE) --no-print-directory $(BESIDE) > $$log 2>&1 & waiting=$$!; \
		fi; \
	done; \
	wait $$waiting && outcome=passed || outcome=FAILED; \
	printf '\n==== make %s\n' $(BESIDE); cat $$log; \
	ended $(BESIDE) $$outcome $$((SECONDS - beside)); \
	printf '\n%s%-14s         %2d min %02d s\n' "$$times" altogether $$((SECONDS / 60)) $$((SECONDS % 60)); \
	test -z "$$failed" || { echo "failed:$$failed"; exit 1; }

# One profile and one set of features, so that every dependency is compiled once. Clippy and rustdoc look at
# our crates while these are compiled.
CI = --locked --workspace --features cluster --profile ci
# Cargo compiles again what was compiled with another CLIPPY_ARGS than its own.
CHECKED = env CLIPPY_ARGS=-Dwarnings__CLIPPY_HACKERY__ RUSTC_WORKSPACE_WRAPPER=$(abspath tests/checked-rustc)
export PROTOC
CARGO_TEST = $(CHECKED) cargo test $(CI) --no-fail-fast
PYTEST = env WABALAKE=$(abspath $(TARGET)/ci/wabalake) .venv/bin/python -m pytest -c tests/python/pytest.ini

test-format: ## Is it formatted?
	cargo fmt --all --check

test-lints: .venv ## Do clippy and rustdoc have nothing to say? And clippy, without the feature `cluster`?
	$(CARGO_TEST) --all-targets --no-run
	RUSTDOC=true $(CHECKED) cargo build --locked --workspace --lib --profile ci

test-docs: .venv ## Does the site of docs/ have no broken link?
	.venv/bin/zensical build --clean --strict

test-engine: .venv ## All Rust tests: unit, catalog, commands, properties, documents, killed commands, `make demo`
	$(CARGO_TEST)

test-clients: ci-program .venv-duckdb ## Do other programs read the same rows from a lake, and an assistant? Is what it writes as Meta's read back? Does the wheel?
	$(PYTEST) tests/python/test_clients.py tests/python/test_views.py tests/python/test_meta.py tests/python/test_mcp.py \
		tests/python/test_notebooks.py tests/python/test_wheel.py tests/python/test_releases.py

test-twins: ci-program ## Does each query answer as its SQL twin does, on Sail and on DuckDB? Half of them on each core
	@log=$$(mktemp); trap 'rm -f $$log' EXIT; \
	PART=2 $(PYTEST) tests/python/test_twins.py > $$log 2>&1 & \
	PART=1 $(PYTEST) tests/python/test_twins.py && outcome=0 || outcome=1; \
	wait $$! || outcome=1; cat $$log; exit $$outcome

test-examples: ci-program ## Do the commands in README.md and docs/ print what they show?
	$(PYTEST) tests/python/test_examples.py

test-page: ci-program chromium ## Is the page safe, readable and quick in a browser? (Debian's Chromium)
	$(PYTEST) tests/python/test_page.py

chromium:
	@command -v chromedriver >/dev/null || { \
		as=; test "$$(id -u)" = 0 || as=sudo; \
		$$as apt-get update --quiet && \
		$$as apt-get install --quiet --yes --no-install-recommends chromium chromium-driver; }

# Interrupted when time is up, so that what the tests have started is stopped.
IN_TIME = timeout --signal=INT --kill-after=1m

test-store: ci-program .venv-store ## Is a lake on an object store as one in a folder? Four servers (Node.js)
	CARGO_TEST="$(CARGO_TEST)" $(IN_TIME) 12m $(PYTEST) tests/python/store

test-sail: ci-program ## Does each query answer on Sail as here? A cluster of two workers
	$(IN_TIME) 10m $(PYTEST) tests/python/test_sail.py

test-spark: ci-program .venv-spark ## And on Apache Spark? Two workers, and whatever may go wrong (Java 17)
	$(IN_TIME) 30m $(PYTEST) tests/python/test_spark.py

# Not a step of `make test`, which checks licences and sources by itself: cargo-deny takes minutes to compile, and
# downloads its list of known faults.
test-licences: ## May each crate be built in, by its licence, its source and its known faults? (cargo-deny)
	@cargo deny --version || { echo 'no cargo-deny: `cargo install --locked cargo-deny` installs it'; exit 1; }
	cargo deny check

# As the tests build it, features and all, so that nothing is compiled for this alone.
ci-program: .venv
	@$(CARGO_TEST) --no-run --quiet

.venv: requirements.txt
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@printf '#!/bin/sh\nexec "$${0%%/*}/python" -m grpc_tools.protoc "$$@"\n' > .venv/bin/protoc
	@chmod +x .venv/bin/protoc
	@touch .venv

.venv-spark: tests/python/requirements-spark.txt
	$(PYTHON) -m venv .venv-spark
	.venv-spark/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch .venv-spark

.venv-duckdb: tests/python/requirements-duckdb.txt
	$(PYTHON) -m venv .venv-duckdb
	.venv-duckdb/bin/python -m pip install --quiet --disable-pip-version-check --no-compile -r $<
	@touch .venv-duckdb

AZURITE = tests/python/store/package.json tests/python/store/package-lock.json

.venv-store: tests/python/requirements-store.txt $(AZURITE)
	$(PYTHON) -m venv .venv-store
	.venv-store/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	cp $(AZURITE) .venv-store/
	npm ci --prefix .venv-store --ignore-scripts --no-audit --no-fund --silent
	@touch .venv-store

.PHONY: build cluster help demo check bless docs docs-write wheel archive test-licences bench bench-peers bench-nightly bench-skew bench-store test ci-program chromium $(STEPS) $(BESIDE)
