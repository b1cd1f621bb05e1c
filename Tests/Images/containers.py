"""Runs an image's tree as a container runtime would: crun, the image's user, a read-only root, no capability, no new
privilege, namespaces of its own. Nothing is writable but /dev/shm, which every engine gives."""

import itertools
import json
import os
import queue
import subprocess
import threading
import time

from building import run

# Long enough for a machine that does something else as well.
PATIENCE = 30
NUMBERS = itertools.count(1)


def prepare():
    """Needs a mount namespace of its own, with which it ends."""
    # Names of network namespaces are files.
    os.makedirs("/run/netns", exist_ok=True)
    # crun limits nothing here, and refuses a hierarchy of both versions of control groups even so.
    for folder in ("/run/netns", "/sys/fs/cgroup"):
        run("mount", "-t", "tmpfs", "tmpfs", folder)


class MemoryLimit:
    """A control group that whoever is put into it shares so many bytes of; of either version, as the machine has it."""

    def __init__(self, work, size):
        self.place = self.folder = os.path.join(work, f"memory{next(NUMBERS)}")
        os.makedirs(self.place)
        try:
            run("mount", "-t", "cgroup", "-o", "memory", "memory", self.place)
            self.limit, self.highest, self.kills = "memory.limit_in_bytes", "memory.max_usage_in_bytes", "memory.oom_control"
        except AssertionError:
            run("mount", "-t", "cgroup2", "cgroup2", self.place)
            self.limit, self.highest, self.kills = "memory.max", "memory.peak", "memory.events"
            self.write("cgroup.subtree_control", "+memory")
        self.folder = os.path.join(self.place, f"otv-{os.getpid()}-{next(NUMBERS)}")
        os.mkdir(self.folder)
        self.write(self.limit, str(size))

    def write(self, name, text):
        with open(os.path.join(self.folder, name), "w", encoding="utf-8") as file:
            file.write(text)

    def read(self, name):
        with open(os.path.join(self.folder, name), encoding="utf-8") as file:
            return file.read()

    def hold(self, pid):
        self.write("cgroup.procs", str(pid))

    def killed(self):
        return int(dict(line.split() for line in self.read(self.kills).splitlines())["oom_kill"])

    def close(self):
        """Once everybody in it has ended."""
        until(lambda: not self.read("cgroup.procs"))
        os.rmdir(self.folder)
        run("umount", self.place)


def until(condition):
    """Asks every now and then until the answer is true; whether it ever was."""
    end = time.monotonic() + PATIENCE
    while not (true := condition()) and time.monotonic() < end:
        time.sleep(0.1)
    return true


