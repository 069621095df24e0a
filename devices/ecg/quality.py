"""Whether a stretch of ECG may be believed: pure functions over the last seconds of one stream.

Order of the questions: is there an electrode, is there a signal, does it fit the converter, and
then how noisy it is between the beats. Nothing here looks at the rhythm: a quality rule must not
hide an arrhythmia. Beats are compared each with the most similar other one, so that two shapes of
beat (bigeminy) are as good as one.
"""

import math
from collections.abc import Sequence
from enum import StrEnum
from functools import lru_cache
from statistics import median
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Quality(StrEnum):
    """What the screen may say of the trace; a heart rate is shown for good and noisy only."""

    GOOD = "good"
    NOISY = "noisy"
    UNUSABLE = "unusable"
    LEAD_OFF = "lead_off"
    NO_SIGNAL = "no_signal"


class Reason(StrEnum):
    """Why the signal is not good, or why there is no rate."""

    FLAT_LINE = "flat_line"
    SATURATION = "saturation"
    MAINS = "mains"
    MUSCLE = "muscle"
    MOVEMENT = "movement"
    DRIFT = "drift"
    ELECTRODE_OFF = "electrode_off"
    FEW_BEATS = "few_beats"


# The lowest QRS in use is about 0.2 mV; an open input is quieter than a quarter of that.
FLAT_MV = 0.05
# A clipped wave stands still at its end for longer than any true peak: 40 ms, in all an eighth.
CLIP_S, CLIP_SHARE = 0.04, 0.125
# Around a beat this much belongs to the QRS complex and its energy, before and after, seconds.
QRS_S = 0.13
MAINS_SHARE = 0.25
# Log-odds of `doubt`: 97 % of the clean developers' recordings are good, 1 % unusable, and 82-89 %
# of those with noise as strong as the heart (0 dB) are unusable.
NOISY_ODDS, UNUSABLE_ODDS = -2.0, -1.0
# Muscle noise is rougher than this in 9 windows of 10, motion of an electrode in 1 of 10; a
# baseline that wanders by two beats' height is drift whatever else there is.
MUSCLE_ROUGHNESS, DRIFT_BEATS = 0.037, 2.0


def flat(window: Floats, gain_per_mv: float) -> bool:
    """Nothing moves: no electrode contact, a short circuit, or a dead recorder."""
    return bool(np.ptp(window) < FLAT_MV * gain_per_mv)


def saturated(window: Floats, rate_hz: float) -> bool:
    """Stands still at its own extremes for too long: clipped by the converter."""
    run = max(3, round(CLIP_S * rate_hz))
    if len(window) <= run:
        return False
    low, high = window.min(), window.max()
    at_end = (window == low) | (window == high)
    if at_end.sum() < CLIP_SHARE * len(window):
        return False
    # Only samples inside a run count: an 11-bit trace touches its extremes now and then.
    total = np.concatenate(((0,), np.cumsum(at_end)))
    full = total[run:] - total[:-run] == run
    inside = int(full.sum()) + run - 1 if full.any() else 0
    return bool(inside >= CLIP_SHARE * len(window))


def mains(window: Floats, rate_hz: float, qrs: float) -> bool:
    """A 50 or 60 Hz tone with more than a quarter of the QRS amplitude, peak to peak."""
    power = np.abs(_tones(len(window), rate_hz) @ (window - window.sum() / len(window)))
    return bool(4 * power.max() / len(window) > MAINS_SHARE * qrs)


@lru_cache(maxsize=32)
def _tones(count: int, rate_hz: float) -> NDArray[np.complex128]:
    """One period after another of 50 and 60 Hz, as rows."""
    time = np.arange(count) / rate_hz
    return np.exp(-2j * np.pi * np.array((50.0, 60.0))[:, None] * time)


class Noise(NamedTuple):
    """What tells noise from heart, each relative to the size of the beats themselves."""

    upper: float  # energy between beats: 80th percentile
    top: float  # and 95th
    drift: float  # wander of the baseline
    likeness: float  # of a beat to the most similar other one, 1 is identical
    roughness: float  # curvature between beats at about 120 Hz
    qrs: float  # height of a beat in ADC units


def noise(x: Floats, energy: Floats, beats: Sequence[int], rate_hz: float, lag: int) -> Noise:
    """Noise of one window at about 120 Hz: `beats` are R peaks in it, energy follows x by `lag`."""
    reach = round(QRS_S * rate_hz)
    half = max(2, round(0.05 * rate_hz))
    quiet = np.ones(len(energy), bool)
    quiet_x = np.ones(len(x), bool)
    for at in beats:
        quiet[max(0, at + lag - reach) : at + lag + reach] = False
        quiet_x[max(0, at - reach) : at + reach] = False
    peaks = [float(energy[max(0, at + lag - half) : at + lag + half].max()) for at in beats]
    size = median(peaks) or 1.0
    between = np.sort(energy[quiet] if quiet.sum() > rate_hz / 4 else energy)
    upper, top = (float(between[int(share * (len(between) - 1))]) / size for share in (0.8, 0.95))
    shapes = np.array([x[at - half : at + half] for at in beats if half <= at <= len(x) - half])
    heights = (shapes.max(axis=1) - shapes.min(axis=1)).tolist() if len(shapes) else [np.ptp(x)]
    qrs = float(median(heights)) or 1.0
    bends = np.sort(np.abs(x[:-2] - 2 * x[1:-1] + x[2:])[quiet_x[1:-1]])
    rough = float(bends[len(bends) // 2]) / qrs if bends.size else 1.0
    run = round(0.5 * rate_hz)
    total = np.cumsum(x - x.sum() / len(x))
    level = total[run:] - total[:-run]
    drift = float(level.max() - level.min()) / run / qrs
    return Noise(upper, top, drift, likeness(shapes), rough, qrs)


def likeness(shapes: Floats) -> float:
    """Median over beats of the correlation with the most similar other beat; 0 for fewer than 2."""
    if len(shapes) < 2:  # noqa: PLR2004 - a likeness takes two
        return 0.0
    unit = shapes - shapes.sum(axis=1, keepdims=True) / shapes.shape[1]
    unit /= np.sqrt((unit * unit).sum(axis=1, keepdims=True)) + 1e-9
    alike = unit @ unit.T
    alike.flat[:: len(alike) + 1] = -1.0
    return float(median(alike.max(axis=1).tolist()))


def doubt(seen: Noise) -> float:
    """Log-odds that at least two of the window's beats are wrong.

    Logistic regression on the 22 developers' records of MIT-BIH without flutter, clean and with
    muscle, motion and baseline noise of the Noise Stress Test Database mixed in at 18 to 0 dB; area
    under the curve on records left out of the fit: 0.96. Grows with every kind of noise.
    """
    return (
        1.13 * math.log(seen.upper + 0.01)
        + 1.82 * math.log(seen.top + 0.01)
        + 0.24 * math.log(seen.drift + 0.01)
        + 1.18 * math.log(1.001 - max(0.0, min(1.0, seen.likeness)))
        + 5.88
    )


def verdict(seen: Noise) -> tuple[Quality, Reason | None]:
    """Good, noisy or unusable, and what the noise looks like."""
    odds = doubt(seen)
    if odds < NOISY_ODDS:
        return Quality.GOOD, None
    muscle = seen.roughness > MUSCLE_ROUGHNESS and seen.drift < DRIFT_BEATS
    reason = Reason.MUSCLE if muscle else Reason.DRIFT
    return (Quality.UNUSABLE if odds >= UNUSABLE_ODDS else Quality.NOISY), reason
