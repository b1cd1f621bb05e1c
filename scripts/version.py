#!/usr/bin/env python3
"""The version of everything here is that of the file VERSION: programs, charts, and the examples that name a release.

    scripts/version.py          prints it, or tells every place that says another (status 1)
    scripts/version.py 1.2.3    writes it into every place

A release is the commit with that version, tagged v1.2.3; the pipeline refuses a tag that says another.
"""

import glob
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# What each file has of it; the version itself is the group.
PLACES = [
    ("VERSION", r"^(\S+)$"),
    ("Sources/Control/BalancerVersion.swift", r'current = "([^"]+)"'),
    ("Sources/GatewayService/GatewayVersion.swift", r'current = "([^"]+)"'),
    # Its own, and those of the charts beside it that it depends on.
    ("charts/*/Chart.yaml", r"^(?:    )?version: (\S+)$"),
    # An appVersion of another form is that of a database.
    ("charts/otv/Chart.yaml", r'^appVersion: "([^"]+)"$'),
    ("charts/otv-[bgcwt]*/Chart.yaml", r'^appVersion: "([^"]+)"$'),
    ("examples/gitops/argocd.yaml", r"targetRevision: v(\S+)"),
    ("examples/gitops/flux.yaml", r"tag: v(\S+)"),
    ("examples/production/*.yaml", r"imageTag: v(\S+)"),
    ("docs/deployment.md", r"CIRCLE_TAG=v(\S+)"),
    ("docs/deployment.md", r"--version ([0-9.]+)"),
]


def places():
    """Path, text, and where in it a version stands."""
    for pattern, expression in PLACES:
        paths = sorted(glob.glob(os.path.join(ROOT, pattern)))
        if not paths:
            raise SystemExit(f"version: {pattern} is not there")
        for path in paths:
            with open(path, encoding="utf-8") as file:
                text = file.read()
            found = [match.span(1) for match in re.finditer(expression, text, re.M)]
            if not found and not path.endswith("otv-common/Chart.yaml"):
                raise SystemExit(f"version: {os.path.relpath(path, ROOT)} has no {expression}")
            yield path, text, found


def main():
    if len(sys.argv) > 2:
        raise SystemExit(__doc__)
    if len(sys.argv) == 2:
        version = sys.argv[1]
        if not re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+", version):
            raise SystemExit(f"version: {version} is none, such as 1.2.3")
        for path, text, found in list(places()):
            # Read anew: a file may be there for more than one thing.
            with open(path, encoding="utf-8") as file:
                text = file.read()
            for pattern, expression in PLACES:
                if path in glob.glob(os.path.join(ROOT, pattern)):
                    text = re.sub(
                        expression, lambda m: m[0].replace(m[1], version), text, flags=re.M
                    )
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
    with open(os.path.join(ROOT, "VERSION"), encoding="utf-8") as file:
        version = file.read().strip()
    others = 0
    for path, text, found in places():
        for begin, end in found:
            if text[begin:end] != version:
                others += 1
                line = text.count("\n", 0, begin) + 1
                print(f"version: {os.path.relpath(path, ROOT)}:{line} says {text[begin:end]}, not {version}", file=sys.stderr)
    if others:
        sys.exit(1)
    print(version)


if __name__ == "__main__":
    main()
