"""One live ECG: samples in, beats and a heart rate that may be shown out.

Never raises on data. The result does not depend on how the samples were cut into chunks: filters
carry their state, and every decision is taken at fixed positions of the stream.
"""

from collections import deque
from itertools import pairwise

import msgspec
import numpy as np
from numpy.typing import NDArray

from devices.ecg.detect import Detector
from devices.ecg.quality import Quality, Reason, flat, mains, noise, saturated, verdict
from devices.frames import MISSING, StreamHeader

Floats = NDArray[np.float64]

# A new judgement this often, over this much of the past. The rate is taken from the same stretch,
# so that no beat of an unusable signal is in it.
EVERY_S = 0.5
WINDOW_S = 6.0
# Contact is lost when a quarter of the last second is missing; after a longer hole than BRIDGE_S
# the signal starts anew, because a filter cannot know what level it comes back to.
LOST_SHARE = 0.25
BRIDGE_S = 0.1
SETTLE_S = 2.0
# No converter gives more; a float beyond it (or NaN) is a missing sample.
BELIEVABLE = 1e9
# Two intervals are the least to call a rate; no beat for this long, and there is no rate to show.
MIN_BEATS = 3
SILENT_S = 4.0
# The R peak lies this close to where the detector puts the beat.
REFINE_S = 0.08


class Beat(msgspec.Struct, frozen=True):
    """A heart beat. `sample` counts the samples pushed before it; `rr_s` is None after a break."""

    sample: int
    rr_s: float | None


class EcgVitals(msgspec.Struct, frozen=True, kw_only=True):
    """What may be shown now; `heart_rate_bpm` only when the signal carries it."""

    heart_rate_bpm: float | None
    quality: Quality
    reason: Reason | None
    at_sample: int


