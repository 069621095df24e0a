"""A remote visit rests on the last word: one that was taken back long ago ends nothing today."""

from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from people import consents
from people.consent_rules import Purpose
from people.consents import NewConsent
from telemed.telemedicine import ConsentWithdrawn, require_consent
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
