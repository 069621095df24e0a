"""What the rhythm of a recording gives reason to look at: findings, each by a rule with a source.

A finding is a reason for a physician to look at the trace, never a diagnosis. Unbroken usable
stretches are judged: nothing is counted across a gap. Fibrillation alone is also asked of shorter
stretches that lie close together and hold 30 s in all, a single doubtful second inside counted in:
no interval of theirs spans what is between.

| rule | says | source |
|---|---|---|
| af.both/3 | suspected atrial fibrillation in at least 30 s: the two rules of devices/ecg/af.py agree in their sum | ESC 2020 and 2024 for the 30 s, which 2024 calls "not clear"; the rules are learnt |
| pause/1 | more than 3 s between two beats, with nothing as steep as half a beat in between | customary, unconfirmed |
| rate.slow/2, rate.fast/2 | below 50, above 100 a minute over at least 10 s, at rest | customary, unconfirmed |
| ectopy.ventricular/1 | early or followed by a pause, another and wider shape than usual, twice alike in the window | textbook signs; measured in bench/ecg_rhythm.py |
| ectopy.supraventricular/2 | 13 % early, of the usual shape, between intervals that are not, twice in a window whose rhythm is steady else; not asked where it looks like fibrillation, however short | textbook signs; measured in bench/ecg_rhythm.py |
| regular/2 | a half minute in which most intervals differ by less than 5 % from the one before and none by 15 %, at 50 to 100 a minute | ours |
| enough/3 | usable stretches that lie close together do not reach 30 s, one doubtful second inside counted in: fibrillation was not asked | ESC as above |
"""  # noqa: E501 - a table

from collections.abc import Sequence
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from devices.ecg import ectopy, intervals
from devices.ecg.af import LEAST_S, judge_intervals, judge_waves
from devices.ecg.af_waves import RATE_HZ, resampled
from devices.ecg.rhythm_runs import Run, joined_runs
from devices.ecg.seconds import LEAST_HZ

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

PAUSE_S = 3.0
SLOW, FAST = 50.0, 100.0
# The shortest stretch that has a rate, and the fewest intervals in it.
RATE_S, RATE_INTERVALS = 10.0, 3
# What is this much of a beat's steepness may be a beat that was not counted.
HIDDEN = 0.5
# Steps below STILL of the mean interval are none. A live rhythm whose stillest steps are below
# STEADY is not asked for fibrillation: no window of MIT-BIH, and one in twenty of the challenge.
STILL, STEADY = 0.05, 0.03
# Nothing is regular with a step as large as this.
JUMP = 0.15
# Early beats from above are told by this many: one now and then means nothing to anybody.
REPEATED = 2
# Inputs that are added up when windows are joined.
_COUNTED = ("windows", "count", "beats")
BELIEVABLE = 1e9


class RhythmCode(StrEnum):
    """What was found; the screen has the sentences."""

    REGULAR = "regular"
    AF_SUSPECTED = "af_suspected"
    PAUSE = "pause"
    BRADYCARDIA = "bradycardia"
    TACHYCARDIA = "tachycardia"
    VENTRICULAR_ECTOPY = "ventricular_ectopy"
    SUPRAVENTRICULAR_ECTOPY = "supraventricular_ectopy"
    NOT_ENOUGH = "not_enough"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something seen from sample `first` to `last`, both included, by a rule of the table above."""

    code: RhythmCode
    first: int
    last: int
    inputs: dict[str, float]
    rule: str


def find_rhythm(
    millivolts: Floats, rate_hz: float, beats: Indices, usable: Sequence[tuple[int, int]]
) -> tuple[Finding, ...]:
    """Findings of one lead in the order of time. `usable`: stretches of samples [first, end)."""
    x = np.asarray(millivolts, np.float64).reshape(-1)
    at = np.unique(np.asarray(beats, np.int64).reshape(-1))
    found: list[Finding] = []
    longest = 0.0
    stretches = _stretches(x, usable) if rate_hz >= LEAST_HZ else []
    for first, end in stretches:
        longest = max(longest, (end - first) / rate_hz)
        inside = at[np.searchsorted(at, first) : np.searchsorted(at, end)]
        found += _pauses(x, rate_hz, inside)
        going: list[Finding] = []
        for low, high in _windows(first, end, rate_hz):
            some = inside[np.searchsorted(inside, low) : np.searchsorted(inside, high)]
            enough = len(some) > RATE_INTERVALS
            now = _window(x[low:high], rate_hz, some - low, low) if enough else []
            going, ended = _joined(going, now)
            found += ended
        found += going
    for run in joined_runs(x, rate_hz, at, _short(stretches, rate_hz)):
        longest = max(longest, run.counts / rate_hz)
        if run.counts >= int(LEAST_S * rate_hz):
            found += _across(run, rate_hz)
    if longest < LEAST_S:
        last = max(0, len(x) - 1)
        found.append(_finding(RhythmCode.NOT_ENOUGH, 0, last, "enough/3", longest_s=longest))
    return tuple(sorted(found, key=lambda finding: (finding.first, finding.code)))


def _stretches(x: Floats, usable: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The usable stretches without missing samples, inside the signal, each once."""
    there = np.zeros(len(x) + 1, np.int8)
    for first, end in usable:
        there[max(0, first) : max(0, min(end, len(x)))] = 1
    there[:-1][~(np.abs(x) < BELIEVABLE)] = 0
    turns = np.flatnonzero(np.diff(there, prepend=0)).tolist()
    return list(zip(turns[::2], turns[1::2], strict=True))


