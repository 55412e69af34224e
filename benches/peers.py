#!/usr/bin/python3
"""What a request costs Tornello, and what it costs nginx and HAProxy on the same machine.

Each proxy has core 0 to itself with one worker; the load generator (h2load) and the backend have
core 1. The figure is the CPU time (user and system, from the scheduler's account) of the proxy's
process tree per answered request: it holds on a busy machine, where throughput does not. Proxies take
turns within a round, in alternating order, so that a drift of the machine's speed meets all of them;
ratios are made within a round, and all that is shown is the median with the least and the greatest.
Memory is measured first, on proxies that have served nothing, and once: it does not drift.

Run by `make bench`; the last thing it prints is the table of the README.
"""

import argparse
import os
import re
import resource
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

BODY = "x" * 199 + "\n"
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PEERS = ("tornello", "nginx", "haproxy")
NAVIGATION = {
    "accept": "text/html", "accept-encoding": "gzip", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document",
}
BOARD = "/.tornello/v1/rooms/held/board"

# name, requests a run, connections, streams, scheme, path, fields, the status that counts
ROWS = [
    ("forward, 64 connections", 30000, 64, 1, "http", "/go", {}, 200),
    ("forward, 512 connections", 30000, 512, 1, "http", "/go", {}, 200),
    ("forward, a new connection each", 10000, 64, 1, "http", "/go", {"connection": "close"}, 200),
    ("refuse by key, 64 connections", 60000, 64, 1, "http", "/refused", {}, 429),
    ("board or a file of its bytes", 60000, 64, 1, "http", BOARD, {}, 200),
    ("waiting page or a file of its bytes", 40000, 64, 1, "http", "/held", NAVIGATION, 503),
    ("forward, TLS and HTTP/1.1", 30000, 64, 1, "https", "/go", {}, 200),
    ("forward, TLS and HTTP/2, 8 streams", 30000, 64, 8, "h2", "/go", {}, 200),
    ("forward, a new TLS connection each", 4000, 64, 1, "https", "/go", {"connection": "close"}, 200),
]
# Files that a run with 10,000 connections needs.
FILES = 65536


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [sock.getsockname()[1] for sock in sockets]
    for sock in sockets:
        sock.close()
    return ports


def get(url, fields=None):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=fields or {})) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as answer:
        return answer.code, answer.read()


class Child:
    """A process on one core, ended with its children when the bench ends."""

    def __init__(self, core, command):
        self.process = subprocess.Popen(
            ["taskset", "-c", str(core), *command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )

    def tree(self):
        ids, found = [self.process.pid], []
        while ids:
            parent = ids.pop()
            found.append(parent)
            for task in os.listdir(f"/proc/{parent}/task"):
                with open(f"/proc/{parent}/task/{task}/children", encoding="ascii") as file:
                    ids += [int(child) for child in file.read().split()]
        return found

    def cpu_ns(self):
        total = 0
        for process in self.tree():
            for task in os.listdir(f"/proc/{process}/task"):
                with open(f"/proc/{process}/task/{task}/schedstat", encoding="ascii") as file:
                    total += int(file.read().split()[0])
        return total

    def resident(self):
        total = 0
        for process in self.tree():
            with open(f"/proc/{process}/status", encoding="ascii") as file:
                total += 1024 * int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1))
        return total

    def await_port(self, port):
        for _ in range(1500):
            if self.process.poll() is not None:
                sys.exit(f"ended at once: {self.process.stderr.read().decode()}")
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                return
            except OSError:
                time.sleep(0.02)
        sys.exit(f"nobody listens on {port}")

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()


