"""The charts as a release makes them: built by their locks, packed, indexed, and rendered out of the package."""

import os
import shutil
import tempfile
import unittest

import helm_python as helm
import yaml
from rendering import CHARTS, LEAST, ROOT, at, load, merged, read, texts

ALL = ["otv-common", *CHARTS, "otv"]


class Packages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="otv-packages-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.charts = os.path.join(cls.folder, "charts")
        shutil.copytree(os.path.join(ROOT, "charts"), cls.charts, ignore=lambda place, names: {"charts"} & set(names) if "Chart.yaml" in names else set())
        # Before anything is built: what was packed there would be packed again.
        cls.release = os.path.join(cls.folder, "release")
        os.mkdir(cls.release)
        cls.made = {}
        for chart in ALL:
            if chart != "otv-common":
                helm.dependency_build(os.path.join(cls.charts, chart), skip_refresh=True)
            cls.made[chart] = helm.package(os.path.join(cls.charts, chart), destination=cls.release)

    def test_they_are_built_by_their_locks(self):
        for chart in ALL[1:]:
            with self.subTest(chart):
                lock = load("charts", chart, "Chart.lock")
                held = {each["name"]: each["version"] for each in lock["dependencies"]}
                self.assertEqual(held, {each["name"]: each["version"] for each in load("charts", chart, "Chart.yaml")["dependencies"]})
                # By the locks that are kept, and not written anew.
                with open(os.path.join(self.charts, chart, "Chart.lock"), encoding="utf-8") as file:
                    self.assertEqual(file.read(), read("charts", chart, "Chart.lock"))
                self.assertEqual({each["status"] for each in helm.dependency_list(os.path.join(self.charts, chart))}, {"ok"})

    def test_a_lock_that_is_not_that_of_its_chart_is_refused(self):
        other = os.path.join(self.folder, "other")
        shutil.copytree(self.charts, other)
        path = os.path.join(other, "otv-core", "Chart.yaml")
        with open(path, encoding="utf-8") as file:
            text = file.read()
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace(f"    version: {read('VERSION')}", f"    version: '>={read('VERSION').strip()}'\n"))
        with self.assertRaises(helm.HelmError) as caught:
            helm.dependency_build(os.path.join(other, "otv-core"), skip_refresh=True)
        self.assertIn("out of sync", str(caught.exception))

    def test_helms_own_lock_is_the_same(self):
        """scripts/version.py writes them without Helm."""
        other = os.path.join(self.folder, "updated")
        shutil.copytree(os.path.join(self.charts), other, ignore=shutil.ignore_patterns("*.tgz"))
        for chart in ALL[1:]:
            helm.dependency_update(os.path.join(other, chart), skip_refresh=True)
            with open(os.path.join(other, chart, "Chart.lock"), encoding="utf-8") as file:
                made = yaml.safe_load(file)
            kept = load("charts", chart, "Chart.lock")
            self.assertEqual({**made, "generated": ""}, {**kept, "generated": ""}, chart)

    def test_a_package_renders_as_its_folder_does(self):
        board = at("dashboard.enabled", True)
        more = {"otv": {"otv-balancer": board, "otv-gateway": at("dashboard.enabled", True)}, "otv-balancer": board, "otv-gateway": board}
        for chart in ALL[1:]:
            with self.subTest(chart):
                values = merged(LEAST.get(chart, {}), more.get(chart, {}))
                with helm.Chart.load(self.made[chart]) as packed:
                    rendered = packed.render(values, name="otv", namespace="kusama")
                self.assertEqual(rendered, texts(chart, values))
                # Files beside the templates are in it too.
                if chart in more:
                    self.assertIn("label_values(", "".join(rendered.values()))

    def test_they_are_linted_as_packages(self):
        for chart in ALL:
            report = helm.lint(self.made[chart], strict=True)
            self.assertEqual((report["errors"], [m for m in report["messages"] if m["severity"] > 1]), ([], []), chart)

    def test_the_index_names_them_all(self):
        index = helm.repo_index_generate(self.release, base_url="https://example.com/v0.1.0")
        version = read("VERSION").strip()
        self.assertEqual(set(index["entries"]), set(ALL))
        for name, (entry,) in index["entries"].items():
            self.assertEqual((entry["version"], entry["urls"]), (version, [f"https://example.com/v0.1.0/{name}-{version}.tgz"]))
            self.assertEqual(entry["digest"], helm.digest(self.made[name]).removeprefix("sha256:"))
