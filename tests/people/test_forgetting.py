"""The house forgets what was read or failed long ago, and nothing that somebody waits for."""

from datetime import datetime, timedelta

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from api.runner import JOBS
from people import forgetting
from people.forgetting import FAILED_KEPT, READ_KEPT, forget
from people.notice_targets import NoticesTold, NoticeTargets
from people.notices import Notices, notify
from people.persons import Persons
from storage.dead_letters import JobFailures, keep_failure, list_letters
from storage.engine import new_id
from storage.jobs import Work, enqueue
from storage.objects import Objects
from storage.settings import Settings

SECOND = timedelta(seconds=1)


def test_the_runner_forgets() -> None:
    assert forgetting in JOBS


async def test_notices_go_a_year_after_they_were_read(
    db: AsyncSession, objects: Objects, stores: Settings, patient: Persons, now: datetime
) -> None:
    """What was never read waits; what was told of is forgotten with it."""
    target = NoticeTargets(
        id=new_id(), person_id=patient.id, way="sms", address="+7", made_at=now, asked_at=now
    )
    db.add(target)
    old = now - 2 * READ_KEPT
    for code, read_at in (
        ("waits", None),
        ("kept", now - READ_KEPT + SECOND),
        ("gone", now - READ_KEPT - SECOND),
    ):
        row = await db.get_one(Notices, await notify(db, patient.id, code, {}, old))
        row.read_at = read_at
        db.add(NoticesTold(target_id=target.id, notice_id=row.id))
    await db.flush()
    await forget(Work(db, objects, stores, now))
    codes = (await db.scalars(select(Notices.code).order_by(Notices.code))).all()
    assert codes == ["kept", "waits"]
    assert await db.scalar(select(func.count()).select_from(NoticesTold)) == 2


async def test_the_houses_own_dead_letters_go_after_ninety_days(
    db: AsyncSession, objects: Objects, stores: Settings, now: datetime
) -> None:
    """An organisation's stay until its administrator drops them; what still waits is not dead."""
    owner = new_id()
    for name, owners in (("old", []), ("young", []), ("owned", [owner]), ("waits", [])):
        await enqueue(db, name, owners=owners)
    await db.execute(
        text("UPDATE procrastinate_jobs SET status = 'failed' WHERE task_name <> 'waits'")
    )
    jobs = (await db.execute(text("SELECT task_name, id FROM procrastinate_jobs"))).all()
    for name, job_id in jobs:
        at = now - FAILED_KEPT + (SECOND if name == "young" else -SECOND)
        await keep_failure(db, job_id, "x", at)
    await forget(Work(db, objects, stores, now))
    assert {one.name for one in await list_letters(db, owner)} == {"young", "owned"}
    assert await db.scalar(select(func.count()).select_from(JobFailures)) == 3


async def test_a_dead_letter_without_a_reason_goes_by_when_it_was_last_tried(
    db: AsyncSession, objects: Objects, stores: Settings
) -> None:
    """The database was away when its reason should have been kept."""
    await enqueue(db, "unknown")
    await db.execute(text("UPDATE procrastinate_jobs SET status = 'failed'"))
    newest = await db.scalar(text("SELECT max(at) FROM procrastinate_events"))
    assert newest is not None
    await forget(Work(db, objects, stores, newest + FAILED_KEPT - SECOND))
    assert len(await list_letters(db, new_id())) == 1
    await forget(Work(db, objects, stores, newest + FAILED_KEPT + SECOND))
    assert await list_letters(db, new_id()) == []
