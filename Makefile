# make demo: a click day on this machine. make test: everything that must hold. Both install what they
# need from Debian's packages (as root or through sudo) and say so.

CARGO ?= cargo
# Own code is tested with its assertions on, in the profile that runs.
CHECKED = --config 'profile.release.package.tornello.debug-assertions=true'

.PHONY: demo test build deny screenshot

demo: build
	./target/release/tornello demo $(ARGS)

build:
	$(CARGO) build --release --locked

test:
	@.ci/need chromium chromedriver:chromium-driver curl nginx
	$(CARGO) fmt --check
	$(CARGO) clippy --release --locked --all-targets -- -D warnings
	$(CARGO) test --release --locked $(CHECKED)
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --release --locked --no-deps

deny:
	$(CARGO) deny --version >/dev/null 2>&1 || $(CARGO) install --locked cargo-deny
	$(CARGO) deny --config .deny.toml check licenses bans sources

screenshot:
	@.ci/need chromium chromedriver:chromium-driver
	$(CARGO) test --release --locked --test integration browser::screenshot -- --ignored
