"""Whether what looks like noise is a rhythm: a fast one with wide complexes fills the time between
beats and moves the baseline as an electrode does, but it comes back beat after beat.

The slope over 100 ms of the last 2.5 s is laid over itself, shifted by the interval of any rhythm
from 100 to 330 a minute. Movement and muscles seldom repeat themselves so; a heart of 75 a minute
behind noise does not either. A single burst of noise looks like itself for a while: the wave must
go on from the first half to the second.

A shaking hand repeats itself, too, and covers the beats without a trace of noise. It cannot be told
from flutter, but both from beats: its wave has no pause and no steep moment, like a sine, and what
is taken for beats keeps another pace than the wave.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from devices.ecg.live_bank import Bank

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

TARGET_HZ = 40.0
LASTS_S, SLOPE_S = 2.5, 0.1
INTERVALS_S = (0.18, 0.6)
# Least share of the stronger half's energy that the weaker half has.
EVEN = 0.05
# Correlations of a wave that repeats itself, and of one that does without a doubt. Of unusable
# judgements of developers' records of MIT-BIH seven of eight in flutter and two of five in
# tachycardia lie above the first, of recorded noise one in a hundred.
REPEATED, SURE = 0.5, 0.7
# Fourth moment of the slope in squares of the second: 1.5 for a sine, less than this for nearly 9
# of 10 judgements of made tremor of 4 to 6 Hz that was taken for beats, and for fewer than one in
# sixty of good ones with a rate over 90 of developers' records of MIT-BIH.
SMOOTH, FIRST_LOOK = 2.4, 2.7
FIRST_HILL, TOP_S = 0.85, 0.1


class Waves(NamedTuple):
    """How well each row's wave repeats itself, 0 to 1, after how many seconds, and its fourth
    moment; 0 if not known."""

    repeated: Floats
    after_s: Floats
    steep: Floats


def may_shake(bank: Bank, rows: Ints, at: Ints) -> NDArray[np.bool_]:
    """A first look at single samples, a tenth of the work: whether no moment seems steep."""
    factor = max(1, round(bank.rate_hz / TARGET_HZ))
    hz = bank.rate_hz / factor
    step = max(1, round(SLOPE_S * hz))
    past = bank.past(rows, at, round(LASTS_S * hz) + step, factor)
    power = np.square(past[:, step:] - past[:, :-step])
    square = power.mean(axis=1)
    return np.asarray(np.square(power).mean(axis=1) < FIRST_LOOK * square * square)


def waves(bank: Bank, rows: Ints, at: Ints, loud: NDArray[np.bool_]) -> Waves:
    """Of the last 2.5 s of each row; steep ones that are not loud are not asked how they repeat."""
    factor = max(1, round(bank.rate_hz / TARGET_HZ))
    hz = bank.rate_hz / factor
    count, step = round(LASTS_S * hz), max(1, round(SLOPE_S * hz))
    number = (count + step) * factor
    past = bank.past(rows, at, number)
    sums = past.reshape(len(rows), -1, factor).sum(axis=2, dtype=np.float64)
    slope = sums[:, step:] - sums[:, :-step]
    slope -= slope.mean(axis=1, keepdims=True)
    power = slope * slope
    square = power.mean(axis=1) + 1e-30
    steep = (power * power).mean(axis=1) / (square * square)
    known = at - bank.base[rows] >= number
    asked = known & (loud | (steep < SMOOTH))
    repeated, after_s = np.zeros((2, len(rows)))
    if asked.any():
        repeated[asked], after_s[asked] = _repeats(slope[asked], power[asked], hz)
    return Waves(repeated, after_s, np.where(known, steep, 0.0))


def _repeats(slope: Floats, power: Floats, hz: float) -> tuple[Floats, Floats]:
    count = slope.shape[1]
    energy = np.zeros((len(slope), count + 1))
    np.cumsum(power, axis=1, out=energy[:, 1:])
    shifts = range(round(INTERVALS_S[0] * hz), round(INTERVALS_S[1] * hz) + 1)
    like = np.zeros((len(shifts), len(slope)))
    for shift, one in zip(shifts, like, strict=True):
        both = (slope[:, shift:] * slope[:, :-shift]).sum(axis=1)
        under = energy[:, count - shift] * (energy[:, -1] - energy[:, shift])
        np.divide(both, np.sqrt(under + 1e-30), out=one)
    best = np.maximum(like.max(axis=0), 0.0)
    # Twice the interval repeats it as well: the top of the first hill counts.
    place = np.arange(len(shifts))[:, None]
    first = (like >= FIRST_HILL * best).argmax(axis=0)
    hill = (place >= first) & (place < first + round(TOP_S * hz))
    after_s = (shifts.start + np.where(hill, like, -1.0).argmax(axis=0)) / hz
    halves = np.stack((energy[:, count // 2], energy[:, -1] - energy[:, count // 2]))
    goes_on = halves.min(axis=0) >= EVEN * halves.max(axis=0)
    return np.where(goes_on, best, 0.0), after_s
