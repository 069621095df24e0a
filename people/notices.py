"""Notices: what a person should know, on the screen at once, by other ways as the person chose.

A notice is written in the transaction of what it tells of, and so are the jobs that carry it
outside. Mail, SMS and push say only that something waits (people/notice_ways.py): what it is, the
person reads here, signed in. A way is told once of everything that waits, not of each notice.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import ForeignKey, Index, func, select, text, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from people.facts import NoticeMade, NoticesRead, emit
from people.notice_targets import NoticeTargets, oneself, quiet_hours_of
from people.policy import Actor
from people.refused import NotFound
from people.relations import Relations
from storage.engine import Base, new_id
from storage.jobs import enqueue

DELIVER = "people.deliver_notices"
PAGE = 50
# A way that was just used waits this long, and tells then of all that came meanwhile.
GAP = timedelta(minutes=10)


class Notices(Base):
    """One notice to one person: a code the page has a sentence for, and what fills it."""

    __tablename__ = "notices"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("persons.id"))
    code: Mapped[str]
    params: Mapped[dict[str, Any]]
    critical: Mapped[bool]
    # What it is about: a visit, a request, a person; of several tables, hence no foreign key.
    about_id: Mapped[UUID | None]
    at: Mapped[datetime]
    read_at: Mapped[datetime | None]

    __table_args__ = (
        Index(None, "person_id", "at", "id"),
        Index("ix_notices_unread", "person_id", "at", postgresql_where=text("read_at IS NULL")),
    )


class Notice(msgspec.Struct, frozen=True):
    """A notice as its person's screen shows it."""

    id: UUID
    code: str
    params: dict[str, str | int]
    critical: bool
    about_id: UUID | None
    at: datetime
    read_at: datetime | None


class NoticeList(msgspec.Struct, frozen=True):
    """Some notices, newest first, and whether there are older ones."""

    notices: list[Notice]
    more: bool


class Unread(msgspec.Struct, frozen=True):
    """How many notices wait to be read, and when the newest came: what a bell shows."""

    count: int
    newest_at: datetime | None


async def notify(
    db: AsyncSession,
    person_id: UUID,
    code: str,
    params: Mapping[str, str | int],
    now: datetime,
    *,
    critical: bool = False,
    about: UUID | None = None,
) -> UUID:
    """Tell a person something; only what is `critical` breaks into quiet hours.

    `code` has a sentence `notices.code_CODE` in the page's catalogues. A parameter that is a time
    is ISO 8601 and its name is `at` or ends with `_at`: the page writes it in local time.
    """
    row = Notices(
        id=new_id(),
        person_id=person_id,
        code=code,
        params=dict(params),
        critical=critical,
        about_id=about,
        at=now,
    )
    db.add(row)
    await db.flush()
    emit(db, NoticeMade(at=now, person_id=person_id, notice_id=row.id))
    await _carry_outside(db, person_id, now, critical=critical)
    return row.id


async def _carry_outside(
    db: AsyncSession, person_id: UUID, now: datetime, *, critical: bool
) -> None:
    query = select(NoticeTargets.id, NoticeTargets.told_at).where(
        NoticeTargets.person_id == person_id,
        NoticeTargets.active,
        NoticeTargets.confirmed_at.is_not(None),
    )
    targets = (await db.execute(query)).all()
    if not targets:
        return
    quiet = await quiet_hours_of(db, person_id, now)
    owners = await organisations_of(db, person_id, now)
    for target_id, told_at in targets:
        due = now
        if not critical:
            due = quiet.not_before(max(now, told_at + GAP) if told_at else now)
        await enqueue(
            db,
            DELIVER,
            at=due if due > now else None,
            once=f"{target_id}{'!' if critical else ''}",
            owners=owners,
            target_id=target_id,
            critical=critical,
        )


async def organisations_of(db: AsyncSession, person_id: UUID, now: datetime) -> list[UUID]:
    """Where the person belongs: whose administrators see that something did not reach them."""
    query = (
        select(Relations.organisation_id)
        .where(
            Relations.actor_id == person_id,
            Relations.organisation_id.is_not(None),
            Relations.live(now),
        )
        .distinct()
    )
    return [one for one in (await db.scalars(query)).all() if one is not None]


async def list_notices(
    db: AsyncSession, actor: Actor, now: datetime, *, before: UUID | None = None
) -> NoticeList:
    """Give the person's notices, newest first; those older than `before`. Raises NotFound."""
    person_id = oneself(actor, now)
    query = (
        select(Notices)
        .where(Notices.person_id == person_id)
        .order_by(Notices.at.desc(), Notices.id.desc())
        .limit(PAGE + 1)
    )
    if before is not None:
        last = await db.scalar(
            select(Notices).where(Notices.id == before, Notices.person_id == person_id)
        )
        if last is None:
            raise NotFound
        query = query.where(tuple_(Notices.at, Notices.id) < (last.at, last.id))
    rows = (await db.scalars(query)).all()
    return NoticeList([_notice(row) for row in rows[:PAGE]], more=len(rows) > PAGE)


async def unread(db: AsyncSession, actor: Actor, now: datetime) -> Unread:
    """Count the person's unread notices."""
    person_id = oneself(actor, now)
    query = select(func.count(), func.max(Notices.at)).where(
        Notices.person_id == person_id, Notices.read_at.is_(None)
    )
    count, newest = (await db.execute(query)).one()
    return Unread(count, newest)


async def read_notice(db: AsyncSession, actor: Actor, notice_id: UUID, now: datetime) -> None:
    """Mark one's own notice as read; reading twice is reading. Raises NotFound for any other."""
    person_id = oneself(actor, now)
    row = await db.scalar(
        select(Notices).where(Notices.id == notice_id, Notices.person_id == person_id)
    )
    if row is None:
        raise NotFound
    if row.read_at is None:
        row.read_at = now
        await db.flush()
        emit(db, NoticesRead(at=now, person_id=person_id))


async def read_all(db: AsyncSession, actor: Actor, until: datetime, now: datetime) -> None:
    """Mark everything that came `until` then as read; what came later nobody has seen yet."""
    person_id = oneself(actor, now)
    await db.execute(
        update(Notices)
        .where(Notices.person_id == person_id, Notices.read_at.is_(None), Notices.at <= until)
        .values(read_at=now)
        .execution_options(synchronize_session=False)
    )
    emit(db, NoticesRead(at=now, person_id=person_id))


def _notice(row: Notices) -> Notice:
    return Notice(
        id=row.id,
        code=row.code,
        params=dict(row.params),
        critical=row.critical,
        about_id=row.about_id,
        at=row.at,
        read_at=row.read_at,
    )
