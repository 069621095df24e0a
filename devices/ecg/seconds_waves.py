"""Numbers of every second of one lead, that devices/ecg/seconds.py judges by."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d, median_filter, uniform_filter1d
from scipy.signal import butter, sosfiltfilt

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

WORK_HZ = 120.0
BAND_HZ = (5.0, 20.0)
# A beat with its energy, before and after; half of its shape; how many neighbours it is compared
# with on each side; how many beats say the usual size.
QRS_S, SHAPE_S, SMOOTH_S, NEIGHBOURS, USUAL = 0.13, 0.05, 0.1, 8, 21
AROUND_S, LEVEL_S, STEPS = 5, 0.5, 100
HUM_SHARE = 0.3
FEWEST_BEATS, SHORTEST_S = 3, 1.0
BELIEVABLE_MV = 1e4


class Numbers(NamedTuple):
    """One number a second."""

    lost: Floats  # share of missing samples
    height_mv: Floats  # lowest to highest
    at_end: Floats  # share of samples that stand still at the second's lowest or highest
    end_mv: Floats  # how far from the middle of all that end is
    hum_mv: Floats  # height of the stronger mains tone
    wander_mv: Floats  # lowest to highest half-second mean of the three seconds around
    jump_mv: Floats  # greatest change of it in half a second
    unlike: Floats  # logarithm of how unlike its neighbours the strangest beat is
    unlike_around: Floats  # mean of it over five seconds
    between: Floats  # median energy of the QRS band between beats, by that of beats
    roughness: Floats  # curvature between beats by the height of beats, over five seconds
    qrs_mv: Floats  # usual height of a beat here
    few: bool  # fewer beats in all than tell what a beat is


class _Beats(NamedTuple):
    at: Indices
    energy: Floats  # usual one around each beat
    height: Floats  # likewise, of the band's wave
    unlike: Floats


def numbers(x: Floats, rate_hz: float, beats: Indices) -> Numbers:
    """Of x in millivolts, NaN = missing; `beats` are places in it."""
    count = int(np.ceil(len(x) / rate_hz))
    missing = ~(np.abs(x) < BELIEVABLE_MV)
    if missing.any():
        x = _filled(x, missing)
    place = np.minimum(np.arange(count)[:, None] + np.arange(STEPS) / STEPS, count)
    each = _rows(x, count, rate_hz)
    low, high = each.min(axis=1, keepdims=True), each.max(axis=1, keepdims=True)
    still = each[:, 1:] == each[:, :-1]
    at_low = (still & (each[:, 1:] == low)).mean(axis=1)
    at_high = (still & (each[:, 1:] == high)).mean(axis=1)
    middle = float(np.median(x[:: max(1, round(rate_hz / 10))]))
    end = np.where(at_low > at_high, low[:, 0], high[:, 0])
    factor = max(1, round(rate_hz / WORK_HZ))
    rate = rate_hz / factor
    y = x[: len(x) // factor * factor].reshape(-1, factor).mean(axis=1)
    wander, jump = _wander(y, count, rate)
    common = {
        "lost": _rows(missing.astype(np.float64), count, rate_hz).mean(axis=1),
        "height_mv": (high - low)[:, 0],
        "at_end": np.maximum(at_low, at_high),
        "end_mv": np.abs(end - middle),
        "hum_mv": _hum(each, rate_hz),
        "wander_mv": wander,
        "jump_mv": jump,
    }
    if len(y) < SHORTEST_S * rate:
        nothing = np.zeros(count)
        rest = dict.fromkeys(("unlike", "unlike_around", "between", "roughness"), nothing)
        return Numbers(**common, **rest, qrs_mv=np.ones(count), few=True)
    band = sosfiltfilt(_band(rate), y, padlen=min(27, len(y) - 1))
    slope = np.abs(np.diff(band, append=band[-1]))
    energy = uniform_filter1d(slope, max(1, round(SMOOTH_S * rate)))
    at = np.minimum(beats // factor, len(y) - 1)
    seen = _beats(band, energy, at, rate)
    cells = np.minimum((place * rate).astype(np.int64), len(y) - 1)
    quiet = _quiet(len(y), at, rate)[cells]
    bends = np.abs(np.diff(y, 2, prepend=y[:1], append=y[-1:]))
    few = len(at) < FEWEST_BEATS
    near = np.searchsorted(at, (np.arange(count) + 0.5) * rate).clip(0, max(0, len(at) - 1))
    size = seen.energy[near] if len(at) else np.ones(count)
    height = seen.height[near] if len(at) else np.ones(count)
    unlike = np.full(count, np.log(0.02))
    np.maximum.at(unlike, np.minimum((at / rate).astype(np.int64), count - 1), seen.unlike)
    return Numbers(
        **common,
        unlike=unlike,
        unlike_around=uniform_filter1d(unlike, AROUND_S, mode="nearest"),
        between=_middle(energy[cells], quiet) / size,
        roughness=uniform_filter1d(_middle(bends[cells], quiet) / height, AROUND_S, mode="nearest"),
        qrs_mv=2 * height,
        few=few,
    )


def _rows(x: Floats, count: int, rate_hz: float) -> Floats:
    """The samples of each second as a row; the last one that is not whole repeats its last."""
    places = np.round(np.arange(count) * rate_hz).astype(np.int64)[:, None]
    return np.asarray(x[np.minimum(places + np.arange(int(rate_hz)), len(x) - 1)])


def _filled(x: Floats, missing: NDArray[np.bool_]) -> Floats:
    """Each missing sample as the last one before it, 0 where there is none."""
    place = np.maximum.accumulate(np.where(missing, 0, np.arange(len(x))))
    return np.where(missing[place], 0.0, x[place])


@lru_cache(maxsize=16)
def _band(rate: float) -> Floats:
    high = min(BAND_HZ[1], 0.45 * rate)
    return butter(2, (BAND_HZ[0], high), "bandpass", fs=rate, output="sos")


def _hum(each: Floats, rate_hz: float) -> Floats:
    """Height, lowest to highest, of the stronger tone of 50 and 60 Hz."""
    time = np.arange(each.shape[1]) / rate_hz
    tones = np.exp(-2j * np.pi * np.outer(time, [f for f in (50.0, 60.0) if f < 0.49 * rate_hz]))
    if not tones.shape[1]:
        return np.zeros(len(each))
    # A window without steps at its ends: a wandering baseline is no tone.
    window = np.hanning(each.shape[1])
    parts = ((each - each.mean(axis=1, keepdims=True)) * window) @ tones
    heights = np.abs(parts) * 4 / window.sum()
    # Muscles have some of every tone: a hum makes much of what changes from sample to sample.
    turn = 2 * np.sin(np.pi * np.array((50.0, 60.0))[: tones.shape[1]] / rate_hz)
    changes = (np.diff(each, axis=1) ** 2).mean(axis=1, keepdims=True)
    pure = (heights * turn) ** 2 / 8 > HUM_SHARE * changes
    return np.asarray(np.where(pure, heights, 0.0).max(axis=1))


def _wander(y: Floats, count: int, rate: float) -> tuple[Floats, Floats]:
    level = uniform_filter1d(y, max(1, round(LEVEL_S * rate)), mode="nearest")
    # Ten half-second means a second are enough.
    steps = np.minimum((np.arange(count * 10) * rate / 10).astype(np.int64), len(level) - 1)
    tenths = level[steps] if len(level) else np.zeros(count * 10)
    rows = tenths.reshape(count, 10)
    low = -maximum_filter1d(-rows.min(axis=1), 3, mode="nearest")
    high = maximum_filter1d(rows.max(axis=1), 3, mode="nearest")
    later = np.append(tenths[5:], np.full(5, tenths[-1]) if count else [])[: len(tenths)]
    change = np.abs(later - tenths).reshape(count, 10).max(axis=1)
    return high - low, maximum_filter1d(change, 3, mode="nearest")


def _beats(band: Floats, energy: Floats, at: Indices, rate: float) -> _Beats:
    if not len(at):
        empty = np.empty(0)
        return _Beats(at, empty, empty, empty)
    half = max(2, round(SHAPE_S * rate))
    peaks = maximum_filter1d(energy, 2 * half + 1)[at]
    places = at.clip(half, max(half, len(band) - half - 1))[:, None] + np.arange(-half, half + 1)
    shapes = band[places.clip(0, len(band) - 1)]
    heights = np.abs(shapes).max(axis=1)
    shapes = shapes - shapes.mean(axis=1, keepdims=True)
    shapes /= np.sqrt((shapes * shapes).sum(axis=1, keepdims=True)) + 1e-9
    alike = np.full(len(at), -1.0)
    for apart in range(1, min(NEIGHBOURS, len(at) - 1) + 1):
        same = (shapes[apart:] * shapes[:-apart]).sum(axis=1)
        alike[apart:] = np.maximum(alike[apart:], same)
        alike[:-apart] = np.maximum(alike[:-apart], same)
    usual = median_filter(peaks, USUAL, mode="nearest") + 1e-9
    height = median_filter(heights, USUAL, mode="nearest") + 1e-9
    return _Beats(at, usual, height, np.log(1.02 - alike.clip(-1, 1)))


def _quiet(count: int, at: Indices, rate: float) -> NDArray[np.bool_]:
    """False within reach of a beat."""
    reach = round(QRS_S * rate)
    edges = np.zeros(count + 2 * reach + 2, np.int64)
    np.add.at(edges, at, 1)
    np.add.at(edges, at + 2 * reach + 1, -1)
    return np.asarray(np.cumsum(edges)[reach : reach + count] == 0)


def _middle(rows: Floats, chosen: NDArray[np.bool_]) -> Floats:
    """Median of what is chosen of each row; of all where hardly anything is chosen."""
    chosen = chosen | (chosen.sum(axis=1, keepdims=True) < STEPS // 10)
    ordered = np.sort(np.where(chosen, rows, np.inf), axis=1)
    return np.asarray(ordered[np.arange(len(rows)), (chosen.sum(axis=1) - 1) // 2])
