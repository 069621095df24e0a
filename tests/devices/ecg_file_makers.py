"""Makers of ECG files that nobody's library writes, by their layouts; used by several tests."""

import binascii
import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from devices.ecg_files import EcgRecording, Lead, Mark


def wave(count: int, leads: int, seed: int = 5) -> NDArray[np.int16]:
    """Something with steps of every size, as an ECG has them."""
    random = np.random.default_rng(seed)
    steps = random.integers(-12, 13, (count, leads))
    steps[::97] += 300
    steps[1::97] -= 300
    return np.cumsum(steps, axis=0).clip(-20_000, 20_000).astype(np.int16)


def recording(
    count: int = 1500,
    names: Sequence[str] = ("I", "II"),
    *,
    rate_hz: float = 360,
    marks: tuple[Mark, ...] = (),
) -> EcgRecording:
    """A recording without a start."""
    leads = tuple(Lead(name, 200.0, 1024) for name in names)
    return EcgRecording(rate_hz, leads, wave(count, len(names)), None, marks)


def atc(
    samples: Sequence[NDArray[np.int16]],
    *,
    date: str = "2026-03-01T08:30:00.000+03:00",
    notes: bytes = b"",
) -> bytes:
    """An ATC file at 300 Hz, 500 nV a step."""

    def block(name: bytes, body: bytes) -> bytes:
        head = name + len(body).to_bytes(4, "little") + body
        return head + (sum(head) & 0xFFFFFFFF).to_bytes(4, "little")

    info = date.encode().ljust(32, b"\0") + bytes(40 + 44 + 32 + 32 + 32 + 52)
    made = b"ALIVE\0\0\0" + (3).to_bytes(4, "little")
    made += block(b"info", info) + block(b"fmt ", struct.pack("<BHHBH", 1, 300, 500, 2, 0))
    for name, one in zip((b"ecg ", b"ecg2", b"ecg3"), samples, strict=False):
        made += block(name, one.astype("<i2").tobytes())
    return made + (block(b"ann ", notes) if notes else b"")


def huffman(values: Sequence[int]) -> bytes:
    """Values by SCP-ECG's default table."""
    bits = []
    for value in values:
        size = abs(value)
        if size <= 8:
            bits.append("0" if value == 0 else "1" * size + "0" + "01"[value < 0])
        elif -128 <= value < 128:
            bits.append("1111111110" + format(value & 0xFF, "08b"))
        else:
            bits.append("1111111111" + format(value & 0xFFFF, "016b"))
    text = "".join(bits)
    text += "0" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big") if text else b""


def differences(column: NDArray[np.int16], order: int) -> list[int]:
    """First or second differences as SCP-ECG takes them: the first values stand as they are."""
    whole = column.astype(int)
    made = whole.copy()
    if order == 1:
        made[1:] = np.diff(whole)
    if order == 2:
        made[2:] = np.diff(whole, 2)
    return [int(value) for value in made]


