# Our matrices are small: threads for them wait for each other longer than they work.
export OPENBLAS_NUM_THREADS ?= 1
# The tests start thousands of processes that load the same modules: compile them once.
unexport PYTHONDONTWRITEBYTECODE

# Every suite is recorded in this repository's own history, .testlytics/history.duckdb, and says at its
# end what that shows. The exit code is that of the tests.
SUITE = $(PY) -m scripts.recorded_suite $(if $(filter 0,$(RECORD)),--no-record)

##@ Test it (each suite is recorded, and says what its history shows; RECORD=0 does neither)

.PHONY: test
test: check ## What CI runs: style, types, layers and all tests
	@$(SUITE) -- -q -n 2
	@$(MAKE) test-oldest

.PHONY: test-all
test-all: test ## All of it, also what is too slow for every push
	@$(MAKE) test-property PROFILE=nightly
	@$(MAKE) test-performance
	@$(MAKE) fuzz-service REQUESTS=400
	@$(MAKE) smoke

.PHONY: test-oldest
test-oldest: $(VENV)/duckdb-oldest ## The store's tests with the oldest DuckDB we support
	@echo 'With DuckDB 1.5.5:'
	@$(SUITE) --path $(VENV)/duckdb-oldest -- -q --testlytics-tag duckdb=1.5.5 \
	  tests/unit/collector tests/contract/test_store.py

.PHONY: test-unit
test-unit: $(VENV)/ready ## Only the quick tests
	@$(SUITE) -- -q tests/unit

.PHONY: test-property
test-property: $(VENV)/ready ## Only the property tests (PROFILE=dev, ci or nightly)
	@HYPOTHESIS_PROFILE=$(or $(PROFILE),dev) $(SUITE) -- -q tests/property \
	  $(if $(filter nightly,$(PROFILE)),--timeout 3600)

.PHONY: test-contract
test-contract: $(VENV)/ready ## Only what users and programs rely on
	@$(SUITE) -- -q tests/contract

.PHONY: test-e2e
test-e2e: $(VENV)/ready ## Only whole journeys through the real command
	@$(SUITE) -- -q tests/e2e

.PHONY: test-chaos
test-chaos: $(VENV)/ready ## Only kills, full disks and damaged files, in small numbers
	@$(SUITE) -- -q tests/chaos

.PHONY: test-load
test-load: $(VENV)/ready ## Only the service under a little load
	@$(SUITE) -- -q tests/load

.PHONY: test-performance
test-performance: $(VENV)/ready ## Only budgets, and benchmarks judged by their own history
	@$(SUITE) --benchmarks -- -q tests/performance
	@$(if $(filter 0,$(RECORD)),,$(PY) -m scripts.benchmark_gate)

# Not recorded: under coverage every test is slower. Left out is what measures time, and what takes
# memory, files and disk away, which coverage needs as well.
.PHONY: coverage
coverage: $(VENV)/ready ## Branch coverage of each package by all tests: at least 90 % (slow; KEEP=1 judges the last run)
	@$(PY) -m scripts.branch_coverage $(if $(KEEP),--keep) -- -q -n 2 --timeout 600 \
	  $(foreach suite,performance chaos load,--ignore tests/$(suite))

.PHONY: test-matrix
test-matrix: $(VENV)/ready ## The plugin with every Python and pytest it works with (ONLY=current)
	@$(PY) scripts/plugin_matrix.py $(if $(ONLY),--only $(ONLY))

.PHONY: smoke
smoke: build ## Install the built wheels into a fresh environment and use them
	@$(PY) scripts/smoke.py

##@ Measure it (slow; UPDATE=1 writes the tables into docs/explanation)

# Environments of their own: lxml, where it is there, changes how junitparser reads.
$(VENV)/bench/ready $(VENV)/fuzz/ready $(VENV)/scale/ready: $(VENV)/%/ready: $(VENV)/ready
	@echo 'Setting up $(VENV)/$* ...' >&2
	@$(PYTHON) -m venv $(VENV)/$*
	@$(VENV)/$*/bin/python -m pip install --quiet --disable-pip-version-check \
	  --constraint constraints.txt --editable plugins/pytest-testlytics --editable '.[$*]'
	@touch $@

.PHONY: bench
bench: $(VENV)/bench/ready ## Reading JUnit XML, beside other readers
	@$(VENV)/bench/bin/python scripts/bench_junit.py --million $(if $(UPDATE),--update)

.PHONY: bench-plugin
bench-plugin: $(VENV)/bench/ready ## What the plugin costs, beside others that record results
	@$(VENV)/bench/bin/python scripts/bench_plugin.py --memory 1000000 $(if $(UPDATE),--update)

