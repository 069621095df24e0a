"""Recordings: takes on one time line, who may watch them, and what a player is given."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import msgspec
import psycopg
import pytest
from class_world import LESSON, NOW, OVER, PUPILS, STRANGERS, SchoolClass, furnish, opened
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from eschool.lesson_room import end_lesson, room
from eschool.lessons import LessonNotRunning
from eschool.pdf_pages import Rendered
from eschool.recordings import (
    GIVE_UP,
    Chapter,
    Gap,
    NoRecording,
    Piece,
    Presentation,
    TakeShown,
    VirtualFile,
    chapters,
    init_key,
    pieces,
    playlist,
    presentation,
    read,
    segment_key,
)
from eschool.recordings import (
    opened as open_file,
)
from eschool.slides import LessonTurns, add_deck, turn
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
from people.policy import ANONYMOUS, Actor
from people.refused import Forbidden, NotFound
from storage.engine import libpq_url, sessions
from storage.objects import Objects, ObjectsAway
from storage.settings import Settings

SECOND = timedelta(seconds=1)


class Recorded:
    """A running lesson, its teacher, and a media worker that tells of segments."""

    def __init__(self, db: AsyncSession, s: SchoolClass, teacher: Actor) -> None:
        self.db, self.s, self.teacher = db, s, teacher
        self.end_ms = 0

    async def begin(self, at_s: float = 0, audience: str = "class") -> Take:
        """Start a take; the worker is told of it."""
        now = NOW + at_s * SECOND
        await start(
            self.db,
            self.teacher,
            self.s.lesson,
            "school" if audience == "school" else "class",
            now,
        )
        take = await current_take(self.db, self.s.lesson)
        assert take is not None
        self.end_ms = take.base_ms
        return take

    async def segment(self, take: Take, duration_ms: int = 2500, lost_ms: int = 0) -> SegmentInfo:
        """Tell of the next segment."""
        info = SegmentInfo(
            lesson_id=self.s.lesson,
            take_id=take.id,
            start_ms=self.end_ms,
            duration_ms=duration_ms,
            size=1000 + duration_ms,
            audio_size=100,
            lost_ms=lost_ms,
        )
        assert await segment_closed(self.db, info, NOW)
        self.end_ms += duration_ms
        return info

    async def end(self, take: Take, at_s: float) -> None:
        """Stop the take; the worker says that all of it is there."""
        await stop(self.db, self.teacher, self.s.lesson, NOW + at_s * SECOND)
        assert await take_closed(self.db, take.id, self.end_ms, NOW + at_s * SECOND)


@pytest.fixture
async def r(db: AsyncSession) -> Recorded:
    """Nothing is recorded yet."""
    s = await opened(db)
    return Recorded(db, s, await s.actor(db, "teacher"))


async def two_takes(r: Recorded) -> tuple[Take, Take]:
    """Two segments of a first take for the class, one of a second for the school."""
    first = await r.begin()
    await r.segment(first)
    await r.segment(first, 2480)
    await r.end(first, 5)
    second = await r.begin(60, "school")
    await r.segment(second, 3000)
    await r.end(second, 63)
    return first, second


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


async def seen_by(r: Recorded, who: str, after: timedelta = timedelta()) -> Presentation:
    """The presentation as somebody sees it some time after the lesson's beginning."""
    return await presentation(
        r.db, await r.s.actor(r.db, who, NOW + after), r.s.lesson, NOW + after
    )


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


async def test_a_recording_is_recorded_prepared_and_ready(r: Recorded) -> None:
    """Ready is what can be played to its end."""
    assert (await seen_by(r, "pupil")).state == "none"
    take = await r.begin()
    assert (await seen_by(r, "pupil")).state == "recording"
    await r.segment(take)
    await stop(r.db, r.teacher, r.s.lesson, NOW + 5 * SECOND)
    assert (await seen_by(r, "pupil")).state == "preparing"
    facts.take(r.db)
    for _ in range(2):
        assert await take_closed(r.db, take.id, 2500, NOW)
    assert (await seen_by(r, "pupil")).state == "ready"
    assert facts.take(r.db) == [facts.RecordingChanged(at=NOW, lesson_id=r.s.lesson)]


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


async def test_lost_seconds_are_shown_as_one_gap(r: Recorded) -> None:
    """However many segments they were filled into."""
    take = await r.begin()
    await r.segment(take)
    await r.segment(take, 4000, lost_ms=4000)
    await r.segment(take, 2500, lost_ms=1200)
    await r.segment(take)
    r.end_ms += 700  # and a segment that never came
    await r.segment(take, 1000)
    await r.end(take, 15)
    seen = await seen_by(r, "pupil", LESSON)
    assert seen.gaps == [Gap(2500, 5200), Gap(11_500, 700)]