def scp(
    samples: NDArray[np.int16],
    codes: Sequence[int] = (1, 2),
    *,
    order: int = 2,
    coded: bool = True,
    flags: int = 4,
    bimodal: int = 0,
    table: bytes = (19999).to_bytes(2, "little"),
    streams: Sequence[bytes] = (),
    tags: bytes = b"\x19\x04\x00\xea\x07\x03\x01\x1a\x03\x00\x08\x1e\x00\x22\x05\x00\xb4\x00\x00\x00\x00\xff\x00\x00",
) -> bytes:
    """An SCP-ECG file at 500 Hz, 5000 nV a step."""

    def section(number: int, body: bytes, reserved: bytes = bytes(6)) -> bytes:
        body += b"\0" * (len(body) % 2)
        rest = struct.pack("<HIBB", number, 16 + len(body), 20, 20) + reserved + body
        return binascii.crc_hqx(rest, 0xFFFF).to_bytes(2, "little") + rest

    rows = b"".join(struct.pack("<IIB", 1, len(samples), code) for code in codes)
    coded_leads = []
    for column in samples.T:
        values = differences(column, order)
        plain = np.array(values, np.int64).astype("<i2").tobytes()
        coded_leads.append(huffman(values) if coded else plain)
    coded_leads = list(streams) or coded_leads
    rhythm = struct.pack("<HHBB", 5000, 2000, order, bimodal)
    rhythm += struct.pack(f"<{len(codes)}H", *map(len, coded_leads)) + b"".join(coded_leads)
    sections = {1: section(1, tags), 3: section(3, bytes([len(codes), flags]) + rows)}
    if coded:
        sections[2] = section(2, table)
    sections[6] = section(6, rhythm)
    at = 6 + 16 + 10 * 12
    pointers = struct.pack("<HII", 0, 16 + 120, 7)
    for number in range(1, 12):
        length = len(sections.get(number, b""))
        pointers += struct.pack("<HII", number, length, at + 1 if length else 0)
        at += length
    body = section(0, pointers, b"SCPECG") + b"".join(
        sections[number] for number in sorted(sections)
    )
    rest = (6 + len(body)).to_bytes(4, "little") + body
    return binascii.crc_hqx(rest, 0xFFFF).to_bytes(2, "little") + rest


def summed(data: bytes) -> bytes:
    """An SCP-ECG or ATC file with its sums right again, as far as it can still be walked."""
    made = bytearray(data)
    if data.startswith(b"ALIVE"):
        at = 12
        while at + 8 <= len(made):
            end = at + 8 + int.from_bytes(made[at + 4 : at + 8], "little")
            if end + 4 > len(made):
                break
            made[end : end + 4] = (sum(made[at:end]) & 0xFFFFFFFF).to_bytes(4, "little")
            at = end + 4
        return bytes(made)
    at = 6
    while at + 16 <= len(made):
        end = at + int.from_bytes(made[at + 4 : at + 8], "little")
        if not at + 16 <= end <= len(made):
            break
        crc = binascii.crc_hqx(bytes(made[at + 2 : end]), 0xFFFF)
        made[at : at + 2] = crc.to_bytes(2, "little")
        at = end
    made[:2] = binascii.crc_hqx(bytes(made[2:]), 0xFFFF).to_bytes(2, "little")
    return bytes(made)


def aecg(
    samples: NDArray[np.int16],
    names: Sequence[str] = ("I", "AVR"),
    *,
    head: str = "20260301083000.250+0300",
    before: str = "",
) -> bytes:
    """An annotated ECG at 500 Hz, 2.5 uV a step, with a derived beat behind it."""
    leads = "".join(
        f'<component><sequence><code code="MDC_ECG_LEAD_{name}"/><value xsi:type="SLIST_PQ">'
        '<origin value="0" unit="uV"/><scale value="2.5" unit="uV"/>'
        f"<digits>{' '.join(map(str, column))}</digits></value></sequence></component>"
        for name, column in zip(names, samples.T, strict=True)
    )
    time = (
        '<component><sequence><code code="TIME_ABSOLUTE"/><value xsi:type="GLIST_TS">'
        f'<head value="{head}"/><increment value="0.002" unit="s"/></value></sequence></component>'
    )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>{before}<AnnotatedECG xmlns="urn:hl7-org:v3" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><id root="x"/><component><series>'
        f"<component><sequenceSet>{time}{leads}</sequenceSet></component><derivation>"
        "<derivedSeries><component><sequenceSet><component><sequence>"
        '<code code="MDC_ECG_LEAD_I"/><value><digits>1 2</digits></value></sequence></component>'
        "</sequenceSet></component></derivedSeries></derivation></series></component>"
        "</AnnotatedECG>"
    ).encode()


APPLE = """Имя,Иван Иванов
Дата рождения,1 янв. 1990 г.
Дата записи,2026-03-01 08:30:00 +0300
Классификация,Синусовый ритм
Симптомы,
Версия ПО,2.0
Устройство,"Watch6,4"
Частота выборки,"512,4 герц"


Отведение,Отведение I
Ед. изм.,мкВ

-48,673
-59,681
101
2412,5
"""
