"""What our writers cost beside the drivers themselves, on the stores as the product runs them.

Ours and the peer take turns on the same stores in the same run; a figure is the median turn. Only
the ratio between them means anything on another machine. `python -m bench.storage PART…` measures
these parts alone.
"""

import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from urllib.parse import urlsplit

import psycopg
import urllib3
from minio import Minio
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from bench.audit_read import audit_read
from bench.files import zoo_of_files
from bench.guesses import guesses
from bench.harness import Row, at_least, keeps_up, percentile, report
from bench.ingest import readings_chart, readings_kills, readings_speed
from bench.migration import migration
from bench.objects import sealed_objects
from bench.requests import read_auth
from bench.restore import restore_demo
from bench.sign_ins import sign_ins
from bench.stores import running_stores
from storage import migrate
from storage.engine import make_engine, sessions
from storage.ingest import IngestWriter
from storage.jobs import enqueue
from storage.s3 import S3Objects
from storage.settings import Settings

TURNS = 5
TURN_S = 2.0
SUBMITTERS = 200
CONNECTIONS = 16
OBJECTS = 300
AT_ONCE = 16
SMALL = b"x" * 1024
LARGE = bytes(1024) * 16 * 1024
# A small call pays for the way to its thread and back; a large one must not notice it.
LEAST = {"small": 0.5, "large": 0.8}
JOBS = 300

TABLE = """
    CREATE TABLE IF NOT EXISTS bench_rows (
        device bigint, sequence bigint, taken timestamptz, value float8,
        PRIMARY KEY (device, sequence)
    )
"""
ONE = "INSERT INTO bench_rows VALUES (%b, %b, now(), %b) ON CONFLICT DO NOTHING"
MANY = """
    INSERT INTO bench_rows
    SELECT device, sequence, now(), value
    FROM unnest(%b::bigint[], %b::bigint[], %b::float8[]) AS new (device, sequence, value)
    ON CONFLICT DO NOTHING
"""

Item = tuple[int, int, float]


@dataclass
class Turns:
    """What the turns of one side reached: rates, and every wait in seconds."""

    rates: list[float] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Median turn."""
        return statistics.median(self.rates)

    @property
    def p99_ms(self) -> float:
        """99 of 100 were answered within."""
        return percentile(self.waits, 0.99) * 1000


class Devices:
    """Many devices, each with one reading on its way; counts what was acknowledged."""

    def __init__(self) -> None:
        self.acknowledged = 0
        self._next = [0] * SUBMITTERS

    async def turn(
        self, into: Turns, senders: Sequence[Callable[[Item], Awaitable[object]]]
    ) -> None:
        """Let every sender send one reading after the other for a turn."""
        until = time.perf_counter() + TURN_S
        before = self.acknowledged
        began = time.perf_counter()

        async def one(device: int, send: Callable[[Item], Awaitable[object]]) -> None:
            while (sent := time.perf_counter()) < until:
                self._next[device] += 1
                await send((device, self._next[device], 36.6))
                self.acknowledged += 1
                into.waits.append(time.perf_counter() - sent)

        await asyncio.gather(*(one(device, send) for device, send in enumerate(senders)))
        into.rates.append((self.acknowledged - before) / (time.perf_counter() - began))


async def apply(db: AsyncSession, items: Sequence[Item]) -> list[int | Exception]:
    """Insert a batch by one statement on the driver's connection."""
    connection = (await (await db.connection()).get_raw_connection()).driver_connection
    assert isinstance(connection, psycopg.AsyncConnection)
    columns = [list(column) for column in zip(*items, strict=True)]
    await connection.execute(MANY, columns, prepare=True)
    return [item[1] for item in items]


async def ingest(settings: Settings) -> list[Row]:
    """Rows per second through the writer, beside single-row commits on 16 connections."""
    url = settings.database_url
    engine = await _with_table(url)
    direct = [
        await psycopg.AsyncConnection.connect(url, autocommit=True) for _ in range(CONNECTIONS)
    ]
    devices, ours, peer = Devices(), Turns(), Turns()
    async with IngestWriter(sessions(engine), apply) as writer:
        through_writer = [lambda item: writer.submit([item])] * SUBMITTERS
        singly = [partial(connection.execute, ONE, prepare=True) for connection in direct]
        for _ in range(TURNS):
            await devices.turn(peer, singly)
            await devices.turn(ours, through_writer)
    for connection in direct:
        await connection.close()
    async with engine.connect() as db:
        stored = (await db.execute(text("SELECT count(*) FROM bench_rows"))).scalar_one()
    await engine.dispose()
    assert stored == devices.acknowledged, f"{devices.acknowledged - stored} acknowledged are lost"
    single = f"{peer.rate:,.0f} rows/s"
    ratio = ours.rate / peer.rate
    return [
        at_least("ingest.group_commit", ratio, "x single commits", peer=single, bar=2.5),
        Row("ingest.rows", ours.rate, "rows/s", peer.rate),
        Row("ingest.ack_p99", ours.p99_ms, "ms", peer.p99_ms),
        Row("ingest.lost", devices.acknowledged - stored, "of acknowledged", None, "0", holds=True),
    ]


