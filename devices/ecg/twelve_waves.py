"""What each lead of a short recording looks like: a few numbers, all leads at once."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d
from scipy.signal import butter, find_peaks, sosfilt

Floats = NDArray[np.float64]

# Rate that QRS complexes are looked for at; enough for their band and cheap.
WORK_HZ = 125.0
BAND_HZ = (5.0, 20.0)
# A converter's step is 1 to 5 uV: what moves less between two samples at WORK_HZ stands still.
STILL_MV = 0.002
LEVEL_S, SMOOTH_S, BEFORE_S, REACH_S, QRS_S = 0.5, 0.1, 0.05, 0.08, 0.13
REFRACTORY_S, HIGH_ENOUGH, SILENT_MV = 0.3, 0.4, 0.002
FEWEST_BEATS = 3


class Waves(NamedTuple):
    """One number a lead."""

    still_s: Floats  # longest time that nothing moves
    at_end: Floats  # share of the samples that lie at the lead's own lowest or highest value
    height_mv: Floats  # lowest to highest
    wander_mv: Floats  # lowest to highest half-second mean
    jump_mv: Floats  # greatest change between two half-second means that follow each other
    between: Floats  # energy of the QRS band between beats, 95th percentile, by that of the beats
    strength: Floats  # height of the mean QRS by the 95th percentile of the trace's distance
    likeness: Floats  # of a beat to the most similar other one, median; 1 is identical
    rough_mv: Floats  # median change of slope from sample to sample at about 125 Hz
    beats: int


def waves(millivolts: Floats, rate_hz: float) -> Waves:
    """Of leads without missing samples, (leads, n), at least two seconds long."""
    factor = max(1, round(rate_hz / WORK_HZ))
    rate = rate_hz / factor
    x = _decimated(millivolts, factor)
    x -= np.median(x, axis=1, keepdims=True)
    steps = np.diff(x, axis=1)
    still = np.abs(steps) < STILL_MV
    wide = round(LEVEL_S * rate)
    level = uniform_filter1d(x, wide, axis=1, mode="nearest")
    jump = np.abs(level[:, wide:] - level[:, :-wide]).max(axis=1)
    energy = _energy(x, rate)
    found, heights = _beats(energy, rate)
    strength, alike = _shapes(x, found, rate)
    between = _between(energy, heights, found, rate)
    low, high = x.min(axis=1, keepdims=True), x.max(axis=1, keepdims=True)
    at_end = ((x - low < STILL_MV) | (high - x < STILL_MV)).mean(axis=1)
    return Waves(
        still_s=np.array([_longest(row) for row in still]) / rate,
        at_end=at_end,
        height_mv=(high - low)[:, 0],
        wander_mv=np.ptp(level, axis=1),
        jump_mv=jump,
        between=between,
        strength=strength,
        likeness=alike,
        rough_mv=np.median(np.abs(np.diff(steps, axis=1)), axis=1),
        beats=len(found),
    )


def _decimated(x: Floats, factor: int) -> Floats:
    whole = x.shape[1] // factor * factor
    total = x[:, 0:whole:factor].copy()
    for phase in range(1, factor):
        total += x[:, phase:whole:factor]
    return total / factor


def _longest(still: NDArray[np.bool_]) -> int:
    """Length of the longest run of True."""
    ends = np.flatnonzero(~np.concatenate(((False,), still, (False,))))
    return int(np.diff(ends).max()) - 1


@lru_cache(maxsize=16)
def _band(rate: float) -> Floats:
    high = min(BAND_HZ[1], 0.45 * rate)
    return butter(2, (BAND_HZ[0], high), "bandpass", fs=rate, output="sos")


def _energy(x: Floats, rate: float) -> Floats:
    band = sosfilt(_band(rate), x, axis=1)
    slope = np.abs(np.diff(band, axis=1))
    return uniform_filter1d(slope, round(SMOOTH_S * rate), axis=1)


def _beats(energy: Floats, rate: float) -> tuple[NDArray[np.int64], Floats]:
    """Where most leads say a beat is, as places in `energy`, and each lead's usual height there."""
    second = int(rate)
    whole = energy.shape[1] // second * second
    usual = np.median(energy[:, :whole].reshape(len(energy), -1, second).max(axis=2), axis=1)
    alive = usual > SILENT_MV
    if not alive.any():
        return np.empty(0, np.int64), usual
    together = np.median(energy[alive] / usual[alive, None], axis=0)
    top = np.partition(together, at := int(0.97 * len(together)))[at]
    peaks, _ = find_peaks(
        np.minimum(together, 2), height=HIGH_ENOUGH * top, distance=round(REFRACTORY_S * rate)
    )
    peaks = peaks.astype(np.int64)
    heights = np.median(energy[:, peaks], axis=1) if len(peaks) else usual
    return peaks, heights


def _between(energy: Floats, heights: Floats, beats: NDArray[np.int64], rate: float) -> Floats:
    quiet = np.ones(energy.shape[1], bool)
    reach = round(QRS_S * rate)
    for at in beats.tolist():
        quiet[max(0, at - reach) : at + reach] = False
    rest = energy[:, quiet] if quiet.sum() > rate else energy
    top = np.partition(rest, at := int(0.95 * rest.shape[1]), axis=1)[:, at]
    floor = SILENT_MV
    return np.asarray(top / (heights + floor))


def _shapes(x: Floats, beats: NDArray[np.int64], rate: float) -> tuple[Floats, Floats]:
    """Strength of the mean beat, and likeness of beats: two shapes are as good as one."""
    reach = round(REACH_S * rate)
    centres = beats - round(BEFORE_S * rate)
    centres = centres[(centres >= reach) & (centres < x.shape[1] - reach)]
    if len(centres) < FEWEST_BEATS:
        return np.zeros(len(x)), np.zeros(len(x))
    # Without the wander of the baseline, which would be in the mean beat of a short recording.
    flat = x - uniform_filter1d(x, round(0.8 * rate) | 1, axis=1, mode="nearest")
    shapes = flat[:, centres[:, None] + np.arange(-reach, reach + 1)]
    mean = np.median(shapes, axis=1)
    far = np.partition(np.abs(x), at := int(0.95 * x.shape[1]), axis=1)[:, at]
    shapes -= shapes.mean(axis=2, keepdims=True)
    shapes /= np.sqrt((shapes * shapes).sum(axis=2, keepdims=True)) + 1e-6
    alike = shapes @ shapes.transpose(0, 2, 1)
    alike[:, np.arange(len(centres)), np.arange(len(centres))] = -1
    likeness = np.median(alike.max(axis=2), axis=1)
    return np.asarray(np.ptp(mean, axis=1) / (far + 0.02)), np.asarray(likeness)
