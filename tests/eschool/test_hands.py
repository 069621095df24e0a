"""Hands and the floor: a queue of pupils, one of whom may speak."""

import asyncio
from collections.abc import Awaitable
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import msgspec
import pytest
from class_world import NOW, PUPILS, STRANGERS, SchoolClass, furnish, opened
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from eschool.hands import (
    LessonFloors,
    LessonHands,
    NewFloor,
    drop,
    floor_now,
    give_floor,
    hands_up,
    lower_hand,
    lower_other,
    raise_hand,
    take_floor,
)
from eschool.lesson_room import end_lesson
from eschool.lessons import LessonNotRunning
from people import facts
from people.policy import Act
from people.refused import Forbidden, NotFound
from storage.engine import sessions

SECOND = timedelta(seconds=1)


async def up(db: AsyncSession, s: SchoolClass, now: datetime = NOW) -> list[UUID]:
    return [hand.person.id for hand in await hands_up(db, s.lesson, now)]


async def whys(db: AsyncSession) -> list[str | None]:
    return list(await db.scalars(select(LessonFloors.why).order_by(LessonFloors.id)))


async def put_up(db: AsyncSession, s: SchoolClass, *words: str) -> None:
    for n, word in enumerate(words):
        await raise_hand(db, await s.actor(db, word), s.lesson, NOW + n * SECOND)


async def give(
    db: AsyncSession, s: SchoolClass, word: str, kinds: tuple[str, ...] = ("audio",)
) -> None:
    new = msgspec.convert({"person_id": s[word], "kinds": list(kinds)}, NewFloor)
    await give_floor(db, await s.actor(db, "teacher"), s.lesson, new, NOW)


def every_act(db: AsyncSession, s: SchoolClass, actor: object) -> list[Awaitable[None]]:
    """Every verb of this file that has an actor."""
    who = (db, actor, s.lesson)
    return [
        raise_hand(*who, NOW),  # type: ignore[arg-type]
        lower_hand(*who, NOW),  # type: ignore[arg-type]
        lower_other(*who, s["second"], NOW),  # type: ignore[arg-type]
        give_floor(*who, NewFloor(s["second"], ["audio"]), NOW),  # type: ignore[arg-type]
        take_floor(*who, NOW),  # type: ignore[arg-type]
    ]


@pytest.mark.parametrize("who", STRANGERS)
async def test_a_stranger_finds_no_queue(db: AsyncSession, who: str) -> None:
    """A pupil of another class of the same school is one."""
    s = await opened(db)
    for act in every_act(db, s, await s.actor(db, who)):
        with pytest.raises(NotFound):
            await act
    assert await up(db, s) == []


async def test_hands_stand_in_the_order_of_raising(db: AsyncSession) -> None:
    """Raising again keeps the place; each change is announced once."""
    s = await opened(db)
    facts.take(db)
    await put_up(db, s, "second", "pupil", "second")
    assert await up(db, s) == [s["second"], s["pupil"]]
    changed = [facts.LessonChanged(at=NOW + n * SECOND, lesson_id=s.lesson) for n in (0, 1)]
    assert facts.take(db) == changed


async def test_a_hand_goes_down_by_its_pupil_or_by_the_teacher(db: AsyncSession) -> None:
    """Lowering what is down changes nothing; a hand may go up again."""
    s = await opened(db)
    await put_up(db, s, *PUPILS)
    await lower_hand(db, await s.actor(db, "pupil"), s.lesson, NOW)
    await lower_other(db, await s.actor(db, "teacher"), s.lesson, s["second"], NOW)
    assert await up(db, s) == [s["third"]]
    facts.take(db)
    await lower_hand(db, await s.actor(db, "pupil"), s.lesson, NOW)
    await lower_other(db, await s.actor(db, "teacher"), s.lesson, uuid4(), NOW)
    assert facts.take(db) == []
    await raise_hand(db, await s.actor(db, "pupil"), s.lesson, NOW + 9 * SECOND)
    assert await up(db, s) == [s["third"], s["pupil"]]


