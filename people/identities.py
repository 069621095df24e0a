"""Identities of outside providers: who a person is elsewhere, by issuer and subject.

Never by an address or a name: those can change hands. A link is made by the person, signed in here
and lately proved; somebody who cannot sign in yet gets in by a one-time link first. A journey is
one trip to the provider and back, bound to the browser that set out.
"""

import hashlib
import hmac
import secrets
from base64 import urlsafe_b64encode
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import ForeignKey, Index, UniqueConstraint, delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from people.audit import acted
from people.device_tokens import token_hash
from people.notices import notify
from people.policy import ANONYMOUS, Act, Actor, Thing, require
from people.refused import NotFound, Refused
from people.second_factors import SecondStep, SignedInAs, let_in
from people.throttle import answered, asked, begin, failed, network_prefix, proof_failed
from storage.engine import Base, new_id

METHOD: Final = "oidc"
JOURNEY: Final = timedelta(minutes=10)
# Those that set out from a network and did not come back.
_JOURNEYS: Final = "journeys"


class Identities(Base):
    """One account of a person at a provider."""

    __tablename__ = "identities"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    issuer: Mapped[str]
    subject: Mapped[str]
    person_id: Mapped[UUID] = mapped_column(ForeignKey("persons.id"))
    linked_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]

    __table_args__ = (UniqueConstraint("issuer", "subject"), Index(None, "person_id"))


class IdentityJourneys(Base):
    """A browser went to the provider: to link somebody's identity, or (nobody's) to sign in."""

    __tablename__ = "identity_journeys"

    sha256: Mapped[bytes] = mapped_column(primary_key=True)
    person_id: Mapped[UUID | None] = mapped_column(ForeignKey("persons.id"))
    expires_at: Mapped[datetime]

    __table_args__ = (Index(None, "expires_at"),)


class Identity(msgspec.Struct, frozen=True):
    """A linked identity in the list of its person."""

    id: UUID
    issuer: str
    linked_at: datetime
    last_used_at: datetime | None


class Account(msgspec.Struct, frozen=True):
    """Whom a provider means."""

    issuer: str
    subject: str


class Journey(msgspec.Struct, frozen=True):
    """What one trip is bound to: all of it follows from a token that only the browser keeps."""

    state: str
    nonce: str
    verifier: str


class IdentityRefused(Refused):
    """The provider's word was not taken, or nobody here is linked to it: no difference is told."""

    status = 403
    code = "identity_refused"
    keeps_writes = True


class IdentityTaken(Refused):
    """That account of the provider is linked to another person here."""

    status = 409
    code = "identity_taken"


def journey_of(token: str) -> Journey:
    """What follows from a browser's token; RFC 7636 asks the verifier for 43 letters or more."""

    def part(name: str) -> str:
        digest = hmac.digest(token.encode(), name.encode(), hashlib.sha256)
        return urlsafe_b64encode(digest).decode().rstrip("=")

    return Journey(part("state"), part("nonce"), part("verifier"))


async def set_out_to_link(db: AsyncSession, actor: Actor, now: datetime) -> str:
    """Begin a journey of somebody who means to link an account of the provider to his own."""
    require(actor, Act.ACCOUNT, Thing(subject_id=actor.id), now)
    return await _set_out(db, actor, now)


async def _set_out(db: AsyncSession, actor: Actor, now: datetime) -> str:
    """Begin a journey; its token goes into a cookie."""
    await db.execute(delete(IdentityJourneys).where(IdentityJourneys.expires_at < now))
    token = secrets.token_urlsafe(32)
    db.add(IdentityJourneys(sha256=token_hash(token), person_id=actor.id, expires_at=now + JOURNEY))
    await db.flush()
    return token


async def set_out_to_sign_in(db: AsyncSession, network: str, now: datetime) -> str:
    """Begin a journey of somebody who is nobody yet. Raises TooManyAttempts."""
    await asked(db, _JOURNEYS, network_prefix(network), now)
    return await _set_out(db, ANONYMOUS, now)


async def come_back(
    db: AsyncSession, token: str | None, state: str, now: datetime, *, links: Actor = ANONYMOUS
) -> Journey:
    """Use up a journey and give it. Raises IdentityRefused.

    `links`: who is signed in and set out to link; nobody's journey is to sign in.
    """
    if links is not ANONYMOUS:
        require(links, Act.ACCOUNT, Thing(subject_id=links.id), now)
    if not token or not hmac.compare_digest(journey_of(token).state.encode(), state.encode()):
        raise IdentityRefused
    used = (
        delete(IdentityJourneys)
        .where(
            IdentityJourneys.sha256 == token_hash(token),
            IdentityJourneys.person_id.is_not_distinct_from(links.id),
            IdentityJourneys.expires_at > now,
        )
        .returning(IdentityJourneys.sha256)
    )
    if await db.scalar(used) is None:
        raise IdentityRefused
    return journey_of(token)


async def link_identity(db: AsyncSession, actor: Actor, account: Account, now: datetime) -> None:
    """Link an account of the provider to the actor; linking twice is linking."""
    require(actor, Act.ACCOUNT, Thing(subject_id=actor.id), now)
    if actor.id is None:
        raise IdentityRefused
    row = await _found(db, account)
    if row is not None:
        if row.person_id != actor.id:
            raise IdentityTaken
        return
    row = Identities(id=new_id(), issuer=account.issuer, subject=account.subject)
    row.person_id, row.linked_at = actor.id, now
    db.add(row)
    await db.flush()
    thing = Thing(subject_id=actor.id, about=(row.id,))
    await acted(db, actor.id, "identity_linked", thing, now)
    await notify(db, actor.id, "identity_linked", {}, now)


async def enter_by_identity(
    db: AsyncSession, account: Account, network: str, now: datetime, *, required: bool
) -> SignedInAs | SecondStep:
    """Let in the person an account of the provider is linked to; nobody's is refused, and counts.

    The provider's word is a first proof as a password is: the second factor is asked as ever.
    """
    prefix = network_prefix(network)
    row = await _found(db, account)
    if row is None:
        attempt = await begin(db, None, prefix, now)
        await proof_failed(db, None, prefix, now)
        await failed(db, attempt, now)
        raise IdentityRefused
    row.last_used_at = now
    await answered(db, _JOURNEYS, prefix)
    return await let_in(db, row.person_id, prefix, now, method=METHOD, required=required)


async def list_identities(db: AsyncSession, actor: Actor, now: datetime) -> list[Identity]:
    """Give the actor's own identities, oldest first."""
    require(actor, Act.ACCOUNT, Thing(subject_id=actor.id), now)
    query = select(Identities).where(Identities.person_id == actor.id)
    rows = (await db.scalars(query.order_by(Identities.linked_at, Identities.id))).all()
    return [Identity(row.id, row.issuer, row.linked_at, row.last_used_at) for row in rows]


async def unlink_identity(db: AsyncSession, actor: Actor, identity_id: UUID, now: datetime) -> None:
    """Forget one of the actor's own identities. Raises NotFound for any other."""
    require(actor, Act.ACCOUNT, Thing(subject_id=actor.id), now)
    own = (Identities.id == identity_id) & (Identities.person_id == actor.id)
    gone = await db.scalar(delete(Identities).where(own).returning(Identities.id))
    if gone is None:
        raise NotFound
    thing = Thing(subject_id=actor.id, about=(identity_id,))
    await acted(db, actor.id, "identity_unlinked", thing, now)


async def _found(db: AsyncSession, account: Account) -> Identities | None:
    both = (Identities.issuer == account.issuer) & (Identities.subject == account.subject)
    return await db.scalar(select(Identities).where(both))
