"""Carries TCP connections from an address to another one: `carry ADDRESS PORT ADDRESS PORT`.

A page of 127.0.0.1 is given camera and microphone; what it says to the API goes over the line so.
"""

import asyncio
import sys
from contextlib import suppress


async def carry(here: tuple[str, int], there: tuple[str, int]) -> None:
    """Carries until it is ended; says when it is ready."""

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            other, out = await asyncio.open_connection(*there)
        except OSError:
            writer.close()
            return
        await asyncio.gather(pump(reader, out), pump(other, writer))

    async with await asyncio.start_server(connected, *here) as server:
        print("ready", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    _, host, port, other_host, other_port = sys.argv
    asyncio.run(carry((host, int(port)), (other_host, int(other_port))))
