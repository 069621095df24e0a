"""`yanasha keys rotate`: while everything runs, in batches, and finished after it was broken off."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from ops.keys import rotate_in
from storage import data_keys
from storage.data_keys import DataKeys, key_of, keys_of, rewrap
from storage.engine import new_id, sessions
from storage.master_keys import Masters
from storage.settings import Settings

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def masters(tmp_path: Path, stores: Settings) -> Iterator[Masters]:
    """Masters of a home of this test's own."""
    yield data_keys.unlock(tmp_path)
    data_keys.unlock(stores.home)


async def test_every_key_lies_under_the_new_master_and_opens_as_before(
    engine: AsyncEngine, masters: Masters
) -> None:
    """A rotation that was killed between two batches is finished by the next, which makes none."""
    maker = sessions(engine)
    owners = [new_id() for _ in range(5)]
    async with maker() as db, db.begin():
        before = {owner: await key_of(db, owner, NOW) for owner in owners}
    first = masters.current()

    assert await rotate_in(masters, maker, batch=2) == (True, 5)
    second = masters.current()
    assert second != first

    third = masters.rotate()  # killed after its first batch
    async with maker() as db, db.begin():
        await rewrap(db, 2)
    assert await rotate_in(masters, maker, batch=2) == (False, 3)
    assert masters.current() == third
    async with maker() as db:
        assert set((await db.scalars(select(DataKeys.master))).all()) == {third.id}
        assert await keys_of(db, owners) == before
