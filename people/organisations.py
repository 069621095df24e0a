"""Organisations: clinics and schools. Each has its own local time."""

from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Date, cast, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute, Mapped, mapped_column

from people.relations import Relations
from storage.engine import Base, new_id

SOON: Final = timedelta(hours=3)


class OrganisationKind(StrEnum):
    """What an organisation is."""

    CLINIC = "clinic"
    SCHOOL = "school"


class Organisations(Base):
    """A clinic or a school: one tenant."""

    __tablename__ = "organisations"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    kind: Mapped[str]
    name: Mapped[str]
    # IANA name: which visits are "today" is a question of local time.
    timezone: Mapped[str] = mapped_column(server_default="Europe/Moscow")


class Ref(msgspec.Struct, frozen=True):
    """A thing by id and name, as screens show it."""

    id: UUID
    name: str


def on_local_day(
    day: date | None,
    now: datetime,
    starts_at: InstrumentedAttribute[datetime],
    ends_at: InstrumentedAttribute[datetime],
) -> ColumnElement[bool]:
    """SQL: [starts_at, ends_at) touches the organisation's local `day`.

    When None: its today, and what begins within SOON: who looks before midnight must find what
    begins behind it. The statement must join Organisations.
    """
    zone = Organisations.timezone
    local_day = day if day is not None else cast(func.timezone(zone, now), Date)
    of_day = (cast(func.timezone(zone, starts_at), Date) <= local_day) & (
        func.timezone(zone, ends_at) > cast(local_day, Date)
    )
    return of_day if day is not None else of_day | starts_at.between(now, now + SOON)


async def today_of(db: AsyncSession, person_id: UUID, now: datetime) -> date:
    """Local date where the person belongs; that of UTC for one who belongs nowhere."""
    query = (
        select(cast(func.timezone(Organisations.timezone, now), Date))
        .join(Relations, Relations.organisation_id == Organisations.id)
        .where(Relations.actor_id == person_id, Relations.live(now))
        .order_by(Relations.since, Relations.id)
        .limit(1)
    )
    found = await db.scalar(query)
    return found if found is not None else now.date()
