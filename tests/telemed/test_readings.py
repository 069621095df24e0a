"""Readings: stored once, answered honestly, seen by the two of the visit."""

import asyncio
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from devices.measurement import BadMeasurement, DeviceFlag, Kind, Measurement, check
from people import facts
from people.audit import WRITE_PATH, AuditReads
from people.notices import Notices
from people.policy import Act, Right
from people.policy import Kind as Tie
from people.refused import Forbidden, NotFound
from people.relations import Relations, grant
from storage.engine import make_engine, sessions
from storage.ingest import IngestWriter
from telemed import readings
from telemed.off_scale import word_of
from telemed.reading_tables import Readings
from telemed.readings import (
    Applied,
    BadReadings,
    Incoming,
    Outcome,
    Reading,
    SequenceReused,
    apply,
    by_hand,
    incoming,
    visit_readings,
)
from telemed.visits import close_visit
from tests.telemed.clinic_house import NOW, House, furnish

MINUTE = timedelta(minutes=1)


def pressure(
    sequence: int, systolic: float = 128, taken_at: datetime = NOW, **more: object
) -> Measurement:
    values = {"systolic": systolic, "diastolic": 82.0, "pulse": 71.0}
    fields = {"values": values, "unit": "mmHg"} | more
    return Measurement(
        kind=Kind.BLOOD_PRESSURE,
        sequence=sequence,
        taken_at=taken_at,
        **fields,  # type: ignore[arg-type]
    )


async def send(
    db: AsyncSession, house: House, *sent: Measurement, at: datetime = NOW
) -> list[Applied | Exception]:
    return await apply(db, incoming(house.cuff, sent, at))


def outcomes(answers: list[Applied | Exception]) -> list[object]:
    return [a.status if isinstance(a, Applied) else type(a) for a in answers]


async def count(db: AsyncSession) -> int:
    query = select(func.count()).select_from(Readings)
    return await db.scalar(query, execution_options=WRITE_PATH) or 0


async def test_a_reading_is_stored_as_sent_and_as_canonical(
    db: AsyncSession, house: House, now: datetime
) -> None:
    """With its unit, time, device and flags; and announced."""
    facts.take(db)
    kpa = {"systolic": 17.1, "diastolic": 10.9}
    [answer] = await send(db, house, pressure(1, values=kpa, unit="kPa"))
    assert isinstance(answer, Applied)
    [seen] = await visit_readings(db, await house.as_(db, house.doctor), house.visit, None, now)
    assert seen == answer.reading
    assert (seen.unit, seen.values) == ("mmHg", {"systolic": 128.3, "diastolic": 81.8})
    assert (seen.sent_unit, seen.sent_values) == ("kPa", kpa)
    assert (seen.taken_at, seen.received_at, seen.device.name) == (now, now, "Тонометр")
    assert facts.take(db) == [facts.ReadingsStored(at=now, person_id=house.patient)]


async def test_sent_again_it_is_the_same_reading(
    db: AsyncSession, house: House, now: datetime
) -> None:
    """Later, alone or twice in one batch: one row, one id, no second announcement."""
    first, second = await send(db, house, pressure(1), pressure(1))
    facts.take(db)
    [third] = await send(db, house, pressure(1), at=now + MINUTE)
    assert outcomes([first, second, third]) == [
        Outcome.STORED,
        Outcome.REPEATED,
        Outcome.REPEATED,
    ]
    assert isinstance(first, Applied)
    assert isinstance(third, Applied)
    assert first.reading == third.reading
    assert await count(db) == 1
    assert facts.take(db) == []


async def test_a_used_number_with_other_content_is_refused(db: AsyncSession, house: House) -> None:
    """In the same batch and later; its neighbours are not touched."""
    answers = await send(db, house, pressure(1), pressure(1, systolic=150), pressure(2))
    assert outcomes(answers) == [Outcome.STORED, SequenceReused, Outcome.STORED]
    [later] = await send(db, house, pressure(2, systolic=150))
    assert isinstance(later, SequenceReused)
    assert (later.status, later.code, later.params) == (409, "sequence_reused", {"sequence": 2})
    assert await count(db) == 2


async def test_numbers_of_two_devices_do_not_meet(
    db: AsyncSession, house: House, now: datetime
) -> None:
    """Each counts for itself."""
    hand = by_hand(await house.as_(db, house.patient), house.patient, pressure(1), now)
    await send(db, house, pressure(1, systolic=150))
    assert outcomes(await apply(db, [hand])) == [Outcome.STORED]
    assert await count(db) == 2


