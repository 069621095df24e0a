"""A lesson's room: the presenter to all, within measure, whatever the links do."""

import asyncio
import struct

import pytest
from aiortc.rtp import RTCP_PSFB_APP, RtcpPacket, RtcpPsfbPacket, unpack_remb_fci

from rtc.messages import FLOOR, RoomState
from rtc.stage import FLOOR_BPS
from rtc.track import BURST_S, SENDING_S, TOLERANCE
from rtc.worker import Worker
from tests.rtc.lesson_class import EVERYTHING, Class, open_class, sources
from tests.rtc.media_house import LESSON, ROOM, MediaHouse, both
from tests.rtc.raw_client import RawTransport, Source


async def test_every_pupil_gets_camera_voice_and_screen(house: MediaHouse) -> None:
    """Each kind of the teacher reaches each pupil on its own line."""
    room = await open_class(house, "p1", "p2", "p3")
    await room.teach()
    for name in ("p1", "p2", "p3"):
        for kind in EVERYTHING:
            await room.hears(name, "teacher", kind, 1)
            assert len(room.heard(name, "teacher", kind)) == 1


async def test_a_class_of_thirty_joins(house: MediaHouse) -> None:
    """Thirty pupils each receive every kind."""
    names = [f"pupil-{n}" for n in range(30)]
    room = await open_class(house, *names)
    await room.teach()
    for name in names:
        for kind in EVERYTHING:
            await room.hears(name, "teacher", kind, 1)


async def test_the_offers_of_a_lesson_are_laid_out_once(house: MediaHouse) -> None:
    """A pupil has five lines to watch, the teacher the floor's two and three to publish, in H264."""
    room = await open_class(house, "p1")
    pupil, teacher = room.pages["p1"], room.pages["teacher"]
    [watched] = pupil.offers
    lines = [(each.mid, each.member, each.kind) for each in watched.tracks]
    assert lines == [
        ("0", "teacher", "audio"),
        ("1", "teacher", "video"),
        ("2", "teacher", "screen"),
        ("3", FLOOR, "audio"),
        ("4", FLOOR, "video"),
    ]
    offers = {each.direction: each for each in teacher.offers}
    floor = [(each.mid, each.member, each.kind) for each in offers["subscribe"].tracks]
    assert floor == [("0", FLOOR, "audio"), ("1", FLOOR, "video")]
    assert [each.kind for each in offers["publish"].tracks] == EVERYTHING
    assert "VP8" not in watched.sdp + offers["publish"].sdp
    assert "profile-level-id=42e01f" in watched.sdp
    assert "profile-level-id=42e028" in watched.sdp


async def test_presence_tells_of_the_screen(house: MediaHouse) -> None:
    """The screen is there while it has a grant, which the teacher's page takes by not sharing."""
    room = await open_class(house, "p1")
    await house.until(lambda: getattr(house.seen("teacher"), "screen", False))
    room.grants["teacher"] = ["audio", "video"]
    room.say()
    await house.until(lambda: not getattr(house.seen("teacher"), "screen", True))
    assert house.presence("teacher") == (True, True, True)
    assert house.presence("p1") == (True, False, False)
    assert len(room.pages["teacher"].offers) == 2


async def test_a_pupil_cannot_have_a_screen(house: MediaHouse) -> None:
    """Neither his page's word nor a grant by mistake opens a screen: the slot has none."""
    room = await open_class(house, "p1")
    await room.floor("p1", ["audio", "video", "screen"])
    publish = await room.pages["p1"].publishing()
    assert [each.kind for each in publish.tracks] == ["audio", "video"]
    before = (await house.stats()).dropped_no_grant
    publish.send_rtp(Source("screen", codec="h264").next(key=True))
    publish.send_rtp(Source("audio").next())
    await room.hears("teacher", FLOOR, "audio", 1)
    assert (await house.stats()).dropped_no_grant == before + 1


