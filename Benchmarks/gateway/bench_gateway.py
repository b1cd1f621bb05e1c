#!/usr/bin/env python3
"""Measures the gateway beside a minimal Node server that answers the same bytes from memory, and writes the gateway's section
of docs/benchmarks.md.

The floor beside them is a C program that does nothing but send the same responses: what it costs is the kernel's part, which no
server is without.

1,126 candidates with as many related documents as production holds of a few days, in a SQLite file and in the MongoDB wire
server of the tests. All servers run at the same time, on one core; the load comes from the other one, and goes to one server
after the other in every round. What counts is CPU time per request (all threads, user and system, by the kernel's own
nanoseconds), as the median over the rounds with the least and the greatest: it depends on the machine far less than requests
per second do. Then a mixed load stays on a gateway for --minutes, and its memory is watched.

Needs wrk, node, gcc and taskset (scripts/install-peers.sh); everything else is Python's own.
"""
import argparse
import contextlib
import datetime
import http.client
import json
import math
import os
import re
import shutil
import signal
import socket
import sqlite3
import statistics
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.dirname(HERE))
import bench  # noqa: E402

CORES = os.cpu_count() or 1
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
BEGIN, END = "<!-- gateway -->", "<!-- /gateway -->"
# What is to be reached.
TIMES_NODE, FLOOR_SHARE, UNCACHED_MS, GROWTH = 3, 0.85, 50, 1.05


def cpu_seconds(pid):
    """CPU time of a process, its ended threads included."""
    # The kernel's number for the CPU clock of another process, as clock_getcpuclockid(3) makes it.
    return time.clock_gettime((~pid << 3) | 2)


def memory(pid):
    with open(f"/proc/{pid}/status") as file:
        return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1)) / 1024


def get(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    connection.request("GET", path)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response.status, response.getheader("Content-Type"), body


def start(command, stdin=None):
    if CORES > 1:
        command = ["taskset", "-c", "0"] + command
    environment = dict(os.environ, LOG_LEVEL="critical")
    return subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, text=True, env=environment)


@contextlib.contextmanager
def running(command, port_in):
    """A server: its process and its port, which it prints first."""
    process = start(command)
    try:
        found = re.search(port_in, process.stdout.readline())
        if not found:
            raise RuntimeError(f"{command[0]} does not start")
        yield process, int(found.group(1))
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=40)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            sys.exit(f"bench_gateway: {command[0]} does not end")


def gateway(program, folder, name, uri, **server):
    config = os.path.join(folder, name + ".json")
    with open(config, "w") as file:
        json.dump({"server": {"port": 0, "host": "127.0.0.1", "drain": 0, **server}, "db": {"uri": uri}}, file)
    return running([program, "serve", "--config", config], r":(\d+): ")


# --- the database

def bson_text(name, text):
    value = text.encode() + b"\0"
    return b"\2" + name.encode() + b"\0" + struct.pack("<i", len(value)) + value


def bson_number(name, number):
    return b"\x10" + name.encode() + b"\0" + struct.pack("<i", number)


def message(members):
    """A command of these members, as it is sent."""
    body = struct.pack("<I", 0) + b"\0" + struct.pack("<i", len(members) + 5) + members + b"\0"
    return struct.pack("<iiii", 16 + len(body), 1, 0, 2013) + body


def insert(connection, collection, documents):
    """One insert of documents that are BSON already."""
    command = bson_text("insert", collection) + bson_text("$db", "bench")
    command = struct.pack("<i", len(command) + 5) + command + b"\0"
    sequence = b"documents\0" + b"".join(documents)
    body = (struct.pack("<I", 0) + b"\0" + command + b"\1" + struct.pack("<i", len(sequence) + 4) + sequence)
    connection.sendall(struct.pack("<iiii", 16 + len(body), 1, 0, 2013) + body)
    answer = b""
    while len(answer) < 4 or len(answer) < struct.unpack_from("<i", answer)[0]:
        part = connection.recv(65_536)
        if not part:
            raise RuntimeError("the wire server has gone")
        answer += part
    if b"errmsg" in answer:
        raise RuntimeError(f"insert into {collection}: {answer!r}")


