"""A small server for devices: real sockets, the documented messages, and outages on demand."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from devices.frames import MISSING, decode


class Ward:
    """Takes frames as the product does: stores each once, acknowledges what is there without hole."""

    def __init__(self) -> None:
        self.received: list[int] = []
        self.stored: dict[int, bytes] = {}
        self.hellos: list[dict[str, Any]] = []
        self.acknowledge = True
        self.refuse: tuple[str, int] | None = None
        self.refuse_frame: tuple[int, str, int] | None = None
        self.unreadable: set[int] = set()
        self.first_word: str | None = None
        self.url = ""
        self.server: Server | None = None
        self.changed = asyncio.Condition()

    @property
    def contiguous(self) -> int:
        """The last sequence with every one before it."""
        last = -1
        while last + 1 in self.stored:
            last += 1
        return last

    async def until(self, holds: Callable[[], bool]) -> None:
        """Return when it holds, however many frames that takes."""
        async with self.changed:
            await self.changed.wait_for(holds)

    async def visit(self, socket: ServerConnection) -> None:
        """One connection of one recorder."""
        try:
            self.hellos.append(json.loads(await socket.recv()))
            async with self.changed:
                self.changed.notify_all()
            if self.refuse is not None:
                await self._refuse(socket, *self.refuse)
                return
            if self.first_word is not None:
                await socket.send(self.first_word)
                self.first_word = None
                await socket.wait_closed()
                return
            await socket.send(json.dumps({"type": "ready", "stored": self.contiguous}))
            async for data in socket:
                assert isinstance(data, bytes)
                frame = decode(data)
                if self.refuse_frame is not None and self.refuse_frame[0] == frame.sequence:
                    await self._refuse(socket, *self.refuse_frame[1:])
                    return
                if frame.sequence in self.unreadable and set(frame.samples.tolist()) != {MISSING}:
                    await self._refuse(socket, "malformed_body", 1008)
                    return
                self.received.append(frame.sequence)
                assert self.stored.setdefault(frame.sequence, data) == data
                async with self.changed:
                    self.changed.notify_all()
                if self.acknowledge:
                    await socket.send(json.dumps({"type": "stored", "sequence": self.contiguous}))
        except ConnectionClosed:
            return

    async def _refuse(self, socket: ServerConnection, code: str, close: int) -> None:
        await socket.send(json.dumps({"type": "problem", "code": code}))
        await socket.close(close)


@asynccontextmanager
async def ward() -> AsyncIterator[Ward]:
    """A ward on a free port of loopback."""
    one = Ward()
    # What still comes is read on after a refusal: a full queue would hold the closing up.
    async with serve(one.visit, "127.0.0.1", 0, max_queue=None) as server:
        one.server = server
        port = next(iter(server.sockets)).getsockname()[1]
        one.url = f"ws://127.0.0.1:{port}/ws/device"
        yield one


class Desk:
    """Takes readings over HTTP; `answers` are given first, in turn, then everything is stored.

    An answer of text is somebody else's page, one of bytes is packed; `retry_after` goes with whatever is no success.
    """

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, Any] | str | bytes] | None] = []
        self.retry_after = ""
        self.bodies: list[dict[str, Any]] = []
        self.tokens: list[str | None] = []
        self.refuse_values_above: float = float("inf")
        self.url = ""
        self.clock: datetime | None = None  # as it is shown to whoever says hello

    def answer(
        self, body: dict[str, Any], token: str | None
    ) -> tuple[int, dict[str, Any] | str | bytes] | None:
        """What this request gets; None ends the connection without a word."""
        self.bodies.append(body)
        self.tokens.append(token)
        if self.answers:
            return self.answers.pop(0)
        for index, reading in enumerate(body["readings"]):
            if max(reading["values"].values()) > self.refuse_values_above:
                errors = [{"field": f"readings[{index}].values", "code": "out_of_range"}]
                return 422, {"code": "bad_measurement", "errors": errors}
        return 201, {"results": [{"sequence": r["sequence"]} for r in body["readings"]]}


@contextmanager
def desk() -> Iterator[Desk]:
    """A desk on a free port of loopback."""
    one = Desk()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(200)
            if one.clock is not None:
                self.send_header("date", format_datetime(one.clock, usegmt=True))
            self.send_header("content-length", "0")
            self.end_headers()

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            answer = one.answer({"path": self.path} | body, self.headers["authorization"])
            if answer is None:
                self.connection.close()
                return
            told = answer[1]
            self.send_response(answer[0])
            if isinstance(told, bytes):
                self.send_header("content-encoding", "gzip")
                content = told
            else:
                content = (told if isinstance(told, str) else json.dumps(told)).encode()
            if one.retry_after and answer[0] >= 300:
                self.send_header("retry-after", one.retry_after)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Tests do not read access logs."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    one.url = f"http://127.0.0.1:{server.server_address[1]}"
    # Half a second, the default, is what each test would wait at its end.
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield one
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
