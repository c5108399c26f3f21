"""Passes bytes on, a process of its own: stopped by a signal it is a network that swallows everything.

`python -m tests.relay PORT HOST:PORT` or `python -m tests.relay PORT /socket`. Both sides keep their connections.
"""

import asyncio
import sys


async def main(port: int, upstream: str) -> None:
    """Listen on loopback until ended."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if upstream.startswith("/"):
            there = await asyncio.open_unix_connection(upstream)
        else:
            host, _, number = upstream.rpartition(":")
            there = await asyncio.open_connection(host, int(number))
        await asyncio.gather(_pass_on(reader, there[1]), _pass_on(there[0], writer))

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    sys.stdout.write("relay ready\n")
    sys.stdout.flush()
    await server.serve_forever()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while received := await reader.read(65536):
            writer.write(received)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
