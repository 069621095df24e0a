"""Whether a short recording of twelve leads is good enough to be read, and which lead is not.

A lead that stands still for half a second makes a recording unacceptable, and so do beats unlike
one another in a third of the leads: noise. Else a line over six numbers decides: wander of the
baseline, strength of the beats and noise between them, each of the worst lead and of the third
worst. Its weights are learnt by scripts/train_twelve.py from the shared records of the
PhysioNet/CinC Challenge 2011, ten times without a tenth of the records: a record of that set is
judged by the fold that never saw it, any other by all of them together.
"""

from functools import cache
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from devices.ecg.quality import Reason
from devices.ecg.twelve_waves import FEWEST_BEATS, Waves, waves

Floats = NDArray[np.float64]

TABLE: Final = Path(__file__).parent / "tables" / "twelve.json"
SHORTEST_S: Final = 2.0
# A QRS complex cannot be told at a lower rate.
LEAST_HZ: Final = 50.0
STILL_S: Final = 0.5
# A lead may miss so much of its samples; no amplifier gives more millivolts.
MISSING_SHARE: Final = 0.05
BELIEVABLE_MV: Final = 1e4
# Beats of a heart, of whatever shapes, are more like one another than this.
ALIKE, UNLIKE_SHARE = 0.9, 1 / 3
# One lead in fifty of acceptable recordings is beyond these; muscles are rougher than movement.
WANDER_MV, BETWEEN, STRENGTH = 2.0, 0.75, 0.7
ROUGH_SHARE: Final = 0.06
# At the converter's end: so high, and so long there.
CLIP_MV, CLIP_SHARE = 4.0, 0.04


class LeadDoubt(msgspec.Struct, frozen=True):
    """A lead, counted from 0, and what is wrong with it."""

    lead: int
    reason: Reason


class Twelve(msgspec.Struct, frozen=True, kw_only=True):
    """The judgement; `odds` is the log-odds of unacceptable, None where a rule decided."""

    acceptable: bool
    doubts: tuple[LeadDoubt, ...]
    odds: float | None = None


class Line(msgspec.Struct, frozen=True):
    """Weights of the six numbers and a constant."""

    constant: float
    weights: tuple[float, ...]

    def odds(self, numbers: Floats) -> float:
        """Log-odds of unacceptable."""
        return self.constant + float(np.dot(self.weights, numbers))


class Table(msgspec.Struct, frozen=True):
    """A line for each fold; `folds` says which one has not seen a record of the learning set."""

    lines: tuple[Line, ...]
    folds: dict[str, int]

    def odds(self, numbers: Floats, name: str | None) -> float:
        """Of a record of the learning set by the fold that never saw it, of others by all."""
        unseen = self.folds.get(name) if name is not None else None
        lines = self.lines if unseen is None else (self.lines[unseen],)
        return sum(line.odds(numbers) for line in lines) / len(lines)


@cache
def table() -> Table:
    """The learnt lines."""
    return msgspec.json.decode(TABLE.read_bytes(), type=Table)


def judge_twelve(millivolts: Floats, rate_hz: float, name: str | None = None) -> Twelve:
    """Judge leads as rows, NaN = missing. `name` only for records of the learning set.

    Never raises on data: what is too short or without a beat is not acceptable.
    """
    x = np.atleast_2d(np.asarray(millivolts, np.float64))
    if not x.size or rate_hz < LEAST_HZ or x.shape[1] < SHORTEST_S * rate_hz:
        return _all(len(x), Reason.FEW_BEATS)
    missing = ~(np.abs(x) < BELIEVABLE_MV)
    off = missing.mean(axis=1) > MISSING_SHARE
    if missing.any():
        x = _filled(x, missing)
    seen = waves(x, rate_hz)
    doubts = _doubts(seen, off)
    if off.any() or (seen.still_s > STILL_S).any():
        return Twelve(acceptable=False, doubts=doubts)
    if seen.beats < FEWEST_BEATS:
        return _all(len(x), Reason.FEW_BEATS)
    if unlike(seen):
        return Twelve(acceptable=False, doubts=doubts or (_worst(seen),))
    numbers = numbers_of(seen)
    odds = table().odds(numbers, name)
    if odds <= 0:
        return Twelve(acceptable=True, doubts=doubts, odds=odds)
    return Twelve(acceptable=False, doubts=doubts or (_worst(seen),), odds=odds)


