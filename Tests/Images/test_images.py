"""The images, as far as a machine without a container engine and a registry can check them."""

import glob
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import unittest

import yaml
from building import BASES, DOCKERFILE, ROOT, STAND_INS, Builder, argument, base_archive, run, target_folders
from containers import Container, Lines, MemoryLimit, Network, curl, prepare, until

PACKAGES = ("balancer", "gateway", "core")
PORTS = {"balancer": 8080, "gateway": 3301, "core": 3300}
WORK = None
BUILDER = None
IMAGES = {}
STAGES = {}


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
        return file.read()


def folder(name):
    path = os.path.join(WORK, name)
    os.makedirs(path, exist_ok=True)
    # Who reads it is no one's user here.
    os.chmod(path, 0o755)
    return path


def written(name, value):
    path = os.path.join(WORK, name)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(value, file)
    os.chmod(path, 0o644)
    return path


def setUpModule():
    global BUILDER
    prepare()
    BUILDER = Builder(WORK)
    for package in PACKAGES:
        IMAGES[package] = BUILDER.build(f"web3f/otv-{package}:local", "--build-arg", f"PACKAGE={package}",
                                        "--build-arg", "VERSION=v1.2.3", "--build-arg", "REVISION=abc")
    IMAGES["seed"] = BUILDER.build("web3f/otv-seed:local", "--target", "seed")
    STAGES["dependencies"] = BUILDER.build("dependencies", "--target", "dependencies")


class TheDockerfile(unittest.TestCase):
    def test_lints_clean(self):
        linter = os.path.join(ROOT, ".tools", "images", "bin", "hadolint")
        run(linter, "--failure-threshold", "style", os.path.join(ROOT, "Dockerfile"))
        # It would have said so: the same file with a fault in it.
        faulty = subprocess.run([linter, "--failure-threshold", "style", "-"], text=True, check=False, capture_output=True,
                                input=DOCKERFILE.replace("apt-get install -y", "apt-get install"))
        self.assertEqual((faulty.returncode, "DL3014" in faulty.stdout), (1, True))

    def test_names_no_processor(self):
        self.assertNotRegex(DOCKERFILE.lower().replace("builds on amd64 and on arm64", ""), "amd64|arm64|x86_64|aarch64|--platform")

    def test_only_what_it_copies_is_sent(self):
        path = os.path.join(WORK, "context.Dockerfile")
        with open(path, "w", encoding="utf-8") as file:
            file.write("FROM scratch\nCOPY . /\n")
        tree = BUILDER.build("context", "--file", path).tree
        wanted = {"Package.swift", "Package.versions", "Sources", "LICENSE", "scripts"} | {"Package.resolved"} & set(os.listdir(BUILDER.context))
        self.assertEqual(set(os.listdir(tree)), wanted)
        run("diff", "--recursive", os.path.join(BUILDER.context, "Sources"), os.path.join(tree, "Sources"))


class TheDependencyLayer(unittest.TestCase):
    """Sources that are not there are stood in for by the Dockerfile itself; the real toolchain must take that for a package."""

    def test_is_a_whole_package_without_the_sources(self):
        copy = os.path.join(WORK, "layer")
        shutil.copytree(os.path.join(STAGES["dependencies"].tree, "source"), copy, ignore=shutil.ignore_patterns(".build"))
        described = json.loads(run("swift", "package", "describe", "--type", "json", cwd=copy, env={**os.environ, "TMPDIR": WORK}))
        package = BUILDER.package
        self.assertEqual({target["path"] for target in described["targets"]}, set(target_folders(package)))
        kinds = {"executable": "executable", "regular": "library", "test": "test", "system": "system-target"}
        self.assertEqual({target["name"]: target["type"] for target in described["targets"]},
                         {target["name"]: kinds[target["type"]] for target in package["targets"]})
        for target in described["targets"]:
            if target["module_type"] == "SwiftTarget":
                self.assertEqual(target["sources"], ["Placeholder.swift"], target["name"])

    def test_a_change_of_the_sources_keeps_it(self):
        copied = re.findall(r"^COPY (.+) \S+$", DOCKERFILE.split("AS dependencies")[1].split("\nFROM ")[0], re.M)
        # All that is not Swift, and of the rest the list.
        foreign = [f"Sources/{name}" for name in os.listdir(os.path.join(ROOT, "Sources"))
                   if not any(file.endswith(".swift") for _, _, files in os.walk(os.path.join(ROOT, "Sources", name)) for file in files)]
        self.assertEqual(sorted(copied), sorted(["Package.swift Package.versions Package.resolve[d]", "scripts/packages.py", *foreign]))


class TheConfiguration(unittest.TestCase):
    """What the image says of itself."""

    def test_of_every_image(self):
        for package in PACKAGES:
            with self.subTest(package):
                config = IMAGES[package].config
                program = "balancer" if package == "balancer" else "gateway"
                self.assertEqual(config["User"], "65532:65532")
                self.assertEqual(config["StopSignal"], "SIGTERM")
                self.assertEqual(config["WorkingDir"], f"/code/packages/{package}")
                self.assertEqual(config["Entrypoint"], [program])
                self.assertEqual(config["Cmd"][0], "serve")
                self.assertEqual(list(config["ExposedPorts"]), [f"{PORTS[package]}/tcp"])
                self.assertEqual(config["Healthcheck"]["Test"][0], "CMD")
                self.assertRegex(" ".join(config["Healthcheck"]["Test"]), rf"\b{program} health\b")
                self.assertIn("PATH=/opt/otv:", "\n".join(config["Env"]))
                labels = {name.rpartition(".")[2]: value for name, value in config["Labels"].items()
                          if name.startswith("org.opencontainers.image.")}
                self.assertEqual(labels, {
                    "title": f"otv-{package}", "description": f"{package} of the 1k-validators programme's REST endpoint",
                    "source": "https://github.com/w3f/1k-validators-be", "licenses": "Apache-2.0", "version": "v1.2.3",
                    "revision": "abc", "name": argument("RUNTIME_IMAGE")})


