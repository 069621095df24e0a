"""Sessions: an opaque token in a cookie, its SHA-256 here. New at every sign-in.

A session ends by sign-out, by being ended from the list, after idling (15 min for staff, 60 min for
others) and 12 h after sign-in whatever happens (ASVS 5.0 V7.3). Proving again who sits there
(people/step_up.py) keeps the session and changes its token.
"""

import secrets
from datetime import datetime, timedelta
from functools import cache
from uuid import UUID

import msgspec
from sqlalchemy import (
    BindParameter,
    ColumnElement,
    DateTime,
    ForeignKey,
    Index,
    Select,
    and_,
    bindparam,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from people import audit
from people.closed_accounts import require_open
from people.device_tokens import token_hash
from people.facts import SessionEnded, emit
from people.policy import Act, Actor, Thing, require
from people.refused import NotFound, NotSignedIn
from people.relations import RIGHT, Relations, actor_of, right_of
from people.second_steps import SecondSteps, forget_steps
from storage.engine import Base, new_id

STAFF_IDLE = timedelta(minutes=15)
OTHERS_IDLE = timedelta(minutes=60)
ABSOLUTE = timedelta(hours=12)
# A row is touched at most this often: a page makes many requests a second.
_TOUCH_EVERY = timedelta(seconds=20)


class Sessions(Base):
    """One signed-in browser."""

    __tablename__ = "sessions"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("persons.id"))
    token_sha256: Mapped[bytes] = mapped_column(unique=True)
    network: Mapped[str]
    signed_in_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    idle_until: Mapped[datetime]
    idle: Mapped[timedelta]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    # How it was opened, in a word: password, passkey, card, link …; and by which card or link.
    method: Mapped[str] = mapped_column(server_default="password")
    opened_by: Mapped[UUID | None]
    # When somebody last proved here to be this person: sign-in, then each step-up.
    proved_at: Mapped[datetime]
    # Only for making a second factor; true until one is made.
    enrolling: Mapped[bool] = mapped_column(server_default="false")

    __table_args__ = (Index(None, "person_id"), Index(None, "opened_by"))

    @classmethod
    def live(cls, now: datetime | BindParameter[datetime]) -> ColumnElement[bool]:
        """SQL: neither ended nor idle too long nor too old."""
        return and_(cls.ended_at.is_(None), cls.idle_until > now, cls.expires_at > now)


class Session(msgspec.Struct, frozen=True):
    """A session in the list of its person."""

    id: UUID
    signed_in_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    network: str
    current: bool


class Caller(msgspec.Struct, frozen=True):
    """Who stands behind a session's token, with the rights of this moment."""

    session_id: UUID
    actor: Actor
    person_id: UUID
    proved_at: datetime
    enrolling: bool = False


class NewSession(msgspec.Struct, frozen=True):
    """A session just made; `token` goes into the cookie and is kept nowhere."""

    id: UUID
    token: str
    expires_at: datetime


async def start_session(
    db: AsyncSession,
    person_id: UUID,
    network: str,
    now: datetime,
    *,
    staff: bool,
    method: str = "password",
    opened_by: UUID | None = None,
    enrolling: bool = False,
) -> NewSession:
    """Make a session with a fresh token of 256 random bits.

    Ways in do not call it themselves: `second_factors.let_in` asks for the second step before.
    Raises AccountClosed.
    """
    await require_open(db, person_id)
    token = secrets.token_urlsafe(32)
    idle = STAFF_IDLE if staff else OTHERS_IDLE
    row = Sessions(
        id=new_id(),
        person_id=person_id,
        token_sha256=token_hash(token),
        network=network,
        signed_in_at=now,
        last_seen_at=now,
        idle_until=now + idle,
        idle=idle,
        expires_at=now + ABSOLUTE,
        method=method,
        opened_by=opened_by,
        proved_at=now,
        enrolling=enrolling,
    )
    db.add(row)
    await db.flush()
    about = Thing(subject_id=person_id, about=(row.id,))
    details = {"method": method, "network": network}
    await audit.acted(db, person_id, "signed_in", about, now, details=details)
    return NewSession(row.id, token, row.expires_at)


async def prove(db: AsyncSession, session_id: UUID, now: datetime) -> NewSession:
    """Note that the session's person was proved again, and give the session another token.

    The old token is worth nothing from here on; sockets stay, they are bound to the session.
    """
    token = secrets.token_urlsafe(32)
    expires_at = await db.scalar(
        update(Sessions)
        .where(Sessions.id == session_id, Sessions.live(now))
        .values(token_sha256=token_hash(token), proved_at=now)
        .returning(Sessions.expires_at)
        .execution_options(synchronize_session=False)
    )
    if expires_at is None:
        raise NotSignedIn
    return NewSession(session_id, token, expires_at)


async def enrolled(db: AsyncSession, caller: Caller, now: datetime) -> None:
    """Open the caller's session to everything: a second factor has been made in it.

    Others of the person that wait for one end: whoever knew the password alone sits there.
    """
    await db.execute(
        update(Sessions)
        .where(Sessions.id == caller.session_id)
        .values(enrolling=False)
        .execution_options(synchronize_session=False)
    )
    waiting = (Sessions.person_id == caller.person_id) & Sessions.enrolling
    await _end(db, waiting, now)


