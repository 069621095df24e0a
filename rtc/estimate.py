"""What a viewer's link carries, from when the packets sent to him arrived.

Google's congestion control (draft-ietf-rmcat-gcc-02) as far as a forwarding server needs it: a way
that gets longer means a queue builds up, so the rate goes under what was delivered; else it grows,
but never far beyond what was really delivered. Beside the draft: a queue that stands is drained,
loss that is there at any rate is no congestion, and probes find out what nobody has used yet.
"""

import math
from collections import deque
from collections.abc import Sequence

from rtc.trend import Trend
from rtc.twcc import Row

START_BPS = 1_000_000.0
LEAST_BPS = 16_000.0  # half of a voice: less cannot be told apart
MOST_BPS = 20_000_000.0

BACK_OFF = 0.85
GROWTH_PER_S = 0.08
STEP_BITS = 9600  # near the known capacity: a packet a round trip
RESPONSE_S = 0.1
HEADROOM = 1.5  # over what was delivered
HEADROOM_BPS = 10_000
UNUSED = 0.6  # who sends less than this share of the estimate does not test it
DELIVERED_S = 0.5  # window of the delivered rate
AGAIN_S = 0.2  # between two reductions
NEAR = 0.8  # of the capacity found

DRAIN_FROM_S, DRAIN_WHOLE_S = 0.1, 0.4  # a longer queue than the first is drained
DRAIN_LEAST = 0.3
SETTLED = 0.5  # of the estimate before: a queue that stands then is not of our making
BASE_S = 10.0  # the shortest way of this time or twice it counts as the empty link

LOSS_EVERY_S = 1.0
LOSS_PACKETS = 20
LOSS_OFTEN = 0.10
LOSS_MARGIN = 0.02
LOSS_OWN = 0.06  # at most so much may be the link's own
LOSS_WINDOWS = 8

PROBE_S, PROBE_BITS = 0.1, 24_000  # at least; more would hold a voice up on a thin link
PROBE_FACTOR = 2.0
THIN_BPS = 100_000  # on a link under this a probe is gentler, for there is a voice on it
THIN_BITS, THIN_FACTOR = 16_000, 1.8
PROBE_PACKETS = 5  # fewer prove nothing
PROBE_ANSWER_S = 1.0
PASSED = 0.85  # of the probe: the link was not full
FILLED = 0.95  # of what passed when it was
PROBE_EVERY_S, PROBE_MOST_S, PROBE_ON_S = 4.0, 8.0, 0.3  # after vain ones, after a good one
PROBE_OWN_S = 0.4  # so long after a probe a queue may be its own
PROBE_QUEUE_S = 0.25
QUIET_S = 1.5  # after a reduction nothing is tried

FULL_S = 0.2  # a queue that stands
LATE_S = 1.0  # what comes later than this is no conversation any more
PASSING = 0.75  # of what is sent; a voice that comes in such pieces says little
PASSING_S = 1.0  # about so long counts, the latest most
SILENT_S = 1.0  # without any feedback the link is as good as down
FORGIVEN_S = 0.5  # so long after it what is told as lost was lost in it


class _Rate:
    """Bits a second over the last half second, from sums at moments of one clock."""

    def __init__(self) -> None:
        self._sums: deque[tuple[float, int]] = deque()
        self._bytes = 0
        self.bps: float | None = None

    def take(self, at: float, size: int) -> None:
        sums = self._sums
        if sums and at <= sums[-1][0] - DELIVERED_S:  # a clock that was set back
            sums.clear()
            self._bytes = 0
        if sums and at <= sums[-1][0]:
            at = sums[-1][0]
            sums[-1] = (at, sums[-1][1] + size)
        else:
            sums.append((at, size))
        self._bytes += size
        while len(sums) > 2 and at - sums[1][0] >= DELIVERED_S:  # noqa: PLR2004 - a span needs two
            self._bytes -= sums.popleft()[1]
        span = at - sums[0][0]
        if span >= DELIVERED_S / 2:
            self.bps = (self._bytes - sums[0][1]) * 8 / span


class Probe:
    """A short time of sending more than the estimate."""

    def __init__(self, bps: float, now: float) -> None:
        self.bps = bps
        bits = PROBE_BITS if bps > THIN_BPS else THIN_BITS
        self.since, self.until = now, now + max(PROBE_S, bits / bps)
        self.rows: list[Row] = []
        self.passes = False  # the link was not full

    def result(self) -> float | None:
        """The rate that passed."""
        rows = self.rows
        if sum(each.packets for each in rows) < PROBE_PACKETS:
            return None
        rows.sort()
        size = sum(each.size for each in rows)
        sent_s = rows[-1].sent - rows[0].sent
        arrived_s = max(each.arrived for each in rows) - rows[0].arrived
        if sent_s <= 0:
            return None
        sent = (size - rows[-1].size) * 8 / sent_s
        passed = (size - rows[0].size) * 8 / arrived_s if arrived_s > 0 else sent
        self.passes = passed > PASSED * sent
        return min(sent, self.bps) if self.passes else FILLED * passed