async def test_a_pupil_neither_lowers_others_nor_gives_the_floor(db: AsyncSession) -> None:
    """Nor takes it for himself, nor from another; the refusals name the act."""
    s = await opened(db)
    await put_up(db, s, "second")
    await give(db, s, "third")
    pupil = await s.actor(db, "pupil")
    for act in (
        lower_other(db, pupil, s.lesson, s["second"], NOW),
        give_floor(db, pupil, s.lesson, NewFloor(s["pupil"], ["audio"]), NOW),
        take_floor(db, pupil, s.lesson, NOW),
    ):
        with pytest.raises(Forbidden) as refusal:
            await act
        assert refusal.value.act is Act.LEAD_LESSON
    assert await up(db, s) == [s["second"]]
    floor = await floor_now(db, s.lesson, NOW)
    assert floor is not None
    assert floor.person.id == s["third"]


async def test_a_teacher_has_no_hand_to_raise(db: AsyncSession) -> None:
    """And does not stand in the queue."""
    s = await opened(db)
    with pytest.raises(Forbidden):
        await raise_hand(db, await s.actor(db, "teacher"), s.lesson, NOW)


async def test_the_floor_lowers_the_hand_and_replaces_the_holder(db: AsyncSession) -> None:
    """One pupil at a time."""
    s = await opened(db)
    await put_up(db, s, "pupil", "second")
    await give(db, s, "pupil", ("video", "audio", "audio")[:2])
    assert await up(db, s) == [s["second"]]
    first = await floor_now(db, s.lesson, NOW)
    assert first is not None
    assert (first.person.id, first.kinds, first.since) == (s["pupil"], ["audio", "video"], NOW)
    await give(db, s, "second")
    second = await floor_now(db, s.lesson, NOW)
    assert second is not None
    assert (second.person.id, second.kinds) == (s["second"], ["audio"])
    assert await whys(db) == ["replaced", None]


async def test_the_same_floor_given_again_is_the_same_floor(db: AsyncSession) -> None:
    """A repeat after a lost answer announces nothing; other kinds do."""
    s = await opened(db)
    await give(db, s, "pupil")
    facts.take(db)
    await give(db, s, "pupil")
    assert facts.take(db) == []
    assert await whys(db) == [None]
    await give(db, s, "pupil", ("audio", "video"))
    assert facts.take(db) == [facts.LessonChanged(at=NOW, lesson_id=s.lesson)]
    assert await whys(db) == ["replaced", None]


@pytest.mark.parametrize("who", ["teacher", "neighbour", "foreign_pupil", "head", "nobody"])
async def test_the_floor_is_for_pupils_of_the_class(db: AsyncSession, who: str) -> None:
    """Nobody learns whether such a person exists."""
    s = await opened(db)
    person = uuid4() if who == "nobody" else s[who]
    teacher = await s.actor(db, "teacher")
    with pytest.raises(NotFound):
        await give_floor(db, teacher, s.lesson, NewFloor(person, ["audio"]), NOW)
    assert await floor_now(db, s.lesson, NOW) is None


