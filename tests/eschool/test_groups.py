"""Groups of a class: who sits where, for how long, and what of it ends when."""

from collections.abc import Awaitable
from datetime import timedelta
from uuid import UUID, uuid4

import msgspec
import pytest
from class_world import NOW, STRANGERS, SchoolClass, furnish, opened
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from eschool.groups import (
    BadGroups,
    LessonGroupings,
    LessonNotDivided,
    NewGroups,
    call_back,
    divide,
    go_to,
    groups_now,
    room_of,
    rooms_over,
)
from eschool.hands import NewFloor, give_floor
from eschool.lesson_room import end_lesson, room
from eschool.lessons import LessonNotRunning
from people import facts
from people.audit import AuditActs
from people.policy import Actor
from people.refused import Forbidden, NotFound

MINUTE = timedelta(minutes=1)


def new(s: SchoolClass, *groups: tuple[str, ...], minutes: int = 10) -> NewGroups:
    return NewGroups(minutes, [[s[word] for word in group] for group in groups])


async def divided(db: AsyncSession, *groups: tuple[str, ...], minutes: int = 10) -> SchoolClass:
    s = await opened(db)
    await divide(db, await s.actor(db, "teacher"), s.lesson, new(s, *groups, minutes=minutes), NOW)
    return s


async def seats(db: AsyncSession, s: SchoolClass, now: object = NOW) -> list[set[UUID]] | None:
    found = await groups_now(db, s.lesson, now)  # type: ignore[arg-type]
    if found is None:
        return None
    return [{one.id for one in group.members} for group in found.groups]


def every_verb(db: AsyncSession, s: SchoolClass, actor: Actor) -> list[Awaitable[None]]:
    return [
        divide(db, actor, s.lesson, new(s, ("pupil",)), NOW),
        call_back(db, actor, s.lesson, NOW),
        go_to(db, actor, s.lesson, None, NOW),
    ]


@pytest.mark.parametrize("word", STRANGERS)
async def test_to_a_stranger_there_is_no_lesson_to_divide(db: AsyncSession, word: str) -> None:
    s = await opened(db)
    for verb in every_verb(db, s, await s.actor(db, word)):
        with pytest.raises(NotFound):
            await verb


async def test_a_pupil_divides_nobody_and_goes_nowhere(db: AsyncSession) -> None:
    s = await divided(db, ("pupil", "second"))
    for verb in every_verb(db, s, await s.actor(db, "pupil")):
        with pytest.raises(Forbidden):
            await verb
    assert await seats(db, s) == [{s["pupil"], s["second"]}]


async def test_a_lesson_that_does_not_run_is_not_divided(db: AsyncSession) -> None:
    s = await furnish(db)
    for verb in every_verb(db, s, await s.actor(db, "teacher")):
        with pytest.raises(LessonNotRunning):
            await verb


async def test_who_is_not_named_stays_in_the_class(db: AsyncSession) -> None:
    """The floor ends; everybody is told; the audit says by whom."""
    s = await opened(db)
    teacher = await s.actor(db, "teacher")
    await give_floor(db, teacher, s.lesson, NewFloor(s["third"], ["audio"]), NOW)
    facts.take(db)
    await divide(db, teacher, s.lesson, new(s, ("pupil",), ("second",)), NOW)
    assert facts.LessonChanged(at=NOW, lesson_id=s.lesson) in facts.take(db)
    told = await room(db, s.lesson, NOW)
    assert told.groups is not None
    assert (told.floor, told.groups.ends_at, told.groups.visited) == (None, NOW + 10 * MINUTE, None)
    assert await seats(db, s) == [{s["pupil"]}, {s["second"]}]
    acts = await db.execute(select(AuditActs.actor_id, AuditActs.act))
    assert (s["teacher"], "lesson_divided") in [tuple(row) for row in acts]


async def test_divided_again_a_group_keeps_its_room(db: AsyncSession) -> None:
    """A latecomer is put in without disturbing those who sit there."""
    s = await divided(db, ("pupil",), ("second",))
    before = await groups_now(db, s.lesson, NOW)
    later = NOW + MINUTE
    again = new(s, ("pupil", "third"), ("second",), minutes=5)
    await divide(db, await s.actor(db, "teacher"), s.lesson, again, later)
    after = await groups_now(db, s.lesson, later)
    assert before is not None
    assert after is not None
    assert (after.id, after.ends_at) == (before.id, later + 5 * MINUTE)
    assert await seats(db, s, later) == [{s["pupil"], s["third"]}, {s["second"]}]


