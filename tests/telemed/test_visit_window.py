"""A visit that nobody closes is over all the same: what that ends, and what stays."""

from datetime import datetime, timedelta
from uuid import uuid4

import numpy as np
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from devices.frames import StreamHeader, frame_of
from devices.measurement import Kind, Measurement
from people.refused import Forbidden
from telemed.ecg import IncomingFrame, apply_frames, open_stream, visit_ecg
from telemed.readings import apply, incoming, visit_readings
from telemed.visits import close_visit, get_visit, open_visit, require_join
from tests.telemed.clinic_house import NOW, House

# The house's visit ends an hour from now; twelve hours later it is over.
OVER = NOW + timedelta(hours=13)
AFTER = OVER + timedelta(minutes=1)


async def measure(db: AsyncSession, house: House, sequence: int, at: datetime) -> None:
    """A blood pressure and a stream of one frame, both of this moment."""
    values = {"systolic": 128.0, "diastolic": 82.0, "pulse": 71.0}
    one = Measurement(
        kind=Kind.BLOOD_PRESSURE, sequence=sequence, taken_at=at, values=values, unit="mmHg"
    )
    await apply(db, incoming(house.cuff, [one], at))
    header = StreamHeader(stream=uuid4(), rate_hz=360, gain_per_mv=200, baseline=0, lead="MLII")
    await open_stream(db, house.recorder, header, at)
    us = int(at.timestamp() * 1_000_000)
    frame = frame_of(header.stream, 0, us, np.zeros(72, dtype=np.int16))
    await apply_frames(db, [IncomingFrame(frame, at)])


@pytest.mark.parametrize("close_later", [False, True])
async def test_what_is_measured_after_its_time_is_not_the_visits(
    db: AsyncSession, house: House, *, close_later: bool
) -> None:
    """Nor does closing it a month later make the month a part of it."""
    await open_visit(db, await house.as_(db, house.doctor), house.visit, NOW)
    for sequence, at in enumerate((NOW, OVER, AFTER)):
        await measure(db, house, sequence, at)
    late = AFTER + timedelta(days=30)
    if close_later:
        await close_visit(db, await house.as_(db, house.doctor), house.visit, late)
    doctor = await house.as_(db, house.doctor, late)
    seen = await visit_readings(db, doctor, house.visit, None, late)
    assert [one.taken_at for one in seen] == [NOW, OVER]
    streams = await visit_ecg(db, doctor, house.visit, late)
    assert [one.started_at for one in streams] == [NOW, OVER]


async def test_nobody_joins_or_opens_it_and_both_still_see_it(
    db: AsyncSession, house: House
) -> None:
    """And its doctor can still close it."""
    doctor = await house.as_(db, house.doctor)
    await open_visit(db, doctor, house.visit, NOW)
    assert (await require_join(db, doctor, house.visit, OVER)).grants
    for who in (house.doctor, house.patient):
        actor = await house.as_(db, who, AFTER)
        with pytest.raises(Forbidden):
            await require_join(db, actor, house.visit, AFTER)
        with pytest.raises(Forbidden):
            await open_visit(db, actor, house.visit, AFTER)
        assert (await get_visit(db, actor, house.visit, AFTER)).grants == []
    assert (await close_visit(db, doctor, house.visit, AFTER)).closed_at == AFTER
