"""Whatever is sent can be read again, and no bytes do more than be refused."""

import math
import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from devices import racp
from devices.gatt import blood_pressure as bp
from devices.gatt import cgm, glucose, heart_rate, oximeter, thermometer, weight
from devices.gatt.floats import (
    SFLOATS,
    Special,
    float_decode,
    float_encode,
    sfloat_decode,
    sfloat_encode,
)
from devices.gatt.models import ANY, MODELS
from devices.gatt.payload import STRICT, TOLERANT, BadPayload, PartialTime, Quirks
from devices.gatt.to_measurement import Refusal, measurements
from devices.measurement import Measurement
from devices.units import KPA, MMHG

NOW = datetime(2026, 3, 10, 8, 0, tzinfo=UTC)
MOSCOW = timezone(timedelta(hours=3))

numbers = st.sampled_from(SFLOATS)
u8, u16 = st.integers(0, 255), st.integers(0, 65535)
clock = {"hour": st.integers(0, 23), "minute": st.integers(0, 59), "second": st.integers(0, 59)}
times = st.one_of(
    st.datetimes(datetime(1582, 1, 1), datetime(9999, 12, 31, 23, 59, 59)).map(  # noqa: DTZ001
        lambda time: time.replace(microsecond=0)
    ),
    st.builds(PartialTime, st.just(0), st.integers(0, 12), st.integers(0, 28), **clock),
    st.builds(PartialTime, st.integers(1582, 9999), st.just(0), st.integers(0, 31), **clock),
)
maybe_time = st.none() | times


def maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


def tenths(places: int) -> st.SearchStrategy[float]:
    return st.integers(0, 0xFFFE).map(lambda raw: float(f"{raw}e-{places}"))


pairs = st.builds(oximeter.Pair, numbers, numbers)
tail = {
    "status": maybe(u16),
    "sensor": maybe(st.integers(0, 2**24 - 1)),
    "amplitude_percent": maybe(numbers),
}
Codec = tuple[Callable[[Any], bytes], Callable[..., Any], st.SearchStrategy[Any]]
CODECS: dict[str, Codec] = {
    "pressure": (
        bp.encode,
        bp.decode,
        st.builds(
            bp.BloodPressure,
            numbers,
            numbers,
            numbers,
            unit=st.sampled_from((MMHG, KPA)),
            taken_at=maybe_time,
            pulse=maybe(numbers),
            user=maybe(u8),
            status=maybe(u16),
        ),
    ),
    "glucose without a value": (
        glucose.encode,
        glucose.decode,
        st.builds(
            glucose.Glucose,
            u16,
            times,
            offset_min=maybe(st.integers(-0x8000, 0x7FFF)),
            unit=st.sampled_from((glucose.KG_L, glucose.MOL_L)),
            status=maybe(u16),
            context_follows=st.booleans(),
        ),
    ),
    "glucose": (
        glucose.encode,
        glucose.decode,
        st.builds(
            glucose.Glucose,
            u16,
            times,
            concentration=numbers,
            sample=st.integers(0, 15),
            place=st.integers(0, 15),
            status=maybe(u16),
        ),
    ),
    "context": (
        glucose.encode_context,
        glucose.decode_context,
        st.builds(
            glucose.GlucoseContext,
            sequence=u16,
            extended=maybe(u8),
            carbohydrate=u8,
            carbohydrate_kg=numbers,
            meal=maybe(u8),
            tester=st.integers(0, 15),
            health=st.integers(0, 15),
            medication=u8,
            medication_amount=numbers,
            medication_unit=st.sampled_from((glucose.KG, glucose.LITRE)),
            hba1c_percent=maybe(numbers),
        ),
    ),
    "heart rate": (
        heart_rate.encode,
        heart_rate.decode,
        st.builds(
            heart_rate.HeartRate,
            u16,
            st.sampled_from(heart_rate.Contact),
            maybe(u16),
            maybe(st.lists(u16, min_size=1, max_size=9).map(tuple)),
            wide=st.just(value=True),
        ),
    ),
    "temperature": (
        thermometer.encode,
        thermometer.decode,
        st.builds(
            thermometer.Temperature,
            st.integers(0, 2**32 - 1).map(float_decode),
            taken_at=maybe_time,
            place=maybe(u8),
        ),
    ),
    "spot check": (
        oximeter.encode_spot,
        oximeter.decode_spot,
        st.builds(
            oximeter.SpotCheck,
            numbers,
            numbers,
            taken_at=maybe_time,
            clock_unset=st.booleans(),
            **tail,
        ),
    ),
    "continuous": (
        oximeter.encode_continuous,
        oximeter.decode_continuous,
        st.builds(
            oximeter.Continuous, numbers, numbers, fast=maybe(pairs), slow=maybe(pairs), **tail
        ),
    ),
    "weight": (
        weight.encode,
        weight.decode,
        st.builds(
            weight.Weight,
            maybe(st.integers(0, 0xFFFE).map(lambda raw: raw * 5 / 1000)),
            taken_at=maybe_time,
            user=maybe(u8),
            bmi=tenths(1),
            height=tenths(3),
        ),
    ),
    "sensor": (
        cgm.encode,
        cgm.decode,
        st.lists(
            st.builds(
                cgm.CgmRecord,
                numbers,
                u16,
                status=st.integers(0, 2**24 - 1),
                octets=st.just(7),
                trend_mg_dl_min=maybe(numbers),
                quality_percent=maybe(numbers),
                checked=st.booleans(),
            ),
            min_size=1,
            max_size=3,
        ).map(tuple),
    ),
    "session start": (
        cgm.encode_session_start,
        cgm.decode_session_start,
        st.builds(
            cgm.SessionStart,
            times,
            st.integers(-48, 56) | st.just(cgm.UNKNOWN_ZONE),
            st.sampled_from((0, 2, 4, 8, cgm.UNKNOWN_DST)),
            checked=st.booleans(),
        ),
    ),
}
CHARACTERISTICS = (
    0x2A35, 0x2A36, 0x2A18, 0x2AA7, 0x2A37, 0x2A1C, 0x2A1E, 0x2A5E, 0x2A5F, 0x2A9D, 0x2A19,
)  # fmt: skip
quirks = st.sampled_from([STRICT, TOLERANT, *(model.quirks for model in MODELS)])


