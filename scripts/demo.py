#!/usr/bin/env python3
"""A migration in two minutes: starts two servers, a balancer with a plan, and clients; the new server turns bad at 25 %, and the
plan takes its traffic back. Prints what happens, once. Usage: demo.py BALANCER, the program's path."""

import asyncio
import collections
import json
import os
import shutil
import sys
import tempfile
import time
import urllib.error
import urllib.request

CLIENTS, PAUSE = 12, 0.06  # about 150 requests a second
bad = False
answers = collections.Counter()
began = time.monotonic()


def say(text):
    print(f"{time.monotonic() - began:6.1f} s  {text}", flush=True)


async def server(name):
    """Answers each request with its name after about 10 ms; the new one fails one in four once it is bad."""
    count = 0

    async def serve(reader, writer):
        nonlocal count
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                count += 1
                await asyncio.sleep(0.01)
                status = "503 Service Unavailable" if bad and name == "gateway" and count % 4 == 0 else "200 OK"
                writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(name)}\r\n\r\n{name}".encode())
                await writer.drain()
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
                writer.write(b"GET / HTTP/1.1\r\nHost: demo\r\n\r\n")
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                body = await reader.readexactly(length)
                status = int(head.split(b" ")[1])
                answers["failed" if status >= 500 else body.decode()] += 1
                await asyncio.sleep(PAUSE)
        except (ConnectionError, asyncio.IncompleteReadError):
            answers["failed"] += 1
            await asyncio.sleep(PAUSE)


def configuration(folder, core, gateway):
    return {
        "listeners": [{"name": "public", "address": "127.0.0.1:0"}],
        "admin": {"address": "127.0.0.1:0"},
        "accessLog": {"enabled": False},
        "operationalLog": {"level": "critical"},
        "state": {"path": f"{folder}/state.sqlite"},
        "guard": {"minimum": 10},
        "upstreams": {
            "core": {"endpoints": [f"127.0.0.1:{core}"]},
            "gateway": {"endpoints": [f"127.0.0.1:{gateway}"], "passive": {"enabled": False}},
        },
        "routes": [{"name": "api", "split": {"core": 1, "gateway": 0}}],
        "migrations": [
            {
                "name": "api-to-gateway",
                "routes": ["api"],
                "from": "core",
                "to": "gateway",
                "stages": [
                    {"share": 1, "hold": "10s"},
                    {"share": 5, "hold": "10s"},
                    {"share": 25, "hold": "10s"},
                    {"share": 50, "hold": "10s"},
                    {"share": 100, "hold": "10s", "approval": True},
                ],
                # A plan for real traffic asks for more: these margins are passed by a hundred requests.
                "gates": {
                    "minimum": 15,
                    "falseAdvance": 20,
                    "errors": {"tolerance": 1, "margin": 20},
                    "clientErrors": False,
                    "cancelled": False,
                    "latency": False,
                    "mismatches": False,
                },
            }
        ],
    }


def ask(admin, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://{admin}{path}", data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


async def start(program, folder):
    process = await asyncio.create_subprocess_exec(
        program, "serve", "--config", f"{folder}/routes.json", stdout=asyncio.subprocess.PIPE
    )
    addresses = {}
    while line := (await process.stdout.readline()).decode().strip():
        words = line.split()
        if words[0] in ("admin", "listening"):
            addresses[words[0]] = words[-1]
        if line == "ready":
            return process, addresses
    sys.exit("demo: the balancer did not start")


async def watch(admin):
    """Prints each change of the plan, until it has gone back."""
    global bad
    path, last = "/api/v1/migrations/api-to-gateway", None
    while True:
        plan = await asyncio.to_thread(ask, admin, path)
        errors = next((gate for gate in plan["gates"] if gate["gate"] == "errors"), None)
        now = plan["state"], plan["stage"]
        if now != last:
            say(f"{plan['state']}: stage {plan['stage']} of {len(plan['stages'])}, gateway {plan['share']:g} %")
            last = now
            if plan["share"] == 25 and not bad:
                await asyncio.sleep(4)
                say("the new server turns bad: from now on one answer in four is a 503")
                bad, before = True, answers["failed"]
        if plan["state"] == "retreated":
            say(f"why: {plan['retreat']['words']}")
            say(f"clients have met {answers['failed'] - before} errors; gateway has {plan['share']:g} % again")
            return
        if errors and errors["verdict"] == "collecting" and plan["heldSeconds"] > plan["holdSeconds"]:
            numbers = f"{errors['new']['of']} of gateway's answers, {errors['new']['bad']} bad"
            say(f"collecting: {numbers}; evidence {errors['advance']['evidence']:.1f} of {errors['advance']['threshold']:.1f}")
        await asyncio.sleep(1)


async def main(program):
    folder = tempfile.mkdtemp(prefix="balancer-demo-")
    process = None
    try:
        (_, core), (_, gateway) = await server("core"), await server("gateway")
        with open(f"{folder}/routes.json", "w", encoding="utf-8") as file:
            json.dump(configuration(folder, core, gateway), file)
        process, addresses = await start(program, folder)
        admin = addresses["admin"]
        say(f"a balancer serves {addresses['listening']}, its admin API {admin}; all is core's")
        clients = [asyncio.create_task(client(int(addresses["listening"].rsplit(":", 1)[1]))) for _ in range(CLIENTS)]
        await asyncio.sleep(3)
        say(f"{sum(answers.values()) / 3:.0f} requests a second; the plan is started")
        await asyncio.to_thread(ask, admin, "/api/v1/migrations/api-to-gateway/start", {"reason": "a demonstration"})
        await watch(admin)
        before = answers["failed"]
        await asyncio.sleep(5)
        say(f"five seconds later: {answers['failed'] - before} further errors. The journal:")
        for entry in ask(admin, "/api/v1/journal?subject=api-to-gateway")["entries"]:
            print(f"          {entry['detail']}")
        for task in clients:
            task.cancel()
    except urllib.error.HTTPError as error:
        sys.exit(f"demo: {error} {error.read().decode()}")
    finally:
        if process and process.returncode is None:
            process.terminate()
            await process.wait()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    if len(sys.argv) != 2 or not os.access(sys.argv[1], os.X_OK):
        sys.exit(__doc__)
    asyncio.run(main(sys.argv[1]))
