"""`kubectl`, as far as docs/runbook.md and scripts/smoke-cluster.sh use it, for the cluster of the test. What it does not know, it refuses."""

import argparse
import json
import os
import sys
import time

from ask import ask, seconds


def target(text):
    """KIND/NAME, or the name of a pod."""
    kind, _, name = text.rpartition("/")
    return {"": "pod", "pods": "pod", "deploy": "deployment", "sts": "statefulset"}.get(kind, kind), name


def get(given):
    if given.what != "pods":
        sys.exit(f"kubectl get {given.what}: not known here")
    pods = ask("get", namespace=given.namespace, selector=given.selector or "", name=given.name or "")["pods"]
    if given.output == "name":
        for pod in pods:
            # As in a cluster: also a pod that is about to go is listed.
            print(f"pod/{pod['name']}")
        return
    rows = [["NAME", "READY", "STATUS", "RESTARTS"] + (["IP"] if given.output == "wide" else [])]
    for pod in pods:
        rows.append([pod["name"], f"{int(pod['ready'])}/1", pod["state"], str(pod["restarts"])]
                    + ([pod["ip"]] if given.output == "wide" else []))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("   ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def run(given, command):
    kind, name = target(given.target)
    pods = ask("of", namespace=given.namespace, kind=kind, name=name)["pods"]
    if not pods:
        sys.exit(f'Error from server (NotFound): {kind} "{name}" not found')
    pod = pods[0]
    if os.path.basename(pod["program"]) != command[0]:
        sys.exit(f'exec: "{command[0]}": executable file not found in $PATH')
    ports = ask("ports")
    # The pod's own files, its own loopback address, and its ports by what stands for them here.
    words = [pod["root"] + word if word.startswith("/code/") else word for word in command[1:]]
    words = [word.replace("127.0.0.1", pod["ip"]) for word in words]
    for port, taken in ports.items():
        words = [word.replace(f":{port}", f":{taken}") for word in words]
    if not given.stdin:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    environment = {name: value.replace(":9901", f":{ports['9901']}") for name, value in pod["environment"].items()}
    os.execve(pod["program"], [command[0], *words], {**os.environ, **environment})


def rollout(given):
    kind, name = target(given.target)
    if given.what == "restart":
        ask("restart", namespace=given.namespace, kind=kind, name=name)
        print(f"{kind}.apps/{name} restarted")
        return
    until = time.monotonic() + seconds(given.timeout)
    last = None
    while waits := ask("waits_for", namespace=given.namespace, kind=kind, name=name)["waits"]:
        if waits != last:
            print(f'Waiting for {kind} "{name}" rollout to finish: {waits}...', flush=True)
            last = waits
        if time.monotonic() > until:
            sys.exit("error: timed out waiting for the condition")
        time.sleep(0.1)
    print(f'{kind} "{name}" successfully rolled out')


def delete(given):
    if given.kind != "pod":
        sys.exit(f"kubectl delete {given.kind}: not known here")
    for name in given.names:
        ask("delete", namespace=given.namespace, name=target(name)[1])
        print(f'pod "{target(name)[1]}" deleted')
        # As kubectl: until it is gone.
        while ask("exists", namespace=given.namespace, name=target(name)[1])["exists"]:
            time.sleep(0.1)


def patch(given):
    ask("patch", namespace=given.namespace, kind=given.kind, name=given.name, changes=json.loads(given.patch))
    print(f"{given.kind}.networking.k8s.io/{given.name} patched")


def wait(given):
    until = time.monotonic() + seconds(given.timeout)
    while pods := ask("get", namespace=given.namespace, selector=given.selector)["pods"]:
        if time.monotonic() > until:
            sys.exit(f"error: timed out waiting for the condition on pods/{pods[0]['name']}")
        time.sleep(0.1)


def scale(given):
    kind, name = target(given.target)
    ask("scale", namespace=given.namespace, name=name, replicas=given.replicas)
    print(f"{kind}.apps/{name} scaled")


def logs(given):
    kind, name = target(given.target)
    for pod in ask("of", namespace=given.namespace, kind=kind, name=name)["pods"][:1]:
        with open(pod["root"] + ".log", encoding="utf-8") as file:
            sys.stdout.write("".join(file.readlines()[-given.tail:]))


def main():
    words = sys.argv[1:]
    command = []
    if "--" in words:
        words, command = words[:words.index("--")], words[words.index("--") + 1:]
    common = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    common.add_argument("-n", "--namespace", default=argparse.SUPPRESS)
    parser = argparse.ArgumentParser(prog="kubectl", parents=[common], allow_abbrev=False)
    verbs = parser.add_subparsers(dest="verb", required=True)

    def verb(name):
        return verbs.add_parser(name, parents=[common], allow_abbrev=False)
    shown = verb("get")
    shown.add_argument("what")
    shown.add_argument("name", nargs="?")
    shown.add_argument("-l", "--selector")
    shown.add_argument("-o", "--output", choices=["name", "wide"])
    ran = verb("exec")
    ran.add_argument("target")
    ran.add_argument("-c", "--container")
    ran.add_argument("-i", "--stdin", action="store_true")
    rolled = verb("rollout")
    rolled.add_argument("what", choices=["status", "restart"])
    rolled.add_argument("target")
    rolled.add_argument("--timeout", default="10m")
    deleted = verb("delete")
    deleted.add_argument("kind")
    deleted.add_argument("names", nargs="+")
    scaled = verb("scale")
    scaled.add_argument("target")
    scaled.add_argument("--replicas", type=int, required=True)
    awaited = verb("wait")
    awaited.add_argument("--for", choices=["delete"], required=True)
    awaited.add_argument("kind", choices=["pod"])
    awaited.add_argument("-l", "--selector", required=True)
    awaited.add_argument("--timeout", default="30s")
    patched = verb("patch")
    patched.add_argument("kind", choices=["ingress"])
    patched.add_argument("name")
    patched.add_argument("--type", choices=["json"], required=True)
    patched.add_argument("-p", "--patch", required=True)
    told = verb("logs")
    told.add_argument("target")
    told.add_argument("--tail", type=int, default=1000000)
    given = parser.parse_args(words)
    given.namespace = getattr(given, "namespace", "default")
    if given.verb == "exec":
        run(given, command)
    else:
        acts = {"get": get, "rollout": rollout, "delete": delete, "wait": wait, "scale": scale, "patch": patch,
                "logs": logs}
        acts[given.verb](given)


if __name__ == "__main__":
    main()
