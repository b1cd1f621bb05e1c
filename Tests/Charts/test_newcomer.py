"""What somebody meets who has never seen the project: the scripts' words, the units, manual pages and completions."""

import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import unittest

from rendering import ROOT, program, read

UNITS = ("balancer.service", "gateway@.service")


def ran(*command, path=None, **variables):
    """Status, and what was said on both outputs."""
    environment = {**os.environ, **variables}
    if path is not None:
        environment["PATH"] = path
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL
    )
    return done.returncode, done.stdout + done.stderr


class Folder(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="otv-newcomer-")
        self.addCleanup(shutil.rmtree, self.folder)

    def tools(self, *absent, **scripts):
        """A PATH with what scripts use, without some of it, and with stand-ins for some."""
        folder = os.path.join(self.folder, "bin")
        os.makedirs(folder, exist_ok=True)
        names = "bash sh env sed grep head sort dirname readlink id ss mkdir rm cat tail printf getconf cut tr wc mktemp sleep true python3 find xargs".split()
        for name in names:
            found = shutil.which(name)
            if found and name not in absent and not os.path.lexists(os.path.join(folder, name)):
                os.symlink(found, os.path.join(folder, name))
        for name, text in scripts.items():
            with open(os.path.join(folder, name.replace("_", "-")), "w", encoding="utf-8") as file:
                file.write("#!/bin/sh\n" + text + "\n")
            os.chmod(file.name, 0o755)
        return folder


class SetUp(Folder):
    SWIFT = "echo 'Swift version 6.3.1 (swift-6.3.1-RELEASE)'"
    NOTHING = "exit 1"

    def test_without_swift(self):
        status, said = ran("scripts/setup.sh", path=self.tools())
        self.assertEqual(status, 1)
        for word in ("`swift`", "6.2", "https://www.swift.org/install/linux", "docker run"):
            self.assertIn(word, said)

    def test_with_an_old_swift(self):
        status, said = ran("scripts/setup.sh", path=self.tools(swift="echo 'Swift version 5.10.1 (swift-5.10.1-RELEASE)'"))
        self.assertEqual(status, 1)
        self.assertIn("Swift 5.10.1; 6.2 or newer", said)

    def test_without_apt_it_says_what_is_missing(self):
        # Debian's own list, and no apt.
        path = self.tools(swift=self.SWIFT, dpkg_query=self.NOTHING)
        status, said = ran("scripts/setup.sh", path=path)
        self.assertEqual(status, 1)
        self.assertIn("libmongoc-dev", said)
        # Another system: by what is there and not by packages' names.
        os.remove(os.path.join(path, "dpkg-query"))
        status, said = ran("scripts/setup.sh", path=path)
        self.assertEqual(status, 1)
        self.assertIn("libmongoc-1.0 (headers and library)", said)

    def test_without_sudo_it_says_what_root_has_to_do(self):
        path = self.tools("id", swift=self.SWIFT, dpkg_query=self.NOTHING, apt_get="echo apt was run; exit 0", id="echo 1000")
        status, said = ran("scripts/setup.sh", path=path)
        self.assertEqual(status, 1)
        self.assertIn("there is no sudo", said)
        self.assertIn("apt-get install -y --no-install-recommends pkg-config", said)
        self.assertNotIn("apt was run", said)

    def test_with_everything_it_says_nothing(self):
        path = self.tools(swift=self.SWIFT, dpkg_query="echo install ok installed")
        self.assertEqual(ran("scripts/setup.sh", path=path), (0, ""))


class WithoutRoot(Folder):
    def test_tests_that_need_it_are_skipped_with_a_reason(self):
        for sudo, words in ((None, "there is no sudo"), ("exit 1", "sudo wants a password")):
            scripts = {"id": "echo 1000"} | ({"sudo": sudo} if sudo else {})
            status, said = ran("scripts/test-images.sh", path=self.tools("id", **scripts))
            self.assertEqual(status, 0, said)
            self.assertIn("test-images: skipped", said)
            self.assertIn(words, said)

    def test_they_come_behind_what_needs_no_root(self):
        text = read("scripts", "test.sh")
        self.assertLess(text.index("test-charts.sh"), text.index("test-images.sh"))
        # The last to speak is the runner of the Swift tests, with its counts.
        self.assertLess(text.index("test-images.sh"), text.rindex("swift_tests --filter"))

    def test_installing_where_one_may_not(self):
        if os.getuid() == 0:
            # Root may write anywhere; the words are those of a folder that cannot be one.
            status, said = ran("scripts/install.sh", "/proc/nowhere", BIN=os.path.dirname(program("balancer")))
        else:
            status, said = ran("scripts/install.sh", "/usr/nowhere", BIN=os.path.dirname(program("balancer")))
        self.assertNotEqual(status, 0, said)


