"""Apple's export.xml, streamed: records of the kinds we know, pressures from their pairs.

A pressure is a Correlation with a record of each of its two numbers; the same records come again
outside of it, and are passed over there. Those that come only outside have no other number, and are
counted. What is of other kinds is counted, a row a kind.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from devices import safe_xml
from devices.bad_file import BadFile, Fault
from devices.measurement import Kind
from devices.reading_files.rows import (
    KIND_UNKNOWN,
    NUMBER_UNREADABLE,
    PAIR_MISSING,
    TIME_MISSING,
    TIME_UNREADABLE,
    FileRow,
    measured,
    refused,
)
from devices.safe_xml import Source

_QUANTITY: Final = "HKQuantityTypeIdentifier"
_PRESSURE: Final = "HKCorrelationTypeIdentifierBloodPressure"
_SYSTOLIC, _DIASTOLIC = f"{_QUANTITY}BloodPressureSystolic", f"{_QUANTITY}BloodPressureDiastolic"
_KINDS: Final = {
    f"{_QUANTITY}{name}": (kind, quantity)
    for name, kind, quantity in (
        ("HeartRate", Kind.HEART_RATE, "rate"),
        ("OxygenSaturation", Kind.SPO2, "spo2"),
        ("BodyTemperature", Kind.TEMPERATURE, "temperature"),
        ("BloodGlucose", Kind.GLUCOSE, "glucose"),
        ("BodyMass", Kind.WEIGHT, "weight"),
    )
}
_UNITS: Final = {
    "count/min": "/min",
    "%": "%",
    "degC": "Cel",
    "degF": "[degF]",
    "mg/dL": "mg/dL",
    "mmHg": "mmHg",
    "kPa": "kPa",
    "kg": "kg",
    "lb": "[lb_av]",
}
_MOL = re.compile(r"mmol(<[\d.]+>)?/L")
_MOST_KINDS: Final = 200
_LONGEST_NAME: Final = 100


def read(data: Source) -> Iterator[FileRow]:
    """Give the rows of an export. Raises BadFile."""
    found = _Reader()
    for _ in safe_xml.pieces(data, found):
        yield from found.rows
        found.rows.clear()
    yield from found.rows
    if not found.ours:
        raise BadFile(Fault.UNKNOWN_FORMAT, "HealthData")
    alone = sum(max(0, count) for count in found.alone.values())
    if alone:
        yield refused(0, PAIR_MISSING, "values", count=alone)
    for name, count in found.others.items():
        yield refused(0, KIND_UNKNOWN, "type", type=name, count=count)


class _Reader:
    def __init__(self) -> None:
        self.rows: list[FileRow] = []
        self.others: dict[str, int] = {}
        self.ours = False
        # Numbers of pressures outside of pairs, less those inside.
        self.alone = {_SYSTOLIC: 0, _DIASTOLIC: 0}
        self._place = 0
        self._pair: dict[str, dict[str, str]] | None = None
        self._pair_at = ""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "Record":
            self._record(attributes.get("type", ""), attributes)
        elif name == "Correlation" and attributes.get("type") == _PRESSURE:
            self._pair, self._pair_at = {}, attributes.get("startDate", "")
        elif name == "HealthData":
            self.ours = True

    def end(self, name: str) -> None:
        if name == "Correlation" and self._pair is not None:
            self._place += 1
            self.rows.append(self._pressure(self._pair))
            self._pair = None

    def text(self, piece: str) -> None:
        """Nothing that is read is text."""

    def _record(self, kind: str, attributes: dict[str, str]) -> None:
        if kind in self.alone:
            self.alone[kind] += 1 if self._pair is None else -1
            if self._pair is not None:
                self._pair[kind] = attributes
            return
        if kind in _KINDS:
            self._place += 1
            self.rows.append(self._reading(kind, attributes))
            return
        name = kind.removeprefix(_QUANTITY)[:_LONGEST_NAME]
        if name not in self.others and len(self.others) >= _MOST_KINDS:
            name = ""
        self.others[name] = self.others.get(name, 0) + 1

    def _reading(self, record: str, attributes: dict[str, str]) -> FileRow:
        kind, quantity = _KINDS[record]
        at = _time(attributes.get("startDate", ""))
        value = _number(attributes.get("value", ""))
        if at is None:
            code = TIME_UNREADABLE if attributes.get("startDate") else TIME_MISSING
            return refused(self._place, code, "taken_at")
        if value is None:
            return refused(self._place, NUMBER_UNREADABLE, f"values.{quantity}")
        unit = _unit(attributes.get("unit", ""))
        if unit == "%" and value <= 1:
            value = round(value * 100, 6)  # the export's percent are parts of one
        return measured(self._place, kind, at, {quantity: value}, unit)

    def _pressure(self, pair: dict[str, dict[str, str]]) -> FileRow:
        at = _time(self._pair_at)
        if at is None:
            return refused(self._place, TIME_UNREADABLE, "taken_at")
        values: dict[str, float] = {}
        units = set()
        for record, quantity in ((_SYSTOLIC, "systolic"), (_DIASTOLIC, "diastolic")):
            if record not in pair:
                return refused(self._place, PAIR_MISSING, f"values.{quantity}")
            value = _number(pair[record].get("value", ""))
            if value is None:
                return refused(self._place, NUMBER_UNREADABLE, f"values.{quantity}")
            values[quantity] = value
            units.add(_unit(pair[record].get("unit", "")))
        unit = units.pop() if len(units) == 1 else ""
        return measured(self._place, Kind.BLOOD_PRESSURE, at, values, unit)


def _time(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y-%m-%d %H:%M:%S %z")
    except ValueError:
        return None


def _number(text: str) -> float | None:
    try:
        return None if "_" in text else float(text)
    except ValueError:
        return None


def _unit(sent: str) -> str:
    """The unit as UCUM writes it; one that is not known stays as it is, and is refused as such."""
    return _UNITS.get(sent) or ("mmol/L" if _MOL.fullmatch(sent) else sent[:16])
