"""What an authenticated request costs: a visit's readings over HTTP, beside an equal FastAPI app.

Both servers are processes of their own on the same stores and serve the same visits to the same
sessions; they take turns. The figure is requests per second of the server process's own processor
time, so that neither the client, PostgreSQL nor whatever else runs here is counted. Both must give
the same JSON, refuse a stranger, and leave one audit row a request.
"""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count, cycle
from uuid import UUID

import psutil
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from api.db import cookie_name
from bench.audit_read import fill
from bench.harness import Row, at_least, percentile
from bench.load import Connection
from people.sessions import start_session
from storage.engine import make_engine, sessions
from storage.settings import Settings
from tests.e2e.house import free_port

CONNECTIONS = 8
ROUNDS = 6
A_TURN = 300
LEAST = 1.15
STARTS_WITHIN_S = 30.0
OURS, PEER = "api", "bench.peer_fastapi"


@dataclass
class Server:
    """One of the two applications under uvicorn, and what its turns reached."""

    port: int
    process: psutil.Process
    rates: list[float] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    asked: int = 0

    def cpu_s(self) -> float:
        """Processor time that the server has used."""
        times = self.process.cpu_times()
        return float(times.user + times.system)


@dataclass(frozen=True)
class Ask:
    """One request of a signed-in doctor."""

    path: str
    headers: dict[str, str]


async def read_auth(settings: Settings) -> list[Row]:
    """Requests per second of processor time, ours beside the peer's."""
    engine = make_engine(settings.database_url)
    maker = sessions(engine)
    asks, foreign = await signed_in(settings, maker)
    async with maker() as db:
        before = await db.scalar(text("SELECT count(*) FROM audit_reads")) or 0
    with serving(OURS, settings) as ours, serving(PEER, settings) as peer:
        await _same(ours, peer, asks, foreign)
        for round_ in range(ROUNDS):
            for one in (ours, peer) if round_ % 2 else (peer, ours):
                await turn(one, asks)
    async with maker() as db:
        kept = await db.scalar(text("SELECT count(*) FROM audit_reads")) or 0
    await engine.dispose()
    assert kept - before == ours.asked + peer.asked, f"{kept - before} rows in the audit"
    ratio = statistics.median(a / b for a, b in zip(ours.rates, peer.rates, strict=True))
    mine, bare = statistics.median(ours.rates), statistics.median(peer.rates)
    return [
        at_least("read.auth", ratio, "x peer's, per CPU second", bar=LEAST, peer=1.0),
        Row("read.auth_rate", mine, "requests/s of CPU", bare),
        Row("read.auth_p95", _p95_ms(ours), f"ms, {CONNECTIONS} connections", _p95_ms(peer)),
    ]


async def signed_in(
    settings: Settings, maker: async_sessionmaker[AsyncSession]
) -> tuple[list[Ask], Ask]:
    """A clinic's doctors, each asking for his visit's readings; and one who asks for another's."""
    now = datetime.now(UTC)
    visits = await fill(maker, now)
    async with maker() as db, db.begin():
        headers = [await _session(db, settings, doctor, now) for doctor, _ in visits]
    asks = [
        Ask(f"/api/v1/visits/{visit}/readings", shown)
        for (_, visit), shown in zip(visits, headers, strict=True)
    ]
    return asks, Ask(asks[0].path, asks[1].headers)


async def _session(
    db: AsyncSession, settings: Settings, doctor: UUID, now: datetime
) -> dict[str, str]:
    made = await start_session(db, doctor, "127.0.0.0/24", now, staff=True)
    return {"Cookie": f"{cookie_name(settings)}={made.token}"}


@contextmanager
def serving(module: str, settings: Settings) -> Iterator[Server]:
    """Run one application on a port of its own."""
    port = free_port()
    environ = {**os.environ, **settings.to_env(), "YANASHA_HTTP_PORT": str(port)}
    process = subprocess.Popen(
        [sys.executable, "-m", module], env=environ, stderr=subprocess.DEVNULL
    )
    try:
        yield Server(port, psutil.Process(process.pid))
    finally:
        process.terminate()
        process.wait()


@asynccontextmanager
async def connections(server: Server, how_many: int) -> AsyncIterator[list[Connection]]:
    """So many open connections to a server, which may be starting yet."""
    until = time.perf_counter() + STARTS_WITHIN_S
    async with AsyncExitStack() as stack:
        opened: list[Connection] = []
        while len(opened) < how_many:
            try:
                opened.append(await stack.enter_async_context(Connection(server.port)))
            except ConnectionRefusedError:
                assert server.process.is_running(), "the server ended"
                assert time.perf_counter() < until, "the server did not start"
                await asyncio.sleep(0.1)
        yield opened


async def turn(server: Server, asks: Sequence[Ask]) -> None:
    """Ask so many times over all connections, and note what it cost the server."""
    waiting, left = cycle(asks), count(1)
    async with connections(server, CONNECTIONS) as opened:

        async def one(connection: Connection) -> None:
            while next(left) <= A_TURN:
                ask = next(waiting)
                asked = time.perf_counter()
                answer = await connection.ask("GET", ask.path, headers=ask.headers)
                assert answer.status == 200, answer.body.decode()
                server.waits.append(time.perf_counter() - asked)

        before = server.cpu_s()
        await asyncio.gather(*map(one, opened))
        server.rates.append(A_TURN / (server.cpu_s() - before))
    server.asked += A_TURN


async def _same(ours: Server, peer: Server, asks: Sequence[Ask], foreign: Ask) -> None:
    """Both give the same and refuse the same; this also warms them up."""
    async with connections(ours, 1) as (mine,), connections(peer, 1) as (other,):
        for ask in asks:
            answers = [await c.ask("GET", ask.path, headers=ask.headers) for c in (mine, other)]
            assert [a.status for a in answers] == [200, 200], answers
            one, two = (json.loads(answer.body) for answer in answers)
            assert _plain(one) == _plain(two), (one, two)
            assert len(one) > 0
        for connection in (mine, other):
            refused = await connection.ask("GET", foreign.path, headers=foreign.headers)
            assert refused.status == 404, refused.body.decode()
    ours.asked += len(asks)
    peer.asked += len(asks)


def _plain(readings: list[dict[str, object]]) -> list[dict[str, object]]:
    """Times as times: each library writes them in its own way."""
    times = ("taken_at", "received_at")
    return [
        one | {name: datetime.fromisoformat(str(one[name])) for name in times} for one in readings
    ]


def _p95_ms(server: Server) -> float:
    return percentile(server.waits, 0.95) * 1000
