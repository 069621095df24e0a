"""WFDB: header, samples and marks, in one zip archive as they are sent about.

Layouts: the manual pages header(5), signal(5), annot(5). Read are formats 16, 24, 32, 61, 80, 160,
212, 310 and 311, one segment, one sample a frame, in any number of signal files. What the header
promises is checked: length, first values, 16-bit checksums. Written is format 16.
"""

import io
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from itertools import islice
from typing import Final

import numpy as np
from numpy.typing import NDArray

from devices.ecg_files.model import (
    MAX_BYTES,
    MAX_LEADS,
    MAX_MARKS,
    MAX_SAMPLES,
    MISSING,
    BadFile,
    EcgRecording,
    Fault,
    Lead,
    Mark,
    from_counts,
)

_SYMBOLS: Final = dict(
    zip(
        (*range(1, 15), 16, *range(18, 42)),
        'NLRaVFJASEj/Q~|sT*D"=pB^t+u?![]en@xf()r',
        strict=True,
    )
)
_CODES: Final = {symbol: code for code, symbol in _SYMBOLS.items()}
_SKIP, _NUM, _SUB, _CHN, _AUX = 59, 60, 61, 62, 63
_GAIN = re.compile(r"(?P<gain>[\d.eE+-]+)(\((?P<baseline>-?\d+)\))?(/(?P<unit>\S+))?")
_FORMAT = re.compile(r"(?P<format>\d+)(x(?P<per_frame>\d+))?(:(?P<skew>\d+))?(\+(?P<offset>\d+))?")
_TIME = re.compile(r"(\d{1,2}):(\d{2}):(\d{2})(?:\.(\d{1,6}))?")
_DATE = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})")
_ZONE = re.compile(r"# zone ([+-])(\d{2}):(\d{2})")
_DEFAULT_GAIN: Final = 200.0
_PER_MV: Final = {"mv": 1.0, "uv": 1000.0, "µv": 1000.0, "nv": 1e6, "v": 0.001}
# Format → the number that stands for a missing sample.
_NONE: Final = {
    16: -(1 << 15),
    24: -(1 << 23),
    32: -(1 << 31),
    61: -(1 << 15),
    80: -128,
    160: -(1 << 15),
    212: -2048,
    310: -512,
    311: -512,
}
_MAX_HEADER: Final = 64 << 10
_MAX_PARTS: Final = 100


@dataclass(frozen=True, slots=True)
class _Signal:
    file: str
    format: int
    offset: int
    lead: Lead
    first: int | None
    checksum: int | None


@dataclass(frozen=True, slots=True)
class _Header:
    rate_hz: float
    count: int  # 0: as many as there are
    started_at: datetime | None
    signals: list[_Signal]


def read(data: bytes) -> EcgRecording:
    """Read an archive of one record. Raises BadFile."""
    return read_parts(_unzipped(data))


def read_parts(parts: Mapping[str, bytes]) -> EcgRecording:
    """Read a record from its files by name. Raises BadFile."""
    headers = [name for name in parts if name.endswith(".hea")]
    if len(headers) != 1:
        raise BadFile(Fault.UNKNOWN_FORMAT if not headers else Fault.NOT_READ, "hea")
    header = _header(parts[headers[0]])
    columns: dict[int, NDArray[np.int64]] = {}
    for places in _groups(header.signals):
        signal = header.signals[places[0]]
        if signal.file not in parts:
            raise BadFile(Fault.TRUNCATED, "dat")
        flat = _unpack(signal, parts[signal.file], header.count, len(places))
        for column, place in enumerate(places):
            columns[place] = flat[:, column]
    if len({len(column) for column in columns.values()}) != 1:
        raise BadFile(Fault.INCONSISTENT, "dat")
    return _recording(header, columns, parts.get(headers[0].removesuffix(".hea") + ".atr"))


def _recording(
    header: _Header, columns: Mapping[int, NDArray[np.int64]], marks: bytes | None
) -> EcgRecording:
    leads, fitted = [], []
    for place, signal in enumerate(header.signals):
        column = columns[place]
        _verify(column, signal)
        lead, samples = _int16(column, signal)
        leads.append(lead)
        fitted.append(samples)
    return EcgRecording(
        header.rate_hz,
        tuple(leads),
        np.column_stack(fitted),
        header.started_at,
        _all_marks(marks) if marks is not None else (),
    )


