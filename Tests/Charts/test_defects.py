"""The defects of the charts that these replace (docs/deployment.md lists them): a check for each."""

import json
import re

import helm_python as helm
from matrix import SPLIT, VARIABLES, Everywhere, pods
from rendering import ENVIRONMENTS, at, helmfile, load, merged, read, render, routes_of, validate


class Defects(Everywhere):
    def rejected(self, chart, values, words):
        with self.assertRaises(helm.HelmError) as caught:
            render(chart, values)
        self.assertIn(words, str(caught.exception))

    def test_the_page_names_the_tests(self):
        named = re.findall(r"^\| D([1-8]) .*`(test_\w+)` \|$", read("docs", "deployment.md"), re.MULTILINE)
        self.assertEqual([number for number, _ in named], list("12345678"))
        tests = read("Tests", "Charts", "test_defects.py") + read("Tests", "Charts", "test_programs.py")
        for number, name in named:
            self.assertTrue(name.startswith(f"test_d{number}_"))
            self.assertIn(f"def {name}(self)", tests)

    def test_d1_the_public_reaches_servers_that_are_on(self):
        """An Ingress led to a core whose server was off, and nothing led to the gateway."""
        seen = 0
        for objects in self.each():
            services = {service["metadata"]["name"]: service for service in objects.of("Service")}
            for ingress in objects.of("Ingress"):
                seen += 1
                for rule in ingress["spec"]["rules"]:
                    for path in rule["http"]["paths"]:
                        service = services[path["backend"]["service"]["name"]]
                        self.assertEqual(service["spec"]["selector"]["app.kubernetes.io/name"], "otv-balancer")
            for route in objects.of("HTTPRoute"):
                for backend in route["spec"]["rules"][0]["backendRefs"]:
                    self.assertEqual(
                        services[backend["name"]]["spec"]["selector"]["app.kubernetes.io/name"], "otv-balancer"
                    )
            for text in routes_of(objects):
                routes = json.loads(text)
                used = {name for route in routes["routes"] for name, weight in route.get("split", {}).items()}
                self.assertIn("gateway", used)
            for name in ("otv-core", "otv-gateway"):
                for secret in objects.of("Secret", name):
                    server = json.loads(secret["stringData"]["main.json"])["server"]
                    workload = next(
                        o
                        for o in objects
                        if o["kind"] in ("Deployment", "StatefulSet") and o["metadata"]["name"] == name
                    )
                    container = workload["spec"]["template"]["spec"]["containers"][0]
                    # What is off is asked by nobody.
                    self.assertEqual(server["enable"], "ports" in container and "--role" not in container.get("args", []))
                    sides = {side for text in routes_of(objects) for r in json.loads(text)["routes"] for side in r.get("split", {})}
                    if not server["enable"] or server.get("onlyHealth"):
                        self.assertNotIn(name.removeprefix("otv-"), sides)
        self.assertGreater(seen, 30)
        self.rejected("otv", at("otv-core.config.server.enable", False), "without otv-balancer.coreRetired")

    def test_d2_one_port_from_the_configuration_to_the_service(self):
        """The gateway listened on 3301; its container port, Service and probe said 3300."""
        for port in (None, 4444):
            values = (
                {}
                if port is None
                else merged(
                    at("otv-gateway.config.server.port", port), at("otv-balancer.upstreams.gateway.service.port", port)
                )
            )
            objects = render("otv", values)
            container = objects.one("Deployment", "otv-gateway")["spec"]["template"]["spec"]["containers"][0]
            ports = {entry["name"]: entry["containerPort"] for entry in container["ports"]}
            wanted = json.loads(objects.one("Secret", "otv-gateway")["stringData"]["main.json"])["server"]["port"]
            self.assertEqual(wanted, port or 3301)
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                self.assertEqual(ports[container[probe]["httpGet"]["port"]], wanted)
            for name in ("otv-gateway", "otv-gateway-headless"):
                entry = objects.one("Service", name)["spec"]["ports"][0]
                self.assertEqual((entry["port"], ports[entry["targetPort"]]), (wanted, wanted))
            routes = json.loads(routes_of(objects)[0])
            self.assertEqual(routes["upstreams"]["gateway"]["discovery"]["dns"]["port"], wanted)

    # D3, a probe that the configuration lets fail: test_programs.py starts the gateway with the rendered files and asks what
    # the rendered probes ask.

    def test_d4_memory_is_megabytes(self):
        """A limit of 300Gi, meant as Mi."""
        units = {"Mi": 1, "Gi": 1024}
        for objects in self.each():
            for _, spec, _ in pods(objects):
                for container in spec["containers"]:
                    number, unit = re.fullmatch(
                        r"([0-9.]+)(Mi|Gi)", container["resources"]["limits"]["memory"]
                    ).groups()
                    self.assertLessEqual(float(number) * units[unit], 9 * 1024)
        for chart in ("otv-balancer", "otv-gateway", "otv-core", "otv-worker", "otv-telemetry"):
            self.rejected(chart, at("resources.limits.memory", "300Gi"), "memory")

    def test_d5_no_field_that_kubernetes_does_not_know(self):
        """A probe was commented out and its numbers were left in the container."""
        for objects in self.each():
            validate(objects)
        objects = render("otv-worker")
        objects.one("Deployment")["spec"]["template"]["spec"]["containers"][0]["timeoutSeconds"] = 200
        with self.assertRaises(AssertionError):
            validate(objects)

    def test_d6_who_needs_redis_has_one(self):
        """Configurations named a host `redis` that nothing provided."""
        workers = merged(at("otv-worker.enabled", True), at("global.config", SPLIT))
        self.rejected(
            "otv",
            merged(at("otv-worker.enabled", True), at("global.config", {**SPLIT, "redis": {}})),
            "redis.host is missing",
        )
        self.rejected(
            "otv", merged(workers, at("otv-redis.enabled", True)), "the Redis of this release is otv-redis"
        )
        objects = render(
            "otv", merged(workers, at("otv-redis.enabled", True), at("global.config.redis.host", "otv-redis"))
        )
        for name in ("otv-worker", "otv-core"):
            main = json.loads(objects.one("Secret", name)["stringData"]["main.json"])
            self.assertEqual(main["redis"]["host"], "otv-redis")
        self.assertEqual(objects.one("Service", "otv-redis")["spec"]["ports"][0]["port"], 6379)

    def test_d7_values_that_no_chart_reads_are_refused(self):
        """The values of CI had the keys of another version of the chart; nobody noticed."""
        for key, value in {
            "resources": {"limits": {"memory": "1Gi"}},
            "secret": "{}",
            "config": "{}",
            "ingress": {"domain": "x"},
        }.items():
            self.rejected("otv", {key: value}, key)
        self.rejected("otv", at("otv-core.config", "{}"), "config")
        # Those of every environment are read: what is not known is refused, so that they render says it.
        for environment in ENVIRONMENTS:
            for release in helmfile("10-otv.yaml.gotmpl", environment, VARIABLES):
                render("otv", release["values"], release["name"], release["namespace"], bare=True)
                for chart in [name for name in release["values"] if name.startswith("otv-")]:
                    # What is off is not read at all.
                    if not release["values"][chart].get("enabled", True):
                        continue
                    self.rejected("otv", merged(release["values"], at(f"{chart}.resource", {})), "resource")

    def test_d8_no_roll_out_without_a_serving_pod(self):
        """One replica was deleted before its successor was made."""
        for objects in self.each():
            for item in objects.of("Deployment"):
                name = item["metadata"]["labels"]["app.kubernetes.io/name"]
                self.assertEqual(item["spec"]["strategy"]["type"], "RollingUpdate")
                if name not in ("otv-balancer", "otv-gateway"):
                    continue
                self.assertEqual(item["spec"]["strategy"]["rollingUpdate"], {"maxUnavailable": 0, "maxSurge": 1})
                said = [each["spec"]["minReplicas"] for each in objects.of("HorizontalPodAutoscaler", item["metadata"]["name"])]
                said += [each["spec"]["minReplicaCount"] for each in objects.of("ScaledObject", item["metadata"]["name"])]
                said += [item["spec"]["replicas"]] if "replicas" in item["spec"] else []
                # One of them says it, and nobody contradicts.
                (least,) = said
                self.assertGreaterEqual(least, 2)
                self.assertIn("readinessProbe", item["spec"]["template"]["spec"]["containers"][0])
