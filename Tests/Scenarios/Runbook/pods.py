"""Pods: each a process of the built programs on a loopback address of its own, with the files, probes and end that its
specification asks for."""

import http.client
import json
import os
import shutil
import signal
import subprocess
import threading
import time

# What runs in place of an image, and its own words where the container has none. The legacy server is played by the gateway in core's
# role, which takes the same file.
AS_CORE = ["serve", "--role", "core", "--config", "/code/packages/core/config"]
IMAGES = {
    "web3f/otv-balancer": ("balancer", None),
    "web3f/otv-gateway": ("gateway", None),
    "web3f/otv-core": ("gateway", AS_CORE),
    "web3f/otv-backend": ("gateway", AS_CORE)}


class Pod:
    def __init__(self, cluster, owner, name, mark, template):
        self.cluster, self.owner, self.name, self.mark = cluster, owner, name, mark
        self.ip = cluster.next_address()
        self.root = os.path.join(cluster.folder, "pods", f"{name}-{self.ip}")
        self.labels = template["metadata"]["labels"]
        self.spec = template["spec"]
        self.container = self.spec["containers"][0]
        self.terminating = self.ready = self.gone = False
        self.restarts = 0
        self.process = None
        self.starts_at = self.syncs_at = 0.0
        os.makedirs(self.root)
        self.mount(first=True)
        threading.Thread(target=self.run_probes, daemon=True).start()

    # Files

    def mount(self, first=False):
        """Writes what changed. A folder is swapped by a link, as the kubelet does it; a single file is written once."""
        volumes = {volume["name"]: volume for volume in self.spec.get("volumes", [])}
        for mount in self.container.get("volumeMounts", []):
            content = self.cluster.content(self.owner["metadata"]["namespace"], volumes.get(mount["name"], {}))
            if content is None:
                continue
            target = self.root + mount["mountPath"]
            if "subPath" in mount:
                if first and mount["subPath"] in content:
                    os.makedirs(os.path.dirname(target), exist_ok=True)
                    with open(target, "w", encoding="utf-8") as file:
                        file.write(self.localised(content[mount["subPath"]]))
            else:
                self.swap(target, {key: self.localised(text) for key, text in content.items()})

    def swap(self, target, files):
        os.makedirs(target, exist_ok=True)
        data = os.path.join(target, "..data")
        if os.path.islink(data):
            old = os.readlink(data)
            kept = {name: open(os.path.join(data, name), encoding="utf-8").read() for name in os.listdir(data)}
            if kept == files:
                return
        else:
            old = None
        new = f"..{time.time_ns()}"
        os.makedirs(os.path.join(target, new))
        for name, text in files.items():
            with open(os.path.join(target, new, name), "w", encoding="utf-8") as file:
                file.write(text)
            if not os.path.islink(os.path.join(target, name)):
                os.symlink(os.path.join("..data", name), os.path.join(target, name))
        os.symlink(new, data + "_tmp")
        os.rename(data + "_tmp", data)
        if old:
            shutil.rmtree(os.path.join(target, old))

    def localised(self, text):
        """The pod's own network: all of its addresses are one of the loopback, and the name server is the cluster's."""
        try:
            document = json.loads(text)
        except ValueError:
            return text
        if "listeners" not in document:
            return text
        # A pod has a loopback of its own, which is another's here too.
        admin = document["admin"]
        admin.update({key: admin[key].replace("127.0.0.1", self.ip).replace("0.0.0.0", self.ip) for key in ("address", "observe")})
        for place in document["listeners"]:
            place["address"] = place["address"].replace("0.0.0.0", self.ip)
        # There is no API server in which pods could agree.
        document.pop("cluster", None)
        for upstream in document["upstreams"].values():
            if "dns" in upstream.get("discovery", {}):
                upstream["discovery"]["dns"].setdefault("resolver", self.cluster.names.address)
        return json.dumps(document, indent=2)

    # The process

    def command(self, words):
        """Words as they stand in a pod, for this machine."""
        words = [self.root + word if word.startswith("/code/") else word for word in words]
        return [self.cluster.local(word.replace("127.0.0.1", self.ip)) for word in words]

    def environment(self):
        given = {"GATEWAY_HOST": self.ip}
        for entry in self.container.get("env", []):
            if "value" in entry:
                given[entry["name"]] = str(entry["value"]).replace("127.0.0.1", self.ip)
            elif "fieldRef" in entry["valueFrom"]:
                field = entry["valueFrom"]["fieldRef"]["fieldPath"]
                given[entry["name"]] = {"metadata.name": self.name, "metadata.uid": f"uid-of-{self.name}"}[field]
            else:
                source = entry["valueFrom"]["secretKeyRef"]
                secret = self.cluster.find("Secret", self.owner["metadata"]["namespace"], source["name"])
                given[entry["name"]] = secret["stringData"][source["key"]]
        return given

    def program(self):
        name, words = IMAGES[self.container["image"].rpartition(":")[0]]
        return self.cluster.programs[name], self.container.get("args") or words

    def start(self):
        """By the main thread only: the kernel ends a process with the thread that started it."""
        path, words = self.program()
        if path == self.cluster.programs["gateway"]:
            # Who answered is what the tests look at.
            words = [*words, "--identify", self.name]
        log = open(self.root + ".log", "ab")
        self.process = subprocess.Popen(
            ["/usr/bin/setpriv", "--pdeathsig", "KILL", path, *self.command(words)],
            env={**os.environ, **self.environment()}, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        log.close()

    def step(self, now):
        """What the kubelet does now and then."""
        if self.process and self.process.poll() is not None and not self.terminating:
            self.ready = False
            self.process = None
            self.restarts += 1
            self.starts_at = now + 0.3 * min(self.restarts, 5)
        may = not self.terminating and self.name not in self.cluster.broken
        if self.process is None and may and now >= self.starts_at:
            self.start()
        if now >= self.syncs_at:
            self.syncs_at = now + 10 * self.cluster.pace
            if not self.terminating:
                self.mount()

    def terminate(self):
        if not self.terminating:
            self.terminating = True
            self.ready = False
            self.cluster.log(f"{self.name} terminates")
            threading.Thread(target=self.end, daemon=True).start()

    def end(self):
        """The pre-stop hook, the signal, and the end of patience."""
        until = time.monotonic() + self.spec["terminationGracePeriodSeconds"] * self.cluster.pace + 5
        process = self.process
        if process:
            hook = self.container.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", ["sleep", "0"])
            assert hook[0] == "sleep"
            time.sleep(float(hook[1]) * self.cluster.pace)
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                self.cluster.log(f"{self.name} is killed")
                process.kill()
                process.wait()
        self.cluster.log(f"{self.name} is gone")
        self.gone = True

    # Probes

    def run_probes(self):
        for kind in ("startupProbe", "livenessProbe"):
            if kind in self.container:
                self.container[kind].setdefault("failureThreshold", 3)
        known, alive, failures, passes = None, {}, {}, 0
        due = {}
        while not self.gone and not self.terminating:
            process = self.process
            if process is None or process is not known:
                known, alive, failures, due = process, False, {"readinessProbe": 0, "livenessProbe": 0}, {}
            if process is None:
                time.sleep(0.02)
                continue
            if not alive:
                alive = "startupProbe" not in self.container or self.asks("startupProbe")
                if not alive:
                    # Often: the pods of a test start in less than a period.
                    time.sleep(0.05)
                    continue
            if self.name in self.cluster.unasked:
                # What was asked before is not answered now, and says nothing.
                failures = {"readinessProbe": 0, "livenessProbe": 0}
                time.sleep(0.02)
                continue
            for kind in ("readinessProbe", "livenessProbe"):
                probe = self.container.get(kind)
                if probe is None:
                    # What nobody asks is ready when it runs.
                    self.ready = self.ready or kind == "readinessProbe"
                    continue
                if time.monotonic() < due.get(kind, 0):
                    continue
                due[kind] = time.monotonic() + probe["periodSeconds"] * self.cluster.pace
                passed = self.asks(kind)
                failures[kind] = 0 if passed else failures[kind] + 1
                if process is not self.process or self.terminating or self.name in self.cluster.unasked:
                    break
                certain = passed or failures[kind] >= probe["failureThreshold"]
                if kind == "readinessProbe" and passed != self.ready and certain:
                    self.ready = passed
                    self.cluster.log(f"{self.name} is {'ready' if passed else 'not ready'}")
                if kind == "livenessProbe" and failures[kind] >= probe["failureThreshold"]:
                    self.cluster.log(f"{self.name} does not live")
                    process.kill()
            time.sleep(0.02)

    def asks(self, kind):
        probe = self.container[kind]
        ports = {port["name"]: port["containerPort"] for port in self.container["ports"]}
        asked = probe["httpGet"]
        connection = http.client.HTTPConnection(
            self.ip, self.cluster.port(ports.get(asked["port"], asked["port"])), timeout=probe.get("timeoutSeconds", 1))
        try:
            connection.request("GET", asked["path"])
            return 200 <= connection.getresponse().status < 400
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    # What is told

    def facts(self):
        path, _ = self.program()
        if self.terminating:
            state = "Terminating"
        elif self.process:
            state = "Running"
        else:
            state = "CrashLoopBackOff" if self.restarts else "Pending"
        return {
            "name": self.name, "ip": self.ip, "root": self.root, "program": path, "state": state, "ready": self.ready,
            "restarts": self.restarts, "environment": self.environment(), "labels": self.labels,
            "owner": self.owner["metadata"]["name"]}
