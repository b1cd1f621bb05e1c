"""One version for programs, charts, images and examples: that of the file VERSION."""

import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

from rendering import ROOT, load, program, read, render

KEPT = ("VERSION", "Sources/*/*Version.swift", "charts/*/Chart.yaml", "examples/gitops/*", "examples/production/*", "docs/deployment.md")


class Version(unittest.TestCase):
    def copied(self):
        """What has a version, and the script that writes it, in a folder of their own."""
        folder = tempfile.mkdtemp(prefix="otv-version-")
        self.addCleanup(shutil.rmtree, folder)
        for pattern in (*KEPT, "scripts/version.py"):
            for path in glob.glob(os.path.join(ROOT, pattern)):
                to = os.path.join(folder, os.path.relpath(path, ROOT))
                os.makedirs(os.path.dirname(to), exist_ok=True)
                shutil.copy2(path, to)
        return folder

    def ran(self, folder, *words):
        done = subprocess.run(
            [sys.executable, os.path.join(folder, "scripts", "version.py"), *words],
            capture_output=True, text=True, check=False, timeout=60,
        )
        return done.returncode, done.stdout, done.stderr

    def test_everything_says_the_same(self):
        version = read("VERSION").strip()
        self.assertEqual(self.ran(ROOT), (0, version + "\n", ""))
        for name in ("balancer", "gateway"):
            said = subprocess.run([program(name), "--version"], capture_output=True, text=True, timeout=30, check=True)
            self.assertEqual(said.stdout.split()[-1], version, name)
        for chart in ("otv-balancer", "otv-gateway", "otv-core"):
            for item in render(chart):
                labels = item["metadata"]["labels"]
                # The pods of hooks have no version.
                if "app.kubernetes.io/version" in labels:
                    self.assertEqual(labels["app.kubernetes.io/version"], version)
        self.assertIn(f":{version}", str(render("otv-balancer").one("Deployment")))

    def test_no_place_is_forgotten(self):
        """Written anew, nothing of the old one is left in any of these files."""
        folder = self.copied()
        old = read("VERSION").strip()
        self.assertEqual(self.ran(folder, "97.98.99"), (0, "97.98.99\n", ""))
        for pattern in KEPT:
            for path in glob.glob(os.path.join(folder, pattern)):
                with open(path, encoding="utf-8") as file:
                    text = file.read()
                self.assertNotRegex(text, rf"(?<![0-9.])v?{re.escape(old)}(?![0-9.])", path)
        # What is not ours stays.
        for chart in ("otv-mongodb", "otv-redis"):
            with open(os.path.join(folder, "charts", chart, "Chart.yaml"), encoding="utf-8") as file:
                self.assertIn(load("charts", chart, "Chart.yaml")["appVersion"], file.read())

    def test_a_place_that_says_another_is_told(self):
        folder = self.copied()
        path = os.path.join(folder, "charts", "otv", "Chart.yaml")
        with open(path, encoding="utf-8") as file:
            text = file.read()
        with open(path, "w", encoding="utf-8") as file:
            file.write(re.sub(r"^version: .*$", "version: 9.9.9", text, flags=re.M))
        status, said, told = self.ran(folder)
        self.assertEqual((status, said), (1, ""))
        self.assertIn("charts/otv/Chart.yaml:5 says 9.9.9, not ", told)
        for word in ("1.2", "v1.2.3", "1.2.3-rc1", "", "1.2.3\n"):
            self.assertNotEqual(self.ran(folder, word)[0], 0, word)
