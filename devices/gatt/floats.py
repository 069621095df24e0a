"""SFLOAT and FLOAT of IEEE 11073-20601: decimal numbers, mantissa times a power of ten.

    SFLOAT  4 bits exponent, 12 bits mantissa      FLOAT  8 bits exponent, 24 bits mantissa

All four are two's complement without a bias (the Python package bluetooth-sig subtracts one and
reads 120 mmHg as 120e-8). Five mantissas beside exponent 0 are words, not numbers: a cuff that
could not measure sends 0x07FF, which is no 2047 mmHg.
"""

import math
import struct
from decimal import Decimal
from enum import StrEnum
from functools import cache


class Special(StrEnum):
    """What a device says instead of a number."""

    NAN = "not_a_number"
    NOT_AT_THIS_RESOLUTION = "not_at_this_resolution"
    ABOVE = "above_scale"
    BELOW = "below_scale"
    RESERVED = "reserved"


Number = float | Special

_SFLOAT_SPECIALS = {
    0x7FF: Special.NAN,
    0x800: Special.NOT_AT_THIS_RESOLUTION,
    0x7FE: Special.ABOVE,
    0x802: Special.BELOW,
    0x801: Special.RESERVED,
}
_FLOAT_SPECIALS = {
    0x7FFFFF: Special.NAN,
    0x800000: Special.NOT_AT_THIS_RESOLUTION,
    0x7FFFFE: Special.ABOVE,
    0x800002: Special.BELOW,
    0x800001: Special.RESERVED,
}
_SFLOAT_WORDS = {word: raw for raw, word in _SFLOAT_SPECIALS.items()}
_FLOAT_WORDS = {word: raw for raw, word in _FLOAT_SPECIALS.items()}


def _signed(raw: int, bits: int) -> int:
    return raw - (1 << bits) if raw >> (bits - 1) else raw


def _numbers(*, any_exponent: bool) -> list[Number]:
    table: list[Number] = []
    mantissas = [_signed(raw, 12) for raw in range(4096)]
    for high in range(16):
        exponent = _signed(high, 4)
        # Both are exact or correctly rounded: 364 / 10 is 36.4, where 364 * 0.1 is not.
        if exponent < 0:
            row: list[Number] = [mantissa / 10**-exponent for mantissa in mantissas]
        else:
            row = [float(mantissa * 10**exponent) for mantissa in mantissas]
        if any_exponent or exponent == 0:
            for raw, word in _SFLOAT_SPECIALS.items():
                row[raw] = word
        table += row
    return table


# Every SFLOAT there is: a decoder looks its four numbers up in a quarter of a microsecond.
SFLOATS: list[Number] = _numbers(any_exponent=False)


@cache
def tolerant_sfloats() -> list[Number]:
    """The same table for devices that put any exponent beside the mantissa of a special value."""
    return _numbers(any_exponent=True)


@cache
def half_floats() -> list[Number]:
    """What the sixteen bits mean to a device that sends IEEE 754 halves where SFLOAT is due."""
    return list(map(_of_ieee, struct.unpack("<65536e", struct.pack("<65536H", *range(65536)))))


def ieee_single(raw: int) -> Number:
    """The same thirty-two bits from a device that sends an IEEE 754 single where FLOAT is due."""
    return _of_ieee(struct.unpack("<f", struct.pack("<I", raw))[0])


def _of_ieee(value: float) -> Number:
    if math.isnan(value):
        return Special.NAN
    if math.isinf(value):
        return Special.ABOVE if value > 0 else Special.BELOW
    return value


def sfloat_decode(raw: int) -> Number:
    """The number or word in sixteen bits."""
    if not 0 <= raw <= 0xFFFF:  # noqa: PLR2004 - sixteen bits
        raise ValueError(f"not sixteen bits: {raw}")
    return SFLOATS[raw]


def sfloat_encode(value: Number) -> int:
    """The sixteen bits of the nearest SFLOAT; ValueError for what is beyond its scale."""
    if isinstance(value, Special):
        return _SFLOAT_WORDS[value]
    mantissa, exponent = _fitted(value, 12, (-8, 7))
    return (exponent & 0xF) << 12 | mantissa & 0xFFF


def float_decode(raw: int, *, any_exponent: bool = False) -> Number:
    """The number or word in thirty-two bits."""
    if not 0 <= raw <= 0xFFFFFFFF:  # noqa: PLR2004 - thirty-two bits
        raise ValueError(f"not thirty-two bits: {raw}")
    high, low = raw >> 24, raw & 0xFFFFFF
    if low in _FLOAT_SPECIALS and (any_exponent or high == 0):
        return _FLOAT_SPECIALS[low]
    return float(f"{_signed(low, 24)}e{_signed(high, 8)}")


def float_encode(value: Number) -> int:
    """The thirty-two bits of the nearest FLOAT; ValueError for what is beyond its scale."""
    if isinstance(value, Special):
        return _FLOAT_WORDS[value]
    mantissa, exponent = _fitted(value, 24, (-128, 127))
    return (exponent & 0xFF) << 24 | mantissa & 0xFFFFFF


def _fitted(value: float, bits: int, exponents: tuple[int, int]) -> tuple[int, int]:
    """Mantissa and exponent, the exponent as near to 0 as the digits allow: 120 is 120e0."""
    if not math.isfinite(value):
        raise ValueError(f"not a number a device can send: {value}")
    exact = Decimal(repr(value)).normalize()
    top = (1 << (bits - 1)) - 1
    exponent = max(min(int(exact.as_tuple().exponent), 0), exponents[0])
    while exponent <= exponents[1]:
        mantissa = int(exact.scaleb(-exponent).to_integral_value())
        # Beside exponent 0 the two highest and the three lowest mantissas are words.
        fits = -top + 1 < mantissa < top - 1 if exponent == 0 else -top - 1 <= mantissa <= top
        if fits:
            return mantissa, exponent
        exponent += 1
    raise ValueError(f"beyond the scale of {bits + (4 if bits == 12 else 8)} bits: {value}")  # noqa: PLR2004
