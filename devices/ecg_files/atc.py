"""AliveCor's ATC: blocks of (name, length, data, sum of bytes), little endian.

    "ALIVE" 0 0 0, u32 version, then blocks; info: date as text, ids; fmt: u8 format, u16 Hz,
    u16 nV a step, u8 flags, u16 reserved; ecg, ecg2..ecg9, ecga..ecgc: i16 samples, one a lead;
    ann: u32 ticks a second, then (u32 offset in ticks, u16 kind of beat)

The layout is that of AliveCor's published specification, by its reader (ATCpy). A sum that is not
right is a damaged file; blocks this reader does not need are passed over.
"""

import struct
from collections.abc import Iterator
from datetime import datetime
from typing import Final

import numpy as np

from devices.ecg_files.model import COMMENT, MAX_MARKS, BadFile, EcgRecording, Fault, Lead, Mark

_HEAD: Final = 12
_LEADS: Final = dict(
    zip(
        ("ecg ", *(f"ecg{number}" for number in "23456789abc")),
        ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"),
        strict=True,
    )
)
_FORMAT = struct.Struct("<BHHBH")
_NOTE = struct.Struct("<IH")
_DATE_BYTES: Final = 32


def read(data: bytes) -> EcgRecording:
    """Read a file. Raises BadFile."""
    if len(data) < _HEAD:
        raise BadFile(Fault.TRUNCATED, "header")
    blocks: dict[str, bytes] = {}
    for name, body in _blocks(data):
        if name in blocks and name in {*_LEADS, "fmt ", "info"}:
            raise BadFile(Fault.INCONSISTENT, name.strip())
        blocks[name] = body
    if len(blocks.get("fmt ", b"")) < _FORMAT.size:
        raise BadFile(Fault.TRUNCATED, "fmt")
    _form, rate_hz, nanovolts, _flags, _reserved = _FORMAT.unpack_from(blocks["fmt "])
    if not nanovolts:
        raise BadFile(Fault.INCONSISTENT, "fmt")
    there = [name for name in _LEADS if name in blocks]
    if not there:
        raise BadFile(Fault.NO_ECG)
    columns = [np.frombuffer(blocks[name][: len(blocks[name]) // 2 * 2], "<i2") for name in there]
    if len({len(column) for column in columns}) != 1:
        raise BadFile(Fault.INCONSISTENT, "ecg")
    return EcgRecording(
        rate_hz,
        tuple(Lead(_LEADS[name], 1e6 / nanovolts, 0) for name in there),
        np.column_stack(columns).astype(np.int16),
        _started(blocks.get("info", b"")),
        tuple(_marks(blocks.get("ann ", b""), rate_hz)),
    )


def _blocks(data: bytes) -> Iterator[tuple[str, bytes]]:
    at = _HEAD
    while at < len(data):
        if at + 8 > len(data):
            raise BadFile(Fault.TRUNCATED, "block")
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        end = at + 8 + length
        if end + 4 > len(data):
            raise BadFile(Fault.TRUNCATED, "block")
        total = int(np.frombuffer(data[at:end], np.uint8).sum(dtype=np.uint64)) & 0xFFFFFFFF
        if total != int.from_bytes(data[end : end + 4], "little"):
            raise BadFile(Fault.DAMAGED, "checksum")
        yield data[at : at + 4].decode("latin-1"), data[at + 8 : end]
        at = end + 4


def _started(info: bytes) -> datetime | None:
    text = info[:_DATE_BYTES].split(b"\0")[0].decode("latin-1").strip()
    if not text:
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise BadFile(Fault.DAMAGED, "info") from error


def _marks(notes: bytes, rate_hz: int) -> Iterator[Mark]:
    if len(notes) < 4 + _NOTE.size:
        return
    ticks = int.from_bytes(notes[:4], "little")
    count = (len(notes) - 4) // _NOTE.size
    if not ticks or count > MAX_MARKS:
        raise BadFile(Fault.INCONSISTENT, "ann")
    for at in range(count):
        offset, kind = _NOTE.unpack_from(notes, 4 + at * _NOTE.size)
        # Which number is which kind of beat was not to be found: it is kept as a number.
        yield Mark(round(offset * rate_hz / ticks), COMMENT, f"beat type {kind}")
