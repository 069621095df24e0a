"""Takes of a recording: who starts and stops one, and how they follow on one time line."""

from uuid import uuid4

import msgspec
import pytest
from class_world import LESSON, NOW, OVER, PUPILS, STRANGERS, furnish, opened
from recorded import SECOND, Recorded, seen_by, two_takes
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from eschool.lesson_room import end_lesson, room
from eschool.lessons import LessonNotRunning
from eschool.recordings import (
    GIVE_UP,
    TakeShown,
    pieces,
    playlist,
)
from eschool.takes import (
    LessonSegments,
    LessonTakes,
    RecordingNow,
    SegmentInfo,
    Take,
    current_take,
    recording_now,
    segment_closed,
    start,
    stop,
    take_closed,
)
from people import facts
from people.policy import ANONYMOUS
from people.refused import Forbidden, NotFound


async def test_a_recording_starts_and_stops_once_however_often_it_is_asked(r: Recorded) -> None:
    """Everybody in the room sees it; each change is told once."""
    facts.take(r.db)
    for later in (0, 1):
        seen = await start(r.db, r.teacher, r.s.lesson, "class", NOW + later * SECOND)
        assert seen == RecordingNow(on=True, since=NOW, audience="class")
        assert (await room(r.db, r.s.lesson, NOW)).recording == seen
    assert facts.take(r.db) == [facts.RecordingChanged(at=NOW, lesson_id=r.s.lesson)]
    for later in (2, 3):
        at = NOW + later * SECOND
        assert await stop(r.db, r.teacher, r.s.lesson, at) == RecordingNow(on=False)
    assert await recording_now(r.db, r.s.lesson) == RecordingNow(on=False)
    assert await current_take(r.db, r.s.lesson) is None
    assert facts.take(r.db) == [facts.RecordingChanged(at=NOW + 2 * SECOND, lesson_id=r.s.lesson)]


async def test_only_who_leads_a_running_lesson_records(db: AsyncSession) -> None:
    """Not before it is opened, not after its end, no pupil, no stranger."""
    s = await furnish(db)
    teacher = await s.actor(db, "teacher")
    with pytest.raises(LessonNotRunning):
        await start(db, teacher, s.lesson, "class", NOW)
    s = await opened(db)
    teacher = await s.actor(db, "teacher")
    for who in PUPILS:
        with pytest.raises(Forbidden):
            await start(db, await s.actor(db, who), s.lesson, "class", NOW)
        with pytest.raises(Forbidden):
            await stop(db, await s.actor(db, who), s.lesson, NOW)
    for actor in (*[await s.actor(db, who) for who in STRANGERS], ANONYMOUS):
        with pytest.raises(NotFound):
            await start(db, actor, s.lesson, "class", NOW)
        with pytest.raises(NotFound):
            await stop(db, actor, s.lesson, NOW)
    assert await recording_now(db, s.lesson) == RecordingNow(on=False)
    await end_lesson(db, teacher, s.lesson, NOW + LESSON)
    with pytest.raises(LessonNotRunning):
        await start(db, teacher, s.lesson, "class", NOW + LESSON)
    assert await stop(db, teacher, s.lesson, NOW + LESSON) == RecordingNow(on=False)


async def test_the_end_of_a_lesson_ends_its_take(r: Recorded) -> None:
    """Nobody has to think of it."""
    await r.begin()
    await end_lesson(r.db, r.teacher, r.s.lesson, NOW + LESSON)
    assert await current_take(r.db, r.s.lesson) is None
    assert (await seen_by(r, "pupil", LESSON)).state == "preparing"


async def test_takes_follow_one_another_without_a_hole(r: Recorded) -> None:
    """The second begins where the first one's last segment ended, whatever the clock said."""
    _, second = await two_takes(r)
    assert second.base_ms == 4980
    seen = await seen_by(r, "pupil", LESSON)
    assert seen.takes == [
        TakeShown(NOW, 0, 4980),
        TakeShown(NOW + 60 * SECOND, 4980, 3000),
    ]
    assert (seen.duration_ms, seen.size, seen.audio_size) == (7980, 10_980, 300)
    assert seen.gaps == []


