"""A recording hears what the viewers hear; the worker begins and ends it as the room says."""

import struct
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiortc.rtp import RtcpSenderInfo, RtcpSrPacket

from rtc.messages import (
    Kind,
    Recording,
    SegmentClosed,
    SegmentStored,
    TakeClosed,
    TakeStored,
)
from rtc.recording.spool import Spool
from rtc.worker import Worker
from storage.s3 import S3Objects
from tests.rtc.media_house import LESSON, MediaHouse, connected_to
from tests.rtc.raw_client import Source

GRANTS: dict[str, list[Kind]] = {"teacher": ["audio", "video", "screen"], "p1": []}


class Listener:
    """A tap that remembers."""

    def __init__(self) -> None:
        self.packets: list[bytes] = []
        self.reports: list[tuple[int, int]] = []
        self.restarts = 0

    def packet(self, packet: bytes, now: float) -> None:
        """One packet."""
        del now
        self.packets.append(packet)

    def report(self, ntp: int, rtp_timestamp: int, now: float) -> None:
        """One report."""
        del now
        self.reports.append((ntp, rtp_timestamp))

    def restarted(self) -> None:
        """Another source."""
        self.restarts += 1


async def test_a_tap_hears_what_the_viewers_hear(house: MediaHouse, worker: Worker) -> None:
    """The same packets, extensions and all, and the clock that belongs to them."""
    house.lesson(GRANTS)
    publish = await house.join("teacher", room=LESSON, screen=True).publishing()
    subscribe, ssrc = await house.join("p1", room=LESSON).watching("teacher", "audio")
    await house.until(lambda: house.presence("p1") == (True, False, False))
    await house.stats()
    stage = worker.rooms.rooms[LESSON].stage
    assert stage is not None
    taps = {name: Listener() for name in ("voice", "floor", "camera", "screen")}
    stage.tap(taps)
    voice, camera = Source("audio"), Source("video", codec="h264")
    publish.send_rtp(camera.next())  # not a key frame: nobody gets it
    for _ in range(3):
        publish.send_rtp(voice.next())
    publish.send_rtp(camera.next(key=True))
    info = RtcpSenderInfo(0xE5000000_80000000, voice.timestamp, 3, 240)
    publish.send_rtcp(bytes(RtcpSrPacket(voice.ssrc, info)))
    await subscribe.until(lambda: subscribe.received[ssrc].count == 3 and bool(subscribe.rtcp))
    assert taps["voice"].packets == subscribe.received[ssrc].packets
    last = struct.unpack_from("!I", taps["voice"].packets[-1], 4)[0]
    assert taps["voice"].reports == [(info.ntp_timestamp, last)]
    assert [each[12] for each in taps["camera"].packets] == [0x78]
    assert not taps["screen"].packets + taps["floor"].packets
    assert taps["voice"].restarts == 1


async def test_a_tap_hears_the_floor_and_its_changes(house: MediaHouse, worker: Worker) -> None:
    """Who speaks in the slot changes; the tap is told that the clock may be another."""
    house.lesson({**GRANTS, "p1": ["audio"], "p2": []})
    pages = {name: house.join(name, room=LESSON) for name in ("p1", "p2")}
    publish = await pages["p1"].publishing()
    stage = worker.rooms.rooms[LESSON].stage
    assert stage is not None
    floor = Listener()
    stage.tap({"floor": floor})
    await house.until(lambda: house.presence("p1") == (True, True, False))
    publish.send_rtp(Source("audio").next())
    await house.stats_until(lambda _: len(floor.packets) == 1)
    house.lesson({**GRANTS, "p2": ["audio"]})
    publish = await pages["p2"].publishing()
    await house.until(lambda: house.presence("p2") == (True, True, False))
    publish.send_rtp(Source("audio").next())
    await house.stats_until(lambda _: len(floor.packets) == 2)
    assert floor.restarts == 2
    first, second = (struct.unpack_from("!H", each, 2)[0] for each in floor.packets)
    assert (second - first) & 0xFFFF == 1


@pytest.fixture
async def recording_stage(objects: S3Objects) -> AsyncIterator[tuple[Worker, MediaHouse]]:
    """A worker that records into the tests' object store."""
    with tempfile.TemporaryDirectory(prefix="rtc-") as folder:
        path = Path(folder) / "link.sock"
        worker = Worker(
            path,
            "127.0.0.1",
            0,
            ("127.0.0.1",),
            open_spool=lambda tell: Spool(Path(folder) / "spool", lambda: objects, tell),
        )
        async with worker, connected_to(path) as house:
            yield worker, house


async def test_a_recording_lasts_from_the_word_to_the_word(
    recording_stage: tuple[Worker, MediaHouse], objects: S3Objects
) -> None:
    """The recorder lives while the room says so; its segments and its end are told until known."""
    worker, house = recording_stage
    take = Recording("take-1", time.time(), 0)
    house.lesson(GRANTS)
    publish = await house.join("teacher", room=LESSON, screen=True).publishing()
    room = worker.rooms.rooms[LESSON]
    assert room.recorder is None
    house.lesson(GRANTS, recording=take)
    await house.until(lambda: house.presence("teacher") == (True, True, True))
    await house.stats()  # the link keeps order: the worker has taken the state
    recorder = room.recorder
    assert recorder is not None
    publish.send_rtp(Source("audio").next())
    house.lesson({**GRANTS, "p2": []}, recording=take)
    await house.stats()
    assert room.recorder is recorder, "the same take goes on"
    assert room.stage is not None
    assert room.stage.presented["screen"].tap is recorder.taps["screen"]
    house.lesson(GRANTS)
    await house.until(lambda: any(isinstance(each, SegmentClosed) for each in house.heard))
    assert room.recorder is None
    assert room.stage.presented["screen"].tap is None
    segments = {each.start_ms: each for each in house.heard if isinstance(each, SegmentClosed)}
    for start_ms in segments:
        house.link.send(SegmentStored(LESSON, "take-1", start_ms))
    await house.until(lambda: any(isinstance(each, TakeClosed) for each in house.heard))
    house.link.send(TakeStored(LESSON, "take-1"))
    await house.stats()
    assert f"lessons/{LESSON}/take-1/init.mp4" in await objects.keys(f"lessons/{LESSON}/take-1/")
    house.heard.clear()
    async with connected_to(worker.link_path) as later:
        await later.stats()
        assert not [each for each in later.heard if isinstance(each, SegmentClosed | TakeClosed)]


async def test_a_new_link_is_told_what_is_not_yet_known(
    recording_stage: tuple[Worker, MediaHouse],
) -> None:
    """A segment without an answer is announced to the next API at once."""
    worker, house = recording_stage
    # Begun a second ago: a take that ends in the millisecond it began in has nothing to tell.
    house.lesson(GRANTS, recording=Recording("take-2", time.time() - 1, 0))
    await house.stats()
    house.lesson({})
    await house.until(lambda: any(isinstance(each, SegmentClosed) for each in house.heard))
    async with connected_to(worker.link_path) as later:
        await later.stats()
        assert any(isinstance(each, SegmentClosed) for each in later.heard)
