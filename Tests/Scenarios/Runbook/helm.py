"""`helm`, as far as docs/runbook.md and scripts/smoke-cluster.sh use it: the charts are rendered by Helm's own engine, and what comes out is handed
to the cluster of the test."""

import argparse
import json
import os
import re
import subprocess
import sys
import time

import yaml

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "Charts"))
from ask import ask, seconds  # noqa: E402
from rendering import Objects, merged, texts  # noqa: E402


def assignments(text):
    """a.b=1,c=x as --set reads it; texts of digits are numbers."""
    values = {}
    for part in text.split(","):
        path, _, value = part.partition("=")
        value = yaml.safe_load(value)
        for name in reversed(path.split(".")):
            value = {name: value}
        values = merged(values, value)
    return values


def values_of(given):
    values = {}
    for path in given.values:
        with open(path, encoding="utf-8") as file:
            values = merged(values, yaml.safe_load(file) or {})
    for text in given.set:
        values = merged(values, assignments(text))
    return values


def is_there(item):
    """Objects that the test's cluster cannot run: CLUSTER_WITHOUT names the part of the release."""
    return item["metadata"]["labels"].get("app.kubernetes.io/name") != os.environ.get("CLUSTER_WITHOUT", "")


def rendered(given, values):
    if os.path.normpath(given.chart) != os.path.join("charts", "otv"):
        sys.exit(f"helm: {given.chart}: not known here")
    # What a cluster brings with it, and no operator says.
    values = merged(json.loads(os.environ["CLUSTER_VALUES"]), values)
    return {path: text for path, text in texts("otv", values, given.release, given.namespace).items()
            if not path.endswith("NOTES.txt")}


def upgrade(given):
    known = ask("release", namespace=given.namespace, name=given.release)
    if not known and not given.install:
        sys.exit(f'Error: UPGRADE FAILED: "{given.release}" has no deployed releases')
    before = known[-1]["values"] if known and given.reset_then_reuse_values else {}
    values = merged(before, values_of(given))
    objects = Objects(item for text in rendered(given, values).values() for item in yaml.safe_load_all(text)
                      if item and is_there(item))
    done = ask("install", namespace=given.namespace, name=given.release, values=values, objects=objects)
    await_all(given)
    print(f'Release "{given.release}" has been upgraded. Happy Helming!\nREVISION: {done["revision"]}')


def await_all(given):
    if not given.wait:
        return
    until = time.monotonic() + seconds(given.timeout)
    while waits := ask("waits_for", namespace=given.namespace, release=given.release)["waits"]:
        if time.monotonic() > until:
            sys.exit(f"Error: UPGRADE FAILED: context deadline exceeded: {waits}")
        time.sleep(0.1)


def roll_back(given):
    ask("roll_back", namespace=given.namespace, name=given.release, revision=given.revision)
    await_all(given)
    print("Rollback was a success! Happy Helming!")


def test(given):
    """The pods that ask whether the release works, one after the other."""
    objects = json.loads(ask("release", namespace=given.namespace, name=given.release)[-1]["objects"])
    tests = [item for item in objects if item["metadata"].get("annotations", {}).get("helm.sh/hook") == "test"]
    if not tests:
        sys.exit("helm: the release has no test")
    for item in tests:
        (container,) = item["spec"]["containers"]
        # Any pod of the image has its program.
        owner = container["image"].rpartition(":")[0].rpartition("/")[2]
        program = ask("of", namespace=given.namespace, kind="deployment", name=owner)["pods"][0]["program"]
        ran = subprocess.run([program, *(by_service(word, given.namespace) for word in container["args"])],
                             capture_output=True, text=True, check=False)
        print(f"TEST SUITE: {item['metadata']['name']}\nPhase: {'Failed' if ran.returncode else 'Succeeded'}")
        if ran.returncode:
            sys.exit(f"Error: pod {item['metadata']['name']} failed: {ran.stderr.strip()}")


def by_service(word, namespace):
    """http://SERVICE:PORT/… as one of the pods behind the Service has it."""
    found = re.match(r"http://([a-z0-9-]+):\d+(?=/)", word)
    if not found:
        return word
    with open(os.path.join(os.environ["CLUSTER"], "services", f"{namespace}.{found[1]}"), encoding="utf-8") as file:
        return word.replace(found[0], "http://" + file.readline().strip())


def history(given):
    known = ask("release", namespace=given.namespace, name=given.release)
    print("REVISION\tSTATUS")
    for number, _ in enumerate(known, 1):
        print(f"{number}\t{'deployed' if number == len(known) else 'superseded'}")


def dependency(given):
    # The folders beside the chart are packed when it is rendered.
    if not os.path.exists(os.path.join(given.chart, "Chart.yaml")):
        sys.exit(f"Error: {given.chart}: no chart")


def main():
    common = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    common.add_argument("-n", "--namespace", default="default")
    common.add_argument("--wait", action="store_true")
    common.add_argument("--timeout", default="5m")
    parser = argparse.ArgumentParser(prog="helm", allow_abbrev=False)
    verbs = parser.add_subparsers(dest="verb", required=True)

    def verb(name, act, *words):
        made = verbs.add_parser(name, parents=[common], allow_abbrev=False)
        for word in words:
            made.add_argument(word)
        made.set_defaults(act=act)
        return made
    made = verb("upgrade", upgrade, "release", "chart")
    made.add_argument("-f", "--values", action="append", default=[])
    made.add_argument("--set", action="append", default=[])
    for switch in ("--install", "--create-namespace", "--reset-then-reuse-values"):
        made.add_argument(switch, action="store_true")
    verb("rollback", roll_back, "release").add_argument("revision", type=int, nargs="?")
    verb("history", history, "release")
    verb("test", test, "release")
    depends = verb("dependency", dependency)
    depends.add_argument("what", choices=["build", "update"])
    depends.add_argument("chart")
    given = parser.parse_args()
    given.act(given)


if __name__ == "__main__":
    main()