async def test_a_reading_by_hand_comes_from_the_hand(
    db: AsyncSession, house: House, now: datetime
) -> None:
    """Also two hands in one batch, and one hand twice."""
    mine = await house.as_(db, house.patient)
    other = await house.as_(db, house.other_patient)
    batch = [
        by_hand(mine, house.patient, pressure(1), now),
        by_hand(other, house.other_patient, pressure(1), now),
        by_hand(mine, house.patient, pressure(2), now),
    ]
    assert outcomes(await apply(db, batch)) == [Outcome.STORED] * 3
    seen = await visit_readings(db, mine, house.visit, None, now)
    assert [(one.device.name, one.sequence) for one in seen] == [("manual", 1), ("manual", 2)]


async def test_nobody_types_in_for_another(db: AsyncSession, house: House, now: datetime) -> None:
    """Not even the doctor."""
    with pytest.raises(Forbidden):
        by_hand(await house.as_(db, house.doctor), house.patient, pressure(1), now)


async def test_every_bad_field_is_named_and_nothing_accepted(house: House, now: datetime) -> None:
    """By place in the body, with the numbers of the sentence."""
    glucose = Measurement(
        kind=Kind.GLUCOSE, sequence=3, taken_at=now, values={"glucose": 5.6}, unit="mmol/L"
    )
    ahead = pressure(4, taken_at=now + timedelta(days=2))
    with pytest.raises(BadReadings) as refused:
        incoming(house.cuff, [pressure(1), pressure(2, systolic=60), glucose, ahead], now)
    told = [(one.field, one.code) for one in refused.value.errors]
    assert told == [
        ("readings[1].values.systolic", "systolic_le_diastolic"),
        ("readings[2].kind", "kind_not_of_device"),
        ("readings[3].taken_at", "from_future"),
    ]
    assert (refused.value.status, refused.value.code) == (422, "bad_measurement")


async def test_a_bad_reading_by_hand_names_its_field(
    db: AsyncSession, house: House, now: datetime
) -> None:
    """Without a place in a list."""
    with pytest.raises(BadReadings) as refused:
        by_hand(await house.as_(db, house.patient), house.patient, pressure(1, unit=""), now)
    assert [one.field for one in refused.value.errors] == ["unit"]


@pytest.mark.parametrize("who", ["colleague", "foreign_doctor", "other_patient", "administrator"])
async def test_a_stranger_sees_no_readings(
    db: AsyncSession, house: House, now: datetime, who: str
) -> None:
    """The visit is not there for them."""
    await send(db, house, pressure(1))
    with pytest.raises(NotFound):
        await visit_readings(db, await house.as_(db, getattr(house, who)), house.visit, None, now)


async def test_every_look_leaves_a_trace(db: AsyncSession, house: House, now: datetime) -> None:
    """Who, whose, why, which tables, when."""
    for who in (house.doctor, house.patient):
        await visit_readings(db, await house.as_(db, who), house.visit, None, now)
    rows = (await db.scalars(select(AuditReads).order_by(AuditReads.id))).all()
    assert [row.actor_id for row in rows] == [house.doctor, house.patient]
    for row in rows:
        assert (row.subject_id, row.about_id) == (house.patient, house.visit)
        assert (row.act, row.at) == (Act.SEE_VISIT_READINGS.value, now)
        assert "readings" in row.tables


async def test_the_visit_shows_its_own_window(
    db: AsyncSession, house: House, now: datetime
) -> None:
    """From a day before its start until it was closed; after closing too."""
    start = now - 10 * MINUTE
    times = [
        start - timedelta(days=1, seconds=1),
        start - timedelta(days=1),
        now,
        now + 5 * MINUTE,
        now + 6 * MINUTE,
    ]
    sent = [pressure(at, taken_at=time) for at, time in enumerate(times)]
    await send(db, house, *reversed(sent), at=now + 6 * MINUTE)
    closed = now + 5 * MINUTE
    before = await visit_readings(db, await house.as_(db, house.doctor), house.visit, None, closed)
    assert [one.sequence for one in before] == [1, 2, 3, 4]
    await close_visit(db, await house.as_(db, house.doctor), house.visit, closed)
    for who in (house.doctor, house.patient):
        after = await visit_readings(
            db, await house.as_(db, who, closed), house.visit, None, closed
        )
        assert [one.sequence for one in after] == [1, 2, 3]


async def test_after_a_reading_come_those_received_since(
    db: AsyncSession, house: House, now: datetime
) -> None:
    """With a minute of overlap, a late one included; of an unknown one: everything."""
    await send(db, house, pressure(1), at=now)
    await send(db, house, pressure(2, taken_at=now + MINUTE), at=now + 2 * MINUTE)
    await send(db, house, pressure(3, taken_at=now - MINUTE), at=now + 3 * MINUTE)
    doctor = await house.as_(db, house.doctor)
    seen = await visit_readings(db, doctor, house.visit, None, now)
    assert [one.sequence for one in seen] == [3, 1, 2]
    since = await visit_readings(db, doctor, house.visit, seen[2].id, now)
    assert [one.sequence for one in since] == [3]
    since = await visit_readings(db, doctor, house.visit, seen[1].id, now)
    assert [one.sequence for one in since] == [3, 2]
    assert len(await visit_readings(db, doctor, house.visit, uuid4(), now)) == 3


