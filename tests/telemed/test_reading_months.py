"""Readings by month: a number is used once, hours and days add up, and the version before goes on."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import bindparam, func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from devices.measurement import Kind, Measurement
from people.audit import WRITE_PATH
from people.device_tokens import Devices
from storage.engine import make_engine, new_id
from telemed.months import Month, make_months, month_of, move_readings
from telemed.reading_tables import ReadingKeys, Readings
from telemed.readings import Applied, Outcome, SequenceReused, apply, incoming, visit_readings
from tests.telemed.clinic_house import NOW, House, furnish

DAY = timedelta(days=1)
MARCH, FEBRUARY, JANUARY = (f"readings_2026_0{month}" for month in (3, 2, 1))

# What hours and days must come to, from the rows in months: `:slot` is hour or day.
_RECOMPUTED = """
    SELECT person_id, kind, name, date_trunc('slot_', taken_at, 'UTC') AS since,
           count(*), min(amount::numeric), max(amount::numeric), sum(amount::numeric)
    FROM readings, jsonb_each_text("values") AS one (name, amount)
    WHERE readings.tableoid <> 'readings'::regclass
    GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
"""
_KEPT = """
    SELECT person_id, kind, name, since, n, low, high, total FROM reading_slot_s ORDER BY 1, 2, 3, 4
"""

# Word for word what the version before the months asks the database.
OLD_INSERT = text("""
    INSERT INTO readings (id, device_id, person_id, sequence, kind, taken_at, received_at,
                          "values", unit, sent_values, sent_unit, flags, content)
    SELECT id, device_id, person_id, sequence, kind, taken_at, received_at,
           "values"::jsonb, unit, sent_values::jsonb, sent_unit,
           ARRAY(SELECT jsonb_array_elements_text(flags::jsonb)), content
    FROM unnest(:id ::uuid[], :device_id ::uuid[], :person_id ::uuid[], :sequence ::bigint[],
                :kind ::text[], :taken_at ::timestamptz[], :received_at ::timestamptz[],
                :values ::text[], :unit ::text[], :sent_values ::text[], :sent_unit ::text[],
                :flags ::text[], :content ::bytea[])
         AS new (id, device_id, person_id, sequence, kind, taken_at, received_at,
                 "values", unit, sent_values, sent_unit, flags, content)
    ORDER BY device_id, sequence
    ON CONFLICT (device_id, sequence) DO NOTHING
    RETURNING id
""")
OLD_THERE = text("""
    SELECT readings.sequence, readings.content, devices.name
    FROM readings JOIN devices ON devices.id = readings.device_id
    WHERE (readings.device_id, readings.sequence) IN :keys
""").bindparams(bindparam("keys", expanding=True))
OLD_WINDOW = text("""
    SELECT readings.sequence FROM readings JOIN devices ON devices.id = readings.device_id
    WHERE readings.person_id = :person_id AND readings.taken_at BETWEEN :since AND :until
    ORDER BY readings.taken_at DESC, readings.id DESC LIMIT 2000