def _short(stretches: list[tuple[int, int]], rate_hz: float) -> list[tuple[int, int]]:
    """The stretches too short to be asked for fibrillation."""
    return [(first, end) for first, end in stretches if end - first < LEAST_S * rate_hz]


def _across(run: Run, rate_hz: float) -> list[Finding]:
    """Suspected fibrillation in a run of short stretches."""
    found: list[Finding] = []
    going: list[Finding] = []
    for low, high in _windows(0, len(run.x), rate_hz):
        inside = slice(*np.searchsorted(run.beats, (low, high)).tolist())
        beats = run.beats[inside] - low
        rr = np.diff(beats) / rate_hz
        now = []
        if len(rr) > RATE_INTERVALS:
            odds = _fibrillation(run.x[low:high], rate_hz, beats, rr)
            if odds > 0:
                first, last = run.origin[inside][[0, -1]].tolist()
                rate = 60 / float(rr.mean())
                inputs = {"rate_bpm": rate, "windows": 1.0, "odds": odds}
                code = RhythmCode.AF_SUSPECTED
                now = [_finding(code, first, last, "af.both/3", **inputs)]
        going, ended = _joined(going, now)
        found += ended
    return found + going


def _windows(first: int, end: int, rate_hz: float) -> list[tuple[int, int]]:
    """A stretch in equal parts of 30 to 60 s; a shorter one whole, a very short one not at all."""
    seconds = (end - first) / rate_hz
    if seconds < RATE_S:
        return []
    cuts = np.linspace(first, end, max(1, int(seconds / LEAST_S)) + 1).astype(np.int64).tolist()
    return list(pairwise(cuts))


def _pauses(x: Floats, rate_hz: float, beats: Indices) -> list[Finding]:
    """Long intervals in which no beat can have been overlooked."""
    found = []
    for i in np.flatnonzero(np.diff(beats) > PAUSE_S * rate_hz).tolist():
        first, last = int(beats[i]), int(beats[i + 1])
        near = round(0.15 * rate_hz)
        # The two beats and the T wave of the first are what is between; the rest must be quiet.
        quiet = x[first + round(0.5 * rate_hz) : last - near]
        around = [x[max(0, at - near) : at + near + 1] for at in (first, last)]
        beat = min(float(np.abs(np.diff(part)).max()) for part in around if len(part) > 1)
        steepest = float(np.abs(np.diff(quiet)).max())
        if steepest < HIDDEN * beat:
            seconds = (last - first) / rate_hz
            found.append(_finding(RhythmCode.PAUSE, first, last, "pause/1", seconds=seconds))
    return found