async def test_a_batch_of_two_thousand_is_one_statement(
    db: AsyncSession, house: House, now: datetime
) -> None:
    """And answered in order."""
    sent = [pressure(n, taken_at=now - timedelta(seconds=n)) for n in range(2000)]
    answers = await send(db, house, *sent)
    assert [a.reading.sequence for a in answers if isinstance(a, Applied)] == list(range(2000))
    assert await count(db) == 2000


async def test_results_tell_the_device_number_id_and_state(db: AsyncSession, house: House) -> None:
    """In the form of the answer."""
    answers = [a for a in await send(db, house, pressure(7)) if isinstance(a, Applied)]
    [told] = readings.results(answers)
    assert (told.sequence, told.status, told.id) == (7, Outcome.STORED, answers[0].reading.id)


numbers = st.lists(st.integers(0, 5), min_size=1, max_size=8)


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(numbers, min_size=1, max_size=4))
def test_any_order_and_repetition_ends_in_the_same_rows(
    shared_database_url: str, batches: list[list[int]]
) -> None:
    """Duplicates, shuffles and overlaps: each number once (promise R9)."""
    asyncio.run(_any_order(shared_database_url, batches))


async def _any_order(url: str, batches: list[list[int]]) -> None:
    engine = make_engine(url)
    async with AsyncSession(engine) as db:
        house = await furnish(db)
        for batch in batches:
            answers = await send(db, house, *(pressure(n) for n in batch))
            told = [a.reading.sequence for a in answers if isinstance(a, Applied)]
            assert told == batch
        query = select(Readings.sequence)
        stored = (await db.scalars(query, execution_options=WRITE_PATH)).all()
        assert sorted(stored) == sorted({n for batch in batches for n in batch})
        await db.rollback()
    await engine.dispose()


async def test_four_senders_at_once_store_each_reading_once(
    engine: AsyncEngine, now: datetime
) -> None:
    """Through two writers, as two API processes have them; every sender is answered."""
    async with AsyncSession(engine) as db, db.begin():
        house = await furnish(db)
    make = sessions(engine)
    sent = incoming(house.cuff, [pressure(n) for n in range(200)], now)

    async def sender(writer: IngestWriter[Incoming, Applied], step: int) -> list[Reading]:
        told: list[Reading] = []
        for at in range(0, 200, step):
            told += [one.reading for one in await writer.submit(sent[at : at + step])]
        return told

    async with (
        IngestWriter(make, apply) as here,
        IngestWriter(make, apply) as there,
    ):
        told = await asyncio.gather(
            sender(here, 7), sender(there, 7), sender(here, 50), sender(there, 1)
        )
    async with AsyncSession(engine) as db:
        assert await count(db) == 200
    assert all(one == told[0] for one in told)


def sugar(sequence: int, taken_at: datetime = NOW, **said: object) -> Measurement:
    fields = {"values": {}, "flags": (DeviceFlag.BELOW_SCALE,), "unit": "mg/dL"} | said
    return Measurement(
        kind=Kind.GLUCOSE,
        sequence=sequence,
        taken_at=taken_at,
        **fields,  # type: ignore[arg-type]
    )


async def told(db: AsyncSession, person_id: UUID) -> list[str]:
    query = select(Notices.code).where(
        Notices.person_id == person_id, Notices.critical, Notices.code.contains("glucose")
    )
    return sorted((await db.scalars(query)).all())


async def test_what_a_meter_calls_lo_is_stored_without_a_number_and_both_sides_are_told(
    db: AsyncSession, house: House
) -> None:
    """Once an hour, however often it is said; HI under the number of LO is another reading."""
    meter = msgspec.structs.replace(house.cuff, kinds=("glucose",))
    lo = sugar(1)
    for sent in (lo, lo, sugar(2)):
        await apply(db, incoming(meter, [sent], NOW))
    assert await told(db, house.patient) == ["glucose_below_scale"]
    assert await told(db, house.doctor) == ["visit_glucose_below_scale"]
    shown = await visit_readings(db, await house.as_(db, house.doctor), house.visit, None, NOW)
    assert [(one.values, one.sent_unit, one.flags) for one in shown] == [
        ({}, "mg/dL", ["below_scale"])
    ] * 2
    high = sugar(1, flags=(DeviceFlag.ABOVE_SCALE,))
    assert outcomes(await apply(db, incoming(meter, [high], NOW))) == [SequenceReused]
    later = sugar(3, NOW + 61 * MINUTE)
    await apply(db, incoming(meter, [later], NOW + 61 * MINUTE))
    assert await told(db, house.patient) == ["glucose_below_scale"] * 2


