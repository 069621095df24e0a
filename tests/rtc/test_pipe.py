"""A lesson over two workers: what its home numbers is what a branch's viewers get."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from typing import cast

import pytest
from aiortc.rtp import RTCP_PSFB_APP, RtcpPsfbPacket, RtcpRtpfbPacket, pack_remb_fci

from rtc.fed import FedStage
from rtc.feedback import target_bps
from rtc.leg import Leg
from rtc.messages import FLOOR, Join, Member, RoomState
from rtc.pipe import MOST_BYTES, SUFFIX, WORDS, Enter, Wishes, items, said
from rtc.rooms import REPORT_EVERY_S
from rtc.track import RTPFB_NACK
from tests.rtc.lesson_class import EVERYTHING, Class
from tests.rtc.media_house import LESSON, MediaHouse
from tests.rtc.raw_client import RawTransport, Source
from tests.rtc.test_lesson_floor import plis
from tests.rtc.two_workers import School, open_school


@pytest.fixture
async def school() -> AsyncIterator[School]:
    """Two workers; the first pupil watches at home, the second in the branch."""
    async with open_school() as opened:
        yield opened


def subscribed(room: Class, name: str) -> RawTransport:
    """A page's connection for what it watches."""
    transport = room.pages[name].subscribe
    assert transport is not None
    return transport


def packets(room: Class, name: str) -> dict[int, list[bytes]]:
    """What a viewer has got, by SSRC."""
    received = subscribed(room, name).received
    return {ssrc: each.packets for ssrc, each in received.items() if each.packets}


async def test_a_branch_gets_the_same_bytes(school: School) -> None:
    """A pupil in the other worker gets every packet of the teacher as one at home does."""
    room = await school.open_class("p1", "p2", "p3")
    for _ in range(5):
        await room.teach()
    for name in ("p1", "p2", "p3"):
        for kind in EVERYTHING:
            await room.hears(name, "teacher", kind, 5)
    here, there, too = (packets(room, name) for name in ("p1", "p2", "p3"))
    assert here == there == too
    assert [len(each) for each in here.values()] == [5, 5, 5]
    home, branch = school.rooms
    assert (home.sitting, branch.sitting) == (["teacher", "p1", "p3"], ["p2"])


async def test_a_revoked_grant_ends_in_the_branch_at_once(school: School) -> None:
    """Nothing sent after it comes; the voice that still may goes on."""
    room = await school.open_class("p1", "p2")
    await room.teach()
    for kind in EVERYTHING:
        await room.hears("p2", "teacher", kind, 1)
    room.grants["teacher"] = ["audio"]
    began = time.monotonic()
    room.say()
    await school.flows(room)
    assert time.monotonic() - began < 0.5
    for _ in range(10):
        await room.teach()
    await room.hears("p2", "teacher", "audio", 11)
    assert [len(room.heard("p2", "teacher", kind)) for kind in EVERYTHING] == [11, 1, 1]


async def test_a_branch_drops_by_its_own_grants(school: School) -> None:
    """A home that goes on sending what has lost its grant is not believed."""
    room = await school.open_class("p1", "p2")
    branch = school.rooms[1]
    kinds = {"teacher": ["audio"]}
    members = [
        Member(name, kinds.get(name, []), seat.grants.subscribe)
        for name, seat in branch.seats.items()
    ]
    state = RoomState(LESSON, branch.version + 1, members, "h264", "teacher", home="a")
    school.branch.rooms.take(state)
    for _ in range(3):
        await room.teach()
    for kind in EVERYTHING:
        await room.hears("p1", "teacher", kind, 3)
    await room.hears("p2", "teacher", "audio", 3)
    assert [len(room.heard("p2", "teacher", kind)) for kind in EVERYTHING] == [3, 0, 0]
    others = [each for each in members if each.member != "teacher"]
    state = RoomState(LESSON, branch.version + 1, others, "h264", "teacher", home="a")
    school.branch.rooms.take(state)
    assert not any(each.live for each in school.tracks[1])