async def test_the_playlist_grows_and_is_closed(r: Recorded) -> None:
    """Word for word: players are particular."""
    first, second = await two_takes(r)
    pupil = await r.s.actor(r.db, "pupil")
    grown = await playlist(r.db, pupil, r.s.lesson, NOW + 70 * SECOND)
    expected = [
        "#EXTM3U",
        "#EXT-X-VERSION:7",
        "#EXT-X-TARGETDURATION:4",
        "#EXT-X-PLAYLIST-TYPE:EVENT",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        '#EXT-X-MAP:URI="init.mp4"',
        "#EXT-X-PROGRAM-DATE-TIME:2026-03-02T09:00:00.000Z",
        "#EXTINF:2.500,",
        "segments/0.m4s",
        "#EXTINF:2.480,",
        "segments/2500.m4s",
        "#EXT-X-PROGRAM-DATE-TIME:2026-03-02T09:01:00.000Z",
        "#EXTINF:3.000,",
        "segments/4980.m4s",
        "",
    ]
    assert grown.split("\n") == expected
    await end_lesson(r.db, r.teacher, r.s.lesson, NOW + LESSON)
    expected[3] = "#EXT-X-PLAYLIST-TYPE:VOD"
    expected[-1:] = ["#EXT-X-ENDLIST", ""]
    assert (await playlist(r.db, pupil, r.s.lesson, NOW + LESSON)).split("\n") == expected
    prefix = f"lessons/{r.s.lesson}/{first.id}"
    assert await segment_key(r.db, pupil, r.s.lesson, 2500, NOW) == f"{prefix}/0000002500.m4s"
    assert await init_key(r.db, pupil, r.s.lesson, "lesson", NOW) == f"{prefix}/init.mp4"
    assert await init_key(r.db, pupil, r.s.lesson, "audio", NOW) == f"{prefix}/init.a.mp4"
    later = await segment_key(r.db, pupil, r.s.lesson, 4980, NOW)
    assert later == f"lessons/{r.s.lesson}/{second.id}/0000004980.m4s"


async def test_a_closed_playlist_waits_for_the_last_segment(r: Recorded) -> None:
    """The lesson has ended, the upload has not."""
    take = await r.begin()
    await r.segment(take)
    await end_lesson(r.db, r.teacher, r.s.lesson, NOW + LESSON)
    assert "ENDLIST" not in await playlist(r.db, r.teacher, r.s.lesson, NOW + LESSON)
    await take_closed(r.db, take.id, 2500, NOW + LESSON)
    assert "ENDLIST" in await playlist(r.db, r.teacher, r.s.lesson, NOW + LESSON)


async def test_nothing_is_ever_put_between_what_a_playlist_already_said(r: Recorded) -> None:
    """A segment that came before its forerunner waits for it."""
    take = await r.begin()
    await r.segment(take)
    r.end_ms = 5000
    await r.segment(take)
    assert (await playlist(r.db, r.teacher, r.s.lesson, NOW)).count("EXTINF") == 1
    r.end_ms = 2500
    await r.segment(take)
    assert (await playlist(r.db, r.teacher, r.s.lesson, NOW)).count("EXTINF") == 3


async def test_a_lesson_without_a_recording_says_so(r: Recorded) -> None:
    """To who may see the lesson, also when a take has begun and nothing has come yet."""
    for _ in range(2):
        for ask in (
            playlist(r.db, r.teacher, r.s.lesson, NOW),
            pieces(r.db, r.teacher, r.s.lesson, "lesson", NOW),
            init_key(r.db, r.teacher, r.s.lesson, "lesson", NOW),
        ):
            with pytest.raises(NoRecording):
                await ask
        await r.begin()
    with pytest.raises(NotFound):
        await segment_key(r.db, r.teacher, r.s.lesson, 0, NOW)


