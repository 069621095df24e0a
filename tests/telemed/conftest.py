"""Fixtures of telemed's tests."""

from datetime import datetime

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from tests.telemed.clinic_house import NOW, House, furnish


@pytest.fixture
def now() -> datetime:
    """One moment for a whole test."""
    return NOW


@pytest.fixture
async def house(db: AsyncSession) -> House:
    """A furnished house in the test's own transaction."""
    return await furnish(db)
