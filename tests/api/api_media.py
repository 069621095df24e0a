"""A lesson's slides and recording as they lie in the stores; the bytes say which they are."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from eschool.slides import LessonDecks, LessonTurns, page_key
from eschool.takes import LessonSegments, LessonTakes
from storage.engine import new_id
from storage.objects import Objects

INIT, VOICE_INIT = b"<init>" * 10, b"<voice init>" * 5
SEGMENTS = (b"first " * 50, b"second" * 60)
VOICE = (b"one" * 20, b"two" * 30)
MS = 2500


async def add_deck(db: AsyncSession, objects: Objects, lesson_id: UUID, now: datetime) -> str:
    """Two pages, the first of them shown; the deck's id."""
    deck = LessonDecks(
        id=new_id(), lesson_id=lesson_id, name="x", pages=2, added_at=now, texts=["a", "b"]
    )
    db.add(deck)
    await db.flush()
    db.add(LessonTurns(lesson_id=lesson_id, deck_id=deck.id, page=1, at=now))
    for page in (1, 2):
        await objects.put(page_key(deck.id, page), b"RIFF page %d" % page, "image/webp")
    return str(deck.id)


async def add_recording(
    db: AsyncSession, objects: Objects, lesson_id: UUID, now: datetime, audience: str = "class"
) -> None:
    """One complete take of two segments."""
    take = LessonTakes(
        id=new_id(),
        lesson_id=lesson_id,
        audience=audience,
        started_at=now - timedelta(minutes=1),
        base_ms=0,
        stopped_at=now,
        end_ms=len(SEGMENTS) * MS,
        complete=True,
    )
    db.add(take)
    await db.flush()
    folder = f"lessons/{lesson_id}/{take.id}"
    await objects.put(f"{folder}/init.mp4", INIT, "video/mp4")
    await objects.put(f"{folder}/init.a.mp4", VOICE_INIT, "audio/mp4")
    for n, (segment, voice) in enumerate(zip(SEGMENTS, VOICE, strict=True)):
        row = LessonSegments(
            lesson_id=lesson_id,
            start_ms=n * MS,
            take_id=take.id,
            duration_ms=MS,
            size=len(segment),
            audio_size=len(voice),
            lost_ms=0,
            stored_at=now,
        )
        db.add(row)
        await objects.put(f"{folder}/{row.start_ms:010d}.m4s", segment, "video/mp4")
        await objects.put(f"{folder}/{row.start_ms:010d}.a.m4s", voice, "audio/mp4")
