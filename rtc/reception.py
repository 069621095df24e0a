"""What arrived of one RTP stream: extended sequence numbers, loss, jitter and gaps (RFC 3550 A)."""

from aiortc.rtp import RtcpReceiverInfo

HALF = 0x8000
LONGEST_GAP = 200  # a longer jump is a new beginning, not a loss to be asked for
NACK_EVERY_S = 0.1
NACK_TRIES = 6
ANSWER_S = 1.0  # what was asked for last may come so much later
MAX_LOST = 0x7FFFFF


class Reception:
    """One source's packets; `take` in the hot path, the rest once a second or at a loss."""

    def __init__(self, ssrc: int, sequence: int, clock_rate: int) -> None:
        self.ssrc = ssrc
        self.highest = sequence - 1
        self.missing: dict[int, tuple[int, float]] = {}  # index → tries so far, next try at
        self._first = sequence
        self._clock_rate = clock_rate
        self.received = 0
        self.repaired = 0  # of those, by being sent again
        self._expected_before = 0
        self._received_before = 0
        self._jitter = 0.0
        self._transit: float | None = None
        self._report_middle = 0
        self._report_at = 0.0

    def take(self, sequence: int, timestamp: int, now: float) -> int:
        """Index of the packet: its sequence number without wrapping."""
        ahead = (sequence - self.highest) & 0xFFFF
        self.received += 1
        if ahead >= HALF:
            index = self.highest + ahead - 0x10000
            self.missing.pop(index, None)
            return index
        index = self.highest + ahead
        if 1 < ahead <= LONGEST_GAP:
            for lost in range(self.highest + 1, index):
                self.missing[lost] = (0, now)
            # Nobody asks for lost voice, and a hostile sender only makes gaps: bounded here.
            while index - (oldest := next(iter(self.missing))) > LONGEST_GAP:
                del self.missing[oldest]
        self.highest = index
        transit = now * self._clock_rate - timestamp
        if self._transit is not None:
            change = abs(transit - self._transit)
            if change < self._clock_rate:  # a wrapped timestamp is not jitter
                self._jitter += (change - self._jitter) / 16
        self._transit = transit
        return index

    @property
    def expected(self) -> int:
        """How many were sent, as far as the numbers tell."""
        return self.highest - self._first + 1

    @property
    def jitter_units(self) -> int:
        """In units of the stream's clock."""
        return int(self._jitter)

    def lacks(self, sequence: int) -> bool:
        """Whether a packet sent again is news: browsers also probe with such as have come."""
        ahead = (sequence - self.highest) & 0xFFFF
        return 0 < ahead < HALF or self.highest + ahead - 0x10000 in self.missing

    def due(self, now: float) -> list[int]:
        """Sequence numbers to ask the sender for now; `NACK_TRIES` times each."""
        asked = []
        for index, (tries, at) in list(self.missing.items()):
            if self.highest - index > LONGEST_GAP or (tries >= NACK_TRIES and at <= now):
                del self.missing[index]
            elif at <= now:
                wait_s = NACK_EVERY_S if tries + 1 < NACK_TRIES else ANSWER_S
                self.missing[index] = (tries + 1, now + wait_s)
                asked.append(index & 0xFFFF)
        return asked

    def heard_report(self, ntp: int, now: float) -> None:
        """Remembers the sender's report, so that it can compute the round trip."""
        self._report_middle = (ntp >> 16) & 0xFFFFFFFF
        self._report_at = now

    def report(self, now: float) -> RtcpReceiverInfo:
        """A receiver report block; the share lost is counted since the last one."""
        expected = self.expected
        lost_now = (expected - self._expected_before) - (self.received - self._received_before)
        expected_now = expected - self._expected_before
        self._expected_before, self._received_before = expected, self.received
        share = lost_now * 256 // expected_now if expected_now > 0 and lost_now > 0 else 0
        delay = int((now - self._report_at) * 65536) if self._report_middle else 0
        return RtcpReceiverInfo(
            ssrc=self.ssrc,
            fraction_lost=min(share, 255),
            packets_lost=max(0, min(expected - self.received, MAX_LOST)),
            highest_sequence=self.highest & 0xFFFFFFFF,
            jitter=self.jitter_units,
            lsr=self._report_middle,
            dlsr=min(delay, 0xFFFFFFFF),
        )