async def test_the_floor_moves_over_the_pipe(school: School) -> None:
    """Who watches in the branch is heard at home, and nobody hears himself; no offer is needed."""
    room = await school.open_class("p1", "p2", "p3")
    offers = len(room.pages["p1"].offers)
    for turn, name in enumerate(("p2", "p3"), start=1):
        await room.floor(name)
        await school.flows(room)
        publish, voice = await room.pages[name].publishing(), Source("audio")
        for _ in range(3):
            publish.send_rtp(voice.next())
        for listener in ("teacher", "p1"):
            await room.hears(listener, FLOOR, "audio", 3 * turn)
    await room.teach()
    await room.hears("p2", "teacher", "audio", 1)
    assert len(room.heard("p2", FLOOR, "audio")) == 3
    got = room.heard("p1", FLOOR, "audio")
    assert got == [(got[0] + n) & 0xFFFF for n in range(6)]
    assert len(room.pages["p1"].offers) == offers


async def test_a_holder_in_the_branch_hears_the_floor_again_after_a_long_turn(
    school: School,
) -> None:
    """Nobody else there needed it meanwhile; SRTP would take the present numbers for old ones."""
    room = await school.open_class("p1", "p2")
    for name, ahead in (("p1", 0), ("p2", 0x2800), ("p1", 0)):
        await room.floor(name)
        await school.flows(room)
        publish = await room.pages[name].publishing()
        voice = Source("audio", sequence=0x9000)
        for _ in range(5):
            publish.send_rtp(last := voice.next())
            voice.sequence += ahead
        if ahead or not room.heard("p2", FLOOR, "audio"):
            await room.hears("p1" if ahead else "p2", FLOOR, "audio", 5)
    last = (room.heard("p1", FLOOR, "audio")[-1] + 5) & 0xFFFF
    await subscribed(room, "p2").until(lambda: room.heard("p2", FLOOR, "audio")[-1] == last)


async def test_the_branch_repairs_what_its_viewers_lost(school: School) -> None:
    """From a ring of its own: the home hears nothing of it."""
    room = await school.open_class("p1", "p2")
    await room.teach()
    for kind in EVERYTHING:
        await room.hears("p2", "teacher", kind, 1)
    viewer = subscribed(room, "p2")
    ssrc = viewer.ssrc_of["teacher", "video"]
    publish = await room.pages["teacher"].publishing()
    viewer.lose = 1
    sent = [room.sources["video"].next() for _ in range(2)]
    for packet in sent:
        publish.send_rtp(packet)
    await room.hears("p2", "teacher", "video", 2)
    lost = (room.heard("p2", "teacher", "video")[-1] - 1) & 0xFFFF
    viewer.send_rtcp(bytes(RtcpRtpfbPacket(RTPFB_NACK, 1, ssrc, lost=[lost])))
    await room.hears("p2", "teacher", "video", 3)
    assert viewer.received[ssrc].packets[-1][12:] == sent[0][12:]
    assert (school.home.stats().resent, school.branch.stats().resent) == (0, 1)


async def test_a_key_frame_wish_reaches_the_publisher(school: School) -> None:
    """Once a viewer in the branch cannot decode, the teacher's page is asked."""
    room = await school.open_class("p1", "p2")
    await room.teach()
    await room.hears("p2", "teacher", "video", 1)
    publish = await room.pages["teacher"].publishing()
    home, branch = school.camera()
    await school.until(lambda: branch[-1].arrives(0.0) and not home[-1].key_wanted)
    asked = len(plis(publish))
    next(iter(branch[-1].legs)).ask_key_frame(time.monotonic())
    await publish.until(lambda: len(plis(publish)) > asked)


def test_a_branch_asks_for_no_key_frame_that_nobody_there_waits_for() -> None:
    """Its packets come no more, so the wish would never end, and the whole class pay for it."""
    camera = FedStage("teacher", "h264", (*range(2, 9),)).fed[1]
    camera.hear([(True, 1)] * 3)
    camera.live = camera.top.key_wanted = True
    assert camera.keys(0.0) == []
    camera.top.legs.append(cast("Leg", None))
    assert camera.keys(0.0) == [2]


