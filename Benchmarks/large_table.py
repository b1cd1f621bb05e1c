#!/usr/bin/env python3
"""Measures what a table of many routes costs: how long a change of weights takes to be in force, and how long a worker
stands still meanwhile.

A client on one connection asks again and again; its slowest answer while weights change bounds the time that its worker
stood still. The table has two upstreams, and paths, hosts and header conditions by turns.
"""

import argparse
import http.client
import json
import statistics
import tempfile
import threading
import time

import proxies


def configuration(folder, upstream, routes, port, admin):
    table = []
    for number in range(routes):
        match = ({"path": f"/service-{number}/v1"}, {"host": f"h{number}.example.org", "path": "/"},
                 {"path": "/", "headers": {"x-tenant": f"t{number}"}})[number % 3]
        table.append({"name": f"r{number}", "match": match, "split": {"core": 1, "gateway": 1}})
    table.append({"name": "api", "match": {"path": "/"}, "split": {"core": 1}})
    endpoints = {"endpoints": [f"127.0.0.1:{upstream}"]}
    return proxies.write(folder, "large.json", json.dumps({
        "listeners": [{"name": "public", "address": f"127.0.0.1:{port}"}], "admin": {"address": f"127.0.0.1:{admin}"},
        "accessLog": {"enabled": False}, "upstreams": {"core": endpoints, "gateway": endpoints}, "routes": table}))


class Asker(threading.Thread):
    """Asks over one connection; `slowest` since `begin`, in milliseconds."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.connection = http.client.HTTPConnection("127.0.0.1", port)
        self.times, self.ended = [], False

    def run(self):
        while not self.ended:
            began = time.perf_counter()
            self.connection.request("GET", "/1k", headers={"x-tenant": "none"})
            self.connection.getresponse().read()
            self.times.append((began, time.perf_counter()))

    def slowest(self, begin, end):
        return max((b - a for a, b in list(self.times) if b >= begin and a <= end), default=0) * 1_000


def measure(routes, changes):
    with tempfile.TemporaryDirectory(prefix="balancer-large-") as folder:
        origin = proxies.origin(folder, {"1k": 1_024})
        port, admin = proxies.free_port(), proxies.free_port()
        path = configuration(folder, origin.port, routes, port, admin)
        running = proxies.Running(
            folder, "balancer", [proxies.balancer_binary(), "serve", "--config", path, "--workers", "1"], port,
            proxies.PROXY_CPU)
        try:
            asker = Asker(port)
            asker.start()
            time.sleep(1)
            quiet = asker.slowest(time.perf_counter() - 0.5, time.perf_counter())
            control = http.client.HTTPConnection("127.0.0.1", admin)
            rows = []
            for number in range(changes):
                body = json.dumps({"weights": {"core": 1 + number % 9, "gateway": 1}})
                began = time.perf_counter()
                control.request("PUT", f"/api/v1/routes/r{number}/weights", body,
                                {"Content-Type": "application/json"})
                answer = control.getresponse()
                answer.read()
                ended = time.perf_counter()
                if answer.status != 200:
                    raise SystemExit(f"the change was answered with {answer.status}")
                time.sleep(0.05)
                rows.append(((ended - began) * 1_000, asker.slowest(began, ended)))
            asker.ended = True
            asker.join()
            return quiet, rows
        finally:
            running.stop()
            origin.stop()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--routes", type=int, default=10_000)
    parser.add_argument("--changes", type=int, default=40)
    options = parser.parse_args()
    quiet, rows = measure(options.routes, options.changes)
    took, stood = sorted(row[0] for row in rows), sorted(row[1] for row in rows)
    print(f"{options.routes} routes, {options.changes} changes of weights, one worker, milliseconds:")
    print(f"  in force and answered after: median {statistics.median(took):.1f}, slowest {took[-1]:.1f}")
    print(f"  slowest request of one connection meanwhile: median {statistics.median(stood):.2f}, "
          f"slowest {stood[-1]:.2f}; without changes {quiet:.2f}")


if __name__ == "__main__":
    main()
