"""Readings at speed: the started product over HTTP beside the bare driver, kills, a year's chart.

The peer inserts the same rows by the driver, a hundred a commit, one connection, into a table with
the same columns and the device's number as its key, and nothing else: no checks, no month, no hours
and days, no second index. Both sides take turns in one run, on the same PostgreSQL.

A single reading's wait is measured twice: with a hundred devices that measure once a second each,
which is the bar's, and with a hundred that send the next one as soon as the last is acknowledged,
where the wait is a hundred over what one process answers and says nothing else.
"""

import asyncio
import hashlib
import itertools
import math
import secrets
import statistics
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import psycopg
from sqlalchemy import text

from bench.harness import Row, at_least, at_most, percentile
from bench.load import Connection
from devices.measurement import Kind
from ops.seed import seed
from people.audit import WRITE_PATH
from people.relations import actor_of
from storage.engine import libpq_url, make_engine, new_id, sessions
from storage.settings import Settings
from telemed.charts import Asked, record_chart
from telemed.months import filling, make_months, month_of
from tests.e2e.house import House

BATCH = 100
TURNS = 3
TURN_S = 1.5
SENDERS = 8
PACE_S = 1.0
PACED_S = 6.0
PART_S = 75.0
BETWEEN_KILLS = 100
DEVICES = 100
KILLS = 4
YEAR_MINUTES = 365 * 24 * 60

_PEER_TABLE = """
    CREATE TABLE bench_readings (
        id uuid NOT NULL, device_id uuid, person_id uuid NOT NULL, sequence bigint,
        kind text NOT NULL, taken_at timestamptz NOT NULL, received_at timestamptz NOT NULL,
        "values" jsonb NOT NULL, unit text NOT NULL, sent_values jsonb NOT NULL,
        sent_unit text NOT NULL, flags text[] NOT NULL, content bytea NOT NULL,
        PRIMARY KEY (device_id, sequence))
"""
_PEER_INSERT = """
    INSERT INTO bench_readings
    SELECT id, device, person, sequence, 'heart_rate', at, at, body::jsonb, '/min', body::jsonb,
           '/min', '{}', content
    FROM unnest(%b::uuid[], %b::uuid[], %b::uuid[], %b::bigint[], %b::timestamptz[], %b::text[],
                %b::bytea[]) AS new (id, device, person, sequence, at, body, content)
    ON CONFLICT DO NOTHING
"""
# A year, a reading a minute, with a spike and a dip in every week; a month of it at a time.
_YEAR = """
    WITH new AS (
        SELECT gen_random_uuid() AS id, CAST(:device AS uuid) AS device_id,
               CAST(:person AS uuid) AS person_id, 2000000 + n AS sequence, 'heart_rate' AS kind,
               at AS taken_at, jsonb_build_object('rate', CASE n % 10080 WHEN 77 THEN 210
                   WHEN 99 THEN 31 ELSE 60 + n % 25 END) AS "values"
        FROM (SELECT n, CAST(:since AS timestamptz) + n * interval '1 minute' AS at
              FROM generate_series(0, :last) AS n) AS year
        WHERE at >= 'since_' AND at < 'until_'
    ), keys AS (
        INSERT INTO reading_keys (device_id, sequence, taken_at)
        SELECT device_id, sequence, taken_at FROM new
    ), stored AS (
        INSERT INTO month_ (id, device_id, person_id, sequence, kind, taken_at, received_at,
                            "values", unit, sent_values, sent_unit, flags, content)
        SELECT id, device_id, person_id, sequence, kind, taken_at, taken_at, "values", '/min',
               "values", '/min', '{}', '\\x00' FROM new
        RETURNING person_id, kind, taken_at, "values"
    )
"""


@dataclass(frozen=True)
class Device:
    """A device of the run with its token and its own counter."""

    id: UUID
    person: UUID
    headers: dict[str, str]
    numbers: "itertools.count[int]"