def _window(x: Floats, rate_hz: float, beats: Indices, start: int) -> list[Finding]:
    rr = np.diff(beats) / rate_hz
    first, last = start + int(beats[0]), start + int(beats[-1])
    rate = 60 / float(rr.mean())
    found: list[Finding] = []

    def say(code: RhythmCode, rule: str, **inputs: float) -> None:
        found.append(_finding(code, first, last, rule, rate_bpm=rate, windows=1, **inputs))

    if rate < SLOW:
        say(RhythmCode.BRADYCARDIA, "rate.slow/2")
    if rate > FAST:
        say(RhythmCode.TACHYCARDIA, "rate.fast/2")
    long_enough = len(x) >= int(LEAST_S * rate_hz)
    odds = _fibrillation(x, rate_hz, beats, rr)
    if odds > 0 and long_enough:
        say(RhythmCode.AF_SUSPECTED, "af.both/3", odds=odds)
    found += _ectopy(x, rate_hz, beats, start, irregular=odds > 0)
    steps = np.abs(np.diff(rr)) / rr.mean()
    if not found and long_enough and np.median(steps) < STILL and steps.max() < JUMP:
        say(RhythmCode.REGULAR, "regular/2")
    return found


def _fibrillation(x: Floats, rate_hz: float, beats: Indices, rr: Floats) -> float:
    """Log-odds of both rules together: either sees what the other cannot."""
    waves, order = judge_waves(x, rate_hz, beats), judge_intervals(rr)
    return -1.0 if waves is None or order is None else waves.odds + order.odds


def _ectopy(
    x: Floats, rate_hz: float, beats: Indices, start: int, *, irregular: bool
) -> list[Finding]:
    signal = resampled(x, rate_hz)
    at = np.minimum(np.round(beats * (RATE_HZ / rate_hz)).astype(np.int64), len(signal) - 1)
    kinds = ectopy.kinds(signal, at)
    above = kinds.supraventricular
    steady = not irregular and above.sum() >= REPEATED
    found = []
    for code, rule, flags in (
        (RhythmCode.VENTRICULAR_ECTOPY, "ectopy.ventricular/1", kinds.ventricular),
        (
            RhythmCode.SUPRAVENTRICULAR_ECTOPY,
            "ectopy.supraventricular/2",
            above & steady,
        ),
    ):
        here = np.flatnonzero(flags)
        if here.size:
            # From the beat before the first to the one after the last: an early beat is seen there.
            ends = max(0, here[0] - 1), min(len(beats) - 1, here[-1] + 1)
            first, last = (start + int(beats[end]) for end in ends)
            run = max(len(part) for part in np.split(here, np.flatnonzero(np.diff(here) > 1) + 1))
            found.append(
                _finding(
                    code, first, last, rule, count=len(here), beats=len(beats), longest_run=run
                )
            )
    return found


def _finding(code: RhythmCode, first: int, last: int, rule: str, **inputs: float) -> Finding:
    return Finding(code=code, first=first, last=last, inputs=inputs, rule=rule)


def _joined(before: list[Finding], now: list[Finding]) -> tuple[list[Finding], list[Finding]]:
    """What one window says again is one finding with the window before; and what then ended."""
    said = {finding.code: finding for finding in before}
    going = []
    for finding in now:
        earlier = said.pop(finding.code, None)
        going.append(finding if earlier is None else _together(earlier, finding))
    return going, list(said.values())


def _together(one: Finding, two: Finding) -> Finding:
    """Counts are added; of rates and odds the one farther from usual is kept."""
    inputs = {
        key: value + two.inputs[key]
        if key in _COUNTED
        else (min if one.code is RhythmCode.BRADYCARDIA else max)(value, two.inputs[key])
        for key, value in one.inputs.items()
    }
    return msgspec.structs.replace(one, last=two.last, inputs=inputs)


def live_rhythm(rr_s: Sequence[float]) -> RhythmCode | None:
    """What may be said of a live stream, given the unbroken intervals of its last half minute."""
    return live_rhythms(np.array([rr_s], np.float64))[0]


class _Rows(NamedTuple):
    """Intervals of many streams, newest last, and what each question begins with."""

    rr: Floats  # NaN where there is none
    there: NDArray[np.bool_]
    each: Floats  # 0 where there is none
    counts: NDArray[np.int64]
    total: Floats
    mean: Floats

    @property
    def enough(self) -> NDArray[np.bool_]:
        return np.asarray((self.counts >= intervals.FEWEST) & (self.total >= LEAST_S))


