"""Whether the way to a viewer gets longer (draft-ietf-rmcat-gcc-02 sections 5.1 to 5.4)."""

from collections import deque
from collections.abc import Sequence

from rtc.twcc import Row

BURST_S = 0.005  # rows that arrive so close are one group, if they left further apart
BUNCH_S = 0.1
WINDOW = 20  # groups in the trend line
SMOOTHING = 0.9
GAIN = 4.0
MOST_WEIGHT = 60
FIRST_THRESHOLD_MS = 12.5
LEAST_THRESHOLD_MS, MOST_THRESHOLD_MS = 6.0, 600.0
THRESHOLD_UP, THRESHOLD_DOWN = 0.0087, 0.039  # per ms
OUTLIER_MS = 15.0
LONGEST_STEP_MS = 100.0


class Trend:
    """Whether the way gets longer: the slope of the smoothed delay over the last groups."""

    def __init__(self) -> None:
        self.threshold_ms = FIRST_THRESHOLD_MS
        self.slope_ms = 0.0  # as compared with the threshold
        self._group: Row | None = None
        self._before: Row | None = None
        self._delay_ms = 0.0
        self._smooth_ms = 0.0
        self._points: deque[tuple[float, float]] = deque(maxlen=WINDOW)
        self._deltas = 0
        self._updated_at = 0.0
        self._over = 0  # times in a row; once may be a hiccup

    def take(self, row: Row) -> None:
        """Takes packets that left together, in the order of sending."""
        group = self._group
        if group is None:
            self._group = row
        elif row.first_sent < group.first_sent:
            return
        elif self._bunched(group, row):
            arrived = max(group.arrived, row.arrived)
            self._group = group._replace(sent=row.sent, arrived=arrived)
        else:
            if self._before is not None:
                delay = (group.arrived - self._before.arrived) - (group.sent - self._before.sent)
                self._point(group.arrived * 1000, delay * 1000)
            self._before, self._group = group, row

    @staticmethod
    def _bunched(group: Row, row: Row) -> bool:
        """Held up together on the way and let go at once: no sign of a queue."""
        gap = row.arrived - group.arrived
        late = row.arrived - group.first_arrived
        return gap <= BURST_S and gap < row.sent - group.sent and late < BUNCH_S

    def _point(self, at_ms: float, change_ms: float) -> None:
        self._deltas += 1
        self._delay_ms += change_ms
        self._smooth_ms = SMOOTHING * self._smooth_ms + (1 - SMOOTHING) * self._delay_ms
        self._points.append((at_ms, self._smooth_ms))

    def grows(self) -> int:
        """1: a queue builds up; -1: it empties; 0: neither. Asked once a feedback."""
        if len(self._points) < WINDOW:
            return 0
        slope = _slope(self._points) * min(self._deltas, MOST_WEIGHT) * GAIN
        rising = slope >= self.slope_ms
        self.slope_ms = slope
        over = slope > self.threshold_ms
        under = slope < -self.threshold_ms
        self._adapt(abs(slope))
        self._over = self._over + 1 if over else 0
        return 1 if self._over > 1 and rising else -1 if under else 0

    def _adapt(self, size_ms: float) -> None:
        """The threshold follows the noise, so that a TCP beside us does not starve us."""
        at = self._points[-1][0]
        passed, self._updated_at = min(at - self._updated_at, LONGEST_STEP_MS), at
        if size_ms > self.threshold_ms + OUTLIER_MS:
            return
        rate = THRESHOLD_DOWN if size_ms < self.threshold_ms else THRESHOLD_UP
        self.threshold_ms += rate * (size_ms - self.threshold_ms) * passed
        self.threshold_ms = min(max(self.threshold_ms, LEAST_THRESHOLD_MS), MOST_THRESHOLD_MS)


def _slope(points: Sequence[tuple[float, float]]) -> float:
    """Of the least-squares line, counted from the first point so that no digits are lost."""
    begin, base = points[0]
    at = height = square = product = 0.0
    for time, value in points:
        x, y = time - begin, value - base
        at += x
        height += y
        square += x * x
        product += x * y
    n = len(points)
    spread = n * square - at * at
    return (n * product - at * height) / spread if spread else 0.0
