#!/usr/bin/env python3
"""Three replicas on three real members of etcd, each pair in a network namespace of its own and under load, and what may happen
to them: a leader killed, one frozen and resumed, a minority cut off, the quorum lost, the store wiped, 1,000 writes at once.
Prints a table of figures; exit status 1 if a check fails. Needs root, `ip` and etcd, and some three minutes.

    sudo Tests/Cluster/namespaces.py .build/release/balancer
"""

import argparse
import asyncio
import base64
import concurrent.futures
import contextlib
import ctypes
import http.client
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

ADMIN, PUBLIC, CLIENT, PEER = 9901, 8080, 2379, 2380
CORE, GATEWAY = 3300, 3301
ROUTES = 250
CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)

# Traffic: this program again, inside a namespace.


async def upstream(name, port):
    async def serve(reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(name)}\r\n\r\n{name}".encode())
                await writer.drain()
        writer.close()

    return await asyncio.start_server(serve, "127.0.0.1", port)


async def traffic(rate, clients):
    """Clients of the balancer of this namespace. A line on standard input is answered by the counts so far; `down`: from now
    on the balancer is expected to die, and `up`: no longer."""
    counts = {"answered": 0, "failed": 0, "inHand": 0, "slowest": 0.0, "words": ""}
    isDown = False

    async def client():
        reader = writer = None
        while True:
            isSent = False
            began = time.monotonic()
            try:
                if writer is None:
                    reader, writer = await asyncio.open_connection("127.0.0.1", PUBLIC)
                isSent = True
                writer.write(b"GET /r0 HTTP/1.1\r\nHost: test\r\n\r\n")
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 90)
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                await asyncio.wait_for(reader.readexactly(length), 90)
                if head.split(b" ")[1] != b"200":
                    raise ValueError(head.split(b"\r\n")[0].decode())
                counts["answered"] += 1
                counts["slowest"] = max(counts["slowest"], time.monotonic() - began)
            except (OSError, EOFError, ValueError, asyncio.TimeoutError) as error:
                if writer is not None:
                    writer.close()
                writer = None
                if not isDown:
                    counts["failed"] += 1
                    counts["words"] = repr(error)
                elif isSent:
                    counts["inHand"] += 1
            await asyncio.sleep(clients / rate)

    servers = [await upstream("core", CORE), await upstream("gateway", GATEWAY)]
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    tasks = []
    while line := (await lines.readline()).decode().strip():
        if line == "go":
            tasks = [asyncio.create_task(client()) for _ in range(clients)]
        isDown = line == "down" or isDown and line != "up"
        print(json.dumps(counts), flush=True)
        counts["slowest"] = 0.0
    del servers, tasks


# The driver.


class Failed(Exception):
    pass


