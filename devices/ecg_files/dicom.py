"""DICOM waveforms, by pydicom: the longest multiplex group that holds voltages.

A compressed data set is refused before it is opened: a few bytes of it may unpack to gigabytes.
"""

import io
import re
import warnings
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from devices.ecg_files.model import (
    MAX_LEADS,
    MAX_SAMPLES,
    MISSING,
    BadFile,
    EcgRecording,
    Fault,
    Lead,
    from_counts,
)

_DEFLATED: Final = b"1.2.840.10008.1.2.1.99"
_KINDS: Final = {"SS": "<i2", "US": "<u2", "SB": "i1", "UB": "u1", "SL": "<i4", "UL": "<u4"}
_PER_MV: Final = {"mv": 1.0, "uv": 1000.0, "nv": 1e6, "v": 0.001}
_NAME = re.compile(r"\b(III|II|I|aV[RLF]|V[1-9]R?)\b", re.IGNORECASE)
_AT = re.compile(r"(\d{8})(\d{6})(\.\d{1,6})?([+-]\d{4})?")


def read(data: bytes) -> EcgRecording:
    """Read a file. Raises BadFile."""
    # Wherever it stands: what says where the header ends may lie too.
    if _DEFLATED in data:
        raise BadFile(Fault.NOT_READ, "deflated")
    import pydicom  # noqa: PLC0415 - only the confined child needs it

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _recording(pydicom.dcmread(io.BytesIO(data)))
    except BadFile:
        raise
    except (Exception, RecursionError) as error:  # whatever a stranger's file does to a parser
        raise BadFile(Fault.DAMAGED, "dicom") from error


def _recording(found: Any) -> EcgRecording:
    groups = [group for group in found.get("WaveformSequence", []) or [] if _voltages(group)]
    if not groups:
        raise BadFile(Fault.NO_ECG)
    group = max(groups, key=lambda one: int(one.NumberOfWaveformSamples))
    raw = _samples(group, found.is_little_endian)
    gone = _padding(group, raw.dtype)
    leads, columns = [], []
    for place, channel in enumerate(group.ChannelDefinitionSequence):
        column = raw[:, place].astype(np.int64)
        missing = column == gone if gone is not None else np.zeros(len(column), bool)
        there = column[~missing]
        column[missing] = there[0] if len(there) else 0
        lead, samples = _lead(channel, column)
        samples[missing] = MISSING
        leads.append(lead)
        columns.append(samples)
    return EcgRecording(
        float(group.SamplingFrequency),
        tuple(leads),
        np.column_stack(columns),
        _started(found, float(group.get("MultiplexGroupTimeOffset", 0) or 0)),
    )


def _voltages(group: Any) -> bool:
    return all(
        _unit(channel) in _PER_MV for channel in group.get("ChannelDefinitionSequence", []) or []
    ) and bool(group.get("ChannelDefinitionSequence"))


def _unit(channel: Any) -> str:
    units = channel.get("ChannelSensitivityUnitsSequence", []) or []
    return str(units[0].get("CodeValue", "")).lower() if units else ""


def _samples(group: Any, little: bool) -> NDArray[Any]:
    kind = _KINDS.get(str(group.WaveformSampleInterpretation))
    count, channels = int(group.NumberOfWaveformSamples), int(group.NumberOfWaveformChannels)
    if kind is None:
        raise BadFile(Fault.NOT_READ, "samples")
    if not 1 <= channels <= MAX_LEADS or not 1 <= count * channels <= MAX_SAMPLES:
        raise BadFile(
            Fault.TOO_LARGE if count * channels > MAX_SAMPLES else Fault.INCONSISTENT, "samples"
        )
    if channels != len(group.ChannelDefinitionSequence):
        raise BadFile(Fault.INCONSISTENT, "channels")
    dtype = np.dtype(kind if little else kind.replace("<", ">"))
    data = bytes(group.WaveformData)
    if len(data) < count * channels * dtype.itemsize:
        raise BadFile(Fault.TRUNCATED, "samples")
    return np.frombuffer(data, dtype, count * channels).reshape(count, channels)


def _padding(group: Any, dtype: np.dtype[Any]) -> int | None:
    value = group.get("WaveformPaddingValue", None)
    if value is None:
        return None
    if isinstance(value, bytes):
        return int(np.frombuffer(value[: dtype.itemsize], dtype)[0]) if value else None
    return int(value)


def _lead(channel: Any, column: NDArray[np.int64]) -> tuple[Lead, NDArray[np.int16]]:
    step = float(channel.ChannelSensitivity)
    step *= float(channel.get("ChannelSensitivityCorrectionFactor", 1) or 1)
    per_mv = _PER_MV[_unit(channel)]
    zero = float(channel.get("ChannelBaseline", 0) or 0)
    if step == 0 or not np.isfinite(step) or not np.isfinite(zero):
        raise BadFile(Fault.INCONSISTENT, "sensitivity")
    sources = channel.get("ChannelSourceSequence", []) or []
    meaning = str(sources[0].get("CodeMeaning", "")) if sources else ""
    match = _NAME.search(meaning)
    name = match[1] if match else meaning[:16] or "?"
    return from_counts(name, column, per_mv / step, -round(zero / step))


def _started(found: Any, offset_ms: float) -> datetime | None:
    text = str(found.get("AcquisitionDateTime", "") or "").strip()
    match = _AT.fullmatch(text)
    if match is None:
        return None
    zone = match[4] or str(found.get("TimezoneOffsetFromUTC", "") or "").strip()
    form = "%Y%m%d%H%M%S.%f" + ("%z" if zone else "")
    at = datetime.strptime(match[1] + match[2] + (match[3] or ".0") + zone, form)  # noqa: DTZ007
    return at + timedelta(milliseconds=offset_ms)
