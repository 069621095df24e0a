"""The CSV that Apple's health export holds for each ECG: some lines of words, then microvolts.

The words are in the language of the telephone and so is the decimal sign; a line is a sample once
it is nothing but a number. The rate is the line with hertz in it, in any of the ways it is spelt.
"""

import re
from datetime import datetime
from typing import Final

import numpy as np

from devices.ecg_files.model import (
    MAX_SAMPLES,
    BadFile,
    EcgRecording,
    Fault,
    from_millivolts,
)

_HERTZ = re.compile(r",\"?\s*(\d+(?:[.,]\d+)?)\s*(?:hz|hertz|герц\w*|гц)\"?\s*$", re.IGNORECASE)
_AT = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4})")
_NUMBER = re.compile(r"-?\d{1,7}(?:[.,]\d{1,6})?")
_LEAD = re.compile(r"(?:lead|отведение|тармак)\s+(I{1,3}|aV[RLF]|V[1-6])\b", re.IGNORECASE)
_UNIT = re.compile(r",\"?\s*(µV|μV|uV|mV|мкВ|мВ)\"?\s*$", re.IGNORECASE)
_PER_MV: Final = {"µv": 1000.0, "μv": 1000.0, "uv": 1000.0, "мкв": 1000.0, "mv": 1.0, "мв": 1.0}
_HEAD_LINES: Final = 40


def looks_so(text: bytes) -> bool:
    """Words and a rate in hertz within the first lines."""
    lines = text.decode("utf-8", "replace").splitlines()[:_HEAD_LINES]
    return any(_HERTZ.search(line) for line in lines) and any(_UNIT.search(line) for line in lines)


def read(data: bytes) -> EcgRecording:
    """Read a file. Raises BadFile."""
    try:
        lines = data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise BadFile(Fault.NOT_TEXT) from error
    lines = [line.strip() for line in lines]
    numbers = (at for at, line in enumerate(lines) if _NUMBER.fullmatch(line.strip('"')))
    begins = next(numbers, None)
    if begins is None:
        raise BadFile(Fault.TRUNCATED, "samples")
    head = lines[:begins]
    if len(lines) - begins > MAX_SAMPLES:
        raise BadFile(Fault.TOO_LARGE, "samples")
    values = []
    for at, line in enumerate(lines[begins:], begins + 1):
        shown = line.strip('"')
        if not shown:
            continue
        if not _NUMBER.fullmatch(shown):
            raise BadFile(Fault.DAMAGED, f"line {at}")
        values.append(float(shown.replace(",", ".")))
    units = [match[1].lower() for match in map(_UNIT.search, head) if match]
    rates = [match[1] for match in map(_HERTZ.search, head) if match]
    names = [match[1] for line in head for match in [_LEAD.search(line)] if match]
    if not units or not rates:
        raise BadFile(Fault.TRUNCATED, "header")
    lead, samples = from_millivolts(
        names[0] if names else "I", np.array(values) / _PER_MV[units[0]]
    )
    return EcgRecording(
        float(rates[0].replace(",", ".")), (lead,), samples[:, None], _started(head)
    )


def _started(head: list[str]) -> datetime | None:
    found = [match[1] for match in map(_AT.search, head) if match]
    try:
        return datetime.strptime(found[0], "%Y-%m-%d %H:%M:%S %z") if found else None
    except ValueError as error:
        raise BadFile(Fault.DAMAGED, "date") from error
