"""The child that reads an ECG file: `python -I -m telemed.ecg_file_child FILE FOLDER ASKED`.

Confined before it opens the file (storage/confine.py). What it found lies in FOLDER as JSON, with
the strip that was asked for as a drawing; a file at fault is an answer as well.
"""

import os
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

# Loading NumPy must start no thread: this program is forked for each file.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import msgspec
import numpy as np

from devices.bad_file import BadFile, Fault
from devices.ecg.quality import Reason
from devices.ecg.strip import MAX_LEADS, Drawing, Strip, StripLead, draw_strip
from devices.ecg.twelve import Twelve, judge_twelve, table
from devices.ecg_files import EcgRecording, Format, edf, format_of, read, wfdb
from storage.confine import Limits, confine
from storage.limited_child import READY

FOUND, MADE = "found", "made"
MAX_FOUND_BYTES: Final = 24 << 20
MAX_MADE_BYTES: Final = 256 << 20
# A recording of the most samples is 64 MB, and is held several times while it is read.
LIMITS: Final = Limits(cpu_s=60, memory_bytes=1536 << 20, file_bytes=MAX_MADE_BYTES)
MOST_S: Final = 30.0  # of one strip
SMALL_S: Final = 10.0
_MOST_POINTS: Final = 400_000  # of a strip: twelve leads of thirty seconds at 1000 Hz
_MAX_NAME: Final = 40
TWELVE: Final = (
    *("I", "II", "III", "aVR", "aVL", "aVF"),
    *("V1", "V2", "V3", "V4", "V5", "V6"),
)


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """The strip that is asked for; its words are the caller's."""

    from_s: float = 0.0
    seconds: float = SMALL_S
    speed_mm_s: float = 25.0
    gain_mm_mv: float = 10.0
    scale: str = ""
    caption: tuple[str, ...] = ()


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of the child. `write`: the recording in this format too."""

    window: Window = Window()
    write: Format | None = None


class FileLead(msgspec.Struct, frozen=True):
    """A lead of a file; `missing`: the share of its samples that the recorder had not."""

    name: str
    missing: float


class LeadDoubt(msgspec.Struct, frozen=True):
    """A lead that is hard to read, and why."""

    lead: str
    reason: Reason


class EcgFound(msgspec.Struct, frozen=True, kw_only=True):
    """What is in a file. `started_at` is without a zone when the file has none.

    `drawn`: how many of the leads fit on a strip; `from_s`: where the strip begins. Of twelve leads
    it is told whether their first seconds can be read, and which lead not and why.
    """

    fault: Fault | None = None
    where: str = ""
    format: str = ""
    leads: list[FileLead] = []
    rate_hz: float = 0.0
    seconds: float = 0.0
    started_at: datetime | None = None
    marks: int = 0
    acceptable: bool | None = None
    doubts: list[LeadDoubt] = []
    from_s: float = 0.0
    drawn: int = 0
    drawing: Drawing | None = None


def look(file: Path, asked: Asked, folder: Path) -> EcgFound:
    """Read the file, draw what is asked for and write what is to be kept of it."""
    form = None
    try:
        with file.open("rb") as data:
            form = format_of(data.read(4096))
            data.seek(0)
            recording = read(data)
        if asked.write is not None:
            written = edf.write(recording) if asked.write is Format.EDF else wfdb.write(recording)
            (folder / MADE).write_bytes(written)
    except BadFile as bad:
        return EcgFound(fault=bad.code, where=bad.where, format=form or "")
    from_s, drawn, drawing = strip_of(recording, asked.window)
    names = [_plain(lead.name) for lead in recording.leads]
    missing = [float(np.isnan(recording.millivolts(at)).mean()) for at in range(len(names))]
    twelve = judged(recording)
    return EcgFound(
        format=form or "",
        acceptable=None if twelve is None else twelve.acceptable,
        doubts=[LeadDoubt(TWELVE[one.lead], one.reason) for one in twelve.doubts] if twelve else [],
        leads=[FileLead(*pair) for pair in zip(names, missing, strict=True)],
        rate_hz=recording.rate_hz,
        seconds=recording.duration_s,
        started_at=recording.started_at,
        marks=len(recording.marks),
        from_s=from_s,
        drawn=drawn,
        drawing=drawing,
    )


def judged(recording: EcgRecording) -> Twelve | None:
    """Judge the first seconds of a recording that has the twelve leads."""
    at = {lead.name.lower(): place for place, lead in enumerate(recording.leads)}
    if not all(name.lower() in at for name in TWELVE):
        return None
    count = round(SMALL_S * recording.rate_hz)
    shown = [recording.millivolts(at[name.lower()])[:count].astype(np.float64) for name in TWELVE]
    return judge_twelve(np.array(shown), recording.rate_hz)


def strip_of(recording: EcgRecording, window: Window) -> tuple[float, int, Drawing]:
    """Draw a window of a recording: where it begins, of how many leads it is, and the drawing."""
    rate = recording.rate_hz
    leads = min(len(recording.leads), MAX_LEADS)
    count = min(round(min(window.seconds, MOST_S) * rate), _MOST_POINTS // leads)
    count = max(1, min(count, len(recording.samples)))
    first = max(0, min(round(window.from_s * rate), len(recording.samples) - count))
    shown = [
        StripLead(_plain(recording.leads[at].name), recording.millivolts(at)[first : first + count])
        for at in range(leads)
    ]
    begun = recording.started_at
    drawing = draw_strip(
        Strip(
            leads=tuple(shown),
            rate_hz=rate,
            started_at=_later(begun, first / rate),
            speed_mm_s=window.speed_mm_s,
            gain_mm_mv=window.gain_mm_mv,
            scale=window.scale,
            caption=window.caption,
        )
    )
    return first / rate, leads, drawing


def _later(at: datetime | None, seconds: float) -> datetime | None:
    try:
        return None if at is None else at + timedelta(seconds=seconds)
    except OverflowError:  # a recorder in the year 9999
        return None


def _plain(name: str) -> str:
    return "".join(c for c in name if c.isprintable())[:_MAX_NAME] or "?"


def load() -> None:
    """Load what reads and writes; what is left to load lies beside Python."""
    import edfio  # noqa: F401, PLC0415
    import pydicom  # noqa: F401, PLC0415

    from devices.ecg_files import aecg, apple, atc, dicom, scp  # noqa: F401, PLC0415

    table()  # a file of ours, which the child may not read


def main() -> None:
    """Confine, then look."""
    file, folder = Path(sys.argv[1]), Path(sys.argv[2])
    asked = msgspec.json.decode(sys.argv[3], type=Asked)
    confine(LIMITS, reads=[file], writes=folder)
    (folder / READY).touch()
    (folder / FOUND).write_bytes(msgspec.json.encode(look(file, asked, folder)))
    os._exit(0)


if __name__ == "__main__":
    main()
