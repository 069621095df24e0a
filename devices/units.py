"""Units and how a sent value becomes the canonical one: exact decimals, never floats.

canonical = (sent - zero) / per_canonical. A divisor, because the published figure is "so many sent
units in one canonical unit", which is a finite decimal where its inverse is not.
"""

from dataclasses import dataclass
from decimal import Decimal

MMHG, KPA = "mmHg", "kPa"
MMOL_L, MG_DL = "mmol/L", "mg/dL"
PER_MINUTE, PERCENT = "/min", "%"
CELSIUS, FAHRENHEIT = "Cel", "[degF]"


@dataclass(frozen=True, slots=True)
class Unit:
    """One accepted unit of one kind; `places` is how far a converted value is written."""

    code: str
    per_canonical: Decimal = Decimal(1)
    zero: Decimal = Decimal(0)
    places: Decimal | None = None
    source: str = ""

    def to_canonical(self, sent: float) -> float:
        """The value in the canonical unit; a value already canonical is kept to the last digit."""
        if self.places is None:
            return sent
        exact = (Decimal(repr(sent)) - self.zero) / self.per_canonical
        return float(exact.quantize(self.places))


# One conventional millimetre of mercury is 133.322387415 Pa exactly (ISO 80000-4).
KPA_TO_MMHG = Unit(KPA, Decimal("0.133322387415"), places=Decimal("0.1"), source="ISO 80000-4")
# Molar mass of glucose 180.156: 1 mmol/L = 18.016 mg/dL (programs with 18 or 18.2 are 0.1-1 % off).
MG_DL_GLUCOSE = Unit(MG_DL, Decimal("18.016"), places=Decimal("0.01"), source="molar mass 180.156")
MG_DL_CHOLESTEROL = Unit(
    MG_DL, Decimal("38.67"), places=Decimal("0.01"), source="customary; inverse printed as 0.02586"
)
FAHRENHEIT_TO_CELSIUS = Unit(
    FAHRENHEIT, Decimal("1.8"), Decimal(32), Decimal("0.01"), source="definition"
)
