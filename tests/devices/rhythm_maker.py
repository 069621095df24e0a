"""A made ECG of one lead: P, QRS and T waves at given intervals, early beats, waves of the atria."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Millivolts, centre and width in seconds from the R peak.
P_WAVE = (0.15, -0.17, 0.02)
USUAL = ((-0.1, -0.025, 0.008), (1.2, 0.0, 0.011), (-0.2, 0.027, 0.009), (0.3, 0.26, 0.045))
WIDE = ((-0.9, -0.02, 0.03), (1.1, 0.06, 0.04), (-0.4, 0.32, 0.06))


class Made(NamedTuple):
    """The signal, where its R peaks are, and its rate."""

    millivolts: Floats
    beats: NDArray[np.int64]
    rate_hz: float


def made(
    intervals_s: Sequence[float],
    *,
    rate_hz: float = 250.0,
    wide: Sequence[int] = (),
    p_waves: bool = True,
    noise_mv: float = 0.01,
) -> Made:
    """Beats after each of the intervals; without P waves the atria flutter at about 6 Hz."""
    at = np.cumsum(np.asarray(intervals_s, np.float64))
    time = np.arange(round((at[-1] + 0.8) * rate_hz)) / rate_hz
    random = np.random.default_rng(7)
    x = noise_mv * random.standard_normal(len(time))
    for i, peak in enumerate(at.tolist()):
        waves = WIDE if i in wide else (*USUAL, P_WAVE) if p_waves else USUAL
        for height, centre, width in waves:
            near = slice(
                max(0, int((peak + centre - 5 * width) * rate_hz)),
                max(0, int((peak + centre + 5 * width) * rate_hz)),
            )
            x[near] += height * np.exp(-(((time[near] - peak - centre) / width) ** 2) / 2)
    if not p_waves:
        x += 0.06 * np.sin(2 * np.pi * (6 * time + 0.8 * np.sin(2 * np.pi * 0.37 * time)))
    return Made(x, np.round(at * rate_hz).astype(np.int64), rate_hz)


def steady(count: int, mean_s: float = 0.8) -> list[float]:
    """Intervals that breathe by 3 %."""
    return (mean_s * (1 + 0.03 * np.sin(np.arange(count) * 1.3))).tolist()


def fibrillating(count: int, mean_s: float = 0.65) -> list[float]:
    """Intervals without any order."""
    random = np.random.default_rng(3)
    return np.clip(mean_s * random.lognormal(0, 0.22, count), 0.33, 1.4).tolist()
