"""What has ended is gone at once: nothing of it waits for the collector, which comes seldom."""

import asyncio
import gc
import os
import socket
import sys
import weakref

import pytest

from rtc.transport import Transport
from tests.rtc.media_house import ROOM, both, open_house
from tests.rtc.raw_client import Source

COUNT = (
    "import asyncio, gc; from rtc.worker import run; from storage.settings import Settings;"
    "asyncio.run(run(Settings.from_env())); print(gc.get_freeze_count())"
)


async def test_transports_of_who_has_left_are_gone_without_the_collector() -> None:
    """With their keys, OpenSSL's memory and what was sent: hundreds of kilobytes each."""
    async with open_house() as (worker, house):
        house.state(both("amina"), both("timur"))
        publish = await house.join("amina").publishing()
        watching, ssrc = await house.join("timur").watching("amina", "video")
        await house.stats()
        publish.send_rtp(Source("video").next(key=True))
        await watching.until(lambda: watching.received[ssrc].count == 1)
        seats = worker.rooms.rooms[ROOM].seats.values()
        pairs = [(seat.publish, seat.subscribe) for seat in seats]
        there = [weakref.ref(each) for pair in pairs for each in pair if each is not None]
        del pairs
        assert len(there) >= 3
        assert all(isinstance(each(), Transport) for each in there)
        gc.collect()
        gc.disable()
        try:
            house.leave("amina")
            house.leave("timur")
            await house.stats()
            assert [each() for each in there] == [None] * len(there)
        finally:
            gc.enable()


async def test_the_collector_passes_over_what_a_worker_has_loaded(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """A look through all modules takes tens of milliseconds, in which every call waits."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    home = tmp_path_factory.mktemp("h")  # a socket's path has at most 107 bytes
    env = {**os.environ, "YANASHA_HOME": str(home), "YANASHA_RTC_PORT": str(port)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", COUNT, env=env, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert b"ready" in await process.stdout.readline()
    process.terminate()
    said, _ = await process.communicate()
    assert int(said) > 10_000