class Namespace:
    """A namespace with an address on the common bridge, and threads that live in it."""

    def __init__(self, network, index):
        self.network, self.index = network, index
        self.name = f"{network.name}{index}"
        self.address = f"10.93.0.{index + 1}"
        self.port = f"port{index}"
        run("ip", "netns", "add", self.name)
        run("ip", "-n", network.name, "link", "add", self.port, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        run("ip", "-n", network.name, "link", "set", self.port, "master", "bridge0", "up")
        run("ip", "-n", self.name, "link", "set", "lo", "up")
        run("ip", "-n", self.name, "address", "add", f"{self.address}/24", "dev", "eth0")
        run("ip", "-n", self.name, "link", "set", "eth0", "up")
        self.descriptor = os.open(f"/run/netns/{self.name}", os.O_RDONLY)
        self.threads = concurrent.futures.ThreadPoolExecutor(24, initializer=self.enter)
        self.local = threading.local()

    def enter(self):
        if libc.setns(self.descriptor, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")

    def start(self, *words, **options):
        return subprocess.Popen(["ip", "netns", "exec", self.name, *words], **options)

    def cut(self, isCut):
        run("ip", "-n", self.network.name, "link", "set", self.port, "down" if isCut else "up")

    def call(self, port, method, path, body=None, headers=None, patience=15, host="127.0.0.1"):
        """A future of (status, fields, JSON or text)."""
        return self.threads.submit(self.exchange, host, port, method, path, body, headers or {}, patience)

    def exchange(self, host, port, method, path, body, headers, patience):
        if body is not None:
            body = json.dumps(body)
            headers = {"Content-Type": "application/json", **headers}
        # One connection a call: what is frozen or dead in between leaves nothing behind.
        connection = http.client.HTTPConnection(host, port, timeout=patience)
        try:
            connection.request(method, path, body, {"Connection": "close", **headers})
            answer = connection.getresponse()
            text = answer.read().decode()
            with contextlib.suppress(ValueError):
                text = json.loads(text)
            return answer.status, answer.headers, text
        finally:
            connection.close()


class Network:
    def __init__(self):
        self.name = f"blb{os.getpid() % 100_000}-"
        run("ip", "netns", "add", self.name)
        run("ip", "-n", self.name, "link", "add", "bridge0", "type", "bridge")
        run("ip", "-n", self.name, "link", "set", "bridge0", "up")
        self.spaces = [Namespace(self, index) for index in range(3)]

    def close(self):
        for space in self.spaces:
            space.threads.shutdown(wait=False, cancel_futures=True)
            subprocess.run(["ip", "netns", "del", space.name], check=False)
        subprocess.run(["ip", "netns", "del", self.name], check=False)


def run(*words):
    subprocess.run(words, check=True)


class Rig:
    def __init__(self, options, folder, network):
        self.options, self.folder, self.spaces = options, folder, network.spaces
        self.etcd, self.balancers, self.loads = [None] * 3, [None] * 3, []
        self.failures, self.table = [], []
        self.history = 0

    # Programs

    def startStore(self):
        """A new cluster each time: the folders are empty."""
        self.history += 1
        members = ",".join(f"m{space.index}=http://{space.address}:{PEER}" for space in self.spaces)
        for space in self.spaces:
            data = f"{self.folder}/etcd{space.index}"
            shutil.rmtree(data, ignore_errors=True)
            client, peer = f"http://{space.address}:{CLIENT}", f"http://{space.address}:{PEER}"
            self.etcd[space.index] = space.start(
                self.options.etcd, "--name", f"m{space.index}", "--data-dir", data,
                "--listen-client-urls", client, "--advertise-client-urls", client,
                "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                "--initial-cluster", members, "--initial-cluster-token", f"history{self.history}",
                "--log-level", "error", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip

    def killStore(self):
        for process in self.etcd:
            process.kill()
            process.wait()

    def startBalancer(self, index):
        folder = f"{self.folder}/{index}"
        os.makedirs(folder, exist_ok=True)
        with open(f"{folder}/routes.json", "w") as file:
            json.dump(self.configuration(folder), file)
        self.balancers[index] = self.spaces[index].start(
            self.options.balancer, "serve", "--config", f"{folder}/routes.json", "--replica", f"r{index}",
            "--workers", "1", stdout=subprocess.DEVNULL, stderr=open(f"{folder}/log", "a"))  # fmt: skip

    def configuration(self, folder):
        def route(name, path):
            return {"name": name, "match": {"path": path}, "split": {"core": 1, "gateway": 1}}

        return {
            "listeners": [{"name": "public", "address": f"127.0.0.1:{PUBLIC}"}],
            "admin": {"address": f"127.0.0.1:{ADMIN}"},
            "accessLog": {"enabled": False},
            "state": {"path": f"{folder}/state.sqlite"},
            "cluster": {
                "name": "test",
                "etcd": {"endpoints": [f"http://{space.address}:{CLIENT}" for space in self.spaces]},
            },
            "upstreams": {"core": {"endpoints": [f"127.0.0.1:{CORE}"]}, "gateway": {"endpoints": [f"127.0.0.1:{GATEWAY}"]}},
            "routes": [route(f"r{number}", f"/r{number}") for number in range(ROUTES)] + [route("api", "/")],
        }

    def startLoad(self):
        for space in self.spaces:
            load = space.start(
                sys.executable, os.path.abspath(__file__), "--traffic", str(self.options.rate),
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # fmt: skip
            self.loads.append(load)
            self.load(space.index)

    def load(self, index, word="counts"):
        self.loads[index].stdin.write(word + "\n")
        self.loads[index].stdin.flush()
        return json.loads(self.loads[index].stdout.readline())

    def close(self):
        for process in [*self.loads, *self.balancers, *self.etcd]:
            if process is not None and process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
                process.wait()

    # Questions

    def get(self, index, path):
        return self.spaces[index].call(ADMIN, "GET", path).result()[2]

    def cluster(self, index):
        try:
            return self.get(index, "/api/v1/cluster")
        except OSError:
            return {}

    def weights(self, index, route="api"):
        return self.get(index, f"/api/v1/routes/{route}")["weights"]

    def send(self, index, weights, route="api", headers=None, patience=15, **more):
        return self.spaces[index].call(
            ADMIN, "PUT", f"/api/v1/routes/{route}/weights", {"weights": weights, **more}, headers, patience)

    def change(self, index, weights, route="api", **more):
        return self.send(index, weights, route, **more).result()

    def leaders(self, among=(0, 1, 2)):
        return [index for index in among if self.cluster(index).get("leads")]

    def document(self):
        key = base64.b64encode(b"/balancer/test/live").decode()
        for space in self.spaces:
            with contextlib.suppress(OSError):
                _, _, body = space.call(CLIENT, "POST", "/v3/kv/range", {"key": key}, host=space.address).result()
                return json.loads(base64.b64decode(body["kvs"][0]["value"])) if body.get("kvs") else None
        raise Failed("no member of etcd answers")

    # Checks and figures

    def check(self, holds, words):
        if not holds:
            self.failures.append(words)
            print(f"FAILED: {words}", flush=True)

    def figure(self, what, value, limit=None, unit="ms"):
        holds = limit is None or value <= limit
        digits = 1 if unit == "s" else 0
        shown = f"{value:,.{digits}f} {unit}" if isinstance(value, float) else f"{value} {unit}".strip()
        bound = "" if limit is None else f"≤ {limit:,} {unit}".strip()
        self.table.append((what, shown, bound, "" if limit is None else "yes" if holds else "NO"))
        print(f"{what}: {shown} {bound}", flush=True)
        self.check(holds, f"{what}: {shown}, wanted {bound}")

    def until(self, words, condition, patience=60):
        """Milliseconds until `condition` holds."""
        began = time.monotonic()
        while True:
            with contextlib.suppress(OSError, KeyError):
                if condition():
                    return (time.monotonic() - began) * 1000
            if time.monotonic() - began > patience:
                self.check(False, f"not within {patience} s: {words}")
                return patience * 1000.0
            time.sleep(0.05)

    def agree(self, words, weights, route, among=(0, 1, 2)):
        return self.until(words, lambda: all(self.weights(index, route) == weights for index in among))

    # What happens

    def begin(self):
        self.startStore()
        for index in range(3):
            self.startBalancer(index)
        self.until(
            "three replicas see each other",
            lambda: all(sum(r["present"] for r in self.cluster(i)["replicas"]) == 3 for i in range(3)))  # fmt: skip
        self.until("one leads", lambda: len(self.leaders()) == 1)
        for index in range(3):
            self.load(index, "go")

    def converge(self):
        times = []
        for number in range(self.options.changes):
            weights = {"core": number + 2, "gateway": 1}
            began = time.monotonic()
            status, _, body = self.change(number % 3, weights)
            times.append((time.monotonic() - began) * 1000)
            self.check(status == 200 and body["replicas"] == {"applied": 3, "of": 3}, f"change {number}: {status} {body}")
            if number % 10 == 0:
                # The answer is not taken at its word.
                for index in range(3):
                    self.check(self.weights(index) == weights, f"change {number} is not in force on r{index}")
        times.sort()
        self.figure("a change in force on 3 of 3, p50", times[len(times) // 2])
        self.figure("a change in force on 3 of 3, p99", times[int(len(times) * 0.99)], self.options.converge)
        self.figure("a change in force on 3 of 3, slowest", times[-1])

    def storm(self):
        numbers = queue.SimpleQueue()
        for number in range(self.options.writes):
            numbers.put(number)
        bad = []

        def write(index):
            with contextlib.suppress(queue.Empty):
                while True:
                    number = numbers.get_nowait()
                    side = "core" if number // ROUTES % 2 == 0 else "gateway"
                    status, _, body = self.spaces[index].exchange(
                        "127.0.0.1", ADMIN, "PUT", f"/api/v1/routes/r{number % ROUTES}/weights",
                        {"weights": {side: 1000 + number}}, {}, 60)  # fmt: skip
                    if status != 200:
                        bad.append((number, status, body))

        began = time.monotonic()
        before = [self.rows(index) for index in range(3)]
        for writer in [space.threads.submit(write, space.index) for space in self.spaces for _ in range(8)]:
            writer.result()
        took = time.monotonic() - began
        self.check(not bad, f"{len(bad)} writes were refused: {bad[:3]}")
        routes = self.document()["routes"]
        lost = 0
        for number in range(self.options.writes):
            side = "core" if number // ROUTES % 2 == 0 else "gateway"
            of_side = [1000 + n for n in range(number % ROUTES, self.options.writes, ROUTES)
                       if (n // ROUTES % 2 == 0) == (side == "core")]  # fmt: skip
            lost += routes.get(f"r{number % ROUTES}", {}).get("weights", {}).get(side) not in of_side
        self.figure(f"{self.options.writes} writes by 24 writers at 3 replicas", took, unit="s")
        self.figure("… without effect in the store's document", lost, 0, unit="")
        for index in range(3):
            self.until(f"every write is in the journal of r{index}",
                       lambda: self.rows(index) - before[index] == self.options.writes, 20)  # fmt: skip
            differing = [r for r, split in routes.items() if r != "api" and self.weights(index, r) != split["weights"]]
            self.check(not differing, f"r{index} has other weights than the store for {differing[:3]}")
        missing = [self.options.writes - self.rows(index) + before[index] for index in range(3)]
        self.figure("… missing from a journal, at most", max(missing), 0, unit="")

    def rows(self, index):
        """Changes of weights in the journal of a replica."""
        count, before = 0, ""
        while True:
            page = self.get(index, f"/api/v1/journal?limit=1000{before}")
            count += sum(entry["what"] == "weights" for entry in page["entries"])
            if page.get("before") is None:
                return count
            before = f"&before={page['before']}"

    def kill(self):
        first = self.leaders()[0]
        rest = [index for index in range(3) if index != first]
        term = self.document()["term"]
        self.load(first, "down")
        self.balancers[first].kill()
        self.balancers[first].wait()
        took = self.until("another leads after the leader was killed", lambda: len(self.leaders(rest)) == 1)
        self.figure("leader killed: another leads", took / 1000, 15, unit="s")
        self.check(self.document()["term"] > term, "the term did not rise")
        status, _, body = self.change(rest[0], {"core": 11, "gateway": 1})
        self.check(status == 200 and body["replicas"]["applied"] == 2, f"a change without the killed one: {status} {body}")
        self.startBalancer(first)
        took = self.agree("the restarted replica has what it missed", {"core": 11, "gateway": 1}, "api", [first])
        self.figure("killed replica: back with what it missed", took / 1000, unit="s")
        self.load(first, "up")
        self.until("all are present", lambda: sum(r["present"] for r in self.cluster(first)["replicas"]) == 3)

    def freeze(self):
        first = self.leaders()[0]
        rest = [index for index in range(3) if index != first]
        space = self.spaces[first]
        tag = space.call(ADMIN, "GET", "/api/v1/routes").result()[1]["ETag"]
        term = self.document()["term"]
        self.balancers[first].send_signal(signal.SIGSTOP)
        self.until("the leader is frozen, all of it", lambda: self.isStopped(self.balancers[first].pid))
        began = time.monotonic()
        # They wait in its socket: the first that it does when it runs again.
        leads = space.call(ADMIN, "GET", "/api/v1/cluster", patience=90)
        write = self.send(first, {"core": 666}, "r1", {"If-Match": tag}, 90)
        plain = self.send(first, {"core": 777}, "r2", patience=90)
        took = self.until("another leads while the leader is frozen", lambda: len(self.leaders(rest)) == 1)
        self.figure("leader frozen: another leads", took / 1000, 15, unit="s")
        agreed = {"core": 12, "gateway": 1}
        self.until("a change is in force on the two others",
                   lambda: self.change(rest[0], agreed)[2]["replicas"] == {"applied": 2, "of": 2})  # fmt: skip
        self.change(rest[1], {"core": 13, "gateway": 1}, "r1")
        time.sleep(max(0, self.options.freeze - (time.monotonic() - began)))
        self.balancers[first].send_signal(signal.SIGCONT)
        status, _, body = leads.result()
        self.check(status == 200 and not body["leads"], f"the first word of the resumed leader: {status} {body.get('leads')}")
        status, _, body = write.result()
        self.figure("resumed leader: its write under the old tag is answered", status, unit="")
        self.check(status in (412, 503), f"the write of a resumed leader: {status} {body}")
        status, _, body = plain.result()
        self.check(status in (200, 503), f"a write without a tag at a resumed leader: {status} {body}")
        took = self.agree("the resumed one has what it missed", agreed, "api", [first])
        self.figure("resumed leader: has what it missed after", took)
        self.agree("the others' write stands", {"core": 13, "gateway": 1}, "r1")
        self.check(first not in self.leaders() and len(self.leaders()) == 1, f"leaders: {self.leaders()}")
        self.check(self.document()["term"] > term, "the term did not rise")

    @staticmethod
    def isStopped(pid):
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/stat") as file:
                if file.read().rsplit(")", 1)[1].split()[0] != "T":
                    return False
        return True

    def minority(self):
        first = self.leaders()[0]
        rest = [index for index in range(3) if index != first]
        _, _, body = self.change(rest[0], {"core": 21, "gateway": 1}, "r3")
        self.agree("a weight before the cut", {"core": 21, "gateway": 1}, "r3")
        self.spaces[first].cut(True)
        took = self.until("the cut-off one notices", lambda: not self.cluster(first)["reachable"])
        self.figure("minority cut off (with the leader): it says so", took / 1000, 15, unit="s")
        self.until("the majority has a leader and no more of the third", lambda: len(self.leaders(rest)) == 1
                   and self.change(rest[1], {"core": 22, "gateway": 1})[2]["replicas"] == {"applied": 2, "of": 2})  # fmt: skip
        self.check(self.leaders([first]) == [], "a replica that is cut off leads")
        status, _, body = self.change(first, {"core": 99}, force=True, reason="test")
        self.check(status == 503 and "cluster-unreachable" in json.dumps(body), f"a change while cut off: {status} {body}")
        self.check(self.weights(first) != {"core": 22, "gateway": 1}, "the one that is cut off has the others' change")
        status, _, body = self.change(first, {"core": 1, "gateway": 1}, "r3", local=True, reason="test")
        self.check(status == 200, f"a retreat alone: {status} {body}")
        self.check(self.weights(rest[0], "r3") == {"core": 21, "gateway": 1}, "a retreat alone reached the others")
        self.spaces[first].cut(False)
        took = self.agree("the one that was cut off has the others' change", {"core": 22, "gateway": 1}, "api")
        self.figure("minority back: all agree", took / 1000, unit="s")
        self.agree("its own retreat is in force everywhere", {"core": 1, "gateway": 1}, "r3")

    def quorum(self):
        present = self.weights(0)
        for index in (0, 1):
            self.spaces[index].cut(True)
        took = self.until("all notice", lambda: not any(self.cluster(index)["reachable"] for index in range(3)))
        self.figure("quorum lost: all three say so", took / 1000, 15, unit="s")
        for index in range(3):
            status, _, body = self.change(index, {"core": 98}, force=True, reason="test")
            self.check(status == 503 and "cluster-unreachable" in json.dumps(body), f"without quorum: {status} {body}")
            self.check(self.weights(index) == present, f"the table of r{index} moved without quorum")
            self.check(self.spaces[index].call(ADMIN, "GET", "/readyz").result()[0] == 200, f"r{index} is not ready")
        for index in (0, 1):
            self.spaces[index].cut(False)
        took = self.until("all reach the store", lambda: all(self.cluster(index)["reachable"] for index in range(3)))
        self.figure("quorum back: all reach the store", took / 1000, unit="s")
        self.settle({"core": 31, "gateway": 1})

    def settle(self, weights):
        self.until("a change on 3 of 3", lambda: self.change(0, weights)[2].get("replicas") == {"applied": 3, "of": 3})
        self.until("one leads", lambda: len(self.leaders()) == 1)

    def wipe(self):
        before = self.document()
        self.killStore()
        self.startStore()
        took = self.until("the document is back",
                          lambda: (self.document() or {}).get("routes") == before["routes"])  # fmt: skip
        self.figure("store wiped: the document is back, whole, after", took / 1000, unit="s")
        self.until("all reach the store", lambda: all(self.cluster(index)["reachable"] for index in range(3)))
        self.check(self.document()["sequence"] >= before["sequence"], "numbers of changes went back")
        for index in range(3):
            self.check(self.weights(index) == {"core": 31, "gateway": 1}, f"r{index} lost its weights")
        self.settle({"core": 41, "gateway": 1})

    def sum(self):
        counts = [self.load(index) for index in range(3)]
        self.figure("requests answered", sum(count["answered"] for count in counts), unit="")
        self.figure("requests lost", sum(count["failed"] for count in counts), 0, unit="")
        for count in filter(lambda count: count["failed"], counts):
            print(count["words"])
        self.figure("in hand of the killed process", sum(count["inHand"] for count in counts), unit="")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("balancer", nargs="?")
    parser.add_argument("--etcd", default=shutil.which("etcd") or ".tools/etcd/etcd")
    parser.add_argument("--changes", type=int, default=300, help="changes whose time is taken (%(default)s)")
    parser.add_argument("--writes", type=int, default=1000, help="concurrent writes (%(default)s)")
    parser.add_argument("--freeze", type=float, default=30, help="seconds that a leader is frozen (%(default)s)")
    parser.add_argument("--rate", type=float, default=100, help="requests a second at each replica (%(default)s)")
    parser.add_argument("--converge", type=int, default=300, help="milliseconds, the 99th of 100 (%(default)s)")
    parser.add_argument("--traffic", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.traffic:
        return asyncio.run(traffic(options.traffic, 8))
    if options.balancer is None or os.geteuid() != 0:
        parser.error("needs the path of the balancer" if options.balancer is None else "needs root: it makes namespaces")
    options.balancer, options.etcd = os.path.abspath(options.balancer), os.path.abspath(options.etcd)
    folder = tempfile.mkdtemp(prefix="balancer-namespaces-")
    network = Network()
    rig = Rig(options, folder, network)
    try:
        rig.startLoad()
        for step in (rig.begin, rig.converge, rig.storm, rig.kill, rig.freeze, rig.minority, rig.quorum, rig.wipe, rig.sum):
            step()
    finally:
        rig.close()
        network.close()
        if rig.failures:
            print(f"logs: {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    width = max(len(row[0]) for row in rig.table)
    print("\n" + "\n".join(f"{a:<{width}}  {b:>12}  {c:<12} {d}".rstrip() for a, b, c, d in rig.table))
    for words in rig.failures:
        print(f"FAILED: {words}")
    return 1 if rig.failures else 0


if __name__ == "__main__":
    sys.exit(main())
