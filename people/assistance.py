"""Acting for somebody at the desk: a nurse or clerk takes the QR a person shows, for half an hour.

Showing the code is the word of the person, or of a guardian who answers for a child's health and
sees it as the child does; either side ends it at once. It reaches only the organisation of the
desk, and only while the helper still works there.
"""

from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

import msgspec
from sqlalchemy import CheckConstraint, ColumnElement, ForeignKey, Index, Select, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, aliased, mapped_column

from people import audit, codes
from people.administration import require_at
from people.ages import age_on, local_day
from people.facts import RightsChanged, emit
from people.notices import notify
from people.organisations import Organisations, Ref
from people.persons import Persons, full_name
from people.policy import Act, Actor, Kind, Right, Thing, require
from people.refused import Forbidden, NotFound
from people.relations import allowed, end, grant
from people.shares import shower_of
from storage.engine import Base, new_id

LASTS = timedelta(minutes=30)
SOURCE = "assistance"


class Assistances(Base):
    """One time somebody acted for somebody. Ended rows stay: they say who did."""

    __tablename__ = "assistances"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    helper_id: Mapped[UUID] = mapped_column(ForeignKey("persons.id"))
    person_id: Mapped[UUID] = mapped_column(ForeignKey("persons.id"))
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisations.id"))
    since: Mapped[datetime]
    until: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    ended_by_id: Mapped[UUID | None] = mapped_column(ForeignKey("persons.id"))

    __table_args__ = (
        CheckConstraint("helper_id <> person_id", name="two_people"),
        Index(None, "helper_id", "until"),
        Index(None, "person_id", "until"),
    )

    @classmethod
    def live(cls, now: datetime) -> ColumnElement[bool]:
        """SQL: going on at `now`."""
        return and_(cls.ended_at.is_(None), cls.since <= now, cls.until > now)


class NewAssistance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The code somebody showed, and at which desk."""

    code: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    organisation_id: UUID


class Assistance(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody acts for somebody; `mine` when the reader is the helper."""

    id: UUID
    helper: Ref
    person: Ref
    age: int | None
    organisation: Ref
    until: datetime
    mine: bool


_helper = aliased(Persons)


def visible_to(
    person_id: UUID, now: datetime
) -> Select[Assistances, Persons, Persons, Organisations]:
    """What goes on between a desk and this person, or a child whose health is theirs to mind."""
    return (
        select(Assistances, _helper, Persons, Organisations)
        .join(_helper, _helper.id == Assistances.helper_id)
        .join(Persons, Persons.id == Assistances.person_id)
        .join(Organisations, Organisations.id == Assistances.organisation_id)
        .where(
            or_(
                Assistances.helper_id == person_id,
                Assistances.person_id == person_id,
                allowed(
                    Act.CONSENT_FOR_CHILD_HEALTH, person_id, now, subject=Assistances.person_id
                ),
            ),
            Assistances.live(now),
        )
        .order_by(Assistances.since, Assistances.id)
    )


def thing(row: Assistances) -> Thing:
    """The person helped, at that desk, as policy sees it."""
    return Thing(subject_id=row.person_id, organisation_id=row.organisation_id, about=(row.id,))


async def start(
    db: AsyncSession, actor: Actor, new: NewAssistance, network: str, now: datetime
) -> Assistance:
    """Act for whoever showed the code, from now on for half an hour.

    Raises NotFound, Forbidden for who has no desk there, CodeRefused, TooManyAttempts.
    """
    require_at(actor, Act.SCAN_QR, new.organisation_id, now)
    _require_desk(actor, new.organisation_id, now)
    code = await codes.take(db, new.code, "assist", now, by=actor.id, network=network)
    shown_by = await shower_of(db, code, now)
    if actor.id is None or code.person_id == actor.id:
        raise Forbidden
    row = Assistances(
        id=new_id(),
        helper_id=actor.id,
        person_id=code.person_id,
        organisation_id=new.organisation_id,
        since=now,
        until=now + LASTS,
    )
    db.add(row)
    await db.flush()
    right = Right(
        actor_id=row.helper_id,
        kind=Kind.ASSISTANCE,
        subject_id=row.person_id,
        organisation_id=row.organisation_id,
        about_id=row.id,
        since=now,
        until=row.until,
    )
    await grant(db, right, SOURCE)
    await _changed(db, actor, "assistance_started", row, now)
    organisation = await db.get_one(Organisations, row.organisation_id)
    told = {"organisation": organisation.name}
    await notify(db, row.person_id, "assistance_started", told, now, about=row.id)
    if shown_by != row.person_id:
        await notify(db, shown_by, "assistance_for_child", told, now, about=row.id)
    return (await _shown(db, actor.id, now, row.id))[0]


