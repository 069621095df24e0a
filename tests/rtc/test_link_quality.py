"""The rows of how media fare: real packets over real UDP, the looks at a time of the test's own."""

import time

from aiortc.rtp import RtcpReceiverInfo, RtcpRrPacket, RtcpSenderInfo, RtcpSrPacket

from rtc import rtx
from rtc.messages import LinkRow, Quality
from rtc.quality import LOOK_EVERY_S, SILENT_S, Heard, Watch
from rtc.worker import Worker
from tests.rtc.media_house import ROOM, MediaHouse, both
from tests.rtc.raw_client import Source


def rows_of(watch: Watch, worker: Worker, now: float) -> dict[tuple[str, str], LinkRow]:
    """A look at the room."""
    rows = watch.rows(worker.rooms.rooms[ROOM].seats.values(), now)
    return {(each.member, each.direction): each for each in rows}


def report(ssrc: int, highest: int, lost: int, *, jitter: int = 0, lsr: int = 0) -> bytes:
    """A viewer's receiver report of one stream; the sender's report came 60 ms before it."""
    block = RtcpReceiverInfo(ssrc, 0, lost, highest, jitter, lsr, 65536 * 60 // 1000)
    return bytes(RtcpRrPacket(7, [block]))


async def test_rows_say_what_each_way_lost_and_carried(worker: Worker, house: MediaHouse) -> None:
    """Of a publisher what did not come, of a viewer what his reports say, with trip and jitter."""
    house.state(both("amina"), both("timur"))
    publish = await house.join("amina").publishing()
    viewer, ssrc = await house.join("timur").watching("amina", "video")
    await house.until(lambda: house.presence("timur") == (True, True, True))
    voice, picture = Source("audio"), Source("video")
    publish.send_rtp(voice.next())
    publish.send_rtp(picture.next(key=True))
    await viewer.until(lambda: len(viewer.received) == 2)
    subscribed = worker.rooms.rooms[ROOM].seats["timur"].subscribe
    assert subscribed is not None
    heard_ssrc = viewer.ssrc_of["amina", "audio"]
    viewer.send_rtcp(report(ssrc, 1000, 0) + report(heard_ssrc, 65530, 0))
    await house.stats_until(lambda _: len(subscribed.reports) == 2)
    now, watch = time.monotonic(), Watch()
    assert rows_of(watch, worker, now) == {}

    for n in range(100):
        voice_packet, packet = voice.next(), picture.next(size=1000)
        if n % 10 != 5:
            publish.send_rtp(packet)
        else:
            lost = packet
        publish.send_rtp(voice_packet)
    publish.send_rtcp(
        bytes(
            RtcpSrPacket(picture.ssrc, RtcpSenderInfo(1 << 40 | 5 << 32, picture.timestamp, 1, 1))
        )
    )
    # One of the ten is sent again: repaired, but lost on the way all the same.
    publish.send_rtp(bytes(rtx.wrap(lost, picture.ssrc ^ 1, 7)))
    received = viewer.received
    await viewer.until(lambda: received[ssrc].count == 92 and received[heard_ssrc].count == 101)
    leg = subscribed.watched[ssrc]
    await house.stats_until(lambda _: leg.layer is not None and leg.layer.report_middle != 0)
    assert leg.layer is not None
    leg.layer.report_at -= 0.25
    viewer.send_rtcp(
        report(ssrc, 1100, 4, jitter=4500, lsr=leg.layer.report_middle)
        + report(heard_ssrc, 65530 + 100, 1, jitter=960)
    )
    await house.stats_until(lambda _: subscribed.round_trip_s is not None)

    assert rows_of(watch, worker, now + LOOK_EVERY_S - 0.1) == {}
    for track in worker.rooms.rooms[ROOM].seats["amina"].tracks.values():
        track.top.heard_at = now + LOOK_EVERY_S
    rows = rows_of(watch, worker, now + LOOK_EVERY_S)
    up, down = rows["amina", "publish"], rows["timur", "subscribe"]
    assert (up.packets, up.lost, up.ms) == (200, 10, 5000)
    assert (down.packets, down.lost) == (200, 5)
    assert down.rtt_ms is not None
    assert 190 <= down.rtt_ms < 300
    assert down.jitter_ms == 20  # the voice's 960 of 48000 a second, not the picture's 50
    assert 130 <= down.kbps <= 170  # 90 pictures of 1,012 bytes and 100 of sound in five seconds
    assert not down.silent
    silent = rows_of(watch, worker, now + LOOK_EVERY_S + SILENT_S + 1)
    assert silent["timur", "subscribe"].silent
    assert silent["timur", "subscribe"].packets == 0


async def test_the_worker_tells_rows_by_itself(worker: Worker, house: MediaHouse) -> None:
    """The room's clock says them once there is something to compare, and not oftener."""
    house.state(both("amina"), both("timur"))
    await house.join("amina").publishing()
    room = worker.rooms.rooms[ROOM]
    now = time.monotonic()
    for passed in (5.0, 6.0, 10.0, 11.0):
        room.tick(now + passed, reports=True)
    await house.until(lambda: any(isinstance(each, Quality) for each in house.heard))
    await house.stats()
    told = [each for each in house.heard if isinstance(each, Quality)]
    assert len(told) <= 2
    assert {(each.room, row.member) for each in told for row in each.rows} == {(ROOM, "amina")}


def test_a_repaired_loss_and_a_wrapped_count_are_no_nonsense() -> None:
    """Late packets make a report's sum smaller; its numbers go round; an older one says nothing."""
    heard = Heard()
    heard.take(0xFFFFFFF0, 9, 0)
    heard.take(0x10, 8, 0)
    assert heard.since() == (0x20, 0)
    heard.take(0x0, 8, 0)
    assert heard.since() == (0, 0)
    heard.take(0x20, 10, 0)
    assert heard.since() == (0x20, 2)
