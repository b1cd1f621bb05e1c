"""Builds the Dockerfile's stages with buildah, on bases made of Debian's packages and stand-ins."""

import hashlib
import json
import os
import re
import shutil
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
STAND_INS = os.path.join(ROOT, "Tests", "Images", "stand-ins")
TOOLS = os.path.join(ROOT, ".tools", "images")
with open(os.path.join(ROOT, "Dockerfile"), encoding="utf-8") as dockerfile:
    DOCKERFILE = dockerfile.read()
# What a container's environment has when its base is one of Docker's official images.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def run(*command, **options):
    """Runs a command; its output is told when it fails, and returned when it does not."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False, **options)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: status {done.returncode}\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    return done.stdout


def argument(name):
    """The default of one of the Dockerfile's arguments, without the digest that it may be pinned to: what stands in has another."""
    return re.search(rf"^ARG {name}=([^@\n]+)", DOCKERFILE, re.M).group(1)


BASES = ("SWIFT_IMAGE", "RUNTIME_IMAGE", "MONGO_IMAGE")


def base_archive():
    """A Debian as small as the slim image, made once."""
    release = argument("RUNTIME_IMAGE").split(":")[1].removesuffix("-slim")
    archive = os.path.join(TOOLS, f"{release}.tar")
    if not os.path.exists(archive):
        print(f"test-images: making the stand-in for {argument('RUNTIME_IMAGE')}", flush=True)
        left_out = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "man", "locale", "info")]
        run("mmdebstrap", "--quiet", "--variant=minbase", *left_out, release, archive + ".new.tar")
        os.rename(archive + ".new.tar", archive)
    return archive


def backtracer():
    """The toolchain's program that tells where a program crashed."""
    programs = os.path.dirname(os.path.realpath(shutil.which("swift")))
    return os.path.normpath(os.path.join(programs, "..", "libexec", "swift", "linux", "swift-backtrace-static"))


def target_folders(package):
    """Where SwiftPM looks for each target, by its rule and not by the Dockerfile's."""
    return [target.get("path") or f"{'Tests' if target['type'] == 'test' else 'Sources'}/{target['name']}"
            for target in package["targets"]]


def driver(work):
    """overlay where the kernel has it for this folder; else vfs, which copies every layer whole and takes minutes longer."""
    parts = [os.path.join(work, "overlay", name) for name in ("lower", "upper", "work", "merged")]
    for part in parts:
        os.makedirs(part)
    options = "lowerdir={},upperdir={},workdir={}".format(*parts)
    if subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, parts[3]], capture_output=True, check=False).returncode:
        return "vfs"
    run("umount", parts[3])
    return "overlay"


class Builder:
    def __init__(self, work):
        self.work = work
        self.storage = ["buildah", "--storage-driver", driver(work), "--root", os.path.join(work, "storage"),
                        "--runroot", os.path.join(work, "run")]
        # A copy, so that what is built is one state of the project even while somebody works on it.
        self.context = os.path.join(work, "context")
        shutil.copytree(ROOT, self.context, ignore=shutil.ignore_patterns(".git", ".build*", ".tools", "run"), symlinks=True)
        # Pinned, as renovate.json has them pinned once it has run.
        with open(os.path.join(self.context, "Dockerfile"), "w", encoding="utf-8") as file:
            file.write(re.sub(r"^(ARG \w+_IMAGE=[^@\n]+)$", rf"\1@sha256:{'0' * 64}", DOCKERFILE, flags=re.M))
        self.make_bases()

    def buildah(self, *arguments):
        return run(*self.storage, *arguments)

    def make_bases(self):
        folder = self.buildah("from", "--name", "base", "scratch").strip()
        self.buildah("add", folder, base_archive(), "/")
        self.buildah("config", "--env", f"PATH={PATH}", "--cmd", "bash", folder)
        slim = self.official(argument("RUNTIME_IMAGE"))
        self.buildah("commit", "--quiet", "--format", "docker", folder, slim)
        for image, program, more in [(argument("SWIFT_IMAGE"), "swift", self.products()),
                                     (argument("MONGO_IMAGE"), "mongorestore", None)]:
            name = self.buildah("from", "--pull-never", slim).strip()
            self.buildah("copy", "--chmod", "0755", name, os.path.join(STAND_INS, program), f"/usr/local/bin/{program}")
            if more:
                self.buildah("copy", name, more, "/opt/products")
                # Where the toolchain has it, seen from its `swift`.
                self.buildah("copy", "--chmod", "0755", name, backtracer(), "/usr/local/libexec/swift/linux/swift-backtrace-static")
            self.buildah("commit", "--quiet", "--format", "docker", "--rm", name, self.official(image))
        self.buildah("rm", folder)

    @staticmethod
    def official(image):
        return f"docker.io/library/{image}"

    def products(self):
        """What the stand-in for Swift needs of the host."""
        folder = os.path.join(self.work, "products")
        built = os.path.join(ROOT, os.environ.get("BIN", ".build/release"))
        os.makedirs(os.path.join(folder, "release"))
        for name in ("balancer", "gateway"):
            shutil.copy2(os.path.join(built, name), os.path.join(folder, "release"))
        shutil.copy2(os.path.join(self.context, "Package.swift"), folder)
        # Of a copy: a build that runs in the project would be waited for.
        dump = run("swift", "package", "dump-package", cwd=folder, env={**os.environ, "TMPDIR": self.work})
        self.package = package = json.loads(dump)
        sources = os.path.join(self.context, "Sources")
        checksums = []
        for parent, _, files in sorted(os.walk(sources)):
            for name in sorted(files):
                path = os.path.join(parent, name)
                with open(path, "rb") as file:
                    checksums.append(f"{hashlib.sha256(file.read()).hexdigest()}  {os.path.relpath(path, sources)}\n")
        lines = {
            "package.json": [dump],
            "sources": checksums,
            "folders": [f"{each}\n" for each in target_folders(package)],
        }
        for name, text in lines.items():
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.writelines(text)
        return folder

    def build(self, tag, *options):
        """The image's configuration, as a registry would hold it, and its tree."""
        bases = [option for name in BASES for option in ("--build-arg", f"{name}={argument(name)}")]
        self.buildah("bud", "--isolation", "chroot", "--pull-never", "--format", "docker", "--layers", "--quiet",
                     "--tag", tag, *bases, *options, self.context)
        return self.image(tag)

    def image(self, tag):
        described = json.loads(self.buildah("inspect", "--type", "image", tag))
        trees = [self.buildah("mount", self.buildah("from", "--pull-never", tag).strip()).strip() for _ in range(2)]
        return Image(described["Docker"]["config"], *trees)


class Image:
    """`tree` is to look at; in `running`, for containers, the runtime may have made what something is mounted on."""

    def __init__(self, config, tree, running):
        self.config = config
        self.tree = tree
        self.running = running

    @property
    def command(self):
        return (self.config.get("Entrypoint") or []) + (self.config.get("Cmd") or [])
