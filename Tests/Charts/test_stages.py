"""The four stages of the migration: as values, as routes.json, and from each to each."""

import itertools
import json
import unittest

from matrix import VARIABLES, stage
from rendering import ENVIRONMENTS, STAGES, at, check_routes, helmfile, merged, read, render, routes_of

SHARES = {
    "1-core-only": {"core": 100, "gateway": 0},
    "2-by-weight": {"core": 90, "gateway": 10},
    "3-core-in-reserve": {"core": 0, "gateway": 100},
    "4-core-without-server": {"gateway": 100},
    "4-core-health-only": {"gateway": 100},
    "4-core-retired": {"gateway": 100},
}
LAST = [name for name in SHARES if name.startswith("4-")]


def split(objects, route="api"):
    routes = json.loads(objects.one("ConfigMap", "otv-balancer")["data"]["routes.json"])["routes"]
    return next(item.get("split") for item in routes if item["name"] == route)


class Stages(unittest.TestCase):
    def test_the_example_says_what_the_values_make(self):
        for name in STAGES:
            with self.subTest(name):
                rendered = json.loads(routes_of(render("otv", stage(name)))[0])
                example = json.loads(read("examples", "stages", name, "routes.json"))
                self.assertEqual(rendered["routes"], example["routes"])
                self.assertEqual(set(rendered["upstreams"]), set(example["upstreams"]))
                for upstream in rendered["upstreams"]:
                    found = {k: v for k, v in rendered["upstreams"][upstream].items() if k != "discovery"}
                    wanted = {k: v for k, v in example["upstreams"][upstream].items() if k != "endpoints"}
                    self.assertEqual(found, wanted)

    def test_each_does_what_its_name_says(self):
        for name, wanted in SHARES.items():
            with self.subTest(name):
                objects = render("otv", stage(name))
                self.assertEqual(split(objects), wanted)
                image = objects.one("StatefulSet", "otv-core")["spec"]["template"]["spec"]["containers"][0]["image"]
                replaced = name == "4-core-retired"
                self.assertTrue(image.startswith("web3f/otv-core:" if replaced else "web3f/otv-backend:"), image)
                routes = json.loads(routes_of(objects)[0])
                if name in LAST:
                    # Whatever the core still does, the balancer neither sends it anything nor asks for its health.
                    self.assertEqual(set(routes["upstreams"]), {"gateway"})
                    self.assertNotIn("core", {side for route in routes["routes"] for side in route.get("split", {})})
                else:
                    self.assertEqual(split(objects, "operations"), {"core": 1})

    def test_one_after_another_leaves_nothing_behind(self):
        """`helm upgrade` with the values in force and one more file: wherever it came from, the stage is the same."""
        for environment in ENVIRONMENTS:
            for release in helmfile("10-otv.yaml.gotmpl", environment, VARIABLES):
                for before, after in itertools.product(STAGES, STAGES):
                    came = merged(release["values"], stage(before), stage(after))
                    self.assertEqual(
                        came, merged(release["values"], stage(after)), f"{environment}: {before} to {after}"
                    )
                for name in STAGES:
                    objects = render("otv", merged(release["values"], stage(name)), "otv", release["namespace"], bare=True)
                    self.assertEqual(split(objects), SHARES[name], f"{environment}: {name}")

    def test_between_three_and_four_the_routes_change_first(self):
        """The step in which the core still runs and nobody asks it any more."""
        # The step of docs/runbook.md, the same before every end.
        values = merged(
            stage("3-core-in-reserve"),
            at("otv-balancer.coreRetired", True),
        )
        between, third = render("otv", values), render("otv", stage("3-core-in-reserve"))
        self.assertEqual(between.one("StatefulSet"), third.one("StatefulSet"))
        self.assertEqual(split(between), {"gateway": 100})
        for name in LAST:
            self.assertEqual(routes_of(between), routes_of(render("otv", stage(name))), name)
        # Nothing is replaced but the file.
        changed = [item["metadata"]["name"] for item, other in zip(between, third, strict=True) if item != other]
        self.assertEqual(set(changed), {"otv-balancer", "otv-balancer-check"})
        self.assertEqual(between.one("Deployment", "otv-balancer"), third.one("Deployment", "otv-balancer"))

    def test_a_change_of_weights_replaces_no_pod(self):
        def workloads(name):
            return [item for item in render("otv", stage(name)) if item["kind"] in ("Deployment", "StatefulSet")]

        self.assertEqual(workloads("1-core-only"), workloads("2-by-weight"))
        self.assertEqual(workloads("2-by-weight"), workloads("3-core-in-reserve"))

    def test_the_balancer_takes_every_one(self):
        for name in STAGES:
            for text in (routes_of(render("otv", stage(name)))[0], read("examples", "stages", name, "routes.json")):
                status, words = check_routes(text)
                self.assertEqual(status, 0, f"{name}: {words}")
