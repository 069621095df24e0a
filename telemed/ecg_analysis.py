"""What a stored stretch of ECG says: beats, quality by the second, findings of the rhythm.

Arithmetic only, over samples that were read before: it takes its time, so whoever serves others
meanwhile calls it in a thread.
"""

from typing import Final
from uuid import UUID

import msgspec

from devices.ecg.quality import Quality, Reason
from devices.ecg.stream import EcgStream
from devices.frames import StreamHeader
from telemed.ecg_trace import Micros, Trace

_SECOND: Final = 1.0
_NOBODYS: Final = UUID(int=0)


class SecondJudged(msgspec.Struct, frozen=True, kw_only=True):
    """How far the second that begins then may be believed."""

    at_us: Micros
    quality: Quality
    reason: Reason | None


class FindingShown(msgspec.Struct, frozen=True, kw_only=True):
    """What the rhythm shows from one beat to another, by which rule, from which numbers."""

    code: str
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
    gaps = [(gap.from_us, gap.until_us) for gap in trace.gaps]
    if not len(trace.samples):
        return EcgAnalysis(beats=[], seconds=[], findings=[], gaps=gaps)
    beats, seconds = _followed(trace)
    return EcgAnalysis(
        beats=[trace.at_us(beat) for beat in beats],
        seconds=seconds,
        findings=[],
        gaps=gaps,
    )


def beats_of(trace: Trace) -> list[int]:
    """The samples of the R peaks of a stretch."""
    return _followed(trace)[0] if len(trace.samples) else []


def _followed(trace: Trace) -> tuple[list[int], list[SecondJudged]]:
    lead = trace.lead
    stream = EcgStream(
        StreamHeader(
            stream=_NOBODYS,
            rate_hz=lead.rate_hz,
            gain_per_mv=lead.gain_per_mv,
            baseline=lead.baseline,
        )
    )
    step = round(_SECOND * lead.rate_hz)
    beats: list[int] = []
    seconds: list[SecondJudged] = []
    for start in range(0, len(trace.samples), step):
        beats += [one.sample for one in stream.push(trace.samples[start : start + step])]
        vitals = stream.vitals()
        seconds.append(
            SecondJudged(at_us=trace.at_us(start), quality=vitals.quality, reason=vitals.reason)
        )
    return beats, seconds