@pytest.mark.parametrize("name", CODECS)
@settings(max_examples=60)
@given(data=st.data())
def test_what_is_encoded_decodes_to_itself(name: str, data: st.DataObject) -> None:
    encode, decode, things = CODECS[name]
    thing = data.draw(things)
    assert decode(encode(thing)) == thing


def test_every_sfloat_there_is_survives_encoding() -> None:
    for raw in range(65536):
        value = sfloat_decode(raw)
        again = sfloat_encode(value)
        assert sfloat_decode(again) == value
        assert isinstance(value, Special) == isinstance(sfloat_decode(again), Special)


def test_every_sfloat_is_the_decimal_number_its_bits_say() -> None:
    for raw in range(65536):
        exponent, mantissa = raw >> 12, raw & 0xFFF
        exponent -= 16 if exponent > 7 else 0
        mantissa -= 4096 if mantissa > 2047 else 0
        value = sfloat_decode(raw)
        if isinstance(value, Special):
            assert exponent == 0
            assert mantissa in (2047, 2046, -2048, -2047, -2046)
        else:
            assert value == float(f"{mantissa}e{exponent}")


@given(st.integers(0, 2**32 - 1))
@example(0x007FFFFF)
@example(0xFF7FFFFF)
@example(0x007FFFFD)
def test_a_float_survives_encoding(raw: int) -> None:
    value = float_decode(raw)
    assert float_decode(float_encode(value)) == value


@given(st.floats(-2e10, 2e10))
@example(2047.0)
@example(-2048.0)
@example(0.0)
def test_a_number_becomes_the_nearest_sfloat(value: float) -> None:
    found = sfloat_decode(sfloat_encode(value))
    assert isinstance(found, float)
    assert math.isclose(found, value, rel_tol=0.005, abs_tol=1e-8)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 3e10, 1e300])
def test_what_is_no_number_of_a_device_is_not_encoded(value: float) -> None:
    with pytest.raises(ValueError, match=r"scale|send"):
        sfloat_encode(value)


def refused(decode: Callable[..., Any], data: bytes, quirks: Quirks) -> BadPayload | None:
    """The refusal of these bytes; any other exception is the test's failure."""
    try:
        decode(data, quirks=quirks)
    except BadPayload as bad:
        return bad
    return None


@settings(max_examples=300)
@given(data=st.binary(max_size=40), quirks=quirks)
def test_any_bytes_are_decoded_or_refused_with_a_code_and_a_place(
    data: bytes, quirks: Quirks
) -> None:
    for _, decode, _ in CODECS.values():
        bad = refused(decode, data, quirks)
        assert bad is None or (bad.code and 0 <= bad.offset <= len(data))


@settings(max_examples=200)
@given(
    data=st.binary(max_size=40), model=st.sampled_from([ANY, *MODELS]), read=st.binary(max_size=15)
)
def test_any_notification_gives_readings_or_reasons_and_never_raises(
    data: bytes, model: Any, read: bytes
) -> None:
    heard = {0x2AAA: read, 0x2A34: read}
    for characteristic in CHARACTERISTICS:
        found = measurements(characteristic, data, model, MOSCOW, NOW, heard)
        assert found
        for one in found:
            assert isinstance(one, Measurement | Refusal)
            if isinstance(one, Measurement):
                assert all(math.isfinite(value) for value in one.values.values())
                assert one.taken_at <= NOW


@settings(max_examples=150)
@given(st.lists(st.binary(max_size=6) | st.integers(0, 65535), max_size=12))
def test_no_bytes_of_a_meter_upset_a_download_or_make_it_delete(said: list[bytes | int]) -> None:
    download = racp.Racp(7)
    download.start()
    for one in said:
        numbered = isinstance(one, int)
        events = download.on_measurement(one) if numbered else download.on_indication(one)
        for event in events:
            assert isinstance(event, racp.Event)
            assert not isinstance(event, racp.Write) or event.data[0] in (1, 4)


def test_a_cut_message_is_refused_wherever_it_is_cut() -> None:
    whole = bytes.fromhex("1E8A00580078000000041114293B3C00012700")
    for end in range(len(whole)):
        with pytest.raises(BadPayload) as caught:
            bp.decode(whole[:end])
        assert (caught.value.code, caught.value.offset) == ("too_short", end)


def test_the_peer_s_biased_exponent_is_not_ours() -> None:
    assert bp.decode(b"\x00" + struct.pack("<HHH", 120, 80, 93)).systolic == 120
