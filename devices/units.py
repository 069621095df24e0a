"""Units and how a sent value becomes the canonical one: exact decimals, never floats.

canonical = (sent - zero) * times / per_canonical. A divisor where the published figure is "so many
sent units in one canonical unit" (a finite decimal, its inverse is not), a factor where it is the
other way round (a pound is 0.45359237 kg by definition).

`ucum` and `from_ucum` lead to the codes other programs write; devices/ucum.py reads those.
"""

from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Final

from devices.ucum import BadUnit, unit_of

MMHG, KPA = "mmHg", "kPa"
MMOL_L, MG_DL = "mmol/L", "mg/dL"
PER_MINUTE, PERCENT = "/min", "%"
CELSIUS, FAHRENHEIT = "Cel", "[degF]"
KILOGRAM, GRAM, POUND = "kg", "g", "[lb_av]"

# Where the name in use here is not the UCUM code.
_UCUM: Final = {MMHG: "mm[Hg]"}
_OURS: Final = (
    MMHG,
    KPA,
    MMOL_L,
    MG_DL,
    PER_MINUTE,
    PERCENT,
    CELSIUS,
    FAHRENHEIT,
    KILOGRAM,
    GRAM,
    POUND,
)


@dataclass(frozen=True, slots=True)
class Unit:
    """One accepted unit of one kind; `places` is how far a converted value is written."""

    code: str
    per_canonical: Decimal = Decimal(1)
    zero: Decimal = Decimal(0)
    places: Decimal | None = None
    source: str = ""
    times: Decimal = Decimal(1)

    def to_canonical(self, sent: float) -> float:
        """The value in the canonical unit; a value already canonical is kept to the last digit."""
        if self.places is None:
            return sent
        exact = (Decimal(repr(sent)) - self.zero) * self.times / self.per_canonical
        return float(exact.quantize(self.places))


# One conventional millimetre of mercury is 133.322387415 Pa exactly (ISO 80000-4).
KPA_TO_MMHG = Unit(KPA, Decimal("0.133322387415"), places=Decimal("0.1"), source="ISO 80000-4")
# Molar mass of glucose 180.156: 1 mmol/L = 18.016 mg/dL (programs with 18 or 18.2 are 0.1-1 % off).
MG_DL_GLUCOSE = Unit(MG_DL, Decimal("18.016"), places=Decimal("0.01"), source="molar mass 180.156")
# Total, HDL and LDL are given as the cholesterol in them: one molar mass for the three.
MG_DL_CHOLESTEROL = Unit(
    MG_DL, Decimal("38.67"), places=Decimal("0.01"), source="customary; inverse printed as 0.02586"
)
MG_DL_TRIGLYCERIDE = Unit(
    MG_DL, Decimal("88.57"), places=Decimal("0.01"), source="customary; molar mass of triolein"
)
FAHRENHEIT_TO_CELSIUS = Unit(
    FAHRENHEIT, Decimal("1.8"), Decimal(32), Decimal("0.01"), source="definition"
)
GRAM_TO_KILOGRAM = Unit(GRAM, Decimal(1000), places=Decimal("0.001"), source="definition")
POUND_TO_KILOGRAM = Unit(
    POUND, places=Decimal("0.01"), source="international pound, 1959", times=Decimal("0.45359237")
)


def ucum(ours: str) -> str:
    """The UCUM code of a unit of ours."""
    return _UCUM.get(ours, ours)


@lru_cache(maxsize=256)
def from_ucum(theirs: str) -> str | None:
    """Our name of a unit others wrote, whichever way (mmol/l, {beats}/min); None if we have none.

    The same unit only: g/L is a hundred mg/dL and stays unknown, for a value goes with the unit.
    """
    try:
        unit = unit_of(theirs)
    except BadUnit:
        return None
    return _BY_UNIT.get(unit)


_BY_UNIT: Final = {unit_of(ucum(code)): code for code in _OURS}
