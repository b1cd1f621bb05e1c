#!/usr/bin/env python3
"""A server that speaks MongoDB's wire protocol (OP_MSG) over mongomock, for tests.

It keeps every BSON type byte for byte and knows the commands of a service that only reads. Queries are full scans and
nothing is persistent: it is there to be right, not fast. It prints its port when it is ready and ends when its standard
input does, so that it never outlives the test that started it.

The codec has no undefined and reads it as null; a null whose name begins with "undefined" is sent as one.

Some commands exist for tests alone:
  {testDelay: MS}       every later find, aggregate and getMore answers that much later
  {testSlow: {collection, milliseconds}}   those of one collection do, beside the others
  {testDieAfter: N}     the process ends in place of its Nth answer from now on to one of these
  {testMalform: KIND}   the next batch is damaged: 1 a document's length is a lie, 2 a document does not end where its length
                        says, 3 the same in a batch that is not the first, 4 an item is no document, 5 the namespace is no text,
                        6 it has no point
  {testRead: 1}         answers {n: N}, how many documents finds and aggregates have read since the last time
  {testCursors: 1}      answers {n: N}, how many cursors are open
  {testHello: {...}}    what the server says of itself from now on, beside the rest: its place in a replica set, say
  {testUser: {name, password, source}}   reading and listing need a connection that has proved (SCRAM-SHA-256) to be this user's
"""
import asyncio
import base64
import hashlib
import hmac
import itertools
import os
import re
import struct
import sys
import threading

import bson
import mongomock
import mongomock.filtering
from bson.codec_options import CodecOptions, DatetimeConversion

# Python's own dates end with the year 9999; what they cannot hold stays a number.
OPTIONS = CodecOptions(tz_aware=False, datetime_conversion=DatetimeConversion.DATETIME_AUTO)
DATABASES = mongomock.MongoClient()
CURSORS = {}
CURSOR_IDS = itertools.count(1000)
REPLIES = itertools.count(1)
TEST = {"delay": 0.0, "die_after": None, "malform": 0, "read": 0, "user": None, "slow": {}}

HELLO = {
    "ismaster": True, "isWritablePrimary": True, "helloOk": True, "maxBsonObjectSize": 16777216,
    "maxMessageSizeBytes": 48000000, "maxWriteBatchSize": 100000, "logicalSessionTimeoutMinutes": 30,
    "minWireVersion": 0, "maxWireVersion": 17, "readOnly": False, "ok": 1.0,
}


def alike(stored, wanted):
    """To Python True is 1; to MongoDB it is not."""
    if stored is mongomock.filtering.NOTHING:
        return wanted is None
    return isinstance(stored, bool) == isinstance(wanted, bool) and stored == wanted


def is_strict_match(condition, document):
    """Whether a document that the mock takes for a match is one when numbers and booleans are told apart."""
    for field, wanted in condition.items():
        values = wanted.get("$in", []) if isinstance(wanted, dict) else [wanted]
        if not any(isinstance(value, (bool, int, float)) for value in values):
            continue
        found = list(mongomock.filtering.iter_key_candidates(field, document))
        found += [item for value in found if isinstance(value, list) for item in value]
        if not any(alike(stored, value) for stored in found for value in values):
            return False
    return True


def strict(apply):
    return lambda self, condition, document: apply(self, condition, document) and is_strict_match(condition, document)


mongomock.filtering._Filterer.apply = strict(mongomock.filtering._Filterer.apply)


def failure(code, message, name="Error"):
    return {"ok": 0.0, "code": code, "codeName": name, "errmsg": str(message)}


def cursor(namespace, documents, command):
    size = int((command.get("cursor") or {}).get("batchSize", command.get("batchSize", 101)))
    rest = iter(documents)
    batch = list(itertools.islice(rest, size))
    following = next(rest, None)
    cursor_id = 0
    if following is not None and not command.get("singleBatch"):
        cursor_id = next(CURSOR_IDS)
        CURSORS[cursor_id] = (namespace, itertools.chain([following], rest))
    return {"cursor": {"firstBatch": batch, "id": bson.Int64(cursor_id), "ns": namespace}, "ok": 1.0}


def get_more(cursor_id, command):
    namespace, rest = CURSORS.get(cursor_id, (None, None))
    if rest is None:
        return failure(43, f"cursor id {cursor_id} not found", "CursorNotFound")
    batch = list(itertools.islice(rest, int(command.get("batchSize") or 101)))
    following = next(rest, None)
    if following is None:
        CURSORS.pop(cursor_id, None)
        cursor_id = 0
    else:
        CURSORS[cursor_id] = (namespace, itertools.chain([following], rest))
    return {"cursor": {"nextBatch": batch, "id": bson.Int64(cursor_id), "ns": namespace}, "ok": 1.0}


