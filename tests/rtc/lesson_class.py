"""A teacher with pupils at the media worker, as raw clients."""

from collections.abc import Sequence

from rtc.messages import Kind
from tests.rtc.media_house import LESSON, MediaHouse
from tests.rtc.raw_client import RawPage, Source

EVERYTHING: list[Kind] = ["audio", "video", "screen"]


VOICE: list[Kind] = ["audio"]


def sources(kinds: Sequence[str] = EVERYTHING) -> dict[str, Source]:
    """One H264 source a kind."""
    return {kind: Source(kind, codec="h264") for kind in kinds}


class Class:
    """A teacher's page and pupils' pages, all connected, and what each of them hears."""

    def __init__(self, house: MediaHouse, names: Sequence[str]) -> None:
        self.house = house
        self.grants: dict[str, list[Kind]] = {"teacher": EVERYTHING, **{each: [] for each in names}}
        self.pages: dict[str, RawPage] = {}
        self.sources = sources()

    async def begin(self) -> None:
        """Everybody joins and is connected."""
        self.say()
        for name in self.grants:
            self.pages[name] = self.house.join(name, room=LESSON, screen=True)
        await self.pages["teacher"].publishing()
        for page in self.pages.values():
            await page.until(lambda page=page: page.subscribe is not None)
        await self.house.until(
            lambda: all(getattr(self.house.seen(name), "connected", False) for name in self.grants)
        )
        await self.house.stats()

    def say(self) -> None:
        """Tells the worker the grants."""
        self.house.lesson(self.grants)

    async def floor(self, name: str | None, kinds: list[Kind] = VOICE) -> None:
        """Moves the floor; after this the worker has it so, and the holder's page can send."""
        self.grants = {each: [] for each in self.grants} | {"teacher": EVERYTHING}
        if name is not None:
            self.grants[name] = kinds
        self.say()
        if name is not None:
            await self.pages[name].publishing()
            await self.house.until(lambda: getattr(self.house.seen(name), "audio", False))
        await self.house.stats()

    async def teach(self) -> None:
        """One packet of each of the teacher's kinds, the pictures as key frames."""
        publish = await self.pages["teacher"].publishing()
        for kind, source in self.sources.items():
            publish.send_rtp(source.next(key=True) if kind != "audio" else source.next())

    def heard(self, name: str, member: str, kind: str) -> list[int]:
        """Sequence numbers a page has received of a line."""
        subscribe = self.pages[name].subscribe
        assert subscribe is not None
        return subscribe.received[subscribe.ssrc_of[member, kind]].sequences

    async def hears(self, name: str, member: str, kind: str, count: int) -> None:
        """Waits until a page has received so many packets of a line."""
        subscribe = self.pages[name].subscribe
        assert subscribe is not None
        await subscribe.until(lambda: len(self.heard(name, member, kind)) >= count)


async def open_class(house: MediaHouse, *names: str) -> Class:
    """A lesson that has begun."""
    room = Class(house, names)
    await room.begin()
    return room