class TheTree(unittest.TestCase):
    def test_every_shared_library_is_there_and_none_is_swifts(self):
        for package in PACKAGES:
            with self.subTest(package):
                tree = IMAGES[package].tree
                program = IMAGES[package].command[0]
                said = run("chroot", tree, "ldd", f"/opt/otv/{program}")
                self.assertNotIn("not found", said)
                self.assertIn("libc.so.6", said)
                self.assertNotRegex(said, r"lib(swift|Foundation|dispatch|BlocksRuntime)")
                database = [name for name in ("libmongoc", "libbson", "libsqlite3") if name in said]
                self.assertEqual(database, ["libsqlite3"] if program == "balancer" else ["libmongoc", "libbson", "libsqlite3"])

    def test_holds_the_program_and_nothing_to_build_with(self):
        for package in PACKAGES:
            with self.subTest(package):
                tree = IMAGES[package].tree
                programs = {IMAGES[package].command[0]}
                self.assertEqual(set(os.listdir(os.path.join(tree, "opt/otv"))), {"swift-backtrace-static"} | programs)
                self.assertEqual(os.listdir(os.path.join(tree, "code/packages")), [package])
                # Empty, and there: a runtime that mounts onto it has nothing to make in a read-only root.
                self.assertEqual(os.listdir(os.path.join(tree, "code/packages", package, "config")), [])
                self.assertEqual(set(os.listdir(os.path.join(tree, "usr/share/doc/otv"))),
                                 {"LICENSE"} if package == "balancer" else {"LICENSE", "LICENSE.swagger-ui"})
                self.assertEqual(os.listdir(os.path.join(tree, "var/lib/apt/lists")), [])
                found = [name for name in ("gcc", "cc", "g++", "clang", "swift", "swiftc", "ld", "as", "make", "cpp", "jq", "git")
                         for place in ("usr/bin", "usr/local/bin", "opt/otv") if os.path.exists(os.path.join(tree, place, name))]
                self.assertEqual(found, [])
                installed = run("chroot", tree, "dpkg-query", "--show", "--showformat", "${Package}\\n").split()
                self.assertEqual([name for name in installed if name.endswith("-dev")], [])

    def test_is_read_by_all_and_written_by_root_alone(self):
        for package in PACKAGES:
            for parent in ("opt/otv", "code"):
                for place, folders, files in os.walk(os.path.join(IMAGES[package].tree, parent)):
                    for name in [*folders, *files]:
                        found = os.stat(os.path.join(place, name))
                        self.assertEqual((found.st_uid, found.st_mode & 0o022, found.st_mode & 0o004), (0, 0, 4), name)

    def test_its_size(self):
        for package in PACKAGES:
            size = int(run("du", "--summarize", "--block-size=1M", IMAGES[package].tree).split()[0])
            print(f"test-images: otv-{package}: {size} MB unpacked", flush=True)
            # The stand-in for the base is part of it; a toolchain in it would be a gigabyte more.
            self.assertLess(size, 400)
            program = os.path.join(IMAGES[package].tree, "opt/otv", IMAGES[package].command[0])
            stripped = os.path.getsize(program) / 2**20
            packed = int(run("bash", "-c", f"tar -C '{IMAGES[package].tree}/opt/otv' -c . | gzip -6 | wc -c")) / 1e6
            print(f"test-images: otv-{package}: program {stripped:.1f} MiB, /opt/otv packed {packed:.1f} MB", flush=True)
            # More than that is Foundation's tables of languages (Sources/CFoundationStandIn).
            self.assertLess(stripped, 40)
            self.assertLess(packed, 25)
            self.assertEqual(run("readelf", "--sections", "--wide", program).count(".debug_"), 0)


    def test_what_a_node_pulls(self):
        """Less than 80 MB, of which Debian's slim image has some 30; what stands in for that is larger."""
        def packed(tar):
            return int(run("bash", "-c", f"set -o pipefail; {tar} | gzip -6 | wc -c")) / 1e6
        base = packed(f"cat '{base_archive()}'")
        for package in PACKAGES:
            # The official image has apt keep no index of packages, which the stand-in's does.
            more = packed(f"tar -C '{IMAGES[package].tree}' --exclude ./var/cache/apt -c .") - base
            print(f"test-images: otv-{package}: {more:.1f} MB packed, over the base", flush=True)
            self.assertLess(more, 50)


class ACrash(unittest.TestCase):
    """What a program leaves behind that the machine's signal has ended, and what can be read out of it."""

    def test_tells_where_it_was(self):
        symbols = BUILDER.build("symbols", "--target", "symbols", "--build-arg", "PACKAGE=gateway").tree
        network = Network(folder("crash"))
        self.addCleanup(network.close)
        space, _ = network.join("crash")
        container = Container(WORK, IMAGES["gateway"], space, ["gateway", "serve"])
        self.addCleanup(container.close)
        container.says("http://")
        container.execute("sh", "-c", "kill -SEGV 1")
        if not until(lambda: any("Backtrace took" in line for line in [*container.errors.seen, *container.errors.drain()])):
            self.fail(container.told())
        report = "\n".join(container.errors.seen)
        self.assertIn("*** Program crashed", report)
        self.assertIn("<unknown> in gateway", report)
        path = os.path.join(WORK, "crash.txt")
        with open(path, "w", encoding="utf-8") as file:
            file.write(report)
        read_out = run(os.path.join(ROOT, "scripts", "read_crash.py"), symbols, path)
        # Every line of the report, and below an address of ours where that is.
        self.assertGreater(len(read_out.splitlines()), len(report.splitlines()))
        # Of another build nothing is told, and that is said.
        said = subprocess.run([os.path.join(ROOT, "scripts", "read_crash.py"), WORK, path], capture_output=True, text=True, check=False)
        self.assertEqual((said.returncode, "no symbols in" in said.stderr), (1, True))


