"""Recording with the consent of all present: it starts, pauses and goes on by who has agreed."""

from datetime import UTC, datetime, timedelta

import pytest
from class_world import NOW, SchoolClass, agree, opened
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

import eschool.demo
import people.demo
from eschool import takes
from eschool.lesson_room import end_lesson
from eschool.recording_consents import ConsentMissing, recording_consents
from people.consents import Consents, Purpose, agreed
from people.facts import RecordingChanged, take
from people.refused import NotFound

LATER = NOW + timedelta(seconds=30)
AGAIN = NOW + timedelta(seconds=60)


async def withdraw(db: AsyncSession, s: SchoolClass, word: str) -> None:
    """End every word somebody gave."""
    ended = {"ended_at": NOW, "ended_by": s[word], "why": "withdrawn"}
    await db.execute(update(Consents).where(Consents.given_by == s[word]).values(ended))


async def test_nothing_starts_while_somebody_present_has_not_agreed(db: AsyncSession) -> None:
    """The teacher is told who; he himself counts although nobody says that he is here."""
    s = await opened(db)
    await withdraw(db, s, "second")
    teacher = await s.actor(db, "teacher")
    here = {s["pupil"], s["second"]}
    with pytest.raises(ConsentMissing) as missing:
        await takes.start(db, teacher, s.lesson, "class", NOW, present=here)
    assert missing.value.params == {
        "people": [{"id": str(s["second"]), "name": "second Вәлиев"}],
    }
    assert not (await takes.recording_now(db, s.lesson)).on
    started = await takes.start(db, teacher, s.lesson, "class", NOW, present={s["pupil"]})
    assert started.on
    await takes.stop(db, teacher, s.lesson, NOW)
    await withdraw(db, s, "teacher")
    with pytest.raises(ConsentMissing):
        await takes.start(db, teacher, s.lesson, "class", NOW)


async def test_it_pauses_when_somebody_comes_without_and_goes_on_when_he_leaves(
    db: AsyncSession,
) -> None:
    """The paused take is over; the next one begins where it ended, for the same circle."""
    s = await opened(db)
    await withdraw(db, s, "second")
    here = {s["pupil"]}
    await takes.start(db, await s.actor(db, "teacher"), s.lesson, "school", NOW, present=here)
    take(db)
    await takes.mind_consents(db, s.lesson, here, NOW)
    assert take(db) == []
    await takes.mind_consents(db, s.lesson, {*here, s["second"]}, LATER)
    shown = await takes.recording_now(db, s.lesson)
    assert (shown.on, shown.paused, shown.since, shown.audience) == (False, True, None, "school")
    assert await takes.current_take(db, s.lesson) is None
    assert take(db) == [RecordingChanged(at=LATER, lesson_id=s.lesson)]
    await takes.mind_consents(db, s.lesson, {*here, s["second"]}, LATER)
    assert take(db) == []
    await takes.mind_consents(db, s.lesson, here, AGAIN)
    shown = await takes.recording_now(db, s.lesson)
    assert (shown.on, shown.paused, shown.since, shown.audience) == (True, False, AGAIN, "school")
    running = await takes.current_take(db, s.lesson)
    assert running is not None
    assert running.base_ms == 31_000  # thirty seconds, and one for the word to arrive


async def test_it_goes_on_when_he_agrees_and_only_for_that_circle(db: AsyncSession) -> None:
    """A word for the class does not let a recording for the school go on."""
    s = await opened(db)
    await withdraw(db, s, "second")
    here = {s["second"]}
    await takes.start(db, await s.actor(db, "teacher"), s.lesson, "school", NOW)
    await takes.mind_consents(db, s.lesson, here, LATER)
    given = await agree(db, s, "second", scope="class")
    await takes.mind_consents(db, s.lesson, here, LATER)
    assert (await takes.recording_now(db, s.lesson)).paused
    wider = {"scope": ["class", "school"]}
    await db.execute(update(Consents).where(Consents.id == given).values(wider))
    await takes.mind_consents(db, s.lesson, here, AGAIN)
    assert (await takes.recording_now(db, s.lesson)).on


async def test_a_paused_recording_is_stopped_by_the_teacher_and_by_the_end(
    db: AsyncSession,
) -> None:
    """Then nothing waits any more; while it waits it cannot be started past the pupil either."""
    s = await opened(db)
    await withdraw(db, s, "second")
    teacher, here = await s.actor(db, "teacher"), {s["second"]}
    for end in (takes.stop, end_lesson):
        await takes.start(db, teacher, s.lesson, "class", NOW)
        await takes.mind_consents(db, s.lesson, here, LATER)
        with pytest.raises(ConsentMissing):
            await takes.start(db, teacher, s.lesson, "class", LATER, present=here)
        await end(db, teacher, s.lesson, LATER)
        now = await takes.recording_now(db, s.lesson)
        assert (now.on, now.paused) == (False, False)
        await takes.mind_consents(db, s.lesson, set(), AGAIN)
        assert not (await takes.recording_now(db, s.lesson)).on


async def test_names_are_for_the_teacher_alone(db: AsyncSession) -> None:
    """A pupil learns of himself; a stranger learns nothing."""
    s = await opened(db)
    await withdraw(db, s, "second")
    here = {s["second"], s["pupil"]}
    for word, mine, names in (
        ("teacher", True, ["second Вәлиев"]),
        ("pupil", True, []),
        ("second", False, []),
    ):
        actor = await s.actor(db, word)
        stands = await recording_consents(db, actor, s.lesson, "class", NOW, present=here)
        assert (stands.mine, [one.name for one in stands.missing]) == (mine, names)
    stranger = await s.actor(db, "neighbour")
    with pytest.raises(NotFound):
        await recording_consents(db, stranger, s.lesson, "class", NOW, present=here)


async def test_the_demo_class_may_be_recorded_and_one_pupil_of_the_other_school_has_not_agreed(
    db: AsyncSession,
) -> None:
    """Teens by two words, children by a guardian's; Kamila has no guardian in the demo."""
    now = datetime(2026, 11, 22, 9, tzinfo=UTC)
    for program in (people.demo, eschool.demo, eschool.demo):
        await program.seed(db, b"key of a test", now)
    for school, (_, _, pupils, planned) in eschool.demo.SCHOOLS.items():
        everybody = {people.demo.demo_id(one) for one in (*pupils, *(row[0] for row in planned))}
        place = people.demo.demo_id(school)
        have = await agreed(db, everybody, Purpose.RECORDING_LESSON, place, now, scope="school")
        lacking = everybody - have
        expected = {people.demo.demo_id("pupil.kamila")}
        assert lacking == (expected if school == people.demo.SCHOOL_15 else set())