_NOW = bindparam("now", type_=DateTime(timezone=True))
# A live session and the rights of its person: every request asks, so it is one question.
_KNOWN = (
    select(
        Sessions.id,
        Sessions.person_id,
        Sessions.proved_at,
        Sessions.enrolling,
        Sessions.last_seen_at,
        *RIGHT,
    )
    .outerjoin(Relations, and_(Relations.actor_id == Sessions.person_id, Relations.live(_NOW)))
    .where(Sessions.token_sha256 == bindparam("token_sha256"), Sessions.live(_NOW))
)


async def session_person(
    db: AsyncSession, token: str, now: datetime, *, quietly: bool = False
) -> Caller:
    """Give the person behind a token and keep the session awake. Raises NotSignedIn.

    `quietly` a page asks by itself: that must not keep a forgotten session alive.
    """
    found = (await db.execute(_KNOWN, {"token_sha256": token_hash(token), "now": now})).all()
    if not found:
        raise NotSignedIn
    session_id, person_id, proved_at, enrolling, last_seen_at, *_ = found[0]
    if not quietly and now - last_seen_at >= _TOUCH_EVERY:
        await touch(db, session_id, now)
    # A person without a right is one row too, of the session alone.
    rights = tuple(right_of(row[5:]) for row in found if row[5] is not None)
    return Caller(session_id, Actor(person_id, rights), person_id, proved_at, enrolling)


async def caller_in(db: AsyncSession, row: Sessions, now: datetime) -> Caller:
    """Give who stands behind a live session."""
    actor = await actor_of(db, row.person_id, now)
    return Caller(row.id, actor, row.person_id, row.proved_at, row.enrolling)


async def touch(db: AsyncSession, session_id: UUID, now: datetime) -> bool:
    """Keep a session awake, as an open visit does; False when it is over."""
    found = await db.scalar(
        update(Sessions)
        .where(Sessions.id == session_id, Sessions.live(now))
        .values(last_seen_at=now, idle_until=now + Sessions.idle)
        .returning(Sessions.id)
        .execution_options(synchronize_session=False)
    )
    return found is not None


@cache
def _alive() -> Select[UUID]:
    """Made once: every open page asks it every few seconds."""
    now = bindparam("now", type_=DateTime(timezone=True))
    return select(Sessions.id).where(Sessions.id == bindparam("session_id"), Sessions.live(now))


async def session_alive(db: AsyncSession, session_id: UUID, now: datetime) -> bool:
    """Say whether the session still holds, without keeping it awake."""
    return await db.scalar(_alive(), {"session_id": session_id, "now": now}) is not None


async def sign_out(db: AsyncSession, session_id: UUID, now: datetime) -> None:
    """End the session itself; signing out twice is signing out."""
    await _end(db, Sessions.id == session_id, now, by_themselves=True)


async def list_sessions(db: AsyncSession, caller: Caller, now: datetime) -> list[Session]:
    """Give the caller's own live sessions, newest first."""
    require(caller.actor, Act.ACCOUNT, Thing(subject_id=caller.person_id), now)
    query = (
        select(Sessions)
        .where(Sessions.person_id == caller.person_id, Sessions.live(now))
        .order_by(Sessions.signed_in_at.desc(), Sessions.id)
    )
    return [
        Session(
            id=row.id,
            signed_in_at=row.signed_in_at,
            last_seen_at=row.last_seen_at,
            expires_at=row.expires_at,
            network=row.network,
            current=row.id == caller.session_id,
        )
        for row in (await db.scalars(query)).all()
    ]


async def end_session(db: AsyncSession, caller: Caller, session_id: UUID, now: datetime) -> None:
    """End one of the caller's own sessions. Raises NotFound for any other."""
    require(caller.actor, Act.ACCOUNT, Thing(subject_id=caller.person_id), now)
    own = (Sessions.id == session_id) & (Sessions.person_id == caller.person_id)
    if not await _end(db, own & Sessions.live(now), now, by_themselves=True):
        raise NotFound


async def end_sessions_of(
    db: AsyncSession, person_id: UUID, now: datetime, *, but: UUID | None = None
) -> None:
    """End all sessions of a person, but one when named, and second steps; their sockets close."""
    await forget_steps(db, SecondSteps.person_id == person_id)
    others = Sessions.person_id == person_id
    await _end(db, others if but is None else others & (Sessions.id != but), now)


async def end_sessions_opened_by(db: AsyncSession, opened_by: UUID, now: datetime) -> None:
    """End every session that this card or link opened, and those it would open yet."""
    await forget_steps(db, SecondSteps.opened_by == opened_by)
    await _end(db, Sessions.opened_by == opened_by, now)


async def _end(
    db: AsyncSession, which: ColumnElement[bool], now: datetime, *, by_themselves: bool = False
) -> bool:
    query = (
        update(Sessions)
        .where(which, Sessions.ended_at.is_(None))
        .values(ended_at=now)
        .returning(Sessions.id, Sessions.person_id)
        .execution_options(synchronize_session=False)
    )
    rows = (await db.execute(query)).all()
    for row in rows:
        emit(db, SessionEnded(at=now, person_id=row.person_id, session_id=row.id))
        about = Thing(subject_id=row.person_id, about=(row.id,))
        # Ended from outside, the act that did it has a row of its own and says who.
        who = row.person_id if by_themselves else None
        await audit.acted(db, who, "session_ended", about, now)
    return bool(rows)
