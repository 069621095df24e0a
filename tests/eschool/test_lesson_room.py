"""The lesson's room: who opens and ends it, who sits in it, and what everybody in it sees."""

import asyncio
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest
from class_world import LESSON, NOW, OVER, PUPILS, STRANGERS, SchoolClass, furnish, opened
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

import eschool.demo
import people.demo
from eschool import hands, takes
from eschool.hands import NewFloor
from eschool.lesson_room import (
    LessonRoom,
    end_lesson,
    grants,
    open_lesson,
    require_join,
    room,
    roster,
)
from eschool.lessons import LessonNotRunning, LessonSide, LessonState, get_lesson
from people import facts
from people.policy import ANONYMOUS, Act
from people.refused import Forbidden, NotFound
from people.relations import actor_of
from storage.engine import sessions

HOUR = timedelta(hours=1)
ALL = ["audio", "video", "screen"]


async def look(db: AsyncSession, s: SchoolClass, now: datetime = NOW) -> LessonRoom:
    return await room(db, s.lesson, now)


@pytest.mark.parametrize("who", STRANGERS)
async def test_a_stranger_finds_no_room(db: AsyncSession, who: str) -> None:
    """A pupil of another class, a colleague: as absent as a random id."""
    s = await opened(db)
    actor = await s.actor(db, who)
    for lesson in (s.lesson, uuid4()):
        for verb in (open_lesson, end_lesson, require_join):
            with pytest.raises(NotFound):
                await verb(db, actor, lesson, NOW)
    with pytest.raises(NotFound):
        await require_join(db, ANONYMOUS, s.lesson, NOW)


async def test_a_pupil_neither_opens_nor_ends(db: AsyncSession) -> None:
    """The refusal carries act and thing, for the audit."""
    s = await furnish(db)
    pupil = await s.actor(db, "pupil")
    for verb in (open_lesson, end_lesson):
        with pytest.raises(Forbidden) as refusal:
            await verb(db, pupil, s.lesson, NOW)
        assert refusal.value.act is Act.LEAD_LESSON
        assert refusal.value.thing is not None
        assert refusal.value.thing.about == (s.lesson, s.group)
        assert refusal.value.params == {}
    assert (await look(db, s)).state is LessonState.PLANNED


async def test_opening_twice_is_opening_once(db: AsyncSession) -> None:
    """The time stays, and so does the announcement."""
    s = await furnish(db)
    teacher = await s.actor(db, "teacher")
    facts.take(db)
    first = await open_lesson(db, teacher, s.lesson, NOW)
    again = await open_lesson(db, teacher, s.lesson, NOW + HOUR)
    assert first.state is again.state is LessonState.RUNNING
    assert (await look(db, s)).opened_at == NOW
    assert facts.take(db) == [facts.LessonOpened(at=NOW, lesson_id=s.lesson)]


@pytest.mark.parametrize(
    ("when", "opens"),
    [
        (NOW - HOUR - timedelta(seconds=1), False),
        (NOW - HOUR, True),
        (NOW + LESSON + HOUR, True),
        (OVER, False),
    ],
)
async def test_a_lesson_opens_from_an_hour_before_until_it_is_over(
    db: AsyncSession, when: datetime, opens: bool
) -> None:
    """Not a day ahead, not the morning after."""
    s = await furnish(db)
    teacher = await s.actor(db, "teacher")
    if opens:
        assert (await open_lesson(db, teacher, s.lesson, when)).state is LessonState.RUNNING
        return
    with pytest.raises(LessonNotRunning):
        await open_lesson(db, teacher, s.lesson, when)


async def test_the_end_takes_floor_hands_and_recording_with_it(db: AsyncSession) -> None:
    """Once, however often it is said; nothing is opened again."""
    s = await opened(db)
    teacher = await s.actor(db, "teacher")
    await hands.raise_hand(db, await s.actor(db, "second"), s.lesson, NOW)
    await hands.give_floor(db, teacher, s.lesson, NewFloor(s["pupil"], ["audio"]), NOW)
    await takes.start(db, teacher, s.lesson, "class", NOW)
    assert (await look(db, s)).recording.on
    facts.take(db)
    ended = await end_lesson(db, teacher, s.lesson, NOW + LESSON)
    assert ended.state is LessonState.ENDED
    told = facts.take(db)
    assert facts.LessonEnded(at=NOW + LESSON, lesson_id=s.lesson) in told
    assert facts.RecordingChanged(at=NOW + LESSON, lesson_id=s.lesson) in told
    seen = await look(db, s, NOW + LESSON)
    assert (seen.hands, seen.floor, seen.recording.on) == ([], None, False)
    assert seen.ended_at == NOW + LESSON
    assert not (await takes.recording_now(db, s.lesson)).on
    assert await hands.hands_up(db, s.lesson, NOW) == []
    assert await hands.floor_now(db, s.lesson, NOW) is None
    await end_lesson(db, teacher, s.lesson, NOW + LESSON + HOUR)
    assert (await look(db, s)).ended_at == NOW + LESSON
    assert facts.take(db) == []
    with pytest.raises(LessonNotRunning):
        await open_lesson(db, teacher, s.lesson, NOW + LESSON)