def _rows(rr_s: Floats) -> _Rows:
    rr = np.atleast_2d(rr_s)
    there = np.isfinite(rr)
    if rr.size:  # what no stream has need not be reckoned with
        first = int(np.argmax(there.any(axis=0)))
        rr, there = rr[:, first:], there[:, first:]
    count = there.sum(axis=1)
    each = np.where(there, rr, 0.0)
    total = each.sum(axis=1)
    return _Rows(rr, there, each, count, total, total / np.maximum(1, count))


def live_steady(rr_s: Floats) -> NDArray[np.bool_]:
    """Which rows need not be asked about fibrillation: steady, or not enough to ask yet."""
    rows = _rows(rr_s)
    if not rows.rr.size:
        return np.ones(len(rows.rr), bool)
    return ~rows.enough | (_stillest(rows.rr, rows.counts, rows.mean) < STEADY)


def live_fibrillation(rr_s: Floats) -> bool:
    """Whether the intervals of an unsteady row look like fibrillation; about a millisecond.

    By intervals alone, so that early beats can feign it.
    """
    judged = judge_intervals(rr_s[np.isfinite(rr_s)])
    return judged is not None and judged.suspected


def live_rhythms(
    rr_s: Floats, fibrillating: NDArray[np.bool_] | None = None
) -> list[RhythmCode | None]:
    """The same for many streams at once: rows of intervals, newest last, NaN where there is none.

    None where nothing may be said. A pause is told behind RATE_S of intervals, slow and fast from
    as many, anything else from LEAST_S of them; what has early beats is never regular. All but
    fibrillation is whole-array work: who asks often gives what he knows of it.
    """
    rows = _rows(rr_s)
    rr, each, count, total, mean = rows.rr, rows.each, rows.counts, rows.total, rows.mean
    said = np.full(len(rr), None, object)
    if not rr.size:
        return list(said)
    if fibrillating is None:
        fibrillating = ~live_steady(rr)
        for row in np.flatnonzero(fibrillating).tolist():
            fibrillating[row] = live_fibrillation(rr[row])
    enough = rows.enough
    if enough.any():
        said[enough & _regular(rr, mean)] = RhythmCode.REGULAR
    said[enough & fibrillating] = RhythmCode.AF_SUSPECTED
    rated = (said != RhythmCode.AF_SUSPECTED) & (count >= RATE_INTERVALS) & (total >= RATE_S)
    # Beats that were overlooked make a few long intervals, and a rhythm slow in the mean alone.
    middle = np.sort(rr, axis=1)[np.arange(len(rr)), np.maximum(0, count - 1) // 2]
    said[rated & (mean > 60 / SLOW) & (middle > 60 / SLOW)] = RhythmCode.BRADYCARDIA
    said[rated & (mean < 60 / FAST)] = RhythmCode.TACHYCARDIA
    # The first beats of a stream are the ones that are overlooked.
    before = each.cumsum(axis=1) - each
    said[((each > PAUSE_S) & (before >= RATE_S)).any(axis=1)] = RhythmCode.PAUSE
    return list(said)


def _regular(rr: Floats, mean: Floats) -> NDArray[np.bool_]:
    """As regular/2 asks, of the steps between neighbours in the row."""
    steps = np.sort(np.abs(np.diff(rr, axis=1)), axis=1)  # NaN goes last
    count = np.isfinite(steps).sum(axis=1)
    last = np.maximum(0, count - 1)
    rows = np.arange(len(rr))
    middle, largest = steps[rows, last // 2], steps[rows, last]
    return np.asarray((count > 0) & (middle < STILL * mean) & (largest < JUMP * mean))


def _stillest(rr: Floats, count: NDArray[np.int64], mean: Floats) -> Floats:
    """40th percentile of the steps to the next, second and third interval: the least of the three.

    Small in a steady rhythm, and where early beats come every second or third time.
    """
    least = np.full(len(rr), np.inf)
    rows = np.arange(len(rr))
    for apart in (1, 2, 3):
        steps = np.sort(np.abs(rr[:, apart:] - rr[:, :-apart]), axis=1)  # NaN goes last
        if not steps.shape[1]:
            break
        at = (0.4 * np.maximum(0, count - apart - 1)).astype(np.int64)
        least = np.fmin(least, steps[rows, at] / np.maximum(mean, 1e-3))
    return least
