"""Who stands before the origin: Tornello with each of its laws, Envoy, HAProxy, nginx, and nobody.

Each is configured as its own documentation says, and told what speaks for it. What queues may queue for
the same time (WAIT). Static limits come told the truth about the workers, and told three times as many.
The adaptive ones are told nothing.
"""

import os
import resource
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass

# Longest wait for room, of all that have a queue.
WAIT = 0.2
# By how much a wrong limit is too high.
WRONG = 3
# Longest wait until a proxy takes connections, and until it has ended.
START, LAST = 20.0, 10.0


class Trouble(Exception):
    """A leg cannot be played; the text says why."""


@dataclass
class Leg:
    """A leg."""

    key: str
    # tornello, envoy, haproxy, nginx, or None: the crowd calls the origin itself.
    program: str
    setting: str
    queues: bool = False
    # It finds its limit by itself.
    adaptive: bool = False


LEGS = [
    Leg("knee", "tornello", "knee", True, True),
    Leg("gradient2", "tornello", "gradient2", True, True),
    Leg("vegas", "tornello", "vegas", True, True),
    Leg("aimd", "tornello", "aimd", True, True),
    Leg("fixed", "tornello", "fixed", True),
    Leg("envoy", "envoy", "adaptive", False, True),
    Leg("envoy-no-pin", "envoy", "no-pin", False, True),
    Leg("envoy-admission", "envoy", "admission", False, True),
    Leg("haproxy", "haproxy", "true", True),
    Leg("haproxy-3x", "haproxy", "wrong", True),
    Leg("nginx", "nginx", "true"),
    Leg("nginx-3x", "nginx", "wrong"),
    Leg("none", None, ""),
]
# What is set by hand to the truth: the better of them is the oracle.
ORACLES = ("fixed", "haproxy")


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [sock.getsockname()[1] for sock in sockets]
    for sock in sockets:
        sock.close()
    return ports


def connections():
    """As many as a proxy may have of the crowd, when each has one of its own towards the origin."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return max(100, min(15_000, files // 2 - 100))


def tornello(law, scenario, folder, ports):
    site, origin, admin = ports
    limit = f'law = "{law}"\nwait = "{WAIT * 1000:.0f}ms"\n'
    if law == "fixed":
        limit += f"initial = {scenario.slots}\n"
    text = f"""
[listen]
http = "127.0.0.1:{site}"
admin = "127.0.0.1:{admin}"
state_directory = "{folder}/state"
[edge]
max_connections_per_prefix = 20000
[upstream.app]
addresses = ["127.0.0.1:{origin}"]
[upstream.app.limit]
{limit}
[route.all]
path = "/"
upstream = "app"
timeout = "10s"
"""
    if scenario.judged == "users":
        text += '[route.pay]\npath = "/pay"\nupstream = "app"\nclass = "finish"\ntimeout = "10s"\n'
    if scenario.judged == "sessions":
        text += (
            'room = "all"\n[room.all]\ntitle = "All"\nseats = { floor = 4, ceiling = 1000 }\ncall = "30s"\nidle = "10s"\n'
            'session = "90s"\npoll = { min = "500ms", max = "6s", divisor = 10 }\n'
            '[door]\nrate = "20/s"\nburst = 100\nprefix = { rate = "5000/s", burst = 10000 }\n'
        )
    return text, ["run", "--no-access-log", "--config", "FILE"]


ADAPTIVE = """
          - name: envoy.filters.http.adaptive_concurrency
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.adaptive_concurrency.v3.AdaptiveConcurrency
              gradient_controller_config:
                sample_aggregate_percentile: { value: 90 }
                concurrency_limit_params: { concurrency_update_interval: 0.1s MORE }
                min_rtt_calc_params: { jitter: { value: 10 }, interval: 60s, request_count: 50 }
              enabled: { default_value: true, runtime_key: adaptive_concurrency.enabled }"""

ENVOY_FILTERS = {
    "adaptive": ADAPTIVE.replace(" MORE", ""),
    # As low as the filter would pin to otherwise.
    "no-pin": ADAPTIVE.replace(" MORE", ", min_concurrency_limit: 3"),
    "admission": """
          - name: envoy.filters.http.admission_control
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.admission_control.v3.AdmissionControl
              enabled: { default_value: true, runtime_key: admission_control.enabled }
              sampling_window: 120s
              sr_threshold: { default_value: { value: 95.0 }, runtime_key: admission_control.sr_threshold }
              aggression: { default_value: 1.5, runtime_key: admission_control.aggression }
              rps_threshold: { default_value: 5, runtime_key: admission_control.rps_threshold }
              max_rejection_probability:
                { default_value: { value: 80.0 }, runtime_key: admission_control.max_rejection_probability }
              success_criteria: { http_criteria: { http_success_status: [{ start: 100, end: 400 }] } }""",
}


def envoy(setting, _scenario, _folder, ports):
    site, origin, _ = ports
    text = f"""static_resources:
  listeners:
  - address: {{ socket_address: {{ address: 127.0.0.1, port_value: {site} }} }}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: crowd
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes: [{{ match: {{ prefix: "/" }}, route: {{ cluster: origin, timeout: 10s }} }}]
          http_filters:{ENVOY_FILTERS[setting]}
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
  clusters:
  - name: origin
    connect_timeout: 2s
    type: STATIC
    circuit_breakers:
      thresholds: [{{ max_connections: 20000, max_pending_requests: 20000, max_requests: 20000 }}]
    load_assignment:
      cluster_name: origin
      endpoints:
      - lb_endpoints:
        - endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {origin} }} }} }}
