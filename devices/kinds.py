"""KINDS is a table: a new kind of reading is a row.

Two limits per quantity and unit, applied to the value in the unit it was sent in (limits are
printed in both units: 3.9 mmol/L and 70 mg/dL are one limit, though they do not convert exactly):

* possible: beyond it the number is a fault of unit, sensor or typing, and is refused;
* usual: beyond it the value is kept and flagged `repeat_advised`. Customary editing limits may
  ask for a repeat but never discard: an extreme true value is the one that matters most.
"""

from dataclasses import dataclass
from enum import StrEnum

from devices.units import (
    CELSIUS,
    FAHRENHEIT,
    FAHRENHEIT_TO_CELSIUS,
    GRAM,
    GRAM_TO_KILOGRAM,
    KILOGRAM,
    KPA,
    KPA_TO_MMHG,
    MG_DL,
    MG_DL_CHOLESTEROL,
    MG_DL_GLUCOSE,
    MG_DL_TRIGLYCERIDE,
    MMHG,
    MMOL_L,
    PER_MINUTE,
    PERCENT,
    POUND,
    POUND_TO_KILOGRAM,
    Unit,
)


class Kind(StrEnum):
    """Kinds of reading we accept."""

    BLOOD_PRESSURE = "blood_pressure"
    GLUCOSE = "glucose"
    CGM_GLUCOSE = "cgm_glucose"
    CHOLESTEROL_TOTAL = "cholesterol_total"
    CHOLESTEROL_HDL = "cholesterol_hdl"
    CHOLESTEROL_LDL = "cholesterol_ldl"
    TRIGLYCERIDE = "triglyceride"
    HEART_RATE = "heart_rate"
    SPO2 = "spo2"
    TEMPERATURE = "temperature"
    WEIGHT = "weight"


@dataclass(frozen=True, slots=True)
class Limits:
    """Possible and usual limits, both ends included, in one unit."""

    low: float
    high: float
    usual_low: float
    usual_high: float


@dataclass(frozen=True, slots=True)
class Quantity:
    """One number of a reading. `own_unit`: always in this unit, whatever the kind's (pulse)."""

    name: str
    limits: dict[str, Limits]
    source: str
    required: bool = True
    own_unit: str | None = None


@dataclass(frozen=True, slots=True)
class KindRow:
    """A kind of reading: its canonical unit first in `units`."""

    kind: Kind
    units: tuple[Unit, ...]
    quantities: tuple[Quantity, ...]

    @property
    def canonical(self) -> str:
        """Code of the unit stored and charted."""
        return self.units[0].code


_PULSE_SOURCE = "usual: customary editing limits, unconfirmed; possible: ours, wider than meters"

