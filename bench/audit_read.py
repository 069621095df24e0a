"""What the audit costs a read: a visit's readings at 16 connections, with its row and without.

One read is one transaction as a request makes it: the caller's rights, the visit, the readings. The
product's own runner seals meanwhile. Both sides take turns, each first in every other round; the
other side is the same read with only the row left out. What an audited turn left to be sealed is
waited for: it must not be paid by the turn behind it.
"""

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row as SqlRow
from sqlalchemy import Select, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from bench.harness import Row, keeps_up, percentile
from people import audit
from people.device_tokens import NewDevice, add_device
from people.organisations import Organisations
from people.persons import Persons
from people.policy import Actor, Kind, Right, require
from people.relations import actor_of, grant
from storage.engine import make_engine, new_id, sessions
from storage.settings import Settings
from telemed import readings
from telemed.readings import Readings
from telemed.visits import NewVisit, book

CONNECTIONS = 16
ROUNDS = 6
TURN_S = 2.0
VISITS = 32
READINGS = 20
LEAST = 0.7
SEALED_WITHIN_S = 20.0

_WAITING = text("SELECT count(*) FROM audit_unsealed")


async def bare(
    db: AsyncSession,
    actor: Actor,
    query: Select[Any],
    purpose: audit.Purpose,
    values: Mapping[str, Any] | None = None,
) -> Sequence[SqlRow[Any]]:
    """`audit.read` without its row: what the driver and the policy cost alone."""
    require(actor, purpose.act, purpose.thing, purpose.at)
    rows: Sequence[SqlRow[Any]] = (
        await db.execute(query, values or {}, execution_options=audit.WRITE_PATH)
    ).all()
    return rows


async def audit_read(settings: Settings) -> list[Row]:
    """Reads per second with the audit on, beside the same reads with it off."""
    engine = make_engine(settings.database_url, pool_size=CONNECTIONS)
    maker = sessions(engine)
    now = datetime.now(UTC)
    visits = await fill(maker, now)
    rates: dict[bool, list[float]] = {True: [], False: []}
    waits: list[float] = []
    done = unsealed = 0
    with _runner(settings):
        await _until_sealed(maker)  # what filled the clinic: from here on the runner runs
        for round_ in range(ROUNDS):
            for on in (True, False) if round_ % 2 else (False, True):
                took = await _turn(maker, visits, on=on, now=now)
                rates[on].append(len(took) / TURN_S)
                if on:
                    waits += took
                    done += len(took)
                    unsealed = max(unsealed, await _unsealed(maker))
                    await _until_sealed(maker)
    async with maker() as db:
        kept = await db.scalar(text("SELECT count(*) FROM audit_reads"))
    await engine.dispose()
    assert kept == done, f"{done} reads, {kept} rows"
    ours, peer = statistics.median(rates[True]), statistics.median(rates[False])
    return [
        keeps_up("audit.read", ours, "reads/s, audited", peer=peer, times=LEAST),
        Row("audit.read_p99", percentile(waits, 0.99) * 1000, "ms"),
        Row("audit.unsealed", unsealed, "of a turn's rows, 1 s after it", None, "0", unsealed == 0),
    ]


async def _turn(
    maker: async_sessionmaker[AsyncSession],
    visits: list[tuple[UUID, UUID]],
    *,
    on: bool,
    now: datetime,
) -> list[float]:
    """Read one visit after the other on every connection for a turn; give each wait."""
    waits: list[float] = []
    until = time.perf_counter() + TURN_S

    async def connection(number: int) -> None:
        place = number
        while (began := time.perf_counter()) < until:
            doctor, visit = visits[place % len(visits)]
            place += 1
            async with maker() as db, db.begin():
                actor = await actor_of(db, doctor, now)
                found = await readings.visit_readings(db, actor, visit, None, now)
            assert len(found) == READINGS
            waits.append(time.perf_counter() - began)

    with _audit(on=on):
        await asyncio.gather(*(connection(number) for number in range(CONNECTIONS)))
    return waits


@contextmanager
def _audit(*, on: bool) -> Iterator[None]:
    ours = audit.read
    audit.read = ours if on else bare  # type: ignore[assignment]
    try:
        yield
    finally:
        audit.read = ours


@contextmanager
def _runner(settings: Settings) -> Iterator[None]:
    """The product's job runner, which seals."""
    process = subprocess.Popen(
        [sys.executable, "-m", "api.runner"], env=settings.to_env(), stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait()


async def _unsealed(maker: async_sessionmaker[AsyncSession]) -> int:
    """Rows that wait although nothing was read for a second."""
    await asyncio.sleep(1.0)
    async with maker() as db:
        return await db.scalar(_WAITING) or 0


async def _until_sealed(maker: async_sessionmaker[AsyncSession]) -> None:
    """Wait until no row waits."""
    until = time.perf_counter() + SEALED_WITHIN_S
    async with maker() as db:
        while await db.scalar(_WAITING):
            assert time.perf_counter() < until, "nobody seals"
            await asyncio.sleep(0.05)


async def fill(maker: async_sessionmaker[AsyncSession], now: datetime) -> list[tuple[UUID, UUID]]:
    """A clinic with so many visits, each with readings; doctor and visit of each."""
    clinic = new_id()
    async with maker() as db, db.begin():
        db.add(Organisations(id=clinic, kind="clinic", name="Bench"))
        await db.flush()
        boss = await _person(db, clinic, Kind.ADMINISTRATION, now)
        administrator = await actor_of(db, boss, now)
        return [await _visit(db, clinic, administrator, now) for _ in range(VISITS)]


async def _visit(
    db: AsyncSession, clinic: UUID, administrator: Actor, now: datetime
) -> tuple[UUID, UUID]:
    doctor = await _person(db, clinic, Kind.DUTY, now)
    patient = await _person(db, clinic, Kind.ATTACHMENT, now)
    new = NewVisit(
        organisation_id=clinic,
        patient_id=patient,
        doctor_id=doctor,
        starts_at=now,
        ends_at=now + timedelta(hours=1),
    )
    visit = await book(db, administrator, new, now)
    cuff = NewDevice("Cuff", "cuff", ["blood_pressure"])
    device, _ = await add_device(db, await actor_of(db, patient, now), patient, cuff, now)
    pressure = {"systolic": 128.0, "diastolic": 82.0}
    db.add_all(
        Readings(
            person_id=patient,
            device_id=device.id,
            sequence=number,
            kind="blood_pressure",
            taken_at=now - timedelta(minutes=number),
            received_at=now,
            values=pressure,
            unit="mmHg",
            sent_values=pressure,
            sent_unit="mmHg",
            flags=[],
            content=bytes(32),
        )
        for number in range(READINGS)
    )
    await db.flush()
    return doctor, visit


async def _person(db: AsyncSession, clinic: UUID, kind: Kind, now: datetime) -> UUID:
    row = Persons(id=new_id(), family_name="Bench", given_name="Test", created_at=now)
    db.add(row)
    await db.flush()
    since = now - timedelta(days=1)
    right = Right(actor_id=row.id, kind=kind, organisation_id=clinic, since=since)
    await grant(db, right, "bench")
    return row.id
