"""Which LOINC code a value has: a table, by kind, value and unit.

The unit chooses the code: a mass code (mg/dL) with a value in mmol/L is wrong. Codes that say how
it was measured are read, and written only where we know: LDL goes out without a method.
"""

from typing import Final

import msgspec

from devices.fhir.structs import LOINC, CodeableConcept, Coding
from devices.kinds import Kind
from devices.units import MG_DL, MMHG, MMOL_L, PER_MINUTE, from_ucum

VITAL: Final = "vital-signs"
LABORATORY: Final = "laboratory"


class Coded(msgspec.Struct, frozen=True):
    """Codes of one value, all of them written; empty unit: any unit of the kind."""

    kind: Kind
    value: str
    codes: tuple[str, ...]
    display: str
    unit: str = ""


class About(msgspec.Struct, frozen=True):
    """How a kind is filed; `panel` is the code of a reading that has its values as components.

    `only`: the unit in which a reading keeps to the profile, where it does not take every unit.
    """

    category: str
    profile: str | None = None
    panel: str | None = None
    only: str | None = None


ABOUT: Final = {
    Kind.BLOOD_PRESSURE: About(VITAL, "bp", "85354-9", MMHG),
    Kind.HEART_RATE: About(VITAL, "heartrate"),
    Kind.SPO2: About(VITAL, "oxygensat"),
    Kind.TEMPERATURE: About(VITAL, "bodytemp"),
    Kind.WEIGHT: About(VITAL, "bodyweight"),
    Kind.GLUCOSE: About(LABORATORY),
    Kind.CGM_GLUCOSE: About(LABORATORY),
    Kind.CHOLESTEROL_TOTAL: About(LABORATORY),
    Kind.CHOLESTEROL_HDL: About(LABORATORY),
    Kind.CHOLESTEROL_LDL: About(LABORATORY),
    Kind.TRIGLYCERIDE: About(LABORATORY),
}
PANEL_DISPLAY: Final = "Blood pressure panel with all children optional"
_PULSE: Final = "Heart rate"

# One row a value: the codes we write, in order.
WRITTEN: Final = (
    Coded(Kind.BLOOD_PRESSURE, "systolic", ("8480-6",), "Systolic blood pressure"),
    Coded(Kind.BLOOD_PRESSURE, "diastolic", ("8462-4",), "Diastolic blood pressure"),
    Coded(Kind.BLOOD_PRESSURE, "mean", ("8478-0",), "Mean blood pressure"),
    Coded(Kind.BLOOD_PRESSURE, "pulse", ("8867-4",), _PULSE, PER_MINUTE),
    Coded(Kind.HEART_RATE, "rate", ("8867-4",), _PULSE),
    # The profile requires the first; the second says that it was an oximeter.
    Coded(Kind.SPO2, "spo2", ("2708-6", "59408-5"), "Oxygen saturation"),
    Coded(Kind.SPO2, "pulse", ("8867-4",), _PULSE, PER_MINUTE),
    Coded(Kind.TEMPERATURE, "temperature", ("8310-5",), "Body temperature"),
    Coded(Kind.WEIGHT, "weight", ("29463-7",), "Body weight"),
    Coded(Kind.GLUCOSE, "glucose", ("2339-0",), "Glucose in blood", MG_DL),
    Coded(Kind.GLUCOSE, "glucose", ("15074-8",), "Glucose in blood", MMOL_L),
    Coded(Kind.CGM_GLUCOSE, "glucose", ("99504-3",), "Glucose in interstitial fluid", MG_DL),
    Coded(Kind.CGM_GLUCOSE, "glucose", ("105272-9",), "Glucose in interstitial fluid", MMOL_L),
    Coded(Kind.CHOLESTEROL_TOTAL, "cholesterol", ("2093-3",), "Cholesterol", MG_DL),
    Coded(Kind.CHOLESTEROL_TOTAL, "cholesterol", ("14647-2",), "Cholesterol", MMOL_L),
    Coded(Kind.CHOLESTEROL_HDL, "hdl", ("2085-9",), "Cholesterol in HDL", MG_DL),
    Coded(Kind.CHOLESTEROL_HDL, "hdl", ("14646-4",), "Cholesterol in HDL", MMOL_L),
    Coded(Kind.CHOLESTEROL_LDL, "ldl", ("2089-1",), "Cholesterol in LDL", MG_DL),
    Coded(Kind.CHOLESTEROL_LDL, "ldl", ("22748-8",), "Cholesterol in LDL", MMOL_L),
    Coded(Kind.TRIGLYCERIDE, "triglyceride", ("2571-8",), "Triglyceride", MG_DL),
    Coded(Kind.TRIGLYCERIDE, "triglyceride", ("14927-8",), "Triglyceride", MMOL_L),
)
# Codes others write for the same: by a glucometer, LDL computed or measured, an older panel.
_READ_TOO: Final = {
    "41653-7": (Kind.GLUCOSE, MG_DL),
    "13457-7": (Kind.CHOLESTEROL_LDL, MG_DL),
    "18262-6": (Kind.CHOLESTEROL_LDL, MG_DL),
    "39469-2": (Kind.CHOLESTEROL_LDL, MMOL_L),
    "69419-0": (Kind.CHOLESTEROL_LDL, MMOL_L),
    "59408-5": (Kind.SPO2, ""),
    "55284-4": (Kind.BLOOD_PRESSURE, ""),
    "85354-9": (Kind.BLOOD_PRESSURE, ""),
}


def _concept(row: Coded) -> CodeableConcept:
    first, *others = row.codes
    more = tuple(Coding(system=LOINC, code=code) for code in others)
    coding = (Coding(system=LOINC, code=first, display=row.display), *more)
    return CodeableConcept(coding=coding, text=row.display)


_CONCEPTS: Final = {(row.kind, row.value, row.unit): _concept(row) for row in WRITTEN}
_PANEL: Final = CodeableConcept(
    coding=(Coding(system=LOINC, code="85354-9", display=PANEL_DISPLAY),), text="Blood pressure"
)
# The first value of a kind is the one the whole observation is about.
_KINDS: Final = {
    code: (row.kind, row.unit)
    for row in reversed(WRITTEN)
    for code in row.codes
    if row.value != "pulse" and ABOUT[row.kind].panel is None
} | _READ_TOO
_VALUES: Final = {(row.kind, code): row.value for row in WRITTEN for code in row.codes}


def concept(kind: Kind, value: str | None, unit: str) -> CodeableConcept:
    """The code of a value in its unit; of the whole reading with no value."""
    if value is None:
        return _PANEL
    return _CONCEPTS.get((kind, value, unit)) or _CONCEPTS[kind, value, ""]


def kind_of(code: CodeableConcept) -> tuple[Kind, str] | None:
    """What an observation is about, and the unit its code demands ("": any of the kind)."""
    for coding in code.coding:
        if coding.system == LOINC and coding.code in _KINDS:
            return _KINDS[coding.code]
    return None


def value_of(kind: Kind, code: CodeableConcept) -> str | None:
    """Which value of the kind a component is."""
    for coding in code.coding:
        found = _VALUES.get((kind, coding.code or "")) if coding.system == LOINC else None
        if found is not None:
            return found
    return None


def our_unit(code: str | None) -> str | None:
    """Our name of a UCUM code; None for one we do not take."""
    return from_ucum(code) if code else None
