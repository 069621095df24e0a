"""Second factors: who needs one, who has which, and the step between the first proof and a session.

Every way in (password, card, link, outside identity) ends in `let_in`. It opens a session, or gives
a short token for the second step (people/proofs.py) when the person has a factor. Staff without one
get a session that can make one and nothing else where the house requires it.
"""

import secrets
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

import msgspec
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from people import passkeys, recovery_codes, totp
from people.audit import acted
from people.cards import has_card
from people.device_tokens import token_hash
from people.facts import SignedIn, emit
from people.notices import notify
from people.passkeys import MadeKey, NewKey, Passkey
from people.passwords import Credentials
from people.persons import Me, me
from people.policy import Act, Thing, require
from people.recovery_codes import RecoverySheet
from people.refused import NotFound, NotSignedIn, Refused
from people.second_steps import SecondSteps
from people.sessions import Caller, NewSession, enrolled, start_session
from people.step_up import WrongProof, require_fresh
from people.totp import NewTotp

SECOND_STEP_LIFE = timedelta(minutes=5)


class Way(StrEnum):
    """A way to prove who one is."""

    PASSWORD = "password"  # noqa: S105 - a word, no password
    TOTP = "totp"
    PASSKEY = "passkey"
    RECOVERY_CODE = "recovery_code"
    CARD = "card"


class LastFactor(Refused):
    """Staff of this house keep at least one second factor."""

    status = 409
    code = "last_factor"


class SignedInAs(msgspec.Struct, frozen=True):
    """A session and whose it is; `session.token` goes into the cookie."""

    session: NewSession
    me: Me


class SecondStep(msgspec.Struct, frozen=True):
    """The first proof was right. The token is for one sign-in and says nothing about the person."""

    second_step: str
    ways: list[Way]
    expires_at: datetime


class Factors(msgspec.Struct, frozen=True):
    """What the caller can prove himself with."""

    login: str | None
    password: bool
    card: bool
    totp: bool
    passkeys: list[Passkey]
    recovery_codes_left: int
    required: bool


class Enrolled(msgspec.Struct, frozen=True):
    """A factor was made. With the first one come recovery codes, shown this once."""

    recovery_codes: list[str]


async def let_in(
    db: AsyncSession,
    person_id: UUID,
    prefix: str,
    now: datetime,
    *,
    method: str,
    required: bool,
    opened_by: UUID | None = None,
) -> SignedInAs | SecondStep:
    """Let in whoever gave a first proof of being this person, or ask for the second one.

    `required`: staff must have a second factor (YANASHA_STAFF_SECOND_FACTOR). `opened_by`: the card
    or link, so that revoking it ends what it opened.
    """
    ways = await second_ways(db, person_id)
    if not ways:
        return await open_session(
            db, person_id, prefix, now, method=method, opened_by=opened_by, required=required
        )
    await db.execute(delete(SecondSteps).where(SecondSteps.expires_at < now))
    token = secrets.token_urlsafe(32)
    expires_at = now + SECOND_STEP_LIFE
    row = SecondSteps(sha256=token_hash(token), person_id=person_id, expires_at=expires_at)
    row.method, row.opened_by = method, opened_by
    db.add(row)
    await db.flush()
    return SecondStep(token, ways, expires_at)


async def open_session(
    db: AsyncSession,
    person_id: UUID,
    prefix: str,
    now: datetime,
    *,
    method: str,
    opened_by: UUID | None = None,
    required: bool = False,
) -> SignedInAs:
    """Open the session of somebody whose every proof was right."""
    who = await me(db, person_id, now)
    enrolling = required and who.staff
    session = await start_session(
        db,
        person_id,
        prefix,
        now,
        staff=who.staff,
        method=method,
        opened_by=opened_by,
        enrolling=enrolling,
    )
    emit(db, SignedIn(at=now, person_id=person_id, session_id=session.id))
    return SignedInAs(session, msgspec.structs.replace(who, enrolment_needed=enrolling))


async def second_ways(db: AsyncSession, person_id: UUID) -> list[Way]:
    """How the person can take the second step; empty for one who has no factor."""
    ways = []
    if await totp.has_totp(db, person_id):
        ways.append(Way.TOTP)
    if await passkeys.list_keys(db, person_id):
        ways.append(Way.PASSKEY)
    if ways and await recovery_codes.left(db, person_id):
        ways.append(Way.RECOVERY_CODE)
    return ways


async def my_factors(db: AsyncSession, caller: Caller, now: datetime, *, required: bool) -> Factors:
    """What the caller can prove himself with, and whether he needs a second factor."""
    _mine(caller, now)
    person_id = caller.person_id
    login = await db.scalar(select(Credentials.login).where(Credentials.person_id == person_id))
    return Factors(
        login=login,
        password=login is not None,
        card=await has_card(db, person_id),
        totp=await totp.has_totp(db, person_id),
        passkeys=await passkeys.list_keys(db, person_id),
        recovery_codes_left=await recovery_codes.left(db, person_id),
        required=required and (await me(db, person_id, now)).staff,
    )


