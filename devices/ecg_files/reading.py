"""Which format a file is in, and the one door through which all of them are read."""

from collections.abc import Callable
from enum import StrEnum
from importlib import import_module
from typing import BinaryIO, Final

from devices.ecg_files.model import MAX_BYTES, BadFile, EcgRecording, Fault

_HEAD: Final = 4096


class Format(StrEnum):
    """What is read, each by the module of this package that is named so."""

    WFDB = "wfdb"
    EDF = "edf"
    DICOM = "dicom"
    AECG = "aecg"
    SCP = "scp"
    ATC = "atc"
    APPLE = "apple"


def format_of(head: bytes) -> Format | None:
    """The format by the first bytes; None for what is no ECG file of ours."""
    text = head.lstrip(b"\xef\xbb\xbf \r\n\t")
    found: Format | None = None
    if head.startswith(b"PK\x03\x04"):
        found = Format.WFDB  # header, samples and marks in one archive
    elif head.startswith(b"0       "):
        found = Format.EDF
    elif head[128:132] == b"DICM":
        found = Format.DICOM
    elif head.startswith(b"ALIVE"):
        found = Format.ATC
    elif head[16:22] == b"SCPECG":
        found = Format.SCP
    elif text.startswith(b"<") and b"AnnotatedECG" in head:
        found = Format.AECG
    elif _apple(text):
        found = Format.APPLE
    return found


def _apple(text: bytes) -> bool:
    """Apple writes names of things in the language of the phone, the rate always with Hz in it."""
    from devices.ecg_files.apple import looks_so  # noqa: PLC0415 - beside its own words

    return looks_so(text)


def read(data: BinaryIO, name: str = "") -> EcgRecording:  # noqa: ARG001 - the name proves nothing
    """Read a recording. Raises BadFile, and nothing else for whatever the bytes are."""
    whole = data.read(MAX_BYTES + 1)
    if not whole:
        raise BadFile(Fault.EMPTY)
    if len(whole) > MAX_BYTES:
        raise BadFile(Fault.TOO_LARGE, "bytes")
    form = format_of(whole[:_HEAD])
    if form is None:
        raise BadFile(Fault.UNKNOWN_FORMAT)
    reader: Callable[[bytes], EcgRecording] = import_module(f"devices.ecg_files.{form}").read
    return reader(whole)
