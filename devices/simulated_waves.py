"""Pulse waves and cuff traces that never were: the same seed gives the same samples and faults."""

from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Pulses vanish this far from the mean pressure, above it and below it.
_ABOVE_MMHG, _BELOW_MMHG = 22.0, 26.0
PUMPED_MMHG: Final = 170.0


class WaveFault(StrEnum):
    """What goes wrong; a cuff knows the last four, an oximeter the first four."""

    FLAT = "flat"
    CLIPPED = "clipped"
    OFF = "off"
    MOVEMENT = "movement"
    STEPS = "steps"
    WEAK = "weak"
    TWO_MAXIMA = "two_maxima"


def pulse_wave(
    seed: int,
    *,
    rate_hz: float = 100.0,
    seconds: float = 15.0,
    bpm: float = 72.0,
    irregular: float = 0.03,
    fault: WaveFault | None = None,
) -> Floats:
    """An oximeter's wave in its own units; `irregular` is the spread of intervals by their mean."""
    draw = np.random.default_rng(seed)
    at = np.arange(round(seconds * rate_hz)) / rate_hz
    count = int(seconds * bpm / 60 * 2) + 4
    steps = 60 / bpm * np.clip(1 + irregular * draw.standard_normal(count), 0.5, 1.8)
    x = np.zeros(len(at))
    for start, step in zip(np.cumsum(steps) - 1.0, steps, strict=True):
        since = at - start
        tall = 0.8 + 0.2 * step * bpm / 60
        x += tall * np.exp(-((since - 0.15) ** 2) / 2 / 0.06**2)
        x += 0.45 * tall * np.exp(-((since - 0.38) ** 2) / 2 / 0.1**2)
    x = 2000 + 400 * (x + 0.1 * np.sin(2 * np.pi * 0.25 * at))
    x += 2 * draw.standard_normal(len(at))
    middle = slice(len(at) // 3, 2 * len(at) // 3)
    if fault is WaveFault.FLAT:
        x[middle] = 2000
    elif fault is WaveFault.OFF:
        x[middle] = np.nan
    elif fault is WaveFault.CLIPPED:
        x = np.minimum(x, 2200)
    elif fault is WaveFault.MOVEMENT:
        shaken = np.cumsum(draw.standard_normal(len(at[middle])))
        x[middle] += 3000 * shaken / np.abs(shaken).max()
        x[middle] += 700 * np.sin(2 * np.pi * 2.7 * at[middle] + 3 * np.sin(5 * at[middle]))
    return x


def cuff_trace(
    seed: int,
    *,
    rate_hz: float = 100.0,
    mean_mmhg: float = 95.0,
    bpm: float = 70.0,
    fault: WaveFault | None = None,
) -> Floats:
    """A cuff's pressure: pumped in 6 s, let out at 3 mmHg a second, with the pulses on it."""
    draw = np.random.default_rng(seed)
    pump = np.linspace(0, PUMPED_MMHG, round(6 * rate_hz))
    fall = np.arange(round(45 * rate_hz)) / rate_hz
    level = PUMPED_MMHG - 3.0 * fall
    if fault is WaveFault.STEPS:
        level[round(18 * rate_hz) :] += 14
        level[round(26 * rate_hz) :] -= 25
    away = level - mean_mmhg
    height = 3 * np.exp(-((away / np.where(away > 0, _ABOVE_MMHG, _BELOW_MMHG)) ** 2))
    if fault is WaveFault.TWO_MAXIMA:
        height *= 1 - 0.85 * np.exp(-((away / 8) ** 2))
    elif fault is WaveFault.WEAK:
        height *= 0.02
    phase = np.cumsum(bpm / 60 * (1 + 0.02 * draw.standard_normal(len(fall)))) / rate_hz
    pulse = np.exp(-(((phase % 1 - 0.3) / 0.12) ** 2))
    level = level + height * pulse
    if fault is WaveFault.MOVEMENT:
        level += 12 * np.exp(-(((fall - 25) / 0.15) ** 2))
    x = np.concatenate((pump, level))
    if fault is WaveFault.OFF:
        x[len(x) // 3 : len(x) // 2] = np.nan
    return np.maximum(x + 0.02 * draw.standard_normal(len(x)), 0)