class Network:
    """Network namespaces on one bridge, with a name server: what `docker compose` makes. Nothing leads out of it."""

    def __init__(self, work):
        self.work = work
        self.hosts = 1
        self.names = []
        self.server = None
        self.space = f"net{next(NUMBERS)}"
        run("ip", "netns", "add", self.space)
        for command in ("link set lo up", "link add bridge type bridge", "address add 10.88.0.1/24 dev bridge",
                        "link set bridge up"):
            run("ip", "-n", self.space, *command.split())

    def join(self, *names):
        """A new namespace on the bridge, to be found by these names; (its name, its address)."""
        self.hosts += 1
        space, address = f"net{next(NUMBERS)}", f"10.88.0.{self.hosts}"
        run("ip", "netns", "add", space)
        run("ip", "-n", self.space, "link", "add", f"to{self.hosts}", "type", "veth", "peer", "name", "eth0", "netns", space)
        for where, command in [(self.space, f"link set to{self.hosts} master bridge"), (self.space, f"link set to{self.hosts} up"),
                               (space, "link set lo up"), (space, f"address add {address}/24 dev eth0"),
                               (space, "link set eth0 up"), (space, "route add default via 10.88.0.1")]:
            run("ip", "-n", where, *command.split())
        self.names += [(name, address) for name in names]
        return space, address

    def serve_names(self):
        """From here on all names are known; returns the file that tells a container where to ask."""
        # A name that is known to have no other addresses, not one to ask somebody else about.
        records = [option for name, address in self.names for option in (f"--host-record={name},{address}", f"--local=/{name}/")]
        self.server = subprocess.Popen(
            ["ip", "netns", "exec", self.space, "dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts", "--conf-file=/dev/null",
             "--bind-interfaces", "--listen-address=10.88.0.1", "--user=root", "--pid-file=", "--local-ttl=1", *records])
        path = os.path.join(self.work, "resolv.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write("nameserver 10.88.0.1\noptions ndots:0\n")
        return path

    def close(self):
        if self.server:
            self.server.terminate()
            self.server.wait()


class Lines:
    """What a process writes, line by line, without ever letting it wait for a reader."""

    def __init__(self, pipe):
        self.seen = []
        self.coming = queue.Queue()
        self.thread = threading.Thread(target=self.read, args=[pipe], daemon=True)
        self.thread.start()

    def read(self, pipe):
        with pipe:
            for line in pipe:
                self.coming.put(line.rstrip("\n"))
        self.coming.put(None)

    def awaited(self, wanted):
        """The first line to come that holds this; none when all ends, or too long passes, without it."""
        until = time.monotonic() + PATIENCE
        while True:
            try:
                line = self.coming.get(timeout=max(0, until - time.monotonic()))
            except queue.Empty:
                return None
            if line is None:
                return None
            self.seen.append(line)
            if wanted in line:
                return line

    def drain(self):
        """What has come so far; also in `seen`."""
        found = []
        while not self.coming.empty():
            if (line := self.coming.get()) is not None:
                found.append(line)
        self.seen += found
        return found

    def rest(self):
        """Everything, once it has ended."""
        self.thread.join(PATIENCE)
        while not self.coming.empty():
            if (line := self.coming.get()) is not None:
                self.seen.append(line)
        return self.seen


class Container:
    def __init__(self, work, image, space, command=None, mounts=(), env=(), user=None, limit=None):
        """`mounts`: (what, where), read-only. `command` stands in place of the image's, entry point included, `user` in place of its own.
        `limit`: the MemoryLimit that holds for it from its first instruction."""
        self.image = image
        self.space = space
        self.name = f"otv-{os.getpid()}-{next(NUMBERS)}"
        self.bundle = os.path.join(work, self.name)
        os.makedirs(self.bundle)
        user, group = (int(part) for part in (user or image.config["User"]).split(":"))
        self.settings = {
            "user": {"uid": user, "gid": group}, "cwd": image.config["WorkingDir"] or "/",
            "args": command or image.command, "env": image.config["Env"] + list(env), "noNewPrivileges": True,
            "capabilities": {kind: [] for kind in ("bounding", "effective", "inheritable", "permitted", "ambient")},
        }
        config = {
            "ociVersion": "1.0.0",
            "process": self.settings,
            "root": {"path": image.running, "readonly": True},
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc"},
                {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=64k"]},
                # Every engine gives it, and libmongoc counts there.
                {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
                 "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=64m"]},
                *({"destination": where, "type": "bind", "source": what, "options": ["rbind", "ro"]} for what, where in mounts),
            ],
            "linux": {"namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount")]
                      + [{"type": "network", "path": f"/var/run/netns/{space}"}]},
        }
        with open(os.path.join(self.bundle, "config.json"), "w", encoding="utf-8") as file:
            json.dump(config, file)
        self.process = subprocess.Popen(
            [*self.crun, "run", "--bundle", self.bundle, self.name], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            # What the runtime starts is where the runtime is.
            preexec_fn=(lambda: limit.hold(os.getpid())) if limit else None)
        self.output, self.errors = Lines(self.process.stdout), Lines(self.process.stderr)

    def says(self, wanted):
        """Waits until the program has said so on standard output."""
        if self.output.awaited(wanted) is None:
            raise AssertionError(f"{self.image.command} did not say {wanted!r} but:\n" + self.told())

    def told(self):
        """All that it said, for who looks into a failure; ends it."""
        running = self.process.poll()
        self.close()
        return "\n".join([f"status before this: {running}", *self.output.rest(), *self.errors.rest()])

    # The runtime's own state beside the bundle: nothing of it under /run.
    @property
    def crun(self):
        return ["crun", "--root", os.path.join(os.path.dirname(self.bundle), "crun"), "--cgroup-manager=disabled"]

    def execute(self, *command):
        """(status, output and errors) of a command in the running container, as the same user."""
        process = os.path.join(self.bundle, "execute.json")
        with open(process, "w", encoding="utf-8") as file:
            json.dump({**self.settings, "args": command}, file)
        done = subprocess.run([*self.crun, "exec", "--process", process, self.name], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=PATIENCE, check=False)
        return done.returncode, done.stdout

    @property
    def pid(self):
        return json.loads(run(*self.crun, "state", self.name))["pid"]

    def curl(self, url, *options):
        return curl(self.space, url, *options)

    def stop(self):
        """The image's own signal; the status it ends with, and how long that took is the caller's to limit."""
        run(*self.crun, "kill", self.name, self.image.config["StopSignal"])
        return self.wait()

    def wait(self, timeout=PATIENCE):
        status = self.process.wait(timeout)
        self.output.rest()
        self.errors.rest()
        return status

    def close(self):
        if self.process.poll() is None:
            subprocess.run([*self.crun, "delete", "--force", self.name], check=False, capture_output=True)
            self.process.kill()
            self.process.wait()


def curl(space, url, *options):
    """(status, body) of a request from within a network namespace."""
    text = run("ip", "netns", "exec", space, "curl", "--silent", "--show-error", "--max-time", "10",
               "--write-out", "\n%{http_code}", *options, url)
    body, _, status = text.rpartition("\n")
    return int(status), body
