"""CPU per packet of one lesson that is watched from two workers, beside the same in one.

Both on the servers' core and with the same clients, load B of media.md to thirty; they take turns,
and the ratio of each round is taken before the median.
"""

import statistics
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from bench.harness import Row, at_least, at_most
from bench.rtc_clip import Clip, clip
from bench.rtc_fwd import LOAD_B, SHARE, VIEWERS, Stage
from bench.rtc_load import Publisher
from bench.rtc_servers import ROOM, OurServer, Started, cpu_s, worker
from rtc.messages import RoomState
from tests.rtc.media_house import MediaHouse, both, watcher

PUBLISHER = "publisher"
ROUNDS, SECONDS = 7, 3.0  # short turns: what else the machine does changes


class LessonServer(OurServer):
    """Workers with a lesson whose teacher is the publisher."""

    def __init__(self, house: MediaHouse, started: list[Started]) -> None:
        first = started[0]
        super().__init__(house, first.pid, f"{len(started)}.workers", first.port, first.said)
        self.pids = [each.pid for each in started]

    def _state(self) -> None:
        self.house.version += 1
        members = [both(PUBLISHER), *map(watcher, self._viewers)]
        state = RoomState(ROOM, self.house.version, members, "vp8", PUBLISHER)
        self.house.link.send(state)


class LessonStage(Stage):
    """Counts the CPU time of all its workers."""

    def used_s(self) -> float:
        """See Stage."""
        assert isinstance(self.server, LessonServer)
        return sum(map(cpu_s, self.server.pids))


@asynccontextmanager
async def lesson(picture: Clip, workers: int) -> AsyncIterator[LessonStage]:
    """A lesson watched by as many in each of so many workers."""
    async with AsyncExitStack() as stack:
        home = stack.enter_context(tempfile.TemporaryDirectory(prefix="rtc-"))
        started = [await stack.enter_async_context(worker(home, each)) for each in range(workers)]
        house = MediaHouse(*(each.link for each in started), most_viewers=VIEWERS // workers)
        await stack.enter_async_context(house.link)
        stack.push_async_callback(house.close)
        await house.until(lambda: len(house.ups) == workers)
        server = LessonServer(house, started)
        publisher = Publisher(await server.publisher(), picture)
        built = LessonStage(server, publisher, [])
        await publisher.run(0.5)
        await built.add(VIEWERS)
        yield built


async def measure() -> list[Row]:
    """The row of workers; each must have given everybody everything."""
    picture = clip(*LOAD_B)
    async with lesson(picture, 1) as one, lesson(picture, 2) as two:
        for _ in range(ROUNDS):
            for built in (one, two):
                await built.turn(SECONDS)
    ratios = [b / a for a, b in zip(one.us, two.us, strict=True)]
    delivered = min(*one.shares, *two.shares)
    return [
        at_most("workers", statistics.median(ratios), "x one worker, CPU a packet", bar=1.2),
        Row("workers.us", statistics.median(two.us), "us/packet", statistics.median(one.us)),
        at_least("workers.delivered", delivered, "of sent", bar=SHARE),
    ]
