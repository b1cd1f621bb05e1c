#!/usr/bin/env python3
"""Makes each chart's values.schema.json and the table of values in its README from its values.yaml, and the plain manifests of
examples/manifests from the production values.

reference.py           says which of them are not up to date (status 1)
reference.py --write   writes them
"""

import json
import os
import re
import sys

import yaml

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CHARTS = ["otv-balancer", "otv-gateway", "otv-core", "otv-worker", "otv-telemetry", "otv-mongodb", "otv-redis", "otv"]

PORT = {"type": "integer", "minimum": 1, "maximum": 65535}
COUNT = {"type": "integer", "minimum": 0}
SHARE = {"type": "integer", "minimum": 1, "maximum": 100}
# A quantity of Kubernetes. A slip of the unit is found by the templates, which see request and limit together.
MEMORY = {"type": ["string", "integer"], "minimum": 1, "pattern": "^[0-9]+([.][0-9]+)?([kMGTPE]|[KMGTPE]i)?$"}
AMOUNTS = {
    "type": "object",
    "additionalProperties": False,
    "properties": {"cpu": {"type": ["string", "number"]}, "memory": MEMORY, "ephemeral-storage": {"type": "string"}},
}
RESOURCES = {"type": "object", "additionalProperties": False, "properties": {"requests": AMOUNTS, "limits": AMOUNTS}}
TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
# Labels by which objects and pods are found are the charts': a second value for one would be there beside it, or break what finds them.
FOUND_BY = [f"app.kubernetes.io/{name}" for name in ("name", "instance", "component", "part-of")]
OWN = [*FOUND_BY, "app.kubernetes.io/version", "app.kubernetes.io/managed-by", "helm.sh/chart", "otv/scrape"]
LABELS = {**TEXTS, "properties": dict.fromkeys(OWN, False)}
NAME = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
OBJECT = {"type": "object"}
PROCESSORS = {"type": "array", "items": {"type": "string", "minLength": 1}}


def closed(**properties):
    return {"type": "object", "additionalProperties": False, "properties": properties}


