"""A recording that fails is told while there is still something to save: J6.6.

A take runs and nothing of it has come into the store for a while: its teacher and the school's
administrators have a notice, once for that take. The board shows the room meanwhile.
"""

from datetime import timedelta

from sqlalchemy import exists, func, or_, select

from eschool.lessons import Lessons, LessonState, state_of
from eschool.takes import LessonSegments, LessonTakes
from people.notices import Notices, notify
from people.policy import Kind
from people.relations import Relations
from storage.jobs import Work, job

# The teacher is led to the lesson; who may not see it, to the board.
TEACHER, HEAD = "recording_stalled", "recording_stalled_here"
# Segments are some seconds long; a worker that was killed is back and has caught up by then.
STALLED_AFTER = timedelta(minutes=2)


@job("eschool.failing_takes", cron="* * * * *")
async def tell_of_failing_takes(work: Work) -> None:
    """Tell of every take that runs and has not grown for STALLED_AFTER."""
    db, now = work.db, work.now
    newest = (
        select(func.max(LessonSegments.stored_at))
        .where(LessonSegments.take_id == LessonTakes.id)
        .scalar_subquery()
    )
    told = exists().where(
        Notices.code == TEACHER,
        Notices.about_id == LessonTakes.lesson_id,
        Notices.at >= LessonTakes.started_at,
    )
    still = now - STALLED_AFTER
    query = (
        select(Lessons)
        .join(LessonTakes, LessonTakes.lesson_id == Lessons.id)
        .where(
            LessonTakes.stopped_at.is_(None),
            LessonTakes.started_at <= still,
            or_(newest.is_(None), newest <= still),
            ~told,
        )
    )
    for lesson in (await db.scalars(query)).all():
        if state_of(lesson, now) is not LessonState.RUNNING:
            continue
        heads = select(Relations.actor_id).where(
            Relations.kind == Kind.ADMINISTRATION.value,
            Relations.organisation_id == lesson.organisation_id,
            Relations.live(now),
        )
        said = {"lesson": lesson.title}
        await notify(db, lesson.teacher_id, TEACHER, said, now, critical=True, about=lesson.id)
        for head in set((await db.scalars(heads)).all()) - {lesson.teacher_id}:
            place = lesson.organisation_id
            await notify(db, head, HEAD, said, now, critical=True, about=place)