async def test_an_earlier_lo_asks_for_no_sugar_now_and_hides_none_of_now(
    db: AsyncSession, house: House
) -> None:
    """Its own sentence for each side, a guardian's too; HI and LO are told apart. One that nobody
    dated may be an earlier one."""
    meter, parent = msgspec.structs.replace(house.cuff, kinds=("glucose",)), house.other_patient
    for kind in (Tie.GUARDIANSHIP, Tie.CHILD_SCHOOL, Tie.CHILD_HEALTH):
        right = Right(actor_id=parent, kind=kind, subject_id=house.patient, since=NOW)
        await grant(db, right, "test")
        if kind is Tie.CHILD_SCHOOL:
            before = sugar(1, NOW - timedelta(hours=20), flags=(DeviceFlag.ABOVE_SCALE,))
            await apply(db, incoming(meter, [before], NOW))
            assert await told(db, parent) == []
    undated = sugar(2, flags=(DeviceFlag.BELOW_SCALE, DeviceFlag.TIME_OF_ARRIVAL))
    await apply(db, incoming(meter, [undated], NOW))
    earlier = "glucose_off_scale_before"
    assert await told(db, house.patient) == [earlier] * 2
    assert await told(db, parent) == [f"child_{earlier}"]
    assert await told(db, house.doctor) == [f"visit_{earlier}"] * 2
    await apply(db, incoming(meter, [sugar(3)], NOW))
    now = "glucose_below_scale"
    assert await told(db, house.patient) == [now, earlier, earlier]
    assert await told(db, parent) == [f"child_{now}", f"child_{earlier}"]
    assert await told(db, house.doctor) == [f"visit_{now}", *[f"visit_{earlier}"] * 2]


@pytest.mark.parametrize(
    ("values", "flag", "word"),
    [
        ({"glucose": 600.0}, DeviceFlag.ABOVE_SCALE, DeviceFlag.ABOVE_SCALE),
        ({"glucose": 20.0}, DeviceFlag.BELOW_SCALE, DeviceFlag.BELOW_SCALE),
        ({"glucose": 110.0}, DeviceFlag.BELOW_SCALE, None),
        ({"glucose": 20.0}, DeviceFlag.ABOVE_SCALE, None),
        ({"glucose": 600.0}, DeviceFlag.BATTERY_LOW, None),
    ],
)
def test_the_end_of_a_scale_given_as_a_number_counts_where_it_is_level_2(
    values: dict[str, float], flag: DeviceFlag, word: DeviceFlag | None
) -> None:
    assert word_of(check(sugar(1, values=values, flags=(flag,)), NOW)) is word


async def test_a_doctor_who_left_is_told_of_nobody(db: AsyncSession, house: House) -> None:
    """Though the visit still bears the name: its readings are closed to who is on no duty."""
    left = update(Relations).where(
        Relations.actor_id == house.doctor, Relations.kind == Tie.DUTY.value
    )
    await db.execute(left.values(until=NOW))
    meter = msgspec.structs.replace(house.cuff, kinds=("glucose",))
    await apply(db, incoming(meter, [sugar(1)], NOW))
    assert await told(db, house.doctor) == []
    assert await told(db, house.patient) == ["glucose_below_scale"]


async def test_nobody_is_woken_for_what_a_meter_remembers(db: AsyncSession, house: House) -> None:
    """A LO of last week is stored, and seen by whoever looks."""
    meter = msgspec.structs.replace(house.cuff, kinds=("glucose",))
    old = sugar(1, NOW - timedelta(days=7))
    assert outcomes(await apply(db, incoming(meter, [old], NOW))) == [Outcome.STORED]
    assert await told(db, house.patient) == await told(db, house.doctor) == []


@pytest.mark.parametrize(
    "said",
    [
        {"flags": ()},
        {"flags": (DeviceFlag.ABOVE_SCALE, DeviceFlag.BELOW_SCALE)},
        {"kind": Kind.BLOOD_PRESSURE, "unit": "mmHg"},
    ],
)
def test_a_reading_without_a_number_needs_one_word_and_one_value(said: dict[str, object]) -> None:
    """Otherwise the value is missing, as ever."""
    with pytest.raises(BadMeasurement) as caught:
        check(msgspec.structs.replace(sugar(1), **said), NOW)
    assert caught.value.code == "value_missing"
