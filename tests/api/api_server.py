"""The application under a real uvicorn on loopback, and clients of its sockets."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import numpy as np
import uvicorn
from api_faults import AUTHORITIES
from api_world import API, World
from litestar import Litestar
from sqlalchemy import text
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from api.__main__ import uvicorn_options
from api.house import House
from devices.frames import encode, frame_of
from storage.settings import Settings

WITHIN_S = 30.0
RATE_HZ = 360
FRAME_SAMPLES = 72
# A page reads whatever comes, as browsers do. With a bounded queue the client of a page that nobody
# asks any more stops reading, sees no close and waits ten seconds for each of thirty.
UNREAD = None


@dataclass
class Server:
    """A running server."""

    app: Litestar
    port: int
    world: World

    @property
    def house(self) -> House:
        """What the process holds."""
        house: House = self.app.state.house
        return house

    @property
    def origin(self) -> str:
        """Origin of our own pages."""
        return f"http://127.0.0.1:{self.port}"

    def client(self, name: str | None = None) -> httpx.AsyncClient:
        """A client signed in as somebody, or as nobody."""
        cookies = {"yanasha": self.world.cookies[name]} if name else {}
        return httpx.AsyncClient(
            base_url=self.origin, cookies=cookies, timeout=WITHIN_S, verify=AUTHORITIES
        )

    async def ticket(self, name: str, visit: str = "visit") -> str:
        """A fresh ticket to a visit's socket."""
        async with self.client(name) as client:
            answer = await client.post(f"{API}/visits/{self.world[visit]}/ticket")
            assert answer.status_code == 201, answer.text
            ticket: str = answer.json()["ticket"]
            return ticket

    @asynccontextmanager
    async def page(self, name: str, visit: str = "visit") -> AsyncIterator["Page"]:
        """A visit's page that has said hello and was welcomed."""
        ticket = await self.ticket(name, visit)
        async with self.visit_socket(visit) as page:
            await page.hello(ticket)
            await page.of("welcome")
            yield page

    @asynccontextmanager
    async def visit_socket(
        self, visit: str = "visit", origin: str | None = None
    ) -> AsyncIterator["Page"]:
        """A visit's socket before its hello."""
        url = f"ws://127.0.0.1:{self.port}/ws/visits/{self.world[visit]}"
        async with connect(url, origin=origin or self.origin, max_queue=UNREAD) as ws:
            yield Page(ws)

    @asynccontextmanager
    async def browser_socket(self, who: str | None, room: str = "visit") -> AsyncIterator["Page"]:
        """A room's socket as a browser opens it: with the cookie of whoever is signed in there."""
        rooms = "lessons" if room.startswith("lesson") else "visits"
        url = f"ws://127.0.0.1:{self.port}/ws/{rooms}/{self.world[room]}"
        cookie = {"Cookie": f"yanasha={self.world.cookies[who]}"} if who else {}
        async with connect(
            url, origin=self.origin, additional_headers=cookie, max_queue=UNREAD
        ) as ws:
            yield Page(ws)

    @asynccontextmanager
    async def lesson_page(self, name: str, lesson: str = "lesson") -> AsyncIterator["Page"]:
        """A lesson's page that has said hello; its welcome is the first message kept."""
        async with self.client(name) as client:
            answer = await client.post(f"{API}/lessons/{self.world[lesson]}/ticket")
            assert answer.status_code == 201, answer.text
        async with self.lesson_socket(lesson) as page:
            await page.hello(answer.json()["ticket"])
            page.kept.append(await page.of("lesson_welcome"))
            yield page

    @asynccontextmanager
    async def lesson_socket(self, lesson: str = "lesson") -> AsyncIterator["Page"]:
        """A lesson's socket before its hello."""
        url = f"ws://127.0.0.1:{self.port}/ws/lessons/{self.world[lesson]}"
        async with connect(url, origin=self.origin, max_queue=UNREAD) as ws:
            yield Page(ws)

    async def ask(self, name: str | None, method: str, path: str, **more: Any) -> httpx.Response:
        """Ask for something of the lesson as somebody, or as nobody."""
        async with self.client(name) as client:
            url = f"{API}/lessons/{self.world['lesson']}{path}"
            return await client.request(method, url, **more)

    @asynccontextmanager
    async def recorder(self, name: str = "patient") -> AsyncIterator["Recorder"]:
        """A recorder's socket before its hello."""
        async with connect(f"ws://127.0.0.1:{self.port}/ws/device") as ws:
            yield Recorder(ws, self.world.device_tokens[f"{name}:recorder"])


