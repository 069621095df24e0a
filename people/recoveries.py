"""Who cannot get in and asked for help (people/asking.py): those who can help are told.

Help is a new card or a one-time link, made at the desk for a person who is seen there.
"""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import ForeignKey, Index, and_, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from people.administration import require_at
from people.notices import notify
from people.organisations import Ref
from people.persons import Persons, full_name
from people.policy import Act, Actor, Kind
from people.relations import Relations
from storage.engine import Base
from storage.jobs import Work, job

TELL_JOB: Final = "people.tell_of_recoveries"
SHOWN_FOR: Final = timedelta(days=14)


class Recoveries(Base):
    """Somebody says that this person cannot get in; one open request a person and organisation."""

    __tablename__ = "recoveries"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("persons.id"))
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisations.id"))
    asked_at: Mapped[datetime]
    told_at: Mapped[datetime | None]
    done_at: Mapped[datetime | None]

    __table_args__ = (
        Index(
            "ux_recoveries_open",
            "person_id",
            "organisation_id",
            unique=True,
            postgresql_where=text("done_at IS NULL"),
        ),
        Index(None, "organisation_id", "asked_at"),
    )


class Recovery(msgspec.Struct, frozen=True):
    """An open request, for who can help."""

    id: UUID
    person: Ref
    asked_at: datetime


@job(TELL_JOB)
async def tell_of_recoveries(work: Work) -> None:
    """Tell the person, and the administrators of the organisation, of each new request."""
    db, now = work.db, work.now
    query = select(Recoveries).where(Recoveries.told_at.is_(None), Recoveries.done_at.is_(None))
    for row in (await db.scalars(query.with_for_update(skip_locked=True))).all():
        row.told_at = now
        await notify(db, row.person_id, "recovery_asked", {}, now, about=row.id)
        helpers = select(Relations.actor_id).where(
            Relations.kind == Kind.ADMINISTRATION.value,
            Relations.organisation_id == row.organisation_id,
            Relations.actor_id != row.person_id,
            Relations.live(now),
        )
        for helper in (await db.scalars(helpers.distinct())).all():
            await notify(db, helper, "recovery_wanted", {}, now, about=row.organisation_id)
    await db.flush()


async def list_recoveries(
    db: AsyncSession, actor: Actor, organisation_id: UUID, now: datetime
) -> list[Recovery]:
    """Give the organisation's open requests, oldest first."""
    require_at(actor, Act.LET_IN, organisation_id, now)
    query = (
        select(Recoveries, Persons)
        .join(Persons, Persons.id == Recoveries.person_id)
        .where(
            Recoveries.organisation_id == organisation_id,
            Recoveries.done_at.is_(None),
            Recoveries.asked_at > now - SHOWN_FOR,
        )
        .order_by(Recoveries.asked_at, Recoveries.id)
        .limit(100)
    )
    return [
        Recovery(
            row.id, Ref(person.id, full_name(person.given_name, person.family_name)), row.asked_at
        )
        for row, person in (await db.execute(query)).all()
    ]


async def helped(db: AsyncSession, person_id: UUID, organisation_id: UUID, now: datetime) -> None:
    """Close the person's request there: a card or link has been made."""
    mine = and_(Recoveries.person_id == person_id, Recoveries.organisation_id == organisation_id)
    await db.execute(
        update(Recoveries).where(mine, Recoveries.done_at.is_(None)).values(done_at=now)
    )
