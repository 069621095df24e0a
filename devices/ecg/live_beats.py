"""Causal detector of heart beats for many streams of one rate at once: whole-array work.

Sums to about 120 Hz, band-pass 4-20 Hz, energy of the slope over 100 ms. A local maximum that is
the largest within 92 ms on both sides is a candidate; it is decided on as soon as it is known to be
one, 0.18 s after the R peak. What it must exceed lies between two levels that the stream itself
sets: its beats, and what was turned down after them (apart for the time of the T wave). When the
next beat is late, the best candidate turned down since is taken. A beat followed at once by a
larger one was a P wave: it is forgotten, so that one mistake does not become the rule.

Every number of a stream depends on that stream's samples only, and decisions are made at its own
energies one by one: neither the cut into chunks nor the company changes a bit of them.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

TARGET_HZ = 120.0


@dataclass(frozen=True, slots=True)
class Tuning:
    """Numbers of the decision, set on the 23 developers' records of MIT-BIH."""

    band_hz: tuple[float, float] = (4.0, 20.0)
    smooth_s: float = 0.1
    hold_s: float = 0.092
    refractory_s: float = 0.19
    window_s: float = 1.5
    # Share of the way from what is turned down to what is a beat that a candidate must go: in
    # general, in the time of the T wave after a beat, and when a beat is late.
    accept: float = 0.42
    accept_t_wave: float = 0.65
    accept_late: float = 0.15
    t_wave_s: float = 0.32
    # And in any case this share of the level, or of the beat it follows in the time of the T wave.
    floor: float = 0.31
    after_beat: float = 0.85
    # What is turned down counts at most for this share of the level.
    turned_down: float = 0.72
    late: float = 1.5
    # Nor so long after it that its samples are gone.
    late_s: float = 3.5
    forget: float = 1.05
    forget_s: float = 0.36


TUNING = Tuning()
KEPT = 8  # beats that the levels are medians of
WINDOWS = 5
WAITING = 12  # candidates turned down since the last beat that a late one may be taken from
FEW = 3  # values that make a median worth having
NEVER = -(10**9)


class Found(NamedTuple):
    """Beats in the order of each stream's time: row, energy at the peak, energies until known."""

    row: Ints
    at: Ints
    known: Ints


