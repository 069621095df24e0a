"""Known bytes and what they mean: the same files are read by the page's decoders.

A field that a vector does not name has its default: nothing, 0, false or the first unit.
"""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from devices import racp
from devices.gatt import blood_pressure, cgm, glucose, heart_rate, oximeter, thermometer, weight
from devices.gatt.floats import Special, float_decode, float_encode, sfloat_decode, sfloat_encode
from devices.gatt.payload import (
    STRICT,
    TIME,
    BadPayload,
    DeviceTime,
    Quirks,
    device_time,
    time_parts,
)

FOLDER = Path(__file__).parent / "vectors"
DECODERS: dict[str, tuple[Callable[..., Any], Callable[[Any], bytes] | None, Any]] = {
    "2A35": (blood_pressure.decode, blood_pressure.encode, blood_pressure.BloodPressure),
    "2A18": (glucose.decode, glucose.encode, glucose.Glucose),
    "2A34": (glucose.decode_context, glucose.encode_context, glucose.GlucoseContext),
    "2AA7": (cgm.decode, cgm.encode, tuple[cgm.CgmRecord, ...]),
    "2AAA": (cgm.decode_session_start, cgm.encode_session_start, cgm.SessionStart),
    "2A37": (heart_rate.decode, heart_rate.encode, heart_rate.HeartRate),
    "2A1C": (thermometer.decode, thermometer.encode, thermometer.Temperature),
    "2A5E": (oximeter.decode_spot, oximeter.encode_spot, oximeter.SpotCheck),
    "2A5F": (oximeter.decode_continuous, oximeter.encode_continuous, oximeter.Continuous),
    "2A9D": (weight.decode, weight.encode, weight.Weight),
}


def rows(name: str) -> list[dict[str, Any]]:
    return msgspec.json.decode((FOLDER / f"{name}.json").read_bytes())


def named(name: str) -> Any:
    found = rows(name)
    return pytest.mark.parametrize("row", found, ids=[row.get("name", row["hex"]) for row in found])


PAYLOADS = [
    row
    for name in ("blood_pressure", "glucose", "cgm", "heart_rate", "thermometer")
    for row in rows(name)
] + [row for name in ("oximeter", "weight") for row in rows(name)]


@pytest.mark.parametrize(
    "row", PAYLOADS, ids=[f"{r['characteristic']} {r['name']}" for r in PAYLOADS]
)
def test_a_known_payload_says_what_its_source_says(row: dict[str, Any]) -> None:
    decode, encode, type_ = DECODERS[row["characteristic"]]
    quirks = Quirks(**dict.fromkeys(row["quirks"], True)) if "quirks" in row else STRICT
    data = bytes.fromhex(row["hex"])
    if "refused" in row:
        with pytest.raises(BadPayload) as caught:
            decode(data, quirks=quirks)
        assert caught.value.code == row["refused"]
        return
    found = decode(data, quirks=quirks)
    assert found == msgspec.convert(row["expect"], type_)
    if "flags" in row:
        assert [flag.value for flag in found.flags] == row["flags"]
    if "taken_at" in row:
        assert (found.taken_at and found.taken_at.isoformat()) == row["taken_at"]
    if quirks is STRICT and encode is not None:
        assert decode(encode(found)) == found


@named("floats")
def test_a_known_float_is_the_number_of_its_source_and_encodes_back(row: dict[str, Any]) -> None:
    data = bytes.fromhex(row["hex"])
    short = row["type"] == "SFLOAT"
    decode = sfloat_decode if short else float_decode
    encode = sfloat_encode if short else float_encode
    (raw,) = struct.unpack("<H" if short else "<I", data)
    value = decode(raw)
    assert value == row["value"]
    assert isinstance(value, Special) == isinstance(row["value"], str)
    assert decode(encode(value)) == value


@named("date_time")
def test_a_known_date_and_time_keeps_what_the_device_does_not_know(row: dict[str, Any]) -> None:
    data = bytes.fromhex(row["hex"])
    found = device_time(TIME.unpack(data), 0)
    assert found == msgspec.convert(row["value"], DeviceTime)
    assert TIME.pack(*time_parts(found)) == data


@named("racp")
def test_a_known_reply_of_a_control_point(row: dict[str, Any]) -> None:
    data = bytes.fromhex(row["hex"])
    if "refused" in row:
        with pytest.raises(BadPayload) as caught:
            racp.decode_reply(data)
        assert caught.value.code == row["refused"]
        return
    assert msgspec.to_builtins(racp.decode_reply(data)) == row["expect"]
