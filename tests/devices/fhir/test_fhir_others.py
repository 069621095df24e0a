"""Waves, devices and bundles as FHIR, both ways."""

import json

import msgspec
import pytest
from fhir.resources.R4B.bundle import Bundle as OracleBundle
from fhir.resources.R4B.device import Device as OracleDevice
from fhir.resources.R4B.observation import Observation as OracleObservation
from fhir_readings import NOW, PATIENT, readings
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.fhir.bundles import bundle, read_bundle
from devices.fhir.home_devices import HomeDevice, device, home_device
from devices.fhir.observations import BadObservation, decode, encode, observation
from devices.fhir.structs import Device, Identifier, Observation, Reference
from devices.fhir.waves import Wave, ecg, waves
from devices.kinds import Kind
from devices.measurement import Measurement

SAMPLES = (1024, 1030, None, -2047, 2047, 1000)


def wave(lead: str = "I", *, lowest: int | None = None, highest: int | None = None) -> Wave:
    return Wave(
        lead=lead,
        rate_hz=360,
        gain_per_mv=200,
        baseline=1024,
        samples=SAMPLES,
        lowest=lowest,
        highest=highest,
    )


def test_a_wave_comes_back_in_millivolts_with_its_holes() -> None:
    written = encode(ecg([wave(), wave("V2")], NOW, subject=PATIENT))
    OracleObservation.model_validate_json(written)
    one, other = waves(decode(written))
    assert (one.lead, other.lead) == ("I", "V2")
    assert one.rate_hz == pytest.approx(360)
    expected = [None if s is None else (s - 1024) / 200 for s in SAMPLES]
    assert list(one.millivolts) == [
        None if e is None else pytest.approx(e, abs=1e-9) for e in expected
    ]


def test_a_sample_at_the_rail_says_only_beyond() -> None:
    written = encode(ecg([wave(lowest=-2047, highest=2047)], NOW, subject=PATIENT))
    told = msgspec.json.decode(written)["component"][0]["valueSampledData"]
    assert told["data"] == "1024 1030 E L U 1000"
    assert (told["lowerLimit"], told["upperLimit"]) == (-2047, 2047)
    (one,) = waves(decode(written))
    assert (one.beyond, one.millivolts.count(None)) == (2, 3)


@given(st.lists(st.none() | st.integers(-32767, 32767), max_size=50), st.integers(1, 2000))
def test_any_samples_come_back(samples: list[int | None], gain: int) -> None:
    sent = Wave(lead="II", rate_hz=250, gain_per_mv=gain, baseline=7, samples=tuple(samples))
    (one,) = waves(decode(encode(ecg([sent], NOW, subject=PATIENT))))
    back = [None if mv is None else round(mv * gain) + 7 for mv in one.millivolts]
    assert back == samples


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"data": "1 2 x"}, "sample_bad"),
        ({"data": "1  2"}, "sample_bad"),
        ({"data": "1 L"}, "limit_missing"),
        ({"dimensions": 2}, "dimensions_not_one"),
        ({"period": 0}, "period_bad"),
        ({"period": 1e-320}, "period_bad"),
        ({"period": 10**400}, "period_bad"),
        ({"factor": 10**400}, "not_finite"),
        ({"origin": {"value": 10**400, "code": "mV"}}, "not_finite"),
        ({"data": "1 1e999"}, "not_finite"),
        ({"origin": {"value": 0, "code": "mm[Hg]"}}, "unit_unknown"),
        ({"origin": {"value": 0}}, "unit_unknown"),
    ],
)
def test_a_wave_that_does_not_hold_together_is_refused(
    changes: dict[str, object], code: str
) -> None:
    told = msgspec.json.decode(encode(ecg([wave()], NOW, subject=PATIENT)))
    told["component"][0]["valueSampledData"] |= changes
    with pytest.raises(BadObservation) as caught:
        waves(decode(json.dumps(told).encode()))
    assert (caught.value.code, caught.value.where) == (code, "component[0].valueSampledData")


