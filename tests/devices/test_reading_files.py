"""Readings out of CSV files and Apple's export: every row a measurement or a reason."""

import io
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.bad_file import BadFile, Fault
from devices.fhir.bundles import bundle
from devices.fhir.observations import observation
from devices.fhir.structs import Reference
from devices.measurement import Kind, Measurement, check
from devices.reading_files import FileRow, Options, read
from devices.reading_files.csv_file import Column, guess

NOBODY = Reference(display="nobody")
KAZAN = Options(zone="Europe/Moscow")
AT = datetime(2026, 3, 1, 8, 30, tzinfo=timezone(timedelta(hours=3)))


def rows(data: bytes | str, options: Options = KAZAN) -> list[FileRow]:
    return list(read(io.BytesIO(data.encode() if isinstance(data, str) else data), options))


OMRON = """Date,Time,Systolic (mmHg),Diastolic (mmHg),Pulse (bpm),Notes
2026-03-01,08:30,128,82,66,"after coffee, sitting"
2026-03-01,08:31,,,,nothing
2026-03-01,,126,80,65,
2026-03-02,08:30,Err,80,65,
yesterday,08:30,120,80,65,
"""


def test_a_csv_of_a_cuff_gives_a_reading_or_a_reason_for_each_line() -> None:
    found = rows(OMRON)
    first = found[0].measurement
    assert first is not None
    assert (first.kind, first.unit) == (Kind.BLOOD_PRESSURE, "mmHg")
    assert first.values == {"systolic": 128, "diastolic": 82, "pulse": 66}
    assert first.taken_at == AT
    assert [(row.place, row.code, row.field) for row in found[1:]] == [
        (4, "time_missing", "taken_at"),
        (5, "number_unreadable", "values.systolic"),
        (6, "time_unreadable", "taken_at"),
    ]


def test_a_russian_spreadsheet_is_read_with_its_letters_commas_and_dates() -> None:
    text = "Дата и время;Глюкоза, ммоль/л;Температура (°C)\n01.03.2026 8:30;5,6;36,6\n"
    for coding in ("utf-8", "cp1251", "utf-16"):
        found = rows(text.encode(coding))
        assert [row.measurement and row.measurement.values for row in found] == [
            {"glucose": 5.6},
            {"temperature": 36.6},
        ]
        assert all(row.measurement and row.measurement.taken_at == AT for row in found)
        assert [row.measurement and row.measurement.unit for row in found] == ["mmol/L", "Cel"]


def test_a_unit_that_is_not_said_stays_unsaid() -> None:
    [row] = rows("timestamp,glucose\n2026-03-01T08:30:00+03:00,100\n")
    assert row.measurement is not None
    assert row.measurement.unit == ""
    [row] = rows("timestamp,heart rate\n2026-03-01 08:30:00,66\n")
    assert row.measurement is not None
    assert (row.measurement.unit, row.measurement.taken_at) == ("/min", AT)


@pytest.mark.parametrize(
    ("dates", "day_first", "expected"),
    [
        (["03/04/2026"], None, ["date_ambiguous"]),
        (["03/04/2026"], True, [datetime(2026, 4, 3, 5, 30, tzinfo=UTC)]),
        (["03/04/2026"], False, [datetime(2026, 3, 4, 5, 30, tzinfo=UTC)]),
        (["03/04/2026", "13/04/2026"], None, [datetime(2026, 4, 3, 5, 30, tzinfo=UTC), None]),
        (["03/04/2026", "04/13/2026"], None, [datetime(2026, 3, 4, 5, 30, tzinfo=UTC), None]),
        (["13/04/2026", "04/13/2026"], None, [None, None]),
        (["03/03/2026"], None, [datetime(2026, 3, 3, 5, 30, tzinfo=UTC)]),
        (["Mar 3, 2026"], None, [datetime(2026, 3, 3, 5, 30, tzinfo=UTC)]),
        (["31.02.2026"], None, ["time_unreadable"]),
    ],
)
def test_a_date_is_never_guessed(
    dates: list[str], day_first: bool | None, expected: list[object]
) -> None:
    text = "date;heart rate\n" + "".join(f"{date} 08:30;66\n" for date in dates)
    found = rows(text, Options(zone="Europe/Moscow", day_first=day_first))
    for row, wanted in zip(found, expected, strict=True):
        if isinstance(wanted, str):
            assert row.code == wanted
        else:
            assert row.measurement is not None
            assert wanted is None or row.measurement.taken_at == wanted


