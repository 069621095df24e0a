"""An ECG as FHIR sampled data, both ways: whole numbers of the recorder, with its factor.

A missing sample is `E`, one at the rail of the converter `U` or `L`: the wave is not to be drawn
there, and the limits are told beside it as the standard demands.
"""

import math
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

import msgspec

from devices.fhir.observations import BadObservation
from devices.fhir.structs import (
    LOINC,
    MDC,
    UCUM,
    CodeableConcept,
    Coding,
    Component,
    Observation,
    Quantity,
    Reference,
    SampledData,
)
from devices.ucum import BadUnit, convert

# ISO/IEEE 11073-10101: the potential of a lead is 2:256 more than the lead (DICOM CID 3001).
_POTENTIAL: Final = 131328
_LEADS: Final = {
    "I": 1,
    "II": 2,
    "V1": 3,
    "V2": 4,
    "V3": 5,
    "V4": 6,
    "V5": 7,
    "V6": 8,
    "III": 61,
    "aVR": 62,
    "aVL": 63,
    "aVF": 64,
}
_NAMES: Final = {str(_POTENTIAL + code): name for name, code in _LEADS.items()}
_STUDY: Final = CodeableConcept(
    coding=(
        Coding(system=LOINC, code="11524-6", display="EKG study"),
        Coding(system=MDC, code=str(_POTENTIAL), display="MDC_ECG_ELEC_POTL"),
    ),
    text="ECG",
)
MOST_SAMPLES: Final = 4_000_000
_NUMBER: Final = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,12})?([eE][+-]?[0-9]{1,3})?")
_SAYS_NOTHING: Final = frozenset({"E", "U", "L"})


class Wave(msgspec.Struct, frozen=True, kw_only=True):
    """One lead: `samples` in steps of the recorder, None where there is none to trust."""

    lead: str
    rate_hz: float
    gain_per_mv: float
    baseline: int
    samples: tuple[int | None, ...]
    # The converter's rails: a sample on one of them says only "beyond".
    lowest: int | None = None
    highest: int | None = None


class ReadWave(msgspec.Struct, frozen=True, kw_only=True):
    """One lead as read: millivolts, None where the sender had none; `beyond` where it was cut."""

    lead: str
    rate_hz: float
    millivolts: tuple[float | None, ...]
    beyond: int


def sampled(wave: Wave) -> SampledData:
    """A lead as sampled data in millivolts: value = number * factor + origin."""
    if not (wave.rate_hz > 0 and wave.gain_per_mv > 0):
        raise ValueError("a rate and a gain above zero")
    return SampledData(
        origin=Quantity(value=-wave.baseline / wave.gain_per_mv, unit="mV", system=UCUM, code="mV"),
        period=1000 / wave.rate_hz,
        factor=1 / wave.gain_per_mv,
        lower_limit=wave.lowest,
        upper_limit=wave.highest,
        dimensions=1,
        data=" ".join(_words(wave)),
    )


def _words(wave: Wave) -> Iterator[str]:
    for sample in wave.samples:
        if sample is None:
            yield "E"
        elif wave.lowest is not None and sample <= wave.lowest:
            yield "L"
        elif wave.highest is not None and sample >= wave.highest:
            yield "U"
        else:
            yield str(sample)


def ecg(
    waves: Sequence[Wave],
    started_at: datetime,
    *,
    subject: Reference,
    device: Reference | None = None,
) -> Observation:
    """A recording, a component a lead."""
    return Observation(
        status="final",
        category=(CodeableConcept(text="ECG"),),
        code=_STUDY,
        subject=subject,
        effective_date_time=started_at.isoformat(),
        device=device,
        component=tuple(
            Component(code=_lead_code(wave.lead), value_sampled_data=sampled(wave))
            for wave in waves
        ),
    )


def _lead_code(lead: str) -> CodeableConcept:
    """A lead outside the twelve has no code of ours, only its name."""
    code = _LEADS.get(lead)
    if code is None:
        return CodeableConcept(text=lead)
    coding = Coding(system=MDC, code=str(_POTENTIAL + code), display=f"Lead {lead}")
    return CodeableConcept(coding=(coding,), text=lead)


def waves(found: Observation) -> list[ReadWave]:
    """The leads of an ECG; raises BadObservation."""
    codes = {coding.code for coding in found.code.coding}
    if not codes & {"11524-6", str(_POTENTIAL)}:
        raise BadObservation("kind_unknown", "code")
    read = []
    if found.value_sampled_data is not None:
        read.append(_read(found.value_sampled_data, found.code, "valueSampledData"))
    for at, part in enumerate(found.component):
        if part.value_sampled_data is not None:
            where = f"component[{at}].valueSampledData"
            read.append(_read(part.value_sampled_data, part.code, where))
    if not read:
        raise BadObservation("value_missing", "component")
    return read


def _read(data: SampledData, code: CodeableConcept, where: str) -> ReadWave:
    if data.dimensions != 1:
        raise BadObservation("dimensions_not_one", where)
    rate_hz = 1000 / data.period if data.period > 0 else 0.0
    if not 0 < rate_hz < math.inf:
        raise BadObservation("period_bad", where)
    factor = 1.0 if data.factor is None else _finite(data.factor, where)
    origin = _finite(data.origin.value or 0, where)
    try:
        per_unit = float(convert(1, data.origin.code or "", "mV", places=9))
    except BadUnit as error:
        raise BadObservation("unit_unknown", where) from error
    words = (data.data or "").split(" ") if data.data else []
    if len(words) > MOST_SAMPLES:
        raise BadObservation("too_long", where)
    limits = {"L": data.lower_limit, "U": data.upper_limit}
    if any(limits[word] is None for word in {"L", "U"} & set(words)):
        raise BadObservation("limit_missing", where)
    beyond = 0
    out: list[float | None] = []
    for word in words:
        if word in _SAYS_NOTHING:
            beyond += word != "E"
            out.append(None)
        elif _NUMBER.fullmatch(word):
            out.append(_finite((float(word) * factor + origin) * per_unit, where))
        else:
            raise BadObservation("sample_bad", where)
    return ReadWave(lead=_lead_name(code), rate_hz=rate_hz, millivolts=tuple(out), beyond=beyond)


def _finite(value: float, where: str) -> float:
    """The number, unless it is beyond all numbers: JSON has no limit of its own."""
    try:
        told = float(value)
    except OverflowError:
        told = math.inf
    if not math.isfinite(told):
        raise BadObservation("not_finite", where)
    return told


def _lead_name(code: CodeableConcept) -> str:
    for coding in code.coding:
        if coding.code in _NAMES:
            return _NAMES[coding.code]
    return (code.text or "")[:16]