class BeatBank:
    """The detectors of up to `size` streams that share one rate; rows are chosen by the caller."""

    _zi: Floats
    _last_y: Floats
    _slopes: Floats
    _tail: Floats
    count: Ints
    _peak: Floats
    _peaks: Floats
    _level: Floats
    _sizes: Floats
    _gaps: Floats
    _noise: Floats
    _t_noise: Floats
    _medians: Floats
    _counts: Ints
    _down: Floats
    _t_down: Floats
    _beat: Floats
    _beat_at: Ints
    _before: Floats
    _before_at: Ints
    _before_down: Floats
    _waiting: Floats
    _waiting_at: Ints
    _next: Ints

    def __init__(self, rate_hz: float, size: int, tuning: Tuning = TUNING) -> None:
        self.tuning = tuning
        self.factor = max(1, round(rate_hz / TARGET_HZ))
        self.rate_hz = rate = rate_hz / self.factor
        high = min(tuning.band_hz[1], 0.45 * rate)
        self._sos = butter(2, (tuning.band_hz[0], high), "bandpass", fs=rate, output="sos")
        self._smooth = max(1, round(tuning.smooth_s * rate))
        self._hold = max(1, round(tuning.hold_s * rate))
        self._window = round(tuning.window_s * rate)
        # Most energies taken in at once: so many hold at most one end of a window.
        self.most = self._window // 2
        self.lag = self._lag()
        self._size = 0
        self._rows: tuple[str, ...] = ()
        self._early: dict[int, list[tuple[int, float]]] = {}
        self.grow(size)

    def grow(self, size: int) -> None:
        """Room for more rows; what the others hold stays."""
        fresh: dict[str, Floats | Ints] = {
            "_zi": np.zeros((size, len(self._sos), 2)),
            "_last_y": np.zeros(size),
            "_slopes": np.zeros((size, self._smooth - 1)),
            "_tail": np.zeros((size, 2 * self._hold)),
            "count": np.zeros(size, np.int64),
            "_peak": np.zeros(size),
            "_peaks": np.zeros((size, WINDOWS)),
            "_level": np.zeros((size, 2)),
            "_sizes": np.zeros((size, KEPT)),
            "_gaps": np.zeros((size, KEPT)),
            "_noise": np.zeros((size, KEPT)),
            "_t_noise": np.zeros((size, KEPT)),
            "_medians": np.zeros((size, 4)),
            "_counts": np.zeros((size, 4), np.int64),
            "_down": np.zeros(size),
            "_t_down": np.zeros(size),
            "_beat": np.zeros(size),
            "_beat_at": np.zeros(size, np.int64),
            "_before": np.zeros(size),
            "_before_at": np.zeros(size, np.int64),
            "_before_down": np.zeros(size),
            "_waiting": np.zeros((size, WAITING)),
            "_waiting_at": np.zeros((size, WAITING), np.int64),
            "_next": np.zeros(size, np.int64),
        }
        for name, value in fresh.items():
            if self._size:
                value[: self._size] = getattr(self, name)
            setattr(self, name, value)
        self._rows = tuple(fresh)
        grown = np.arange(self._size, size)
        self._size = size
        self.restart(grown)

    def restart(self, rows: Ints) -> None:
        """Forget everything of these rows: their next sample has no past."""
        for name in self._rows:
            getattr(self, name)[rows] = 0
        for kept in (self._sizes, self._gaps, self._noise, self._t_noise):
            kept[rows] = np.inf
        self._beat_at[rows] = self._before_at[rows] = NEVER
        self._waiting[rows] = -1.0
        for row in rows.tolist():
            self._early.pop(row, None)

    def feed(self, rows: Ints, samples: Floats) -> Found:
        """Beats that these sums of `factor` samples confirm: (rows, up to `most` each)."""
        energy = self._energy(rows, samples)
        number = energy.shape[1]
        before = self.count[rows]
        self.count[rows] += number
        self._close_windows(rows, before, energy)
        hold = self._hold
        known = np.concatenate((self._tail[rows], energy), axis=1)
        self._tail[rows] = known[:, number:]
        middle = known[:, hold : hold + number]
        # Of two equal ones within reach the first is the maximum; nothing is one in flat energy.
        is_peak = middle > known[:, hold - 1 : hold - 1 + number]
        is_peak &= middle >= known[:, hold + 1 : hold + 1 + number]
        row, place = np.nonzero(is_peak)
        around = sliding_window_view(known, 2 * hold + 1, axis=1)[row, place]
        largest = around[:, hold] == around.max(axis=1)
        row, place = row[largest], place[largest]
        at = before[row] - hold + place
        events = (rows[row], at, middle[row, place])
        return self._decide(*self._in_time(rows, before, *events))

    def _energy(self, rows: Ints, samples: Floats) -> Floats:
        """Energy of the slope; every operation is elementwise or carries its state."""
        state = np.ascontiguousarray(self._zi[rows].transpose(1, 0, 2))
        y, state = sosfilt(self._sos, samples, axis=1, zi=state)
        self._zi[rows] = state.transpose(1, 0, 2)
        slope = np.empty_like(y)
        slope[:, 0] = y[:, 0] - self._last_y[rows]
        np.subtract(y[:, 1:], y[:, :-1], out=slope[:, 1:])
        self._last_y[rows] = y[:, -1]
        slope *= slope
        slopes = np.concatenate((self._slopes[rows], slope), axis=1)
        self._slopes[rows] = slopes[:, slopes.shape[1] - (self._smooth - 1) :]
        energy: Floats = np.sqrt(_moving_sum(slopes, self._smooth))
        return energy

    def _close_windows(self, rows: Ints, before: Ints, energy: Floats) -> None:
        """Level from window maxima: the median of the last five windows that are over."""
        left = self._window - before % self._window
        inside = np.arange(energy.shape[1]) < left[:, None]
        first = np.maximum(self._peak[rows], np.where(inside, energy, 0.0).max(axis=1))
        ends = left <= energy.shape[1]
        self._peak[rows] = np.where(ends, np.where(inside, 0.0, energy).max(axis=1), first)
        if not ends.any():
            return
        over, value = rows[ends], first[ends]
        number = np.minimum(self.count[over] // self._window, WINDOWS)
        peaks = np.concatenate((self._peaks[over, 1:], value[:, None]), axis=1)
        self._peaks[over] = peaks
        missing = np.arange(WINDOWS) < WINDOWS - number[:, None]
        level = _median(np.where(missing, np.inf, peaks), number)
        once = number == 1
        self._level[over, 0] = np.where(once, level, self._level[over, 1])
        self._level[over, 1] = level

    def _in_time(
        self, rows: Ints, before: Ints, row: Ints, at: Ints, energy: Floats
    ) -> tuple[Ints, Ints, Floats]:
        """Candidates that may be decided on: those of the first window wait for its end."""
        young = before < self._window
        if not young.any():
            return row, at, energy
        learnt = self.count[row] >= self._window
        for one, place, value in zip(
            row[~learnt].tolist(), at[~learnt].tolist(), energy[~learnt].tolist(), strict=True
        ):
            self._early.setdefault(one, []).append((place, value))
        waited = [
            (one, place, value)
            for one in rows[young & (self.count[rows] >= self._window)].tolist()
            for place, value in self._early.pop(one, ())
        ]
        if not waited:
            return row[learnt], at[learnt], energy[learnt]
        old_row, old_at, old_energy = zip(*waited, strict=True)
        return (
            np.concatenate((np.array(old_row, np.int64), row[learnt])),
            np.concatenate((np.array(old_at, np.int64), at[learnt])),
            np.concatenate((np.array(old_energy), energy[learnt])),
        )

    def _decide(self, row: Ints, at: Ints, energy: Floats) -> Found:
        """One candidate of each stream after another, all streams together."""
        found: list[Found] = []
        order = np.lexsort((at, row))
        row, at, energy = row[order], at[order], energy[order]
        while row.size:
            first = np.ones(row.size, bool)
            first[1:] = row[1:] != row[:-1]
            self._turn(row[first], at[first], energy[first], found)
            row, at, energy = row[~first], at[~first], energy[~first]
        if not found:
            return Found(*np.empty((3, 0), np.int64))
        return Found(*(np.concatenate(part) for part in zip(*found, strict=True)))

    def _turn(self, row: Ints, at: Ints, energy: Floats, found: list[Found]) -> None:
        """At most one candidate of a stream."""
        tune, rate = self.tuning, self.rate_hz
        now = self.count[row] // self._window
        level = np.where(at // self._window == now, self._level[row, 1], self._level[row, 0])
        size, gap, noise, t_noise = self._medians[row].T
        few = self._counts[row] < FEW
        level = np.where(few[:, 0], level, np.sqrt(size * level))
        most = tune.turned_down * level
        noise = np.minimum(np.where(few[:, 2], 0.0, noise), most)
        t_noise = np.minimum(np.where(few[:, 3], 0.0, t_noise), most)
        floor = tune.floor * level

        there = at[:, None] - self._waiting_at[row] <= tune.late_s * rate
        waiting = np.where(there, self._waiting[row], -1.0)
        best = waiting.argmax(axis=1)
        best_at = self._waiting_at[row, best]
        best_energy = waiting[np.arange(row.size), best]
        overdue = ~few[:, 1] & (at - self._beat_at[row] > tune.late * gap)
        overdue &= best_energy > np.maximum(noise + tune.accept_late * (level - noise), floor)
        if overdue.any():
            self._take(row[overdue], best_at[overdue], best_energy[overdue])
            found.append(Found(row[overdue], best_at[overdue], at[overdue] + self._hold + 1))

        since = at - self._beat_at[row]
        in_t_wave = since < tune.t_wave_s * rate
        in_t_wave_bar = np.maximum(
            t_noise + tune.accept_t_wave * (level - t_noise), tune.after_beat * self._beat[row]
        )
        bar = np.where(in_t_wave, in_t_wave_bar, noise + tune.accept * (level - noise))
        able = since >= tune.refractory_s * rate
        beat = able & (energy > np.maximum(bar, floor))
        down = able & ~beat
        self._turn_down(row[down], at[down], energy[down], in_t_wave[down])
        if beat.any():
            mistaken = beat & (since < tune.forget_s * rate)
            mistaken &= energy > tune.forget * self._beat[row]
            mistaken &= (self._before_at[row] != NEVER) & (self._counts[row, 1] > 0)
            if mistaken.any():
                self._forget(row[mistaken])
            self._take(row[beat], at[beat], energy[beat])
            found.append(Found(row[beat], at[beat], at[beat] + self._hold + 1))

    def _turn_down(self, row: Ints, at: Ints, energy: Floats, in_t_wave: NDArray[np.bool_]) -> None:
        for down, chosen in ((self._t_down, in_t_wave), (self._down, ~in_t_wave)):
            down[row[chosen]] = np.maximum(down[row[chosen]], energy[chosen])
        place = self._next[row] % WAITING
        self._waiting[row, place] = energy
        self._waiting_at[row, place] = at
        self._next[row] += 1

    def _take(self, row: Ints, at: Ints, energy: Floats) -> None:
        """A beat: levels, rhythm and what may still be taken late."""
        last = self._beat_at[row]
        again = last != NEVER
        kept = (self._sizes, self._gaps, self._noise, self._t_noise)
        news = (energy, (at - last).astype(np.float64), self._down[row], self._t_down[row])
        for which, (held, new) in enumerate(zip(kept, news, strict=True)):
            chosen = again if which == 1 else slice(None)
            rows = row[chosen]
            held[rows, :-1] = held[rows, 1:]
            held[rows, -1] = new[chosen]
            self._counts[rows, which] = np.minimum(self._counts[rows, which] + 1, KEPT)
            self._medians[rows, which] = _median(held[rows], self._counts[rows, which])
        self._before_at[row] = last
        self._before[row] = self._beat[row]
        self._before_down[row] = self._down[row]
        self._down[row] = self._t_down[row] = 0.0
        self._beat[row], self._beat_at[row] = energy, at
        self._waiting[row] = np.where(
            self._waiting_at[row] <= at[:, None], -1.0, self._waiting[row]
        )

    def _forget(self, row: Ints) -> None:
        """The last beat was none: its size counts as turned down, its interval not at all."""
        down = np.maximum(self._before_down[row], self._beat[row])
        for which, held in enumerate((self._sizes, self._gaps, self._noise, self._t_noise)):
            held[row, 1:] = held[row, :-1]
            held[row, 0] = np.inf
            # Of a full row the oldest is gone for good: one value fewer.
            self._counts[row, which] = np.maximum(self._counts[row, which] - 1, 0)
        self._beat_at[row], self._beat[row] = self._before_at[row], self._before[row]
        self._down[row] = down

    def _lag(self) -> int:
        """Energies by which the peak of the energy lags a narrow R peak."""
        middle = 2 * self._window
        pulse = np.exp(-0.5 * ((np.arange(2 * middle) - middle) / (0.012 * self.rate_hz)) ** 2)
        slope = np.diff(sosfilt(self._sos, pulse), prepend=0.0) ** 2
        return int(np.argmax(np.convolve(slope, np.ones(self._smooth))[: 2 * middle])) - middle


def _median(values: Floats, counts: Ints) -> Floats:
    """Median of the first `counts` of each row once sorted; the rest of it is infinite."""
    ordered = np.sort(values, axis=1)
    rows = np.arange(len(values))
    middle: Floats = ordered[rows, np.maximum(counts - 1, 0) // 2] + ordered[rows, counts // 2]
    return middle * 0.5


def _moving_sum(values: Floats, width: int) -> Floats:
    """Sums of `width` neighbours, by doubling; the order of additions is the same for every one."""
    count = values.shape[1] - width + 1
    total = np.zeros((len(values), count))
    start = 0
    span = 1
    while True:
        if width & span:
            total += values[:, start : start + count]
            start += span
        if span * 2 > width:
            return total
        values = values[:, :-span] + values[:, span:]
        span *= 2
