"""What becomes of the core, and what each server is given of the legacy configuration."""

import json
import unittest

import helm_python as helm
from matrix import MONITORED, stage
from rendering import LEAST, at, merged, render

OUT = at("otv-balancer.coreRetired", True)
WITHOUT = at("otv-core.config.server.enable", False)
HEALTH = at("otv-core.config.server.onlyHealth", True)


def main(objects, name):
    return json.loads(objects.one("Secret", name)["stringData"]["main.json"])


def without(values, path):
    """A copy without what is at the path."""
    made = merged(values)
    *parents, last = path.split(".")
    place = made
    for name in parents:
        place = place[name]
    del place[last]
    return made


class Core(unittest.TestCase):
    def rejected(self, chart, values, *words, bare=False):
        with self.assertRaises(helm.HelmError) as caught:
            render(chart, values, bare=bare)
        for word in words:
            self.assertIn(word, str(caught.exception))

    def test_without_a_server_it_works_on(self):
        for values in (stage("4-core-without-server"), merged(OUT, WITHOUT)):
            objects = render("otv", merged({"otv-core": MONITORED}, values))
            spec = objects.one("StatefulSet", "otv-core")["spec"]["template"]["spec"]
            container = spec["containers"][0]
            self.assertTrue(container["image"].startswith("web3f/otv-backend:"))
            # Nothing to ask, so nothing asks; what Kubernetes watches is the process.
            self.assertEqual([key for key in container if key == "ports" or "Probe" in key or key == "lifecycle"], [])
            self.assertEqual([s["metadata"]["name"] for s in objects.of("Service") if "core" in s["metadata"]["name"]], ["otv-core-headless"])
            self.assertNotIn("ports", objects.one("Service", "otv-core-headless")["spec"])
            self.assertEqual(objects.one("NetworkPolicy", "otv-core")["spec"]["ingress"], [])
            self.assertEqual(objects.of("ServiceMonitor", "otv-core"), [])
            # Its work is untouched.
            given = main(objects, "otv-core")
            self.assertEqual(given["server"]["enable"], False)
            self.assertLessEqual({"matrix", "scorekeeper", "db", "global"}, set(given))

    def test_a_command_may_say_whether_it_is_well(self):
        objects = render("otv", merged(OUT, WITHOUT, at("otv-core.livenessCommand", ["node", "-e", "0"])))
        container = objects.one("StatefulSet", "otv-core")["spec"]["template"]["spec"]["containers"][0]
        self.assertEqual(container["livenessProbe"]["exec"]["command"], ["node", "-e", "0"])
        self.assertNotIn("readinessProbe", container)

    def test_with_health_checks_only_it_works_on_and_is_probed(self):
        for values in (stage("4-core-health-only"), merged(OUT, HEALTH)):
            objects = render("otv", values)
            container = objects.one("StatefulSet", "otv-core")["spec"]["template"]["spec"]["containers"][0]
            self.assertTrue(container["image"].startswith("web3f/otv-backend:"))
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                self.assertEqual(container[probe]["httpGet"], {"path": "/healthcheck", "port": "backend"})
            given = main(objects, "otv-core")
            self.assertEqual((given["server"]["enable"], given["server"]["onlyHealth"]), (True, True))
            self.assertIn("scorekeeper", given)

    def test_no_end_before_the_routes(self):
        """A balancer that still asks a core which does not answer is refused, whichever way the core is told."""
        words = ["without otv-balancer.coreRetired"]
        self.rejected("otv", at("otv-core.retired", True), "otv-core.retired", *words)
        self.rejected("otv", WITHOUT, "otv-core.config.server", "nothing", *words)
        self.rejected("otv", HEALTH, "otv-core.config.server", "health checks only", *words)
        self.rejected("otv", at("global.config.server.onlyHealth", True), "health checks only", *words)
        self.rejected("otv", merged(WITHOUT, at("otv-core.existingSecret", "made")), "nothing", *words)
        # Alone, without a balancer that it could contradict.
        self.assertTrue(render("otv", merged(WITHOUT, at("otv-balancer.enabled", False))))

    def test_every_end_keeps_the_claims(self):
        """A StatefulSet's claim templates and selector cannot be changed."""

        def fixed(values):
            spec = render("otv", values).one("StatefulSet")["spec"]
            return {
                key: spec[key] for key in ("volumeClaimTemplates", "selector", "serviceName", "podManagementPolicy")
            }

        ends = [fixed(stage(name)) for name in ("4-core-without-server", "4-core-health-only", "4-core-retired")]
        self.assertEqual(ends, [fixed(stage("3-core-in-reserve"))] * 3)

    def test_a_core_that_could_not_start_is_refused(self):
        """Its loader reads these without asking; what is missing is named by its path."""
        for path in (
            "config.db.mongo.uri",
            "config.global.networkPrefix",
            "config.global.apiEndpoints",
            "config.global.candidatesUrl",
            "config.matrix",
            "config.scorekeeper",
        ):
            self.rejected("otv-core", without(LEAST["otv-core"], path), path.removeprefix("config."), bare=True)
        self.rejected("otv-core", without(LEAST["otv-core"], "secret.scorekeeper"), "scorekeeper.nominators", bare=True)
        # Nothing at all, as the chart's own values have it: everything is named at once.
        for chart in ("otv-core", "otv"):
            self.rejected(chart, {}, bare=True)
        self.rejected("otv-core", {}, "db.mongo.uri", "matrix", "scorekeeper", "retired: true", bare=True)
        # A test chain has endpoints of its own.
        local = merged(without(LEAST["otv-core"], "config.global.apiEndpoints"), at("config.global.networkPrefix", 3))
        self.assertTrue(render("otv-core", local, bare=True))
        # What is in a Secret of somebody's is not seen, and what is retired reads nothing.
        self.assertTrue(render("otv-core", at("existingSecret", "made"), bare=True))
        self.assertTrue(render("otv-core", at("retired", True), bare=True))