def unlike(seen: Waves) -> bool:
    """Whether beats are unlike one another in a third of the leads."""
    return bool(np.mean(seen.likeness < ALIKE) >= UNLIKE_SHARE)


def numbers_of(seen: Waves) -> Floats:
    """The six numbers that the line weighs: each of the worst lead, then of the third worst."""
    each = np.sort(np.log(_badness(seen)), axis=1)
    return np.concatenate((each[:, -1], each[:, max(-3, -each.shape[1])]))


def _badness(seen: Waves) -> Floats:
    """Rows that grow with what is wrong: wander, weakness, noise between beats."""
    return np.stack((seen.wander_mv + 0.01, 1 / (seen.strength + 0.01), seen.between + 0.01))


def _doubts(seen: Waves, off: NDArray[np.bool_]) -> tuple[LeadDoubt, ...]:
    reasons = (_reason(seen, lead, lost=bool(off[lead])) for lead in range(len(off)))
    return tuple(LeadDoubt(lead, why) for lead, why in enumerate(reasons) if why is not None)


def _reason(seen: Waves, lead: int, *, lost: bool) -> Reason | None:
    """The first of what may be wrong with a lead that is wrong with it."""
    if lost:
        return Reason.ELECTRODE_OFF
    if seen.height_mv[lead] > CLIP_MV and seen.at_end[lead] > CLIP_SHARE:
        return Reason.SATURATION
    if seen.still_s[lead] > STILL_S:
        return Reason.FLAT_LINE
    if seen.wander_mv[lead] > WANDER_MV:
        return _moved(seen, lead)
    if seen.between[lead] > BETWEEN:
        return _noisy(seen, lead)
    return None


def _moved(seen: Waves, lead: int) -> Reason:
    """Most of the wander within half a second is a movement, else a drift."""
    sudden = seen.jump_mv[lead] > 0.6 * seen.wander_mv[lead]
    return Reason.MOVEMENT if sudden else Reason.DRIFT


def _noisy(seen: Waves, lead: int) -> Reason:
    rough = seen.rough_mv[lead] > ROUGH_SHARE * seen.height_mv[lead]
    return Reason.MUSCLE if rough else Reason.MOVEMENT


def _worst(seen: Waves) -> LeadDoubt:
    """The lead that is furthest beyond what good leads have, when none is beyond a limit."""
    limits = np.array((WANDER_MV, 1 / STRENGTH, BETWEEN))
    beyond = _badness(seen) / limits[:, None]
    lead = int(beyond.max(axis=0).argmax())
    kind = int(beyond[:, lead].argmax())
    return LeadDoubt(lead, _noisy(seen, lead) if kind else _moved(seen, lead))


def _filled(x: Floats, missing: NDArray[np.bool_]) -> Floats:
    """Each missing sample as the last one before it, or the lead's first that is there."""
    place = np.where(missing, 0, np.arange(x.shape[1]))
    place = np.maximum.accumulate(place, axis=1)
    first = np.argmin(missing, axis=1)
    place = np.maximum(place, first[:, None])
    filled = np.take_along_axis(x, place, axis=1)
    return np.where(np.abs(filled) < BELIEVABLE_MV, filled, 0.0)


def _all(leads: int, reason: Reason) -> Twelve:
    return Twelve(acceptable=False, doubts=tuple(LeadDoubt(lead, reason) for lead in range(leads)))
