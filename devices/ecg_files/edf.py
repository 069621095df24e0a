"""EDF and EDF+, read and written by edfio: signals that are an ECG, marks as annotations.

EDF+ has neither zones nor WFDB's symbols nor records that end early. What we write says so in ways
other programs show as plain words: `zone+03:00` beside the start, `N|` before the text of a mark,
and the standard's own "Recording ends" where the padding of the last record begins.
"""

import io
import re
import warnings
from datetime import date, datetime, time, timedelta, timezone
from fractions import Fraction
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from devices.ecg_files.model import (
    COMMENT,
    MAX_LEADS,
    MAX_SAMPLES,
    MISSING,
    BadFile,
    EcgRecording,
    Fault,
    Lead,
    Mark,
)

_PER_MV: Final = {"mv": 1.0, "uv": 1000.0, "µv": 1000.0, "nv": 1e6, "v": 0.001}
_LEADS: Final = frozenset(
    [
        "i",
        "ii",
        "iii",
        "avr",
        "avl",
        "avf",
        "v1",
        "v2",
        "v3",
        "v4",
        "v5",
        "v6",
        "v7",
        "v8",
        "v9",
        "v3r",
        "v4r",
        "mlii",
        "mli",
        "mv1",
        "mv2",
        "mv5",
        "x",
        "y",
        "z",
    ]
)
_ECG = re.compile(r"(?:ecg|ekg|экг)\b[ .:_-]*", re.IGNORECASE)
_MARK = re.compile(r"(#\d\d?|[^\s\w#]|[A-Za-z])\|(.*)", re.DOTALL)
_ZONE = re.compile(r"zone([+-])(\d\d):(\d\d)")
_ENDS: Final = "Recording ends"
_HEADER: Final = 256
_RECORD_S: Final = (1, 2, 5, 10, 20, 50, 100)


def read(data: bytes) -> EcgRecording:
    """Read a file. Raises BadFile."""
    _require_whole(data)
    import edfio  # noqa: PLC0415 - only the confined child needs it

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # edfio mends with a warning what we refuse
            edf = edfio.read_edf(io.BytesIO(data))
            return _recording(edf)
    except BadFile:
        raise
    except Exception as error:  # whatever a stranger's file does to a parser
        raise BadFile(Fault.DAMAGED, "edf") from error


def _require_whole(data: bytes) -> None:
    """Judge what the header says before a library believes it."""
    try:
        signals = int(data[252:256])
        records = int(data[236:244])
        said = int(data[184:192])
        body = data[_HEADER : _HEADER * (signals + 1)]
        if not 1 <= signals <= 4 * MAX_LEADS or said != _HEADER * (signals + 1):
            raise BadFile(Fault.INCONSISTENT, "header")
        if len(body) < _HEADER * signals:
            raise BadFile(Fault.TRUNCATED, "header")
        lengths = body[216 * signals : 224 * signals]
        samples = [int(lengths[8 * at : 8 * at + 8]) for at in range(signals)]
    except ValueError as error:
        raise BadFile(
            Fault.DAMAGED if len(data) >= _HEADER else Fault.TRUNCATED, "header"
        ) from error
    if data[192:197] == b"EDF+D":
        raise BadFile(Fault.NOT_READ, "EDF+D")
    if min(samples) < 0 or sum(samples) == 0 or records < 0:
        raise BadFile(Fault.INCONSISTENT, "header")
    if records * sum(samples) > 2 * MAX_SAMPLES:
        raise BadFile(Fault.TOO_LARGE, "samples")
    whole = said + 2 * records * sum(samples)
    if records == 0:
        raise BadFile(Fault.EMPTY, "records")
    if len(data) != whole:
        raise BadFile(Fault.TRUNCATED if len(data) < whole else Fault.INCONSISTENT, "records")


def _recording(edf: Any) -> EcgRecording:
    chosen = [signal for signal in edf.signals if _is_ecg(signal)]
    if not chosen:
        raise BadFile(Fault.NO_ECG)
    if len({signal.samples_per_data_record for signal in chosen}) != 1:
        raise BadFile(Fault.NOT_READ, "rates")
    per_record = Fraction(chosen[0].samples_per_data_record)
    rate = per_record / Fraction(str(edf.data_record_duration))
    pairs = [_lead(signal) for signal in chosen]
    samples = np.column_stack([counts for _, counts in pairs])
    marks: list[Mark] = []
    for note in edf.annotations:
        at = round(Fraction(str(note.onset)) * rate)
        if at < 0:
            raise BadFile(Fault.INCONSISTENT, "annotations")
        if note.text == _ENDS and at < len(samples) and (samples[at:] == MISSING).all():
            samples = samples[:at]
        else:
            marks.append(_mark(at, note.text))
    leads = tuple(lead for lead, _ in pairs)
    return EcgRecording(float(rate), leads, samples, _started(edf), tuple(marks))


