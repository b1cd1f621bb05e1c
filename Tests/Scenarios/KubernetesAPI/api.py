#!/usr/bin/env python3
"""A stand-in for a Kubernetes API server: ConfigMaps and Leases of one namespace, as far as replicas use them.

Prints `listening PORT`. Versions are numbers that grow over all objects; writes compare them (409), watches go on from one
(410 once it is forgotten), send bookmarks, and end after a while. POST /control/… changes how it behaves:
  cut      ends every watch now
  forget   forgets history: watches from before now are answered 410
  slow N   answers each call N milliseconds later; silent 1: watches bring nothing until silent 0
  down 1   answers 503 to all, until down 0
Whoever has no `Authorization: Bearer secret` is answered 401, and other kinds of objects 403, as by a Role.
"""
import json, re, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

PATHS = re.compile(r"^/(?:api/v1|apis/coordination\.k8s\.io/v1)/namespaces/prod/(configmaps|leases)(?:/([^/]+))?$")
KINDS = {"configmaps": "ConfigMap", "leases": "Lease"}


class State:
    def __init__(self):
        self.changed = threading.Condition()
        self.version = 100
        self.forgotten = 0
        self.objects = {}  # (kind, name) -> object
        self.events = []  # (version, kind, type, object)
        self.epoch = 0
        self.slow = 0
        self.silent = False
        self.down = False
        self.calls = {}

    def put(self, kind, type_, value):
        self.version += 1
        value["metadata"]["resourceVersion"] = str(self.version)
        name = value["metadata"]["name"]
        if type_ == "DELETED":
            self.objects.pop((kind, name), None)
        else:
            self.objects[(kind, name)] = value
        self.events.append((self.version, kind, type_, json.loads(json.dumps(value))))
        self.changed.notify_all()


state = State()


def matches(value, query):
    for pair in filter(None, query.get("labelSelector", [""])[0].split(",")):
        key, wanted = pair.split("=", 1)
        if value["metadata"].get("labels", {}).get(key) != wanted:
            return False
    field = query.get("fieldSelector", [""])[0]
    return not field or value["metadata"]["name"] == field.split("=", 1)[1]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def refuse(self, status, reason):
        self.answer(status, {"kind": "Status", "status": "Failure", "code": status, "reason": reason, "message": reason})

    def body(self):
        return json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")

    def control(self, words):
        with state.changed:
            if words[0] == "cut":
                state.epoch += 1
            elif words[0] == "forget":
                state.forgotten = state.version
                state.events = []
                state.epoch += 1
            elif words[0] == "slow":
                state.slow = int(words[1])
            elif words[0] == "silent":
                state.silent = words[1] == "1"
            elif words[0] == "down":
                state.down = words[1] == "1"
                state.epoch += 1
            elif words[0] == "wipe":
                for (kind, _), value in list(state.objects.items()):
                    if kind == "configmaps":
                        state.put(kind, "DELETED", value)
            state.changed.notify_all()
        self.answer(200, {"calls": state.calls})

    def handle_call(self):
        url = urlsplit(self.path)
        if url.path.startswith("/control/"):
            return self.control(url.path.split("/")[2:])
        query = parse_qs(unquote(url.query))
        body = self.body() if self.command in ("POST", "PUT") else None
        time.sleep(state.slow / 1000)
        if state.down:
            return self.refuse(503, "etcdserver: no leader")
        if self.headers.get("Authorization") != "Bearer secret":
            return self.refuse(401, "Unauthorized")
        found = PATHS.match(url.path)
        if not found:
            return self.refuse(403, f"cannot {self.command} {url.path}")
        kind, name = found.groups()
        call = f"{self.command} {kind}"
        state.calls[call] = state.calls.get(call, 0) + 1
        if self.command == "GET" and name is None:
            return self.watch(kind, query) if "watch" in query else self.list(kind, query)
        with state.changed:
            present = state.objects.get((kind, name or body["metadata"]["name"]))
            if self.command == "GET":
                return self.answer(200, present) if present else self.refuse(404, "not found")
            if self.command == "POST":
                if present:
                    return self.refuse(409, "already exists")
                body["metadata"]["namespace"] = "prod"
                state.put(kind, "ADDED", body)
                return self.answer(201, body)
            if not present:
                return self.refuse(404, "not found")
            if self.command == "DELETE":
                state.put(kind, "DELETED", present)
                return self.answer(200, present)
            # Leases take no write that compares nothing.
            if body["metadata"].get("resourceVersion") != present["metadata"]["resourceVersion"]:
                return self.refuse(409, "the object has been modified")
            if body.get("kind") != KINDS[kind]:
                return self.refuse(400, "another kind")
            for time_ in [(body.get("spec") or {}).get("renewTime")]:
                if time_ and not re.match(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$", time_):
                    return self.refuse(400, "renewTime is no MicroTime")
            state.put(kind, "MODIFIED", body)
            return self.answer(200, body)

    def list(self, kind, query):
        with state.changed:
            items = [v for (k, _), v in sorted(state.objects.items()) if k == kind and matches(v, query)]
            self.answer(200, {"kind": KINDS[kind] + "List", "metadata": {"resourceVersion": str(state.version)}, "items": items})

    def watch(self, kind, query):
        position = int(query["resourceVersion"][0])
        with state.changed:
            epoch = state.epoch
            if position < state.forgotten:
                return self.refuse(410, "too old resource version")
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        end = time.monotonic() + 20
        bookmark = time.monotonic() + 2
        while time.monotonic() < end:
            lines = []
            with state.changed:
                if state.epoch != epoch:
                    if position < state.forgotten:
                        lines.append({"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old"}})
                        self.send(lines)
                    return
                for version, k, type_, value in state.events:
                    if version > position and k == kind and not state.silent:
                        if matches(value, query):
                            lines.append({"type": type_, "object": value})
                        position = version
                if time.monotonic() > bookmark and not state.silent:
                    bookmark = time.monotonic() + 2
                    lines.append({"type": "BOOKMARK", "object": {"kind": KINDS[kind], "metadata": {"resourceVersion": str(max(position, state.version if not lines else position))}}})
                if not lines:
                    state.changed.wait(0.2)
                    continue
            self.send(lines)

    def send(self, lines):
        try:
            # In two pieces: events do not come whole.
            text = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
            self.wfile.write(text[: len(text) // 2])
            self.wfile.flush()
            self.wfile.write(text[len(text) // 2 :])
            self.wfile.flush()
        except OSError:
            sys.exit()

    do_GET = do_POST = do_PUT = do_DELETE = handle_call


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


server = Server(("127.0.0.1", 0), Handler)
print(f"listening {server.server_port}", flush=True)
server.serve_forever()
