"""A cluster on one machine, for the tests of docs/runbook.md: it keeps the objects that a release consists of, runs
their pods as processes, and answers the stand-ins of `helm` and `kubectl`. Where Kubernetes waits for seconds, it waits
for `--pace` of them."""

import argparse
import copy
import hashlib
import json
import os
import random
import shutil
import signal
import socket
import sys
import threading
import time

from answers import serve
from names import NameServer
from objects import key_of
from pods import Pod

# Ports of the charts. Where one is taken on this machine, another one stands for it.
PORTS = [3300, 3301, 8080, 9901, 9902]


class Cluster:
    def __init__(self, folder, programs, pace):
        self.folder, self.programs, self.pace = folder, programs, pace
        self.lock = threading.RLock()
        self.objects = {}
        self.releases = {}
        self.replicas = {}
        self.restarted = {}
        self.broken = set()
        self.unasked = set()
        self.pods = []
        self.numbers = 0
        self.network = f"127.{random.randrange(64, 250)}.{random.randrange(1, 250)}."
        self.hosts = 1
        self.ports = {port: self.free(port) for port in PORTS}
        self.names = NameServer(self.network + "1", self.look_up)

    def log(self, text):
        print(f"{time.monotonic():.2f} {text}", file=sys.stderr, flush=True)

    # The network

    def free(self, port):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((self.network + "1", port))
            except OSError:
                probe.bind((self.network + "1", 0))
            return probe.getsockname()[1]

    def port(self, number):
        return self.ports.get(number, number)

    def local(self, word):
        for port, taken in self.ports.items():
            word = word.replace(f":{port}", f":{taken}")
        return word

    def next_address(self):
        with self.lock:
            self.hosts += 1
            return f"{self.network}{self.hosts}"

    def look_up(self, name):
        """Addresses of SERVICE.NAMESPACE.svc.cluster.local."""
        parts = name.split(".")
        if parts[2:] != ["svc", "cluster", "local"]:
            return None
        with self.lock:
            service = self.find("Service", parts[1], parts[0])
            return [pod.ip for pod in self.behind(service)] if service else None

    def behind(self, service):
        selector = service["spec"]["selector"].items()
        return [pod for pod in self.pods if pod.ready and not pod.terminating and selector <= pod.labels.items()
                and pod.owner["metadata"]["namespace"] == service["metadata"]["namespace"]]

    # Objects

    def find(self, kind, namespace, name):
        return self.objects.get((kind, namespace, name))

    def content(self, namespace, volume):
        """The files of a volume; None for folders of a pod's own."""
        if "configMap" in volume:
            found = self.find("ConfigMap", namespace, volume["configMap"]["name"])
            return found and found["data"]
        if "secret" in volume:
            found = self.find("Secret", namespace, volume["secret"]["secretName"])
            return found and found["stringData"]
        return None

    def put(self, namespace, items, release=None):
        """All objects of a release, or single ones; what a release had before and has no more is gone."""
        with self.lock:
            known = set()
            for item in items:
                item["metadata"]["namespace"] = namespace
                item["release"] = release
                known.add(key_of(item))
                self.objects[key_of(item)] = item
            for key in [key for key, item in self.objects.items() if release and item["release"] == release]:
                if key not in known and key[1] == namespace:
                    del self.objects[key]

    def workloads(self):
        return [item for item in self.objects.values() if item["kind"] in ("Deployment", "StatefulSet")]

    def desired(self, item):
        """What was asked for by hand or by the autoscaler, else what the objects say."""
        key = key_of(item)[1:]
        scaler = self.find("HorizontalPodAutoscaler", *key)
        if key in self.replicas:
            return self.replicas[key]
        return scaler["spec"]["minReplicas"] if scaler else item["spec"].get("replicas", 1)

    def template(self, item):
        template = copy.deepcopy(item["spec"]["template"])
        moment = self.restarted.get(key_of(item))
        if moment:
            template["metadata"].setdefault("annotations", {})["restartedAt"] = moment
        return template, hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:10]

    def owned(self, item):
        return [pod for pod in self.pods if not pod.terminating and key_of(pod.owner) == key_of(item)]

    # What controllers do

    def step(self):
        with self.lock:
            for pod in [pod for pod in self.pods if pod.gone]:
                self.pods.remove(pod)
            now = time.monotonic()
            for item in self.workloads():
                (self.roll if item["kind"] == "Deployment" else self.replace)(item)
            owners = {key_of(item) for item in self.workloads()}
            for pod in self.pods:
                if key_of(pod.owner) not in owners:
                    pod.terminate()
            pods = list(self.pods)
        for pod in pods:
            pod.step(now)
        self.publish()

    def create(self, item, name, mark, template):
        pod = Pod(self, item, name, mark, template)
        self.log(f"{name} is created at {pod.ip}")
        self.pods.append(pod)

    def roll(self, item):
        """A Deployment: one more than wanted, never fewer ready."""
        template, mark = self.template(item)
        wanted = self.desired(item)
        pods = self.owned(item)
        new = [pod for pod in pods if pod.mark == mark]
        old = [pod for pod in pods if pod.mark != mark]
        strategy = item["spec"]["strategy"]["rollingUpdate"]
        while len(new) < wanted and len(new) + len(old) < wanted + (strategy["maxSurge"] if old else 0):
            self.numbers += 1
            self.create(item, f"{item['metadata']['name']}-{mark}-{self.numbers:05d}", mark, template)
            new.append(self.pods[-1])
        ready = sum(pod.ready for pod in new + old)
        for pod in sorted(old, key=lambda pod: pod.ready):
            if not pod.ready or ready - 1 >= wanted - strategy["maxUnavailable"]:
                ready -= pod.ready
                old.remove(pod)
                pod.terminate()
        if not old:
            # The youngest, and before them those that are not ready.
            new.sort(key=lambda pod: (pod.ready, -int(pod.ip.rpartition(".")[2])))
            for pod in new[:max(0, len(new) - wanted)]:
                pod.terminate()

    def replace(self, item):
        """A StatefulSet: the old pod goes before the new one comes."""
        template, mark = self.template(item)
        wanted = [f"{item['metadata']['name']}-{number}" for number in range(self.desired(item))]
        for pod in self.owned(item):
            if pod.mark != mark or pod.name not in wanted:
                pod.terminate()
        there = {pod.name for pod in self.pods}
        for name in wanted:
            if name not in there:
                self.create(item, name, mark, template)

    def unsettled(self, item):
        """What a roll-out still waits for; empty when it is done."""
        _, mark = self.template(item)
        wanted = self.desired(item)
        pods = self.owned(item)
        new = [pod for pod in pods if pod.mark == mark]
        if len(new) < wanted:
            return f"{len(new)} out of {wanted} new replicas have been updated"
        if len(pods) > len(new) or len(new) > wanted:
            return f"{len(pods) - wanted} old replicas are pending termination"
        ready = sum(pod.ready for pod in new)
        return f"{ready} of {wanted} updated replicas are available" if ready < wanted else ""

    def publish(self):
        """The addresses behind each Service, one a line, for the clients of the tests."""
        with self.lock:
            found = {}
            for (kind, namespace, name), item in self.objects.items():
                # One that has no port leads nowhere: it is a StatefulSet's, for the names of its pods.
                if kind == "Service" and "ports" in item["spec"]:
                    target = item["spec"]["ports"][0]["targetPort"]
                    lines = []
                    for pod in self.behind(item):
                        ports = {port["name"]: port["containerPort"] for port in pod.container.get("ports", [])}
                        lines.append(f"{pod.ip}:{self.port(ports.get(target, target))}")
                    found[f"{namespace}.{name}"] = "\n".join(lines)
            for (kind, namespace, _), item in self.objects.items():
                if kind == "Ingress":
                    rule = item["spec"]["rules"][0]
                    service = rule["http"]["paths"][0]["backend"]["service"]["name"]
                    found[rule["host"]] = found[f"{namespace}.{service}"]
        for name, text in found.items():
            path = os.path.join(self.folder, "services", name)
            if not os.path.exists(path) or open(path, encoding="utf-8").read() != text:
                with open(path + ".new", "w", encoding="utf-8") as file:
                    file.write(text)
                os.rename(path + ".new", path)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", required=True)
    parser.add_argument("--balancer", required=True)
    parser.add_argument("--gateway", required=True)
    parser.add_argument("--pace", type=float, default=0.2)
    given = parser.parse_args()
    for name in ("pods", "services"):
        os.makedirs(os.path.join(given.folder, name))
    cluster = Cluster(given.folder, {"balancer": given.balancer, "gateway": given.gateway}, given.pace)
    stopped = threading.Event()
    # Whoever started this may have its signals blocked, and that is inherited.
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    serve(cluster, os.path.join(given.folder, "cluster.sock"))
    print("ready", flush=True)
    while not stopped.is_set():
        cluster.step()
        time.sleep(0.03)
    for pod in cluster.pods:
        if pod.process:
            pod.process.kill()
    shutil.rmtree(os.path.join(given.folder, "services"))


if __name__ == "__main__":
    main()
