"""One viewer's link: how much it carries, who of his pictures gets how much of it, and probes."""

import asyncio
import math
import struct
from typing import TYPE_CHECKING, NamedTuple

from rtc.allocate import ROOM, VOICE_BPS, Steady, Wish
from rtc.estimate import LEAST_BPS, Estimator, Probe
from rtc.extensions import TRANSPORT_WIDE, wide_number
from rtc.ladder import Got, Ladder, Speech, step_of
from rtc.sdp import REPAIR_TYPE
from rtc.thin import LEAST_SHARE, share
from rtc.trial import Trial
from rtc.twcc import WIRE_BYTES, Feedback, Sent

if TYPE_CHECKING:
    from rtc.layer import Layer
    from rtc.leg import Leg
    from rtc.track import Track
    from rtc.transport import Transport

WEIGHT = {"screen": 2, "video": 1, "audio": 0}
GROWS = 1.5  # a picture may want so many times of what it takes now
FACE_BPS = 1_000_000  # and this much in any case: who sends it waits to hear that there is room
REPAIR_SHARE = 0.5  # of the link for what is sent again
REPAIR_BURST_S = 0.5
UNKNOWN_BPS = 1_000_000
BEGIN_S = 1.5  # a link is taken for good until then, or until it is seen to be full
MOST_FEEDBACKS = 100  # a second; browsers send 20
FEEDBACK_BURST_S = 0.2
LEAVES = 1.3  # what a paused picture needs to come back, and a little more
SILENT_PACKETS = 20  # sent without an answer, before it counts as silence
SMALL_BPS = 300_000  # a picture without layers whose sender is told less than this is a small one
SMALL_ROOM = 1.2
BENT_BPS = 225_000  # a picture without layers that is larger gets smaller before it gets slower
SPARE_EVERY_S = 1.0
SENDS_SMALL_S = 6.0  # the largest layer comes up to three seconds after the others

BEAT_S = 0.01  # a probe leaves in portions
_PADDING = bytes(254) + b"\xff"  # the most there is in one packet
_PADDING_HEAD = struct.Struct("!BBHIIIBHB")
PADDING_BYTES = _PADDING_HEAD.size + len(_PADDING)


class _Asked(NamedTuple):
    """A picture, and what of it he can be given: layers, the smallest perhaps with fewer frames."""

    leg: "Leg"
    levels: "list[tuple[Layer, bool]]"
    wish: Wish


FULL = Got()