DATABASE = closed(
    mongo=OBJECT,
    uri={"type": "string"},
    mustHave={"type": "array", "items": {"type": "string"}},
    migrate={"type": "boolean"},
    storageFile={"type": "string"},
)
SERVER = closed(
    port=PORT,
    host={"type": "string"},
    enable={"type": "boolean"},
    onlyHealth={"type": "boolean"},
    cache=COUNT,
    deadline=COUNT,
    drain=COUNT,
    limitCap=COUNT,
    cacheBytes=COUNT,
    memoryBytes=COUNT,
    connections=COUNT,
    staleFor=COUNT,
    headTimeout=COUNT,
    bodyTimeout=COUNT,
    compression={"type": ["boolean", "array"], "items": {"enum": ["zstd", "br", "gzip"]}, "uniqueItems": True},
    validators={"type": "boolean"},
    redactAddresses={"type": "boolean"},
    requestLog={"type": "boolean"},
    serveDocs={"type": "boolean"},
    serveSwagger={"type": "boolean"},
)
# The sections of the legacy main.json.
SECTIONS = closed(
    db=DATABASE,
    server=SERVER,
    **{
        name: OBJECT
        for name in (
            "global",
            "constraints",
            "cron",
            "score",
            "scorekeeper",
            "proxy",
            "matrix",
            "telemetry",
            "logger",
            "redis",
        )
    },
)
# By the end of a value's path: what its default does not tell.
RULES = {
    "replicas": {"type": "integer", "minimum": 1},
    "minReplicas": {"type": "integer", "minimum": 1},
    "maxReplicas": {"type": "integer", "minimum": 1},
    "cpuPercent": SHARE,
    "requestsPerSecond": {"type": ["string", "integer"], "pattern": "^([1-9][0-9]*m?)?$", "minimum": 1},
    "preStopSeconds": {"type": "integer", "minimum": 1},
    "terminationGracePeriodSeconds": COUNT,
    "startupSeconds": {"type": "integer", "minimum": 5},
    "apply": {"enum": ["roll", "reload"]},
    "discovery.mode": {"enum": ["dns", "endpointSlices"]},
    "cluster.mode": {"enum": ["auto", "none", "kubernetes", "etcd"]},
    "cluster.name": {"type": "string", "pattern": "^([a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?)?$"},
    "cluster.etcd": OBJECT,
    "discovery.interval": {"type": "string", "pattern": "^[0-9.]+(ms|s|m|h)$"},
    "drain": {"type": "string", "pattern": "^[0-9]+([.][0-9]+)?(ms|s|m|h)$"},
    "digest": {"type": "string", "pattern": "^(sha256:[0-9a-f]{64})?$"},
    "architectures": PROCESSORS,
    "retiredArchitectures": PROCESSORS,
    "size": {"type": "string", "pattern": "^[0-9]+([.][0-9]+)?([kMGTPE]|[KMGTPE]i)?$"},
    "environment": {"enum": ["production", "staging", "local", "ci"]},
    "logLevel": {"enum": ["trace", "debug", "info", "notice", "warning", "error", "critical"]},
    "pullPolicy": {"enum": ["Always", "IfNotPresent", "Never"]},
    "service.type": {"enum": ["ClusterIP", "NodePort", "LoadBalancer"]},
    "ports.public": PORT,
    "ports.admin": PORT,
    "ports.observe": PORT,
    "ports.tls": PORT,
    "service.tlsPort": PORT,
    "service.tlsNodePort": {"type": "integer", "minimum": 0, "maximum": 65535},
    "tls.secrets": {"type": "array", "uniqueItems": True, "items": {"type": "string", "pattern": "^[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?$"}},
    "tls.options": {"$ref": "#/definitions/tlsOptions"},
    "sizeLimit": MEMORY,
    "service.port": PORT,
    "health.port": PORT,
    "networkPolicy.databasePort": PORT,
    "networkPolicy.dnsPorts": {"type": "array", "minItems": 1, "items": PORT},
    "networkPolicy.ingress": {"type": "array", "items": OBJECT},
    "networkPolicy.egress": {"type": "array", "items": OBJECT},
    "livenessCommand": {"type": "array", "items": {"type": "string"}},
    "networkPolicy.apiServerPorts": {"type": "array", "items": PORT},
    "hosts": {"type": "array", "uniqueItems": True, "items": {"type": "string", "pattern": f"^([*][.])?{NAME}([.]{NAME})*$"}},
    "fullnameOverride": {"type": "string", "pattern": "^([a-z]([-a-z0-9]*[a-z0-9])?)?$"},
    "imagePullSecrets": {"type": "array", "items": closed(name={"type": "string"})},
    "extraEnv": {"type": "array", "items": {"type": "object", "required": ["name"]}},
    "extraVolumes": {"type": "array", "items": {"type": "object", "required": ["name"]}},
    "extraVolumeMounts": {"type": "array", "items": {"type": "object", "required": ["name", "mountPath"]}},
    "commonLabels": LABELS,
    "commonAnnotations": TEXTS,
    "alertLabels": TEXTS,
    "disabled": {"type": "array", "uniqueItems": True, "items": {"type": "string", "minLength": 1}},
    "ingress.paths": {
        "type": "array",
        "minItems": 1,
        "items": {
            **closed(path={"type": "string", "pattern": "^/"}, pathType={"enum": ["Exact", "Prefix", "ImplementationSpecific"]}),
            "required": ["path"],
        },
    },
    "workloadAnnotations": TEXTS,
    "minAvailable": {"type": ["string", "integer"], "pattern": "^([0-9]+%?)?$", "minimum": 1},
    "maxUnavailable": {"type": ["string", "integer"], "pattern": "^[0-9]+%?$", "minimum": 0},
    "service.nodePort": {"type": "integer", "minimum": 0, "maximum": 65535},
    "updateStrategy.type": {"enum": ["RollingUpdate", "OnDelete"]},
    "externalTrafficPolicy": {"enum": ["", "Cluster", "Local"]},
    "dnsPolicy": {"enum": ["", "ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"]},
    "errorShare": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    "slowSeconds": {"type": "number", "exclusiveMinimum": 0, "maximum": 60},
    "triggers": {"type": "array", "items": {"type": "object", "required": ["type", "metadata"]}},
    "pollingInterval": COUNT,
    "extraRules": {"type": "array", "items": {"type": "object", "required": ["expr"]}},
    "httpRoute.rules": {"type": "array", "items": OBJECT},
    "resources": RESOURCES,
    "retiredResources": RESOURCES,
    "podAnnotations": TEXTS,
    "podLabels": {**TEXTS, "properties": dict.fromkeys(FOUND_BY, False)},
    "nodeSelector": TEXTS,
    "labels": LABELS,
    "annotations": TEXTS,
    "weights": {
        "type": "object",
        "additionalProperties": {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": {"type": "integer", "minimum": 0, "maximum": 1000000},
        },
    },
    "otv-gateway/config": closed(db=DATABASE, server=SERVER),
    "otv-core/config": SECTIONS,
    "otv-worker/config": closed(db=DATABASE, redis=OBJECT, score=OBJECT, **{"global": OBJECT}),
    "otv-telemetry/config": closed(db=DATABASE, telemetry=OBJECT, server=SERVER),
    "otv/global": closed(
        imageTag={"type": "string"},
        config=SECTIONS,
        imageRegistry={"type": "string"},
        imagePullSecrets={"type": "array", "items": {"anyOf": [{"type": "string"}, closed(name={"type": "string"})]}},
        revision={"type": "string"},
        privateCA=closed(existingSecret={"type": "string"}, existingConfigMap={"type": "string"}, key={"type": "string", "minLength": 1}),
        ipFamilies={"type": "array", "maxItems": 2, "uniqueItems": True, "items": {"enum": ["IPv4", "IPv6"]}},
        ipFamilyPolicy={"enum": ["", "SingleStack", "PreferDualStack", "RequireDualStack"]},
        storageClass={"type": "string"},
        defaultStorageClass={"type": "string"},
    ),
    "otv-balancer/upstreams": {
        "type": "object",
        "minProperties": 1,
        "additionalProperties": {"$ref": "#/definitions/upstream"},
    },
    "otv-balancer/routes": {"$ref": "#/definitions/routes"},
    "otv-balancer/retiredRoutes": {"$ref": "#/definitions/routes"},
    "otv-balancer/listener": {"$ref": "#/definitions/listenerOptions"},
    "otv-balancer/admin": {"$ref": "#/definitions/adminOptions"},
    "otv-balancer/config": {"$ref": "#/definitions/config"},
}
# Objects whose keys are Kubernetes', or another chart's, to know.
OPEN = {
    "secret", "affinity", "podSecurityContext", "securityContext", "dnsConfig", "behavior",
    "startup", "liveness", "readiness", "strategy", "fallback", "authorization",
}