class Login:
    """A connection's proof that it is the user's: SCRAM-SHA-256 (RFC 5802, RFC 7677), from the server's side."""
    # The driver takes no other length.
    SALT, ROUNDS = b"twenty-eight bytes of salt..", 4096

    def __init__(self):
        self.is_done = False
        self.first = self.bare = b""

    def start(self, command):
        user, payload = TEST["user"], bytes(command["payload"])
        self.bare = payload.partition(b",,")[2]
        name = self.bare.split(b",")[0][2:].decode().replace("=2C", ",").replace("=3D", "=")
        if not user or command["mechanism"] != "SCRAM-SHA-256" or (name, command.get("$db")) != (user["name"], user["source"]):
            return failure(18, "Authentication failed.", "AuthenticationFailed")
        nonce = self.bare.split(b",r=")[1] + base64.b64encode(os.urandom(18))
        self.first = b"r=%s,s=%s,i=%d" % (nonce, base64.b64encode(self.SALT), self.ROUNDS)
        return {"conversationId": 1, "done": False, "payload": self.first, "ok": 1.0}

    def go_on(self, command):
        payload = bytes(command["payload"])
        if self.is_done:
            return {"conversationId": 1, "done": True, "payload": b"", "ok": 1.0}
        final, _, proof = payload.partition(b",p=")
        message = b",".join((self.bare, self.first, final))
        salted = hashlib.pbkdf2_hmac("sha256", TEST["user"]["password"].encode(), self.SALT, self.ROUNDS)
        key = hmac.digest(salted, b"Client Key", "sha256")
        signature = hmac.digest(hashlib.sha256(key).digest(), message, "sha256")
        if bytes(a ^ b for a, b in zip(base64.b64decode(proof), signature)) != key:
            return failure(18, "Authentication failed.", "AuthenticationFailed")
        self.is_done = True
        verifier = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), message, "sha256")
        return {"conversationId": 1, "done": False, "payload": b"v=" + base64.b64encode(verifier), "ok": 1.0}


def run(command, login):
    name = next(iter(command))
    value = command[name]
    database = DATABASES[command.get("$db", "test")]
    lowered = name.lower()
    if lowered in ("hello", "ismaster"):
        return HELLO | ({"saslSupportedMechs": ["SCRAM-SHA-256"]} if "saslSupportedMechs" in command else {})
    if lowered == "saslstart":
        return login.start(command)
    if lowered == "saslcontinue":
        return login.go_on(command)
    if TEST["user"] and not login.is_done and lowered in ("find", "getmore", "aggregate", "count", "ping", "listcollections"):
        return failure(13, f"command {name} requires authentication", "Unauthorized")
    if lowered in ("ping", "endsessions"):
        return {"ok": 1.0}
    if lowered == "killcursors":
        for cursor_id in command["cursors"]:
            CURSORS.pop(cursor_id, None)
        return {"cursorsKilled": command["cursors"], "ok": 1.0}
    if lowered == "buildinfo":
        return {"version": "6.0.0", "versionArray": [6, 0, 0, 0], "ok": 1.0}
    if lowered == "dropdatabase":
        DATABASES.drop_database(database.name)
        return {"ok": 1.0}
    if lowered == "testdelay":
        TEST["delay"] = value / 1000
        return {"ok": 1.0}
    if lowered == "testslow":
        TEST["slow"] = value
        return {"ok": 1.0}
    if lowered == "testdieafter":
        TEST["die_after"] = int(value)
        return {"ok": 1.0}
    if lowered == "testmalform":
        TEST["malform"] = int(value)
        return {"ok": 1.0}
    if lowered == "testread":
        count, TEST["read"] = TEST["read"], 0
        return {"n": count, "ok": 1.0}
    if lowered == "testcursors":
        return {"n": len(CURSORS), "ok": 1.0}
    if lowered == "testhello":
        HELLO.update(value)
        return {"ok": 1.0}
    if lowered == "testuser":
        TEST["user"] = value
        return {"ok": 1.0}
    if lowered == "getmore":
        return get_more(value, command)
    if lowered == "listcollections":
        wanted = command.get("filter", {}).get("name", {}).get("$in")
        names = [name for name in database.list_collection_names() if wanted is None or name in wanted]
        return cursor(f"{database.name}.$cmd.listCollections", [{"name": name, "type": "collection"} for name in names], command)
    namespace = f"{command.get('$db')}.{value}"
    collection = database[value] if isinstance(value, str) else None
    if lowered == "find":
        found = collection.find(command.get("filter", {}), command.get("projection") or None)
        if command.get("sort"):
            found = found.sort(list(command["sort"].items()))
        if command.get("skip"):
            found = found.skip(int(command["skip"]))
        if command.get("limit"):
            found = found.limit(abs(int(command["limit"])))
        found = list(found)
        TEST["read"] += len(found)
        return cursor(namespace, found, command)
    if lowered == "aggregate":
        # As a server without a fitting index: everything that the first stage lets through is read.
        TEST["read"] += len(list(collection.aggregate(command["pipeline"][:1])))
        return cursor(namespace, collection.aggregate(command["pipeline"]), command)
    if lowered == "count":
        return {"n": collection.count_documents(command.get("query") or {}), "ok": 1.0}
    if lowered == "insert":
        collection.insert_many(command["documents"])
        return {"n": len(command["documents"]), "ok": 1.0}
    return failure(59, f"no such command: '{name}'", "CommandNotFound")


