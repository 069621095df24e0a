"""What a viewer gets of his pictures follows what his link carries: on the clock of the test."""

import asyncio
import math
from itertools import pairwise

import pytest
from aiortc.rtp import RTCP_PSFB_APP, RtcpPsfbPacket

from rtc.aiortc_parts import Identity
from rtc.feedback import received
from rtc.forward import Counters
from rtc.leg import Leg
from rtc.messages import Kind
from rtc.pipe import Wishes, said
from rtc.simulcast import RIDS
from rtc.stun import Address
from rtc.track import Track
from rtc.transport import Transport
from rtc.twcc import TICK_S, WIRE_BYTES, Feedback
from tests.rtc.raw_client import rtp

STEP_S = 0.05
PACKET = 1000
THIN_BPS = 300_000
LAYERS_BPS = (100_000, 400_000, 1_500_000)


class NoWire:
    """Where nothing arrives."""

    def send(self, data: bytes, address: Address) -> None:
        """Nowhere."""

    def enter(self, transport: Transport) -> None:
        """Nobody can find it."""

    def forget(self, transport: Transport) -> None:
        """Nobody knew it."""


class Watching:
    """A viewer of a voice and a picture, on a link of a given rate."""

    def __init__(self, rids: tuple[str, ...], bps: tuple[int, ...], kind: Kind = "video") -> None:
        self.now = asyncio.get_running_loop().time()
        self.viewer = Transport(NoWire(), Identity.make(), "subscribe", lambda *_: None)
        assert self.viewer.rate is not None
        self.rate = self.viewer.rate
        self.viewer.sent = self.rate.sent
        self.voice = Track("teacher", "audio")
        self.picture = Track("teacher", kind, rids=rids)
        for layer, rate in zip(self.picture.layers, bps, strict=True):
            layer.bps = rate
        Leg(self.viewer, self.voice, self.now)
        self.leg = Leg(self.viewer, self.picture, self.now)
        self.most_queue_s = math.inf
        self.beside_bps = 0.0  # of something else on the link
        self.told_every = 1  # of so many feedbacks one comes through
        self._free_at = self.now
        self._count = 0

    def watch(self, seconds: float, link_bps: float, sent_bps: float) -> list[int | None]:
        """The layers wanted one after the other, while so much is sent over such a link."""
        wanted: list[int | None] = []
        for _ in range(int(seconds / STEP_S)):
            self.now += STEP_S
            for track in (self.voice, self.picture):
                track.live = True
                for layer in track.layers:
                    layer.heard_at = self.now
            self._feed_back(link_bps, sent_bps)
            self.rate.tick(self.now)
            leg = self.leg
            at = None if leg.wanted is None else self.picture.layers.index(leg.wanted)
            if not wanted or wanted[-1] != at:
                wanted.append(at)
        return wanted

    def _feed_back(self, link_bps: float, sent_bps: float) -> None:
        base, ticks = self.rate.sent.count[0] & 0xFFFF, list[int | None]()
        size = PACKET if sent_bps > THIN_BPS else PACKET // 5
        self._free_at = max(self._free_at, self.now) + self.beside_bps * STEP_S / link_bps
        for _ in range(max(1, round(sent_bps * STEP_S / 8 / size))):
            self.rate.sent.take(size - WIRE_BYTES, self.now)
            if self._free_at > self.now + self.most_queue_s:
                ticks.append(None)
                continue
            self._free_at = max(self._free_at, self.now) + size * 8 / link_bps
            ticks.append(int(self._free_at / TICK_S))
        self._count += 1
        if self._count % self.told_every == 0:
            self.rate.told(Feedback(base, self._count & 0xFF, ticks), self.now)


async def test_a_viewer_gets_the_layer_his_link_carries() -> None:
    """From the largest he begins with down to the smallest, and not to nothing."""
    watching = Watching(RIDS, LAYERS_BPS)
    assert watching.watch(2, 50e6, 1.5e6) == [2]
    assert watching.watch(2, 250e3, 400e3)[-1] == 0
    assert watching.watch(4, 50e6, 150e3) == [0]


async def test_a_picture_that_does_not_fit_is_paused_and_comes_back() -> None:
    """Under half of it for three seconds: the voice has the link alone, until there is room."""
    watching = Watching(("",), (600_000,))
    watching.rate.repairs = True
    assert watching.watch(2, 50e6, 600e3) == [0]
    assert watching.watch(8, 150e3, 600e3) == [0, None]
    assert watching.leg.layer is None
    assert watching.watch(3, 150e3, 40e3) == [None]
    assert watching.watch(40, 50e6, 700e3)[-1] == 0