async def test_what_was_never_opened_cannot_be_ended(db: AsyncSession) -> None:
    """The refusal says what state it is in."""
    s = await furnish(db)
    with pytest.raises(LessonNotRunning) as refusal:
        await end_lesson(db, await s.actor(db, "teacher"), s.lesson, NOW)
    assert refusal.value.params == {"state": "planned"}


async def test_a_forgotten_lesson_ended_days_later_was_over_by_the_clock(
    db: AsyncSession,
) -> None:
    """Its recording is not a week long."""
    s = await opened(db)
    teacher = await s.actor(db, "teacher")
    await end_lesson(db, teacher, s.lesson, OVER + timedelta(days=7))
    assert (await look(db, s)).ended_at == NOW + LESSON + timedelta(hours=12)


@pytest.mark.parametrize(("who", "side"), [("teacher", "teacher"), ("pupil", "pupil")])
async def test_both_sides_take_their_seats_before_and_while_it_runs(
    db: AsyncSession, who: str, side: str
) -> None:
    """The class waits for its teacher; after the end there are no seats."""
    s = await furnish(db)
    actor, teacher = await s.actor(db, who), await s.actor(db, "teacher")
    waiting = await require_join(db, actor, s.lesson, NOW)
    assert (waiting.my_side, waiting.lesson.state) == (LessonSide(side), LessonState.PLANNED)
    assert (waiting.teacher.id, waiting.thing.about) == (s["teacher"], (s.lesson, s.group))
    await open_lesson(db, teacher, s.lesson, NOW)
    assert (await require_join(db, actor, s.lesson, NOW)).lesson.state is LessonState.RUNNING
    with pytest.raises(LessonNotRunning):
        await require_join(db, actor, s.lesson, OVER)
    await end_lesson(db, teacher, s.lesson, NOW)
    with pytest.raises(LessonNotRunning):
        await require_join(db, actor, s.lesson, NOW)
    assert (await get_lesson(db, actor, s.lesson, NOW)).state is LessonState.ENDED


async def test_a_planned_room_is_quiet(db: AsyncSession) -> None:
    """Nobody may publish, nothing is recorded, the chat waits for the teacher's word."""
    s = await furnish(db)
    seen = await look(db, s)
    assert (seen.state, seen.opened_at, seen.ended_at) == (LessonState.PLANNED, None, None)
    assert (seen.slide, seen.hands, seen.floor, seen.chat_held) == (None, [], None, True)
    assert seen.teacher.name == "teacher Вәлиев"
    assert not seen.recording.on
    assert await grants(db, s.lesson, NOW) == {}


async def test_the_teacher_publishes_while_it_runs_and_the_floor_what_it_was_given(
    db: AsyncSession,
) -> None:
    """Everybody else is silent; after the end everybody is, also by the clock."""
    s = await opened(db)
    teacher = await s.actor(db, "teacher")
    assert await grants(db, s.lesson, NOW) == {s["teacher"]: ALL}
    await hands.give_floor(db, teacher, s.lesson, NewFloor(s["pupil"], ["audio"]), NOW)
    assert await grants(db, s.lesson, NOW) == {s["teacher"]: ALL, s["pupil"]: ["audio"]}
    assert await grants(db, s.lesson, OVER) == {}
    assert (await look(db, s, OVER)).floor is None
    await end_lesson(db, teacher, s.lesson, NOW)
    assert await grants(db, s.lesson, NOW) == {}