def _int16(column: NDArray[np.int64], signal: _Signal) -> tuple[Lead, NDArray[np.int16]]:
    gone = column == _NONE[signal.format]
    if gone.all():
        return signal.lead, np.full(len(column), MISSING, np.int16)
    there = np.where(gone, column[~gone][0], column)
    lead, samples = from_counts(
        signal.lead.name, there, signal.lead.gain_per_mv, signal.lead.baseline
    )
    samples[gone] = MISSING
    return lead, samples


def _unzipped(data: bytes) -> dict[str, bytes]:
    parts: dict[str, bytes] = {}
    left = MAX_BYTES
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if len(archive.infolist()) > _MAX_PARTS:
                raise BadFile(Fault.TOO_LARGE, "zip")
            for entry in archive.infolist():
                name = entry.filename.rpartition("/")[2]
                if not name.endswith((".hea", ".dat", ".atr")):
                    continue
                with archive.open(entry) as file:  # what it says of its size proves nothing
                    part = file.read(left + 1)
                left -= len(part)
                if left < 0:
                    raise BadFile(Fault.TOO_LARGE, "zip")
                if name in parts:
                    raise BadFile(Fault.INCONSISTENT, "zip")
                parts[name] = part
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        ValueError,
        OSError,
        NotImplementedError,
        RuntimeError,  # a password
    ) as error:
        raise BadFile(Fault.DAMAGED, "zip") from error
    return parts


def _header(data: bytes) -> _Header:
    if len(data) > _MAX_HEADER:
        raise BadFile(Fault.TOO_LARGE, "hea")
    lines = [line.strip() for line in data.decode("latin-1").splitlines() if line.strip()]
    words = [line.split() for line in lines if not line.startswith("#")]
    zones = [match for match in map(_ZONE.fullmatch, lines) if match]
    try:
        name, leads, *rest = words[0]
        if "/" in name:
            raise BadFile(Fault.NOT_READ, "segments")
        count_of_leads = int(leads)
        rate_hz = float(rest[0].partition("/")[0].partition("(")[0]) if rest else 250.0
        count = int(rest[1]) if len(rest) > 1 else 0
        started_at = _started(rest[2:], zones[0] if zones else None)
        if not 1 <= count_of_leads <= MAX_LEADS or not 0 <= count * count_of_leads <= MAX_SAMPLES:
            raise BadFile(Fault.TOO_LARGE if count_of_leads > MAX_LEADS else Fault.NO_ECG, "hea")
        signals = [_signal(line) for line in words[1 : 1 + count_of_leads]]
    except (ValueError, IndexError, OverflowError) as error:
        raise BadFile(Fault.DAMAGED, "hea") from error
    if len(signals) != count_of_leads:
        raise BadFile(Fault.TRUNCATED, "hea")
    return _Header(rate_hz, count, started_at, signals)


def _started(words: list[str], zone: re.Match[str] | None) -> datetime | None:
    """Time alone says nothing: a recording without a date began nobody knows when."""
    time = _TIME.fullmatch(words[0]) if words else None
    date = _DATE.fullmatch(words[1]) if len(words) > 1 else None
    if time is None or date is None:
        return None
    fraction = int((time[4] or "").ljust(6, "0"))
    at = datetime(  # noqa: DTZ001 - the zone follows if the file has one
        *(int(date[3]), int(date[2]), int(date[1])),
        *(int(time[1]), int(time[2]), int(time[3]), fraction),
    )
    if zone is None:
        return at
    minutes = int(zone[2]) * 60 + int(zone[3])
    return at.replace(tzinfo=timezone(timedelta(minutes=-minutes if zone[1] == "-" else minutes)))


