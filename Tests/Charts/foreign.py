"""Kinds that operators bring to a cluster: what their definitions say of the fields that are used here, strictly."""

import jsonschema


def closed(required, **properties):
    return {"type": "object", "additionalProperties": False, "required": required, "properties": properties}


TEXT = {"type": "string", "minLength": 1}
TEXTS = {"type": "object", "additionalProperties": TEXT}
NAME = {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"}
DURATION = {"type": "string", "pattern": "^[0-9]+(ms|s|m|h)$"}


def kind(version, name, spec):
    return closed(
        ["apiVersion", "kind", "metadata", "spec"],
        apiVersion={"const": version},
        kind={"const": name},
        metadata=closed(["name"], name=NAME, labels=TEXTS, annotations=TEXTS),
        spec=spec,
    )


SCHEMAS = {
    "ServiceMonitor": kind(
        "monitoring.coreos.com/v1",
        "ServiceMonitor",
        closed(
            ["selector", "endpoints"],
            selector=closed(["matchLabels"], matchLabels=TEXTS),
            endpoints={
                "type": "array",
                "minItems": 1,
                "items": closed(["port"], port=TEXT, path=TEXT, interval=DURATION, honorLabels={"type": "boolean"}, scrapeTimeout=DURATION, authorization=closed(["credentials"], type=TEXT, credentials=closed(["name", "key"], name=TEXT, key=TEXT)), relabelings={"type": "array"}, metricRelabelings={"type": "array"}),
            },
        ),
    ),
    "PrometheusRule": kind(
        "monitoring.coreos.com/v1",
        "PrometheusRule",
        closed(
            ["groups"],
            groups={
                "type": "array",
                "minItems": 1,
                "items": closed(
                    ["name", "rules"],
                    name=TEXT,
                    rules={
                        "type": "array",
                        "minItems": 1,
                        "items": closed(
                            ["alert", "expr"],
                            alert=TEXT,
                            expr=TEXT,
                            labels=TEXTS,
                            annotations=TEXTS,
                            **{"for": DURATION}
                        ),
                    },
                ),
            },
        ),
    ),
    "ScaledObject": kind(
        "keda.sh/v1alpha1",
        "ScaledObject",
        closed(
            ["scaleTargetRef", "triggers"],
            scaleTargetRef=closed(["name"], apiVersion=TEXT, kind=TEXT, name=NAME),
            minReplicaCount={"type": "integer", "minimum": 0},
            maxReplicaCount={"type": "integer", "minimum": 1},
            pollingInterval={"type": "integer", "minimum": 1},
            fallback=closed(["failureThreshold", "replicas"], failureThreshold={"type": "integer"}, replicas={"type": "integer"}),
            advanced=closed([], horizontalPodAutoscalerConfig=closed([], behavior={"type": "object"})),
            triggers={
                "type": "array",
                "minItems": 1,
                # Values of metadata are texts, numbers too.
                "items": closed(["type", "metadata"], type=TEXT, name=TEXT, metricType={"enum": ["Utilization", "Value", "AverageValue"]}, metadata=TEXTS, authenticationRef=closed(["name"], name=NAME)),
            },
        ),
    ),
    "HTTPRoute": kind(
        "gateway.networking.k8s.io/v1",
        "HTTPRoute",
        closed(
            ["parentRefs", "rules"],
            parentRefs={
                "type": "array",
                "minItems": 1,
                "items": closed(["name"], name=TEXT, namespace=TEXT, sectionName=TEXT, port={"type": "integer"}),
            },
            hostnames={"type": "array", "minItems": 1, "items": TEXT},
            rules={
                "type": "array",
                "minItems": 1,
                "items": closed(
                    ["backendRefs"],
                    matches={"type": "array"},
                    filters={"type": "array"},
                    timeouts={"type": "object"},
                    backendRefs={
                        "type": "array",
                        "minItems": 1,
                        "items": closed(
                            ["name", "port"], name=TEXT, port={"type": "integer", "minimum": 1, "maximum": 65535}
                        ),
                    },
                ),
            },
        ),
    ),
}


def validate_foreign(item):
    jsonschema.Draft202012Validator(SCHEMAS[item["kind"]]).validate(item)