def test_a_comma_within_a_number_never_cuts_it_short() -> None:
    text = 'timestamp,glucose (mmol/L)\n2026-03-01 08:30,5,6\n2026-03-01 09:30,"5,6"\n'
    cut, quoted = rows(text)
    assert (cut.place, cut.code, cut.measurement) == (2, "too_many_fields", None)
    assert quoted.measurement is not None
    assert quoted.measurement.values == {"glucose": 5.6}


def test_a_header_that_only_sounds_like_a_value_is_left_alone() -> None:
    for name in (
        "Pulse pressure (mmHg)",
        "Пульсовое давление",
        "Heart rate variability (ms)",
        "Irregular pulse",
        "Target weight (kg)",
        "Целевой вес, кг",
        "Room temperature (C)",
    ):
        assert guess([name]) == [Column()]


def test_columns_may_be_said_instead_of_guessed() -> None:
    columns = [Column("time"), Column("glucose.glucose", "mg/dL"), Column()]
    text = "a,b,c\n2026-03-01 08:30,100,x\n"
    with pytest.raises(BadFile) as bad:
        rows(text)
    assert bad.value.code is Fault.NO_COLUMNS
    [row] = rows(text, Options(zone="Europe/Moscow", columns=columns))
    assert row.measurement is not None
    assert (row.measurement.unit, row.measurement.taken_at) == ("mg/dL", AT)
    for wrong in ([Column("time")], [Column("time"), Column("evil"), Column()]):
        with pytest.raises(BadFile):
            rows(text, Options(columns=wrong))


def test_headers_of_common_programs_are_understood() -> None:
    header = ["Date", "Time", "SYS", "DIA", "HR", "SpO2 %", "Weight (kg)", "BG (mg/dL)"]
    found = [(column.role, column.unit) for column in guess(header)]
    assert found == [
        ("date", ""),
        ("clock", ""),
        ("blood_pressure.systolic", ""),
        ("blood_pressure.diastolic", ""),
        ("blood_pressure.pulse", "/min"),
        ("spo2.spo2", "%"),
        ("weight.weight", "kg"),
        ("", ""),
    ]


def test_the_same_file_again_gives_the_same_numbers_and_another_reading_another() -> None:
    text = "timestamp,heart rate\n2026-03-01 08:30,66\n2026-03-01 08:30,67\n"
    numbers = [row.measurement.sequence for row in rows(text) if row.measurement]
    again = [row.measurement.sequence for row in rows(text) if row.measurement]
    assert numbers == again
    assert len(set(numbers)) == 2


EXPORT = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE HealthData [
<!ELEMENT HealthData (Record*)>
<!ATTLIST Record type CDATA #REQUIRED>
]>
<HealthData locale="ru_RU">
 <Record type="HKQuantityTypeIdentifierHeartRate" unit="count/min" {at} value="66"/>
 <Record type="HKQuantityTypeIdentifierOxygenSaturation" unit="%" {at} value="0.97"/>
 <Record type="HKQuantityTypeIdentifierBloodGlucose" unit="mmol&lt;180.1558800000541&gt;/L" {at}
  value="5.6"><MetadataEntry key="HKWasUserEntered" value="1"/></Record>
 <Record type="HKQuantityTypeIdentifierBodyTemperature" unit="degF" {at} value="98.6"/>
 <Record type="HKQuantityTypeIdentifierBodyMass" unit="kg" {at} value="70.5"/>
 <Record type="HKQuantityTypeIdentifierStepCount" unit="count" {at} value="12"/>
 <Record type="HKQuantityTypeIdentifierStepCount" unit="count" {at} value="13"/>
 <Correlation type="HKCorrelationTypeIdentifierBloodPressure" {at}>
  <Record type="HKQuantityTypeIdentifierBloodPressureDiastolic" unit="mmHg" {at} value="82"/>
  <Record type="HKQuantityTypeIdentifierBloodPressureSystolic" unit="mmHg" {at} value="128"/>
 </Correlation>
 <Correlation type="HKCorrelationTypeIdentifierBloodPressure" {at}>
  <Record type="HKQuantityTypeIdentifierBloodPressureSystolic" unit="mmHg" {at} value="128"/>
 </Correlation>
 <Record type="HKQuantityTypeIdentifierBloodPressureSystolic" unit="mmHg" {at} value="128"/>
 <Record type="HKQuantityTypeIdentifierHeartRate" unit="count/min" startDate="now" value="66"/>
 <Record type="HKQuantityTypeIdentifierHeartRate" unit="count/min" {at} value="fast"/>
