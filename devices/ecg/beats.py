"""Heart beats of a whole recording, found looking both ways in time.

Sum-decimate to about 120 Hz, band-pass forward and backward, energy of the slope over 100 ms. A
local maximum above a share of the running level is a beat, unless a larger one is closer than the
heart can beat again; where a beat is late against the rhythm around it, the best maximum passed
over is taken. A beat is told at the extreme of the signal beside its energy.

Never raises on data; units, offset, gain and polarity do not matter. Long recordings are taken in
blocks: time is linear and the memory beside the samples is bounded.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter, uniform_filter1d
from scipy.signal import butter, sosfilt

from devices.ecg.quality import Reason

Floats = NDArray[np.float64]
Singles = NDArray[np.floating]
Indices = NDArray[np.int64]

TARGET_HZ = 120.0
BAND_HZ = (4.0, 20.0)
SMOOTH_S = 0.1
# The level of beats: median over so many windows of the largest energy in each.
WINDOW_S, WINDOWS = 1.8, 5
ACCEPT, SEARCH_BACK, LATE = 0.35, 0.2, 1.4
REFRACTORY_S = 0.25
T_WAVE_S, T_WAVE = 0.33, 0.55
RHYTHM = 9  # intervals whose median is the rhythm around a beat
FEWEST = 3  # beats that make a rhythm
REFINE_S = 0.07
BLOCK_S, MARGIN_S = 3600.0, 20.0
# The shortest signal that can hold a beat and the quiet beside it.
SHORTEST_S = 0.5
# No converter gives more: a float beyond it is a missing sample.
BELIEVABLE = 1e9


class Beats(NamedTuple):
    """Samples of the R peaks, in order; `reason` says why there are none."""

    samples: Indices
    reason: Reason | None


def find_beats(samples: NDArray[np.generic], rate_hz: float) -> Beats:
    """The beats of one lead (n,) or of several leads at once (n, leads), in any units."""
    x = np.asarray(samples)
    x = x[:, None] if x.ndim == 1 else x
    count = len(x)
    if count < SHORTEST_S * rate_hz or x.ndim != 2 or not x.shape[1]:  # noqa: PLR2004
        return _none(Reason.FEW_BEATS)
    block, margin = round(BLOCK_S * rate_hz), round(MARGIN_S * rate_hz)
    found: list[Indices] = []
    for start in range(0, count, block):
        first = max(0, start - margin)
        beats = first + _block(x[first : start + block + margin], rate_hz)
        last = found[-1][-1] if found and found[-1].size else -count
        near = max(start, int(last + REFRACTORY_S * rate_hz / 2))
        found.append(beats[(beats >= near) & (beats < start + block)])
    every = np.concatenate(found)
    return Beats(every, None) if every.size else _none(Reason.FLAT_LINE)


def _none(reason: Reason) -> Beats:
    return Beats(np.empty(0, np.int64), reason)


def _block(x: NDArray[np.generic], rate_hz: float) -> Indices:
    factor = max(1, round(rate_hz / TARGET_HZ))
    lead = _filled(x[:, 0])
    energy = _energy(_decimated(lead, factor), rate_hz / factor)
    at = _decide(energy, rate_hz / factor)
    return _peaks(lead, at * factor + factor // 2, round(REFINE_S * rate_hz))


def _filled(lead: NDArray[np.generic]) -> Floats:
    """Missing samples held at a straight line between those beside them."""
    x = lead.astype(np.float64)
    good = np.abs(x) <= BELIEVABLE
    if good.all():
        return x
    if not good.any():
        return np.zeros(len(x))
    where = np.flatnonzero(good)
    return np.interp(np.arange(len(x)), where, x[where])


def _decimated(x: Floats, factor: int) -> Floats:
    whole = len(x) // factor * factor
    total = x[:whole:factor].copy()
    for phase in range(1, factor):
        total += x[phase:whole:factor]
    return total


def _energy(x: Floats, rate_hz: float) -> Singles:
    """Root of the mean square slope of the band of the QRS complex."""
    band = (BAND_HZ[0], min(BAND_HZ[1], 0.45 * rate_hz))
    sos = butter(2, band, "bandpass", fs=rate_hz, output="sos").astype(np.float32)
    pad = min(len(x) - 1, round(rate_hz))
    y = np.pad(x - x[0], pad, "reflect", reflect_type="odd").astype(np.float32)
    y = sosfilt(sos, y)
    y = sosfilt(sos, y[::-1])[::-1]
    slope = np.diff(y[pad - 1 : len(y) - pad])
    slope *= slope
    width = max(1, round(SMOOTH_S * rate_hz))
    smooth: Singles = np.sqrt(uniform_filter1d(slope, width, mode="constant"))
    return smooth


def _decide(energy: Singles, rate_hz: float) -> Indices:
    """Which local maxima of the energy are beats."""
    at = np.flatnonzero((energy[1:-1] > energy[:-2]) & (energy[1:-1] >= energy[2:])) + 1
    level = _level(energy, rate_hz)
    height = energy[at] / np.maximum(
        level[np.minimum(at // round(WINDOW_S * rate_hz), len(level) - 1)], 1e-30
    )
    keep = height > SEARCH_BACK
    at, height = at[keep], height[keep]
    strong = np.flatnonzero(height > ACCEPT)
    strong = _thinned(at, height, strong, REFRACTORY_S * rate_hz, 1.0)
    strong = _thinned(at, height, strong, T_WAVE_S * rate_hz, T_WAVE)
    return at[_searched(at, height, strong, rate_hz)]


def _level(energy: Singles, rate_hz: float) -> Singles:
    window = round(WINDOW_S * rate_hz)
    whole = max(1, len(energy) // window)
    highest = energy[: whole * window].reshape(whole, -1).max(axis=1)
    level: Singles = median_filter(highest, WINDOWS, mode="nearest")
    return level


def _thinned(at: Indices, height: Singles, kept: Indices, reach: float, share: float) -> Indices:
    """Without those beside a larger one, closer than `reach` and below `share` of it."""
    while kept.size > 1:
        here, size = at[kept], height[kept]
        close = np.diff(here) < reach
        before = np.concatenate(((False,), close & (size[1:] < share * size[:-1])))
        after = np.concatenate((close & (size[:-1] <= share * size[1:]), (False,)))
        drop = before | after
        # Of a chain of falling ones only the outermost goes now: the next may be freed by it.
        drop[1:] &= ~drop[:-1]
        if not drop.any():
            break
        kept = kept[~drop]
    return kept


def _searched(at: Indices, height: Singles, kept: Indices, rate_hz: float) -> Indices:
    """With the best of those passed over where a beat is late."""
    gap = REFRACTORY_S * rate_hz
    for _ in range(8):
        if kept.size < FEWEST:
            break
        intervals = np.diff(at[kept])
        usual = median_filter(intervals.astype(np.float64), RHYTHM, mode="nearest")
        added = []
        for late in np.flatnonzero(intervals > LATE * usual).tolist():
            low, high = int(kept[late]) + 1, int(kept[late + 1])
            inside = np.arange(low, high)
            room = (at[inside] - at[low - 1] > gap) & (at[high] - at[inside] > gap)
            if room.any():
                inside = inside[room]
                added.append(int(inside[np.argmax(height[inside])]))
        if not added:
            break
        kept = np.sort(np.concatenate((kept, added)))
    return kept


def _peaks(x: Floats, centre: Indices, reach: int) -> Indices:
    """Sample of the extreme, up or down, near each centre."""
    if not centre.size:
        return centre
    near = np.clip(centre[:, None] + np.arange(-reach, reach + 1), 0, len(x) - 1)
    shape = x[near]
    away = np.abs(shape - np.median(shape, axis=1, keepdims=True))
    peaks: Indices = near[np.arange(len(near)), away.argmax(axis=1)]
    return peaks