def answer(command, login):
    try:
        return run(command, login)
    except Exception as error:  # whatever the mock cannot do is an error of the server, not its end
        return failure(8, f"{type(error).__name__}: {error}", "UnknownError")


async def reply(command, login):
    if next(iter(command)).lower() in ("find", "aggregate", "getmore"):
        if TEST["delay"]:
            await asyncio.sleep(TEST["delay"])
        if TEST["slow"] and TEST["slow"]["collection"] in (command[next(iter(command))], command.get("collection")):
            await asyncio.sleep(TEST["slow"]["milliseconds"] / 1000)
        if TEST["die_after"] is not None:
            TEST["die_after"] -= 1
            if TEST["die_after"] <= 0:
                os._exit(1)
    encoded = re.sub(rb"\x0a(undefined[A-Za-z]*\0)", b"\x06\\1", bson.encode(answer(command, login)))
    batch = b"nextBatch\0" if TEST["malform"] == 3 else b"firstBatch\0"
    if TEST["malform"] and batch in encoded and b".$cmd.listCollections\0" not in encoded:
        encoded = malformed(bytearray(encoded), encoded.index(batch) + len(batch), TEST["malform"])
        TEST["malform"] = 0
    return encoded


def malformed(reply, batch, kind):
    """A reply whose batch, an array that begins at an index, has a first document with something wrong."""
    # After the array's own length stand a type and the name "0".
    item = batch + 4 + 3
    if kind == 1:
        reply[item:item + 4] = struct.pack("<i", 0x7FFFFFFF)
    elif kind == 4:
        reply[batch + 4] = 4
    elif kind == 5:
        reply[reply.index(b"\2ns\0", batch)] = 0x0D
    elif kind == 6:
        reply[reply.index(b".", reply.index(b"\2ns\0", batch))] = 0x78
    else:
        reply[item + struct.unpack_from("<i", reply, item)[0] - 1] = 7
    return bytes(reply)


def parse(payload):
    flags = struct.unpack_from("<I", payload)[0]
    position, end = 4, len(payload) - (4 if flags & 1 else 0)
    command, sequences = None, {}
    while position < end:
        kind = payload[position]
        position += 1
        length = struct.unpack_from("<i", payload, position)[0]
        if kind == 0:
            command = bson.decode(payload[position:position + length], OPTIONS)
        else:
            zero = payload.index(0, position + 4)
            name = payload[position + 4:zero].decode()
            sequences[name] = bson.decode_all(payload[zero + 1:position + length], OPTIONS)
        position += length
    command.update(sequences)
    return command, bool(flags & 2)


async def serve(reader, writer):
    login = Login()
    try:
        while True:
            length, request, _, opcode = struct.unpack("<iiii", await reader.readexactly(16))
            payload = await reader.readexactly(length - 16)
            if opcode == 2004:
                # The first hello of a connection still comes as an old query.
                zero = payload.index(0, 4)
                size = struct.unpack_from("<i", payload, zero + 9)[0]
                command = bson.decode(payload[zero + 9:zero + 9 + size], OPTIONS)
                body, kind = struct.pack("<iqii", 8, 0, 0, 1) + await reply(command, login), 1
            else:
                command, is_silent = parse(payload)
                encoded = await reply(command, login)
                if is_silent:
                    continue
                body, kind = struct.pack("<I", 0) + b"\0" + encoded, 2013
            writer.write(struct.pack("<iiii", 16 + len(body), next(REPLIES), request, kind) + body)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


def end_with_parent():
    sys.stdin.buffer.read()
    os._exit(0)


async def main():
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    # Which versions of the protocol it says it speaks.
    if len(sys.argv) > 3:
        HELLO["minWireVersion"], HELLO["maxWireVersion"] = map(int, sys.argv[2:4])
    server = await asyncio.start_server(serve, "127.0.0.1", port, limit=2**26)
    threading.Thread(target=end_with_parent, daemon=True).start()
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
