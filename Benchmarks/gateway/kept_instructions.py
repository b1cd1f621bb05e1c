#!/usr/bin/env python3
"""Counts user-mode instructions per kept answer: the gateway beside the floor, which does nothing but send the same bytes.

Each runs under callgrind with 8 connections, once for few requests and once for many; the difference leaves out the start. The
number does not depend on what else the machine does, and repeats to a few tenths of a percent. System calls are not in it: the
kernel's part is the same three calls for both (epoll_wait, read, write).

    kept_instructions.py [--binary PATH]

Needs valgrind, h2load and gcc (scripts/install-peers.sh).
"""
import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

import bench_gateway

FEW, MANY, CONNECTIONS = 1_000, 6_000, 8
# What a page sends that is not the gateway's own.
PAGE = ["origin: https://example.org", "accept-encoding: gzip, br, zstd"]


def ask(port, path, count, headers):
    command = ["h2load", "--h1", f"-c{CONNECTIONS}", f"-n{count}"]
    for header in headers:
        command += ["-H", header]
    out = subprocess.run(command + [f"http://127.0.0.1:{port}{path}"], capture_output=True, text=True, check=True).stdout
    if f"{count} succeeded" not in out:
        sys.exit(f"not all requests were answered:\n{out}")


def count(folder, command, port_in, path, number, headers):
    """Instructions of one run of `number` requests, start and stop included."""
    output = os.path.join(folder, "callgrind.out")
    environment = dict(os.environ, LOG_LEVEL="critical", NIO_SINGLETON_GROUP_LOOP_COUNT="1")
    process = subprocess.Popen(
        ["valgrind", "--tool=callgrind", f"--callgrind-out-file={output}", "--error-limit=no", *command],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)
    try:
        port = int(re.search(port_in, process.stdout.readline())[1])
        bench_gateway.get(port, path)
        ask(port, path, number, headers)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(90)
    with open(output) as file:
        return int(re.search(r"^(?:summary|totals): (\d+)", file.read(), re.MULTILINE)[1])


def per_request(folder, command, port_in, path, headers=()):
    # A list of 3 MB a thousand times would mostly be the load's work.
    few, many = (FEW // 20, MANY // 20) if path == "/candidates" else (FEW, MANY)
    return (count(folder, command, port_in, path, many, headers)
            - count(folder, command, port_in, path, few, headers)) / (many - few)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=os.path.join(bench_gateway.ROOT, ".build", "release", "gateway"))
    options = parser.parse_args()
    for tool in ("valgrind", "h2load", "gcc", "strip"):
        if not shutil.which(tool):
            sys.exit(f"kept_instructions: {tool} is missing: run scripts/install-peers.sh")
    with tempfile.TemporaryDirectory(prefix="gateway-instructions-") as folder:
        # callgrind does not read the binary's debug information; a stripped copy runs alike.
        binary = os.path.join(folder, "gateway")
        subprocess.run(["strip", "-o", binary, options.binary], check=True)
        data = os.path.join(folder, "sample.sqlite")
        subprocess.run([binary, "sample", "--to", data], check=True, stdout=subprocess.DEVNULL)
        with bench_gateway.gateway(binary, folder, "kept", f"sqlite:{data}", cache=86_400_000, deadline=600_000) as server:
            stash = json.loads(bench_gateway.get(server[1], "/candidates")[2])[0]["stash"]
            cases = [(path, path, 0) for path in ("/healthcheck", f"/candidate/{stash}", "/candidates")]
            floor = bench_gateway.sending_floor(folder, server[1], cases)
        own = [binary, "serve", "--config", os.path.join(folder, "kept.json")]
        print("| answer | floor | gateway, plain | gateway, zstd | gateway, to a page |\n|---|---:|---:|---:|---:|")
        for path, _, _ in cases:
            values = [
                per_request(folder, floor, r"^(\d+)$", path), per_request(folder, own, r":(\d+): ", path),
                per_request(folder, own, r":(\d+): ", path, ["accept-encoding: zstd"]),
                per_request(folder, own, r":(\d+): ", path, PAGE),
            ]
            print(f"| `{'/'.join(path.split('/')[:2])}` | " + " | ".join(f"{value:,.0f}" for value in values) + " |", flush=True)


if __name__ == "__main__":
    main()
