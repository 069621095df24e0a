"""SCP-ECG (EN 1064): the rhythm data of section 6, plain or Huffman coded, with its differences.

    u16 CRC, u32 size, then sections: u16 CRC, u16 number, u32 length, u8, u8, 6 bytes, data
    0 pointers   1 header of tags   2 Huffman tables   3 leads   6 rhythm

Not read, and said so: residuals from which a reference beat was taken away, bimodal (decimated)
data, and a change of the Huffman table in mid-stream. A CRC that is not right is a damaged file.
"""

import binascii
import struct
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from devices.ecg_files.model import MAX_LEADS, BadFile, EcgRecording, Fault, from_counts

_HEAD, _SECTION = 6, 16
_POINTER = struct.Struct("<HII")
_DEFAULT_TABLE: Final = 19999
_MAX_CODES: Final = 1024
_DATE, _TIME, _ZONE, _END = 25, 26, 34, 255
_NO_ZONE: Final = 0x7FFF
_MOST_MINUTES: Final = 14 * 60
_LEADS: Final = {
    1: "I",
    2: "II",
    3: "V1",
    4: "V2",
    5: "V3",
    6: "V4",
    7: "V5",
    8: "V6",
    9: "V7",
    10: "V2R",
    11: "V3R",
    12: "V4R",
    13: "V5R",
    14: "V6R",
    15: "V7R",
    16: "X",
    17: "Y",
    18: "Z",
    61: "III",
    62: "aVR",
    63: "aVL",
    64: "aVF",
    66: "V8",
    67: "V9",
}


class _Leaf(NamedTuple):
    """The end of a code: its value, or so many more bits that are the value themselves."""

    value: int
    bits: int


_Tree = dict[int, "_Tree | _Leaf"]


def read(data: bytes) -> EcgRecording:
    """Read a file. Raises BadFile."""
    if len(data) < _HEAD + _SECTION:
        raise BadFile(Fault.TRUNCATED, "header")
    crc, size = struct.unpack_from("<HI", data)
    if size != len(data):
        raise BadFile(Fault.TRUNCATED if size > len(data) else Fault.INCONSISTENT, "size")
    if crc != binascii.crc_hqx(data[2:], 0xFFFF):
        raise BadFile(Fault.DAMAGED, "crc")
    sections = dict(_sections(data))
    if 3 not in sections or 6 not in sections:  # noqa: PLR2004 - numbers of sections
        raise BadFile(Fault.NO_ECG)
    try:
        names, count = _leads(sections[3])
        tree = _tree(sections[2]) if 2 in sections else None  # noqa: PLR2004
        return _recording(names, count, tree, sections[6], _started(sections.get(1, b"")))
    except (struct.error, IndexError) as error:
        raise BadFile(Fault.TRUNCATED, "section") from error


def _sections(data: bytes) -> Iterator[tuple[int, bytes]]:
    pointers = int.from_bytes(data[_HEAD + 4 : _HEAD + 8], "little")
    body = data[_HEAD + _SECTION : _HEAD + pointers]
    for at in range(0, len(body) - _POINTER.size + 1, _POINTER.size):
        number, length, index = _POINTER.unpack_from(body, at)
        if not length or not number:
            continue
        start = index - 1
        section = data[start : start + length]
        if start < 0 or len(section) != length or length < _SECTION:
            raise BadFile(Fault.TRUNCATED, f"section {number}")
        crc, own, said = struct.unpack_from("<HHI", section)
        if own != number or said != length:
            raise BadFile(Fault.INCONSISTENT, f"section {number}")
        if crc != binascii.crc_hqx(section[2:], 0xFFFF):
            raise BadFile(Fault.DAMAGED, f"section {number}")
        yield number, section[_SECTION:]


def _started(tags: bytes) -> datetime | None:
    found: dict[int, bytes] = {}
    at = 0
    while at + 3 <= len(tags) and tags[at] != _END:
        length = int.from_bytes(tags[at + 1 : at + 3], "little")
        found[tags[at]] = tags[at + 3 : at + 3 + length]
        at += 3 + length
    if len(found.get(_DATE, b"")) < 4 or len(found.get(_TIME, b"")) < 3:  # noqa: PLR2004
        return None
    year, month, day = struct.unpack_from("<HBB", found[_DATE])
    try:
        started = datetime(year, month, day, *found[_TIME][:3])  # noqa: DTZ001 - see below
    except ValueError:
        return None  # year 0 and the like: the recorder's clock was never set
    zone = found.get(_ZONE, b"")
    minutes = int.from_bytes(zone[:2], "little", signed=True) if len(zone) > 1 else _NO_ZONE
    if abs(minutes) > _MOST_MINUTES:
        return started
    return started.replace(tzinfo=timezone(timedelta(minutes=minutes)))