class Run(Folder):
    """scripts/run.sh, as far as it says why it does not start."""

    def ports(self):
        held = []
        for _ in range(6):
            listener = socket.socket()
            listener.bind(("127.0.0.1", 0))
            self.addCleanup(listener.close)
            held.append(listener)
        return held

    def variables(self, held):
        names = ("CORE_PORT", "GATEWAY1_PORT", "GATEWAY2_PORT", "PUBLIC_PORT", "TLS_PORT", "ADMIN_PORT")
        return {name: str(each.getsockname()[1]) for name, each in zip(names, held, strict=True)}

    def test_without_programs(self):
        status, said = ran("scripts/run.sh", BIN=self.folder)
        self.assertEqual(status, 1)
        for word in (self.folder + "/balancer", "make build", "BIN"):
            self.assertIn(word, said)

    def test_taken_ports_are_named_with_their_variable_and_their_holder(self):
        held = self.ports()
        for index in (1, 5):
            held[index].listen()
        variables = self.variables(held)
        status, said = ran("scripts/run.sh", BIN=os.path.dirname(program("balancer")), **variables)
        self.assertEqual(status, 1, said)
        lines = said.strip().split("\n")
        self.assertEqual(len(lines), 2, said)
        for line, name in zip(lines, ("GATEWAY1_PORT", "ADMIN_PORT"), strict=True):
            self.assertIn(f"port {variables[name]} is in use by", line)
            self.assertIn(f"{name}=ANOTHER", line)
            if shutil.which("ss"):
                self.assertIn(f"process {os.getpid()};", line)

    def test_ports_that_are_none_or_the_same(self):
        variables = self.variables(self.ports())
        variables["CORE_PORT"] = variables["PUBLIC_PORT"]
        variables["ADMIN_PORT"] = "99999"
        status, said = ran("scripts/run.sh", BIN=os.path.dirname(program("balancer")), **variables)
        self.assertEqual(status, 1)
        self.assertIn("PUBLIC_PORT and CORE_PORT are both", said)
        self.assertIn("ADMIN_PORT is 99999, which is no port", said)