class Rate:
    """Lives as long as a viewer's transport; estimates once his browser tells arrivals."""

    def __init__(self, viewer: "Transport", now: float) -> None:
        self.sent = Sent()
        self.repairs = False  # what is sent again has a stream of its own
        self.heard_bps: int | None = None  # what a browser says that does not tell arrivals
        self._viewer = viewer
        self._estimator = Estimator(now)
        self._steady = Steady()
        self._speech = Speech()
        self._trial = Trial(now)
        self.ladder = Ladder()
        self.reserved_bps = 0  # for the vitals, which come another way over the same link
        self._spares: dict[int, tuple[float, float]] = {}  # by SSRC: when, what could be left out
        self._small_since: dict[int, float] = {}  # by SSRC: no large layer is sent
        self._told_at: float | None = None  # for the first time
        self._told = False  # long enough to believe the estimate
        self._heard_until = now - 1.0  # so much of the time is used up by feedbacks
        self._answered = 0  # packets sent when the last feedback came
        self._repaired_until = 0.0  # so far its share of the time is used up by repairs
        self._repaired: dict[int, int] = {}  # by repair SSRC: the packets sent in it

    @property
    def bps(self) -> int | None:
        """What the link carries; None as long as nobody knows."""
        return int(self._estimator.bps) if self._told else self.heard_bps

    @property
    def _climbs(self) -> bool:
        """Whether we can find out by ourselves that the link carries more than we send."""
        return self._told and self.repairs

    def share(self, now: float) -> int | None:
        """What there is for each of the pictures he watches."""
        if self.bps is None:
            return None
        legs = [leg for leg in self._viewer.watched.values() if leg.track.arrives(now)]
        pictures = [leg for leg in legs if leg.track.is_picture]
        left = max(0, self.bps - (len(legs) - len(pictures)) * VOICE_BPS)
        left = max(0, left - self.reserved_bps)
        if any(leg.wanted is None or leg.slow for leg in pictures):
            left = int(left / LEAVES)  # else its sender takes all there is, and none has room
        return left // max(1, len(pictures))

    def has_time(self, now: float) -> bool:
        """Takes a feedback's share of the time; False: they come too fast to be looked at."""
        used = max(self._heard_until, now - FEEDBACK_BURST_S) + 1 / MOST_FEEDBACKS
        if used > now:
            return False
        self._heard_until = used
        return True

    def told(self, feedback: Feedback, now: float) -> None:
        """Takes the browser's feedback."""
        told = self.sent.told(feedback)
        if self._told_at is None and told.rows:
            self._told_at = now
        self._answered = self.sent.count[0]
        rows = [each._replace(size=each.size + WIRE_BYTES * each.packets) for each in told.rows]
        self._estimator.told(rows, told.lost, now, self._viewer.rtt_s)
        if self._told_at is not None and not self._told:
            self._told = self._estimator.has_reduced or now - self._told_at >= BEGIN_S

    def moved(self, now: float) -> None:
        """His packets go another way from now on."""
        self._estimator.moved(now)

    def number(self, packet: bytearray, now: float) -> None:
        """Gives a packet that leaves beside the hot path the transport's next number."""
        at = wide_number(memoryview(packet))
        if at and self._viewer.sent is not None:
            packet[at : at + 2] = self.sent.take(len(packet), now).to_bytes(2, "big")

    def affords_repair(self, size: int, now: float) -> bool:
        """Takes a packet's bytes from what may be sent again; False: it would fill the link."""
        if self._repaired_until > now:
            return False
        most_bps = REPAIR_SHARE * max(LEAST_BPS, self.bps or UNKNOWN_BPS)
        used = max(self._repaired_until, now - REPAIR_BURST_S)
        self._repaired_until = used + size * 8 / most_bps
        return True

    def repair_sequence(self, ssrc: int) -> int:
        """The next sequence number of a repair stream."""
        sent = self._repaired[ssrc] = self._repaired.get(ssrc, 0) + 1
        return sent & 0xFFFF

    def tick(self, now: float) -> None:
        """Ten times a second: notices silence, shares out, finds out more if that would help."""
        if self._told and self.sent.count[0] - self._answered > SILENT_PACKETS:
            self._estimator.silent(now)
        wanted = self._share_out(now)
        if self._climbs:
            probe = self._estimator.probe(wanted, now)
            if probe is not None:
                self._beat(probe, now, 0.0)

    def _share_out(self, now: float) -> float:
        """Gives each picture its layer; answers what all he watches could use."""
        legs = [*self._viewer.watched.values()]
        voices = self._speak([each for each in legs if not each.track.is_picture], now)
        asked = [
            each for leg in legs if leg.track.is_picture and (each := self._asked(leg, now)).levels
        ]
        beside = voices * VOICE_BPS + self.reserved_bps
        bps = math.inf if self.bps is None else self._lifted(self.bps, asked, beside, now) - beside
        if all(
            (leg.wanted, leg.slow) == levels[-1] for leg, levels, _ in asked
        ) and bps > ROOM * sum(wish.needs[-1] for _, _, wish in asked):
            self._steady.forget()  # as nearly always
        else:
            self._choose(asked, bps, now)
        share = self._small_share(len(asked), beside, now)
        got = [self._got(leg, levels[-1][0], share, now) for leg, levels, _ in asked]
        self.ladder.stand(step_of(got, silenced=self._speech.silenced), now)
        pictures = (
            min(leg.track.most_bps, max(FACE_BPS, GROWS * wish.needs[-1])) for leg, _, wish in asked
        )
        return beside + sum(pictures)

    def _asked(self, leg: "Leg", now: float) -> _Asked:
        # A layer that has just begun does not say yet how much it is.
        layers = [each for each in leg.track.layers if each.arrives(now) and each.bps]
        levels = [(each, False) for each in layers]
        needs = [each.bps for each in layers]
        if layers and (spare := self._spare(leg, layers[0], now)):
            levels.insert(0, (layers[0], True))
            needs.insert(0, int(needs[0] * (1 - spare)))
        has = (leg.wanted, leg.slow)
        at = levels.index(has) if has in levels else len(levels) - 1
        now_at = None if leg.wanted is None else at
        return _Asked(
            leg, levels, Wish(leg.track.ssrc, tuple(needs), WEIGHT[leg.track.kind], now_at)
        )

    def _spare(self, leg: "Leg", layer: "Layer", now: float) -> float:
        """The part of the smallest layer that can be left out; 0 where it need not be looked at."""
        if self.ladder.stands[0] == "high" and not leg.slow and self.bps is not None:
            return 0.0
        if len(leg.track.layers) == 1 and layer.bps > BENT_BPS and not leg.slow:
            return 0.0
        at, part = self._spares.get(leg.track.ssrc, (-SPARE_EVERY_S, 0.0))
        if now - at >= SPARE_EVERY_S:
            part = share(layer, now)
            part = part if part >= LEAST_SHARE else 0.0
            self._spares[leg.track.ssrc] = now, part
        return part

    def _lifted(self, bps: float, asked: list[_Asked], beside: float, now: float) -> float:
        if self._climbs:
            return bps
        ats = [(wish.needs, -1 if wish.now is None else wish.now) for _, _, wish in asked]
        sends = sum(needs[at] for needs, at in ats if at >= 0)
        more = [
            needs[at + 1] - (needs[at] if at >= 0 else 0)
            for needs, at in ats
            if at + 1 < len(needs)
        ]
        tries = beside + ROOM * (sends + min(more)) if more else None
        return self._trial.lift(bps, sends, tries, now)

    def _speak(self, legs: "list[Leg]", now: float) -> int:
        """Sends the voices, or none where none would get through; how many there are."""
        heard = [each for each in legs if each.track.arrives(now)]
        needs = sum(each.track.top.bps for each in heard)
        # On a dead link nothing is known: the voice itself finds out that it is back. And an
        # estimate alone may be low only because little is sent, or little is told of it.
        # Pictures give way first.
        estimator, silenced = self._estimator, self._speech.silenced
        alone = not any(
            each.track.is_picture and each.wanted is not None and each.track.arrives(now)
            for each in self._viewer.watched.values()
        )
        told = self._told and estimator.heard_at(now) and (silenced or (alone and estimator.chokes))
        self._speech.decide(estimator.carries_bps if told else None, needs, now)
        for leg in legs:
            leg.want(None if self._speech.silenced else leg.track.top, now)
        return len(heard)

    def _small_share(self, pictures: int, beside: float, now: float) -> float:
        """What each picture may take, where that could be little."""
        if self.bps is None or self.bps - beside > LEAVES * SMALL_ROOM * SMALL_BPS * pictures:
            return math.inf
        share = self.share(now)
        return math.inf if share is None else share

    def _got(self, leg: "Leg", largest: "Layer", share: float, now: float) -> Got:
        """What becomes of a picture on its way to him."""
        wanted, track = leg.wanted, leg.track
        fits = wanted is track.top and not leg.slow and share == math.inf
        if fits and track.ssrc not in self._small_since:
            return FULL  # as nearly always
        if wanted is None:
            return Got(paused=True)
        if leg.slow:
            return Got(slow=True)
        if len(track.layers) == 1:
            small = self.ladder.stands[0] != "high"
            return Got(smaller=share < SMALL_BPS * (SMALL_ROOM if small else 1))
        since = now
        if largest is track.top or largest.rid == self._largest_sent(track):
            self._small_since.pop(track.ssrc, None)
        else:
            since = self._small_since.setdefault(track.ssrc, now)
        return Got(smaller=wanted is not largest, all_small=now - since >= SENDS_SMALL_S)

    @staticmethod
    def _largest_sent(track: "Track") -> str:
        """The name of the largest layer its publisher said he would send."""
        return next((each.rid for each in reversed(track.layers) if each.rid in track.rids), "")

    def _choose(self, asked: list[_Asked], bps: float, now: float) -> None:
        choices = self._steady.decide(bps, [each.wish for each in asked], now)
        for (leg, levels, _), chosen in zip(asked, choices, strict=True):
            layer, slow = (None, False) if chosen is None else levels[chosen]
            leg.want(layer, now)
            leg.want_slow(slow=slow)

    def _beat(self, probe: Probe, now: float, owed: float) -> None:
        """Sends a portion of padding, and the next one soon."""
        tracks = (each.track for each in self._viewer.watched.values())
        track = next((each for each in tracks if each.is_picture and each.live), None)
        if now >= probe.until or self._viewer.closed or track is None:
            return
        owed += max(0.0, probe.bps - self._estimator.offered_bps) * BEAT_S / 8
        while owed >= PADDING_BYTES + WIRE_BYTES:
            owed -= PADDING_BYTES + WIRE_BYTES
            self._viewer.send_rtp(self._padding(track, now))
        loop = asyncio.get_running_loop()
        loop.call_later(BEAT_S, lambda: self._beat(probe, loop.time(), owed))

    def _padding(self, track: "Track", now: float) -> bytes:
        """A packet of a repair stream that repairs nothing; browsers send such to us."""
        return (
            _PADDING_HEAD.pack(
                0xB0,  # version 2, padded, extended
                REPAIR_TYPE[track.payload_type],
                self.repair_sequence(track.rtx_ssrc),
                track.top.last_timestamp,
                track.rtx_ssrc,
                0xBEDE0001,
                TRANSPORT_WIDE << 4 | 1,
                self.sent.take(PADDING_BYTES, now),
                0,
            )
            + _PADDING
        )
