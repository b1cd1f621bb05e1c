"""Charts and the helmfile rendered by Helm's own engine, and the documents that come out checked one by one."""

import atexit
import copy
import functools
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile

import helm_python as helm
import kubernetes_validate
import yaml

# Each schema refers to a file of a megabyte, which would be read and parsed anew for every manifest.
kubernetes_validate.utils.schema_contents = functools.cache(kubernetes_validate.utils.schema_contents)
kubernetes_validate.utils.all_versions = functools.cache(kubernetes_validate.utils.all_versions)

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CHARTS = ["otv-balancer", "otv-gateway", "otv-core", "otv-worker", "otv-telemetry", "otv-mongodb", "otv-redis"]
STAGES = ["1-core-only", "2-by-weight", "3-core-in-reserve", "4-core-without-server", "4-core-health-only", "4-core-retired"]
ENVIRONMENTS = ["kusama", "polkadot", "staging", "ci", "local"]
# The oldest that the charts name, and the newest that the validator knows.
VERSIONS = ["1.27", ".".join(kubernetes_validate.latest_version().split(".")[:2])]
BETWEEN = [f"1.{minor}" for minor in range(int(VERSIONS[0][2:]) + 1, int(VERSIONS[1][2:]))]
# Kinds that operators bring: no schema of Kubernetes' own.
FOREIGN = {"ServiceMonitor", "PrometheusRule", "HTTPRoute", "ScaledObject"}
# For the closing line.
COUNTS = {"rendered": 0, "validated": 0}


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
        return file.read()


def load(*path):
    return yaml.safe_load(read(*path)) or {}


def merged(*values):
    """As Helm merges values files: objects by key, everything else replaced."""
    result = {}
    for given in values:
        result = _over(result, copy.deepcopy(given))
    return result


def _over(base, given):
    for key, value in given.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            base[key] = _over(base[key], value)
        else:
            base[key] = value
    return base


def at(path, value):
    """{"a": {"b": value}} for "a.b"."""
    for name in reversed(path.split(".")):
        value = {name: value}
    return value


def _copied(source, to):
    # Without what `helm dependency build` may have left there.
    shutil.copytree(source, to, ignore=lambda folder, _: {"charts"} if folder == source else set())


@functools.cache
def folder_of(chart):
    """The chart as `helm dependency build` leaves it: what it depends on is in it, but nothing in that."""
    folder = tempfile.mkdtemp(prefix="otv-charts-")
    atexit.register(shutil.rmtree, folder)
    made = os.path.join(folder, chart)
    source = os.path.join(ROOT, "charts", chart)
    _copied(source, made)
    for dependency in load("charts", chart, "Chart.yaml").get("dependencies", []):
        there = os.path.normpath(os.path.join(source, dependency["repository"].removeprefix("file://")))
        _copied(there, os.path.join(made, "charts", dependency["name"]))
    return made


class Objects(list):
    """What a release consists of."""

    def of(self, kind, name=None):
        found = [item for item in self if item["kind"] == kind and name in (None, item["metadata"]["name"])]
        return found

    def one(self, kind, name=None):
        found = self.of(kind, name)
        if len(found) != 1:
            raise AssertionError(
                f"{len(found)} of {kind} {name or ''}: {[(o['kind'], o['metadata']['name']) for o in self]}"
            )
        return found[0]


_texts = {}


def texts(chart, values, name="otv", namespace="kusama"):
    """{path: text} of a release; the same one is rendered once."""
    mark = hashlib.sha256(json.dumps([chart, values, name, namespace], sort_keys=True).encode()).digest()
    if mark not in _texts:
        COUNTS["rendered"] += 1
        # Loaded anew: what a condition switches off is gone from a loaded chart for good.
        with helm.Chart.load(folder_of(chart)) as loaded:
            _texts[mark] = loaded.render(values, name=name, namespace=namespace)
    return dict(_texts[mark])