class Stage:
    """Backend and proxies with the same body, the same limits, no access log."""

    def __init__(self, folder, binary):
        self.folder, self.binary = folder, binary
        self.children = {}
        names = ("backend", "admin", *(f"{peer}{kind}" for peer in PEERS for kind in ("", "-tls")))
        self.ports = dict(zip(names, free_ports(len(names))))
        self.key, self.certificate = f"{folder}/key.pem", f"{folder}/certificate.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
             "-keyout", self.key, "-out", self.certificate, "-days", "2", "-subj", "/CN=localhost",
             "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
            check=True, capture_output=True,
        )
        with open(self.key, encoding="ascii") as key, open(self.certificate, encoding="ascii") as certificate:
            self.both = write(f"{folder}/both.pem", certificate.read() + key.read())

    def url(self, peer, scheme, path):
        port = self.ports[peer if scheme == "http" else f"{peer}-tls"]
        # A name, because certificates and SNI are about names.
        return f"http://127.0.0.1:{port}{path}" if scheme == "http" else f"https://localhost:{port}{path}"

    def start(self, name, core, command):
        self.children[name] = Child(core, command)
        self.children[name].await_port(self.ports[name])

    def start_nginx(self, name, core, servers):
        prefix = f"{self.folder}/{name}"
        os.makedirs(prefix, exist_ok=True)
        config = write(f"{prefix}/nginx.conf", f"""
daemon off; master_process on; worker_processes 1; worker_rlimit_nofile 60000;
pid {prefix}/pid; error_log stderr crit;
events {{ worker_connections 30000; }}
http {{
  access_log off; server_tokens off; tcp_nodelay on; default_type text/plain;
  keepalive_requests 1000000000; keepalive_timeout 600s;
  client_body_temp_path {prefix}/a; proxy_temp_path {prefix}/b; fastcgi_temp_path {prefix}/c;
  uwsgi_temp_path {prefix}/d; scgi_temp_path {prefix}/e;
  {servers}
}}""")
        self.start(name, core, ["nginx", "-p", prefix, "-c", config])

    def start_backend(self):
        self.start_nginx("backend", 1, f"""
  server {{ listen 127.0.0.1:{self.ports['backend']} backlog=4096;
    location / {{ return 200 '{BODY}'; }} }}""")

    def start_tornello(self):
        ports = self.ports
        config = write(f"{self.folder}/tornello.toml", f"""
[listen]
http = "127.0.0.1:{ports['tornello']}"
https = "127.0.0.1:{ports['tornello-tls']}"
admin = "127.0.0.1:{ports['admin']}"
threads = 1
state_directory = "{self.folder}"
[tls]
certificates = [{{ certificate = "{self.certificate}", key = "{self.key}" }}]
[edge]
max_connections_per_prefix = 20000
head_timeout = "10m"
[quota.wide]
rate = "1000000/s"
[quota.narrow]
rate = "1/m"
[upstream.app]
addresses = ["127.0.0.1:{ports['backend']}"]
keep_alive = "60s"
[upstream.app.limit]
law = "fixed"
initial = 1000
[room.open]
[room.held]
hold = true
[route.go]
path = "/go"
upstream = "app"
quota = "wide"
room = "open"
[route.refused]
path = "/refused"
upstream = "app"
quota = "narrow"
[route.held]
path = "/held"
upstream = "app"
quota = "wide"
room = "held"
""")
        self.start("tornello", 0, [self.binary, "run", "--no-access-log", "--config", config])

    def start_peers(self):
        """After Tornello: its board and its page are the files that the others serve."""
        files = f"{self.folder}/files"
        os.makedirs(files, exist_ok=True)
        # Started by root, nginx's worker is somebody else.
        os.chmod(self.folder, 0o755)
        for name, path, fields in (("board", BOARD, {}), ("page", "/held", NAVIGATION)):
            with open(f"{files}/{name}", "wb") as file:
                file.write(get(self.url("tornello", "http", path), fields)[1])
        ports = self.ports
        self.start_nginx("nginx", 0, f"""
  limit_req_zone $binary_remote_addr zone=users:10m rate=1r/m;
  open_file_cache max=100 inactive=600s; open_file_cache_valid 600s;
  upstream app {{ server 127.0.0.1:{ports['backend']}; keepalive 1024; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{ports['nginx']} backlog=4096;
    listen 127.0.0.1:{ports['nginx-tls']} ssl http2 backlog=4096;
    ssl_certificate {self.certificate}; ssl_certificate_key {self.key}; ssl_session_tickets on;
    location / {{ proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header Host $host; proxy_set_header X-Forwarded-For $remote_addr; }}
    location /refused {{ limit_req zone=users; limit_req_status 429; proxy_pass http://app; }}
    location = {BOARD} {{ alias {files}/board; }}
    location = /held {{ error_page 503 /page; return 503; }}
    location = /page {{ internal; root {files}; add_header Content-Encoding gzip always; }}
  }}""")
        config = write(f"{self.folder}/haproxy.cfg", f"""
global
  nbthread 1
  maxconn 15000
  no strict-limits
  tune.ssl.default-dh-param 2048
defaults
  mode http
  timeout connect 2s
  timeout client 600s
  timeout server 30s
  timeout http-keep-alive 600s
frontend all
  bind 127.0.0.1:{ports['haproxy']} backlog 4096
  bind 127.0.0.1:{ports['haproxy-tls']} ssl crt {self.both} alpn h2,http/1.1 backlog 4096
  stick-table type ip size 100k expire 60s store http_req_rate(60s)
  option forwardfor
  acl refused path /refused
  http-request track-sc0 src if refused
  http-request deny deny_status 429 if refused {{ sc_http_req_rate(0) gt 1 }}
  http-request return status 200 content-type application/json file {files}/board if {{ path {BOARD} }}
  http-request return status 503 content-type text/html hdr Content-Encoding gzip file {files}/page if {{ path /held }}
  default_backend app
backend app
  http-reuse always
  server one 127.0.0.1:{ports['backend']}
""")
        self.start("haproxy", 0, ["haproxy", "-db", "-f", config])

    def sizes(self):
        """Bytes of board and page, as many from each of the three: else they would be compared for other work."""
        sizes = {}
        for name, path, fields in (("board", BOARD, {}), ("page", "/held", NAVIGATION)):
            each = {peer: len(get(self.url(peer, "http", path), fields)[1]) for peer in PEERS}
            # A board's own numbers may have grown by a few digits.
            if max(each.values()) - min(each.values()) > 16:
                sys.exit(f"{name}: not the same bytes from all: {each}")
            sizes[name] = each["tornello"]
        return sizes

    def end(self):
        for child in self.children.values():
            child.end()


