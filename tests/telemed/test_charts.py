"""Charts: no extreme is lost at any width, the level fits the screen, and only who may see looks."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from devices.measurement import DeviceFlag, Kind, Measurement
from people.audit import AuditReads
from people.policy import Act
from people.refused import NotFound
from telemed.charts import Asked, Chart, Level, grid, record_chart, visit_chart
from telemed.readings import apply, incoming
from tests.telemed.clinic_house import NOW, House
from tests.telemed.test_reading_months import old_columns, old_insert, pulse

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


async def fill(db: AsyncSession, house: House, days: int) -> None:
    """A reading every six hours, with one spike and one dip in the middle."""
    sent = [pulse(n, NOW - n * 6 * HOUR, 60 + n % 7) for n in range(days * 4)]
    sent.append(pulse(9001, NOW - days / 2 * DAY, 190))
    sent.append(pulse(9002, NOW - days / 2 * DAY - HOUR, 35))
    for at in range(0, len(sent), 500):
        await apply(db, incoming(house.cuff, sent[at : at + 500], NOW))


def asked(days: float, bands: int = 500) -> Asked:
    return Asked(Kind.BLOOD_PRESSURE, NOW - days * DAY, NOW + HOUR, bands)


async def mine(db: AsyncSession, house: House, what: Asked) -> Chart:
    return await record_chart(
        db, await house.as_(db, house.patient), house.patient, None, what, NOW
    )


@pytest.mark.parametrize(
    ("days", "bands", "level", "step"),
    [
        (1, 500, Level.READINGS, None),
        (7, 500, Level.HOURS, HOUR),
        (30, 500, Level.HOURS, 2 * HOUR),
        (364, 500, Level.HOURS, 18 * HOUR),
        (364, 300, Level.DAYS, 2 * DAY),
    ],
)
def test_the_level_is_the_coarsest_that_fills_the_screen(
    days: int, bands: int, level: Level, step: timedelta | None
) -> None:
    """And never more bands than asked for."""
    chosen = grid(asked(days, bands))
    assert chosen.level is level
    assert step is None or chosen.step == step
    assert (chosen.until - chosen.since) / chosen.step <= bands


@pytest.mark.parametrize(("days", "bands"), [(1, 100), (40, 500), (40, 20), (40, 1), (300, 500)])
async def test_no_extreme_is_lost(db: AsyncSession, house: House, days: int, bands: int) -> None:
    """The spike and the dip are there at every width, and every reading is counted once."""
    await fill(db, house, days)
    chart = await mine(db, house, asked(days, bands))
    assert [line.name for line in chart.lines] == ["systolic", "diastolic", "pulse"]
    assert [line.unit for line in chart.lines] == ["mmHg", "mmHg", "/min"]
    beats = chart.lines[2].bands
    assert len(beats) <= bands
    assert (min(b.low for b in beats), max(b.high for b in beats)) == (35, 190)
    assert sum(band.n for band in beats) == days * 4 + 2
    assert all(band.low <= band.mean <= band.high for band in beats)
    assert [band.at for band in beats] == sorted({band.at for band in beats})


async def test_what_lies_in_no_month_yet_is_in_the_chart(db: AsyncSession, house: House) -> None:
    """While a job moves what stood before, each reading is seen once."""
    await old_insert(db, old_columns(house, range(10), NOW - 3 * DAY))
    await apply(db, incoming(house.cuff, [pulse(20, NOW - 4 * DAY)], NOW))
    for days in (1, 7, 400):
        chart = await mine(db, house, asked(days))
        found = sum(band.n for line in chart.lines[:1] for band in line.bands)
        assert found == (0 if days == 1 else 11)


async def test_a_visit_shows_no_more_than_its_window(db: AsyncSession, house: House) -> None:
    """However much is asked for; to its doctor and its patient."""
    sent = [pulse(n, NOW - n * 12 * HOUR) for n in range(20)]
    await apply(db, incoming(house.cuff, sent, NOW))
    for who in (house.doctor, house.patient):
        chart = await visit_chart(db, await house.as_(db, who), house.visit, asked(300), NOW)
        assert chart.level is Level.READINGS
        assert sum(band.n for band in chart.lines[0].bands) == 3
    for who in (house.colleague, house.foreign_doctor, house.administrator):
        with pytest.raises(NotFound):
            await visit_chart(db, await house.as_(db, who), house.visit, asked(300), NOW)


async def test_a_record_is_nobody_elses_chart(db: AsyncSession, house: House) -> None:
    """Not for who treats the patient in a visit either; who looked leaves a trace."""
    for who in (house.doctor, house.administrator, house.other_patient):
        actor = await house.as_(db, who)
        with pytest.raises(NotFound):
            await record_chart(db, actor, house.patient, None, asked(7), NOW)
    await mine(db, house, asked(7))
    [row] = (await db.scalars(select(AuditReads))).all()
    assert (row.actor_id, row.subject_id, row.act) == (house.patient, house.patient, Act.SEE_RECORD)
    assert {"reading_hours", "readings"} <= set(row.tables)


@pytest.mark.parametrize(
    ("since", "until"),
    [
        (NOW, NOW - DAY),
        (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)),
        (datetime.min, datetime.max),  # noqa: DTZ901 - what a query may say
    ],
)
async def test_a_strange_time_is_an_empty_chart_and_no_failure(
    db: AsyncSession, house: House, since: datetime, until: datetime
) -> None:
    """Backwards, or the whole calendar."""
    what = Asked(Kind.BLOOD_PRESSURE, since, until)
    assert (await mine(db, house, what)).lines == []
    actor = await house.as_(db, house.patient)
    assert (await visit_chart(db, actor, house.visit, what, NOW)).lines == []


async def test_a_year_is_read_from_hours(db: AsyncSession, house: House) -> None:
    """Without touching a reading in a month: the year's rows may be half a million."""
    await fill(db, house, 20)
    await db.execute(text("UPDATE reading_hours SET high = 250 WHERE name = 'pulse'"))
    chart = await mine(db, house, asked(300))
    assert {band.high for band in chart.lines[2].bands} == {250}


@pytest.mark.parametrize("days", [1, 7, 400])
async def test_what_lay_beyond_the_scale_is_a_mark_and_no_number(
    db: AsyncSession, house: House, days: int
) -> None:
    """At every level: the HI beside a number is counted, and moves no mean."""
    high, low = (DeviceFlag.ABOVE_SCALE,), (DeviceFlag.BELOW_SCALE,)
    meter = msgspec.structs.replace(house.cuff, kinds=("glucose",))
    said: list[tuple[dict[str, float], tuple[DeviceFlag, ...]]] = [
        ({"glucose": 400.0}, ()),
        ({}, high),
        ({}, high),
        ({}, low),
    ]
    sent = [
        Measurement(kind=Kind.GLUCOSE, sequence=at, taken_at=NOW, unit="mg/dL", values=v, flags=f)
        for at, (v, f) in enumerate(said)
    ]
    await apply(db, incoming(meter, sent, NOW))
    chart = await mine(db, house, Asked(Kind.GLUCOSE, NOW - days * DAY, NOW + HOUR))
    [line] = chart.lines
    assert [(band.n, band.low, band.high) for band in line.bands] == [(1, 22.2, 22.2)]
    marks = sorted((mark.word.value, mark.n) for mark in chart.marks)
    assert marks == [("above_scale", 2), ("below_scale", 1)]
    assert b"NaN" not in msgspec.json.encode(chart)
