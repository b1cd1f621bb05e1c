#!/usr/bin/env python3
"""How fast an operator's side of one balancer is: durable changes a second, an undo of 1,000 routes, a page of the journal at 100,000
rows, the first view of the dashboard's files. Prints a table; exit status 1 if a goal is missed. Usage: journal.py BALANCER"""

import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
import time

ROUTES, FEW, WRITERS, SECONDS, ROWS = 1_000, 20, 16, 5, 100_000


class Client:
    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def ask(self, method, path, body=None):
        data = None if body is None else json.dumps(body)
        self.connection.request(method, path, data, {"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            sys.exit(f"{method} {path}: {answer.status} {text[:300]}")
        return text

    def change(self, number, weight):
        self.ask("PUT", f"/api/v1/routes/r{number}/weights", {"weights": {"core": weight}})


def start(program, folder, routes=ROUTES):
    def route(name, path):
        return {"name": name, "match": {"path": path}, "split": {"core": 1, "gateway": 1}}

    with open(f"{folder}/routes.json", "w") as file:
        json.dump({
            "listeners": [{"name": "public", "address": "127.0.0.1:0"}], "admin": {"address": "127.0.0.1:0"},
            "accessLog": {"enabled": False}, "state": {"path": f"{folder}/state/state.sqlite"},
            "upstreams": {"core": {"endpoints": ["127.0.0.1:9"]}, "gateway": {"endpoints": ["127.0.0.1:10"]}},
            "routes": [route(f"r{number}", f"/r{number}") for number in range(routes)]}, file)  # fmt: skip
    process = subprocess.Popen(
        [program, "serve", "--config", f"{folder}/routes.json", "--workers", "1"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)  # fmt: skip
    for line in process.stdout:
        words = line.split()
        if words[0] == "admin":
            port = int(words[1].rsplit(":", 1)[1])
        if words[0] == "ready":
            return process, port
    sys.exit("the balancer has not started")


def writers(port, routes, until):
    """Changes made by so many writers, until `until` says so of the number made."""
    lock = threading.Lock()
    made = 0

    def write():
        nonlocal made
        client = Client(port)
        while True:
            with lock:
                if until(made):
                    return
                made += 1
                number = made
            client.change(number % routes, 2 + number // routes)

    threads = [threading.Thread(target=write) for _ in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return made


def middle(times):
    return sorted(times)[len(times) // 2]


def main():
    program = os.path.abspath(sys.argv[1])
    missed = False

    def figure(what, value, goal, unit, holds):
        nonlocal missed
        missed |= not holds
        print(f"{what:<48}{value:>12,.1f} {unit:<4} {goal:<8} {'yes' if holds else 'NO'}", flush=True)

    for routes, goal in [(FEW, 500), (ROUTES, None)]:
        with tempfile.TemporaryDirectory(prefix="balancer-journal-") as folder:
            process, port = start(program, folder, routes)
            try:
                began = time.monotonic()
                made = writers(port, routes, lambda _: time.monotonic() - began > SECONDS)
                rate = made / (time.monotonic() - began)
                words = f"durable changes a second, {routes:,} routes"
                figure(words, rate, f">= {goal}" if goal else "", "/s", goal is None or rate >= goal)
            finally:
                process.terminate()
                process.wait()
    with tempfile.TemporaryDirectory(prefix="balancer-journal-") as folder:
        process, port = start(program, folder)
        try:
            client = Client(port)
            generation = json.loads(client.ask("GET", "/api/v1/routes"))["generation"]
            for number in range(ROUTES):
                client.change(number, 900_000)
            began = time.monotonic()
            client.ask("POST", "/api/v1/undo", {"toGeneration": generation, "reason": "measured"})
            took = time.monotonic() - began
            figure(f"undo of {ROUTES:,} routes", took * 1000, "<= 1000", "ms", took <= 1)
            times = []
            for name in ["/", "/dashboard.css", "/dashboard.js", "/favicon.svg", "/api/v1/status"] * 20:
                began = time.monotonic()
                client.ask("GET", name)
                times.append(time.monotonic() - began)
            view = sum(times) / 20
            figure("the dashboard's files and a status, one by one", view * 1000, "<= 300", "ms", view <= 0.3)
        finally:
            process.terminate()
            process.wait()
        # The rows of so many changes, written as the ledger writes them: made one by one they would take minutes.
        fill(f"{folder}/state/state.sqlite")
        process, port = start(program, folder)
        try:
            client = Client(port)
            times = []
            before = ""
            for _ in range(100):
                began = time.monotonic()
                page = json.loads(client.ask("GET", f"/api/v1/journal?limit=100{before}"))
                times.append(time.monotonic() - began)
                before = f"&before={page['before']}"
            took = middle(times)
            figure(f"a page of 100 of {ROWS:,} rows, median", took * 1000, "<= 20", "ms", took <= 0.02)
        finally:
            process.terminate()
            process.wait()
    return missed


def fill(path):
    import sqlite3

    with sqlite3.connect(path) as base:
        columns = [row[1] for row in base.execute("PRAGMA table_info(change)") if row[1] not in ("sequence", "id")]
        names = ", ".join(columns)
        there = base.execute("SELECT count(*) FROM change").fetchone()[0]
        base.execute(
            f"""WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {max(0, ROWS - there)})
            INSERT INTO change (id, {names}) SELECT 'x' || i, {names} FROM n
            JOIN (SELECT * FROM change WHERE what = 'weights' ORDER BY sequence LIMIT 1)""")  # fmt: skip
        # The restored process must find it as it was left.
        assert base.execute("SELECT count(*) FROM change").fetchone()[0] >= ROWS


if __name__ == "__main__":
    sys.exit(main())
