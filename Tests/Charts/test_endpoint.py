"""The balancer as the public endpoint itself: certificates, other listeners' keys, tokens, and what outlives a start of its container."""

import json
import os
import shutil
import signal
import ssl
import subprocess
import tempfile
import unittest
import urllib.error
import urllib.request

import helm_python as helm
from matrix import stage
from programs import asked, balancer, gateway, until
from rendering import at, check_routes, merged, program, render, routes_of, validate

TLS = at("tls", {"enabled": True, "secrets": ["public.example-tls", "second"], "options": {"minimumVersion": "1.3"}})


class Endpoint(unittest.TestCase):
    def folder(self):
        made = tempfile.mkdtemp(prefix="otv-endpoint-")
        self.addCleanup(shutil.rmtree, made)
        return made

    def certified(self, **hosts):
        """A folder as the pod has it: one of each Secret, with a certificate of its host."""
        folder = self.folder()
        for name, host in hosts.items():
            place = os.path.join(folder, name)
            os.mkdir(place)
            made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
            made += ["-subj", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host}"]
            subprocess.run([*made, "-keyout", f"{place}/tls.key", "-out", f"{place}/tls.crt"], check=True, capture_output=True, timeout=60)
        return folder

    def moved(self, objects, *places):
        """The rendered routes.json with paths of the pod turned to some of this machine."""
        data = objects.one("ConfigMap", "otv-balancer")["data"]
        for there, here in places:
            self.assertIn(there, data["routes.json"])
            data["routes.json"] = data["routes.json"].replace(there, here)
        return objects

    def test_certificates_reach_the_listener(self):
        objects = render("otv-balancer", merged(TLS, at("service", {"type": "LoadBalancer", "tlsNodePort": 30443})))
        validate(objects)
        plain, secure = json.loads(routes_of(objects)[0])["listeners"]
        self.assertEqual((plain["name"], secure["name"], secure["address"]), ("public", "public-tls", "0.0.0.0:8443"))
        self.assertEqual(
            secure["tls"],
            {
                "minimumVersion": "1.3",
                "certificates": [
                    {"certificate": f"/etc/otv/tls/{name}/tls.crt", "key": f"/etc/otv/tls/{name}/tls.key"}
                    for name in ("public.example-tls", "second")
                ],
            },
        )
        self.assertNotIn("tls", plain)
        for item in (objects.one("Deployment"), objects.one("Job")):
            spec = item["spec"]["template"]["spec"]
            secrets = {volume["name"]: volume["secret"]["secretName"] for volume in spec["volumes"] if "secret" in volume}
            mounts = {mount["mountPath"]: secrets.get(mount["name"]) for mount in spec["containers"][0]["volumeMounts"]}
            for name in ("public.example-tls", "second"):
                self.assertEqual(mounts[f"/etc/otv/tls/{name}"], name)
        service = objects.one("Service", "otv-balancer")["spec"]
        self.assertIn({"name": "https", "port": 443, "targetPort": "https", "nodePort": 30443}, service["ports"])
        self.assertIn({"port": "https"}, objects.one("NetworkPolicy")["spec"]["ingress"][0]["ports"])
        # Not without being asked.
        usual = json.dumps(render("otv-balancer"))
        self.assertNotIn("https\"", usual)
        self.assertNotIn("/etc/otv/tls", usual)
        with self.assertRaises(helm.HelmError) as caught:
            render("otv-balancer", at("tls.enabled", True))
        self.assertIn("tls.secrets is empty", str(caught.exception))

    @unittest.skipUnless(shutil.which("openssl"), "there is no openssl to make certificates with")
    def test_the_program_serves_by_them(self):
        folder = self.certified(**{"public.example-tls": "localhost", "second": "second.example"})
        objects = self.moved(render("otv", merged(stage("3-core-in-reserve"), {"otv-balancer": TLS})), ("/etc/otv/tls", folder))
        with gateway(objects) as api, balancer(objects, {"gateway": [f"127.0.0.1:{api.port}"]}) as front:
            listeners = json.loads(asked(front.admin, "/api/v1/status")[1])["listeners"]
            address = next(each["address"] for each in listeners if each["name"] == "public-tls")
            context = ssl.create_default_context(cafile=f"{folder}/public.example-tls/tls.crt")

            def served():
                request = urllib.request.Request(f"https://localhost:{address.rpartition(':')[2]}/candidates")
                try:
                    with urllib.request.urlopen(request, timeout=10, context=context) as answer:
                        return answer.status == 200
                except urllib.error.HTTPError:
                    return False

            until(served, "it serves by TLS")

    def test_keys_of_listeners_and_of_the_admin_api(self):
        values = {
            "listener": {"proxyProtocol": {"from": ["10.0.0.0/8"], "versions": [2]}, "deny": ["192.0.2.0/24"], "http2": False},
            "admin": {"metricsToken": "ab" * 32, "hosts": ["balancer.example"]},
            "serviceMonitor": {"enabled": True, "authorization": {"credentials": {"name": "metrics", "key": "token"}}},
        }
        objects = render("otv-balancer", values)
        validate(objects)
        routes = json.loads(routes_of(objects)[0])
        self.assertEqual(routes["listeners"], [{**values["listener"], "name": "public", "address": "0.0.0.0:8080"}])
        self.assertEqual((routes["admin"]["address"], routes["admin"]["metricsToken"]), ("127.0.0.1:9901", "ab" * 32))
        self.assertIn("balancer.example", routes["admin"]["hosts"])
        self.assertIn("otv-balancer-metrics", routes["admin"]["hosts"])
        self.assertEqual(check_routes(routes_of(objects)[0])[0], 0)
        self.assertEqual(
            objects.one("ServiceMonitor")["spec"]["endpoints"][0]["authorization"], {"credentials": {"name": "metrics", "key": "token"}}
        )
        for wrong in ({"listener": {"address": "0.0.0.0:80"}}, {"listener": {"proxyprotocol": {}}}, {"admin": {"address": "0.0.0.0:9901"}}, {"admin": {"observe": "x"}}, at("tls.options", {"certificates": []})):
            with self.assertRaises(helm.HelmError, msg=wrong):
                render("otv-balancer", wrong)

    def test_what_was_done_live_outlives_the_container(self):
        usual = render("otv-balancer").one("Deployment")["spec"]["template"]["spec"]
        self.assertNotIn("state", [volume["name"] for volume in usual["volumes"]])
        # The API server in which pods agree is not here.
        given = {"enabled": True, "sizeLimit": "16Mi"}
        objects = render("otv", merged(at("otv-balancer.state", given), at("otv-balancer.cluster.mode", "none")))
        validate(objects)
        spec = objects.one("Deployment", "otv-balancer")["spec"]["template"]["spec"]
        self.assertIn({"name": "state", "emptyDir": {"sizeLimit": "16Mi"}}, spec["volumes"])
        self.assertIn({"name": "state", "mountPath": "/var/lib/balancer"}, spec["containers"][0]["volumeMounts"])
        folder = self.folder()
        self.moved(objects, ("/var/lib/balancer", folder))

        def weights(front):
            routes = json.loads(asked(front.admin, "/api/v1/routes")[1])["routes"]
            return next(route["weights"] for route in routes if route["name"] == "api")

        with balancer(objects, {"gateway": ["127.0.0.1:1"]}) as front:
            self.assertEqual(weights(front), {"core": 100, "gateway": 0})
            told = [program("balancer"), "weight", "api", "core=70", "gateway=30", "--force", "--reason", "x", "--admin", f"127.0.0.1:{front.admin}"]
            subprocess.run(told, check=True, capture_output=True, timeout=30)
            front.process.send_signal(signal.SIGKILL)
            front.process.wait(30)
        with balancer(objects, {"gateway": ["127.0.0.1:1"]}) as front:
            self.assertEqual(weights(front), {"core": 70, "gateway": 30})
