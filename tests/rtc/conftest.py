"""Fixtures of the media worker's tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rtc.worker import Worker
from tests.rtc.media_house import MediaHouse, open_house
from tests.rtc.recording_source import Studio


@pytest.fixture
async def stage() -> AsyncIterator[tuple[Worker, MediaHouse]]:
    """A worker and the API's link to it."""
    async with open_house() as both:
        yield both


@pytest.fixture
async def worker(stage: tuple[Worker, MediaHouse]) -> Worker:
    """The worker of the stage."""
    return stage[0]


@pytest.fixture
async def house(stage: tuple[Worker, MediaHouse]) -> MediaHouse:
    """The API's part of the stage."""
    return stage[1]


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    """A recorder with sources at hand."""
    return Studio(tmp_path)
