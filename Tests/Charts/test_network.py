"""Names, ports and policies: one place says each, and what does not agree is refused."""

import json
import unittest

import helm_python as helm
from matrix import VARIABLES, stage
from rendering import CHARTS, ENVIRONMENTS, STAGES, at, helmfile, merged, render, routes_of, validate


def upstreams(objects):
    return json.loads(routes_of(objects)[0])["upstreams"]


def egress(objects, name="otv-balancer"):
    return objects.one("NetworkPolicy", name)["spec"]["egress"]


def allowed(objects, port, **peer):
    """Whether the balancer may reach the port there."""
    return any(
        port in [entry["port"] for entry in rule["ports"]] and (not peer or peer in rule.get("to", []))
        for rule in egress(objects)
    )


class Network(unittest.TestCase):
    def rejected(self, values, *words, chart="otv", name="otv"):
        with self.assertRaises(helm.HelmError) as caught:
            render(chart, values, name)
        for word in words:
            self.assertIn(word, str(caught.exception))

    def test_one_port_for_both_sides_reaches_everything(self):
        """As the legacy charts had it, and as their main.json says it."""
        for mode in ("dns", "endpointSlices"):
            objects = render("otv", merged(at("global.config.server.port", 4444), at("otv-balancer.discovery.mode", mode)))
            for name in ("core", "gateway"):
                found = upstreams(objects)[name]["discovery"][mode]
                self.assertEqual(found["port"], 4444)
                service = objects.one("Service", f"otv-{name}-headless")
                self.assertEqual(service["spec"]["ports"][0]["port"], 4444)
            self.assertTrue(allowed(objects, 4444, podSelector={}))
            self.assertFalse(allowed(objects, 3301))

    def test_a_port_that_one_side_alone_says_is_refused(self):
        for name in ("core", "gateway"):
            self.rejected(
                at(f"otv-{name}.config.server.port", 4444),
                f"otv-balancer.upstreams.{name}.service.port",
                "listens on 4444",
            )
            self.rejected(
                at(f"otv-balancer.upstreams.{name}.service.port", 4444), f"upstreams.{name}.service.port is 4444"
            )
            both = merged(
                at(f"otv-{name}.config.server.port", 4444), at(f"otv-balancer.upstreams.{name}.service.port", 4444)
            )
            self.assertTrue(allowed(render("otv", both), 4444, podSelector={}))
        # The retired core's port, which nobody asks.
        self.assertTrue(render("otv", merged(stage("4-core-retired"), at("otv-core.config.server.port", 4444))))

    def test_a_name_that_one_side_alone_says_is_refused(self):
        for name in ("core", "gateway"):
            own = at(f"otv-{name}.fullnameOverride", "mine")
            self.rejected(own, f"otv-balancer.upstreams.{name}.service.name is otv-{name}-headless", "mine-headless")
            said = at(f"otv-balancer.upstreams.{name}.service.name", "mine-headless")
            self.rejected(said, "is mine-headless", f"is otv-{name}-headless")
            objects = render("otv", merged(own, said))
            self.assertIn("mine-headless.kusama.svc", json.dumps(upstreams(objects)[name]))
            # Somewhere else on purpose.
            away = at(f"otv-balancer.upstreams.{name}.service", {"name": "other", "namespace": "elsewhere"})
            self.assertTrue(render("otv", away))

    def test_what_is_off_is_not_asked(self):
        """Its Service would not be there: 503 for every request."""
        for name, said in {"core": {}, "gateway": at("otv-balancer.weights.api", {"core": 90, "gateway": 10})}.items():
            off = merged(said, at(f"otv-{name}.enabled", False))
            self.rejected(off, f"otv-{name}.enabled is false", f"otv-{name}-headless", f"otv-balancer.upstreams.{name}.service")
            # It is somewhere else, of this namespace or of another one.
            for service in ({"name": "elsewhere"}, {"name": f"otv-{name}-headless", "namespace": "far"}):
                self.assertTrue(render("otv", merged(off, at(f"otv-balancer.upstreams.{name}.service", service))))
        # Without any weight it may be off, and a core that is out of the routes too.
        self.assertTrue(render("otv", at("otv-gateway.enabled", False)))
        self.assertTrue(render("otv", merged(at("otv-core.enabled", False), at("otv-balancer.coreRetired", True))))

    def test_names_of_any_release(self):
        """A long name once took the ends away by which the parts differ; a StatefulSet's pods carry ten characters more."""
        for release in ("otv", "a.b", "r" * 53, "kusama-1kv-staging-of-somebody-with-a-long-name-2026x"):
            objects = render("otv", at("otv-mongodb.enabled", True), release)
            names = [(o["kind"], o["metadata"]["name"]) for o in objects]
            self.assertEqual(len(names), len(set(names)))
            services = {s["metadata"]["name"] for s in objects.of("Service")}
            for name, upstream in upstreams(objects).items():
                service = upstream["discovery"]["dns"]["name"].split(".")[0]
                self.assertIn(service, services)
                self.assertIn(f"-{name}-", service)
            for kind, name in names:
                self.assertRegex(name, "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$", kind)
                if kind == "StatefulSet":
                    self.assertLessEqual(len(name), 52)
        self.rejected(at("otv-core.fullnameOverride", "n" * 53), "longer than 52")

    def test_what_is_reached_follows_from_the_upstreams(self):
        """Nothing is said twice: a port, a namespace, an address or a name server that the upstreams name is open."""
        cases = [
            ({"service": {"name": "x", "port": 8000}}, 8000, {"podSelector": {}}),
            (
                {"service": {"name": "x", "port": 8000, "namespace": "far"}},
                8000,
                {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "far"}}},
            ),
            ({"endpoints": ["10.0.0.5:3300"]}, 3300, {"ipBlock": {"cidr": "10.0.0.5/32"}}),
            ({"endpoints": ["[fd00::5]:3300"]}, 3300, {"ipBlock": {"cidr": "fd00::5/128"}}),
            ({"endpoints": ["old.example:3300"]}, 3300, {}),
            ({"discovery": {"dns": {"name": "old.example", "port": 3300}}}, 3300, {}),
            ({"discovery": {"dns": {"name": "x.far.svc.cluster.local.", "port": 1}}}, 1, {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "far"}}}),
        ]
        for mode in ("dns", "endpointSlices"):
            for upstream, port, peer in cases:
                values = merged(
                    at("discovery.mode", mode),
                    {"upstreams": {"core": {"service": None, **upstream}}},
                )
                self.assertTrue(allowed(render("otv-balancer", values), port, **peer), (upstream, mode))
        resolver = render("otv-balancer", at("discovery.resolver", "10.96.0.10:5353"))
        self.assertTrue(allowed(resolver, 5353))
        srv = {"upstreams": {"core": {"service": None, "discovery": {"srv": {"name": "_x._tcp.old.example"}}}}}
        self.assertIn({}, egress(render("otv-balancer", srv)))
        # Only what is asked: a core that is out is not reached.
        objects = render("otv", stage("4-core-retired"))
        self.assertFalse(allowed(objects, 3300))

    def test_collector_and_etcd_are_reached(self):
        far = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "far"}}}
        near = {"podSelector": {}}
        for host, port, peer in [
            ("http://10.0.0.5:4318", 4318, {"ipBlock": {"cidr": "10.0.0.5/32"}}),
            ("http://[fd00::5]:4318", 4318, {"ipBlock": {"cidr": "fd00::5/128"}}),
            ("http://collector.far.svc:4318", 4318, far),
            ("http://collector.far.svc.cluster.local.:4318", 4318, far),
            ("http://collector:4318", 4318, near),
            ("https://traces.example", 443, {}),
            ("http://a.b.example", 80, {}),
        ]:
            traced = render("otv-balancer", at("config.tracing", {"endpoint": f"{host}/v1/traces"}))
            self.assertTrue(allowed(traced, port, **peer), host)
            etcd = {"cluster": {"mode": "etcd", "etcd": {"endpoints": [host]}}}
            self.assertTrue(allowed(render("otv-balancer", etcd), port, **peer), host)
        self.assertFalse(allowed(render("otv-balancer", {}), 4318))

    def test_rules_of_ones_own(self):
        """Beside the chart's; where a program reaches anything by default, in place of that."""
        comes = {"from": [{"namespaceSelector": {"matchLabels": {"team": "x"}}}]}
        goes = {"to": [{"ipBlock": {"cidr": "10.1.0.0/16"}}], "ports": [{"port": 443}]}
        for chart in CHARTS:
            name = chart
            usual = render(chart).one("NetworkPolicy", name)["spec"]
            objects = render(chart, at("networkPolicy", {"ingress": [comes], "egress": [goes]}))
            validate(objects)
            spec = objects.one("NetworkPolicy", name)["spec"]
            self.assertEqual(spec["policyTypes"], ["Ingress", "Egress"])
            self.assertEqual(spec["ingress"], [*(usual["ingress"] or []), comes], chart)
            if chart in ("otv-core", "otv-worker", "otv-telemetry"):
                self.assertEqual(usual["egress"], [{}])
                dns = {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}
                self.assertEqual(spec["egress"], [dns, goes])
            else:
                self.assertIn(goes, spec["egress"])
                self.assertEqual([rule for rule in spec["egress"] if rule != goes], usual["egress"])
        # A core that is replaced reaches nothing, whatever the one before it did.
        values = merged(at("retired", True), at("networkPolicy.egress", [goes]))
        self.assertEqual(render("otv-core", values).one("NetworkPolicy")["spec"]["egress"], [])

    def test_name_servers_on_another_port(self):
        for chart in ("otv-balancer", "otv-gateway"):
            rules = egress(render(chart, at("networkPolicy.dnsPorts", [53, 5353])), chart)
            for port in (53, 5353):
                for protocol in ("UDP", "TCP"):
                    self.assertIn({"port": port, "protocol": protocol}, rules[0]["ports"])

    def test_the_database_is_reached_where_the_connection_string_says(self):
        for uri, ports in {
            "mongodb://database/otv": [27017],
            "mongodb://u:p@a:27018,b:27019,c/otv?x=1:2": [27018, 27019, 27017],
            "mongodb://[fd00::1]:27020/otv": [27020],
            "mongodb+srv://cluster.example/otv": [27017],
        }.items():
            objects = render("otv-gateway", at("config.db.mongo.uri", uri))
            self.assertEqual([p["port"] for p in egress(objects, "otv-gateway")[1]["ports"]], ports, uri)
        hidden = merged(at("database.existingSecret", "s"), at("networkPolicy.databasePort", 27999))
        self.assertEqual(egress(render("otv-gateway", hidden), "otv-gateway")[1]["ports"], [{"port": 27999}])

    def test_the_environments_contradict_nothing(self):
        for environment in ENVIRONMENTS:
            for release in helmfile("10-otv.yaml.gotmpl", environment, VARIABLES):
                for name in STAGES:
                    objects = render(
                        "otv", merged(release["values"], stage(name)), "otv", release["namespace"], bare=True
                    )
                    for upstream in upstreams(objects).values():
                        self.assertTrue(allowed(objects, upstream["discovery"]["dns"]["port"], podSelector={}))
