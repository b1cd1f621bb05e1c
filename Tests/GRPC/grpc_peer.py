"""A gRPC server and a gRPC client of the library that everybody uses, for scenarios with a balancer between them.

grpc_peer.py serve [CERTIFICATE KEY]   prints its port, then what it saw
grpc_peer.py call PORT NAME            makes one call and prints what came of it
"""

import sys
import time
from concurrent import futures

import grpc

HEALTH = "/grpc.health.v1.Health/Check"
states = {b"": b"\x08\x01"}


def say(*words):
    print(*words, flush=True)


def echo(request, context):
    say("echo", request.decode(), dict(context.invocation_metadata()).get("x-forwarded-for", "-"))
    context.set_trailing_metadata((("x-trailer", "end"),))
    return request


def fail(request, context):
    say("fail")
    context.abort(grpc.StatusCode.NOT_FOUND, "nichts für 100%")


def slow(request, context):
    say("slow")
    ended = time.monotonic() + float(request)
    while time.monotonic() < ended and context.is_active():
        time.sleep(0.02)
    say("slow", "whole" if context.is_active() else "cancelled")
    return request


def count(request, context):
    for number in range(int(request)):
        yield str(number).encode()


def total(requests, context):
    return str(sum(int(request) for request in requests)).encode()


def chat(requests, context):
    for request in requests:
        yield request.upper()


def check(request, context):
    say("check", request)
    # HealthCheckRequest { string service = 1 }
    service = request[2:] if request else b""
    if service not in states:
        context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
    return states[service]


def turn(request, context):
    states[b""] = b"\x08\x01" if request == b"on" else b"\x08\x02"
    return b""


class Methods(grpc.GenericRpcHandler):
    handlers = {
        "/test.Peer/Echo": grpc.unary_unary_rpc_method_handler(echo),
        "/test.Peer/Fail": grpc.unary_unary_rpc_method_handler(fail),
        "/test.Peer/Slow": grpc.unary_unary_rpc_method_handler(slow),
        "/test.Peer/Count": grpc.unary_stream_rpc_method_handler(count),
        "/test.Peer/Total": grpc.stream_unary_rpc_method_handler(total),
        "/test.Peer/Chat": grpc.stream_stream_rpc_method_handler(chat),
        "/test.Peer/Turn": grpc.unary_unary_rpc_method_handler(turn),
        HEALTH: grpc.unary_unary_rpc_method_handler(check),
    }

    def service(self, details):
        return self.handlers.get(details.method)


def serve(arguments):
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=32))
    server.add_generic_rpc_handlers((Methods(),))
    if arguments:
        with open(arguments[0], "rb") as certificate, open(arguments[1], "rb") as key:
            chain = certificate.read()
            secrets = grpc.ssl_server_credentials(((key.read(), chain),))
        port = server.add_secure_port("127.0.0.1:0", secrets)
    else:
        port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    say("port", port)
    server.wait_for_termination()


def show(error):
    metadata = dict(error.trailing_metadata() or ())
    return f"{error.code().name} {error.details()} {metadata.get('grpc-retry-pushback-ms', '')}".strip()


def call(port, name):
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            if name == "echo":
                response, done = channel.unary_unary("/test.Peer/Echo").with_call(b"hello", timeout=30)
                say(response.decode(), dict(done.trailing_metadata()).get("x-trailer"))
            elif name == "large":
                response = channel.unary_unary("/test.Peer/Echo")(b"x" * 3_000_000, timeout=60)
                say(len(response))
            elif name == "fail":
                channel.unary_unary("/test.Peer/Fail")(b"", timeout=30)
            elif name == "unknown":
                channel.unary_unary("/test.Peer/None")(b"", timeout=30)
            elif name.startswith("slow"):
                channel.unary_unary("/test.Peer/Slow")(b"20", timeout=float(name[4:]))
            elif name == "count":
                numbers = list(channel.unary_stream("/test.Peer/Count")(b"1000", timeout=60))
                say(len(numbers), numbers[-1].decode())
            elif name == "total":
                numbers = (str(number).encode() for number in range(1_000))
                say(channel.stream_unary("/test.Peer/Total")(numbers, timeout=60).decode())
            elif name == "chat":
                # Each word waits for the answer to the one before: nothing may be held back.
                answers = []
                words = iter([b"a", b"b", b"c"])
                pending = [next(words)]

                def ask():
                    while pending:
                        yield pending.pop()
                        while not pending and len(answers) < 3:
                            time.sleep(0.005)

                for answer in channel.stream_stream("/test.Peer/Chat")(ask(), timeout=60):
                    answers.append(answer.decode())
                    following = next(words, None)
                    if following is None:
                        break
                    pending.append(following)
                say("".join(answers))
            elif name in ("on", "off"):
                channel.unary_unary("/test.Peer/Turn")(name.encode(), timeout=30)
                say(name)
        except grpc.RpcError as error:
            say(show(error))


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2:])
    else:
        call(sys.argv[2], sys.argv[3])
