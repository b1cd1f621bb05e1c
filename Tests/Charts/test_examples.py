"""The files that people copy: whole, and what they say is what is there."""

import json
import os
import re
import unittest

import yaml
from matrix import VARIABLES, pods, stage
from rendering import ENVIRONMENTS, ROOT, STAGES, helmfile, load, merged, read, render, routes_of, validate

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
                                # What a pod is told of itself is no secret.
                                if "fieldRef" not in entry["valueFrom"]:
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
            # The core is that of the network's own old release.
            core = json.loads(routes_of(objects)[0])["upstreams"]["core"]
            self.assertEqual(core["discovery"]["dns"]["name"], f"{network}-otv-backend.{network}.svc.cluster.local.")


class Manifests(unittest.TestCase):
    """What the production values make, for who has no Helm; test_rendering.py looks whether it is up to date."""

    def test_they_are_whole_and_plain(self):
        for network in NETWORKS:
            text = read("examples", "manifests", f"{network}.yaml")
            objects = [item for item in yaml.safe_load_all(text) if item]
            validate(objects)
            self.assertEqual({item["metadata"]["namespace"] for item in objects}, {network})
            kinds = [item["kind"] for item in objects]
            for kind in ("Deployment", "StatefulSet", "Service", "ConfigMap", "Ingress", "NetworkPolicy"):
                self.assertIn(kind, kinds)
            # What is mounted comes before who mounts it; no hook, which nothing would run; nobody manages them.
            self.assertLess(kinds.index("ConfigMap"), kinds.index("Deployment"))
            for word in ("helm.sh/", "managed-by", "&id"):
                self.assertNotIn(word, text)
            self.assertNotRegex(text, r"mongodb(\+srv)?://[^/ ]*@", "a password")


class Cluster(unittest.TestCase):
    """What scripts/smoke-cluster.sh installs, as far as it can be told without a cluster."""

    def test_it_renders_for_each_stage_that_it_takes(self):
        script = read("scripts", "smoke-cluster.sh")
        values = load("Tests", "Cluster", "values.yaml")
        for name, weights in {"1-core-only": {"core": 100, "gateway": 0}, "2-by-weight": {"core": 90, "gateway": 10}}.items():
            objects = render("otv", merged(values, stage(name), {"otv-core": {"image": {"tag": "abc"}}, "global": {"imageTag": "abc"}}), bare=True)
            validate(objects)
            images = {c["image"] for _, spec, _ in pods(objects) for c in spec["containers"]}
            # Ours are loaded into it; of others there is the database alone.
            self.assertLess({f"web3f/otv-{name}:abc" for name in ("balancer", "gateway", "core")}, images)
            self.assertEqual(len(images), 4)
            routes = json.loads(routes_of(objects)[0])["routes"]
            self.assertEqual(next(r["split"] for r in routes if r["name"] == "api"), weights)
            main = json.loads(objects.one("Secret", "otv-gateway")["stringData"]["main.json"])
            self.assertEqual(main["db"], {"mustHave": [], "mongo": {"uri": "mongodb://otv-mongodb:27017/otv"}})
            self.assertIn(f"stage {name}\nawait '{json.dumps(weights)}'", script)


class TryingOut(unittest.TestCase):
    def test_nothing_from_outside_is_needed(self):
        objects = render("otv", merged(load("examples", "local.yaml"), stage("4-core-retired")), namespace="otv", bare=True)
        validate(objects)
        images = {container["image"] for _, spec, _ in pods(objects) for container in spec["containers"]}
        self.assertEqual(images, {*(f"web3f/otv-{name}:local" for name in ("balancer", "gateway", "core")), "mongo:7.0.28"})
        made = {secret["metadata"]["name"] for secret in objects.of("Secret")}
        for _, spec, _ in pods(objects):
            self.assertLessEqual({volume["secret"]["secretName"] for volume in spec["volumes"] if "secret" in volume} if "volumes" in spec else set(), made)
        database = objects.one("Service", "otv-mongodb")["metadata"]["name"]
        main = json.loads(objects.one("Secret", "otv-gateway")["stringData"]["main.json"])
        self.assertEqual(main["db"], {"mustHave": [], "mongo": {"uri": f"mongodb://{database}/otv"}})

    def test_the_commands_of_the_page(self):
        section = read("docs", "deployment.md").partition("### Trying it out")[2].partition("### Without Kubernetes")[0]
        for path in re.findall(r"--values (\S+)", section):
            self.assertTrue(os.path.exists(os.path.join(ROOT, path)), path)
        # What fills the database is let in by its label, and puts the data where the gateway looks.
        objects = render("otv", merged(load("examples", "local.yaml"), stage("4-core-retired")), namespace="otv", bare=True)
        (rule,) = objects.one("NetworkPolicy", "otv-mongodb")["spec"]["ingress"]
        (label,) = re.findall(r"--labels=(\S+)=(\S+)", section)
        self.assertEqual(rule["from"], [{"podSelector": {"matchLabels": dict([label])}}])
        self.assertIn("--nsTo='otv.*'", section)
        self.assertIn("AS seed\n", read("Dockerfile"))

    def test_an_empty_database_keeps_gateways_out_but_where_that_is_meant(self):
        """With nothing said a first install on an empty database never gets ready."""
        for environment in ENVIRONMENTS:
            for release in helmfile("10-otv.yaml.gotmpl", environment, VARIABLES):
                objects = render("otv", release["values"], "otv", release["namespace"], bare=True)
                main = json.loads(objects.one("Secret", "otv-gateway")["stringData"]["main.json"])
                # In ci the core fills it before it serves.
                self.assertEqual(main["db"].get("mustHave"), [] if environment == "local" else None, environment)


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
        repository, namespace, release = yaml.safe_load_all(read("examples", "gitops", "flux.yaml"))
        chart = release["spec"]["chart"]["spec"]
        self.assertEqual(chart["sourceRef"]["name"], repository["metadata"]["name"])
        # An object is refused in a namespace that is not there.
        self.assertEqual(release["metadata"]["namespace"], namespace["metadata"]["name"])
        validate([namespace])
        self.assertTrue(os.path.exists(os.path.join(ROOT, chart["chart"], "Chart.yaml")))
        # Relative to the repository, the chart's own first.
        self.assertEqual(chart["valuesFiles"][0], "charts/otv/values.yaml")
        self.rendered(chart["valuesFiles"], ".")

