"""Asks the cluster of the test, which the environment names."""

import json
import os
import socket
import sys


def ask(question, **details):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(os.path.join(os.environ["CLUSTER"], "cluster.sock"))
        connection.sendall(json.dumps({"ask": question, **details}).encode() + b"\n")
        answer = json.loads(connection.makefile().readline())
    if "error" in answer:
        sys.exit(f"error: {answer['error']}")
    return answer


def seconds(text):
    """15m, 90s."""
    return float(text[:-1]) * {"s": 1, "m": 60, "h": 3600}[text[-1]]


if __name__ == "__main__":
    # ask.py QUESTION name=value …: what happens to a cluster without an operator.
    pairs = dict(word.split("=", 1) for word in sys.argv[2:])
    print(json.dumps(ask(sys.argv[1], **{name: json.loads(value) for name, value in pairs.items()})))