def _signal(words: list[str]) -> _Signal:
    file, form, *rest = words
    match = _FORMAT.fullmatch(form)
    if match is None or int(match["format"]) not in _NONE:
        raise BadFile(Fault.NOT_READ, "format")
    if int(match["per_frame"] or 1) != 1 or int(match["skew"] or 0) != 0:
        raise BadFile(Fault.NOT_READ, "format")
    gain, _resolution, zero, first, checksum, _block, *lead = [*rest, *[""] * (6 - len(rest))]
    scale = _GAIN.fullmatch(gain) if gain else None
    per_mv = _PER_MV.get((scale["unit"] or "mV").lower()) if scale else 1.0
    if per_mv is None:
        raise BadFile(Fault.NO_ECG, "unit")
    gain_per_mv = float(scale["gain"]) * per_mv if scale else 0.0
    baseline = scale["baseline"] if scale and scale["baseline"] else zero
    return _Signal(
        file,
        int(match["format"]),
        int(match["offset"] or 0),
        Lead(" ".join(lead)[:40] or "?", gain_per_mv or _DEFAULT_GAIN, int(baseline or 0)),
        int(first) if first else None,
        int(checksum) if checksum else None,
    )


def _groups(signals: list[_Signal]) -> Iterator[list[int]]:
    """Places of the signals that lie interleaved in one file."""
    places: dict[str, list[int]] = {}
    for place, signal in enumerate(signals):
        places.setdefault(signal.file, []).append(place)
    for group in places.values():
        if len({(signals[at].format, signals[at].offset) for at in group}) != 1:
            raise BadFile(Fault.NOT_READ, "format")
        yield group


