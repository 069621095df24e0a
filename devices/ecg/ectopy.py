"""Which beats come early and of what kind: by the interval before and the shape of the QRS complex.

The usual beat is the shape most beats share; where two shapes take turns (bigeminy), the one that
does not come early. An early beat of the usual shape comes from above the ventricles, an early one
of another, wider shape from the ventricles. This is a reading of one lead: an aberrant or a paced
beat looks ventricular, and an early beat without another shape may be ventricular all the same.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from devices.ecg.intervals import RHYTHM, local_median

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Flags = NDArray[np.bool_]

RATE_HZ = 200.0
# An interval this much shorter than the rhythm around it; customary values are 10 to 25 %.
EARLY = 0.87
# Of another shape, a beat need not be that early: it is enough that a longer interval follows.
FOLLOWED = 0.95
# From above, its neighbours' intervals keep the rhythm by so much, and the rhythm is so steady
# (median step of the mean interval): else it is a heart that speeds up with every breath.
BESIDE, STEADY = 0.92, 0.06
# Below this correlation a QRS complex is not of the usual shape; wide is one whose slopes last this
# much longer than usual.
SAME, WIDER = 0.9, 1.2
# An odd beat is told when another one of the same stretch is this much like it.
REPEATED = 0.8
_REACH = 24  # samples to each side: 120 ms
_SLIDE = 4
_SAMPLED = 80
# From so many beats a usual one can be told.
FEWEST = 8


class Kinds(NamedTuple):
    """For every beat whether it is an early one from the ventricles, or from above them."""

    ventricular: Flags
    supraventricular: Flags


def kinds(signal: Floats, beats: Indices) -> Kinds:
    """Kinds of the beats in an unbroken signal of RATE_HZ without baseline."""
    none = np.zeros(len(beats), np.bool_)
    whole = (beats >= _REACH + _SLIDE) & (beats < len(signal) - _REACH - _SLIDE)
    if whole.sum() < FEWEST:
        return Kinds(none, none.copy())
    reach = np.arange(-_REACH - _SLIDE, _REACH + _SLIDE + 1)
    rows = signal[beats[whole][:, None] + reach]
    since = _since(beats)
    usual = _usual(rows[:, _SLIDE:-_SLIDE], since[whole])
    likeness = np.zeros(len(beats))
    likeness[whole] = _likeness(rows, usual)
    width = np.zeros(len(beats))
    width[whole] = _width(rows)
    typical = float(np.median(width[whole & (likeness > SAME)])) if (likeness > SAME).any() else 0.0
    early = since < EARLY
    other = whole & (likeness < SAME) & (width > WIDER * typical)
    hasty = early | (since < FOLLOWED * np.append(since[1:], 1.0))
    ventricular = hasty & other
    ventricular[ventricular] = _repeated(signal, beats[ventricular])
    return Kinds(ventricular, _above(since, beats) & whole & (likeness > SAME))


def _above(since: Floats, beats: Indices) -> Flags:
    """Early beats between intervals that are not, in a rhythm that is steady else."""
    intervals = np.diff(beats)
    if np.median(np.abs(np.diff(intervals))) > STEADY * intervals.mean():
        return np.zeros(len(beats), np.bool_)
    before, after = np.append(1.0, since[:-1]), np.append(since[1:], 1.0)
    return np.asarray((since < EARLY) & (before > BESIDE) & (after > BESIDE))


def _repeated(signal: Floats, beats: Indices) -> Flags:
    """Which of the beats look like another of them: a lone odd shape may be noise."""
    if len(beats) < 2:  # noqa: PLR2004 - a likeness takes two
        return np.zeros(len(beats), np.bool_)
    shapes = _unit(signal[beats[:, None] + np.arange(-_REACH, _REACH + 1)])
    alike = shapes @ shapes.T
    np.fill_diagonal(alike, -1.0)
    return np.asarray(alike.max(axis=1) > REPEATED)


def usual_rows(x: Floats, rate_hz: float, beats: Indices) -> tuple[Flags, Indices]:
    """Which beats of any signal are of the usual shape, and by how much each of them is moved to
    lie over the others. Every beat is at least 130 ms inside the signal.
    """
    reach, slide = round(0.1 * rate_hz), max(1, round(0.02 * rate_hz))
    rows = x[beats[:, None] + np.arange(-reach - slide, reach + slide + 1)]
    usual = _usual(rows[:, slide:-slide], _since(beats))
    fit = _unit(np.lib.stride_tricks.sliding_window_view(rows, len(usual), axis=1)) @ usual
    kind = fit.max(axis=1) > SAME
    return kind, (np.argmax(fit, axis=1) - slide)[kind]


def _since(beats: Indices) -> Floats:
    """The interval before each beat as a share of the rhythm around it; 1 for the first."""
    shares = np.ones(len(beats))
    intervals = np.diff(beats).astype(np.float64)
    if len(intervals) > 1:
        # An early beat and the pause after it make two usual intervals, in bigeminy all the time.
        pairs = (intervals[1:] + intervals[:-1]) / 2
        around = local_median(np.append(pairs, pairs[-1]), RHYTHM)
        shares[1:] = intervals / around
    return shares


def _unit(rows: Floats) -> Floats:
    centred = rows - rows.mean(axis=-1, keepdims=True)
    length = np.sqrt((centred * centred).sum(axis=-1, keepdims=True))
    return np.asarray(centred / np.maximum(length, 1e-12))


def _usual(rows: Floats, since: Floats) -> Floats:
    """The shape of the usual beat, of unit length."""
    unit = _unit(rows)
    some = unit[:: max(1, len(unit) // _SAMPLED)]
    alike = some @ unit.T > SAME
    first = alike[np.argmax(alike.sum(axis=1))]
    rest = alike & ~first
    second = rest[np.argmax(rest.sum(axis=1))]
    if second.sum() > 0.2 * len(rows) and np.median(since[first]) < EARLY * np.median(
        since[second]
    ):
        first = second
    return _unit(np.median(rows[first] if first.any() else rows, axis=0))


def _likeness(rows: Floats, usual: Floats) -> Floats:
    """Correlation of each row with the usual beat, where it fits best."""
    windows = np.lib.stride_tricks.sliding_window_view(rows, len(usual), axis=1)
    return np.asarray(np.max(_unit(windows) @ usual, axis=1))


def _width(rows: Floats) -> Floats:
    """How long each QRS complex is steep, in samples: between its first and last steep slope."""
    slope = np.abs(rows[:, 2:] - rows[:, :-2])
    steep = slope > 0.2 * slope.max(axis=1, keepdims=True)
    first = np.argmax(steep, axis=1)
    last = steep.shape[1] - np.argmax(steep[:, ::-1], axis=1)
    return np.asarray(last - first, np.float64)