.PHONY: scale
scale: $(VENV)/scale/ready ## The store on 100 million results, beside what one would use instead (ONLY=part FOLDER=kept)
	@$(PY) -m scripts.bench_scale --peers $(VENV)/scale/bin/python $(if $(ONLY),--only $(ONLY)) \
	  $(if $(FOLDER),--folder '$(FOLDER)') $(if $(SEPARATELY),--separately $(SEPARATELY)) $(if $(UPDATE),--update)

# The packages need versions of numpy that exclude each other: an environment for each of them. One
# that does not install here is missing from the tables, with a sentence, and stops nothing.
RIVALS := $(basename $(notdir $(wildcard scripts/accuracy/rivals/*.txt)))

.PHONY: accuracy-rivals
accuracy-rivals: $(RIVALS:%=$(VENV)/accuracy/%/ready) ## Install the packages that make accuracy compares with

$(VENV)/accuracy/%/ready: scripts/accuracy/rivals/%.txt
	@echo 'Setting up $(VENV)/accuracy/$* ...' >&2
	@$(PYTHON) -m venv --clear $(VENV)/accuracy/$*
	-@$(VENV)/accuracy/$*/bin/python -m pip install --quiet --disable-pip-version-check \
	  --requirement scripts/accuracy/rivals/$*.txt && touch $@

.PHONY: accuracy
accuracy: $(VENV)/ready ## How often verdicts are wrong, beside the rules of others (ONLY=part SEEDS=n)
	@$(PY) -m scripts.accuracy $(if $(ONLY),--only $(ONLY)) \
	  $(if $(SEEDS),--seeds $(SEEDS)) $(if $(UPDATE),--update)

.PHONY: bench-concurrency
bench-concurrency: $(VENV)/ready ## Eight processes that ingest into one store at once
	@$(PY) -m scripts.bench_concurrency --processes 8 --runs 50 --results 20000

.PHONY: load
load: $(VENV)/ready ## Load the service with virtual users (SCENARIO=normal|stress|spike|endurance|volume|kills DURATION=30m USERS=n)
	@$(PY) -m scripts.load $(or $(SCENARIO),normal) $(if $(DURATION),--duration $(DURATION)) \
	  $(if $(USERS),--users $(USERS)) $(if $(KEEP),--keep '$(KEEP)' --gate)

.PHONY: soak
soak: $(VENV)/ready ## The service under load for long: does anything grow? (DURATION=30m)
	@$(PY) -m scripts.load endurance --duration $(or $(DURATION),30m)

.PHONY: chaos
chaos: $(VENV)/ready ## Kill a thousand writers and fill a hundred disks (SEED=n for other moments)
	@$(PY) -m scripts.chaos_store --kills 1000 --disk-full 100 --seed $(or $(SEED),1)

.PHONY: chaos-plan
chaos-plan: $(VENV)/ready ## Meet faults drawn by a seed, and keep the books (SECONDS=n SEED=n FAULTS=n)
	@$(PY) scripts/chaos_test_runner.py --seconds $(or $(SECONDS),300) \
	  $(if $(SEED),--seed $(SEED)) $(if $(FAULTS),--faults $(FAULTS))

.PHONY: mutants
mutants: $(VENV)/ready ## Plant known faults in copies, and show which test notices (ONLY=name JOBS=n)
	@$(PY) scripts/run_mutants.py --jobs $(or $(JOBS),2) $(if $(ONLY),--only $(ONLY))

.PHONY: profile
profile: $(VENV)/ready ## Where a command's time and memory go, what it imports (COMMAND='report --flaky')
	@$(PY) scripts/profile_command.py -- $(or $(COMMAND),report --flaky)

.PHONY: fuzz
fuzz: $(VENV)/fuzz/ready ## Feed the JUnit reader a million made-up inputs (RUNS=n for others)
	@$(VENV)/fuzz/bin/python scripts/fuzz_junit.py --runs $(or $(RUNS),1000000)

# A program of its own: as a plugin it would slow every start of pytest down.
$(VENV)/schemathesis/ready: constraints.txt
	@$(PYTHON) -m venv --clear $(VENV)/schemathesis
	@$(VENV)/schemathesis/bin/python -m pip install --quiet --disable-pip-version-check \
	  --constraint constraints.txt schemathesis
	@touch $@

.PHONY: fuzz-service
fuzz-service: $(VENV)/ready $(VENV)/schemathesis/ready ## Send the service 10,000 hostile requests (REQUESTS=n, SEED=n)
	@$(PY) scripts/fuzz_service.py --requests $(or $(REQUESTS),10000) --seed $(or $(SEED),1) \
	  --schemathesis $(VENV)/schemathesis/bin/schemathesis
