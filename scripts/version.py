#!/usr/bin/env python3
"""The version of everything here is that of the file VERSION: programs, charts, and the examples that name a release.

    scripts/version.py          prints it, or tells every place that says another (status 1)
    scripts/version.py 1.2.3    writes it into every place

A release is the commit with that version, tagged v1.2.3; the pipeline refuses a tag that says another. Each chart's Chart.lock, which
names the versions that it is packed with, follows its Chart.yaml: the same text that `helm dependency update` writes.
"""

import glob
import hashlib
import json
import os
import re
import sys
import time

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
    # What Artifact Hub shows of the images.
    ("charts/otv/Chart.yaml", r"image: web3f/otv-(?:balancer|gateway|core):(\S+)$"),
    ("charts/otv-[bg]*/Chart.yaml", r"image: web3f/otv-(?:balancer|gateway):(\S+)$"),
    ("charts/otv-core/Chart.yaml", r"image: web3f/otv-core:(\S+)$"),
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


def locks():
    """Path of each Chart.lock, the text that it has, and the one that is to be there."""
    for path in sorted(glob.glob(os.path.join(ROOT, "charts", "*", "Chart.yaml"))):
        with open(path, encoding="utf-8") as file:
            listed = file.read().partition("\ndependencies:\n")[2]
        wanted = [
            dict(re.findall(r"^[ -]+(name|version|repository|condition): (\S+)$", part, re.M))
            for part in re.split(r"^(?=  - )", listed, flags=re.M)
            if "name:" in part
        ]
        if not wanted:
            continue
        held = [{key: each[key] for key in ("name", "version", "repository")} for each in wanted]
        # As Helm has it: both lists in JSON, with its own order of the keys.
        asked = [{key: each[key] for key in ("name", "version", "repository", "condition") if key in each} for each in wanted]
        digest = hashlib.sha256(json.dumps([asked, held], separators=(",", ":")).encode()).hexdigest()
        lock = os.path.join(os.path.dirname(path), "Chart.lock")
        there = ""
        if os.path.exists(lock):
            with open(lock, encoding="utf-8") as file:
                there = file.read()
        since = re.search(r'^generated: "(\S+)"$', there, re.M)
        when = since[1] if since and digest in there else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        text = "dependencies:\n" + "".join(
            f"- name: {each['name']}\n  repository: {each['repository']}\n  version: {each['version']}\n" for each in held
        )
        yield lock, there, f'{text}digest: sha256:{digest}\ngenerated: "{when}"\n'


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
        for path, _, text in locks():
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
    with open(os.path.join(ROOT, "VERSION"), encoding="utf-8") as file:
        version = file.read().strip()
    others = 0
    for path, there, text in locks():
        if there != text:
            others += 1
            print(f"version: {os.path.relpath(path, ROOT)} is not that of its Chart.yaml: `scripts/version.py {version}`", file=sys.stderr)
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