class Estimator:
    """Of one viewer's transport; fed with each feedback."""

    def __init__(self, now: float, start_bps: float = START_BPS) -> None:
        self._target = start_bps
        self._trend = Trend()
        self._delivered, self._offered = _Rate(), _Rate()
        self._capacity: float | None = None  # what was delivered when the link was full
        self._told_at = now
        self._before_silence: float | None = None
        self._reduced_at = now - QUIET_S
        self._queue_s = 0.0
        self._settles_at = 0.0
        self._base: tuple[float, float] | None = None  # shortest way, now and the window before
        self._base_at = self._moved_at = now
        self._arrived = self._lost = 0
        self._loss_at = now
        self._losses = deque[float](maxlen=LOSS_WINDOWS)
        self._passing = 1.0  # of what is sent
        self._held_until = now
        self._forgiven_until = now  # losses
        self._probe: Probe | None = None
        self._probe_at = now + PROBE_EVERY_S / 4
        self._probe_every_s = PROBE_EVERY_S
        self._own_until = now

    @property
    def bps(self) -> float:
        """What may be sent now: less than the link carries while its queue is long."""
        long = (self._queue_s - DRAIN_FROM_S) / DRAIN_WHOLE_S
        return max(LEAST_BPS, self._target * min(1.0, max(DRAIN_LEAST, 1.0 - long)))

    @property
    def carries_bps(self) -> float:
        """What the link carries, whatever stands in its queue."""
        return self._target

    @property
    def chokes(self) -> bool:
        """Whether what is sent comes in pieces or much too late, and not only little is sent.

        Not by the rate that arrives: that looks small where feedback is lost on its way to us.
        """
        queue_s = self._queue_s
        return queue_s > LATE_S or (queue_s > FULL_S and self._passing < PASSING)

    def heard_at(self, now: float) -> bool:
        """Whether anything is told of the link these days."""
        return self._before_silence is None and now - self._told_at < SILENT_S

    @property
    def offered_bps(self) -> float:
        """What was sent lately, of what arrived."""
        return self._offered.bps or 0.0

    @property
    def has_reduced(self) -> bool:
        """Whether the link has been full since the beginning."""
        return self._capacity is not None

    def told(self, rows: Sequence[Row], lost: int, now: float, rtt_s: float = 0.1) -> None:
        """Takes what one feedback says, its rows in the order of sending."""
        passed, self._told_at = min(now - self._told_at, 1.0), now
        if rows and self._before_silence is not None:
            self._begin_again(now)
        if now < self._forgiven_until:
            lost = 0
        size = packets = 0
        if rows:
            last, way = rows[0].arrived, math.inf
            for row in rows:
                self._trend.take(row)
                size += row.size
                packets += row.packets
                last = max(last, row.arrived)
                way = min(way, row.first_arrived - row.first_sent)
            self._delivered.take(last, size)
            self._offered.take(rows[-1].sent, size)
            if rows[0].first_sent >= self._moved_at:
                self._measure_queue(way, now)
            self._arrived += packets
        self._pass(packets, lost, passed)
        self._count(lost, now)
        over = self._trend.grows()
        if over > 0 and (now > self._own_until or self._queue_s > PROBE_QUEUE_S):
            self._reduce(now)
        elif self._queue_s > DRAIN_FROM_S:
            self._settle()
        elif over == 0 and now >= self._held_until:
            self._grow(passed, rtt_s)
        if self._queue_s <= DRAIN_FROM_S:
            self._settles_at = SETTLED * self._target
        self._take_probe(rows, now)

    def silent(self, now: float) -> None:
        """Called by the clock while packets go out: without any answer less is sent."""
        if now - self._told_at >= SILENT_S:
            if self._before_silence is None:
                self._before_silence = self._target
            self._told_at = self._reduced_at = now
            self._target = max(LEAST_BPS, self._target / 2)

    def moved(self, now: float) -> None:
        """The viewer is somewhere else: how long the old way was says nothing of the new one."""
        self._moved_at = now
        self._base = None
        self._queue_s = 0.0
        self._trend = Trend()

    def _begin_again(self, now: float) -> None:
        """The link is back: what went into the dead one says nothing of it."""
        self._target = max(self._target, (self._before_silence or 0.0) / 2)
        self._before_silence = None
        self._forgiven_until = now + FORGIVEN_S
        self._trend = Trend()
        self._delivered, self._offered = _Rate(), _Rate()

    def probe(self, wanted_bps: float, now: float) -> Probe | None:
        """What to send for a moment from now on, if it is worth finding out more."""
        if self._probe is not None or now < self._probe_at or wanted_bps <= self._target:
            return None
        if self._queue_s > DRAIN_FROM_S or now - self._reduced_at < QUIET_S:
            return None
        self._probe_at = now + self._probe_every_s
        self._probe_every_s = min(self._probe_every_s * 2, PROBE_MOST_S)
        factor = PROBE_FACTOR if self._target > THIN_BPS else THIN_FACTOR
        self._probe = Probe(min(self._target * factor, MOST_BPS), now)
        self._own_until = self._probe.until + PROBE_OWN_S
        return self._probe

    def _measure_queue(self, way_s: float, now: float) -> None:
        if self._base is None:
            self._base = (way_s, way_s)
        elif now - self._base_at > BASE_S:
            self._base_at = now
            self._base = (way_s, self._base[0])
        else:
            self._base = (min(self._base[0], way_s), self._base[1])
        self._queue_s = way_s - min(self._base)

    def _pass(self, arrived: int, lost: int, passed_s: float) -> None:
        if told := arrived + lost:
            weight = min(1.0, passed_s / PASSING_S)
            self._passing += weight * (arrived / told - self._passing)

    def _count(self, lost: int, now: float) -> None:
        self._lost += lost
        total = self._arrived + self._lost
        if now - self._loss_at < LOSS_EVERY_S or total < LOSS_PACKETS:
            return
        share = self._lost / total
        self._arrived = self._lost = 0
        self._loss_at = now
        self._losses.append(share)
        if share <= min(LOSS_OWN, *self._losses) + LOSS_MARGIN:
            return
        self._held_until = now + LOSS_EVERY_S
        if share > LOSS_OFTEN and now - self._reduced_at > QUIET_S:  # else it is the same trouble
            self._reduced_at = now
            self._target = max(LEAST_BPS, self._target * (1 - share / 2))

    def _settle(self) -> None:
        """A queue that neither grows nor goes: what is delivered is all there is."""
        delivered = self._delivered.bps
        if delivered is not None and not self._unused():
            self._target = min(self._target, max(LEAST_BPS, self._settles_at, FILLED * delivered))

    def _unused(self) -> bool:
        return self._offered.bps is not None and self.offered_bps < UNUSED * self._target

    def _reduce(self, now: float) -> None:
        delivered, unused = self._delivered.bps, self._unused()
        if now - self._reduced_at < AGAIN_S or (unused and self._queue_s < DRAIN_FROM_S):
            return
        self._reduced_at = now
        least = self._target / 2 if unused else LEAST_BPS  # not we have filled the link
        reduced = BACK_OFF * (self._target if delivered is None else delivered)
        if delivered is not None:
            self._capacity = delivered
        self._target = min(self._target, max(reduced, least))
        self._settles_at = SETTLED * self._target

    def _grow(self, passed: float, rtt_s: float) -> None:
        delivered = self._delivered.bps
        if delivered is None:
            return
        self._target = max(self._target, min(delivered, MOST_BPS))  # proven, whoever sent it
        limit = min(HEADROOM * delivered + HEADROOM_BPS, MOST_BPS)
        if self._capacity is not None and delivered > self._capacity * 1.1:
            self._capacity = None
        if self._capacity is not None and self._target > NEAR * self._capacity:
            step = STEP_BITS / (rtt_s + RESPONSE_S) * passed
        else:
            step = max(1000.0, self._target * GROWTH_PER_S) * passed
        if self._target < limit:
            self._target = min(self._target + step, limit)

    def _take_probe(self, rows: Sequence[Row], now: float) -> None:
        probe = self._probe
        if probe is None:
            return
        probe.rows += [each for each in rows if probe.since <= each.sent <= probe.until]
        if now < probe.until + PROBE_ANSWER_S and not (rows and rows[-1].sent > probe.until):
            return
        self._probe = None
        passed = probe.result()
        if passed is None:
            return
        self._target = max(self._target, min(passed, MOST_BPS))
        if probe.passes:
            self._probe_at = now + PROBE_ON_S
            self._probe_every_s = PROBE_EVERY_S
