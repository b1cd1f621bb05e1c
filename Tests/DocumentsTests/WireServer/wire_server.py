#!/usr/bin/env python3
"""A server that speaks MongoDB's wire protocol (OP_MSG) over mongomock, for tests.

It keeps every BSON type byte for byte and knows the commands of a service that only reads. Queries are full scans and
nothing is persistent: it is there to be right, not fast. It prints its port when it is ready and ends when its standard
input does, so that it never outlives the test that started it.

The codec has no undefined and reads it as null; a null whose name begins with "undefined" is sent as one.

Five commands exist for tests alone:
  {testDelay: MS}       every later find, aggregate and getMore answers that much later
  {testDieAfter: N}     the process ends in place of its Nth answer from now on to one of these
  {testMalform: 1}      the next find answers with a document whose own length is a lie
  {testRead: 1}         answers {n: N}, how many documents finds and aggregates have read since the last time
  {testCursors: 1}      answers {n: N}, how many cursors are open
"""
import asyncio
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
TEST = {"delay": 0.0, "die_after": None, "malform": False, "read": 0}

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


def run(command):
    name = next(iter(command))
    value = command[name]
    database = DATABASES[command.get("$db", "test")]
    lowered = name.lower()
    if lowered in ("hello", "ismaster"):
        return HELLO
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
    if lowered == "testdieafter":
        TEST["die_after"] = int(value)
        return {"ok": 1.0}
    if lowered == "testmalform":
        TEST["malform"] = True
        return {"ok": 1.0}
    if lowered == "testread":
        count, TEST["read"] = TEST["read"], 0
        return {"n": count, "ok": 1.0}
    if lowered == "testcursors":
        return {"n": len(CURSORS), "ok": 1.0}
    if lowered == "getmore":
        return get_more(value, command)
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


def answer(command):
    try:
        return run(command)
    except Exception as error:  # whatever the mock cannot do is an error of the server, not its end
        return failure(8, f"{type(error).__name__}: {error}", "UnknownError")


async def reply(command):
    if next(iter(command)).lower() in ("find", "aggregate", "getmore"):
        if TEST["delay"]:
            await asyncio.sleep(TEST["delay"])
        if TEST["die_after"] is not None:
            TEST["die_after"] -= 1
            if TEST["die_after"] <= 0:
                os._exit(1)
    encoded = re.sub(rb"\x0a(undefined[A-Za-z]*\0)", b"\x06\\1", bson.encode(answer(command)))
    if TEST["malform"] and b"firstBatch" in encoded:
        TEST["malform"] = False
        # The length of the first document in the batch: 5 bytes after the array's own length and the name "0".
        place = encoded.index(b"firstBatch\0") + len(b"firstBatch\0") + 4 + 3
        encoded = encoded[:place] + struct.pack("<i", 0x7FFFFFFF) + encoded[place + 4:]
    return encoded


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
    try:
        while True:
            length, request, _, opcode = struct.unpack("<iiii", await reader.readexactly(16))
            payload = await reader.readexactly(length - 16)
            if opcode == 2004:
                # The first hello of a connection still comes as an old query.
                zero = payload.index(0, 4)
                size = struct.unpack_from("<i", payload, zero + 9)[0]
                command = bson.decode(payload[zero + 9:zero + 9 + size], OPTIONS)
                body, kind = struct.pack("<iqii", 8, 0, 0, 1) + await reply(command), 1
            else:
                command, is_silent = parse(payload)
                encoded = await reply(command)
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
    server = await asyncio.start_server(serve, "127.0.0.1", port, limit=2**26)
    threading.Thread(target=end_with_parent, daemon=True).start()
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
