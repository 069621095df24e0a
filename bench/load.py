"""The started product under load, over HTTP from another process, every reading counted.

Readings go to `POST /api/v1/readings` in batches and one by one, people read their day. The peer
is `/healthz` of the same server by the same client, requests per second: what a request costs
before any work is done.
Client and server share the machine, so figures of two machines cannot be compared.
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any, Self

import msgspec
import psycopg

from bench.harness import Row, percentile, report
from storage.settings import Settings
from tests.e2e.house import House

CONNECTIONS = 32
BATCH = 50
TURNS = 3
TURN_S = 3.0


class Answer(msgspec.Struct, frozen=True):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes


class Connection:
    """One kept-alive HTTP/1.1 connection; knows just what our own server answers."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def __aenter__(self) -> Self:
        self._read, self._write = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._write.close()
        await self._write.wait_closed()

    async def ask(
        self, method: str, path: str, *, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> Answer:
        """Send a request and read its answer."""
        lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        self._write.write("\r\n".join([*lines, "", ""]).encode() + body)
        first, *rest = (await self._read.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = (line.split(": ", 1) for line in rest if line)
        found = {name.lower(): value for name, value in pairs}
        answer = await self._read.readexactly(int(found.get("content-length", 0)))
        return Answer(int(first.split()[1]), found, answer)


@dataclass
class Turns:
    """Requests per second of each turn, and every answer's time in seconds."""

    rates: list[float] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Median turn."""
        return sorted(self.rates)[len(self.rates) // 2]


class Load:
    """The connections of one run against one started product."""

    def __init__(self, house: House, connections: list[Connection]) -> None:
        self.connections = connections
        self.devices = [
            {"Authorization": f"Bearer {device['token']}", "Content-Type": "application/json"}
            for device in house.world["devices"]
            if "blood_pressure" in device["kinds"]
        ]
        self.house = house
        self.sequence = count(1)
        self.acknowledged = 0

    async def turn(
        self, into: Turns, ask: Callable[[Connection, int], Awaitable[Answer]], *, status: int
    ) -> None:
        """Keep every connection busy for a turn; any other status ends the run."""
        until = time.perf_counter() + TURN_S
        began = time.perf_counter()
        before = len(into.waits)

        async def one(number: int, connection: Connection) -> None:
            while (asked := time.perf_counter()) < until:
                answer = await ask(connection, number)
                assert answer.status == status, answer.body.decode()
                into.waits.append(time.perf_counter() - asked)

        await asyncio.gather(*(one(*numbered) for numbered in enumerate(self.connections)))
        into.rates.append((len(into.waits) - before) / (time.perf_counter() - began))

    def sends(self, size: int) -> Callable[[Connection, int], Awaitable[Answer]]:
        """Give the request of `size` new readings; every acknowledged one is counted."""

        async def ask(connection: Connection, number: int) -> Answer:
            body = msgspec.json.encode({"readings": [self._reading() for _ in range(size)]})
            device = self.devices[number % len(self.devices)]
            answer = await connection.ask("POST", "/api/v1/readings", body=body, headers=device)
            self.acknowledged += size if answer.status == 201 else 0
            return answer

        return ask

    def _reading(self) -> dict[str, Any]:
        return {
            "kind": "blood_pressure",
            "sequence": next(self.sequence),
            "taken_at": datetime.now(UTC),
            "unit": "mmHg",
            "values": {"systolic": 124, "diastolic": 81, "pulse": 67},
        }

    async def cookie(self) -> dict[str, str]:
        """Sign a doctor in, as a page would."""
        visit = self.house.world["visits"][0]
        doctor = self.house.person(visit["doctor_id"])
        body = msgspec.json.encode({"login": doctor["login"], "password": doctor["password"]})
        headers = {"Content-Type": "application/json", "Origin": self.house.url}
        answer = await self.connections[0].ask(
            "POST", "/api/v1/sign-in", body=body, headers=headers
        )
        assert answer.status == 201, answer.body.decode()
        return {"Cookie": answer.headers["set-cookie"].partition(";")[0]}

    async def stored(self) -> int:
        """Count the readings that are in the database."""
        url = Settings.from_env(self.house.environ).database_url
        async with await psycopg.AsyncConnection.connect(url) as connection:
            found = await (await connection.execute("SELECT count(*) FROM readings")).fetchone()
        assert found is not None
        return int(found[0])


async def measure(load: Load) -> list[Row]:
    """Take turns: nothing, readings in batches, readings one by one, days."""
    cookie = await load.cookie()
    today = f"/api/v1/day?date={datetime.now(UTC).date()}"
    before = await load.stored()
    idle, batches, singles, reads = Turns(), Turns(), Turns(), Turns()
    for _ in range(TURNS):
        await load.turn(idle, lambda c, _: c.ask("GET", "/healthz"), status=200)
        await load.turn(batches, load.sends(BATCH), status=201)
        await load.turn(singles, load.sends(1), status=201)
        await load.turn(reads, lambda c, _: c.ask("GET", today, headers=cookie), status=200)
    lost = before + load.acknowledged - await load.stored()
    bare = idle.rate
    return [
        Row("load.ingest", batches.rate * BATCH, f"readings/s, {BATCH} a request", bare),
        Row("load.ingest_ack_p99", percentile(batches.waits, 0.99) * 1000, "ms"),
        Row("load.ingest_single", singles.rate, "readings/s, 1 a request", bare),
        Row("load.ingest_single_ack_p99", percentile(singles.waits, 0.99) * 1000, "ms"),
        Row("load.ingest_lost", lost, "of acknowledged", None, "0", lost == 0),
        Row("load.read", reads.rate, "requests/s", bare),
        Row("load.read_p95", percentile(reads.waits, 0.95) * 1000, "ms"),
    ]


async def _run(house: House) -> list[Row]:
    async with AsyncExitStack() as stack:
        connections = [
            await stack.enter_async_context(Connection(house.http_port)) for _ in range(CONNECTIONS)
        ]
        return await measure(Load(house, connections))


def main() -> int:
    """Start the product in a folder of its own, measure, stop it."""
    house = House.fresh()
    try:
        house.start()
        house.seed()
        return report("load", asyncio.run(_run(house)))
    finally:
        house.stop()
        house.remove()


if __name__ == "__main__":
    sys.exit(main())
