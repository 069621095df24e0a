"""Readings out as FHIR observations and in again; fhir.resources accepts all we write."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from fhir.resources.R4B.observation import Observation as Oracle
from fhir_readings import DEVICE, NOW, PATIENT, readings
from hypothesis import given
from hypothesis import strategies as st

from devices.fhir import bundles, observations
from devices.fhir.observations import (
    BadObservation,
    decode,
    encode,
    measurement,
    no_reading,
    observation,
)
from devices.kinds import Kind
from devices.measurement import DeviceFlag, Measurement, NoReading, check

ROOT = Path(__file__).resolve().parents[3]
CODE = {"coding": [{"system": "http://loinc.org", "code": "15074-8"}]}
GLUCOSE: dict[str, Any] = {
    "resourceType": "Observation",
    "status": "final",
    "code": CODE,
    "effectiveDateTime": "2026-03-10T11:00:00+03:00",
    "valueQuantity": {"value": 5.5, "system": "http://unitsofmeasure.org", "code": "mmol/l"},
}


def read(**changes: object) -> Measurement:
    told = {name: value for name, value in (GLUCOSE | changes).items() if value is not None}
    return measurement(decode(msgspec.json.encode(told)))


def quantity(value: object, code: str | None = "mmol/L") -> dict[str, object]:
    return {"value": value, "system": "http://unitsofmeasure.org", "code": code}


@given(readings())
def test_a_reading_comes_back_as_it_went(reading: Measurement) -> None:
    written = encode(observation(reading, subject=PATIENT, device=DEVICE))
    assert measurement(decode(written)) == reading


@given(readings())
def test_what_we_write_is_accepted_by_the_library_and_keeps_its_numbers(
    reading: Measurement,
) -> None:
    reading_id = UUID(int=7)
    written = encode(observation(reading, subject=PATIENT, device=DEVICE, reading_id=reading_id))
    oracle = Oracle.model_validate_json(written)
    again = measurement(decode(oracle.model_dump_json().encode()))
    assert again.kind is reading.kind
    assert again.values == pytest.approx(reading.values)
    assert again.taken_at == reading.taken_at


def test_a_checked_reading_goes_out_in_the_unit_it_was_sent_in() -> None:
    """With the code of that unit: 2339-0 is glucose by mass."""
    sent = Measurement(
        kind=Kind.GLUCOSE, sequence=1, taken_at=NOW, unit="mg/dL", values={"glucose": 100.0}
    )
    written = observation(check(sent, NOW), subject=PATIENT)
    assert [one.code for one in written.code.coding] == ["2339-0"]
    assert written.value_quantity is not None
    assert (written.value_quantity.value, written.value_quantity.code) == (100, "mg/dL")


def test_the_profiles_of_vital_signs_are_kept() -> None:
    """Category, subject, time, UCUM; oxygen has the code its profile demands first."""
    sent = Measurement(
        kind=Kind.SPO2, sequence=1, taken_at=NOW, unit="%", values={"spo2": 97.0, "pulse": 61.0}
    )
    told = msgspec.json.decode(encode(observation(sent, subject=PATIENT)))
    assert told["meta"]["profile"] == ["http://hl7.org/fhir/StructureDefinition/oxygensat"]
    assert told["category"][0]["coding"][0]["code"] == "vital-signs"
    assert [one["code"] for one in told["code"]["coding"]] == ["2708-6", "59408-5"]
    assert told["valueQuantity"] == {
        "value": 97,
        "unit": "%",
        "system": "http://unitsofmeasure.org",
        "code": "%",
    }
    assert told["component"][0]["code"]["coding"][0]["code"] == "8867-4"
    assert told["effectiveDateTime"] == "2026-03-10T08:00:00+00:00"


@pytest.mark.parametrize(("unit", "claimed"), [("mmHg", True), ("kPa", False)])
def test_a_pressure_in_kilopascal_claims_no_profile_of_millimetres(
    unit: str, *, claimed: bool
) -> None:
    sent = Measurement(
        kind=Kind.BLOOD_PRESSURE,
        sequence=1,
        taken_at=NOW,
        unit=unit,
        values={"systolic": 18.9, "diastolic": 11.0},
    )
    written = encode(observation(sent, subject=PATIENT))
    assert (b"StructureDefinition/bp" in written) is claimed


@pytest.mark.parametrize("kind", list(Kind))
def test_a_failed_measurement_is_told_without_any_number(kind: Kind) -> None:
    failed = no_reading(kind, NoReading.MEASUREMENT_FAILED, NOW, subject=PATIENT)
    written = encode(failed)
    assert b'"valueQuantity"' not in written
    Oracle.model_validate_json(written)
    with pytest.raises(BadObservation) as caught:
        measurement(decode(written))
    assert caught.value.code == "measurement_failed"


def test_a_reading_of_another_program_is_taken_with_a_number_made_of_it() -> None:
    found = read(text={"status": "generated"}, performer=[{"reference": "Patient/1"}])
    assert found.kind is Kind.GLUCOSE
    assert (found.values, found.unit) == ({"glucose": 5.5}, "mmol/L")
    assert found.taken_at == datetime(2026, 3, 10, 8, 0, tzinfo=UTC)
    assert found.sequence == read().sequence != read(valueQuantity=quantity(5.6)).sequence


@pytest.mark.parametrize(
    ("changes", "code", "where"),
    [
        ({"status": "entered-in-error"}, "not_final", "status"),
        ({"code": {"text": "sugar"}}, "kind_unknown", "code"),
        ({"valueQuantity": None}, "value_missing", "valueQuantity"),
        ({"valueQuantity": quantity(5.5, None)}, "unit_missing", "valueQuantity"),
        ({"valueQuantity": {"value": 5.5, "unit": "mmol/L"}}, "unit_missing", "valueQuantity"),
        ({"valueQuantity": quantity(5.5, "g/L")}, "unit_unknown", "valueQuantity"),
        ({"valueQuantity": quantity(99, "mg/dL")}, "unit_not_of_code", "valueQuantity"),
        (
            {"valueQuantity": quantity(33.3) | {"comparator": ">"}},
            "above_scale",
            "valueQuantity",
        ),
        (
            {"valueQuantity": quantity(1.1) | {"comparator": "<"}},
            "below_scale",
            "valueQuantity",
        ),
        ({"effectiveDateTime": "2026-03-10"}, "time_not_exact", "effectiveDateTime"),
        ({"effectiveDateTime": "2026-03-10T11:00:00"}, "time_not_exact", "effectiveDateTime"),
        ({"effectiveDateTime": "2026-13-10T11:00:00Z"}, "time_bad", "effectiveDateTime"),
        ({"effectiveDateTime": "0001-01-01T00:00:00+14:00"}, "time_bad", "effectiveDateTime"),
        ({"effectiveDateTime": None}, "time_missing", "effectiveDateTime"),
        ({"valueQuantity": quantity("5.5")}, "not_fhir", "valueQuantity.value"),
        ({"resourceType": "Patient"}, "not_fhir", "resourceType"),
    ],
)
def test_what_is_no_reading_is_refused_with_its_place(
    changes: dict[str, object], code: str, where: str
) -> None:
    with pytest.raises(BadObservation) as caught:
        read(**changes)
    assert (caught.value.code, caught.value.where) == (code, where)


def test_every_reason_of_a_fhir_reading_has_a_sentence_of_its_own() -> None:
    sources = [Path(module.__file__ or "").read_text() for module in (bundles, observations)]
    codes = set(re.findall(r'BadObservation\(\s*"(\w+)"', "".join(sources)))
    codes |= {"several_people", "measurement_failed", "above_scale", "below_scale"}
    # The bundle as a whole, and what the page says in other words.
    codes -= {"too_large", "not_a_bundle", "kind_unknown"}
    said = {
        key.partition("_")[2]
        for file in ("imports", "visit")
        for key in msgspec.json.decode((ROOT / f"web/src/i18n/ru/{file}.json").read_bytes())
        if key.startswith(("why_", "refused_"))
    }
    assert codes - said == set()


def pressure(*parts: tuple[str, object, str]) -> dict[str, object]:
    return {
        "code": {"coding": [{"system": "http://loinc.org", "code": "85354-9"}]},
        "valueQuantity": None,
        "component": [
            {
                "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
                "valueQuantity": quantity(value, unit),
            }
            for code, value, unit in parts
        ],
    }


SYSTOLIC, DIASTOLIC = ("8480-6", 128, "mm[Hg]"), ("8462-4", 82, "mm[Hg]")


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ((SYSTOLIC, ("8462-4", 11, "kPa")), "units_mixed"),
        ((SYSTOLIC, SYSTOLIC), "value_twice"),
        ((), "value_missing"),
        ((SYSTOLIC, DIASTOLIC, ("8867-4", 61, "%")), "unit_unknown"),
    ],
)
def test_a_pressure_that_does_not_hold_together_is_refused(
    parts: tuple[tuple[str, object, str], ...], code: str
) -> None:
    with pytest.raises(BadObservation) as caught:
        read(**pressure(*parts))
    assert caught.value.code == code


def test_a_part_we_have_no_value_for_is_passed_over() -> None:
    found = read(**pressure(SYSTOLIC, DIASTOLIC, ("9279-1", 16, "/min")))
    assert found.values == {"systolic": 128, "diastolic": 82}


def test_flags_we_do_not_know_are_not_taken_over() -> None:
    url = "urn:yanasha:reading-flag"
    told = [{"url": url, "valueCode": code} for code in ("cuff_loose", "mood", "cuff_loose")]
    assert read(extension=told).flags == (DeviceFlag.CUFF_LOOSE,)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*GLUCOSE, "component", "identifier"]), json_values))
def test_any_shape_is_a_reading_or_refused(changes: dict[str, object]) -> None:
    try:
        found = read(**changes)
    except BadObservation:
        return
    assert found.values


@given(st.binary(max_size=60))
def test_any_bytes_are_an_observation_or_refused(data: bytes) -> None:
    with pytest.raises(BadObservation) as caught:
        decode(data)
    assert caught.value.code == "not_fhir"


@pytest.mark.parametrize("unit", ["mg/dL", "mmol/L"])
@pytest.mark.parametrize(
    ("flag", "absent", "interpretation"),
    [
        (DeviceFlag.ABOVE_SCALE, "positive-infinity", ">"),
        (DeviceFlag.BELOW_SCALE, "negative-infinity", "<"),
    ],
)
def test_hi_and_lo_go_out_without_a_number_and_come_back(
    flag: DeviceFlag, absent: str, interpretation: str, unit: str
) -> None:
    sent = Measurement(
        kind=Kind.GLUCOSE, sequence=1, taken_at=NOW, unit=unit, values={}, flags=(flag,)
    )
    written = encode(observation(check(sent, NOW), subject=PATIENT))
    Oracle.model_validate_json(written)
    told = msgspec.json.decode(written)
    assert "valueQuantity" not in told
    assert told["dataAbsentReason"]["coding"][0]["code"] == absent
    assert told["interpretation"][0]["coding"][0]["code"] == interpretation
    assert measurement(decode(written)) == sent
