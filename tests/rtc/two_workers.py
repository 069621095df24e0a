"""Two workers in this process, each with its port and pipe, and a house that spreads lessons."""

import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from rtc.layer import Layer
from rtc.room import Room
from rtc.track import Track
from rtc.worker import Worker
from tests.rtc.lesson_class import Class, open_class
from tests.rtc.media_house import LESSON, MediaHouse

GONE_S = 0.1


@dataclass
class School:
    """A lesson that lives in `home`; who finds no room there watches in `branch`."""

    home: Worker
    branch: Worker
    house: MediaHouse
    end_home: AsyncExitStack
    end_branch: AsyncExitStack

    @property
    def rooms(self) -> list[Room]:
        """The lesson in its home, and in its branch while there is one."""
        both = (self.home.rooms.rooms, self.branch.rooms.rooms)
        return [rooms[LESSON] for rooms in both if LESSON in rooms]

    @property
    def tracks(self) -> list[list[Track]]:
        """Of the home and of the branch."""
        return [room.stage.tracks for room in self.rooms if room.stage is not None]

    def camera(self) -> list[list[Layer]]:
        """The camera's layers in the home and in the branch."""
        return [tracks[1].layers for tracks in self.tracks]

    async def until(self, true: Callable[[], bool]) -> None:
        """Waits for what the workers do by themselves."""
        await self.house.stats_until(lambda _: true())

    async def open_class(self, *names: str) -> Class:
        """A lesson that has begun; what is published flows through the pipe."""
        room = await open_class(self.house, *names)
        home, branch = self.rooms
        assert (home.home, branch.home) == ("", "a")
        await self.flows(room)
        return room

    async def flows(self, room: Class) -> None:
        """Waits until the branch has heard the grants, and gets what its viewers watch."""

        def agrees() -> bool:
            home, branch = self.tracks
            own = self.rooms[1].seats
            return (
                [bool(each.top.outlets) for each in home]
                == [bool(each.top.legs) for each in branch]
                and [each.live for each in home] == [each.live for each in branch]
                and all(own[name].grants.publish == kinds for name, kinds in room.grants.items())
            )

        await self.until(agrees)


@asynccontextmanager
async def open_school() -> AsyncIterator[School]:
    """Two workers and a house on both."""
    with tempfile.TemporaryDirectory(prefix="rtc-") as folder:
        first, second = (
            Worker(Path(folder) / f"{name}.sock", "127.0.0.1", 0, ("127.0.0.1",)) for name in "ab"
        )
        house = MediaHouse(first.link_path, second.link_path, most_viewers=1, gone_s=GONE_S)
        async with AsyncExitStack() as end_home, AsyncExitStack() as end_branch:
            await end_home.enter_async_context(first)
            await end_branch.enter_async_context(second)
            async with house.link:
                await house.until(lambda: len(house.ups) == 2)
                try:
                    yield School(first, second, house, end_home, end_branch)
                finally:
                    await house.close()
