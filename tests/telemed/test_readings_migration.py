"""The migration into months and back, on a database with readings in it."""

import asyncio

from sqlalchemy.ext.asyncio import AsyncSession

from bench.migration import BEFORE, dump, fill, move_for
from storage import migrate
from storage.engine import make_engine
from tests.telemed.clinic_house import furnish
from tests.telemed.test_reading_months import count, pulse, rows, send

ROWS = 20_000


async def _furnished(url: str) -> None:
    engine = make_engine(url)
    async with AsyncSession(engine) as db, db.begin():
        house = await furnish(db)
        await send(db, house, pulse(1), pulse(2))
    await engine.dispose()


async def _moved(url: str, at_once: int) -> tuple[int, int]:
    """Move for one turn of the job; give how many moved, and how many lie in the one table."""
    engine = make_engine(url)
    moved = await move_for(engine, at_once, 0.001)
    async with AsyncSession(engine) as db:
        left = await count(db, "ONLY readings")
        (days,) = await rows(db, "SELECT sum(n) FROM reading_days")
        assert days[0] >= moved
    await engine.dispose()
    return moved, left


def test_readings_come_through_up_down_and_up_unchanged(database_url: str) -> None:
    """Those in months, those still in the one table, and those taken in between."""
    asyncio.run(_furnished(database_url))
    migrate.downgrade(database_url, BEFORE)
    fill(database_url, ROWS)
    before = dump(database_url)
    migrate.upgrade(database_url)
    moved, left = asyncio.run(_moved(database_url, ROWS // 4))
    assert moved > 0
    assert moved + left == ROWS + 2
    assert dump(database_url) == before
    migrate.downgrade(database_url, BEFORE)
    assert dump(database_url) == before
    migrate.upgrade(database_url)
    assert dump(database_url) == before
