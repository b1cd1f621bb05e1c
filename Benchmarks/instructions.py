#!/usr/bin/env python3
"""Counts user-mode instructions per proxied request of 1 KiB: the balancer beside nginx and HAProxy.

Each proxy runs under callgrind with one worker and 8 connections, once for few requests and once for many; the difference
leaves out the start. The number does not depend on what else the machine does, and repeats to a few tenths of a percent.
System calls are not in it: the kernel's part is the same four calls for everyone.

With --stages it counts what a plan costs the thread that serves requests: none, a stage of 5 %, and a stage in which 10 % are copied.
"""

import argparse
import glob
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile

import proxies

FEW, MANY, CONNECTIONS = 1_000, 6_000, 8


def requests(port, count):
    out = subprocess.run(["h2load", "--h1", f"-c{CONNECTIONS}", f"-n{count}", f"http://127.0.0.1:{port}/1k"],
                         capture_output=True, text=True, check=True).stdout
    if f"{count} succeeded" not in out:
        sys.exit(f"not all requests were answered:\n{out}")


STAGES = {"no plan": None, "a stage of 5 %": {"share": 5}, "a stage of copies, 10 %": {"mirror": 10}}


# In the name of what a worker runs, and no other thread.
WORKER = "WorkerCoreC4turn"


def count(folder, start, number, worker=False):
    """Instructions of one run of `number` requests, start and stop included. `worker`: of the thread that serves alone; plans are
    judged on another, by the second."""
    path = os.path.join(tempfile.mkdtemp(dir=folder), "callgrind.out")
    proxies.Running.under = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={path}", "--error-limit=no",
                             f"--separate-threads={'yes' if worker else 'no'}"]
    try:
        running = start()
    finally:
        proxies.Running.under = []
    requests(running.port, number)
    # Quickly, and without what a graceful end would add.
    running.process.send_signal(signal.SIGINT if "nginx" in str(running.process.args) else signal.SIGTERM)
    running.process.wait(60)
    return sum(total(file, WORKER if worker else "") for file in glob.glob(path + "*"))


def total(path, name):
    """Of a thread that has run what has that in its name."""
    with open(path) as file:
        text = file.read()
    found = re.search(r"^(?:summary|totals): (\d+)", text, re.MULTILINE)
    return int(found[1]) if found and name in text else 0


def per_request(folder, start, worker=False):
    return (count(folder, start, MANY, worker) - count(folder, start, FEW, worker)) / (MANY - FEW)


def strip(folder, binary):
    """callgrind does not read the binary's debug information; a copy without it runs alike."""
    stripped = os.path.join(folder, "balancer")
    subprocess.run(["strip", "-g", "-o", stripped, binary or proxies.balancer_binary()], check=True)
    os.environ["BALANCER_BINARY"] = stripped


def measure_stages(binary=None):
    with tempfile.TemporaryDirectory(prefix="balancer-instructions-") as folder:
        origin = proxies.origin(folder, {"1k": 1_024})
        strip(folder, binary)
        try:
            return {
                name: per_request(
                    folder, lambda: proxies.balancer(folder, origin.port, batching=False, stage=stage), worker=True)
                for name, stage in STAGES.items()
            }
        finally:
            origin.stop()


def measure(names, binary=None):
    """Instructions per request by name; a proxy that is not installed is left out."""
    with tempfile.TemporaryDirectory(prefix="balancer-instructions-") as folder:
        origin = proxies.origin(folder, {"1k": 1_024})
        try:
            results = {}
            for name in names:
                if name == "balancer":
                    strip(folder, binary)
                    results[name] = per_request(folder, lambda: proxies.balancer(folder, origin.port, batching=False))
                elif name == "nginx" and proxies.available(name):
                    results[name] = per_request(folder, lambda: proxies.nginx(folder, origin.port, alone=True))
                elif proxies.available(name):
                    results[name] = per_request(folder, lambda: proxies.PEERS[name](folder, origin.port))
            return results
        finally:
            origin.stop()


def report(results):
    lines = ["| proxy | instructions per request |", "|---|---:|"]
    lines += [f"| {name} | {value:,.0f} |" for name, value in results.items()]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="balancer,nginx,haproxy", help="which, separated by commas")
    parser.add_argument("--stages", action="store_true", help="the balancer alone, without a plan and with stages of one")
    parser.add_argument("--binary", help="the balancer to count, in place of the release build")
    options = parser.parse_args()
    for tool in ("valgrind", "h2load"):
        if not shutil.which(tool):
            sys.exit(f"{tool} is missing: scripts/install-peers.sh installs it")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20_000), hard))
    if options.stages:
        return print(report(measure_stages(options.binary)), end="")
    print(report(measure(options.only.split(","), options.binary)), end="")


if __name__ == "__main__":
    main()