def _all(pool: ThreadPoolExecutor, bare: Callable[[str], object], names: list[str]) -> None:
    list(pool.map(bare, names))


async def _side_by_side(
    count: int, ours: Callable[[str], Awaitable[object]], bare: Callable[[str], object]
) -> tuple[float, float]:
    """Calls per second of ours and of the bare blocking client, AT_ONCE at a time, in turns."""
    rates: tuple[list[float], list[float]] = ([], [])
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for turn in range(TURNS):
            names = [f"bench/{turn}/{number}" for number in range(count)]
            began = time.perf_counter()
            await asyncio.to_thread(_all, pool, bare, names)
            between = time.perf_counter()
            waiting = iter(names)

            async def worker(waiting: Iterator[str] = waiting) -> None:
                for name in waiting:
                    await ours(name)

            await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
            rates[0].append(count / (time.perf_counter() - between))
            rates[1].append(count / (between - began))
    return statistics.median(rates[0]), statistics.median(rates[1])


async def objects(settings: Settings) -> list[Row]:
    """Our interface beside minio called from plain threads, on the same bucket."""
    ours = S3Objects(settings)
    await ours.make_bucket()
    client = Minio(
        urlsplit(settings.s3_endpoint).netloc,
        settings.s3_access_key,
        settings.s3_secret_key,
        secure=False,
        region=settings.s3_region,
        http_client=urllib3.PoolManager(maxsize=AT_ONCE),
    )
    bucket = settings.s3_bucket

    def put(name: str, data: bytes) -> None:
        client.put_object(bucket, name, BytesIO(data), len(data))

    def get(name: str, size: int) -> None:
        response = client.get_object(bucket, name)
        assert len(response.read()) == size
        response.release_conn()

    rows = []
    for kind, data, count in (("small", SMALL, OBJECTS), ("large", LARGE, 4)):
        unit = "objects/s of 1 KiB" if kind == "small" else "objects/s of 16 MiB"
        mine, bare = await _side_by_side(
            count, partial(ours.put, data=data), partial(put, data=data)
        )
        times = LEAST[kind]
        rows.append(keeps_up(f"objects.put_{kind}", mine, unit, peer=bare, times=times))
        mine, bare = await _side_by_side(count, ours.get, partial(get, size=len(data)))
        rows.append(keeps_up(f"objects.get_{kind}", mine, unit, peer=bare, times=times))
    ours.close()
    return rows


async def jobs(settings: Settings) -> list[Row]:
    """Jobs enqueued in the transaction of their record, beside the record's own insert."""
    engine = await _with_table(settings.database_url)
    insert = text("INSERT INTO bench_rows VALUES (-1, :sequence, now(), 0)")
    rates: tuple[list[float], list[float]] = ([], [])
    for turn in range(TURNS):
        async with sessions(engine)() as db, db.begin():
            began = time.perf_counter()
            for number in range(JOBS):
                await db.execute(insert, {"sequence": turn * JOBS + number})
            between = time.perf_counter()
            for number in range(JOBS):
                await enqueue(db, "bench.job", number=number)
            rates[0].append(JOBS / (time.perf_counter() - between))
            rates[1].append(JOBS / (between - began))
    await engine.dispose()
    ours, peer = (statistics.median(side) for side in rates)
    return [Row("jobs.enqueue", ours, "jobs/s in a transaction", peer)]


async def _with_table(url: str) -> AsyncEngine:
    """An engine on a database that has the table of the bare rows."""
    engine = make_engine(url)
    async with engine.begin() as db:
        await db.execute(text(TABLE))
    return engine


PARTS: dict[str, Callable[[Settings], Awaitable[list[Row]]]] = {
    "ingest": ingest,
    "objects": objects,
    "sealed": sealed_objects,
    "jobs": jobs,
    "audit": audit_read,
    "requests": read_auth,
    "signin": sign_ins,
    "guesses": guesses,
    "readings": readings_speed,
    "kills": readings_kills,
    "chart": readings_chart,
    "migration": migration,
    "files": zoo_of_files,
    "restore": restore_demo,
}


async def main(chosen: Sequence[str]) -> int:
    """Measure on fresh stores; 1 when a promise does not hold."""
    rows: list[Row] = []
    with running_stores() as settings:
        await asyncio.to_thread(migrate.upgrade, settings.database_url)
        for part in chosen or PARTS:
            rows += await PARTS[part](settings)
    return report("-".join(("storage", *chosen)), rows)


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
