# The commands of this repository; what they need is set up by tools/build, outside the repository.

run = cargo run --locked --quiet --

.PHONY: help test try try-stop generate bench

# How the figures are printed (human, json, or markdown for docs/performance.md), and which: make bench FORMAT=json ONLY=P1,P8
FORMAT ?= human
ONLY ?=

help:
	@echo 'make try       start a control plane, an AWS emulator, a registry and the operator here, with the examples applied'
	@echo 'make try-stop  end all of that'
	@echo 'make test      everything that must hold before a change lands'
	@echo 'make bench     measure speed and cost against their goals: some 12 minutes after the release build of 8; FORMAT=json, ONLY=P1,P8'
	@echo 'make generate  write the generated files: CRDs, their copy in the chart, the reference'

test:
	@tools/check

try:
	@tools/build
	cargo build --locked
	@$(run) dev up

try-stop:
	cargo build --locked --quiet
	@$(run) dev down

generate:
	cargo run --locked --quiet -- generate

# The programs that it needs are looked for, or built, by the harness itself.
bench:
	cargo bench --locked --bench measures -- --format $(FORMAT) $(if $(ONLY),--only $(ONLY))
