"""What a reading must be to be believed."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.measurement import (
    KINDS,
    BadMeasurement,
    Checked,
    Code,
    DeviceFlag,
    Kind,
    Measurement,
    check,
)

NOW = datetime(2026, 3, 10, 8, 0, tzinfo=UTC)
PRESSURE = {"systolic": 128.0, "diastolic": 82.0, "pulse": 66.0}


def reading(
    kind: Kind = Kind.BLOOD_PRESSURE,
    values: dict[str, float] | None = None,
    unit: str = "mmHg",
    taken_at: datetime = NOW,
) -> Measurement:
    return Measurement(
        kind=kind, sequence=7, taken_at=taken_at, unit=unit, values=values or dict(PRESSURE)
    )


def refusal(measurement: Measurement) -> BadMeasurement:
    with pytest.raises(BadMeasurement) as caught:
        check(measurement, NOW)
    return caught.value


def decoded(**changes: object) -> Measurement:
    wire = {
        "kind": "glucose",
        "sequence": 1,
        "taken_at": "2026-03-10T08:00:00Z",
        "unit": "mmol/L",
        "values": {"glucose": 5.5},
    }
    return msgspec.json.decode(msgspec.json.encode(wire | changes), type=Measurement)


def test_a_usual_pressure_is_kept_as_sent_without_flags() -> None:
    assert check(reading(), NOW) == Checked(
        kind=Kind.BLOOD_PRESSURE,
        sequence=7,
        taken_at=NOW,
        values=PRESSURE,
        unit="mmHg",
        sent_values=PRESSURE,
        sent_unit="mmHg",
        flags=(),
    )


@pytest.mark.parametrize(
    ("kind", "unit", "sent", "canonical"),
    [
        # 18.9/11.0 kPa and pulse 60: the values of a public test of characteristic 0x2A35.
        (
            Kind.BLOOD_PRESSURE,
            "kPa",
            {"systolic": 18.9, "diastolic": 11.0, "pulse": 60.0},
            {"systolic": 141.8, "diastolic": 82.5, "pulse": 60.0},
        ),
        (Kind.GLUCOSE, "mg/dL", {"glucose": 100.0}, {"glucose": 5.55}),
        (Kind.GLUCOSE, "mg/dL", {"glucose": 70.0}, {"glucose": 3.89}),
        (Kind.CHOLESTEROL_TOTAL, "mg/dL", {"cholesterol": 200.0}, {"cholesterol": 5.17}),
        (Kind.TEMPERATURE, "[degF]", {"temperature": 98.6}, {"temperature": 37.0}),
        (Kind.TEMPERATURE, "Cel", {"temperature": 36.65}, {"temperature": 36.65}),
        (Kind.SPO2, "%", {"spo2": 97.0}, {"spo2": 97.0}),
        (Kind.HEART_RATE, "/min", {"rate": 61.0}, {"rate": 61.0}),
        (Kind.SPO2, "%", {"spo2": 97.0, "pulse": 61.0}, {"spo2": 97.0, "pulse": 61.0}),
        (
            Kind.BLOOD_PRESSURE,
            "kPa",
            {"systolic": 18.9, "diastolic": 11.0, "mean": 14.0},
            {"systolic": 141.8, "diastolic": 82.5, "mean": 105.0},
        ),
        (Kind.CGM_GLUCOSE, "mg/dL", {"glucose": 126.0}, {"glucose": 6.99}),
        (Kind.CHOLESTEROL_HDL, "mg/dL", {"hdl": 50.0}, {"hdl": 1.29}),
        (Kind.CHOLESTEROL_LDL, "mg/dL", {"ldl": 130.0}, {"ldl": 3.36}),
        (Kind.TRIGLYCERIDE, "mg/dL", {"triglyceride": 150.0}, {"triglyceride": 1.69}),
        (Kind.WEIGHT, "[lb_av]", {"weight": 172.0}, {"weight": 78.02}),
        (Kind.WEIGHT, "g", {"weight": 3250.0}, {"weight": 3.25}),
    ],
)
def test_a_value_is_kept_as_sent_beside_its_canonical_form(
    kind: Kind, unit: str, sent: dict[str, float], canonical: dict[str, float]
) -> None:
    checked = check(reading(kind, sent, unit), NOW)
    assert checked.values == canonical
    assert (checked.sent_values, checked.sent_unit) == (sent, unit)
    assert checked.unit == KINDS[kind].canonical


@given(mg_dl=st.integers(20, 600))
def test_a_whole_mg_dl_survives_the_way_to_mmol_and_back(mg_dl: int) -> None:
    checked = check(reading(Kind.GLUCOSE, {"glucose": float(mg_dl)}, "mg/dL"), NOW)
    assert round(checked.values["glucose"] * 18.016) == mg_dl


@pytest.mark.parametrize(
    ("measurement", "field", "code"),
    [
        (reading(unit=""), "unit", Code.UNIT_MISSING),
        (reading(unit="mm[Hg]"), "unit", Code.UNIT_UNKNOWN),
        (reading(Kind.GLUCOSE, {"glucose": 5.5}, "mmHg"), "unit", Code.UNIT_UNKNOWN),
        (reading(values={"systolic": 120.0}), "values.diastolic", Code.VALUE_MISSING),
        (reading(values=PRESSURE | {"mood": 1.0}), "values.mood", Code.VALUE_UNKNOWN),
        (reading(values=PRESSURE | {"systolic": 301.0}), "values.systolic", Code.OUT_OF_RANGE),
        (reading(values=PRESSURE | {"pulse": 0.0}), "values.pulse", Code.OUT_OF_RANGE),
        (reading(Kind.GLUCOSE, {"glucose": 100.0}, "mmol/L"), "values.glucose", Code.OUT_OF_RANGE),
        (reading(Kind.GLUCOSE, {"glucose": 5.5}, "mg/dL"), "values.glucose", Code.OUT_OF_RANGE),
        (
            reading(values={"systolic": 80.0, "diastolic": 80.0}),
            "values.systolic",
            Code.SYSTOLIC_LE_DIASTOLIC,
        ),
        (reading(taken_at=NOW + timedelta(minutes=11)), "taken_at", Code.FROM_FUTURE),
        (reading(taken_at=NOW - timedelta(days=366)), "taken_at", Code.TOO_OLD),
        (reading(values=PRESSURE | {"systolic": float("nan")}), "values.systolic", Code.NOT_FINITE),
        (
            reading(values=PRESSURE | {"diastolic": float("inf")}),
            "values.diastolic",
            Code.NOT_FINITE,
        ),
    ],
)
def test_a_bad_reading_is_refused_with_its_field_and_code(
    measurement: Measurement, field: str, code: Code
) -> None:
    bad = refusal(measurement)
    assert (bad.field, bad.code) == (field, code.value)


def test_every_code_has_a_reading_that_earns_it() -> None:
    """The table above leaves no refusal untried."""
    marks = test_a_bad_reading_is_refused_with_its_field_and_code.pytestmark
    assert {case[2] for case in marks[0].args[1]} == set(Code)


def test_out_of_range_names_the_limits_in_the_unit_sent() -> None:
    bad = refusal(reading(values={"systolic": 50.0, "diastolic": 11.0}, unit="kPa"))
    assert bad.params == {"low": 4.0, "high": 40.0, "unit": "kPa"}


@pytest.mark.parametrize(
    ("ahead", "flags"),
    [
        (timedelta(), ()),
        (timedelta(seconds=1), ("clock_skew",)),
        (timedelta(minutes=10), ("clock_skew",)),
    ],
)
def test_a_clock_up_to_ten_minutes_fast_is_forgiven_and_noted(
    ahead: timedelta, flags: tuple[str, ...]
) -> None:
    assert check(reading(taken_at=NOW + ahead), NOW).flags == flags


def test_a_reading_of_a_year_ago_is_still_taken() -> None:
    assert check(reading(taken_at=NOW - timedelta(days=365)), NOW).flags == ()


@pytest.mark.parametrize(
    "values",
    [
        {"systolic": 285.0, "diastolic": 150.0},
        {"systolic": 230.0, "diastolic": 75.0},
        {"systolic": 88.0, "diastolic": 80.0},
        {"systolic": 120.0, "diastolic": 80.0, "pulse": 25.0},
        # A mean is measured, the other two are computed from it: one of the three is off.
        {"systolic": 138.0, "diastolic": 88.0, "mean": 120.0},
        {"systolic": 120.0, "diastolic": 80.0, "mean": 79.0},
    ],
)
def test_an_unusual_reading_is_kept_and_a_repeat_is_advised(values: dict[str, float]) -> None:
    assert check(reading(values=values), NOW).flags == ("repeat_advised",)


def test_flags_of_the_device_are_kept_beside_ours() -> None:
    sent = msgspec.structs.replace(
        reading(taken_at=NOW + timedelta(minutes=1)),
        flags=(DeviceFlag.MOVEMENT, DeviceFlag.CUFF_LOOSE, DeviceFlag.MOVEMENT),
    )
    assert check(sent, NOW).flags == ("clock_skew", "cuff_loose", "movement")


def test_time_is_kept_in_utc_whatever_zone_it_came_in() -> None:
    kazan = timezone(timedelta(hours=3))
    sent = reading(taken_at=datetime(2026, 3, 10, 11, 0, tzinfo=kazan))
    assert sent.taken_at == NOW
    assert sent.taken_at.utcoffset() == timedelta()


@pytest.mark.parametrize(
    "changes",
    [
        {"taken_at": "2026-03-10T08:00:00"},
        {"taken_at": "0001-01-01T00:00:00+14:00"},
        {"sequence": -1},
        {"sequence": 2**53},
        {"values": {"glucose": "5.5"}},
        {"kind": "mood"},
        {"colour": "red"},
        {"flags": ["good"]},
    ],
)
def test_a_message_of_another_shape_is_no_measurement(changes: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        decoded(**changes)


def test_a_message_without_unit_is_refused_as_such_not_as_a_wrong_shape() -> None:
    assert refusal(decoded(unit="")).code == Code.UNIT_MISSING


@given(
    kind=st.sampled_from(Kind),
    unit=st.sampled_from(["", "mmHg", "kPa", "mmol/L", "mg/dL", "/min", "%", "Cel", "[degF]"]),
    values=st.dictionaries(
        st.sampled_from(["systolic", "diastolic", "pulse", "glucose", "cholesterol", "rate"])
        | st.text(max_size=5),
        st.floats(),
        max_size=5,
    ),
    taken_at=st.datetimes(timezones=st.just(UTC)),
)
def test_any_measurement_is_either_believed_or_refused(
    kind: Kind, unit: str, values: dict[str, float], taken_at: datetime
) -> None:
    """No value makes the check fail in another way."""
    measurement = Measurement(kind=kind, sequence=0, taken_at=taken_at, unit=unit, values=values)
    try:
        checked = check(measurement, NOW)
    except BadMeasurement:
        return
    assert checked.sent_values == values


def test_what_is_usual_is_possible() -> None:
    """`check` looks at the possible limits of unusual values alone."""
    for row in KINDS.values():
        for quantity in row.quantities:
            for limits in quantity.limits.values():
                assert limits.low <= limits.usual_low < limits.usual_high <= limits.high


def test_limits_of_one_quantity_agree_between_its_units() -> None:
    """Printed limits are rounded per unit: the small ones may differ by a few percent."""
    for row in KINDS.values():
        for quantity in (q for q in row.quantities if q.own_unit is None):
            canonical = quantity.limits[row.canonical]
            for unit in row.units:
                other = quantity.limits[unit.code]
                assert unit.to_canonical(other.low) == pytest.approx(canonical.low, rel=0.08)
                assert unit.to_canonical(other.high) == pytest.approx(canonical.high, rel=0.02)


def test_every_kind_names_values_and_units_once_and_says_where_limits_come_from() -> None:
    for kind, row in KINDS.items():
        assert row.kind is kind
        assert len({unit.code for unit in row.units}) == len(row.units)
        assert len({quantity.name for quantity in row.quantities}) == len(row.quantities)
        assert row.quantities[0].required
        for quantity in row.quantities:
            assert quantity.source
            units = {quantity.own_unit} if quantity.own_unit else {u.code for u in row.units}
            assert set(quantity.limits) == units


def test_reading_rules_load_without_the_numeric_libraries() -> None:
    """Programs that only check readings start fast."""
    probe = "import sys, devices.measurement; print('numpy' in sys.modules, 'scipy' in sys.modules)"
    output = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True
    ).stdout
    assert output.split() == ["False", "False"]
