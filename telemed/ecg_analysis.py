"""What a stored stretch of ECG says: beats, quality by the second, findings of the rhythm.

Arithmetic only, over samples that were read before: it takes its time, so whoever serves others
meanwhile calls it in a thread. What needs SciPy is loaded there too, at the first call: it would
double the time a server takes to start.
"""

from itertools import pairwise
from typing import Final
from uuid import UUID

import msgspec
import numpy as np

from devices.ecg.quality import Quality, Reason
from devices.frames import StreamHeader
from telemed.ecg_trace import Micros, Trace

_SECOND: Final = 1.0
_NOBODYS: Final = UUID(int=0)
_COUNTED: Final = frozenset({Quality.GOOD, Quality.NOISY})


class SecondJudged(msgspec.Struct, frozen=True, kw_only=True):
    """How far the second that begins then may be believed."""

    at_us: Micros
    quality: Quality
    reason: Reason | None


class FindingShown(msgspec.Struct, frozen=True, kw_only=True):
    """What the rhythm shows from one beat to another, by which rule, from which numbers."""

    code: str  # of devices/ecg/rhythm.py
    first_us: Micros
    last_us: Micros
    inputs: dict[str, float]
    rule: str


class EcgAnalysis(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch analysed; times are unix microseconds by the device's clock."""

    beats: list[Micros]
    seconds: list[SecondJudged]
    findings: list[FindingShown]
    gaps: list[tuple[Micros, Micros]]


def analyse(trace: Trace) -> EcgAnalysis:
    """Analyse a stretch. Never raises on data."""
    from devices.ecg.rhythm import find_rhythm  # noqa: PLC0415 - see the module's words

    gaps = [(gap.from_us, gap.until_us) for gap in trace.gaps]
    if not len(trace.samples):
        return EcgAnalysis(beats=[], seconds=[], findings=[], gaps=gaps)
    millivolts, rate_hz = trace.millivolts, trace.lead.rate_hz
    beats = np.array(beats_of(trace), np.int64)
    seconds = _judged(trace)
    findings = find_rhythm(millivolts, rate_hz, beats, _usable(seconds, len(millivolts)))
    return EcgAnalysis(
        beats=[trace.at_us(beat) for beat in beats.tolist()],
        seconds=[
            SecondJudged(at_us=trace.at_us(first), quality=quality, reason=reason)
            for first, quality, reason in seconds
        ],
        findings=[
            FindingShown(
                code=one.code,
                first_us=trace.at_us(one.first),
                last_us=trace.at_us(one.last),
                inputs=one.inputs,
                rule=one.rule,
            )
            for one in findings
        ],
        gaps=gaps,
    )


def beats_of(trace: Trace) -> list[int]:
    """The samples of the R peaks of a stretch."""
    from devices.ecg.beats import find_beats  # noqa: PLC0415 - see the module's words

    if not len(trace.samples):
        return []
    beats: list[int] = find_beats(trace.millivolts, trace.lead.rate_hz).samples.tolist()
    return beats


_Second = tuple[int, Quality, Reason | None]


def _judged(trace: Trace) -> list[_Second]:
    """Each second as the live trace would have said it by its end."""
    from devices.ecg.live import LiveEcg  # noqa: PLC0415 - see the module's words

    lead = trace.lead
    live = LiveEcg()
    slot = live.open(
        StreamHeader(
            stream=_NOBODYS,
            rate_hz=lead.rate_hz,
            gain_per_mv=lead.gain_per_mv,
            baseline=lead.baseline,
        )
    )
    step = max(1, round(_SECOND * lead.rate_hz))
    seconds: list[_Second] = []
    for first in range(0, len(trace.samples), step):
        live.push(slot, trace.samples[first : first + step])
        live.tick()
        vitals = live.vitals(slot)
        seconds.append((first, vitals.quality, vitals.reason))
    return seconds


def _usable(seconds: list[_Second], count: int) -> list[tuple[int, int]]:
    """Runs of samples in whose seconds beats may be counted."""
    firsts = [first for first, _, _ in seconds] + [count]
    good = np.array([quality in _COUNTED for _, quality, _ in seconds], np.int8)
    edges = np.flatnonzero(np.diff(np.concatenate(([0], good, [0])))).tolist()
    return [(firsts[a], firsts[b]) for a, b in list(pairwise(edges))[::2]]
