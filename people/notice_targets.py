"""Where a person's notices go when no page is open, and when they may not: the rows.

people/notice_settings.py changes them, people/notices.py and people/notice_ways.py go by them.
"""

from datetime import datetime
from enum import StrEnum
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import ForeignKey, Index, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from people.organisations import Organisations
from people.policy import Act, Actor, Thing, require
from people.quiet_hours import (
    USUAL_ZONE,
    QuietHours,
    zone_or_none,
)
from people.refused import NotSignedIn
from people.relations import Relations
from storage.engine import Base, new_id


class NoticeWay(StrEnum):
    """How a person hears of a notice when no page is open."""

    MAIL = "mail"
    SMS = "sms"
    PUSH = "push"


class NoticeTargets(Base):
    """Where a person can be reached: an address, a number, a browser that takes push."""

    __tablename__ = "notice_targets"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("persons.id"))
    way: Mapped[str]
    address: Mapped[str]
    # Of a browser: its public key and its secret, by which a push is sealed (RFC 8291).
    p256dh: Mapped[bytes | None]
    auth: Mapped[bytes | None]
    active: Mapped[bool] = mapped_column(server_default="true")
    made_at: Mapped[datetime]
    asked_at: Mapped[datetime]
    tries: Mapped[int] = mapped_column(server_default="0")
    confirmed_at: Mapped[datetime | None]
    told_at: Mapped[datetime | None]

    __table_args__ = (
        Index(
            "ux_notice_targets_person_id_way",
            "person_id",
            "way",
            unique=True,
            postgresql_where=text("way <> 'push'"),
        ),
        Index(
            "ux_notice_targets_address",
            "address",
            unique=True,
            postgresql_where=text("way = 'push'"),
        ),
        Index(None, "person_id"),
    )


class NoticesTold(Base):
    """A notice that was told by this way: each by itself, for they come in no certain order."""

    __tablename__ = "notices_told"

    target_id: Mapped[UUID] = mapped_column(
        ForeignKey("notice_targets.id", ondelete="CASCADE"), primary_key=True
    )
    notice_id: Mapped[UUID] = mapped_column(
        ForeignKey("notices.id", ondelete="CASCADE"), primary_key=True
    )

    __table_args__ = (Index(None, "notice_id"),)


class NoticeSettings(Base):
    """When a person wants quiet; without a row the usual night counts."""

    __tablename__ = "notice_settings"

    person_id: Mapped[UUID] = mapped_column(ForeignKey("persons.id"), primary_key=True)
    # Minutes after local midnight; equal ends mean no quiet at all.
    quiet_from: Mapped[int]
    quiet_until: Mapped[int]
    timezone: Mapped[str | None]


async def quiet_hours_of(db: AsyncSession, person_id: UUID, now: datetime) -> QuietHours:
    """Give the person's quiet hours: their own, or the usual night where they belong."""
    row = await db.get(NoticeSettings, person_id)
    own = zone_or_none(row.timezone) if row is not None and row.timezone else None
    zone = own or await _zone_of(db, person_id, now)
    if row is None:
        return QuietHours(zone)
    return QuietHours(zone, row.quiet_from, row.quiet_until)


async def _zone_of(db: AsyncSession, person_id: UUID, now: datetime) -> ZoneInfo:
    query = (
        select(Organisations.timezone)
        .join(Relations, Relations.organisation_id == Organisations.id)
        .where(Relations.actor_id == person_id, Relations.live(now))
        .order_by(Relations.since, Relations.id)
        .limit(1)
    )
    found = await db.scalar(query)
    return (zone_or_none(found) if found else None) or ZoneInfo(USUAL_ZONE)


def oneself(actor: Actor, now: datetime) -> UUID:
    """Give the person who acts, who may do so for nobody but himself. Raises NotSignedIn."""
    if actor.id is None:
        raise NotSignedIn
    require(actor, Act.ACCOUNT, Thing(subject_id=actor.id), now)
    return actor.id
