"""How strongly the signal moves as a QRS complex does, at about 120 Hz: one lead, or all together.

Band-pass by moving means, squared slope, mean over 100 ms. Everything that adapts does so in
windows of 1.8 s: `level` is the energy of the beats of a lead, `quiet` that between them. Leads are
added after a logarithm, each in units of its own quiet: a lead full of noise says little, and what
moves in one lead only counts less than what moves in all.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

Floats = NDArray[np.float64]
Singles = NDArray[np.floating]

TARGET_HZ = 120.0
# Means over so many samples at TARGET_HZ: about 4 to 20 Hz are left.
FINE, COARSE = (2, 3), 15
SMOOTH_S = 0.1
WINDOW_S, WINDOWS = 1.8, 5
# So far below the usual level of a lead no stretch has beats: an electrode is off.
LEAST_LEVEL = 0.05
# Energy this many times its quiet, as an amplitude, begins to count.
KNEE = 3.0
# No converter gives more: a float beyond it is a missing sample.
BELIEVABLE = 1e9
# Signals are worked through in pieces that stay in the cache; beside each, what its means reach.
PIECE, MARGIN = 1 << 14, 64


class Lead(NamedTuple):
    """One lead: its band-passed wave, the root of its energy, and the two levels by window."""

    wave: Singles
    energy: Singles
    level: Floats
    quiet: Floats

    @property
    def clarity(self) -> Floats:
        """Level of the beats over that between them, by window; 0 where nothing moves."""
        return np.where(self.level > 0, self.level / np.maximum(self.quiet, 1e-30), 0.0)


class Strength(NamedTuple):
    """What all leads say together; `values` and `level` are in the same unit."""

    values: Singles
    level: Floats
    window: int


def factor_of(rate_hz: float) -> int:
    """How many samples are summed to one."""
    return max(1, int(rate_hz / TARGET_HZ + 0.5))


def lead_of(samples: NDArray[np.generic], factor: int, rate_hz: float) -> Lead | None:
    """The lead at `rate_hz`, after summing `factor` samples to one; None where nothing moves."""
    x = _filled(_summed(samples, factor))
    if x is None:
        return None
    wave, energy = np.empty_like(x), np.empty_like(x)
    for start in range(0, len(x), PIECE):
        first = max(0, start - MARGIN)
        inside = slice(start - first, start - first + PIECE)
        part = _band(x[first : start + PIECE + MARGIN])
        wave[start : start + PIECE] = part[inside]
        slope = np.diff(part, prepend=part[:1])
        slope *= slope
        mean = _moving_mean(slope, max(1, round(SMOOTH_S * rate_hz)), edge=False)
        np.sqrt(mean[inside], out=energy[start : start + PIECE])
    by_window = _whole_windows(energy, rate_hz)
    level = _steady(by_window.max(axis=1))
    level = np.maximum(level, LEAST_LEVEL * np.median(level))
    # Neighbours are alike after the mean over 100 ms: one in sixteen is enough.
    quiet = _steady(np.median(by_window[:, ::16], axis=1))
    return Lead(wave, energy, level, np.maximum(quiet, 1e-3 * level)) if level.any() else None


def together(leads: Sequence[Lead], rate_hz: float) -> Strength:
    """The leads as one strength: of one lead its amplitude, of several the sum of logarithms."""
    window = _window(len(leads[0].energy), rate_hz)
    if len(leads) == 1:
        return Strength(leads[0].energy, leads[0].level, window)
    total = np.zeros_like(in_windows(leads[0].energy, rate_hz))
    for lead in leads:
        knee = np.maximum(KNEE * lead.quiet, 1e-15).astype(np.float32)
        part = in_windows(lead.energy, rate_hz) / knee[:, None]
        part *= part
        total += np.log1p(part, out=part)
    values = total.reshape(-1)[: len(leads[0].energy)]
    return Strength(values, _steady(_whole_windows(values, rate_hz).max(axis=1)), window)


def in_windows(values: Singles, rate_hz: float) -> Singles:
    """As rows of one window each; the last is filled up with zeros."""
    window = _window(len(values), rate_hz)
    rows = -(-len(values) // window)
    if rows * window != len(values):
        values = np.concatenate((values, np.zeros(rows * window - len(values), values.dtype)))
    return values.reshape(rows, window)


def _whole_windows(values: Singles, rate_hz: float) -> Singles:
    """The same, the last one reaching back to be whole: a level is taken from as much as others."""
    rows = in_windows(values, rate_hz)
    if rows.size != len(values) and len(rows) > 1:
        rows[-1] = values[-rows.shape[1] :]
    return rows


def _window(count: int, rate_hz: float) -> int:
    return max(1, min(round(WINDOW_S * rate_hz), count))


def _steady(values: Singles) -> Floats:
    steady: Floats = median_filter(values.astype(np.float64), WINDOWS, mode="nearest")
    return steady


def _summed(samples: NDArray[np.generic], factor: int) -> Singles:
    """Sums of `factor` neighbours, less what the first sample would give."""
    count = len(samples) // factor
    offset = factor * _first(samples)
    made = np.empty(count, np.float32)
    for start in range(0, count, PIECE):
        piece = samples[start * factor : min(start + PIECE, count) * factor]
        total = piece[::factor].astype(np.float64)
        for phase in range(1, factor):
            total += piece[phase::factor]
        made[start : start + PIECE] = total - offset
    return made


def _first(samples: NDArray[np.generic]) -> float:
    """The first sample that is not missing."""
    if abs(first := float(samples[0])) <= BELIEVABLE:
        return first
    good = samples[np.abs(samples) <= BELIEVABLE]
    return float(good[0]) if good.size else 0.0


def _filled(x: Singles) -> Singles | None:
    """Missing samples on a straight line between those beside them; None where all are missing."""
    # Two comparisons of extremes see NaN and infinity too, in half the time of a mask.
    if x.size and x.max() <= BELIEVABLE and x.min() >= -BELIEVABLE:
        return x
    good = np.flatnonzero(np.abs(x) <= BELIEVABLE)
    if not good.size:
        return None
    return np.interp(np.arange(len(x)), good, x[good]).astype(np.float32)


def _band(x: Singles) -> Singles:
    """Without what is slower and what is faster than a QRS complex; nothing is delayed."""
    smooth = _moving_mean(_moving_mean(x, FINE[0], edge=True), FINE[1], edge=True)
    return smooth - _moving_mean(_moving_mean(smooth, COARSE, edge=True), COARSE, edge=True)


def _moving_mean(values: Singles, width: int, *, edge: bool) -> Singles:
    """Mean of `width` neighbours, centred, by doubling: a few whole-array additions.

    Beyond the ends the first and last value go on (`edge`), or there is nothing.
    """
    left, count = width // 2, len(values)
    padded = np.empty(count + width - 1, values.dtype)
    padded[:left] = values[0] if edge else 0
    padded[left : left + count] = values
    padded[left + count :] = values[-1] if edge else 0
    total = np.zeros(0, values.dtype)
    span, start = 1, 0
    while True:
        if width & span:
            part = padded[start : start + count]
            total = np.add(total, part, out=total) if start else part.copy()
            start += span
        if span * 2 > width:
            break
        padded = padded[:-span] + padded[span:]
        span *= 2
    total *= np.float32(1 / width)
    return total
