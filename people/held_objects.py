"""A hold reaches the object store as well, where its bucket was made with object lock.

Each room says which objects lie there for a person (`lies`). A job puts the store's own legal hold
on them when a hold is set, takes it off when none is left, and looks once a day for what came since
and for holds whose day has come. In a bucket without object lock it does nothing.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from people.holds import HOLD_OBJECTS, LegalHolds, held
from people.persons import Persons
from storage.jobs import Work, enqueue, job
from storage.s3 import S3Objects

Lies = Callable[[AsyncSession, UUID], Awaitable[list[str]]]
_lies: Final[list[Lies]] = []
# A hold that ended is looked at for so long: a house may be off for some days.
_ENDED_WITHIN: Final = timedelta(days=30)


def lies(keys: Lies) -> Lies:
    """Decorate how a room lists the objects that lie in the store for a person."""
    _lies.append(keys)
    return keys


@job(HOLD_OBJECTS)
async def hold_objects(work: Work, person: UUID) -> None:
    """Put the store's hold on a person's objects, or take it off: as the holds are by now."""
    store = work.objects
    if not isinstance(store, S3Objects) or not await store.locks():
        return
    person_id = UUID(str(person))
    # Holds wait for it; what is stored of the person meanwhile (a foreign key) does not. Asked in a
    # statement of its own: a hold that was waited for is seen.
    lock = select(Persons.id).where(Persons.id == person_id).with_for_update(key_share=True)
    await work.db.execute(lock)
    on = bool(await work.db.scalar(select(held(person_id, work.now))))
    for keys in _lies:
        for key in await keys(work.db, person_id):
            # SeaweedFS answers 500 to a hold on what is lost.
            if await store.exists(key):
                await store.hold(key, on=on)


@job("people.hold_new_objects", cron="15 10 * * *")
async def hold_new_objects(work: Work) -> None:
    """Ask again for everybody who is held, or was lately."""
    store = work.objects
    if not isinstance(store, S3Objects) or not await store.locks():
        return
    lately = work.now - _ENDED_WITHIN
    query = select(LegalHolds.person_id).where(
        or_(LegalHolds.lifted_at.is_(None), LegalHolds.lifted_at > lately),
        or_(LegalHolds.until.is_(None), LegalHolds.until > lately),
    )
    for person_id in (await work.db.scalars(query.distinct())).all():
        await enqueue(work.db, HOLD_OBJECTS, once=f"hold {person_id.hex}", person=person_id)
