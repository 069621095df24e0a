"""Streams of one sampling rate together: samples in, beats and judged quarters of a second out.

A row of every array is a stream. Samples are kept for four seconds relative to the first one, so
that an offset changes nothing. Missing samples hold the last value: after a hole of less than half
a second the signal goes on at the level it had, whatever level it comes back to; after a longer one
the stream starts anew.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from devices.ecg.live_beats import NEVER, BeatBank, Floats, Ints
from devices.ecg.live_quality import CELL_S, FEATURES, features

HISTORY_S = 4.0
# After a longer hole the signal starts anew; after one shorter than BRIDGE_S no beat can be lost.
ANEW_S = 0.5
BRIDGE_S = 0.1
# The R peak lies this close to where the detector puts the beat.
REFINE_S = 0.08
# What is remembered of a stream: 6 s of beats at 300 a minute, 4 s of quarters and some more.
BEATS, CELLS = 32, 16
# Intervals that the rhythm is told by: 33 s at 180 a minute.
INTERVALS, RHYTHM_S = 100, 33.0
FLAT_MV = 0.05
SHAPE = 19  # values of a beat's shape, over 0.15 s
ALIKE = 8
FIRST_ROOM = 8
# When noise was last heard, and when it last came back after a calm (devices/ecg/live_trust.py).
NOISY, AGAIN = range(2)


class Peaks(NamedTuple):
    """Beats: row, sample of the R peak counted from the stream's first, interval (NaN: none)."""

    row: Ints
    sample: Ints
    rr_s: Floats


class Ended(NamedTuple):
    """Streams with a quarter of a second at its end: row, and the sample where it ended."""

    row: Ints
    sample: Ints


