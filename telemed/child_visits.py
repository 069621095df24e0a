"""A child's visits, as a confirmed guardian sees them while the child's health is open to him."""

from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from people import audit
from people.households import get_child
from people.organisations import Organisations, Ref
from people.persons import Persons, full_name
from people.policy import Act, Actor, Thing
from people.relations import allowed
from telemed.visits import Visits, VisitState

SHOWN = 50

_doctor = aliased(Persons)


class VisitOutside(msgspec.Struct, frozen=True, kw_only=True):
    """A visit as somebody beside the patient sees it: when, with whom, where."""

    id: UUID
    starts_at: datetime
    ends_at: datetime
    state: VisitState
    doctor: Ref
    organisation: Ref


def visible_to(person_id: UUID, now: datetime) -> Select[Visits, Persons, Organisations]:
    """Visits of children whose health this person may see, newest first."""
    return (
        select(Visits, _doctor, Organisations)
        .join(_doctor, _doctor.id == Visits.doctor_id)
        .join(Organisations, Organisations.id == Visits.organisation_id)
        .where(allowed(Act.SEE_CHILD_HEALTH, person_id, now, subject=Visits.patient_id))
        .order_by(Visits.starts_at.desc(), Visits.id)
    )


async def child_visits(
    db: AsyncSession, actor: Actor, child_id: UUID, now: datetime
) -> list[VisitOutside]:
    """Give the newest visits of a child, those to come first.

    Raises NotFound unless the actor is its guardian, Forbidden while its health is closed to him.
    """
    await get_child(db, actor, child_id, now)
    assert actor.id is not None  # noqa: S101 - nobody's child was not found
    query = visible_to(actor.id, now).where(Visits.patient_id == child_id).limit(SHOWN)
    purpose = audit.Purpose(Act.SEE_CHILD_HEALTH, Thing(subject_id=child_id), now)
    return [outside(*row) for row in await audit.read(db, actor, query, purpose)]


async def next_visit(
    db: AsyncSession, actor: Actor, child_id: UUID, now: datetime
) -> VisitOutside | None:
    """Give the visit a child has now or next, of those open to the actor."""
    if actor.id is None:
        return None
    query = (
        visible_to(actor.id, now)
        .where(
            Visits.patient_id == child_id,
            Visits.state != VisitState.CLOSED.value,
            Visits.ends_at > now,
        )
        .order_by(None)
        .order_by(Visits.starts_at, Visits.id)
        .limit(1)
    )
    purpose = audit.Purpose(Act.SEE_CHILD_HEALTH, Thing(subject_id=child_id), now)
    rows = await audit.read(db, actor, query, purpose)
    return outside(*rows[0]) if rows else None


def outside(visit: Visits, doctor: Persons, clinic: Organisations) -> VisitOutside:
    """Give a visit as it is seen from outside."""
    return VisitOutside(
        id=visit.id,
        starts_at=visit.starts_at,
        ends_at=visit.ends_at,
        state=VisitState(visit.state),
        doctor=Ref(doctor.id, full_name(doctor.given_name, doctor.family_name)),
        organisation=Ref(clinic.id, clinic.name),
    )
