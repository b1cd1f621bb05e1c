"""The files that people copy: whole, and what they say is what is there."""

import json
import os
import unittest

import yaml
from matrix import pods, stage
from rendering import ROOT, STAGES, load, merged, read, render, routes_of, validate

NETWORKS = {"kusama": 2, "polkadot": 0}


class Production(unittest.TestCase):
    def test_whole_but_for_secrets(self):
        for network, prefix in NETWORKS.items():
            values = load("examples", "production", f"{network}.yaml")
            for name in STAGES:
                objects = render("otv", merged(values, stage(name)), "otv", network, bare=True)
                validate(objects)
                rule = objects.one("Ingress")["spec"]["rules"][0]
                self.assertEqual(rule["host"], f"{network}.w3f.community")
                # What it has of others, by name and without a value.
                named = set()
                for _, spec, _ in pods(objects):
                    named |= {v["secret"]["secretName"] for v in spec.get("volumes", []) if "secret" in v}
                    for container in spec["containers"]:
                        for entry in container.get("env", []):
                            if "valueFrom" in entry:
                                named.add(entry["valueFrom"]["secretKeyRef"]["name"])
                made = {secret["metadata"]["name"] for secret in objects.of("Secret")}
                wanted = {"otv-database"} | (set() if name == "4-core-retired" else {"otv-core-config"})
                self.assertEqual(named - made, wanted, name)
                self.assertNotIn("mongodb://", json.dumps([o for o in objects if o["kind"] != "Secret"]))
            self.assertEqual(values["global"]["config"]["global"]["networkPrefix"], prefix)

    def test_its_secrets_are_those_of_the_page(self):
        page = read("docs", "deployment.md")
        for name in ("otv-database", "otv-core-config"):
            self.assertIn(f"create secret generic {name} ", page)

    def test_the_first_day_moves_nothing(self):
        for network in NETWORKS:
            values = merged(load("examples", "production", f"{network}.yaml"), load("examples", "legacy-release.yaml"))
            objects = render("otv", values, "otv", network, bare=True)
            self.assertEqual([o["kind"] for o in objects if o["kind"] in ("Ingress", "HTTPRoute", "StatefulSet")], [])


class GitOps(unittest.TestCase):
    """Both tools' files: their values exist, and render."""

    def rendered(self, files, base):
        values = {}
        for path in files:
            full = os.path.normpath(os.path.join(ROOT, base, path))
            self.assertTrue(os.path.exists(full), full)
            if not full.endswith(os.path.join("charts", "otv", "values.yaml")):
                values = merged(values, yaml.safe_load(open(full, encoding="utf-8")))
        objects = render("otv", values, "otv", "kusama", bare=True)
        self.assertEqual(len(routes_of(objects)), 2)

    def test_argo_cd(self):
        application = load("examples", "gitops", "argocd.yaml")
        source = application["spec"]["source"]
        self.assertTrue(os.path.exists(os.path.join(ROOT, source["path"], "Chart.yaml")))
        # Relative to the chart, as Argo CD reads them.
        self.rendered(source["helm"]["valueFiles"], source["path"])
        self.assertEqual(source["helm"]["releaseName"], "otv")

    def test_flux(self):
        repository, release = yaml.safe_load_all(read("examples", "gitops", "flux.yaml"))
        chart = release["spec"]["chart"]["spec"]
        self.assertEqual(chart["sourceRef"]["name"], repository["metadata"]["name"])
        self.assertTrue(os.path.exists(os.path.join(ROOT, chart["chart"], "Chart.yaml")))
        # Relative to the repository, the chart's own first.
        self.assertEqual(chart["valuesFiles"][0], "charts/otv/values.yaml")
        self.rendered(chart["valuesFiles"], ".")

    def test_they_name_the_version_that_is_here(self):
        version = "v" + load("charts", "otv", "Chart.yaml")["appVersion"]
        self.assertEqual(load("examples", "gitops", "argocd.yaml")["spec"]["source"]["targetRevision"], version)
        for network in NETWORKS:
            self.assertEqual(load("examples", "production", f"{network}.yaml")["global"]["imageTag"], version)
