# Every command of the project. `make help` lists them. The recipes use relative paths only, so that the folder may
# have any name. They `exec` their last command: a signal to make, or to the group, then reaches that command itself.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Settings of another environment do not leak into ours.
unexport VIRTUAL_ENV PYTHONPATH PYTHONHOME

BIN := .venv/bin
# Processes of the test run: one a core, four at most, since each has a PostgreSQL of its own.
WORKERS ?= $(shell n=$$(getconf _NPROCESSORS_ONLN); echo $$((n < 4 ? n : 4)))
# What pytest is given beside the defaults, for example: make test ARGS='-k cancel'
ARGS ?=
CHECKS := check-format check-lint check-types check-imports check-tidy check-asyncapi check-openapi check-k6 check-deploy

.PHONY: bench-cost fuzz-api run test test-domain check $(CHECKS) bench bench-adapters bench-outage bench-rebuild bench-replay bench-reports load chaos fmt lock clean help install-run install-dev

run: ## start the whole service; Ctrl-C stops it
	@exec requirements/install run $(BIN)/orders up

test: install-dev test-domain ## run all tests; leaves tests/report.html and tests/junit.xml
	@requirements/debian rabbitmq-server nginx
	@requirements/node/install
	@exec $(BIN)/pytest -n $(WORKERS) --dist worksteal --junit-xml=tests/junit.xml \
	  --html=tests/report.html --self-contained-html $(ARGS)

# A run of its own, so that measuring does not slow the rest down.
test-domain: install-dev ## hold the domain's branch coverage to its bound
	@HYPOTHESIS_PROFILE=coverage $(BIN)/pytest -q tests/unit/orders/domain \
	  --cov=orders.domain --cov-report=term-missing --cov-report=json:.coverage.json
	@$(BIN)/python -m tests.support.branch_coverage .coverage.json

check: $(CHECKS) ## format, lint, types, import rules, tidy, AsyncAPI, OpenAPI, k6 script, deployment; `make -k check` shows all findings
check-format: install-dev
	@$(BIN)/ruff format --check --output-format concise . || { echo "error: the files above are not formatted; make fmt does it"; exit 1; }
check-lint: install-dev
	@$(BIN)/ruff check .
check-types: install-dev
	@$(BIN)/mypy
check-imports: install-dev
	@$(BIN)/lint-imports --no-logo
check-tidy: install-dev
	@$(BIN)/pytest -q tests/tidy
# By schemas that the checker brings along, and a linter of workflows: neither asks the network.
check-deploy: install-dev
	@$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec compose.yaml
	@$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@$(BIN)/zizmor --quiet --offline --no-progress .github/workflows
# By the validator of the AsyncAPI project, which exists for Node.js only.
check-asyncapi:
	@exec requirements/node/install node requirements/node/check_asyncapi.mjs docs/reference/asyncapi.json
# By Spectral, with the rules of .spectral.yaml; what is not asked for it sends nowhere.
check-openapi:
	@exec requirements/node/install requirements/node/node_modules/.bin/spectral lint docs/reference/openapi.json \
	  --ruleset .spectral.yaml --fail-severity warn --quiet
# The TypeScript compiler, with k6's own types.
check-k6:
	@exec requirements/node/install requirements/node/node_modules/.bin/tsc --project load/tsconfig.json

bench: install-dev ## measure POST, batches, replay, the feed and appends against the limits of what they stand on; 2 minutes
	@exec $(BIN)/python -m load.bench $(ARGS)

bench-adapters: install-dev ## measure orders/s of 1, 2 and 4 adapters, told of work by the log and by RabbitMQ
	@exec $(BIN)/python -m load.adapter_capacity $(ARGS)

bench-cost: install-dev ## measure the CPU time of an order in each part
	@exec $(BIN)/python -m load.order_cost $(ARGS)

bench-outage: install-dev ## orders at a steady rate while the exchange is down, then hangs; 50 minutes
	@exec $(BIN)/python -m load.outage $(ARGS)

bench-rebuild: install-dev ## measure what clients notice while the query tables are rebuilt
	@exec $(BIN)/python -m load.rebuild_load $(ARGS)

bench-replay: install-dev ## measure projections that catch up with 1,000,000 events against raw COPY of the same rows
	@exec $(BIN)/python -m load.catch_up $(ARGS)

bench-reports: install-dev ## measure execution reports into the log against raw COPY of the same rows
	@exec $(BIN)/python -m load.report_rate $(ARGS)

load: install-dev ## 100 users for a minute at BASE_URL, or at a service of its own; leaves an HTML report in load/reports
	@exec $(BIN)/python -m load.run $(ARGS)

chaos: install-dev ## kill, stop and cut for minutes, and check that nothing was lost; the figures are in docs/reliability.md
	@$(BIN)/python -m tests.campaigns.kills --kills 30
	@$(BIN)/python -m tests.campaigns.faults --orders 100000 --kills 100
	@$(BIN)/python -m tests.campaigns.doubt --kills 30
	@$(BIN)/python -m tests.campaigns.adapter_worlds --worlds 4000
	@$(BIN)/python -m tests.campaigns.log_readers --events 200000
	@$(BIN)/python -m tests.campaigns.sockets --sockets 1000 --cuts 20 --events 100000
	@$(BIN)/python -m tests.campaigns.slow_sockets --sockets 1000 --slow 10 --pairs 5
	@$(BIN)/python -m tests.campaigns.projectors --kills 100
	@$(BIN)/python -m tests.campaigns.rebuilds --rebuilds 200
	@$(BIN)/python -m tests.campaigns.broker_kills --exchange place_order --orders 5000 --kills 5
	@$(BIN)/python -m tests.campaigns.broker_kills --exchange simulated --orders 5000 --kills 5
	@exec $(BIN)/python -m tests.campaigns.alternations --alternations 10000

fuzz-api: install-dev ## ask every route what the OpenAPI document promises, thousands of times
	@exec $(BIN)/python -m tests.campaigns.api_fuzz $(ARGS)

fmt: install-dev ## format, and mend what the linter can mend
	@$(BIN)/ruff check --fix-only --quiet . && $(BIN)/ruff format .

# Keeps what is locked; `make lock UPGRADE=--upgrade` takes the newest versions that pyproject.toml admits.
UPGRADE ?=
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header $(UPGRADE) pyproject.toml
lock: install-dev ## resolve pyproject.toml and requirements/node/package.json into locks, with hashes
	@$(COMPILE) --group build --output-file requirements/run.txt
	@$(COMPILE) --group dev --constraint requirements/run.txt --output-file requirements/dev.txt
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header $(UPGRADE) --group uv --output-file requirements/uv.txt
	@cd requirements/node && npm $(if $(UPGRADE),update,install) --package-lock-only --loglevel=error >/dev/null

clean: ## remove .venv, caches and reports; orders and their database stay
	@rm -rf .venv requirements/node/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage* tests/report.html tests/junit.xml
	@find src tests load examples -name __pycache__ -type d -prune -exec rm -rf {} +

help: ## this list
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/  make \1\t\2/p' Makefile | expand -t 22

install-run install-dev:
	@exec requirements/install $(@:install-%=%)
