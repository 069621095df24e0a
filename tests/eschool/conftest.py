"""A lesson whose recording has not begun."""

import pytest
from class_world import opened
from recorded import Recorded
from sqlalchemy.ext.asyncio import AsyncSession


@pytest.fixture
async def r(db: AsyncSession) -> Recorded:
    """Nothing is recorded yet."""
    s = await opened(db)
    return Recorded(db, s, await s.actor(db, "teacher"))