async def test_a_weak_link_in_the_branch_counts_for_the_publisher(school: School) -> None:
    """What its viewers' links carry is told to the home, which asks the teacher for no more."""
    room = await school.open_class("p1", "p2")
    await room.teach()
    for kind in EVERYTHING:
        await room.hears("p2", "teacher", kind, 1)
    (home, _), viewer = [tracks[2] for tracks in school.tracks], subscribed(room, "p2")
    (outlet,) = home.outlets
    assert outlet.shares[home] == (1, [])
    fci = pack_remb_fci(400_000, [viewer.ssrc_of["teacher", "screen"]])
    viewer.send_rtcp(bytes(RtcpPsfbPacket(RTCP_PSFB_APP, 1, 0, fci)))
    rate = next(iter(school.tracks[1][2].legs)).transport.rate
    assert rate is not None
    await school.until(lambda: rate.heard_bps is not None)
    now = time.monotonic()
    school.branch.rooms.tick(now + REPORT_EVERY_S)
    await school.until(lambda: outlet.shares[home] == (1, [rate.share(now)]))
    assert target_bps(home, now) == rate.share(now) <= 400_000


async def test_only_layers_that_are_watched_go_through_the_pipe(school: School) -> None:
    """Another one begins with the wish for it, and ends when nobody in the branch has it."""
    await school.open_class("p1", "p2")
    home, branch = school.camera()
    assert [bool(each.outlets) for each in home] == [False, False, True]
    (leg,) = branch[-1].legs
    leg.want(branch[0], time.monotonic())
    await school.until(lambda: [bool(each.outlets) for each in home] == [True, False, True])
    leg.off()
    branch[0].waiting.clear()
    await school.until(lambda: [bool(each.outlets) for each in home] == [False, False, False])


async def test_a_lost_branch_sends_its_viewers_home(school: School) -> None:
    """The pupil gets a new offer from the home, and the rest of the lesson; nobody else notices."""
    room = await school.open_class("p1", "p2")
    lost = subscribed(room, "p2")
    offers = {name: len(page.offers) for name, page in room.pages.items()}
    await school.end_branch.aclose()
    await room.pages["p2"].until(lambda: room.pages["p2"].subscribe is not lost)
    await school.until(lambda: [len(each.legs) for each in school.tracks[0][:3]] == [2, 2, 2])
    await room.teach()
    for kind in EVERYTHING:
        await room.hears("p2", "teacher", kind, 1)
    offered = {name: len(page.offers) - offers[name] for name, page in room.pages.items()}
    assert offered == {"teacher": 0, "p1": 0, "p2": 1}


async def test_a_home_that_is_gone_is_replaced(school: School) -> None:
    """The branch's worker is the new home: everybody joins there and the lesson goes on."""
    room = await school.open_class("p1", "p2")
    before = [each.ssrc for each in school.tracks[0]]
    await school.end_home.aclose()
    await school.house.until(lambda: school.house.ups[2:] == [school.branch.id])
    await school.until(lambda: not school.rooms)
    school.house.version = 1000  # the API's is a clock
    await room.begin()
    (home,) = school.rooms
    assert (home.home, home.sitting) == ("", ["teacher", "p1", "p2"])
    assert home.stage is not None
    assert {each.ssrc for each in home.stage.tracks}.isdisjoint(before)
    await room.teach()
    for name in ("p1", "p2"):
        await room.hears(name, "teacher", "video", 1)


async def test_a_burst_goes_through_whole(school: School) -> None:
    """More than a message holds, before the branch has had its turn."""
    room = await school.open_class("p1", "p2")
    publish, screen = await room.pages["teacher"].publishing(), room.sources["screen"]
    publish.send_rtp(screen.next(key=True, size=1300))
    for _ in range(99):
        publish.send_rtp(screen.next(size=1300))
    await room.hears("p2", "teacher", "screen", 100)
    assert packets(room, "p1") == packets(room, "p2")
    assert school.home.stats().dropped_pipe == 0


