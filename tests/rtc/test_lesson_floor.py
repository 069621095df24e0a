"""The floor of a lesson: one at a time, and nothing from anybody else."""

import time

from aiortc.rtp import RtcpPacket, RtcpPsfbPacket

from rtc.messages import FLOOR, Member
from rtc.seat import GRANT_GRACE_S, MOST_REFUSED, TELL_AGAIN_S
from rtc.worker import Worker
from tests.rtc.lesson_class import open_class
from tests.rtc.media_house import LESSON, MediaHouse, both
from tests.rtc.raw_client import RawTransport, Source


async def test_the_floor_is_heard_by_all_but_its_holder(house: MediaHouse) -> None:
    """Only that microphone reaches the teacher and the other pupils; his picture has no grant."""
    room = await open_class(house, "p1", "p2", "p3")
    await room.floor("p2")
    publish = await room.pages["p2"].publishing()
    voice, picture = Source("audio"), Source("video", codec="h264")
    publish.send_rtp(picture.next(key=True))
    publish.send_rtp(voice.next())
    for name in ("teacher", "p1", "p3"):
        await room.hears(name, FLOOR, "audio", 1)
        assert room.heard(name, FLOOR, "video") == []
    await room.teach()
    await room.hears("p2", "teacher", "audio", 1)  # sent after: what he would hear has come
    assert room.heard("p2", FLOOR, "audio") == []


async def test_the_floor_moves_without_an_offer(house: MediaHouse) -> None:
    """Numbers go on under the same SSRC, and only the pupil who got the floor hears of it."""
    room = await open_class(house, "p1", "p2", "p3")
    counts = {name: len(page.offers) for name, page in room.pages.items()}
    for turn, name in enumerate(("p1", "p2"), start=1):
        await room.floor(name)
        voice = Source("audio")
        for _ in range(5):
            (await room.pages[name].publishing()).send_rtp(voice.next())
        await room.hears("p3", FLOOR, "audio", 5 * turn)
    got = room.heard("p3", FLOOR, "audio")
    assert got == [(got[0] + n) & 0xFFFF for n in range(10)]
    assert len(room.heard("p1", FLOOR, "audio")) == 5
    offered = {name: len(page.offers) - counts[name] for name, page in room.pages.items()}
    assert offered == {"teacher": 0, "p1": 1, "p2": 1, "p3": 0}


async def test_the_floor_taken_stops_with_the_next_packet(house: MediaHouse) -> None:
    """Nothing sent after the grant has ended is heard, by anybody."""
    room = await open_class(house, "p1", "p2")
    await room.floor("p1")
    publish = await room.pages["p1"].publishing()
    voice = Source("audio")
    publish.send_rtp(voice.next())
    await room.hears("p2", FLOOR, "audio", 1)
    await room.floor(None)
    before = (await house.stats()).dropped_no_grant
    for _ in range(20):
        publish.send_rtp(voice.next())
    await dropped(house, before + 20)
    await room.teach()
    for name in ("p2", "teacher"):
        assert len(room.heard(name, FLOOR, "audio")) == 1


async def dropped(house: MediaHouse, count: int) -> None:
    """Waits until the worker has refused so many packets."""
    await house.stats_until(lambda stats: stats.dropped_no_grant >= count)


async def test_a_new_holder_is_seen_from_a_key_frame_on(house: MediaHouse) -> None:
    """Delta frames of the new source are held back and a key frame is asked for at once."""
    room = await open_class(house, "p1", "p2")
    await room.floor("p1", ["audio", "video"])
    first = Source("video", codec="h264")
    publish = await room.pages["p1"].publishing()
    publish.send_rtp(first.next(key=True))
    await room.hears("p2", FLOOR, "video", 1)
    await room.floor("p2", ["audio", "video"])
    publish, picture = await room.pages["p2"].publishing(), Source("video", codec="h264")
    publish.send_rtp(picture.next())
    await publish.until(lambda: bool(plis(publish)))
    publish.send_rtp(picture.next())
    sent = [picture.next(key=True), picture.next()]
    for packet in sent:
        publish.send_rtp(packet)
    subscribe, ssrc = await room.pages["teacher"].watching(FLOOR, "video")
    await subscribe.until(lambda: subscribe.received[ssrc].count >= 3)
    got = subscribe.received[ssrc]
    assert [each[12:] for each in got.packets[1:]] == [each[12:] for each in sent]
    assert got.sequences == [(got.sequences[0] + n) & 0xFFFF for n in range(3)]


def plis(transport: RawTransport) -> list[RtcpPsfbPacket]:
    """Key-frame requests a page has got."""
    packets = [each for data in transport.rtcp for each in RtcpPacket.parse(data)]
    return [each for each in packets if isinstance(each, RtcpPsfbPacket) and each.fmt == 1]


