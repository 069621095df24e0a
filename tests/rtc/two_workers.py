"""Two workers in this process, each with its port and pipe, and a house that spreads lessons."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from rtc.room import Room
from rtc.worker import Worker
from tests.rtc.lesson_class import Class, open_class
from tests.rtc.media_house import LESSON, MediaHouse


@dataclass
class School:
    """A lesson whose first pupil watches in its home and whose others in a branch."""

    home: Worker
    branch: Worker
    house: MediaHouse

    @property
    def rooms(self) -> tuple[Room, Room]:
        """The lesson in its home, and in its branch."""
        return self.home.rooms.rooms[LESSON], self.branch.rooms.rooms[LESSON]

    async def open_class(self, *names: str) -> Class:
        """A lesson that has begun; the pipe is open."""
        room = await open_class(self.house, *names)
        home, branch = self.rooms
        assert (home.home, branch.home) == ("", "a")
        assert home.stage is not None
        wired = [track.top for track in home.stage.tracks]
        await self.house.stats_until(lambda _: all(each.outlets for each in wired))
        return room


@asynccontextmanager
async def open_school() -> AsyncIterator[School]:
    """Two workers and a house on both."""
    with tempfile.TemporaryDirectory(prefix="rtc-") as folder:
        first, second = (
            Worker(Path(folder) / f"{name}.sock", "127.0.0.1", 0, ("127.0.0.1",)) for name in "ab"
        )
        house = MediaHouse(first.link_path, second.link_path, most_viewers=1)
        async with first, second, house.link:
            await house.until(lambda: len(house.ups) == 2)
            try:
                yield School(first, second, house)
            finally:
                await house.close()