def _unpack(signal: _Signal, data: bytes, count: int, leads: int) -> NDArray[np.int64]:
    """`count` samples of `leads` interleaved signals; all there are when the header says none."""
    body = data[signal.offset :]
    # Samples and bytes of the smallest whole piece.
    per, size = {212: (2, 3), 310: (3, 4), 311: (3, 4), 24: (1, 3), 32: (1, 4), 80: (1, 1)}.get(
        signal.format, (1, 2)
    )
    wanted = count * leads or len(body) * per // size // leads * leads
    if wanted == 0:
        raise BadFile(Fault.EMPTY, "dat")
    pieces = -(-wanted // per)
    # The last piece may be cut where its samples end.
    if len(body) < wanted * size // per:
        raise BadFile(Fault.TRUNCATED, "dat")
    raw = np.frombuffer(body[: pieces * size].ljust(pieces * size, b"\0"), np.uint8)
    return _samples(signal.format, raw)[:wanted].reshape(-1, leads)


def _samples(form: int, raw: NDArray[np.uint8]) -> NDArray[np.int64]:
    if form in (16, 61, 160):
        wide = raw.view(">i2" if form == 61 else "<i2").astype(np.int64)  # noqa: PLR2004
        return (wide & 0xFFFF) - 32768 if form == 160 else wide  # noqa: PLR2004
    if form == 80:  # noqa: PLR2004 - names of formats
        return raw.astype(np.int64) - 128
    if form == 32:  # noqa: PLR2004
        return raw.view("<i4").astype(np.int64)
    if form == 24:  # noqa: PLR2004
        low, mid, high = raw.reshape(-1, 3).astype(np.int64).T
        return _signed(low | mid << 8 | high << 16, 24)
    if form == 212:  # noqa: PLR2004
        low, mid, high = raw.reshape(-1, 3).astype(np.int64).T
        pair = np.column_stack((low | (mid & 0x0F) << 8, high | (mid & 0xF0) << 4))
        return _signed(pair.reshape(-1), 12)
    words = raw.view("<u4").astype(np.int64)
    if form == 311:  # noqa: PLR2004
        three = np.column_stack((words & 0x3FF, words >> 10 & 0x3FF, words >> 20 & 0x3FF))
    else:
        low, high = words & 0xFFFF, words >> 16
        third = (low >> 11) | (high >> 11) << 5
        three = np.column_stack((low >> 1 & 0x3FF, high >> 1 & 0x3FF, third))
    return _signed(three.reshape(-1), 10)


def _signed(values: NDArray[np.int64], bits: int) -> NDArray[np.int64]:
    half = 1 << bits - 1
    return (values ^ half) - half


def _verify(column: NDArray[np.int64], signal: _Signal) -> None:
    if signal.first is not None and int(column[0]) != signal.first:
        raise BadFile(Fault.DAMAGED, "first sample")
    if signal.checksum is not None and (int(column.sum()) - signal.checksum) % 65536:
        raise BadFile(Fault.DAMAGED, "checksum")


def _all_marks(data: bytes) -> tuple[Mark, ...]:
    found = tuple(islice(_marks(data), MAX_MARKS + 1))
    if len(found) > MAX_MARKS:
        raise BadFile(Fault.TOO_LARGE, "atr")
    if any(mark.at < 0 for mark in found):
        raise BadFile(Fault.DAMAGED, "atr")
    return found


def _marks(data: bytes) -> Iterator[Mark]:
    words = np.frombuffer(data[: len(data) // 2 * 2], "<u2").tolist()
    now = at = 0
    held: Mark | None = None
    while at < len(words):
        code, low = words[at] >> 10, words[at] & 0x3FF
        at += 1
        if code == 0 and low == 0:
            if held is not None:
                yield held
            return
        if code == _SKIP:
            if at + 2 > len(words):
                break
            jump = words[at] << 16 | words[at + 1]
            now += jump - (1 << 32) * (jump >> 31)
            at += 2
        elif code == _AUX:
            text = data[2 * at : 2 * at + low].rstrip(b"\0")
            at += (low + 1) // 2
            if held is not None:
                held = Mark(held.at, held.symbol, _text(text))
        elif code not in (_NUM, _SUB, _CHN):
            now += low
            if held is not None:
                yield held
            held = Mark(now, _SYMBOLS.get(code, f"#{code}"))
    raise BadFile(Fault.TRUNCATED, "atr")


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def write(recording: EcgRecording, name: str = "record") -> bytes:
    """Give the recording as an archive of one WFDB record."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for end, part in parts_of(recording, name).items():
            archive.writestr(end, part)
    return made.getvalue()


def parts_of(recording: EcgRecording, name: str) -> dict[str, bytes]:
    """Give the files of the record: header, samples in format 16, and marks if there are any."""
    samples = np.ascontiguousarray(recording.samples, "<i2")
    parts = {f"{name}.hea": _header_of(recording, name), f"{name}.dat": samples.tobytes()}
    if recording.marks:
        parts[f"{name}.atr"] = _marks_of(recording.marks)
    return parts


def _header_of(recording: EcgRecording, name: str) -> bytes:
    at = recording.started_at
    rate = np.format_float_positional(recording.rate_hz, trim="-")
    begun = f" {at:%H:%M:%S.%f} {at:%d/%m/}{at.year:04d}" if at is not None else ""
    lines = [f"{name} {len(recording.leads)} {rate} {len(recording.samples)}{begun}"]
    for column, lead in enumerate(recording.leads):
        counts = recording.samples[:, column]
        total = int(counts.sum(dtype=np.int64)) & 0xFFFF
        checksum = total - (1 << 16) * (total >> 15)
        gain = np.format_float_positional(lead.gain_per_mv, trim="-")
        shown = " ".join(lead.name.split())
        lines.append(
            f"{name}.dat 16 {gain}({lead.baseline})/mV 16 0 {counts[0]} {checksum} 0 {shown}"
        )
    if at is not None and at.utcoffset() is not None:
        lines.append(f"# zone {_zone(at)}")
    return ("\n".join(lines) + "\n").encode("latin-1", "replace")


def _zone(at: datetime) -> str:
    minutes = round((at.utcoffset() or timedelta()) / timedelta(minutes=1))
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"


def _marks_of(marks: tuple[Mark, ...]) -> bytes:
    made = bytearray()
    now = 0
    for mark in sorted(marks, key=lambda mark: mark.at):
        code = _CODES.get(mark.symbol)
        if code is None:
            code = int(mark.symbol[1:]) if re.fullmatch(r"#\d\d?", mark.symbol) else _CODES['"']
        step = mark.at - now
        if step > 0x3FF:  # noqa: PLR2004 - ten bits
            made += (_SKIP << 10).to_bytes(2, "little")
            made += (step >> 16).to_bytes(2, "little") + (step & 0xFFFF).to_bytes(2, "little")
            step = 0
        made += (code << 10 | step).to_bytes(2, "little")
        now = mark.at
        if mark.text:
            text = mark.text.encode()
            made += (_AUX << 10 | len(text)).to_bytes(2, "little") + text + b"\0" * (len(text) % 2)
    return bytes(made + b"\0\0")
