"""A lesson's room: the presenter to all, the floor to one at a time, nothing from anybody else."""

import asyncio
import struct
import time
from collections.abc import Sequence

import pytest
from aiortc.rtp import RTCP_PSFB_APP, RtcpPacket, RtcpPsfbPacket, unpack_remb_fci

from rtc.messages import FLOOR, Kind, Member, RoomState
from rtc.seat import GRANT_GRACE_S, MOST_REFUSED, TELL_AGAIN_S
from rtc.stage import FLOOR_BPS
from rtc.track import BURST_S, SENDING_S, TOLERANCE
from rtc.worker import Worker
from tests.rtc.media_house import LESSON, ROOM, MediaHouse, both
from tests.rtc.raw_client import RawPage, RawTransport, Source

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
    stage.presented["screen"].heard_at -= 2 * SENDING_S
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