async def test_a_paused_picture_comes_back_though_its_sender_takes_what_he_may() -> None:
    """What its share leaves is room enough: else it would wait for ever on a link that carries it."""
    watching = Watching(("",), (600_000,))
    watching.rate.repairs = True
    watching.watch(2, 50e6, 600e3)
    assert watching.watch(8, 150e3, 600e3)[-1] is None
    for _ in range(100):
        share = watching.rate.share(watching.now)
        assert share is not None
        watching.picture.top.bps = max(150_000, share)
        watching.watch(0.2, 400e3, 380e3)
    assert watching.leg.wanted is watching.picture.top


def told_by_remb(
    watching: Watching, seconds: float, most_bps: int, beside_bps: int = 48_000
) -> list[int | None]:
    """The layer each tenth of a second, where the browser says a little more than it gets."""
    rate, leg, layers, seen = (
        watching.rate,
        watching.leg,
        watching.picture.layers,
        list[int | None](),
    )
    for _ in range(int(seconds * 10)):
        watching.now += 0.1
        at = None if leg.wanted is None else layers.index(leg.wanted)
        gets = 0 if at is None else layers[at].bps
        rate.heard_bps = min(most_bps, int(1.4 * gets) + beside_bps)
        for track in (watching.voice, watching.picture):
            track.live = True
            for layer in track.layers:
                layer.heard_at = watching.now
        rate.tick(watching.now)
        seen.append(at)
    return seen


async def test_a_browser_that_tells_no_arrivals_is_not_low_for_ever() -> None:
    """Its REMB stays near what it gets: the next layer is sent, and kept if the REMB follows."""
    watching = Watching(RIDS, LAYERS_BPS)
    assert told_by_remb(watching, 1, 200_000)[-1] == 0
    seen = told_by_remb(watching, 120, 900_000)
    assert (seen[100], seen[250]) == (0, 1)
    tries = sum(before == 1 and after == 2 for before, after in pairwise(seen[250:]))
    assert 1 <= tries <= 4, "the largest does not fit, and is tried ever less often"
    assert seen[250:].count(2) < 200
    assert 0 not in seen[250:]


async def test_a_paused_picture_is_tried_again_where_nothing_can_probe() -> None:
    """The voice has the link alone meanwhile."""
    watching = Watching(("",), (600_000,))
    assert told_by_remb(watching, 5, 100_000)[-1] is None
    assert told_by_remb(watching, 30, 100_000).count(0) <= 70
    assert told_by_remb(watching, 60, 2_000_000)[-1] == 0


async def test_a_flood_of_feedback_is_passed_over() -> None:
    """What a viewer can make us compute a second is bounded; he is heard again at once."""
    watching = Watching(("",), (600_000,))
    heard = [watching.rate.has_time(watching.now) for _ in range(300)]
    assert 15 <= heard.count(True) <= 20
    assert watching.rate.has_time(watching.now + 0.02)


async def test_repairs_take_half_of_the_link_at_most() -> None:
    """On a full link each packet sent again would drive out another one."""
    watching = Watching(("",), (600_000,))
    watching.rate.heard_bps = 800_000
    sent = sum(watching.rate.affords_repair(PACKET, 10.0 + n * 0.001) for n in range(2000))
    assert 120 <= sent <= 126  # 400 kbit/s for two seconds, and half a second's worth at once


async def test_a_browser_that_tells_no_arrivals_counts_by_its_own_estimate() -> None:
    """REMB shares out as well; with neither he gets the largest layer that arrives."""
    watching = Watching(RIDS, LAYERS_BPS)
    rate, picture = watching.rate, watching.picture
    rate.tick(watching.now)
    assert (rate.bps, watching.leg.wanted) == (None, picture.top)
    rate.heard_bps = 500_000
    for layer in picture.layers[:2]:
        layer.heard_at, picture.live = watching.now, True
    rate.tick(watching.now)
    assert watching.leg.wanted is picture.layers[1]


@pytest.mark.parametrize(("bps", "share"), [(None, None), (548_000, 250_000), (10_000, 0)])
async def test_a_publisher_hears_each_pictures_share(bps: int | None, share: int | None) -> None:
    """What the voices need is taken off first."""
    watching = Watching(("",), (600_000,))
    screen = Track("teacher", "screen", "h264")
    Leg(watching.viewer, screen, watching.now)
    for track in (watching.voice, watching.picture, screen):
        track.live = True
        track.top.heard_at = watching.now
    watching.rate.heard_bps = bps
    assert watching.rate.share(watching.now) == share


