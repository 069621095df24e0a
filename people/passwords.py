"""Passwords: Argon2id, and what a good one is.

At least 8 characters and at most 128, nothing said about which (ASVS 5.0 V6.2). Not one of the
common ones, in whichever keyboard layout; and what is left of it without the words everybody knows
of its owner (login, names, organisations, our own name) must be a good one too.
"""

import asyncio
import os
import secrets
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import cache
from typing import Annotated, TypeVar
from unicodedata import normalize
from uuid import UUID

import msgspec
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import Type
from sqlalchemy import ForeignKey, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from people import throttle
from people.audit import acted
from people.notices import notify
from people.organisations import Organisations
from people.persons import Persons
from people.policy import Act, Thing, require
from people.refused import FieldError, Refused
from people.relations import Relations
from people.sessions import Caller, NewSession, end_sessions_of, prove
from people.step_up import WrongProof
from storage.engine import Base

R = TypeVar("R")

SHORTEST, LONGEST = 8, 128
# A word of fewer letters is part of many others.
_SHORTEST_WORD = 3
_PRODUCT = ("yanasha", "янәшә", "янаша")
_LAYOUT = str.maketrans("йцукенгшщзхъфывапролджэячсмитьбюё", "qwertyuiop[]asdfghjkl;'zxcvbnm,.`")

