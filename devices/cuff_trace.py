"""Whether the trace of an oscillometric cuff was disturbed: pressure and its pulses while it falls.

The pressure itself is the cuff's business and is not computed here. Said is only why a reading of
this trace should be repeated: a movement, steps that no valve makes, too few pulses, or pulses that
do not grow to one maximum and shrink again.
"""

from enum import StrEnum
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter, uniform_filter1d
from scipy.signal import butter, find_peaks, sosfiltfilt

Floats = NDArray[np.float64]

SHORTEST_S: Final = 5.0
LEAST_HZ: Final = 20.0
LOST_SHARE: Final = 0.02
# A cuff is pumped at least to the first and read down to the second; no cuff goes beyond the third.
PUMPED_MMHG, READ_MMHG, LIMIT_MMHG = 80.0, 40.0, 330.0
BAND_HZ: Final = (0.5, 8.0)
LEVEL_S: Final = 1.0
# While it falls: no rise beyond the first, no second that loses more than the second.
RISE_MMHG, FALL_MMHG_S = 4.0, 15.0
FEWEST: Final = 8
REFRACTORY_S, SMALLEST_MMHG = 0.35, 0.15
# A pulse by the median of the five around it.
SPIKE: Final = 2.2
# A second maximum so high, behind a valley so deep, by the lower of the two.
SECOND, VALLEY = 0.6, 0.7
# The maximum has so many pulses on both sides.
BESIDE: Final = 2


class CuffDoubt(StrEnum):
    """What is wrong with the trace."""

    NO_TRACE = "no_trace"
    MOVEMENT = "movement"
    IRREGULAR_STEPS = "irregular_steps"
    FEW_PULSES = "few_pulses"
    NO_SINGLE_MAXIMUM = "no_single_maximum"


class CuffTrace(msgspec.Struct, frozen=True, kw_only=True):
    """The judgement: every doubt there is, and the pulses counted while the pressure fell."""

    doubts: tuple[CuffDoubt, ...]
    pulses: int = 0
    pulse_rate_bpm: float | None = None


def judge_cuff_trace(mmhg: NDArray[np.generic], rate_hz: float) -> CuffTrace:
    """Judge one measurement's pressure, NaN = missing. Never raises on data."""
    x = np.asarray(mmhg, np.float64).reshape(-1)
    missing = ~(np.abs(x) < LIMIT_MMHG)
    if rate_hz < LEAST_HZ or len(x) < SHORTEST_S * rate_hz or missing.mean() > LOST_SHARE:
        return CuffTrace(doubts=(CuffDoubt.NO_TRACE,))
    x = np.interp(np.arange(len(x)), np.flatnonzero(~missing), x[~missing])
    level = uniform_filter1d(x, max(1, round(LEVEL_S * rate_hz)), mode="nearest")
    first = int(level.argmax()) + round(LEVEL_S * rate_hz)
    below = np.flatnonzero(level[first:] < READ_MMHG)
    last = first + int(below[0]) if below.size else len(x)
    if level.max() < PUMPED_MMHG or last - first < SHORTEST_S * rate_hz:
        return CuffTrace(doubts=(CuffDoubt.NO_TRACE,))
    return _judged(x[first:last], level[first:last], rate_hz)


def _judged(x: Floats, level: Floats, rate_hz: float) -> CuffTrace:
    doubts = []
    high = min(BAND_HZ[1], 0.45 * rate_hz)
    band = sosfiltfilt(
        butter(2, (BAND_HZ[0], high), "bandpass", fs=rate_hz, output="sos"), x - level
    )
    at, heights = _pulses(band, rate_hz)
    if len(at) and (heights > SPIKE * median_filter(heights, 5, mode="nearest")).any():
        doubts.append(CuffDoubt.MOVEMENT)
    if _irregular(level, rate_hz):
        doubts.append(CuffDoubt.IRREGULAR_STEPS)
    if len(at) < FEWEST:
        doubts.append(CuffDoubt.FEW_PULSES)
        return CuffTrace(doubts=tuple(doubts), pulses=len(at))
    if not _single(median_filter(heights, 5, mode="nearest")):
        doubts.append(CuffDoubt.NO_SINGLE_MAXIMUM)
    usual = float(np.median(np.diff(at))) / rate_hz
    return CuffTrace(doubts=tuple(doubts), pulses=len(at), pulse_rate_bpm=60 / usual)


def _pulses(band: Floats, rate_hz: float) -> tuple[NDArray[np.int64], Floats]:
    """Places of the pulses' tops and their heights above the valley before each."""
    distance = max(1, REFRACTORY_S * rate_hz)
    at, _ = find_peaks(band, prominence=SMALLEST_MMHG, distance=distance)
    starts = np.maximum(at - round(0.4 * rate_hz), 0)
    pairs = zip(starts.tolist(), at.tolist(), strict=True)
    heights = [float(band[end] - band[start : end + 1].min()) for start, end in pairs]
    return at.astype(np.int64), np.array(heights)


def _irregular(level: Floats, rate_hz: float) -> bool:
    """The pressure rises again, or drops faster than a valve that can be read lets it."""
    lowest = np.minimum.accumulate(level)
    if float((level - lowest).max()) > RISE_MMHG:
        return True
    second = max(1, round(rate_hz))
    return bool((level[:-second] - level[second:]).max() > FALL_MMHG_S)


def _single(heights: Floats) -> bool:
    """Whether heights grow to one maximum with pulses on both sides, and shrink again."""
    top = int(heights.argmax())
    if top < BESIDE or top >= len(heights) - BESIDE:
        return False
    for side in (heights[top::-1], heights[top:]):
        # Behind the lowest so far, nothing grows high again.
        lowest = np.minimum.accumulate(side)
        again = (side > SECOND * heights[top]) & (lowest < VALLEY * side)
        if again.any():
            return False
    return True