@dataclass
class Page:
    """A client of a socket; messages that are not asked for yet are kept."""

    ws: ClientConnection
    kept: list[dict[str, Any]] = field(default_factory=list)
    frames: list[bytes] = field(default_factory=list)

    async def hello(self, ticket: str, **more: Any) -> None:
        """Say hello."""
        await self.say("hello", ticket=ticket, tab=str(uuid4()), **more)

    async def say(self, what: str, **more: Any) -> None:
        """Send one message."""
        await self.ws.send(json.dumps({"type": what, **more}))

    async def of(self, kind: str, **like: Any) -> dict[str, Any]:
        """The next message of this type whose fields are `like`, within WITHIN_S."""
        async with asyncio.timeout(WITHIN_S):
            while True:
                for message in self.kept:
                    if message["type"] == kind and like.items() <= message.items():
                        self.kept.remove(message)
                        return message
                await self._receive()

    async def frame(self) -> bytes:
        """The next binary message."""
        async with asyncio.timeout(WITHIN_S):
            while not self.frames:
                await self._receive()
        return self.frames.pop(0)

    async def closed(self) -> int:
        """The close code, within WITHIN_S."""
        try:
            async with asyncio.timeout(WITHIN_S):
                while True:
                    await self._receive()
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else 1006

    async def _receive(self) -> None:
        data = await self.ws.recv()
        if isinstance(data, bytes):
            self.frames.append(data)
        else:
            self.kept.append(json.loads(data))


@dataclass
class Recorder(Page):
    """A client of the device socket."""

    token: str = ""
    stream: UUID = field(default_factory=uuid4)
    started_us: int = field(default_factory=lambda: int(datetime.now(UTC).timestamp() * 1e6))

    def __init__(self, ws: ClientConnection, token: str) -> None:
        super().__init__(ws)
        self.token = token
        self.stream = uuid4()
        self.started_us = int((datetime.now(UTC).timestamp() - 60) * 1e6)

    def header(self, **changes: Any) -> dict[str, Any]:
        """What the recorder says of its stream."""
        return {
            "stream": str(self.stream),
            "rate_hz": RATE_HZ,
            "gain_per_mv": 200,
            "baseline": 1024,
            "lead": "MLII",
            **changes,
        }

    async def announce(self, **changes: Any) -> int:
        """Say hello; what is stored already."""
        await self.say("hello", token=self.token, stream=self.header(**changes))
        stored: int = (await self.of("ready"))["stored"]
        return stored

    def frame_bytes(self, sequence: int) -> bytes:
        """A frame of 200 ms with recognisable samples."""
        samples = np.arange(FRAME_SAMPLES, dtype=np.int16) + sequence
        at_us = self.started_us + sequence * 200_000
        return encode(frame_of(self.stream, sequence, at_us, samples))

    async def send(self, *sequences: int) -> None:
        """Send frames."""
        for sequence in sequences:
            await self.ws.send(self.frame_bytes(sequence))

    async def stored(self, sequence: int) -> None:
        """Wait until everything up to `sequence` is acknowledged."""
        async with asyncio.timeout(WITHIN_S):
            while (await self.of("stored"))["sequence"] < sequence:
                pass


async def until_waited_for(server: Server, table: str) -> None:
    """Until a statement waits for a lock on this table."""
    waiting = text("SELECT true FROM pg_locks WHERE relation = to_regclass(:t) AND NOT granted")
    async with server.world.sessions() as db, asyncio.timeout(WITHIN_S):
        while await db.scalar(waiting, {"t": table}) is None:
            await db.rollback()


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def serve(app: Litestar, settings: Settings) -> AsyncIterator[None]:
    """Serve the app until the block ends."""
    config = uvicorn.Config(app, **uvicorn_options(settings), lifespan="on")
    server = uvicorn.Server(config)
    task = asyncio.create_task(server._serve())  # serve() would take pytest's signal handlers
    async with asyncio.timeout(WITHIN_S):
        while not server.started:
            assert not task.done(), "the server ended while starting"
            await asyncio.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        await task
