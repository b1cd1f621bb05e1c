"""The environments of helmfile.d."""

import json
import os
import re
import unittest

import helm_python as helm
import yaml
from matrix import VARIABLES
from rendering import ENVIRONMENTS, ROOT, helmfile, load, read, render

# What takes a host, or runs a core.
MOVES = ("Ingress", "HTTPRoute", "StatefulSet")


class Helmfile(unittest.TestCase):
    def test_releases(self):
        wanted = {
            "kusama": [("otv", "kusama", "kusama.w3f.community", "v1.2.3")],
            "polkadot": [("otv", "polkadot", "polkadot.w3f.community", "v1.2.3")],
            "staging": [
                ("otv", "kusama-1kv-staging", "kusama-staging.w3f.community", "staging"),
                ("otv", "polkadot-1kv-staging", "polkadot-staging.w3f.community", "staging"),
            ],
            "ci": [
                ("otv", "kusama", "kusama.ci.example", VARIABLES["CIRCLE_SHA1"]),
                ("otv", "polkadot", "polkadot.ci.example", VARIABLES["CIRCLE_SHA1"]),
            ],
            "local": [("otv", "kusama", "kusama.localhost", "local")],
        }
        self.assertEqual(set(wanted), set(ENVIRONMENTS))
        for environment, expected in wanted.items():
            with self.subTest(environment):
                releases = helmfile("10-otv.yaml.gotmpl", environment, VARIABLES)
                found = [
                    (
                        r["name"],
                        r["namespace"],
                        r["values"]["otv-balancer"]["ingress"]["hosts"][0],
                        r["values"]["global"]["imageTag"],
                    )
                    for r in releases
                ]
                self.assertEqual(found, expected)
                for release in releases:
                    self.assertTrue(os.path.exists(os.path.join(ROOT, "helmfile.d", release["chart"], "Chart.yaml")))

    def test_stage_and_weights(self):
        wanted = {
            "kusama": ({"core": 100, "gateway": 0}, None),
            "polkadot": ({"core": 100, "gateway": 0}, None),
            "staging": ({"core": 50, "gateway": 50}, "web3f/otv-backend"),
            "ci": ({"core": 50, "gateway": 50}, "web3f/otv-backend"),
            "local": ({"gateway": 100}, "web3f/otv-core"),
        }
        for environment, (split, core) in wanted.items():
            for release in helmfile("10-otv.yaml.gotmpl", environment, VARIABLES):
                objects = render("otv", release["values"], release["name"], release["namespace"], bare=True)
                routes = json.loads(objects.one("ConfigMap", "otv-balancer")["data"]["routes.json"])["routes"]
                self.assertEqual(next(route["split"] for route in routes if route["name"] == "api"), split, environment)
                images = [
                    item["spec"]["template"]["spec"]["containers"][0]["image"].partition(":")[0]
                    for item in objects.of("StatefulSet", "otv-core")
                ]
                self.assertEqual(images, [core] if core else [], environment)

    def test_a_network_is_moved_by_its_environment(self):
        release = helmfile(
            "10-otv.yaml.gotmpl", "kusama", VARIABLES, {"stage": "2-by-weight", "weights": {"core": 75, "gateway": 25}}
        )[0]
        self.assertEqual(release["values"]["otv-balancer"]["weights"]["api"], {"core": 75, "gateway": 25})
        release = helmfile("10-otv.yaml.gotmpl", "kusama", VARIABLES, {"stage": "4-core-retired"})[0]
        self.assertTrue(release["values"]["otv-core"]["retired"])

    def test_the_first_apply_in_production_moves_nothing(self):
        """As the files are: no second core beside the one that runs, and no second Ingress for its host."""
        for environment in ("kusama", "polkadot"):
            for release in helmfile("10-otv.yaml.gotmpl", environment, VARIABLES):
                objects = render("otv", release["values"], release["name"], release["namespace"], bare=True)
                self.assertEqual([item["kind"] for item in objects if item["kind"] in MOVES], [])
                routes = json.loads(objects.one("ConfigMap", "otv-balancer")["data"]["routes.json"])
                self.assertEqual(
                    routes["upstreams"]["core"]["discovery"]["dns"]["name"],
                    f"{environment}-otv-backend.{environment}.svc.cluster.local.",
                )
        chain = load("helmfile.d", "environments", "kusama.yaml")["chains"][0]
        release = helmfile("10-otv.yaml.gotmpl", "kusama", VARIABLES, {"chains": [{**chain, "legacyRelease": ""}]})[0]
        objects = render("otv", release["values"], "otv", "kusama", bare=True)
        self.assertEqual(sorted(item["kind"] for item in objects if item["kind"] in MOVES), ["Ingress", "StatefulSet"])

    def test_while_the_old_release_runs_the_core_there_is_no_other(self):
        chain = {
            "name": "kusama",
            "namespace": "kusama",
            "host": "kusama.w3f.community",
            "databaseUri": "",
            "legacyRelease": "kusama-otv-backend",
        }
        release = helmfile("10-otv.yaml.gotmpl", "kusama", VARIABLES, {"chains": [chain]})[0]
        objects = render("otv", release["values"], "otv", "kusama", bare=True)
        self.assertEqual([item["kind"] for item in objects if item["kind"] in MOVES], [])
        routes = json.loads(objects.one("ConfigMap", "otv-balancer")["data"]["routes.json"])
        self.assertEqual(
            routes["upstreams"]["core"]["discovery"]["dns"],
            {"name": "kusama-otv-backend.kusama.svc.cluster.local.", "port": 3300, "interval": "2s"},
        )

    def test_databases(self):
        wanted = {"kusama": [], "polkadot": [], "staging": [], "ci": ["kusama", "polkadot"], "local": ["kusama"]}
        for environment, names in wanted.items():
            releases = helmfile("05-mongodb.yaml.gotmpl", environment, VARIABLES)
            self.assertEqual([release["name"] for release in releases], names, environment)
            for release in releases:
                self.assertEqual(release["chart"], "../charts/otv-mongodb")
                objects = render("otv-mongodb", release["values"], release["name"], release["namespace"])
                self.assertEqual(objects.one("StatefulSet")["metadata"]["name"], f"{release['name']}-mongodb")

    def test_no_environment_removes_a_database(self):
        """`installed: false` uninstalls; what is not there is left alone."""
        for file in ("05-mongodb.yaml.gotmpl", "10-otv.yaml.gotmpl"):
            self.assertNotIn("installed:", read("helmfile.d", file))
            self.assertNotIn("bitnami", read("helmfile.d", file))

    def test_a_production_database_is_installed_by_its_name_only(self):
        chain = load("helmfile.d", "environments", "kusama.yaml")["chains"][0]
        release = helmfile(
            "05-mongodb.yaml.gotmpl", "kusama", VARIABLES, {"chains": [{**chain, "databaseRelease": "new"}]}
        )[0]
        objects = render("otv-mongodb", release["values"], release["name"], release["namespace"])
        claim = objects.one("StatefulSet", "new-mongodb")["spec"]["volumeClaimTemplates"][0]
        self.assertEqual(claim["spec"]["resources"]["requests"]["storage"], "20Gi")
        self.assertEqual(objects.of("Secret"), [])

    def test_no_release_takes_the_name_of_the_database_that_runs(self):
        """An upgrade of the old release by this chart would remove what it had made."""
        chain = load("helmfile.d", "environments", "kusama.yaml")["chains"][0]
        with self.assertRaises(helm.HelmError) as caught:
            helmfile("05-mongodb.yaml.gotmpl", "kusama", VARIABLES, {"chains": [{**chain, "databaseRelease": "kusama-mongodb"}]})
        self.assertIn("databaseRelease is kusama-mongodb", str(caught.exception))

    def test_the_gateway_of_ci_asks_the_database_of_ci(self):
        for release in helmfile("10-otv.yaml.gotmpl", "ci", VARIABLES):
            chain = release["namespace"]
            objects = render("otv", release["values"], release["name"], release["namespace"], bare=True)
            main = json.loads(objects.one("Secret", f"{release['name']}-gateway")["stringData"]["main.json"])
            self.assertEqual(
                main["db"]["mongo"]["uri"],
                f"mongodb://username:password123@{chain}-mongodb.{chain}.svc.cluster.local/otv?tls=false",
            )
            # Which is installed with that user, password and database.
            database = next(r for r in helmfile("05-mongodb.yaml.gotmpl", "ci", VARIABLES) if r["namespace"] == chain)
            objects = render("otv-mongodb", database["values"], database["name"], chain)
            self.assertEqual(objects.one("Service", f"{chain}-mongodb")["spec"]["ports"][0]["port"], 27017)
            self.assertEqual(objects.one("Secret")["stringData"]["password"], "password123")
            container = objects.one("StatefulSet")["spec"]["template"]["spec"]["containers"][0]
            given = {entry["name"]: entry.get("value") for entry in container["env"]}
            self.assertEqual((given["OTV_USERNAME"], given["OTV_DATABASE"]), ("username", "otv"))

    def test_production_holds_no_password(self):
        for environment in ("kusama", "polkadot", "staging"):
            for release in helmfile("10-otv.yaml.gotmpl", environment, VARIABLES):
                self.assertNotRegex(json.dumps(release["values"]), 'mongodb://[^"]*@')
                objects = render("otv", release["values"], release["name"], release["namespace"], bare=True)
                gateway = objects.one("Deployment", f"{release['name']}-gateway")["spec"]["template"]["spec"][
                    "containers"
                ][0]
                self.assertIn("GATEWAY_DB_URI", [entry["name"] for entry in gateway["env"]])

    def test_every_key_that_is_read_is_in_every_environment(self):
        """helmfile ends with an error at a key that is not there, also in an `if`."""
        for file in ("05-mongodb.yaml.gotmpl", "10-otv.yaml.gotmpl"):
            body = "".join(re.findall(r"\{\{.*?\}\}", read("helmfile.d", file).partition("\n---\n")[2]))
            read_keys = set(re.findall(r"\.Values\.(\w+)", body))
            of_chains = set(re.findall(r"(?<![\w.$])\.([a-z]\w*)", body))
            self.assertLessEqual({"chains"}, read_keys)
            self.assertLessEqual({"namespace"}, of_chains)
            for environment in ENVIRONMENTS:
                values = load("helmfile.d", "environments", f"{environment}.yaml")
                self.assertLessEqual(read_keys, set(values), environment)
                for chain in values["chains"]:
                    self.assertLessEqual(of_chains, set(chain), environment)

    def test_both_files_have_the_same_environments(self):
        heads = {
            read("helmfile.d", file).partition("\n---\n")[0].partition("\n")[2]
            for file in ("05-mongodb.yaml.gotmpl", "10-otv.yaml.gotmpl")
        }
        self.assertEqual(len(heads), 1)
        self.assertEqual(list(yaml.safe_load(heads.pop())["environments"]), ENVIRONMENTS)
