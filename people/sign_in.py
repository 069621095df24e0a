"""Sign-in with login and password: the same work and the same answer for unknown logins, throttled.

A right password is the first step: it forgets the account's failures only when no second one
follows, else a known password would buy fresh guesses at the codes.
"""

from datetime import datetime
from typing import Annotated

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from people import throttle
from people.audit import acted
from people.passwords import Credentials, folded, password_fits
from people.policy import Thing
from people.refused import TooManyAttempts, WrongLoginOrPassword
from people.second_factors import SecondStep, SignedInAs, let_in
from people.sessions import Sessions
from people.throttle import KNOWN_FOR, network_prefix


class NotLookedAt(TooManyAttempts):
    """Told to wait before anybody looked at the password.

    At once would be sooner than a wrong password of somebody known there: whoever answers waits
    `as_long_as_a_look`, when the transaction is over and nothing is held any more.
    """


class SignIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a person types."""

    login: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    password: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]


async def sign_in(
    db: AsyncSession,
    login: str,
    password: str,
    network: str,
    now: datetime,
    *,
    factor_required: bool = False,
) -> SignedInAs | SecondStep:
    """Open a session, or ask for the second step. `network` is the caller's address, from the
    trusted proxy or the socket.

    Raises NotLookedAt; TooManyAttempts or WrongLoginOrPassword, whose transaction must be committed
    where they say so (Refused.keeps_writes): it holds the count.
    """
    prefix = network_prefix(network)
    login = folded(login)
    known_here = await _known_here(db, login, prefix, now)
    try:
        attempt = await throttle.begin(db, login, prefix, now, known_here=known_here)
    except TooManyAttempts as told:
        raise NotLookedAt(told.params["retry_after_s"]) from None
    credentials = await _held(db, login)
    # An unknown login costs the same work as a known one.
    fits = await password_fits(credentials.password_hash if credentials else None, password)
    if credentials is None or not fits:
        # Kept for unknown logins too, without whose: the same work.
        whose = Thing(subject_id=credentials.person_id if credentials else None)
        await acted(db, None, "sign_in_failed", whose, now, details={"network": prefix})
        await throttle.failed(db, attempt, now)
        raise WrongLoginOrPassword
    found = await let_in(
        db, credentials.person_id, prefix, now, method="password", required=factor_required
    )
    if isinstance(found, SignedInAs):
        await throttle.succeeded(db, attempt, now)
    return found


async def _held(db: AsyncSession, login: str) -> Credentials | None:
    """The login's credentials as they are now, and stay until the session is made.

    Who changes the password waits for that, and then ends the session with the others.
    """
    query = select(Credentials).where(Credentials.login == login).with_for_update(read=True)
    return await db.scalar(query, execution_options={"populate_existing": True})


async def _known_here(db: AsyncSession, login: str, prefix: str, now: datetime) -> bool:
    """Whether this login's person has signed in from there; the same query for unknown logins."""
    query = (
        select(Sessions.id)
        .join(Credentials, Credentials.person_id == Sessions.person_id)
        .where(
            Credentials.login == login,
            Sessions.network == prefix,
            Sessions.signed_in_at > now - KNOWN_FOR,
        )
        .limit(1)
    )
    return await db.scalar(query) is not None
