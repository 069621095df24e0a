"""Causal detector of heart beats: SciPy filter state and about twenty numbers of memory.

Sum-decimate to about 120 Hz, band-pass 5.5-18.5 Hz, energy of the slope over 135 ms. A local
maximum above a share of the running level is held for 87 ms, in case a larger one follows, and then
is a beat; when the next beat is late, the best maximum passed over since is taken. Decisions are
made on a fixed grid of the stream's own samples, so that chunks of any size give the same beats.
"""

from collections import deque
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt, sosfilt_zi

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Tuning:
    """Numbers of the decision, tuned on the 23 developers' records of MIT-BIH."""

    band_hz: tuple[float, float] = (5.5, 18.5)
    smooth_s: float = 0.135
    window_s: float = 1.5
    windows: int = 5
    accept: float = 0.46
    search_back: float = 0.22
    late: float = 1.7
    refractory_s: float = 0.2
    hold_s: float = 0.087
    t_wave_s: float = 0.33
    t_wave: float = 0.72
    step_s: float = 0.025
    rhythm: int = 8


TUNING = Tuning()
_TARGET_HZ = 120.0


class Detector:
    """Beats of one unbroken run of samples, as offsets in raw samples from its first one."""

    def __init__(self, rate_hz: float, tuning: Tuning = TUNING) -> None:
        self.tuning = tuning
        self.factor = max(1, round(rate_hz / _TARGET_HZ))
        self.rate_hz = rate_hz / self.factor
        high = min(tuning.band_hz[1], 0.45 * self.rate_hz)
        self._sos = butter(2, (tuning.band_hz[0], high), "bandpass", fs=self.rate_hz, output="sos")
        self._zi_unit = sosfilt_zi(self._sos)
        self._smooth = max(1, round(tuning.smooth_s * self.rate_hz))
        self._refractory = tuning.refractory_s * self.rate_hz
        self._hold = tuning.hold_s * self.rate_hz
        self._t_wave = tuning.t_wave_s * self.rate_hz
        self._window = round(tuning.window_s * self.rate_hz)
        self._step = max(1, round(tuning.step_s * self.rate_hz))
        # Centre of the smoothed slope lags the R peak by half the smoothing and the filter's delay.
        self.lag = round(self._smooth / 2 + 0.05 * self.rate_hz)
        self.restart()

    def restart(self) -> None:
        """Forget everything: the next sample has no past."""
        self._rest = np.empty(0)
        self._zi: Floats | None = None
        self._last_y = 0.0
        self._slopes = np.zeros(self._smooth - 1)
        self.energy = np.empty(0)
        self._offset = 0  # index of energy[0]
        self._done = 0  # energies decided on
        self._maxima: deque[tuple[int, float]] = deque()
        self._levels: deque[float] = deque(maxlen=self.tuning.windows)
        self._window_max = 0.0
        self._level = 0.0
        self._waiting: list[tuple[int, float]] = []
        self._pending: tuple[int, float] | None = None
        self._last: tuple[int, float] | None = None
        self._intervals: deque[int] = deque(maxlen=self.tuning.rhythm)

    def feed(self, samples: Floats) -> list[int]:
        """Offsets of the beats these samples confirm, in order."""
        self._extend(samples)
        found: list[tuple[int, float]] = []
        end = self._offset + len(self.energy)
        while self._done + self._step + 1 <= end:
            self._decide(self._done, self._done + self._step, found)
            self._done += self._step
        self._trim()
        return [max(0, round((at + 0.5 - self.lag) * self.factor)) for at, _ in found]

    def _extend(self, samples: Floats) -> None:
        """Append the energy of the slope; every operation is elementwise or carries its state."""
        if self._rest.size:
            samples = np.concatenate((self._rest, samples))
        whole = len(samples) // self.factor
        self._rest = samples[whole * self.factor :].copy()
        if not whole:
            return
        x = samples[0 : whole * self.factor : self.factor].copy()
        for phase in range(1, self.factor):
            x += samples[phase : whole * self.factor : self.factor]
        if self._zi is None:
            self._zi = self._zi_unit * x[0]
        y, self._zi = sosfilt(self._sos, x, zi=self._zi)
        before = np.concatenate(((self._last_y,), y[:-1]))
        self._last_y = float(y[-1])
        slope = y - before
        slope *= slope
        slopes = np.concatenate((self._slopes, slope))
        self._slopes = slopes[len(slopes) - (self._smooth - 1) :]
        self.energy = np.concatenate((self.energy, np.sqrt(_moving_sum(slopes, self._smooth))))

    def _decide(self, first: int, end: int, found: list[tuple[int, float]]) -> None:
        """Decide on energies first..end-1; energy[end] is known, so maxima are too."""
        low = first - self._offset
        part = self.energy[max(0, low - 1) : end - self._offset + 1].tolist()
        base = first - (1 if low > 0 else 0)
        for i in range(1, len(part) - 1):
            value = part[i]
            at = base + i
            self._window_max = max(self._window_max, value)
            if part[i - 1] < value >= part[i + 1]:
                self._maximum((at, value))
            if (at + 1) % self._window == 0:
                self._close_window(found)
        if self._level:
            self._timers(end, found)

    def _close_window(self, found: list[tuple[int, float]]) -> None:
        self._levels.append(self._window_max)
        self._window_max = 0.0
        self._level = median(self._levels)
        if self._waiting and self._level:
            waiting, self._waiting = self._waiting, []
            for maximum in waiting:
                self._timers(maximum[0], found)
                self._maximum(maximum)

    def _maximum(self, maximum: tuple[int, float]) -> None:
        if not self._level:
            self._waiting.append(maximum)
            return
        at, value = maximum
        self._maxima.append(maximum)
        if value <= self.tuning.accept * self._level:
            return
        if self._last is not None:
            since = at - self._last[0]
            if since < self._refractory:
                return
            if since < self._t_wave and value < self.tuning.t_wave * self._last[1]:
                return
        if self._pending is None or value > self._pending[1]:
            self._pending = maximum

    def _timers(self, now: int, found: list[tuple[int, float]]) -> None:
        """What the passing of time decides: a held maximum, or a beat that is late."""
        if self._pending is not None:
            if now - self._pending[0] >= self._hold:
                self._confirm(self._pending, found)
            return
        if self._last is None or len(self._intervals) < 2:  # noqa: PLR2004 - one interval is no rhythm
            return
        expected = median(self._intervals)
        if now - self._last[0] <= self.tuning.late * expected + self._hold:
            return
        first, last = self._last[0] + self._refractory, now - self._hold
        best = max(
            (m for m in self._maxima if first <= m[0] <= last),
            key=lambda m: m[1],
            default=None,
        )
        if best is not None and best[1] > self.tuning.search_back * self._level:
            self._confirm(best, found)

    def _confirm(self, beat: tuple[int, float], found: list[tuple[int, float]]) -> None:
        if self._last is not None:
            self._intervals.append(beat[0] - self._last[0])
        self._last = beat
        self._pending = None
        found.append(beat)
        while self._maxima and self._maxima[0][0] <= beat[0]:
            self._maxima.popleft()

    def _trim(self) -> None:
        """Bound the memory: energies are kept for quality, maxima as long as a late beat may be."""
        keep = round(8 * self.rate_hz)
        drop = min(len(self.energy) - keep, self._done - self._offset - 1)
        if drop > 0:
            self.energy = self.energy[drop:]
            self._offset += drop
        oldest = self._done - 4 * self.rate_hz
        while self._maxima and self._maxima[0][0] < oldest:
            self._maxima.popleft()


def _moving_sum(values: Floats, width: int) -> Floats:
    """Sums of `width` neighbours, by doubling; the order of additions is the same for every one."""
    count = len(values) - width + 1
    total = np.zeros(count)
    start = 0
    span = 1
    while True:
        if width & span:
            total += values[start : start + count]
            start += span
        if span * 2 > width:
            return total
        values = values[:-span] + values[span:]
        span *= 2
