"""Suspicion of atrial fibrillation: a reason for a physician to look, never a diagnosis.

Two learnt rules (`scripts/train_af.py` makes their tables from the developers' recordings: records
of the CinC challenge of 2017 and of MIT-BIH, PhysioNet, both ODC-BY 1.0; of the records there are
the names in them, and what was learnt):

- `af.wave` over one stretch of a single lead: the order of the intervals (devices/ecg/intervals.py)
  and whether one P wave comes before every beat (devices/ecg/af_waves.py);
- `af.intervals` over half a minute of intervals alone, for a live stream and for recordings
  whose small waves cannot be read.

At least 30 s are asked of either before anybody is told (ESC guidelines 2020 and 2024: single lead
of 30 s or more, read by a physician; 2024 calls the limit "not clear").
"""

from functools import lru_cache
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from devices.ecg import af_waves, intervals
from devices.ecg.trees import Trees, trees_of

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

LEAST_S = 30.0
WAVE_RULE, INTERVALS_RULE = "af.wave/1", "af.intervals/1"
_TABLES = Path(__file__).parent / "tables"


class Suspicion(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the rhythm looks like atrial fibrillation; `odds` above 0 say that it does."""

    suspected: bool
    odds: float
    rule: str


def path_of(rule: str) -> Path:
    """The file of a rule's table."""
    return _TABLES / f"{rule.partition('/')[0].replace('.', '_')}.npz"


@lru_cache(maxsize=2)
def table(rule: str) -> Trees:
    """The learnt table of a rule."""
    with np.load(path_of(rule)) as arrays:
        return trees_of(arrays)


def wave_numbers(samples: Floats, rate_hz: float, beats: Indices) -> Floats | None:
    """What `af.wave` is asked with; None where the stretch has too few beats or missing samples."""
    order = intervals.describe(np.diff(beats) / rate_hz)
    if order is None or not np.isfinite(samples).all():
        return None
    signal = af_waves.resampled(samples, rate_hz)
    at = np.round(np.asarray(beats) * (af_waves.RATE_HZ / rate_hz)).astype(np.int64)
    return np.concatenate((order, af_waves.describe(signal, at[at < len(signal)])))


def judge_waves(
    samples: Floats, rate_hz: float, beats: Indices, name: str | None = None
) -> Suspicion | None:
    """Judge one unbroken stretch of a lead in any unit; None when there is too little to judge."""
    numbers = wave_numbers(samples, rate_hz, beats)
    return None if numbers is None else _judge(WAVE_RULE, numbers, name)


def judge_intervals(rr_s: Floats, name: str | None = None) -> Suspicion | None:
    """Judge about half a minute of unbroken intervals; None when there are too few."""
    numbers = intervals.describe(rr_s)
    return None if numbers is None else _judge(INTERVALS_RULE, numbers, name)


def _judge(rule: str, numbers: Floats, name: str | None) -> Suspicion:
    odds = table(rule).odds(numbers, name)
    return Suspicion(suspected=odds > 0, odds=odds, rule=rule)
