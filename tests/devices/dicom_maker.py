"""A twelve-lead-like DICOM waveform of two channels, written by pydicom."""

import io

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian


def dicom(
    samples: NDArray[np.int16],
    names: tuple[str, ...] = ("Lead I", "Lead II"),
    *,
    unit: str = "uV",
    said: int | None = None,
    syntax: str = "",
) -> bytes:
    """A file at 500 Hz, 2.5 uV a step."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.9.1.1"
    meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    found = FileDataset("", Dataset(), file_meta=meta, preamble=bytes(128))
    found.SOPClassUID = meta.MediaStorageSOPClassUID
    found.SOPInstanceUID = "1.2.3.4"
    found.PatientName = "Somebody"
    found.AcquisitionDateTime = "20260301083000.250000+0300"
    group = Dataset()
    group.SamplingFrequency = "500"
    group.NumberOfWaveformChannels = samples.shape[1]
    group.NumberOfWaveformSamples = samples.shape[0] if said is None else said
    group.WaveformOriginality = "ORIGINAL"
    group.WaveformBitsAllocated = 16
    group.WaveformSampleInterpretation = "SS"
    group.ChannelDefinitionSequence = Sequence([_channel(name, unit) for name in names])
    group.WaveformData = samples.astype("<i2").tobytes()
    found.WaveformSequence = Sequence([group])
    made = io.BytesIO()
    found.save_as(made, enforce_file_format=True)
    if syntax:  # only said to be so
        plain = ExplicitVRLittleEndian.encode().ljust(20, b"\0")
        return made.getvalue().replace(plain, syntax.encode().ljust(20, b"\0"), 1)
    return made.getvalue()


def _channel(name: str, code: str) -> Dataset:
    source, unit, channel = Dataset(), Dataset(), Dataset()
    source.CodeValue, source.CodingSchemeDesignator, source.CodeMeaning = "2:1", "MDC", name
    unit.CodeValue, unit.CodingSchemeDesignator, unit.CodeMeaning = code, "UCUM", code
    channel.ChannelSourceSequence = Sequence([source])
    channel.ChannelSensitivity = "2.5"
    channel.ChannelSensitivityUnitsSequence = Sequence([unit])
    channel.ChannelSensitivityCorrectionFactor = "1"
    channel.ChannelBaseline = "0"
    channel.WaveformBitsStored = 16
    return channel
