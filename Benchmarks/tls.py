#!/usr/bin/env python3
"""Measures TLS toward clients beside nginx and HAProxy: processor time per request, per new connection, and memory of
idle connections. Each proxy has one worker on processor 0; load and origin share processor 1, proxies take turns in every
round, and ratios are medians of rounds. `bench.py` measures plain HTTP likewise.

    Benchmarks/tls.py [--rounds 3] [--seconds 3]
"""

import argparse
import json
import os
import re
import socket
import ssl
import statistics
import subprocess
import tempfile

import bench
import proxies

#: (row, goal): ours ÷ the better of the two peers.
GOALS = {"1k": 0.80, "64k": 0.60, "ecdsa new": 0.80, "ecdsa resumed": 0.85, "rsa new": 0.92}
NAMES = {"1k": "TLS h1, 1 KiB", "64k": "TLS h1, 64 KiB", "ecdsa new": "new connection, ECDSA P-256",
         "ecdsa resumed": "resumed connection, ECDSA P-256", "rsa new": "new connection, RSA 2048"}


def certificate(folder, kind):
    words = {"ecdsa": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "rsa": ["rsa:2048"]}[kind]
    chain, key = os.path.join(folder, kind + ".crt"), os.path.join(folder, kind + ".key")
    subprocess.run(["openssl", "req", "-x509", "-newkey", *words, "-nodes", "-days", "30", "-keyout", key, "-out", chain,
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)
    with open(os.path.join(folder, kind + ".pem"), "w") as both:
        both.write(open(chain).read() + open(key).read())
    return chain, key


def balancer(folder, upstream, pair, kind):
    port = proxies.free_port()
    path = proxies.write(folder, f"balancer-{kind}.json", json.dumps({
        "listeners": [{"name": "public", "address": f"127.0.0.1:{port}",
                       "tls": {"certificates": [{"certificate": pair[0], "key": pair[1]}]}}],
        "admin": False, "accessLog": {"enabled": False}, "upstreams": {"core": {"endpoints": [f"127.0.0.1:{upstream}"]}},
        "routes": [{"name": "api", "split": {"core": 1}}]}))
    return proxies.Running(folder, f"balancer-{kind}", [proxies.balancer_binary(), "serve", "--config", path, "--workers", "1"],
                           port, proxies.PROXY_CPU)


def nginx(folder, upstream, pair, kind):
    port = proxies.free_port()
    path = proxies.write(folder, f"nginx-{kind}.conf", f"""
worker_processes 1; daemon off; pid {folder}/nginx-{kind}.pid; error_log {folder}/nginx-{kind}.err;
events {{ worker_connections 15000; }}
http {{ access_log off; keepalive_requests 1000000000; keepalive_timeout 3600s;
  upstream core {{ server 127.0.0.1:{upstream}; keepalive 128; keepalive_requests 1000000000; }}
  server {{ listen 127.0.0.1:{port} ssl backlog=4096; ssl_certificate {pair[0]}; ssl_certificate_key {pair[1]};
    ssl_protocols TLSv1.2 TLSv1.3;
    location / {{ proxy_pass http://core; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Request-ID $request_id; }} }} }}
""")
    return proxies.Running(folder, f"nginx-{kind}", ["nginx", "-c", path], port, proxies.PROXY_CPU)


def haproxy(folder, upstream, pair, kind):
    port = proxies.free_port()
    path = proxies.write(folder, f"haproxy-{kind}.cfg", f"""
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
  bind 127.0.0.1:{port} ssl crt {os.path.join(folder, kind + ".pem")}
  option forwardfor
  http-request set-header X-Request-ID %[uuid()]
  default_backend core
backend core
  server s 127.0.0.1:{upstream} pool-max-conn 256
""")
    return proxies.Running(folder, f"haproxy-{kind}", ["haproxy", "-db", "-f", path], port, proxies.PROXY_CPU)


def load(running, target, seconds):
    before = running.cpu_seconds()
    out = subprocess.run(["taskset", "-c", proxies.LOAD_CPU, "wrk", "-t1", f"-c{bench.CONNECTIONS}", f"-d{seconds}s",
                          f"https://127.0.0.1:{running.port}/{target}"], capture_output=True, text=True, check=True).stdout
    requests = int(re.search(r"(\d+) requests in", out)[1])
    if "Non-2xx" in out or requests == 0:
        raise SystemExit(f"{target} is not answered as it should be:\n{out}")
    return (running.cpu_seconds() - before) / requests * 1e6


def connect(running, seconds, resumed):
    """Microseconds of the proxy per connection: each a handshake, one request, a close."""
    before = running.cpu_seconds()
    out = subprocess.run(["taskset", "-c", proxies.LOAD_CPU, "openssl", "s_time", "-connect", f"127.0.0.1:{running.port}",
                          "-reuse" if resumed else "-new", "-time", str(seconds), "-www", "/1k"],
                         capture_output=True, text=True, check=False).stdout
    connections = int(re.findall(r"(\d+) connections in \d+ real seconds", out)[-1])
    return (running.cpu_seconds() - before) / connections * 1e6


def idle(running, count):
    """Bytes of the process per idle connection that has served a request."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    before, held = running.resident_kib(), []
    for _ in range(count):
        s = context.wrap_socket(socket.create_connection(("127.0.0.1", running.port)), server_hostname="localhost")
        s.sendall(b"GET /1k HTTP/1.1\r\nHost: localhost\r\n\r\n")
        got = b""
        while b"\r\n\r\n" not in got or len(got.split(b"\r\n\r\n", 1)[1]) < 1_024:
            part = s.recv(65_536)
            if not part:
                raise SystemExit("a connection was closed while idle ones were opened")
            got += part
        held.append(s)
    after = running.resident_kib()
    for s in held:
        s.close()
    return (after - before) / count


def row(name, running, measure, rounds):
    results = {proxy: [] for proxy in running}
    for number in range(rounds):
        order = list(running)
        order = order[number % len(order):] + order[:number % len(order)]
        for proxy in order:
            results[proxy].append(measure(running[proxy]))
    ratio = statistics.median(ours / min(results["nginx"][i], results["haproxy"][i]) for i, ours in enumerate(results["balancer"]))
    print(f"{NAMES[name]:34}" + "".join(f"  {proxy} {statistics.median(values):7.1f} us" for proxy, values in results.items())
          + f"  ratio {ratio:.2f} (goal {GOALS[name]:.2f})", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--idle", type=int, default=2_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="balancer-tls-") as folder:
        os.chmod(folder, 0o755)
        source = proxies.origin(folder, bench.BODIES)
        started = [source]
        try:
            for kind in ("ecdsa", "rsa"):
                pair = certificate(folder, kind)
                running = {"balancer": balancer(folder, source.port, pair, kind), "nginx": nginx(folder, source.port, pair, kind),
                           "haproxy": haproxy(folder, source.port, pair, kind)}
                started += running.values()
                if kind == "ecdsa":
                    for target in ("1k", "64k"):
                        for proxy in running.values():
                            load(proxy, target, 1)
                        row(target, running, lambda proxy: load(proxy, target, options.seconds), options.rounds)
                    row("ecdsa resumed", running, lambda proxy: connect(proxy, options.seconds, True), options.rounds)
                row(f"{kind} new", running, lambda proxy: connect(proxy, options.seconds, False), options.rounds)
                if kind == "ecdsa":
                    print("idle TLS connection, KiB: " + "  ".join(
                        f"{name} {idle(proxy, options.idle):.1f}" for name, proxy in running.items()), flush=True)
        finally:
            for program in started:
                program.stop()


if __name__ == "__main__":
    main()
