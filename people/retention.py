"""How long what is kept, and the job that deletes what is past its time; never what is held.

CLASSES is the whole table, shown to operators in docs/retention.md. Where the house itself decides
(its own tracks of sign-ins, codes, throttles) the times stand here, short. Health records, lessons'
journals and the audit have no time here: 323-FZ art. 79 part 1 item 12 obliges a clinic to keep
them and leaves the term to the ministry's orders (its letter of 07.12.2015 No. 13-2/1538 and later
lists name 25 years for the outpatient card), and which order binds an installation is for its
operator to say. They are never deleted by age, only by erasure (people/erasure.py).
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, delete, func, not_, select
from sqlalchemy.ext.asyncio import AsyncSession

from people.codes import Codes
from people.first_administrator import FirstCodes
from people.holds import held
from people.identities import IdentityJourneys
from people.links import EntryLinks
from people.notices import Notices
from people.passkeys import PasskeyChallenges
from people.second_steps import SecondSteps
from people.sessions import Sessions
from people.throttle import SignInFailures
from people.tickets import Tickets
from storage.engine import Base
from storage.jobs import Work, job

# Rows of one statement and statements of one night: a table that grew for years takes some nights.
_AT_ONCE = 2000
_TURNS = 50


class Class(msgspec.Struct, frozen=True):
    """Rows of a table that are deleted `kept` after `since`; `whose` says who may hold them."""

    table: type[Base]
    since: Callable[[], Any]
    kept: timedelta
    why: str
    whose: Callable[[], Any] | None = None


NOTICES: Final = Class(
    Notices,
    lambda: Notices.read_at,
    timedelta(days=365),
    "notices that were read a year ago",
    lambda: Notices.person_id,
)
CLASSES: Final = (
    Class(
        Tickets,
        lambda: Tickets.expires_at,
        timedelta(days=1),
        "a socket's ticket lives half a minute",
    ),
    Class(
        Sessions,
        lambda: func.coalesce(Sessions.ended_at, Sessions.expires_at),
        timedelta(days=90),
        "who was signed in where: the audit keeps the sign-in itself",
        lambda: Sessions.person_id,
    ),
    Class(
        Codes,
        lambda: Codes.expires_at,
        timedelta(days=30),
        "codes shown as QR, long over",
        lambda: Codes.person_id,
    ),
    Class(
        EntryLinks,
        lambda: EntryLinks.expires_at,
        timedelta(days=90),
        "one-time links, long over",
        lambda: EntryLinks.person_id,
    ),
    Class(SecondSteps, lambda: SecondSteps.expires_at, timedelta(days=1), "sign-ins not finished"),
    Class(
        PasskeyChallenges,
        lambda: PasskeyChallenges.expires_at,
        timedelta(days=1),
        "challenges not answered",
    ),
    Class(
        IdentityJourneys,
        lambda: IdentityJourneys.expires_at,
        timedelta(days=1),
        "sign-ins elsewhere not finished",
    ),
    Class(FirstCodes, lambda: FirstCodes.expires_at, timedelta(days=1), "first codes not used"),
    Class(
        SignInFailures,
        lambda: SignInFailures.last_at,
        timedelta(days=30),
        "throttles of sign-in, without effect after a day",
    ),
    NOTICES,
)


@job("people.retain", cron="50 9 * * *")  # noon in the region: a house may be off at night
async def retain(work: Work) -> None:
    """Delete what is past its time, some thousands at a time."""
    for one in CLASSES:
        await delete_old(work.db, one, work.now)


async def delete_old(db: AsyncSession, one: Class, now: datetime) -> int:
    """Delete a class's rows that are past their time and not held; give how many."""
    gone = 0
    old: list[ColumnElement[bool]] = [one.since() < now - one.kept]
    if one.whose is not None:
        old.append(not_(held(one.whose(), now)))
    keys = list(one.table.__mapper__.primary_key)
    for _ in range(_TURNS):
        which = select(*keys).where(*old).limit(_AT_ONCE).with_for_update(skip_locked=True)
        rows = (await db.execute(which)).all()
        if rows:
            condition = _one_of(keys, rows)
            await db.execute(
                delete(one.table).where(condition).execution_options(synchronize_session=False)
            )
        gone += len(rows)
        if len(rows) < _AT_ONCE:
            break
    return gone


def _one_of(keys: list[Any], rows: Any) -> ColumnElement[bool]:
    (key,) = keys
    found: ColumnElement[bool] = key.in_([row[0] for row in rows])
    return found
