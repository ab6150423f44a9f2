# Works with GNU make 3.81, which is what macOS has: no .ONESHELL, no .SHELLFLAGS, no !=.
# On a fresh machine `make demo` and `make test` need nothing but Go.

GO  ?= go
# How long each fuzz target gets, and how long the chaos goes on.
FUZZ_FOR  ?= 60s
CHAOS_FOR ?= 10m
CHAOS_SEED ?= 1
# How long each case of the flow is measured; FLOW=-cases=rate chooses among them.
FLOW_FOR ?= 30s
# The race detector needs cgo, and go switches cgo off where there is no C compiler.
RACE = $(if $(filter 1,$(shell $(GO) env CGO_ENABLED)),-race)
# Tests mostly wait, for servers, leases and timeouts: more of them than cores run at once.
# Shuffled tests are never taken from the cache.
TEST_FLAGS = $(RACE) -shuffle=on -parallel 8 -timeout 9m
# The version that tuma version prints: the tag, or the last tag with the commit, or the commit alone. Empty outside
# of a repository; then tuma asks Go's build information. -trimpath keeps this directory's name out of the binary:
# the same commit and the same Go give the same bytes everywhere.
VERSION ?= $(shell test -e .git && git describe --tags --match 'v[0-9]*' --always --abbrev=12 --dirty 2>/dev/null)
BUILD_FLAGS = -trimpath -ldflags '-X main.version=$(VERSION)'

.DEFAULT_GOAL := help

.PHONY: help
help: ## Say what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

.PHONY: build
build: ## Build bin/tuma
	CGO_ENABLED=0 $(GO) build $(BUILD_FLAGS) -o bin/tuma ./cmd/tuma

.PHONY: demo
demo: build ## Send 20,000 messages to nobody, on this machine alone, and kill a worker halfway
	bin/tuma demo

.PHONY: test
test: ## Run all tests; gets a redis-server where it can, and says what it skipped where it cannot
	@REDIS_SERVER="$$(tools/redis-server)" && export REDIS_SERVER && \
		$(GO) run ./internal/house/testreport $(TEST_FLAGS) ./...

.PHONY: race
race: ## The same, and insist on the race detector
	@$(MAKE) test RACE=-race

.PHONY: lint
lint: bin/golangci-lint ## Format, vet and lint
	@test -z "$$(gofmt -l .)" || { echo "not gofmt-ed:"; gofmt -l .; exit 1; }
	$(GO) vet ./...
	bin/golangci-lint run ./...

# The linter is a tool of another module, tools/go.mod, so that nobody who embeds Tuma gets its dependencies.
bin/golangci-lint: tools/go.mod tools/go.sum
	@mkdir -p bin
	CGO_ENABLED=0 $(GO) build -C tools -o ../bin/golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	@touch bin/golangci-lint

.PHONY: fuzz
fuzz: ## Fuzz every parser, FUZZ_FOR=60s each
	@GO='$(GO)' tools/fuzz $(FUZZ_FOR)

.PHONY: fuzz-short
fuzz-short: ## The same, 4,000 inputs each
	@GO='$(GO)' tools/fuzz 4000x

.PHONY: bench
bench: ## Send 1,000,000 messages to a sandbox, beside the bare loop without a queue
	$(GO) run ./internal/bench

.PHONY: bench-personal
bench-personal: ## Send 100,000 messages that each have a text of their own, beside the loop that POSTs one a message
	$(GO) run ./internal/bench personal

.PHONY: bench-optout
bench-optout: ## Put 10,000,000 numbers on a suppression list: bytes of Redis a number, and how long it takes
	$(GO) run ./internal/bench optout

.PHONY: bench-flow
bench-flow: ## Measure rates, fairness, hanging gateways, latency and pauses at the sandbox, FLOW_FOR=30s each
	$(GO) run ./internal/bench flow -for $(FLOW_FOR) $(FLOW)

.PHONY: bench-file
bench-file: ## Enqueue and plan a dirty list of 1,000,000, beside encoding/csv reading and copying it
	$(GO) run ./internal/bench file

.PHONY: chaos
chaos: ## Break everything for CHAOS_FOR=10m: workers, Redis, connections, gateways; CHAOS_SEED decides what and when
	@REDIS_SERVER="$$(tools/redis-server)" && export REDIS_SERVER && \
		$(GO) run ./internal/chaos -for $(CHAOS_FOR) -seed $(CHAOS_SEED)

.PHONY: mutants
mutants: ## Break Tuma on purpose, one way at a time, and demand that a test or a chaos run notices
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
tidy-check: ## Fail if go.mod or go.sum is not as go mod tidy would have it
	$(GO) mod tidy -diff
	$(GO) mod tidy -C tools -diff

.PHONY: outside
outside: ## Build a module that embeds the producer, and list what it links
	$(GO) test ./internal/house -run 'Outside|Rooms|Room|Import' -count=1 -v

.PHONY: readme
readme: ## Run the commands of README.md
	@REDIS_SERVER="$$(tools/redis-server)" && export REDIS_SERVER && $(GO) run ./internal/house/readme README.md

.PHONY: ci
ci: ## What CI runs
	.ci/run

.PHONY: clean
clean: ## Remove what was built
	rm -rf bin