def load(stage, peer, row, requests):
    """One run. CPU microseconds of the proxy per answered request."""
    name, _, connections, streams, scheme, path, fields, status = row
    command = ["taskset", "-c", "1", "h2load", "-t", "1", "-n", str(requests), "-c", str(connections), "-m", str(streams)]
    if scheme != "h2":
        command.append("--h1")
    if scheme != "http":
        command.append(f"--connect-to=127.0.0.1:{stage.ports[f'{peer}-tls']}")
    for field, value in fields.items():
        command += ["-H", f"{field}: {value}"]
    before = stage.children[peer].cpu_ns()
    told = subprocess.run([*command, stage.url(peer, scheme, path)], capture_output=True, text=True, check=True).stdout
    used = stage.children[peer].cpu_ns() - before
    counts = re.search(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", told)
    answered = int(counts.group(status // 100 - 1))
    # The first request of a bucket is not refused.
    if answered < requests - 2:
        sys.exit(f"{name}, {peer}: {answered} of {requests} answered with {status}\n{told}")
    return used / 1000 / answered


def idle(stage, peer, connections):
    """Resident bytes per connection that was served once and is kept."""
    child, port, held = stage.children[peer], stage.ports[peer], []
    ask = f"GET /go HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    before = child.resident()
    for number in range(connections):
        # A source address has too few ports for all.
        held.append(socket.create_connection(("127.0.0.1", port), source_address=(f"127.0.0.{2 + number % 20}", 0)))
        held[-1].sendall(ask)
        answer = held[-1].recv(4096)
        if not answer.startswith(b"HTTP/1.1 200"):
            sys.exit(f"{peer}: connection {number} was not served: {answer[:200]!r}")
    after = child.resident()
    for connection in held:
        connection.close()
    return (after - before) / connections


def spread(values, digits):
    middle = statistics.median(values)
    return f"{middle:.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def versions(binary):
    def first(command):
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return (done.stdout + done.stderr).splitlines()[0]
    ours = first([binary, "--version"])
    nginx = first(["nginx", "-v"]).split("/")[-1]
    haproxy = first(["haproxy", "-v"]).split()[2]
    h2load = first(["h2load", "--version"]).split("/")[-1]
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = re.search(r"model name\s*: (.*)", file.read())
    machine = f"{os.cpu_count()} cores ({model.group(1) if model else os.uname().machine})"
    return f"{ours}, nginx {nginx}, HAProxy {haproxy}, h2load {h2load}; {machine}, Linux {os.uname().release}"


def open_files():
    """As many as are needed, or as the system gives."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    for wanted in (FILES, hard):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(wanted, hard)))
            return wanted
        except (ValueError, OSError):
            continue
    return hard


def line(name, figures, digits, scale=1):
    ours, others = figures["tornello"], [figures[peer] for peer in PEERS[1:]]
    cells = [spread([value / scale for value in figures[peer]], digits) for peer in PEERS]
    cells += [spread([mine / theirs for mine, theirs in zip(ours, other)], 2) for other in others]
    return f"| {name} | {' | '.join(cells)} |"


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--binary", default=f"{ROOT}/target/release/tornello")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--only", default="", help="rows whose name contains this")
    options.add_argument("--idle", type=int, default=10000, help="idle connections; 0 leaves the row out")
    options = options.parse_args()
    # Tornello keeps files for the upstream's side: it lets in less than half of what it may open.
    options.idle = min(options.idle, open_files() // 2 - 100)
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(folder, options.binary)
        try:
            stage.start_backend()
            stage.start_tornello()
            stage.start_peers()
            sizes = stage.sizes()
            table = measure(stage, options)
        finally:
            stage.end()
    print(f"\n{versions(options.binary)}; CPU µs a request, median (min-max) of {options.rounds} rounds")
    print(f"Bodies of {sizes['board']} bytes (board) and {sizes['page']} bytes (page, compressed).\n")
    print("| | Tornello | nginx | HAProxy | to nginx | to HAProxy |\n|---|---|---|---|---|---|")
    print("\n".join(table))


def measure(stage, options):
    table = []
    # Before anything else: memory that earlier load left behind would hide what a connection takes.
    if options.idle and options.only in "memory":
        figures = {peer: [idle(stage, peer, options.idle)] for peer in PEERS}
        table.append(line(f"memory of an idle connection, KiB, {options.idle} of them", figures, 1, 1024))
    for row in ROWS:
        if options.only not in row[0]:
            continue
        figures = {peer: [] for peer in PEERS}
        for number in range(options.rounds + 1):
            order = PEERS if number % 2 else PEERS[::-1]
            for peer in order:
                figure = load(stage, peer, row, row[1] if number else row[1] // 10)
                # The first round warms up.
                if number:
                    figures[peer].append(figure)
        table.append(line(row[0], figures, 1))
        print(table[-1], file=sys.stderr, flush=True)
    return table[1:] + table[:1] if options.idle and options.only in "memory" else table


if __name__ == "__main__":
    main()
