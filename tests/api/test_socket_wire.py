"""The short way of binary messages: cut as uvicorn cuts, handed over at once, held back when full."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest
import uvicorn
from litestar.types import Receive, Scope, Send
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.server import ServerState
from websockets.frames import Close, Frame, Opcode

from api.__main__ import WS_MAX_BYTES
from api.live import Tab
from api.recorders import FRAMES_AT_ONCE, FRAMES_WAITING, Recorder
from api.socket_wire import Protocol
from devices.frames import EcgFrame

FRAME = EcgFrame(uuid4(), 0, 0, b"\0\0")
ASK = (
    b"GET {} HTTP/1.1\r\nHost: yanasha\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class _Line(asyncio.Transport):
    """The connection's other end: what is written to it, and whether it is read from."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.reads, self.closed = True, False

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"sockname": ("127.0.0.1", 1), "peername": ("127.0.0.1", 2)}.get(name, default)


@dataclass
class _Link:
    """A handler that listens when it is told to, and what it is given."""

    early: bytes = b""
    line: _Line = field(default_factory=_Line)
    heard: list[bytes] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    accepted: asyncio.Event = field(default_factory=asyncio.Event)
    listens: asyncio.Event = field(default_factory=asyncio.Event)
    hears: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    wire: Protocol = field(init=False)

    def __post_init__(self) -> None:
        config = uvicorn.Config(
            self._app,
            ws=Protocol,
            ws_max_size=WS_MAX_BYTES,
            ws_per_message_deflate=False,
            log_config=None,
            interface="asgi3",
        )
        config.load()
        self.wire = Protocol(config, ServerState(), {})
        self.wire.connection_made(self.line)
        self.wire.data_received(ASK.replace(b"{}", b"/ws/device") + self.early)

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept", "subprotocol": None, "headers": []})
        self.accepted.set()
        wire = scope["extensions"]["yanasha.wire"]  # type: ignore[index]
        assert wire is self.wire
        await self.listens.wait()
        self.wire.listen(self.heard.append)
        self.hears.set()
        message: Any = await receive()
        while message["type"] == "websocket.receive":
            self.texts.append(message["text"])
            message = await receive()
        self.ended.set()

    async def answered(self) -> int:
        """The close code that came back."""
        await asyncio.wait_for(self.ended.wait(), 5)
        assert self.line.closed
        at = self.line.written.rindex(b"\x88")
        return Close.parse(self.line.written[at + 2 :]).code

    async def opened(self) -> "_Link":
        """Listen, and wait until it does."""
        self.listens.set()
        await asyncio.wait_for(self.hears.wait(), 5)
        return self


@pytest.fixture
async def link() -> AsyncIterator[_Link]:
    """A link whose handshake is done and that nobody listens to yet."""
    one = _Link()
    await asyncio.wait_for(one.accepted.wait(), 5)
    yield one
    one.wire.connection_lost(None)
    one.listens.set()
    await one.ended.wait()


def sent(opcode: Opcode, data: bytes, *, fin: bool = True) -> bytes:
    """A frame as a client sends it."""
    return Frame(opcode, data, fin=fin).serialize(mask=True)


@pytest.mark.parametrize("step", [1, 2, 3, 5, 64, 10_000])
async def test_messages_are_the_same_however_their_bytes_come(link: _Link, step: int) -> None:
    """Small, long, empty and in fragments; between them pings and a text, behind them the end."""
    await link.opened()
    said = b"".join(
        (
            sent(Opcode.BINARY, b"small"),
            sent(Opcode.PING, b"there?"),
            sent(Opcode.BINARY, b"long " * 100),
            sent(Opcode.BINARY, b"in ", fin=False),
            sent(Opcode.PING, b"still?"),
            sent(Opcode.CONT, b"pieces"),
            sent(Opcode.TEXT, b"text"),
            sent(Opcode.BINARY, b""),
            sent(Opcode.CLOSE, Close(1000, "").serialize()),
        )
    )
    for at in range(0, len(said), step):
        link.wire.data_received(said[at : at + step])
    assert await link.answered() == 1000
    assert link.heard == [b"small", b"long " * 100, b"in pieces", b""]
    assert link.texts == ["text"]
    assert b"\x8a\x06there?" in link.line.written
    assert b"\x8a\x06still?" in link.line.written


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (b"\x82\xff" + (70_000).to_bytes(8, "big"), 1009),
        (b"\x82\x05small", 1002),
        (b"\xc2\x85\0\0\0\0small", 1002),
        (sent(Opcode.BINARY, b"in ", fin=False) + sent(Opcode.BINARY, b"new"), 1002),
    ],
    ids=["too long", "unmasked", "packed", "in a message"],
)
async def test_what_breaks_the_rules_is_refused_from_its_head_on(
    link: _Link, said: bytes, code: int
) -> None:
    await link.opened()
    link.wire.data_received(sent(Opcode.BINARY, b"good") + said)
    assert await link.answered() == code
    assert link.heard == [b"good"]


async def test_what_came_before_somebody_listened_is_heard_first(link: _Link) -> None:
    link.wire.data_received(sent(Opcode.BINARY, b"1") + sent(Opcode.BINARY, b"2"))
    assert not link.line.reads
    await link.opened()
    assert link.line.reads
    link.wire.data_received(sent(Opcode.BINARY, b"3"))
    assert link.heard == [b"1", b"2", b"3"]
    link.wire.deafen()
    link.wire.data_received(sent(Opcode.BINARY, b"4"))
    assert link.heard == [b"1", b"2", b"3"]


async def test_a_client_is_held_back_until_it_may_go_on(link: _Link) -> None:
    await link.opened()
    link.wire.hold()
    assert not link.line.reads
    link.wire.go_on()
    assert link.line.reads


async def test_a_recorder_that_pours_is_read_again_only_where_there_is_room(link: _Link) -> None:
    """A read brings more frames than a group takes: after each group they would only grow."""
    await link.opened()
    recorder = Recorder(uuid4(), Tab(), link.heard.append, wire=link.wire)  # type: ignore[arg-type]
    recorder.waiting = [FRAME] * (FRAMES_WAITING + 2 * FRAMES_AT_ONCE)
    link.wire.hold()
    reads = []
    while recorder.waiting:
        recorder.taken()
        reads.append((len(recorder.waiting), link.line.reads))
    assert reads == [(left, left < FRAMES_WAITING) for left in (600, 400, 200, 0)]


async def test_a_client_that_is_held_back_may_still_close(link: _Link) -> None:
    await link.opened()
    link.wire.hold()
    link.wire.deafen()
    assert link.line.reads


@pytest.mark.parametrize("part", [2, 4, 9, 11])
async def test_who_speaks_before_the_answer_is_understood(part: int) -> None:
    """Its first message begins with the handshake: to cut from there on would be in its middle."""
    message = sent(Opcode.BINARY, b"early")
    link = await _Link(message[:part]).opened()
    link.wire.data_received(message[part:] + sent(Opcode.BINARY, b"next"))
    assert link.heard == [b"early", b"next"]
    link.wire.connection_lost(None)
    await link.ended.wait()


async def test_what_is_written_to_a_socket_that_is_gone_says_so() -> None:
    link = await _Link().opened()
    assert link.wire.free
    link.wire.connection_lost(None)
    assert not link.wire.free
    with pytest.raises(ClientDisconnected):
        link.wire.write(link.wire.framed(b"{}", text=True))
    await link.ended.wait()