class Mistakes(unittest.TestCase):
    """At the command line, where nothing runs that could be asked."""

    def fits(self, said):
        """A terminal of 60 columns. The line of usage is the argument parser's, which breaks none."""
        for line in said.splitlines():
            if not line.startswith("Usage: "):
                self.assertLessEqual(len(line), 60, line)

    def test_a_misspelt_command(self):
        for word, meant in {"rotes": "routes", "weigth": "weight", "Status": "status", "upstream": "upstreams", "serv": "serve"}.items():
            status, said = ran(program("balancer"), word)
            self.assertEqual(status, 64)
            self.assertEqual(
                said, f'balancer: there is no command "{word}".\nDid you mean `balancer {meant}`?\n'
            )
        for word in ("deploy", "x", "", "a" * 100000, "\x1b[2J\n", "ä" * 100):
            status, said = ran(program("balancer"), word)
            self.assertEqual(status, 64)
            self.assertTrue(said.endswith("\n`balancer --help` lists the commands.\n"), said)
            self.assertNotIn("\x1b", said)
            self.fits(said)
        for words in (["--version"], ["help"], ["--help"], ["help", "routes"]):
            self.assertEqual(ran(program("balancer"), *words)[0], 0)

    def test_a_misspelt_command_of_the_gateway(self):
        for word, meant in {"serv": "serve", "helth": "health", "Sample": "sample", "snapshoot": "snapshot", "import-candidate": "import-candidates"}.items():
            self.assertEqual(
                ran(program("gateway"), word),
                (64, f'gateway: there is no command "{word}".\nDid you mean `gateway {meant}`?\n'),
            )
        for word in ("deploy", "x", "", "a" * 100000, "\x1b[2J\n", "ä" * 100, "mongodb://user:secret@host/db", "user:secret@host", "main.json"):
            status, said = ran(program("gateway"), word)
            self.assertEqual(status, 64)
            self.assertTrue(said.endswith("\n`gateway --help` lists the commands.\n"), said)
            self.assertNotRegex(said, "\x1b|secret")
            self.fits(said)
        for words in (["--version"], ["help"], ["--help"], ["help", "serve"], ["serve", "--help"]):
            self.assertEqual(ran(program("gateway"), *words)[0], 0)

    def test_an_admin_address_that_is_none(self):
        for address in ("nonsense", "127.0.0.1", "127.0.0.1:", ":9901", "127.0.0.1:0", "127.0.0.1:99999", "https://127.0.0.1", "http://127.0.0.1:1/api", "a b:1", "fd00::1:9901"):
            for words in (["routes"], ["health"], ["status"]):
                status, said = ran(program("balancer"), *words, "--admin", address)
                self.assertEqual(status, 64, address)
                self.assertIn("--admin is not HOST:PORT,\nsuch as 127.0.0.1:9901", said)
                status, said = ran(program("balancer"), *words, BALANCER_ADMIN=address, COLUMNS="60")
                self.assertEqual(status, 64, address)
                self.assertIn("BALANCER_ADMIN is not HOST:PORT", said)
                self.fits(said)

    def test_a_balancer_that_is_not_there(self):
        """In the system's words, not in a library's."""
        for address, words in {"127.0.0.1:1": "Connection refused", "localhost:1": "Connection refused", "nobody.invalid:1": "there is no host nobody.invalid"}.items():
            for command in (["routes"], ["top", "--once"]):
                said = ran(program("balancer"), *command, "--admin", address)
                self.assertEqual(said, (2, f"balancer: cannot reach the admin API at {address}: {words}\n"))
            said = ran(program("balancer"), "health", "--admin", address)
            self.assertEqual(said, (2, f"balancer: the admin API at {address} does not answer: {words}\n"))

    def test_an_admin_port_that_is_taken(self):
        with socket.create_server(("127.0.0.1", 0)) as held, tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            address = f"127.0.0.1:{held.getsockname()[1]}"
            routes = {
                "listeners": [{"name": "public", "address": "127.0.0.1:0"}],
                "admin": {"address": address},
                "upstreams": {"core": {"endpoints": ["127.0.0.1:1"]}},
                "routes": [{"name": "api", "match": {"path": "/"}, "split": {"core": 1}}],
            }
            json.dump(routes, file)
            file.flush()
            status, said = ran(program("balancer"), "serve", "--config", file.name)
            self.assertEqual(status, 1, said)
            self.assertIn(f"balancer: cannot serve the admin API on {address}: Address already in use\n", said)

    def test_an_admin_address_as_people_copy_it(self):
        """From a browser or from the words of `make run`: the same as without scheme and slash."""
        wanted = ran(program("balancer"), "routes", "--admin", "127.0.0.1:1")
        self.assertEqual(wanted[0], 2)
        for address in ("http://127.0.0.1:1", "http://127.0.0.1:1/", "HTTP://127.0.0.1:1/", "127.0.0.1:1/"):
            self.assertEqual(ran(program("balancer"), "routes", "--admin", address), wanted)
        for address in ("[::1]:1", "localhost:1"):
            self.assertEqual(ran(program("balancer"), "routes", "--admin", address)[0], 2)


class Words(unittest.TestCase):
    def test_no_process_is_killed_by_a_pattern(self):
        """`pkill -f 'port 3301'` ends whatever has these words in its command line, an editor or somebody's shell too."""
        for place, folders, files in os.walk(ROOT):
            folders[:] = [name for name in folders if not name.startswith(".") and name not in ("run",)]
            for name in files:
                if name.endswith((".md", ".sh", ".yml", ".yaml", ".service")) or name == "Makefile":
                    path = os.path.join(place, name)
                    with open(path, encoding="utf-8") as file:
                        self.assertNotRegex(file.read(), r"\b(pkill|killall)\b", path)

    def test_what_is_killed_is_started_again(self):
        readme = read("README.md")
        tour = readme[readme.index("## Five minutes") : readme.index("## A routes.json")]
        self.assertLess(tour.index('kill -9 "$(cat .build/run/3301.pid)"'), tour.index("gateway serve --port 3301"))
        self.assertIn('echo $! >".build/run/$2.pid"', read("scripts", "run.sh"))

    def test_a_tarball_has_no_git(self):
        """Whoever unpacks a release has no repository."""
        for name in os.listdir(os.path.join(ROOT, "scripts")):
            if name.endswith(".sh"):
                self.assertNotRegex(read("scripts", name), r"(^|[\s(])git [a-z]", name)

    def test_what_the_two_commands_need_is_said(self):
        readme = read("README.md")
        section = readme[readme.index("## Two commands") : readme.index("## Five minutes")]
        for word in ("minutes", "GB", "memory"):
            self.assertIn(word, section)