</HealthData>
""".replace("{at}", 'startDate="2026-03-01 08:30:00 +0300"')


def test_apples_export_gives_readings_pairs_and_a_count_of_the_rest() -> None:
    found = rows(EXPORT)
    read_ = [row.measurement for row in found if row.measurement]
    assert all(one.taken_at == AT for one in read_)
    assert [(one.kind, one.values, one.unit) for one in read_] == [
        (Kind.HEART_RATE, {"rate": 66}, "/min"),
        (Kind.SPO2, {"spo2": 97}, "%"),
        (Kind.GLUCOSE, {"glucose": 5.6}, "mmol/L"),
        (Kind.TEMPERATURE, {"temperature": 98.6}, "[degF]"),
        (Kind.WEIGHT, {"weight": 70.5}, "kg"),
        (Kind.BLOOD_PRESSURE, {"systolic": 128, "diastolic": 82}, "mmHg"),
    ]
    assert [(row.code, row.params.get("count")) for row in found if row.code] == [
        ("pair_missing", None),
        ("time_unreadable", None),
        ("number_unreadable", None),
        ("kind_unknown", 2),
    ]


def test_pressures_of_apples_outside_of_pairs_are_counted_unless_they_are_those_of_a_pair() -> None:
    lone = EXPORT.split(" <Record")[0] + "".join(
        f'<Record type="HKQuantityTypeIdentifierBloodPressure{name}" unit="mmHg" value="{value}"/>'
        for name, value in (("Systolic", 128), ("Systolic", 131), ("Diastolic", 82))
    )
    pair = EXPORT[EXPORT.index(" <Correlation") : EXPORT.index("</Correlation>")]
    for more, told in (
        ("", [("pair_missing", 3)]),
        (f"{pair}</Correlation>", [("pair_missing", 1)]),
    ):
        found = rows(f"{lone}{more}</HealthData>")
        assert [(row.code, row.params.get("count")) for row in found if row.code] == told


def zipped(parts: dict[str, str]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return made.getvalue()


def test_the_archive_a_telephone_makes_is_read_as_it_is() -> None:
    parts = {
        "apple_health_export/экспорт.xml": EXPORT,
        "apple_health_export/export_cda.xml": "<x/>",
    }
    assert rows(zipped(parts)) == rows(EXPORT)


def test_a_fhir_bundle_gives_a_reading_or_a_reason_for_each_observation() -> None:
    one = check(
        Measurement(
            kind=Kind.HEART_RATE, sequence=1, taken_at=AT, values={"rate": 66.0}, unit="/min"
        ),
        AT,
    )
    made = msgspec.json.decode(
        bundle([observation(one, subject=NOBODY), observation(one, subject=NOBODY)])
    )
    del made["entry"][1]["resource"]["effectiveDateTime"]
    made["entry"].append({"resource": {"resourceType": "Patient", "id": "x"}})
    found = rows(msgspec.json.encode(made))
    first = found[0].measurement
    assert first is not None
    assert (first.kind, first.values, first.taken_at) == (Kind.HEART_RATE, {"rate": 66}, AT)
    assert first.sequence > 1
    assert [(row.place, bool(row.code)) for row in found] == [(1, False), (2, True), (0, True)]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", Fault.EMPTY),
        (b"{", Fault.DAMAGED),
        (b'{"resourceType": "Patient"}', Fault.UNKNOWN_FORMAT),
        (b'{"resourceType": "Bundle", "type": "collection"}', Fault.NO_READINGS),
        (b"\x7fELF\0\0", Fault.UNKNOWN_FORMAT),
        (b"timestamp,heart rate\n", Fault.NO_READINGS),
        (b'timestamp,"heart rate\n2026-03-01 08:30,66\n', Fault.DAMAGED),
        (b"heart rate,x\n66,1\n", Fault.NO_COLUMNS),
        (b"a," * 200 + b"\n1\n", Fault.TOO_LARGE),
        (b"timestamp,heart rate\n2026," + b"6" * 5000 + b"\n", Fault.TOO_LARGE),
        (b"timestamp,heart rate\n" + b"2026-03-01 08:30,66\n" * 900_000, Fault.TOO_LARGE),
        (EXPORT[:-20].encode(), Fault.TRUNCATED),
        (EXPORT.replace("<!ELEMENT", '<!ENTITY a "b"><!ELEMENT').encode(), Fault.NOT_READ),
        (b"<html></html>", Fault.UNKNOWN_FORMAT),
        (zipped({"x.txt": "x"}), Fault.UNKNOWN_FORMAT),
        (zipped({"export.xml": EXPORT})[:-40], Fault.DAMAGED),
    ],
)
def test_a_file_that_cannot_be_read_has_a_clear_code(data: bytes, code: Fault) -> None:
    with pytest.raises(BadFile) as bad:
        rows(data)
    assert bad.value.code is code


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.text(max_size=300).map(str.encode), st.binary(max_size=300)))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    heads = (b"", b"timestamp,heart rate (bpm),sys (mmHg),dia (mmHg)\n2026-03-01 08:30,")
    for head in heads:
        try:
            found = rows(head + data)
        except BadFile:
            continue
        assert all(bool(row.measurement) is not bool(row.code) for row in found)


def test_an_export_is_read_in_pieces_and_never_held_whole() -> None:
    taken = []

    class Stream(io.RawIOBase):
        """A mebibyte a time of records, ten of them."""

        def __init__(self) -> None:
            self._pieces = self._made()

        def _made(self) -> Iterator[bytes]:
            head, _, _ = EXPORT.partition(" <Record")
            yield head.encode()
            line = EXPORT.splitlines()[6].encode()
            for _ in range(20):
                yield line * 400
            yield b"</HealthData>"

        def seek(self, *_: int) -> int:
            return 0

        def read(self, size: int = -1) -> bytes:
            if size == 4096:
                return EXPORT[:4096].encode()
            return next(self._pieces, b"")

    most = 0
    for count, row in enumerate(read(Stream(), KAZAN)):  # type: ignore[arg-type]
        taken.append(row.place)
        most = max(most, count)
    assert most + 1 == 8000


def test_hi_and_lo_in_a_file_are_readings_without_a_number() -> None:
    """Of a value that stands alone; a pressure of words is none."""
    found = rows(
        "timestamp,glucose (mg/dL)\n2026-03-01 08:30,HI\n2026-03-01 08:40,low\n2026-03-01 08:30,Err\n"
    )
    said = [row.measurement for row in found[:2]]
    assert [one and (one.values, one.flags, one.unit) for one in said] == [
        ({}, ("above_scale",), "mg/dL"),
        ({}, ("below_scale",), "mg/dL"),
    ]
    assert all(one and check(one, AT).values == {} for one in said)
    assert found[2].code == "number_unreadable"
    [row] = rows("timestamp,systolic (mmHg),diastolic\n2026-03-01 08:30,HI,80\n")
    assert row.code == "number_unreadable"


def test_an_hour_that_came_twice_has_a_reason_and_its_neighbours_have_none() -> None:
    """In Berlin, on 25 October 2026 from two to three; in spring that hour never came."""
    days = ["2026-10-25 01:59", "2026-10-25 02:30", "2026-10-25 03:00", "2026-03-29 02:30"]
    days.append("2026-10-25T02:30:00+01:00")
    text = "timestamp,heart rate\n" + "".join(f"{day},{60 + at}\n" for at, day in enumerate(days))
    found = rows(text, Options(zone="Europe/Berlin"))
    assert [row.code for row in found] == ["", "hour_twice", "", "time_unreadable", ""]