# What charts cannot do without: whoever installs one has said at least this. Each is refused without.
LEGACY = {
    "db": {"mongo": {"uri": "mongodb://database/otv"}},
    "global": {"networkPrefix": 2, "apiEndpoints": ["wss://node"], "candidatesUrl": "https://candidates.example"},
    "matrix": {"enabled": False},
    "scorekeeper": {"nominating": False},
}
NOMINATORS = {"scorekeeper": {"nominators": []}}
LEAST = {
    "otv": {
        "global": {"config": LEGACY},
        "otv-core": {"secret": NOMINATORS},
        "otv-worker": {"image": {"tag": "v1"}},
        "otv-telemetry": {"image": {"tag": "v1"}},
    },
    "otv-core": {"config": LEGACY, "secret": NOMINATORS},
    "otv-gateway": {"config": {"db": LEGACY["db"]}},
    "otv-worker": {
        "image": {"tag": "v1"},
        "config": {"redis": {"host": "redis"}, "db": LEGACY["db"], "global": {"apiEndpoints": ["wss://node"]}},
    },
    "otv-telemetry": {"image": {"tag": "v1"}, "config": {"telemetry": {"host": "wss://feed"}, "db": LEGACY["db"]}},
}


def render(chart, values=None, name="otv", namespace="kusama", bare=False):
    """`bare`: with these values alone, without what every release must say."""
    objects = Objects()
    values = merged({} if bare else LEAST.get(chart, {}), values or {})
    for path, text in texts(chart, values, name, namespace).items():
        if path.endswith("NOTES.txt"):
            continue
        for document in yaml.load_all(text, Loader=NoDuplicates):
            if document:
                objects.append(document)
    return objects


class NoDuplicates(yaml.CSafeLoader):
    """A key that is there twice is a template's mistake that YAML readers hide."""


def _mapping(loader, node, deep=False):
    names = [loader.construct_object(key, deep=True) for key, _ in node.value]
    if len(names) != len(set(names)):
        raise AssertionError(f"a key is there twice: {names} {node.start_mark}")
    return yaml.constructor.SafeConstructor.construct_mapping(loader, node, deep)


NoDuplicates.add_constructor(
    yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, lambda loader, node: _mapping(loader, node, deep=True)
)

_valid = set()


def validate(objects, versions=tuple(VERSIONS)):
    """Against the schemas of Kubernetes, strictly; each distinct document once."""
    for item in objects:
        if item["kind"] in FOREIGN:
            continue
        mark = hashlib.sha256(json.dumps([versions, item], sort_keys=True).encode()).digest()
        if mark in _valid:
            continue
        for version in versions:
            try:
                kubernetes_validate.validate(item, version, strict=True)
            except Exception as error:
                raise AssertionError(f"{item['kind']} {item['metadata']['name']} for {version}: {error}") from error
        _valid.add(mark)
        COUNTS["validated"] += 1


def program(name):
    """The built program, or the one that the environment names: BALANCER, GATEWAY."""
    return os.environ.get(name.upper()) or os.path.join(ROOT, ".build", "debug", name)


checked = {}


def check_routes(text):
    """What `balancer check` says of a routes.json: status and words."""
    if text not in checked:
        with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            ran = subprocess.run(
                [program("balancer"), "check", file.name], capture_output=True, text=True, timeout=60, check=False
            )
        checked[text] = (ran.returncode, ran.stdout + ran.stderr)
    return checked[text]


def routes_of(objects):
    return [text for item in objects.of("ConfigMap") for key, text in item["data"].items() if key == "routes.json"]


def helmfile(file, environment, variables, changes=None):
    """The releases of a helmfile: its own template functions filled in, the rest done by Helm's engine. `changes` go over
    what the environment's file says."""
    head, _, body = read("helmfile.d", file).partition("\n---\n")
    environments = yaml.safe_load(head)["environments"]
    values = merged(*[load("helmfile.d", path) for path in environments[environment]["values"]], changes or {})
    body = body.replace("$.Environment.Name", json.dumps(environment)).replace(
        ".Environment.Name", json.dumps(environment)
    )
    body = re.sub(r"requiredEnv (\$\.Values\.\w+)", r"index $.Values.variables \1", body)
    with tempfile.TemporaryDirectory() as folder:
        os.makedirs(os.path.join(folder, "templates"))
        with open(os.path.join(folder, "Chart.yaml"), "w", encoding="utf-8") as out:
            out.write("apiVersion: v2\nname: helmfile\nversion: 0.0.0\n")
        with open(os.path.join(folder, "templates", "out.yaml"), "w", encoding="utf-8") as out:
            out.write(body)
        made = helm.Chart.load(folder).render(merged(values, {"variables": variables}), name="x", namespace="x")
    # Without a release the key is there and empty.
    releases = yaml.safe_load(next(iter(made.values())))["releases"] or []
    for release in releases:
        release["values"] = merged(
            *[load("helmfile.d", given) if isinstance(given, str) else given for given in release["values"]]
        )
    return releases
