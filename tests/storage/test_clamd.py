"""The scanner, spoken to over a real socket by a server of its protocol."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from file_zoo import EICAR

from storage.clamd import ScannerAway, infected
from storage.settings import BadSetting, Settings


class Scanner:
    """Takes INSTREAM as clamd(8) says, finds EICAR, answers with a zero at the end."""

    def __init__(self) -> None:
        self.seen = b""
        self.answers: bytes | None = None
        self.talks: list[asyncio.Task[None] | None] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One conversation."""
        self.talks.append(asyncio.current_task())
        assert await reader.readuntil(b"\0") == b"zINSTREAM\0"
        while size := struct.unpack(">I", await reader.readexactly(4))[0]:
            self.seen += await reader.readexactly(size)
        found = b"stream: Eicar-Test-Signature FOUND\0" if EICAR in self.seen else b"stream: OK\0"
        writer.write(found if self.answers is None else self.answers)
        if self.answers == b"":
            await reader.read()  # as one that hangs: until we leave
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


@asynccontextmanager
async def listening(folder: Path) -> AsyncIterator[tuple[Scanner, str]]:
    """A scanner at a unix socket."""
    scanner, place = Scanner(), folder / "clamd.sock"
    async with await asyncio.start_unix_server(scanner.serve, place):
        yield scanner, str(place)
        await asyncio.gather(*filter(None, scanner.talks), return_exceptions=True)


async def test_it_is_given_every_byte_and_its_word_counts(tmp_path: Path) -> None:
    """Over a unix socket, in pieces."""
    file = tmp_path / "file"
    async with listening(tmp_path) as (scanner, place):
        file.write_bytes(bytes(200_000))
        assert not await infected(place, file)
        assert scanner.seen == bytes(200_000)
        file.write_bytes(b"x" * 70_000 + EICAR)
        assert await infected(place, file)


async def test_it_may_be_asked_over_tcp(tmp_path: Path) -> None:
    """By host and port."""
    (tmp_path / "file").write_bytes(EICAR)
    scanner = Scanner()
    server = await asyncio.start_server(scanner.serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        assert await infected(f"127.0.0.1:{port}", tmp_path / "file")
        await asyncio.gather(*filter(None, scanner.talks))


@pytest.mark.parametrize(
    "answer", [b"INSTREAM size limit exceeded. ERROR\0", b"rubbish\0", b"cut", b""]
)
async def test_a_scanner_that_did_not_look_lets_nothing_pass(tmp_path: Path, answer: bytes) -> None:
    """An error, no protocol, half an answer, none in time."""
    (tmp_path / "file").write_bytes(b"x")
    async with listening(tmp_path) as (scanner, place):
        scanner.answers = answer
        with pytest.raises(ScannerAway):
            await infected(place, tmp_path / "file", within_s=0.2)


async def test_a_scanner_that_is_not_there_lets_nothing_pass(tmp_path: Path) -> None:
    """It is set, so it is asked."""
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(ScannerAway):
        await infected(str(tmp_path / "none"), tmp_path / "file")


@pytest.mark.parametrize("wrong", ["clamd", "host:", ":3310", "host:0", "host:99999", "host:x"])
def test_a_place_that_is_none_is_named(wrong: str) -> None:
    """At the start, not at the first file."""
    with pytest.raises(BadSetting, match="YANASHA_CLAMD"):
        Settings.from_env({"YANASHA_CLAMD": wrong})
    assert Settings.from_env({"YANASHA_CLAMD": "[::1]:3310"}).clamd == "[::1]:3310"
