"""The header of a WFDB record: header(5). A line of the record, then one of each signal."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Final

import numpy as np

from devices.ecg_files.model import (
    MAX_LEADS,
    MAX_SAMPLES,
    BadFile,
    EcgRecording,
    Fault,
    Lead,
)
from devices.ecg_files.wfdb_signals import NONE

_GAIN = re.compile(r"(?P<gain>[\d.eE+-]+)(\((?P<baseline>-?\d+)\))?(/(?P<unit>\S+))?")
_FORMAT = re.compile(r"(?P<format>\d+)(x(?P<per_frame>\d+))?(:(?P<skew>\d+))?(\+(?P<offset>\d+))?")
_TIME = re.compile(r"(\d{1,2}):(\d{2}):(\d{2})(?:\.(\d{1,6}))?")
_DATE = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})")
_ZONE = re.compile(r"# zone ([+-])(\d{2}):(\d{2})")
_DEFAULT_GAIN: Final = 200.0
_PER_MV: Final = {"mv": 1.0, "uv": 1000.0, "µv": 1000.0, "nv": 1e6, "v": 0.001}
_MAX_HEADER: Final = 64 << 10


@dataclass(frozen=True, slots=True)
class Signal:
    """Where one signal lies and how, and what is promised of it."""

    file: str
    format: int
    offset: int
    lead: Lead
    first: int | None
    checksum: int | None


@dataclass(frozen=True, slots=True)
class Header:
    """What the header says; `count` 0: as many samples as there are."""

    rate_hz: float
    count: int
    started_at: datetime | None
    signals: list[Signal]


def parse(data: bytes) -> Header:
    """Read a header. Raises BadFile."""
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
        if count_of_leads < 1 or count < 0:
            raise BadFile(Fault.NO_ECG, "hea")
        if count_of_leads > MAX_LEADS or count * count_of_leads > MAX_SAMPLES:
            raise BadFile(Fault.TOO_LARGE, "hea")
        signals = [_signal(line) for line in words[1 : 1 + count_of_leads]]
    except (ValueError, IndexError, OverflowError) as error:
        raise BadFile(Fault.DAMAGED, "hea") from error
    if len(signals) != count_of_leads:
        raise BadFile(Fault.TRUNCATED, "hea")
    return Header(rate_hz, count, started_at, signals)


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


def _signal(words: list[str]) -> Signal:
    file, form, *rest = words
    match = _FORMAT.fullmatch(form)
    if match is None or int(match["format"]) not in NONE:
        raise BadFile(Fault.NOT_READ, "format")
    if int(match["per_frame"] or 1) != 1 or int(match["skew"] or 0) != 0:
        raise BadFile(Fault.NOT_READ, "format")
    if Path(file).name != file:
        raise BadFile(Fault.NOT_READ, "file")
    gain, _resolution, zero, first, checksum, _block, *lead = [*rest, *[""] * (6 - len(rest))]
    scale = _GAIN.fullmatch(gain) if gain else None
    per_mv = _PER_MV.get((scale["unit"] or "mV").lower()) if scale else 1.0
    if per_mv is None:
        raise BadFile(Fault.NO_ECG, "unit")
    gain_per_mv = float(scale["gain"]) * per_mv if scale else 0.0
    baseline = scale["baseline"] if scale and scale["baseline"] else zero
    return Signal(
        file,
        int(match["format"]),
        int(match["offset"] or 0),
        Lead(" ".join(lead)[:40] or "?", gain_per_mv or _DEFAULT_GAIN, int(baseline or 0)),
        int(first) if first else None,
        int(checksum) if checksum else None,
    )


def header_of(recording: EcgRecording, name: str) -> bytes:
    """Give the header of a record in format 16."""
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
