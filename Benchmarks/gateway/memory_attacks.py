#!/usr/bin/env python3
"""Attacks a gateway's memory inside a cgroup, and judges what others notice of it.

    memory_attacks.py [--binary PATH] [--limits 256,512] [--seconds 120] [--database FILE]

For each limit (MiB) a gateway is started in a cgroup of its own (v1 or v2, by root) and attacked in five ways at once:

  queries    readers of long lists, each time under another query
  stopped    readers that ask for a long list of their own and stop reading
  heads      heads of fields of 70 KB that never end
  bodies     JSON bodies of almost 1 MB that never end
  parameters answers about one validator after the other, each time under another query

Meanwhile `/healthcheck` and a kept answer are asked for by processes of their own, which measure the gateway and not the
attackers. Judged: nothing is killed, and the 99th percentile of both is 50 ms or less. Status 1 when that fails.
"""
import argparse
import asyncio
import atexit
import itertools
import json
import multiprocessing
import os
import pathlib
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

def controller():
    """Where the memory controller is, and whether it is of version 1. Mounted for this program where nothing shows it."""
    for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
        _, place, kind, options, *_ = line.split()
        place = pathlib.Path(place)
        if kind == "cgroup" and "memory" in options.split(",") and (place / "memory.limit_in_bytes").exists():
            return place, True
        given = place / "cgroup.subtree_control"
        if kind == "cgroup2" and given.exists() and "memory" in given.read_text().split():
            return place, False
    place = tempfile.mkdtemp(prefix="cgroup-")
    subprocess.run(["mount", "-t", "cgroup", "-o", "memory", "none", place], check=True)
    atexit.register(os.rmdir, place)
    # The last that is registered is done first.
    atexit.register(subprocess.run, ["umount", place], check=False)
    return pathlib.Path(place), True


class Group:
    """A cgroup with a limit; version 1 where it has the memory controller, else version 2."""

    def __init__(self, mib):
        place, self.is_first = controller()
        self.path = place / f"gateway-attack-{os.getpid()}-{mib}"
        self.path.mkdir()
        (self.path / ("memory.limit_in_bytes" if self.is_first else "memory.max")).write_text(str(mib << 20))
        if not self.is_first:
            (self.path / "memory.swap.max").write_text("0")

    def add(self, pid):
        (self.path / "cgroup.procs").write_text(str(pid))

    @property
    def kills(self):
        lines = (self.path / ("memory.oom_control" if self.is_first else "memory.events")).read_text().split("\n")
        return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)

    @property
    def stat(self):
        values = dict(line.split() for line in (self.path / "memory.stat").read_text().strip().split("\n"))
        return {name: int(values[name]) >> 20 for name in ("rss", "cache", "anon", "file", "sock") if name in values}

    def remove(self):
        for _ in range(50):
            try:
                return self.path.rmdir()
            except OSError:
                time.sleep(0.1)