class Ingest:
    """The senders of one run against one started product."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.url = libpq_url(Settings.from_env(house.environ).database_url)
        self.acknowledged = 0

    async def devices(self) -> list[Device]:
        """Make devices, each of one of the demo's patients in turn."""
        patients = sorted({UUID(one["person_id"]) for one in self.house.world["devices"]})
        made = []
        async with await psycopg.AsyncConnection.connect(self.url) as db:
            for number, person in zip(range(DEVICES), itertools.cycle(patients), strict=False):
                token = secrets.token_urlsafe(32)
                device = new_id()
                await db.execute(
                    "INSERT INTO devices (id, person_id, kind, name, kinds, token_sha256,"
                    " created_at) VALUES (%s, %s, 'cuff', %s, '{heart_rate}', %s, now())",
                    (device, person, f"Bench {number}", hashlib.sha256(token.encode()).digest()),
                )
                headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
                made.append(Device(device, person, headers, itertools.count(1)))
        return made

    async def send(self, link: Connection, device: Device, size: int) -> float:
        """Send so many new readings; give the seconds until they were acknowledged."""
        began = time.perf_counter()
        answer = await link.ask(
            "POST", "/api/v1/readings", body=_body(device, size), headers=device.headers
        )
        assert answer.status == 201, answer.body.decode()
        self.acknowledged += size
        return time.perf_counter() - began

    async def turn(self, links: list[Connection], devices: list[Device], size: int) -> list[float]:
        """Keep every link busy for a turn, a device each; give the waits."""
        until = time.perf_counter() + TURN_S
        waits: list[float] = []

        async def one(link: Connection, device: Device) -> None:
            while time.perf_counter() < until:
                waits.append(await self.send(link, device, size))

        await asyncio.gather(*(one(*pair) for pair in zip(links, devices, strict=False)))
        return waits

    async def paced(self, links: list[Connection], devices: list[Device]) -> list[float]:
        """Let every device measure once a pace, each at a moment of its own; give the waits."""
        began = time.perf_counter()
        waits: list[float] = []

        async def one(number: int, link: Connection, device: Device) -> None:
            due = began + PACE_S * number / len(devices)
            while due < began + PACED_S:
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                sent = await self.send(link, device, 1)
                # Counted from when it was due: a device that waits for its turn waits, too.
                waits.append(max(sent, time.perf_counter() - due))
                due += PACE_S

        numbered = enumerate(zip(links, devices, strict=True))
        await asyncio.gather(*(one(number, *pair) for number, pair in numbered))
        return waits


def _body(device: Device, size: int, since: datetime | None = None) -> bytes:
    """A reading a second, the last one now."""
    at = since or datetime.now(UTC) - timedelta(seconds=size)
    sent = [
        {
            "kind": "heart_rate",
            "sequence": next(device.numbers),
            "taken_at": at + timedelta(seconds=n),
            "unit": "/min",
            "values": {"rate": 60 + n % 40},
        }
        for n in range(size)
    ]
    return msgspec.json.encode({"readings": sent})


async def _peer_turn(db: psycopg.AsyncConnection[Any], device: Device, size: int) -> list[float]:
    """Commit batches one after the other for a turn; give the waits."""
    until = time.perf_counter() + TURN_S
    waits: list[float] = []
    while (began := time.perf_counter()) < until:
        now = datetime.now(UTC)
        columns: list[list[Any]] = [
            [new_id() for _ in range(size)],
            [device.id] * size,
            [device.person] * size,
            [next(device.numbers) for _ in range(size)],
            [now] * size,
            ['{"rate": 71}'] * size,
            [bytes(32)] * size,
        ]
        await db.execute(_PEER_INSERT, columns, prepare=True)
        waits.append(time.perf_counter() - began)
    return waits


