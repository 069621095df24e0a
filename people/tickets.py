"""One-use tickets: a browser shows one as the first message of a socket.

A ticket lives 30 s, is bound to a session and to one thing, and is worth nothing after its first
use. The store holds its SHA-256.
"""

import secrets
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from sqlalchemy import ForeignKey, Index, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from people.device_tokens import token_hash
from people.refused import NotSignedIn
from people.sessions import Caller, Sessions, caller_in
from storage.engine import Base

LIFE = timedelta(seconds=30)


class Tickets(Base):
    """A ticket that was given out."""

    __tablename__ = "tickets"

    sha256: Mapped[bytes] = mapped_column(primary_key=True)
    session_id: Mapped[UUID] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"))
    about_id: Mapped[UUID]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]

    __table_args__ = (Index(None, "session_id"),)


class BadWayIn(NotSignedIn):
    """A ticket or a way back that is not good now. Who tried it is for the audit only."""

    def __init__(self, actor_id: UUID, why: str, *, stale: bool = False) -> None:
        super().__init__()
        self.actor_id = actor_id
        self.why = why
        self.stale = stale  # anybody may have found it since


class Ticket(msgspec.Struct, frozen=True):
    """A ticket as the browser gets it."""

    ticket: str
    expires_at: datetime


async def issue(db: AsyncSession, caller: Caller, about_id: UUID, now: datetime) -> Ticket:
    """Give the caller's session a ticket to one thing; the act itself is judged by who calls."""
    await db.execute(
        delete(Tickets).where(Tickets.session_id == caller.session_id, Tickets.expires_at < now)
    )
    ticket = secrets.token_urlsafe(32)
    row = Tickets(
        sha256=token_hash(ticket),
        session_id=caller.session_id,
        about_id=about_id,
        expires_at=now + LIFE,
    )
    db.add(row)
    await db.flush()
    return Ticket(ticket, row.expires_at)


async def redeem(db: AsyncSession, ticket: str, about_id: UUID, now: datetime) -> Caller:
    """Use up a ticket and give who stands behind it.

    Raises NotSignedIn when it is unknown, BadWayIn when it is used, too old, for another thing, or
    its session is over.
    Two uses at once: the row lock lets one of them through.
    """
    used = (
        update(Tickets)
        .where(
            Tickets.sha256 == token_hash(ticket),
            Tickets.about_id == about_id,
            Tickets.used_at.is_(None),
            Tickets.expires_at > now,
        )
        .values(used_at=now)
        .returning(Tickets.session_id)
        .execution_options(synchronize_session=False)
    )
    session_id = await db.scalar(used)
    if session_id is None:
        raise await _refusal(db, ticket, about_id, now)
    query = select(Sessions).where(Sessions.id == session_id, Sessions.live(now))
    row = await db.scalar(query, execution_options={"populate_existing": True})
    if row is None:
        raise await _refusal(db, ticket, about_id, now, "ended session")
    return await caller_in(db, row, now)


async def _refusal(
    db: AsyncSession, ticket: str, about_id: UUID, now: datetime, why: str = "used"
) -> NotSignedIn:
    query = (
        select(Tickets.about_id, Tickets.expires_at, Sessions.person_id)
        .join(Sessions, Sessions.id == Tickets.session_id)
        .where(Tickets.sha256 == token_hash(ticket))
    )
    row = (await db.execute(query)).one_or_none()
    if row is None:
        return NotSignedIn()
    given_for, expires_at, person_id = row
    if given_for != about_id:
        why = "for something else"
    elif expires_at <= now:
        why = "expired"
    return BadWayIn(person_id, why, stale=expires_at <= now)
