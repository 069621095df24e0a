"""A viewer who changes between layers sees one stream: packets through the hot path, no network."""

import random
import socket
import struct
from collections.abc import Callable
from itertools import pairwise
from types import SimpleNamespace
from typing import NamedTuple, Self

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pylibsrtp import Policy, Session

from rtc import srtp, vp8
from rtc.fan_out import PythonFanOut
from rtc.feedback import target_bps
from rtc.forward import Counters, Forwarder
from rtc.key_frames import BEGINS_WHOLE_PICTURE
from rtc.layer import Layer
from rtc.leg import Leg
from rtc.messages import Codec
from rtc.ring import KEEP_S
from rtc.rtx import wrap
from rtc.sdp import PAYLOAD_TYPE
from rtc.simulcast import RIDS
from rtc.track import Track
from tests.rtc.raw_client import h264, rtp

FRAME_S = 1 / 30
PACKETS = 2  # a frame
LOSS = 0.1
LATE_FRAMES = 1.5


def named(packet: bytes, rid: str, number: int = 10) -> bytes:
    """The packet with a rid extension."""
    element = bytes([number << 4 | len(rid) - 1]) + rid.encode()
    element += bytes(-len(element) % 4)
    head = struct.pack("!HH", 0xBEDE, len(element) // 4) + element
    return bytes([packet[0] | 0x10]) + packet[1:12] + head + packet[12:]


class Stream:
    """One layer as a browser sends it, with numbers of its own that are about to wrap."""

    def __init__(self, rid: str, codec: Codec, rng: random.Random) -> None:
        self.rid, self.codec = rid, codec
        self.ssrc = rng.getrandbits(32) | 1
        self.sequence = rng.choice([0, 7, 65_500, rng.getrandbits(16)])
        self.timestamp = rng.choice([0, (1 << 32) - 5000, rng.getrandbits(32)])
        self.picture_id = rng.choice([5, 0x7FFC, rng.getrandbits(15)])
        self.tl0 = rng.getrandbits(8)

    def frame(self, *, key: bool) -> list[bytes]:
        """The packets of the next picture, each with its number at the end of its payload."""
        self.timestamp += 3000
        self.picture_id = (self.picture_id + 1) & 0x7FFF
        self.tl0 = (self.tl0 + 1) & 0xFF
        packets = []
        for n in range(PACKETS):
            self.sequence += 1
            payload = self._payload(key=key and n == 0, first=n == 0)
            payload += self.rid.encode() + struct.pack("!H", self.sequence & 0xFFFF)
            number = PAYLOAD_TYPE[self.codec]["video"]
            plain = rtp(number, self.sequence, self.timestamp, self.ssrc, payload)
            packets.append(named(plain, self.rid))
        return packets

    def _payload(self, *, key: bool, first: bool) -> bytes:
        if self.codec == "h264":
            return h264(key=key, size=40)
        picture = struct.pack("!H", 0x8000 | self.picture_id) + bytes([self.tl0, 0x20])
        return (b"\x90" if first else b"\x80") + b"\xe0" + picture + bytes([not key]) * 9


class Seen(NamedTuple):
    """What a viewer got: his numbers, and where they come from."""

    number: int  # without wrapping
    rid: str
    source: int
    timestamp: int
    begins: bool
    ids: vp8.Ids
    at: float
    data: bytes


class Scene:
    """A publisher of three layers, one viewer, and the worker's hot path between them."""

    def __init__(self, codec: Codec) -> None:
        self.codec = codec
        self.track = Track("teacher", "video", codec, rids=RIDS, most_bps=10**9)
        self.track.rids = frozenset(RIDS)
        self.track.live = True
        self._ends = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
        for each in self._ends:
            each.bind(("127.0.0.1", 0))
            each.setblocking(False)
        self._forwarder = Forwarder(Counters(), PythonFanOut(self._ends[0]))
        self._publisher, self._here = _keys()
        self._there, self._viewer = _keys()
        ice = SimpleNamespace(address=self._ends[1].getsockname())
        viewer = SimpleNamespace(tx=self._there._srtp[0], ice=ice, watched={}, sent=None)
        self._source = SimpleNamespace(
            rx=self._here._srtp[0],
            tracks={self.track.payload_type: self.track},
            arrivals=None,
            refused={},
        )
        self.leg = Leg(viewer, self.track, 0.0)  # type: ignore[arg-type]
        self.seen: list[Seen] = []
        self._newest: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._ends:
            each.close()

    def layer(self, rid: str | None) -> Layer | None:
        """The layer of that name."""
        return None if rid is None else next(x for x in self.track.layers if x.rid == rid)

    def deliver(self, packet: bytes, now: float) -> None:
        """A packet arrives, and goes on."""
        sealed = self._publisher.protect(packet)
        srtp.received_views[0][: len(sealed)] = sealed
        assert self._forwarder.packet(self._source, 0, len(sealed), now)  # type: ignore[arg-type]
        self._forwarder.flush(now)
        while True:
            try:
                sealed = self._ends[1].recv(4096)
            except BlockingIOError:
                return
            self._take(self._viewer.unprotect(sealed), now)

    def _take(self, packet: bytes, now: float) -> None:
        sequence, timestamp, ssrc = struct.unpack_from("!HII", packet, 2)
        assert ssrc == self.track.ssrc
        newest = sequence if self._newest is None else self._newest
        number = newest + ((sequence - newest + 0x8000) & 0xFFFF) - 0x8000
        self._newest = max(newest, number)
        view = memoryview(packet)
        rid, source = packet[-3:-2].decode(), int.from_bytes(packet[-2:], "big")
        begins = BEGINS_WHOLE_PICTURE[self.codec](view)
        ids = vp8.read(view)
        self.seen.append(Seen(number, rid, source, timestamp, begins, ids, now, packet))


def _keys() -> tuple[Session, Session]:
    """Both ends of a connection."""
    key, profile = bytes(range(30)), Policy.SRTP_PROFILE_AES128_CM_SHA1_80
    ends = []
    for kind in (Policy.SSRC_ANY_OUTBOUND, Policy.SSRC_ANY_INBOUND):
        policy = Policy(key=key, ssrc_type=kind, srtp_profile=profile)
        policy.allow_repeat_tx = True
        policy.window_size = 1024
        ends.append(Session(policy))
    return ends[0], ends[1]


def play(scene: Scene, wants: list[str | None], rng: random.Random) -> set[tuple[str, int]]:
    """Sends four frames a wish, late and in any order, some never; every packet's layer and number.

    The publisher makes a key frame for every second request or so.
    """
    streams = [Stream(rid, scene.codec, rng) for rid in RIDS]
    known: set[tuple[str, int]] = set()
    under_way: list[tuple[float, bytes]] = []
    now, begins = 100.0, True
    for want in wants * 2:
        scene.leg.want(scene.layer(want), now)
        for _ in range(4):
            asked = any(layer.waiting or layer.awaits_key for layer in scene.track.layers)
            key = begins or (asked and rng.random() < 0.5)
            for stream in streams:
                for packet in stream.frame(key=key):
                    known.add((stream.rid, int.from_bytes(packet[-2:], "big")))
                    if begins or rng.random() > LOSS:
                        late = 0 if begins else rng.random() * LATE_FRAMES
                        under_way.append((now + late * FRAME_S, packet))
            now, begins = now + FRAME_S, False
            under_way.sort(key=lambda each: each[0])
            while under_way and under_way[0][0] <= now:
                at, packet = under_way.pop(0)
                scene.deliver(packet, at)
    return known


wants = st.lists(st.sampled_from([*RIDS, None]), min_size=2, max_size=12)


@settings(max_examples=12, deadline=None)
@given(st.sampled_from(["h264", "vp8"]), wants, st.integers(0, 1 << 30))
def test_any_changes_give_the_viewer_one_stream(
    codec: Codec, wants: list[str | None], seed: int
) -> None:
    """Over any layers, pauses, losses and reorderings: numbers by one, time forward, key frames."""
    with Scene(codec) as scene:
        known = play(scene, wants, random.Random(seed))  # noqa: S311 - only a plan
        check(scene, known)


def check(scene: Scene, known: set[tuple[str, int]]) -> None:
    """What the test above promises."""
    seen = sorted(scene.seen, key=lambda each: each.number)
    numbers = [each.number for each in seen]
    assert len(set(numbers)) == len(numbers), "two packets under one number"
    for before, after in pairwise(seen):
        step = after.number - before.number
        forward = (after.timestamp - before.timestamp) & 0xFFFFFFFF
        assert forward < 1 << 31, "time went back"
        if before.rid == after.rid and (after.source - before.source) & 0xFFFF == step:
            ids = (after.ids.picture_id or 0) - (before.ids.picture_id or 0)
            assert ids & 0x7FFF <= step
            continue
        # A change of layers, or back to the same after a pause; what lies between was lost.
        assert after.begins, "a change without a key frame"
        assert forward > 0
        lost = [(before.rid, (before.source + n) & 0xFFFF) for n in range(1, step)]
        assert set(lost) <= known, "a number that no packet has"
        if scene.codec == "vp8":
            assert before.ids.picture_id is not None
            assert after.ids.picture_id is not None
            ahead = (after.ids.picture_id - before.ids.picture_id) & 0x7FFF
            assert 1 <= ahead <= 1 + (step + PACKETS - 1) // PACKETS
            assert before.ids.tl0 is not None
            assert after.ids.tl0 is not None
            assert (after.ids.tl0 - before.ids.tl0) & 0xFF == ahead & 0xFF
    last_at = scene.seen[-1].at if scene.seen else 0.0  # who never wanted a layer saw none
    for each in scene.seen:
        if last_at - each.at < KEEP_S / 2:
            assert scene.leg.kept(each.number & 0xFFFF, last_at) == each.data


def streams(codec: Codec) -> tuple[Stream, Stream]:
    """The smallest and the largest."""
    rng = random.Random(1)  # noqa: S311
    return Stream("q", codec, rng), Stream("f", codec, rng)


@pytest.mark.parametrize("codec", ["h264", "vp8"])
def test_a_viewer_is_moved_with_the_first_key_frame(codec: Codec) -> None:
    """Until it comes he keeps what he has, and the publisher is asked; then he gets the other."""
    with Scene(codec) as scene:
        q, f = streams(codec)
        now = 100.0
        for key in (True, False):
            for packet in f.frame(key=key) + q.frame(key=key):
                scene.deliver(packet, now)
        scene.leg.want(scene.layer("q"), now)
        assert scene.layer("q").key_request(now)  # type: ignore[union-attr]
        for packet in q.frame(key=False) + f.frame(key=False):
            scene.deliver(packet, now)
        assert {each.rid for each in scene.seen} == {"f"}
        for packet in q.frame(key=True) + f.frame(key=True):
            scene.deliver(packet, now + 0.1)
        assert [each.rid for each in scene.seen[-3:]] == ["f", "q", "q"]
        assert not scene.layer("q").key_request(now)  # type: ignore[union-attr]
        scene.leg.want(None, now + 0.1)
        for packet in q.frame(key=True) + f.frame(key=True):
            scene.deliver(packet, now + 0.2)
        assert len(scene.seen) == 8
        numbers = [each.number for each in scene.seen]
        assert numbers == [numbers[0] + n for n in range(8)]
        assert scene.leg.last_sequence == numbers[-1] & 0xFFFF  # a new leg goes on from there


def test_ids_go_on_from_those_of_a_new_source() -> None:
    """Also when a reloaded page begins with ids that would be older ones of the source before."""
    with Scene("vp8") as scene:
        q, f = streams("vp8")
        reloaded = Stream("f", "vp8", random.Random(2))  # noqa: S311
        f.picture_id, f.tl0, reloaded.picture_id, reloaded.tl0 = 30_000, 200, 20_000, 100
        for stream in (f, reloaded):
            for packet in stream.frame(key=True):
                scene.deliver(packet, 1.0)
        scene.leg.want(scene.layer("q"), 1.0)
        for packet in q.frame(key=True):
            scene.deliver(packet, 1.1)
        assert [each.ids.picture_id for each in scene.seen[::PACKETS]] == [30_001, 20_001, 20_002]
        assert [each.ids.tl0 for each in scene.seen[::PACKETS]] == [201, 101, 102]


def test_a_stream_that_names_no_layer_is_not_forwarded() -> None:
    """Nor one of a layer that was not agreed; once named it needs no name any more."""
    with Scene("h264") as scene:
        _, f = streams("h264")
        bare, strange = f.frame(key=True)[0], f.frame(key=True)[0]
        bare = bytes([bare[0] & 0xEF]) + bare[1:12] + bare[20:]
        scene.deliver(bare, 1.0)
        scene.deliver(strange[:17] + b"x" + strange[18:], 1.0)
        assert not scene.seen
        scene.deliver(f.frame(key=True)[0], 1.0)
        after = f.frame(key=True)[0]
        scene.deliver(bytes([after[0] & 0xEF]) + after[1:12] + after[20:], 1.0)
        assert len(scene.seen) == 2


def test_whoever_sends_one_size_is_seen_in_the_largest_layer() -> None:
    """A browser that answered without layers names none."""
    with Scene("h264") as scene:
        scene.track.rids = frozenset()
        _, one = streams("h264")
        for packet in one.frame(key=True):
            scene.deliver(bytes([packet[0] & 0xEF]) + packet[1:12] + packet[20:], 1.0)
        assert len(scene.seen) == PACKETS
        assert scene.track.top.reception is not None


def test_what_is_sent_again_is_forwarded_only_if_it_was_missing() -> None:
    """A browser probes its link with packets that have come: a viewer gets each number once."""
    with Scene("h264") as scene:
        _, f = streams("h264")
        first, lost, last = f.frame(key=True)[0], f.frame(key=False)[0], f.frame(key=False)[0]
        for packet in (first, last):
            scene.deliver(packet, 1.0)
        for n, packet in enumerate((first, lost, lost, last)):
            again = packet[:16] + b"\xb0" + packet[17:]  # the name is the repaired stream's
            scene.deliver(bytes(wrap(again, 777, n)), 1.1)
        scene.deliver(lost, 1.2)  # late, not lost: its number is used
        assert [each.source for each in scene.seen] == [
            int.from_bytes(each[-2:], "big") for each in (first, last, lost)
        ]


@pytest.mark.parametrize("ended", [lambda it: it.set_live(False), lambda it: it.published_by(None)])
def test_nothing_is_sent_again_of_before_a_grant_or_a_viewer_came(
    ended: Callable[[Track], None],
) -> None:
    """A number that a viewer never had he cannot ask for; nobody can when the publisher's grant ends."""
    with Scene("h264") as scene:
        _, f = streams("h264")
        scene.deliver(f.frame(key=True)[0], 1.0)
        number = scene.seen[0].number
        assert scene.leg.kept(number, 1.1)
        assert not Leg(scene.leg.transport, scene.track, 1.1).kept(number, 1.1)
        ended(scene.track)
        scene.track.live = True
        assert not scene.leg.kept(number, 1.1)


def test_a_publisher_who_sends_only_a_small_layer_is_not_held_there() -> None:
    """What his one viewer's link seems to carry bounds him only if he sends nothing but the largest."""
    with Scene("h264") as scene:
        q, f = streams("h264")
        scene.leg.transport.rate = SimpleNamespace(share=lambda _: 200_000)  # type: ignore[assignment]
        scene.deliver(q.frame(key=True)[0], 1.0)
        assert target_bps(scene.track, 1.1) == scene.track.most_bps
        scene.deliver(f.frame(key=True)[0], 5.0)
        assert target_bps(scene.track, 5.1) == 200_000


def test_numbers_of_half_a_circle_ago_are_of_the_present_layer() -> None:
    """A long time after a change a NACK is answered from the layer that the viewer is on."""
    with Scene("h264") as scene:
        q, f = streams("h264")
        for packet in f.frame(key=True):
            scene.deliver(packet, 100.0)
        scene.leg.want(scene.layer("q"), 100.0)
        for packet in q.frame(key=True):
            scene.deliver(packet, 100.1)
        for now in range(200):
            q.sequence += 198
            for packet in q.frame(key=False):
                scene.deliver(packet, 101.0 + now)
        last = scene.seen[-1]
        assert last.number - scene.seen[0].number > 0x8000
        assert scene.leg.kept(last.number & 0xFFFF, 300.0) == last.data