def schema(chart, value, path=""):
    name = path.rsplit(".", 1)[-1]
    for key in (f"{chart}/{path}", path, name):
        if key in RULES:
            return RULES[key]
    if isinstance(value, dict):
        if name in OPEN or name.startswith("otv-"):
            return OBJECT
        return closed(**{key: schema(chart, item, f"{path}.{key}" if path else key) for key, item in value.items()})
    kinds = {bool: "boolean", int: "integer", str: "string", list: "array"}
    return {"type": kinds[type(value)]}


def plain(item):
    """A part of routes.schema.json for another file: without words, its references turned to where they are here."""
    if isinstance(item, list):
        return [plain(each) for each in item]
    if not isinstance(item, dict):
        return item
    kept = {
        key: each
        for key, each in item.items()
        if not (key in ("description", "default") and not isinstance(each, dict))
    }
    return {
        key: each.replace("#/$defs/", "#/definitions/") if key == "$ref" else plain(each) for key, each in kept.items()
    }


def definitions():
    """What routes.json may hold, with the chart's `service` added, and without what the chart writes itself."""
    with open(os.path.join(ROOT, "routes.schema.json"), encoding="utf-8") as file:
        routes = json.load(file)
    made = plain(routes["$defs"])
    upstream = {
        key: item for key, item in made["upstream"].items() if key not in ("oneOf", "anyOf", "allOf", "required")
    }
    upstream["properties"]["service"] = {
        **closed(name={"type": "string", "minLength": 1}, namespace={"type": "string"}, port=PORT),
        "required": ["name"],
    }
    made["upstream"] = upstream
    made["routes"] = {
        "type": "array",
        "minItems": 1,
        "items": {"allOf": [{"$ref": "#/definitions/route"}, {"required": ["name"]}]},
    }
    del made["timeouts"]["properties"]["drain"]
    for name, of, own in (
        ("listenerOptions", "listener", ("name", "address", "tls")),
        ("tlsOptions", "listenerTLS", ("certificates",)),
        ("adminOptions", "admin", ("address", "observe")),
    ):
        made[name] = closed(**{key: item for key, item in made[of]["properties"].items() if key not in own})
    own = {"$schema", "listeners", "admin", "cluster", "takeover", "upstreams", "routes"}
    made["config"] = closed(**{key: plain(item) for key, item in routes["properties"].items() if key not in own})
    return made


def document(chart, values):
    made = schema(chart, values)
    # The umbrella switches charts off by `enabled`, and shares `global`.
    made["properties"].setdefault("global", OBJECT)
    # Helm puts the values of every dependency there, also where it has none.
    made["properties"]["otv-common"] = OBJECT
    if chart != "otv":
        made["properties"]["enabled"] = {"type": "boolean"}
    if chart == "otv-balancer":
        made["definitions"] = definitions()
    return {"$schema": "http://json-schema.org/draft-07/schema#", "title": f"Values of {chart}", **made}


