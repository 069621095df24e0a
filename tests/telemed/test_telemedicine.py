"""A remote visit rests on the last word: one that was taken back long ago ends nothing today."""

from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from people import consents
from people.consent_rules import Purpose
from people.consents import NewConsent
from storage.engine import new_id
from telemed.ecg import visit_ecg
from telemed.ecg_chunks import find_frames
from telemed.readings import visit_readings
from telemed.telemedicine import ConsentWithdrawn, require_consent
from telemed.visits import close_visit, get_visit
from tests.telemed.clinic_house import NOW, House

DAY = timedelta(days=1)


async def give(db: AsyncSession, house: House, at: datetime) -> UUID:
    new = NewConsent(organisation_id=house.clinic, purpose=Purpose.TELEMEDICINE, version=1, days=1)
    return (await consents.give(db, await house.as_(db, house.patient, at), new, at)).id


async def test_a_word_taken_back_counts_until_another_is_given(
    db: AsyncSession, house: House
) -> None:
    """When that other one runs out nobody has taken anything back."""
    where = (db, house.patient, house.clinic)
    await require_consent(*where, NOW)
    patient = await house.as_(db, house.patient)
    await consents.withdraw(db, patient, await give(db, house, NOW), NOW)
    with pytest.raises(ConsentWithdrawn):
        await require_consent(*where, NOW + 2 * DAY)
    await give(db, house, NOW + 3 * DAY)
    await require_consent(*where, NOW + 3 * DAY)
    await require_consent(*where, NOW + 5 * DAY)


async def test_without_the_word_only_the_patient_looks_at_what_is_measured(
    db: AsyncSession, house: House
) -> None:
    """Closing afterwards opens nothing; what was closed before stays a paper."""
    doctor, patient = await house.as_(db, house.doctor), await house.as_(db, house.patient)
    word, soon = await give(db, house, NOW), NOW + timedelta(minutes=1)
    assert await visit_readings(db, doctor, house.visit, None, NOW) == []
    await consents.withdraw(db, patient, word, soon)

    async def refused(at: datetime) -> None:
        there = await house.as_(db, house.doctor, at)
        with pytest.raises(ConsentWithdrawn):
            await visit_readings(db, there, house.visit, None, at)
        with pytest.raises(ConsentWithdrawn):
            await visit_ecg(db, there, house.visit, at)
        with pytest.raises(ConsentWithdrawn):
            await find_frames(db, there, house.visit, new_id(), -1, 1, at)

    await refused(soon)
    assert await visit_readings(db, patient, house.visit, None, soon) == []
    await close_visit(db, doctor, house.visit, soon + DAY / 24)
    await refused(soon + DAY / 12)
    assert (await get_visit(db, patient, house.visit, soon)).closed_at is not None


async def test_a_visit_closed_before_the_word_was_taken_back_stays_readable(
    db: AsyncSession, house: House
) -> None:
    """It took place with it."""
    doctor, word = await house.as_(db, house.doctor), await give(db, house, NOW)
    await close_visit(db, doctor, house.visit, NOW + timedelta(minutes=1))
    later = NOW + DAY / 24
    await consents.withdraw(db, await house.as_(db, house.patient), word, later)
    there = await house.as_(db, house.doctor, later)
    assert await visit_readings(db, there, house.visit, None, later) == []
