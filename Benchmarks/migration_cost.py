#!/usr/bin/env python3
"""What a plan costs: processor time of the threads that serve and of the whole process per request, latency, memory.

The balancer without a plan, in a stage of 5 %, in one that copies 10 %, and with copies that nobody answers, each running at the same
time and loaded in turn, `--rounds` times over; and how long a comparison of two answers takes. For an idle machine of two
processors: the load generator and the origins are on the second one."""

import argparse
import json
import os
import re
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import urllib.request

import proxies

CONNECTIONS = 64
VARIANTS = {"no plan": None, "a stage of 5 %": {"share": 5}, "10 % copied": {"mirror": 10},
            "10 % copied to nobody": {"mirror": 10}}


def threads(pid):
    """Seconds on a processor by the thread's name."""
    ticks, found = os.sysconf("SC_CLK_TCK"), {}
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/stat") as file:
            name, rest = file.read().split("(", 1)[1].rsplit(")", 1)
        fields = rest.split()
        found[name] = found.get(name, 0) + (int(fields[11]) + int(fields[12])) / ticks
    return found


def worker_seconds(pid):
    return sum(seconds for name, seconds in threads(pid).items() if name.startswith("worker-"))


def wrk(port, target, seconds):
    out = subprocess.run(["taskset", "-c", proxies.LOAD_CPU, "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency",
                          f"http://127.0.0.1:{port}/{target}"], capture_output=True, text=True, check=True).stdout
    scale = {"us": 0.001, "ms": 1, "s": 1000}
    times = {quantile: float(number) * scale[unit]
             for quantile, number, unit in re.findall(r"(50|99)%\s+([\d.]+)(us|ms|s)", out)}
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    return int(re.search(r"(\d+) requests in", out)[1]), times, int(bad[1]) if bad else 0


def load(running, target, seconds):
    pid = running.process.pid
    before = worker_seconds(pid), running.cpu_seconds()
    count, times, bad = wrk(running.port, target, seconds)
    return {"worker": (worker_seconds(pid) - before[0]) / count * 1e6, "process": (running.cpu_seconds() - before[1]) / count * 1e6,
            "p50": times["50"], "p99": times["99"], "bad": bad, "kib": running.resident_kib()}


def costs(folder, origin, silent, rounds, seconds):
    running = {name: proxies.balancer(
        folder, origin, name=f"balancer-{place}", stage=stage, gateway=silent if name.endswith("nobody") else None)
        for place, (name, stage) in enumerate(VARIANTS.items())}
    rows = {name: [] for name in running}
    try:
        for name in running:
            load(running[name], "1k", 1)
        for number in range(rounds):
            order = list(running)
            for name in order[number % len(order):] + order[:number % len(order)]:
                rows[name].append(load(running[name], "1k", seconds))
    finally:
        for process in running.values():
            process.stop()
    print("| | worker µs | of no plan | process µs | of no plan | p50 ms | p99 ms | not 2xx | resident MiB |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for name, own in rows.items():
        def middle(key):
            return statistics.median(row[key] for row in own)

        def ratio(key):
            return statistics.median(row[key] / other[key] for row, other in zip(own, rows["no plan"], strict=True))

        print(f"| {name} | {middle('worker'):.1f} | {ratio('worker'):.3f} | {middle('process'):.1f} | {ratio('process'):.3f} | "
              f"{middle('p50'):.2f} | {middle('p99'):.2f} | {sum(row['bad'] for row in own)} | {max(row['kib'] for row in own) / 1024:.1f} |")


def answers(size, number):
    """JSON of about so many bytes, which differs from another number's in one value."""
    rows = []
    while len(json.dumps(rows)) < size:
        rows.append({"name": f"validator-{len(rows)}", "stash": "5" * 47, "rank": len(rows), "active": True, "faults": []})
    return json.dumps({"at": number, "rows": rows})


def comparing(folder, size, seconds):
    """Milliseconds of a processor for the comparison of two answers of so many bytes."""
    sides = []
    try:
        for number in range(2):
            place = os.path.join(folder, f"side-{size}-{number}")
            os.makedirs(place)
            sides.append(proxies.origin(place, {}, types={"answer.json": answers(size, number)}))
        running = proxies.balancer(folder, sides[0].port, name=f"comparing-{size}", stage={"mirror": 10}, gateway=sides[1].port)
        try:
            before = threads(running.process.pid).get("comparison", 0)
            wrk(running.port, "answer.json", seconds)
            with urllib.request.urlopen(f"http://{running.admin}/metrics", timeout=30) as answer:
                text = answer.read().decode()
            spent = sum(seconds for name, seconds in threads(running.process.pid).items() if name.startswith("comparison")) - before
            count = sum(int(number) for number in re.findall(r"^balancer_comparisons_total\{.*\} (\d+)$", text, re.MULTILINE))
            print(f"{size:,} bytes: {count:,} comparisons, {spent / max(1, count) * 1000:.2f} ms of a processor each")
        finally:
            running.stop()
    finally:
        for side in sides:
            side.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", help="in place of the release build")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="of each measurement")
    parser.add_argument("--only", choices=["costs", "comparison"])
    options = parser.parse_args()
    for tool in ("wrk", "nginx", "taskset"):
        if not shutil.which(tool):
            sys.exit(f"{tool} is missing: scripts/install-peers.sh installs it")
    if options.binary:
        os.environ["BALANCER_BINARY"] = os.path.abspath(options.binary)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20_000), hard))
    # Takes connections and reads nothing.
    silent = socket.create_server(("127.0.0.1", 0), backlog=4096)
    with tempfile.TemporaryDirectory(prefix="balancer-migration-cost-") as folder:
        if options.only != "comparison":
            origin = proxies.origin(folder, {"1k": 1_024})
            try:
                costs(folder, origin.port, silent.getsockname()[1], options.rounds, options.seconds)
            finally:
                origin.stop()
        if options.only != "costs":
            for size in (2_048, 65_536):
                comparing(folder, size, options.seconds)
    silent.close()


if __name__ == "__main__":
    main()