async def test_the_time_ends_by_the_clock(db: AsyncSession) -> None:
    """To the moment; the next dividing has rooms of its own."""
    s = await divided(db, ("pupil",))
    first = await groups_now(db, s.lesson, NOW)
    over = NOW + 10 * MINUTE
    assert await groups_now(db, s.lesson, over - timedelta(microseconds=1)) == first
    assert await groups_now(db, s.lesson, over) is None
    teacher = await s.actor(db, "teacher")
    with pytest.raises(LessonNotDivided):
        await go_to(db, teacher, s.lesson, 1, over)
    assert first is not None
    assert await rooms_over(db, s.lesson, over) == [room_of(first.id, 1)]
    await divide(db, teacher, s.lesson, new(s, ("pupil",)), over + MINUTE)
    second = await groups_now(db, s.lesson, over + MINUTE)
    assert second is not None
    assert second.id != first.id
    whys = await db.execute(select(LessonGroupings.why, LessonGroupings.until))
    assert ("passed", over) in [tuple(row) for row in whys]


async def test_a_dividing_that_was_drawn_out_is_remembered_from_its_end(db: AsyncSession) -> None:
    """A worker may hold its rooms, however long ago it began."""
    s = await divided(db, ("pupil",), minutes=60)
    teacher = await s.actor(db, "teacher")
    for later in (55 * MINUTE, 110 * MINUTE):
        await divide(db, teacher, s.lesson, new(s, ("pupil",), minutes=60), NOW + later)
    groups = await groups_now(db, s.lesson, NOW + 111 * MINUTE)
    assert groups is not None
    assert await rooms_over(db, s.lesson, groups.ends_at) == [room_of(groups.id, 1)]


async def test_called_back_everybody_is_in_the_class(db: AsyncSession) -> None:
    """Calling twice is calling; only the first is a change."""
    s = await divided(db, ("pupil",))
    teacher = await s.actor(db, "teacher")
    await call_back(db, teacher, s.lesson, NOW + MINUTE)
    facts.take(db)
    await call_back(db, teacher, s.lesson, NOW + 2 * MINUTE)
    assert facts.take(db) == []
    assert await groups_now(db, s.lesson, NOW + 2 * MINUTE) is None


async def test_the_teacher_goes_from_group_to_group(db: AsyncSession) -> None:
    """And back to the class; a group that there is not is not found."""
    s = await divided(db, ("pupil",), ("second",))
    teacher = await s.actor(db, "teacher")
    for number in (1, 2, None):
        await go_to(db, teacher, s.lesson, number, NOW)
        now = await groups_now(db, s.lesson, NOW)
        assert now is not None
        assert now.visited == number
    with pytest.raises(NotFound):
        await go_to(db, teacher, s.lesson, 3, NOW)


async def test_a_group_that_is_no_more_is_left_by_the_teacher(db: AsyncSession) -> None:
    s = await divided(db, ("pupil",), ("second",))
    teacher = await s.actor(db, "teacher")
    await go_to(db, teacher, s.lesson, 2, NOW)
    await divide(db, teacher, s.lesson, new(s, ("pupil", "second")), NOW)
    now = await groups_now(db, s.lesson, NOW)
    assert now is not None
    assert now.visited is None


async def test_nobody_sits_twice_or_from_outside(db: AsyncSession) -> None:
    """A refused dividing leaves everything as it was."""
    s = await opened(db)
    teacher = await s.actor(db, "teacher")
    with pytest.raises(BadGroups):
        await divide(db, teacher, s.lesson, new(s, ("pupil",), ("second", "pupil")), NOW)
    with pytest.raises(BadGroups):
        await divide(db, teacher, s.lesson, new(s, (), ()), NOW)
    for other in (s["neighbour"], s["teacher"], uuid4()):
        with pytest.raises(NotFound):
            await divide(db, teacher, s.lesson, NewGroups(5, [[s["pupil"], other]]), NOW)
    assert await groups_now(db, s.lesson, NOW) is None


async def test_who_left_the_class_sits_in_no_group(db: AsyncSession) -> None:
    s = await divided(db, ("pupil", "second"))
    await s.leave(db, "second", NOW + MINUTE)
    assert await seats(db, s, NOW + MINUTE) == [{s["pupil"]}]


async def test_groups_end_with_the_lesson(db: AsyncSession) -> None:
    s = await divided(db, ("pupil",))
    await end_lesson(db, await s.actor(db, "teacher"), s.lesson, NOW + MINUTE)
    assert await groups_now(db, s.lesson, NOW + MINUTE) is None
    assert list(await db.scalars(select(LessonGroupings.why))) == ["ended"]


@pytest.mark.parametrize(
    ("minutes", "groups"),
    [(0, [1]), (61, [1]), (5, []), (5, [9]), (5, [1] * 21)],
)
def test_a_dividing_is_bounded(minutes: int, groups: list[int]) -> None:
    """An hour, twenty groups, eight in a group."""
    asked = {"minutes": minutes, "groups": [[str(uuid4()) for _ in range(n)] for n in groups]}
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(asked, NewGroups)
