"""A virus scanner of the operator's, asked over its socket (clamd's INSTREAM); without one, none.

It has a look at what is handed in before anything of it is kept. A scanner that is set and does not
answer lets nothing pass: the file is handed in again later.
"""

import asyncio
import struct
from contextlib import suppress
from pathlib import Path
from typing import Final

from storage.addresses import socket_place

_CHUNK: Final = 1 << 16
WITHIN_S: Final = 60.0
_ANSWER_BYTES: Final = 4096


class ScannerAway(Exception):  # noqa: N818 - states a fact
    """The scanner cannot be reached, does not answer in time, or could not look."""


async def infected(place: str, file: Path, *, within_s: float = WITHIN_S) -> bool:
    """Say whether the scanner finds something in the file. Raises ScannerAway."""
    try:
        async with asyncio.timeout(within_s):
            answer = await _ask(socket_place(place), file)
    except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError) as error:
        raise ScannerAway(type(error).__name__) from error
    if answer.endswith(b" FOUND"):
        return True
    if answer != b"stream: OK":
        raise ScannerAway("it could not look")
    return False


async def _ask(place: Path | tuple[str, int], file: Path) -> bytes:
    if isinstance(place, Path):
        reader, writer = await asyncio.open_unix_connection(place, limit=_ANSWER_BYTES)
    else:
        reader, writer = await asyncio.open_connection(*place, limit=_ANSWER_BYTES)
    try:
        writer.write(b"zINSTREAM\0")
        opened = await asyncio.to_thread(file.open, "rb")
        with opened:
            while chunk := await asyncio.to_thread(opened.read, _CHUNK):
                writer.write(struct.pack(">I", len(chunk)) + chunk)
                await writer.drain()
        writer.write(struct.pack(">I", 0))
        await writer.drain()
        # It ends its answer with a zero, as it was asked (clamd(8), the z prefix).
        return (await reader.readuntil(b"\0"))[:-1]
    finally:
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()