class Gateway(unittest.TestCase):
    rejected = Core.rejected

    def test_what_is_meant_for_the_core_leaves_the_gateway_alone(self):
        """The legacy main.json is shared whole; of its `server` the gateway takes port and cache."""
        shared = {"port": 4444, "cache": 5000, "onlyHealth": True, "enable": False, "serveDocs": False}
        objects = render("otv", merged(OUT, at("global.config.server", shared)))
        self.assertEqual(
            main(objects, "otv-gateway")["server"], {"port": 4444, "cache": 5000, "enable": True, "drain": 1000}
        )
        self.assertEqual(main(objects, "otv-core")["server"]["onlyHealth"], True)

    def test_a_gateway_without_its_api_is_refused(self):
        for key, value in (("enable", False), ("onlyHealth", True)):
            self.rejected("otv-gateway", at(f"config.server.{key}", value), f"config.server.{key}")
            self.rejected("otv", at(f"otv-gateway.config.server.{key}", value), f"config.server.{key}")

    def test_a_gateway_without_a_database_is_refused(self):
        self.rejected("otv-gateway", {}, "db.mongo.uri is missing", bare=True)
        self.rejected("otv-gateway", at("config.db.mongo", {}), "db.mongo.uri is missing", bare=True)
        for values in (at("database.existingSecret", "s"), at("existingSecret", "s"), at("config.db.uri", "sqlite:/x")):
            self.assertTrue(render("otv-gateway", values, bare=True))

    def test_the_default_database_is_there_or_refused(self):
        """The umbrella's default leads to a database that it installs only when told so."""
        values = without(LEAST["otv"], "global.config.db")
        words = ["otv-mongodb", "does not install", "otv-mongodb.enabled"]
        self.rejected("otv", values, *words, bare=True)
        self.rejected("otv", merged(values, {"otv-gateway": {"database": {"existingSecret": "s"}}}), "otv-core", bare=True)
        on = at("otv-mongodb.enabled", True)
        self.rejected("otv", merged(values, on, at("otv-mongodb.fullnameOverride", "db")), *words, bare=True)
        for release in ("otv", "another", "r" * 53):
            objects = render("otv", merged(values, on), release, bare=True)
            database = next(o for o in objects.of("StatefulSet") if o["metadata"]["name"].endswith("-mongodb"))
            gateway = next(o for o in objects.of("Secret") if o["metadata"]["name"].endswith("-gateway"))
            uri = json.loads(gateway["stringData"]["main.json"])["db"]["mongo"]["uri"]
            self.assertEqual(uri, f"mongodb://{database['metadata']['name']}/otv")
