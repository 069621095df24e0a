"""Lost slides: pages without a row go, and nothing else does."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from class_world import furnish
from sqlalchemy.ext.asyncio import AsyncSession

from eschool.lost_slides import LOST_AFTER, remove_lost_slides
from eschool.slides import LessonDecks, page_key
from storage.engine import new_id
from storage.jobs import Work
from storage.objects import Objects
from storage.settings import Settings

SECOND = timedelta(seconds=1)


def made(at: datetime) -> UUID:
    """A new id as it would have been made then."""
    bits = (1 << 80) - 1
    return UUID(int=int(at.timestamp() * 1000) << 80 | new_id().int & bits)


async def test_only_pages_that_are_old_and_have_no_deck_are_removed(
    db: AsyncSession, objects: Objects, settings: Settings
) -> None:
    """A deck that is stored and one that may still be on its way keep theirs."""
    now = datetime.now(UTC)  # the store has other tests' slides, too: all of them fresh
    s = await furnish(db)
    lost, known = made(now - LOST_AFTER - SECOND), made(now - timedelta(days=9))
    fresh = made(now - LOST_AFTER + SECOND)
    undated = UUID(int=lost.int, version=4)
    deck = LessonDecks(
        id=known, lesson_id=s.lesson, name="x", pages=2, added_at=now, texts=["", ""]
    )
    db.add(deck)
    await db.flush()
    kept = [page_key(deck_id, page) for deck_id in (known, fresh, undated) for page in (1, 2)]
    kept += [f"slides/{uuid4().hex[:8]}.webp", f"lessons/{lost}/001.webp"]
    gone = [page_key(lost, page) for page in (1, 2)]
    for key in kept + gone:
        await objects.put(key, b"RIFF")
    for _ in range(2):
        await remove_lost_slides(Work(db, objects, settings, now))
        assert [key for key in kept if not await objects.exists(key)] == []
        assert [key for key in gone if await objects.exists(key)] == []