async def test_a_take_begun_before_the_last_one_is_complete_never_overlaps_it(
    r: Recorded,
) -> None:
    """The worker hears of the stop a little late: a second is left free for that."""
    first = await r.begin()
    await r.segment(first)
    await stop(r.db, r.teacher, r.s.lesson, NOW + 10 * SECOND)
    assert (await r.begin(20)).base_ms == 11_000


async def test_another_audience_is_another_take(r: Recorded) -> None:
    """What was said to the class alone stays there."""
    first = await r.begin()
    second = await r.begin(10, "school")
    assert second.id != first.id
    assert (await recording_now(r.db, r.s.lesson)).audience == "school"


async def test_a_segment_told_of_twice_is_one_segment(r: Recorded) -> None:
    """The newest word counts: its object was replaced in the store, too."""
    take = await r.begin()
    info = await r.segment(take)
    for size in (3500, 4000):
        again = SegmentInfo(
            lesson_id=info.lesson_id,
            take_id=info.take_id,
            start_ms=0,
            duration_ms=2500,
            size=size,
            audio_size=100,
        )
        assert await segment_closed(r.db, again, NOW)
    sizes = await r.db.scalars(
        select(LessonSegments.size).where(LessonSegments.lesson_id == r.s.lesson)
    )
    assert sizes.all() == [4000]


async def test_a_take_that_ran_into_the_next_one_is_cut_off_there(r: Recorded) -> None:
    """Its worker heard late of the stop: what lies in another take's time is not shown."""
    first = await r.begin()
    await r.segment(first, 4000)
    await stop(r.db, r.teacher, r.s.lesson, NOW + 5 * SECOND)
    second = await r.begin(20, "school")
    assert second.base_ms == 6000
    await r.segment(second, 3000)
    await r.end(second, 23)
    for start_ms, lasts_ms in ((4000, 2500), (6500, 4000)):
        row = LessonSegments(
            lesson_id=r.s.lesson,
            take_id=first.id,
            start_ms=start_ms,
            duration_ms=lasts_ms,
            size=10,
            audio_size=10,
            lost_ms=0,
            stored_at=NOW,
        )
        r.db.add(row)
    await r.db.flush()
    assert await take_closed(r.db, first.id, 10_500, NOW)
    seen = await seen_by(r, "pupil", LESSON)
    assert [(take.base_ms, take.duration_ms) for take in seen.takes] == [(0, 6000), (6000, 3000)]
    assert (seen.duration_ms, seen.gaps) == (9000, [])
    listed = (await playlist(r.db, r.teacher, r.s.lesson, NOW)).split("\n")
    assert [line for line in listed if line.startswith("#EXTINF")] == [
        "#EXTINF:4.000,",
        "#EXTINF:2.000,",
        "#EXTINF:3.000,",
    ]
    for edition in ("lesson", "audio"):
        whole = await pieces(
            r.db, r.teacher, r.s.lesson, "audio" if edition == "audio" else "lesson", NOW
        )
        assert [int(piece.key.split("/")[3][:10]) for piece in whole.segments] == [0, 4000, 6000]


async def test_the_end_of_a_take_is_the_same_for_who_may_not_watch_the_next(r: Recorded) -> None:
    """A take hidden from the school ends the one it may watch all the same."""
    first = await r.begin(0, "school")
    await stop(r.db, r.teacher, r.s.lesson, NOW + 1 * SECOND)
    await r.begin(20)
    r.end_ms = 0
    await r.segment(first, 4000)
    assert (await seen_by(r, "colleague", LESSON)).duration_ms == 2000


