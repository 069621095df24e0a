"""What may be said of many live streams at one moment: quality, its reason, and the heart rate."""

import numpy as np
from numpy.typing import NDArray

from devices.ecg.live_bank import BEATS, Bank
from devices.ecg.live_quality import (
    AT_HIGH,
    AT_LOW,
    CLIP_SHARE,
    DEAD_CELLS,
    DEAD_MV,
    FLAT_CELLS,
    FLAT_MV,
    HIGH,
    LOST,
    LOST_SHARE,
    LOW,
    MAINS_SHARE,
    MEAN,
    ROUGH,
    hum,
)
from devices.ecg.quality import Quality, Reason

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Said = tuple[float | None, Quality, Reason | None]

# The rate is taken from this much of the past; two intervals are the least to call one, and no beat
# for SILENT_S means that there is none to show.
RATE_S = 6.0
MIN_BEATS = 3
SILENT_S = 4.0
RECENT = 8  # quarters of a second that noise is judged over
SETTLED = 8
MUSCLE, MUSCLE_UNUSABLE = 0.05, 0.12
WANDER, RESTLESS, RESTLESS_UNUSABLE = 2.0, 0.6, 1.2


def judge(bank: Bank, rows: Ints, at: Ints) -> list[Said]:
    """Of each row, with what is known at sample `at` of it."""
    cells = bank.last_cells(rows, at, FLAT_CELLS)
    known = (at - bank.base[rows]) // bank.cell
    gain = bank.gain[rows]
    last = cells[:, -RECENT:]
    lost = cells[:, -4:, LOST].sum(axis=1) > 4 * LOST_SHARE
    flat = _still(cells[:, -DEAD_CELLS:], DEAD_MV * gain) & (known >= DEAD_CELLS)
    flat |= _still(cells, FLAT_MV * gain) & (known >= FLAT_CELLS)
    clipped = _clipped(last, bank.cell) & (known >= RECENT)
    settled = known >= SETTLED

    held = (bank.beat_at[rows] >= bank.base[rows, None]) & (bank.beat_known[rows] <= at[:, None])
    held &= bank.beat_at[rows] >= 0
    count, rate = _rate(bank, rows, at, held)
    size = _middle(bank.beat_size[rows], held)
    few = held.sum(axis=1) < MIN_BEATS
    highest = (last[:, :, HIGH] - last[:, :, LOW]).max(axis=1)
    size = np.where(few, highest, size) + 1e-9
    mains = (hum(last, bank.cell, bank.rate_hz) > MAINS_SHARE * size) & settled
    alike = _middle(bank.beat_like[rows], held, 4)
    rough, wander, restless, *_ = noise_of(last, size, alike)
    return [
        _say(*one)
        for one in zip(
            lost.tolist(),
            flat.tolist(),
            clipped.tolist(),
            settled.tolist(),
            mains.tolist(),
            rough.tolist(),
            wander.tolist(),
            restless.tolist(),
            (known >= round(4 * RATE_S)).tolist(),
            count.tolist(),
            rate.tolist(),
            strict=True,
        )
    ]


def noise_of(last: Floats, size: Floats, alike: Floats) -> tuple[Floats, ...]:
    """Roughness between beats, wander and unrest, all beside the height of a beat."""
    roughs = np.sort(last[:, :, ROUGH], axis=1) / size[:, None]
    means = last[:, :, MEAN]
    wander = (means.max(axis=1) - means.min(axis=1)) / size
    jump = np.abs(means[:, 1:] - means[:, :-1]).max(axis=1) / size
    spans = np.sort(last[:, :, HIGH] - last[:, :, LOW], axis=1) / size[:, None]
    return (
        roughs[:, 2],
        wander,
        spans[:, 2],
        roughs[:, 4],
        jump,
        spans[:, 4],
        spans[:, 7],
        1.001 - alike,
    )


def _say(  # noqa: PLR0911 - one answer a question
    lost: bool,
    flat: bool,
    clipped: bool,
    settled: bool,
    mains: bool,
    rough: float,
    wander: float,
    restless: float,
    long: bool,
    count: int,
    rate: float,
) -> Said:
    if lost:
        return None, Quality.LEAD_OFF, Reason.ELECTRODE_OFF
    if flat:
        return None, Quality.UNUSABLE, Reason.FLAT_LINE
    if not settled:
        return None, Quality.NO_SIGNAL, Reason.FEW_BEATS
    if clipped:
        return None, Quality.UNUSABLE, Reason.SATURATION
    quality, reason = Quality.GOOD, None
    if mains:
        quality, reason = Quality.NOISY, Reason.MAINS
    elif rough > MUSCLE:
        quality, reason = Quality.NOISY, Reason.MUSCLE
        if rough > MUSCLE_UNUSABLE:
            return None, Quality.UNUSABLE, reason
    elif restless > RESTLESS:
        quality, reason = Quality.NOISY, Reason.MOVEMENT
        if restless > RESTLESS_UNUSABLE:
            return None, Quality.UNUSABLE, reason
    elif wander > WANDER:
        quality, reason = Quality.NOISY, Reason.DRIFT
    if count < MIN_BEATS:
        return None, quality if long else Quality.NO_SIGNAL, reason or Reason.FEW_BEATS
    return rate, quality, reason


def _still(cells: Floats, most: Floats) -> NDArray[np.bool_]:
    still: NDArray[np.bool_] = cells[:, :, HIGH].max(axis=1) - cells[:, :, LOW].min(axis=1) < most
    return still


def _clipped(cells: Floats, cell: int) -> NDArray[np.bool_]:
    """Stands still at its own extremes for too long: clipped by the converter."""
    high, low = cells[:, :, HIGH].max(axis=1), cells[:, :, LOW].min(axis=1)
    at_end = np.where(cells[:, :, HIGH] == high[:, None], cells[:, :, AT_HIGH], 0).sum(axis=1)
    at_end += np.where(cells[:, :, LOW] == low[:, None], cells[:, :, AT_LOW], 0).sum(axis=1)
    clipped: NDArray[np.bool_] = at_end >= CLIP_SHARE * cell * cells.shape[1]
    return clipped


def _rate(bank: Bank, rows: Ints, at: Ints, held: NDArray[np.bool_]) -> tuple[Ints, Floats]:
    """Beats of the last seconds (none after a silence), and their rate."""
    beats = bank.beat_at[rows]
    inside = held & (beats >= (at - round(RATE_S * bank.rate_hz))[:, None])
    count = inside.sum(axis=1)
    last = np.where(inside, beats, 0).max(axis=1)
    first = np.where(inside, beats, np.iinfo(np.int64).max).min(axis=1)
    count = np.where(at - last > SILENT_S * bank.rate_hz, 0, count)
    rate = 60.0 * (count - 1) * bank.rate_hz / np.maximum(last - first, 1)
    return count, rate


def _middle(values: Floats, held: NDArray[np.bool_], most: int = 8) -> Floats:
    """Median of the values held, of the last `most`; 0 for none."""
    values, held = values[:, BEATS - most :], held[:, BEATS - most :]
    ordered = np.sort(np.where(held, values, np.inf), axis=1)
    count = held.sum(axis=1)
    middle = ordered[np.arange(len(ordered)), np.maximum(count - 1, 0) // 2]
    return np.where(count > 0, middle, 0.0)