def _leads(section: bytes) -> tuple[list[str], int]:
    """Names of the leads and the samples of each."""
    number, flags = section[0], section[1]
    if number > MAX_LEADS:
        raise BadFile(Fault.TOO_LARGE, "leads")
    if flags & 1:
        raise BadFile(Fault.NOT_READ, "reference beat")
    rows = [struct.unpack_from("<IIB", section, 2 + 9 * at) for at in range(number)]
    lengths = {(start, end) for start, end, _ in rows}
    if not rows:
        raise BadFile(Fault.NO_ECG)
    if len(lengths) != 1:
        raise BadFile(Fault.NOT_READ, "leads one after another")
    [(start, end)] = lengths
    if end < start:
        raise BadFile(Fault.INCONSISTENT, "leads")
    return [_LEADS.get(code, f"lead {code}") for _, _, code in rows], end - start + 1


def _tree(section: bytes) -> _Tree:
    """Codes as a tree by their bits; they are stored with the first bit lowest."""
    tables = int.from_bytes(section[:2], "little")
    tree: _Tree = {}
    if tables == _DEFAULT_TABLE:
        _plant(tree, 0, 1, _Leaf(0, 0))
        for value in range(1, 9):
            ones = (1 << value + 1) - 1 >> 1  # one 1 a step, then 0, then the sign
            _plant(tree, ones, value + 2, _Leaf(value, 0))
            _plant(tree, ones | 1 << value + 1, value + 2, _Leaf(-value, 0))
        _plant(tree, 0x1FF, 10, _Leaf(0, 8))
        _plant(tree, 0x3FF, 10, _Leaf(0, 16))
        return tree
    codes = int.from_bytes(section[2:4], "little")
    if tables != 1 or not 1 <= codes <= _MAX_CODES:
        raise BadFile(Fault.NOT_READ, "tables")
    for at in range(codes):
        one, other, mode, value, code = struct.unpack_from("<BBBhI", section, 4 + 9 * at)
        # Programs disagree which of the two is the prefix; it is never the longer one.
        prefix, whole = min(one, other), max(one, other)
        if mode != 1:
            raise BadFile(Fault.NOT_READ, "tables")
        if not 1 <= prefix <= 32 or whole - prefix > 32:  # noqa: PLR2004 - bits of a code
            raise BadFile(Fault.INCONSISTENT, "tables")
        _plant(tree, code, prefix, _Leaf(value, whole - prefix))
    return tree


def _plant(tree: _Tree, code: int, bits: int, leaf: _Leaf) -> None:
    node = tree
    for at in range(bits - 1):
        below = node.setdefault(code >> at & 1, {})
        if isinstance(below, _Leaf):
            raise BadFile(Fault.INCONSISTENT, "tables")
        node = below
    last = code >> bits - 1 & 1
    if last in node:
        raise BadFile(Fault.INCONSISTENT, "tables")
    node[last] = leaf


def _decoded(tree: _Tree, data: bytes, count: int) -> NDArray[np.int64]:
    bits = np.unpackbits(np.frombuffer(data, np.uint8)).tolist()
    values: list[int] = []
    node, at, end = tree, 0, len(bits)
    while len(values) < count:
        if at >= end:
            raise BadFile(Fault.TRUNCATED, "rhythm")
        below = node.get(bits[at])
        at += 1
        if below is None:
            raise BadFile(Fault.DAMAGED, "rhythm")
        if not isinstance(below, _Leaf):
            node = below
            continue
        node = tree
        if not below.bits:
            values.append(below.value)
            continue
        if at + below.bits > end:
            raise BadFile(Fault.TRUNCATED, "rhythm")
        raw = int("".join(map(str, bits[at : at + below.bits])), 2)
        values.append(raw - (raw >> below.bits - 1 << below.bits))
        at += below.bits
    return np.array(values, np.int64)


def _recording(
    names: list[str], count: int, tree: _Tree | None, section: bytes, started: datetime | None
) -> EcgRecording:
    nanovolts, step_us, differences, bimodal = struct.unpack_from("<HHBB", section)
    if bimodal:
        raise BadFile(Fault.NOT_READ, "bimodal")
    if not nanovolts or not step_us or differences > 2:  # noqa: PLR2004 - 0, 1 or 2
        raise BadFile(Fault.INCONSISTENT, "rhythm")
    lengths = struct.unpack_from(f"<{len(names)}H", section, 6)
    at = 6 + 2 * len(names)
    leads, columns = [], []
    for name, length in zip(names, lengths, strict=True):
        part = section[at : at + length]
        if len(part) != length:
            raise BadFile(Fault.TRUNCATED, "rhythm")
        # A sample is a bit at least, else two bytes: nobody is told of more than there can be.
        if count > (8 * length if tree is not None else length // 2):
            raise BadFile(Fault.TRUNCATED, "rhythm")
        values = (
            np.frombuffer(part, "<i2", count).astype(np.int64)
            if tree is None
            else _decoded(tree, part, count)
        )
        lead, samples = from_counts(name, _summed(values, differences), 1e6 / nanovolts)
        leads.append(lead)
        columns.append(samples)
        at += length
    return EcgRecording(1e6 / step_us, tuple(leads), np.column_stack(columns), started)


def _summed(values: NDArray[np.int64], differences: int) -> NDArray[np.int64]:
    """Samples from first or second differences; the first ones stand as they are."""
    if differences == 0:
        return values
    if differences == 1:
        return np.cumsum(values)
    steps = values.copy()
    steps[1:2] -= values[:1]
    steps[1:] = np.cumsum(steps[1:])
    return np.cumsum(steps)