class Bank:
    """Whole-array state of the streams that share a rate."""

    total: Ints
    base: Ints
    gain: Floats
    beat_at: Ints
    beat_known: Ints
    beat_size: Floats
    beat_like: Floats
    cells: Floats
    unusable_at: Ints
    noise_at: Ints
    noise_share: Floats
    noise_kind: Ints
    interval_s: Floats
    interval_at: Ints
    _origin: Floats
    _held: Floats
    _hole: Ints
    _lost: Ints
    _broken: NDArray[np.bool_]
    _heard: NDArray[np.bool_]
    _shapes: NDArray[np.float32]
    _samples: NDArray[np.float32]

    def __init__(self, rate_hz: float) -> None:
        self.rate_hz = rate_hz
        self.cell = round(CELL_S * rate_hz)
        self._kept = 1 << int(np.ceil(np.log2(HISTORY_S * rate_hz)))
        self._reach = max(1, round(REFINE_S * rate_hz))
        at = np.linspace(-0.075, 0.075, SHAPE) * rate_hz
        self._around = np.round(at).astype(np.int64)
        self._size = 0
        self._free: list[int] = []
        self.beats = BeatBank(rate_hz, FIRST_ROOM)
        # So many samples of a stream are taken in at once.
        self.most = min(self.cell, self.beats.most * self.beats.factor)
        self._more = max(self.cell + self.beats.factor, 2 * self._reach + 1)
        self._width = self._kept + self._more
        self._grow(FIRST_ROOM)

    def add(self, gain_per_mv: float) -> int:
        """A row for a new stream."""
        if not self._free:
            self.beats.grow(2 * self._size)
            self._grow(2 * self._size)
        row = self._free.pop()
        rows = np.array([row])
        self.gain[row] = gain_per_mv
        for value in (self.total, self._hole, self._lost, self._heard, self._origin, self._held):
            value[row] = 0
        self.cells[row] = 0.0
        self.unusable_at[row] = NEVER
        self.restart(rows)
        return row

    def drop(self, row: int) -> None:
        """The row may be given to another stream."""
        self._free.append(row)

    def restart(self, rows: Ints) -> None:
        """The next sample has no past: filters, level and rhythm begin anew, the count goes on."""
        self.beats.restart(rows)
        self.base[rows] = self.total[rows]
        self.beat_at[rows] = -1
        self._broken[rows] = True
        self._heard[rows] = False
        self._hole[rows] = 0
        self._held[rows] = 0.0
        self._shapes[rows] = 0.0
        self.interval_s[rows] = np.nan
        self.noise_at[rows] = NEVER
        self.noise_share[rows] = 0.0

    def feed(
        self, rows: Ints, samples: NDArray[np.generic], missing: NDArray[np.bool_]
    ) -> tuple[Peaks, Ended]:
        """The next samples of these streams, (rows, up to `most`); `missing` rows have none."""
        number = samples.shape[1]
        lost = bool(missing.any())
        if lost:
            self._hole[rows[missing]] += number
            self._contact(rows[~missing], samples[~missing, 0].astype(np.float64))
        else:
            self._contact(rows, samples[:, 0].astype(np.float64))
        relative = np.empty(samples.shape, np.float32)
        origin = self._origin[rows, None]
        np.subtract(samples, origin, out=relative, dtype=np.float64, casting="unsafe")
        if lost:
            relative[missing] = self._held[rows[missing], None]
        self._held[rows] = relative[:, -1]
        start = self.total[rows]
        self.total[rows] = start + number
        self._write(rows, start, relative)
        peaks = self._beats(rows, start, relative)
        return peaks, self._end_cells(rows, start, number, missing)

    def window(self, rows: Ints, first: Ints, number: int) -> NDArray[np.float32]:
        """Samples of the last seconds, from `first` on."""
        place = rows * self._width + (first & (self._kept - 1))
        return self._runs(number)[place]

    def past(self, rows: Ints, until: Ints, number: int, every: int = 1) -> NDArray[np.float32]:
        """So many samples up to `until`, however many: a copy, where `window` is a run."""
        place = (until[:, None] - np.arange(number * every, 0, -every)) & (self._kept - 1)
        return np.asarray(self._samples[rows[:, None], place])

    def known(self, rows: Ints, at: Ints) -> tuple[NDArray[np.bool_], Ints]:
        """Which beats were told by `at`, and where the place behind the last of them is."""
        ours = self.beat_at[rows] >= np.maximum(self.base[rows], 0)[:, None]
        coming = ours & (self.beat_known[rows] > at[:, None])
        return ours & ~coming, BEATS - coming.sum(axis=1)

    def _write(self, rows: Ints, first: Ints, values: NDArray[np.float32]) -> None:
        """A row of `_samples` is a ring with its beginning repeated behind: a run is one copy."""
        number = values.shape[1]
        place = first & (self._kept - 1)
        self._runs(number)[rows * self._width + place] = values
        turned = np.flatnonzero((place < self._more) | (place + number > self._kept))
        if turned.size:
            row = rows[turned, None]
            at = (place[turned, None] + np.arange(number)) & (self._kept - 1)
            self._samples[row, at] = values[turned]
            which, where = np.nonzero(at < self._more)
            behind = at[which, where] + self._kept
            self._samples[row[which, 0], behind] = values[turned[which], where]

    def _runs(self, number: int) -> NDArray[np.float32]:
        """Every run of so many neighbours in memory, by its first."""
        flat = self._samples.reshape(-1)
        return as_strided(flat, (flat.size - number + 1, number), 2 * flat.strides)

    def _contact(self, rows: Ints, first: Floats) -> None:
        """Samples come: for the first time, after a hole, or as ever."""
        hole = self._hole[rows]
        anew = (hole > ANEW_S * self.rate_hz) | (~self._heard[rows] & (hole > 0))
        if anew.any():
            self.restart(rows[anew])
        new = ~self._heard[rows]
        self._origin[rows[new]] = first[new]
        self._heard[rows] = True
        back = self._hole[rows] > 0
        if back.any():
            some = rows[back]
            self._broken[some] |= self._hole[some] > BRIDGE_S * self.rate_hz
            jumped = back & ~new
            self._origin[rows[jumped]] = first[jumped] - self._held[rows[jumped]]
            self._hole[some] = 0

    def _beats(self, rows: Ints, start: Ints, relative: NDArray[np.float32]) -> Peaks:
        factor = self.beats.factor
        done = (start - self.base[rows]) // factor
        ready = (self.total[rows] - self.base[rows]) // factor - done
        found = []
        for number in np.unique(ready[ready > 0]).tolist():
            chosen = ready == number
            some = rows[chosen]
            first = self.base[some] + done[chosen] * factor
            if relative.shape[1] == number * factor and (first == start[chosen]).all():
                part = relative if len(some) == len(rows) else relative[chosen]
            else:
                part = self.window(some, first, number * factor)
            sums = part[:, ::factor].astype(np.float64)
            for phase in range(1, factor):
                sums += part[:, phase::factor]
            found.append(self.beats.feed(some, sums))
        row, at, known = (
            (np.concatenate(part) for part in zip(*found, strict=True))
            if found
            else (np.empty((3, 0), np.int64))
        )
        return self._refine(row, at, known)

    def _refine(self, row: Ints, at: Ints, known: Ints) -> Peaks:
        """R (or deep S) peaks: the extreme of the samples near the detection.

        Dropped where the signal hardly moves: the detector's level follows any noise down.
        """
        if not row.size:
            return Peaks(row, row, np.empty(0))
        factor, reach = self.beats.factor, self._reach
        about = ((at - self.beats.lag) * factor + factor // 2).clip(0) + self.base[row]
        first = np.maximum(about - reach, self.base[row])
        near = self.window(row, first, 2 * reach + 1).astype(np.float64)
        size = near.max(axis=1) - near.min(axis=1)
        level = np.partition(near, reach, axis=1)[:, reach]
        sample = first + np.abs(near - level[:, None]).argmax(axis=1)
        moves = size >= FLAT_MV * self.gain[row]
        row, sample, size = row[moves], sample[moves], size[moves]
        known = (known[moves] * factor) + self.base[row]
        rr_s = np.full(row.size, np.nan)
        for turn in _turns(row):
            one = row[turn]
            sample[turn] = np.maximum(sample[turn], self.beat_at[one, -1] + 1)
            whole = ~self._broken[one] & (self.beat_at[one, -1] >= 0)
            distance = (sample[turn] - self.beat_at[one, -1]) / self.rate_hz
            rr_s[turn] = np.where(whole, distance, np.nan)
            self._broken[one] = False
            self._interval(one[whole], sample[turn][whole], rr_s[turn][whole])
            self._remember(one, sample[turn], known[turn], size[turn])
        return Peaks(row, sample, rr_s)

    def _remember(self, row: Ints, sample: Ints, known: Ints, size: Floats) -> None:
        shape = self._shape(row, sample)
        alike = np.maximum((shape[:, None] * self._shapes[row]).sum(axis=2).max(axis=1), 0)
        _append(self.beat_at, row, sample)
        _append(self.beat_known, row, known)
        _append(self.beat_size, row, size)
        _append(self.beat_like, row, alike)
        _append(self._shapes, row, shape)

    def _interval(self, row: Ints, sample: Ints, rr_s: Floats) -> None:
        _append(self.interval_s, row, rr_s)
        _append(self.interval_at, row, sample)

    def intervals(self, rows: Ints, at: Ints) -> Floats:
        """Intervals of the last 33 s before `at`, newest last; NaN where there is none."""
        since = self.interval_at[rows] - at[:, None]
        inside = (since <= 0) & (since > -RHYTHM_S * self.rate_hz)
        return np.where(inside, self.interval_s[rows], np.nan)

    def doubt(self, rows: Ints, at: Ints) -> None:
        """Up to `at` the signal is not to be believed: the last second has no intervals."""
        self.unusable_at[rows] = at
        late = self.interval_at[rows] > (at - round(self.rate_hz))[:, None]
        self.interval_s[rows] = np.where(late, np.nan, self.interval_s[rows])

    def _shape(self, row: Ints, sample: Ints) -> NDArray[np.float32]:
        place = (sample[:, None] + self._around) & (self._kept - 1)
        shape = self._samples[row[:, None], place]
        shape = shape - shape.sum(axis=1, keepdims=True) / np.float32(SHAPE)
        length = np.sqrt((shape * shape).sum(axis=1, keepdims=True)) + np.float32(1e-9)
        return np.asarray(shape / length, np.float32)

    def _end_cells(self, rows: Ints, start: Ints, number: int, missing: NDArray[np.bool_]) -> Ended:
        """Judge the quarters of a second that are over, on the grid of the stream's own samples."""
        end = self.total[rows] // self.cell * self.cell
        over = end > start
        self._lost[rows] += np.where(missing, np.where(over, end - start, number), 0)
        if not over.any():
            return Ended(rows[:0], rows[:0])
        some, ended = rows[over], end[over]
        part = self.window(some, ended - self.cell, self.cell)
        place = (ended // self.cell) % CELLS
        found = features(part, self.rate_hz, self.beats.factor)
        self.cells[some, place, : FEATURES - 1] = found
        self.cells[some, place, FEATURES - 1] = self._lost[some] / self.cell
        self._lost[some] = np.where(missing[over], self.total[some] - ended, 0)
        return Ended(some, ended)

    def last_cells(self, rows: Ints, ended: Ints, number: int) -> Floats:
        """The last quarters of a second up to `ended`, oldest first: (rows, number, features)."""
        place = (ended[:, None] // self.cell - np.arange(number - 1, -1, -1)) % CELLS
        return np.asarray(self.cells[rows[:, None], place])

    def _grow(self, size: int) -> None:
        fresh: dict[str, NDArray[np.generic]] = {
            "total": np.zeros(size, np.int64),
            "base": np.zeros(size, np.int64),
            "gain": np.ones(size),
            "beat_at": np.full((size, BEATS), -1, np.int64),
            "beat_known": np.zeros((size, BEATS), np.int64),
            "beat_size": np.zeros((size, BEATS)),
            "beat_like": np.zeros((size, BEATS)),
            "cells": np.zeros((size, CELLS, FEATURES)),
            "interval_s": np.full((size, INTERVALS), np.nan),
            "interval_at": np.zeros((size, INTERVALS), np.int64),
            "unusable_at": np.full(size, NEVER, np.int64),
            "noise_at": np.full((size, 2), NEVER, np.int64),
            "noise_share": np.zeros(size),
            "noise_kind": np.zeros(size, np.int64),
            "_origin": np.zeros(size),
            "_held": np.zeros(size),
            "_hole": np.zeros(size, np.int64),
            "_lost": np.zeros(size, np.int64),
            "_broken": np.ones(size, bool),
            "_heard": np.zeros(size, bool),
            "_shapes": np.zeros((size, ALIKE, SHAPE), np.float32),
            "_samples": np.zeros((size, self._width), np.float32),
        }
        for name, value in fresh.items():
            if self._size:
                value[: self._size] = getattr(self, name)
            setattr(self, name, value)
        self._free.extend(range(size - 1, self._size - 1, -1))
        self._size = size


def _append(held: NDArray[Any], row: Ints, new: NDArray[Any]) -> None:
    """The newest last; the oldest is forgotten."""
    held[row, :-1] = held[row, 1:]
    held[row, -1] = new


def _turns(row: Ints) -> list[Ints]:
    """Places of the first beat of every row, of the second, …"""
    turns = []
    left = np.arange(row.size)
    while left.size:
        _, first = np.unique(row[left], return_index=True)
        turns.append(left[first])
        left = np.delete(left, first)
    return turns
