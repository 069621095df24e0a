"""Sign-in with login and password: Argon2id, the same work for unknown logins, throttled.

Throttle, in PostgreSQL so that every process counts together: after a few failures each further
try must wait, twice as long every time. One counter per account, one per network prefix. Nobody can
lock a person out, from elsewhere or from the same network: where that person has signed in lately
the account has a counter of its own, and others' guesses do not hold back the right password. A
wrong one is answered as it would be for any login, so that nobody learns who signs in where.

The network's counter is for guesses, not for typos: it loses what a person mistyped before getting
in, and one failure every LEAK. Never more than that, so that somebody with an account cannot guess
at others by signing in now and then: what the network got from each login, and has not lost since,
is counted as well, and no more is taken back.
"""

import asyncio
import hashlib
import ipaddress
import math
import secrets
import time
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import cache
from typing import Annotated, TypeVar
from unicodedata import normalize
from uuid import UUID

import msgspec
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import Type
from sqlalchemy import ColumnElement, ForeignKey, Integer, case, cast, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from people.facts import SignedIn, emit
from people.persons import Me, me
from people.refused import TooManyAttempts, WrongLoginOrPassword
from people.sessions import NewSession, Sessions, start_session
from storage.engine import Base

R = TypeVar("R")

# OWASP password storage cheat sheet: Argon2id, 19 MiB, t=2, p=1.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1, type=Type.ID)
# Random bytes in the place of a hash: the same work, and no password fits.
_DECOY = "$argon2id$v=19$m={},t={},p={}${}${}".format(
    *(_HASHER.memory_cost, _HASHER.time_cost, _HASHER.parallelism),
    *(b64encode(secrets.token_bytes(n)).decode().rstrip("=") for n in (16, 32)),
)
# Two at once: more would only take memory and the cores from everybody else.
_HASHING = ThreadPoolExecutor(2, thread_name_prefix="argon2")

FORGET_AFTER = timedelta(hours=1)
ACCOUNT_FREE, ACCOUNT_CAP_S = 4, 15 * 60
NETWORK_FREE, NETWORK_CAP_S = 40, 60
# Longer than the longest wait for a network: whoever keeps guessing stays at one guess a minute.
LEAK = timedelta(seconds=90)
# A network counts as a person's own for so long after signing in there.
KNOWN_FOR = timedelta(days=90)


class Credentials(Base):
    """Login and password hash of a person. The login is kept folded: Amina is amina."""

    __tablename__ = "credentials"

    person_id: Mapped[UUID] = mapped_column(ForeignKey("persons.id"), primary_key=True)
    login: Mapped[str] = mapped_column(unique=True)
    password_hash: Mapped[str]
    changed_at: Mapped[datetime]


class TooManyAttemptsCounted(TooManyAttempts):
    """The same answer after a look at the password: it must be committed, it holds the count."""

    keeps_writes = True


class SignInFailures(Base):
    """Failures in a row under one key (digest of an account or network, never the login itself)."""

    __tablename__ = "sign_in_failures"

    key: Mapped[bytes] = mapped_column(primary_key=True)
    failures: Mapped[int]
    last_at: Mapped[datetime]


class SignIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a person types."""

    login: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    password: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]


class SignedInAs(msgspec.Struct, frozen=True):
    """A session and whose it is; `session.token` goes into the cookie."""

    session: NewSession
    me: Me


def delay_s(failures: int, free: int, cap_s: int) -> int:
    """Seconds to wait after so many failures in a row: none, then 1, 2, 4 … up to the cap."""
    if failures <= free:
        return 0
    return int(min(2 ** min(failures - free - 1, 30), cap_s))


def network_prefix(address: str) -> str:
    """Network of an address: /24 of IPv4, /56 of IPv6 (what one household or cell gets)."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    bits = 24 if ip.version == 4 else 56  # noqa: PLR2004 - IP version
    return str(ipaddress.ip_network((ip, bits), strict=False))


def folded(login: str) -> str:
    """One spelling per login."""
    return normalize("NFKC", login).strip().casefold()


async def password_hash(password: str) -> str:
    """Argon2id hash in PHC form, made off the event loop."""
    return await _in_thread(_hash, password)


async def password_fits(hashed: str, password: str) -> bool:
    """Say whether the password made this hash, off the event loop."""
    return await _in_thread(_verify, hashed, password)


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


