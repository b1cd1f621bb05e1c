"""The wire server of the document stores' tests at another address than loopback, filled with dump files:
mongo.py ADDRESS FILE.bson … . Ends with its standard input."""

import asyncio
import os
import sys

import bson
import pymongo
from bson.raw_bson import RawBSONDocument

SERVER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "DocumentsTests", "WireServer", "wire_server.py")


async def pipe(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def main(address, files):
    # Its standard input is ours: both end together.
    server = await asyncio.create_subprocess_exec(sys.executable, SERVER, stdin=None, stdout=asyncio.subprocess.PIPE)
    port = int(await server.stdout.readline())

    async def relay(reader, writer):
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pipe(reader, inner_writer), pipe(inner_reader, writer))

    await asyncio.start_server(relay, address, 27017)
    await asyncio.get_running_loop().run_in_executor(None, fill, address, files)
    print("filled", flush=True)
    await server.wait()


def fill(address, files):
    with pymongo.MongoClient(address) as client:
        for path in files:
            collection = os.path.basename(path).removesuffix(".bson")
            with open(path, "rb") as file:
                documents = bson.decode_all(file.read(), bson.CodecOptions(document_class=RawBSONDocument))
            client["test"][collection].insert_many(documents)


asyncio.run(main(sys.argv[1], sys.argv[2:]))
