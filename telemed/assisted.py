"""What a nurse or clerk does for the person who showed a QR: today's visits, a reading typed in."""

from datetime import datetime
from typing import Final
from uuid import UUID, uuid5

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from devices.measurement import BadMeasurement, Kind, Measurement, check
from people import assistance, audit
from people.device_tokens import DESK, KnownDevice
from people.organisations import Organisations, on_local_day
from people.persons import Persons
from people.policy import Act, Actor
from people.refused import FieldError
from telemed.child_visits import VisitOutside, outside
from telemed.readings import BadReadings, Incoming
from telemed.visits import Visits

# A hand of its own at every desk: a reading says for ever that it was typed there.
_DESKS: Final = UUID("0b0d5f6a-1c8e-5d0a-8f7f-5c2b9d6a7e31")

_doctor = aliased(Persons)


async def todays_visits(
    db: AsyncSession, actor: Actor, assistance_id: UUID, now: datetime
) -> list[VisitOutside]:
    """Give the visits the helped person has today at the desk's clinic. Raises as `helped`."""
    row = await assistance.helped(db, actor, assistance_id, now)
    query = (
        select(Visits, _doctor, Organisations)
        .join(_doctor, _doctor.id == Visits.doctor_id)
        .join(Organisations, Organisations.id == Visits.organisation_id)
        .where(
            Visits.patient_id == row.person_id,
            Visits.organisation_id == row.organisation_id,
            on_local_day(None, now, Visits.starts_at, Visits.ends_at),
        )
        .order_by(Visits.starts_at, Visits.id)
    )
    purpose = audit.Purpose(Act.ASSIST, assistance.thing(row), now)
    return [outside(*found) for found in await audit.read(db, actor, query, purpose)]


async def typed_for(
    db: AsyncSession, actor: Actor, assistance_id: UUID, measurement: Measurement, now: datetime
) -> Incoming:
    """Check a reading a helper types in for the person, and keep who typed it.

    Raises as `helped`, and BadReadings naming the field.
    """
    row = await assistance.helped(db, actor, assistance_id, now)
    thing = assistance.thing(row)
    hand = KnownDevice(
        uuid5(_DESKS, f"{row.organisation_id} {row.person_id}"),
        row.person_id,
        DESK,
        tuple(kind.value for kind in Kind),
        now,
    )
    try:
        checked = check(measurement, now)
    except BadMeasurement as bad:
        raise BadReadings((FieldError(bad.field, bad.code, bad.params),)) from bad
    await audit.acted(db, actor.id, "reading_typed_at_desk", thing, now)
    return Incoming(hand, checked, now, by_hand=True)
