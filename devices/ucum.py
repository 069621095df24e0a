"""Units as other programs write them: the part of UCUM that measurements of a body need.

`convert` is exact until its last step: factors are fractions, the answer is rounded once. Between
mass and amount of substance (mg/dL, mmol/L) it has to be told the analyte; it never guesses one.

Grammar: components joined by `.` and `/`, each an optional prefix, an atom, an exponent and an
annotation in braces, which counts for nothing. No brackets around terms: no unit here needs them.
"""

import math
import re
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache
from typing import Final

LONGEST: Final = 40


class BadUnit(ValueError):  # noqa: N818 - a refusal, named as the fact it states
    """A unit nobody can convert: `code` says why."""

    def __init__(self, code: str, unit: str) -> None:
        super().__init__(f"{code}: {unit[:LONGEST]}")
        self.code = code


class Analyte(StrEnum):
    """What is dissolved, where a value may be told by mass or by amount."""

    GLUCOSE = "glucose"
    CHOLESTEROL = "cholesterol"
    TRIGLYCERIDE = "triglyceride"


# Grams in a mole, as the factors in use have them (18.016, 38.67, 88.57 mg/dL in one mmol/L).
MOLAR_MASS: Final = {
    Analyte.GLUCOSE: Fraction("180.16"),
    Analyte.CHOLESTEROL: Fraction("386.7"),
    Analyte.TRIGLYCERIDE: Fraction("885.7"),
}