async def test_a_teacher_who_reloads_is_seen_again(house: MediaHouse) -> None:
    """The pupils get no offer: the presenter's lines are the room's, not his page's."""
    room = await open_class(house, "p1")
    await room.teach()
    await room.hears("p1", "teacher", "screen", 1)
    room.pages["teacher"] = house.join("teacher", room=LESSON, screen=True)
    await room.pages["teacher"].publishing()
    await house.until(lambda: house.presence("teacher") == (True, True, True))
    room.sources = sources()
    await room.teach()
    for kind in EVERYTHING:
        await room.hears("p1", "teacher", kind, 2)
        first, second = room.heard("p1", "teacher", kind)
        assert (second - first) & 0xFFFF == 1
    assert len(room.pages["p1"].offers) == 1


async def test_another_presenter_makes_the_room_anew(house: MediaHouse) -> None:
    """Each transport is told as remade; who joins again has the new presenter's lines."""
    room = await open_class(house, "p1", "deputy")
    house.lesson(room.grants | {"teacher": [], "deputy": EVERYTHING}, presenter="deputy")
    await house.until(lambda: len(house.failures()) == 4)
    assert {each.reason for each in house.failures()} == {"remade"}
    page = house.join("p1", room=LESSON)
    await page.watching("deputy", "screen")


async def test_an_empty_state_closes_the_lesson(house: MediaHouse, worker: Worker) -> None:
    """No room and no transport is left."""
    await open_class(house, "p1")
    house.lesson({})
    stats = await house.stats()
    assert (stats.rooms, stats.transports) == (0, 0)
    assert worker.port.sizes == (0, 0)


async def estimates(room: Class, name: str, bps: int) -> None:
    """A page's browser says what its link carries."""
    subscribe = room.pages[name].subscribe
    assert subscribe is not None
    fci = b"REMB" + bytes([1]) + ((bps >> 4) | 4 << 18).to_bytes(3, "big") + bytes(4)
    subscribe.send_rtcp(bytes(RtcpPsfbPacket(RTCP_PSFB_APP, 9, 0, fci)))


async def test_one_pupil_on_a_bad_link_does_not_blur_the_class(house: MediaHouse) -> None:
    """With ten viewers the two weakest estimates do not count; the third weakest does."""
    names = [f"pupil-{n}" for n in range(10)]
    room = await open_class(house, *names)
    publish = await room.pages["teacher"].publishing()
    for n, name in enumerate(names):
        await estimates(room, name, 160_000 + 100_000 * n)
    publish.send_rtp(room.sources["video"].next(key=True))
    await publish.until(lambda: 359_000 < max(told(publish), default=0) < 361_000)
    assert max(told(publish)) < 361_000


async def test_a_screen_no_longer_shared_takes_no_share(house: MediaHouse, worker: Worker) -> None:
    """A pupil's link is divided among the pictures that arrive, and the teacher told their sum."""
    room = await open_class(house, "p1")
    publish = await room.pages["teacher"].publishing()
    await estimates(room, "p1", 800_000)
    await room.teach()
    await publish.until(lambda: 799_000 < max(told(publish), default=0) < 801_000)
    stage = worker.rooms.rooms[LESSON].stage
    assert stage is not None
    stage.presented["screen"].top.heard_at -= 2 * SENDING_S
    count = len(told(publish))
    publish.send_rtp(room.sources["video"].next())
    await publish.until(lambda: len(told(publish)) > count)
    assert told(publish)[-1] == pytest.approx(800_000, rel=0.01)


async def test_a_pupil_s_picture_is_small_beside_the_lesson(house: MediaHouse) -> None:
    """Whatever the links carry, the floor's face gets no more than its part."""
    room = await open_class(house, "p1", "p2")
    await room.floor("p1", ["audio", "video"])
    publish = await room.pages["p1"].publishing()
    publish.send_rtp(Source("video", codec="h264").next(key=True))
    await publish.until(lambda: bool(told(publish)))
    assert told(publish)[0] == pytest.approx(FLOOR_BPS, rel=0.01)


