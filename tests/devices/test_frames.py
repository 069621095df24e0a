"""ECG frames: what goes in comes out, and nothing else is a frame."""

import struct
from datetime import UTC, datetime
from uuid import UUID

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.frames import (
    HEAD_BYTES,
    MAX_SAMPLES,
    MAX_STARTED_AT_US,
    EcgFrame,
    MalformedFrame,
    StreamHeader,
    decode,
    encode,
    frame_of,
)

STREAM = UUID("00112233-4455-6677-8899-aabbccddeeff")
FRAME = frame_of(STREAM, 5, 1_700_000_000_000_000, np.array([1, -1, -32768], np.int16))
FRAMES = st.builds(
    EcgFrame,
    st.uuids(),
    st.integers(0, 2**32 - 1),
    st.integers(0, MAX_STARTED_AT_US),
    st.binary(min_size=1, max_size=MAX_SAMPLES).map(lambda half: half + half),
)


def test_the_layout_is_the_documented_one_byte_for_byte() -> None:
    assert encode(FRAME).hex() == (
        "59454331"  # YEC1
        "00112233445566778899aabbccddeeff"
        "05000000"
        "00401e18240a0600"
        "0300"
        "0100ffff0080"
    )


@given(FRAMES)
def test_a_frame_comes_back_as_it_went(frame: EcgFrame) -> None:
    assert decode(encode(frame)) == frame


def test_samples_are_read_in_adc_units() -> None:
    assert decode(encode(FRAME)).samples.tolist() == [1, -1, -32768]


def test_time_of_the_first_sample_is_read_to_the_microsecond() -> None:
    started_at = EcgFrame(STREAM, 0, 1_700_000_000_000_001, b"").started_at
    assert started_at == datetime(2023, 11, 14, 22, 13, 20, 1, tzinfo=UTC)


@given(st.binary(max_size=200) | st.binary(max_size=80).map(lambda tail: b"YEC1" + tail))
def test_any_bytes_are_a_frame_or_malformed_and_nothing_worse(data: bytes) -> None:
    try:
        frame = decode(data)
    except MalformedFrame:
        return
    assert encode(frame) == data
    assert frame.started_at.year >= 1970


@given(FRAMES, st.data())
def test_a_frame_cut_anywhere_is_malformed(frame: EcgFrame, data: st.DataObject) -> None:
    whole = encode(frame)
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(MalformedFrame):
        decode(whole[:cut])


def changed(position: int, form: str, value: float) -> bytes:
    data = bytearray(encode(FRAME))
    struct.pack_into(form, data, position, value)
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "short"),
        (encode(FRAME)[: HEAD_BYTES - 1], "short"),
        (b"YEC2" + encode(FRAME)[4:], "magic"),
        (changed(32, "<H", 0), "count"),
        (changed(32, "<H", MAX_SAMPLES + 1), "count"),
        (changed(32, "<H", 2), "length"),
        (encode(FRAME) + b"\0", "length"),
        (changed(24, "<q", -1), "time"),
        (changed(24, "<q", 2**62), "time"),
    ],
)
def test_each_fault_of_the_bytes_has_its_reason(data: bytes, reason: str) -> None:
    with pytest.raises(MalformedFrame) as caught:
        decode(data)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    "frame",
    [
        EcgFrame(STREAM, 0, 0, b""),
        EcgFrame(STREAM, 0, 0, b"odd"),
        EcgFrame(STREAM, 0, 0, bytes(2 * MAX_SAMPLES + 2)),
        EcgFrame(STREAM, 0, -1, b"ab"),
        EcgFrame(STREAM, 2**32, 0, b"ab"),
    ],
)
def test_a_frame_that_could_not_be_read_is_never_written(frame: EcgFrame) -> None:
    with pytest.raises(MalformedFrame):
        encode(frame)


@pytest.mark.parametrize(
    "changes",
    [
        {"rate_hz": 99},
        {"rate_hz": 1001},
        {"gain_per_mv": 0},
        {"baseline": 40000},
        {"lead": ""},
        {"lead": "x" * 17},
        {"stream": "no uuid"},
        {"colour": "red"},
    ],
)
def test_a_header_nobody_could_read_samples_with_is_refused(changes: dict[str, object]) -> None:
    wire = {
        "stream": str(STREAM),
        "rate_hz": 360,
        "gain_per_mv": 200,
        "baseline": 1024,
        "lead": "I",
    }
    assert msgspec.convert(wire, StreamHeader).rate_hz == 360
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wire | changes, StreamHeader)