@pytest.mark.parametrize("who", [*STRANGERS, None])
async def test_strangers_find_no_recording(r: Recorded, who: str | None) -> None:
    """As absent as a random id: a take for the class is for the class."""
    take = await r.begin()
    await r.segment(take)
    actor = ANONYMOUS if who is None else await r.s.actor(r.db, who)
    for lesson in (r.s.lesson, uuid4()):
        for ask in (
            presentation(r.db, actor, lesson, NOW),
            playlist(r.db, actor, lesson, NOW),
            pieces(r.db, actor, lesson, "audio", NOW),
            init_key(r.db, actor, lesson, "lesson", NOW),
            segment_key(r.db, actor, lesson, 0, NOW),
        ):
            with pytest.raises(NotFound) as refused:
                await ask
            assert refused.value.code == "not_found"


async def test_the_school_watches_what_was_made_for_it_and_nothing_else(r: Recorded) -> None:
    """Take by take, in every way to look at it; the time line is the same for all."""
    first, second = await two_takes(r)
    for who in ("colleague", "neighbour"):
        viewer = await r.s.actor(r.db, who)
        seen = await seen_by(r, who)
        assert (seen.state, seen.audience, seen.duration_ms) == ("ready", "school", 7980)
        assert seen.takes == [TakeShown(NOW + 60 * SECOND, 4980, 3000)]
        listed = await playlist(r.db, viewer, r.s.lesson, NOW)
        assert listed.count("EXTINF") == 1
        assert "2026-03-02T09:01:00.000Z" in listed
        whole = await pieces(r.db, viewer, r.s.lesson, "lesson", NOW)
        assert str(first.id) not in repr(whole)
        assert str(second.id) in whole.init
        with pytest.raises(NotFound):
            await segment_key(r.db, viewer, r.s.lesson, 2500, NOW)
        assert await segment_key(r.db, viewer, r.s.lesson, 4980, NOW)
    for who in ("head", "foreign_pupil"):
        with pytest.raises(NotFound):
            await seen_by(r, who)


async def test_who_left_the_class_watches_no_more(r: Recorded) -> None:
    """From the moment the right ended."""
    await r.segment(await r.begin())
    await r.s.leave(r.db, "pupil", NOW + SECOND)
    for right_at, refused in ((timedelta(), False), (2 * SECOND, True)):
        if refused:
            with pytest.raises(NotFound):
                await seen_by(r, "pupil", right_at)
        else:
            await seen_by(r, "pupil", right_at)


@pytest.mark.parametrize(("edition", "end"), [("lesson", "m4s"), ("audio", "a.m4s")])
async def test_the_whole_is_read_as_one_file(
    r: Recorded, objects: Objects, edition: str, end: str
) -> None:
    """Init, index, segments, from the real store: any range is the slice of it."""
    take = await r.begin()
    bodies = [b"A" * 3500, bytes(range(250)) * 14]
    for n, body in enumerate(bodies):
        await r.segment(take, 2500)
        await objects.put(f"lessons/{r.s.lesson}/{take.id}/{n * 2500:010d}.m4s", body)
        await objects.put(f"lessons/{r.s.lesson}/{take.id}/{n * 2500:010d}.a.m4s", body[:100])
    for name in ("init.mp4", "init.a.mp4"):
        await objects.put(f"lessons/{r.s.lesson}/{take.id}/{name}", name.encode())
    found = await pieces(
        r.db, r.teacher, r.s.lesson, "audio" if edition == "audio" else "lesson", NOW
    )
    assert [piece.key.rpartition("0.")[2] for piece in found.segments] == [end, end]
    file = await open_file(objects, found)
    kept = [body[:100] if edition == "audio" else body for body in bodies]
    whole = found.init.rpartition("/")[2].encode() + found.index + b"".join(kept)
    assert file.size == len(whole)
    for first, length in ((0, len(whole)), (3, 40), (len(whole) - 120, 999), (90, 3600)):
        got = b"".join([part async for part in read(objects, file, first, length)])
        assert got == whole[first : first + length]


async def test_an_object_shorter_than_its_row_is_a_fault_and_not_a_file(
    objects: Objects,
) -> None:
    """A player would take the next segment's bytes for this one's."""
    key = f"lessons/{uuid4()}/short.m4s"
    await objects.put(key, b"12345")
    file = VirtualFile(b"head", [Piece(key, 9)], 13, "tag")
    with pytest.raises(ObjectsAway):
        await everything(read(objects, file, 0, 13))


async def everything(parts: AsyncIterator[bytes]) -> bytes:
    return b"".join([part async for part in parts])


async def test_a_changed_recording_has_another_tag(r: Recorded) -> None:
    """A range of the file before must not be continued with the file after."""
    take = await r.begin()
    await r.segment(take)
    tags = set()
    for _ in range(2):
        for edition in ("lesson", "audio"):
            asked = await pieces(
                r.db, r.teacher, r.s.lesson, "audio" if edition == "audio" else "lesson", NOW
            )
            tags.add(asked.etag)
        await r.segment(take)
    assert len(tags) == 4


