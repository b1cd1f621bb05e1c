"""What the contract of the admin API says beyond its OpenAPI description, as checks for schemathesis; and names that exist, without
which it would knock at doors that are not there."""

import functools
import json
import os
import urllib.request
import zlib

import schemathesis

ADMIN = os.environ["FUZZ_ADMIN"]


@functools.cache
def known():
    """Values of path parameters that lead somewhere."""

    def ask(path):
        with urllib.request.urlopen(f"http://{ADMIN}{path}", timeout=10) as answer:
            return json.load(answer)

    plans = [plan["name"] for plan in ask("/api/v1/migrations")["migrations"]]
    classes = [c["number"] for plan in plans for c in ask(f"/api/v1/migrations/{plan}/differences")["classes"]]
    return {
        "name": [route["name"] for route in ask("/api/v1/routes")["routes"]],
        "plan": plans,
        "class": classes,
        "address": [e["address"] for u in ask("/api/v1/upstreams")["upstreams"] for e in u["endpoints"]],
    }


def chosen(value, among):
    """One of them or, as often, the value itself: always the same for the same."""
    number = zlib.crc32(repr(value).encode())
    return among[number // 2 % len(among)] if among and number % 2 else value


@schemathesis.hook
def map_path_parameters(context, parameters):
    def values(name):
        return known().get("plan" if "/migrations/" in context.operation.path and name == "name" else name)

    return {name: chosen(value, values(name)) for name, value in (parameters or {}).items()}


@schemathesis.hook
def map_query(context, query):
    if not query or context.operation.path != "/api/v1/limits":
        return query
    found = {"route": ["limited"], "rule": ["clients"], "key": ["127.0.0.1"]}
    return {name: chosen(value, found.get(name)) for name, value in query.items()}


@schemathesis.hook
def map_body(context, body):
    if not isinstance(body, dict):
        return body
    if isinstance(body.get("weights"), dict):
        return {**body, "weights": {chosen(name, ["core", "gateway"]): value for name, value in body["weights"].items()}}
    # Changes that there have been.
    return {name: chosen(value, range(1, 30)) if name in ("sequence", "toGeneration") else value for name, value in body.items()}


@schemathesis.check
def server_errors_are_refusals(ctx, response, case):
    """503 says what is missing; there is no other."""
    assert response.status_code < 500 or response.status_code == 503, f"status {response.status_code}"


@schemathesis.check
def refusals_name_their_place(ctx, response, case):
    if response.status_code < 400 or response.status_code == 404 and not case.path.startswith("/api/"):
        return
    if case.path == "/readyz":
        return
    body = response.json()
    assert body["error"], "a refusal without a word"
    assert body["problems"] or response.status_code != 422, "what is wrong is not told"
    assert all(problem["message"] for problem in body["problems"])