async def test_a_branch_that_is_behind_holds_up_nobody(school: School) -> None:
    """What its pipe does not take is dropped and counted; a key frame follows once it takes more."""
    room = await school.open_class("p1", "p2")
    publish, screen = await room.pages["teacher"].publishing(), room.sources["screen"]
    publish.send_rtp(screen.next(key=True))
    await room.hears("p2", "teacher", "screen", 1)
    inlet, loop = school.rooms[1].spread._inlet, asyncio.get_running_loop()
    assert inlet is not None
    assert inlet._socket is not None
    loop.remove_reader(inlet._socket)
    (outlet,) = school.rooms[0].spread.outlets
    outlet._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
    for sent in range(12):
        for _ in range(24):
            publish.send_rtp(screen.next(size=1300))
        await room.hears("p1", "teacher", "screen", 1 + 24 * (sent + 1))
        if school.home.stats().dropped_pipe:
            break
    assert school.home.stats().dropped_pipe > 0
    home, asked = school.tracks[0][2].top, len(plis(publish))
    outlet._has_dropped, outlet._has_gap, home.key_wanted = True, False, False
    outlet.repair(time.monotonic())
    assert not home.key_wanted, "what it does not take helps nobody"
    loop.add_reader(inlet._socket, inlet._readable)
    async with asyncio.timeout(10):
        while outlet._has_dropped or len(plis(publish)) == asked:
            publish.send_rtp(screen.next(size=1300))
            await school.until(lambda: not outlet._count)
    count = len(room.heard("p2", "teacher", "screen"))
    publish.send_rtp(screen.next(key=True))
    await room.hears("p2", "teacher", "screen", count + 1)


async def test_only_a_lesson_that_lives_here_lets_a_pipe_in(school: School) -> None:
    """Another room, another word, or nonsense: the door is closed; and only we may knock."""
    await school.open_class("p1", "p2")
    path = school.home.link_path.with_suffix(SUFFIX)
    assert path.stat().st_mode & 0o777 == 0o600
    strange = [said(Enter("elsewhere")), said(Wishes([], [], [])), b"\x07", b"", bytes(100)]
    outlets = school.rooms[0].spread.outlets
    for words in (*strange, said(Enter(LESSON))):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as pipe:
            pipe.setblocking(False)
            pipe.connect(str(path))
            pipe.send(words)
            if words == said(Enter(LESSON)):
                assert next(items(memoryview(await heard(pipe)))).what == WORDS
                assert len(outlets) == 2
                pipe.send(said(Wishes([(9, 0)], [], [])))
            assert await heard(pipe) == b""
    assert len(outlets) == 1


async def heard(pipe: socket.socket) -> bytes:
    """The next message of a pipe; empty when it is closed."""
    return await asyncio.get_running_loop().sock_recv(pipe, MOST_BYTES)


async def test_a_new_api_finds_everybody_where_he_watches(school: School) -> None:
    """Media go on while it restarts, and nobody gets another offer from it."""
    room = await school.open_class("p1", "p2")
    viewer = subscribed(room, "p2")
    await school.house.link.__aexit__(None, None, None)
    paths = school.home.link_path, school.branch.link_path
    house = room.house = MediaHouse(*paths, most_viewers=1)
    house.version = 1000  # the API's is a clock
    async with house.link:
        await house.until(lambda: len(house.ups) == 2)
        room.say()
        for name, page in room.pages.items():
            living = [each.id for each in page.transports.values()]
            house.pages[name] = page
            house.link.send(Join(LESSON, name, True, True, living, True))
        await house.until(lambda: getattr(house.seen("p2"), "connected", False))
        school.house = house
        await school.flows(room)
        await room.teach()
        await room.hears("p2", "teacher", "video", 1)
    assert subscribed(room, "p2") is viewer
    assert school.rooms[1].sitting == ["p2"]
    assert not house.failures()
