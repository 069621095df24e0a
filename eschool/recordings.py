"""Recordings: what can be watched of a lesson, live and afterwards.

Nothing is ever put together: the playlist and the file are views of the index of segments
(eschool/takes.py). Who may watch is part of the SELECT, take by take.
"""

import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise, zip_longest
from typing import Literal, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from eschool.lessons import OVERTIME, Lessons, LessonState, state_of
from eschool.mp4_index import Piece, Span, plan, sidx
from eschool.slides import LessonTurns, texts, turns
from eschool.takes import LessonSegments, LessonTakes, watchable, watchable_lesson
from people.consents import Audience
from people.policy import Actor
from people.refused import NotFound, Refused
from storage.objects import Objects, ObjectsAway

Edition = Literal["lesson", "audio"]

# A worker whose disk died never says that a take is complete: then what is there is all there is.
GIVE_UP = timedelta(hours=1)
# Segments are never longer (rtc/recording); the playlist must not promise less.
TARGET_S = 4
# Of track 1 of each edition's file, which the index speaks of (rtc/recording/mp4.py).
TIMESCALES: dict[Edition, int] = {"lesson": 90_000, "audio": 48_000}
MAX_TITLE = 120
# How much of an object is in memory at once for one viewer.
_CHUNK_BYTES = 1 << 20
_MS = timedelta(milliseconds=1)
_HEAD = ""  # no object has this key


class NoRecording(Refused):
    """The lesson may be seen, but there is nothing of it to be watched."""

    status = 404
    code = "no_recording"


class TakeShown(msgspec.Struct, frozen=True):
    """A take on the time line: what happened at `started_at` lies at `base_ms`."""

    started_at: datetime
    base_ms: int
    duration_ms: int


class Gap(msgspec.Struct, frozen=True):
    """A time of which nothing was recorded though it was to be."""

    start_ms: int
    duration_ms: int


class Chapter(msgspec.Struct, frozen=True):
    """From `start_ms` on this page was shown; `title` is the first line written on it."""

    start_ms: int
    deck_id: UUID
    page: int
    title: str | None


class Presentation(msgspec.Struct, frozen=True, kw_only=True):
    """What a player's page shows beside the picture.

    `preparing`: the lesson or the take is over, but its last segments are not in the store yet.
    """

    state: Literal["none", "recording", "preparing", "ready"]
    title: str
    audience: Audience | None
    duration_ms: int
    size: int
    audio_size: int
    takes: list[TakeShown]
    gaps: list[Gap]
    chapters: list[Chapter]


class Pieces(msgspec.Struct, frozen=True):
    """A recording as one file: init segment, index, segments; nobody ever wrote it down."""

    init: str
    index: bytes
    segments: list[Piece]
    etag: str


class VirtualFile(msgspec.Struct, frozen=True):
    """A file in pieces, of a known size."""

    head: bytes
    segments: list[Piece]
    size: int
    etag: str


class Segment(NamedTuple):
    """One row of the index, of a take this viewer may watch."""

    take_id: UUID
    start_ms: int
    duration_ms: int
    size: int
    audio_size: int
    lost_ms: int

    @property
    def end_ms(self) -> int:
        """Where the next one begins."""
        return self.start_ms + self.duration_ms


class _Take(NamedTuple):
    """A take and what can be played of it; `over`: nothing more is waited for."""

    row: LessonTakes
    running: bool
    over: bool
    segments: list[Segment]
    until_ms: int | None = None  # where the next one begins


class _Film(NamedTuple):
    """All takes of a lesson this viewer may watch, in the order of the time line."""

    lesson: Lessons
    ended: bool
    takes: list[_Take]

    @property
    def segments(self) -> list[Segment]:
        return [segment for take in self.takes for segment in take.segments]


