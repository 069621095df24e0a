"""A million readings through the migration that puts them into months: up, down and up again.

The way back is the dear one: it moves what lies in months into the one table, in one transaction.
The way up rewrites nothing; a job moves the rows afterwards, here for as long as a part may take.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable

import psycopg
from sqlalchemy.ext.asyncio import AsyncEngine

from bench.harness import Row, at_most
from ops.seed import seed
from storage import migrate
from storage.engine import libpq_url, make_engine, sessions
from storage.settings import Settings
from telemed.months import MOVED_AT_ONCE, move_readings

BEFORE = "files"  # the migration before the months
MILLION = 1_000_000
MOVING_S = 10.0

# A reading a minute up to now, of one device; as the version before the months wrote it.
_FILL = """
    INSERT INTO readings (id, device_id, person_id, sequence, kind, taken_at, received_at,
                          "values", unit, sent_values, sent_unit, flags, content)
    SELECT gen_random_uuid(), device.id, person_id, 1000000 + n, 'heart_rate', at, at, body, '/min',
           body, '/min', '{}', '\\x00'
    FROM (SELECT id, person_id FROM devices ORDER BY id LIMIT 1) AS device,
         (SELECT n, '2026-11-01T00:00:00Z'::timestamptz - n * interval '1 minute' AS at,
                 jsonb_build_object('rate', 60 + n %% 25) AS body
          FROM generate_series(1, %s) AS n) AS row
"""
_DUMP = "COPY (SELECT * FROM readings ORDER BY device_id, sequence) TO STDOUT"


def fill(url: str, rows: int) -> None:
    """Write so many readings of the first device."""
    with psycopg.connect(libpq_url(url)) as db:
        db.execute("SET session_replication_role = replica")  # no look at person and device a row
        db.execute(_FILL, (rows,))


def dump(url: str) -> str:
    """Digest of every reading, wherever it lies."""
    digest = hashlib.sha256()
    with (
        psycopg.connect(libpq_url(url)) as db,
        db.cursor() as cursor,
        cursor.copy(_DUMP) as copy,
    ):
        for data in copy:
            digest.update(data)
    return digest.hexdigest()


async def move_for(engine: AsyncEngine, at_once: int, seconds: float) -> int:
    """Do the job that moves readings, again and again for so long; give how many it moved."""
    until = time.perf_counter() + seconds
    moved = 0
    while time.perf_counter() < until:
        async with sessions(engine)() as db, db.begin():
            some = await move_readings(db, at_once)
        if not some:
            break
        moved += some
    return moved


async def migration(settings: Settings) -> list[Row]:
    """Time up, down and up of a million readings, in a database of its own."""
    name = "bench_migration"
    with psycopg.connect(settings.database_url, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}".encode())
    own = settings.with_database(settings.embedded_database_url(name))
    url = own.database_url
    await asyncio.to_thread(migrate.upgrade, url)
    await seed(own)
    await asyncio.to_thread(migrate.downgrade, url, BEFORE)
    await asyncio.to_thread(fill, url, MILLION)
    before = await asyncio.to_thread(dump, url)
    steps = [await _timed(migrate.upgrade, url, "head")]
    engine = make_engine(url)
    began = time.perf_counter()
    moved = await move_for(engine, MOVED_AT_ONCE, MOVING_S)
    rate = moved / (time.perf_counter() - began)
    await engine.dispose()
    steps.append(await _timed(migrate.downgrade, url, BEFORE))
    steps.append(await _timed(migrate.upgrade, url, "head"))
    same = await asyncio.to_thread(dump, url) == before
    with psycopg.connect(settings.database_url, autocommit=True) as admin:
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
    told = " + ".join(f"{step:.1f}" for step in steps)
    unit = f"s up, down, up ({told}), {moved:,} of a million in months"
    return [
        at_most("migration.million", sum(steps), unit, bar=30),
        Row("migration.equal", int(same), "dump as before", None, "1", same),
        Row("migration.moved", rate, "readings/s moved into months by the job"),
    ]


async def _timed(step: Callable[[str, str], None], url: str, to: str) -> float:
    began = time.perf_counter()
    await asyncio.to_thread(step, url, to)
    return time.perf_counter() - began
