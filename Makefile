# This file works with GNU make 3.81, the version of macOS. So it uses no .ONESHELL, no .SHELLFLAGS and no !=.
# On a fresh machine, make demo and make test need only Go.

GO  ?= go
# FUZZ_FOR is the time for each fuzz target. CHAOS_FOR is how long make chaos injects faults. CHAOS_SEED selects the
# faults.
FUZZ_FOR  ?= 60s
CHAOS_FOR ?= 10m
CHAOS_SEED ?= 1
# API_SEED selects the requests of make fuzz-api.
API_SEED ?= 1
# TOPOLOGY_FOR is how long make test-topologies sends campaigns in each topology.
TOPOLOGY_FOR ?= 30s
# OLD is the release that make test-upgrade upgrades from: the last tag, or without tags a commit before the HTTP API.
OLD ?= $(or $(shell git describe --tags --match 'v[0-9]*' --abbrev=0 2>/dev/null),c3116e7ba2a11b2effb51f6a415f85cccabd1d6a)
# FLOW_FOR is the time for each case of make bench-flow. FLOW=-cases=rate runs only the case rate.
FLOW_FOR ?= 30s
# The race detector needs cgo. Go disables cgo if there is no C compiler.
RACE = $(if $(filter 1,$(shell $(GO) env CGO_ENABLED)),-race)
# Tests mostly wait for servers, leases and timeouts, so up to 8 of a package run at once, even on fewer cores.
# With -shuffle, go test never uses cached results.
TEST_FLAGS = $(RACE) -shuffle=on -parallel 8 -timeout 9m
# The version that tuma version prints: the tag, or the last tag with the commit, or the commit alone. It is empty
# outside a repository; then tuma version prints Go's build information. -trimpath keeps the name of this directory
# out of the binary, so that one commit and one Go version build the same bytes on every machine.
VERSION ?= $(shell test -e .git && git describe --tags --match 'v[0-9]*' --always --abbrev=12 --dirty 2>/dev/null)
BUILD_FLAGS = -trimpath -ldflags '-X main.version=$(VERSION)'

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' Makefile

.PHONY: build
build: ## Build bin/tuma
	CGO_ENABLED=0 $(GO) build $(BUILD_FLAGS) -o bin/tuma ./cmd/tuma

# PREFIX is where make install puts bin/tuma.
PREFIX ?= $(HOME)/.local

.PHONY: install
install: build ## Copy bin/tuma to PREFIX/bin, by default ~/.local/bin
	@mkdir -p '$(PREFIX)/bin'
	install -m 755 bin/tuma '$(PREFIX)/bin/tuma'

.PHONY: demo
demo: build ## Send 20,000 messages to a simulated gateway on this machine, and kill a worker halfway
	bin/tuma demo

.PHONY: test
test: ## Run all tests; install redis-server if possible, otherwise list the skipped tests
	@REDIS_SERVER="$$(tools/redis-server)" && export REDIS_SERVER && \
		$(GO) run ./internal/test/testreport $(TEST_FLAGS) ./...

.PHONY: race
race: ## Run all tests with the race detector; fail if it is not available
	@$(MAKE) test RACE=-race

.PHONY: lint
lint: bin/golangci-lint ## Check the format, and run vet and the linter
	@test -z "$$(gofmt -l .)" || { echo "not gofmt-ed:"; gofmt -l .; exit 1; }
	$(GO) vet ./...
	bin/golangci-lint run ./...

# The linter belongs to the separate module in tools/go.mod, so that a program that embeds Tuma does not get the
# linter's dependencies.
bin/golangci-lint: tools/go.mod tools/go.sum
	@mkdir -p bin
	CGO_ENABLED=0 $(GO) build -C tools -o ../bin/golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	@touch bin/golangci-lint

.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZ_FOR=60s
	@GO='$(GO)' tools/fuzz $(FUZZ_FOR)

.PHONY: fuzz-api
fuzz-api: ## Send 10,000 random requests to every operation of the HTTP API, API_SEED=1
	@REDIS_SERVER="$$(tools/redis-server)" && export REDIS_SERVER && $(GO) test ./internal/server/api -run TestFuzz_EveryOperation -count=1 -v -api.requests 10000 -api.seed $(API_SEED)

.PHONY: clients
clients: ## Generate a Go and a TypeScript client from the OpenAPI document, and compile a program with each
	@REDIS_SERVER="$$(tools/redis-server)" && export REDIS_SERVER && GO='$(GO)' tools/clients

.PHONY: fuzz-short
fuzz-short: ## Run every fuzz target with 4,000 inputs
	@GO='$(GO)' tools/fuzz 4000x

.PHONY: bench
bench: ## Compare 1,000,000 messages through Tuma with a plain loop without a queue
	$(GO) run ./internal/test/bench

.PHONY: bench-personal
bench-personal: ## Compare 100,000 personalized messages through Tuma with a plain loop of one POST each
	$(GO) run ./internal/test/bench personal

.PHONY: bench-optout
bench-optout: ## Measure a suppression list of 10,000,000 numbers: time, and bytes of Redis for each number
	$(GO) run ./internal/test/bench optout

.PHONY: bench-reports
bench-reports: ## Measure delivery reports: callbacks a second, latency, bytes of the index, throughput of a worker
	$(GO) run ./internal/test/bench reports

.PHONY: bench-api
bench-api: ## Measure the HTTP API: messages a second, and the time from a request to the gateway
	$(GO) run ./internal/test/bench api

.PHONY: bench-messages
bench-messages: ## Measure single messages of 8 producers: messages a minute, round trips and bytes of Redis for each
	$(GO) run ./internal/test/bench messages

