#!/usr/bin/env python3
"""Measures the balancer beside its peers and writes docs/benchmarks.md.

Each proxy has one worker on processor 0; the load generator (wrk) and the origin (nginx) share processor 1. Peers take
turns in every round, so that what the machine does meanwhile falls on all of them; ratios are taken inside a round and
their median is reported. The figure is processor time per request: user and system time of the proxy's processes ÷
requests answered.
"""

import argparse
import datetime
import os
import platform
import re
import resource
import socket
import statistics
import struct
import subprocess
import sys
import tempfile

import instructions
import proxies

BODIES = {"1k": 1_024, "64k": 65_536, "1m": 1_048_576}
# Goals: CPU of ours against the best peer.
LARGE = {"64k": 0.70, "1m": 0.75}
NAMES = {"1k": "1 KiB", "64k": "64 KiB", "1m": "1 MiB"}
CONNECTIONS = 64
UNBATCHED = "balancer, batching off"
# Requests a second at which latency is measured: idle, busy, and near what the machine can do.
RATES = [2_000, 10_000, 20_000]


def load(running, target, seconds, scheme="http"):
    """One run of wrk: microseconds of the proxy per request, requests per second, p50 and p99 in milliseconds."""
    url = f"{scheme}://127.0.0.1:{running.port}/{target}"
    before = running.cpu_seconds()
    out = subprocess.run(["taskset", "-c", proxies.LOAD_CPU, "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s",
                          "--latency", url], capture_output=True, text=True, check=True).stdout
    spent = running.cpu_seconds() - before
    requests = int(re.search(r"(\d+) requests in", out)[1])
    # wrk counts a connection that it closes itself at the end as a read error of nobody's making; answers that are no
    # 2xx are another matter, and so is no answer at all.
    if "Non-2xx" in out or requests == 0:
        sys.exit(f"{url} does not answer as it should:\n{out}")
    scale = {"us": 0.001, "ms": 1, "s": 1000}
    latency = {quantile: float(number) * scale[unit]
               for quantile, number, unit in re.findall(r"(50|99)%\s+([\d.]+)(us|ms|s)", out)}
    return {"cpu": spent / requests * 1e6, "rate": float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1]),
            "p50": latency["50"], "p99": latency["99"]}


def compare(running, target, rounds, seconds):
    """All of `running` in turn, `rounds` times over."""
    results = {name: [] for name in running}
    for name in running:
        load(running[name], target, 1)
    for number in range(rounds):
        order = list(running)
        # Nobody always follows the same neighbour.
        order = order[number % len(order):] + order[:number % len(order)]
        for name in order:
            results[name].append(load(running[name], target, seconds))
        print(f"  {NAMES.get(target, target)} round {number + 1}: " + "  ".join(
            f"{name} {results[name][-1]['cpu']:.1f}" for name in running), flush=True)
    return results


def latency_at(running, rate, seconds):
    """p50 and p99 in microseconds of requests that come at a fixed rate, whatever the answers take."""
    with tempfile.NamedTemporaryFile(prefix="balancer-latency-") as log:
        subprocess.run(["taskset", "-c", proxies.LOAD_CPU, "h2load", "--h1", f"-c{CONNECTIONS}", f"-D{seconds}",
                        f"--rps={rate / CONNECTIONS}", f"--log-file={log.name}",
                        f"http://127.0.0.1:{running.port}/1k"], capture_output=True, text=True, check=True)
        with open(log.name) as file:
            times = sorted(int(line.split()[2]) for line in file)
    return {"p50": times[len(times) // 2], "p99": times[len(times) * 99 // 100]}


def rates(running, rounds, seconds):
    """By rate and name: a row a round, the proxies in turn."""
    results = {rate: {name: [] for name in running} for rate in RATES}
    for rate in RATES:
        for number in range(rounds):
            order = list(running)
            order = order[number % len(order):] + order[:number % len(order)]
            for name in order:
                results[rate][name].append(latency_at(running[name], rate, seconds))
        print(f"  {rate:,} requests/s: " + "  ".join(
            f"{name} {median(results[rate], name, 'p50'):.0f}/{median(results[rate], name, 'p99'):.0f}"
            for name in running), flush=True)
    return results


def median(results, name, key):
    return statistics.median(row[key] for row in results[name])


def ratios(results, name, others):
    """Per round: `name` ÷ the best of `others`."""
    return [row["cpu"] / min(results[other][index]["cpu"] for other in others)
            for index, row in enumerate(results[name])]


def idle_memory(running, count, secure=lambda s: s):
    """Bytes of the process per idle keep-alive connection that has served a request. `secure` makes TLS of a socket."""
    before = running.resident_kib()
    held = []
    for _ in range(count):
        s = secure(socket.create_connection(("127.0.0.1", running.port)))
        s.sendall(b"GET /1k HTTP/1.1\r\nHost: h\r\n\r\n")
        got = b""
        while b"\r\n\r\n" not in got or len(got.split(b"\r\n\r\n", 1)[1]) < 1_024:
            part = s.recv(65_536)
            if not part:
                raise RuntimeError("a connection was closed while idle ones were opened")
            got += part
        held.append(s)
    after = running.resident_kib()
    for s in held:
        s.close()
    return (after - before) * 1024 / count


def allocations(folder, origin):
    """Calls of the allocator per request over 100,000 keep-alive requests, once warm."""
    library, counter = os.path.join(folder, "malloc_count.so"), os.path.join(folder, "mallocs")
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", library, os.path.join(proxies.HERE, "malloc_count.c"),
                    "-ldl"], check=True)
    running = proxies.balancer(folder, origin.port, env={"LD_PRELOAD": library, "MALLOC_COUNT_FILE": counter},
                               name="balancer-counted")

    def count():
        with open(counter, "rb") as file:
            return struct.unpack("q", file.read(8))[0]

    try:
        connections = []
        for _ in range(CONNECTIONS):
            s = socket.create_connection(("127.0.0.1", running.port))
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connections.append(s)

        def turn():
            for s in connections:
                s.sendall(b"GET /1k HTTP/1.1\r\nHost: h\r\n\r\n")
            for s in connections:
                got = s.recv(65_536)
                while len(got.split(b"\r\n\r\n", 1)[-1]) < 1_024 or b"\r\n\r\n" not in got:
                    got += s.recv(65_536)

        for _ in range(100):
            turn()
        turns = 100_000 // CONNECTIONS
        before = count()
        for _ in range(turns):
            turn()
        return (count() - before) / (turns * CONNECTIONS), turns * CONNECTIONS
    finally:
        running.stop()