class EcgStream:
    """Causal analysis of one recorder's stream at 100-1000 Hz."""

    def __init__(self, header: StreamHeader) -> None:
        self.header = header
        self.rate_hz = header.rate_hz
        self._detector = Detector(header.rate_hz)
        self._every = max(1, round(EVERY_S * self.rate_hz))
        self._keep = round((WINDOW_S + 1) * self.rate_hz)
        self._total = 0
        self._last_value = float(header.baseline)
        self._hole = 0
        self._holes: deque[tuple[int, int]] = deque()
        self._restart()

    def push(self, samples: NDArray[np.generic], *, gap: bool = False) -> list[Beat]:
        """Beats these samples confirm, in order. `gap`: samples were lost just before these."""
        x = np.asarray(samples, dtype=np.float64).reshape(-1)
        if gap:
            self._restart()
        missing = ~(np.abs(x) <= BELIEVABLE) | (x == MISSING)
        beats: list[Beat] = []
        # Cut where the stream is judged and where contact comes or goes: positions of the stream.
        turns = np.flatnonzero(missing[1:] != missing[:-1]) + 1
        first_judged = self._every - self._total % self._every
        judged = np.arange(first_judged, len(x), self._every)
        cuts = sorted({0, len(x), *turns.tolist(), *judged.tolist()})
        for start, end in pairwise(cuts):
            part = x[start:end]
            if missing[start]:
                part = self._bridge(len(part))
            else:
                self._contact(float(part[-1]))
            self._advance(part, beats)
        return beats

    def vitals(self) -> EcgVitals:
        """The latest judgement, at most half a second old."""
        return self._vitals

    def _restart(self) -> None:
        """The next sample has no past: filters, level and rhythm begin anew, the count goes on."""
        self._detector.restart()
        self._base = self._total
        self._history = np.empty(0)
        self._beats: deque[int] = deque()
        self._say(Quality.NO_SIGNAL, Reason.FEW_BEATS)

    def _contact(self, last: float) -> None:
        if self._hole > BRIDGE_S * self.rate_hz:
            self._restart()
        self._hole = 0
        self._last_value = last

    def _bridge(self, count: int) -> Floats:
        """Missing samples, held at the last value and remembered as a hole."""
        self._hole += count
        self._holes.append((self._total, self._total + count))
        return np.full(count, self._last_value)

    def _advance(self, part: Floats, beats: list[Beat]) -> None:
        self._history = np.concatenate((self._history, part))[-self._keep :]
        self._total += len(part)
        for offset in self._detector.feed(part):
            peak = self._peak(offset)
            if peak is not None:
                beats.append(self._beat(peak))
        if self._total % self._every == 0:
            self._judge()

    def _peak(self, offset: int) -> int | None:
        """Sample of the R (or deep S) peak: the extreme of the raw signal near the detection.

        None where the signal hardly moves: the detector's level follows any noise down.
        """
        reach = max(1, round(REFINE_S * self.rate_hz))
        start = self._total - self._base - len(self._history)
        first = max(0, offset - reach - start)
        near = self._history[first : max(first + 1, offset + reach + 1 - start)]
        if not near.size or flat(near, self.header.gain_per_mv):
            return None
        return self._base + start + first + int(np.argmax(np.abs(near - np.median(near))))

    def _beat(self, sample: int) -> Beat:
        before = self._beats[-1] if self._beats else None
        if before is not None:
            sample = max(sample, before + 1)
        self._beats.append(sample)
        while self._beats[0] < sample - (WINDOW_S + 1) * self.rate_hz:
            self._beats.popleft()
        return Beat(sample, None if before is None else (sample - before) / self.rate_hz)

    def _say(self, quality: Quality, reason: Reason | None, rate: float | None = None) -> None:
        self._vitals = EcgVitals(
            heart_rate_bpm=rate, quality=quality, reason=reason, at_sample=self._total
        )

    def _judge(self) -> None:
        if self._lost():
            self._say(Quality.LEAD_OFF, Reason.ELECTRODE_OFF)
            return
        recent = self._history[-round(SETTLE_S * self.rate_hz) :]
        if len(recent) < round(SETTLE_S * self.rate_hz):
            self._say(Quality.NO_SIGNAL, Reason.FEW_BEATS)
        elif flat(recent, self.header.gain_per_mv):
            self._say(Quality.UNUSABLE, Reason.FLAT_LINE)
        elif saturated(recent, self.rate_hz):
            self._say(Quality.UNUSABLE, Reason.SATURATION)
        else:
            self._judge_beats(recent)

    def _lost(self) -> bool:
        """Whether a quarter of the last second had no contact."""
        oldest = self._total - round(self.rate_hz)
        while self._holes and self._holes[0][1] <= oldest:
            self._holes.popleft()
        lost = sum(end - max(start, oldest) for start, end in self._holes)
        return lost > LOST_SHARE * self.rate_hz

    def _judge_beats(self, recent: Floats) -> None:
        detector = self._detector
        factor = detector.factor
        decimated = (self._total - self._base) // factor
        count = min(round(WINDOW_S * detector.rate_hz), decimated, len(detector.energy))
        first = (decimated - count) * factor  # raw offset of the window since the restart
        start = self._total - self._base - len(self._history)
        raw = self._history[first - start : first - start + count * factor]
        x = raw.reshape(-1, factor).mean(axis=1)
        energy = detector.energy[len(detector.energy) - count :]
        inside = [b for b in self._beats if b - self._base >= first]
        at = [(b - self._base - first) // factor for b in inside]
        if len(inside) < MIN_BEATS:
            long_enough = count >= round(WINDOW_S * detector.rate_hz)
            self._say(Quality.NOISY if long_enough else Quality.NO_SIGNAL, Reason.FEW_BEATS)
            return
        seen = noise(x, energy, at, detector.rate_hz, detector.lag)
        quality, reason = verdict(seen)
        if mains(recent, self.rate_hz, seen.qrs):
            quality = Quality.NOISY if quality is Quality.GOOD else quality
            reason = Reason.MAINS
        if quality is Quality.UNUSABLE:
            self._say(quality, reason)
        elif self._total - inside[-1] > SILENT_S * self.rate_hz:
            self._say(quality, Reason.FEW_BEATS)
        else:
            seconds = (inside[-1] - inside[0]) / self.rate_hz
            self._say(quality, reason, 60 * (len(inside) - 1) / seconds)
