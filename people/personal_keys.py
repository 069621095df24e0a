"""The key of a person's sealed things, as the domain asks for it: the erased show nothing."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from people.refused import NotFound
from storage.data_keys import DataKey, KeyGone, key_of


async def key_of_known(db: AsyncSession, person_id: UUID, now: datetime) -> DataKey:
    """The person's key. Raises NotFound for somebody erased."""
    try:
        return await key_of(db, person_id, now)
    except KeyGone as gone:
        raise NotFound from gone
