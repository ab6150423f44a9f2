# Works with GNU make 3.81, the version of macOS: no .ONESHELL, no .SHELLFLAGS, no !=.
# `make demo` and `make test` need only Go.

GO  ?= go
# How long each fuzz target and the chaos run last.
FUZZ_FOR  ?= 60s
CHAOS_FOR ?= 10m
CHAOS_SEED ?= 1
# How long each case of the flow benchmark lasts; FLOW=-cases=rate selects cases.
FLOW_FOR ?= 30s
# The race detector needs cgo, and go disables cgo without a C compiler.
RACE = $(if $(filter 1,$(shell $(GO) env CGO_ENABLED)),-race)
# Tests mostly wait for servers, leases and timeouts, so more of them than cores run in parallel.
# Shuffled tests are never cached.
TEST_FLAGS = $(RACE) -shuffle=on -parallel 8 -timeout 9m
# The version that tuma version prints: the tag, or the last tag with the commit, or the commit alone. Empty outside
# of a repository; then tuma asks Go's build information. -trimpath keeps this directory's name out of the binary:
# the same commit and the same Go give the same bytes everywhere.
VERSION ?= $(shell test -e .git && git describe --tags --match 'v[0-9]*' --always --abbrev=12 --dirty 2>/dev/null)
BUILD_FLAGS = -trimpath -ldflags '-X main.version=$(VERSION)'

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

.PHONY: build
build: ## Build bin/tuma
	CGO_ENABLED=0 $(GO) build $(BUILD_FLAGS) -o bin/tuma ./cmd/tuma

.PHONY: demo
demo: build ## Send 20,000 messages to a simulated gateway on this machine, and kill a worker halfway
	bin/tuma demo

.PHONY: test
test: ## Run all tests; install redis-server if possible, else report the skipped tests
	@REDIS_SERVER="$$(tools/redis-server)" && export REDIS_SERVER && \
		$(GO) run ./internal/house/testreport $(TEST_FLAGS) ./...

.PHONY: race
race: ## Run all tests with the race detector
	@$(MAKE) test RACE=-race

.PHONY: lint
lint: bin/golangci-lint ## Format, vet and lint
	@test -z "$$(gofmt -l .)" || { echo "not gofmt-ed:"; gofmt -l .; exit 1; }
	$(GO) vet ./...
	bin/golangci-lint run ./...

# The linter is a tool of a separate module, tools/go.mod, so that programs that embed Tuma do not get its dependencies.
bin/golangci-lint: tools/go.mod tools/go.sum
	@mkdir -p bin
	CGO_ENABLED=0 $(GO) build -C tools -o ../bin/golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	@touch bin/golangci-lint

.PHONY: fuzz
fuzz: ## Fuzz every parser, FUZZ_FOR=60s each
	@GO='$(GO)' tools/fuzz $(FUZZ_FOR)

.PHONY: fuzz-short
fuzz-short: ## Fuzz every parser with 4,000 inputs each
	@GO='$(GO)' tools/fuzz 4000x

.PHONY: bench
bench: ## Send 1,000,000 messages to a sandbox, and compare with a loop without a queue
	$(GO) run ./internal/bench

.PHONY: bench-personal
bench-personal: ## Send 100,000 messages with different texts, and compare with a loop of single POSTs
	$(GO) run ./internal/bench personal

.PHONY: bench-optout
bench-optout: ## Add 10,000,000 numbers to a suppression list; measure memory and time
	$(GO) run ./internal/bench optout

.PHONY: bench-flow
bench-flow: ## Measure rates, fairness, hanging gateways, latency and pauses, FLOW_FOR=30s each
	$(GO) run ./internal/bench flow -for $(FLOW_FOR) $(FLOW)

.PHONY: bench-file
bench-file: ## Enqueue and plan a dirty list of 1,000,000, and compare with reading and copying it
	$(GO) run ./internal/bench file

.PHONY: chaos
chaos: ## Inject faults for CHAOS_FOR=10m into workers, Redis, connections and gateways; CHAOS_SEED chooses them
	@REDIS_SERVER="$$(tools/redis-server)" && export REDIS_SERVER && \
		$(GO) run ./internal/chaos -for $(CHAOS_FOR) -seed $(CHAOS_SEED)

.PHONY: mutants
mutants: ## Build known wrong versions of Tuma, and check that a test or chaos run fails for each
	@REDIS_SERVER="$$(tools/redis-server)" && export REDIS_SERVER && $(GO) run ./internal/mutants

.PHONY: cross
cross: ## Build for macOS, Linux and Windows, and compile the tests for macOS
	@set -e; for target in darwin/arm64 linux/arm64 windows/amd64; do \
		os=$${target%/*}; arch=$${target#*/}; ext=; test $$os != windows || ext=.exe; \
		echo "bin/tuma-$$os-$$arch$$ext"; \
		CGO_ENABLED=0 GOOS=$$os GOARCH=$$arch $(GO) build $(BUILD_FLAGS) -o bin/tuma-$$os-$$arch$$ext ./cmd/tuma; \
	done
	CGO_ENABLED=0 GOOS=darwin GOARCH=arm64 $(GO) vet ./...

.PHONY: tidy-check
tidy-check: ## Fail if go mod tidy would change go.mod or go.sum
	$(GO) mod tidy -diff
	$(GO) mod tidy -C tools -diff

.PHONY: outside
outside: ## Build a module that embeds producer, and check what it links and all import rules
	$(GO) test ./internal/house -run 'Outside|Rooms|Room|Import' -count=1 -v

.PHONY: readme
readme: ## Run the commands of README.md
	@REDIS_SERVER="$$(tools/redis-server)" && export REDIS_SERVER && $(GO) run ./internal/house/readme README.md

.PHONY: ci
ci: ## Run everything that CI runs
	.ci/run

.PHONY: clean
clean: ## Remove built files
	rm -rf bin
