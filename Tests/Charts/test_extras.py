"""What clusters ask of a chart beside what it is for: each of these values reaches the objects, in every chart that has it."""

import json
import unittest

import helm_python as helm
import kubernetes_validate
from foreign import validate_foreign
from matrix import HTTP_ROUTE, INGRESS, MONITORED, pods
from rendering import CHARTS, FOREIGN, VERSIONS, at, check_routes, load, merged, render, routes_of, validate

MOUNT = {"name": "authority", "mountPath": "/etc/authority", "readOnly": True}
VOLUME = {"name": "authority", "configMap": {"name": "authority"}}
HELPER = {"name": "helper", "image": "helper:1", "resources": {}}
POD = {
    "workloadAnnotations": {"reloader": "true"},
    "commonLabels": {"cost": "otv"},
    "commonAnnotations": {"owner": "platform"},
    "extraEnv": [{"name": "LANG", "value": "C"}],
    "extraEnvFrom": [{"secretRef": {"name": "more"}}],
    "extraVolumes": [VOLUME],
    "extraVolumeMounts": [MOUNT],
    "initContainers": [HELPER],
    "sidecars": [{**HELPER, "name": "beside"}],
    "dnsPolicy": "None",
    "dnsConfig": {"nameservers": ["10.0.0.10"]},
    "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["db"]}],
    "runtimeClassName": "gvisor",
    "priorityClassName": "high",
    "extraObjects": [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-more"}, "data": {"a": "b"}}
    ],
}


def valid(objects):
    validate(objects)
    for item in objects:
        if item["kind"] in FOREIGN:
            validate_foreign(item)


