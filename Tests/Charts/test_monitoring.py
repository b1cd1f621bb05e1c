"""Alerts, dashboard, autoscaler and scrapes: against what the running programs say of themselves, and by promtool."""

import copy
import functools
import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest

import yaml
from matrix import MONITORED, stage
from programs import asked, balancer, families, gateway, until
from rendering import at, merged, program, read, render

# What Prometheus adds to every series that it reads from a pod. `honorLabels` lets the metric's own go before them.
TARGET = {"namespace", "service", "pod", "container", "job", "instance", "endpoint"}
# kube-state-metrics' own.
OUTSIDE = {
    "kube_deployment_status_replicas_available": {"namespace", "deployment"},
    "kube_deployment_spec_replicas": {"namespace", "deployment"},
    "kube_statefulset_status_replicas_ready": {"namespace", "statefulset"},
}
# What only a balancer with TLS and limits has; that it has these labels the scenarios of TLS and of policies show.
ASKED_FOR = {
    "balancer_tls_certificate_not_after_timestamp_seconds": {"listener", "name"},
    "balancer_tls_staple_expired": {"listener", "name"},
    "balancer_tls_handshakes_total": {"listener", "version", "resumed"},
    "balancer_tls_handshake_failures_total": {"listener", "reason"},
    "balancer_rate_limit_evictions_total": {"route", "rule"},
    # What only a balancer with a plan has, likewise.
    "balancer_migration_state": {"migration", "state"},
    "balancer_migration_retreat_blocked": {"migration"},
    "balancer_mirror_dropped_total": {"migration", "reason"},
    "balancer_mirror_copies_total": {"migration", "upstream", "status_class"},
    "balancer_classes": {"migration", "state"},
    # With a cluster; the scenarios of replicas show them.
    "balancer_cluster_reachable": set(),
    "balancer_cluster_replicas_differing": set(),
    "balancer_cluster_lag_seconds": set(),
    # Once there has been tracing; the scenarios of tracing show it.
    "balancer_spans_dropped_total": {"reason"},
}
# What only a gateway over MongoDB has; that it has these labels the tests of its metrics show.
OVER_MONGODB = {"gateway_database_clients": {"state"}, "gateway_database_waiting": set()}
# The largest finite bound of each histogram: no quantile above it is ever told.
BOUNDS = {}
WORDS = re.compile(r"\b((?:balancer|gateway|kube|process)_[a-z_]+)\b(?:\{([^}]*)\})?")

PROMTOOL = os.environ.get("PROMTOOL") or shutil.which("promtool")
needs_promtool = unittest.skipUnless(PROMTOOL, "there is no promtool")


@functools.cache
def objects():
    return render(
        "otv", merged(stage("2-by-weight"), {name: MONITORED for name in ("otv-balancer", "otv-gateway", "otv-core")})
    )


def rules():
    return [
        (item["metadata"]["name"], rule)
        for item in objects().of("PrometheusRule")
        for group in item["spec"]["groups"]
        for rule in group["rules"]
    ]


@functools.cache
def measured():
    """{metric: its labels} of a balancer that found a gateway and no core, and of that gateway."""
    with gateway(objects()) as api, balancer(objects(), {"gateway": [f"127.0.0.1:{api.port}"]}) as front:
        until(lambda: asked(front.public, "/candidates")[0] == 200, "the balancer passes a request on")
        # Answered by a kept answer, which has a measure of its own.
        asked(front.public, "/candidates")
        asked(front.public, "/healthcheck")
        until(
            lambda: "balancer_discovery_failures_total{" in asked(front.admin, "/metrics")[1], "the core is looked for"
        )
        texts = asked(front.admin, "/metrics")[1], asked(api.port, "/metrics")[1]
    found = {}
    for text in texts:
        for name, series in families(text).items():
            found.setdefault(name, set()).update(*series)
            if name.endswith("_bucket"):
                BOUNDS[name] = max(float(labels["le"]) for labels in series if labels["le"] != "+Inf")
    return found


def documented():
    return set(
        re.findall(
            r"`((?:balancer|gateway|process)_[a-z0-9_]+)[`{]", read("docs", "metrics.md") + read("docs", "gateway.md")
        )
    )


