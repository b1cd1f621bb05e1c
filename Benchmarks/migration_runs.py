#!/usr/bin/env python3
"""Plans under seeded load, again and again: how often, and how soon, is a new side that is worse sent back, and how often one that is not?

Each run starts the program with the plan of docs/routes.md (six stages before the old side is retired, default gates but for `settle`), two servers
and their clients (migration_load.c), and starts the plan at its stage of 5 %. What fails, how long answers take and when requests
come is drawn from the run's seed.

  regression   the new side fails 1.1 %, the old one 0.1 %; the stage holds for an hour. Counted: runs in which the share is 0 again
               before the new side has had more than --within requests.
  healthy      both sides fail 0.1 %; the plan goes on up to 100 %. Counted: runs in which it goes back.

Results are appended to --output, a line of JSON each; runs that are in it are not done again, so that a series may be stopped at
any time and gone on with. usage: migration_runs.py --binary build/balancer --kind regression --runs 200 --seed 1"""

import argparse
import concurrent.futures
import hashlib
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
OLD_ERRORS = 0.001
NEW_ERRORS = {"regression": 0.011, "healthy": 0.001}
# Of a run that is not sent back in time it is still of use to know when.
PATIENCE = 3
STAGE = 3
lock = threading.Lock()
stopped = threading.Event()


# The test of docs/migration.md once more, apart from the program's own: by it each regression is foretold from the same draws.
ALPHA = 0.01 / (6 * 6)
TOLERANCE = 0.001
BITS = (1 << 64) - 1


def tilt(bad, count, rate, sign):
    powers = []
    for step in range(8):
        weight = sign * 2.0 ** (step - 4)
        powers.append(weight * bad - count * math.log1p(rate * math.expm1(weight)))
    most = max(powers)
    return most + math.log(sum(math.exp(power - most) for power in powers) / 8)


def worse(new_bad, new, old_bad, old):
    """Evidence against "the new side is worse by no more than the tolerance": the least over all that the old side's rate may be."""
    def at(rate):
        against = tilt(old_bad, old, rate, -1)
        half = against + math.log(0.5 + 0.5 * math.exp(-against)) if against > 0 else math.log(0.5 + 0.5 * math.exp(against))
        return tilt(new_bad, new, rate + TOLERANCE, 1) + half

    low, high = 0.0, 1 - TOLERANCE
    for _ in range(80):
        third = (high - low) / 3
        if at(low + third) < at(high - third):
            high -= third
        else:
            low += third
    return at((low + high) / 2)


def draws(seed, side):
    """What migration_load.c draws for a side's requests, in their order."""
    def draw(row):
        row = (row + 0x9E3779B97F4A7C15) & BITS
        z = ((row ^ row >> 30) * 0xBF58476D1CE4E5B9) & BITS
        z = ((z ^ z >> 27) * 0x94D049BB133111EB) & BITS
        return row, ((z ^ z >> 31) >> 11) * 2.0**-53 + 2.0**-54

    row, _ = draw((seed * 4 + side) & BITS)
    row = int(draw(row)[1] * 2.0**64) & BITS
    while True:
        row, chance = draw(row)
        yield chance
        # Two more are for how long its answer takes.
        row = (row + 2 * 0x9E3779B97F4A7C15) & BITS


def foretold(seed, options):
    """Requests of the new side after which it is sent back, where it is looked at once a second."""
    old, new = draws(seed, 0), draws(seed, 1)
    count, bad, old_bad = 0, 0, 0
    while count < PATIENCE * options.within:
        for _ in range(round(options.rate / 20)):
            count += 1
            bad += next(new) < NEW_ERRORS["regression"]
            old_bad += sum(next(old) < OLD_ERRORS for _ in range(19))
        # Below that nothing is to be found, and looking takes its time.
        if bad > 2 * TOLERANCE * count and worse(bad, count, old_bad, 19 * count) >= -math.log(ALPHA):
            break
    return count