class Extras(unittest.TestCase):
    def test_of_every_pod(self):
        for chart in CHARTS:
            known = load("charts", chart, "values.yaml")
            given = {key: value for key, value in POD.items() if key in known}
            self.assertEqual(set(POD) - set(given), set())
            switched = merged(INGRESS, at("dashboard.enabled", True), at("discovery.mode", "endpointSlices")) if chart == "otv-balancer" else {}
            monitored = MONITORED if "serviceMonitor" in known else {}
            objects = render(chart, merged(given, switched, monitored))
            valid(objects)
            self.assertEqual(objects.one("ConfigMap", "otv-more")["data"], {"a": "b"})
            for item in objects:
                if item["metadata"]["name"] != "otv-more":
                    self.assertEqual(item["metadata"]["labels"]["cost"], "otv", (chart, item["kind"]))
                    self.assertEqual(item["metadata"]["annotations"]["owner"], "platform", (chart, item["kind"]))
            for item, spec, _ in pods(objects):
                if item["kind"] not in ("Deployment", "StatefulSet"):
                    continue
                self.assertEqual(item["metadata"]["annotations"], {"owner": "platform", "reloader": "true"})
                main, beside = spec["containers"]
                self.assertEqual(beside["name"], "beside")
                self.assertEqual(spec["initContainers"], [HELPER])
                self.assertIn(MOUNT, main["volumeMounts"])
                self.assertIn(VOLUME, spec["volumes"])
                self.assertEqual(main["envFrom"], POD["extraEnvFrom"])
                self.assertIn(POD["extraEnv"][0], main["env"])
                for key in ("dnsPolicy", "dnsConfig", "hostAliases", "runtimeClassName", "priorityClassName"):
                    self.assertEqual(spec[key], POD[key], (chart, key))

    def test_the_check_reads_the_files_that_routes_json_names(self):
        """It opens them, so that without them every install and upgrade would be refused."""
        claim = {"name": "kept", "persistentVolumeClaim": {"claimName": "kept"}}
        at_claim = {"name": "kept", "mountPath": "/kept"}
        named = {"upstreams": {"core": {"tls": {"ca": "/etc/authority/ca.crt"}}}}
        objects = render("otv-balancer", merged(named, {"extraVolumes": [VOLUME, claim], "extraVolumeMounts": [MOUNT, at_claim]}))
        valid(objects)
        status, words = check_routes(routes_of(objects)[0])
        self.assertEqual((status, "/etc/authority/ca.crt: cannot be read" in words), (1, True), words)
        spec = objects.one("Job", "otv-balancer-check")["spec"]["template"]["spec"]
        self.assertIn(MOUNT, spec["containers"][0]["volumeMounts"])
        self.assertIn(VOLUME, spec["volumes"])
        # A claim may be held by a pod on another node: the check would wait for it.
        self.assertNotIn("kept", json.dumps(spec))

    def test_accounts(self):
        for chart in CHARTS:
            for account, made, used in (
                ({"annotations": {"role": "x"}}, chart, chart),
                ({"name": "mine"}, "mine", "mine"),
                ({"create": False}, None, "default"),
                ({"create": False, "name": "theirs"}, None, "theirs"),
            ):
                objects = render(chart, {"serviceAccount": account})
                self.assertEqual([item["metadata"]["name"] for item in objects.of("ServiceAccount")], [made] if made else [])
                for item, spec, _ in pods(objects):
                    if item["kind"] in ("Deployment", "StatefulSet"):
                        self.assertEqual(spec["serviceAccountName"], used)
                if "annotations" in account:
                    self.assertEqual(objects.one("ServiceAccount")["metadata"]["annotations"], {"role": "x"})
        # Who watches is who may.
        watching = render("otv-balancer", merged(at("discovery.mode", "endpointSlices"), at("serviceAccount.name", "mine")))
        bindings = watching.of("RoleBinding")
        self.assertEqual([item["metadata"]["name"] for item in bindings], ["otv-balancer", "otv-balancer-cluster"])
        for binding in bindings:
            self.assertEqual(binding["subjects"][0]["name"], "mine")

    def test_a_mesh_stays_out_of_the_pods_that_must_end(self):
        given = {"hookPods": {"labels": {"sidecar.istio.io/inject": "false"}, "annotations": {"linkerd.io/inject": "disabled"}}}
        for chart in ("otv-balancer", "otv-gateway", "otv-core"):
            objects = render(chart, merged(given, at("retired", True) if chart == "otv-core" else {}))
            seen = 0
            for item, _, labels in pods(objects):
                metadata = item["metadata"] if item["kind"] == "Pod" else item["spec"]["template"]["metadata"]
                wanted = item["kind"] in ("Pod", "Job")
                seen += wanted
                self.assertEqual(labels.get("sidecar.istio.io/inject") == "false", wanted)
                self.assertEqual(metadata.get("annotations", {}).get("linkerd.io/inject") == "disabled", wanted)
            self.assertGreater(seen, 0)

    def test_a_private_authority(self):
        """Said once for all that reach the database, or by one for itself."""
        split = merged(at("otv-worker.enabled", True), at("otv-telemetry.enabled", True), at("global.config", {"redis": {"host": "r"}, "telemetry": {"host": "wss://f"}}))
        shared = at("global.privateCA", {"existingConfigMap": "authority", "key": "root.pem"})
        own = at("otv-worker.privateCA", {"existingSecret": "mine"})
        objects = render("otv", merged(split, shared, own))
        valid(objects)
        seen = {}
        for item, spec, _ in pods(objects):
            container = spec["containers"][0]
            mounts = [mount for mount in container.get("volumeMounts", []) if mount["name"] == "authority"]
            if not mounts:
                continue
            self.assertEqual(mounts, [{"name": "authority", "mountPath": "/etc/otv/authority", "readOnly": True}])
            volume = next(volume for volume in spec["volumes"] if volume["name"] == "authority")
            told = {entry["name"]: entry["value"] for entry in container["env"] if entry.get("value", "").startswith("/etc/otv")}
            seen[item["metadata"]["name"]] = (told, {key: each for key, each in volume.items() if key != "name"})
        node = {"NODE_EXTRA_CA_CERTS": "/etc/otv/authority/root.pem"}
        of_all = {"configMap": {"name": "authority"}}
        self.assertEqual(
            seen,
            {
                "otv-gateway": ({"SSL_CERT_FILE": "/etc/otv/authority/root.pem"}, of_all),
                "otv-core": (node, of_all),
                "otv-telemetry": (node, of_all),
                "otv-worker": ({"NODE_EXTRA_CA_CERTS": "/etc/otv/authority/ca.crt"}, {"secret": {"secretName": "mine"}}),
            },
        )
        self.assertNotIn("authority", json.dumps(render("otv", split)))
        # What replaces the core reaches no database.
        retired = render("otv", merged(shared, {"otv-core": {"retired": True}, "otv-balancer": {"coreRetired": True}}))
        self.assertNotIn("authority", json.dumps(retired.one("StatefulSet", "otv-core")))
        with self.assertRaises(helm.HelmError) as caught:
            render("otv-gateway", at("privateCA", {"existingSecret": "a", "existingConfigMap": "b"}))
        self.assertIn("one of them", str(caught.exception))

    def test_the_public_service(self):
        given = {
            "type": "LoadBalancer",
            "nodePort": 30080,
            "externalTrafficPolicy": "Local",
            "loadBalancerClass": "example.com/lb",
            "loadBalancerSourceRanges": ["10.0.0.0/8"],
            "annotations": {"a": "b"},
        }
        objects = render("otv-balancer", {"service": given})
        valid(objects)
        service = objects.one("Service", "otv-balancer")
        self.assertEqual(service["spec"]["ports"][0]["nodePort"], 30080)
        for key in ("type", "externalTrafficPolicy", "loadBalancerClass", "loadBalancerSourceRanges"):
            self.assertEqual(service["spec"][key], given[key])
        for chart in ("otv-gateway", "otv-core"):
            services = render(chart, at("service.annotations", {"a": "b"})).of("Service")
            self.assertEqual([each["metadata"]["annotations"] for each in services], [{"a": "b"}] * 2)
        # Newer than the oldest Kubernetes that the charts are for.
        near = render("otv-balancer", at("service.trafficDistribution", "PreferClose"))
        kubernetes_validate.validate(near.one("Service", "otv-balancer"), VERSIONS[-1], strict=True)
        self.assertEqual(near.one("Service", "otv-balancer")["spec"]["trafficDistribution"], "PreferClose")

    def test_the_public_hosts(self):
        objects = render("otv-balancer", merged(INGRESS, at("ingress.tlsSecretName", "wildcard")))
        self.assertEqual(objects.one("Ingress")["spec"]["tls"][0]["secretName"], "wildcard")
        self.assertEqual(objects.one("Ingress")["spec"]["ingressClassName"], "nginx")
        paths = {"paths": [{"path": "/api"}, {"path": "/openapi.json", "pathType": "Exact"}], "className": ""}
        objects = render("otv-balancer", merged(INGRESS, {"ingress": paths}))
        valid(objects)
        spec = objects.one("Ingress")["spec"]
        self.assertNotIn("ingressClassName", spec)
        self.assertEqual(
            [(each["path"], each["pathType"], each["backend"]["service"]["name"]) for each in spec["rules"][0]["http"]["paths"]],
            [("/api", "Prefix", "otv-balancer"), ("/openapi.json", "Exact", "otv-balancer")],
        )
        for wrong in ([], [{"path": "api"}], [{"pathType": "Prefix"}], [{"path": "/", "pathType": "Regex"}]):
            with self.assertRaises(helm.HelmError):
                render("otv-balancer", merged(INGRESS, at("ingress.paths", wrong)))
        rule = {"matches": [{"path": {"type": "PathPrefix", "value": "/"}}], "timeouts": {"request": "30s"}}
        away = {"backendRefs": [{"name": "other", "port": 80}]}
        objects = render("otv-balancer", merged(HTTP_ROUTE, at("httpRoute.rules", [rule, away]), at("httpRoute.annotations", {"a": "b"})))
        valid(objects)
        route = objects.one("HTTPRoute")
        self.assertEqual(route["spec"]["rules"][0], {**rule, "backendRefs": [{"name": "otv-balancer", "port": 80}]})
        self.assertEqual(route["spec"]["rules"][1]["backendRefs"][0]["name"], "other")
        self.assertEqual(route["metadata"]["annotations"], {"a": "b"})

    def test_scaling_budgets_and_spreading(self):
        metric = {"type": "Resource", "resource": {"name": "memory", "target": {"type": "Utilization", "averageUtilization": 80}}}
        behavior = {"scaleDown": {"stabilizationWindowSeconds": 60}}
        zones = [
            {
                "maxSkew": 1,
                "topologyKey": "zone",
                "whenUnsatisfiable": "DoNotSchedule",
                "labelSelector": {"matchLabels": {"a": "b"}},
            }
        ]
        for chart in ("otv-balancer", "otv-gateway", "otv-worker"):
            values = merged(
                at("autoscaling", {"enabled": True, "metrics": [metric], "behavior": behavior}),
                at("podDisruptionBudget.minAvailable", "50%"),
                {"topologySpreadConstraints": zones},
            )
            objects = render(chart, values)
            valid(objects)
            scaler = objects.one("HorizontalPodAutoscaler")["spec"]
            self.assertEqual((scaler["metrics"][-1], scaler["behavior"]), (metric, behavior))
            budget = objects.one("PodDisruptionBudget")["spec"]
            self.assertEqual((budget["minAvailable"], "maxUnavailable" in budget), ("50%", False))
            self.assertEqual(objects.one("Deployment")["spec"]["template"]["spec"]["topologySpreadConstraints"], zones)
            more = render(chart, at("podDisruptionBudget.maxUnavailable", "25%")).one("PodDisruptionBudget")["spec"]
            self.assertEqual(more["maxUnavailable"], "25%")
            with self.assertRaises(helm.HelmError):
                render(chart, at("podDisruptionBudget.minAvailable", "most"))

    def test_scaling_by_keda(self):
        """Its object in place of ours, and no number of pods in the Deployment, which every upgrade would go back to."""
        trigger = {"type": "prometheus", "metadata": {"serverAddress": "http://prometheus:9090", "query": "x", "threshold": "400"}}
        for chart in ("otv-balancer", "otv-gateway", "otv-worker"):
            keda = {"enabled": True, "triggers": [trigger], "pollingInterval": 10, "fallback": {"failureThreshold": 3, "replicas": 6}}
            usual = render(chart, at("autoscaling.enabled", True)).one("HorizontalPodAutoscaler")["spec"]
            objects = render(chart, at("autoscaling", {"enabled": True, "keda": keda}))
            valid(objects)
            self.assertEqual(objects.of("HorizontalPodAutoscaler"), [])
            self.assertNotIn("replicas", objects.one("Deployment")["spec"])
            spec = objects.one("ScaledObject")["spec"]
            self.assertEqual(spec["scaleTargetRef"], usual["scaleTargetRef"])
            self.assertEqual((spec["minReplicaCount"], spec["maxReplicaCount"]), (usual["minReplicas"], usual["maxReplicas"]))
            self.assertEqual(spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"], usual["behavior"])
            share = usual["metrics"][0]["resource"]["target"]["averageUtilization"]
            self.assertEqual(spec["triggers"], [{"type": "cpu", "metricType": "Utilization", "metadata": {"value": str(share)}}, trigger])
            self.assertEqual((spec["pollingInterval"], spec["fallback"]), (10, keda["fallback"]))
            # What would be left unread is refused.
            with self.assertRaises(helm.HelmError) as caught:
                render(chart, at("autoscaling", {"enabled": False, "keda": keda}))
            self.assertIn("without autoscaling.enabled", str(caught.exception))
            with self.assertRaises(helm.HelmError) as caught:
                render(chart, at("autoscaling", {"enabled": True, "keda": keda, "metrics": [{"type": "Resource"}]}))
            self.assertIn("autoscaling.keda.triggers", str(caught.exception))

    def test_probes(self):
        given = {
            "startup": {"failureThreshold": 99},
            "readiness": {"successThreshold": 2},
            # Another way of asking, in place of the chart's.
            "liveness": {"exec": {"command": ["true"]}, "periodSeconds": 7},
        }
        for chart in ("otv-balancer", "otv-gateway", "otv-core", "otv-telemetry", "otv-mongodb", "otv-redis"):
            on = at("health.enabled", True) if chart == "otv-telemetry" else {}
            usual, changed = render(chart, on), render(chart, merged(on, {"probes": given}))
            valid(changed)
            before, after = (
                next(spec["containers"][0] for item, spec, _ in pods(each) if item["kind"] in ("Deployment", "StatefulSet"))
                for each in (usual, changed)
            )
            for name in ("startup", "readiness"):
                self.assertEqual(after[f"{name}Probe"], {**before[f"{name}Probe"], **given[name]}, chart)
            asks = [key for key in after["livenessProbe"] if key in ("httpGet", "tcpSocket", "exec")]
            self.assertEqual((asks, after["livenessProbe"]["periodSeconds"]), (["exec"], 7))
        # What is asked over HTTP is changed, not replaced: its port stays.
        changed = render("otv-gateway", at("probes.liveness.httpGet", {"path": "/readyz"}))
        valid(changed)
        self.assertEqual(
            changed.one("Deployment")["spec"]["template"]["spec"]["containers"][0]["livenessProbe"]["httpGet"],
            {"path": "/readyz", "port": "http"},
        )
        command = {"livenessCommand": ["node", "-e", "0"]}
        worker = render("otv-worker", command).one("Deployment")["spec"]["template"]["spec"]["containers"][0]
        self.assertEqual(worker["livenessProbe"]["exec"]["command"], command["livenessCommand"])

    def test_how_pods_are_replaced(self):
        given = {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "50%"}}}
        for chart, usual in {"otv-balancer": (0, 1), "otv-gateway": (0, 1), "otv-worker": (1, 1), "otv-telemetry": (1, 0)}.items():
            strategy = render(chart).one("Deployment")["spec"]["strategy"]["rollingUpdate"]
            self.assertEqual((strategy["maxUnavailable"], strategy["maxSurge"]), usual)
            objects = render(chart, given)
            valid(objects)
            self.assertEqual(objects.one("Deployment")["spec"]["strategy"], given["strategy"])
        for chart in ("otv-core", "otv-mongodb", "otv-redis"):
            self.assertEqual(render(chart).one("StatefulSet")["spec"]["updateStrategy"], {"type": "RollingUpdate"})
            waits = render(chart, at("updateStrategy.type", "OnDelete"))
            valid(waits)
            self.assertEqual(waits.one("StatefulSet")["spec"]["updateStrategy"], {"type": "OnDelete"})

    def test_alerts(self):
        """What is an outage is for its owner to say."""
        more = {"alert": "Mine", "expr": "vector(1)", "labels": {"severity": "none"}}
        for chart in ("otv-balancer", "otv-gateway", "otv-core"):
            given = merged(MONITORED, at("prometheusRule.extraRules", [more]))
            if chart != "otv-core":
                given = merged(given, at("prometheusRule.errorShare", 0.05), at("prometheusRule.slowSeconds", 7.5))
            objects = render(chart, given)
            valid(objects)
            found = {rule["alert"]: rule for rule in objects.one("PrometheusRule")["spec"]["groups"][0]["rules"]}
            self.assertEqual(found["Mine"], more)
            if chart != "otv-core":
                name = chart.removeprefix("otv-").capitalize()
                self.assertIn("> 0.05", found[f"{name}Errors"]["expr"])
                self.assertTrue(found[f"{name}Slow"]["expr"].endswith("> 7.5"))
                self.assertIn("longer than 7.5 s", found[f"{name}Slow"]["annotations"]["summary"])

    def test_alerts_that_are_not_wanted(self):
        for chart, name in {"otv-balancer": "BalancerSlow", "otv-gateway": "GatewaySlow", "otv-core": "CoreNotReady"}.items():
            usual = render(chart, MONITORED).one("PrometheusRule")["spec"]["groups"][0]["rules"]
            more = {"alert": "Mine", "expr": "vector(1)", "labels": {"team": "own"}}
            given = {"prometheusRule": {"disabled": [name], "alertLabels": {"team": "otv", "severity": "none"}, "extraRules": [more]}}
            objects = render(chart, merged(MONITORED, given))
            valid(objects)
            rules = objects.one("PrometheusRule")["spec"]["groups"][0]["rules"]
            # What an alert says of itself goes before what all of them say.
            wanted = [{**rule, "labels": {"team": "otv", **rule["labels"]}} for rule in usual if rule["alert"] != name]
            self.assertEqual(rules, [*wanted, {**more, "labels": {"severity": "none", "team": "own"}}])
            with self.assertRaises(helm.HelmError) as caught:
                render(chart, merged(MONITORED, at("prometheusRule.disabled", ["NoSuch"])))
            self.assertIn("there is no alert NoSuch", str(caught.exception))
        # The core has one alone.
        self.assertEqual(render("otv-core", merged(MONITORED, at("prometheusRule.disabled", ["CoreNotReady"]))).of("PrometheusRule"), [])

    def test_scrapes(self):
        drop = [{"action": "drop", "regex": "x", "sourceLabels": ["a"]}]
        for chart in ("otv-balancer", "otv-gateway", "otv-core"):
            values = {"serviceMonitor": {"scrapeTimeout": "5s", "relabelings": drop, "metricRelabelings": drop, "labels": {"a": "b"}}}
            objects = render(chart, merged(MONITORED, values))
            valid(objects)
            endpoint = objects.one("ServiceMonitor")["spec"]["endpoints"][0]
            self.assertEqual((endpoint["scrapeTimeout"], endpoint["relabelings"], endpoint["metricRelabelings"]), ("5s", drop, drop))

    def test_nothing_of_it_by_default(self):
        for chart in CHARTS:
            said = json.dumps(render(chart))
            for word in ("initContainers", "envFrom", "dnsConfig", "hostAliases", "runtimeClassName", "loadBalancer", "nodePort"):
                self.assertNotIn(word, said, chart)
