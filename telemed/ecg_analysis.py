"""What a stored stretch of ECG says: beats, quality by the second, findings of the rhythm.

Arithmetic only, over samples that were read before: it takes its time, so whoever serves others
meanwhile calls it in a thread. What needs SciPy is loaded there too, at the first call: it would
double the time a server takes to start.
"""

import msgspec
import numpy as np

from devices.ecg.quality import Quality, Reason
from telemed.ecg_trace import Micros, Trace


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
    from devices.ecg.seconds import judge_seconds, usable  # noqa: PLC0415

    gaps = [(gap.from_us, gap.until_us) for gap in trace.gaps]
    if not len(trace.samples):
        return EcgAnalysis(beats=[], seconds=[], findings=[], gaps=gaps)
    millivolts, rate_hz = trace.millivolts, trace.lead.rate_hz
    beats = np.array(beats_of(trace), np.int64)
    seconds = judge_seconds(millivolts, rate_hz, beats)
    # The last second may not be whole.
    runs = [(first, min(last, len(millivolts))) for first, last in usable(seconds, rate_hz)]
    findings = find_rhythm(millivolts, rate_hz, beats, runs)
    return EcgAnalysis(
        beats=[trace.at_us(beat) for beat in beats.tolist()],
        seconds=[
            SecondJudged(
                at_us=trace.at_us(round(place * rate_hz)), quality=one.quality, reason=one.reason
            )
            for place, one in enumerate(seconds)
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
