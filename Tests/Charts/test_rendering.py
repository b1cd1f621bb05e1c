"""What the charts render is valid, and mistakes in values are found before anything is installed."""

import os
import re
import subprocess
import sys
import unittest

import helm_python as helm
import jsonschema
import yaml
from foreign import validate_foreign
from matrix import HTTP_ROUTE, INGRESS, MONITORED, SPLIT, pods, releases
from rendering import (
    BETWEEN,
    CHARTS,
    FOREIGN,
    LEAST,
    NoDuplicates,
    ROOT,
    STAGES,
    VERSIONS,
    at,
    check_routes,
    folder_of,
    load,
    merged,
    read,
    render,
    routes_of,
    texts,
    validate,
)


class Rendering(unittest.TestCase):
    def test_lint(self):
        for chart in [*CHARTS, "otv"]:
            with self.subTest(chart=chart):
                messages = helm.lint(folder_of(chart))["messages"]
                self.assertEqual([m for m in messages if m["severity"] > 1], [])

    def test_every_manifest_is_valid(self):
        for name, objects in releases():
            with self.subTest(name):
                self.assertTrue(objects)
                validate(objects)
                for item in objects:
                    if item["kind"] in FOREIGN:
                        validate_foreign(item)

    def test_every_kubernetes_between(self):
        """What people install, and everything at once; the rest against the oldest and the newest."""
        self.assertGreater(len(BETWEEN), 5)
        whole = merged(
            *[{name: MONITORED} for name in ("otv-balancer", "otv-gateway", "otv-core")],
            *[at(f"otv-{name}.enabled", True) for name in ("worker", "telemetry", "mongodb", "redis")],
            at("global.config", {**SPLIT, "redis": {"host": "otv-redis"}}),
            {"otv-balancer": merged(INGRESS, at("tls", {"enabled": True, "secrets": ["s"]}), at("discovery.mode", "endpointSlices"), at("state.enabled", True))},
            at("otv-mongodb", {"auth": {"enabled": True, "password": "p", "rootPassword": "r"}, "persistence": {"enabled": True}}),
            at("otv-worker.autoscaling.enabled", True),
            at("global.privateCA.existingSecret", "authority"),
        )
        validate(render("otv", whole), tuple(BETWEEN))
        for stage in STAGES:
            values = merged(load("examples", "production", "kusama.yaml"), load("examples", "stages", stage, "values.yaml"))
            validate(render("otv", values, bare=True), tuple(BETWEEN))

    def test_the_oldest_kubernetes_is_that_of_the_charts(self):
        for chart in [*CHARTS, "otv"]:
            self.assertEqual(load("charts", chart, "Chart.yaml")["kubeVersion"], f">={VERSIONS[0]}.0-0")
        self.assertIn(f"Kubernetes {VERSIONS[0]} or newer", read("docs", "deployment.md"))

    def test_a_key_that_is_there_twice_is_found(self):
        with self.assertRaises(AssertionError):
            yaml.load("a: {b: 1, b: 2}", NoDuplicates)

    def test_the_validators_find_a_stray_field(self):
        objects = render("otv-balancer", merged(MONITORED, HTTP_ROUTE, at("autoscaling.keda.enabled", True)))
        objects.one("Deployment")["spec"]["template"]["spec"]["containers"][0]["periodSeconds"] = 10
        with self.assertRaises(AssertionError):
            validate(objects)
        for kind in FOREIGN:
            item = objects.one(kind)
            validate_foreign(item)
            item["spec"]["stray"] = 1
            with self.assertRaises(jsonschema.ValidationError):
                validate_foreign(item)

    def test_no_name_twice(self):
        for name, objects in releases():
            with self.subTest(name):
                names = [(item["kind"], item["metadata"]["name"]) for item in objects]
                self.assertEqual(len(names), len(set(names)), names)

    def test_the_balancer_accepts_every_routes_file(self):
        seen = 0
        for name, objects in releases():
            for text in routes_of(objects):
                seen += 1
                status, words = check_routes(text)
                self.assertEqual(status, 0, f"{name}: {words}\n{text}")
        self.assertGreater(seen, 100)

    def test_the_balancer_accepts_the_examples(self):
        files = [os.path.join("examples", "stages", name, "routes.json") for name in STAGES]
        for file in [*files, os.path.join("config", "balancer", "routes.json")]:
            with self.subTest(file):
                status, words = check_routes(read(file))
                self.assertEqual(status, 0, words)

    def test_notes(self):
        for chart in [*CHARTS, "otv"]:
            made = [
                text
                for path, text in texts(chart, LEAST.get(chart, {})).items()
                if path.endswith(f"{chart}/templates/NOTES.txt")
            ]
            self.assertEqual(len(made), 1, chart)
            self.assertIn("kusama", made[0])

    def test_notes_say_what_serves(self):
        def said(values):
            return next(text for path, text in texts("otv-balancer", values).items() if path.endswith("NOTES.txt"))

        # The hosts are known before they lead here.
        waiting = said(at("ingress.hosts", ["kusama.w3f.community"]))
        self.assertNotIn("kusama.w3f.community", waiting)
        self.assertIn("No public host", waiting)
        self.assertIn("https://kusama.w3f.community/", said(INGRESS))
        self.assertIn("http://kusama.w3f.community/", said(merged(INGRESS, at("ingress.tls", False))))
        self.assertIn("kusama.w3f.community, by the Gateway", said(HTTP_ROUTE))
        for values in (INGRESS, HTTP_ROUTE, at("service.type", "LoadBalancer")):
            self.assertNotIn("No public host", said(values))
        # Of the umbrella's parts Helm shows no notes: its own have what one does first, by the names that are there.
        for release, own, name in (("otv", {}, "otv-balancer"), ("r" * 53, {}, f"{'r' * 43}-balancer"), ("otv", {"fullnameOverride": "front"}, "front")):
            values = merged(LEAST["otv"], {"otv-balancer": own})
            notes = next(text for path, text in texts("otv", values, release).items() if path == "otv/templates/NOTES.txt")
            self.assertTrue(render("otv", {"otv-balancer": own}, release).one("Deployment", name))
            self.assertIn(f"exec deployment/{name} -- balancer routes", notes)
            self.assertIn(f"port-forward service/{name} 8080:80", notes)
        public = next(text for path, text in texts("otv", merged(LEAST["otv"], {"otv-balancer": INGRESS})).items() if path == "otv/templates/NOTES.txt")
        self.assertNotIn("port-forward", public)

    def test_derived_files_are_up_to_date(self):
        ran = subprocess.run(
            [sys.executable, os.path.join(ROOT, "Tests", "Charts", "reference.py")],
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(ran.returncode, 0, ran.stdout)

    def test_what_is_shared_is_written_once(self):
        """In the library; a chart defines its own things under its own name."""
        common = load("charts", "otv-common", "Chart.yaml")
        self.assertEqual(common["type"], "library")
        shared = set()
        for name in sorted(os.listdir(os.path.join(ROOT, "charts", "otv-common", "templates"))):
            self.assertTrue(name.startswith("_"), name)
            found = re.findall(r'define "([^"]+)"', read("charts", "otv-common", "templates", name))
            self.assertEqual([each for each in found if not each.startswith("otv.")], [])
            self.assertFalse(shared & set(found))
            shared |= set(found)
        used = set()
        for chart in [*CHARTS, "otv"]:
            dependencies = {d["name"]: d for d in load("charts", chart, "Chart.yaml")["dependencies"]}
            self.assertEqual(
                dependencies["otv-common"],
                {"name": "otv-common", "version": common["version"], "repository": "file://../otv-common"},
            )
            for place, _, names in os.walk(os.path.join(ROOT, "charts", chart, "templates")):
                for name in names:
                    text = read(place, name)
                    self.assertNotRegex(text, r'define "otv[.]', (chart, name))
                    used |= set(re.findall(r'include ["`](otv[.][^"`]+)["`]', text))
        texts = "".join(
            read("charts", "otv-common", "templates", name)
            for name in os.listdir(os.path.join(ROOT, "charts", "otv-common", "templates"))
        )
        used |= set(re.findall(r'include "(otv[.][^"]+)"', texts))
        self.assertEqual(used, shared)

    def test_what_a_chart_says_of_itself(self):
        versions = set()
        for chart in [*CHARTS, "otv", "otv-common"]:
            said = load("charts", chart, "Chart.yaml")
            for key in ("description", "home", "sources", "keywords", "maintainers", "kubeVersion"):
                self.assertTrue(said[key], (chart, key))
            if chart != "otv-common":
                for link in yaml.safe_load(said["annotations"]["artifacthub.io/links"]):
                    page = link["url"].partition("/blob/main/")[2]
                    self.assertTrue(os.path.exists(os.path.join(ROOT, page)), page)
            self.assertEqual(said["annotations"]["artifacthub.io/license"], "Apache-2.0")
            self.assertIn("Apache License", read("LICENSE"))
            if chart not in ("otv-mongodb", "otv-redis", "otv-common"):
                versions.add(said["appVersion"])
        # One version of ours, which test_version.py compares with the programs's.
        self.assertEqual(len(versions), 1)

    def test_each_value_has_a_meaning(self):
        for chart in [*CHARTS, "otv"]:
            rows = re.findall(r"^\| `([^`]+)` \| .* \| (.*) \|$", read("charts", chart, "README.md"), re.M)
            self.assertGreater(len(rows), 15)
            self.assertEqual([path for path, meaning in rows if not meaning.strip()], [], chart)
            # And none is left out, but for what Kubernetes knows the keys of.
            told = {path for path, _ in rows}

            def leaves(values, path=""):
                for key, value in values.items():
                    full = f"{path}.{key}" if path else key
                    yield from leaves(value, full) if isinstance(value, dict) and value else [full]

            for leaf in leaves(load("charts", chart, "values.yaml")):
                parents = [leaf.rsplit(".", count)[0] for count in range(leaf.count(".") + 1)]
                self.assertTrue(told & set(parents), f"{chart}: {leaf}")

    def test_each_says_how_it_is_upgraded_and_uninstalled(self):
        for chart in [*CHARTS, "otv"]:
            notes = read("charts", chart, "README.md").partition("\n## Upgrading and uninstalling\n")[2].partition("\n## Values\n")[0]
            self.assertIn("ninstall", notes, chart)
        # Claims stay, and are named as they are.
        for chart, values in {"otv-core": {}, "otv-mongodb": at("persistence.enabled", True)}.items():
            (claim,) = render(chart, values).one("StatefulSet")["spec"]["volumeClaimTemplates"]
            self.assertIn(f"{claim['metadata']['name']}-NAME-0", read("charts", chart, "README.md"))

    def test_the_images_that_a_chart_names_are_those_that_it_runs(self):
        """Artifact Hub scans what the annotation says."""
        on = merged(
            *[at(f"otv-{name}.enabled", True) for name in ("mongodb", "redis")], at("global.config.db.mongo.uri", "mongodb://x/otv")
        )
        for chart, values in {"otv": on, "otv-balancer": {}, "otv-gateway": {}, "otv-core": {}, "otv-mongodb": {}, "otv-redis": {}}.items():
            said = yaml.safe_load(load("charts", chart, "Chart.yaml")["annotations"]["artifacthub.io/images"])
            ends = [values]
            if chart in ("otv", "otv-core"):
                ends.append(merged(values, load("examples", "stages", "4-core-retired", "values.yaml") if chart == "otv" else at("retired", True)))
            runs = {
                container["image"]
                for end in ends
                for _, spec, _ in pods(render(chart, end))
                for container in spec["containers"]
            }
            self.assertEqual({each["image"] for each in said}, runs, chart)

    def test_versions_of_the_umbrella(self):
        dependencies = load("charts", "otv", "Chart.yaml")["dependencies"]
        for chart in [*CHARTS, "otv-common"]:
            version = load("charts", chart, "Chart.yaml")["version"]
            self.assertEqual([d["version"] for d in dependencies if d["name"] == chart], [version], chart)
        self.assertEqual({d["name"] for d in dependencies if "condition" not in d}, {"otv-common"})


class Rejected(unittest.TestCase):
    """A mistake in the values is found before anything is installed."""

    def rejected(self, chart, values, *words):
        with self.assertRaises(helm.HelmError) as caught:
            render(chart, values)
        for word in words:
            self.assertIn(word, str(caught.exception))

    def test_misspelt_keys(self):
        for chart in CHARTS:
            for name, values in {
                "replica": {"replica": 3},
                "podSecurityContexts": {"podSecurityContexts": {}},
                "tags": at("image.tags", "x"),
                "enable": at("networkPolicy.enable", True),
                "limit": at("resources.limit", {}),
            }.items():
                self.rejected(chart, values, name)
        for chart in ("otv-gateway", "otv-core"):
            self.rejected(chart, at("config.servers.port", 1), "servers")
            self.rejected(chart, at("config.server.ports", 1), "ports")
            self.rejected(chart, at("serviceMonitor.intervall", "1s"), "intervall")
        self.rejected("otv-core", {"retire": True}, "retire")
        self.rejected("otv-worker", at("config.radis.host", "x"), "radis")
        self.rejected("otv-telemetry", at("config.server.prot", 1), "prot")

    def test_misspelt_keys_of_routes_json(self):
        for name, values in {
            "timeout": at("config.timeout", {}),
            "drain": at("config.timeouts.drain", "1s"),
            "conect": at("config.timeouts.conect", "1s"),
            "listeners": at("config.listeners", []),
            "admin": at("config.admin", False),
            "healt": at("upstreams.core.healt", {}),
            "intervall": at("upstreams.core.health.intervall", "1s"),
            "splitt": {"routes": [{"name": "api", "splitt": {"core": 1}}]},
            "mach": {"retiredRoutes": [{"name": "api", "mach": {}, "split": {"gateway": 1}}]},
            "port": at("upstreams.core.service", {"name": "x", "port": "3300"}),
        }.items():
            self.rejected("otv-balancer", values, name)
        self.rejected("otv-balancer", {"routes": [{"split": {"core": 1}}]}, "name")

    def test_misspelt_keys_under_the_umbrella(self):
        self.rejected("otv", {"otv-balancer": {"weight": {}}}, "weight")
        self.rejected("otv", {"otv-balancers": {}}, "otv-balancers")
        self.rejected("otv", at("global.imagetag", "x"), "imagetag")
        self.rejected("otv", at("global.config.mongo", {}), "mongo")

    def test_wrong_kinds(self):
        self.rejected("otv-balancer", {"replicas": 0}, "replicas")
        self.rejected("otv-balancer", at("autoscaling.minReplicas", 0), "minReplicas")
        self.rejected("otv-balancer", at("autoscaling.requestsPerSecond", "many"), "requestsPerSecond")
        self.rejected("otv-balancer", {"weights": {"api": {"core": "90"}}}, "weights")
        self.rejected("otv-balancer", {"weights": {"api": {"core": 1_000_001}}}, "weights")
        self.rejected("otv-balancer", {"weights": {"api": {"core": 0.5}}}, "weights")
        self.rejected("otv-balancer", at("discovery.mode", "consul"), "discovery")
        self.rejected("otv-balancer", {"preStopSeconds": 0}, "preStopSeconds")
        self.rejected("otv-core", {"retired": "yes"}, "retired")

    def test_contradictions(self):
        self.rejected("otv-balancer", {"weights": {"ap": {"core": 1}}}, "weights.ap", "there is no such route", "api")
        self.rejected("otv-balancer", {"weights": {"api": {"cor": 1}}}, "weights.api.cor", "gives nothing to cor")
        self.rejected("otv-balancer", {"weights": {"private": {"core": 1}}}, "weights.private.core")
        self.rejected(
            "otv-balancer", {"weights": {"api": {"core": 0, "gateway": 0}}}, "all weights of the route api are 0"
        )
        self.rejected("otv-balancer", {"drain": "120s"}, "terminationGracePeriodSeconds is 45")
        self.rejected("otv-gateway", {"preStopSeconds": 40}, "terminationGracePeriodSeconds is 45")
        self.rejected("otv-balancer", at("ingress.enabled", True), "ingress.hosts is empty")
        self.rejected("otv-balancer", at("httpRoute.enabled", True), "parentRefs is empty")
        self.rejected(
            "otv-balancer", {"httpRoute": {**HTTP_ROUTE["httpRoute"], "hosts": []}}, "httpRoute.hosts is empty"
        )
        self.rejected("otv-gateway", at("autoscaling.minReplicas", 20), "more than autoscaling.maxReplicas")
        self.rejected("otv-core", {"existingSecret": "otv-core"}, "is the name of the Secret")
        self.rejected("otv-mongodb", {"auth": {"enabled": True}}, "auth.password is empty")
        self.rejected("otv-mongodb", {"auth": {"enabled": True, "password": "x"}}, "auth.rootPassword is empty")

    def test_a_core_is_not_retired_before_the_routes(self):
        self.rejected("otv", at("otv-core.retired", True), "otv-core.retired without otv-balancer.coreRetired")
        self.rejected(
            "otv",
            merged(at("otv-balancer.coreRetired", True), at("otv-balancer.weights.api", {"core": 1, "gateway": 99})),
            "weights.api.core is 1",
            "once coreRetired is set",
        )
