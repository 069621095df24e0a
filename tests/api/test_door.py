"""The door before a password: networks take turns, and a crowd bothers nobody but itself."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from api import door as api_door
from api.door import Door
from people.refused import TooManyAttempts
from storage.ingest import Busy

HERE, THERE, ELSEWHERE = "192.0.2.7", "198.51.100.9", "203.0.113.5"


async def settled(door: Door, waiting: int) -> None:
    """Let everybody who is on the way come to the door."""
    async with asyncio.timeout(5):
        while door.waiting != waiting:  # noqa: ASYNC110 - seen from outside
            await asyncio.sleep(0)


class Crowd:
    """Those who came to a door that somebody already stands in, and who was let in."""

    def __init__(self, door: Door) -> None:
        self.door = door
        self.let_in: list[str] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def come(self, address: str, times: int = 1) -> list[asyncio.Task[None]]:
        """So many more from there, each of whom stays for a moment."""
        before = self.door.waiting
        new = [asyncio.create_task(self._one(address)) for _ in range(times)]
        self.tasks += new
        await settled(self.door, before + times)
        return new

    async def _one(self, address: str) -> None:
        async with self.door.turn(address):
            self.let_in.append(address)
            await asyncio.sleep(0)


@asynccontextmanager
async def held(door: Door) -> AsyncIterator[Crowd]:
    """Somebody stands in the door until the end; then everybody has their turn."""
    crowd = Crowd(door)
    async with asyncio.timeout(5), door.turn("2001:db8::1"):
        yield crowd
    await asyncio.gather(*crowd.tasks, return_exceptions=True)


async def test_who_comes_alone_waits_for_one_turn_of_a_crowd_elsewhere() -> None:
    door = Door(1)
    async with held(door) as crowd:
        await crowd.come(HERE, 20)
        await crowd.come(THERE, 2)
    assert crowd.let_in[:4] == [HERE, THERE, HERE, THERE]
    assert crowd.let_in[4:] == [HERE] * 18
    assert (door.free, door.waiting) == (1, 0)


async def test_one_network_is_one_line_however_many_addresses_it_has() -> None:
    door = Door(1)
    async with held(door) as crowd:
        await crowd.come("192.0.2.1", 2)
        await crowd.come("192.0.2.2", 2)
        await crowd.come(THERE)
    assert crowd.let_in.index(THERE) == 1


async def test_too_many_of_one_network_are_sent_away_at_once_and_nobody_else() -> None:
    door = Door(1)
    async with held(door) as crowd:
        await crowd.come(HERE, api_door.MOST_OF_ONE)
        with pytest.raises(TooManyAttempts) as refused:
            async with door.turn(HERE):
                pass
        assert refused.value.params == {"retry_after_s": 1}
        await crowd.come(THERE)
    assert crowd.let_in.index(THERE) == 1


async def test_when_all_is_full_the_longest_line_makes_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(api_door, "MOST", 4)
    door = Door(1)
    async with held(door) as crowd:
        (newest,) = (await crowd.come(HERE, 3))[-1:]
        await crowd.come(THERE)
        alone = asyncio.create_task(crowd._one(ELSEWHERE))
        with pytest.raises(Busy):
            await newest
        assert door.waiting == 4
        with pytest.raises(Busy):
            async with door.turn(THERE):
                pass
    await alone
    assert crowd.let_in == [HERE, THERE, ELSEWHERE, HERE]


async def test_who_waits_too_long_leaves_the_line() -> None:
    door = Door(1, wait_s=0.01)
    async with held(door):
        with pytest.raises(Busy):
            async with door.turn(HERE):
                pass
        assert door.waiting == 0
    assert door.free == 1


@pytest.mark.parametrize("at", ["in the line", "as its turn comes"])
async def test_who_gives_up_takes_no_place_along(at: str) -> None:
    door = Door(1)
    crowd = Crowd(door)
    async with door.turn("2001:db8::1"):
        first, _ = await crowd.come(HERE, 2)
        if at == "in the line":
            first.cancel()
            await settled(door, 1)
    first.cancel()
    async with asyncio.timeout(5):
        await asyncio.gather(*crowd.tasks, return_exceptions=True)
    assert crowd.let_in == [HERE]
    assert (door.free, door.waiting) == (1, 0)
