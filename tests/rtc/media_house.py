"""A worker, the API's link to it, and raw pages that join rooms: the stage of the rtc tests."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from rtc.link import GONE_S, MediaLink
from rtc.messages import (
    Answer,
    FromWorker,
    Join,
    Kind,
    Leave,
    Member,
    MemberPresence,
    Offer,
    Presence,
    Recording,
    Restart,
    RoomState,
    Stats,
    StatsAsk,
    TransportFailed,
    Trespass,
)
from rtc.worker import Worker
from tests.rtc.raw_client import RawPage

ROOM = "visit-1"
LESSON = "lesson-1"


class MediaHouse:
    """The API's part, played by hand: says states and joins, hands offers to the pages."""

    def __init__(
        self, *paths: Path, most_viewers: int | None = None, gone_s: float = GONE_S
    ) -> None:
        self.heard: list[FromWorker] = []
        self.ups: list[str] = []
        self.downs = 0
        self.pages: dict[str, RawPage] = {}
        self.all_pages: list[RawPage] = []
        self.version = 0
        self.link = MediaLink(
            paths,
            self._hear,
            self._up,
            self._down,
            gone_s=gone_s,
            most_viewers=most_viewers,
        )
        self._changed = asyncio.Event()

    def _up(self, worker_id: str) -> None:
        self.ups.append(worker_id)
        self._changed.set()

    def _down(self) -> None:
        self.downs += 1
        self._changed.set()

    def _hear(self, message: FromWorker) -> None:
        self.heard.append(message)
        if isinstance(message, Offer) and message.member in self.pages:
            self.pages[message.member].offered(message)
        self._changed.set()

    async def until(self, true: Callable[[], bool], timeout_s: float = 10.0) -> None:
        """Waits for what only the link can make true."""
        async with asyncio.timeout(timeout_s):
            while not true():
                self._changed.clear()
                await self._changed.wait()

    def state(self, *members: Member, room: str = ROOM) -> None:
        """Says the whole state of the room, with the next version."""
        self.version += 1
        self.link.send(RoomState(room, self.version, list(members)))

    def lesson(
        self,
        grants: dict[str, list[Kind]],
        *,
        presenter: str = "teacher",
        recording: Recording | None = None,
        room: str = LESSON,
    ) -> None:
        """Says the whole state of a lesson: who is in it and may publish what."""
        self.version += 1
        members = [Member(name, kinds, subscribe=True) for name, kinds in grants.items()]
        self.link.send(RoomState(room, self.version, members, "h264", presenter, recording))

    def join(
        self,
        member: str,
        *,
        room: str = ROOM,
        resume: tuple[str, ...] = (),
        screen: bool = False,
    ) -> RawPage:
        """A page with voice and picture joins; a second one of the same member replaces the first."""
        page = self.pages.get(member) if resume else None
        if page is None:
            page = RawPage(
                member,
                lambda transport, sdp: self.answer(member, transport, sdp, room=room),
            )
            self.pages[member] = page
            self.all_pages.append(page)
        self.link.send(Join(room, member, True, True, list(resume), screen))
        return page

    def join_as(self, page: RawPage, *, room: str = ROOM) -> None:
        """A page that answers in its own way joins."""
        self.pages[page.member] = page
        self.all_pages.append(page)
        self.link.send(Join(room, page.member, audio=True, video=True, resume=[]))

    def answer(self, member: str, transport: str, sdp: str, *, room: str = ROOM) -> None:
        """Carries a page's answer."""
        self.link.send(Answer(room, member, transport, sdp))

    def leave(self, member: str) -> None:
        """The page of a member is gone."""
        self.link.send(Leave(ROOM, member))

    def restart(self, member: str, transport: str) -> None:
        """Asks for new ICE credentials."""
        self.link.send(Restart(ROOM, member, transport))

    def seen(self, member: str) -> MemberPresence | None:
        """The newest presence of a member; None when he is not in the room."""
        for message in reversed(self.heard):
            if isinstance(message, Presence):
                return next((each for each in message.members if each.member == member), None)
        return None

    def presence(self, member: str) -> tuple[bool, bool, bool] | None:
        """The newest (connected, audio, video) of a member; None when he is not in the room."""
        seen = self.seen(member)
        return None if seen is None else (seen.connected, seen.audio, seen.video)

    def trespasses(self) -> list[Trespass]:
        """What was sent without a grant."""
        return [each for each in self.heard if isinstance(each, Trespass)]

    def failures(self) -> list[TransportFailed]:
        """What the worker has given up."""
        return [each for each in self.heard if isinstance(each, TransportFailed)]

    async def stats(self) -> Stats:
        """Asks for the counters and waits for them."""
        before = sum(isinstance(each, Stats) for each in self.heard)
        self.link.send(StatsAsk())
        await self.until(lambda: sum(isinstance(each, Stats) for each in self.heard) > before)
        return next(each for each in reversed(self.heard) if isinstance(each, Stats))

    async def stats_until(self, true: Callable[[Stats], bool], timeout_s: float = 10.0) -> Stats:
        """Asks until what the worker does of its own accord is done."""
        async with asyncio.timeout(timeout_s):
            while not true(stats := await self.stats()):
                pass
        return stats

    async def close(self) -> None:
        """Closes all pages."""
        for page in self.all_pages:
            await page.close()


def both(member: str) -> Member:
    """A member who may publish voice and picture, and watch."""
    return Member(member, ["audio", "video"], subscribe=True)


def watcher(member: str) -> Member:
    """A member who may only watch."""
    return Member(member, [], subscribe=True)


@asynccontextmanager
async def connected_to(path: Path) -> AsyncIterator[MediaHouse]:
    """A house on the worker that listens at `path`, closed at the end."""
    house = MediaHouse(path)
    async with house.link:
        await house.until(lambda: bool(house.ups))
        try:
            yield house
        finally:
            await house.close()


@asynccontextmanager
async def open_house() -> AsyncIterator[tuple[Worker, MediaHouse]]:
    """A worker in this process, on a free port of loopback, and a house on its real link."""
    with tempfile.TemporaryDirectory(prefix="rtc-") as folder:
        path = Path(folder) / "link.sock"
        worker = Worker(path, "127.0.0.1", 0, ("127.0.0.1",))
        async with worker, connected_to(path) as house:
            yield worker, house
