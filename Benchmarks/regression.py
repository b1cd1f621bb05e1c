#!/usr/bin/env python3
"""How soon a plan finds a new side that fails 1 point more often, by seeded runs of the real program.

Two servers fail by chance (0.1 % and 1.1 %, --old and --new), a plan stands at 5 % (--share), clients ask as fast as they can. A run ends
when the plan has gone back, or when the new side has had --limit requests. Prints each run and the quantiles. With --new equal
to --old it counts false alarms. The balancer looks once a second, so a run may have had up to a second of requests more than it needed.

Usage: regression.py BALANCER [--runs 20] [--seed 1]
"""

import argparse
import asyncio
import json
import random
import shutil
import tempfile
import urllib.request

CLIENTS = 16


async def server(rate, chance):
    async def serve(reader, writer):
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                status = b"503 Service Unavailable" if chance.random() < rate else b"200 OK"
                writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\n\r\nok")
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    return listener, listener.sockets[0].getsockname()[1]


async def client(port):
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            while True:
                writer.write(b"GET / HTTP/1.1\r\nHost: b\r\n\r\n")
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]))
        except (ConnectionError, asyncio.IncompleteReadError):
            await asyncio.sleep(0.01)


def ask(admin, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://{admin}{path}", data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def configuration(folder, core, gateway, share):
    off = {"passive": {"enabled": False}}
    return {
        "listeners": [{"name": "public", "address": "127.0.0.1:0"}],
        "admin": {"address": "127.0.0.1:0"},
        "accessLog": {"enabled": False},
        "operationalLog": {"level": "critical"},
        "state": {"path": f"{folder}/state.sqlite"},
        "upstreams": {
            "core": {"endpoints": [f"127.0.0.1:{core}"], **off},
            "gateway": {"endpoints": [f"127.0.0.1:{gateway}"], **off},
        },
        "routes": [{"name": "api", "split": {"core": 1, "gateway": 0}}],
        # As many stages as the reference plan has, so that each test has its part of the false alarm.
        "migrations": [
            {
                "name": "move",
                "routes": ["api"],
                "from": "core",
                "to": "gateway",
                "stages": [
                    {"share": share, "hold": "100h"},
                    *({"share": share + step, "hold": "1h"} for step in (10, 20, 30, 40, 50)),
                ],
                # Latency of servers in Python on a busy machine is not what this is about.
                "gates": {"mismatches": False, "latency": False},
            }
        ],
    }


async def run(options, seed):
    chance = random.Random(seed)
    folder = tempfile.mkdtemp(prefix="balancer-regression-")
    (_, core), (_, gateway) = await server(options.old / 100, chance), await server(options.new / 100, chance)
    with open(f"{folder}/routes.json", "w", encoding="utf-8") as file:
        json.dump(configuration(folder, core, gateway, options.share), file)
    process = await asyncio.create_subprocess_exec(
        options.balancer, "serve", "--workers", "1", "--config", f"{folder}/routes.json", stdout=asyncio.subprocess.PIPE
    )
    try:
        addresses = {}
        while (line := (await process.stdout.readline()).decode().strip()) != "ready":
            words = line.split()
            addresses[words[0]] = words[-1]
        admin = addresses["admin"]
        await asyncio.to_thread(ask, admin, "/api/v1/migrations/move/start", {})
        port = int(addresses["listening"].rsplit(":", 1)[1])
        clients = [asyncio.create_task(client(port)) for _ in range(CLIENTS)]
        while True:
            await asyncio.sleep(0.5)
            plan = await asyncio.to_thread(ask, admin, "/api/v1/migrations/move")
            errors = next(gate for gate in plan["gates"] if gate["gate"] == "errors")
            if plan["state"] == "retreated" or errors["new"]["of"] >= options.limit:
                break
        for task in clients:
            task.cancel()
        if plan["state"] != "retreated":
            return None
        journal = (await asyncio.to_thread(ask, admin, "/api/v1/journal?subject=move"))["entries"]
        evidence = json.loads(next(e for e in journal if e["detail"].startswith("goes back"))["evidence"])
        failed = next(gate for gate in evidence["gates"] if gate["verdict"] == "fail")
        return failed["gate"], failed["new"]["of"], failed["new"]["bad"]
    finally:
        process.terminate()
        await process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("balancer")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--old", type=float, default=0.1)
    parser.add_argument("--new", type=float, default=1.1)
    parser.add_argument("--share", type=float, default=5)
    parser.add_argument("--limit", type=int, default=10_000)
    options = parser.parse_args()
    found = []
    for number in range(options.runs):
        outcome = asyncio.run(run(options, options.seed + number))
        print(f"run {number + 1}, seed {options.seed + number}: {outcome or 'not sent back'}", flush=True)
        if outcome:
            found.append(outcome[1])
    found.sort()
    print(f"sent back in {len(found)} of {options.runs} runs within {options.limit} requests of the new side")
    if found:
        middle, high = found[len(found) // 2], found[min(len(found) - 1, int(len(found) * 0.95))]
        within = sum(count <= 2_800 for count in found)
        print(f"after {middle} (median), {high} (95 %), {found[-1]} (most); within 2,800: {within}")


if __name__ == "__main__":
    main()