.PHONY: bench-flow
bench-flow: ## Measure rates, fairness, small campaigns, latency, pauses and hanging gateways, FLOW_FOR=30s for each case
	$(GO) run ./internal/test/bench flow -for $(FLOW_FOR) $(FLOW)

.PHONY: bench-tracing
bench-tracing: ## Measure what tracing costs a worker: off, and with 1 % of the campaigns recorded
	$(GO) run ./internal/test/bench tracing

.PHONY: bench-file
bench-file: ## Compare enqueueing and planning a dirty list of 1,000,000 rows with copying it by encoding/csv
	$(GO) run ./internal/test/bench file

.PHONY: chaos
chaos: ## Inject faults into workers, tuma serve, Redis, connections and gateways for CHAOS_FOR=10m; CHAOS_SEED selects them
	@REDIS_SERVER="$$(tools/redis-server)" && export REDIS_SERVER && \
		$(GO) run ./internal/test/chaos -for $(CHAOS_FOR) -seed $(CHAOS_SEED)

.PHONY: chaos-reports
chaos-reports: ## Kill the worker, tuma serve and Redis every two seconds while 100,000 messages get their delivery reports
	@REDIS_SERVER="$$(tools/redis-server)" && export REDIS_SERVER && $(GO) test ./internal/test/e2e -run TestReports_KillsLoseNoReport \
		-count=1 -v -timeout 60m -reports.messages 100000 -reports.rate 2000 -reports.kills 1000

.PHONY: test-topologies
test-topologies: ## Kill workers and Redis under Sentinel, Cluster, TLS, Valkey 8 and Redis 8, TOPOLOGY_FOR=30s for each
	@GO='$(GO)' tools/test-topologies $(TOPOLOGY_FOR)

.PHONY: test-upgrade
test-upgrade: ## Run workers and commands of an older commit beside the present ones, OLD=COMMIT or a tag
	@REDIS_SERVER="$$(tools/redis-server)" && export REDIS_SERVER && $(GO) test ./internal/test/e2e -run TestUpgrade -count=1 -v -timeout 20m -upgrade.old $(OLD)

.PHONY: mutants
mutants: ## Build Tuma with one deliberate bug at a time, and check that a test or a chaos run finds it
	@REDIS_SERVER="$$(tools/redis-server)" && export REDIS_SERVER && $(GO) run ./internal/test/mutation

.PHONY: cross
cross: ## Build for macOS, Linux and Windows, and compile the tests for macOS
	@set -e; for target in darwin/arm64 linux/arm64 windows/amd64; do \
		os=$${target%/*}; arch=$${target#*/}; ext=; test $$os != windows || ext=.exe; \
		echo "bin/tuma-$$os-$$arch$$ext"; \
		CGO_ENABLED=0 GOOS=$$os GOARCH=$$arch $(GO) build $(BUILD_FLAGS) -o bin/tuma-$$os-$$arch$$ext ./cmd/tuma; \
	done
	CGO_ENABLED=0 GOOS=darwin GOARCH=arm64 $(GO) vet ./...

# The tools that build images and packages belong to the separate module in deploy/go.mod.
.PHONY: image
image: ## Build the container image for linux/amd64 and linux/arm64 in dist/image
	$(GO) run -C deploy ./image -version '$(VERSION)'

.PHONY: dist
dist: ## Build archives, deb and rpm packages, SBOMs and checksums in dist/release
	$(GO) run -C deploy ./dist -version '$(VERSION)'

.PHONY: test-deploy
test-deploy: ## Test the image, the packages and the files of deploy; needs root
	tools/deploy-tools
	$(GO) vet -C deploy ./...
	$(GO) test -C deploy -count=1 ./...

# KUBERNETES keeps the programs of Kubernetes for the next run.
KUBERNETES ?= $(or $(TMPDIR),/tmp)/tuma-kubernetes
# KEDA is a folder for the programs of KEDA. If it is set, they scale the workers.
KEDA ?=

.PHONY: test-kubernetes
test-kubernetes: image ## Install, roll out, scale, drain and kill in a real Kubernetes on this machine; needs root, 20 minutes
	tools/deploy-tools redis-server redis-server etcd etcd-server containerd containerd runc runc \
		/usr/lib/cni/bridge containernetworking-plugins ip iproute2
	GO='$(GO)' tools/kubernetes/build '$(KUBERNETES)'
	test -z '$(KEDA)' || GO='$(GO)' tools/kubernetes/keda '$(KEDA)'
	$(GO) run -C deploy ./kubernetes -programs '$(KUBERNETES)/bin' -keda '$(KEDA)'

.PHONY: test-prometheus
test-prometheus: ## Let a real Prometheus watch Tuma: each alert in its fault, the dashboard, and the cost of a scrape
	tools/deploy-tools prometheus prometheus redis-server redis-server redis-cli redis-tools
	$(GO) test -C deploy ./prometheus -run TestLive -count=1 -v -timeout 30m -live

.PHONY: tidy-check
tidy-check: ## Fail if go mod tidy would change go.mod or go.sum
	$(GO) mod tidy -diff
	$(GO) mod tidy -C tools -diff
	$(GO) mod tidy -C deploy -diff
	$(GO) mod tidy -C tools/kubernetes -diff

.PHONY: outside
outside: ## Build a module that embeds the producer, and check what it links and the import rules
	$(GO) test ./internal/test/arch -run 'Outside|Rooms|Room|Import' -count=1 -v

.PHONY: readme
readme: ## Follow README.md and its guides in docs in new shells, and compare the output
	@REDIS_SERVER="$$(tools/redis-server)" && export REDIS_SERVER && \
		$(GO) run ./internal/test/readme README.md docs/campaigns.md docs/sandbox.md docs/configuration.md

.PHONY: ci
ci: ## Run what CI runs
	.ci/run

.PHONY: clean
clean: ## Remove bin
	rm -rf bin
