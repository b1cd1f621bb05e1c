"""Switches that do what they say, everywhere, and values that Kubernetes takes."""

import json
import re
import unittest

import helm_python as helm
from matrix import SPLIT, VARIABLES, pods, stage
from rendering import CHARTS, at, check_routes, helmfile, load, merged, read, render, routes_of, validate

EVERY = merged(
    *[at(f"{name}.enabled", True) for name in ("otv-worker", "otv-telemetry", "otv-mongodb", "otv-redis")],
    at("global.config", {**SPLIT, "redis": {"host": "otv-redis"}}),
)
# Maps that their reader knows no keys of: Helm merges them, so `{}` clears nothing that a chart put there.
FREE = ("annotations", "labels", "podAnnotations", "podLabels", "nodeSelector", "affinity", "config", "secret", "weights")

VERSION = read("VERSION").strip()


def workloads(objects):
    return {item["metadata"]["name"]: spec for item, spec, _ in pods(objects)}


class Switches(unittest.TestCase):
    def rejected(self, chart, values, *words):
        with self.assertRaises(helm.HelmError) as caught:
            render(chart, values)
        for word in words:
            self.assertIn(word, str(caught.exception))

    # Images

    def test_one_registry_for_all_images(self):
        objects = render("otv", merged(EVERY, at("global.imageRegistry", "mirror.example/docker/")))
        images = {spec["containers"][0]["image"] for spec in workloads(objects).values()}
        self.assertEqual(
            images,
            {
                f"mirror.example/docker/web3f/otv-balancer:{VERSION}",
                f"mirror.example/docker/web3f/otv-gateway:{VERSION}",
                "mirror.example/docker/web3f/otv-backend:v3.3.5",
                "mirror.example/docker/web3f/otv-worker:v1",
                "mirror.example/docker/web3f/otv-telemetry:v1",
                "mirror.example/docker/library/mongo:7.0.28",
                "mirror.example/docker/valkey/valkey:8.1.9",
            },
        )
        named = merged(at("global.imageRegistry", "m"), at("otv-gateway.image.repository", "ghcr.io/w3f/otv-gateway"))
        self.assertIn(f"m/w3f/otv-gateway:{VERSION}", [s["containers"][0]["image"] for s in workloads(render("otv", named)).values()])

    def test_a_digest_goes_before_a_tag(self):
        digest = "sha256:" + "a" * 64
        for chart in CHARTS:
            objects = render(chart, at("image.digest", digest))
            repository = load("charts", chart, "values.yaml")["image"]["repository"]
            for name, spec in workloads(objects).items():
                self.assertEqual(spec["containers"][0]["image"], f"{repository}@{digest}", name)
            self.rejected(chart, at("image.digest", "sha256:abc"), "digest")

    # The admin API

    def test_the_command_line_in_the_pod_asks_by_tls_where_the_admin_api_speaks_it(self):
        tls = {"certificate": "/tls/tls.crt", "key": "/tls/tls.key"}
        for values, wanted in (({}, "127.0.0.1:9901"), (at("admin.tls", tls), "https://127.0.0.1:9901")):
            specs = workloads(render("otv-balancer", values)).values()
            told = [entry["value"] for spec in specs for entry in spec["containers"][0].get("env", ()) if entry["name"] == "BALANCER_ADMIN"]
            self.assertEqual(told, [wanted])

    def test_pull_secrets_for_every_pod(self):
        """Also those of the check and of `helm test`, without which every upgrade stops."""
        values = merged(EVERY, at("global.imagePullSecrets", ["shared", {"name": "other"}]), at("otv-gateway.imagePullSecrets", [{"name": "own"}]))
        for name, spec in workloads(render("otv", values)).items():
            wanted = [{"name": "shared"}, {"name": "other"}]
            self.assertEqual(spec["imagePullSecrets"], wanted + ([{"name": "own"}] if "gateway" in name else []), name)

    def test_the_programmes_images_have_tags_of_their_own(self):
        for chart in ("otv-worker", "otv-telemetry"):
            self.rejected(chart, at("image.tag", ""), "image.tag is empty")
            tagged = render(chart, at("global.imageTag", "v9"))
            self.assertTrue(tagged.one("Deployment")["spec"]["template"]["spec"]["containers"][0]["image"].endswith(":v1"))

    def test_a_moving_tag_rolls(self):
        """The tag stays the same, so nothing but the revision tells that the image is another."""

        def marks(revision, values=None):
            objects = render("otv", merged(values or {}, at("global.revision", revision)))
            return {
                item["metadata"]["name"]: item["spec"]["template"]["metadata"].get("annotations", {}).get("otv/revision")
                for item in objects
                if item["kind"] in ("Deployment", "StatefulSet")
            }

        # Not the legacy core: its image is not ours, and it is away for minutes.
        self.assertEqual(marks("abc"), {"otv-balancer": "abc", "otv-gateway": "abc", "otv-core": None})
        self.assertEqual(marks("abc", stage("4-core-retired"))["otv-core"], "abc")
        self.assertEqual(set(marks("").values()), {None})
        for release in helmfile("10-otv.yaml.gotmpl", "staging", VARIABLES):
            self.assertEqual(release["values"]["global"]["imageTag"], "staging")
            self.assertEqual(release["values"]["global"]["revision"], VARIABLES["CIRCLE_SHA1"])
            for chart in ("otv-balancer", "otv-gateway"):
                self.assertEqual(release["values"][chart]["image"]["pullPolicy"], "Always")

    def test_pods_run_where_their_image_runs(self):
        def terms(spec):
            node = spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
            return [term.get("matchExpressions", []) for term in node["nodeSelectorTerms"]]

        def arch(*processors):
            return {"key": "kubernetes.io/arch", "operator": "In", "values": list(processors)}

        amd64, both = arch("amd64"), arch("amd64", "arm64")
        zone = {"key": "zone", "operator": "Exists"}
        # Ours are published for both: the pipeline builds each on a machine of its own.
        machines = re.findall(r"machine: \[([a-z, .]+)\]", read(".circleci", "config.yml"))
        self.assertEqual(machines, ["large, arm.large"])
        for name, spec in workloads(render("otv", EVERY)).items():
            if name in ("otv-mongodb", "otv-redis"):
                self.assertNotIn("affinity", spec)
            else:
                ours = name.startswith(("otv-balancer", "otv-gateway"))
                self.assertEqual(terms(spec), [[both if ours else amd64]], name)
        # What replaces the legacy core is ours.
        for name, spec in workloads(render("otv", stage("4-core-retired"))).items():
            self.assertEqual(terms(spec), [[both]], name)
        own = {
            "podAntiAffinity": {"x": 1},
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [{"matchExpressions": [zone]}, {"matchFields": []}]
                }
            },
        }
        for spec in workloads(render("otv-balancer", {"affinity": own})).values():
            self.assertEqual(terms(spec), [[zone, both], [both]])
            self.assertEqual(spec["affinity"]["podAntiAffinity"], {"x": 1})
        for spec in workloads(render("otv-balancer", {"architectures": []})).values():
            self.assertNotIn("affinity", spec)
        one = render("otv-gateway", {"architectures": ["arm64"]})
        self.assertEqual(terms(workloads(one)["otv-gateway"]), [[arch("arm64")]])

    # Addresses

    def test_clusters_with_one_family_or_two(self):
        for values, every, services in [
            ({}, "0.0.0.0", {}),
            ({"ipFamilies": ["IPv4"]}, "0.0.0.0", {"ipFamilies": ["IPv4"]}),
            ({"ipFamilies": ["IPv6"]}, "[::]", {"ipFamilies": ["IPv6"]}),
            (
                {"ipFamilies": ["IPv6", "IPv4"]},
                "[::]",
                {"ipFamilies": ["IPv6", "IPv4"], "ipFamilyPolicy": "PreferDualStack"},
            ),
            ({"ipFamilyPolicy": "RequireDualStack"}, "[::]", {"ipFamilyPolicy": "RequireDualStack"}),
            ({"ipFamilyPolicy": "SingleStack"}, "0.0.0.0", {"ipFamilyPolicy": "SingleStack"}),
        ]:
            objects = render("otv", merged(EVERY, {"global": values}, at("otv-balancer.serviceMonitor.enabled", True)))
            validate(objects)
            routes = json.loads(routes_of(objects)[0])
            self.assertEqual(
                [routes["listeners"][0]["address"], routes["admin"]["address"], routes["admin"]["observe"]],
                [f"{every}:8080", "127.0.0.1:9901", f"{every}:9902"],
            )
            self.assertEqual(check_routes(routes_of(objects)[0])[0], 0)
            seen = objects.of("Service")
            self.assertEqual(len(seen), 10)
            for service in seen:
                found = {key: value for key, value in service["spec"].items() if key.startswith("ipFam")}
                wanted = services
                if service["spec"].get("clusterIP") == "None" and services:
                    # By these pods are found and measured: each once.
                    wanted = {"ipFamilyPolicy": "SingleStack"}
                    if "ipFamilies" in services:
                        wanted["ipFamilies"] = services["ipFamilies"][:1]
                self.assertEqual(found, wanted, service["metadata"]["name"])
            mongod = objects.one("StatefulSet", "otv-mongodb")["spec"]["template"]["spec"]["containers"][0]["args"]
            self.assertEqual("--ipv6" in mongod, every == "[::]")
            # The gateway's own default is every address of both; nothing here takes that away.
            main = json.loads(objects.one("Secret", "otv-gateway")["stringData"]["main.json"])
            self.assertNotIn("host", main["server"])
        two = {"global": {"ipFamilies": ["IPv4", "IPv6"], "ipFamilyPolicy": "SingleStack"}}
        self.rejected("otv", two, "SingleStack")
        self.rejected("otv", at("global.ipFamilies", ["IPv5"]), "ipFamilies")

    # Values

    def test_what_a_map_holds_by_default_can_be_cleared(self):
        def held(values, path):
            for key, value in values.items():
                if isinstance(value, dict):
                    if key in FREE and path != "global":
                        yield from [f"{path}.{key}"] if value else []
                    else:
                        yield from held(value, f"{path}.{key}")

        for chart in [*CHARTS, "otv"]:
            if chart == "otv":
                values = {key: value for key, value in load("charts", chart, "values.yaml").items() if key != "global"}
            else:
                values = load("charts", chart, "values.yaml")
            # What routes.json holds is the balancer's own `config`, with keys that are known.
            self.assertEqual([path for path in held(values, chart) if path != "otv-balancer.config"], [])
        for environment in ("ci", "local"):
            text = read("helmfile.d", "values", f"env-{environment}.yaml")
            self.assertNotIn("{}", text)

    def test_labels_by_which_things_are_found_are_the_charts(self):
        """A second value for one broke what finds pods, or was a key that is there twice."""
        for chart in CHARTS:
            for place in ("commonLabels", "podLabels"):
                for name in ("name", "instance", "component", "part-of"):
                    key = f"app.kubernetes.io/{name}"
                    self.rejected(chart, {place: {key: "mine"}}, f"/{place}/app.kubernetes.io~1{name}")
            self.rejected(chart, {"commonLabels": {"helm.sh/chart": "mine"}}, "helm.sh~1chart")
            # Meshes tell versions apart by it.
            self.assertTrue(render(chart, {"podLabels": {"app.kubernetes.io/version": "v1"}}))
        self.rejected("otv-balancer", at("hookPods.labels", {"app.kubernetes.io/name": "mine"}), "/hookPods/labels")

    def test_an_objects_own_label_goes_before_the_common_one(self):
        for chart in ("otv-balancer", "otv-gateway", "otv-core"):
            given = {name: {"enabled": True, "labels": {"team": name}} for name in ("serviceMonitor", "prometheusRule")}
            if chart != "otv-core":
                given["dashboard"] = {"enabled": True, "labels": {"team": "dashboard"}}
            objects = render(chart, {"commonLabels": {"team": "all"}, **given})
            own = {"ServiceMonitor": "serviceMonitor", "PrometheusRule": "prometheusRule", f"{chart}-dashboard": "dashboard"}
            for item in objects:
                wanted = own.get(item["kind"]) or own.get(item["metadata"]["name"]) or "all"
                self.assertEqual(item["metadata"]["labels"]["team"], wanted, (chart, item["kind"]))

    def test_names_that_kubernetes_would_refuse(self):
        """Each in the midst of an installation, which is then half there."""
        for chart in (*CHARTS, "otv"):
            with self.assertRaises(helm.HelmError) as caught:
                render(chart, name="1kv")
            self.assertIn("the release's name, 1kv, does not begin with a letter", str(caught.exception))
        for chart in CHARTS:
            for name in ("1kv", "Mine", "a_b", "a.b", "-a", "a-"):
                self.rejected(chart, {"fullnameOverride": name}, "/fullnameOverride")
            self.assertTrue(render(chart, {"fullnameOverride": "kv-1"}))
        for host in ("https://a.example/", "a b", "A.example", "", "a..b", "*.*.b", "a.example:80"):
            self.rejected("otv-balancer", at("ingress.hosts", [host]), "/ingress/hosts/0")
        self.rejected("otv-balancer", at("ingress.hosts", ["a.example", "a.example"]), "/ingress/hosts")
        self.assertTrue(render("otv-balancer", at("ingress", {"enabled": True, "hosts": ["*.a.example", "localhost"]})))

    def test_a_service_has_what_its_type_has(self):
        for given in ({"nodePort": 30080}, {"tlsNodePort": 30443}, {"externalTrafficPolicy": "Local"}):
            (key,) = given
            self.rejected("otv-balancer", {"service": given}, f"service.{key} is for service.type NodePort or LoadBalancer")
            for kind in ("NodePort", "LoadBalancer"):
                self.assertTrue(render("otv-balancer", {"service": {**given, "type": kind}}))
        for given in ({"loadBalancerClass": "x"}, {"loadBalancerSourceRanges": ["10.0.0.0/8"]}):
            (key,) = given
            for kind in ("ClusterIP", "NodePort"):
                self.rejected("otv-balancer", {"service": {**given, "type": kind}}, f"service.{key} is for service.type LoadBalancer")

    def test_what_the_chart_writes_itself_is_not_in_config(self):
        for key in ("listeners", "admin", "cluster", "upstreams", "routes"):
            self.rejected("otv-balancer", at(f"config.{key}", {}), f"'{key}' not allowed")

    def test_certificates_are_asked_for_where_they_are_issued(self):
        for environment, wanted in {"kusama": True, "polkadot": True, "staging": True, "ci": False, "local": False}.items():
            for release in helmfile("10-otv.yaml.gotmpl", environment, VARIABLES):
                values = merged(release["values"], at("otv-balancer.ingress.enabled", True))
                ingress = render("otv", values, "otv", release["namespace"], bare=True).one("Ingress")
                found = ingress["metadata"].get("annotations", {})
                self.assertEqual(found, {"cert-manager.io/cluster-issuer": "letsencrypt"} if wanted else {}, environment)

    def test_monitors_carry_the_labels_of_the_operator(self):
        for environment in ("kusama", "polkadot", "staging"):
            for release in helmfile("10-otv.yaml.gotmpl", environment, VARIABLES):
                objects = render("otv", release["values"], "otv", release["namespace"], bare=True)
                for item in objects.of("ServiceMonitor") + objects.of("PrometheusRule"):
                    labels = item["metadata"]["labels"]
                    self.assertEqual((labels["group"], labels["release"]), ("w3f", "prometheus-operator"))

    def test_quantities_of_kubernetes(self):
        for request, limit in (
            ("1536M", "3G"), ("128Mi", "1.5Gi"), ("256Gi", "1Ti"), (268435456, 536870912), ("1Gi", "64Gi")
        ):
            values = at("resources", {"requests": {"memory": request}, "limits": {"memory": limit}})
            for chart in CHARTS:
                objects = render(chart, values)
                validate(objects)
        self.rejected("otv-gateway", at("resources.limits.memory", "300Gi"), "memory", "128Mi", "slip of the unit")
        self.rejected("otv-gateway", at("resources.limits.memory", "100Mi"), "memory", "below the request")
        for wrong in ("1GB", "lots", "-1Gi", "1 Gi", ""):
            self.rejected("otv-gateway", at("resources.limits.memory", wrong), "memory")
        self.assertTrue(render("otv-core", at("persistence.size", "1Ti")))
        self.rejected("otv-core", at("persistence.size", "20GB"), "size")

    def test_durations_of_routes_json(self):
        for drain, needed in (("1m", 70), ("90s", 100), ("1.5m", 100), ("500ms", 11), ("0.01h", 46)):
            values = {"drain": drain, "terminationGracePeriodSeconds": needed}
            objects = render("otv-balancer", values)
            text = routes_of(objects)[0]
            self.assertEqual(json.loads(text)["timeouts"]["drain"], drain)
            self.assertEqual(check_routes(text)[0], 0)
            self.rejected("otv-balancer", {**values, "terminationGracePeriodSeconds": needed - 1}, drain)
        self.rejected("otv-balancer", {"drain": "1 minute"}, "drain")

    def test_one_replica(self):
        for values in (
            merged(at("autoscaling.enabled", False), {"replicas": 1}),
            at("autoscaling.minReplicas", 1),
        ):
            objects = render("otv-balancer", merged(values, at("prometheusRule.enabled", True)))
            validate(objects)
            rule = next(
                rule
                for rule in objects.one("PrometheusRule")["spec"]["groups"][0]["rules"]
                if rule["alert"] == "BalancerPodsMissing"
            )
            self.assertTrue(rule["expr"].endswith("< 1"), rule["expr"])
        # A budget that lets it be evicted: a node can be emptied.
        self.assertEqual(objects.one("PodDisruptionBudget")["spec"]["maxUnavailable"], 1)

    def test_what_takes_effect_at_a_start_only_replaces_the_pods(self):
        """The page of routes.json names the keys."""
        sentence = read("docs", "routes.md").partition("\nChanges of ")[2].partition(" take effect at the next start")[0]
        keys = sentence.replace("`", "").replace(" and ", ", ").split(", ")
        self.assertIn("batching", keys)
        template = read("charts", "otv-balancer", "templates", "deployment.yaml")
        picked = template.partition("(pick $routes ")[2].partition(")")[0].replace('"', "").split()
        self.assertEqual(sorted(picked), sorted(keys))
