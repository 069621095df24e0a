"""What may be said of many live streams at one moment: quality, its reason, and the heart rate."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from devices.ecg.live_bank import Bank
from devices.ecg.live_quality import (
    AT_HIGH,
    AT_LOW,
    CELL_S,
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
from devices.ecg.live_trust import (
    GOOD_LEVEL,
    LOUD_SHARE,
    NOISY_ODDS,
    UNUSABLE_LEVEL,
    UNUSABLE_ODDS,
    Heard,
    doubted,
)
from devices.ecg.live_waves import REPEATED, SMOOTH, SURE, may_shake, waves
from devices.ecg.quality import Quality, Reason

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Said = tuple[float | None, Quality, Reason | None]

# The rate is taken from this much of the past; two intervals are the least to call one, and no beat
# for SILENT_S means that there is none to show.
RATE_S = 6.0
# Beats of a doubtful stretch are in no rate; half a second of it may have been good.
BEFORE_S = 0.5
MIN_BEATS = 3
SILENT_S = 4.0
RECENT = 8  # quarters of a second that noise is judged over
# Log-odds that beats of the last two seconds are wrong or that noise is as strong as the heart:
# constant, roughness, jumps of the level, and how unlike each other the beats are. Fitted on the 22
# developers' records of MIT-BIH without flutter, clean and with muscle, motion and baseline noise
# mixed in at 12 to 0 dB.
DOUBT = (16.4, 3.0, 2.55, 1.35)
UNSURE_ODDS = 0.0
# The height of beats is that of so many, and so many are compared.
LAST_BEATS, COMPARED = 8, 4
# What shakes is looked for where beats are told at least so often. Beats that keep the pace of the
# wave are beats, unless they were faster than a heart.
SHAKES_S, FASTEST_S, OWN_PACE = 0.667, 0.27, 0.1
# Unlike beats may be another rhythm, so they are doubted now, and not for long: what is held behind
# noise is that of beats at least so alike; and beats that all are end it.
ALIKE_HELD = 0.9
# The same way, muscle noise against motion of an electrode.
MUSCLE = (16.4, 6.9, -3.2)
# A baseline that wanders by so many beats' heights, and not all of it in one jump.
DRIFT, STEADY = 1.5, 2.0


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
    settled = known >= RECENT

    held, behind = bank.known(rows, at)
    place = behind[:, None] - np.arange(LAST_BEATS, 0, -1)
    told = held[np.arange(len(rows))[:, None], place]
    size = _middle(bank.beat_size[rows[:, None], place], told)
    few = ~told[:, -MIN_BEATS]
    highest = (last[:, :, HIGH] - last[:, :, LOW]).max(axis=1)
    size = np.where(few, highest, size) + 1e-9
    mains = (hum(last, bank.cell, bank.rate_hz) > MAINS_SHARE * size) & settled
    like = np.where(told, bank.beat_like[rows[:, None], place], 0.0)[:, -COMPARED:]
    noise = noise_of(last, size, _middle(like, told[:, -COMPARED:]))
    answer = np.select([lost, flat, ~settled, clipped, mains], range(5), 5)
    asked = answer > _MAINS
    sure = like.min(axis=1) >= ALIKE_HELD
    loud = (noise.doubt > UNUSABLE_ODDS) | (bank.noise_share[rows] >= LOUD_SHARE)
    beats = bank.beat_at[rows[:, None], place[:, [-COMPARED, -1]]]
    pace_s = (beats[:, 1] - beats[:, 0]) / ((COMPARED - 1) * bank.rate_hz)
    fast = told[:, -COMPARED] & (pace_s < SHAKES_S)
    wanted = asked & (loud | fast)
    shaken = _look_at_waves(bank, rows, at, noise, sure, wanted=wanted, loud=loud, pace_s=pace_s)
    unsure = (answer < _MAINS) | (asked & (noise.doubt > UNSURE_ODDS))
    bank.doubt(rows[unsure], at[unsure])
    counts, rates = _rate(bank, rows, at, held)
    doubt = np.where(asked & ~few, noise.lasting, -np.inf)
    before = doubted(bank, rows, at, Heard(doubt, noise.kind, sure))
    level = np.where(
        noise.doubt > UNUSABLE_ODDS,
        UNUSABLE_LEVEL,
        noise.drift | shaken | (noise.doubt > NOISY_ODDS),
    )
    kind = np.where(before.level > level, before.kind, noise.kind)
    level = np.maximum(before.level, level)
    # Most streams are good and have a rate: only the others are looked at one by one.
    plain = (counts >= MIN_BEATS) & asked & (level == GOOD_LEVEL)
    said: list[Said] = [(rate, Quality.GOOD, None) for rate in rates.tolist()]
    for one in np.flatnonzero(~plain).tolist():
        which = int(answer[one])
        if which < len(_WITHOUT_BEATS):
            said[one] = (None, *_WITHOUT_BEATS[which])
            continue
        quality, reason = _LEVELS[level[one]], _KINDS[kind[one]]
        if which == _MAINS:  # the detector does not hear it
            quality, reason = Quality.NOISY, Reason.MAINS
        known_s = float(known[one]) * CELL_S
        said[one] = _with_rate(
            quality,
            None if quality is Quality.GOOD else reason,
            int(counts[one]),
            float(rates[one]),
            known_s,
        )
    return said


def _look_at_waves(
    bank: Bank,
    rows: Ints,
    at: Ints,
    noise: "Noise",
    sure: NDArray[np.bool_],
    *,
    wanted: NDArray[np.bool_],
    loud: NDArray[np.bool_],
    pace_s: Floats,
) -> NDArray[np.bool_]:
    """Whose hand shakes; what is loud and a rhythm is doubted less in `noise`, or even `sure`."""
    shaken = np.zeros(len(rows), bool)
    some = np.flatnonzero(wanted & ~loud)
    if some.size:
        wanted[some] = may_shake(bank, rows[some], at[some])
    some = np.flatnonzero(wanted)
    if not some.size:
        return shaken
    same, after_s, steep = waves(bank, rows[some], at[some], loud[some])
    own = np.abs(pace_s[some] - after_s) < OWN_PACE * after_s
    own &= pace_s[some] > FASTEST_S
    shaken[some] = (same > REPEATED) & (steep < SMOOTH) & ~own
    same = np.where(loud[some], same, 0.0)
    sure[some] |= same > SURE
    rhythm = some[same > REPEATED]
    noise.doubt[rhythm] = np.minimum(noise.doubt[rhythm], UNSURE_ODDS)
    noise.lasting[rhythm] = np.minimum(noise.lasting[rhythm], UNSURE_ODDS)
    noise.lasting[shaken] = np.maximum(noise.lasting[shaken], UNSURE_ODDS)
    return shaken


_LEVELS = (Quality.GOOD, Quality.NOISY, Quality.UNUSABLE)
# What noise looks like, in the order of `Noise.kind`.
_KINDS = (Reason.MOVEMENT, Reason.MUSCLE, Reason.DRIFT)
# Answers that need no beats, in the order of the questions; after them comes hum.
_WITHOUT_BEATS = (
    (Quality.LEAD_OFF, Reason.ELECTRODE_OFF),
    (Quality.UNUSABLE, Reason.FLAT_LINE),
    (Quality.NO_SIGNAL, Reason.FEW_BEATS),
    (Quality.UNUSABLE, Reason.SATURATION),
)
_MAINS = len(_WITHOUT_BEATS)


def _with_rate(
    quality: Quality, reason: Reason | None, count: int, rate: float, known_s: float
) -> Said:
    if quality is Quality.UNUSABLE:
        return None, quality, reason
    if count >= MIN_BEATS:
        return rate, quality, reason
    if known_s < RATE_S:
        return None, Quality.NO_SIGNAL, Reason.FEW_BEATS
    return None, quality, reason or Reason.FEW_BEATS


class Noise(NamedTuple):
    """What noise there is beside the beats, and what it looks like; `lasting` is to be held."""

    doubt: Floats
    lasting: Floats
    drift: NDArray[np.bool_]
    kind: Ints


def noise_of(last: Floats, size: Floats, alike: Floats) -> Noise:
    """Of the last two seconds of each stream; `size` is the height of its beats.

    Roughness is taken from the third calmest of eight quarters, so that it lies between beats.
    """
    rough = np.sort(last[:, :, ROUGH], axis=1)[:, 2] / size
    means = last[:, :, MEAN]
    jump = np.abs(means[:, 1:] - means[:, :-1]).max(axis=1) / size
    wander = (means.max(axis=1) - means.min(axis=1)) / size
    log_rough, log_jump = np.log(rough + 0.01), np.log(jump + 0.01)
    beside = DOUBT[0] + DOUBT[1] * log_rough + DOUBT[2] * log_jump
    doubt = beside + DOUBT[3] * np.log(1.011 - alike)
    lasting = beside + DOUBT[3] * np.log(1.011 - np.maximum(alike, ALIKE_HELD))
    muscle = MUSCLE[0] + MUSCLE[1] * log_rough + MUSCLE[2] * log_jump > 0
    drift = (wander > DRIFT) & (wander > STEADY * jump)
    return Noise(doubt, lasting, drift, np.where(drift, 2, muscle))


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
    first = np.maximum(
        at - round(RATE_S * bank.rate_hz), bank.unusable_at[rows] - round(BEFORE_S * bank.rate_hz)
    )
    inside = held & (beats >= first[:, None])
    count = inside.sum(axis=1)
    last = np.where(inside, beats, 0).max(axis=1)
    oldest = np.where(inside, beats, np.iinfo(np.int64).max).min(axis=1)
    count = np.where(at - last > SILENT_S * bank.rate_hz, 0, count)
    rate = 60.0 * (count - 1) * bank.rate_hz / np.maximum(last - oldest, 1)
    return count, rate


def _middle(values: Floats, held: NDArray[np.bool_]) -> Floats:
    """Median of the values held; 0 for none."""
    ordered = np.sort(np.where(held, values, np.inf), axis=1)
    count = held.sum(axis=1)
    middle = ordered[np.arange(len(ordered)), np.maximum(count - 1, 0) // 2]
    return np.where(count > 0, middle, 0.0)
