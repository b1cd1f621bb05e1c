#!/usr/bin/env python3
"""The exact versions of the Swift packages that builds are held to: the file Package.versions, a name and a version a line.

    scripts/packages.py           tells what Package.resolved has other than the list (status 1)
    scripts/packages.py --hold    has SwiftPM take the list's versions; for the Dockerfile, where nothing is resolved yet
    scripts/packages.py --write   writes the list from Package.resolved, after `swift package update`

Not Package.resolved itself: it names commits, and where packages come from a mirror that has releases without their history, as on the
machines that this is developed on, the commits of the same releases are others.
"""

import json
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LIST = os.path.join(ROOT, "Package.versions")


def resolved():
    """None where nothing is resolved."""
    try:
        with open(os.path.join(ROOT, "Package.resolved"), encoding="utf-8") as file:
            return {pin["identity"]: pin["state"].get("version", "?") for pin in json.load(file)["pins"]}
    except FileNotFoundError:
        return None


def held():
    with open(LIST, encoding="utf-8") as file:
        return dict(line.split() for line in file if line.strip() and not line.startswith("#"))


def main():
    words = sys.argv[1:]
    if words not in ([], ["--hold"], ["--write"]):
        raise SystemExit(__doc__)
    found = resolved()
    if found is None:
        print("packages: nothing is resolved here", file=sys.stderr)
        return 0
    if words == ["--write"]:
        with open(LIST, "w", encoding="utf-8") as file:
            file.write("# What builds are held to: scripts/packages.py\n")
            file.writelines(f"{name} {version}\n" for name, version in sorted(found.items()))
        return 0
    if words == ["--hold"]:
        for name, version in held().items():
            if name in found and found[name] != version:
                subprocess.run(["swift", "package", "resolve", name, "--version", version], cwd=ROOT, check=True)
        found = resolved()
    wanted = held()
    for name in sorted({*wanted, *found}):
        if wanted.get(name) != found.get(name):
            print(
                f"packages: {name} is {found.get(name, 'not used')}, Package.versions has {wanted.get(name, 'none')}",
                file=sys.stderr,
            )
    return 0 if wanted == found else 1


if __name__ == "__main__":
    sys.exit(main())
