"""A lesson that is being recorded, and a media worker that tells of segments."""

from datetime import timedelta

from class_world import NOW, SchoolClass
from sqlalchemy.ext.asyncio import AsyncSession

from eschool.recordings import (
    Presentation,
    presentation,
)
from eschool.takes import (
    SegmentInfo,
    Take,
    current_take,
    segment_closed,
    start,
    stop,
    take_closed,
)
from people.policy import Actor

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


async def seen_by(r: Recorded, who: str, after: timedelta = timedelta()) -> Presentation:
    """The presentation as somebody sees it some time after the lesson's beginning."""
    return await presentation(
        r.db, await r.s.actor(r.db, who, NOW + after), r.s.lesson, NOW + after
    )
