"""Whom an organisation erased, held against the log of erasures, and the end of what broke off.

The log is written before the commit (storage/erasure_log.py). A line whose commit failed was asked
for and permitted, and the next restore would do it: so the house does it by itself, unless there is
by now what stands against it, or something of the person that nobody was asked about. Until then
the person is there, and the page says that it is unfinished.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from people.administration import require_at
from people.erasure import Erasure, Erasures, replay, standing
from people.holds import held
from people.keepers import keepers_of
from people.members import known
from people.persons import Persons, full_name
from people.policy import Act
from people.sessions import Caller
from storage import erasure_log
from storage.erasure_log import BrokenLog, Erased
from storage.jobs import Work, job
from storage.settings import Settings

SHOWN: Final = 200
# An erasure that is being done has its line before its row, for seconds.
SETTLED: Final = timedelta(minutes=10)
_AT_ONCE: Final = 20


async def list_erasures(
    db: AsyncSession, settings: Settings, caller: Caller, organisation_id: UUID, now: datetime
) -> list[Erasure]:
    """Give whom the organisation erased, newest first, and first of all what is unfinished.

    Raises NotFound, Forbidden.
    """
    require_at(caller.actor, Act.ERASE_PERSON, organisation_id, now)
    log = await _log(settings)
    # Done again after a restore, or finished by the house: the log does not say for whom.
    again = Erasures.organisation_id.is_(None) & known(Persons.id, organisation_id, now)
    query = (
        select(Erasures, Persons)
        .join(Persons, Persons.id == Erasures.person_id)
        .where(or_(Erasures.organisation_id == organisation_id, again))
        .order_by(Erasures.erased_at.desc(), Erasures.person_id)
        .limit(SHOWN)
    )
    owners = None if log is None else {one.owner for one in log}
    done = [
        Erasure(
            person_id=row.person_id,
            reason=row.reason,
            erased_at=row.erased_at,
            done=row.done_at is not None,
            name=full_name(person.given_name, person.family_name),
            logged=None if owners is None else row.person_id in owners,
        )
        for row, person in (await db.execute(query)).all()
    ]
    left = await _unfinished(db, log or (), now)
    here = select(Persons).where(Persons.id.in_(left), known(Persons.id, organisation_id, now))
    unfinished = [
        Erasure(
            person_id=person.id,
            reason=left[person.id].reason,
            erased_at=left[person.id].at,
            done=False,
            name=full_name(person.given_name, person.family_name),
            unfinished=True,
        )
        for person in await db.scalars(here.order_by(Persons.id).limit(SHOWN))
    ]
    return [*unfinished, *done]


@job("people.finish_erasures", cron="5 * * * *")
async def finish_erasures(work: Work) -> None:
    """Do what the log says and nobody did, where that is still right. Raises BrokenLog."""
    log = await asyncio.to_thread(erasure_log.read, work.settings)
    left = await _unfinished(work.db, log, work.now)
    free = select(Persons.id).where(Persons.id.in_(left), ~held(Persons.id, work.now))
    some = (await work.db.scalars(free.order_by(Persons.id).limit(_AT_ONCE))).all()
    for person_id in some:
        # Asked behind the lock, in a statement of its own: a hold that was waited for is seen.
        await work.db.execute(select(Persons.id).where(Persons.id == person_id).with_for_update())
        if await _is_still_right(work.db, left[person_id], work.now):
            await replay(work.db, [left[person_id]], work.now)


async def _is_still_right(db: AsyncSession, line: Erased, now: datetime) -> bool:
    """Nothing stands against it, and nobody keeps what came after it was permitted."""
    if any((await standing(db, line.owner, now)).values()):
        return False
    return all(one.latest <= line.at for one in await keepers_of(db, line.owner, now))


async def _unfinished(db: AsyncSession, log: Sequence[Erased], now: datetime) -> dict[UUID, Erased]:
    """Lines of the log, by person, for whom no erasure was committed."""
    settled = {one.owner: one for one in log if one.at < now - SETTLED}
    if not settled:
        return {}
    done = select(Erasures.person_id).where(Erasures.person_id.in_(settled))
    there = set((await db.scalars(done)).all())
    return {owner: one for owner, one in settled.items() if owner not in there}


async def _log(settings: Settings) -> list[Erased] | None:
    """What the log says; None when it is not what was written."""
    try:
        return await asyncio.to_thread(erasure_log.read, settings)
    except BrokenLog:
        return None