def configuration(folder, old, new, kind):
    hold = "1h" if kind == "regression" else "1s"
    return {
        "listeners": [{"name": "public", "address": "127.0.0.1:0"}],
        "admin": {"address": "127.0.0.1:0"},
        "workers": 1,
        "accessLog": {"enabled": False},
        "operationalLog": {"level": "critical"},
        "state": {"path": f"{folder}/state.sqlite"},
        "upstreams": {"core": {"endpoints": [f"127.0.0.1:{old}"]}, "gateway": {"endpoints": [f"127.0.0.1:{new}"]}},
        "routes": [{"name": "api", "split": {"core": 1, "gateway": 0}}],
        "migrations": [
            {
                "name": "plan",
                "routes": ["api"],
                "from": "core",
                "to": "gateway",
                "stages": [
                    {"mirror": 10, "hold": "1s"},
                    {"share": 1, "hold": "1s"},
                    # Nothing is copied: what is tried is the judgement of live requests.
                    {"share": 5, "mirror": 0, "hold": hold},
                    {"share": 25, "hold": hold},
                    {"share": 50, "hold": hold},
                    {"share": 100, "hold": hold},
                    {"retire": True, "hold": "1h", "approval": True},
                ],
                "gates": {"mismatches": False, "settle": "10s"},
            }
        ],
    }


