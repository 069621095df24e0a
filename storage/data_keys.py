"""Keys of owners: each has one of its own, under which what is sealed about it lies.

The key lies in the database, wrapped by the installation's master (storage/master_keys.py), so
neither the database nor the secrets' folder alone opens anything. Who the owner is, this room does
not know. Destroying a key leaves its row without the key: what was sealed under it is gone, and no
new key is ever made for that owner.

    data_keys.unlock(settings.home)            # once a process
    key = await key_of(db, owner, now)
    sealed = key.seal(b"...", row("visit_notes", "text", visit_id))
"""

import secrets
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from uuid import UUID

from sqlalchemy import Index, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from storage.engine import Base
from storage.master_keys import Master, Masters
from storage.sealing import CannotOpen, seal, unseal

__all__ = [
    "CannotOpen",
    "DataKey",
    "DataKeys",
    "KeyGone",
    "Locked",
    "destroy",
    "key_of",
    "keys_of",
    "rewrap",
    "row",
    "unlock",
    "waiting",
]

_NBYTES = 32


class DataKeys(Base):
    """An owner's key, wrapped by the master of this id; empty once it is destroyed."""

    __tablename__ = "data_keys"

    owner: Mapped[UUID] = mapped_column(primary_key=True)
    wrapped: Mapped[bytes]
    master: Mapped[str]
    made_at: Mapped[datetime]
    destroyed_at: Mapped[datetime | None]

    # A rotation looks for what lies under another master than the new one.
    __table_args__ = (Index(None, "master", postgresql_where=text("destroyed_at IS NULL")),)


class KeyGone(Exception):  # noqa: N818 - states a fact
    """The owner's key was destroyed: what was sealed under it cannot be read by anybody."""

    def __init__(self, owner: UUID) -> None:
        super().__init__(str(owner))
        self.owner = owner


class Locked(Exception):  # noqa: N818 - states a fact
    """This process never said whose master key opens: a mistake of ours, never a caller's."""


@dataclass(frozen=True)
class DataKey:
    """An owner's key, open. `about` names table, column and row: moved elsewhere it opens not."""

    owner: UUID
    _key: bytes = field(repr=False)

    def seal(self, plain: bytes, about: bytes) -> bytes:
        """Seal `plain`; 29 bytes longer than it."""
        return seal(self._key, plain, about)

    def open(self, sealed: bytes, about: bytes) -> bytes:
        """Open what `seal` made. Raises CannotOpen."""
        return unseal(self._key, sealed, about)


def row(table: str, column: str, row_id: UUID) -> bytes:
    """Give the `about` of one value in the database."""
    return f"{table}.{column}:{row_id}".encode()


class _Process:
    """Whose master key this process uses: one process serves one installation."""

    masters: Masters | None = None


def unlock(home: Path) -> Masters:
    """Use the master key of this home from now on; nothing is read or made before it is needed."""
    if _Process.masters is None or _Process.masters.home != home:
        _Process.masters = Masters(home)
    return _Process.masters


def _masters() -> Masters:
    if _Process.masters is None:
        raise Locked("call storage.data_keys.unlock(settings.home) first")
    return _Process.masters


async def key_of(db: AsyncSession, owner: UUID, now: datetime) -> DataKey:
    """Give the owner's key, made at first use. Raises KeyGone, MasterMissing, CannotOpen."""
    found = await _stored(db, owner)
    if found is None:
        master = _masters().current()
        key = secrets.token_bytes(_NBYTES)
        values = {
            "owner": owner,
            "wrapped": seal(master.key, key, _about(owner, master.id)),
            "master": master.id,
            "made_at": now,
        }
        new = insert(DataKeys).values(values).on_conflict_do_nothing().returning(DataKeys.owner)
        if await db.scalar(new) is not None:
            return DataKey(owner, key)
        found = await _stored(db, owner)  # somebody else made it meanwhile, and has committed
        if found is None:
            raise KeyGone(owner)
    return _opened(found)


async def keys_of(db: AsyncSession, owners: Collection[UUID]) -> dict[UUID, DataKey]:
    """Give the keys that are there: none is made, and destroyed ones are left out."""
    if not owners:
        return {}
    query = select(DataKeys.owner, DataKeys.wrapped, DataKeys.master, DataKeys.destroyed_at).where(
        DataKeys.owner.in_(set(owners)), DataKeys.destroyed_at.is_(None)
    )
    return {one.owner: _opened(_Stored(*one)) for one in (await db.execute(query)).all()}


async def destroy(db: AsyncSession, owner: UUID, now: datetime) -> None:
    """Destroy the owner's key; one that never had a key gets none from now on. Twice is once.

    Needs no master key.
    """
    gone = {"wrapped": b"", "master": "", "destroyed_at": now}
    none = insert(DataKeys).values(owner=owner, made_at=now, **gone)
    await db.execute(
        none.on_conflict_do_update(
            index_elements=[DataKeys.owner], set_=gone, where=DataKeys.destroyed_at.is_(None)
        )
    )


async def waiting(db: AsyncSession) -> bool:
    """Say whether keys lie under an older master: a rotation was broken off."""
    older = (DataKeys.master != _masters().current().id) & DataKeys.destroyed_at.is_(None)
    return await db.scalar(select(DataKeys.owner).where(older).limit(1)) is not None


async def rewrap(db: AsyncSession, limit: int = 500) -> int:
    """Wrap some keys that lie under an older master under the current one; give how many.

    Each call is one batch of its own transaction: a rotation that was broken off goes on with the
    next call. Raises MasterMissing, CannotOpen.
    """
    masters = _masters()
    current = masters.current()
    query = (
        select(DataKeys.owner, DataKeys.wrapped, DataKeys.master, DataKeys.destroyed_at)
        .where(DataKeys.master != current.id, DataKeys.destroyed_at.is_(None))
        .order_by(DataKeys.owner)
        .limit(limit)
        .with_for_update()
    )
    found = (await db.execute(query)).all()
    for one in found:
        plain = _unwrap(masters.of(one.master), one.owner, one.wrapped)
        wrapped = seal(current.key, plain, _about(one.owner, current.id))
        await db.execute(
            update(DataKeys)
            .where(DataKeys.owner == one.owner)
            .values(wrapped=wrapped, master=current.id)
            .execution_options(synchronize_session=False)
        )
    return len(found)


@dataclass(frozen=True)
class _Stored:
    owner: UUID
    wrapped: bytes
    master: str
    destroyed_at: datetime | None


async def _stored(db: AsyncSession, owner: UUID) -> _Stored | None:
    query = select(DataKeys.owner, DataKeys.wrapped, DataKeys.master, DataKeys.destroyed_at).where(
        DataKeys.owner == owner
    )
    found = (await db.execute(query)).one_or_none()
    return None if found is None else _Stored(*found)


def _opened(found: _Stored) -> DataKey:
    if found.destroyed_at is not None:
        raise KeyGone(found.owner)
    return DataKey(found.owner, _unwrap(_masters().of(found.master), found.owner, found.wrapped))


def _unwrap(master: Master, owner: UUID, wrapped: bytes) -> bytes:
    return unseal(master.key, wrapped, _about(owner, master.id))


def _about(owner: UUID, master_id: str) -> bytes:
    return f"data_keys.wrapped:{owner}:{master_id}".encode()