# Exponents of gram, metre, second, mole, kelvin, volt.
Dimension = tuple[int, int, int, int, int, int]
_NONE: Final[Dimension] = (0, 0, 0, 0, 0, 0)
_MASS: Final[Dimension] = (1, 0, 0, 0, 0, 0)
_LENGTH: Final[Dimension] = (0, 1, 0, 0, 0, 0)
_TIME: Final[Dimension] = (0, 0, 1, 0, 0, 0)
_AMOUNT: Final[Dimension] = (0, 0, 0, 1, 0, 0)
_WARMTH: Final[Dimension] = (0, 0, 0, 0, 1, 0)
_VOLT: Final[Dimension] = (0, 0, 0, 0, 0, 1)
_VOLUME: Final[Dimension] = (0, 3, 0, 0, 0, 0)
_PRESSURE: Final[Dimension] = (1, -1, -2, 0, 0, 0)
_ENERGY: Final[Dimension] = (1, 2, -2, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class UcumUnit:
    """value in base units = value * factor + zero."""

    dimension: Dimension
    factor: Fraction
    zero: Fraction = Fraction(0)


def _unit(dimension: Dimension, factor: str | int = 1, zero: str = "0") -> UcumUnit:
    return UcumUnit(dimension, Fraction(factor), Fraction(zero))


# Atoms that take a prefix.
_METRIC: Final = {
    "g": _unit(_MASS),
    "m": _unit(_LENGTH),
    "s": _unit(_TIME),
    "mol": _unit(_AMOUNT),
    "K": _unit(_WARMTH),
    "L": _unit(_VOLUME, "0.001"),
    "l": _unit(_VOLUME, "0.001"),
    "Pa": _unit(_PRESSURE, 1000),
    # ISO 80000-4, as in devices/units.py; UCUM prints 133.3220 kPa, three parts in a million less.
    "m[Hg]": _unit(_PRESSURE, "133322387.415"),
    "V": _unit(_VOLT),
    "Hz": _unit((0, 0, -1, 0, 0, 0)),
    "J": _unit(_ENERGY, 1000),
    "cal": _unit(_ENERGY, 4184),
}
_PLAIN: Final = {
    "1": _unit(_NONE),
    "%": _unit(_NONE, "0.01"),
    "min": _unit(_TIME, 60),
    "h": _unit(_TIME, 3600),
    "d": _unit(_TIME, 86400),
    "wk": _unit(_TIME, 604800),
    "[lb_av]": _unit(_MASS, "453.59237"),
    "[oz_av]": _unit(_MASS, "28.349523125"),
    "[in_i]": _unit(_LENGTH, "0.0254"),
    "[ft_i]": _unit(_LENGTH, "0.3048"),
}
# With a zero of their own: they stand alone or not at all.
_SHIFTED: Final = {
    "Cel": _unit(_WARMTH, 1, "273.15"),
    "[degF]": UcumUnit(_WARMTH, Fraction(5, 9), Fraction("459.67") * Fraction(5, 9)),
}
_PREFIX: Final = {
    "M": Fraction(10**6),
    "k": Fraction(10**3),
    "h": Fraction(100),
    "d": Fraction(1, 10),
    "c": Fraction(1, 100),
    "m": Fraction(1, 10**3),
    "u": Fraction(1, 10**6),
    "n": Fraction(1, 10**9),
    "p": Fraction(1, 10**12),
}
_COMPONENT: Final = re.compile(
    r"(?P<atom>10\*|1|%|[A-Za-z]*\[[A-Za-z_]+\]|[A-Za-z]+)?(?P<power>[+-]?[0-9]{1,2})?(?P<note>\{[^{}]*\})?"
)


@lru_cache(maxsize=512)
def unit_of(code: str) -> UcumUnit:
    """What a UCUM code means; BadUnit for one outside the part we read."""
    if not code or len(code) > LONGEST:
        raise BadUnit("unit_unknown", code)
    if code in _SHIFTED:
        return _SHIFTED[code]
    dimension, factor = _NONE, Fraction(1)
    at, sign = (1, -1) if code[0] == "/" else (0, 1)
    while True:
        found = _COMPONENT.match(code, at)
        if found is None or found.end() == at:
            raise BadUnit("unit_unknown", code)
        part, power = _component(code, found)
        power *= sign
        factor *= part.factor**power
        own = part.dimension
        dimension = tuple(a + b * power for a, b in zip(dimension, own, strict=True))  # type: ignore[assignment]
        at = found.end()
        if at == len(code):
            return UcumUnit(dimension, factor)
        if code[at] not in "./":
            raise BadUnit("unit_unknown", code)
        sign = -1 if code[at] == "/" else 1
        at += 1


def _component(code: str, found: re.Match[str]) -> tuple[UcumUnit, int]:
    atom, power, note = found["atom"], found["power"], found["note"]
    if atom is None:
        if power is not None or note is None:
            raise BadUnit("unit_unknown", code)
        return _PLAIN["1"], 1
    exponent = int(power) if power else 1
    if atom == "10*":
        return UcumUnit(_NONE, Fraction(10)), exponent
    if atom == "1" and power is not None:
        raise BadUnit("unit_unknown", code)
    unit = _METRIC.get(atom) or _PLAIN.get(atom)
    if unit is None:
        prefix, metric = _PREFIX.get(atom[:1]), _METRIC.get(atom[1:])
        if prefix is None or metric is None:
            raise BadUnit("unit_unknown", code)
        unit = UcumUnit(metric.dimension, metric.factor * prefix)
    return unit, exponent


def convert(
    value: float | Decimal,
    sent: str,
    wanted: str,
    *,
    analyte: Analyte | None = None,
    places: int = 2,
) -> Decimal:
    """The value in another unit, half to even; raises BadUnit.

    `analyte_needed`: mass against amount and nobody said of what. `units_differ`: they measure
    different things. `not_finite`: no value.
    """
    if not math.isfinite(value):
        raise BadUnit("not_finite", sent)
    given, asked = unit_of(sent), unit_of(wanted)
    base = Fraction(Decimal(repr(value)) if isinstance(value, float) else value)
    base = base * given.factor + given.zero
    if given.dimension != asked.dimension:
        base *= _bridge(given, asked, analyte, sent)
    exact = (base - asked.zero) / asked.factor
    # `round` of a fraction is exact, half to even.
    return Decimal(round(exact * 10**places)).scaleb(-places)


def _bridge(given: UcumUnit, asked: UcumUnit, analyte: Analyte | None, sent: str) -> Fraction:
    """Grams to moles or back, when that is all that lies between."""
    moles = given.dimension[3] - asked.dimension[3]
    swapped = list(given.dimension)
    swapped[0] += moles
    swapped[3] -= moles
    if abs(moles) != 1 or tuple(swapped) != asked.dimension:
        raise BadUnit("units_differ", sent)
    if analyte is None:
        raise BadUnit("analyte_needed", sent)
    return MOLAR_MASS[analyte] ** moles
