"""The lesson's room: a teacher opens it, everybody in it sees the same, the teacher ends it.

PostgreSQL holds what is here and who may publish what; the media worker is the lock and holds
presence. So a room is whole again at once, whatever else was restarted.
"""

from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from eschool import groups, hands, slides, takes
from eschool.groups import GroupsNow
from eschool.hands import Floor, Hand
from eschool.lessons import (
    OVERTIME,
    Lesson,
    LessonNotRunning,
    Lessons,
    LessonSide,
    LessonState,
    get_lesson,
    led,
    require_running,
    seen,
    state_of,
    thing,
)
from eschool.slides import SlideNow
from eschool.takes import RecordingNow
from people.facts import LessonEnded, LessonOpened, emit
from people.organisations import Ref
from people.persons import Persons, full_name
from people.policy import Act, Actor, Thing, may, require
from people.refused import NotFound
from people.relations import Relations, actor_of, allowed

# A teacher comes before the class does, to put up the slides and to try the camera.
BEFORE = timedelta(hours=1)
TEACHER_MEDIA = ["audio", "video", "screen"]


class LessonSeat(msgspec.Struct, frozen=True):
    """Somebody's place in a room; `thing` is what the policy is asked about while he sits in it."""

    lesson: Lesson
    my_side: LessonSide
    teacher: Ref
    thing: Thing


class LessonRoom(msgspec.Struct, frozen=True):
    """What is the same for everybody in the room."""

    state: LessonState
    opened_at: datetime | None
    ended_at: datetime | None
    teacher: Ref
    slide: SlideNow | None
    hands: list[Hand]
    floor: Floor | None
    recording: RecordingNow
    chat_held: bool
    groups: GroupsNow | None = None


async def open_lesson(db: AsyncSession, actor: Actor, lesson_id: UUID, now: datetime) -> Lesson:
    """Let media flow, from an hour before the lesson's time. Opening twice is opening."""
    row = await led(db, actor, lesson_id, now, running=False)
    state = state_of(row, now)
    if state is LessonState.ENDED or now < row.starts_at - BEFORE:
        raise LessonNotRunning(state)
    if row.opened_at is None:
        row.opened_at = now
        await db.flush()
        emit(db, LessonOpened(at=now, lesson_id=row.id))
    return await get_lesson(db, actor, lesson_id, now)


async def end_lesson(db: AsyncSession, actor: Actor, lesson_id: UUID, now: datetime) -> Lesson:
    """End the lesson, and with it floor, hands and the running take. Ending twice is ending."""
    row = await led(db, actor, lesson_id, now, running=False)
    if row.opened_at is None:
        require_running(row, now)
    if row.ended_at is None:
        row.ended_at = min(now, row.ends_at + OVERTIME)
        await db.flush()
        await hands.clear(db, row.id, now)
        await groups.end(db, row.id, now)
        await takes.end_take(db, row.id, row.ended_at)
        emit(db, LessonEnded(at=now, lesson_id=row.id))
    return await get_lesson(db, actor, lesson_id, now)


async def require_join(
    db: AsyncSession, actor: Actor, lesson_id: UUID, now: datetime
) -> LessonSeat:
    """Give a seat to who may sit in the room now: before a ticket, at hello, and again.

    A planned lesson has seats: the class waits for its teacher. Raises NotFound for strangers and
    LessonNotRunning when the lesson has ended.
    """
    row = await seen(db, actor, lesson_id, now)
    require(actor, Act.JOIN_LESSON, thing(row), now)
    if state_of(row, now) is LessonState.ENDED:
        raise LessonNotRunning(LessonState.ENDED)
    lesson = await get_lesson(db, actor, lesson_id, now)
    return LessonSeat(lesson, lesson.my_side, lesson.teacher, thing(row))


async def room(db: AsyncSession, lesson_id: UUID, now: datetime) -> LessonRoom:
    """Read the room. Asks nobody who he is: only after require_join."""
    row, teacher = await _lesson(db, lesson_id)
    state = state_of(row, now)
    live = state is LessonState.RUNNING
    return LessonRoom(
        state=state,
        opened_at=row.opened_at,
        ended_at=row.ended_at,
        teacher=Ref(teacher.id, full_name(teacher.given_name, teacher.family_name)),
        slide=await slides.slide_now(db, lesson_id),
        hands=await hands.hands_up(db, lesson_id, now) if live else [],
        floor=await hands.floor_now(db, lesson_id, now) if live else None,
        recording=await takes.recording_now(db, lesson_id)
        if live
        else RecordingNow(on=False, since=None, audience=None),
        chat_held=row.chat_held,
        groups=await groups.groups_now(db, lesson_id, now) if live else None,
    )


async def grants(db: AsyncSession, lesson_id: UUID, now: datetime) -> dict[UUID, list[str]]:
    """Who may publish what at this moment: in a running lesson the teacher, and who has the floor.

    Whose right to the lesson ended has nothing here, whatever he had a moment ago.
    """
    row, _ = await _lesson(db, lesson_id)
    if state_of(row, now) is not LessonState.RUNNING:
        return {}
    given: dict[UUID, list[str]] = {}
    floor = await hands.floor_now(db, lesson_id, now)
    if floor is not None:
        given[floor.person.id] = list(floor.kinds)
    if may(await actor_of(db, row.teacher_id, now), Act.LEAD_LESSON, thing(row), now):
        given[row.teacher_id] = list(TEACHER_MEDIA)
    return given


async def roster(db: AsyncSession, lesson_id: UUID, now: datetime) -> list[Ref]:
    """Everybody who may sit in the room: the teacher first, then the class in order of names."""
    row, teacher = await _lesson(db, lesson_id)
    may_sit = allowed(
        Act.JOIN_LESSON,
        Persons.id,
        now,
        organisation=Lessons.organisation_id,
        about=(Lessons.id, Lessons.class_id),
    )
    named = select(Relations.actor_id).where(Relations.about_id.in_((row.id, row.class_id)))
    query = (
        select(Persons)
        .join(Lessons, Lessons.id == row.id)
        .where(Persons.id.in_(named), Persons.id != row.teacher_id, may_sit)
        .order_by(Persons.family_name, Persons.given_name, Persons.id)
    )
    people = [teacher, *(await db.scalars(query)).all()]
    return [Ref(one.id, full_name(one.given_name, one.family_name)) for one in people]


async def _lesson(db: AsyncSession, lesson_id: UUID) -> tuple[Lessons, Persons]:
    query = (
        select(Lessons, Persons)
        .join(Persons, Persons.id == Lessons.teacher_id)
        .where(Lessons.id == lesson_id)
        .execution_options(populate_existing=True)
    )
    found = (await db.execute(query)).one_or_none()
    if found is None:
        raise NotFound
    row, teacher = found
    return row, teacher
