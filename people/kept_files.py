"""Every file read back and held against its row: what an operator's drill wants to know.

Nobody looks at them here: bytes are counted and hashed, and what comes out is a number.
"""

from collections.abc import AsyncIterator
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from people import audit, files
from people.files import Files, FoundFile
from storage.data_keys import DataKey, DataKeys, keys_of
from storage.objects import ObjectMissing, Objects
from storage.sealing import CannotOpen

_STEP: Final = 500


async def kept_files(db: AsyncSession, objects: Objects) -> AsyncIterator[tuple[UUID, bool]]:
    """Give each file that should be there, and whether it came back as it was handed in.

    Its small picture too. Left out: what is marked as lost, and of whom the key was destroyed; not
    of whom it is missing. Raises ObjectsAway, and CannotOpen where a key does not open.
    """
    erased = select(DataKeys.owner).where(DataKeys.destroyed_at.is_not(None))
    kept = select(Files).where(
        Files.removed_at.is_(None), Files.lost_at.is_(None), Files.owner_id.not_in(erased)
    )
    query = kept.order_by(Files.id).limit(_STEP)
    while True:
        rows = (await db.scalars(query, execution_options=audit.WRITE_PATH)).all()
        keys = await keys_of(db, {row.owner_id for row in rows})
        for row in rows:
            key = keys.get(row.owner_id)
            yield row.id, key is not None and await _whole(objects, row, key)
        if len(rows) < _STEP:
            return
        query = kept.where(Files.id > rows[-1].id).order_by(Files.id).limit(_STEP)


async def _whole(objects: Objects, row: Files, key: DataKey) -> bool:
    try:
        parts = [files.found(row, key)]
        if row.preview_size is not None:
            parts.append(files.found(row, key, preview=True))
        for part in parts:
            await _drained(objects, part)
    except (ObjectMissing, CannotOpen):  # DamagedObject is one
        return False
    return True


async def _drained(objects: Objects, part: FoundFile) -> None:
    async for _ in files.read(objects, part, 0, part.size):
        pass