def verdict(value, goal, form="{:.2f}"):
    return f"{form.format(value)} (goal ≤ {goal}): {'met' if value <= goal else 'NOT met'}"


def machine():
    model = "unknown"
    with open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    with open("/proc/meminfo") as file:
        memory = int(file.readline().split()[1]) // 1_048_576
    return f"{os.cpu_count()} × {model}, {memory} GiB, Linux {platform.release()}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=4, help="of each measurement")
    parser.add_argument("--quick", action="store_true", help="nginx, HAProxy and the floor only, three short rounds")
    parser.add_argument("--only", help="proxies to compare with, separated by commas")
    parser.add_argument("--output", default=os.path.join(proxies.ROOT, "docs", "benchmarks.md"))
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds, options.only = 3, 2, options.only or "nginx,haproxy"
    if not os.access(proxies.balancer_binary(), os.X_OK):
        sys.exit(f"{proxies.balancer_binary()} is missing: run `make build`")
    wanted = options.only.split(",") if options.only else list(proxies.PEERS)
    peers = [name for name in wanted if proxies.available(name)]
    missing = [name for name in wanted if name not in peers]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    idle_count = min(10_000, hard // 2 - 500)

    with tempfile.TemporaryDirectory(prefix="balancer-bench-") as folder:
        origin = proxies.origin(folder, BODIES)
        running = {}
        try:
            running["balancer"] = proxies.balancer(folder, origin.port)
            start_kib = running["balancer"].resident_at_start_kib()
            running["floor"] = proxies.floor(folder, origin.port)
            for name in peers:
                running[name] = proxies.PEERS[name](folder, origin.port)
            # Beside itself without batching, where that matters: see docs/decisions/0007-turn-pacing.md.
            small = dict(running)
            running[UNBATCHED] = small[UNBATCHED] = proxies.balancer(
                folder, origin.port, name="balancer-unbatched", batching=False)
            tables = {body: compare(small if body == "1k" else {k: v for k, v in running.items() if k != UNBATCHED},
                                    body, options.rounds, options.seconds) for body in BODIES}
            classic = {name: running[name] for name in ("balancer", "nginx", "haproxy") if name in running}
            paced = rates(classic, 3, options.seconds)
            print("  idle connections", flush=True)
            idle = {name: idle_memory(running[name], idle_count if name != "haproxy" else min(idle_count, 4_000))
                    for name in ("balancer", "nginx", "haproxy") if name in running}
            print("  routes", flush=True)
            sized = {f"{count} routes": proxies.balancer(folder, origin.port, count, name=f"balancer-{count}")
                     for count in (10, 1_000)}
            running.update(sized)
            routed = compare(sized, "1k", options.rounds, options.seconds)
            print("  allocations", flush=True)
            mallocs, counted = allocations(folder, origin)
        finally:
            for process in list(running.values()) + [origin]:
                process.stop()

    print("  instructions", flush=True)
    counts = instructions.measure([name for name in ("balancer", "nginx", "haproxy")])
    report = render(
        options, peers, missing, tables, paced, counts, idle, idle_count, routed, mallocs, counted, start_kib)
    print(report)
    write_report(options.output, report)


def write_report(path, report):
    """The whole file, but for the sections that other programs write between markers of their own."""
    kept = []
    if os.path.exists(path):
        with open(path) as file:
            kept = [found[0] for found in re.finditer(
                r"^<!-- (\w+) -->$.*?^<!-- /\1 -->$", file.read(), re.DOTALL | re.MULTILINE)]
    with open(path, "w") as file:
        file.write(report + "".join(f"\n{section}\n" for section in kept))


def write_section(path, begin, end, text):
    """What stands between two markers, at the end of the file if they are not there yet."""
    whole = ""
    if os.path.exists(path):
        with open(path) as file:
            whole = file.read()
    before, found, rest = whole.partition(begin)
    if not found:
        before, rest = whole.rstrip("\n") + "\n\n", ""
    after = rest.partition(end)[2].lstrip("\n")
    with open(path, "w") as file:
        file.write(f"{before}{begin}\n{text}{end}\n" + (f"\n{after}" if after else ""))


def render(options, peers, missing, tables, paced, counts, idle, idle_count, routed, mallocs, counted, start_kib):
    lines = ["# Benchmarks", "",
             f"{datetime.date.today().isoformat()} · {machine()} · `python3 Benchmarks/bench.py --rounds {options.rounds}"
             f" --seconds {options.seconds}`" + (f" `--only {options.only}`" if options.only else ""), "",
             "One worker each, pinned to processor 0; load generator (wrk, 64 keep-alive connections) and origin (nginx) on",
             "processor 1; peers take turns in every round. **CPU** is user and system time of the proxy per request. **Ratio**",
             "is our CPU ÷ theirs, taken inside each round: median (lowest–highest). On a machine of two processors the load",
             "generator, not the proxy, bounds throughput and latency: compare CPU, and only inside one table.", ""]
    for body, results in tables.items():
        lines += [f"## {NAMES[body]}", "", "| proxy | CPU µs | ratio | requests/s | p50 ms | p99 ms |",
                  "|---|---:|---:|---:|---:|---:|"]
        for name in results:
            against = ratios(results, "balancer", [name])
            text = "" if name == "balancer" else (
                f"{statistics.median(against):.2f} ({min(against):.2f}–{max(against):.2f})")
            label = {"floor": "floor: epoll forwarder, no HTTP", "balancer": "**balancer**"}.get(
                name, f"{name} {proxies.version(name)}" if name in proxies.PEERS else name)
            lines.append(f"| {label} | {median(results, name, 'cpu'):.1f} | {text} | {median(results, name, 'rate'):,.0f} | "
                         f"{median(results, name, 'p50'):.2f} | {median(results, name, 'p99'):.2f} |")
        lines.append("")
    lines += ["## At a fixed rate", "",
              "1 KiB, 64 connections, requests at a constant rate (h2load --rps): p50 / p99 in microseconds, medians of three",
              "interleaved rounds.", "",
              "| requests/s | " + " | ".join(paced[RATES[0]]) + " |", "|---:|" + "---:|" * len(paced[RATES[0]])]
    for rate, results in paced.items():
        lines.append(f"| {rate:,} | " + " | ".join(
            f"{median(results, name, 'p50'):,.0f} / {median(results, name, 'p99'):,.0f}" for name in results) + " |")
    lines += ["", "## Instructions", "",
              "User-mode instructions per proxied request of 1 KiB, by callgrind (`python3 Benchmarks/instructions.py`). The",
              "number does not depend on what else the machine does.", "", instructions.report(counts), "## Goals", ""]
    classic = [name for name in ("nginx", "haproxy") if name in peers]
    if classic:
        lines.append("- 1 KiB against the better of nginx and HAProxy: "
                     + verdict(statistics.median(ratios(tables["1k"], "balancer", classic)), 0.87)
                     + f"; the floor {statistics.median(ratios(tables['1k'], 'floor', classic)):.2f}")
    if peers:
        for body in ("64k", "1m"):
            lines.append(f"- {NAMES[body]} against the best peer: "
                         + verdict(statistics.median(ratios(tables[body], "balancer", peers)), LARGE[body]))
    lines.append("- 1 KiB against the floor: "
                 + verdict(statistics.median(ratios(tables["1k"], "balancer", ["floor"])), 1.15))
    lines.append("- user-mode instructions per request: " + verdict(counts["balancer"], 12_000, "{:,.0f}"))
    lines.append(f"- allocator calls per request, over {counted:,} keep-alive requests: "
                 + verdict(mallocs, 0.001, "{:.5f}"))
    lines.append(f"- resident memory at start: {verdict(start_kib / 1024, 20, '{:.1f} MiB')}")
    lines.append("- 1,000 routes against 10: " + verdict(
        statistics.median(row["cpu"] / routed["10 routes"][index]["cpu"]
                          for index, row in enumerate(routed["1000 routes"])), 1.05))
    lines.append(f"- memory of an idle keep-alive connection: {verdict(idle['balancer'] / 1024, 0.5, '{:.2f} KiB')}; "
                 + ", ".join(f"{name} {value / 1024:.2f} KiB" for name, value in idle.items() if name != "balancer")
                 + f" ({idle_count:,} connections; HAProxy, which needs two descriptors each, fewer)")
    if missing:
        lines += ["", "Not installed, hence not compared: " + ", ".join(missing) + "."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