@pytest.mark.parametrize("kinds", [[], ["screen"], ["audio", "video", "audio"]])
def test_a_floor_is_of_voice_and_camera(kinds: list[str]) -> None:
    """A screen is never a pupil's, and a floor of nothing is none."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"person_id": uuid4(), "kinds": kinds}, NewFloor)


@pytest.mark.parametrize(("who", "why"), [("pupil", "returned"), ("teacher", "withdrawn")])
async def test_the_floor_ends_by_its_holder_or_by_the_teacher(
    db: AsyncSession, who: str, why: str
) -> None:
    """Ending it again changes nothing."""
    s = await opened(db)
    await give(db, s, "pupil")
    facts.take(db)
    for _ in range(2):
        await take_floor(db, await s.actor(db, who), s.lesson, NOW)
    assert await floor_now(db, s.lesson, NOW) is None
    assert await whys(db) == [why]
    assert facts.take(db) == [facts.LessonChanged(at=NOW, lesson_id=s.lesson)]


async def test_who_drops_out_loses_floor_and_hand_and_others_keep_theirs(
    db: AsyncSession,
) -> None:
    """Announced when something changed, and only then."""
    s = await opened(db)
    await give(db, s, "pupil")
    await put_up(db, s, "second", "pupil")
    facts.take(db)
    await drop(db, s.lesson, s["third"], NOW)
    await drop(db, s.lesson, s["teacher"], NOW)
    assert facts.take(db) == []
    await drop(db, s.lesson, s["pupil"], NOW)
    assert facts.take(db) == [facts.LessonChanged(at=NOW, lesson_id=s.lesson)]
    assert await floor_now(db, s.lesson, NOW) is None
    assert await whys(db) == ["dropped"]
    assert await up(db, s) == [s["second"]]
    await drop(db, s.lesson, s["second"], NOW)
    assert facts.take(db) == [facts.LessonChanged(at=NOW, lesson_id=s.lesson)]


async def test_who_left_the_class_is_neither_in_the_queue_nor_on_the_floor(
    db: AsyncSession,
) -> None:
    """At once; and he can neither raise his hand nor be given the floor."""
    s = await opened(db)
    await put_up(db, s, "pupil", "second")
    await give(db, s, "third")
    later = NOW + SECOND
    for word in ("pupil", "third"):
        await s.leave(db, word, later)
    assert await up(db, s, later) == [s["second"]]
    assert await floor_now(db, s.lesson, later) is None
    with pytest.raises(NotFound):
        await raise_hand(db, await s.actor(db, "pupil", later), s.lesson, later)
    teacher = await s.actor(db, "teacher", later)
    with pytest.raises(NotFound):
        await give_floor(db, teacher, s.lesson, NewFloor(s["pupil"], ["audio"]), later)


@pytest.mark.parametrize("state", ["planned", "ended"])
@pytest.mark.parametrize("who", ["teacher", "pupil"])
async def test_nothing_moves_in_a_lesson_that_does_not_run(
    db: AsyncSession, state: str, who: str
) -> None:
    """409 for those who may, 403 for those who never may."""
    s = await (furnish if state == "planned" else opened)(db)
    if state == "ended":
        await end_lesson(db, await s.actor(db, "teacher"), s.lesson, NOW)
    refused = []
    for act in every_act(db, s, await s.actor(db, who)):
        with pytest.raises((LessonNotRunning, Forbidden)) as refusal:
            await act
        refused.append(type(refusal.value))
    if who == "teacher":
        assert refused == [LessonNotRunning] * 5
    else:
        no, never = LessonNotRunning, Forbidden
        assert refused == [no, no, never, never, no]


async def test_the_whole_class_raises_hands_at_once(engine: AsyncEngine) -> None:
    """Everybody is in the queue once, whatever the haste."""
    make = sessions(engine)
    async with make() as db, db.begin():
        s = await opened(db)

    async def hurry(word: str) -> None:
        async with make() as db, db.begin():
            await raise_hand(db, await s.actor(db, word), s.lesson, NOW)

    await asyncio.gather(*(hurry(word) for word in PUPILS * 3))
    async with make() as db:
        assert sorted(await up(db, s)) == sorted(s[word] for word in PUPILS)


async def test_two_floors_given_at_once_are_one_after_the_other(engine: AsyncEngine) -> None:
    """Two teachers' clicks: one of them has the last word."""
    make = sessions(engine)
    async with make() as db, db.begin():
        s = await opened(db)

    async def click(word: str) -> None:
        async with make() as db, db.begin():
            await give(db, s, word)

    await asyncio.gather(*(click(word) for word in PUPILS * 2))
    async with make() as db:
        reasons = await whys(db)
        assert reasons.count(None) == 1
        assert set(reasons) <= {None, "replaced"}


@pytest.mark.parametrize("table", [LessonHands, LessonFloors])
async def test_the_database_itself_holds_one_open_row(
    db: AsyncSession, table: type[LessonHands] | type[LessonFloors]
) -> None:
    """Whatever a verb forgets: two hands of a pupil, two floors of a lesson."""
    s = await opened(db)
    for word in ("pupil", "pupil"):
        fields = {"lesson_id": s.lesson, "person_id": s[word]}
        if table is LessonHands:
            db.add(LessonHands(**fields, raised_at=NOW))
        else:
            db.add(LessonFloors(**fields, kinds=["audio"], since=NOW))
    with pytest.raises(IntegrityError, match="ux_lesson_"):
        await db.flush()
