#!/usr/bin/env python3
"""The images that a release is made of and made with, by digest: a tag may move, and then two builds of one commit differ.

    scripts/pins.py           tells which are named by a tag alone (status 1); a release is refused then (.ci/check-release)
    scripts/pins.py --write   asks the registries for their digests, by docker, and writes them

Which images these are, and how each is written where it stands, is said once: by the rules of renovate.json that watch images, and that
renew tag and digest together.
"""

import json
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def rules():
    """Path, and what finds an image in it."""
    with open(os.path.join(ROOT, "renovate.json"), encoding="utf-8") as file:
        managers = json.load(file)["customManagers"]
    for manager in managers:
        if manager["datasourceTemplate"] == "docker":
            for pattern in manager["managerFilePatterns"]:
                path = pattern.strip("/").strip("^$").replace("\\", "")
                for text in manager["matchStrings"]:
                    yield path, re.compile(text.replace("(?<", "(?P<"))


def digest(image):
    """What the registry has under the tag now: of the list for all processors, where there is one."""
    said = subprocess.run(
        ["docker", "buildx", "imagetools", "inspect", "--format", "{{.Manifest.Digest}}", image],
        stdout=subprocess.PIPE, text=True, check=False,
    ).stdout.strip()
    if not re.fullmatch("sha256:[0-9a-f]{64}", said):
        raise SystemExit(f"pins: the registry gives no digest for {image}")
    return said


def main():
    words = sys.argv[1:]
    if words not in ([], ["--write"]):
        raise SystemExit(__doc__)
    unpinned = []
    for path, rule in rules():
        with open(os.path.join(ROOT, path), encoding="utf-8") as file:
            text = file.read()

        def pinned(hit):
            if hit["currentDigest"]:
                return hit[0]
            image = f"{hit['depName']}:{hit['currentValue']}"
            if not words:
                unpinned.append(f"{path}: {image}")
                return hit[0]
            return f"{hit[0]}@{digest(image)}"

        changed, count = rule.subn(pinned, text)
        if count == 0:
            raise SystemExit(f"pins: {path} has no image where renovate.json looks for one")
        if changed != text:
            with open(os.path.join(ROOT, path), "w", encoding="utf-8") as file:
                file.write(changed)
    for image in unpinned:
        print(f"pins: {image} has no digest", file=sys.stderr)
    return 1 if unpinned else 0


if __name__ == "__main__":
    sys.exit(main())
