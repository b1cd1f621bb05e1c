"""One version for programs, charts, images and examples: that of the file VERSION."""

import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

from rendering import ROOT, load, program, read, render

KEPT = ("VERSION", "Sources/*/*Version.swift", "charts/*/Chart.yaml", "charts/*/Chart.lock", "examples/gitops/*", "examples/production/*", "docs/deployment.md")


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


class Packages(unittest.TestCase):
    """Versions of the Swift packages, held without their commits."""

    PINS = {"swift-log": "1.16.2", "swift-nio": "2.101.2"}

    def folder(self, pins=None):
        folder = tempfile.mkdtemp(prefix="otv-packages-")
        self.addCleanup(shutil.rmtree, folder)
        os.mkdir(os.path.join(folder, "scripts"))
        shutil.copy2(os.path.join(ROOT, "scripts", "packages.py"), os.path.join(folder, "scripts"))
        if pins is not None:
            self.resolved(folder, pins)
        return folder

    def resolved(self, folder, pins):
        with open(os.path.join(folder, "Package.resolved"), "w", encoding="utf-8") as file:
            json.dump({"pins": [{"identity": name, "state": {"version": version}} for name, version in pins.items()]}, file)

    def ran(self, folder, *words, path=None):
        done = subprocess.run(
            [sys.executable, os.path.join(folder, "scripts", "packages.py"), *words],
            capture_output=True, text=True, check=False, timeout=60, env={**os.environ, "PATH": path or os.environ["PATH"]},
        )
        return done.returncode, done.stderr

    def test_what_differs_is_told(self):
        folder = self.folder(self.PINS)
        self.assertEqual(self.ran(folder, "--write"), (0, ""))
        self.assertEqual(self.ran(folder), (0, ""))
        self.resolved(folder, {"swift-log": "1.17.0", "swift-metrics": "2.0.0"})
        status, told = self.ran(folder)
        self.assertEqual(status, 1)
        self.assertEqual(
            told,
            "packages: swift-log is 1.17.0, Package.versions has 1.16.2\n"
            "packages: swift-metrics is 2.0.0, Package.versions has none\n"
            "packages: swift-nio is not used, Package.versions has 2.101.2\n",
        )

    def test_what_is_newer_is_taken_back(self):
        folder = self.folder(self.PINS)
        self.ran(folder, "--write")
        self.resolved(folder, {**self.PINS, "swift-log": "1.17.0"})
        programs = os.path.join(folder, "bin")
        os.mkdir(programs)
        with open(os.path.join(programs, "swift"), "w", encoding="utf-8") as file:
            file.write('#!/bin/sh\n[ "$*" = "package resolve swift-log --version 1.16.2" ] && sed -i s/1.17.0/1.16.2/ Package.resolved\n')
        os.chmod(file.name, 0o755)
        self.assertEqual(self.ran(folder, "--hold", path=f"{programs}:{os.environ['PATH']}"), (0, ""))

    def test_the_list_names_what_package_swift_does(self):
        held = dict(line.split() for line in read("Package.versions").splitlines() if not line.startswith("#"))
        asked = re.findall(r'\.package\(url: "https://github\.com/[^/]+/([^"]+)", from: "([^"]+)"\)', read("Package.swift"))
        self.assertGreater(len(asked), 5)
        for name, oldest in asked:
            version = held[name.removesuffix(".git").lower()]
            self.assertGreaterEqual([int(part) for part in version.split(".")], [int(part) for part in oldest.split(".")], name)
