"""Units as others write them, and factors that agree with ours."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.kinds import KINDS, Kind
from devices.ucum import Analyte, BadUnit, convert, unit_of
from devices.units import from_ucum, ucum

ANALYTES = {
    Kind.GLUCOSE: Analyte.GLUCOSE,
    Kind.CGM_GLUCOSE: Analyte.GLUCOSE,
    Kind.CHOLESTEROL_TOTAL: Analyte.CHOLESTEROL,
    Kind.CHOLESTEROL_HDL: Analyte.CHOLESTEROL,
    Kind.CHOLESTEROL_LDL: Analyte.CHOLESTEROL,
    Kind.TRIGLYCERIDE: Analyte.TRIGLYCERIDE,
}


@pytest.mark.parametrize(
    ("value", "sent", "wanted", "analyte", "expected"),
    [
        (100.0, "mg/dL", "mmol/L", Analyte.GLUCOSE, "5.55"),
        (5.5, "mmol/L", "mg/dL", Analyte.GLUCOSE, "99.09"),
        (1.0, "g/L", "mmol/L", Analyte.GLUCOSE, "5.55"),
        (200.0, "mg/dL", "mmol/L", Analyte.CHOLESTEROL, "5.17"),
        (150.0, "mg/dl", "mmol/l", Analyte.TRIGLYCERIDE, "1.69"),
        (18.9, "kPa", "mm[Hg]", None, "141.76"),
        (98.6, "[degF]", "Cel", None, "37.00"),
        (-40.0, "Cel", "[degF]", None, "-40.00"),
        (310.15, "K", "Cel", None, "37.00"),
        (150.0, "[lb_av]", "kg", None, "68.04"),
        (1.0, "Hz", "{beats}/min", None, "60.00"),
        (1500.0, "uV", "mV", None, "1.50"),
        (0.97, "1", "%", None, "97.00"),
        (2.0, "10*-3.mol/L", "mmol/L", None, "2.00"),
    ],
)
def test_a_value_is_converted_exactly_and_rounded_once(
    value: float, sent: str, wanted: str, analyte: Analyte | None, expected: str
) -> None:
    assert convert(value, sent, wanted, analyte=analyte) == Decimal(expected)


@pytest.mark.parametrize(
    ("sent", "wanted", "analyte", "code"),
    [
        ("mg/dL", "mmol/L", None, "analyte_needed"),
        ("mg/dL", "mm[Hg]", Analyte.GLUCOSE, "units_differ"),
        ("mg", "mmol/L", Analyte.GLUCOSE, "units_differ"),
        ("mg/dL", "furlong", None, "unit_unknown"),
        ("", "mmol/L", None, "unit_unknown"),
        ("mmHg", "kPa", None, "unit_unknown"),
        ("mg//dL", "mg/dL", None, "unit_unknown"),
        ("mg/dL/", "mg/dL", None, "unit_unknown"),
        ("m" * 41, "m", None, "unit_unknown"),
        ("kmin", "s", None, "unit_unknown"),
    ],
)
def test_a_unit_is_never_guessed(
    sent: str, wanted: str, analyte: Analyte | None, code: str
) -> None:
    with pytest.raises(BadUnit) as caught:
        convert(1.0, sent, wanted, analyte=analyte)
    assert caught.value.code == code


def test_no_value_is_no_value_in_any_unit() -> None:
    with pytest.raises(BadUnit) as caught:
        convert(float("nan"), "kg", "g")
    assert caught.value.code == "not_finite"


@given(st.text(max_size=12) | st.from_regex(r"[/.a-zA-Z0-9*{}\[\]%+-]{1,12}", fullmatch=True))
def test_any_text_is_a_unit_or_refused(text: str) -> None:
    try:
        unit = unit_of(text)
    except BadUnit:
        return
    assert unit.factor > 0


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("mm[Hg]", "mmHg"),
        ("mmol/l", "mmol/L"),
        ("mg/dl", "mg/dL"),
        ("{beats}/min", "/min"),
        ("1/min", "/min"),
        ("min-1", "/min"),
        ("[degF]", "[degF]"),
        ("g/L", None),
        ("mmHg", None),
        ("Pa", None),
    ],
)
def test_a_unit_of_others_is_ours_only_if_it_is_the_same(theirs: str, ours: str | None) -> None:
    assert from_ucum(theirs) == ours


@given(st.sampled_from(Kind), st.data())
def test_the_table_of_kinds_agrees_with_exact_conversion(kind: Kind, data: st.DataObject) -> None:
    """Two ways to the canonical value: the factor of the table, and fractions from definitions."""
    row = KINDS[kind]
    unit = data.draw(st.sampled_from(row.units))
    limits = row.quantities[0].limits[unit.code]
    value = round(data.draw(st.floats(limits.low, limits.high)), 2)
    places = 2 if unit.places is None else -int(unit.places.as_tuple().exponent)
    exact = convert(
        value, ucum(unit.code), ucum(row.canonical), analyte=ANALYTES.get(kind), places=places
    )
    assert unit.to_canonical(value) == pytest.approx(float(exact), abs=1.01 * 10**-places)


def test_every_unit_of_a_kind_has_a_code_others_know() -> None:
    for row in KINDS.values():
        for unit in row.units:
            assert from_ucum(ucum(unit.code)) == unit.code