def _is_ecg(signal: Any) -> bool:
    if str(signal.physical_dimension).strip().lower() not in _PER_MV:
        return False
    label = str(signal.label).strip()
    return bool(_ECG.match(label)) or label.lower() in _LEADS


def _lead(signal: Any) -> tuple[Lead, NDArray[np.int16]]:
    per_mv = _PER_MV[str(signal.physical_dimension).strip().lower()]
    low, high = Fraction(str(signal.physical_min)), Fraction(str(signal.physical_max))
    digits = signal.digital_max - signal.digital_min
    if low == high or digits <= 0:
        raise BadFile(Fault.INCONSISTENT, "ranges")
    per_unit = Fraction(digits) / (high - low)
    zero = signal.digital_min - low * per_unit
    # The header has eight characters for a limit: a gain that is nearly a short number is it.
    gain = float(per_unit) * per_mv
    short = float(f"{gain:.6g}")
    gain = short if abs(short - gain) <= 1e-6 * abs(gain) else gain
    name = _ECG.sub("", str(signal.label).strip(), count=1).strip() or "?"
    return Lead(name, gain, round(zero)), np.asarray(signal.digital, np.int16)


def _mark(at: int, text: str) -> Mark:
    match = _MARK.fullmatch(text)
    return Mark(at, match[1], match[2]) if match else Mark(at, COMMENT, text)


def _started(edf: Any) -> datetime | None:
    fields = str(edf.local_recording_identification).split()
    if fields[:2] == ["Startdate", "X"]:
        return None
    at = datetime.combine(edf.startdate, edf.starttime)
    zones = [match for match in map(_ZONE.fullmatch, fields) if match]
    if not zones:
        return at
    minutes = int(zones[0][2]) * 60 + int(zones[0][3])
    minutes = -minutes if zones[0][1] == "-" else minutes
    return at.replace(tzinfo=timezone(timedelta(minutes=minutes)))


def write(recording: EcgRecording) -> bytes:
    """Give the recording as EDF+; nothing of a patient is in it. Raises BadFile if it cannot be."""
    import edfio  # noqa: PLC0415 - see `read`

    record_s, per_record = _record(recording.rate_hz)
    count = len(recording.samples)
    padding = -count % per_record
    samples = np.pad(recording.samples, ((0, padding), (0, 0)), constant_values=MISSING)
    rate = Fraction(per_record, record_s)
    notes = [
        edfio.EdfAnnotation(float(Fraction(mark.at) / rate), None, _note(mark))
        for mark in recording.marks
    ]
    if padding:
        notes.append(edfio.EdfAnnotation(float(count / rate), None, _ENDS))
    at = recording.started_at
    zone = () if at is None or at.utcoffset() is None else (_zone(at),)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        edf = edfio.Edf(
            [
                _signal(edfio, lead, samples[:, place], float(rate))
                for place, lead in enumerate(recording.leads)
            ],
            recording=edfio.Recording(
                startdate=None if at is None else date(at.year, at.month, at.day), additional=zone
            ),
            starttime=time() if at is None else at.timetz().replace(tzinfo=None),
            data_record_duration=record_s,
            annotations=notes,
        )
        made = io.BytesIO()
        edf.write(made)
    return made.getvalue()


def _record(rate_hz: float) -> tuple[int, int]:
    """Seconds of a record and samples in it: both whole, as the format wants them."""
    rate = Fraction(str(rate_hz))
    for seconds in _RECORD_S:
        if (rate * seconds).denominator == 1:
            return seconds, int(rate * seconds)
    raise BadFile(Fault.NOT_READ, "rate")


def _signal(edfio: Any, lead: Lead, counts: NDArray[np.int16], rate_hz: float) -> Any:
    low = (-32768 - lead.baseline) / lead.gain_per_mv
    high = (32767 - lead.baseline) / lead.gain_per_mv
    label = f"ECG {lead.name}".encode("ascii", "replace").decode()[:16]
    return edfio.EdfSignal(
        (counts.astype(np.float64) - lead.baseline) / lead.gain_per_mv,
        rate_hz,
        label=label,
        physical_dimension="mV",
        physical_range=(min(low, high), max(low, high)),
    )


def _note(mark: Mark) -> str:
    plain = mark.symbol == COMMENT and _MARK.fullmatch(mark.text) is None and mark.text
    return mark.text if plain else f"{mark.symbol}|{mark.text}"


def _zone(at: datetime) -> str:
    minutes = round((at.utcoffset() or timedelta()) / timedelta(minutes=1))
    return f"zone{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"