@contextlib.contextmanager
def wire_server(data, port=0):
    """The tests' MongoDB wire server with the documents of a SQLite file; its connection string. Port 0 takes any free one."""
    home = os.path.join(ROOT, "Tests", "DocumentsTests", "WireServer")
    # A pipe of its own: the server ends when its standard input does.
    command = [os.path.join(home, "with-wire-server"), "sh", "-c",
               f'exec taskset -c {CORES - 1} "$GATEWAY_TEST_PYTHON" "{home}/wire_server.py" {port}']
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        port = int(process.stdout.readline())
        with socket.create_connection(("127.0.0.1", port)) as connection, \
                contextlib.closing(sqlite3.connect(f"file:{data}?mode=ro", uri=True)) as database:
            tables = [name for name, in database.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE '%body BLOB%'")]
            for table in tables:
                rows = database.execute(f'SELECT body FROM "{table}" ORDER BY seq')
                while batch := [bytes(body) for body, in rows.fetchmany(1000)]:
                    insert(connection, table, batch)
        yield f"mongodb://127.0.0.1:{port}/bench"
    finally:
        process.stdin.close()
        process.wait(timeout=20)


# --- the load

def load(port, path, seconds, script=None, connections=CONNECTIONS, header=None):
    """Requests answered, and requests per second. All answers must be 2xx, unless a script sends what it likes."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}", "--timeout", "60"]
    if header:
        command += ["-H", header]
    if CORES > 1:
        command = ["taskset", "-c", "1"] + command
    if script:
        command += ["-s", script]
    text = subprocess.run(command + [f"http://127.0.0.1:{port}{path}"], capture_output=True, text=True,
                          check=True).stdout
    count = int(re.search(r"(\d+) requests in", text).group(1))
    return count, "Non-2xx" in text, float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1))


def measure(server, path, seconds, script=None, connections=CONNECTIONS, header=None):
    """CPU microseconds per request, and requests per second."""
    process, port = server
    before = cpu_seconds(process.pid)
    count, has_failures, rate = load(port, path, seconds, script, connections, header)
    if has_failures or count == 0:
        sys.exit(f"bench_gateway: {path} does not answer as it should")
    return (cpu_seconds(process.pid) - before) / count * 1e6, rate


def one_by_one(server, path, count, stamp):
    """The same for a database that is slow: one request after the other, each for an answer of its own."""
    process, port = server
    before, begin = cpu_seconds(process.pid), time.monotonic()
    for number in range(count):
        if get(port, f"{path}?{stamp}-{number}")[0] != 200:
            sys.exit(f"bench_gateway: {path} does not answer as it should")
    return (cpu_seconds(process.pid) - before) / count * 1e6, count / (time.monotonic() - begin)


def sending_floor(folder, port, cases, header=""):
    """The command of the floor, with the responses that a server sends now."""
    command = [os.path.join(folder, "floor")]
    subprocess.run(["gcc", "-O2", "-o", command[0], os.path.join(HERE, "floor.c")], check=True)
    for number, (_, path, _) in enumerate(cases):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: h\r\n{header}\r\n".encode())
            response, size = b"", 1
            while len(response.partition(b"\r\n\r\n")[2]) < size:
                part = connection.recv(1 << 20)
                if not part:
                    sys.exit(f"bench_gateway: {path} is cut short")
                response += part
                if found := re.search(rb"Content-Length: (\d+)\r\n", response[:2048]):
                    size = int(found[1])
        command += [path, os.path.join(folder, f"response{number}")]
        with open(command[-1], "wb") as file:
            file.write(response)
    return command


# --- what is measured

def spread(values, scale=1.0):
    middle, least, most = (value / scale for value in (statistics.median(values), min(values), max(values)))
    return f"{middle:.1f} ({least:.1f}–{most:.1f})"


def kept(store, servers, cases, options):
    """Rows of kept answers, by path how many times Node's requests per CPU second the gateway and the floor answer, and by path
    the gateway's share of the floor's. The servers are the gateway, Node and the floor."""
    rows, ratios, shares = [], {}, {}
    for name, path, size in cases:
        costs, rates = [[], [], []], [[], [], []]
        get(servers[0][1], path)
        for _, port in servers:
            load(port, path, 1)
        for _ in range(options.rounds):
            for server, cost, rate in zip(servers, costs, rates):
                measured = measure(server, path, options.seconds)
                cost.append(measured[0])
                rate.append(measured[1])
        per_round = [node / own for own, node in zip(costs[0], costs[1])]
        at_best = [node / floor for floor, node in zip(costs[2], costs[1])]
        ratios[name] = statistics.median(per_round), statistics.median(at_best)
        shares[name] = statistics.median(costs[2]) / statistics.median(costs[0])
        rows.append(f"| `{name}` | {store} | {size:,} | " + " | ".join(spread(cost) for cost in costs)
                    + f" | {ratios[name][0]:.2f} ({min(per_round):.2f}–{max(per_round):.2f}) | {ratios[name][1]:.2f} "
                    f"({min(at_best):.2f}–{max(at_best):.2f}) | {statistics.median(rates[0]):,.0f} | "
                    f"{statistics.median(rates[1]):,.0f} |")
        print("  " + rows[-1], flush=True)
    return rows, ratios, shares


def in_other_forms(server, cases, options, folder):
    """Rows of kept answers that are sent as zstd, br or gzip, beside the floor that sends the same bytes, and by path and coding
    the gateway's share of the floor's requests per CPU second."""
    rows, shares = [], {}
    for coding in ("zstd", "br", "gzip"):
        header = f"Accept-Encoding: {coding}"
        place = os.path.join(folder, coding)
        os.mkdir(place)
        with running(sending_floor(place, server[1], cases, header + "\r\n"), r"^(\d+)$") as floor:
            for number, (name, path, size) in enumerate(cases):
                costs, rate = [[], []], []
                for _ in range(options.rounds):
                    for each, cost in zip((server, floor), costs):
                        measured = measure(each, path, options.seconds, header=header)
                        cost.append(measured[0])
                        if each is server:
                            rate.append(measured[1])
                length = os.path.getsize(os.path.join(place, f"response{number}"))
                shares[name, coding] = statistics.median(costs[1]) / statistics.median(costs[0])
                rows.append(f"| `{name}` | {coding} | {length:,} of {size:,} | {spread(costs[0])} | {spread(costs[1])} | "
                            f"{shares[name, coding]:.2f} | "
                            f"{statistics.median(rate):,.0f} |")
                print("  " + rows[-1], flush=True)
    return rows, shares


def anew(store, server, cases, options, folder):
    """Rows of answers made anew, and by path their CPU milliseconds."""
    rows, costs_by_name = [], {}
    script = os.path.join(folder, "unique.lua")
    for number, (name, path, _) in enumerate(cases):
        begin = time.monotonic()
        get(server[1], f"{path}?warm")
        # Long enough for each connection to have a few answers, however slow a build is measured.
        seconds = max(options.seconds, math.ceil(3 * FEW * (time.monotonic() - begin)))
        costs, rates = [], []
        for turn in range(options.rounds):
            if store == "SQLite":
                with open(script, "w") as file:
                    file.write(UNIQUE.replace("STAMP", f'"{number}-{turn}"'))
                cost, rate = measure(server, path, seconds, script, FEW)
            else:
                cost, rate = one_by_one(server, path, options.few, f"{number}-{turn}")
            costs.append(cost)
            rates.append(rate)
        costs_by_name[name] = statistics.median(costs) / 1000
        rows.append(f"| `{name}` | {store} | {spread(costs, 1000)} | {statistics.median(rates):,.1f} |")
        print("  " + rows[-1], flush=True)
    return rows, costs_by_name


def soak(server, address, minutes, folder):
    """Resident MiB, sampled while a mixed load runs."""
    process, port = server
    paths = ["/healthcheck", "/candidates", f"/candidate/{address}", f"/score/{address}", "/nominators", "/validators",
             "/score/x/abc", "/nope", "/", f"/rewards/validator/{address}/total", "/locationstats/valid", "/metrics"]
    script = os.path.join(folder, "mixed.lua")
    with open(script, "w") as file:
        file.write(MIXED % ", ".join(f'"{path}"' for path in paths))
    samples = []
    end = time.monotonic() + minutes * 60
    while time.monotonic() < end:
        load(port, "/", max(1, min(10, round(end - time.monotonic()))), script)
        samples.append(memory(process.pid))
    quarter = max(1, len(samples) // 4)
    return samples, statistics.median(samples[quarter:2 * quarter] or samples), statistics.median(samples[-quarter:])


def verdict(is_met):
    return "met" if is_met else "NOT met"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gateway", default=os.path.join(ROOT, ".build", "release", "gateway"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="how long each load lasts")
    parser.add_argument("--few", type=int, default=3, help="answers made anew per round over the wire server")
    parser.add_argument("--minutes", type=float, default=10, help="how long to watch memory under a mixed load; 0: not")
    parser.add_argument("--data", help="a SQLite file that `gateway sample` made; a realistic one is made without it")
    parser.add_argument("--output", default=os.path.join(ROOT, "docs", "benchmarks.md"),
                        help="the file whose section is written, - for none")
    options = parser.parse_args()
    for tool in ("wrk", "node", "gcc", "taskset"):
        if not shutil.which(tool):
            sys.exit(f"bench_gateway: {tool} is missing: run scripts/install-peers.sh")
    if not os.access(options.gateway, os.X_OK):
        sys.exit(f"bench_gateway: {options.gateway} is missing: run `make build`")
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as folder:
        section = run(options, folder)
    print(section)
    if options.output != "-":
        bench.write_section(options.output, BEGIN, END, section)


def run(options, folder):
    data = options.data or os.path.join(folder, "sample.sqlite")
    if not options.data:
        subprocess.run([options.gateway, "sample", "--to", data, "--realistic"], check=True, stdout=subprocess.DEVNULL)
    kept_rows, anew_rows, ratios, shares, costs = [], [], {}, {}, {}
    # Kept answers must outlive the run, and a slow database is no failure here.
    lasting = {"cache": 86_400_000, "deadline": 600_000}
    with contextlib.ExitStack() as stack:
        uri = stack.enter_context(wire_server(data))
        sqlite = stack.enter_context(gateway(options.gateway, folder, "sqlite", f"sqlite:{data}", **lasting))
        mongo = stack.enter_context(gateway(options.gateway, folder, "mongo", uri, **lasting))
        candidates = json.loads(get(sqlite[1], "/candidates")[2])
        address = candidates[len(candidates) // 2]["stash"]
        bodies, cases = {}, []
        for name in ("/healthcheck", "/candidate/:address", "/candidates"):
            path = name.replace(":address", address)
            status, kind, body = get(sqlite[1], path)
            if get(mongo[1], path) != (status, kind, body):
                sys.exit(f"bench_gateway: the two databases answer {path} differently")
            file = os.path.join(folder, f"body{len(bodies)}")
            with open(file, "wb") as out:
                out.write(body)
            bodies[path] = {"type": kind, "file": file}
            cases.append((name, path, len(body)))
        listing = os.path.join(folder, "bodies.json")
        with open(listing, "w") as out:
            json.dump(bodies, out)
        node = stack.enter_context(running(["node", os.path.join(HERE, "node_yardstick.js"), listing], r"^(\d+)$"))
        for _, path, _ in cases:
            if get(node[1], path) != get(sqlite[1], path):
                sys.exit(f"bench_gateway: the two servers answer {path} differently")
        floor = stack.enter_context(running(sending_floor(folder, sqlite[1], cases), r"^(\d+)$"))
        for store, server in (("SQLite", sqlite), ("MongoDB", mongo)):
            # `/healthcheck` asks no store: once is enough.
            own = cases if store == "SQLite" else cases[1:]
            rows, ratios[store], shares[store] = kept(store, (server, node, floor), own, options)
            kept_rows += rows
            rows, costs[store] = anew(store, server, cases[1:], options, folder)
            anew_rows += rows
        form_rows, form_shares = in_other_forms(sqlite, cases[1:], options, folder)
    soaked = None
    if options.minutes:
        # With everything as it is by itself: answers are kept for 18 seconds.
        with gateway(options.gateway, folder, "soak", f"sqlite:{data}") as server:
            soaked = soak(server, address, options.minutes, folder)
    with contextlib.closing(sqlite3.connect(f"file:{data}?mode=ro", uri=True)) as database:
        count = database.execute("SELECT count(*) FROM candidates").fetchone()[0]
    shares = {f"`{name}` kept, over {store}": share for store, by_name in shares.items() for name, share in by_name.items()}
    shares |= {f"`{name}` kept, as {coding}": share for (name, coding), share in form_shares.items()}
    return render(options, count, kept_rows, form_rows, anew_rows, ratios, shares, costs, soaked)


def render(options, count, kept_rows, form_rows, anew_rows, ratios, shares, costs, soaked):
    node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    lines = ["## The gateway", "",
             f"{datetime.date.today().isoformat()} · {bench.machine()} · `python3 Benchmarks/gateway/bench_gateway.py "
             f"--rounds {options.rounds} --seconds {options.seconds} --minutes {options.minutes:g}`", "",
             f"{count:,} candidates. **CPU** is user and system time of the process per request, median (least–greatest) over",
             f"the rounds. The yardstick is a Node {node} server that has nothing to do but send the same bytes from memory. The",
             "floor is a C program that does nothing but send them: what it costs is the kernel's part, which no server is without.",
             "The MongoDB is the tests' wire server, whose own time, far longer than a real server's, is not counted but bounds",
             "the requests per second.", "",
             "### Kept answers", "",
             "| answer | store | bytes | gateway CPU µs | Node CPU µs | floor CPU µs | times Node per CPU second | floor: times "
             "Node | gateway/s | Node/s |",
             "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|", *kept_rows, "",
             "### Kept answers in another form", "",
             "| answer | coding | bytes | gateway CPU µs | floor CPU µs | of the floor's requests per CPU second | gateway/s |",
             "|---|---|---:|---:|---:|---:|---:|", *form_rows, "",
             "### Answers made anew", "", "| answer | store | CPU ms | requests/s |", "|---|---|---:|---:|", *anew_rows, ""]
    goals = [f"- `{name}` kept, over {store}, against Node per CPU second: {ratio:.2f} (goal ≥ {TIMES_NODE}): "
             + verdict(ratio >= TIMES_NODE)
             + (f"; the floor {best:.2f}" if ratio < TIMES_NODE else "")
             for store, by_name in ratios.items() for name, (ratio, best) in by_name.items()]
    goals += [f"- {what}, of the floor's requests per CPU second: {share:.2f} (goal ≥ {FLOOR_SHARE}): {verdict(share >= FLOOR_SHARE)}"
              for what, share in shares.items()]
    goals += [f"- `/candidates` made anew, over {store}: {by_name['/candidates']:.1f} ms of CPU (goal < {UNCACHED_MS}): "
              + verdict(by_name["/candidates"] < UNCACHED_MS) for store, by_name in costs.items()]
    if soaked:
        samples, early, late = soaked
        lines += ["### Memory", "",
                  f"Resident over {options.minutes:g} minutes of mixed load, one request in seven for an answer of its own: "
                  f"second quarter {early:.0f} MiB,", f"last quarter {late:.0f} MiB, most {max(samples):.0f} MiB.", ""]
        goals.append(f"- memory, last quarter ÷ second quarter: {late / early:.2f} (goal ≤ {GROWTH}): "
                     + verdict(late <= early * GROWTH))
    return "\n".join(lines + ["### Goals of the gateway", "", *goals]) + "\n"


if __name__ == "__main__":
    main()
