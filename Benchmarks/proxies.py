"""The programs that are compared: how each is configured and started with one worker."""

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
WHEELS = os.path.join(ROOT, ".tools", "peers", "bin")
PROXY_CPU, LOAD_CPU = "0", "1"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def await_port(port, process, seconds=20):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if process.poll() is not None:
                raise RuntimeError(f"{process.args[-1]} ended with {process.returncode}")
            time.sleep(0.05)
    raise RuntimeError(f"nothing listens on {port}")


class Running:
    """A started program; `pids` are all of its processes."""

    #: What the measured program runs under, such as valgrind and its arguments.
    under = []

    def __init__(self, folder, name, command, port, cpu, env=None):
        self.port = port
        log = open(os.path.join(folder, name + ".log"), "w")
        self.process = subprocess.Popen(
            ["taskset", "-c", cpu] + (self.under if cpu == PROXY_CPU else []) + command, stdout=log, stderr=log, env={**os.environ, **(env or {})}, cwd=folder
        )
        await_port(port, self.process)

    @property
    def pids(self):
        out = [self.process.pid]
        for pid in out:
            children = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout.split()
            out += [int(child) for child in children]
        return out

    def cpu_seconds(self):
        """Time on a processor, user and system, of all threads that live, and of those that ended."""
        ticks = os.sysconf("SC_CLK_TCK")
        total = 0
        for pid in self.pids:
            with open(f"/proc/{pid}/stat") as file:
                fields = file.read().rsplit(")", 1)[1].split()
            total += (int(fields[11]) + int(fields[12])) / ticks
        return total

    def resident_kib(self):
        total = 0
        for pid in self.pids:
            with open(f"/proc/{pid}/smaps_rollup") as file:
                for line in file:
                    # Shared pages count by share, or several processes of one program would count them twice.
                    if line.startswith("Pss:"):
                        total += int(line.split()[1])
        return total

    def resident_at_start_kib(self):
        """All that is mapped and present, shared libraries in full."""
        with open(f"/proc/{self.process.pid}/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def write(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w") as file:
        file.write(text)
    return path


def origin(folder, bodies, types=None):
    """nginx serving static bodies, and texts of JSON by name (`types`), on the load generator's processor."""
    port = free_port()
    os.makedirs(os.path.join(folder, "www"), exist_ok=True)
    # nginx's worker runs as another user when we are root.
    os.chmod(folder, 0o755)
    for name, size in bodies.items():
        with open(os.path.join(folder, "www", name), "wb") as file:
            file.write(b"a" * size)
    for name, text in (types or {}).items():
        write(os.path.join(folder, "www"), name, text)
    path = write(folder, "origin.conf", f"""
worker_processes 1; daemon off; pid {folder}/origin.pid; error_log {folder}/origin.err;
events {{ worker_connections 15000; }}
http {{ types {{ application/json json; }} access_log off; sendfile on; keepalive_requests 1000000000; keepalive_timeout 3600s;
  server {{ listen 127.0.0.1:{port} backlog=4096; root {folder}/www; }} }}
""")
    return Running(folder, "origin", ["nginx", "-c", path], port, LOAD_CPU)


