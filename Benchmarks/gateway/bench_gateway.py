#!/usr/bin/env python3
"""Measures the gateway beside a minimal Node server that answers the same bytes from memory.

  bench_gateway.py [--gateway PATH] [--rounds N] [--seconds N] [--uri DB_URI] [--minutes N]

Both servers run at the same time, on one core; the load comes from the other one, and goes to one server after the other in
every round. What counts is CPU time per request (all threads, user and system, by the kernel's own nanoseconds), as the
median over the rounds with the least and the greatest: it depends on the machine far less than requests per second do.
--minutes N also keeps a mixed load on the gateway for so long and tells how its memory went.
Needs wrk and node; everything else is Python's own.
"""
import argparse
import glob
import http.client
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
CONNECTIONS = 32
# Answers that are made anew take so long that many at a time would only wait for each other.
FEW = 4
UNIQUE = """
local n = 0
request = function()
  n = n + 1
  return wrk.format("GET", wrk.path .. "?" .. STAMP .. "-" .. n)
end
"""
MIXED = """
local paths = { %s }
local n = 0
request = function()
  n = n + 1
  local path = paths[n %% #paths + 1]
  if n %% 7 == 0 then path = path .. "?" .. n end
  return wrk.format("GET", path)
end
"""


def cpu_seconds(pid):
    """CPU time of all threads that live. The servers end none of theirs while they are measured."""
    total = 0
    for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
        try:
            with open(path) as file:
                total += int(file.read().split()[0])
        except OSError:
            pass
    return total / 1e9


def memory(pid):
    with open(f"/proc/{pid}/status") as file:
        return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1)) / 1024


