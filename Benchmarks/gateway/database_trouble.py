#!/usr/bin/env python3
"""Mixed load on a gateway whose database is well, slow, dead, back and damaged in turns, inside a cgroup.

    database_trouble.py [--binary PATH] [--limit 512] [--seconds 80]

The database is the tests' MongoDB wire server with the sample data. Judged (status 1 when one of them fails):

  - nothing is killed, and the process is the one that was started;
  - every 200 has the bytes that were given before the trouble, compressed or not;
  - every 5xx is one that the gateway counted as the database's failure or as refused, and none comes while the database is well;
  - health checks are 200 all the time.

Needs root, for the cgroup (v1 or v2).
"""
import argparse
import asyncio
import gzip
import json
import pathlib
import random
import re
import signal
import subprocess
import sys
import tempfile
import time

import bench_gateway
from memory_attacks import Group

CLIENTS = 24
# The tests' server is a Python program: what takes a real one milliseconds takes it seconds.
DEADLINE = 8.0
PATHS = [
    "/blockindex", "/release", "/erastats", "/locationstats", "/scoremetadata", "/nominators", "/validators",
    "/validators/current", "/proxytxs", "/lastnomination", "/nominations", "/rewards/validators/total",
]
PHASES = ["well", "slow", "well again", "dead", "back", "damaged", "well at last"]


class Database:
    """The wire server on a port of its own, again and again."""

    def __init__(self, data):
        self.data = data
        self.port = 0
        self.context = None

    def start(self):
        self.context = bench_gateway.wire_server(self.data, self.port)
        uri = self.context.__enter__()
        self.port = int(re.search(r":(\d+)/", uri)[1])
        return uri

    def stop(self):
        self.context.__exit__(None, None, None)
        self.context = None

    async def tell(self, name, value):
        """Tells the tests' server to misbehave from now on."""
        members = bench_gateway.bson_number(name, value) + bench_gateway.bson_text("$db", "admin")
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(bench_gateway.message(members))
        await writer.drain()
        await reader.read(1024)
        writer.close()


async def get(port, path, more="", timeout=60):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{more}\r\n".encode())
        answer = await asyncio.wait_for(reader.read(-1), timeout)
    finally:
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    if b"Content-Encoding: gzip" in head:
        body = gzip.decompress(body)
    return int(head[9:12]), body


async def counted(port):
    text = (await get(port, "/metrics"))[1].decode()
    return sum(
        int(line.split()[1]) for line in text.split("\n")
        if line.startswith(("gateway_database_errors_total{", "gateway_refused_total ")))


async def load(port, right, phase, seen, wrong, stop):
    chance = random.Random(phase)
    while not stop.is_set():
        path = chance.choice(PATHS)
        target = path + (f"?{chance.randrange(4)}" if chance.random() < 0.5 else "")
        try:
            status, body = await get(port, target, "Accept-Encoding: gzip\r\n" if chance.random() < 0.5 else "")
        except (OSError, ValueError, asyncio.TimeoutError) as error:
            wrong.append(f"{phase}: {target}: {type(error).__name__}")
            continue
        seen[status] = seen.get(status, 0) + 1
        if status == 200 and body != right[path]:
            wrong.append(f"{phase}: {target}: other bytes")
        await asyncio.sleep(0.01)


async def health(port, wrong, stop):
    while not stop.is_set():
        status, body = await get(port, "/healthcheck", timeout=5)
        if (status, body) != (200, b"Good!"):
            wrong.append(f"healthcheck: {status}")
        await asyncio.sleep(0.1)


async def trouble(phase, database, stop):
    """Begins what a phase is named after; the damaged one goes on with it."""
    if phase == "slow":
        await database.tell("testDelay", int(DEADLINE * 1000) + 2000)
    elif phase == "well again":
        await database.tell("testDelay", 0)
    elif phase == "dead":
        await asyncio.to_thread(database.stop)
    elif phase == "back":
        await asyncio.to_thread(database.start)
    elif phase == "damaged":
        while not stop.is_set():
            await database.tell("testMalform", random.choice([1, 2, 4, 5]))
            await asyncio.sleep(0.3)


async def judge(port, database, seconds):
    right = {}
    for path in PATHS:
        status, right[path] = await get(port, path)
        if status != 200:
            sys.exit(f"database_trouble: {path} is {status} before any trouble")
    wrong, report = [], {}
    for phase in PHASES:
        stop, seen = asyncio.Event(), {}
        before = await counted(port)
        begun = asyncio.create_task(trouble(phase, database, stop))
        if phase not in ("slow", "dead", "damaged"):
            # What is under way may still fail; the driver looks for a lost server every half second.
            await begun
            await asyncio.sleep(DEADLINE + 2)
            before = await counted(port)
        tasks = [asyncio.create_task(load(port, right, f"{phase} {n}", seen, wrong, stop)) for n in range(CLIENTS)]
        tasks.append(asyncio.create_task(health(port, wrong, stop)))
        await asyncio.sleep(seconds)
        stop.set()
        await asyncio.gather(*tasks, begun)
        failures = sum(count for status, count in seen.items() if status >= 500)
        explained = await counted(port) - before
        report[phase] = {**{str(status): count for status, count in sorted(seen.items())}, "explained": explained}
        if failures != explained:
            wrong.append(f"{phase}: {failures} failures, {explained} of them counted")
        if failures and phase not in ("slow", "dead", "damaged"):
            wrong.append(f"{phase}: {failures} failures of a database that is well")
    return report, wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--binary", default=".build/release/gateway")
    parser.add_argument("--limit", type=int, default=512, help="MiB")
    parser.add_argument("--seconds", type=int, default=80, help="of load in each of the seven phases")
    arguments = parser.parse_args()
    group = Group(arguments.limit)
    with tempfile.TemporaryDirectory() as folder:
        data = f"{folder}/sample.sqlite"
        subprocess.run([arguments.binary, "sample", "--to", data], check=True, stdout=subprocess.DEVNULL)
        database, process = Database(data), None
        try:
            config = pathlib.Path(folder, "main.json")
            config.write_text(json.dumps({
                "server": {"port": 0, "host": "127.0.0.1", "cache": 5000, "deadline": int(DEADLINE * 1000)},
                "db": {"uri": database.start()},
            }))
            process = subprocess.Popen(
                ["/bin/sh", "-c", 'echo $$ > "$0/cgroup.procs"; exec "$@"', str(group.path), arguments.binary, "serve",
                 "--config", str(config)],
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            port = int(process.stdout.readline().split("http://")[1].split(":")[1])
            begin = time.monotonic()
            report, wrong = asyncio.run(judge(port, database, arguments.seconds))
            if process.poll() is not None or group.kills:
                wrong.append(f"the gateway ended: status {process.poll()}, {group.kills} killed")
            print(json.dumps({"seconds": round(time.monotonic() - begin), "phases": report, "memory MiB": group.stat}))
            print("\n".join(wrong[:20]) or "good")
            sys.exit(bool(wrong))
        finally:
            if process and process.poll() is None:
                process.send_signal(signal.SIGKILL)
                process.wait()
            if database.context:
                database.stop()
            group.remove()


if __name__ == "__main__":
    main()
