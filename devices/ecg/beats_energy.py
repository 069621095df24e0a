"""How strongly the signal moves as a QRS complex does, at about 120 Hz: one lead, or all together.

Band-pass by moving means, squared slope, mean over 100 ms. Everything that adapts does so in
windows of 1.8 s: `level` is the energy of the beats of a lead, `quiet` that between them. Leads are
added after a logarithm, each in units of its own quiet: a lead full of noise says little, and what
moves in one lead only counts less than what moves in all.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

Floats = NDArray[np.float64]
Singles = NDArray[np.floating]

TARGET_HZ = 120.0
# Means over so many samples at TARGET_HZ: about 4 to 20 Hz are left.
FINE, COARSE = (2, 3), 15
SMOOTH_S = 0.1
WINDOW_S, WINDOWS = 1.8, 5
# So far below the usual level of a lead no stretch has beats: an electrode is off.
LEAST_LEVEL = 0.05
# Energy this many times its quiet, as an amplitude, begins to count.
KNEE = 3.0
# No converter gives more: a float beyond it is a missing sample.
BELIEVABLE = 1e9
# Sums of so many numbers of 16 bits, and their differences, are exact in single precision.
EXACT = 1 << 7
# Signals are worked through in pieces that stay in the cache. So many samples beside a piece are in
# its first and last number; beyond the ends the first and the last sample go on.
PIECE, SUMS = 1 << 15, 1 << 15
BEFORE, AFTER = FINE[0] // 2 + FINE[1] // 2 + COARSE - 1, FINE[1] // 2 + COARSE - 1


class Lead(NamedTuple):
    """One lead: its sums, band-passed wave, root of its energy, and the two levels by window.

    So many samples `beside` the sums and the wave, before and behind, repeat their ends.
    """

    sums: Singles
    wave: Singles
    energy: Singles
    level: Floats
    quiet: Floats
    beside: int

    def about(self, values: Singles, reach: int) -> Singles:
        """A row of each sample of `sums` or `wave` with so many before and behind it."""
        first = self.beside - reach
        return _rows(values[first : len(values) - first], 2 * reach + 1)

    @property
    def clarity(self) -> Floats:
        """Level of the beats over that between them, by window; 0 where nothing moves."""
        return np.where(self.level > 0, self.level / np.maximum(self.quiet, 1e-30), 0.0)


class Strength(NamedTuple):
    """What all leads say together; `values` and `level` are in the same unit."""

    values: Singles
    level: Floats
    window: int


def factor_of(rate_hz: float) -> int:
    """How many samples are summed to one."""
    return max(1, int(rate_hz / TARGET_HZ + 0.5))


def lead_of(samples: NDArray[np.generic], factor: int, rate_hz: float) -> Lead | None:
    """The lead at `rate_hz`, after summing `factor` samples to one; None where nothing moves."""
    smooth = max(1, round(SMOOTH_S * rate_hz))
    # So much of the slope is in the first mean of it before its own place; the rest is behind.
    before = smooth // 2
    first, more = BEFORE + before + 1, BEFORE + AFTER + smooth
    count = len(samples) // factor
    sums, x = _with_ends(count, more)
    _summed(samples, factor, x)
    if not _filled(x):
        return None
    sums[:more], sums[more + count :] = x[0], x[-1]
    padded = sums[more - first :]
    whole, wave = _with_ends(count, more)
    energy = np.empty_like(x)
    room = np.empty((max(4, smooth.bit_length()), PIECE + more), np.float32)
    for start in range(0, count, PIECE):
        band = _band(padded[start : min(start + PIECE, count) + more], room)
        inside = wave[start : start + PIECE]
        inside[:] = band[before + 1 : before + 1 + len(inside)]
        slope = np.subtract(band[1:], band[:-1], out=room[-1, : len(band) - 1])
        slope *= slope
        total = _moving_sum(slope, smooth, room, energy[start : start + PIECE])
        np.sqrt(total, out=energy[start : start + PIECE])
    level = _steady(_by_window(energy, rate_hz, _largest))
    level = np.maximum(level, LEAST_LEVEL * np.median(level))
    quiet = _steady(_by_window(energy, rate_hz, _middle))
    if not level.any():
        return None
    whole[:more], whole[more + count :] = wave[0], wave[-1]
    return Lead(sums, whole, energy, level, np.maximum(quiet, 1e-3 * level), more)


def _with_ends(count: int, beside: int) -> tuple[Singles, Singles]:
    """Room for so many samples with others beside them, before and behind; and the middle of it."""
    whole = np.empty(count + 2 * beside, np.float32)
    return whole, whole[beside : beside + count]


def _rows(values: Singles, width: int) -> Singles:
    """Every run of so many neighbours, as a view."""
    rows: Singles = np.lib.stride_tricks.sliding_window_view(values, width)
    return rows


def together(leads: Sequence[Lead], rate_hz: float) -> Strength:
    """The leads as one strength: of one lead its amplitude, of several the sum of logarithms."""
    window = _window(len(leads[0].energy), rate_hz)
    if len(leads) == 1:
        return Strength(leads[0].energy, leads[0].level, window)
    total = np.zeros_like(in_windows(leads[0].energy, rate_hz))
    for lead in leads:
        knee = np.maximum(KNEE * lead.quiet, 1e-15).astype(np.float32)
        part = in_windows(lead.energy, rate_hz) / knee[:, None]
        part *= part
        total += np.log1p(part, out=part)
    values = total.reshape(-1)[: len(leads[0].energy)]
    return Strength(values, _steady(_by_window(values, rate_hz, _largest)), window)


def in_windows(values: Singles, rate_hz: float) -> Singles:
    """As rows of one window each; the last is filled up with zeros."""
    window = _window(len(values), rate_hz)
    rows = -(-len(values) // window)
    if rows * window != len(values):
        values = np.concatenate((values, np.zeros(rows * window - len(values), values.dtype)))
    return values.reshape(rows, window)


def _by_window(
    values: Singles, rate_hz: float, what: Callable[[Singles], Singles]
) -> NDArray[np.floating]:
    """`what` of each window; the last one reaches back to be whole: as much as the others."""
    window = _window(len(values), rate_hz)
    rest = len(values) % window
    found = what(values[: len(values) - rest].reshape(-1, window))
    return np.append(found, what(values[None, -window:])) if rest else found


def _largest(rows: Singles) -> Singles:
    largest: Singles = rows.max(axis=1)
    return largest


def _middle(rows: Singles) -> Singles:
    """Neighbours are alike after the mean over 100 ms: one in sixteen is enough."""
    few = np.sort(rows[:, ::16], axis=1)
    count = few.shape[1]
    middle: Singles = (few[:, (count - 1) // 2] + few[:, count // 2]) / 2
    return middle


def _window(count: int, rate_hz: float) -> int:
    return max(1, min(round(WINDOW_S * rate_hz), count))


def _steady(values: Singles) -> Floats:
    steady: Floats = median_filter(values.astype(np.float64), WINDOWS, mode="nearest")
    return steady


def _summed(samples: NDArray[np.generic], factor: int, sums: Singles) -> None:
    """Sums of `factor` neighbours, less what the first sample would give."""
    each = samples[: len(sums) * factor].reshape(len(sums), factor)
    exact = samples.dtype.kind in "iu" and samples.dtype.itemsize <= 2 and factor <= EXACT  # noqa: PLR2004
    kind = np.float32 if exact else np.float64
    first = kind(factor * _first(samples))
    for start in range(0, len(sums), SUMS):
        piece = each[start : start + SUMS]
        if factor == 1:
            total: Singles = piece[:, 0].astype(kind)
        else:
            total = np.add(piece[:, 0], piece[:, 1], dtype=kind)
        for phase in range(2, factor):
            np.add(total, piece[:, phase], out=total)
        np.subtract(total, first, out=sums[start : start + SUMS], casting="same_kind")


def _first(samples: NDArray[np.generic]) -> float:
    """The first sample that is not missing."""
    if abs(first := float(samples[0])) <= BELIEVABLE:
        return first
    good = samples[np.abs(samples) <= BELIEVABLE]
    return float(good[0]) if good.size else 0.0


def _filled(x: Singles) -> bool:
    """Put missing samples on a line between those beside them; False where all are missing."""
    # Two comparisons of extremes see NaN and infinity too, in half the time of a mask.
    if x.size and x.max() <= BELIEVABLE and x.min() >= -BELIEVABLE:
        return True
    good = np.flatnonzero(np.abs(x) <= BELIEVABLE)
    if good.size:
        x[:] = np.interp(np.arange(len(x)), good, x[good])
    return bool(good.size)


def _band(x: Singles, room: Singles) -> Singles:
    """Without what is slower and what is faster than a QRS complex; nothing is delayed.

    A row of `room` is written to before it is read: no new memory, which costs as much as the sums.
    """
    fine = _sum_of_three(np.add(x[:-1], x[1:], out=room[0, : len(x) - 1]), room[3])
    slow = _coarse(_coarse(fine, room), room)
    slow *= np.float32(-1 / COARSE**2)
    slow += fine[COARSE - 1 : 1 - COARSE]
    return slow


def _coarse(values: Singles, room: Singles) -> Singles:
    """Sums of fifteen neighbours: of three, then of five of those."""
    threes = _sum_of_three(values, room[0])
    pairs = np.add(threes[:-3], threes[3:], out=room[1, : len(threes) - 3])
    total = np.add(pairs[:-9], pairs[6:-3], out=room[2, : len(threes) - 12])
    total += threes[12:]
    return total


def _sum_of_three(values: Singles, row: Singles) -> Singles:
    total = np.add(values[:-2], values[1:-1], out=row[: len(values) - 2])
    total += values[2:]
    return total


def _moving_sum(values: Singles, width: int, room: Singles, out: Singles) -> Singles:
    """Sums of `width` neighbours, by doubling: a few whole-array additions.

    What is doubled stands in rows of `room` of its own; the answer is in `out` or in one of them.
    """
    count = len(out)
    total = values[:0]
    span, start, row = 1, 0, 0
    while True:
        if width & span:
            part = values[start : start + count]
            total = part if not start else np.add(total, part, out=out)
            start += span
        if span * 2 > width:
            return total
        values = np.add(values[:-span], values[span:], out=room[row, : len(values) - span])
        span, row = span * 2, row + 1
