"""More is tried now and then for a viewer whose link nothing can probe.

What a browser says it can receive (REMB), and what an estimate without padding finds, stay near
what it gets. So the next larger thing is sent for a while: what is then said shows whether it fits.
"""

LASTS_S = 6.0  # two to be steady, then a key frame, then the browser's own estimate has to follow
FIRST_S, MOST_S = 15.0, 120.0
PASSED = 0.9  # of what was tried
FELL = 0.7  # of what was said before: the link is full


class Trial:
    """One viewer's."""

    def __init__(self, now: float) -> None:
        self._every_s = FIRST_S
        self._next_at = now + FIRST_S
        self._until: float | None = None
        self._before = self._tried = self._sent = 0.0

    def lift(self, bps: float, sends: float, tries: float | None, now: float) -> float:
        """What to take the link for, which is said to carry `bps`.

        `sends`: what he gets now; `tries`: what he would get with the next larger thing, None
        where there is nothing more.
        """
        if self._until is not None:
            if bps >= FELL * self._before and now < self._until:
                return max(bps, self._tried)
            passed = sends > self._sent and bps >= PASSED * sends
            self._every_s = FIRST_S if passed else min(2 * self._every_s, MOST_S)
            self._next_at, self._until = now + self._every_s, None
        elif tries is not None and tries > bps >= sends and now >= self._next_at:
            self._before, self._tried, self._until = bps, tries, now + LASTS_S
            self._sent = sends
            return tries
        return bps
