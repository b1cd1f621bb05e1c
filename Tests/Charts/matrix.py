"""The releases that are looked at: every chart with its switches, every environment in every stage."""

import functools
import itertools
import unittest

from rendering import CHARTS, ENVIRONMENTS, STAGES, at, helmfile, load, merged, render

VARIABLES = {"CIRCLE_TAG": "v1.2.3", "CIRCLE_SHA1": "0123456789abcdef0123456789abcdef01234567"}
MONITORED = merged(*[at(f"{name}.enabled", True) for name in ("serviceMonitor", "prometheusRule")])
INGRESS = {"ingress": {"enabled": True, "hosts": ["kusama.w3f.community"]}}
HTTP_ROUTE = {"httpRoute": {"enabled": True, "hosts": ["kusama.w3f.community"], "parentRefs": [{"name": "public"}]}}
# What the split architecture shares beside what every release must say.
SPLIT = {"redis": {"host": "redis"}, "telemetry": {"host": "wss://feed"}}
# What each chart can have switched: every combination is rendered and validated.
SWITCHES = {
    "otv-balancer": [
        [{}, INGRESS, HTTP_ROUTE],
        [{}, MONITORED],
        [{}, at("autoscaling.enabled", False), at("autoscaling.requestsPerSecond", 500), at("autoscaling.keda.enabled", True)],
        [{}, at("discovery.mode", "endpointSlices"), at("discovery.resolver", "10.96.0.10:53")],
        [{}, at("apply", "roll")],
        [{}, at("networkPolicy.enabled", False)],
        [{}, at("state.enabled", True)],
        [
            {},
            merged(
                at("podDisruptionBudget.enabled", False),
                at("spread", False),
                at("dashboard.enabled", True),
                at("service.type", "LoadBalancer"),
                {
                    "priorityClassName": "high",
                    "imagePullSecrets": [{"name": "pull"}],
                    "podLabels": {"team": "otv"},
                    "podAnnotations": {"a": "b"},
                    "nodeSelector": {"kubernetes.io/arch": "amd64"},
                    "tolerations": [{"key": "x", "operator": "Exists"}],
                    "fullnameOverride": "front",
                    "coreRetired": True,
                    "check": {"enabled": False},
                },
            ),
        ],
    ],
    "otv-gateway": [
        [{}, MONITORED],
        [{}, at("autoscaling.enabled", False), at("autoscaling.requestsPerSecond", "400")],
        [{}, at("existingSecret", "made-elsewhere")],
        [{}, at("database.existingSecret", "database")],
        [{}, at("networkPolicy.enabled", False)],
        [{}, merged(at("podDisruptionBudget.enabled", False), at("spread", False), {"fullnameOverride": "api"})],
    ],
    "otv-core": [
        [{}, at("retired", True), at("config.server.enable", False), at("config.server.onlyHealth", True)],
        [{}, MONITORED, merged(MONITORED, at("livenessCommand", ["test", "-e", "/proc/1"]))],
        [{}, at("existingSecret", "made-elsewhere")],
        [{}, at("environment", "ci"), at("persistence.enabled", False), at("persistence.storageClass", "fast")],
        [{}, at("networkPolicy.enabled", False)],
    ],
    "otv-worker": [
        [{}, at("autoscaling.enabled", True), at("autoscaling", {"enabled": True, "keda": {"enabled": True}})],
        [{}, at("existingSecret", "made-elsewhere")],
        [{}, at("networkPolicy.enabled", False)],
        [{}, merged(at("podDisruptionBudget.enabled", False), at("spread", False))],
    ],
    "otv-telemetry": [
        [{}, at("health.enabled", False)],
        [{}, at("existingSecret", "made-elsewhere")],
        [{}, at("networkPolicy.enabled", False)],
    ],
    "otv-mongodb": [
        [{}, at("auth", {"enabled": True, "password": "p", "rootPassword": "r"}), at("auth", {"enabled": True, "existingSecret": "s"})],
        [{}, at("persistence", {"enabled": True, "storageClass": "fast"})],
        [{}, at("networkPolicy.enabled", False), at("networkPolicy.from", [{"podSelector": {}}])],
    ],
    "otv-redis": [
        [{}, at("networkPolicy.enabled", False), at("networkPolicy.from", [{"podSelector": {}}])],
        [{}, {"fullnameOverride": "queues"}],
    ],
}


def combinations(chart):
    """Every position of every two switches together, the others as they are by default."""
    switches = SWITCHES[chart]
    found = []
    for first, second in itertools.combinations(range(len(switches)), 2):
        for values in itertools.product(switches[first], switches[second]):
            made = merged(*values)
            if made not in found:
                found.append(made)
    return found


def stage(name):
    return load("examples", "stages", name, "values.yaml")


def environment_releases():
    """(environment, stage or none, release) of everything that the helmfile can install here."""
    for environment in ENVIRONMENTS:
        for release in helmfile("10-otv.yaml.gotmpl", environment, VARIABLES):
            for name in [None, *STAGES]:
                yield environment, name, release, merged(release["values"], stage(name) if name else {})


def pods(objects):
    """(owner, pod specification, labels) of all that runs pods."""
    for item in objects:
        if item["kind"] in ("Deployment", "StatefulSet", "Job"):
            template = item["spec"]["template"]
            yield item, template["spec"], template["metadata"]["labels"]
        elif item["kind"] == "Pod":
            yield item, item["spec"], item["metadata"]["labels"]


def everything():
    """Every release that any test here renders, with a name."""
    for chart in CHARTS:
        for index, values in enumerate(combinations(chart)):
            yield f"{chart} combination {index}", render(chart, values)
    for environment, name, release, values in environment_releases():
        yield (
            f"{environment} {release['name']} stage {name}",
            render("otv", values, release["name"], release["namespace"], bare=True),
        )
    yield "the split architecture", render(
        "otv",
        merged(
            at("otv-worker.enabled", True),
            at("otv-telemetry.enabled", True),
            at("otv-mongodb.enabled", True),
            at("otv-redis.enabled", True),
            at("global.config", {**SPLIT, "redis": {"host": "otv-redis"}}),
        ),
    )


@functools.cache
def releases():
    """All of that, rendered once."""
    return list(everything())


class Everywhere(unittest.TestCase):
    """What must hold of every release; a failure names the release."""

    case = ""

    def each(self):
        for self.case, objects in releases():
            yield objects
        self.case = ""

    def _formatMessage(self, msg, standardMsg):
        return super()._formatMessage(f"{self.case}: {msg or ''}" if self.case else msg, standardMsg)
