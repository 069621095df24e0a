"""The throttle of every way in: passwords, codes, cards, links and step-up count together.

In PostgreSQL, so that every process counts together: after a few failures each further
try must wait, twice as long every time. One counter per account, one per network prefix. Nobody can
lock a person out, from elsewhere or from the same network: where that person has signed in lately
the account has a counter of its own, and others' guesses do not hold back the right password. A
wrong one is answered as it would be for any login, so that nobody learns who signs in where.

The network's counter is for guesses, not for typos: it loses what a person mistyped before getting
in, and one failure every LEAK. Never more than that, so that somebody with an account cannot guess
at others by signing in now and then: what the network got from each login, and has not lost since,
is counted as well, and no more is taken back.

`begin` before looking at a proof, then `failed` or `succeeded`:

    attempt = await begin(db, account, prefix, now, known_here=…)   # TooManyAttempts
    if not fits: await failed(db, attempt, now); raise WrongProof   # keeps_writes
    await succeeded(db, attempt, now)

An account is any word for who is tried: a login, a person. A guess at a secret that names nobody (a
card, a link) has no account: None, and the network's counter alone.
"""

import hashlib
import ipaddress
import math
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Integer, case, cast, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from people.audit import acted
from people.policy import Thing
from people.refused import TooManyAttempts
from people.sessions import Sessions
from storage.engine import Base

FORGET_AFTER = timedelta(hours=1)
ACCOUNT_FREE, ACCOUNT_CAP_S = 4, 15 * 60
NETWORK_FREE, NETWORK_CAP_S = 40, 60
# Longer than the longest wait for a network: whoever keeps guessing stays at one guess a minute.
LEAK = timedelta(seconds=90)
# A network counts as a person's own for so long after signing in there.
KNOWN_FOR = timedelta(days=90)


class SignInFailures(Base):
    """Failures in a row under one key (digest of an account or network, never the login itself)."""

    __tablename__ = "sign_in_failures"

    key: Mapped[bytes] = mapped_column(primary_key=True)
    failures: Mapped[int]
    last_at: Mapped[datetime]


class TooManyAttemptsCounted(TooManyAttempts):
    """The same answer after a look at the proof: it must be committed, it holds the count."""

    keeps_writes = True


class Attempt(msgspec.Struct, frozen=True):
    """One try that may be looked at, and the counters that hear of it."""

    crowd: bytes
    own: bytes | None = None
    share: bytes | None = None
    # How long anybody would wait who is not known here.
    others_s: int = 0


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


async def begin(
    db: AsyncSession, account: str | None, prefix: str, now: datetime, *, known_here: bool = False
) -> Attempt:
    """Let one try at `account` from the network `prefix` be looked at. Raises TooManyAttempts.

    Tries at the same account (or, without one, from the same network) stand in line until the
    transaction ends.
    """
    crowd = _key("network", prefix)
    if account is None:
        row = await _locked_failures(db, crowd, now)
        crowd_s = _wait_s(row, NETWORK_FREE, NETWORK_CAP_S, now)
        if crowd_s:
            raise TooManyAttempts(crowd_s)
        return Attempt(crowd)
    of_all = _key("account", account)
    own = _key("account", account, prefix) if known_here else of_all
    mistyped = await _locked_failures(db, own, now)
    own_s = _wait_s(mistyped, ACCOUNT_FREE, ACCOUNT_CAP_S, now)
    counted = select(SignInFailures).where(SignInFailures.key.in_([of_all, crowd]))
    fresh = {"populate_existing": True}
    others = {row.key: row for row in await db.scalars(counted, execution_options=fresh)}
    others_s = max(
        _wait_s(others.get(of_all), ACCOUNT_FREE, ACCOUNT_CAP_S, now),
        _wait_s(others.get(crowd), NETWORK_FREE, NETWORK_CAP_S, now),
    )
    if own_s or (others_s and not known_here):
        raise TooManyAttempts(others_s or own_s)
    return Attempt(crowd, own, _key("share", account, prefix), others_s)


async def failed(db: AsyncSession, attempt: Attempt, now: datetime) -> None:
    """Count a wrong proof; the caller's refusal must keep its writes.

    Raises TooManyAttemptsCounted where everybody else would be told to wait.
    """
    if attempt.own is not None:
        await _count_failure(db, attempt.own, now)
    if attempt.others_s:
        raise TooManyAttemptsCounted(attempt.others_s)
    for key in (attempt.share, attempt.crowd):
        if key is not None:
            await _count_failure(db, key, now, leak=LEAK)


async def asked(db: AsyncSession, what: str, prefix: str, now: datetime) -> None:
    """Count something that anybody may ask for and that leaves a row. Raises TooManyAttempts.

    Each has a counter a network, apart from that of guesses: asking holds no sign-in back.
    """
    await failed(db, await begin(db, None, f"{what} {prefix}", now), now)


async def answered(db: AsyncSession, what: str, prefix: str) -> None:
    """Uncount what was asked for in earnest: a school's morning is not a flood."""
    crowd = update(SignInFailures).where(SignInFailures.key == _key("network", f"{what} {prefix}"))
    less = func.greatest(SignInFailures.failures - 1, 0)
    untouched = {"synchronize_session": False}
    await db.execute(crowd.values(failures=less).execution_options(**untouched))


async def proof_failed(
    db: AsyncSession, person_id: UUID | None, prefix: str, now: datetime
) -> None:
    """Keep a row of a proof that did not fit; nobody's when it names nobody."""
    about = Thing(subject_id=person_id)
    await acted(db, None, "proof_failed", about, now, details={"network": prefix})


async def succeeded(db: AsyncSession, attempt: Attempt, now: datetime) -> None:
    """Forget the account's failures, and what the network mistyped of it."""
    if attempt.own is None or attempt.share is None:
        return
    await _take_back(db, attempt.share, attempt.crowd, now)
    await db.execute(delete(SignInFailures).where(SignInFailures.key == attempt.own))


async def is_known_here(db: AsyncSession, person_id: UUID, prefix: str, now: datetime) -> bool:
    """Whether the person has signed in from there lately."""
    query = select(Sessions.id).where(
        Sessions.person_id == person_id,
        Sessions.network == prefix,
        Sessions.signed_in_at > now - KNOWN_FOR,
    )
    return await db.scalar(query.limit(1)) is not None


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
    delay = delay_s(row.failures, free, cap_s)
    # Who stood in line may come with a `now` before the last failure: not a wait of its own.
    wait = row.last_at + timedelta(seconds=delay) - now if delay else timedelta()
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
