"""A viewer who gets fewer frames sees one stream: whole frames, numbers without a gap, none twice."""

import random
import struct
from itertools import pairwise
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtc.messages import Codec
from rtc.sdp import PAYLOAD_TYPE
from rtc.thin import is_spare, share
from tests.rtc.raw_client import h264, rtp
from tests.rtc.test_simulcast import FRAME_S, Scene, Stream, named

PACKETS = 3  # a frame
HOLLOW = "\0"
# What Chromium 156 wrote with L1T2, in turns: OpenH264's NAL heads; libvpx's temporal id and Y.
NEEDED, SPARE, SYNC = 0, 1, 2
H264_HEAD = {NEEDED: 0x61, SPARE: 0x01, SYNC: 0x01}
VP8_TEMPORAL = {NEEDED: 0x00, SPARE: 0x40, SYNC: 0x60}


class Temporal(Stream):
    """A layer in which nothing refers to every second frame."""

    def __init__(self, codec: Codec, rng: random.Random) -> None:
        super().__init__("q", codec, rng)
        self.turn = 0

    def frame(self, *, key: bool) -> list[bytes]:
        """The next frame: needed, spare by itself, needed, spare."""
        self.turn = 0 if key else (self.turn + 1) % 4
        what = (NEEDED, SYNC, NEEDED, SPARE)[self.turn]
        self.timestamp += 3000
        self.picture_id = (self.picture_id + 1) & 0x7FFF
        self.tl0 = (self.tl0 + (what == NEEDED)) & 0xFF
        packets = []
        for n in range(PACKETS):
            self.sequence += 1
            body = self._body(what, key=key and n == 0, first=n == 0)
            body += b"q" + struct.pack("!H", self.sequence & 0xFFFF)
            number = PAYLOAD_TYPE[self.codec]["video"]
            plain = rtp(number, self.sequence, self.timestamp, self.ssrc, body)
            packets.append(named(plain, "q"))
        return packets

    def _body(self, what: int, *, key: bool, first: bool) -> bytes:
        if self.codec == "h264":
            return h264(key=True, size=40) if key else bytes([H264_HEAD[what]]) + bytes(20)
        ids = struct.pack("!H", 0x8000 | self.picture_id) + bytes([self.tl0, VP8_TEMPORAL[what]])
        return (b"\x90" if first else b"\x80") + b"\xe0" + ids + bytes([not key]) * 9


class Thinned(Scene):
    """A scene whose viewer is on the smallest layer."""

    def __init__(self, codec: Codec) -> None:
        super().__init__(codec)
        self.now = 100.0
        viewer = cast("SimpleNamespace", self.leg.transport)
        viewer.send_rtp = lambda packet: self._take(packet, self.now)
        self.source = Temporal(codec, random.Random(3))  # noqa: S311
        self.leg.want(self.layer("q"), self.now)

    def send(self, packets: list[bytes]) -> None:
        """At the next moment."""
        self.now += FRAME_S / PACKETS
        for each in packets:
            self.deliver(each, self.now)


