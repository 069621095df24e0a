"""One clock for all tracks: when was it heard or seen, in seconds of the worker's own clock.

A sender report says which RTP time belongs to which NTP time of the sender (RFC 3550 6.4.1); the
quickest reports of the last half minute say how the sender's NTP clock stands to ours. Until a
report has come, for `HOLD_S` at most, packets wait; after that their arrival counts.
"""

from collections import deque

HOLD_S = 2.0
SLEW = 0.05  # seconds of correction per second: nobody sees or hears it
STEP_S = 1.0  # a greater difference is a clock that was set, not a slow packet
LEAST_STEP_S = 0.3  # the same, where the track's own RTP clock says so
_WINDOW_S = 30.0
_MOST_REPORTS = 64
_MOST_EARLY_S, _MOST_LATE_S = 0.5, 3.0  # against the arrival; beyond it nothing is believed
_HALF = 1 << 31


class _Offset:
    """How our clock stands to a sender's: what the least delayed of the last reports say."""

    def __init__(self, offset: float, now: float) -> None:
        self._seen: deque[tuple[float, float]] = deque([(now, offset)], _MOST_REPORTS)
        self.value = offset

    def take(self, offset: float, now: float) -> None:
        self._seen.append((now, offset))
        while now - self._seen[0][0] > _WINDOW_S:
            self._seen.popleft()
        self.value = min(each for _, each in self._seen)


class Sender:
    """The NTP clock that all tracks of one person share."""

    def __init__(self) -> None:
        self._offset: _Offset | None = None

    def restart(self) -> None:
        """Perhaps somebody else: the next report begins the offset anew."""
        self._offset = None

    def heard(self, ntp_s: float, now: float, set_by_s: float = 0.0) -> _Offset:
        """Takes a report's time; after a step of the clock the offset is a new one.

        A clock set back looks like a slow report; `set_by_s` tells them apart. The tracks that
        have not reported since go on with the old offset.
        """
        offset = now - ntp_s
        step_s = LEAST_STEP_S if abs(set_by_s) > LEAST_STEP_S else STEP_S
        if self._offset is None or abs(offset - self._offset.value) > step_s:
            self._offset = _Offset(offset, now)
        self._offset.take(offset, now)
        return self._offset


class TrackClock:
    """RTP times of one track to our clock; it is slewed and never jumps back by itself."""

    def __init__(self, rate: int, sender: Sender) -> None:
        self._rate = rate
        self._sender = sender
        self._last: int | None = None  # RTP time without wrapping
        self._report: tuple[float, int, _Offset] | None = None  # NTP s, RTP time, our offset
        self._pending: tuple[float, int, float] | None = None  # a report before any packet
        self._first_at: float | None = None
        self._earliest = 0.0  # zero of the RTP clock by arrival
        self._zero: float | None = None  # the same as it is used now
        self._slewed_at = 0.0

    def restart(self) -> None:
        """Another source: its reports and its arrival count anew."""
        self._report = self._pending = self._first_at = self._zero = None
        self._sender.restart()

    def report(self, ntp: int, rtp_timestamp: int, now: float) -> None:
        """Takes a sender report."""
        ntp_s = ntp / (1 << 32)
        if self._last is None:
            self._pending = (ntp_s, rtp_timestamp, now)
            return
        ticks = self._unwrapped(rtp_timestamp)
        set_by_s = 0.0
        if self._report is not None:
            before_s, before, _ = self._report
            set_by_s = (ntp_s - before_s) - (ticks - before) / self._rate
        self._report = (ntp_s, ticks, self._sender.heard(ntp_s, now, set_by_s))

    def seen(self, timestamp: int, arrived: float) -> int:
        """Takes a packet's RTP time; gives it without wrapping."""
        ticks = self._last = self._unwrapped(timestamp)
        zero = arrived - ticks / self._rate
        if self._first_at is None:
            self._first_at, self._earliest = arrived, zero
        self._earliest = min(self._earliest, zero)
        if self._pending is not None:
            ntp_s, at, heard = self._pending
            self._pending = None
            self._report = (ntp_s, self._unwrapped(at), self._sender.heard(ntp_s, heard))
        return ticks

    def ready(self, now: float) -> bool:
        """Whether times may be given: a report is here, or has been waited for long enough."""
        return (
            self._report is not None
            or self._zero is not None
            or (self._first_at is not None and now - self._first_at >= HOLD_S)
        )

    def place(self, ticks: int, arrived: float) -> float:
        """The moment of an RTP time, in seconds of our clock."""
        target = self._target(ticks, arrived)
        if self._zero is None or abs(target - self._zero) > STEP_S:
            self._zero = target
        else:
            most = SLEW * max(0.0, arrived - self._slewed_at)
            self._zero += min(most, max(-most, target - self._zero))
        self._slewed_at = max(self._slewed_at, arrived)
        return self._zero + ticks / self._rate

    def _target(self, ticks: int, arrived: float) -> float:
        """Zero of the RTP clock, as the newest report has it if it can be believed."""
        if self._report is not None:
            ntp_s, at, offset = self._report
            zero = ntp_s + offset.value - at / self._rate
            if self._believable(zero + ticks / self._rate, arrived):
                return zero
            self._report = None
        if not self._believable(self._earliest + ticks / self._rate, arrived):
            self._earliest = arrived - ticks / self._rate
        return self._earliest

    @staticmethod
    def _believable(moment: float, arrived: float) -> bool:
        return -_MOST_LATE_S <= moment - arrived <= _MOST_EARLY_S

    def _unwrapped(self, timestamp: int) -> int:
        if self._last is None:
            return timestamp
        ahead = (timestamp - self._last) & 0xFFFFFFFF
        return self._last + (ahead if ahead < _HALF else ahead - (1 << 32))
