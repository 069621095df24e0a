"""Files and objects that lost each other, looked for once a day in both directions.

Objects without a row (a commit that failed, a process that was killed) go after a day; so do files
that were taken back, unless a hold is on whom they are about, and those of whoever was erased: a
backup that runs counts on the objects of its point in time. Rows without an object are marked, and
whoever administers the place is told; the mark goes when the object is back.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from people import audit
from people.files import OBJECTS, Files, object_key
from people.holds import held
from people.notices import notify
from people.policy import Kind
from people.relations import Relations
from storage.data_keys import DataKeys
from storage.jobs import Work, job

GRACE: Final = timedelta(days=1)
# Only a catastrophe leaves more at once; the rest goes the next day.
AT_ONCE: Final = 5000
_UUID_OF_TIME: Final = 7


@job("people.lost_files", cron="40 9 * * *")  # noon in the region: a house may be off at night
async def reconcile(work: Work) -> None:
    """Remove what nobody needs, mark what is missing."""
    there = set(await work.objects.keys(OBJECTS))
    await _forget_erased(work.db, work.now)
    # Asked after the listing: whatever was stored meanwhile has its row.
    query = select(
        Files.id,
        Files.object_id,
        Files.organisation_id,
        Files.at,
        Files.lost_at,
        Files.removed_at,
        held(Files.owner_id, work.now).label("held"),
    )
    rows = (await work.db.execute(query, execution_options=audit.WRITE_PATH)).all()
    before = work.now - GRACE
    over = [row for row in rows if row.removed_at is not None and row.removed_at < before]
    done = [row for row in over if not row.held]
    kept = {row.object_id for row in rows} - {row.object_id for row in done}
    before_ms = before.timestamp() * 1000
    useless = [key for key in sorted(there) if _useless(key, kept, before_ms)]
    for key in useless[:AT_ONCE]:
        await work.objects.delete(key)
    if len(useless) <= AT_ONCE:
        await _delete(work.db, [row.id for row in done])
    # The listing may be older than a row: the newest are looked at tomorrow.
    old = [row for row in rows if row.removed_at is None and row.at < before]
    missing = {row.id for row in old if object_key(row.object_id, "whole") not in there}
    lost = [row for row in old if row.id in missing and row.lost_at is None]
    back = [row.id for row in old if row.id not in missing and row.lost_at is not None]
    await _mark(work.db, back, None)
    await _mark(work.db, [row.id for row in lost], work.now)
    for organisation_id in {row.organisation_id for row in lost}:
        count = sum(row.organisation_id == organisation_id for row in lost)
        await _tell(work.db, organisation_id, count, work.now)


async def _forget_erased(db: AsyncSession, now: datetime) -> None:
    """What is sealed under a destroyed key is of no use to anybody."""
    erased = select(DataKeys.owner).where(DataKeys.destroyed_at.is_not(None))
    await db.execute(
        update(Files)
        .where(Files.owner_id.in_(erased), Files.removed_at.is_(None))
        .values(removed_at=now)
        .execution_options(synchronize_session=False, **audit.WRITE_PATH)
    )


def _useless(key: str, kept: Collection[UUID], before_ms: float) -> bool:
    """Old enough and of no file that is kept; a key of another make is left alone."""
    try:
        object_id = UUID(key.removeprefix(OBJECTS).partition("/")[0])
    except ValueError:
        return False
    # RFC 9562, 5.7: the first 48 bits are milliseconds of Unix time.
    old = object_id.version == _UUID_OF_TIME and object_id.int >> 80 < before_ms
    return old and object_id not in kept


async def _delete(db: AsyncSession, ids: Collection[UUID]) -> None:
    if ids:
        gone = delete(Files).where(Files.id.in_(ids))
        await db.execute(gone, execution_options={"synchronize_session": False})


async def _mark(db: AsyncSession, ids: Collection[UUID], at: datetime | None) -> None:
    if ids:
        marked = update(Files).where(Files.id.in_(ids)).values(lost_at=at)
        await db.execute(marked, execution_options={"synchronize_session": False})


async def _tell(db: AsyncSession, organisation_id: UUID, count: int, now: datetime) -> None:
    query = select(Relations.actor_id).where(
        Relations.kind == Kind.ADMINISTRATION.value,
        Relations.organisation_id == organisation_id,
        Relations.live(now),
    )
    for person_id in (await db.scalars(query.distinct())).all():
        await notify(db, person_id, "files_lost", {"count": count}, now, about=organisation_id)