# OWASP password storage cheat sheet: Argon2id, 19 MiB, t=2, p=1.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1, type=Type.ID)
# What nobody's password made: the same work, and none fits.
_DECOY = _HASHER.hash(secrets.token_urlsafe(32))
# Half the cores and never many: more would take memory, and the rest from everybody else. Their
# threads keep their share of the cores: one that gives way with the interpreter's lock in its hand
# holds up the very requests it gives way to.
AT_ONCE = max(1, min(4, (os.cpu_count() or 1) // 2))
_HASHING = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="argon2")


class Credentials(Base):
    """Login and password hash of a person. The login is kept folded: Amina is amina."""

    __tablename__ = "credentials"

    person_id: Mapped[UUID] = mapped_column(ForeignKey("persons.id"), primary_key=True)
    login: Mapped[str] = mapped_column(unique=True)
    password_hash: Mapped[str]
    changed_at: Mapped[datetime]


class WeakPassword(Refused):
    """A password that is no good; the field's code says what is wrong with it."""

    status = 422
    code = "weak_password"


class NoPassword(Refused):
    """The person has no password to change: a card or another key opens the door."""

    status = 409
    code = "no_password"


class PasswordChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The old password and the one that shall replace it."""

    old: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    new: Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]


def folded(login: str) -> str:
    """One spelling per login."""
    return normalize("NFKC", login).strip().casefold()


def check_password(field: str, password: str, words: Iterable[str]) -> None:
    """Refuse a password that is no good. `words`: what is known of its owner. Raises WeakPassword.

    Pure.
    """
    password = normalize("NFKC", password)
    code = _what_is_wrong(password)
    if code is None:
        left = password.casefold()
        known = {part for word in (*_PRODUCT, *words) for part in _parts(word)}
        for part in sorted(known, key=len, reverse=True):
            left = left.replace(part, "")
        if left != password.casefold() and _what_is_wrong(left) is not None:
            code = "password_names_you"
    if code is not None:
        limits = {"min": SHORTEST, "max": LONGEST}
        raise WeakPassword((FieldError(field, code, limits),))


def _what_is_wrong(password: str) -> str | None:
    if len(password) < SHORTEST:
        return "password_too_short"
    if len(password) > LONGEST:
        return "password_too_long"
    low = password.casefold()
    if len(set(low)) == 1 or {low, low.translate(_LAYOUT)} & _common():
        return "password_common"
    return None


def _parts(word: str) -> list[str]:
    """A login or name as a whole, and its parts: doctor.amina, doctor, amina."""
    whole = normalize("NFKC", word).casefold()
    parts = "".join(c if c.isalnum() else " " for c in whole).split()
    return [part for part in {whole, *parts} if len(part) >= _SHORTEST_WORD]


@cache
def _common() -> frozenset[str]:
    """The common passwords of zxcvbn; read when the first password is chosen."""
    from zxcvbn.frequency_lists import FREQUENCY_LISTS  # noqa: PLC0415 - a megabyte of words

    return frozenset(FREQUENCY_LISTS["passwords"])


async def words_about(db: AsyncSession, person_id: UUID, now: datetime) -> list[str]:
    """What anybody may know of a person: login, names, names of the organisations."""
    person = await db.get_one(Persons, person_id)
    places = (
        select(Organisations.name)
        .join(Relations, Relations.organisation_id == Organisations.id)
        .where(Relations.actor_id == person_id, Relations.live(now))
        .distinct()
    )
    login = await db.scalar(select(Credentials.login).where(Credentials.person_id == person_id))
    names = [person.given_name, person.family_name, *(await db.scalars(places)).all()]
    return names if login is None else [login, *names]


async def password_hash(password: str) -> str:
    """Argon2id hash in PHC form, made off the event loop."""
    return await _in_thread(_hash, password)


async def password_fits(hashed: str | None, password: str) -> bool:
    """Say whether the password made this hash, off the event loop; without one, as much work."""
    return await _in_thread(_verify, _DECOY if hashed is None else hashed, password)


async def as_long_as_a_look() -> None:
    """Take the time that a look at a password takes, without the work."""
    await asyncio.sleep(await _in_thread(_hashing_s))


async def set_password(
    db: AsyncSession, person_id: UUID, login: str, password: str, now: datetime
) -> None:
    """Give the person this login and password, replacing what was there."""
    values = {
        "person_id": person_id,
        "login": folded(login),
        "password_hash": await password_hash(password),
        "changed_at": now,
    }
    query = insert(Credentials).values(values)
    await db.execute(
        query.on_conflict_do_update(index_elements=[Credentials.person_id], set_=values)
    )


async def account_of(db: AsyncSession, person_id: UUID) -> str:
    """Under which word the throttle counts tries at this person: the login, so that codes and
    passwords are counted together."""
    login = await db.scalar(select(Credentials.login).where(Credentials.person_id == person_id))
    return login if login is not None else f"person {person_id}"


async def has_password(db: AsyncSession, person_id: UUID, password: str) -> bool:
    """Say whether this is the person's password; nobody's fits who has none."""
    query = select(Credentials.password_hash).where(Credentials.person_id == person_id)
    return await password_fits(await db.scalar(query), password)


async def hold(db: AsyncSession, person_id: UUID) -> Credentials | None:
    """Give the person's credentials and hold them for a change.

    Whoever is just signing in with the old password is waited for: ending all sessions after this
    ends that one too.
    """
    query = select(Credentials).where(Credentials.person_id == person_id).with_for_update()
    return await db.scalar(query, execution_options={"populate_existing": True})


async def change_password(
    db: AsyncSession, caller: Caller, change: PasswordChange, network: str, now: datetime
) -> NewSession:
    """Change the caller's own password; every other session of theirs ends.

    Gives this session's new token. Raises NoPassword, WeakPassword, TooManyAttempts, WrongProof.
    """
    person_id = caller.person_id
    require(caller.actor, Act.ACCOUNT, Thing(subject_id=person_id), now)
    login = await db.scalar(select(Credentials.login).where(Credentials.person_id == person_id))
    if login is None:
        raise NoPassword
    check_password("new", change.new, await words_about(db, person_id, now))
    prefix = throttle.network_prefix(network)
    known = await throttle.is_known_here(db, person_id, prefix, now)
    attempt = await throttle.begin(db, login, prefix, now, known_here=known)
    row = await hold(db, person_id)
    if row is None or not await password_fits(row.password_hash, change.old):
        await throttle.proof_failed(db, person_id, prefix, now)
        await throttle.failed(db, attempt, now)
        raise WrongProof((FieldError("old", WrongProof.code),))
    await throttle.succeeded(db, attempt, now)
    await set_password(db, person_id, login, change.new, now)
    await end_sessions_of(db, person_id, now, but=caller.session_id)
    await acted(db, person_id, "password_changed", Thing(subject_id=person_id), now)
    await notify(db, person_id, "password_changed", {}, now, critical=True)
    return await prove(db, caller.session_id, now)


async def _in_thread(call: Callable[..., R], *args: str) -> R:
    return await asyncio.get_running_loop().run_in_executor(_HASHING, call, *args)


def _hash(password: str) -> str:
    return _HASHER.hash(normalize("NFKC", password))


def _verify(hashed: str, password: str) -> bool:
    try:
        return _HASHER.verify(hashed, normalize("NFKC", password))
    except (VerificationError, InvalidHashError):
        return False


@cache
def _hashing_s() -> float:
    """Seconds that one look at a password takes here, measured once per process."""
    began = time.perf_counter()
    _verify(_DECOY, "")
    return time.perf_counter() - began
