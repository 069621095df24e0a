"""Quality of a whole ECG second by second, looking both ways in time, with reasons to act on.

Order of the questions: is there contact, does anything move, does it fit the converter, and then
whether beats may be counted here. That is doubted where the least likely beat is unlike all its 16
neighbours, in this second and in those around it, unless the trace is quiet between the beats: an
odd beat in a clean trace is an arrhythmia, in a noisy one it is noise. The rhythm is not looked at.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from devices.ecg.quality import Quality, Reason
from devices.ecg.seconds_waves import Numbers, numbers

Floats = NDArray[np.float64]

# Longer recordings are taken in pieces, each judged with so much of what is around it.
BLOCK_S, MARGIN_S = 1200, 20
LOST_SHARE = 0.25
# A QRS complex cannot be told at a lower rate.
LEAST_HZ = 50.0
# A dead input does not move for a second. What hardly moves may be an open input or a pause of the
# heart: it is counted as a pause until it has lasted too long for one.
DEAD_MV, OPEN_MV, OPEN_S, EMPTY_S = 0.005, 0.03, 3, 15
# At the converter's end: so far from the middle, for an eighth of the second.
CLIP_MV, CLIP_SHARE = 1.5, 0.125
MAINS_SHARE = 0.25
# Log-odds of a false beat in the second, by logistic regression on MIT-BIH with muscle noise and
# electrode motion at 6 and 0 dB, patients left out of the fit: above -2.25 beats are not counted.
HERE, AROUND, CONSTANT = 0.97, 0.75, 2.82
DOUBTFUL, UNUSABLE = -3.0, -2.25
# Between beats, by the size of beats: so quiet are 9 clean seconds in 10 and 1 of 20 with noise.
QUIET, SMOOTH = 0.12, 0.06
# The baseline moves by so many beats' heights, and most of it within half a second.
WANDER, SUDDEN = 2.0, 0.6


class Second(NamedTuple):
    """The judgement of one second, and why it is not good."""

    quality: Quality
    reason: Reason | None


_USABLE = (Quality.GOOD, Quality.NOISY)


def judge_seconds(
    millivolts: NDArray[np.generic], rate_hz: float, beats: NDArray[np.int64]
) -> list[Second]:
    """Each second of one lead, NaN = missing, the last one perhaps not whole. Never raises on data.

    `beats` are what was found in it, in order.
    """
    count = int(np.ceil(len(millivolts) / rate_hz))
    if rate_hz < LEAST_HZ:
        return [Second(Quality.NO_SIGNAL, Reason.FEW_BEATS)] * count
    found: list[Second] = []
    for first in range(0, count, BLOCK_S):
        start = max(0, first - MARGIN_S)
        low = round(start * rate_hz)
        high = min(len(millivolts), round((first + BLOCK_S + MARGIN_S) * rate_hz))
        part = np.asarray(millivolts[low:high], np.float64)
        inside = beats[np.searchsorted(beats, low) : np.searchsorted(beats, high)] - low
        judged = _judged(numbers(part, rate_hz, inside))
        found += judged[first - start : min(first - start + BLOCK_S, count - start)]
    return found


def usable(seconds: list[Second], rate_hz: float) -> list[tuple[int, int]]:
    """Runs of samples that beats may be counted in: first, and the one behind the last."""
    runs: list[tuple[int, int]] = []
    begun: int | None = None
    for at, second in enumerate([*seconds, Second(Quality.NO_SIGNAL, None)]):
        if second.quality in _USABLE:
            begun = at if begun is None else begun
        elif begun is not None:
            runs.append((round(begun * rate_hz), round(at * rate_hz)))
            begun = None
    return runs


def _judged(seen: Numbers) -> list[Second]:
    odds = HERE * seen.unlike + AROUND * seen.unlike_around + CONSTANT
    quiet = (seen.between < QUIET) & (seen.roughness < SMOOTH)
    off = seen.lost > LOST_SHARE
    faint = seen.height_mv < OPEN_MV
    dead = (seen.height_mv < DEAD_MV) | _lasting(faint, EMPTY_S)
    faint = _lasting(faint, OPEN_S)
    clipped = (seen.at_end > CLIP_SHARE) & (seen.end_mv > CLIP_MV)
    hums = seen.hum_mv > MAINS_SHARE * seen.qrs_mv
    moves = seen.wander_mv > WANDER * seen.qrs_mv
    unusable = (odds > UNUSABLE) & ~quiet
    noisy = ((odds > DOUBTFUL) & ~quiet) | moves | hums
    judged = []
    for i in range(len(odds)):
        if off[i]:
            judged.append(Second(Quality.LEAD_OFF, Reason.ELECTRODE_OFF))
        elif dead[i]:
            judged.append(Second(Quality.UNUSABLE, Reason.FLAT_LINE))
        elif faint[i]:
            judged.append(Second(Quality.NOISY, Reason.FLAT_LINE))
        elif clipped[i]:
            judged.append(Second(Quality.UNUSABLE, Reason.SATURATION))
        elif seen.few:
            reason = _reason(seen, i, hums=bool(hums[i]), moves=bool(moves[i]))
            judged.append(Second(Quality.NO_SIGNAL, Reason.FEW_BEATS if quiet[i] else reason))
        elif unusable[i] or noisy[i]:
            quality = Quality.UNUSABLE if unusable[i] else Quality.NOISY
            reason = _reason(seen, i, hums=bool(hums[i]), moves=bool(moves[i]))
            judged.append(Second(quality, reason))
        else:
            judged.append(Second(Quality.GOOD, None))
    return judged


def _reason(seen: Numbers, at: int, *, hums: bool, moves: bool) -> Reason:
    if hums:
        return Reason.MAINS
    if moves:
        sudden = seen.jump_mv[at] > SUDDEN * seen.wander_mv[at]
        return Reason.MOVEMENT if sudden else Reason.DRIFT
    return Reason.MUSCLE if seen.roughness[at] > SMOOTH else Reason.MOVEMENT


def _lasting(true: NDArray[np.bool_], seconds: int) -> NDArray[np.bool_]:
    """Where it is true for so many seconds in a row."""
    found = np.zeros(len(true), bool)
    if len(true) < seconds:
        return found
    whole = np.lib.stride_tricks.sliding_window_view(true, seconds).all(axis=1)
    for back in range(seconds):
        found[back : len(found) - seconds + 1 + back] |= whole
    return found
