"""What becomes a reading of the patient, and what never does."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from devices.clock import DeviceClock
from devices.gatt import blood_pressure, cgm, glucose, heart_rate, oximeter, thermometer, weight
from devices.gatt.floats import Special
from devices.gatt.models import ANY, MODELS, find
from devices.gatt.payload import PartialTime
from devices.gatt.to_measurement import NOTHING_READ, Refusal, measurements
from devices.measurement import Kind, Measurement, check

NOW = datetime(2026, 3, 10, 8, 0, tzinfo=UTC)
MOSCOW = timezone(timedelta(hours=3))
LOCAL = datetime(2026, 3, 10, 10, 30)  # noqa: DTZ001 - a device sends no zone
TAKEN = datetime(2026, 3, 10, 7, 30, tzinfo=UTC)
OXIMETER = oximeter.Status
PROBE = oximeter.Sensor


def all_of(characteristic: int, data: bytes, **more: object) -> list[Measurement | Refusal]:
    return measurements(characteristic, data, ANY, MOSCOW, NOW, **more)  # type: ignore[arg-type]


def one(characteristic: int, data: bytes, **more: object) -> Measurement:
    (found,) = all_of(characteristic, data, **more)
    assert isinstance(found, Measurement), found
    # What a decoder lets through, the checks of the server can judge.
    check(found, NOW)
    return found


def why(characteristic: int, data: bytes, **more: object) -> str:
    (found,) = all_of(characteristic, data, **more)
    assert isinstance(found, Refusal), found
    return found.reason


def cuff(**changes: object) -> bytes:
    said = {"systolic": 128.0, "diastolic": 82.0, "mean": 97.0, "taken_at": LOCAL, "pulse": 66.0}
    return blood_pressure.encode(blood_pressure.BloodPressure(**(said | changes)))  # type: ignore[arg-type]


def record(**changes: object) -> bytes:
    said: dict[str, object] = {
        "sequence": 7,
        "base_time": LOCAL,
        "offset_min": 0,
        "concentration": 0.0012,
        "sample": 1,
        "place": 1,
    }
    return glucose.encode(glucose.Glucose(**(said | changes)))  # type: ignore[arg-type]


def flags(found: Measurement) -> set[str]:
    return {flag.value for flag in found.flags}


def test_a_pressure_is_of_the_time_on_the_cuff_in_the_zone_of_the_home() -> None:
    found = one(0x2A35, cuff(status=5))
    assert found.kind is Kind.BLOOD_PRESSURE
    assert found.taken_at == TAKEN
    assert found.unit == "mmHg"
    assert found.values == {"systolic": 128.0, "diastolic": 82.0, "mean": 97.0, "pulse": 66.0}
    assert flags(found) == {"movement", "irregular_pulse"}


def test_a_pressure_sent_again_later_is_the_same_reading() -> None:
    first = one(0x2A35, cuff())
    (again,) = measurements(0x2A35, cuff(), ANY, MOSCOW, NOW + timedelta(days=1))
    assert isinstance(again, Measurement)
    assert (again.sequence, again.taken_at) == (first.sequence, first.taken_at)


def test_two_pressures_are_two_readings() -> None:
    later = LOCAL.replace(minute=31)
    assert one(0x2A35, cuff()).sequence != one(0x2A35, cuff(taken_at=later)).sequence


@pytest.mark.parametrize("time", [None, PartialTime(0, 4, 17, 20, 41, 59)])
def test_without_a_date_a_pressure_is_of_the_time_it_came(time: PartialTime | None) -> None:
    found = one(0x2A35, cuff(taken_at=time))
    assert found.taken_at == NOW
    assert "time_of_arrival" in flags(found)


def test_a_clock_of_1970_is_not_believed() -> None:
    found = one(0x2A35, cuff(taken_at=datetime(1970, 1, 1, 0, 5)))  # noqa: DTZ001
    assert found.taken_at == NOW


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        (Special.NAN, "measurement_failed"),
        (Special.NOT_AT_THIS_RESOLUTION, "measurement_failed"),
        (Special.ABOVE, "above_scale"),
        (Special.BELOW, "below_scale"),
    ],
)
@pytest.mark.parametrize("value", ["systolic", "diastolic"])
def test_a_failed_pressure_is_no_reading(value: str, word: Special, reason: str) -> None:
    assert why(0x2A35, cuff(**{value: word})) == reason


def test_a_cuff_without_mean_or_pulse_still_measured_the_pressure() -> None:
    for word in (Special.NAN, 0.0):
        found = one(0x2A35, cuff(mean=word, pulse=word))
        assert found.values == {"systolic": 128.0, "diastolic": 82.0}


def test_another_user_of_a_shared_cuff_is_another_person() -> None:
    assert why(0x2A35, cuff(user=2), user=1) == "other_user"
    assert one(0x2A35, cuff(user=1), user=1)
    assert one(0x2A35, cuff(), user=1)
    assert one(0x2A35, cuff(user=2))


def test_a_reading_of_nobody_the_device_knows_is_doubted_where_one_user_s_are_wanted() -> None:
    guest = weight.encode(weight.Weight(65.0, user=255, taken_at=LOCAL))
    for characteristic, data in ((0x2A35, cuff(user=255)), (0x2A9D, guest)):
        assert flags(one(characteristic, data, user=1)) == {"questionable"}
        assert flags(one(characteristic, data)) == set()


def test_a_pressure_on_the_way_up_is_no_reading() -> None:
    assert why(0x2A36, cuff()) == "interim"
    assert why(0x2A1E, thermometer.encode(thermometer.Temperature(36.6))) == "interim"


def test_the_capture_of_a_beurer_needs_its_row_of_the_table() -> None:
    data = bytes.fromhex("566A0047000000EA07080B121F00003F000000")
    day = datetime(2026, 8, 12, tzinfo=UTC)
    (found,) = measurements(0x2A35, data, find("BM85 12AB"), MOSCOW, day)
    assert isinstance(found, Measurement)
    assert found.values == {"systolic": 106.0, "diastolic": 71.0, "pulse": 63.0}
    (other,) = measurements(0x2A35, data, ANY, MOSCOW, day)
    assert isinstance(other, Measurement)
    assert "pulse" not in other.values  # 0x3F00 is no pulse


@pytest.mark.parametrize(
    ("said", "unit", "value"),
    [
        ({"concentration": 0.0012}, "mg/dL", 120.0),
        ({"concentration": 0.0055, "unit": glucose.MOL_L}, "mmol/L", 5.5),
        ({"concentration": 0.00111}, "mg/dL", 111.0),
    ],
)
def test_glucose_keeps_the_unit_of_the_meter(
    said: dict[str, object], unit: str, value: float
) -> None:
    found = one(0x2A18, record(**said))
    assert (found.kind, found.unit, found.values) == (Kind.GLUCOSE, unit, {"glucose": value})


@pytest.mark.parametrize("control", [{"sample": 10}, {"place": 4}])
def test_control_solution_is_never_a_patient_s_reading(control: dict[str, object]) -> None:
    assert why(0x2A18, record(**control)) == "control_solution"


def test_a_record_without_a_value_or_a_failed_one_says_so() -> None:
    assert why(0x2A18, record(concentration=None)) == "no_value"
    assert why(0x2A18, record(concentration=Special.NAN)) == "measurement_failed"


@pytest.mark.parametrize(
    ("said", "word"),
    [
        ({"concentration": Special.ABOVE}, "above_scale"),
        ({"concentration": Special.BELOW}, "below_scale"),
        ({"concentration": Special.ABOVE, "status": 1 << 6}, "above_scale"),
        ({"concentration": Special.NAN, "status": 1 << 5}, "above_scale"),
        ({"concentration": None, "status": 1 << 6}, "below_scale"),
    ],
)
def test_hi_and_lo_of_a_meter_are_readings_without_a_number(
    said: dict[str, object], word: str
) -> None:
    found = one(0x2A18, record(**said))
    assert (found.values, flags(found) - {"questionable"}) == ({}, {word})
    assert found.kind is Kind.GLUCOSE


def test_a_refused_record_names_its_number() -> None:
    (found,) = all_of(0x2A18, record(sequence=9, sample=10))
    assert found == Refusal(0x2A18, "control_solution", None, 9)


def test_interstitial_fluid_is_another_kind_than_blood() -> None:
    assert one(0x2A18, record(sample=9)).kind is Kind.CGM_GLUCOSE


@pytest.mark.parametrize(
    ("bit", "flag"),
    [
        (0, "battery_low"),
        (1, "sensor_fault"),
        (2, "sample_too_small"),
        (3, "strip_fault"),
        (4, "strip_fault"),
        (5, "above_scale"),
        (6, "below_scale"),
        (7, "too_hot"),
        (8, "too_cold"),
        (9, "strip_fault"),
        (10, "device_fault"),
        (11, "time_fault"),
    ],
)
def test_what_a_meter_says_against_its_value_stays_with_it(bit: int, flag: str) -> None:
    assert flags(one(0x2A18, record(status=1 << bit))) == {flag}


def test_an_unknown_sample_is_questionable() -> None:
    assert flags(one(0x2A18, record(sample=0))) == {"questionable"}


def test_the_offset_belongs_to_the_time_but_not_to_the_number() -> None:
    moved = one(0x2A18, record(offset_min=-60))
    assert moved.taken_at == TAKEN - timedelta(minutes=60)
    assert moved.sequence == one(0x2A18, record()).sequence


def test_records_of_a_meter_that_counts_anew_are_other_records() -> None:
    later = record(base_time=LOCAL.replace(day=9))
    assert one(0x2A18, later).sequence != one(0x2A18, record()).sequence


def test_an_unknown_offset_leaves_the_time_of_arrival() -> None:
    found = one(0x2A18, record(offset_min=glucose.OFFSET_OVERRUN))
    assert found.taken_at == NOW
    assert "time_of_arrival" in flags(found)


def test_the_meal_noted_beside_the_same_record_goes_with_it() -> None:
    def heard(sequence: int, meal: int) -> dict[int, bytes]:
        context = glucose.GlucoseContext(sequence=sequence, meal=meal)
        return {0x2A34: glucose.encode_context(context)}

    assert flags(one(0x2A18, record(), read=heard(7, 3))) == {"fasting"}
    assert flags(one(0x2A18, record(), read=heard(7, 2))) == {"after_meal"}
    assert flags(one(0x2A18, record(), read=heard(8, 3))) == set()
    assert flags(one(0x2A18, record(), read={0x2A34: b"\x01"})) == set()


def session(**changes: object) -> bytes:
    said: dict[str, object] = {"local": LOCAL, "zone_quarters": 12, "dst_quarters": 0}
    return cgm.encode_session_start(cgm.SessionStart(**(said | changes)))  # type: ignore[arg-type]


def test_a_sensor_s_value_is_of_the_session_s_start_and_its_minutes() -> None:
    data = cgm.encode((cgm.CgmRecord(120.0, 5), cgm.CgmRecord(Special.NAN, 10)))
    good, bad = all_of(0x2AA7, data, read={0x2AAA: session()})
    assert isinstance(good, Measurement)
    assert (good.kind, good.unit) == (Kind.CGM_GLUCOSE, "mg/dL")
    assert good.taken_at == TAKEN + timedelta(minutes=5)
    assert bad == Refusal(0x2AA7, "measurement_failed", None, 10)


def test_the_sensor_s_own_zone_is_believed_before_the_home_s() -> None:
    data = cgm.encode((cgm.CgmRecord(120.0, 0),))
    found = one(0x2AA7, data, read={0x2AAA: session(zone_quarters=16, dst_quarters=4)})
    assert found.taken_at == TAKEN - timedelta(hours=2)
    found = one(0x2AA7, data, read={0x2AAA: session(zone_quarters=cgm.UNKNOWN_ZONE)})
    assert found.taken_at == TAKEN


def test_without_its_session_a_sensor_s_value_has_no_time() -> None:
    data = cgm.encode((cgm.CgmRecord(120.0, 5),))
    assert why(0x2AA7, data) == "session_unknown"
    unset = session(local=PartialTime(0, 0, 0, 0, 0, 0))
    assert why(0x2AA7, data, read={0x2AAA: unset}) == "session_unknown"


def test_a_sensor_that_promised_checksums_is_held_to_it() -> None:
    plain = cgm.encode((cgm.CgmRecord(120.0, 5),))
    checked = cgm.encode((cgm.CgmRecord(120.0, 5, checked=True),))
    promised = {0x2AAA: session(), 0x2AA8: bytes.fromhex("00100019FFFF")}
    assert why(0x2AA7, plain, read=promised) == "checksum"
    assert one(0x2AA7, checked, read=promised)
    damaged = bytes((*checked[:2], checked[2] ^ 1, *checked[3:]))
    assert why(0x2AA7, damaged, read=promised) == "checksum"


@pytest.mark.parametrize(
    ("status", "flag"),
    [
        (cgm.SensorStatus.SESSION_STOPPED, "session_stopped"),
        (cgm.SensorStatus.MALFUNCTION, "sensor_fault"),
        (cgm.SensorStatus.CALIBRATION_REQUIRED, "calibration_needed"),
        (cgm.SensorStatus.TIME_SYNC_NEEDED, "time_fault"),
        (cgm.SensorStatus.TOO_COLD, "too_cold"),
        (cgm.SensorStatus.BELOW_RANGE, "below_scale"),
        (cgm.SensorStatus.ABOVE_RANGE, "above_scale"),
    ],
)
def test_what_a_sensor_says_against_its_value_stays_with_it(status: int, flag: str) -> None:
    data = cgm.encode((cgm.CgmRecord(120.0, 5, int(status), 7),))
    assert flags(one(0x2AA7, data, read={0x2AAA: session()})) == {flag}


def test_a_belt_off_the_skin_is_flagged_and_no_beat_is_no_reading() -> None:
    off = heart_rate.HeartRate(72, heart_rate.Contact.NONE)
    found = one(0x2A37, heart_rate.encode(off))
    assert found.values == {"rate": 72.0}
    assert "no_contact" in flags(found)
    assert why(0x2A37, heart_rate.encode(heart_rate.HeartRate(0))) == "no_value"


def test_a_temperature_keeps_its_unit() -> None:
    warm = thermometer.Temperature(98.6, "[degF]", LOCAL)
    found = one(0x2A1C, thermometer.encode(warm))
    assert (found.unit, found.values, found.taken_at) == ("[degF]", {"temperature": 98.6}, TAKEN)
    failed = thermometer.Temperature(Special.NAN)
    assert why(0x2A1C, thermometer.encode(failed)) == "measurement_failed"


def spot(**changes: object) -> bytes:
    return oximeter.encode_spot(oximeter.SpotCheck(97.0, 72.0, **changes))  # type: ignore[arg-type]


def test_an_oximeter_s_two_numbers_are_one_reading() -> None:
    found = one(0x2A5E, spot(taken_at=LOCAL))
    assert (found.kind, found.values) == (Kind.SPO2, {"spo2": 97.0, "pulse": 72.0})
    assert found.taken_at == TAKEN
    stream = oximeter.Continuous(97.0, Special.NAN)
    assert one(0x2A5F, oximeter.encode_continuous(stream)).values == {"spo2": 97.0}


def test_an_oximeter_s_clock_that_is_not_set_is_not_read() -> None:
    assert one(0x2A5E, spot(taken_at=LOCAL, clock_unset=True)).taken_at == NOW


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"status": OXIMETER.DEMONSTRATION}, "test_data"),
        ({"status": OXIMETER.TEST}, "test_data"),
        ({"status": OXIMETER.CALIBRATING}, "calibrating"),
        ({"status": OXIMETER.UNAVAILABLE}, "not_available"),
        ({"status": OXIMETER.INVALID}, "invalid"),
        ({"sensor": PROBE.OFF_BODY}, "not_available"),
        ({"sensor": PROBE.DISCONNECTED}, "not_available"),
    ],
)
def test_what_no_finger_gave_is_never_a_patient_s_reading(
    said: dict[str, object], reason: str
) -> None:
    assert why(0x2A5E, spot(**said)) == reason


def test_an_oximeter_s_doubts_stay_with_the_reading() -> None:
    doubts = spot(
        status=OXIMETER.EARLY_ESTIMATE | OXIMETER.FROM_STORAGE, sensor=PROBE.PERFUSION_LOW
    )
    assert flags(one(0x2A5E, doubts)) >= {"early_estimate", "from_memory", "weak_signal"}


def test_a_weighing_that_failed_is_no_reading() -> None:
    found = one(0x2A9D, weight.encode(weight.Weight(65.005, taken_at=LOCAL)))
    assert (found.kind, found.unit, found.values) == (Kind.WEIGHT, "kg", {"weight": 65.005})
    assert why(0x2A9D, weight.encode(weight.Weight(None))) == "measurement_failed"
    assert why(0x2A9D, weight.encode(weight.Weight(65.0, user=2)), user=1) == "other_user"


def test_bytes_that_are_no_payload_are_refused_with_code_and_place() -> None:
    assert all_of(0x2A35, b"\x00\x78") == [Refusal(0x2A35, "too_short", 2)]
    assert all_of(0x2A19, b"\x64") == [Refusal(0x2A19, "not_supported")]
    assert not NOTHING_READ


def test_a_device_clock_that_runs_ahead_is_repaired_by_what_was_seen() -> None:
    ahead = LOCAL + timedelta(hours=1, minutes=30)
    clock = DeviceClock(MOSCOW).seen(ahead, NOW - timedelta(minutes=30), read=True)
    found = one(0x2A35, cuff(taken_at=ahead), clock=clock)
    assert found.taken_at == NOW - timedelta(minutes=30)
    assert "clock_repaired" in flags(found)


def test_a_model_is_found_by_the_longest_beginning_of_its_name() -> None:
    assert find("BM85 1234").maker == "Beurer"
    assert find("blesmart_00000244").maker == "Omron"
    assert find("nobody's") is ANY
    assert find("") is ANY


def test_every_row_of_the_models_says_what_it_rests_on() -> None:
    names = [name.casefold() for model in MODELS for name in model.names]
    assert len(names) == len(set(names))
    assert all(model.source and model.names for model in MODELS)