async def test_who_has_the_floor_cannot_flood_the_class(house: MediaHouse) -> None:
    """Of 20 Mbit/s the viewers get twice the floor's part at most; the teacher is seen as ever."""
    room = await open_class(house, "p1", "p2")
    await room.floor("p1", ["audio", "video"])
    publish = await room.pages["p1"].publishing()
    camera, loop = Source("video", codec="h264"), asyncio.get_running_loop()
    size = len(camera.next(key=True, size=1100))
    began = loop.time()
    sent = 0
    while (passed_s := loop.time() - began) < 1.5:
        while sent * size * 8 < 20e6 * passed_s:
            publish.send_rtp(camera.next(key=True, size=1100))
            sent += 1
        await asyncio.sleep(0.01)
    await room.teach()
    await room.hears("p2", "teacher", "video", 1)
    await house.stats_until(lambda stats: stats.dropped_surplus > sent / 2)
    most = TOLERANCE * FLOOR_BPS * (loop.time() - began + BURST_S) / 8
    subscribe, ssrc = await room.pages["p2"].watching(FLOOR, "video")
    got = sum(map(len, subscribe.received[ssrc].packets))
    assert FLOOR_BPS / 8 < got <= most


async def test_the_floor_s_clock_is_hidden(house: MediaHouse) -> None:
    """The viewers' estimates are made of the teacher's send times alone."""
    room = await open_class(house, "p1", "p2")
    await room.floor("p1")
    extension = struct.pack("!HH", 0xBEDE, 2) + b"\x10\x80\x22\x01\x02\x03\x00\x00"
    for name, member in (("p1", FLOOR), ("teacher", "teacher")):
        plain = Source("audio").next()
        sent = bytes([plain[0] | 0x10]) + plain[1:12] + extension + plain[12:]
        (await room.pages[name].publishing()).send_rtp(sent)
        subscribe, ssrc = await room.pages["p2"].watching(member, "audio")
        await subscribe.until(lambda: bool(subscribe.received[ssrc].packets))  # noqa: B023
        got = subscribe.received[ssrc].packets[0][12:24]
        assert got == (extension.replace(b"\x22", b"\xe2") if member == FLOOR else extension)


def told(transport: RawTransport) -> list[int]:
    """Bit rates a page was told."""
    packets = [each for data in transport.rtcp for each in RtcpPacket.parse(data)]
    return [
        unpack_remb_fci(each.fci)[0]
        for each in packets
        if isinstance(each, RtcpPsfbPacket) and each.fmt == RTCP_PSFB_APP
    ]


async def test_a_visit_in_h264_is_a_visit(house: MediaHouse) -> None:
    """Without a presenter H264 changes the codec only."""
    house.link.send(RoomState(ROOM, 1, [both("amina"), both("timur")], "h264"))
    publish = await house.join("amina").publishing()
    subscribe, ssrc = await house.join("timur").watching("amina", "video")
    await house.until(lambda: house.presence("timur") == (True, True, True))
    sent = Source("video", codec="h264").next(key=True)
    publish.send_rtp(sent)
    await subscribe.until(lambda: subscribe.received[ssrc].count == 1)
    assert subscribe.received[ssrc].packets[0][12:] == sent[12:]
    assert struct.unpack_from("!B", sent, 1)[0] & 0x7F == 102


@pytest.mark.parametrize("junk", [b"", b"\x78", b"\x78\x00", b"\x7c", b"\x78\xff\xff\x67", b"\x00"])
async def test_a_malformed_packet_disturbs_nobody(house: MediaHouse, junk: bytes) -> None:
    """Nonsense under valid keys is held back or passed on; the next key frame arrives."""
    room = await open_class(house, "p1")
    publish = await room.pages["teacher"].publishing()
    camera = room.sources["video"]
    publish.send_rtp(camera.next()[:12] + junk)
    publish.send_rtp(camera.next(key=True))
    publish.send_rtp(camera.next()[:12] + junk)
    publish.send_rtp(camera.next(key=True))
    await room.hears("p1", "teacher", "video", 2)
