"""scripts/smoke-cluster.sh, in the cluster that docs/runbook.md is tried in: the charts, the programs and the script are the real ones."""

import contextlib
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import unittest

from programs import PATIENCE
from rendering import ROOT, program

RUNBOOK = os.path.join(ROOT, "Tests", "Scenarios", "Runbook")
# Makes no cluster and holds no images: it writes down what it is told.
TOOL = """#!/bin/sh
echo "${0##*/} $*" >>"$TOLD"
"""


class Smoke(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="otv-smoke-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.tools = os.path.join(self.folder, "tools")
        os.mkdir(self.tools)
        for name in ("docker", "kind"):
            path = os.path.join(self.tools, name)
            with open(path, "w", encoding="utf-8") as file:
                file.write(TOOL)
            os.chmod(path, 0o755)

    @contextlib.contextmanager
    def cluster(self):
        """What a script finds there: its environment."""
        data = os.path.join(self.folder, "data.sqlite")
        subprocess.run([program("gateway"), "sample", "--to", data], check=True, stdout=subprocess.DEVNULL)
        state = os.path.join(self.folder, "cluster")
        os.mkdir(state)
        running = subprocess.Popen(
            [sys.executable, os.path.join(RUNBOOK, "cluster.py"), "--folder", state, "--balancer", program("balancer"),
             "--gateway", program("gateway")], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            self.assertEqual(running.stdout.readline(), "ready\n")
            # No database runs there: a file stands in for it.
            values = {"global": {"config": {"db": {"uri": f"sqlite:{data}"}}}, "otv-balancer": {"discovery": {"interval": "400ms"}}}
            yield {
                **os.environ, "PATH": f"{RUNBOOK}/bin:{self.tools}:{os.environ['PATH']}", "TOLD": os.path.join(self.folder, "told"),
                "CLUSTER": state, "CLUSTER_PYTHON": sys.executable, "CLUSTER_VALUES": json.dumps(values),
                "CLUSTER_WITHOUT": "otv-mongodb", "TMPDIR": self.folder,
            }
        finally:
            running.terminate()
            running.wait(PATIENCE)
            running.stdout.close()

    def ran(self, environment, script, *words):
        return subprocess.run(
            ["bash", script, *words], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=5 * PATIENCE,
            check=False, stdin=subprocess.DEVNULL)

    def test_one_stage_up_and_back(self):
        with self.cluster() as environment:
            done = self.ran(environment, "scripts/smoke-cluster.sh", "abc")
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            core, shared = '{"core": 100, "gateway": 0}', '{"core": 90, "gateway": 10}'
            self.assertEqual(re.findall(r"smoke-cluster: api has (.*) after", done.stdout), [core, shared, core, shared])
            # Balancer and gateway, each of three times.
            self.assertEqual(done.stdout.count("Phase: Succeeded"), 6)
            with open(environment["TOLD"], encoding="utf-8") as file:
                told = file.read().splitlines()
            name = re.fullmatch(r"kind create cluster --name (otv-smoke-\d+) --wait 3m", told[0])[1]
            self.assertEqual(
                told[1:],
                [f"kind load docker-image --name {name} web3f/otv-{package}:abc" for package in ("balancer", "gateway", "core")]
                + [f"kind delete cluster --name {name}"])
            # Nothing of it stays behind.
            self.assertEqual([each for each in os.listdir(self.folder) if each.startswith("tmp.")], [])

    def test_what_does_not_work_is_told(self):
        """A gateway that fails its test fails the script, which says what there was, and leaves no cluster."""
        with self.cluster() as environment:
            broken = os.path.join(self.tools, "helm")
            with open(broken, "w", encoding="utf-8") as file:
                file.write(f'#!/bin/sh\n[ "$1" = test ] && {{ echo "the pod failed" >&2; exit 1; }}\nexec "{RUNBOOK}/bin/helm" "$@"\n')
            os.chmod(broken, os.stat(broken).st_mode | stat.S_IXUSR)
            environment["PATH"] = f"{self.tools}:{environment['PATH']}"
            done = self.ran(environment, "scripts/smoke-cluster.sh", "abc")
            self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
            self.assertIn("the pod failed", done.stderr)
            with open(environment["TOLD"], encoding="utf-8") as file:
                self.assertIn("kind delete cluster", file.read().splitlines()[-1])

    def test_who_uses_it_wrongly_is_told(self):
        for words in ([], ["a", "b"]):
            done = self.ran(os.environ, "scripts/smoke-cluster.sh", *words)
            self.assertEqual((done.returncode, done.stdout), (64, ""))
            self.assertIn("scripts/smoke-cluster.sh TAG", done.stderr)
