"""Lessons: the teacher and the class see them, nobody else does."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from eschool.lessons import (
    Lessons,
    LessonSide,
    LessonState,
    NewLesson,
    add_class,
    enrol,
    get_lesson,
    my_lessons,
    schedule,
    state_of,
)
from people import facts
from people.organisations import Organisations
from people.persons import Persons
from people.policy import ANONYMOUS, Kind, Right
from people.refused import Forbidden, NotFound
from people.relations import Relations, actor_of, grant
from storage.engine import new_id

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
LESSON = timedelta(minutes=45)


class School:
    """A school with one class, one lesson now, and people who may and may not see it."""

    def __init__(self) -> None:
        self.id, self.other = new_id(), new_id()
        self.group = self.other_group = self.lesson = self.id
        self.teacher, self.colleague, self.head = new_id(), new_id(), new_id()
        self.foreign_head, self.pupil, self.other_pupil, self.parent = (new_id() for _ in "abcd")

    @property
    def new(self) -> NewLesson:
        """The lesson of the hour."""
        return NewLesson(
            organisation_id=self.id,
            class_id=self.group,
            teacher_id=self.teacher,
            title="Дискриминант",
            subject="Алгебра",
            starts_at=NOW,
            ends_at=NOW + LESSON,
        )


@pytest.fixture
async def school(db: AsyncSession) -> School:
    """A furnished school."""
    s = School()
    db.add_all(Organisations(id=i, kind="school", name="Гимназия") for i in (s.id, s.other))
    people = (
        s.teacher,
        s.colleague,
        s.head,
        s.foreign_head,
        s.pupil,
        s.other_pupil,
        s.parent,
    )
    db.add_all(Persons(id=i, family_name="Вәлиев", given_name="А", created_at=NOW) for i in people)
    await db.flush()
    for person, kind, where in (
        (s.teacher, Kind.DUTY, s.id),
        (s.colleague, Kind.DUTY, s.id),
        (s.head, Kind.ADMINISTRATION, s.id),
        (s.foreign_head, Kind.ADMINISTRATION, s.other),
    ):
        right = Right(actor_id=person, kind=kind, organisation_id=where, since=NOW)
        await grant(db, right, "test")
    child = Right(actor_id=s.parent, kind=Kind.GUARDIANSHIP, subject_id=s.pupil, since=NOW)
    await grant(db, child, "test")
    head = await actor_of(db, s.head, NOW)
    s.group = await add_class(db, head, s.id, "7А", NOW)
    s.other_group = await add_class(db, head, s.id, "7Б", NOW)
    await enrol(db, head, s.group, s.pupil, NOW)
    await enrol(db, head, s.other_group, s.other_pupil, NOW)
    s.lesson = await schedule(db, head, s.new, NOW)
    return s


async def test_nobody_signed_in_finds_no_lesson(db: AsyncSession, school: School) -> None:
    """Anonymous."""
    with pytest.raises(NotFound):
        await get_lesson(db, ANONYMOUS, school.lesson, NOW)
    assert await my_lessons(db, ANONYMOUS, None, NOW) == []


@pytest.mark.parametrize("who", ["colleague", "head", "foreign_head", "other_pupil", "parent"])
async def test_a_stranger_finds_no_lesson(db: AsyncSession, school: School, who: str) -> None:
    """As absent as a random id; parents come with their own pages later."""
    actor = await actor_of(db, getattr(school, who), NOW)
    for lesson in (school.lesson, uuid4()):
        with pytest.raises(NotFound):
            await get_lesson(db, actor, lesson, NOW)
    assert await my_lessons(db, actor, None, NOW) == []


@pytest.mark.parametrize(
    ("who", "side"), [("teacher", LessonSide.TEACHER), ("pupil", LessonSide.PUPIL)]
)
async def test_teacher_and_pupil_see_the_lesson(
    db: AsyncSession, school: School, who: str, side: LessonSide
) -> None:
    """Each from their side."""
    actor = await actor_of(db, getattr(school, who), NOW)
    seen = await get_lesson(db, actor, school.lesson, NOW)
    assert (seen.my_side, seen.title, seen.class_name) == (side, "Дискриминант", "7А")
    assert (seen.teacher.id, seen.organisation.name) == (school.teacher, "Гимназия")
    [listed] = await my_lessons(db, actor, date(2026, 3, 2), NOW)
    assert (listed.id, listed.my_side) == (school.lesson, side)
    assert await my_lessons(db, actor, date(2026, 3, 3), NOW) == []


async def test_a_teacher_who_left_loses_the_lessons(db: AsyncSession, school: School) -> None:
    """A pupil who left the class too."""
    later = NOW + LESSON
    await db.execute(
        update(Relations)
        .where(
            Relations.actor_id.in_([school.teacher, school.pupil]),
            Relations.kind.in_([Kind.DUTY.value, Kind.CLASS.value]),
        )
        .values(until=later)
    )
    for who in (school.teacher, school.pupil):
        with pytest.raises(NotFound):
            await get_lesson(db, await actor_of(db, who, later), school.lesson, later)


@pytest.mark.parametrize("who", ["teacher", "pupil", "parent", "foreign_head"])
async def test_only_the_schools_administrator_schedules(
    db: AsyncSession, school: School, who: str
) -> None:
    """Classes, rosters and lessons."""
    actor = await actor_of(db, getattr(school, who), NOW)
    with pytest.raises(Forbidden):
        await schedule(db, actor, school.new, NOW)
    with pytest.raises(Forbidden):
        await add_class(db, actor, school.id, "1А", NOW)
    with pytest.raises(Forbidden):
        await enrol(db, actor, school.group, school.other_pupil, NOW)


async def test_a_class_is_of_its_school(db: AsyncSession, school: School) -> None:
    """No lesson for a foreign class, no pupil for an unknown one."""
    foreign = await actor_of(db, school.foreign_head, NOW)
    theirs = await add_class(db, foreign, school.other, "7А", NOW)
    head = await actor_of(db, school.head, NOW)
    wrong = NewLesson(
        organisation_id=school.id,
        class_id=theirs,
        teacher_id=school.teacher,
        title="",
        subject="",
        starts_at=NOW,
        ends_at=NOW + LESSON,
    )
    with pytest.raises(NotFound):
        await schedule(db, head, wrong, NOW)
    with pytest.raises(NotFound):
        await enrol(db, head, UUID(int=1), school.pupil, NOW)


async def test_the_same_class_name_is_the_same_class(db: AsyncSession, school: School) -> None:
    """Within one school."""
    head = await actor_of(db, school.head, NOW)
    assert await add_class(db, head, school.id, "7А", NOW) == school.group


async def test_a_scheduled_lesson_is_announced(db: AsyncSession, school: School) -> None:
    """Once it is committed."""
    facts.take(db)
    lesson = await schedule(db, await actor_of(db, school.head, NOW), school.new, NOW)
    assert facts.take(db) == [facts.LessonScheduled(at=NOW, lesson_id=lesson)]


@pytest.mark.parametrize(
    ("opened", "ended", "hours", "state"),
    [
        (False, False, -1, LessonState.PLANNED),
        (False, False, 12, LessonState.PLANNED),
        (False, False, 13, LessonState.ENDED),
        (True, False, -1, LessonState.RUNNING),
        (True, False, 12, LessonState.RUNNING),
        (True, False, 13, LessonState.ENDED),
        (True, True, 0, LessonState.ENDED),
    ],
)
def test_state_follows_the_teachers_word_and_at_last_the_clock(
    opened: bool, ended: bool, hours: int, state: LessonState
) -> None:
    """Twelve hours after its time a lesson is over, whatever was forgotten."""
    lesson = Lessons(
        ends_at=NOW, opened_at=NOW if opened else None, ended_at=NOW if ended else None
    )
    assert state_of(lesson, NOW + timedelta(hours=hours)) is state