class Installed(unittest.TestCase):
    """scripts/install.sh below a folder."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="otv-installed-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        status, said = ran("scripts/install.sh", "/usr", DESTDIR=cls.folder, BIN=os.path.dirname(program("balancer")))
        if status != 0:
            raise AssertionError(said)

    def installed(self, *path):
        return os.path.join(self.folder, "usr", *path)

    def test_the_programs_run(self):
        for name in ("balancer", "gateway"):
            self.assertEqual(ran(self.installed("bin", name), "--help")[0], 0)
        self.assertIn("Apache License", read(self.installed("share", "doc", "otv", "LICENSE.swagger-ui")))

    def test_manual_pages(self):
        for name in ("balancer", "gateway"):
            page = self.installed("share", "man", "man1", f"{name}.1")
            with open(page, encoding="utf-8") as file:
                text = file.read()
            described = json.loads(ran(program(name), "--experimental-dump-help")[1])["command"]
            for command in described["subcommands"]:
                if command["commandName"] == "help":
                    continue
                self.assertIn(f".Ss {command['commandName']}\n", text)
                for argument in command.get("arguments", []):
                    said = argument.get("preferredName")
                    if said and said["name"] not in ("help", "version", "h"):
                        self.assertIn(f"Fl -{said['name']}", text)
            if shutil.which("groff"):
                status, said = ran("groff", "-mdoc", "-ww", "-z", page)
                self.assertEqual((status, said), (0, ""))

    def test_completions(self):
        for name in ("balancer", "gateway"):
            bash = self.installed("share", "bash-completion", "completions", name)
            self.assertEqual(ran("bash", "-n", bash), (0, ""))
            for shell in (("share", "zsh", "site-functions", f"_{name}"), ("share", "fish", "vendor_completions.d", f"{name}.fish")):
                with open(self.installed(*shell), encoding="utf-8") as file:
                    self.assertIn("serve", file.read())


class Units(Folder):
    def test_systemd_takes_them(self):
        if not shutil.which("systemd-analyze"):
            self.skipTest("there is no systemd-analyze")
        for name in UNITS:
            # With programs that are there.
            text = read("examples", "systemd", name).replace("/usr/local/bin/", os.path.join(self.folder, ""))
            for each in ("balancer", "gateway"):
                shutil.copy(shutil.which("true"), os.path.join(self.folder, each))
            path = os.path.join(self.folder, name.replace("@.", "@3301."))
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            status, said = ran("systemd-analyze", "verify", "--man=no", path)
            self.assertEqual((status, said), (0, ""), name)
            status, said = ran("systemd-analyze", "security", "--offline=true", "--no-pager", path)
            found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)
            self.assertLess(float(found[1]), 2, said)

    def test_they_start_the_programs_as_they_are(self):
        for name in UNITS:
            for words in re.findall(r"^Exec(?:Start|StartPre)=/usr/local/bin/(.+)$", read("examples", "systemd", name), re.M):
                which, command, *options = words.split()
                described = json.loads(ran(program(which), "--experimental-dump-help")[1])["command"]
                known = next(each for each in described["subcommands"] if each["commandName"] == command)
                names = {f"--{each['preferredName']['name']}" for each in known["arguments"] if "preferredName" in each}
                self.assertLessEqual({option for option in options if option.startswith("--")}, names)

    def test_what_outlives_the_process_has_a_place(self):
        """Everything else is read-only for it."""
        unit = read("examples", "systemd", "balancer.service")
        folder = "/var/lib/" + re.search(r"^StateDirectory=(\S+)$", unit, re.M)[1]
        # Where the page of routes.json, and the chart, have it.
        self.assertIn(f'"state": {{ "path": "{folder}/state.sqlite" }}', read("docs", "routes.md"))
        self.assertIn(f'"path" "{folder}/state.sqlite"', read("charts", "otv-balancer", "templates", "_routes.tpl"))

    def test_they_wait_for_what_runs(self):
        balancer = re.search(r"TimeoutStopSec=(\d+)s", read("examples", "systemd", "balancer.service"))
        # The default of timeouts.drain.
        self.assertGreater(int(balancer[1]), 30)
        gateway = re.search(r"TimeoutStopSec=(\d+)s", read("examples", "systemd", "gateway@.service"))
        self.assertGreater(int(gateway[1]), 31)
