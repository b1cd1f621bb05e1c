"""Objects of Kubernetes, as far as more than one of these files looks at them."""


def key_of(item):
    return item["kind"], item["metadata"]["namespace"], item["metadata"]["name"]