async def test_a_holder_hears_the_floor_again_after_a_long_turn(house: MediaHouse) -> None:
    """Also when so many numbers have passed meanwhile that SRTP would take them for old ones."""
    room = await open_class(house, "p1", "p2")
    await room.floor("p2")
    voice = Source("audio")
    (await room.pages["p2"].publishing()).send_rtp(voice.next())
    await room.hears("p1", FLOOR, "audio", 1)
    await room.floor("p1")
    voice, publish = Source("audio"), await room.pages["p1"].publishing()
    publish.send_rtp(voice.next())
    for _ in range(4):  # what an hour of talking does to the number
        voice.sequence += 0x2800
        publish.send_rtp(voice.next())
    await room.hears("p2", FLOOR, "audio", 5)
    await room.floor("p2")
    publish, voice = await room.pages["p2"].publishing(), Source("audio")
    publish.send_rtp(last := voice.next())
    subscribe, ssrc = await room.pages["p1"].watching(FLOOR, "audio")
    await subscribe.until(lambda: subscribe.received[ssrc].packets[-1][12:] == last[12:])
    others = room.heard("p2", FLOOR, "audio")
    assert (room.heard("p1", FLOOR, "audio")[-1] - others[-1]) & 0xFFFF == 1


async def test_a_pupil_who_goes_on_sending_is_told_once(house: MediaHouse, worker: Worker) -> None:
    """His packets reach nobody; one Trespass a grant, and a new grant begins a new count."""
    room = await open_class(house, "p1", "p2")
    await room.floor("p1")
    publish, voice = await room.pages["p1"].publishing(), Source("audio")
    for turn in (1, 2):
        await room.floor(None)
        worker.rooms.rooms[LESSON].seats["p1"]._ended_at["audio"] -= GRANT_GRACE_S
        for half in (1, 2):
            for _ in range(2 * MOST_REFUSED):
                publish.send_rtp(voice.next())
            await dropped(house, 2 * MOST_REFUSED * (2 * turn + half - 2))
            worker.rooms.tick(time.monotonic())
            await house.stats()
            assert len(house.trespasses()) == turn
        await room.floor("p1")
        assert len(house.trespasses()) == turn
    assert {(each.member, each.kind) for each in house.trespasses()} == {("p1", "audio")}
    assert room.heard("p2", FLOOR, "audio") == []


async def test_what_was_under_way_is_no_trespass(house: MediaHouse, worker: Worker) -> None:
    """Packets within a second of the grant's end do not count, nor fifty after; who goes on is told again."""
    room = await open_class(house, "p1")
    await room.floor("p1")
    publish, voice = await room.pages["p1"].publishing(), Source("audio")
    await room.floor(None)
    seat = worker.rooms.rooms[LESSON].seats["p1"]
    for _ in range(10 * MOST_REFUSED):
        publish.send_rtp(voice.next())
    await dropped(house, 10 * MOST_REFUSED)
    ended = seat._ended_at["audio"]
    assert seat.trespasses(ended + GRANT_GRACE_S / 2) == []
    seat._ended_at["audio"] = ended - GRANT_GRACE_S
    for _ in range(MOST_REFUSED):
        publish.send_rtp(voice.next())
    await dropped(house, 11 * MOST_REFUSED)
    assert seat.trespasses(ended + GRANT_GRACE_S) == []
    publish.send_rtp(voice.next())
    await house.until(lambda: len(house.trespasses()) == 1)
    seat._ended_at["audio"] -= TELL_AGAIN_S
    for _ in range(2 * MOST_REFUSED):
        publish.send_rtp(voice.next())
    await dropped(house, 13 * MOST_REFUSED)
    assert seat.trespasses(time.monotonic() + TELL_AGAIN_S) == ["audio"]


async def test_a_pupil_who_sends_where_he_should_watch_is_told(house: MediaHouse) -> None:
    """One packet on the subscribe transport is enough, and nobody gets it."""
    room = await open_class(house, "p1", "p2")
    subscribe = room.pages["p1"].subscribe
    assert subscribe is not None
    subscribe.send_rtp(Source("screen", codec="h264").next(key=True))
    subscribe.send_rtp(Source("audio").next())
    await house.until(lambda: len(house.trespasses()) == 2)
    assert {each.kind for each in house.trespasses()} == {"audio", "screen"}
    assert {each.member for each in house.trespasses()} == {"p1"}
    other = room.pages["p2"].subscribe
    assert other is not None
    assert not other.received


async def test_a_visit_tells_of_no_trespass(house: MediaHouse, worker: Worker) -> None:
    """Who mutes himself in a visit may go on sending silence."""
    house.state(both("amina"), both("timur"))
    publish = await house.join("amina").publishing()
    house.state(Member("amina", [], subscribe=True), both("timur"))
    await house.stats()
    voice = Source("audio")
    for _ in range(2 * MOST_REFUSED):
        publish.send_rtp(voice.next())
    await dropped(house, 2 * MOST_REFUSED)
    worker.rooms.tick(time.monotonic() + GRANT_GRACE_S)
    await house.stats()
    assert house.trespasses() == []