""")


def pulse(sequence: int, taken_at: datetime = NOW, rate: float = 71) -> Measurement:
    values = {"systolic": 128.0, "diastolic": 82.0, "pulse": rate}
    return Measurement(
        kind=Kind.BLOOD_PRESSURE, sequence=sequence, taken_at=taken_at, values=values, unit="mmHg"
    )


async def send(db: AsyncSession, house: House, *sent: Measurement) -> list[object]:
    answers = await apply(db, incoming(house.cuff, sent, NOW))
    return [a.status if isinstance(a, Applied) else type(a) for a in answers]


async def rows(db: AsyncSession, statement: str) -> Sequence[Any]:
    return (await db.execute(text(statement), execution_options=WRITE_PATH)).all()


async def adds_up(db: AsyncSession) -> bool:
    """Whether hours and days are what the rows come to; and there is something to compare."""
    for slot in ("hour", "day"):
        kept = await rows(db, _KEPT.replace("slot_", slot))
        assert kept == await rows(db, _RECOMPUTED.replace("slot_", slot))
        assert kept
    return True


async def count(db: AsyncSession, table: str = "readings") -> int:
    return int((await rows(db, f"SELECT count(*) FROM {table}"))[0][0])  # noqa: S608 - ours


def old_columns(house: House, sequences: Sequence[int], at: datetime = NOW) -> dict[str, list[Any]]:
    """Arrays as the version before sends them."""
    n = len(sequences)
    values = '{"systolic": 128.0, "diastolic": 82.0}'
    return {
        "id": [new_id() for _ in sequences],
        "device_id": [house.cuff.id] * n,
        "person_id": [house.patient] * n,
        "sequence": list(sequences),
        "kind": ["blood_pressure"] * n,
        "taken_at": [at] * n,
        "received_at": [NOW] * n,
        "values": [values] * n,
        "unit": ["mmHg"] * n,
        "sent_values": [values] * n,
        "sent_unit": ["mmHg"] * n,
        "flags": ["[]"] * n,
        "content": [bytes(32)] * n,
    }


async def old_insert(db: AsyncSession, columns: dict[str, list[Any]]) -> int:
    return len((await db.execute(OLD_INSERT, columns, execution_options=WRITE_PATH)).all())


async def test_a_reading_lies_in_the_month_it_was_taken_in(db: AsyncSession, house: House) -> None:
    """Made when it is needed; by UTC, whatever the clock on the wall says."""
    edge = NOW.replace(day=1, hour=0)
    before = edge - timedelta(microseconds=1)
    assert await send(db, house, pulse(1, edge), pulse(2, before)) == [Outcome.STORED] * 2
    assert [await count(db, t) for t in (MARCH, FEBRUARY, "ONLY readings")] == [1, 1, 0]
    assert await count(db) == await count(db, "reading_keys") == 2


async def test_a_month_keeps_out_what_is_not_its_own(db: AsyncSession, house: House) -> None:
    """So that the planner may pass a month by."""
    await make_months(db, [Month(2026, 2)])
    columns = old_columns(house, [1])
    wrong = str(OLD_INSERT).replace("INTO readings", f"INTO {FEBRUARY}").replace("\n", " ")
    wrong = wrong.partition("ON CONFLICT")[0]
    with pytest.raises(IntegrityError, match="ck_readings_2026_02_month"):
        await db.execute(text(wrong), columns, execution_options=WRITE_PATH)


async def test_a_number_is_used_once_in_whichever_month(db: AsyncSession, house: House) -> None:
    """With another time it is another reading, and refused; the same one is a repeat."""
    old = NOW - 40 * DAY
    assert await send(db, house, pulse(1, old), pulse(2)) == [Outcome.STORED] * 2
    again = await send(db, house, pulse(1), pulse(2, old), pulse(1, old), pulse(2))
    assert again == [SequenceReused, SequenceReused, Outcome.REPEATED, Outcome.REPEATED]
    assert await count(db) == 2
    assert await adds_up(db)


async def test_a_rolled_back_month_is_made_again(engine: AsyncEngine) -> None:
    """Nothing remembers a table that was never committed."""
    async with AsyncSession(engine) as db, db.begin():
        house = await furnish(db)
    async with AsyncSession(engine) as db:
        assert await send(db, house, pulse(1)) == [Outcome.STORED]
        await db.rollback()
    async with AsyncSession(engine) as db, db.begin():
        assert await send(db, house, pulse(1)) == [Outcome.STORED]
    async with AsyncSession(engine) as db:
        assert await count(db, MARCH) == 1


async def test_two_that_need_a_new_month_both_get_it(engine: AsyncEngine) -> None:
    """At the same moment, as two processes do at midnight."""

    async def one(after: int) -> None:
        async with AsyncSession(engine) as db, db.begin():
            for month in (Month(2026, 5), Month(2026, 6))[after:]:
                await make_months(db, [month])

    await asyncio.gather(one(0), one(0), one(1), one(1))
    async with AsyncSession(engine) as db:
        found = await rows(db, "SELECT inhrelid::regclass::text FROM pg_inherits ORDER BY 1")
    names = [name for (name,) in found if name.startswith("readings")]
    assert names == ["readings_2026_05", "readings_2026_06"]


def test_the_month_after_december_is_january() -> None:
    """Of the next year; and a month is told by UTC."""
    assert Month(2026, 12).next() == Month(2027, 1)
    assert month_of(datetime.fromisoformat("2026-04-01T01:00+03:00")) == Month(2026, 3)


async def test_the_version_before_goes_on_while_this_one_is_rolled_out(
    db: AsyncSession, house: House, now: datetime
) -> None:
    """It writes and repeats, sees what we write, and neither stores the other's number again."""
    await send(db, house, pulse(1), pulse(2))
    assert await old_insert(db, old_columns(house, [2, 3, 4])) == 2
    assert await old_insert(db, old_columns(house, [3, 4])) == 0
    keys = {"keys": [(house.cuff.id, n) for n in range(1, 6)]}
    seen = (await db.execute(OLD_THERE, keys, execution_options=WRITE_PATH)).all()
    assert sorted(row.sequence for row in seen) == [1, 2, 3, 4]
    window = {"person_id": house.patient, "since": now - DAY, "until": now}
    shown = (await db.scalars(OLD_WINDOW, window, execution_options=WRITE_PATH)).all()
    assert sorted(shown) == [1, 2, 3, 4]
    ours = await visit_readings(db, await house.as_(db, house.doctor), house.visit, None, now)
    assert sorted(one.sequence for one in ours) == [1, 2, 3, 4]
    assert await send(db, house, pulse(3), pulse(5)) == [SequenceReused, Outcome.STORED]


