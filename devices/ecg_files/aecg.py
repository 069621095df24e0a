"""HL7 annotated ECG: the first sequence set of the first series, streamed.

    sequenceSet/component/sequence: code, value; TIME_ABSOLUTE or TIME_RELATIVE with head and
    increment, then a sequence a lead with origin, scale and digits

Annotations and derived series (an average beat) are not read.
"""

import io
import re
import warnings
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from devices import safe_xml
from devices.ecg_files.model import (
    MAX_LEADS,
    BadFile,
    EcgRecording,
    Fault,
    Lead,
    from_counts,
    from_millivolts,
)

_PER_MV: Final = {"mv": 1.0, "uv": 1000.0, "nv": 1e6, "v": 0.001}
_SECONDS: Final = {"s": 1.0, "ms": 1e-3, "us": 1e-6}
_LEAD: Final = "MDC_ECG_LEAD_"
_NAMES: Final = {"AVR": "aVR", "AVL": "aVL", "AVF": "aVF"}
_AT = re.compile(r"(\d{8})(\d{6})(\.\d{1,6})?([+-]\d{4})?")


@dataclass
class _Sequence:
    code: str = ""
    head: str = ""
    step: tuple[str, str] = ("", "")
    origin: tuple[str, str] = ("0", "")
    scale: tuple[str, str] = ("", "")
    digits: list[str] = field(default_factory=list)


class _Reader:
    def __init__(self) -> None:
        self.path: list[str] = []
        self.sets = 0
        self.done: list[_Sequence] = []
        self.low = ""
        self._now: _Sequence | None = None

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.path.append(name)
        if "derivation" in self.path:
            return
        value, unit = attributes.get("value", ""), attributes.get("unit", "")
        if name == "sequenceSet":
            self.sets += 1
        elif name == "sequence" and self.sets == 1:
            self._now = _Sequence()
        elif name == "low" and self.path[-3:-1] == ["series", "effectiveTime"]:
            self.low = self.low or value
        elif self._now is not None:
            self._part(self._now, name, attributes.get("code", ""), (value, unit))

    def _part(self, now: _Sequence, name: str, code: str, value: tuple[str, str]) -> None:
        if name == "code" and self.path[-2] == "sequence":
            now.code = code
        elif name == "head":
            now.head = value[0]
        elif name == "increment":
            now.step = value
        elif name == "origin":
            now.origin = value
        elif name == "scale":
            now.scale = value

    def text(self, piece: str) -> None:
        if self._now is not None and self.path[-1] == "digits":
            self._now.digits.append(piece)

    def end(self, name: str) -> None:
        self.path.pop()
        if name == "sequence" and self._now is not None:
            self.done.append(self._now)
            self._now = None
            if len(self.done) > MAX_LEADS + 1:
                raise BadFile(Fault.TOO_LARGE, "leads")


def read(data: bytes) -> EcgRecording:
    """Read a document. Raises BadFile."""
    found = _Reader()
    safe_xml.parse(io.BytesIO(data), found)
    if found.sets > 1:
        raise BadFile(Fault.NOT_READ, "leads one after another")
    times = [one for one in found.done if one.code.startswith("TIME_")]
    leads = [one for one in found.done if one.code.startswith(_LEAD)]
    if not leads:
        raise BadFile(Fault.NO_ECG)
    if len(times) != 1:
        raise BadFile(Fault.INCONSISTENT, "time")
    pairs = [_lead(one) for one in leads]
    if len({len(samples) for _, samples in pairs}) != 1:
        raise BadFile(Fault.INCONSISTENT, "leads")
    step = _number(times[0].step[0], "increment") * _unit(_SECONDS, times[0].step[1], "increment")
    if not step > 0:
        raise BadFile(Fault.INCONSISTENT, "increment")
    head = times[0].head if times[0].code == "TIME_ABSOLUTE" else found.low
    return EcgRecording(
        round(1 / step, 9),
        tuple(lead for lead, _ in pairs),
        np.column_stack([samples for _, samples in pairs]),
        _started(head),
    )


def _lead(one: _Sequence) -> tuple[Lead, NDArray[np.int16]]:
    name = one.code.removeprefix(_LEAD)
    scale = _number(one.scale[0], "scale") / _unit(_PER_MV, one.scale[1], "scale")
    origin = _number(one.origin[0] or "0", "origin")
    origin /= _unit(_PER_MV, one.origin[1] or one.scale[1], "origin")
    if scale == 0:
        raise BadFile(Fault.INCONSISTENT, "scale")
    text = "".join(one.digits)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # NumPy stops at what is no number, with a warning
            digits = np.fromstring(text, np.float64, sep=" ")
    except (ValueError, DeprecationWarning) as error:
        raise BadFile(Fault.DAMAGED, "digits") from error
    if len(digits) == 0 or not np.isfinite(digits).all() or np.abs(digits).max() >= 1 << 40:
        raise BadFile(Fault.DAMAGED, "digits")
    shown = _NAMES.get(name, name)[:16]
    whole = digits.astype(np.int64)
    if (whole == digits).all() and (origin / scale).is_integer():
        return from_counts(shown, whole, 1 / scale, -int(origin / scale))
    return from_millivolts(shown, origin + scale * digits)


def _number(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError as error:
        raise BadFile(Fault.DAMAGED, where) from error
    if not np.isfinite(value) or abs(value) > 1e12:  # noqa: PLR2004 - no such scale
        raise BadFile(Fault.DAMAGED, where)
    return value


def _unit(known: dict[str, float], unit: str, where: str) -> float:
    if unit.lower() not in known:
        raise BadFile(Fault.NO_ECG, where)
    return known[unit.lower()]


def _started(head: str) -> datetime | None:
    match = _AT.fullmatch(head.strip())
    if match is None:  # a day alone is no moment
        return None
    text = match[1] + match[2] + (match[3] or ".0") + (match[4] or "")
    try:
        return datetime.strptime(text, "%Y%m%d%H%M%S.%f" + ("%z" if match[4] else ""))  # noqa: DTZ007
    except ValueError as error:
        raise BadFile(Fault.DAMAGED, "time") from error
