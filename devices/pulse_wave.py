"""Whether the pulse wave of an oximeter may be believed, and the pulse rate it carries.

A stretch of some 5 to 30 seconds in any units, offset, gain and polarity. The shape of each pulse
is compared with their median shape: a mean correlation of 0.86 is asked (Orphanidou 2015, IEEE JBHI
19(3) 832; the figure for the plethysmogram stands alike in four programs, one of them of a
co-author; the paper's own table was not read). Of its other rules none is taken: limits of
intervals would hide an arrhythmia.
"""

from enum import StrEnum
from typing import Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter, uniform_filter1d
from scipy.signal import butter, find_peaks, sosfiltfilt

Floats = NDArray[np.float64]

ALIKE: Final = 0.86
WORK_HZ, BAND_HZ = 50.0, (0.5, 8.0)
SHORTEST_S: Final = 4.0
LEAST_HZ: Final = 20.0
FEWEST: Final = 4
LOST_SHARE: Final = 0.05
# Nothing changes for so long, or so much of the time at the converter's end.
STILL_S, CLIP_SHARE = 1.5, 0.05
# An upstroke lasts about this long; two pulses are never nearer than the second.
UPSTROKE_S, REFRACTORY_S, HIGH_ENOUGH = 0.15, 0.3, 0.4
BEFORE_S, AFTER_S, AFTER_SHARE = 0.15, 0.4, 0.5
# A pulse so much taller than those around it is a movement.
TALL: Final = 3.0
BELIEVABLE: Final = 1e12


class PulseDoubt(StrEnum):
    """What is wrong with the wave, as a person can mend it."""

    OFF = "off"  # no finger, or samples are missing
    FLAT = "flat"
    CLIPPED = "clipped"
    MOVEMENT = "movement"
    FEW_PULSES = "few_pulses"


class PulseWave(msgspec.Struct, frozen=True, kw_only=True):
    """The judgement; `rate_bpm` only where the wave carries it."""

    usable: bool
    doubt: PulseDoubt | None
    rate_bpm: float | None = None
    likeness: float | None = None
    pulses: tuple[int, ...] = ()  # samples of the upstrokes


class _Found(NamedTuple):
    upstrokes: NDArray[np.int64]
    alike: Floats
    tall: NDArray[np.bool_]


def judge_pulse_wave(samples: NDArray[np.generic], rate_hz: float) -> PulseWave:
    """Judge one stretch, NaN = missing. Never raises on data."""
    x = np.asarray(samples, np.float64).reshape(-1)
    missing = ~(np.abs(x) < BELIEVABLE)
    if missing.mean() > LOST_SHARE if len(x) else False:
        return PulseWave(usable=False, doubt=PulseDoubt.OFF)
    if rate_hz < LEAST_HZ or len(x) < SHORTEST_S * rate_hz:
        return PulseWave(usable=False, doubt=PulseDoubt.FEW_PULSES)
    x = np.interp(np.arange(len(x)), np.flatnonzero(~missing), x[~missing])
    factor = max(1, round(rate_hz / WORK_HZ))
    rate = rate_hz / factor
    y = x[: len(x) // factor * factor].reshape(-1, factor).mean(axis=1)
    stands = _stands(x, rate_hz)
    if stands is not None:
        return PulseWave(usable=False, doubt=stands)
    found = _pulses(y, rate)
    if len(found.upstrokes) < FEWEST:
        return PulseWave(usable=False, doubt=PulseDoubt.FEW_PULSES)
    pulses = tuple((found.upstrokes * factor).tolist())
    likeness = float(found.alike.mean())
    if likeness < ALIKE or found.tall.any():
        return PulseWave(usable=False, doubt=PulseDoubt.MOVEMENT, likeness=likeness, pulses=pulses)
    length = float(found.upstrokes[-1] - found.upstrokes[0]) / rate
    bpm = 60 * (len(pulses) - 1) / length
    return PulseWave(usable=True, doubt=None, rate_bpm=bpm, likeness=likeness, pulses=pulses)


def _stands(x: Floats, rate_hz: float) -> PulseDoubt | None:
    """A wave that stands still: at its own end it is clipped, elsewhere flat."""
    still = np.diff(x) == 0
    at_end = (x[1:] == x.max()) | (x[1:] == x.min())
    ends = np.flatnonzero(~np.concatenate(((False,), still, (False,))))
    if np.ptp(x) == 0 or int(np.diff(ends).max()) - 1 >= STILL_S * rate_hz:
        return PulseDoubt.FLAT
    return PulseDoubt.CLIPPED if (still & at_end).mean() > CLIP_SHARE else None


def _pulses(y: Floats, rate: float) -> _Found:
    high = min(BAND_HZ[1], 0.45 * rate)
    band = sosfiltfilt(butter(2, (BAND_HZ[0], high), "bandpass", fs=rate, output="sos"), y)
    # Blood rushes in faster than it runs off: the steeper way is up.
    slope = np.diff(band, append=band[-1])
    if (slope**3).sum() < 0:
        band, slope = -band, -slope
    rush = uniform_filter1d(np.maximum(slope, 0), max(1, round(UPSTROKE_S * rate)))
    window = round(2 * rate)
    whole = rush[: len(rush) // window * window].reshape(-1, window)
    level = float(np.median(whole.max(axis=1)))
    peaks, _ = find_peaks(rush, height=HIGH_ENOUGH * level, distance=max(1, REFRACTORY_S * rate))
    peaks = peaks.astype(np.int64)
    if len(peaks) < FEWEST:
        return _Found(peaks, np.empty(0), np.empty(0, bool))
    usual = float(np.median(np.diff(peaks)))
    before = round(BEFORE_S * rate)
    after = round(min(AFTER_S * rate, AFTER_SHARE * usual))
    inside = peaks[(peaks >= before) & (peaks < len(band) - after)]
    if not len(inside):
        return _Found(peaks[:0], np.empty(0), np.empty(0, bool))
    shapes = band[inside[:, None] + np.arange(-before, after + 1)]
    tall = np.ptp(shapes, axis=1)
    shapes = shapes - shapes.mean(axis=1, keepdims=True)
    mean = np.median(shapes, axis=0)
    norm = np.sqrt((shapes * shapes).sum(axis=1) * (mean * mean).sum()) + 1e-12
    around = median_filter(tall, 5, mode="nearest")
    return _Found(inside, shapes @ mean / norm, tall > TALL * around)
