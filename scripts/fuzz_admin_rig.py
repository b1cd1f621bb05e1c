#!/usr/bin/env python3
"""Starts a balancer with two upstreams behind it and requests coming in, prints the address of its admin API, and ends all of it when
standard input ends. Exit status 1 if the balancer does not end as it should. Usage: fuzz_admin_rig.py BALANCER bare|full|cluster"""

import contextlib
import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request


class Upstream(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, number):
        answer = json.dumps({"number": number, "items": [1, 2, 3]}).encode()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *words):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self):
        return f"127.0.0.1:{self.server_port}"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def configuration(folder, rig, store):
    value = {
        "listeners": [{"name": "public", "address": "127.0.0.1:0"}],
        "admin": {"address": "127.0.0.1:0"},
        "accessLog": {"enabled": False},
        "upstreams": {
            "core": {"endpoints": [Upstream(1).address], "health": {"path": "/"}},
            "gateway": {"endpoints": [Upstream(2).address], "health": {"path": "/"}},
        },
        "routes": [
            {"name": "limited", "match": {"path": "/limited"}, "split": {"core": 1},
             "rateLimit": [{"name": "clients", "key": {"by": "client-address"}, "rate": "100/s"}]},
            {"name": "gone", "match": {"path": "/gone"}, "respond": {"status": 404}},
            {"name": "sticky", "match": {"path": "/sticky"}, "split": {"core": 1, "gateway": 1}, "sticky": {"by": "client-address"}},
            {"name": "api", "match": {"path": "/"}, "split": {"core": 1, "gateway": 0}},
        ],
    }  # fmt: skip
    if rig != "bare":
        value["state"] = {"path": f"{folder}/state.sqlite"}
    if rig == "full":
        value["guard"] = {"minimum": 5}
        value["migrations"] = [
            {"name": "move", "routes": ["api"], "from": "core", "to": "gateway",
             "mirror": {"perSecond": 1000},
             "stages": [{"mirror": 100, "hold": "1h"}, {"share": 50, "hold": "1h"}, {"share": 100, "hold": "1h", "approval": True}]},
            {"name": "other", "routes": ["sticky"], "from": "core", "to": "gateway", "stages": [{"share": 1, "hold": "1h"}],
             "gates": {"mismatches": False}},
        ]  # fmt: skip
    if rig == "cluster":
        value["cluster"] = {"name": "fuzz", "etcd": {"endpoints": [store]}}
    return value


def main():
    program, rig = sys.argv[1:]
    folder = tempfile.mkdtemp(prefix="fuzz-admin-")
    processes = []
    try:
        store = None
        if rig == "cluster":
            client, peer = f"http://127.0.0.1:{free_port()}", f"http://127.0.0.1:{free_port()}"
            store = client
            etcd = shutil.which("etcd") or ".tools/etcd/etcd"
            processes.append(subprocess.Popen([
                etcd, "--name", "m", "--data-dir", f"{folder}/etcd", "--listen-client-urls", client,
                "--advertise-client-urls", client, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                "--initial-cluster", f"m={peer}", "--log-level", "error"], stderr=subprocess.DEVNULL))  # fmt: skip
        balancers = []
        for name in ["a", "b"] if rig == "cluster" else ["a"]:
            os.mkdir(f"{folder}/{name}")
            if not balancers:
                text = json.dumps(configuration(f"{folder}/NAME", rig, store))
            with open(f"{folder}/{name}/routes.json", "w") as file:
                file.write(text.replace("NAME", name))
            balancer = subprocess.Popen(
                [program, "serve", "--config", f"{folder}/{name}/routes.json", "--workers", "1", "--replica", name],
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)  # fmt: skip
            addresses = {}
            while (line := balancer.stdout.readline().strip()) != "ready":
                if not line:
                    sys.exit("fuzz_admin_rig: the balancer ended before it was ready")
                words = line.split()
                addresses[words[-2]] = words[-1]
            balancers.append((balancer, addresses))
            processes.append(balancer)
        addresses = balancers[0][1]

        def traffic():
            while True:
                for path in ["/", "/candidates/1", "/sticky", "/limited"]:
                    with contextlib.suppress(OSError):
                        urllib.request.urlopen(f"http://{addresses['public']}{path}", timeout=5).read()
                time.sleep(0.02)

        threading.Thread(target=traffic, daemon=True).start()

        def ask(path, body=None):
            data = None if body is None else json.dumps(body).encode()
            request = urllib.request.Request(f"http://{addresses['admin']}{path}", data, {"Content-Type": "application/json"})
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.load(answer)

        if rig == "full":
            ask("/api/v1/migrations/move/start", {"force": True, "reason": "fuzz"})
            # Classes of differences, so that there is something to accept.
            while not ask("/api/v1/migrations/move/differences")["classes"]:
                time.sleep(0.1)
        print(addresses["admin"], flush=True)
        sys.stdin.read()
        for balancer, _ in balancers:
            balancer.send_signal(signal.SIGTERM)
        return any(balancer.wait(60) != 0 for balancer, _ in balancers)
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
                process.wait()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