async def sign_in(
    db: AsyncSession, login: str, password: str, network: str, now: datetime
) -> SignedInAs:
    """Open a session. `network` is the caller's address, from the trusted proxy or the socket.

    Raises TooManyAttempts or WrongLoginOrPassword, whose transaction must be committed where they
    say so (Refused.keeps_writes): it holds the count.
    """
    prefix = network_prefix(network)
    login = folded(login)
    credentials = await db.scalar(select(Credentials).where(Credentials.login == login))
    known_here = await _known_here(db, login, prefix, now)
    account, crowd = _key("account", login), _key("network", prefix)
    share = _key("share", login, prefix)
    own = _key("account", login, prefix) if known_here else account
    mistyped = await _locked_failures(db, own, now)
    own_s = _wait_s(mistyped, ACCOUNT_FREE, ACCOUNT_CAP_S, now)
    counted = select(SignInFailures).where(SignInFailures.key.in_([account, crowd]))
    fresh = {"populate_existing": True}
    others = {row.key: row for row in await db.scalars(counted, execution_options=fresh)}
    others_s = max(
        _wait_s(others.get(account), ACCOUNT_FREE, ACCOUNT_CAP_S, now),
        _wait_s(others.get(crowd), NETWORK_FREE, NETWORK_CAP_S, now),
    )
    if own_s or (others_s and not known_here):
        # At once would be sooner than a wrong password of somebody known here.
        await asyncio.sleep(await _in_thread(_hashing_s))
        raise TooManyAttempts(others_s or own_s)
    # An unknown login costs the same work as a known one.
    fits = await password_fits(credentials.password_hash if credentials else _DECOY, password)
    if credentials is None or not fits:
        await _count_failure(db, own, now)
        if others_s:
            raise TooManyAttemptsCounted(others_s)
        for key in (share, crowd):
            await _count_failure(db, key, now, leak=LEAK)
        raise WrongLoginOrPassword
    person_id = credentials.person_id
    await _take_back(db, share, crowd, now)
    await db.execute(delete(SignInFailures).where(SignInFailures.key == own))
    who = await me(db, person_id, now)
    session = await start_session(db, person_id, prefix, now, staff=who.staff)
    emit(db, SignedIn(at=now, person_id=person_id, session_id=session.id))
    return SignedInAs(session, who)


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


async def _locked_failures(db: AsyncSession, key: bytes, now: datetime) -> SignInFailures:
    """Lock the account's counter until the transaction ends: parallel guesses stand in line."""
    query = insert(SignInFailures).values(key=key, failures=0, last_at=now)
    locked = query.on_conflict_do_update(
        index_elements=[SignInFailures.key], set_={"key": key}
    ).returning(SignInFailures)
    return (await db.scalars(locked, execution_options={"populate_existing": True})).one()


def _wait_s(row: SignInFailures | None, free: int, cap_s: int, now: datetime) -> int:
    """Whole seconds that these failures still ask for; 0 for none."""
    if row is None or now - row.last_at > FORGET_AFTER:
        return 0
    wait = row.last_at + timedelta(seconds=delay_s(row.failures, free, cap_s)) - now
    return max(0, math.ceil(wait.total_seconds()))


async def _count_failure(
    db: AsyncSession, key: bytes, now: datetime, *, leak: timedelta | None = None
) -> None:
    query = insert(SignInFailures).values(key=key, failures=1, last_at=now)
    stale = SignInFailures.last_at < now - FORGET_AFTER
    before: ColumnElement[int] = SignInFailures.failures.expression
    if leak is not None:
        before = _left(now, leak)
    counted = query.on_conflict_do_update(
        index_elements=[SignInFailures.key],
        set_={"failures": case((stale, 1), else_=before + 1), "last_at": now},
    )
    await db.execute(counted)


def _left(now: datetime, leak: timedelta) -> ColumnElement[int]:
    """SQL: failures that have not leaked yet. Who waited for a lock may come with an older now."""
    quiet_s = func.extract("epoch", now - SignInFailures.last_at)
    leaked = cast(func.floor(quiet_s / leak.total_seconds()), Integer)
    return func.greatest(SignInFailures.failures - func.greatest(leaked, 0), 0)


async def _take_back(db: AsyncSession, share: bytes, crowd: bytes, now: datetime) -> None:
    """Uncount what a success has shown to be a person's own: what the crowd still holds of it."""
    untouched = {"synchronize_session": False}
    counted = delete(SignInFailures).where(SignInFailures.key == share)
    mine = await db.scalar(counted.returning(_left(now, LEAK)).execution_options(**untouched))
    if mine:
        of_crowd = update(SignInFailures).where(SignInFailures.key == crowd)
        rest = func.greatest(SignInFailures.failures - mine, 0)
        await db.execute(of_crowd.values(failures=rest).execution_options(**untouched))


def _key(*parts: str) -> bytes:
    return hashlib.sha256("\0".join(parts).encode()).digest()


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
