"""The rendered pods, as far as they run without a cluster: their programs, arguments, files and probes."""

import contextlib
import fcntl
import json
import os
import pty
import shutil
import socket
import ssl
import struct
import subprocess
import tempfile
import termios
import unittest

from matrix import stage
from programs import asked, balancer, gateway, here, laid_out, until
from rendering import at, check_routes, merged, program, render, routes_of


def probes(objects, kind, name):
    container = objects.one(kind, name)["spec"]["template"]["spec"]["containers"][0]
    return {probe: container[probe]["httpGet"]["path"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")}


class Programs(unittest.TestCase):
    def test_d3_the_gateway_answers_its_probes_by_its_own_configuration(self):
        """The legacy gateway's health check read a section that its configuration did not have, and failed."""
        objects = render("otv")
        with gateway(objects) as running:
            for probe, path in probes(objects, "Deployment", "otv-gateway").items():
                # As the kubelet does: more than once.
                until(lambda path=path: asked(running.port, path)[0] == 200, f"{probe} passes")
            self.assertEqual(running.stop(), 0)

    def test_a_database_that_is_gone_takes_a_gateway_out_and_restarts_none(self):
        objects = render("otv", at("global.config.db.mongo.uri", "mongodb://127.0.0.1:1/otv"))
        with gateway(objects, database=None) as running:
            answers = {
                probe: asked(running.port, path)[0]
                for probe, path in probes(objects, "Deployment", "otv-gateway").items()
            }
        self.assertEqual(answers, {"startupProbe": 200, "livenessProbe": 200, "readinessProbe": 503})

    @unittest.skipUnless(shutil.which("openssl"), "there is no openssl to make certificates with")
    def test_the_gateway_believes_a_private_authority(self):
        """A database with TLS by an authority of one's own: the handshake alone, for nothing behind it speaks MongoDB."""
        with tempfile.TemporaryDirectory(prefix="otv-authority-") as folder:
            made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
            made += ["-addext", "subjectAltName=DNS:localhost", "-keyout", f"{folder}/key", "-out", f"{folder}/ca.crt"]
            subprocess.run(made, check=True, capture_output=True, timeout=60)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(f"{folder}/ca.crt", f"{folder}/key")
            for values, wanted in (({}, False), (at("global.privateCA.existingConfigMap", "authority"), True)):
                with socket.create_server(("127.0.0.1", 0)) as listener:
                    listener.settimeout(60)
                    uri = f"mongodb://localhost:{listener.getsockname()[1]}/otv?tls=true"
                    objects = render("otv", merged(values, at("global.config.db.mongo.uri", uri)))
                    container = objects.one("Deployment", "otv-gateway")["spec"]["template"]["spec"]["containers"][0]
                    for entry in container["env"]:
                        entry["value"] = entry["value"].replace("/etc/otv/authority", folder)
                    with gateway(objects, database=None):
                        accepted = listener.accept()[0]
                        try:
                            with context.wrap_socket(accepted, server_side=True) as session:
                                # In TLS 1.3 who refuses a certificate says so after the server is done.
                                agreed = bool(session.recv(1))
                        except ssl.SSLError as error:
                            self.assertIn("UNKNOWN_CA", str(error).upper().replace(" ", "_"))
                            agreed = False
                self.assertEqual(agreed, wanted)

    def test_the_retired_core_is_a_bare_health_check(self):
        objects = render("otv", stage("4-core-retired"))
        with gateway(objects, "otv-core", database=None) as running:
            for probe, path in probes(objects, "StatefulSet", "otv-core").items():
                self.assertEqual(asked(running.port, path)[0], 200, probe)
            status, words = asked(running.port, "/candidates")
            self.assertEqual(status, 404)
            self.assertIn("gateway", words)
            self.assertEqual(running.stop(), 0)

    def test_helm_test_says_whether_it_answers(self):
        objects = render("otv", stage("4-core-retired"))

        def tested(name, port):
            args = objects.one("Pod", f"{name}-test")["spec"]["containers"][0]["args"]
            path = args[-1].split("/", 3)[3]
            which = "balancer" if name == "otv-balancer" else "gateway"
            ran = subprocess.run(
                [program(which), *args[:-1], f"http://127.0.0.1:{port}/{path}"],
                capture_output=True,
                timeout=30,
                check=False,
            )
            return ran.returncode

        with gateway(objects) as api, gateway(objects, "otv-core", database=None) as core, balancer(
            objects, {"core": [f"127.0.0.1:{core.port}"], "gateway": [f"127.0.0.1:{api.port}"]}
        ) as front:
            self.assertEqual(
                [tested("otv-gateway", api.port), tested("otv-core", core.port), tested("otv-balancer", front.public)],
                [0, 0, 0],
            )
        self.assertNotEqual(tested("otv-gateway", 1), 0)
        self.assertNotEqual(tested("otv-balancer", 1), 0)

    def test_what_is_private_and_what_is_gone(self):
        objects = render("otv", stage("4-core-retired"))
        with gateway(objects) as api, balancer(
            objects, {"core": ["127.0.0.1:1"], "gateway": [f"127.0.0.1:{api.port}"]}
        ) as front:
            for path, wanted in {
                "/metrics": 404,
                "/metrics/": 404,
                "/Metrics": 404,
                "/%6Detrics": 404,
                "//metrics": 404,
                "/readyz": 404,
                "/livez": 404,
                "/status": 410,
                "/docs/x": 410,
                "/healthcheck": 200,
            }.items():
                status, words = asked(front.public, path)
                self.assertEqual(status, wanted, path)
                # The balancer's own answer: the gateway never saw it.
                self.assertEqual("answered-by-route" in words, wanted != 200, path)
            until(lambda: asked(front.public, "/candidates")[0] == 200, "the API answers")
            for probe, path in probes(objects, "Deployment", "otv-balancer").items():
                self.assertEqual(asked(front.observe, path)[0], 200, probe)
            self.assertEqual(front.stop(), 0)

    def test_scrapes_by_the_name_of_their_service(self):
        """The program refuses names that it does not know: a page may have pointed its own there."""
        for name in ("otv", "a"):
            objects = render("otv", at("otv-balancer.serviceMonitor.enabled", True), name)
            service = f"{name}-balancer-metrics"
            port = objects.one("Service", service)["spec"]["ports"][0]["port"]
            with balancer(objects, {}, f"{name}-balancer") as front:
                for ending in ("", ".kusama", ".kusama.svc", ".kusama.svc.cluster.local"):
                    said = f"{service}{ending}:{port}"
                    self.assertEqual(asked(front.observe, "/metrics", said)[0], 200, ending)
                for foreign in (f"{name}-balancer", "evil.example", f"{service}.other"):
                    self.assertEqual(asked(front.observe, "/metrics", foreign)[0], 403, foreign)

    def test_the_pods_address_changes_nothing(self):
        """Weights are changed where programs can be run in the pod, which the API server decides."""
        objects = render("otv")
        with balancer(objects, {}) as front:
            for path in ("/api/v1/status", "/api/v1/routes", "/api/v1/openapi.json"):
                self.assertEqual(asked(front.admin, path)[0], 200, path)
                self.assertEqual(asked(front.observe, path)[0], 404, path)
            self.assertEqual(asked(front.observe, "/metrics")[0], 200)

    def test_tables_fit_a_terminal_of_60_columns(self):
        """A wider one had its rows folded into each other."""
        with balancer(render("otv"), {"gateway": ["127.0.0.1:1"], "core": ["127.0.0.1:1"]}) as front:
            for command in (["routes"], ["upstreams"], ["journal"], ["weight", "api", "core=50", "gateway=50", "--dry-run"]):
                words = [program("balancer"), *command, "--admin", f"127.0.0.1:{front.admin}"]
                ours, theirs = pty.openpty()
                fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
                with os.fdopen(ours, "rb", buffering=0) as terminal:
                    ran = subprocess.run(words, stdout=theirs, stderr=theirs, stdin=subprocess.DEVNULL, timeout=60, check=False)
                    os.close(theirs)
                    said = b""
                    # A terminal whose other end is closed answers with an error when all is read.
                    with contextlib.suppress(OSError):
                        while part := terminal.read(65536):
                            said += part
                lines = said.decode().splitlines()
                self.assertEqual(ran.returncode, 0, lines)
                self.assertTrue(lines)
                # Sentences are the terminal's to break.
                rows = [line for line in lines if not line.startswith(("warning:", "nothing changed"))]
                self.assertTrue(rows)
                self.assertEqual([line for line in rows if len(line) > 60], [], command)

    def test_upstreams_that_are_down_leave_the_balancer_ready(self):
        objects = render("otv")
        with balancer(objects, {}) as front:
            for probe, path in probes(objects, "Deployment", "otv-balancer").items():
                self.assertEqual(asked(front.observe, path)[0], 200, probe)
            self.assertEqual(asked(front.public, "/candidates")[0], 503)

    def test_changed_values_are_loaded_and_live_weights_stay_until_then(self):
        """`apply: reload`, with the volume swapped as the kubelet swaps it."""
        # The API server in which pods agree is not here.
        alone = at("otv-balancer.cluster.mode", "none")
        first, second = (render("otv", merged(stage(name), alone)) for name in ("1-core-only", "2-by-weight"))
        ends = {"core": ["127.0.0.1:1"], "gateway": ["127.0.0.1:2"]}

        def weights(front):
            routes = json.loads(asked(front.admin, "/api/v1/routes")[1])["routes"]
            return next(route["weights"] for route in routes if route["name"] == "api")

        with balancer(first, ends) as front:
            text = here(routes_of(second)[0], ends)
            command = [
                program("balancer"),
                "weight",
                "api",
                "core=75",
                "gateway=25",
                "--admin",
                f"127.0.0.1:{front.admin}",
            ]
            subprocess.run(command, check=True, capture_output=True, timeout=30)
            self.assertEqual(weights(front), {"core": 75, "gateway": 25})

            def swapped(text):
                admin = json.loads(text)
                # What a start alone takes over stays as the running process has it.
                admin["admin"]["address"] = "127.0.0.1:0"
                laid_out(front.folder, {"routes.json": json.dumps(admin)})

            def generation():
                return json.loads(asked(front.admin, "/api/v1/status")[1])["lastReload"]

            # Something else changes: the live weights stay.
            before = generation()
            other = json.loads(here(routes_of(first)[0], ends))
            other["timeouts"]["connect"] = "900ms"
            swapped(json.dumps(other))
            after = until(lambda: generation() != before and generation(), "the file with another time-out is loaded")
            self.assertTrue(after["ok"], after)
            self.assertEqual(weights(front), {"core": 75, "gateway": 25})
            # The file says something about them: they go.
            swapped(text)
            until(lambda: weights(front) == {"core": 90, "gateway": 10}, "the weights of stage 2 are in force")
            # What is wrong changes nothing, and is told.
            swapped(text.replace('"split"', '"splitt"'))
            until(
                lambda: "balancer_config_last_reload_successful 0" in asked(front.admin, "/metrics")[1],
                "the bad file is rejected",
            )
            self.assertEqual(weights(front), {"core": 90, "gateway": 10})
            self.assertEqual(asked(front.admin, "/readyz")[0], 200)

    def test_the_check_before_an_upgrade_tells_good_from_bad(self):
        objects = render("otv", stage("2-by-weight"))
        given = objects.one("ConfigMap", "otv-balancer-check")["data"]["routes.json"]
        self.assertEqual(
            objects.one("Job", "otv-balancer-check")["spec"]["template"]["spec"]["containers"][0]["args"][0], "check"
        )
        self.assertEqual(check_routes(given)[0], 0)
        self.assertNotEqual(check_routes(given.replace('"1s"', '"1x"'))[0], 0)