async def speed(run: Ingest) -> list[Row]:
    """Rates beside the driver in batches, and waits of single readings beside a commit's."""
    devices = await run.devices()
    ours: list[float] = []
    peer: list[float] = []
    commits: list[float] = []
    flat_out: list[float] = []
    async with AsyncExitStack() as stack:
        links = [await stack.enter_async_context(Connection(run.house.http_port)) for _ in devices]
        db = await psycopg.AsyncConnection.connect(run.url, autocommit=True)
        await stack.enter_async_context(db)
        await db.execute(_PEER_TABLE)
        for _ in range(TURNS):
            peer.append(len(await _peer_turn(db, devices[0], BATCH)) * BATCH / TURN_S)
            ours.append(len(await run.turn(links[:SENDERS], devices, BATCH)) * BATCH / TURN_S)
            commits += await _peer_turn(db, devices[0], 1)
            flat_out += await run.turn(links, devices, 1)
        singles = await run.paced(links, devices)
        await db.execute("DROP TABLE bench_readings")
    bare = statistics.median(peer)
    wait, commit = percentile(flat_out, 0.99) * 1000, percentile(commits, 0.99) * 1000
    return [
        Row("ingest.http", statistics.median(ours), f"readings/s, {BATCH} a request", bare),
        at_least(
            "ingest.ratio",
            statistics.median(ours) / bare,
            "x the driver's batched insert",
            peer=f"{bare:,.0f} rows/s",
            bar=0.3,
        ),
        at_most(
            "ingest.p99",
            wait - commit,
            f"ms above a commit, {DEVICES} devices, each one at a time",
            peer=f"{commit:.1f} ms",
            bar=50,
        ),
        Row("ingest.single", len(flat_out) / (TURNS * TURN_S), "readings/s, 1 a request"),
        Row(
            "ingest.paced_p99",
            percentile(singles, 0.99) * 1000,
            "ms, 100 devices, one a second each",
        ),
    ]


async def kills(run: Ingest) -> list[Row]:
    """Four devices retry through `kill -9` of API and PostgreSQL; what was kept is counted."""
    devices = (await run.devices())[:4]
    stop = asyncio.Event()
    acknowledged: dict[UUID, int] = {}

    async def client(device: Device) -> None:
        while not stop.is_set():
            body = _body(device, 20)
            while not await _stored(run.house.http_port, device, body):  # noqa: ASYNC110
                await asyncio.sleep(0.05)  # as a device's own retry does
            acknowledged[device.id] = acknowledged.get(device.id, 0) + 20

    clients = [asyncio.create_task(client(device)) for device in devices]
    for _ in range(KILLS):
        for child in ("api", "postgres"):
            before = sum(acknowledged.values())
            await asyncio.to_thread(run.house.kill, child)
            while sum(acknowledged.values()) < before + BETWEEN_KILLS:
                assert not any(one.done() for one in clients)
                await asyncio.sleep(0.05)
    stop.set()
    await asyncio.gather(*clients)
    async with await psycopg.AsyncConnection.connect(run.url) as db:
        ids = list(acknowledged)
        cursor = await db.execute(
            "SELECT count(*), count(DISTINCT (device_id, sequence)) FROM readings"
            " WHERE device_id = ANY(%s)",
            (ids,),
        )
        rows, distinct = await cursor.fetchone() or (0, 0)
        cursor = await db.execute(_UNLIKE)
        (unlike,) = await cursor.fetchone() or (1,)
    sent = sum(acknowledged.values())
    wrong = abs(sent - distinct) + (rows - distinct) + unlike
    return [Row("ingest.kill", wrong, f"lost + doubled of {sent:,}", None, "0", wrong == 0)]


# Hours that are not what their readings come to.
_UNLIKE = """
    SELECT count(*) FROM (
        SELECT person_id, kind, name, date_trunc('hour', taken_at, 'UTC') AS since, count(*) AS n,
               sum(amount::numeric) AS total
        FROM readings, jsonb_each_text("values") AS one (name, amount)
        WHERE readings.tableoid <> 'readings'::regclass GROUP BY 1, 2, 3, 4
    ) AS now FULL JOIN reading_hours USING (person_id, kind, name, since)
    WHERE now.n IS DISTINCT FROM reading_hours.n OR now.total <> reading_hours.total
"""


async def _stored(port: int, device: Device, body: bytes) -> bool:
    with suppress(OSError, asyncio.IncompleteReadError, TimeoutError):
        async with asyncio.timeout(15), Connection(port) as link:
            answer = await link.ask("POST", "/api/v1/readings", body=body, headers=device.headers)
            assert answer.status in {200, 201, 503}, answer.body.decode()
            return answer.status in {200, 201}
    return False


