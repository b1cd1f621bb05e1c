#!/usr/bin/env python3
"""Counts user-mode instructions per proxied request of 1 KiB: the balancer beside nginx and HAProxy.

Each proxy runs under callgrind with one worker and 8 connections, once for few requests and once for many; the difference
leaves out the start. The number does not depend on what else the machine does, and repeats to a few tenths of a percent.
System calls are not in it: the kernel's part is the same four calls for everyone.

With --tls it counts TLS instead: a new connection (a handshake, one request, a close), a resumed one, and a request over connections
that are kept; beside the floor too, a C program that does nothing but what OpenSSL and the kernel must. callgrind knows neither ADX
nor the processor's SHA instructions, so that it counts more for the arithmetic than the processor runs.

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


def connections(client, port, count, resumed):
    out = subprocess.run([client, str(port), "/1k", f"x{count}", "resumed" if resumed else "new"],
                         capture_output=True, text=True, check=True).stdout
    answered, again = (int(number) for number in re.findall(r"\d+", out))
    # Each of the four clients begins with a new one.
    if answered != count or again != (count - 4 if resumed else 0):
        sys.exit(f"connections were not answered as they should be: {out}")


def secure_requests(port, count, target, http2=False):
    out = subprocess.run(["h2load", "-m1" if http2 else "--h1", f"-c{CONNECTIONS}", f"-n{count}",
                          f"https://localhost:{port}/{target}"], capture_output=True, text=True, check=True).stdout
    if f"{count} succeeded" not in out:
        sys.exit(f"not all requests were answered:\n{out}")


STAGES = {"no plan": None, "a stage of 5 %": {"share": 5}, "a stage of copies, 10 %": {"mirror": 10}}


# In the name of what a worker runs, and no other thread.
WORKER = "WorkerCoreC4turn"


def count(folder, start, number, worker=False, load=requests):
    """Instructions of one run of `number` requests, start and stop included. `worker`: of the thread that serves alone; plans are
    judged on another, by the second. `load` makes the requests, given the port and how many."""
    path = os.path.join(tempfile.mkdtemp(dir=folder), "callgrind.out")
    proxies.Running.under = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={path}", "--error-limit=no",
                             f"--separate-threads={'yes' if worker else 'no'}"]
    try:
        running = begin(start)
    finally:
        proxies.Running.under = []
    load(running.port, number)
    # To nginx, too, an end that waits for nobody. A shell's background jobs, and what they start, may be deaf to SIGINT.
    running.process.send_signal(signal.SIGTERM)
    running.process.wait(120)
    return sum(total(file, WORKER if worker else "") for file in glob.glob(path + "*"))


def begin(start):
    """valgrind itself now and then breaks off where a thread begins, before anything is served: then once more."""
    for _ in range(5):
        try:
            return start()
        except RuntimeError as error:
            print(f"again: {error}", file=sys.stderr)
    return start()


def total(path, name):
    """Of a thread that has run what has that in its name."""
    with open(path) as file:
        text = file.read()
    found = re.search(r"^(?:summary|totals): (\d+)", text, re.MULTILINE)
    return int(found[1]) if found and name in text else 0


def per_request(folder, start, worker=False, load=requests, few=FEW, many=MANY):
    return (count(folder, start, many, worker, load) - count(folder, start, few, worker, load)) / (many - few)


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


def measure_tls(names, binary=None):
    """Prints a row as soon as it is counted."""
    with tempfile.TemporaryDirectory(prefix="balancer-instructions-") as folder:
        os.chmod(folder, 0o755)
        origin = proxies.origin(folder, {"1k": 1_024, "64k": 65_536})
        strip(folder, binary)
        client = proxies.handshakes(folder)
        starts = {
            "balancer": lambda tls: proxies.balancer(folder, origin.port, batching=False, tls=tls),
            "nginx": lambda tls: proxies.nginx(folder, origin.port, alone=True, tls=tls),
            "haproxy": lambda tls: proxies.haproxy(folder, origin.port, tls=tls),
            "floor": lambda tls: proxies.tls_floor(folder, origin.port, tls=tls),
        }
        rows = [
            ("HTTP/1.1, 1 KiB", "ecdsa", 500, 2_500, lambda port, number: secure_requests(port, number, "1k")),
            ("HTTP/1.1, 64 KiB", "ecdsa", 200, 1_000, lambda port, number: secure_requests(port, number, "64k")),
            ("HTTP/2, 1 KiB", "ecdsa", 500, 2_500, lambda port, number: secure_requests(port, number, "1k", http2=True)),
            ("new connection, ECDSA", "ecdsa", 50, 250, lambda port, number: connections(client, port, number, False)),
            ("resumed connection", "ecdsa", 50, 250, lambda port, number: connections(client, port, number, True)),
            ("new connection, RSA 2048", "rsa", 50, 250, lambda port, number: connections(client, port, number, False)),
        ]
        print("| what | " + " | ".join(names) + " |\n|---|" + "---:|" * len(names), flush=True)
        try:
            for what, kind, few, many, load in rows:
                tls = proxies.Certificate(folder, kind)
                values = []
                for name in names:
                    if name == "floor" and "HTTP/2" in what:
                        values.append("-")
                        continue
                    value = per_request(folder, lambda: starts[name](tls), load=load, few=few, many=many)
                    values.append(f"{value:,.0f}")
                print(f"| {what} | " + " | ".join(values) + " |", flush=True)
        finally:
            origin.stop()


def report(results):
    lines = ["| proxy | instructions per request |", "|---|---:|"]
    lines += [f"| {name} | {value:,.0f} |" for name, value in results.items()]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="which, separated by commas; balancer,nginx,haproxy, and with --tls floor")
    parser.add_argument("--tls", action="store_true", help="TLS: connections, and requests over them")
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
    names = (options.only or "balancer,nginx,haproxy" + (",floor" if options.tls else "")).split(",")
    if options.tls:
        return measure_tls(names, options.binary)
    print(report(measure(names, options.binary)), end="")


if __name__ == "__main__":
    main()