def rows(text, values):
    """Path, default and meaning of each value, in the file's order."""
    found, path, pending = [], [], []
    for line in text.splitlines():
        indent = len(line) - len(line.lstrip())
        stripped = line.strip()
        if stripped.startswith("# -- "):
            pending = [stripped[5:]]
        elif stripped.startswith("#"):
            if pending:
                pending.append(stripped.lstrip("# "))
        elif match := re.match(r"([A-Za-z][\w-]*):", stripped):
            path = [part for part in path if part[0] < indent] + [(indent, match[1])]
            names = [part[1] for part in path]
            value = values
            for name in names:
                value = value.get(name) if isinstance(value, dict) else None
            # What Kubernetes knows the keys of is said as a whole.
            inside = any(name in OPEN for name in names[:-1])
            if pending or not inside and (value is not None and not isinstance(value, dict) and len(names) <= 2):
                found.append((".".join(names), value, " ".join(pending)))
            pending = []
        else:
            pending = []
    return found


def table(text, values):
    lines = ["| value | default | meaning |", "|---|---|---|"]
    for path, value, meaning in rows(text, values):
        shown = "" if isinstance(value, dict) and value else f"`{json.dumps(value, ensure_ascii=False)}`"
        if len(shown) > 60:
            shown = "see values.yaml"
        lines.append(f"| `{path}` | {shown} | {meaning.replace('|', chr(92) + '|')} |")
    return "\n".join(lines) + "\n"


# As Helm installs: what others need comes first.
ORDER = [
    "NetworkPolicy", "PodDisruptionBudget", "ServiceAccount", "Secret", "ConfigMap", "Role", "RoleBinding", "Service", "Deployment",
    "HorizontalPodAutoscaler", "StatefulSet", "Ingress",
]
PLAIN = """\
# Made from examples/production/{network}.yaml and stage 1-core-only (scripts/test-charts.sh --write): for who has no Helm, and to read.
#   kubectl create namespace {network}, the Secrets of docs/deployment.md, then: kubectl apply --server-side -f examples/manifests/{network}.yaml
# Without Helm nothing checks routes.json before an upgrade: `balancer check` does. The Prometheus operator's kinds are at the end.
"""


class Plain(yaml.SafeDumper):
    """Files in a ConfigMap stay readable, and nothing is a reference."""

    def ignore_aliases(self, data):
        return True


def _text(dumper, text):
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


Plain.add_representer(str, _text)


def manifests(network):
    # Only here: it takes Helm's engine.
    from rendering import load, merged, render

    values = merged(load("examples", "production", f"{network}.yaml"), load("examples", "stages", "1-core-only", "values.yaml"))
    objects = []
    for item in render("otv", values, "otv", network, bare=True):
        if "helm.sh/hook" in item["metadata"].get("annotations", {}):
            continue
        item["metadata"]["namespace"] = network
        for label in ("app.kubernetes.io/managed-by", "helm.sh/chart"):
            item["metadata"]["labels"].pop(label)
        objects.append(item)
    objects.sort(key=lambda item: ORDER.index(item["kind"]) if item["kind"] in ORDER else len(ORDER))
    return PLAIN.format(network=network) + yaml.dump_all(objects, Dumper=Plain, sort_keys=False, explicit_start=True, width=120)


def put(wanted, write):
    """Writes what is not as it should be, or says which."""
    stale = []
    for path, content in wanted.items():
        if os.path.exists(path) and open(path, encoding="utf-8").read() == content:
            continue
        if write:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            open(path, "w", encoding="utf-8").write(content)
        else:
            stale.append(os.path.relpath(path, ROOT))
    return stale


def main():
    write = "--write" in sys.argv[1:]
    wanted = {}
    for chart in CHARTS:
        folder = os.path.join(ROOT, "charts", chart)
        text = open(os.path.join(folder, "values.yaml"), encoding="utf-8").read()
        values = yaml.safe_load(text)
        readme = open(os.path.join(folder, "README.md"), encoding="utf-8").read()
        head = readme.split("## Values\n")[0]
        wanted[os.path.join(folder, "values.schema.json")] = json.dumps(document(chart, values), indent=2) + "\n"
        wanted[os.path.join(folder, "README.md")] = head + "## Values\n\n" + table(text, values)
    stale = put(wanted, write)
    # By the schemas as they are now.
    stale += put({os.path.join(ROOT, "examples", "manifests", f"{network}.yaml"): manifests(network) for network in ("kusama", "polkadot")}, write)
    if stale:
        print("not made from the present values.yaml (scripts/test-charts.sh --write):", *stale)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
