"""ECG frames as they travel and are stored: little endian, one page.

    4s  magic "YEC1" | 16s stream uuid | u32 sequence | i64 started_at, unix µs of the first sample
    u16 n (1..2000)  | n x i16 samples in ADC units

A device sends 200 ms per frame (72 samples at 360 Hz). To stores a frame is opaque bytes.
mV = (adc - baseline) / gain_per_mv, from the stream's header. -32768 is a missing sample
(electrode off).
"""

import struct
from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

import msgspec
import numpy as np
from numpy.typing import NDArray

MAGIC = b"YEC1"
MAX_SAMPLES = 2000
MISSING = -32768
_HEAD = struct.Struct("<4s16sIqH")
HEAD_BYTES = _HEAD.size
# The year 2200: far enough for any clock, well inside what datetime and a browser's Date hold.
MAX_STARTED_AT_US = 7_258_118_400_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class MalformedFrame(ValueError):  # noqa: N818 - a refusal, named as the fact it states
    """Bytes that are no frame; `reason` is one short code."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class StreamHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a recorder says once, before its frames: how to read the samples."""

    stream: UUID
    rate_hz: Annotated[float, msgspec.Meta(ge=100, le=1000)]
    gain_per_mv: Annotated[float, msgspec.Meta(ge=1, le=100_000)]
    baseline: Annotated[int, msgspec.Meta(ge=-32768, le=32767)] = 0
    lead: Annotated[str, msgspec.Meta(min_length=1, max_length=16)] = "I"


class EcgFrame(msgspec.Struct, frozen=True):
    """A run of samples without a gap. `payload` is n int16 little endian, as sent."""

    stream: UUID
    sequence: int
    started_at_us: int
    payload: bytes

    @property
    def samples(self) -> NDArray[np.int16]:
        """The samples in ADC units: a read-only view, nothing is copied."""
        return np.frombuffer(self.payload, dtype="<i2")

    @property
    def started_at(self) -> datetime:
        """Time of the first sample by the device's clock, UTC."""
        return _EPOCH + timedelta(microseconds=self.started_at_us)


def frame_of(
    stream: UUID, sequence: int, started_at_us: int, samples: NDArray[np.int16]
) -> EcgFrame:
    """A frame from samples in ADC units."""
    return EcgFrame(stream, sequence, started_at_us, samples.astype("<i2").tobytes())


def encode(frame: EcgFrame) -> bytes:
    """The frame's bytes; MalformedFrame if a field does not fit: what is sent can be read."""
    count, odd = divmod(len(frame.payload), 2)
    if odd or not 1 <= count <= MAX_SAMPLES:
        raise MalformedFrame("count")
    if not 0 <= frame.started_at_us <= MAX_STARTED_AT_US:
        raise MalformedFrame("time")
    if not 0 <= frame.sequence <= 0xFFFFFFFF:  # noqa: PLR2004 - u32
        raise MalformedFrame("sequence")
    head = _HEAD.pack(MAGIC, frame.stream.bytes, frame.sequence, frame.started_at_us, count)
    return head + frame.payload


def decode(data: bytes | bytearray | memoryview) -> EcgFrame:
    """The frame in `data`; MalformedFrame for anything else, never another exception."""
    if len(data) < HEAD_BYTES:
        raise MalformedFrame("short")
    magic, stream, sequence, started_at_us, count = _HEAD.unpack_from(data)
    if magic != MAGIC:
        raise MalformedFrame("magic")
    if not 1 <= count <= MAX_SAMPLES:
        raise MalformedFrame("count")
    if len(data) != HEAD_BYTES + 2 * count:
        raise MalformedFrame("length")
    if not 0 <= started_at_us <= MAX_STARTED_AT_US:
        raise MalformedFrame("time")
    return EcgFrame(UUID(bytes=stream), sequence, started_at_us, bytes(data[HEAD_BYTES:]))