def get(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response.status, response.getheader("Content-Type"), body


def load(port, path, seconds, script=None, connections=CONNECTIONS):
    """Requests answered, and answers that were not 2xx."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}", f"http://127.0.0.1:{port}{path}"]
    if CORES > 1:
        command = ["taskset", "-c", "1"] + command
    if script:
        command[-1:-1] = ["-s", script]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    return (int(re.search(r"(\d+) requests in", text).group(1)), int(failed.group(1)) if failed else 0,
            float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1)))


def start(command):
    if CORES > 1:
        command = ["taskset", "-c", "0"] + command
    environment = dict(os.environ, LOG_LEVEL="critical")
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def stop(process):
    process.send_signal(signal.SIGTERM)
    try:
        return process.wait(timeout=40)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def measure(server, path, seconds, script=None, connections=CONNECTIONS):
    process, port = server
    before = cpu_seconds(process.pid)
    count, failed, rate = load(port, path, seconds, script, connections)
    if failed:
        print(f"  {failed} of {count} answers to {path} were no success", file=sys.stderr)
    return (cpu_seconds(process.pid) - before) / max(1, count) * 1e6, rate


def row(cells):
    print("| " + " | ".join(cells) + " |", flush=True)


def spread(values, scale=1.0):
    middle, least, most = (value / scale for value in (statistics.median(values), min(values), max(values)))
    return f"{middle:.1f} ({least:.1f}–{most:.1f})"


def compare(gateway, node, cases, rounds, seconds):
    row(["kept answer", "bytes", "gateway µs CPU", "node µs CPU", "ratio", "gateway/s", "node/s"])
    row(["---"] * 7)
    for path, size in cases:
        ours, theirs, our_rate, their_rate = [], [], [], []
        get(gateway[1], path)
        load(gateway[1], path, 1)
        load(node[1], path, 1)
        for _ in range(rounds):
            for server, costs, rates in ((gateway, ours, our_rate), (node, theirs, their_rate)):
                cost, rate = measure(server, path, seconds)
                costs.append(cost)
                rates.append(rate)
        ratio = statistics.median(theirs) / statistics.median(ours)
        row([re.sub(r"/candidate/.+", "/candidate/:address", path), str(size), spread(ours), spread(theirs),
             f"{ratio:.2f}", f"{statistics.median(our_rate):.0f}", f"{statistics.median(their_rate):.0f}"])


def uncached(gateway, paths, rounds, seconds, folder):
    print()
    row(["answer made anew", "ms CPU", "per second"])
    row(["---"] * 3)
    for number, path in enumerate(paths):
        costs, rates = [], []
        for turn in range(rounds):
            script = os.path.join(folder, "unique.lua")
            with open(script, "w") as file:
                file.write(UNIQUE.replace("STAMP", f'"{number}-{turn}"'))
            cost, rate = measure(gateway, path, seconds, script, FEW)
            costs.append(cost)
            rates.append(rate)
        row([re.sub(r"/candidate/.+", "/candidate/:address", path), spread(costs, 1000),
             f"{statistics.median(rates):.0f}"])


def soak(gateway, address, minutes, folder):
    process, port = gateway
    paths = ["/healthcheck", "/candidates", f"/candidate/{address}", f"/score/{address}", "/nominators", "/validators",
             "/score/x/abc", "/nope", "/", f"/rewards/validator/{address}/total", "/locationstats/valid", "/metrics"]
    script = os.path.join(folder, "mixed.lua")
    with open(script, "w") as file:
        file.write(MIXED % ", ".join(f'"{path}"' for path in paths))
    samples = []
    end = time.monotonic() + minutes * 60
    while time.monotonic() < end:
        load(port, "/", min(10, max(1, int(end - time.monotonic()))), script)
        samples.append(memory(process.pid))
    quarter = max(1, len(samples) // 4)
    first, last = samples[quarter - 1:2 * quarter] or samples, samples[-quarter:]
    print(f"\nmemory over {minutes} minutes of mixed load: second quarter {statistics.median(first):.0f} MiB, "
          f"last quarter {statistics.median(last):.0f} MiB, most {max(samples):.0f} MiB")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gateway", default=os.path.join(HERE, "../../.build/release/gateway"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="how long each load lasts")
    parser.add_argument("--uri", help="a database instead of the sample data, as db.uri has it")
    parser.add_argument("--minutes", type=float, default=0, help="how long to watch memory under a mixed load")
    options = parser.parse_args()
    for tool in ("wrk", "node", "taskset"):
        if not shutil.which(tool):
            sys.exit(f"bench_gateway: {tool} is missing")
    with tempfile.TemporaryDirectory() as folder:
        config = os.path.join(folder, "main.json")
        with open(config, "w") as file:
            # Kept answers must outlive the run, and nothing waits when it ends.
            json.dump({"server": {"port": 0, "host": "127.0.0.1", "cache": 86_400_000, "drain": 0},
                       "db": {"uri": options.uri or "sqlite::memory:"}}, file)
        process = start([options.gateway, "serve", "--config", config])
        node = None
        try:
            line = process.stdout.readline()
            gateway = (process, int(re.search(r":(\d+): ", line).group(1)))
            candidates = json.loads(get(gateway[1], "/candidates")[2])
            address = candidates[len(candidates) // 2]["stash"]
            bodies, cases = {}, []
            for path in ("/healthcheck", f"/candidate/{address}", "/candidates"):
                _, kind, body = get(gateway[1], path)
                name = os.path.join(folder, f"body{len(bodies)}")
                with open(name, "wb") as file:
                    file.write(body)
                bodies[path] = {"type": kind, "file": name}
                cases.append((path, len(body)))
            listing = os.path.join(folder, "bodies.json")
            with open(listing, "w") as file:
                json.dump(bodies, file)
            node_process = start(["node", os.path.join(HERE, "node_yardstick.js"), listing])
            node = (node_process, int(node_process.stdout.readline()))
            for path, _ in cases:
                if get(gateway[1], path) != get(node[1], path):
                    sys.exit(f"bench_gateway: the two servers answer {path} differently")
            print(f"{len(candidates)} candidates, {CONNECTIONS} connections, {options.rounds} rounds of "
                  f"{options.seconds} s each: median (least–greatest)\n")
            compare(gateway, node, cases, options.rounds, options.seconds)
            uncached(gateway, ["/candidates", f"/candidate/{address}"], options.rounds, options.seconds, folder)
            print(f"\nmemory after that: {memory(process.pid):.0f} MiB")
            if options.minutes:
                soak(gateway, address, options.minutes, folder)
        finally:
            if node:
                stop(node[0])
            status = stop(process)
        print(f"the gateway ended with status {status}")


CORES = os.cpu_count() or 1
if __name__ == "__main__":
    main()