def ask(admin, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://{admin}{path}", data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


class Load:
    def __init__(self, program, seed, options):
        words = [seed, options.rate, options.latency, OLD_ERRORS, NEW_ERRORS[options.kind]]
        self.process = subprocess.Popen(
            [program, *map(str, words)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.old, self.new = map(int, self.process.stdout.readline().split())

    def say(self, line):
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def counts(self):
        self.say("")
        names = ("oldRequests", "oldBad", "newRequests", "newBad", "answered", "failed", "lost")
        return dict(zip(names, map(int, self.process.stdout.readline().split()), strict=True))


def start(program, folder):
    process = subprocess.Popen(
        [program, "serve", "--config", f"{folder}/routes.json"], stdout=subprocess.PIPE, text=True)
    addresses = {}
    for line in process.stdout:
        words = line.split()
        if words and words[0] in ("admin", "listening"):
            addresses[words[0]] = words[-1]
        if line.strip() == "ready":
            return process, addresses
    raise RuntimeError(f"the program ended with {process.wait()} before it was ready")


def processor_seconds(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def follow(admin, load, options):
    """Until the plan has gone back or has come to its end; what it then was."""
    deadline = time.monotonic() + options.timeout
    path = "/api/v1/migrations/plan"
    while time.monotonic() < deadline and not stopped.is_set():
        plan, counts = ask(admin, path), load.counts()
        if plan["state"] == "retreated" and plan["share"] == 0:
            # Requests under way come in; none follows them.
            time.sleep(0.3)
            return "sent back", plan, load.counts()
        if options.kind == "healthy" and plan["state"] == "waiting" and plan["share"] == 100:
            return "passed", plan, counts
        if options.kind == "regression" and counts["newRequests"] > PATIENCE * options.within:
            return "kept", plan, counts
        time.sleep(0.25)
    return "time out", plan, load.counts()


def run(seed, load_program, options):
    folder = tempfile.mkdtemp(prefix="migration-run-")
    process, load, began = None, None, time.monotonic()
    try:
        load = Load(load_program, seed, options)
        with open(f"{folder}/routes.json", "w", encoding="utf-8") as file:
            json.dump(configuration(folder, load.old, load.new, options.kind), file)
        process, addresses = start(options.binary, folder)
        admin = addresses["admin"]
        # Nothing has come to the new side yet, which the guard would mind.
        ask(admin, "/api/v1/migrations/plan/start", {"stage": STAGE, "force": True, "reason": "a run of a series"})
        load.say(addresses["listening"].rsplit(":", 1)[1])
        result, plan, counts = follow(admin, load, options)
        words = plan["retreat"]["words"] if plan.get("retreat") else None
        spent = processor_seconds(process.pid) + processor_seconds(load.process.pid)
        return {
            "result": result, "stage": plan["stage"], "words": words, **counts,
            "seconds": round(time.monotonic() - began, 1), "processorSeconds": round(spent, 1),
        }
    finally:
        # The clients first, or they would find nobody.
        for started in (load and load.process, process):
            if started:
                started.send_signal(signal.SIGKILL)
                started.wait()
        shutil.rmtree(folder, ignore_errors=True)


def is_good(line, options):
    if options.kind == "healthy":
        return line["result"] == "passed"
    # Not by its durations, which are as good as the other side's.
    is_by_errors = line["result"] == "sent back" and line["words"].startswith("errors:")
    return is_by_errors and line["newRequests"] <= options.within


def settings(options):
    """Results of other programs, or of other loads, are of another series."""
    with open(options.binary, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()[:12]
    return {"kind": options.kind, "rate": options.rate, "latency": options.latency, "binary": digest}


def read(options, wanted):
    if not os.path.exists(options.output):
        return {}
    with open(options.output, encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    return {line["seed"]: line for line in lines if all(line.get(key) == value for key, value in wanted.items())}


def report(lines, options):
    good = [line for line in lines if is_good(line, options)]
    print(f"{options.kind}: {len(lines)} runs, seeds {min(l['seed'] for l in lines)} to {max(l['seed'] for l in lines)}")
    for result in sorted({line["result"] for line in lines}):
        print(f"  {result}: {sum(line['result'] == result for line in lines)}")
    if options.kind == "regression":
        counts = sorted(line["newRequests"] for line in lines)
        bad = sorted(line["failed"] for line in lines)
        share = 100 * len(good) / len(lines)
        near = 2 * options.rate / 20 + 20
        alike = sum(abs(foretold(line["seed"], options) - line["newRequests"]) <= near for line in lines)
        print(f"  where the test says so from the same draws, to two looks: {alike}")
        print(f"  within {options.within} requests of the new side: {len(good)} ({share:.1f} %; goal ≥ 95 %)")
        for name, part in (("p50", 0.5), ("p95", 0.95)):
            index = min(len(counts) - 1, int(part * len(counts)))
            print(f"  {name}: {counts[index]} requests of the new side, {bad[index]} errors met by clients")
        return share >= 95
    back = [line for line in lines if line["result"] == "sent back"]
    print(f"  sent back: {100 * len(back) / len(lines):.1f} % (goal ≤ 1 %)")
    return len(back) * 100 <= len(lines) and all(line["result"] in ("passed", "sent back") for line in lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--kind", choices=sorted(NEW_ERRORS), required=True)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1, help="of the first run; each further one has the next")
    parser.add_argument("--jobs", type=int, default=1, help="runs side by side")
    parser.add_argument("--rate", type=float, default=900, help="requests a second")
    parser.add_argument("--latency", type=float, default=20000, help="microseconds, the median of both sides")
    parser.add_argument("--within", type=int, default=2800, help="requests of the new side")
    parser.add_argument("--timeout", type=float, default=900, help="seconds of a run")
    parser.add_argument("--output", default="run/migration-runs.jsonl")
    options = parser.parse_args()
    options.binary = os.path.abspath(options.binary)
    os.makedirs(os.path.dirname(os.path.abspath(options.output)), exist_ok=True)
    wanted = settings(options)
    done = read(options, wanted)
    seeds = range(options.seed, options.seed + options.runs)
    lines = [done[seed] for seed in seeds if seed in done]
    if lines:
        print(f"{len(lines)} runs were done before", flush=True)
    # Whoever stops it loses the runs that are under way, and no others.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        program = f"{folder}/migration_load"
        subprocess.run(["cc", "-O2", "-o", program, f"{HERE}/migration_load.c", "-lm"], check=True)

        def one(seed):
            if stopped.is_set():
                return
            try:
                line = {"seed": seed, **wanted, **run(seed, program, options)}
            except (OSError, RuntimeError, ValueError, urllib.error.URLError) as error:
                if isinstance(error, urllib.error.HTTPError):
                    error = f"{error}: {error.read().decode()}"
                line = {"seed": seed, **wanted, "result": "failed", "words": str(error)}
            if stopped.is_set():
                return
            with lock:
                if line["result"] != "failed":
                    lines.append(line)
                    with open(options.output, "a", encoding="utf-8") as file:
                        file.write(json.dumps(line) + "\n")
                verdict = "good" if line["result"] != "failed" and is_good(line, options) else "BAD"
                told = ", ".join(f"{key} {line[key]}" for key in ("stage", "newRequests", "newBad", "failed", "lost") if key in line)
                print(f"seed {seed}: {verdict}: {line['result']}: {told}; {line['words'] or 'no retreat'}"
                      f" ({line.get('seconds')} s, {line.get('processorSeconds')} s of a processor)", flush=True)

        list(pool.map(one, [seed for seed in seeds if seed not in done]))
    if not lines:
        sys.exit("no run was done")
    sys.exit(0 if report(lines, options) and len(lines) == options.runs else 1)


if __name__ == "__main__":
    main()