def promtool(command, rules, tests=None):
    """Its status and words."""
    with tempfile.TemporaryDirectory(prefix="otv-rules-") as folder:
        for name, content in (("rules.yaml", rules), ("tests.yaml", tests)):
            if content is not None:
                with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                    yaml.safe_dump(content, file)
        ran = subprocess.run(
            [PROMTOOL, command, "rules", "tests.yaml" if tests else "rules.yaml"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    return ran.returncode, ran.stdout + ran.stderr


def groups():
    return {
        "groups": [copy.deepcopy(group) for item in objects().of("PrometheusRule") for group in item["spec"]["groups"]]
    }


class Alerts(unittest.TestCase):
    def test_each_names_a_page_of_the_runbook(self):
        parts = re.split(
            r"^#+ (.*)$",
            re.sub(r"^```.*?^```$", "", read("docs", "runbook.md"), flags=re.MULTILINE | re.DOTALL),
            flags=re.MULTILINE,
        )
        pages = {
            re.sub(r"[^\w -]", "", heading.strip().lower()).replace(" ", "-"): text
            for heading, text in zip(parts[1::2], parts[2::2], strict=True)
        }
        self.assertGreater(len(rules()), 15)
        for _, rule in rules():
            with self.subTest(rule["alert"]):
                page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
                self.assertTrue(page.endswith("/docs/runbook.md"))
                self.assertIn(anchor, pages)
                # And the page names the alert.
                text = pages[anchor]
                self.assertIn(rule["alert"], text)
                self.assertTrue(rule["annotations"]["summary"])
                self.assertIn(rule["labels"]["severity"], ("critical", "warning"))

    def test_the_readme_lists_them(self):
        for chart in ("otv-balancer", "otv-gateway", "otv-core"):
            listed = re.search(r"^Alerts[^:]*: ([A-Za-z,\s]+)\.", read("charts", chart, "README.md"), re.MULTILINE)[1]
            self.assertEqual(re.findall(r"\w+", listed), [rule["alert"] for name, rule in rules() if name == chart])

    def test_each_uses_metrics_and_labels_that_the_programs_have(self):
        known = {**ASKED_FOR, **measured(), **OUTSIDE}
        for _, rule in rules():
            with self.subTest(rule["alert"]):
                found = WORDS.findall(rule["expr"])
                self.assertTrue(found)
                labels = set()
                for metric, selector in found:
                    self.assertIn(metric, known)
                    if metric not in OUTSIDE:
                        self.assertIn(re.sub(r"_(bucket|sum|count)$", "", metric), documented())
                    has = known[metric] | TARGET
                    self.assertLessEqual(set(re.findall(r'(\w+)=~?"', selector)), has)
                    labels |= has
                for grouping in re.findall(r"by \(([^)]*)\)", rule["expr"]):
                    self.assertLessEqual(set(re.split(r",\s*", grouping)), labels)
                # What the summary tells is there to tell.
                grouped = re.findall(r"by \(([^)]*)\)", rule["expr"])
                left = set.intersection(*[set(re.split(r",\s*", g)) for g in grouped]) if grouped else labels
                self.assertLessEqual(set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"])), left)

    def test_no_threshold_is_beyond_what_a_histogram_tells(self):
        measured()
        slow = [rule["expr"] for _, rule in rules() if "histogram_quantile" in rule["expr"]]
        self.assertEqual(len(slow), 2)
        for expression in slow:
            self.assertLess(float(expression.rsplit(">", 1)[1]), BOUNDS[re.search(r"\w+_bucket", expression)[0]])

    def test_each_looks_at_the_pods_that_are_scraped(self):
        for name in ("otv-balancer", "otv-gateway"):
            selector = objects().one("ServiceMonitor", name)["spec"]["selector"]["matchLabels"]
            service = next(s for s in objects().of("Service") if selector.items() <= s["metadata"]["labels"].items())
            for chart, rule in rules():
                for metric, given in WORDS.findall(rule["expr"]):
                    if chart == name and not metric.startswith("kube_"):
                        self.assertIn(
                            f'namespace="kusama", service="{service["metadata"]["name"]}"', given, rule["alert"]
                        )

    def test_a_metrics_own_label_is_not_pushed_aside(self):
        """The operator adds a label `endpoint`, the port's name; the balancer's metrics have one of that name too."""
        self.assertIn("endpoint", measured()["balancer_ejections_total"])
        self.assertTrue(objects().one("ServiceMonitor", "otv-balancer")["spec"]["endpoints"][0]["honorLabels"])
        ours = {label for name, labels in measured().items() if name.startswith("gateway_") for label in labels}
        self.assertEqual(ours & TARGET, set())

    @needs_promtool
    def test_promtool_takes_them(self):
        status, words = promtool("check", groups())
        self.assertEqual(status, 0, words)
        broken = groups()
        broken["groups"][0]["rules"][0] = {**broken["groups"][0]["rules"][0], "expr": "sum by ("}
        self.assertNotEqual(promtool("check", broken)[0], 0)


SCOPE = 'namespace="kusama", service="otv-balancer-metrics"'


def series(metric, values, scope=SCOPE, /, **labels):
    inner = ", ".join([scope, *[f'{key}="{value}"' for key, value in labels.items()]])
    return {"series": f"{metric}{{{inner}}}", "values": values}


# Which alert, after how long, by which series; and the labels of those that fire.
POD = {"pod": "a"}
COPIED = {"upstream": "gateway", "status_class": "2xx", **POD}
GATEWAY = 'namespace="kusama", service="otv-gateway-headless"'
CASES = [
    ("BalancerAbsent", "6m", [], [{}]),
    ("BalancerAbsent", "6m", [series("balancer_build_info", "1x20", version="1", pod="a")], []),
    (
        "BalancerPodsMissing",
        "6m",
        [series("kube_deployment_status_replicas_available", "1x20", 'namespace="kusama"', deployment="otv-balancer")],
        [{"deployment": "otv-balancer"}],
    ),
    (
        "BalancerPodsMissing",
        "6m",
        [series("kube_deployment_status_replicas_available", "2x20", 'namespace="kusama"', deployment="otv-balancer")],
        [],
    ),
    # The core away for three minutes, as at each restart: no alert. Away for longer: one for what only it serves.
    (
        "BalancerRouteUnserved",
        "8m",
        [
            series("balancer_route_share", "1x3 0x3 1x10", route="operations", upstream="core", **POD),
            series("balancer_route_weight", "1x20", route="operations", upstream="core", **POD),
        ],
        [],
    ),
    (
        "BalancerRouteUnserved",
        "8m",
        [
            series("balancer_route_share", "1 0x20", route="operations", upstream="core", **POD),
            series("balancer_route_weight", "1x20", route="operations", upstream="core", **POD),
            series("balancer_route_share", "0x20", route="api", upstream="core", **POD),
            series("balancer_route_weight", "90x20", route="api", upstream="core", **POD),
            series("balancer_route_share", "1x20", route="api", upstream="gateway", **POD),
            series("balancer_route_weight", "10x20", route="api", upstream="gateway", **POD),
        ],
        [{"route": "operations", **POD}],
    ),
    # The side that lost its share is told at the same time.
    (
        "BalancerShareLost",
        "8m",
        [
            series("balancer_route_share", "0x20", route="api", upstream="core", **POD),
            series("balancer_route_weight", "90x20", route="api", upstream="core", **POD),
            series("balancer_route_share", "0x20", route="api", upstream="other", **POD),
            series("balancer_route_weight", "0x20", route="api", upstream="other", **POD),
        ],
        [{"route": "api", "upstream": "core", "service": "otv-balancer-metrics", **POD}],
    ),
    (
        "BalancerReserveServes",
        "5m",
        [
            series("balancer_reserve_serves", "0x2 1x20", route="api", upstream="core", **POD),
            # Half a minute is no alert.
            series("balancer_reserve_serves", "0x4 1 0x20", route="other", upstream="core", **POD),
        ],
        [{"route": "api", "upstream": "core", "service": "otv-balancer-metrics", **POD}],
    ),
    # Half a minute is a store's own fail-over; the pod that reaches it is not told of.
    (
        "ClusterUnreachable",
        "4m",
        [
            series("balancer_cluster_reachable", "1 0x20", pod="a"),
            series("balancer_cluster_reachable", "1x20", pod="b"),
            series("balancer_cluster_reachable", "1 1 1 0 1x20", pod="c"),
        ],
        [{"service": "otv-balancer-metrics", "pod": "a"}],
    ),
    # A roll-out of ten minutes is none; another file for longer, or a pod that lags, is.
    (
        "ClusterReplicasDiffer",
        "20m",
        [
            series("balancer_cluster_replicas_differing", "1x10 0x20", pod="a"),
            series("balancer_cluster_replicas_differing", "2x40", pod="b"),
            series("balancer_cluster_lag_seconds", "0x3 40x40", pod="c"),
        ],
        [{"service": "otv-balancer-metrics", "pod": "b"}, {"service": "otv-balancer-metrics", "pod": "c"}],
    ),
    (
        "BalancerUpstreamDown",
        "8m",
        [
            series("balancer_endpoint_available", "0x20", upstream="gateway", endpoint="10.0.0.1:3301", **POD),
            series("balancer_endpoint_available", "0x20", upstream="gateway", endpoint="10.0.0.2:3301", **POD),
            series("balancer_endpoint_available", "0x20", upstream="core", endpoint="10.0.0.3:3300", **POD),
            series("balancer_endpoint_available", "1x20", upstream="core", endpoint="10.0.0.4:3300", **POD),
        ],
        [{"upstream": "gateway", **POD}],
    ),
    # 3 of 100 a minute on one route, 1 of 100 on the other, and one single request that failed on a third.
    (
        "BalancerErrors",
        "12m",
        [
            series("balancer_requests_total", "0+97x20", route="api", upstream="core", status_class="2xx", **POD),
            series("balancer_requests_total", "0+3x20", route="api", upstream="", status_class="5xx", **POD),
            series(
                "balancer_requests_total", "0+99x20", route="operations", upstream="core", status_class="2xx", **POD
            ),
            series("balancer_requests_total", "0+1x20", route="operations", upstream="core", status_class="5xx", **POD),
            series("balancer_requests_total", "0 1x20", route="health", upstream="", status_class="5xx", **POD),
        ],
        [{"route": "api"}],
    ),
    (
        "MigrationRetreated",
        "2m",
        [
            series("balancer_migration_state", "0 1x20", migration="move", state="retreated", **POD),
            series("balancer_migration_state", "0x20", migration="other", state="retreated", **POD),
            series("balancer_migration_state", "1x20", migration="third", state="running", **POD),
        ],
        [{"migration": "move"}],
    ),
    (
        "MigrationRetreatBlocked",
        "3m",
        [
            series("balancer_migration_retreat_blocked", "0 1x20", migration="move", **POD),
            series("balancer_migration_retreat_blocked", "0x20", migration="other", **POD),
        ],
        [{"migration": "move"}],
    ),
    (
        "MigrationInconclusive",
        "2m",
        [series("balancer_migration_state", "0 1x20", migration="move", state="inconclusive", **POD)],
        [{"migration": "move"}],
    ),
    (
        "MigrationAwaitsApproval",
        "62m",
        [
            series("balancer_migration_state", "1x70", migration="move", state="waiting", **POD),
            # Approved in time.
            series("balancer_migration_state", "1x50 0x20", migration="other", state="waiting", **POD),
        ],
        [{"migration": "move"}],
    ),
    (
        "MirrorDropping",
        "25m",
        [
            series("balancer_mirror_dropped_total", "0+20x40", migration="move", reason="timeout", **POD),
            series("balancer_mirror_copies_total", "0+80x40", migration="move", **COPIED),
            # Few enough.
            series("balancer_mirror_dropped_total", "0+5x40", migration="few", reason="queue", **POD),
            series("balancer_mirror_copies_total", "0+95x40", migration="few", **COPIED),
            # Not to be copied.
            series("balancer_mirror_dropped_total", "0+90x40", migration="posts", reason="method", **POD),
            series("balancer_mirror_copies_total", "0+9x40", migration="posts", **COPIED),
            # All of them.
            series("balancer_mirror_dropped_total", "0+9x40", migration="none", reason="unavailable", **POD),
        ],
        [{"migration": "move"}, {"migration": "none"}],
    ),
    (
        "DifferencesFound",
        "2m",
        [
            series("balancer_classes", "0 1x20", migration="move", state="real", **POD),
            series("balancer_classes", "0x20", migration="other", state="real", **POD),
            series("balancer_classes", "3x20", migration="other", state="noise", **POD),
        ],
        [{"migration": "move"}],
    ),
    (
        "BalancerEjections",
        "16m",
        [series("balancer_ejections_total", "0 1 2 3 4x20", upstream="gateway", endpoint="10.0.0.1:3301", **POD)],
        [{"upstream": "gateway", "endpoint": "10.0.0.1:3301"}],
    ),
    (
        "BalancerConfigurationRejected",
        "3m",
        [series("balancer_config_last_reload_successful", "1 0x20", **POD)],
        [{"service": "otv-balancer-metrics", **POD}],
    ),
    (
        "BalancerWeightsDiffer",
        "6m",
        [
            series("balancer_route_weight", "90x20", route="api", upstream="core", pod="a"),
            series("balancer_route_weight", "50x20", route="api", upstream="core", pod="b"),
            series("balancer_route_weight", "10x20", route="api", upstream="gateway", pod="a"),
            series("balancer_route_weight", "10x20", route="api", upstream="gateway", pod="b"),
        ],
        [{"route": "api", "upstream": "core"}],
    ),
    # The values say 90 and 10.
    (
        "BalancerWeightsNotLasting",
        "35m",
        [
            series("balancer_route_weight", "90x40", route="api", upstream="core", **POD),
            series("balancer_route_weight", "50x40", route="api", upstream="gateway", **POD),
        ],
        [{"route": "api", "upstream": "gateway", "service": "otv-balancer-metrics", **POD}],
    ),
    (
        "BalancerWeightsNotLasting",
        "35m",
        [
            series("balancer_route_weight", "90x40", route="api", upstream="core", **POD),
            series("balancer_route_weight", "50x20 10x20", route="api", upstream="gateway", **POD),
        ],
        [],
    ),
    (
        "BalancerDiscoveryStale",
        "6m",
        [series("balancer_discovery_stale", "1x20", upstream="core", **POD)],
        [{"upstream": "core", "service": "otv-balancer-metrics", **POD}],
    ),
    (
        "BalancerRetriesDenied",
        "12m",
        [series("balancer_retries_denied_total", "0+5x20", upstream="core", **POD)],
        [{"upstream": "core"}],
    ),
    # Time begins at 0: one certificate ends in 13 days, one in 15.
    (
        "BalancerCertificateEnds",
        "70m",
        [
            series("balancer_tls_certificate_not_after_timestamp_seconds", "1123200x90", listener="a", name="x", **POD),
            series("balancer_tls_certificate_not_after_timestamp_seconds", "1296000x90", listener="a", name="y", **POD),
        ],
        [{"listener": "a", "name": "x"}],
    ),
    (
        "BalancerCertificateRejected",
        "10m",
        [
            series("balancer_tls_certificate_reloads_total", "0x3 1x20", result="failure", **POD),
            series("balancer_tls_certificate_reloads_total", "0x3 1x20", result="success", pod="b"),
        ],
        [{**POD}],
    ),
    (
        "BalancerStapleExpired",
        "20m",
        [
            series("balancer_tls_staple_expired", "1x30", listener="a", name="x", **POD),
            series("balancer_tls_staple_expired", "0x30", listener="a", name="y", **POD),
        ],
        [{"listener": "a", "name": "x"}],
    ),
    # A third on one listener; on another the same number of clients that went away.
    (
        "BalancerHandshakesFail",
        "25m",
        [
            series("balancer_tls_handshakes_total", "0+20x40", listener="a", version="TLSv1.3", resumed="false", **POD),
            series("balancer_tls_handshake_failures_total", "0+10x40", listener="a", reason="protocol", **POD),
            series("balancer_tls_handshakes_total", "0+20x40", listener="b", version="TLSv1.3", resumed="false", **POD),
            series("balancer_tls_handshake_failures_total", "0+10x40", listener="b", reason="closed", **POD),
        ],
        [{"listener": "a"}],
    ),
    (
        "BalancerLimitForgets",
        "10m",
        [series("balancer_rate_limit_evictions_total", "0 0 5x20", route="api", rule="per-client", **POD)],
        [{"route": "api", "rule": "per-client"}],
    ),
    # A second pod had its trouble long ago.
    (
        "BalancerJournalFails",
        "20m",
        [
            series("balancer_ledger_errors_total", "0+1x30", **POD),
            series("balancer_ledger_errors_total", "7x30", **{**POD, "pod": "other"}),
        ],
        [{**POD}],
    ),
    # Twenty a minute; three a minute is a page that somebody has left open.
    (
        "BalancerCallsDenied",
        "15m",
        [
            series("balancer_admin_denied_total", "0+20x30", **POD),
            series("balancer_admin_denied_total", "0+3x30", **{**POD, "pod": "other"}),
        ],
        [{**POD}],
    ),
    # A restart of the collector cost the second pod a few.
    (
        "BalancerSpansDropped",
        "16m",
        [
            series("balancer_spans_dropped_total", "0+30x30", reason="unavailable", **POD),
            series("balancer_spans_dropped_total", "0 40 80 80x30", reason="queue", **{**POD, "pod": "other"}),
        ],
        [{**POD, "reason": "unavailable"}],
    ),
    ("BalancerAccessLogDropped", "12m", [series("balancer_access_log_dropped_total", "0+5x20", **POD)], [{**POD}]),
    (
        "BalancerSlow",
        "16m",
        [
            series(
                "balancer_request_duration_seconds_bucket", "0+50x20", route="api", upstream="gateway", le="1", **POD
            ),
            series(
                "balancer_request_duration_seconds_bucket", "0+100x20", route="api", upstream="gateway", le="5", **POD
            ),
            series(
                "balancer_request_duration_seconds_bucket",
                "0+100x20",
                route="api",
                upstream="gateway",
                le="+Inf",
                **POD,
            ),
        ],
        [{"upstream": "gateway"}],
    ),
    (
        "GatewaySlow",
        "16m",
        [
            series("gateway_request_duration_seconds_bucket", "0+50x20", GATEWAY, route="/candidates", le="1.0"),
            series("gateway_request_duration_seconds_bucket", "0+100x20", GATEWAY, route="/candidates", le="2.0"),
            series("gateway_request_duration_seconds_bucket", "0+100x20", GATEWAY, route="/candidates", le="+Inf"),
        ],
        [{}],
    ),
    # 3 of 100 a minute, and readiness checks that fail, which are no requests.
    (
        "GatewayErrors",
        "12m",
        [
            series("gateway_requests_total", "0+97x20", GATEWAY, route="/candidates", status="200"),
            series("gateway_requests_total", "0+3x20", GATEWAY, route="/candidates", status="500"),
        ],
        [{}],
    ),
    (
        "GatewayErrors",
        "12m",
        [
            series("gateway_requests_total", "0+99x20", GATEWAY, route="/candidates", status="200"),
            series("gateway_requests_total", "0+1x20", GATEWAY, route="/score/:address/:session", status="500"),
            series("gateway_requests_total", "0+60x20", GATEWAY, route="operations", status="503"),
        ],
        [],
    ),
    ("GatewayRefusing", "12m", [series("gateway_refused_total", "0+1x20", GATEWAY)], [{}]),
    ("GatewayRefusing", "12m", [series("gateway_refused_total", "9x20", GATEWAY)], []),
    (
        "GatewayMemoryShort",
        "12m",
        [
            series("gateway_memory_used_bytes", "95x20", GATEWAY, **POD),
            series("gateway_memory_budget_bytes", "100x20", GATEWAY, **POD),
            series("gateway_memory_used_bytes", "50x20", GATEWAY, pod="b"),
            series("gateway_memory_budget_bytes", "100x20", GATEWAY, pod="b"),
        ],
        [POD],
    ),
    ("GatewayStale", "12m", [series("gateway_stale_answers_total", "0+1x20", GATEWAY)], [{}]),
    ("GatewayStale", "12m", [series("gateway_stale_answers_total", "4x20", GATEWAY)], []),
    ("GatewayDatabaseErrors", "12m", [series("gateway_database_errors_total", "0+1x20", GATEWAY)], [{}]),
    ("GatewayDatabaseErrors", "12m", [series("gateway_database_errors_total", "7x20", GATEWAY)], []),
    (
        "GatewayPodsMissing",
        "11m",
        [
            series("kube_deployment_status_replicas_available", "2x20", 'namespace="kusama"', deployment="otv-gateway"),
            series("kube_deployment_spec_replicas", "3x20", 'namespace="kusama"', deployment="otv-gateway"),
        ],
        [{"deployment": "otv-gateway"}],
    ),
    (
        "CoreNotReady",
        "10m",
        [series("kube_statefulset_status_replicas_ready", "0x20", 'namespace="kusama"', statefulset="otv-core")],
        [],
    ),
    (
        "CoreNotReady",
        "16m",
        [series("kube_statefulset_status_replicas_ready", "0x20", 'namespace="kusama"', statefulset="otv-core")],
        [{"statefulset": "otv-core"}],
    ),
]


class Firing(unittest.TestCase):
    def test_every_alert_fires_when_it_must(self):
        self.assertEqual({rule["alert"] for _, rule in rules()}, {case[0] for case in CASES if case[3]})

    @needs_promtool
    def test_by_promtool(self):
        """Labels are compared; the words of the summary are what Prometheus makes of them."""
        self.maxDiff = None
        texts = {rule["alert"]: rule for _, rule in rules()}
        # Summaries with a value in them are told by hand.
        values = {
            "BalancerErrors": "3%",
            "BalancerWeightsNotLasting": "50",
            "BalancerCertificateEnds": "12d 22h 50m 0s",
            "BalancerHandshakesFail": "33.33%",
        }

        def said(alert, labels):
            summary = re.sub(
                r"\{\{ \$labels\.(\w+) \}\}", lambda m: labels.get(m[1], ""), texts[alert]["annotations"]["summary"]
            )
            return re.sub(r"\{\{ \$value[^}]*\}\}", values.get(alert, ""), summary)

        tests = []
        for alert, at_time, given, firing in CASES:
            expected = []
            for labels in firing:
                scope = {"namespace": "kusama"}
                if alert == "BalancerAbsent":
                    scope["service"] = "otv-balancer-metrics"
                expected.append(
                    {
                        "exp_labels": {"severity": texts[alert]["labels"]["severity"], **scope, **labels},
                        "exp_annotations": {
                            "summary": said(alert, labels),
                            "runbook_url": texts[alert]["annotations"]["runbook_url"],
                        },
                    }
                )
            tests.append(
                {
                    "interval": "1m",
                    "input_series": given,
                    "alert_rule_test": [{"eval_time": at_time, "alertname": alert, "exp_alerts": expected}],
                }
            )
        status, words = promtool(
            "test", groups(), {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": tests}
        )
        self.assertEqual(status, 0, words)


class Outage(unittest.TestCase):
    @needs_promtool
    def test_one_that_only_probes_see(self):
        """What a gateway says while its database is there, and when it is not: scraped, and replayed a minute apart."""
        counted = {}
        with tempfile.TemporaryDirectory(prefix="otv-outage-") as folder:
            file = os.path.join(folder, "data.sqlite")
            subprocess.run([program("gateway"), "sample", "--to", file], check=True, stdout=subprocess.DEVNULL)
            with gateway(objects(), database=f"sqlite:{file}") as api:
                for minute in range(20):
                    if minute == 5:
                        os.truncate(file, 4096)
                    # As often as the kubelet asks; nobody else does.
                    statuses = {asked(api.port, "/readyz")[0] for _ in range(6)}
                    self.assertEqual(statuses, {200 if minute < 5 else 503})
                    text = asked(api.port, "/metrics")[1]
                    for reason, value in re.findall(
                        r'^gateway_database_errors_total\{reason="(\w+)"\} (\d+)$', text, re.MULTILINE
                    ):
                        counted.setdefault(reason, []).append(value)
        self.assertEqual(counted["unreachable"][4:6], ["0", "6"])
        rule = {rule["alert"]: rule for _, rule in rules()}["GatewayDatabaseErrors"]
        fires = {
            "exp_labels": {"severity": "critical", "namespace": "kusama"},
            "exp_annotations": rule["annotations"],
        }
        test = {
            "interval": "1m",
            "input_series": [
                series("gateway_database_errors_total", " ".join(values), GATEWAY, reason=reason, **POD)
                for reason, values in counted.items()
            ],
            "alert_rule_test": [
                {"eval_time": time, "alertname": "GatewayDatabaseErrors", "exp_alerts": alerts}
                for time, alerts in (("4m", []), ("8m", []), ("11m", [fires]), ("19m", [fires]))
            ],
        }
        status, words = promtool(
            "test", groups(), {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": [test]}
        )
        self.assertEqual(status, 0, words)


BOARDS = ("balancer", "gateway")


class Dashboard(unittest.TestCase):
    def board(self, name):
        return json.loads(read("charts", f"otv-{name}", "dashboard.json"))

    def expressions(self):
        found = [
            (f"{name}: {panel['title']}", target)
            for name in BOARDS
            for panel in self.board(name)["panels"]
            for target in panel["targets"]
        ]
        self.assertGreater(len(found), 40)
        return found

    def test_metrics_and_labels_exist(self):
        known = {**measured(), **OVER_MONGODB}
        for title, target in self.expressions():
            with self.subTest(title):
                found = WORDS.findall(target["expr"])
                self.assertTrue(found)
                labels = set()
                for metric, selector in found:
                    self.assertIn(metric, set(known))
                    labels |= known[metric] | TARGET
                    self.assertIn('namespace="$namespace"', selector)
                    self.assertLessEqual(set(re.findall(r'(\w+)(?:=|!=|=~|!~)"', selector)), known[metric] | TARGET)
                grouping = re.findall(r"by \(([^)]*)\)", target["expr"])
                self.assertLessEqual(set(re.split(r",\s*", grouping[0])), labels)
                self.assertLessEqual(
                    set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])), set(re.split(r",\s*", grouping[0]))
                )

    def test_the_gateways_shows_all_that_it_says_of_itself(self):
        shown = {metric for panel in self.board("gateway")["panels"] for target in panel["targets"] for metric, _ in WORDS.findall(target["expr"])}
        said = {name for name in measured() if name.startswith("gateway_")}
        self.assertGreater(len(said), 20)
        # Parts of a histogram that its quantiles do not need; what is counted elsewhere, or is another's measure.
        left = {"gateway_request_duration_seconds_sum", "gateway_request_duration_seconds_count", "gateway_cache_entries", "gateway_encodings_total", "gateway_connections_cut_total"}
        self.assertEqual(said - shown, left & said)

    def test_panels_lie_beside_each_other(self):
        for name in BOARDS:
            panels = self.board(name)["panels"]
            self.assertEqual(len({panel["id"] for panel in panels}), len(panels))
            taken = set()
            for panel in panels:
                place = panel["gridPos"]
                for column in range(place["x"], place["x"] + place["w"]):
                    for row in range(place["y"], place["y"] + place["h"]):
                        self.assertNotIn((column, row), taken, panel["title"])
                        self.assertLess(column, 24)
                        taken.add((column, row))

    @needs_promtool
    def test_promtool_takes_its_expressions(self):
        made = {
            "groups": [
                {
                    "name": "panels",
                    "rules": [
                        {"record": f"panel:{index}", "expr": target["expr"]}
                        for index, (_, target) in enumerate(self.expressions())
                    ],
                }
            ]
        }
        status, words = promtool("check", made)
        self.assertEqual(status, 0, words)

    def test_it_is_in_the_release(self):
        for name in BOARDS:
            values = at("dashboard", {"enabled": True, "annotations": {"grafana_folder": "otv"}})
            made = render(f"otv-{name}", values).one("ConfigMap", f"otv-{name}-dashboard")
            self.assertEqual(json.loads(made["data"][f"{name}.json"]), self.board(name))
            self.assertEqual(made["metadata"]["labels"]["grafana_dashboard"], "1")
            self.assertEqual(made["metadata"]["annotations"], {"grafana_folder": "otv"})


class Autoscaling(unittest.TestCase):
    def test_by_processor_time_and_where_wanted_by_requests(self):
        for chart in ("otv-balancer", "otv-gateway"):
            metrics = render(chart).one("HorizontalPodAutoscaler")["spec"]["metrics"]
            self.assertEqual([metric["type"] for metric in metrics], ["Resource"])
            scaler = render(chart, at("autoscaling.requestsPerSecond", 400)).one("HorizontalPodAutoscaler")
            self.assertEqual(scaler["apiVersion"], "autoscaling/v2")
            pods = scaler["spec"]["metrics"][1]["pods"]
            self.assertEqual(pods["target"], {"type": "AverageValue", "averageValue": "400"})
            # The adapter's rule in docs/deployment.md makes that metric of one that the program has.
            blocks = [
                yaml.safe_load(block)
                for block in re.findall(r"^```yaml\n(.*?)^```", read("docs", "deployment.md"), re.MULTILINE | re.DOTALL)
            ]
            made = {rule["name"]["as"]: rule for block in blocks for rule in block["rules"]["custom"]}
            rule = made[pods["metric"]["name"]]
            self.assertIn(rule["name"]["matches"], measured())
            self.assertTrue(rule["seriesQuery"].startswith(rule["name"]["matches"] + "{"))