@pytest.mark.parametrize("who", ["teacher", "pupil"])
async def test_who_left_loses_grants_and_seat_at_once(db: AsyncSession, who: str) -> None:
    """Although the row of the floor is still open, and the lesson is still his by name."""
    s = await opened(db)
    teacher = await s.actor(db, "teacher")
    await hands.give_floor(db, teacher, s.lesson, NewFloor(s["pupil"], ["audio"]), NOW)
    later = NOW + HOUR / 4
    await s.leave(db, who, later)
    assert s[who] not in await grants(db, s.lesson, later)
    assert len(await grants(db, s.lesson, later)) == 1
    with pytest.raises(NotFound):
        await require_join(db, await s.actor(db, who, later), s.lesson, later)


async def test_the_roster_is_the_teacher_and_the_class_of_that_moment(db: AsyncSession) -> None:
    """In order of names; nobody of another class, nobody who left."""
    s = await furnish(db)
    told = [one.id for one in await roster(db, s.lesson, NOW)]
    assert told == [s[word] for word in ("teacher", *PUPILS)]
    await s.leave(db, "second", NOW + HOUR)
    assert s["second"] in {one.id for one in await roster(db, s.lesson, NOW)}
    later = [one.id for one in await roster(db, s.lesson, NOW + HOUR)]
    assert later == [s["teacher"], s["pupil"], s["third"]]


async def test_a_room_that_is_not_there_is_not_found(db: AsyncSession) -> None:
    """As for a message from a worker about a room of another house."""
    for read in (room, grants, roster):
        with pytest.raises(NotFound):
            await read(db, uuid4(), NOW)


async def test_two_clicks_at_once_open_once_and_end_once(engine: AsyncEngine) -> None:
    """Two tabs of the teacher; the second waits for the first and finds it done."""
    make = sessions(engine)
    async with make() as db, db.begin():
        s = await furnish(db)
    told: list[facts.Fact] = []

    async def click(verb: object, now: datetime) -> None:
        async with make() as db, db.begin():
            assert callable(verb)
            await verb(db, await s.actor(db, "teacher"), s.lesson, now)
            told.extend(facts.take(db))

    for verb in (open_lesson, end_lesson):
        times = [NOW + timedelta(seconds=n) for n in range(6)]
        await asyncio.gather(*(click(verb, now) for now in times))
    kinds = [type(fact) for fact in told]
    assert kinds == [facts.LessonOpened, facts.LessonEnded]


async def test_a_floor_given_while_it_ends_does_not_stay_open(engine: AsyncEngine) -> None:
    """Whoever comes first: after both there is no floor."""
    make = sessions(engine)
    async with make() as db, db.begin():
        s = await opened(db)

    async def give(person: UUID) -> None:
        async with make() as db, db.begin():
            teacher = await s.actor(db, "teacher")
            await hands.give_floor(db, teacher, s.lesson, NewFloor(person, ["audio"]), NOW)

    async def end() -> None:
        async with make() as db, db.begin():
            await end_lesson(db, await s.actor(db, "teacher"), s.lesson, NOW)

    results = await asyncio.gather(
        give(s["pupil"]), end(), give(s["second"]), give(s["third"]), return_exceptions=True
    )
    assert all(one is None or isinstance(one, LessonNotRunning) for one in results)
    async with make() as db:
        assert await hands.floor_now(db, s.lesson, NOW) is None
        assert await grants(db, s.lesson, NOW) == {}


async def test_demo_lessons_can_be_opened_and_an_ended_one_is_seeded_anew(
    db: AsyncSession,
) -> None:
    """So a demo may be shown twice in an hour."""
    key = b"k" * 32
    await people.demo.seed(db, key, NOW)
    first = (await eschool.demo.seed(db, key, NOW))["lessons"]
    for one in first:
        teacher = await actor_of(db, UUID(one["teacher_id"]), NOW)
        lesson = await open_lesson(db, teacher, UUID(one["id"]), NOW)
        assert lesson.state is LessonState.RUNNING
    assert (await eschool.demo.seed(db, key, NOW))["lessons"] == first
    teacher = await actor_of(db, UUID(first[0]["teacher_id"]), NOW)
    await end_lesson(db, teacher, UUID(first[0]["id"]), NOW)
    again = (await eschool.demo.seed(db, key, NOW))["lessons"]
    assert again[0]["id"] != first[0]["id"]
    assert again[1:] == first[1:]
    await open_lesson(
        db, await actor_of(db, UUID(again[0]["teacher_id"]), NOW), UUID(again[0]["id"]), NOW
    )
