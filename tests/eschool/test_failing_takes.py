"""A take that does not grow is told of: once, to the teacher and the school's administrators."""

from dataclasses import replace
from datetime import timedelta

import pytest
from class_world import NOW
from recorded import SECOND, Recorded
from sqlalchemy import select

from api.runner import JOBS
from eschool import failing_takes
from eschool.failing_takes import HEAD, STALLED_AFTER, TEACHER, tell_of_failing_takes
from eschool.takes import stop
from people.notices import Notices
from storage.jobs import Work
from storage.objects import Objects
from storage.settings import Settings


@pytest.fixture
def work(r: Recorded, objects: Objects, settings: Settings) -> Work:
    """What the job is given."""
    return Work(r.db, objects, settings, NOW)


async def told(r: Recorded, work: Work, after: timedelta) -> list[tuple[str, bool]]:
    """Look at that time; who has been told so far, and whether quiet hours let it through."""
    await tell_of_failing_takes(replace(work, now=NOW + after))
    query = select(Notices.person_id, Notices.critical).where(Notices.code.in_([TEACHER, HEAD]))
    names = {person_id: name for name, person_id in r.s.people.items()}
    rows = (await r.db.execute(query)).all()
    return sorted((names[person_id], critical) for person_id, critical in rows)


async def test_a_take_that_stands_still_is_told_of_once(r: Recorded, work: Work) -> None:
    """To who can do something about it; a take that began anew is another one."""
    await r.begin()
    assert await told(r, work, STALLED_AFTER - SECOND) == []
    both = [("head", True), ("teacher", True)]
    assert await told(r, work, STALLED_AFTER) == both
    assert await told(r, work, 2 * STALLED_AFTER) == both
    late = (2 * STALLED_AFTER).total_seconds()
    await stop(r.db, r.teacher, r.s.lesson, NOW + 2 * STALLED_AFTER)
    assert await told(r, work, 3 * STALLED_AFTER) == both
    await r.begin(late + 1)
    assert await told(r, work, 4 * STALLED_AFTER) == sorted(both * 2)


async def test_a_take_that_grows_is_told_to_nobody(r: Recorded, work: Work) -> None:
    """Until its segments stay away."""
    take = await r.begin(-60)
    await r.segment(take)
    assert await told(r, work, STALLED_AFTER - SECOND) == []
    assert len(await told(r, work, STALLED_AFTER)) == 2


def test_the_runner_looks_for_failing_takes() -> None:
    """A job nobody registers looks at nothing."""
    assert failing_takes in JOBS
