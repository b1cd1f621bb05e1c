"""What an operator relies on, held against every release."""

import json
import re

from matrix import HTTP_ROUTE, INGRESS, SPLIT, Everywhere, pods
from rendering import at, check_routes, load, merged, render, routes_of

RETIRED = merged(at("otv-core.retired", True), at("otv-balancer.coreRetired", True))


class Safety(Everywhere):
    """What must hold of whatever the charts make."""

    def test_pods_are_locked_down(self):
        for objects in self.each():
            for item, spec, _ in pods(objects):
                self.assertTrue(spec["securityContext"]["runAsNonRoot"])
                self.assertGreater(spec["securityContext"]["runAsUser"], 0)
                self.assertEqual(spec["securityContext"]["seccompProfile"], {"type": "RuntimeDefault"})
                self.assertFalse(spec["enableServiceLinks"])
                self.assertIn("automountServiceAccountToken", spec)
                for container in spec["containers"]:
                    context = container["securityContext"]
                    self.assertFalse(context["allowPrivilegeEscalation"])
                    self.assertTrue(context["readOnlyRootFilesystem"])
                    self.assertEqual(context["capabilities"], {"drop": ["ALL"]})
                    self.assertIn("memory", container["resources"]["limits"])
                    self.assertIn("cpu", container["resources"]["requests"])

    def test_the_token_is_mounted_only_where_the_api_server_is_asked(self):
        for objects in self.each():
            routes = "".join(routes_of(objects))
            watches = "endpointSlices" in routes
            agrees = '"kubernetes": {}' in routes
            for item, spec, labels in pods(objects):
                wanted = (watches or agrees) and labels["app.kubernetes.io/name"] == "otv-balancer"
                self.assertEqual(spec["automountServiceAccountToken"], wanted, item["metadata"]["name"])
            self.assertEqual(len(objects.of("Role")), watches + agrees)

    def test_the_watch_may_read_endpoint_slices_where_they_are_and_nothing_else(self):
        objects = render(
            "otv-balancer",
            merged(
                at("discovery.mode", "endpointSlices"),
                at("upstreams.core.service.namespace", "elsewhere"),
                at("cluster.mode", "none"),
            ),
            "otv",
            "kusama",
        )
        self.assertEqual({role["metadata"]["namespace"] for role in objects.of("Role")}, {"elsewhere", "kusama"})
        for role in objects.of("Role"):
            self.assertEqual(
                role["rules"],
                [{"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]}],
            )
        for binding in objects.of("RoleBinding"):
            self.assertEqual(
                binding["subjects"], [{"kind": "ServiceAccount", "name": "otv-balancer", "namespace": "kusama"}]
            )
        # Also where one upstream alone says so.
        own = {
            "upstreams": {"core": {"service": None, "discovery": {"endpointSlices": {"service": "core", "port": 3300}}}}
        }
        self.assertEqual(
            render("otv-balancer", merged(own, at("cluster.mode", "none"))).one("Role")["metadata"]["namespace"], "kusama"
        )

    def test_pods_agree_where_there_may_be_more_than_one(self):
        """`auto`: with the API server where two pods may run, unless there are plans, which do not run where pods agree."""

        def agrees(**values):
            objects = render("otv-balancer", values, "otv", "kusama")
            routes = json.loads(routes_of(objects)[0])
            roles = [role["metadata"]["name"].endswith("-cluster") for role in objects.of("Role")]
            self.assertEqual(any(roles), "cluster" in routes)
            names = [entry["name"] for entry in objects.one("Deployment")["spec"]["template"]["spec"]["containers"][0]["env"]]
            self.assertEqual("POD_UID" in names, "cluster" in routes)
            return routes.get("cluster")

        agreed = {"name": "otv-balancer", "kubernetes": {}}
        one = {"enabled": True, "minReplicas": 1, "maxReplicas": 1}
        self.assertEqual(agrees(), agreed)
        self.assertEqual(agrees(autoscaling={"enabled": False}, replicas=2), agreed)
        self.assertIsNone(agrees(autoscaling={"enabled": False}, replicas=1))
        self.assertIsNone(agrees(autoscaling=one))
        self.assertIsNone(agrees(cluster={"mode": "none"}))
        self.assertEqual(agrees(autoscaling=one, cluster={"mode": "kubernetes"}), agreed)
        plan = {"name": "m", "routes": ["api"], "from": "core", "to": "gateway", "stages": [{"share": 100, "hold": "1h"}], "gates": {"mismatches": False}}
        self.assertEqual(agrees(config={"migrations": [plan]}), agreed)
        long = agrees(fullnameOverride="a-name-that-is-much-longer-than-objects-may-add-to")
        other = agrees(fullnameOverride="a-name-that-is-much-longer-than-objects-may-be")
        for name in (long["name"], other["name"]):
            self.assertRegex(name, "^a-name-that-is-much-longer-than-[0-9a-f]{8}$")
            self.assertLessEqual(len(name), 40)
        self.assertNotEqual(long["name"], other["name"])

    def test_pods_that_agree_may_write_their_own_objects_and_nothing_else(self):
        objects = render("otv-balancer", at("cluster.mode", "kubernetes"), "otv", "kusama")
        cluster = json.loads(routes_of(objects)[0])["cluster"]
        self.assertEqual(cluster, {"name": "otv-balancer", "kubernetes": {}})
        role = objects.one("Role")
        self.assertEqual(role["metadata"]["name"], "otv-balancer-cluster")
        allowed = {}
        for rule in role["rules"]:
            for kind in rule["resources"]:
                allowed.setdefault((kind, tuple(rule.get("resourceNames", []))), set()).update(rule["verbs"])
        self.assertEqual(
            allowed,
            {
                ("configmaps", ("otv-balancer-live", "otv-balancer-journal")): {"get", "list", "watch", "update"},
                ("configmaps", ()): {"create"},
                ("leases", ()): {"get", "list", "watch", "create", "update", "delete"},
            },
        )
        self.assertEqual(
            objects.one("RoleBinding")["subjects"],
            [{"kind": "ServiceAccount", "name": "otv-balancer", "namespace": "kusama"}],
        )
        spec = objects.one("Deployment")["spec"]["template"]["spec"]
        self.assertTrue(spec["automountServiceAccountToken"])
        fields = {
            item["name"]: item["valueFrom"]["fieldRef"]["fieldPath"]
            for item in spec["containers"][0]["env"]
            if "valueFrom" in item
        }
        self.assertEqual(fields, {"POD_NAME": "metadata.name", "POD_UID": "metadata.uid"})
        ports = [port["port"] for rule in objects.one("NetworkPolicy")["spec"]["egress"] for port in rule.get("ports", [])]
        self.assertIn(443, ports)
        # By etcd they ask nobody in the cluster.
        etcd = merged(at("cluster.mode", "etcd"), at("cluster.etcd", {"endpoints": ["https://e:2379"]}), at("cluster.name", "x"))
        objects = render("otv-balancer", etcd)
        self.assertEqual(
            json.loads(routes_of(objects)[0])["cluster"], {"name": "x", "etcd": {"endpoints": ["https://e:2379"]}}
        )
        self.assertEqual(objects.of("Role"), [])

    def test_what_is_for_operators_is_never_public(self):
        for objects in self.each():
            exposed = [
                service
                for service in objects.of("Service")
                for port in service["spec"].get("ports", [])
                if port["targetPort"] in ("admin", "observe", 9901, 9902)
            ]
            for service in exposed:
                self.assertEqual(service["spec"]["type"], "ClusterIP")
                self.assertEqual(service["spec"]["clusterIP"], "None")
            public = {service["metadata"]["name"] for service in exposed}
            for ingress in objects.of("Ingress"):
                for rule in ingress["spec"]["rules"]:
                    for path in rule["http"]["paths"]:
                        self.assertNotIn(path["backend"]["service"]["name"], public)
            for route in objects.of("HTTPRoute"):
                for rule in route["spec"]["rules"]:
                    for backend in rule["backendRefs"]:
                        self.assertNotIn(backend["name"], public)
            for policy in objects.of("NetworkPolicy"):
                for rule in policy["spec"].get("ingress", []):
                    if any(port["port"] in ("admin", "observe", 9901, 9902) for port in rule.get("ports", [])):
                        self.assertTrue(rule.get("from"), "anybody reads the metrics")

    def test_the_public_comes_in_through_the_balancer_only(self):
        for objects in self.each():
            services = {service["metadata"]["name"]: service for service in objects.of("Service")}
            for ingress in objects.of("Ingress"):
                for rule in ingress["spec"]["rules"]:
                    self.assertTrue(rule["host"])
                    for path in rule["http"]["paths"]:
                        service = services[path["backend"]["service"]["name"]]
                        self.assertEqual(service["spec"]["selector"]["app.kubernetes.io/name"], "otv-balancer")
                        self.assertIn(
                            path["backend"]["service"]["port"]["name"], [p["name"] for p in service["spec"]["ports"]]
                        )
            for service in services.values():
                if service["spec"]["selector"]["app.kubernetes.io/name"] != "otv-balancer":
                    self.assertEqual(service["spec"]["type"], "ClusterIP")

    def test_selectors_find_the_pods_they_mean(self):
        for objects in self.each():
            labels = {item["metadata"]["name"]: found for item, _, found in pods(objects)}
            owners = [item for item, _, _ in pods(objects) if item["kind"] not in ("Pod", "Job")]

            def matched(selector):
                return [name for name, found in labels.items() if selector.items() <= found.items()]

            for item in owners:
                self.assertEqual(matched(item["spec"]["selector"]["matchLabels"]), [item["metadata"]["name"]])
            for service in objects.of("Service"):
                found = matched(service["spec"]["selector"])
                self.assertEqual(len(found), 1, service["metadata"]["name"])
                spec = next(spec for item, spec, _ in pods(objects) if item["metadata"]["name"] == found[0])
                names = {port["name"]: port["containerPort"] for port in spec["containers"][0].get("ports", [])}
                for port in service["spec"].get("ports", []):
                    self.assertIn(port["targetPort"], names)
                    # A headless Service has no port mapping of its own.
                    if service["spec"].get("clusterIP") == "None":
                        self.assertEqual(port["port"], names[port["targetPort"]])
            for kind, path in (("PodDisruptionBudget", "selector"), ("NetworkPolicy", "podSelector")):
                for item in objects.of(kind):
                    self.assertEqual(len(matched(item["spec"][path]["matchLabels"])), 1)
            for scaler in objects.of("HorizontalPodAutoscaler"):
                target = scaler["spec"]["scaleTargetRef"]
                self.assertNotIn("replicas", objects.one(target["kind"], target["name"])["spec"])
                self.assertLessEqual(scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"])
            for monitor in objects.of("ServiceMonitor"):
                selector = monitor["spec"]["selector"]["matchLabels"]
                found = [s for s in objects.of("Service") if selector.items() <= s["metadata"]["labels"].items()]
                self.assertEqual(len(found), 1)
                self.assertIn(monitor["spec"]["endpoints"][0]["port"], [p["name"] for p in found[0]["spec"]["ports"]])

    def test_ports_agree(self):
        """The port in a program's configuration is the container's, the probes' and the Service's."""
        for objects in self.each():
            for item, spec, labels in pods(objects):
                if item["kind"] in ("Pod", "Job"):
                    continue
                container = spec["containers"][0]
                ports = {port["name"]: port["containerPort"] for port in container.get("ports", [])}
                for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                    if asked := container.get(probe, {}).get("httpGet") or container.get(probe, {}).get("tcpSocket"):
                        self.assertIn(asked["port"], ports)
                config = objects.of("Secret", item["metadata"]["name"])
                if labels["app.kubernetes.io/name"] in ("otv-gateway", "otv-core") and config:
                    main = json.loads(config[0]["stringData"]["main.json"])
                    silent = labels["app.kubernetes.io/name"] == "otv-core" and "args" not in container and not main["server"]["enable"]
                    self.assertEqual(list(ports.values()), [] if silent else [main["server"]["port"]])
                if labels["app.kubernetes.io/name"] == "otv-balancer":
                    routes = json.loads(objects.one("ConfigMap", item["metadata"]["name"])["data"]["routes.json"])
                    self.assertEqual(routes["listeners"][0]["address"], f"0.0.0.0:{ports['http']}")
                    self.assertEqual(routes["admin"]["observe"], f"0.0.0.0:{ports['observe']}")
                    # Not on the pod's address: it has no login.
                    self.assertRegex(routes["admin"]["address"], "^127[.]0[.]0[.]1:")
                    self.assertNotIn("admin", ports)

    def test_probes_mean_what_they_say(self):
        for objects in self.each():
            for item, spec, labels in pods(objects):
                container = spec["containers"][0]
                silent = labels["app.kubernetes.io/name"] == "otv-core" and "ports" not in container
                if item["kind"] in ("Pod", "Job") or silent or labels["app.kubernetes.io/name"] in (
                    "otv-worker",
                    "otv-telemetry",
                ):
                    continue
                if labels["app.kubernetes.io/name"] in ("otv-mongodb", "otv-redis"):
                    self.assertIn("readinessProbe", container)
                    continue
                paths = [container[p]["httpGet"]["path"] for p in ("startupProbe", "livenessProbe", "readinessProbe")]
                wanted = {
                    "otv-balancer": ["/healthz", "/healthz", "/readyz"],
                    "otv-gateway": ["/livez", "/livez", "/readyz"],
                    "otv-core": ["/healthcheck"] * 3,
                }
                self.assertEqual(paths, wanted[labels["app.kubernetes.io/name"]])

    def test_no_pod_is_killed_while_it_drains(self):
        for objects in self.each():
            for item, spec, labels in pods(objects):
                name = labels["app.kubernetes.io/name"]
                if item["kind"] in ("Pod", "Job") or name not in ("otv-balancer", "otv-gateway", "otv-core"):
                    continue
                if "ports" not in spec["containers"][0]:
                    # A core without a server has nothing to drain.
                    continue
                command = spec["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
                self.assertEqual(command[0], "sleep")
                wait = int(command[1])
                # Until the balancer has heard of it: two seconds between look-ups, five in which name servers repeat
                # themselves.
                self.assertGreaterEqual(wait, 1 if name == "otv-balancer" else 2 + 5)
                drain = 30
                if name == "otv-balancer":
                    drain = int(json.loads(routes_of(objects)[0])["timeouts"]["drain"].rstrip("s"))
                self.assertGreater(spec["terminationGracePeriodSeconds"], wait + drain)

    def test_no_roll_out_takes_a_serving_pod_first(self):
        for objects in self.each():
            for item in objects.of("Deployment"):
                strategy = item["spec"]["strategy"]
                self.assertEqual(strategy["type"], "RollingUpdate")
                if item["metadata"]["labels"]["app.kubernetes.io/name"] in ("otv-balancer", "otv-gateway"):
                    self.assertEqual(strategy["rollingUpdate"], {"maxUnavailable": 0, "maxSurge": 1})
                    self.assertGreaterEqual(item["spec"].get("replicas", 2), 2)

    def test_passwords_are_in_secrets_only(self):
        secret = "s3cret-word"
        uri = f"mongodb://user:{secret}@host/otv"
        objects = render(
            "otv",
            merged(
                at("global.config", SPLIT),
                at("global.config.db.mongo.uri", uri),
                at("otv-worker.enabled", True),
                at("otv-telemetry.enabled", True),
                {"otv-core": {"secret": {"matrix": {"accessToken": secret}}}},
            ),
        )
        holders = {item["kind"] for item in objects if secret in json.dumps(item)}
        self.assertEqual(holders, {"Secret"})

    def test_a_changed_configuration_rolls_the_pods(self):
        def marks(values):
            return {
                item["metadata"]["name"]: item["spec"]["template"]["metadata"]
                .get("annotations", {})
                .get("checksum/config")
                for item in render("otv", values)
                if item["kind"] in ("Deployment", "StatefulSet")
            }

        def rolled(base, change):
            before, after = marks(base), marks(merged(base, change))
            return {name for name in before if before[name] != after[name]}

        split = merged(at("otv-worker.enabled", True), at("otv-telemetry.enabled", True), at("global.config", SPLIT))
        self.assertEqual(
            rolled(split, at("global.config.db.mongo.uri", "mongodb://other/otv")),
            {"otv-gateway", "otv-core", "otv-worker", "otv-telemetry"},
        )
        self.assertEqual(rolled({}, at("otv-core.secret.matrix.accessToken", "x")), {"otv-core"})
        # The balancer's is loaded by the pods that run, but for what only a start takes over.
        weights = at("otv-balancer.weights.api", {"core": 1, "gateway": 1})
        self.assertEqual(rolled({}, weights), set())
        self.assertEqual(rolled({}, at("otv-balancer.config.limits.body", "1MiB")), set())
        for key, value in {"workers": 4, "accessLog": {"enabled": False}, "operationalLog": {"level": "debug"}}.items():
            self.assertEqual(rolled({}, at(f"otv-balancer.config.{key}", value)), {"otv-balancer"}, key)
        self.assertEqual(rolled({}, at("otv-balancer.ports.admin", 9903)), {"otv-balancer"})
        self.assertEqual(rolled({}, at("otv-balancer.ports.observe", 9903)), {"otv-balancer"})
        self.assertEqual(rolled(at("otv-balancer.apply", "roll"), weights), {"otv-balancer"})

    def test_a_changed_file_reaches_the_pods_that_run(self):
        """A file mounted by subPath is never updated."""
        for objects in self.each():
            for item, spec, labels in pods(objects):
                if labels["app.kubernetes.io/name"] == "otv-balancer":
                    self.assertNotIn("subPath", spec["containers"][0]["volumeMounts"][0])

    def test_a_bad_file_stops_an_upgrade_before_anything_changes(self):
        for objects in self.each():
            deployments = [
                o
                for o in objects.of("Deployment")
                if o["metadata"]["labels"]["app.kubernetes.io/name"] == "otv-balancer"
            ]
            for deployment in deployments:
                name = deployment["metadata"]["name"]
                if not objects.of("Job"):
                    self.assertEqual(name, "front")
                    continue
                job, given = objects.one("Job", f"{name}-check"), objects.one("ConfigMap", f"{name}-check")
                for hook in (job, given):
                    self.assertEqual(
                        hook["metadata"]["annotations"]["helm.sh/hook"], "pre-install,pre-upgrade,pre-rollback"
                    )
                order = [int(hook["metadata"]["annotations"]["helm.sh/hook-weight"]) for hook in (given, job)]
                self.assertLess(*order)
                self.assertEqual(given["data"], objects.one("ConfigMap", name)["data"])
                spec = job["spec"]["template"]["spec"]
                # Nothing that only the release itself brings.
                self.assertNotIn("serviceAccountName", spec)
                self.assertEqual(spec["volumes"][0]["configMap"]["name"], given["metadata"]["name"])
                container, real = spec["containers"][0], deployment["spec"]["template"]["spec"]["containers"][0]
                self.assertEqual(container["image"], real["image"])
                self.assertEqual(container["args"], ["check", real["args"][-1]])

    def test_a_new_chart_alone_replaces_no_pod(self):
        """No version in what a pod is made from; the legacy core is away for minutes at each replacement."""
        version = load("charts", "otv-core", "Chart.yaml")["version"]
        for objects in self.each():
            for item, _, _ in pods(objects):
                if item["kind"] in ("Deployment", "StatefulSet"):
                    metadata = item["spec"]["template"]["metadata"]
                    self.assertNotIn("helm.sh/chart", metadata["labels"])
                    self.assertNotIn(version, metadata["labels"].values())
                    self.assertTrue(metadata.get("annotations", {"": ""}))
                    # By these the network policies know them.
                    self.assertEqual(metadata["labels"]["app.kubernetes.io/part-of"], "otv")

    def test_a_new_image_tag_leaves_the_legacy_core_alone(self):
        def images(values):
            return {spec["containers"][0]["image"] for item, spec, _ in pods(render("otv", values))}

        self.assertEqual(
            images(at("global.imageTag", "v9.9.9")),
            {"web3f/otv-balancer:v9.9.9", "web3f/otv-gateway:v9.9.9", "web3f/otv-backend:v3.3.5"},
        )
        self.assertIn("web3f/otv-core:v9.9.9", images(merged(at("global.imageTag", "v9.9.9"), RETIRED)))

    def test_a_retired_core_has_no_database_and_no_secret(self):
        objects = render("otv", merged(at("global.config.db.mongo.uri", "mongodb://u:p@h/otv"), RETIRED))
        self.assertEqual(
            json.loads(objects.one("Secret", "otv-core")["stringData"]["main.json"]),
            {"server": {"port": 3300, "enable": False}},
        )
        self.assertEqual(set(objects.one("Secret", "otv-core")["stringData"]), {"main.json"})
        self.assertEqual(objects.one("NetworkPolicy", "otv-core")["spec"]["egress"], [])

    def test_the_upstreams_are_the_services_that_exist(self):
        for mode in ("dns", "endpointSlices"):
            objects = render("otv", at("otv-balancer.discovery.mode", mode), "otv", "polkadot")
            for name, upstream in json.loads(routes_of(objects)[0])["upstreams"].items():
                if mode == "dns":
                    service, namespace, *rest = upstream["discovery"]["dns"]["name"].split(".")
                    self.assertEqual(rest, ["svc", "cluster", "local", ""])
                else:
                    found = upstream["discovery"]["endpointSlices"]
                    service, namespace = found["service"], found["namespace"]
                self.assertEqual(namespace, "polkadot")
                spec = objects.one("Service", service)["spec"]
                self.assertEqual(spec["clusterIP"], "None")
                self.assertEqual(spec["selector"]["app.kubernetes.io/name"], f"otv-{name}")
                self.assertNotIn("publishNotReadyAddresses", spec)

    def test_the_old_release_can_be_the_core(self):
        # Over values that already have the public host: it is the old release's as long as that runs.
        values = merged({"otv-balancer": merged(INGRESS, HTTP_ROUTE)}, load("examples", "legacy-release.yaml"))
        objects = render("otv", values, "otv", "kusama")
        self.assertEqual([o["kind"] for o in objects if o["kind"] in ("StatefulSet", "Ingress", "HTTPRoute")], [])
        routes = json.loads(routes_of(objects)[0])
        self.assertEqual(
            routes["upstreams"]["core"]["discovery"]["dns"]["name"], "kusama-otv-backend.kusama.svc.cluster.local."
        )
        self.assertEqual(check_routes(routes_of(objects)[0])[0], 0)

    def test_optional_dependencies(self):
        self.assertEqual([o for o in render("otv") if re.search("-(mongodb|redis)", o["metadata"]["name"])], [])
        objects = render("otv", merged(at("otv-mongodb.enabled", True), at("otv-redis.enabled", True)))
        images = [
            objects.one("StatefulSet", f"otv-{name}")["spec"]["template"]["spec"]["containers"][0]["image"]
            for name in ("mongodb", "redis")
        ]
        # Of those who make them: another's copies have been frozen before.
        self.assertEqual(images, ["mongo:7.0.28", "valkey/valkey:8.1.9"])
        # Our tag is not theirs.
        tagged = render("otv", merged(at("otv-mongodb.enabled", True), at("global.imageTag", "v9")))
        self.assertIn("mongo:7.0.28", json.dumps(tagged.one("StatefulSet", "otv-mongodb")))

    def test_nothing_is_fetched_to_install(self):
        """Charts from elsewhere were frozen where they were; every dependency is a folder here."""
        for dependency in load("charts", "otv", "Chart.yaml")["dependencies"]:
            self.assertTrue(dependency["repository"].startswith("file://../"), dependency)

    def test_a_database_with_passwords_has_them_in_a_secret(self):
        for values, secret in (
            ({"enabled": True, "password": "pass-word", "rootPassword": "root-word"}, "otv-mongodb"),
            ({"enabled": True, "existingSecret": "made-elsewhere"}, "made-elsewhere"),
        ):
            objects = render("otv-mongodb", {"auth": values})
            container = objects.one("StatefulSet")["spec"]["template"]["spec"]["containers"][0]
            keys = {
                entry["name"]: (entry["valueFrom"]["secretKeyRef"]["name"], entry["valueFrom"]["secretKeyRef"]["key"])
                for entry in container["env"]
                if "valueFrom" in entry
            }
            self.assertEqual(
                keys, {"MONGO_INITDB_ROOT_PASSWORD": (secret, "root-password"), "OTV_PASSWORD": (secret, "password")}
            )
            self.assertEqual({o["kind"] for o in objects if "-word" in json.dumps(o)} - {"StatefulSet"}, {"Secret"} if secret == "otv-mongodb" else set())
            self.assertNotIn("pass-word", json.dumps(container))
            # The script takes them from the environment, and is where the image looks for it.
            self.assertIn("process.env.OTV_PASSWORD", objects.one("ConfigMap")["data"]["users.js"])
            self.assertIn("/docker-entrypoint-initdb.d", [mount["mountPath"] for mount in container["volumeMounts"]])

    def test_helm_test_pods_ask_what_exists(self):
        for objects in self.each():
            services = {s["metadata"]["name"]: [p["port"] for p in s["spec"].get("ports", [])] for s in objects.of("Service")}
            for pod in objects.of("Pod"):
                self.assertEqual(pod["metadata"]["annotations"]["helm.sh/hook"], "test")
                args = pod["spec"]["containers"][0]["args"]
                host, port = re.fullmatch(r"http://([^:/]+):([0-9]+)/.*", args[args.index("--url") + 1]).groups()
                self.assertIn(int(port), services[host])