class TheOtherPrograms(unittest.TestCase):
    def test_are_refused_with_a_reason(self):
        for package in ("worker", "telemetry"):
            with self.assertRaises(AssertionError) as caught:
                BUILDER.build(package, "--build-arg", f"PACKAGE={package}")
            self.assertIn("w3f/1k-validators-be", str(caught.exception))


class Running(unittest.TestCase):
    def setUp(self):
        self.network = Network(folder(self.id()))
        self.addCleanup(self.network.close)
        self.space, self.address = self.network.join()

    def start(self, package, *arguments, **options):
        container = Container(WORK, IMAGES[package], self.space, *arguments, **options)
        self.addCleanup(container.close)
        return container

    def is_locked(self, container, user="65532"):
        status, said = container.execute("sh", "-c", "id -u; id -g; touch /x /tmp/x /code/x; exit 0")
        self.assertEqual(said.split("\n")[:2], [user, user], said)
        self.assertEqual(said.count("Read-only file system"), 3, said)
        facts = dict(re.findall(r"^(\w+):\s*(.*)$", read(f"/proc/{container.pid}/status"), re.M))
        self.assertEqual(facts["Uid"].split(), [user] * 4)
        self.assertEqual((int(facts["CapEff"], 16), int(facts["CapBnd"], 16), facts["NoNewPrivs"]), (0, 0, "1"))

    def checks_health(self, container):
        """The image's check says 0 while the program runs, and not after a SIGTERM that the program ends well on."""
        check = container.image.config["Healthcheck"]["Test"][1:]
        self.assertEqual(container.execute(*check), (0, ""))
        self.assertEqual(container.stop(), 0, container.errors.seen)
        again = Container(WORK, container.image, self.space, check)
        self.addCleanup(again.close)
        self.assertEqual(again.wait(), 2 if check[0] == "balancer" else 1, again.errors.seen)

    def test_balancer(self):
        routes = {"listeners": [{"name": "public", "address": "0.0.0.0:8080"}],
                  "upstreams": {"core": {"endpoints": ["127.0.0.1:9"]}},
                  "routes": [{"name": "api", "match": {"path": "/"}, "split": {"core": 1}}]}
        config = folder("balancer-config")
        written("balancer-config/routes.json", routes)
        container = self.start("balancer", mounts=[(config, "/code/packages/balancer/config")])
        container.says("ready")
        self.is_locked(container)
        status, body = container.curl("http://127.0.0.1:8080/candidates", "--include")
        self.assertEqual(status, 502)
        self.assertIn("x-balancer-reason: ", body.lower())
        # The admin API is for the inside alone.
        self.assertEqual(container.curl("http://127.0.0.1:9901/readyz")[0], 200)
        self.assertNotIn("9901/tcp", container.image.config["ExposedPorts"])
        self.assertEqual(container.execute("balancer", "routes")[0], 0)
        # The folder is mounted, so a changed file is seen.
        routes["routes"][0]["name"] = "renamed"
        written("balancer-config/routes.json", routes)
        self.assertTrue(until(lambda: "renamed" in container.execute("balancer", "routes")[1]))
        self.checks_health(container)

    def test_as_anybody_within_64_mebibytes(self):
        """Clusters give users of their own choosing (OpenShift), and a pod of the balancer little memory."""
        try:
            limit = MemoryLimit(WORK, 64 << 20)
        except (AssertionError, OSError) as error:
            self.skipTest(f"no control group of memory can be made here: {error}")
        self.addCleanup(limit.close)
        routes = {"listeners": [{"name": "public", "address": "0.0.0.0:8080"}], "workers": 2,
                  "upstreams": {"core": {"endpoints": ["127.0.0.1:3301"]}},
                  "routes": [{"name": "api", "match": {"path": "/"}, "split": {"core": 1}}]}
        config = folder("limited-config")
        written("limited-config/routes.json", routes)
        self.start("gateway", ["gateway", "serve"]).says("gateway (gateway) on")
        container = self.start("balancer", mounts=[(config, "/code/packages/balancer/config")], user="10001:10001", limit=limit)
        container.says("ready")
        self.is_locked(container, "10001")
        self.assertIn(str(container.pid), limit.read("cgroup.procs").split())
        # 2,000 answers of some kilobytes, 50 at a time.
        said = run("ip", "netns", "exec", self.space, "curl", "--silent", "--fail", "--parallel", "--parallel-max", "50", "--max-time", "60",
                   "--output", "/dev/null", "--write-out", "%{http_code}\n", "http://127.0.0.1:8080/nominators?[1-2000]")
        self.assertEqual(said.split(), ["200"] * 2000)
        print(f"test-images: otv-balancer: {int(limit.read(limit.highest)) / (1 << 20):.1f} MiB at most, of 64", flush=True)
        self.assertEqual((limit.killed(), container.stop()), (0, 0))

    def test_gateway(self):
        main = written("gateway.json", {"db": {"uri": "sqlite::memory:"}, "server": {"port": 3301}})
        # The file alone, as the legacy chart mounts it.
        container = self.start("gateway", mounts=[(main, "/code/packages/gateway/config/main.json")])
        container.says("gateway (gateway) on")
        self.is_locked(container)
        with Host(main) as host:
            # Nothing that an answer is made of comes from the machine: time zones, languages, the page's files.
            candidates = json.loads(host.get("/candidates"))
            for path in ("/candidates", f"/candidate/{candidates[0]['stash']}", "/validators", "/erastats", "/openapi.json", "/"):
                status, body = container.curl(f"http://127.0.0.1:3301{path}")
                self.assertEqual((status, body == host.get(path)), (200, True), path)
        self.assertIn("<script", container.curl("http://127.0.0.1:3301/")[1])
        self.checks_health(container)

    def test_gateway_on_sample_data_without_a_config(self):
        container = self.start("gateway", ["gateway", "serve", "--host", "0.0.0.0"])
        container.says("gateway (gateway) on")
        self.assertEqual(curl(self.space, f"http://{self.address}:3301/candidates")[0], 200)

    def test_core_in_its_legacy_role(self):
        main = written("core.json", {"db": {"uri": "sqlite::memory:"}, "server": {"port": 3300, "enable": True}})
        secret = written("secret.json", {"matrix": {"accessToken": "unused"}})
        at = "/code/packages/core/config"
        container = self.start("core", mounts=[(main, f"{at}/main.json"), (secret, f"{at}/secret.json")])
        container.says("gateway (core) on")
        self.is_locked(container)
        for path in ("/healthcheck", "/scorekeeper/jobs", "/candidates"):
            self.assertEqual(container.curl(f"http://127.0.0.1:3300{path}")[0], 200, path)
        self.checks_health(container)

    def test_core_retired(self):
        container = self.start("core", mounts=[(os.path.join(ROOT, "config/core-retired"), "/code/packages/core/config")])
        container.says("retired core")
        self.is_locked(container)
        self.assertEqual(container.curl("http://127.0.0.1:3300/healthcheck")[0], 200)
        self.assertEqual(container.curl("http://127.0.0.1:3300/candidates")[0], 404)
        self.checks_health(container)

    def test_the_check_of_core_follows_its_port(self):
        container = self.start("core", mounts=[(os.path.join(ROOT, "config/core-retired"), "/code/packages/core/config")],
                               env=["GATEWAY_PORT=4000"])
        container.says("[::]:4000: retired core")
        self.assertEqual(container.execute(*container.image.config["Healthcheck"]["Test"][1:])[0], 0)

    def test_without_a_config_it_says_so(self):
        for package, status in {"balancer": 1, "gateway": 78, "core": 78}.items():
            container = self.start(package)
            self.assertEqual(container.wait(), status, package)
            self.assertIn("config", "\n".join(container.errors.seen))