@pytest.mark.parametrize("codec", ["h264", "vp8"])
def test_spare_frames_are_left_out_whole_and_come_back(codec: Codec) -> None:
    """Numbers and picture ids by one; VP8 only goes on with a frame that refers to none left out."""
    with Thinned(codec) as scene:
        for n in range(21):
            if n in {6, 14}:  # in the middle of a spare frame, and of a needed one
                packets = scene.source.frame(key=False)
                scene.send(packets[:1])
                scene.leg.want_slow(slow=n == 6)
                scene.send(packets[1:])
            else:
                scene.send(scene.source.frame(key=n == 0))
        got = [each.source for each in scene.seen]
        first = got[0]
        frames = [(source - first) // PACKETS for source in got[::PACKETS]]
        # 6 and 14 are needed ones in turns of two: 7, 9, 11, 13 are spare, then 17 is the first sync.
        back = 15 if codec == "h264" else 17
        whole = [*range(7), 8, 10, 12, 14, *([] if back == 15 else [16]), *range(back, 21)]
        assert frames == whole
        assert got == [first + PACKETS * n + k for n in frames for k in range(PACKETS)]
        numbers = [each.number for each in scene.seen]
        assert numbers == [numbers[0] + n for n in range(len(numbers))]
        if codec == "vp8":
            ids = [each.ids.picture_id for each in scene.seen[::PACKETS]]
            assert ids == [((ids[0] or 0) + n) & 0x7FFF for n in range(len(ids))]
        assert scene.leg.thin is None
        assert not scene.layer("q").thin  # type: ignore[union-attr]


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(["h264", "vp8"]), st.integers(0, 1 << 30))
def test_losses_and_delays_break_no_thin_stream(codec: Codec, seed: int) -> None:
    """A number is sealed once; what is missing for good or comes late is where its number was kept."""
    rng = random.Random(seed)  # noqa: S311
    with Thinned(codec) as scene:
        lost, late, before = set[int](), list[bytes](), 0
        scene.send(scene.source.frame(key=True))
        for _ in range(60):
            was = scene.leg.thin
            scene.leg.want_slow(slow=rng.random() < 0.8)
            before += len(late) if was is None and scene.leg.thin is not None else 0
            for packet in scene.source.frame(key=False):
                fate = rng.random()
                if fate < 0.05:
                    lost.add(int.from_bytes(packet[-2:], "big"))
                elif fate < 0.15:
                    late.append(packet)
                else:
                    scene.send([packet])
            rng.shuffle(late)
            while len(late) > 3:
                scene.send([late.pop()])
        numbers = [each.number for each in scene.seen]
        assert len(set(numbers)) == len(numbers), "two packets under one number"
        order = sorted(scene.seen, key=lambda each: each.number)
        sources = [each.source for each in order if each.rid != HOLLOW]
        assert all((b - a) & 0xFFFF < 0x8000 for a, b in pairwise(sources)), "order lost"
        gaps = sum(b - a - 1 for a, b in pairwise(each.number for each in order))
        assert gaps <= len(lost) + len(late) + before
        for each in scene.seen:
            if each.rid == HOLLOW:
                assert scene.leg.kept(each.number & 0xFFFF, scene.now) is None
            elif scene.now - each.at < 1:
                assert scene.leg.kept(each.number & 0xFFFF, scene.now) == each.data


def test_a_source_that_begins_anew_is_thinned_as_well() -> None:
    """Its numbers may be smaller than those before."""
    with Thinned("h264") as scene:
        scene.send(scene.source.frame(key=True))
        scene.leg.want_slow(slow=True)
        for _ in range(4):
            scene.send(scene.source.frame(key=False))
        scene.track.set_live(live=False)
        scene.track.set_live(live=True)
        reloaded = Temporal("h264", random.Random(4))  # noqa: S311
        reloaded.sequence, before = 5, len(scene.seen)
        for n in range(4):
            scene.send(reloaded.frame(key=n == 0))
        assert len(scene.seen) - before == 2 * PACKETS
        numbers = [each.number for each in scene.seen]
        assert numbers == [numbers[0] + n for n in range(len(numbers))]


def test_the_share_that_may_be_left_out_is_measured() -> None:
    """Half of the frames of two temporal layers, nothing of a sender who marks none."""
    with Thinned("h264") as scene:
        for n in range(12):
            scene.send(scene.source.frame(key=n == 0))
        q = scene.layer("q")
        assert q is not None
        assert 0.35 < share(q, scene.now) < 0.55
        plain = Stream("q", "h264", random.Random(5))  # noqa: S311
        for n in range(120):
            scene.send(plain.frame(key=n == 0))
        assert share(q, scene.now) == 0


@given(st.binary(min_size=12, max_size=40), st.sampled_from(["h264", "vp8"]))
def test_a_cut_or_hostile_packet_raises_nothing(packet: bytes, codec: Codec) -> None:
    """It is asked in the hot path."""
    assert is_spare(memoryview(packet), codec) in {True, False}