KINDS: dict[Kind, KindRow] = {
    row.kind: row
    for row in (
        KindRow(
            Kind.BLOOD_PRESSURE,
            (Unit(MMHG), KPA_TO_MMHG),
            (
                Quantity(
                    "systolic",
                    {MMHG: Limits(30, 300, 60, 280), KPA: Limits(4.0, 40.0, 8.0, 37.3)},
                    "usual: customary editing limits, unconfirmed; possible: scale of a cuff",
                ),
                Quantity(
                    "diastolic",
                    {MMHG: Limits(15, 200, 30, 160), KPA: Limits(2.0, 26.7, 4.0, 21.3)},
                    "usual: customary editing limits, unconfirmed; possible: scale of a cuff",
                ),
                Quantity(
                    "pulse",
                    {PER_MINUTE: Limits(20, 300, 30, 220)},
                    _PULSE_SOURCE,
                    required=False,
                    own_unit=PER_MINUTE,
                ),
                Quantity(
                    "mean",
                    {MMHG: Limits(15, 300, 40, 220), KPA: Limits(2.0, 40.0, 5.3, 29.3)},
                    "ours: between the limits of the other two",
                    required=False,
                ),
            ),
        ),
        KindRow(
            Kind.GLUCOSE,
            (Unit(MMOL_L), MG_DL_GLUCOSE),
            (
                Quantity(
                    "glucose",
                    {MMOL_L: Limits(0.6, 44.4, 1.1, 33.3), MG_DL: Limits(10, 800, 20, 600)},
                    "possible: customary meter plausibility; usual: scale of common meters",
                ),
            ),
        ),
        # In the fluid under the skin: minutes behind blood, so a kind of its own and never mixed.
        KindRow(
            Kind.CGM_GLUCOSE,
            (Unit(MMOL_L), MG_DL_GLUCOSE),
            (
                Quantity(
                    "glucose",
                    {MMOL_L: Limits(0.6, 44.4, 2.2, 22.2), MG_DL: Limits(10, 800, 40, 400)},
                    "possible: as of meters; usual: scale of common sensors (40-400 mg/dL)",
                ),
            ),
        ),
        KindRow(
            Kind.CHOLESTEROL_TOTAL,
            (Unit(MMOL_L), MG_DL_CHOLESTEROL),
            (
                Quantity(
                    "cholesterol",
                    {MMOL_L: Limits(0.5, 30.0, 2.6, 10.4), MG_DL: Limits(19, 1160, 100, 402)},
                    "usual: scale of home meters; possible: ours, above familial homozygotes",
                ),
            ),
        ),
        KindRow(
            Kind.CHOLESTEROL_HDL,
            (Unit(MMOL_L), MG_DL_CHOLESTEROL),
            (
                Quantity(
                    "hdl",
                    {MMOL_L: Limits(0.1, 6.0, 0.4, 2.6), MG_DL: Limits(4, 232, 15, 100)},
                    "usual: scale of home meters; possible: ours",
                ),
            ),
        ),
        KindRow(
            Kind.CHOLESTEROL_LDL,
            (Unit(MMOL_L), MG_DL_CHOLESTEROL),
            (
                Quantity(
                    "ldl",
                    {MMOL_L: Limits(0.1, 25.0, 0.5, 8.0), MG_DL: Limits(4, 967, 19, 309)},
                    "usual: ours; possible: ours, above familial homozygotes",
                ),
            ),
        ),
        KindRow(
            Kind.TRIGLYCERIDE,
            (Unit(MMOL_L), MG_DL_TRIGLYCERIDE),
            (
                Quantity(
                    "triglyceride",
                    {MMOL_L: Limits(0.2, 60.0, 0.5, 7.4), MG_DL: Limits(18, 5314, 45, 650)},
                    "usual: scale of home meters; possible: ours",
                ),
            ),
        ),
        KindRow(
            Kind.HEART_RATE,
            (Unit(PER_MINUTE),),
            (Quantity("rate", {PER_MINUTE: Limits(20, 300, 30, 220)}, _PULSE_SOURCE),),
        ),
        KindRow(
            Kind.SPO2,
            (Unit(PERCENT),),
            (
                Quantity(
                    "spo2",
                    {PERCENT: Limits(30, 100, 70, 100)},
                    "usual: range in which oximeters are accurate (ISO 80601-2-61); possible: ours",
                ),
                Quantity(
                    "pulse",
                    {PER_MINUTE: Limits(20, 300, 30, 220)},
                    _PULSE_SOURCE,
                    required=False,
                    own_unit=PER_MINUTE,
                ),
            ),
        ),
        KindRow(
            Kind.TEMPERATURE,
            (Unit(CELSIUS), FAHRENHEIT_TO_CELSIUS),
            (
                Quantity(
                    "temperature",
                    {CELSIUS: Limits(25, 45, 32, 43), FAHRENHEIT: Limits(77, 113, 89.6, 109.4)},
                    "usual: scale of clinical thermometers; possible: ours",
                ),
            ),
        ),
        KindRow(
            Kind.WEIGHT,
            (Unit(KILOGRAM), GRAM_TO_KILOGRAM, POUND_TO_KILOGRAM),
            (
                Quantity(
                    "weight",
                    {
                        KILOGRAM: Limits(0.4, 400, 2.5, 250),
                        GRAM: Limits(400, 400_000, 2500, 250_000),
                        POUND: Limits(0.88, 882, 5.5, 551),
                    },
                    "usual: a newborn to the scale of home scales; possible: ours",
                ),
            ),
        ),
    )
}
