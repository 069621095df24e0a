"""Pictures of slides that never became a deck, taken out of the object store once a day.

Objects first, row second (eschool/slides.py): a commit that fails, or a process that is killed in
between, leaves pages that no row names.
"""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import select

from eschool.slides import PAGES, LessonDecks
from storage.jobs import Work, job

# Much longer than any upload takes from its deck's id to its commit.
LOST_AFTER = timedelta(hours=1)
_UUID_OF_TIME = 7


@job("eschool.lost_slides", cron="20 9 * * *")  # noon in the region: a house may be off at night
async def remove_lost_slides(work: Work) -> None:
    """Remove the pages of every deck that is old enough and has no row."""
    before_ms = (work.now - LOST_AFTER).timestamp() * 1000
    old: dict[UUID, list[str]] = {}
    for key in await work.objects.keys(PAGES):
        deck_id = _deck_of(key)
        if deck_id is not None and _made_ms(deck_id) < before_ms:
            old.setdefault(deck_id, []).append(key)
    # Asked after the listing: whatever was stored meanwhile is known.
    known = set(await work.db.scalars(select(LessonDecks.id)))
    for deck_id in old.keys() - known:
        for key in old[deck_id]:
            await work.objects.delete(key)


def _deck_of(key: str) -> UUID | None:
    """The deck in a page's key; none whose id does not say when it was made."""
    try:
        deck_id = UUID(key.removeprefix(PAGES).partition("/")[0])
    except ValueError:
        return None
    return deck_id if deck_id.version == _UUID_OF_TIME else None


def _made_ms(deck_id: UUID) -> int:
    """RFC 9562, 5.7: the first 48 bits are milliseconds of Unix time."""
    return deck_id.int >> 80