async def test_chapters_are_the_turns_of_the_slides(
    r: Recorded, objects: Objects, tmp_path: Path
) -> None:
    """At their place in the film, with the first line written on the page."""
    page = tmp_path / "page"
    page.write_bytes(b"RIFF....WEBP")
    rendered = Rendered([page] * 3, ["Җир\nшары", "", "Соңгы"])
    deck = await add_deck(r.db, objects, r.teacher, r.s.lesson, "x", rendered, NOW - SECOND)
    take = await r.begin(10)
    await r.segment(take, 4000)
    await r.segment(take, 4000)
    await turn(r.db, r.teacher, r.s.lesson, 2, NOW + 12.25 * SECOND)
    await turn(r.db, r.teacher, r.s.lesson, 3, NOW + 15 * SECOND)
    await turn(r.db, r.teacher, r.s.lesson, 1, NOW + 18 * SECOND)
    await r.end(take, 18)
    assert (await seen_by(r, "pupil", LESSON)).chapters == [
        Chapter(0, deck.id, 1, "Җир"),
        Chapter(2250, deck.id, 2, None),
        Chapter(5000, deck.id, 3, "Соңгы"),
    ]


async def test_a_deck_added_while_somebody_looks_is_no_fault(
    engine: AsyncEngine, settings: Settings
) -> None:
    """The viewer asks again and again; the teacher shows new slides between two of our reads."""
    new_session = sessions(engine)
    async with new_session() as db, db.begin():
        s = await opened(db)
        r = Recorded(db, s, await s.actor(db, "teacher"))
        await r.segment(await r.begin())
    read: list[str] = []

    def add_between(*said: object) -> None:
        statement = str(said[2])
        if "FROM lesson_decks" not in statement and "FROM lesson_turns" not in statement:
            return
        read.append(statement)
        if len(read) == 1:
            row = {"lesson": s.lesson, "deck": uuid4(), "turn": uuid4(), "at": NOW}
            with psycopg.connect(libpq_url(settings.database_url)) as other:
                other.execute(
                    "INSERT INTO lesson_decks (id, lesson_id, name, pages, added_at, texts)"
                    " VALUES (%(deck)s, %(lesson)s, 'x', 1, %(at)s, '{a}')",
                    row,
                )
                other.execute(
                    "INSERT INTO lesson_turns (id, lesson_id, deck_id, page, at)"
                    " VALUES (%(turn)s, %(lesson)s, %(deck)s, 1, %(at)s)",
                    row,
                )

    event.listen(engine.sync_engine, "after_cursor_execute", add_between)
    async with new_session() as db:
        pupil = await s.actor(db, "pupil")
        assert (await presentation(db, pupil, s.lesson, NOW)).chapters == []
        assert len(read) == 2
        [chapter] = (await presentation(db, pupil, s.lesson, NOW)).chapters
        assert chapter.title == "a"


DECK = UUID(int=7)


@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(1, 4)), max_size=12),
    st.lists(st.tuples(st.integers(0, 40), st.integers(1, 60)), max_size=4),
)
def test_at_any_moment_the_chapter_is_what_the_class_saw_then(
    turned: list[tuple[int, int]], taken: list[tuple[int, int]]
) -> None:
    """Whatever was turned when, and whenever it was recorded."""
    shown = [
        LessonTurns(lesson_id=DECK, deck_id=DECK, page=page, at=NOW + at * SECOND)
        for at, page in sorted(turned, key=lambda one: one[0])
    ]
    takes, begins_s, base_s = [], 0, 0
    for pause_s, lasts_s in taken:
        begins_s += pause_s
        takes.append(TakeShown(NOW + begins_s * SECOND, base_s * 1000, lasts_s * 1000))
        begins_s, base_s = begins_s + lasts_s, base_s + lasts_s
    found = chapters(takes, shown, {DECK: ["a", "b", "c", "d"]})
    starts = [chapter.start_ms for chapter in found]
    assert starts == sorted(set(starts))
    for take in takes:
        for moment_ms in range(0, take.duration_ms, 1000):
            at = take.started_at + timedelta(milliseconds=moment_ms)
            seen = [turned.page for turned in shown if turned.at <= at]
            now = [c.page for c in found if c.start_ms <= take.base_ms + moment_ms]
            assert now[-1:] == seen[-1:]
