"""Legal holds: what is said about a person stays as it is while somebody may need it as evidence.

A hold is set by an administrator for a reason, until a day or until it is lifted. While any hold of
any organisation is on a person, the person is not erased and nothing about him is deleted for its
age. Setting and lifting leave a trace for administrators; who is held does not hear of it from us
(`audit.NOT_TOLD`).
"""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, ForeignKey, Index, and_, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, aliased, mapped_column

from people import audit
from people.administration import require_at
from people.members import known
from people.organisations import Ref
from people.persons import Persons, full_name
from people.policy import Act, Actor, Thing
from people.refused import FieldError, NotFound, OutOfRange, Refused
from people.relations import allowed
from people.sessions import Caller
from people.step_up import require_fresh
from storage.engine import Base, new_id
from storage.jobs import enqueue

REASON_MAX = 500
# Carries a hold to the object store (people/held_objects.py).
HOLD_OBJECTS = "people.hold_objects"
SHOWN = 200

_setter = aliased(Persons)


class LegalHolds(Base):
    """One hold; over when it is lifted or its day has come."""

    __tablename__ = "legal_holds"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisations.id"))
    person_id: Mapped[UUID] = mapped_column(ForeignKey("persons.id"))
    reason: Mapped[str]
    set_by: Mapped[UUID] = mapped_column(ForeignKey("persons.id"))
    set_at: Mapped[datetime]
    until: Mapped[datetime | None]
    lifted_at: Mapped[datetime | None]
    lifted_by: Mapped[UUID | None] = mapped_column(ForeignKey("persons.id"))

    __table_args__ = (Index(None, "person_id"), Index(None, "organisation_id", "set_at"))


class NewHold(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whose data are to stay, why, and until when (without a day: until it is lifted)."""

    person_id: UUID
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=REASON_MAX)]
    until: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """A hold as administrators of its organisation see it."""

    id: UUID
    person: Ref
    reason: str
    set_by: Ref
    set_at: datetime
    until: datetime | None
    lifted_at: datetime | None
    holds: bool


class HoldInThePast(Refused):
    """A hold ends later than now."""

    status = 422
    code = "bad_time"


async def set_hold(
    db: AsyncSession, caller: Caller, organisation_id: UUID, new: NewHold, now: datetime
) -> Hold:
    """Hold a person of the organisation, or one who was. Raises NotFound, StepUpNeeded, BadTime."""
    require_at(caller.actor, Act.HOLD_PERSON, organisation_id, now)
    require_fresh(caller, now)
    reason = new.reason.strip()
    if not reason:
        raise OutOfRange("reason", 1, REASON_MAX)
    if new.until is not None and new.until <= now:
        raise HoldInThePast((FieldError("until", "bad_time"),))
    # Behind the same lock as an erasure: one of the two comes first and is seen by the other.
    query = select(Persons).where(
        Persons.id == new.person_id, known(Persons.id, organisation_id, now)
    )
    person = await db.scalar(query.with_for_update())
    if person is None:
        raise NotFound
    row = LegalHolds(
        id=new_id(),
        organisation_id=organisation_id,
        person_id=person.id,
        reason=reason,
        set_by=caller.person_id,
        set_at=now,
        until=new.until,
    )
    db.add(row)
    await db.flush()
    thing = Thing(subject_id=person.id, organisation_id=organisation_id, about=(row.id,))
    await audit.acted(db, caller.person_id, "hold_set", thing, now)
    await enqueue(db, HOLD_OBJECTS, once=f"hold {person.id.hex}", person=person.id)
    setter = await db.get_one(Persons, caller.person_id)
    return _hold(row, person, setter, now)


async def lift_hold(
    db: AsyncSession, caller: Caller, organisation_id: UUID, hold_id: UUID, now: datetime
) -> None:
    """Lift a hold of one's own organisation; lifting twice is lifting."""
    require_at(caller.actor, Act.HOLD_PERSON, organisation_id, now)
    require_fresh(caller, now)
    query = select(LegalHolds).where(
        LegalHolds.id == hold_id, LegalHolds.organisation_id == organisation_id
    )
    row = await db.scalar(query.with_for_update())
    if row is None:
        raise NotFound
    if row.lifted_at is not None:
        return
    row.lifted_at, row.lifted_by = now, caller.person_id
    await db.flush()
    thing = Thing(subject_id=row.person_id, organisation_id=row.organisation_id, about=(row.id,))
    await audit.acted(db, caller.person_id, "hold_lifted", thing, now)
    await enqueue(db, HOLD_OBJECTS, once=f"hold {row.person_id.hex}", person=row.person_id)


async def list_holds(
    db: AsyncSession, actor: Actor, organisation_id: UUID, now: datetime
) -> list[Hold]:
    """Give the organisation's holds, those that hold first, then the newest."""
    require_at(actor, Act.HOLD_PERSON, organisation_id, now)
    over = or_(LegalHolds.lifted_at.is_not(None), LegalHolds.until <= now)
    visible = allowed(
        Act.HOLD_PERSON, actor.id or organisation_id, now, organisation=LegalHolds.organisation_id
    )
    query = (
        select(LegalHolds, Persons, _setter)
        .join(Persons, Persons.id == LegalHolds.person_id)
        .join(_setter, _setter.id == LegalHolds.set_by)
        .where(LegalHolds.organisation_id == organisation_id, visible)
        .order_by(over, LegalHolds.set_at.desc(), LegalHolds.id)
        .limit(SHOWN)
    )
    return [_hold(*row, now) for row in (await db.execute(query)).all()]


def held(person_id: Any, now: datetime) -> ColumnElement[bool]:
    """SQL: somebody holds this person (an id or a column)."""
    on = and_(
        LegalHolds.lifted_at.is_(None), or_(LegalHolds.until.is_(None), LegalHolds.until > now)
    )
    return exists().where(LegalHolds.person_id == person_id, on)


def _hold(row: LegalHolds, person: Persons, setter: Persons, now: datetime) -> Hold:
    return Hold(
        id=row.id,
        person=Ref(person.id, full_name(person.given_name, person.family_name)),
        reason=row.reason,
        set_by=Ref(setter.id, full_name(setter.given_name, setter.family_name)),
        set_at=row.set_at,
        until=row.until,
        lifted_at=row.lifted_at,
        holds=row.lifted_at is None and (row.until is None or row.until > now),
    )
