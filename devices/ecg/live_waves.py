"""Whether what looks like noise is a rhythm: a fast one with wide complexes fills the time between
beats and moves the baseline as an electrode does, but it comes back beat after beat.

The slope over 100 ms of the last 2.5 s is laid over itself, shifted by the interval of any rhythm
from 100 to 330 a minute. Movement and muscles do not repeat themselves so; a heart of 75 a minute
behind noise does not either. A single burst of noise looks like itself for a while: the wave must
go on from the first half to the second.
"""

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


def repeats(bank: Bank, rows: Ints, at: Ints) -> Floats:
    """How well each row's wave repeats itself, 0 to 1; 0 where too little of it is known."""
    factor = max(1, round(bank.rate_hz / TARGET_HZ))
    hz = bank.rate_hz / factor
    count, step = round(LASTS_S * hz), max(1, round(SLOPE_S * hz))
    number = (count + step) * factor
    past = bank.past(rows, at, number)
    sums = past.reshape(len(rows), -1, factor).sum(axis=2, dtype=np.float64)
    slope = sums[:, step:] - sums[:, :-step]
    slope -= slope.mean(axis=1, keepdims=True)
    energy = np.zeros((len(rows), count + 1))
    np.cumsum(slope * slope, axis=1, out=energy[:, 1:])
    best = np.zeros(len(rows))
    for shift in range(round(INTERVALS_S[0] * hz), round(INTERVALS_S[1] * hz) + 1):
        both = (slope[:, shift:] * slope[:, :-shift]).sum(axis=1)
        under = energy[:, count - shift] * (energy[:, -1] - energy[:, shift])
        np.maximum(best, both / np.sqrt(under + 1e-30), out=best)
    halves = np.stack((energy[:, count // 2], energy[:, -1] - energy[:, count // 2]))
    goes_on = halves.min(axis=0) >= EVEN * halves.max(axis=0)
    known = at - bank.base[rows] >= number
    return np.where(goes_on & known, best, 0.0)
