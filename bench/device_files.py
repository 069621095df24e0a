"""Files of devices: what is written comes back, and an export of a gigabyte needs no gigabyte.

python -m bench.device_files
"""

import io
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import msgspec
import numpy as np

import devices
from bench.harness import Row, at_least, at_most, report
from devices.ecg_files import EcgRecording, edf, read, wfdb
from devices.reading_files import Options
from devices.reading_files import read as read_rows

SAMPLES = Path(devices.__file__).parent / "samples"
EXPORT_BYTES = 1 << 30
BAR_MB = 100


def recordings() -> Iterator[EcgRecording]:
    """The sample, and ones of other rates and lengths, with a start in a zone."""
    parts = {path.name: path.read_bytes() for path in SAMPLES.glob("100_2min.*")}
    sample = wfdb.read_parts(parts)
    at = datetime(2026, 3, 1, 8, 30, 15, 125000, tzinfo=timezone(timedelta(hours=3)))
    yield sample
    for rate_hz, count in ((500.0, 5000), (512.4, 15_371), (128.0, 7), (99.5, 40_001)):
        yield replace(
            sample, rate_hz=rate_hz, samples=sample.samples[:count], started_at=at, marks=()
        )
    yield replace(sample, started_at=at)


def same(one: EcgRecording, other: EcgRecording) -> bool:
    """Samples, marks, times, leads."""
    return np.array_equal(one.samples, other.samples) and (
        one.rate_hz,
        one.started_at,
        one.marks,
        one.leads,
    ) == (other.rate_hz, other.started_at, other.marks, other.leads)


def round_trips() -> list[Row]:
    """Out and in again in both formats."""
    held = tried = 0
    for one in recordings():
        for write in (wfdb.write, edf.write):
            tried += 1
            held += same(read(io.BytesIO(write(one))), one)
    return [at_least("files.roundtrip", held / tried, f"of {tried} identical", bar=1.0)]


class Export(io.RawIOBase):
    """An export.xml as a telephone writes it, made as it is read."""

    _HEAD = (
        b'<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE HealthData [\n'
        b"<!ELEMENT HealthData (Record*)>\n<!ATTLIST Record type CDATA #REQUIRED>\n]>\n"
        b'<HealthData locale="ru_RU">\n'
    )
    _RECORD = (
        ' <Record type="HKQuantityTypeIdentifier{kind}" sourceName="Apple Watch" '
        'sourceVersion="10.1" device="&lt;&lt;HKDevice: 0x28&gt;, name:Apple Watch&gt;" '
        'unit="{unit}" creationDate="2026-03-01 08:{m:02d}:{s:02d} +0300" '
        'startDate="2026-03-01 08:{m:02d}:{s:02d} +0300" '
        'endDate="2026-03-01 08:{m:02d}:{s:02d} +0300" value="{value}">\n'
        '  <MetadataEntry key="HKMetadataKeyHeartRateMotionContext" value="0"/>\n </Record>\n'
    )

    def __init__(self, size: int) -> None:
        super().__init__()
        lines = [
            self._RECORD.format(kind=kind, unit=unit, value=value + at % 9, m=at // 60, s=at % 60)
            for at in range(3600)
            for kind, unit, value in (("HeartRate", "count/min", 60), ("StepCount", "count", 5))
            if kind == "StepCount" or at % 10 == 0
        ]
        self._hour = "".join(lines).encode()
        self._hours = -(-size // len(self._hour))
        self.size = len(self._HEAD) + self._hours * len(self._hour) + len(b"</HealthData>\n")
        self._pieces = self._made()
        self._rest = b""

    def _made(self) -> Iterator[bytes]:
        yield self._HEAD
        for _ in range(self._hours):
            yield self._hour
        yield b"</HealthData>\n"

    def seek(self, *_: int) -> int:
        """Begin anew."""
        self._pieces, self._rest = self._made(), b""
        return 0

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        while len(self._rest) < size and (piece := next(self._pieces, b"")):
            self._rest += piece
        piece, self._rest = self._rest[:size], self._rest[size:]
        return piece


def export_rows() -> list[Row]:
    """A gigabyte read through by a process of its own, so that only what it needs is counted."""
    words = (
        "import sys, msgspec; from bench.device_files import read_export; "
        "sys.stdout.buffer.write(msgspec.json.encode(read_export()))"
    )
    told = subprocess.run([sys.executable, "-c", words], check=True, stdout=subprocess.PIPE).stdout
    return msgspec.json.decode(told, type=list[Row])


def read_export() -> list[Row]:
    """Read it here: what this process holds at most, all libraries included."""
    export = Export(EXPORT_BYTES)
    started = time.perf_counter()
    readings = others = 0
    for row in read_rows(export, Options()):  # type: ignore[arg-type] # it reads and seeks
        readings += row.measurement is not None
        others += int(row.params.get("count", 0))
    took = time.perf_counter() - started
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return [
        at_most("xml.apple", most, "MB at most", bar=BAR_MB),
        Row("xml.apple_readings", readings, f"readings, {others} of other kinds"),
        Row("xml.apple_speed", export.size / took / 1e6, "MB/s"),
    ]


def rows() -> list[Row]:
    """All of them."""
    return [*round_trips(), *export_rows()]


if __name__ == "__main__":
    sys.exit(report("device_files", rows()))
