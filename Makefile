# The front door: make help.

SHELL   := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
FUZZTIME ?= 10s
# How many packets rain on the receive path in make fuzz.
PACKETS ?= 2000000
# How many random networks make simulate simulates.
SCHEDULES ?= 100000
# Where make bench leaves the fate of each event, and flags for it.
RAW   ?= bench/results
BENCH ?=
ROOT    := $(if $(filter 0,$(shell id -u)),,sudo)
TOOL    := go tool -modfile=tools/go.mod

# The kernel of the virtual machine is kept here.
export HARMONY_VM_CACHE ?= $(CURDIR)/.cache/vm
# The virtual machine where the running kernel has no ip_vs, else nothing.
VM := bin/vm
STATIC := CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$(VERSION)"

.DEFAULT_GOAL := build
.PHONY: help build deps test check check-format check-lint check-modules check-rules check-generated lab demo bench interop mutants fuzz simulate acceptance required generate clean FORCE

help: ## Show this help
	@echo "Root is needed for network namespaces and packages; without it, make asks sudo."
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: bin/harmony ## Build bin/harmony, one static binary

bin/harmony bin/vm bin/demo: FORCE
	$(STATIC) -o $@ ./$(or $(DIR_$(@F)),cmd/$(@F))
DIR_vm   := bench/lab/vm
DIR_demo := bench/demo

deps: ## Install what the tests need, from the distribution, and only what is missing
	tools/deps test

demo: bin/vm ## Run the whole edge: three nodes, failovers under load (KEEP=1: keep it up)
	@{ tools/deps demo && $(VM) -fetch; } & deps=$$!; $(MAKE) --no-print-directory bin/harmony bin/demo; wait $$deps
	$(VM) bin/demo

test: deps bin/vm ## Run every test: unit, race, fuzz seeds, lab (and its virtual machine), mutants
	go run ./bench/suite
	go run ./bench/mutants

check: check-format check-lint check-modules check-rules check-generated ## Check format, linters, modules, layering, required tests, generated files (-k: all of them)

check-format:
	@bad=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$bad" ] || { echo "not formatted: $$bad"; exit 1; }
	$(TOOL) misspell -error $$(git ls-files '*.go' '*.md')

check-lint:
	@set +e; failed=0; for linter in 'go vet' '$(TOOL) staticcheck' '$(TOOL) ineffassign' \
		'$(TOOL) errcheck -ignoretests -exclude tools/errcheck.txt'; do \
		echo "$$linter ./..."; $$linter ./... || failed=1; \
	done; exit $$failed

check-modules:
	go mod tidy -diff
	go -C tools mod tidy -diff

check-rules:
	go test -run '^TestLayering' .
	go run ./bench/suite -check

# What generate may write, by its sums.
GENERATED := find api manifests docs -type f | sort | xargs sha256sum

check-generated:
	@before=$$($(GENERATED)); $(MAKE) --no-print-directory generate; \
		[ "$$before" = "$$($(GENERATED))" ] || { echo "generated files were not up to date; they are now"; exit 1; }

generate: ## Generate deepcopy code, CRDs and reference documentation
	go generate ./...

required: ## Write the list of required tests from the source, for review
	go run ./bench/suite -write

lab: bin/vm ## Open a shell where IPVS is (the virtual machine if need be); CMD='...' runs one command
	@tools/deps demo
	@$(VM) $${CMD:+sh -c "$$CMD"}
export CMD

bench: bin/harmony bin/vm ## Measure beside the peers, and print a table (BENCH='-n 3 -adverts 100ms -soak 10s': less of it)
	tools/deps test
	mkdir -p $(RAW)
	$(STATIC) -o bin/bench ./bench/failover
	$(ROOT) bin/bench -raw $(RAW) $(BENCH)
	$(STATIC) -o bin/bulk ./bench/bulk
	CGO_ENABLED=0 go -C tools build -o ../bin/mobyipvs ./mobyipvs
	$(VM) bin/bulk

# Peers that the distribution has not, and flags for make interop.
PEERS   := .cache/peers
INTEROP ?=
interop: bin/harmony ## Play every event beside keepalived, old and new, and FRR (INTEROP='-run FRR': some of them)
	tools/deps test
	tools/peers $(PEERS)
	$(STATIC) -o bin/interop ./bench/interop
	mkdir -p $(RAW)
	$(ROOT) bin/interop -peers $(PEERS) -out $(RAW)/interop-table.txt -logs $(RAW)/interop-logs $(INTEROP)

mutants: ## Apply named bugs, each of which a test must catch
	go run ./bench/mutants

simulate: ## Simulate SCHEDULES random networks of virtual routers
	go test ./vrrp -run '^TestLongSimulator$$' -v -timeout 0 -schedules $(SCHEDULES)

fuzz: ## Fuzz every target for FUZZTIME each, and let PACKETS rain on a node (FUZZEXECS=N: and codec and receive path N times)
	go test ./vrrp -run '^TestStorm$$' -v -timeout 30m -packets $(PACKETS)
	go run ./bench/fuzz -time $(FUZZTIME)
ifdef FUZZEXECS
	go run ./bench/fuzz -run '^./vrrp Fuzz(ParseAdvert|Receive)$$' -executions $(FUZZEXECS)
endif

acceptance: ## Run everything, and keep the output in docs/acceptance
	mkdir -p docs/acceptance
	for target in check test fuzz simulate demo bench interop; do \
		$(MAKE) --no-print-directory RAW=docs/acceptance PACKETS=50000000 FUZZEXECS=10000000 SCHEDULES=5000000 \
			BENCH='-handovers 100 -soak 30m' $$target 2>&1 | tee docs/acceptance/$$target.txt; \
	done

clean: ## Remove what make has built or fetched
	rm -rf bin .cache