class Certificate:
    """One of its own signature for `localhost`; `kind` is `ecdsa` (P-256) or `rsa` (2048). HAProxy wants both files in one."""

    def __init__(self, folder, kind):
        words = {"ecdsa": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "rsa": ["rsa:2048"]}[kind]
        self.kind = kind
        self.chain, self.key, self.both = (os.path.join(folder, f"{kind}.{end}") for end in ("crt", "key", "pem"))
        subprocess.run(["openssl", "req", "-x509", "-newkey", *words, "-nodes", "-days", "30", "-keyout", self.key,
                        "-out", self.chain, "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
                       check=True, capture_output=True)
        with open(self.both, "w") as both:
            for part in (self.chain, self.key):
                with open(part) as file:
                    both.write(file.read())


def name_of(program, tls):
    return f"{program}-{tls.kind}" if tls else program


def balancer_binary():
    return os.environ.get("BALANCER_BINARY") or os.path.join(ROOT, ".build", "release", "balancer")


def balancer(folder, upstream, routes=1, env=None, name="balancer", batching=True, tls=None, stage=None, gateway=None):
    """`stage`: of a plan from `core` to `gateway`, which is started; without a port of its own the latter is the same upstream."""
    port = free_port()
    if stage:
        return started(folder, (upstream, gateway or upstream), port, stage, env, name, batching)
    table = [{"name": "api", "match": {"path": "/"}, "split": {"core": 1}}]
    # Routes that must be passed over: other paths, and other hosts.
    for number in range(routes - 1):
        match = {"path": f"/service-{number}/v1"} if number % 2 else {"host": f"h{number}.example.org", "path": "/"}
        table.append({"name": f"r{number}", "match": match, "split": {"core": 1}})
    listener = {"name": "public", "address": f"127.0.0.1:{port}"}
    if tls:
        name = name_of(name, tls)
        listener["tls"] = {"certificates": [{"certificate": tls.chain, "key": tls.key}]}
    path = write(folder, name + ".json", json.dumps({
        "listeners": [listener], "admin": False,
        "accessLog": {"enabled": False}, "batching": {"enabled": batching}, "upstreams": {"core": {"endpoints": [f"127.0.0.1:{upstream}"]}},
        "routes": table}))
    command = [balancer_binary(), "serve", "--config", path, "--workers", "1"]
    return Running(folder, name, command, port, PROXY_CPU, env)


def started(folder, upstreams, port, stage, env, name, batching):
    """The balancer in a stage of a plan."""
    admin_port, state = free_port(), tempfile.mkdtemp(dir=folder)
    admin = f"127.0.0.1:{admin_port}"
    core, gateway = ({"endpoints": [f"127.0.0.1:{upstream}"]} for upstream in upstreams)
    plan = {"name": "plan", "routes": ["api"], "from": "core", "to": "gateway",
            "stages": [{**stage, "hold": "1h"}, {"share": 100, "mirror": 0, "hold": "1h"}]}
    if "mirror" in stage:
        plan["mirror"] = {"perSecond": 100_000}
    else:
        plan["gates"] = {"mismatches": False}
    path = write(folder, name + ".json", json.dumps({
        "listeners": [{"name": "public", "address": f"127.0.0.1:{port}"}], "admin": {"address": admin},
        "accessLog": {"enabled": False}, "batching": {"enabled": batching}, "state": {"path": f"{state}/state.sqlite"},
        "upstreams": {"core": core, "gateway": gateway},
        "routes": [{"name": "api", "split": {"core": 1, "gateway": 0}}], "migrations": [plan]}))
    running = Running(folder, name, [balancer_binary(), "serve", "--config", path, "--workers", "1"], port, PROXY_CPU, env)
    running.admin = admin
    await_port(admin_port, running.process)
    request = urllib.request.Request(
        f"http://{admin}/api/v1/migrations/plan/start", b'{"force": true, "reason": "a measurement"}',
        {"Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=60).close()
    return running


def floor(folder, upstream):
    port = free_port()
    binary = os.path.join(folder, "floor")
    subprocess.run(["gcc", "-O2", "-o", binary, os.path.join(HERE, "floor.c")], check=True)
    return Running(folder, "floor", [binary, str(port), str(upstream)], port, PROXY_CPU)


def tls_floor(folder, upstream, tls):
    """What OpenSSL and the kernel cost a proxy that does nothing besides; HTTP/1.1 alone."""
    port, name = free_port(), name_of("tls_floor", tls)
    binary = os.path.join(folder, name)
    subprocess.run(["gcc", "-O2", "-o", binary, os.path.join(HERE, "tls_floor.c"), "-lssl", "-lcrypto"], check=True)
    return Running(folder, name, [binary, str(port), str(upstream), tls.chain, tls.key], port, PROXY_CPU)


def handshakes(folder):
    """The client that makes new connections."""
    binary = os.path.join(folder, "handshakes")
    subprocess.run(["gcc", "-O2", "-o", binary, os.path.join(HERE, "handshakes.c"), "-lssl", "-lcrypto", "-lpthread"],
                   check=True)
    return binary


def nginx(folder, upstream, alone=False, tls=None):
    """`alone`: the one process is worker too, so that a tool which follows one process sees all of it."""
    port, name = free_port(), name_of("nginx", tls)
    secure = f" ssl http2; ssl_certificate {tls.chain}; ssl_certificate_key {tls.key}; ssl_protocols TLSv1.2 TLSv1.3" if tls else ""
    path = write(folder, name + ".conf", f"""
worker_processes 1; daemon off; {"master_process off; " if alone else ""}pid {folder}/{name}.pid; error_log {folder}/{name}.err;
events {{ worker_connections 15000; }}
http {{ access_log off; keepalive_requests 1000000000; keepalive_timeout 3600s;
  upstream core {{ server 127.0.0.1:{upstream}; keepalive 128; keepalive_requests 1000000000; }}
  server {{ listen 127.0.0.1:{port} backlog=4096{secure}; location / {{ proxy_pass http://core; proxy_http_version 1.1;
    proxy_set_header Connection ""; proxy_set_header Host $host;
    proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Request-ID $request_id; }} }} }}
""")
    return Running(folder, name, ["nginx", "-c", path], port, PROXY_CPU)


def haproxy(folder, upstream, tls=None):
    port, name = free_port(), name_of("haproxy", tls)
    secure = f" ssl crt {tls.both} alpn h2,http/1.1" if tls else ""
    path = write(folder, name + ".cfg", f"""
global
  nbthread 1
  maxconn 9000
  tune.bufsize 32768
defaults
  mode http
  timeout client 3600s
  timeout server 60s
  timeout connect 5s
  option http-keep-alive
  http-reuse always
frontend public
  bind 127.0.0.1:{port}{secure}
  option forwardfor
  http-request set-header X-Request-ID %[uuid()]
  default_backend core
backend core
  server s 127.0.0.1:{upstream} pool-max-conn 256
""")
    return Running(folder, name, ["haproxy", "-db", "-f", path], port, PROXY_CPU)


def envoy(folder, upstream):
    port = free_port()
    path = write(folder, "envoy.yaml", json.dumps({"static_resources": {
        "listeners": [{"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
            "filter_chains": [{"filters": [{"name": "http", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                "stat_prefix": "public", "use_remote_address": True,
                "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "core"}}]}]},
                "http_filters": [{"name": "router", "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}]}}]}]}],
        "clusters": [{"name": "core", "connect_timeout": "5s", "type": "STATIC", "load_assignment": {
            "cluster_name": "core", "endpoints": [{"lb_endpoints": [{"endpoint": {"address": {"socket_address": {
                "address": "127.0.0.1", "port_value": upstream}}}}]}]}}]}}))
    return Running(folder, "envoy", [os.path.join(WHEELS, "envoy"), "-c", path, "--concurrency", "1", "-l", "error"],
                   port, PROXY_CPU)


def caddy(folder, upstream):
    port = free_port()
    path = write(folder, "Caddyfile", f"""
{{
  admin off
  auto_https off
}}
http://127.0.0.1:{port} {{
  reverse_proxy 127.0.0.1:{upstream} {{
    transport http {{
      keepalive_idle_conns_per_host 256
    }}
  }}
}}
""")
    return Running(folder, "caddy", [os.path.join(WHEELS, "caddy"), "run", "--config", path, "--adapter", "caddyfile"],
                   port, PROXY_CPU, {"GOMAXPROCS": "1", "HOME": folder})


def traefik(folder, upstream):
    port = free_port()
    dynamic = write(folder, "traefik-routes.json", json.dumps({"http": {
        "routers": {"all": {"rule": "PathPrefix(`/`)", "service": "core", "entryPoints": ["public"]}},
        "services": {"core": {"loadBalancer": {"servers": [{"url": f"http://127.0.0.1:{upstream}"}]}}}}}))
    dynamic_yaml = dynamic[:-5] + ".yaml"
    os.rename(dynamic, dynamic_yaml)
    return Running(folder, "traefik", [
        os.path.join(WHEELS, "traefik"), f"--entrypoints.public.address=127.0.0.1:{port}",
        f"--providers.file.filename={dynamic_yaml}", "--log.level=ERROR", "--global.checknewversion=false",
        "--global.sendanonymoususage=false"], port, PROXY_CPU, {"GOMAXPROCS": "1"})


PEERS = {"nginx": nginx, "haproxy": haproxy, "envoy": envoy, "caddy": caddy, "traefik": traefik}


def available(name):
    if name in ("nginx", "haproxy"):
        return shutil.which(name) is not None
    return os.access(os.path.join(WHEELS, name), os.X_OK)


def version(name):
    commands = {"nginx": ["nginx", "-v"], "haproxy": ["haproxy", "-v"],
                "envoy": [os.path.join(WHEELS, "envoy"), "--version"],
                "caddy": [os.path.join(WHEELS, "caddy"), "version"],
                "traefik": [os.path.join(WHEELS, "traefik"), "version"]}
    result = subprocess.run(commands[name], capture_output=True, text=True)
    for word in (result.stdout + result.stderr).replace("/", " ").split():
        if word.lstrip("v")[:1].isdigit() and "." in word:
            return word.lstrip("v").split("-")[0]
    return "?"