async def chart(settings: Settings) -> list[Row]:
    """A year of one reading a minute as a chart, through policy and audit, beside its rows."""
    await seed(settings)
    now = datetime.now(UTC)
    since = now - timedelta(minutes=YEAR_MINUTES)
    engine = make_engine(settings.database_url)
    async with engine.begin() as link:
        found = text("SELECT id, person_id AS person FROM devices ORDER BY id LIMIT 1")
        device = (await link.execute(found)).one()
    values = {"device": device.id, "person": device.person, "since": since}
    month = month_of(since)
    while month <= month_of(now):
        async with sessions(engine)() as session, session.begin():
            await make_months(session, [month])
            year = text(filling(month, _YEAR, "SELECT count(*) FROM stored"))
            await session.execute(
                year, values | {"last": YEAR_MINUTES - 1}, execution_options=WRITE_PATH
            )
        month = month.next()
    async with engine.connect() as link:
        await link.execution_options(isolation_level="AUTOCOMMIT")
        await link.execute(text("VACUUM ANALYZE reading_hours"), execution_options=WRITE_PATH)
    asked = Asked(Kind.HEART_RATE, now - timedelta(days=365), now)
    waits, rows = [], []
    for _ in range(9):
        async with sessions(engine)() as session, session.begin():
            actor = await actor_of(session, device.person, now)
            began = time.perf_counter()
            seen = await record_chart(session, actor, device.person, None, asked, now)
            body = msgspec.json.encode(seen)
            waits.append(time.perf_counter() - began)
    assert len(body) > 1000
    async with sessions(engine)() as session:
        query = text(
            'SELECT taken_at, "values" FROM readings WHERE person_id = :person'
            " AND kind = 'heart_rate' AND taken_at >= :since"
        )
        for _ in range(3):
            began = time.perf_counter()
            every = (
                await session.execute(
                    query,
                    {"person": device.person, "since": asked.since},
                    execution_options=WRITE_PATH,
                )
            ).all()
            rows.append(time.perf_counter() - began)
    await engine.dispose()
    bands = seen.lines[0].bands
    # Every band is the extreme of its own rows: the chart lost none.
    lost = 0
    extremes: dict[int, list[float]] = {}
    for at, values in every:
        extremes.setdefault(int((at - seen.since).total_seconds() // seen.step_s), []).append(
            values["rate"]
        )
    for band in bands:
        own = extremes.get(int((band.at - seen.since).total_seconds() // seen.step_s), [])
        lost += not own or (min(own), max(own)) != (band.low, band.high)
    took, whole = statistics.median(waits) * 1000, statistics.median(rows) * 1000
    return [
        at_most("chart.year", took, "ms", peer=f"{whole:,.0f} ms for the rows", bar=25),
        at_least("chart.times", whole / took, "x faster than the rows", bar=50),
        Row("chart.lost", lost, f"extremes of {len(bands)} bands", None, "0", lost == 0),
    ]


async def _served(measure: Callable[[Ingest], Awaitable[list[Row]]]) -> list[Row]:
    """Measure on a started product of its own with its demo people."""
    house = House.fresh()
    try:
        await asyncio.to_thread(house.start)
        await asyncio.to_thread(house.seed)
        return await in_time(measure.__name__, measure(Ingest(house)))
    finally:
        await asyncio.to_thread(house.stop)
        house.remove()


async def in_time(name: str, measuring: Awaitable[list[Row]]) -> list[Row]:
    """Give a part so long; one that does not end says so in a row that does not hold."""
    try:
        async with asyncio.timeout(PART_S):
            return await measuring
    except TimeoutError:
        return [at_most(f"{name}.ended", math.inf, "s", bar=PART_S)]


async def readings_speed(_: Settings) -> list[Row]:
    """Rates and waits over HTTP."""
    return await _served(speed)


async def readings_kills(_: Settings) -> list[Row]:
    """What kills lose or double."""
    return await _served(kills)


async def readings_chart(settings: Settings) -> list[Row]:
    """A year as a chart, on the stores that run."""
    return await in_time("chart", chart(settings))