async def test_a_segment_never_takes_another_takes_place(r: Recorded) -> None:
    """Whichever comes first: the time line from its base on is the later take's."""
    first = await r.begin()
    await stop(r.db, r.teacher, r.s.lesson, NOW + 4 * SECOND)
    second = await r.begin(20)
    assert second.base_ms == 5000
    rows = select(LessonSegments.take_id, LessonSegments.start_ms).where(
        LessonSegments.lesson_id == r.s.lesson
    )

    def told(take: Take, start_ms: int) -> SegmentInfo:
        return SegmentInfo(
            lesson_id=r.s.lesson,
            take_id=take.id,
            start_ms=start_ms,
            duration_ms=2500,
            size=9,
            audio_size=9,
        )

    assert not await segment_closed(r.db, told(first, 5000), NOW)
    assert not await segment_closed(r.db, told(second, 4000), NOW)
    assert (await r.db.execute(rows)).all() == []
    assert await segment_closed(r.db, told(second, 5000), NOW)
    assert not await segment_closed(r.db, told(first, 5000), NOW)
    assert await segment_closed(r.db, told(second, 5000), NOW)
    assert (await r.db.execute(rows)).all() == [(second.id, 5000)]


async def test_a_row_keeps_the_take_it_was_written_for(r: Recorded) -> None:
    """Though the later take began in the same moment as the segment came."""
    first = await r.begin()
    info = await r.segment(first)
    other = LessonTakes(
        lesson_id=r.s.lesson, audience="class", started_at=NOW, base_ms=0, stopped_at=NOW
    )
    r.db.add(other)
    await r.db.flush()
    assert not await segment_closed(r.db, msgspec.structs.replace(info, take_id=other.id), NOW)
    assert await r.db.scalar(select(LessonSegments.take_id)) == first.id


async def test_what_no_take_of_ours_is_does_not_reach_the_index(r: Recorded) -> None:
    """An unknown take, and a take of another lesson."""
    take = await r.begin()
    for lesson_id, take_id in ((r.s.lesson, uuid4()), (r.s.next_lesson, take.id)):
        info = SegmentInfo(
            lesson_id=lesson_id,
            take_id=take_id,
            start_ms=0,
            duration_ms=1,
            size=1,
            audio_size=1,
        )
        assert not await segment_closed(r.db, info, NOW)
    assert not await take_closed(r.db, uuid4(), 0, NOW)
    assert (await r.db.scalars(select(LessonSegments))).all() == []


async def test_a_take_goes_on_when_its_room_comes_back(r: Recorded) -> None:
    """The worker thought it was over; a later segment says that it is not."""
    take = await r.begin()
    await r.segment(take)
    await take_closed(r.db, take.id, 2500, NOW)
    await r.segment(take)
    await stop(r.db, r.teacher, r.s.lesson, NOW + 6 * SECOND)
    assert (await seen_by(r, "pupil")).state == "preparing"
    await take_closed(r.db, take.id, 5000, NOW)
    seen = await seen_by(r, "pupil")
    assert (seen.state, seen.duration_ms) == ("ready", 5000)


async def test_a_worker_that_never_comes_back_is_not_waited_for_for_ever(r: Recorded) -> None:
    """What is there can be played; a take without a segment is no recording."""
    take = await r.begin()
    await r.segment(take)
    await stop(r.db, r.teacher, r.s.lesson, NOW)
    assert (await seen_by(r, "pupil", GIVE_UP - SECOND)).state == "preparing"
    assert (await seen_by(r, "pupil", GIVE_UP)).state == "ready"


async def test_a_lesson_nobody_ended_stops_recording_by_the_clock(r: Recorded) -> None:
    """Twelve hours after its time."""
    take = await r.begin()
    await r.segment(take)
    late = OVER - NOW
    assert (await seen_by(r, "pupil", late - 2 * SECOND)).state == "recording"
    assert (await seen_by(r, "pupil", late)).state == "preparing"
    assert (await seen_by(r, "pupil", late + GIVE_UP)).state == "ready"
