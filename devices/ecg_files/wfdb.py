"""WFDB: header, samples and marks, in one zip archive as they are sent about, or side by side.

Layouts: the manual pages header(5), signal(5), annot(5). Read are formats 16, 24, 32, 61, 80, 160,
212, 310 and 311, one segment, one sample a frame, in any number of signal files. What the header
promises is checked: length, first values, 16-bit checksums. Written is format 16.
"""

import io
import lzma
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import numpy as np

from devices.ecg_files import wfdb_header, wfdb_marks, wfdb_signals
from devices.ecg_files.model import MAX_BYTES, BadFile, EcgRecording, Fault
from devices.ecg_files.wfdb_header import Header, Signal
from devices.ecg_files.wfdb_marks import Beats

_MAX_PARTS: Final = 100


def read(data: bytes) -> EcgRecording:
    """Read an archive of one record. Raises BadFile."""
    return read_parts(_unzipped(data))


def read_parts(parts: Mapping[str, bytes]) -> EcgRecording:
    """Read a record from its files by name. Raises BadFile."""
    headers = [name for name in parts if name.endswith(".hea")]
    if len(headers) != 1:
        raise BadFile(Fault.UNKNOWN_FORMAT if not headers else Fault.NOT_READ, "hea")
    marks = parts.get(headers[0].removesuffix(".hea") + ".atr")
    return _recording(wfdb_header.parse(parts[headers[0]]), parts, marks)


def read_record(path: Path) -> EcgRecording:
    """Read the record at `path` (with or without `.hea`), its marks left alone.

    Raises BadFile, and OSError for what is not there.
    """
    header = wfdb_header.parse(path.with_suffix(".hea").read_bytes())
    names = {signal.file for signal in header.signals}
    return _recording(header, {name: (path.parent / name).read_bytes() for name in names}, None)


def read_beats(path: Path) -> Beats:
    """Read the beats that are marked in the record at `path`. Raises BadFile, OSError."""
    return wfdb_marks.beats_of(wfdb_marks.parse(path.with_suffix(".atr").read_bytes()))


def _recording(header: Header, parts: Mapping[str, bytes], marks: bytes | None) -> EcgRecording:
    fitted = {}
    for places in _groups(header.signals):
        signal = header.signals[places[0]]
        if signal.file not in parts:
            raise BadFile(Fault.TRUNCATED, "dat")
        body = parts[signal.file][signal.offset :]
        flat = wfdb_signals.unpack(signal.format, body, header.count, len(places))
        for column, place in zip(flat.T, places, strict=True):
            one = header.signals[place]
            wfdb_signals.verify(column, one.first, one.checksum)
            fitted[place] = wfdb_signals.fitted(column, one.format, one.lead)
    if len({len(samples) for _, samples in fitted.values()}) != 1:
        raise BadFile(Fault.INCONSISTENT, "dat")
    pairs = [fitted[place] for place in range(len(header.signals))]
    samples = np.column_stack([samples for _, samples in pairs])
    samples.setflags(write=False)
    return EcgRecording(
        header.rate_hz,
        tuple(lead for lead, _ in pairs),
        samples,
        header.started_at,
        wfdb_marks.parse(marks) if marks is not None else (),
    )


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
        lzma.LZMAError,
        EOFError,
        ValueError,
        OSError,
        NotImplementedError,
        RuntimeError,  # a password
    ) as error:
        raise BadFile(Fault.DAMAGED, "zip") from error
    return parts


def _groups(signals: list[Signal]) -> Iterator[list[int]]:
    """Places of the signals that lie interleaved in one file."""
    places: dict[str, list[int]] = {}
    for place, signal in enumerate(signals):
        places.setdefault(signal.file, []).append(place)
    for group in places.values():
        if len({(signals[at].format, signals[at].offset) for at in group}) != 1:
            raise BadFile(Fault.NOT_READ, "format")
        yield group


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
    parts = {
        f"{name}.hea": wfdb_header.header_of(recording, name),
        f"{name}.dat": samples.tobytes(),
    }
    if recording.marks:
        parts[f"{name}.atr"] = wfdb_marks.marks_of(recording.marks)
    return parts