async def stop(db: AsyncSession, actor: Actor, assistance_id: UUID, now: datetime) -> None:
    """End it, from either side. Raises NotFound for anybody else's, and for one that is over."""
    require(actor, Act.HOUSEHOLD, Thing(subject_id=actor.id), now)
    row = await _seen(db, actor, assistance_id, now, lock=True)
    row.ended_at, row.ended_by_id = now, actor.id
    await db.flush()
    await end(db, Kind.ASSISTANCE, row.id, now)
    await _changed(db, actor, "assistance_ended", row, now)


async def going_on(db: AsyncSession, actor: Actor, now: datetime) -> list[Assistance]:
    """Give whom the actor acts for, and who acts for the actor or a child of his."""
    require(actor, Act.HOUSEHOLD, Thing(subject_id=actor.id), now)
    return [] if actor.id is None else await _shown(db, actor.id, now)


async def helped(db: AsyncSession, actor: Actor, assistance_id: UUID, now: datetime) -> Assistances:
    """Give the row to the helper who may act by it now.

    Raises NotFound, Forbidden for the side that is helped and for a helper who left the desk.
    """
    row = await _seen(db, actor, assistance_id, now)
    require(actor, Act.ASSIST, thing(row), now)
    _require_desk(actor, row.organisation_id, now)
    return row


async def get(db: AsyncSession, actor: Actor, assistance_id: UUID, now: datetime) -> Assistance:
    """Give one to its helper, as `helped`."""
    row = await helped(db, actor, assistance_id, now)
    return (await _shown(db, row.helper_id, now, row.id))[0]


def _require_desk(actor: Actor, organisation_id: UUID, now: datetime) -> None:
    """Doctors and teachers scan codes too, but at the desk sit nurses and clerks."""
    if not any(
        right.kind is Kind.CLERKSHIP
        and right.organisation_id == organisation_id
        and right.live(now)
        for right in actor.rights
    ):
        raise Forbidden(Act.ASSIST, Thing(organisation_id=organisation_id), actor.id)


async def _seen(
    db: AsyncSession, actor: Actor, assistance_id: UUID, now: datetime, *, lock: bool = False
) -> Assistances:
    if actor.id is None:
        raise NotFound
    query = visible_to(actor.id, now).where(Assistances.id == assistance_id)
    if lock:
        query = query.with_for_update(of=Assistances).execution_options(populate_existing=True)
    row: Assistances | None = await db.scalar(query)
    if row is None:
        raise NotFound
    return row


async def _shown(
    db: AsyncSession, me: UUID, now: datetime, assistance_id: UUID | None = None
) -> list[Assistance]:
    query = visible_to(me, now)
    if assistance_id is not None:
        query = query.where(Assistances.id == assistance_id)
    return [
        Assistance(
            id=row.id,
            helper=Ref(helper.id, full_name(helper.given_name, helper.family_name)),
            person=Ref(person.id, full_name(person.given_name, person.family_name)),
            age=None
            if person.born_on is None
            else age_on(person.born_on, local_day(now, place.timezone)),
            organisation=Ref(place.id, place.name),
            until=row.until,
            mine=row.helper_id == me,
        )
        for row, helper, person, place in (await db.execute(query)).all()
    ]


async def _changed(
    db: AsyncSession, actor: Actor, what: str, row: Assistances, now: datetime
) -> None:
    await audit.acted(db, actor.id, what, thing(row), now)
    for person_id in (row.helper_id, row.person_id):
        emit(db, RightsChanged(at=now, person_id=person_id))