async def read_response(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head[9:12])
    length = next((int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length:")), 0)
    while length > 0:
        length -= len(await reader.readexactly(min(length, 1 << 16)))
    return status


def request(path, more=""):
    return f"GET {path} HTTP/1.1\r\nHost: h\r\n{more}\r\n".encode()


async def until(stop, attack, statuses):
    # A cancelled wait whose end has come at the same moment goes on: the flag ends it then.
    while not stop.is_set():
        try:
            await attack(statuses)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            statuses["closed"] = statuses.get("closed", 0) + 1
            await asyncio.sleep(0.2)


def attacks(port, addresses):
    numbers = itertools.count()
    open_connection = lambda **more: asyncio.open_connection("127.0.0.1", port, **more)

    async def asking(path, statuses):
        reader, writer = await open_connection()
        try:
            for _ in range(20):
                writer.write(request(path()))
                status = await read_response(reader)
                statuses[status] = statuses.get(status, 0) + 1
                if status == 503:
                    await asyncio.sleep(0.5)
        finally:
            writer.close()

    async def queries(statuses):
        await asking(lambda: f"/candidates/rank?{next(numbers)}", statuses)

    async def parameters(statuses):
        paths = ["nominatorstake/{}/last/0", "erapoints/{}", "rewards/validator/{}", "location/validator/{}"]

        def path():
            number = next(numbers)
            return "/" + paths[number % 4].format(addresses[number % len(addresses)]) + f"?{number}"

        await asking(path, statuses)

    async def holding(data, statuses, reads=True):
        reader, writer = await open_connection(limit=1024)
        try:
            for piece in data:
                writer.write(piece)
                await asyncio.wait_for(writer.drain(), 30)
            # Until the gateway ends it, at most for a while.
            if reads:
                head = await asyncio.wait_for(reader.read(64), 60)
                status = head[9:12].decode() or "closed"
                statuses[status] = statuses.get(status, 0) + 1
            else:
                await asyncio.sleep(60)
        except asyncio.TimeoutError:
            pass
        finally:
            writer.transport.abort()

    async def stopped(statuses):
        # The reader's limit of 1 KB pauses it almost at once.
        path = ["/totalerapoints", "/candidates", "/candidates/valid", "/validators"][next(numbers) % 4]
        await holding([request(f"{path}?{next(numbers)}")], statuses, reads=False)

    async def heads(statuses):
        field = b"X: " + b"x" * 70_000 + b"\r\n"
        await holding([b"GET / HTTP/1.1\r\n", *([field] * 40)], statuses)

    async def bodies(statuses):
        head = b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n"
        await holding([head, b"[" + b"0," * 499_000], statuses)

    return {queries: 16, stopped: 100, heads: 60, bodies: 60, parameters: 16}


def measure(port, path, seconds, out):
    """Asks again and again; hands back how long each answer took, and what was no answer. Runs as a process of its own."""
    times, errors = [], []
    end = time.monotonic() + seconds
    connection = None
    while time.monotonic() < end:
        start = time.monotonic()
        try:
            if connection is None:
                connection = socket.create_connection(("127.0.0.1", port), timeout=10)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                reader = connection.makefile("rb")
            connection.sendall(request(path))
            status, length = int(reader.readline()[9:12]), 0
            while (line := reader.readline()) != b"\r\n":
                if not line:
                    raise ConnectionError("closed")
                if line.startswith(b"Content-Length:"):
                    length = int(line[15:])
            if len(reader.read(length)) < length:
                raise ConnectionError("closed")
            times.append(time.monotonic() - start)
            if status != 200:
                errors.append(status)
        except (OSError, ValueError) as error:
            errors.append(type(error).__name__)
            connection = None
        time.sleep(0.02)
    out.send((times, errors))


async def measured(port, path, seconds):
    # Not forked: it would hold the attackers' connections open.
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=measure, args=(port, path, seconds, sender), daemon=True)
    process.start()
    try:
        return await asyncio.to_thread(receiver.recv)
    finally:
        process.join(5)


def percentile(times, share):
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000 if ordered else float("inf")


async def attack(port, seconds, addresses, group, names):
    statuses = {}
    tasks = []
    stop = asyncio.Event()
    for kind, count in attacks(port, addresses).items():
        if names and kind.__name__ not in names:
            continue
        counts = statuses.setdefault(kind.__name__, {})
        tasks += [asyncio.create_task(until(stop, kind, counts)) for _ in range(count)]
    most = {}

    async def watch():
        while not stop.is_set():
            for name, value in group.stat.items():
                most[name] = max(most.get(name, 0), value)
            await asyncio.sleep(0.5)

    tasks.append(asyncio.create_task(watch()))
    (health, missed), (kept, failed) = await asyncio.gather(
        measured(port, "/healthcheck", seconds), measured(port, "/blockindex", seconds))
    stop.set()
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks, timeout=70)
    return {
        "health p99 ms": round(percentile(health, 0.99), 1), "kept p99 ms": round(percentile(kept, 0.99), 1),
        "most ms": round(percentile(health + kept, 1), 1),
        "health median ms": round(statistics.median(health) * 1000, 2) if health else None, "asked": len(health + kept),
        "errors": len(missed + failed), "most MiB": most, "statuses": statuses,
    }


async def judge(arguments, mib, database, config):
    group = Group(mib)
    process = None
    try:
        # The shell joins the group before it becomes the gateway.
        process = subprocess.Popen(
            ["/bin/sh", "-c", 'echo $$ > "$0/cgroup.procs"; exec "$@"', str(group.path), arguments.binary, "serve",
             "--config", config, "--port", "0"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        line = process.stdout.readline()
        port = int(line.split("http://")[1].split(":")[1])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request("/validators", "Connection: close\r\n"))
        answer = await reader.read(-1)
        writer.close()
        addresses = [validator["address"] for validator in json.loads(answer.partition(b"\r\n\r\n")[2])]
        result = await attack(port, arguments.seconds, addresses, group, arguments.attacks)
        result["kills"] = group.kills
        result["alive"] = process.poll() is None
        if result["alive"]:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request("/metrics", "Connection: close\r\n"))
            text = (await reader.read(-1)).decode()
            result["metrics"] = {
                line.split()[0]: int(line.split()[1]) for line in text.split("\n")
                if line.startswith(("gateway_memory", "gateway_connections", "gateway_refused"))}
        return result
    finally:
        if process and process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.wait()
        group.remove()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--binary", default=".build/release/gateway")
    parser.add_argument("--limits", default="256,512")
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--database", help="a SQLite file; made with --realistic when not given")
    parser.add_argument("--attacks", type=lambda text: text.split(","), help="only these")
    arguments = parser.parse_args()
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        database = arguments.database or f"{folder}/realistic.sqlite"
        if not arguments.database:
            subprocess.run(
                [arguments.binary, "sample", "--realistic", "--to", database], check=True, stdout=subprocess.DEVNULL)
        config = f"{folder}/main.json"
        pathlib.Path(config).write_text(json.dumps(
            {"server": {"port": 1, "host": "127.0.0.1"}, "db": {"uri": f"sqlite:{database}"}}))
        for mib in map(int, arguments.limits.split(",")):
            result = asyncio.run(judge(arguments, mib, database, config))
            good = result["alive"] and result["kills"] == 0 and max(
                result["health p99 ms"], result["kept p99 ms"]) <= 50
            failed = failed or not good
            print(f"{mib} MiB: {'good' if good else 'BAD'} {json.dumps(result)}", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