class Host:
    """The gateway on the host, to compare with."""

    def __init__(self, main):
        self.process = subprocess.Popen(
            [os.path.join(ROOT, os.environ.get("BIN", ".build/release"), "gateway"), "serve", "--config", main, "--port", "0", "--host", "127.0.0.1"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        said = Lines(self.process.stdout).awaited("on http") or ""
        self.base = re.search(r"http://[\d.]+:\d+", said).group()

    def get(self, path):
        return run("curl", "--silent", "--fail", "--max-time", "10", self.base + path)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


class Compose:
    """docker-compose.yml, as far as these tests play its engine."""

    def __init__(self):
        self.text = read("docker-compose.yml")
        self.services = yaml.safe_load(self.text)["services"]

    @staticmethod
    def filled(text):
        return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)

    def mounts(self, name):
        for volume in self.services[name].get("volumes", []):
            what, where, mode = self.filled(volume).split(":")
            yield os.path.join(ROOT, what), where, mode

    @staticmethod
    def seconds(text):
        return int(re.fullmatch(r"(\d+)s", text).group(1))


class TheComposeFile(unittest.TestCase):
    def setUp(self):
        self.compose = Compose()
        self.services = self.compose.services

    def test_every_service_is_locked(self):
        self.assertEqual(set(self.services), {"mongo", "seed", "core", "gateway-1", "gateway-2", "balancer"})
        for name, service in self.services.items():
            with self.subTest(name):
                self.assertIs(service["read_only"], True)
                self.assertEqual(service["cap_drop"], ["ALL"])
                self.assertEqual(service["security_opt"], ["no-new-privileges:true"])
                self.assertNotIn("privileged", service)
                for port in service.get("ports", []):
                    self.assertRegex(port, r"^127\.0\.0\.1:\$\{\w+:-\d+\}:\d+$")
                if name != "mongo":
                    self.assertTrue(all(mode == "ro" for _, _, mode in self.compose.mounts(name)))

    def test_what_is_published(self):
        """Not the database; the admin API where a published port can lead to it, which loopback of a container is not."""
        published = [port.rpartition(":")[2] for service in self.services.values() for port in service.get("ports", [])]
        self.assertEqual(sorted(published), ["3300", "3301", "3301", "8080", "9901"])
        self.assertEqual(json.loads(read("config/balancer/routes.json"))["admin"]["address"], "0.0.0.0:9901")

    def test_every_port_can_be_moved_and_the_file_says_by_what(self):
        variables = re.findall(r"\$\{(\w+_PORT):-", self.compose.text)
        self.assertEqual(len(variables), len(set(variables)))
        for variable in variables:
            self.assertIn(variable, self.compose.text.partition("name: otv")[0])
            self.assertIn(f"`{variable}`", read("docs/images.md"))

    def test_one_service_builds_an_image(self):
        """Two that build one tag at once are refused by the engine; whoever else has the image waits for the one that builds."""
        built = [service["image"] for service in self.services.values() if "build" in service]
        self.assertEqual(len(built), len(set(built)))
        for name, service in self.services.items():
            if "build" in service or service["image"].partition("@")[0] == argument("MONGO_IMAGE"):
                continue
            builder = next(other for other, each in self.services.items() if "build" in each and each["image"] == service["image"])
            self.assertEqual(service["pull_policy"], "never", name)
            self.assertEqual(service["depends_on"][builder], {"condition": "service_healthy"}, name)

    def test_whoever_is_waited_for_can_be_waited_for(self):
        for name, service in self.services.items():
            if name == "seed":
                self.assertEqual(service["restart"], "no")
                self.assertNotIn("healthcheck", service)
            else:
                self.assertEqual(service["restart"], "unless-stopped")
                self.assertEqual(service["healthcheck"]["test"][0], "CMD")
                self.assertIn("stop_grace_period", service)
            for other, how in service.get("depends_on", {}).items():
                wanted = "service_completed_successfully" if other == "seed" else "service_healthy"
                self.assertEqual(how, {"condition": wanted}, name)
        self.assertEqual(set(self.services["balancer"]["depends_on"]), {"core", "gateway-1", "gateway-2"})

    def test_the_grace_periods_hold_the_drain(self):
        drain = self.compose.seconds(json.loads(read("config/balancer/routes.json"))["timeouts"]["drain"])
        self.assertGreater(self.compose.seconds(self.services["balancer"]["stop_grace_period"]), drain)
        for name in ("core", "gateway-1", "gateway-2"):
            main = json.loads(read("config", name.partition("-")[0], "main.json"))
            running = 30 + main["server"].get("drain", 1000) / 1000
            self.assertGreater(self.compose.seconds(self.services[name]["stop_grace_period"]), running)

    def test_every_image_is_built_from_here_or_pinned(self):
        for name, service in self.services.items():
            build = service.get("build")
            if build is None:
                ours = [each["image"] for each in self.services.values() if "build" in each]
                self.assertIn(service["image"].partition("@")[0], [argument("MONGO_IMAGE"), *ours])
            elif "target" in build:
                self.assertRegex(DOCKERFILE, rf"(?m)^FROM \S+ AS {build['target']}$")
            else:
                self.assertEqual(service["image"], f"web3f/otv-{build['args']['PACKAGE']}:local")


class TheComposedSystem(unittest.TestCase):
    """The services of docker-compose.yml, run with the images, the commands, the mounts, the names and the health checks that
    it gives them. MongoDB is stood in for by the wire server of the document stores' tests, filled with the files of the seed
    image by the driver that mongorestore would be."""

    def start(self, name, resolver):
        service = self.compose.services[name]
        image = IMAGES[service["image"].removeprefix("web3f/otv-").partition(":")[0]]
        command = image.config["Entrypoint"] + service.get("command", image.config["Cmd"])
        mounts = [(what, where) for what, where, _ in self.compose.mounts(name)]
        container = Container(WORK, image, self.spaces[name], command, [*mounts, (resolver, "/etc/resolv.conf")])
        self.addCleanup(container.close)
        return container

    def seed(self, address):
        seeder = Container(WORK, IMAGES["seed"], self.spaces["seed"])
        self.addCleanup(seeder.close)
        self.assertEqual(seeder.wait(), 0, seeder.errors.seen)
        said, *files = seeder.output.seen
        self.assertEqual(said, "mongorestore --uri=mongodb://mongo:27017 --drop --dir=/seed")
        self.assertEqual(len(files), 20)
        # The database's name is the folder's: the one that is read when a connection string names none.
        self.assertEqual({os.path.dirname(path) for path in files}, {"/seed/test"})
        server = subprocess.Popen(
            ["ip", "netns", "exec", self.spaces["mongo"], os.environ["GATEWAY_TEST_PYTHON"],
             os.path.join(ROOT, "Tests/Images/mongo.py"), address, *(IMAGES["seed"].tree + path for path in files)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(server.wait)
        self.addCleanup(server.stdin.close)
        self.assertIsNotNone(Lines(server.stdout).awaited("filled"))

    @staticmethod
    def usable(balancer):
        status, said = balancer.execute("balancer", "upstreams", "--json")
        if status != 0:
            return 0
        return sum(endpoint["availability"] == "up" for upstream in json.loads(said)["upstreams"]
                   for endpoint in upstream["endpoints"])

    def test_works(self):
        self.compose = Compose()
        network = Network(folder("composed"))
        self.addCleanup(network.close)
        self.spaces, addresses = {}, {}
        for name, service in self.compose.services.items():
            aliases = service.get("networks", {}).get("default", {}).get("aliases", [])
            self.spaces[name], addresses[name] = network.join(name, *aliases)
        resolver = network.serve_names()
        self.seed(addresses["mongo"])

        containers = {}
        for name in ("core", "gateway-1", "gateway-2", "balancer"):
            containers[name] = self.start(name, resolver)
            containers[name].says("ready" if name == "balancer" else "mongodb://mongo:27017")
            check = self.compose.services[name]["healthcheck"]["test"][1:]
            self.assertEqual(containers[name].execute(*check), (0, ""), name)

        balancer = containers["balancer"]
        self.assertEqual(balancer.execute("balancer", "weight", "api", "core=1", "gateway=1")[0], 0)
        # It looks at the names every two seconds, and asks what it finds for its health.
        if not until(lambda: self.usable(balancer) == 3):
            self.fail(balancer.execute("balancer", "upstreams")[1] + balancer.told())
        base, outside = "http://balancer:8080", self.spaces["seed"]
        resolved = ["--resolve", f"balancer:8080:{addresses['balancer']}", "--include"]

        # A gateway is drawn at random: few enough asked would now and then leave one out.
        def answers(path, count=48):
            found = {}
            for _ in range(count):
                status, text = curl(outside, base + path, *resolved)
                self.assertEqual(status, 200, text)
                found.setdefault(re.search(r"(?i)x-served-by: (\S+)", text).group(1), set()).add(text.partition("\n\r\n")[2] or text)
            return found

        said = answers("/validators")
        self.assertEqual(set(said), {"core", "gateway-1", "gateway-2"})
        bodies = {text[text.index("["):] for texts in said.values() for text in texts}
        self.assertEqual(len(bodies), 1)
        self.assertEqual(len(json.loads(bodies.pop())), 180)
        self.assertEqual(set(answers("/healthcheck")), {"core"})

        # A gateway stops while the rest goes on, then the balancer, as `docker compose stop` would.
        self.assertEqual(containers["gateway-1"].stop(), 0)
        self.assertEqual(set(answers("/validators")), {"core", "gateway-2"})
        for name in ("balancer", "gateway-2", "core"):
            self.assertEqual(containers[name].stop(), 0, name)


class ThePipeline(unittest.TestCase):
    def setUp(self):
        self.config = yaml.safe_load(read(".circleci/config.yml"))
        self.jobs = {}
        for entry in self.config["workflows"]["test_and_publish"]["jobs"]:
            (job, settings), = entry.items()
            self.jobs[settings.get("matrix", {}).get("alias", job)] = (job, settings)

    def test_every_job_exists_and_is_used(self):
        self.assertEqual(self.config["version"], 2.1)
        self.assertEqual({job for job, _ in self.jobs.values()}, set(self.config["jobs"]))
        self.assertEqual(
            set(self.jobs),
            {"test", "helmLint", "version", "buildImage", "cluster", "publishImage", "publishCharts", "page"})
        for job, settings in self.jobs.values():
            self.assertLessEqual(set(settings.get("requires", [])), set(self.jobs), job)
            known = set(self.config["jobs"][job].get("parameters", {}))
            self.assertLessEqual(set(settings) - {"name", "matrix", "filters", "requires", "context"}, known)
            given = settings.get("matrix", {}).get("parameters", {})
            self.assertEqual(set(given), known, job)
            for name, values in given.items():
                self.assertEqual(values, self.config["jobs"][job]["parameters"][name]["enum"])
                if name == "package":
                    self.assertEqual(values, list(PACKAGES))
                self.assertIn(f"<< matrix.{name} >>", settings["name"])

    def test_images_are_for_both_processors(self):
        self.assertEqual(self.jobs["buildImage"][1]["matrix"]["parameters"]["machine"], ["large", "arm.large"])
        self.assertEqual(self.config["jobs"]["image"]["resource_class"], "<< parameters.machine >>")

    def test_what_runs_when(self):
        for name in ("test", "helmLint", "version", "buildImage"):
            # Without this a tag would run nothing.
            self.assertEqual(self.jobs[name][1]["filters"], {"tags": {"only": "/.*/"}})
        settings = self.jobs["publishImage"][1]
        self.assertEqual(set(settings["requires"]), {"test", "helmLint", "version", "buildImage", "cluster"})
        self.assertEqual(self.jobs["publishCharts"][1]["requires"], ["publishImage"])
        self.assertEqual(self.jobs["page"][1]["requires"], ["publishCharts"])
        for name, branches in {"cluster": {"only": "staging"}, "publishImage": {"only": "staging"},
                               "publishCharts": {"ignore": "/.*/"}, "page": {"ignore": "/.*/"}}.items():
            settings = self.jobs[name][1]
            self.assertEqual(settings["filters"]["branches"], branches, name)
            pattern = settings["filters"]["tags"]["only"].strip("/")
            for tag, published in {"v1.2.3": True, "v10.20.30": True, "v1": False, "1.2.3": False, "v1.2.3-rc1": False, "vnext": False}.items():
                self.assertEqual(bool(re.fullmatch(pattern, tag)), published, tag)

    def test_secrets_are_where_they_are_needed_only(self):
        with_secrets = {name: settings["context"] for name, (_, settings) in self.jobs.items() if "context" in settings}
        self.assertEqual(
            with_secrets, {"publishImage": "dockerhub-bot", "publishCharts": "github-bot", "page": "github-bot"})
        for name, job in self.config["jobs"].items():
            steps = json.dumps(job["steps"])
            self.assertNotRegex(steps, r"set -\w*x|--password |printenv|(?<!-)\benv\b")
            if name not in with_secrets:
                self.assertNotRegex(steps, r"DOCKER_|TOKEN|publish-")
            else:
                # What is pushed is what was tried, not what is built beside secrets.
                self.assertNotIn("docker build", steps)
        for name in ("publish-image", "publish-charts"):
            self.assertIn("--password-stdin", read(f".ci/{name}"))
        for name in ("tools", "publish-image", "publish-charts"):
            self.assertNotRegex(read(f".ci/{name}"), r"set -\w*x|--password |printenv")

    def test_the_commands_are_shell(self):
        for name, job in self.config["jobs"].items():
            for command in self.commands(job["steps"]):
                run("bash", "-n", "-c", re.sub(r"<< [\w.]+ >>", "x", command))
        for name in ("check-release", "tools", "publish-image", "publish-charts"):
            run("bash", "-n", os.path.join(ROOT, ".ci", name))
        linter = os.path.join(ROOT, ".tools", "images", "bin", "shellcheck")
        scripts = [os.path.relpath(path, ROOT) for place in ("scripts/*.sh", ".ci/*", "Fuzz/*.sh") for path in glob.glob(os.path.join(ROOT, place))]
        self.assertGreater(len(scripts), 15)
        run(linter, "--external-sources", "--severity", "warning", *sorted(scripts), cwd=ROOT)
        # It would have said so.
        faulty = subprocess.run([linter, "--severity", "warning", "--shell", "bash", "-"], text=True, check=False, capture_output=True,
                                input='cd "$1"\nrm -f *')
        self.assertEqual((faulty.returncode, "SC2164" in faulty.stdout), (1, True))

    def commands(self, steps):
        for step in steps:
            if isinstance(step, dict) and "run" in step:
                yield step["run"]["command"]

    def released(self, program, *words, **variables):
        """A publishing program, with tools that only write down what they are told; what they were told."""
        tree = folder(f"release-{program}-{variables.get('CIRCLE_TAG', 'branch')}")
        for name in (".ci", "scripts", "charts", "VERSION", "CHANGELOG.md", "Sources", "examples", "docs", "renovate.json", "Dockerfile", ".circleci"):
            run("cp", "-R", os.path.join(ROOT, name), tree)
        run("sed", "-i", "s/^## Unreleased$/## 1.2.3 (2026-12-01)\\n\\nWhat is new./", os.path.join(tree, "CHANGELOG.md"))
        run(os.path.join(tree, "scripts", "version.py"), "1.2.3")
        os.mkdir(os.path.join(tree, "images"))
        for processor in ("amd64", "arm64"):
            open(os.path.join(tree, "images", f"core-{processor}.tar.gz"), "w", encoding="utf-8").close()
        programs = os.path.join(tree, "bin")
        os.mkdir(programs)
        digest = "sha256:" + "ab" * 32
        scripts = {
            "docker": f"""case "$1 $2 $3" in
login*) read -r secret; set -- "$@" "<$secret" ;;
"buildx imagetools inspect") echo {digest} ;;
"run --rm --user")
    while [ "$1" != /work ]; do shift; done; shift
    case "$2" in
    push) echo "Digest: {digest}" ;;
    repo) : >release/index.yaml ;;
    package) : >"release/$(basename "$5")-1.2.3.tgz" ;;
    scan) : >release/core.spdx.json ;;
    esac ;;
esac""",
            "circleci": "echo token",
        }
        for name, text in scripts.items():
            path = os.path.join(programs, name)
            with open(path, "w", encoding="utf-8") as file:
                file.write(f'#!/bin/sh\n{text}\necho "{name} $*" >>"$TOLD"\n')
            os.chmod(path, 0o755)
        told = os.path.join(tree, "told")
        environment = {
            "PATH": f"{programs}:{os.environ['PATH']}", "HOME": tree, "TMPDIR": tree, "TOLD": told, "CIRCLE_SHA1": "abc",
            "DOCKER_USER": "bot", "DOCKER_PASSWORD": "secret", "GITHUB_TOKEN": "other", **variables}
        self.pin(tree, environment)
        run(os.path.join(tree, ".ci", program), *words, cwd=tree, env=environment)
        # The login went with the folder that it was in.
        self.assertEqual([name for name in os.listdir(tree) if name.startswith("tmp.")], [])
        with open(told, encoding="utf-8") as file:
            return tree, [line for line in file.read().splitlines() if not line.startswith("circleci")]

    def pin(self, tree, environment):
        """What is named by a tag alone is no release, until every such image has the digest that the registry says."""
        images = [*(argument(name) for name in BASES), argument("SWIFT_IMAGE"), *re.findall(r"_image=([^@\s]+)", read(".ci", "tools"))]
        pins = os.path.join(tree, "scripts", "pins.py")
        # As they are before anybody has pinned them.
        for name in ("Dockerfile", ".ci/tools", ".circleci/config.yml"):
            run("sed", "-i", "s/@sha256:[0-9a-f]*//", os.path.join(tree, name))
        refused = subprocess.run([os.path.join(tree, ".ci", "check-release")], env={**environment, "CIRCLE_TAG": "v1.2.3"},
                                 capture_output=True, text=True, check=False)
        self.assertEqual((refused.returncode, refused.stdout), (1, ""))
        self.assertEqual(sorted(re.findall(r"^pins: \S+: (\S+) has no digest$", refused.stderr, re.M)), sorted(images))
        run(pins, "--write", env=environment)
        with open(environment["TOLD"], encoding="utf-8") as file:
            asked = [line.split()[-1] for line in file]
        self.assertEqual(sorted(asked), sorted(images))
        os.remove(environment["TOLD"])
        # Nobody is asked again.
        self.assertEqual((run(pins, env=environment), run(pins, "--write", env=environment)), ("", ""))
        self.assertFalse(os.path.exists(environment["TOLD"]))
        with open(os.path.join(tree, "Dockerfile"), encoding="utf-8") as file:
            self.assertEqual(len(re.findall(r"^ARG \w+_IMAGE=\S+@sha256:(?:ab){32}$", file.read(), re.M)), len(BASES))

    def test_the_tags_that_are_pushed(self):
        image = "web3f/otv-core"
        for variables, names in [({"CIRCLE_BRANCH": "staging"}, ["staging"]), ({"CIRCLE_TAG": "v1.2.3"}, ["v1.2.3", "1.2.3"])]:
            _, told = self.released("publish-image", "core", **variables)
            self.assertEqual(told[0], "docker login --username bot --password-stdin <secret")
            parts = [f"{image}:{names[0]}-{processor}" for processor in ("amd64", "arm64")]
            self.assertEqual([line for line in told if line.startswith("docker push")], [f"docker push {part}" for part in parts])
            self.assertEqual(
                sorted(line for line in told if "imagetools create" in line),
                sorted(f"docker buildx imagetools create --tag {image}:{name} {' '.join(parts)}" for name in names))
            signed = [line for line in told if "cosign" in line and f"{image}@sha256:" in line]
            # Signed, with its parts and its origin: what a tag makes, and that only.
            self.assertEqual(len(signed), 3 if "CIRCLE_TAG" in variables else 0)
            for word, line in zip((" sign ", "spdxjson", "slsaprovenance1"), signed):
                self.assertIn(word, line)

    def test_the_charts_that_are_pushed(self):
        tree, told = self.released("publish-charts", CIRCLE_TAG="v1.2.3", CIRCLE_REPOSITORY_URL="x", CIRCLE_BUILD_URL="y")
        self.assertEqual(told[0], "docker login --username w3f --password-stdin ghcr.io <other")
        charts = sorted(os.listdir(os.path.join(ROOT, "charts")))
        pushed = [re.search(r"push release/(\S+)-1[.]2[.]3[.]tgz oci://ghcr[.]io/w3f/charts$", line)[1]
                  for line in told if " push release/" in line]
        self.assertEqual(sorted(pushed), charts)
        self.assertEqual((pushed[0], pushed[-1]), ("otv-common", "otv"))
        # Packed with what Chart.lock names.
        self.assertEqual(len([line for line in told if " dependency build " in line]), len(charts))
        self.assertEqual(len([line for line in told if "cosign" in line and "sign --yes" in line]), len(charts))
        with open(os.path.join(tree, "release", "notes.md"), encoding="utf-8") as file:
            self.assertIn("What is new.", file.read())

    def test_what_has_a_version_is_watched(self):
        """Renovate's rules find each image and program that is named with a version, where it stands."""
        found = {}
        for rule in json.loads(read("renovate.json"))["customManagers"]:
            (pattern,) = rule["managerFilePatterns"]
            path = pattern.strip("/").strip("^$").replace("\\", "")
            for match in rule["matchStrings"]:
                for hit in re.finditer(match.replace("(?<", "(?P<"), read(path)):
                    found.setdefault(path, {})[hit["depName"]] = hit["currentValue"]
        self.assertEqual(set(found[".ci/tools"]), {"gcr.io/projectsigstore/cosign", "anchore/syft", "alpine/helm"})
        self.assertEqual(
            {f"{name}:{version}" for name, version in found["Dockerfile"].items()},
            {argument(name) for name in BASES})
        self.assertEqual(set(found[".circleci/config.yml"]), {"kind", "kubectl", "helm", "cli", "swift"})
        # One toolchain: what the tests run with is what the images are built in, and what a newcomer is told to take.
        swift = argument("SWIFT_IMAGE")
        self.assertEqual(f"swift:{found['.circleci/config.yml']['swift']}", swift)
        self.assertIn(f" {swift} ", read("scripts", "setup.sh"))
        # The database of the compose file is the one that its data is made ready for.
        self.assertEqual(yaml.safe_load(read("docker-compose.yml"))["services"]["mongo"]["image"].partition("@")[0], argument("MONGO_IMAGE"))
        # Whoever installs it by the pipeline has the engine that the charts are packed with.
        self.assertEqual(found[".circleci/config.yml"]["helm"], "v" + found[".ci/tools"]["alpine/helm"])

    def test_an_image_that_is_watched_can_be_pinned(self):
        """What Renovate would write in place of what it found is found again, digest and all."""
        digest = "sha256:" + "ab" * 32
        seen = 0
        for rule in json.loads(read("renovate.json"))["customManagers"]:
            if rule["datasourceTemplate"] != "docker":
                continue
            path = rule["managerFilePatterns"][0].strip("/").strip("^$").replace("\\", "")
            for match in rule["matchStrings"]:
                expression = match.replace("(?<", "(?P<")
                for hit in re.finditer(expression, read(path)):
                    made = rule["autoReplaceStringTemplate"]
                    for key, value in {"depName": hit["depName"], "newValue": "9.9.9", "newDigest": digest}.items():
                        made = made.replace("{{{%s}}}" % key, value)
                    made = made.replace("{{#if newDigest}}", "").replace("{{/if}}", "")
                    again = re.fullmatch(expression, made)
                    self.assertIsNotNone(again, made)
                    self.assertEqual((again["depName"], again["currentValue"], again["currentDigest"]), (hit["depName"], "9.9.9", digest))
                    seen += 1
        self.assertEqual(seen, 7)

    def test_a_tag_of_another_version_is_refused(self):
        for tag in ("v9.9.9", "v" + read("VERSION").strip() + "0"):
            done = subprocess.run([os.path.join(ROOT, ".ci", "check-release")], env={**os.environ, "CIRCLE_TAG": tag},
                                  capture_output=True, text=True, check=False)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertIn(tag, done.stderr)


class TheStandIns(unittest.TestCase):
    def test_said_plainly(self):
        """Whoever reads the output knows what was not the real thing."""
        print("test-images: stood in for: " + ", ".join(argument(name) for name in ("RUNTIME_IMAGE", "SWIFT_IMAGE", "MONGO_IMAGE"))
              + "; the programs were compiled on the host", flush=True)
        self.assertEqual(set(os.listdir(STAND_INS)), {"swift", "mongorestore"})


def end_with_parent():
    # Unbuffered: a reader's lock would be held when Python itself ends.
    while os.read(0, 1):
        pass
    # The first process of its namespace: all others, and all mounts, end with it.
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=end_with_parent, daemon=True).start()
    WORK = sys.argv.pop(1)
    os.chmod(WORK, 0o755)
    unittest.main(verbosity=1)
