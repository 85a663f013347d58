# New here? Two targets are enough:
#   make run    the whole product on this machine, with demo data
#   make test   every test
# Both install what is missing (Debian and Ubuntu; elsewhere they say what to install). They need Rust, Node 20 or
# newer and make.

CONSOLE := services/console
CONSOLE_SOURCES := $(shell find $(CONSOLE)/src $(CONSOLE)/public -type f 2>/dev/null) \
	$(wildcard $(CONSOLE)/*.ts $(CONSOLE)/*.yml $(CONSOLE)/index.html) api-schema/schema.graphql

.DEFAULT_GOAL := help
.PHONY: help run test fmt lint check console

help:
	@sed -n '2,3s/^#  //p' Makefile
	@echo '  further: fmt (format), lint (clippy), check (what a change must pass), console (build the web console)'

# ARGS goes to `portcullis dev`: make run ARGS='--listen 127.0.0.1:9000 --empty'
run:
	@scripts/prepare cc postgres
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory console; \
	else echo 'make run: Node is missing, so the web console is left out (everything else runs); install Node 20 or newer'; fi
	cargo run --locked -p portcullis --bin portcullis -- dev $(ARGS)

test:
	@scripts/test

fmt:
	cargo fmt --all

lint:
	cargo clippy --locked --workspace --all-targets -- -D warnings

check:
	@.ci/run

console: $(CONSOLE)/dist/index.html

$(CONSOLE)/node_modules/.package-lock.json: $(CONSOLE)/package.json $(CONSOLE)/package-lock.json
	npm --prefix $(CONSOLE) ci --no-audit --no-fund
	@touch $@

$(CONSOLE)/dist/index.html: $(CONSOLE)/node_modules/.package-lock.json $(CONSOLE_SOURCES)
	npm --prefix $(CONSOLE) run build
	@touch $@