async def begin_totp(db: AsyncSession, key: bytes, caller: Caller, now: datetime) -> NewTotp:
    """Propose an application's secret to the caller. Raises StepUpNeeded, TotpThere."""
    await _may_add(db, caller, now)
    return await totp.propose(db, key, caller.person_id, await _label(db, caller, now), now)


async def confirm_totp(
    db: AsyncSession, key: bytes, caller: Caller, code: str, now: datetime
) -> Enrolled:
    """Make the application a factor by its first code. Raises StepUpNeeded, WrongProof."""
    await _may_add(db, caller, now)
    if not await totp.confirm(db, key, caller.person_id, code, now):
        raise WrongProof
    return await _enrolled(db, caller, Way.TOTP, now)


async def remove_totp(db: AsyncSession, caller: Caller, now: datetime, *, required: bool) -> None:
    """Take the application away. Raises StepUpNeeded, NotFound, LastFactor."""
    _mine(caller, now)
    require_fresh(caller, now)
    if not await totp.forget(db, caller.person_id):
        raise NotFound
    await _after_removal(db, caller, Way.TOTP, now, required=required)


async def begin_passkey(db: AsyncSession, caller: Caller, origin: str, now: datetime) -> NewKey:
    """Ask the caller's device to make a key. Raises StepUpNeeded, TooManyPasskeys."""
    await _may_add(db, caller, now)
    name = await _label(db, caller, now)
    return await passkeys.ask_to_make(db, caller.person_id, name, origin, now)


async def add_passkey(db: AsyncSession, caller: Caller, made: MadeKey, now: datetime) -> Enrolled:
    """Keep the key that the caller's device made. Raises StepUpNeeded, PasskeyRefused."""
    await _may_add(db, caller, now)
    await passkeys.keep(db, caller.person_id, made, now)
    return await _enrolled(db, caller, Way.PASSKEY, now)


async def remove_passkey(
    db: AsyncSession, caller: Caller, key_id: UUID, now: datetime, *, required: bool
) -> None:
    """Forget a key of the caller. Raises NotFound, StepUpNeeded, LastFactor."""
    _mine(caller, now)
    require_fresh(caller, now)
    await passkeys.remove_key(db, caller.person_id, key_id)
    await _after_removal(db, caller, Way.PASSKEY, now, required=required)


async def new_recovery_codes(db: AsyncSession, caller: Caller, now: datetime) -> RecoverySheet:
    """Write the caller a new sheet; needs a factor to recover. Raises StepUpNeeded, NotFound."""
    _mine(caller, now)
    require_fresh(caller, now)
    if not await second_ways(db, caller.person_id):
        raise NotFound
    await _told(db, caller.person_id, "factor_added", Way.RECOVERY_CODE, now)
    return await recovery_codes.write_sheet(db, caller.person_id)


async def used_recovery_code(db: AsyncSession, person_id: UUID, now: datetime) -> None:
    """Tell the person that somebody came in by the sheet, and how many codes are left."""
    left = await recovery_codes.left(db, person_id)
    await acted(db, person_id, "recovery_code_used", Thing(subject_id=person_id), now)
    await notify(db, person_id, "recovery_code_used", {"left": left}, now, critical=True)


def _mine(caller: Caller, now: datetime) -> None:
    require(caller.actor, Act.ACCOUNT, Thing(subject_id=caller.person_id), now)


async def _may_add(db: AsyncSession, caller: Caller, now: datetime) -> None:
    _mine(caller, now)
    require_fresh(caller, now)
    # Opened by the password while the first factor was made elsewhere: it must not add its own.
    if caller.enrolling and await second_ways(db, caller.person_id):
        raise NotSignedIn


async def _label(db: AsyncSession, caller: Caller, now: datetime) -> str:
    """How an application or a device names the account."""
    query = select(Credentials.login).where(Credentials.person_id == caller.person_id)
    return await db.scalar(query) or (await me(db, caller.person_id, now)).name


async def _enrolled(db: AsyncSession, caller: Caller, way: Way, now: datetime) -> Enrolled:
    await enrolled(db, caller, now)
    await _told(db, caller.person_id, "factor_added", way, now)
    if await recovery_codes.left(db, caller.person_id):
        return Enrolled([])
    return Enrolled((await recovery_codes.write_sheet(db, caller.person_id)).codes)


async def _after_removal(
    db: AsyncSession, caller: Caller, way: Way, now: datetime, *, required: bool
) -> None:
    await _told(db, caller.person_id, "factor_removed", way, now)
    if await second_ways(db, caller.person_id):
        return
    if required and (await me(db, caller.person_id, now)).staff:
        raise LastFactor
    await recovery_codes.forget(db, caller.person_id)


async def _told(db: AsyncSession, person_id: UUID, what: str, way: Way, now: datetime) -> None:
    """Keep a row of it and tell the person: whoever did not do it should know (ASVS V6.3.7)."""
    await acted(db, person_id, what, Thing(subject_id=person_id), now, details={"way": way.value})
    await notify(db, person_id, what, {}, now, critical=True)