async def test_a_link_too_thin_for_the_smallest_layer_gets_fewer_frames_of_it() -> None:
    """Then the voice alone, and back in the same steps, each told once."""
    watching = Watching(RIDS, LAYERS_BPS)
    watching.rate.repairs = True
    smallest = watching.picture.layers[0]
    for n in range(1024):  # of two frames one is spare: 44 of 100 bytes, as OpenH264 has them
        spare = n % 2 > 0
        head = b"\x90\xe0\x80\x01\x00" + (b"\x60" if spare else b"\x00")
        assert smallest.ring is not None
        body = head + bytes(430 if spare else 550)
        smallest.ring.put(n, watching.now + n / 10, rtp(96, n, 3000 * n, 7, body))
    steps = list[str]()

    def watch(seconds: int, link_bps: float, sent_bps: float) -> None:
        for _ in range(seconds * 10):
            watching.watch(0.1, link_bps, sent_bps)
            step = watching.rate.ladder.stands[0]
            if not steps or steps[-1] != step:
                steps.append(step)

    watch(2, 50e6, 1.5e6)
    watch(1, 140e3, 200e3)
    watch(6, 140e3, 100e3)
    assert steps == ["high", "low", "slow"]
    assert watching.leg.slow
    watch(3, 60e3, 100e3)
    watch(6, 60e3, 40e3)
    assert steps[3:] == ["voice"]
    watch(20, 50e6, 130e3)
    assert steps[4:6] == ["slow", "low"]
    assert "voice" not in steps[4:]
    assert not watching.leg.slow


async def test_what_the_vitals_need_is_left_to_them() -> None:
    """They come another way over the same link, and before any picture."""
    watching = Watching(RIDS, LAYERS_BPS)
    assert told_by_remb(watching, 3, 470_000)[-1] == 1
    watching.rate.reserved_bps = 40_000
    assert told_by_remb(watching, 1, 470_000)[-1] == 0
    heard = watching.rate.heard_bps
    assert heard is not None
    assert watching.rate.share(watching.now) == heard - 48_000 - 40_000


async def test_a_voice_goes_on_at_40_kbits_and_not_at_25() -> None:
    """What little was sent so far says nothing of a link; that a queue stands on it does."""
    watching = Watching(("",), (150_000,))
    watching.rate.repairs = True
    watching.voice.top.bps = 35_000
    steps = list[str]()

    def watch(seconds: int, link_bps: float, sent_bps: float) -> None:
        for _ in range(seconds * 5):
            watching.watch(0.2, link_bps, sent_bps)
            step = watching.rate.ladder.stands[0]
            if not steps or steps[-1] != step:
                steps.append(step)

    watch(2, 50e6, 600e3)
    watch(1, 45e3, 120e3)
    watch(12, 45e3, 35e3)
    assert steps[-1] == "voice"
    assert "text" not in steps
    watch(8, 25e3, 35e3)
    assert steps[-1] == "text"
    voice = next(iter(watching.viewer.watched.values()))
    assert voice.track is watching.voice
    assert voice.layer is None
    watching.watch(30, 50e6, 60e3)
    assert voice.layer is watching.voice.top or voice.wanted is watching.voice.top


async def test_what_a_browser_says_beyond_reason_still_fits_our_messages() -> None:
    """REMB goes to 2 to the 81: of one such a whole branch would lose its words to the home."""
    watching = Watching(("",), (600_000,))
    watching.watch(0.1, 50e6, 1e6)
    fci = b"REMB\x00" + bytes([63 << 2 | 3, 255, 255])
    remb = bytes(RtcpPsfbPacket(RTCP_PSFB_APP, 1, 0, fci))
    received(watching.viewer, remb, Counters(), watching.now)
    share = watching.rate.share(watching.now)
    assert share is not None
    assert 10_000_000 < share < 1 << 32
    assert said(Wishes([], [], [(0, 1, [share])]))


async def test_nobody_stays_slow_whose_sender_spares_no_frames_any_more() -> None:
    """There is nothing to leave out, and the link carries it all."""
    watching = Watching(("",), (100_000,))
    watching.rate.repairs = True
    watching.watch(2, 50e6, 600e3)
    watching.leg.want_slow(slow=True)
    watching.watch(4, 50e6, 600e3)
    assert not watching.leg.slow
    assert watching.rate.ladder.stands[0] == "high"


async def test_a_voice_goes_on_though_little_is_told_of_it() -> None:
    """Half of the feedback is lost on a line full of other things; most of the voice comes."""
    watching = Watching(("",), (150_000,))
    watching.rate.repairs = True
    watching.voice.top.bps = 35_000
    watching.watch(2, 50e6, 600e3)
    watching.most_queue_s, watching.beside_bps = 0.3, 12e3
    watching.watch(3, 45e3, 120e3)
    watching.told_every = 2
    steps = list[str]()
    for _ in range(100):
        watching.watch(0.2, 45e3, 35e3)
        steps.append(watching.rate.ladder.stands[0])
    assert "text" not in steps
    assert steps[-1] == "voice"
    watching.watch(8, 30e3, 35e3)
    steps.append(watching.rate.ladder.stands[0])
    assert steps[-1] == "text"