"""
    return text, ["-c", "FILE", "--log-level", "error", "--use-dynamic-base-id", "--concurrency", "2"]


def haproxy(setting, scenario, _folder, ports):
    """Its queue has classes, too: who pays goes first where somebody pays. Without `option abortonclose`,
    with which a slot is free as soon as its client is gone while the origin works on."""
    site, origin, _ = ports
    limit = scenario.slots * (WRONG if setting == "wrong" else 1)
    first = "  http-request set-priority-class int(-10) if { path /pay }\n" if scenario.judged == "users" else ""
    text = f"""
global
  maxconn {connections()}
defaults
  mode http
  timeout connect 2s
  timeout client 30s
  timeout server 10s
  timeout http-keep-alive 30s
  timeout queue {WAIT * 1000:.0f}ms
frontend crowd
  bind 127.0.0.1:{site} backlog 4096
{first}  default_backend app
backend app
  server origin 127.0.0.1:{origin} maxconn {limit}
"""
    return text, ["-db", "-f", "FILE"]


def nginx(setting, scenario, folder, ports):
    """`limit_conn` over all requests together; it has no queue. It waits for the origin also when the
    client left, so that its count is true."""
    site, origin, _ = ports
    limit = scenario.slots * (WRONG if setting == "wrong" else 1)
    text = f"""
daemon off; pid {folder}/nginx.pid; error_log stderr crit; worker_processes auto;
events {{ worker_connections {connections()}; }}
http {{
  access_log off; limit_conn_status 503; limit_conn_log_level info;
  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  limit_conn_zone $server_name zone=app:1m;
  upstream origin {{ server 127.0.0.1:{origin} max_fails=0; keepalive 64; }}
  server {{
    listen 127.0.0.1:{site} backlog=4096; server_name all; keepalive_requests 100000;
    location / {{
      limit_conn app {limit}; proxy_pass http://origin; proxy_ignore_client_abort on;
      proxy_http_version 1.1; proxy_set_header Connection ""; proxy_read_timeout 10s;
    }}
  }}
}}
"""
    return text, ["-p", str(folder), "-c", "FILE"]


WRITERS = {"tornello": tornello, "envoy": envoy, "haproxy": haproxy, "nginx": nginx}


def find(program, given):
    """Where a program is. `given` are those whose place was told."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    file = shutil.which(given.get(program) or program, path=path)
    if not file:
        raise Trouble(f"there is no program {given.get(program) or program}")
    return file


class Proxy:
    """A running proxy, ended by its own id."""

    def __init__(self, leg, scenario, folder, ports, given):
        text, arguments = WRITERS[leg.program](leg.setting, scenario, folder, ports)
        # Started by root, nginx's workers are somebody else.
        os.chmod(folder, 0o755)
        file, log = f"{folder}/proxy.yaml", f"{folder}/proxy.log"
        with open(file, "w", encoding="utf-8") as out:
            out.write(text)
        command = [find(leg.program, given), *(file if word == "FILE" else word for word in arguments)]
        with open(log, "wb") as said:
            self.process = subprocess.Popen(command, stdout=said, stderr=said, start_new_session=True)
        self.log = log
        try:
            self.await_port(ports[0])
        except Trouble:
            self.end()
            raise

    def await_port(self, port):
        over = time.monotonic() + START
        while time.monotonic() < over:
            if self.process.poll() is not None:
                raise Trouble(f"ended at once: {self.said()}")
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise Trouble(f"took no connection within {START:.0f} s: {self.said()}")

    def said(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return " ".join(file.read().split())[-400:]

    def end(self):
        end(self.process)


def end(process):
    """Ends a process that leads its own session, and whatever it started."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, how)
            process.wait(LAST)
            return
        except ProcessLookupError:
            process.wait(LAST)
            return
        except subprocess.TimeoutExpired:
            continue
