"""The store fixtures that every other test stands on."""

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from storage.objects import Objects


@pytest.mark.parametrize("_again", range(2))
async def test_what_a_test_writes_through_db_is_gone_for_the_next(
    db: AsyncSession, _again: int
) -> None:
    """The table made here, committed by the test itself, does not exist at the second call."""
    await db.execute(text("CREATE TABLE left_behind (id int)"))
    await db.commit()
    assert await db.scalar(text("SELECT count(*) FROM left_behind")) == 0


@pytest.mark.parametrize("_again", range(2))
async def test_each_test_that_commits_has_a_database_of_its_own(
    engine: AsyncEngine, _again: int
) -> None:
    """The committed table does not exist in the second test's database."""
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE left_behind (id int)"))


async def test_objects_are_stored_and_read_back(objects: Objects) -> None:
    """What was put comes back byte for byte."""
    await objects.put("tests/ops/один", b"\x00\xff", "application/octet-stream")
    assert await objects.get("tests/ops/один") == b"\x00\xff"
