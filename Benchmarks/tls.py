#!/usr/bin/env python3
"""Measures TLS toward clients beside nginx and HAProxy: processor time per request, per new connection, and memory of
idle connections; and beside the floor, a C program that does nothing but what OpenSSL and the kernel must (HTTP/1.1 alone). Each proxy has one worker on processor 0; load and origin share processor 1, proxies take turns in every
round, and ratios are medians of rounds. `bench.py` measures plain HTTP likewise.

    Benchmarks/tls.py [--rounds 3] [--seconds 3]
"""

import argparse
import os
import re
import ssl
import statistics
import subprocess
import tempfile

import bench
import proxies

#: (row, goal): ours ÷ the better of the two peers.
GOALS = {"1k": 0.80, "64k": 0.60, "h2 64x1": 0.85, "h2 8x8": 0.90, "ecdsa new": 0.80, "ecdsa resumed": 0.85, "rsa new": 0.92}
NAMES = {"1k": "TLS h1, 1 KiB", "64k": "TLS h1, 64 KiB", "h2 64x1": "TLS h2, 64 connections x 1 stream",
         "h2 8x8": "TLS h2, 8 connections x 8 streams", "ecdsa new": "new connection, ECDSA P-256",
         "ecdsa resumed": "resumed connection, ECDSA P-256", "rsa new": "new connection, RSA 2048"}


PROXIES = {"balancer": proxies.balancer, "nginx": proxies.nginx, "haproxy": proxies.haproxy, "floor": proxies.tls_floor}


def connect(client, running, seconds, resumed):
    """Microseconds of the proxy per connection: each a handshake, one request, a close."""
    before = running.cpu_seconds()
    out = subprocess.run(["taskset", "-c", proxies.LOAD_CPU, client, str(running.port), "/1k", str(seconds),
                          "resumed" if resumed else "new"], capture_output=True, text=True, check=True).stdout
    answered, again = (int(number) for number in re.findall(r"\d+", out))
    if (again > 0.9 * answered) != resumed:
        raise SystemExit(f"sessions are not resumed as they should be: {out}")
    return (running.cpu_seconds() - before) / answered * 1e6


def streams(running, seconds, connections, each):
    """Microseconds of the proxy per request of 1 KiB over HTTP/2, `each` streams at a time on each connection."""
    before = running.cpu_seconds()
    out = subprocess.run(["taskset", "-c", proxies.LOAD_CPU, "h2load", f"-c{connections}", f"-m{each}", f"-D{seconds}",
                          f"https://localhost:{running.port}/1k"], capture_output=True, text=True, check=True).stdout
    spent = running.cpu_seconds() - before
    requests, failed = int(re.search(r"(\d+) succeeded", out)[1]), int(re.search(r"(\d+) failed", out)[1])
    if failed or not requests or "Application protocol: h2" not in out:
        raise SystemExit(f"HTTP/2 is not answered as it should be:\n{out}")
    return spent / requests * 1e6


def securing():
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return lambda s: context.wrap_socket(s, server_hostname="localhost")


def ratio(results, name):
    """To the better of the peers, round by round."""
    return statistics.median(ours / min(results["nginx"][i], results["haproxy"][i]) for i, ours in enumerate(results[name]))


def row(name, running, measure, rounds):
    results = {proxy: [] for proxy in running}
    for number in range(rounds):
        order = list(running)
        order = order[number % len(order):] + order[:number % len(order)]
        for proxy in order:
            results[proxy].append(measure(running[proxy]))
    print(f"{NAMES[name]:34}" + "".join(f"  {proxy} {statistics.median(values):7.1f} us" for proxy, values in results.items())
          + f"  ratio {ratio(results, 'balancer'):.2f} (goal {GOALS[name]:.2f})"
          + (f", floor {ratio(results, 'floor'):.2f}" if "floor" in results else ""), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--idle", type=int, default=2_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="balancer-tls-") as folder:
        os.chmod(folder, 0o755)
        client = proxies.handshakes(folder)
        source = proxies.origin(folder, bench.BODIES)
        started = [source]
        try:
            for kind in ("ecdsa", "rsa"):
                tls = proxies.Certificate(folder, kind)
                running = {name: start(folder, source.port, tls=tls) for name, start in PROXIES.items()}
                started += running.values()
                if kind == "ecdsa":
                    for target in ("1k", "64k"):
                        for proxy in running.values():
                            bench.load(proxy, target, 1, "https")
                        row(target, running, lambda proxy: bench.load(proxy, target, options.seconds, "https")["cpu"],
                            options.rounds)
                    # The floor speaks no HTTP/2.
                    speaking = {name: proxy for name, proxy in running.items() if name != "floor"}
                    for connections, each in ((64, 1), (8, 8)):
                        row(f"h2 {connections}x{each}", speaking,
                            lambda proxy: streams(proxy, options.seconds, connections, each), options.rounds)
                    row("ecdsa resumed", running, lambda proxy: connect(client, proxy, options.seconds, True), options.rounds)
                row(f"{kind} new", running, lambda proxy: connect(client, proxy, options.seconds, False), options.rounds)
                if kind == "ecdsa":
                    print("idle TLS connection, KiB: " + "  ".join(
                        f"{name} {bench.idle_memory(proxy, options.idle, securing()) / 1024:.1f}" for name, proxy in running.items()), flush=True)
        finally:
            for program in started:
                program.stop()


if __name__ == "__main__":
    main()
