"""What the cluster answers to the stand-ins of `helm` and `kubectl`, and to the tests: a line of JSON each way."""

import json
import os
import signal
import socketserver
import subprocess
import tempfile
import threading
import time

import yaml

from objects import key_of


class Answers:
    def __init__(self, cluster):
        self.cluster = cluster

    # Releases

    def release(self, namespace, name):
        return self.cluster.releases.get((namespace, name), [])

    def install(self, namespace, name, values, objects):
        """A new revision; its pre-upgrade hooks run first, and if one fails nothing is changed."""
        hooks = [item for item in objects if "helm.sh/hook" in item["metadata"].get("annotations", {})]
        event = "pre-upgrade" if self.release(namespace, name) else "pre-install"
        problem = self.run_hooks([hook for hook in hooks if event in hook["metadata"]["annotations"]["helm.sh/hook"]])
        if problem:
            return {"error": problem}
        with self.cluster.lock:
            revisions = self.cluster.releases.setdefault((namespace, name), [])
            revisions.append({"values": values, "objects": json.dumps(objects)})
            self.cluster.put(namespace, [item for item in objects if item not in hooks], release=name)
        return {"revision": len(self.release(namespace, name))}

    def roll_back(self, namespace, name, revision):
        history = self.release(namespace, name)
        chosen = history[(revision or len(history) - 1) - 1]
        return self.install(namespace, name, chosen["values"], json.loads(chosen["objects"]))

    def run_hooks(self, hooks):
        """Jobs, with the files of the hooks beside them."""
        files = {(item["kind"], item["metadata"]["name"]): item for item in hooks}
        for job in [hook for hook in hooks if hook["kind"] == "Job"]:
            spec = job["spec"]["template"]["spec"]
            container = spec["containers"][0]
            volumes = {volume["name"]: volume for volume in spec.get("volumes", [])}
            with tempfile.TemporaryDirectory(dir=self.cluster.folder) as root:
                for mount in container.get("volumeMounts", []):
                    chosen = files[("ConfigMap", volumes[mount["name"]]["configMap"]["name"])]
                    os.makedirs(root + mount["mountPath"])
                    for key, text in chosen["data"].items():
                        with open(os.path.join(root + mount["mountPath"], key), "w", encoding="utf-8") as file:
                            file.write(text)
                words = [root + word if word.startswith("/") else word for word in container["args"]]
                ran = subprocess.run(
                    [self.cluster.programs["balancer"], *words], capture_output=True, text=True, check=False)
            if ran.returncode:
                return f"UPGRADE FAILED: hook {job['metadata']['name']} failed: {ran.stderr.strip()}"
        return ""

    def apply(self, namespace, file):
        """The objects of a file, of no release."""
        with open(file, encoding="utf-8") as text:
            self.cluster.put(namespace, list(yaml.safe_load_all(text)))
        return {}

    # Objects

    def get(self, namespace, selector="", name=""):
        wanted = dict(part.split("=", 1) for part in selector.split(",") if part)
        with self.cluster.lock:
            found = [pod.facts() for pod in self.cluster.pods if pod.owner["metadata"]["namespace"] == namespace
                     and wanted.items() <= pod.labels.items() and name in ("", pod.name)]
        return {"pods": found}

    def of(self, namespace, kind, name):
        """The pods of a workload, or that one pod; those that serve first."""
        pods = self.get(namespace)["pods"]
        if kind == "pod":
            return {"pods": [pod for pod in pods if pod["name"] == name]}
        return {"pods": sorted([pod for pod in pods if pod["owner"] == name], key=lambda pod: not pod["ready"])}

    def waits_for(self, namespace, kind="", name="", release=""):
        """What a roll-out, or all of a release's, still waits for."""
        with self.cluster.lock:
            items = [item for item in self.cluster.workloads() if item["metadata"]["namespace"] == namespace and (
                item["release"] == release if release else
                (item["kind"].lower(), item["metadata"]["name"]) == (kind, name))]
            if not items and not release:
                return {"error": f'{kind}s.apps "{name}" not found'}
            return {"waits": next((text for text in map(self.cluster.unsettled, items) if text), "")}

    def restart(self, namespace, kind, name):
        with self.cluster.lock:
            for item in self.cluster.workloads():
                if (item["kind"].lower(), *key_of(item)[1:]) == (kind, namespace, name):
                    self.cluster.restarted[key_of(item)] = str(time.time())
                    return {}
        return {"error": f'{kind}s.apps "{name}" not found'}

    def scale(self, namespace, name, replicas):
        with self.cluster.lock:
            self.cluster.replicas[(namespace, name)] = replicas
        return {}

    def delete(self, namespace, name):
        with self.cluster.lock:
            for pod in self.cluster.pods:
                if pod.owner["metadata"]["namespace"] == namespace and pod.name == name and not pod.terminating:
                    pod.terminate()
                    return {}
        return {"error": f'pods "{name}" not found'}

    def patch(self, namespace, kind, name, changes):
        """JSON Patch (RFC 6902), of which only `replace` is needed."""
        with self.cluster.lock:
            item = self.cluster.find(kind.capitalize(), namespace, name)
            if item is None:
                return {"error": f'{kind} "{name}" not found'}
            for change in changes:
                *way, last = [int(part) if part.isdigit() else part for part in change["path"].split("/")[1:]]
                place = item
                for part in way:
                    place = place[part]
                assert change["op"] == "replace" and place[last] is not None
                place[last] = change["value"]
        return {}

    def exists(self, namespace, name):
        return {"exists": bool(self.get(namespace, name=name)["pods"])}

    # What happens to pods

    def strike(self, namespace, name, number, stays=False):
        """A signal to a pod's process; with `stays` it does not come back by itself. While it is stopped the kubelet does not ask it:
        the pod is slow for who asks the balancer, and neither leaves nor is restarted because of a machine that is slow itself."""
        with self.cluster.lock:
            if stays:
                self.cluster.broken.add(name)
            (self.cluster.unasked.add if number == "SIGSTOP" else self.cluster.unasked.discard)(name)
            for pod in self.cluster.pods:
                if pod.name == name and pod.process:
                    pod.process.send_signal(signal.Signals[number])
        return {}

    def mend(self):
        with self.cluster.lock:
            self.cluster.broken.clear()
        return {}

    def ports(self):
        return {str(port): taken for port, taken in self.cluster.ports.items()}


def serve(cluster, path):
    answers = Answers(cluster)

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            asked = json.loads(self.rfile.readline())
            answer = getattr(answers, asked.pop("ask"))(**asked)
            self.wfile.write(json.dumps(answer).encode() + b"\n")

    class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
        daemon_threads = True
        request_queue_size = 64

    threading.Thread(target=Server(path, Handler).serve_forever, daemon=True).start()
