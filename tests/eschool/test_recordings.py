"""Recordings: who may watch them, and what a player is given."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import pytest
from class_world import LESSON, NOW, STRANGERS
from recorded import SECOND, Recorded, seen_by, two_takes

from eschool.lesson_room import end_lesson
from eschool.recordings import (
    Gap,
    NoRecording,
    Piece,
    TakeShown,
    VirtualFile,
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
from eschool.takes import (
    stop,
    take_closed,
)
from people import facts
from people.policy import ANONYMOUS
from people.refused import NotFound
from storage.objects import Objects, ObjectsAway


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
