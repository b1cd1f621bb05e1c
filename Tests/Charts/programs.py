"""The programs, started as the rendered pods start them: with their arguments and files, on free ports."""

import contextlib
import json
import os
import queue
import re
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request

from rendering import program

# No wait below takes this long unless something is broken.
PATIENCE = 60


class Running:
    """A program, its folder of configuration and the lines that it says."""

    def __init__(self, arguments, variables, folder):
        self.folder = folder
        self.process = subprocess.Popen(
            arguments, env={**os.environ, **variables}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.lines = queue.Queue()
        # Reads to the end, so that a full pipe never holds the program up.
        self.reader = threading.Thread(
            target=lambda: [self.lines.put(line) for line in self.process.stdout], daemon=True
        )
        self.reader.start()

    def wait_for(self, pattern):
        ends = time.monotonic() + PATIENCE
        while True:
            try:
                line = self.lines.get(timeout=max(0.01, ends - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no line like {pattern}; status {self.process.poll()}") from None
            if found := re.search(pattern, line):
                return found

    def stop(self):
        """As Kubernetes does; the exit status."""
        self.process.terminate()
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError("it did not stop") from None
        finally:
            self.reader.join(PATIENCE)
            self.process.stdout.close()


def laid_out(folder, data):
    """A ConfigMap or Secret as the kubelet lays it out: links through `..data`, which a rename replaces."""
    version = tempfile.mkdtemp(prefix="..version-", dir=folder)
    for name, text in data.items():
        with open(os.path.join(version, name), "w", encoding="utf-8") as file:
            file.write(text)
        if not os.path.lexists(os.path.join(folder, name)):
            os.symlink(os.path.join("..data", name), os.path.join(folder, name))
    link = os.path.join(folder, "..data")
    os.symlink(os.path.basename(version), link + "_tmp")
    os.rename(link + "_tmp", link)


@contextlib.contextmanager
def started(name, spec, data, variables):
    """The container of a pod specification, with `data` as the volume that it mounts first."""
    container = spec["containers"][0]
    mount = container["volumeMounts"][0]
    place = mount["mountPath"] if "subPath" not in mount else os.path.dirname(mount["mountPath"])
    with tempfile.TemporaryDirectory(prefix="otv-pod-") as folder:
        laid_out(folder, data)
        arguments = [argument.replace(place, folder) for argument in container["args"]]
        given = {entry["name"]: entry["value"] for entry in container.get("env", []) if "value" in entry}
        running = Running([program(name), *arguments], {**given, **variables}, folder)
        try:
            yield running
        finally:
            if running.process.poll() is None:
                running.stop()


@contextlib.contextmanager
def gateway(objects, name="otv-gateway", database="sqlite::memory:"):
    """The gateway, or the retired core; its port."""
    kind = "StatefulSet" if name == "otv-core" else "Deployment"
    spec = objects.one(kind, name)["spec"]["template"]["spec"]
    data = objects.one("Secret", name)["stringData"]
    variables = {"GATEWAY_PORT": "0", "GATEWAY_HOST": "127.0.0.1"}
    if database:
        variables["GATEWAY_DB_URI"] = database
    with started("gateway", spec, data, variables) as running:
        running.port = int(running.wait_for(r"http://127\.0\.0\.1:([0-9]+)")[1])
        yield running


def here(text, upstreams):
    """A rendered routes.json for this machine: free ports, and `upstreams` in place of some of its own."""
    routes = json.loads(text)
    for listener in routes["listeners"]:
        listener["address"] = "127.0.0.1:0"
    routes["admin"].update(address="127.0.0.1:0", observe="127.0.0.1:0")
    for name, upstream in routes["upstreams"].items():
        if name in upstreams:
            del upstream["discovery"]
            upstream["endpoints"] = upstreams[name]
        else:
            # Nobody answers there: the cluster's name servers are not here.
            upstream["discovery"]["dns"]["resolver"] = "127.0.0.1:1"
    return json.dumps(routes)


@contextlib.contextmanager
def balancer(objects, upstreams, name="otv-balancer"):
    spec = objects.one("Deployment", name)["spec"]["template"]["spec"]
    text = objects.one("ConfigMap", name)["data"]["routes.json"]
    with started("balancer", spec, {"routes.json": here(text, upstreams)}, {}) as running:
        running.public = int(running.wait_for(r"^listening public 127\.0\.0\.1:([0-9]+)")[1])
        running.admin = int(running.wait_for(r"^admin 127\.0\.0\.1:([0-9]+)")[1])
        running.observe = int(running.wait_for(r"^observe 127\.0\.0\.1:([0-9]+)")[1])
        running.wait_for("^ready")
        yield running


def asked(port, path, host=None):
    """Status and body. `host`: what the field Host says instead of the address."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Host": host} if host else {})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def until(reached, words):
    """Asks again and again, for what nothing announces."""
    ends = time.monotonic() + PATIENCE
    while not (found := reached()):
        if time.monotonic() > ends:
            raise AssertionError(f"not in {PATIENCE} s: {words}")
        time.sleep(0.02)
    return found


def families(text):
    """{metric: [labels of each series]} of a metrics text; the parts of a histogram under their own names."""
    found = {}
    for line in text.splitlines():
        if match := re.match(r"([a-z_]+)(?:\{(.*)\})? ", line):
            labels = dict(re.findall(r'([a-z_]+)="((?:[^"\\]|\\.)*)"', match[2] or ""))
            found.setdefault(match[1], []).append(labels)
    return found
