"""How long what is kept, and the job that deletes what is past its time; never what is held.

CLASSES is the table of what the house decides by itself (its own tracks of sign-ins, codes,
throttles): short times, shown to administrators with what the operator says of health records
(`YANASHA_KEEP_HEALTH_RECORDS_YEARS`; without a word they are kept for ever, see
people/health_retention.py). Lessons' journals and the audit have no time. 323-FZ art. 79 part 1
item 12 obliges a clinic to keep records and leaves the term to the ministry's orders; which order
binds an installation is for its operator to say.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, delete, func, not_, select
from sqlalchemy.ext.asyncio import AsyncSession

from people.administration import require_at
from people.call_minutes import KEPT as CALLS_KEPT
from people.call_minutes import CallMinutes
from people.codes import Codes
from people.erasure_requests import ErasureRequests
from people.first_administrator import FirstCodes
from people.holds import held
from people.identities import IdentityJourneys
from people.links import EntryLinks
from people.notices import Notices
from people.passkeys import PasskeyChallenges
from people.policy import Act, Actor
from people.second_steps import SecondSteps
from people.sessions import Sessions
from people.throttle import SignInFailures
from people.tickets import Tickets
from storage.engine import Base
from storage.jobs import Work, job
from storage.settings import Settings

# Rows of one statement and statements of one night: a table that grew for years takes some nights.
_AT_ONCE = 2000
_TURNS = 50


class Class(msgspec.Struct, frozen=True):
    """Rows of a table that are deleted `kept` after `since`; `whose` says who may hold them.

    `name` is the code of a sentence on the page.
    """

    name: str
    table: type[Base]
    since: Callable[[], Any]
    kept: timedelta
    why: str
    whose: Callable[[], Any] | None = None


NOTICES: Final = Class(
    "notices",
    Notices,
    lambda: Notices.read_at,
    timedelta(days=365),
    "notices that were read a year ago",
    lambda: Notices.person_id,
)
CLASSES: Final = (
    Class(
        "tickets",
        Tickets,
        lambda: Tickets.expires_at,
        timedelta(days=1),
        "a socket's ticket lives half a minute",
    ),
    Class(
        "sessions",
        Sessions,
        lambda: func.coalesce(Sessions.ended_at, Sessions.expires_at),
        timedelta(days=90),
        "who was signed in where: the audit keeps the sign-in itself",
        lambda: Sessions.person_id,
    ),
    Class(
        "codes",
        Codes,
        lambda: Codes.expires_at,
        timedelta(days=30),
        "codes shown as QR, long over",
        lambda: Codes.person_id,
    ),
    Class(
        "links",
        EntryLinks,
        lambda: EntryLinks.expires_at,
        timedelta(days=90),
        "one-time links, long over",
        lambda: EntryLinks.person_id,
    ),
    Class(
        "second_steps",
        SecondSteps,
        lambda: SecondSteps.expires_at,
        timedelta(days=1),
        "sign-ins not finished",
    ),
    Class(
        "challenges",
        PasskeyChallenges,
        lambda: PasskeyChallenges.expires_at,
        timedelta(days=1),
        "challenges not answered",
    ),
    Class(
        "journeys",
        IdentityJourneys,
        lambda: IdentityJourneys.expires_at,
        timedelta(days=1),
        "sign-ins elsewhere not finished",
    ),
    Class(
        "first_codes",
        FirstCodes,
        lambda: FirstCodes.expires_at,
        timedelta(days=1),
        "first codes not used",
    ),
    Class(
        "throttles",
        SignInFailures,
        lambda: SignInFailures.last_at,
        timedelta(days=30),
        "throttles of sign-in, without effect after a day",
    ),
    Class(
        "calls",
        CallMinutes,
        lambda: CallMinutes.since,
        CALLS_KEPT,
        "how calls went: of use while somebody still asks",
        lambda: CallMinutes.person_id,
    ),
    NOTICES,
    Class(
        "erasure_requests",
        ErasureRequests,
        lambda: func.coalesce(ErasureRequests.ended_at, ErasureRequests.until),
        timedelta(days=365),
        "requests to erase somebody: the audit keeps who asked and answered",
        lambda: ErasureRequests.person_id,
    ),
)


class KeptFor(msgspec.Struct, frozen=True):
    """A class as administrators see it: days, or years; neither: for ever."""

    name: str
    days: int | None = None
    years: int | None = None


def kept_for(
    settings: Settings, actor: Actor, organisation_id: UUID, now: datetime
) -> list[KeptFor]:
    """Say how long what is kept; health records first. Raises NotFound, Forbidden."""
    require_at(actor, Act.ERASE_PERSON, organisation_id, now)
    health = KeptFor("health", years=settings.keep_health_records_years)
    return [health, KeptFor("audit"), *(KeptFor(one.name, one.kept.days) for one in CLASSES)]


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
