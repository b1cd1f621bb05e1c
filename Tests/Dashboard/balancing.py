"""A real balancer in front of upstreams that a test moves, and requests that keep coming."""

import hashlib
import http.client
import json
import os
import socket
import subprocess
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

OPERATOR = "operators-token"
VIEWER = "viewers-token"


def eventually(condition, seconds=30, what="it"):
    """What `condition` answers as soon as that is true."""
    end = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"{what} has not come to pass within {seconds} s")
        time.sleep(0.05)


class Upstream:
    """Answers everything with 200, and probes with 503 while it is ill; may take its time, and have its own word."""

    def __init__(self, delay=0.0, word=b"well"):
        self.ill = False
        self.delay = delay
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                time.sleep(upstream.delay)
                # Its probes alone tell: what it answers to clients is good to the end.
                is_ill = upstream.ill and self.path == "/health"
                body = b"ill" if is_ill else word
                self.send_response(503 if is_ill else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256

        self.server = Server(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def configuration(upstreams, routes, tokens=False, admin=None, guard=None):
    """`upstreams`: name to addresses."""
    probe = {"path": "/health", "interval": "1s", "timeout": "1s", "rise": 1, "fall": 2}
    spec = {
        "listeners": [{"name": "public", "address": "127.0.0.1:0"}],
        "admin": {"address": f"127.0.0.1:{admin or 0}"},
        "accessLog": {"enabled": False},
        "upstreams": {name: {"endpoints": addresses, "health": probe} for name, addresses in upstreams.items()},
        "routes": routes,
    }
    if guard:
        spec["guard"] = guard
    if tokens:
        spec["admin"]["tokens"] = [
            {"name": name, "role": role, "sha256": hashlib.sha256(token.encode()).hexdigest()}
            for name, role, token in (("alice", "operator", OPERATOR), ("victor", "viewer", VIEWER))
        ]
    return spec


class Balancer:
    def __init__(self, spec):
        self.folder = tempfile.TemporaryDirectory()
        if "migrations" in spec or "cluster" in spec:
            spec = {**spec, "state": {"path": os.path.join(self.folder.name, "state", "state.sqlite")}}
        self.file = os.path.join(self.folder.name, "routes.json")
        with open(self.file, "w", encoding="utf-8") as file:
            json.dump(spec, file)
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [os.environ["BALANCER"], "serve", "--config", self.file, "--workers", "1"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.port = self.admin = None
        for line in self.process.stdout:
            words = line.split()
            if words[:2] == ["listening", "public"]:
                self.port = int(words[2].rsplit(":", 1)[1])
            if words[:1] == ["admin"]:
                self.admin = int(words[1].rsplit(":", 1)[1])
            if words == ["ready"]:
                break
        assert self.port and self.admin, "the balancer has not started"
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.admin}/"

    def stop(self):
        self.process.kill()
        self.process.wait()

    def ask(self, path, method="GET", body=None, token=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=20)
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        response = connection.getresponse()
        text = response.read()
        connection.close()
        return response.status, json.loads(text) if text.startswith(b"{") else text

    def weights(self, route="api", token=None):
        return self.ask(f"/api/v1/routes/{route}", token=token)[1]["weights"]


class Load:
    """Keep-alive clients, a few requests a second each."""

    def __init__(self, balancer, clients=4, pause=0.02, path="/"):
        self.balancer, self.pause, self.path = balancer, pause, path
        self.stopping = False
        self.threads = [threading.Thread(target=self.run, daemon=True) for _ in range(clients)]
        for thread in self.threads:
            thread.start()

    def run(self):
        connection = None
        while not self.stopping:
            try:
                connection = connection or http.client.HTTPConnection("127.0.0.1", self.balancer.port, timeout=10)
                connection.request("GET", self.path)
                connection.getresponse().read()
            except OSError:
                connection = None
            except http.client.HTTPException:
                connection = None
            time.sleep(self.pause)

    def stop(self):
        self.stopping = True
        for thread in self.threads:
            thread.join(15)