def test_an_observation_without_a_wave_is_no_ecg() -> None:
    with pytest.raises(BadObservation) as caught:
        waves(ecg([], NOW, subject=PATIENT))
    assert caught.value.code == "value_missing"


def test_a_device_comes_back_with_what_it_measures() -> None:
    home = HomeDevice(
        id="9b10a7c2",
        name="Тонометр",
        kinds=(Kind.BLOOD_PRESSURE, Kind.WEIGHT),
        maker="A&D",
        model="UA-651BLE",
        serial="5160500123",
        firmware="1.02",
    )
    written = msgspec.json.encode(device(home, patient=PATIENT))
    OracleDevice.model_validate_json(written)
    assert home_device(msgspec.json.decode(written, type=Device)) == home


def test_a_device_nobody_named_is_refused() -> None:
    with pytest.raises(BadObservation) as caught:
        home_device(Device(id="1"))
    assert caught.value.code == "name_missing"


@settings(max_examples=20)
@given(st.lists(readings(), max_size=4))
def test_a_bundle_gives_its_readings_in_order(sent: list[Measurement]) -> None:
    written = bundle([observation(one, subject=PATIENT) for one in sent])
    OracleBundle.model_validate_json(written)
    assert [entry.found for entry in read_bundle(written).entries] == sent


def test_a_bad_entry_is_told_and_stops_no_other() -> None:
    good = encode(
        observation(
            Measurement(
                kind=Kind.WEIGHT, sequence=3, taken_at=NOW, unit="kg", values={"weight": 78.5}
            ),
            subject=PATIENT,
        )
    )
    parts = [
        b'{"resourceType":"Patient","id":"1"}',
        good,
        b'{"resourceType":"Observation","status":"final"}',
        b'{"resourceType":"Observation","status":"final","code":{"text":"mood"}}',
        b"[1]",
    ]
    entries = b",".join(b'{"resource":' + part + b"}" for part in parts)
    found = read_bundle(b'{"resourceType":"Bundle","type":"batch","entry":[' + entries + b",{}]}")
    assert found.other == 2
    told = [(entry.at, entry.found is not None, entry.code) for entry in found.entries]
    assert told == [
        (1, True, ""),
        (2, False, "not_fhir"),
        (3, False, "kind_unknown"),
        (4, False, "not_fhir"),
    ]


def weighed(subject: Reference, kilograms: float = 78.5) -> Observation:
    reading = Measurement(
        kind=Kind.WEIGHT, sequence=3, taken_at=NOW, unit="kg", values={"weight": kilograms}
    )
    return observation(reading, subject=subject)


@pytest.mark.parametrize(
    "other",
    [
        Reference(reference="Patient/another"),
        Reference(identifier=Identifier(system="urn:policy", value="16-2")),
        Reference(display="Рамил"),
    ],
)
def test_a_bundle_about_several_people_gives_nobody_the_readings_of_another(
    other: Reference,
) -> None:
    found = read_bundle(bundle([weighed(PATIENT), weighed(Reference()), weighed(other)]))
    assert [(one.found, one.code) for one in found.entries] == [(None, "several_people")] * 3


def test_a_bundle_about_one_person_may_leave_out_whom() -> None:
    found = read_bundle(bundle([weighed(PATIENT), weighed(Reference()), weighed(PATIENT)]))
    assert [one.code for one in found.entries] == [""] * 3


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "not_fhir"),
        (b"{}", "not_fhir"),
        (b'{"resourceType":"Patient"}', "not_a_bundle"),
        (b'{"resourceType":"Bundle","type":"batch","entry":[', "not_fhir"),
        (b"[" * 100_000, "not_fhir"),
        (b'{"resourceType":' + b"[" * 100_000, "not_fhir"),
    ],
)
def test_what_is_no_bundle_is_refused(data: bytes, code: str) -> None:
    with pytest.raises(BadObservation) as caught:
        read_bundle(data)
    assert caught.value.code == code
