"""Keys of owners: made once, opened by their master, moved to a new master, destroyed."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from storage import data_keys
from storage.data_keys import (
    CannotOpen,
    DataKeys,
    KeyGone,
    Locked,
    destroy,
    key_of,
    keys_of,
    rewrap,
    row,
)
from storage.engine import new_id, sessions
from storage.master_keys import MasterMissing, Masters
from storage.secrets import UnsafeSecret
from storage.settings import Settings

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def masters(tmp_path: Path, stores: Settings) -> Iterator[Masters]:
    """Masters of a home of this test's own."""
    yield data_keys.unlock(tmp_path)
    data_keys.unlock(stores.home)


async def test_an_owner_has_one_key_and_another_owner_another(
    db: AsyncSession, masters: Masters
) -> None:
    """What is sealed under it opens again, under nobody else's and for no other row."""
    owner, other, about = new_id(), new_id(), row("notes", "text", new_id())
    sealed = (await key_of(db, owner, NOW)).seal("Жалоб нет".encode(), about)

    assert (await key_of(db, owner, NOW)).open(sealed, about).decode() == "Жалоб нет"
    assert set(await keys_of(db, [owner, other])) == {owner}
    with pytest.raises(CannotOpen):
        (await key_of(db, other, NOW)).open(sealed, about)
    with pytest.raises(CannotOpen):
        (await key_of(db, owner, NOW)).open(sealed, row("notes", "text", new_id()))
    assert masters.current().id == await db.scalar(
        select(DataKeys.master).where(DataKeys.owner == owner)
    )


async def test_a_key_moved_to_another_owner_does_not_open(
    db: AsyncSession, masters: Masters
) -> None:
    """Whoever can write the table cannot lend somebody's key to somebody else."""
    assert masters
    owner, other = new_id(), new_id()
    await key_of(db, owner, NOW)
    await key_of(db, other, NOW)
    theirs = select(DataKeys.wrapped).where(DataKeys.owner == owner).scalar_subquery()
    await db.execute(update(DataKeys).where(DataKeys.owner == other).values(wrapped=theirs))

    with pytest.raises(CannotOpen):
        await key_of(db, other, NOW)


async def test_a_destroyed_key_is_gone_and_none_is_made_again(
    db: AsyncSession, masters: Masters
) -> None:
    """Nor for an owner who never had one; destroying twice changes nothing."""
    assert masters
    owner, never = new_id(), new_id()
    await key_of(db, owner, NOW)
    for one in (owner, never, owner):
        await destroy(db, one, NOW)

    for one in (owner, never):
        with pytest.raises(KeyGone):
            await key_of(db, one, NOW)
    assert await keys_of(db, [owner, never]) == {}
    query = select(DataKeys.wrapped).where(DataKeys.owner.in_([owner, never]))
    assert set((await db.scalars(query)).all()) == {b""}


async def test_two_who_ask_at_once_get_the_same_key(engine: AsyncEngine, masters: Masters) -> None:
    """The second waits for the first one's commit."""
    assert masters
    owner, maker = new_id(), sessions(engine)
    async with maker() as one, maker() as other:
        first = await key_of(one, owner, NOW)
        await other.execute(text("SET lock_timeout = '50ms'"))
        with pytest.raises(Exception, match="lock timeout"):
            await key_of(other, owner, NOW)
        await other.rollback()
        await one.commit()
        assert await key_of(other, owner, NOW) == first


async def test_a_rotation_broken_off_goes_on_and_loses_no_key(
    db: AsyncSession, masters: Masters
) -> None:
    """Batch by batch; what lies under the old master opens all the while, also in a new process."""
    owners = [new_id() for _ in range(3)]
    before = {owner: await key_of(db, owner, NOW) for owner in owners}
    old = masters.current()
    new = masters.rotate()
    assert new.id != old.id
    assert await rewrap(db, limit=2) == 2

    data_keys._Process.masters = Masters(masters.home)
    assert await keys_of(db, owners) == before
    assert await rewrap(db, limit=2) == 1
    assert await rewrap(db, limit=2) == 0
    (masters.home / "secrets" / f"master-key.{old.id}").unlink()
    data_keys._Process.masters = Masters(masters.home)
    assert await keys_of(db, owners) == before


async def test_a_process_that_runs_on_takes_the_new_master(masters: Masters) -> None:
    """Another process rotates; this one sees it at the next key."""
    old = masters.current()
    new = Masters(masters.home).rotate()
    assert masters.current() == new
    assert masters.of(old.id) == old


async def test_a_lost_master_is_named_in_one_sentence(db: AsyncSession, masters: Masters) -> None:
    """Its id says which file is to be restored."""
    owner = new_id()
    await key_of(db, owner, NOW)
    lost = masters.current().id
    (masters.home / "secrets" / "master-key").unlink()

    with pytest.raises(MasterMissing, match=f"master-key.{lost}"):
        await key_of(db, owner, NOW)


async def test_a_master_that_others_can_read_is_refused(db: AsyncSession, masters: Masters) -> None:
    """The current one, and an older one too."""
    owner = new_id()
    await key_of(db, owner, NOW)
    old = masters.current()
    masters.rotate()
    folder = masters.home / "secrets"
    (folder / f"master-key.{old.id}").chmod(0o640)
    with pytest.raises(UnsafeSecret, match="chmod 600"):
        await key_of(db, owner, NOW)
    (folder / "master-key").chmod(0o644)
    with pytest.raises(UnsafeSecret, match="chmod 600"):
        Masters(masters.home).current()


async def test_no_key_is_made_before_the_process_says_whose_master_opens(
    db: AsyncSession, masters: Masters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program of ours that forgot it fails at once."""
    assert masters
    monkeypatch.setattr(data_keys._Process, "masters", None)
    with pytest.raises(Locked):
        await key_of(db, new_id(), NOW)