async def test_what_stood_before_is_known_without_a_key(db: AsyncSession, house: House) -> None:
    """Rows that the migration found: their numbers are used though no key was written."""
    await old_insert(db, old_columns(house, [1, 2]))
    await db.execute(text("DELETE FROM reading_keys"))
    assert await send(db, house, pulse(1), pulse(3)) == [SequenceReused, Outcome.STORED]
    assert await old_insert(db, old_columns(house, [2])) == 0
    assert await count(db) == 3


async def test_what_stood_moves_into_months_some_at_a_time(
    db: AsyncSession, house: House, now: datetime
) -> None:
    """Seen all the while, once each; with keys, and added to hours and days."""
    await old_insert(db, old_columns(house, range(5)))
    await old_insert(db, old_columns(house, range(5, 8), NOW - 30 * DAY))
    await db.execute(text("DELETE FROM reading_keys WHERE sequence < 4"))
    await send(db, house, pulse(9))
    doctor = await house.as_(db, house.doctor)
    before = await visit_readings(db, doctor, house.visit, None, now)
    moved = [await move_readings(db, 2) for _ in range(6)]
    assert sum(moved) == 8
    assert max(moved) == 2
    assert [await count(db, t) for t in ("ONLY readings", MARCH, JANUARY)] == [0, 6, 3]
    assert await count(db, "reading_keys") == 9
    assert await adds_up(db)
    assert await visit_readings(db, doctor, house.visit, None, now) == before
    assert await send(db, house, pulse(6)) == [SequenceReused]


times = st.integers(-3 * 24 * 60, 0).map(lambda minutes: NOW + timedelta(minutes=minutes))
rates = st.integers(200, 3000).map(lambda tenth: tenth / 10)
readings = st.builds(pulse, st.integers(0, 12), times, rates)


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.lists(readings, min_size=1, max_size=12), min_size=1, max_size=4))
def test_hours_and_days_are_what_the_readings_come_to(
    shared_database_url: str, batches: list[list[Measurement]]
) -> None:
    """After any batches, repeats and used numbers among them, to the last decimal."""
    asyncio.run(_come_to(shared_database_url, batches))


async def _come_to(url: str, batches: list[list[Measurement]]) -> None:
    engine = make_engine(url)
    async with AsyncSession(engine) as db:
        house = await furnish(db)
        for batch in [*batches, *batches]:
            await send(db, house, *batch)
        assert await adds_up(db)
        numbers = {one.sequence for batch in batches for one in batch}
        assert await count(db) == await count(db, "reading_keys") == len(numbers)
        await db.rollback()
    await engine.dispose()


async def test_a_key_leads_to_its_reading(db: AsyncSession, house: House) -> None:
    """One of each, with the same time."""
    await send(db, house, *(pulse(n, NOW - n * DAY) for n in range(40)))
    query = (
        select(func.count())
        .select_from(ReadingKeys)
        .join(
            Readings,
            (Readings.device_id == ReadingKeys.device_id)
            & (Readings.sequence == ReadingKeys.sequence)
            & (Readings.taken_at == ReadingKeys.taken_at),
        )
        .join(Devices, Devices.id == ReadingKeys.device_id)
    )
    assert await db.scalar(query, execution_options=WRITE_PATH) == 40