async def presentation(
    db: AsyncSession, actor: Actor, lesson_id: UUID, now: datetime
) -> Presentation:
    """Say what can be watched of a lesson. Raises NotFound for who may watch nothing of it."""
    film = await _film(db, actor, lesson_id, now)
    segments = film.segments
    shown = [
        TakeShown(
            take.row.started_at, take.row.base_ms, take.segments[-1].end_ms - take.row.base_ms
        )
        for take in film.takes
        if take.segments
    ]
    turned = await turns(db, film.lesson.id)
    # In this order: whatever was turned to meanwhile, each turn's deck is there.
    written = await texts(db, film.lesson.id)
    return Presentation(
        state=_state(film),
        title=film.lesson.title,
        audience=_audience(film.takes[-1].row) if film.takes else None,
        duration_ms=segments[-1].end_ms if segments else 0,
        size=sum(segment.size for segment in segments),
        audio_size=sum(segment.audio_size for segment in segments),
        takes=shown,
        gaps=gaps(film.takes),
        chapters=chapters(shown, turned, written),
    )


async def playlist(db: AsyncSession, actor: Actor, lesson_id: UUID, now: datetime) -> str:
    """Give the recording as an HLS media playlist (RFC 8216); addresses are relative to it.

    It grows while the lesson runs and is closed once nothing more can come.
    """
    film = await _playable(db, actor, lesson_id, now)
    closed = film.ended and all(take.over for take in film.takes)
    longest_s = max(-(-segment.duration_ms // 1000) for segment in film.segments)
    lines = [
        "#EXTM3U",
        "#EXT-X-VERSION:7",
        f"#EXT-X-TARGETDURATION:{max(TARGET_S, longest_s)}",
        f"#EXT-X-PLAYLIST-TYPE:{'VOD' if closed else 'EVENT'}",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        '#EXT-X-MAP:URI="init.mp4"',
    ]
    end_ms: int | None = None
    for take in film.takes:
        first = True
        for segment in take.segments:
            holed = end_ms not in {None, segment.start_ms}
            if holed:
                lines.append("#EXT-X-DISCONTINUITY")
            if first or holed:
                lines.append(f"#EXT-X-PROGRAM-DATE-TIME:{_at(take.row, segment.start_ms)}")
            lines.append(f"#EXTINF:{segment.duration_ms / 1000:.3f},")
            lines.append(f"segments/{segment.start_ms}.m4s")
            first, end_ms = False, segment.end_ms
    if closed:
        lines.append("#EXT-X-ENDLIST")
    return "\n".join(lines) + "\n"


async def pieces(
    db: AsyncSession, actor: Actor, lesson_id: UUID, edition: Edition, now: datetime
) -> Pieces:
    """Give the recording as one file in pieces, with picture or as voice alone."""
    film = await _playable(db, actor, lesson_id, now)
    segments = film.segments
    sizes = [s.size if edition == "lesson" else s.audio_size for s in segments]
    spans = [Span(s.start_ms, s.duration_ms, size) for s, size in zip(segments, sizes, strict=True)]
    parts = [
        Piece(_key(lesson_id, s.take_id, s.start_ms, edition), size)
        for s, size in zip(segments, sizes, strict=True)
    ]
    return Pieces(
        init=_init_key(film, edition),
        index=sidx(spans, TIMESCALES[edition]),
        segments=parts,
        etag=hashlib.sha256(repr((spans, parts)).encode()).hexdigest()[:32],
    )


async def stamp(
    db: AsyncSession, actor: Actor, lesson_id: UUID, edition: Edition, now: datetime
) -> str:
    """Say which file `pieces` would give, without reading the index. Raises NotFound.

    The same stamp is the same file: a player asks for hundreds of ranges of it.
    """
    film = await _outline(db, actor, lesson_id, now)
    columns = (LessonSegments.size, LessonSegments.audio_size, LessonSegments.duration_ms)
    last = func.max(LessonSegments.start_ms)
    query = select(func.count(), last, *(func.sum(column) for column in columns)).where(
        LessonSegments.lesson_id == lesson_id
    )
    index = (await db.execute(query)).one()
    takes = [(take.row.id, take.over, take.until_ms) for take in film.takes]
    return repr((lesson_id, edition, takes, tuple(index)))


async def init_key(
    db: AsyncSession, actor: Actor, lesson_id: UUID, edition: Edition, now: datetime
) -> str:
    """Give the key of the init segment, which is the same for all takes."""
    return _init_key(await _playable(db, actor, lesson_id, now), edition)


async def segment_key(
    db: AsyncSession, actor: Actor, lesson_id: UUID, start_ms: int, now: datetime
) -> str:
    """Give the key of the segment that begins at `start_ms`. Raises NotFound."""
    if actor.id is None:
        raise NotFound
    query = (
        select(LessonSegments.take_id)
        .join(LessonTakes, LessonTakes.id == LessonSegments.take_id)
        .join(Lessons, Lessons.id == LessonSegments.lesson_id)
        .where(
            LessonSegments.lesson_id == lesson_id,
            LessonSegments.start_ms == start_ms,
            watchable(actor.id, now),
        )
    )
    take_id = await db.scalar(query)
    if take_id is None:
        raise NotFound
    return _key(lesson_id, take_id, start_ms, "lesson")


async def opened(objects: Objects, recording: Pieces) -> VirtualFile:
    """Fetch what stands before the segments, so that the file's size is known."""
    head = await objects.get(recording.init) + recording.index
    size = len(head) + sum(piece.size for piece in recording.segments)
    return VirtualFile(head, recording.segments, size, recording.etag)


async def read(
    objects: Objects, file: VirtualFile, start: int, length: int
) -> AsyncIterator[bytes]:
    """Give `length` bytes of the file from `start`, piece by piece as they are asked for."""
    parts = [Piece(_HEAD, len(file.head)), *file.segments]
    for key, offset, size in plan(parts, start, length):
        if key == _HEAD:
            yield file.head[offset : offset + size]
            continue
        for position in range(offset, offset + size, _CHUNK_BYTES):
            wanted = min(_CHUNK_BYTES, offset + size - position)
            got = await objects.get_range(key, position, wanted)
            if len(got) != wanted:
                raise ObjectsAway(f"object store: {key} is shorter than the index says")
            yield got


def gaps(takes: Sequence[_Take]) -> list[Gap]:
    """What was to be recorded and was not: while the worker was away, or segments were lost.

    Where several touch they are one: a long absence is filled segment by segment.
    """
    found: list[Gap] = []
    for take in takes:
        end_ms = take.row.base_ms
        for segment in take.segments:
            lost_ms = segment.start_ms - end_ms + segment.lost_ms
            if lost_ms > 0:
                touches = found and found[-1].start_ms + found[-1].duration_ms == end_ms
                start_ms = found.pop().start_ms if touches else end_ms
                found.append(Gap(start_ms, end_ms + lost_ms - start_ms))
            end_ms = segment.end_ms
    return found


def chapters(
    takes: Sequence[TakeShown], shown: Sequence[LessonTurns], written: Mapping[UUID, list[str]]
) -> list[Chapter]:
    """Turns of slides on the time line. What was shown when a take began counts from its start."""
    found: list[Chapter] = []
    for take in takes:
        for turn in shown:
            start_ms = max(0, (turn.at - take.started_at) // _MS)
            if start_ms >= take.duration_ms:
                break
            title = _title(written[turn.deck_id][turn.page - 1])
            chapter = Chapter(take.base_ms + start_ms, turn.deck_id, turn.page, title)
            if found and found[-1].start_ms == chapter.start_ms:
                found.pop()
            if not (found and (found[-1].deck_id, found[-1].page) == (turn.deck_id, turn.page)):
                found.append(chapter)
    return found


async def _film(db: AsyncSession, actor: Actor, lesson_id: UUID, now: datetime) -> _Film:
    outline = await _outline(db, actor, lesson_id, now)
    index = await _index(db, lesson_id)
    takes: list[_Take] = []
    for take in outline.takes:
        segments = index.get(take.row.id, [])
        if take.until_ms is not None:
            segments = _before(segments, take.until_ms)
        takes.append(take._replace(segments=segments if take.over else _whole(segments)))
    return outline._replace(takes=takes)


async def _outline(db: AsyncSession, actor: Actor, lesson_id: UUID, now: datetime) -> _Film:
    """The takes this viewer may watch, without their segments."""
    if actor.id is None:
        raise NotFound
    lesson = await db.scalar(
        select(Lessons).where(Lessons.id == lesson_id, watchable_lesson(actor.id, now))
    )
    if lesson is None:
        raise NotFound
    ended = state_of(lesson, now) is LessonState.ENDED
    query = (
        select(LessonTakes, watchable(actor.id, now))
        .join(Lessons, Lessons.id == LessonTakes.lesson_id)
        .where(LessonTakes.lesson_id == lesson_id)
        .order_by(LessonTakes.base_ms, LessonTakes.started_at)
    )
    takes = (await db.execute(query)).all()
    film: list[_Take] = []
    for (row, visible), following in zip_longest(takes, takes[1:]):
        if not visible:
            continue
        stopped_at = row.stopped_at
        if stopped_at is None and ended:  # nobody said stop, or end
            stopped_at = lesson.ended_at or lesson.ends_at + OVERTIME
        over = stopped_at is not None and (row.complete or now >= stopped_at + GIVE_UP)
        until_ms = None if following is None else following.LessonTakes.base_ms
        film.append(_Take(row, stopped_at is None, over, [], until_ms))
    return _Film(lesson, ended, film)


async def _playable(db: AsyncSession, actor: Actor, lesson_id: UUID, now: datetime) -> _Film:
    film = await _film(db, actor, lesson_id, now)
    if not film.segments:
        raise NoRecording
    return film


async def _index(db: AsyncSession, lesson_id: UUID) -> dict[UUID, list[Segment]]:
    columns = (getattr(LessonSegments, name) for name in Segment._fields)
    query = (
        select(*columns)
        .where(LessonSegments.lesson_id == lesson_id)
        .order_by(LessonSegments.start_ms)
    )
    index: dict[UUID, list[Segment]] = {}
    for row in (await db.execute(query)).all():
        index.setdefault(row.take_id, []).append(Segment(*row))
    return index


def _before(segments: list[Segment], end_ms: int) -> list[Segment]:
    """Without what a worker that heard late of the stop put into the next take's time."""
    return [
        segment._replace(duration_ms=min(segment.duration_ms, end_ms - segment.start_ms))
        for segment in segments
        if segment.start_ms < end_ms
    ]


def _whole(segments: list[Segment]) -> list[Segment]:
    """Up to the first hole: what is still on its way must not be inserted into a playlist."""
    for n, (one, following) in enumerate(pairwise(segments), start=1):
        if one.end_ms != following.start_ms:
            return segments[:n]
    return segments


def _state(film: _Film) -> Literal["none", "recording", "preparing", "ready"]:
    if any(take.running for take in film.takes):
        return "recording"
    if not all(take.over for take in film.takes):
        return "preparing"
    return "ready" if film.segments else "none"


def _audience(take: LessonTakes) -> Audience:
    return "school" if take.audience == "school" else "class"


def _title(written: str) -> str | None:
    return written.partition("\n")[0][:MAX_TITLE] or None


def _at(take: LessonTakes, ms: int) -> str:
    at = take.started_at + (ms - take.base_ms) * _MS
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _init_key(film: _Film, edition: Edition) -> str:
    first = film.segments[0]
    name = "init.mp4" if edition == "lesson" else "init.a.mp4"
    return f"lessons/{film.lesson.id}/{first.take_id}/{name}"


def _key(lesson_id: UUID, take_id: UUID, start_ms: int, edition: Edition) -> str:
    end = "m4s" if edition == "lesson" else "a.m4s"
    return f"lessons/{lesson_id}/{take_id}/{start_ms:010d}.{end}"
