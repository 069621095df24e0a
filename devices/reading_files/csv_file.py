"""CSV by its header: what each column holds is guessed from its words, and may be said instead.

A unit is never guessed: it stands in the header, or who hands the file in says it; only a quantity
that is measured in one unit alone needs none. Nor is 03/04 guessed: such dates are read when the
file itself has a day above twelve, or when it is said which number is the day.
"""

import csv
import io
import re
from collections.abc import Iterator
from datetime import datetime, tzinfo
from typing import Annotated, Final

import msgspec

from devices.bad_file import BadFile, Fault
from devices.measurement import KINDS, DeviceFlag, Kind
from devices.reading_files.rows import (
    DATE_AMBIGUOUS,
    HOUR_TWICE,
    NUMBER_UNREADABLE,
    TIME_MISSING,
    TIME_UNREADABLE,
    TOO_MANY_FIELDS,
    FileRow,
    measured,
    refused,
)

TIME, DATE, CLOCK = "time", "date", "clock"
MAX_ROWS: Final = 200_000
MAX_COLUMNS: Final = 100
_LONGEST_FIELD: Final = 4000
_NUMBER = re.compile(r"[+-]?\d{1,9}(?:[.,]\d{1,9})?")
# What meters write into their files beyond the ends of their scale.
_WORDS_BEYOND: Final = {
    "HI": DeviceFlag.ABOVE_SCALE,
    "HIGH": DeviceFlag.ABOVE_SCALE,
    "LO": DeviceFlag.BELOW_SCALE,
    "LOW": DeviceFlag.BELOW_SCALE,
}
_ROLES: Final = frozenset(
    {"", TIME, DATE, CLOCK}
    | {f"{kind}.{one.name}" for kind, row in KINDS.items() for one in row.quantities}
)
# Words of headers in three languages; the first row that fits is taken, so the narrow ones lead.
_WORDS: Final = tuple(
    (re.compile(words, re.IGNORECASE), role)
    for words, role in (
        (r"time ?stamp|date ?[/&_-]? ?time|date and time|дата и время|дата һәм вакыт", TIME),
        (r"taken|measured at|recorded|измерено", TIME),
        (r"^date\b|\bdate$|^дата\b|^көн\b", DATE),
        (r"^time\b|\btime$|^время\b|^вакыт\b", CLOCK),
        (r"systol|\bsys\b|\bsbp\b|систол|верхн|югары", "blood_pressure.systolic"),
        (r"diastol|\bdia\b|\bdbp\b|диастол|нижн|түбән", "blood_pressure.diastolic"),
        (r"pulse|heart ?rate|\bhr\b|пульс|чсс|тамыр", "heart_rate.rate"),
        (r"sensor glucose|\bcgm\b|interstitial", "cgm_glucose.glucose"),
        (r"glucose|blood sugar|глюкоз|сахар|шикәр", "glucose.glucose"),
        (r"\bhdl\b|лпвп", "cholesterol_hdl.hdl"),
        (r"\bldl\b|лпнп", "cholesterol_ldl.ldl"),
        (r"triglycer|триглицер", "triglyceride.triglyceride"),
        (r"cholesterol|холестерин", "cholesterol_total.cholesterol"),
        (r"spo ?2|saturation|oxygen|сатурац|кислород", "spo2.spo2"),
        (r"temperature|\btemp\b|температур", "temperature.temperature"),
        (r"weight|\bвес\b|масса тела|авырлык", "weight.weight"),
    )
)
# Headers with these words hold something else than what their other words say.
_OTHER: Final = re.compile(
    r"variab|вариаб|pulse ?(?:pressure|wave)|пульсов|irregular|аритм|target|goal|целев|цель"
    r"|room|ambient|battery|комнат|батаре",
    re.IGNORECASE,
)
_UNITS: Final = tuple(
    (re.compile(words, re.IGNORECASE), unit)
    for words, unit in (
        (r"mmol ?/ ?l|ммоль ?/ ?л", "mmol/L"),
        (r"mg ?/ ?dl|мг ?/ ?дл", "mg/dL"),
        (r"mm ?\[?hg|мм ?рт|мм терекөмеш", "mmHg"),
        (r"\bkpa\b|кпа", "kPa"),
        (r"°? ?\bf\b|fahrenheit|degf", "[degF]"),
        (r"°? ?\bc\b|celsius|degc|°[cс]|цельси", "Cel"),
        (r"\blbs?\b|pound|фунт", "[lb_av]"),
        (r"\bkg\b|\bкг\b", "kg"),
        (r"\bbpm\b|/ ?min|beats|уд", "/min"),
        (r"%", "%"),
    )
)
_CLOCKS: Final = ("%H:%M:%S", "%H:%M", "%I:%M %p", "%I:%M:%S %p", "%H.%M")
_NAMED: Final = ("%b %d, %Y", "%d %b %Y", "%b %d %Y", "%d-%b-%Y")
_DATE = re.compile(
    r"(?P<y>\d{4})[-/.](?P<m>\d{1,2})[-/.](?P<d>\d{1,2})"
    r"|(?P<d2>\d{1,2})\.(?P<m2>\d{1,2})\.(?P<y2>\d{4}|\d{2})"
    r"|(?P<one>\d{1,2})[/-](?P<two>\d{1,2})[/-](?P<y3>\d{4})"
)
_TWELVE: Final = 12


class Column(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a column holds: a role ("" is nothing to us), and its unit where the role has one."""

    role: Annotated[str, msgspec.Meta(max_length=60)] = ""
    unit: Annotated[str, msgspec.Meta(max_length=16)] = ""


class _AmbiguousError(ValueError):
    """A date that two readers would read as two days."""


class _TwiceError(ValueError):
    """An hour that the clocks of the zone went through twice."""


class _NoClockError(ValueError):
    """A day without a time of day."""


def header_of(data: bytes) -> list[str]:
    """The names of the columns. Raises BadFile."""
    return _table(data)[0]


def guess(header: list[str]) -> list[Column]:
    """What the columns hold by their words; each role is given once, to the first that fits."""
    roles: list[str] = []
    for name in header:
        found = (role for words, role in _WORDS if words.search(name.strip()))
        role = "" if _OTHER.search(name) else next(found, "")
        roles.append("" if role in roles else role)
    if DATE in roles and CLOCK not in roles:
        roles[roles.index(DATE)] = TIME  # both in one, as it turns out
    elif CLOCK in roles and DATE not in roles and TIME not in roles:
        roles[roles.index(CLOCK)] = TIME
    if "heart_rate.rate" in roles and "blood_pressure.systolic" in roles:
        roles[roles.index("heart_rate.rate")] = "blood_pressure.pulse"
    return [Column(role, _unit(role, name)) for role, name in zip(roles, header, strict=True)]


def _unit(role: str, name: str) -> str:
    """The unit a header names, or the only one there is."""
    accepted = _accepted(role)
    if len(accepted) == 1:
        return accepted[0]
    # The words outside of brackets say what it is, and may look like a unit.
    inside = "".join(re.findall(r"[(\[,]([^)\]]*)", name)) or name
    return next((unit for words, unit in _UNITS if unit in accepted and words.search(inside)), "")


def _accepted(role: str) -> list[str]:
    kind, _, quantity = role.partition(".")
    if not quantity:
        return []
    row = KINDS[Kind(kind)]
    own = next(one.own_unit for one in row.quantities if one.name == quantity)
    return [own] if own else [unit.code for unit in row.units]


def read(
    data: bytes, columns: list[Column] | None, zone: tzinfo, *, day_first: bool | None
) -> Iterator[FileRow]:
    """Give the rows. Raises BadFile."""
    header, lines = _table(data)
    if columns is None:
        columns = guess(header)
    if len(columns) != len(header) or any(column.role not in _ROLES for column in columns):
        raise BadFile(Fault.NO_COLUMNS, "columns")
    roles = [column.role for column in columns if column.role]
    if len(set(roles)) != len(roles) or not {TIME, DATE} & set(roles):
        raise BadFile(Fault.NO_COLUMNS, "time")
    if not any("." in role for role in roles):
        raise BadFile(Fault.NO_COLUMNS, "values")
    if day_first is None:
        day_first = _day_first(lines, columns)
    for place, line in lines:
        if len(line) > len(header):
            # A comma within a number: what stands in which column is not known any more.
            yield refused(place, TOO_MANY_FIELDS)
            continue
        yield from _rows(place, line, columns, zone, day_first=day_first)


def _table(data: bytes) -> tuple[list[str], list[tuple[int, list[str]]]]:
    text = _text(data)
    head = text[: text.find("\n") + 1] or text
    delimiter = max(";\t,|", key=head.count)
    lines: list[tuple[int, list[str]]] = []
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        for line in reader:
            if any(cell.strip() for cell in line):
                lines.append((reader.line_num, line))
            if len(lines) > MAX_ROWS + 1:
                raise BadFile(Fault.TOO_LARGE, "rows")
            if len(line) > MAX_COLUMNS or any(len(cell) > _LONGEST_FIELD for cell in line):
                raise BadFile(Fault.TOO_LARGE, f"line {reader.line_num}")
    except csv.Error as error:
        raise BadFile(Fault.DAMAGED, f"line {reader.line_num}") from error
    if len(lines) < 2:  # noqa: PLR2004 - a header and something below it
        raise BadFile(Fault.NO_READINGS)
    return [name.strip() for name in lines[0][1]], lines[1:]


def _text(data: bytes) -> str:
    wide = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    # The last is what Russian spreadsheets save.
    for coding in ("utf-16",) if wide else ("utf-8-sig", "cp1251"):
        try:
            text = data.decode(coding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise BadFile(Fault.NOT_TEXT)


def _rows(
    place: int, line: list[str], columns: list[Column], zone: tzinfo, *, day_first: bool | None
) -> Iterator[FileRow]:
    cells = {
        column.role: (line[at].strip() if at < len(line) else "", column.unit)
        for at, column in enumerate(columns)
        if column.role
    }
    date, clock = cells.get(DATE, cells.get(TIME, ("", "")))[0], cells.get(CLOCK, ("", ""))[0]
    said = f"{date} {clock}".strip()
    numbers = {role: cell for role, cell in cells.items() if "." in role and cell[0]}
    if not numbers:
        return
    if not said:
        yield refused(place, TIME_MISSING, "taken_at")
        return
    try:
        taken_at = _time(said, zone, day_first=day_first)
    except _AmbiguousError:
        yield refused(place, DATE_AMBIGUOUS, "taken_at")
        return
    except _TwiceError:
        yield refused(place, HOUR_TWICE, "taken_at")
        return
    except _NoClockError:
        yield refused(place, TIME_MISSING, "taken_at")
        return
    except (ValueError, OverflowError):
        yield refused(place, TIME_UNREADABLE, "taken_at")
        return
    kinds: dict[str, dict[str, tuple[str, str]]] = {}
    for role, cell in numbers.items():
        kind, _, quantity = role.partition(".")
        kinds.setdefault(kind, {})[quantity] = cell
    for kind, values in kinds.items():
        yield _reading(place, Kind(kind), taken_at, values)


def _reading(
    place: int, kind: Kind, taken_at: datetime, cells: dict[str, tuple[str, str]]
) -> FileRow:
    values: dict[str, float] = {}
    units = set()
    for quantity, (shown, unit) in cells.items():
        word = _WORDS_BEYOND.get(shown.upper())
        if word is not None and len(cells) == len(KINDS[kind].quantities) == 1:
            return measured(place, kind, taken_at, {}, unit, word)
        if not _NUMBER.fullmatch(shown):
            return refused(place, NUMBER_UNREADABLE, f"values.{quantity}")
        values[quantity] = float(shown.replace(",", "."))
        own = next(one.own_unit for one in KINDS[kind].quantities if one.name == quantity)
        if own is None:
            units.add(unit)
    return measured(place, kind, taken_at, values, units.pop() if len(units) == 1 else "")


def _day_first(lines: list[tuple[int, list[str]]], columns: list[Column]) -> bool | None:
    """Which number of 03/04/2026 is the day, where one of the file's is above twelve."""
    place = next(at for at, column in enumerate(columns) if column.role in {TIME, DATE})
    first = second = False
    for _, line in lines:
        match = _DATE.match(line[place].strip()) if place < len(line) else None
        if match and match["one"]:
            first |= int(match["one"]) > _TWELVE
            second |= int(match["two"]) > _TWELVE
    return None if first == second else first


def _time(said: str, zone: tzinfo, *, day_first: bool | None) -> datetime:
    """The moment; a clock without a zone stood in `zone`. Raises ValueError."""
    match = _DATE.match(said)
    if match is None:
        return _placed(_named(said), zone)
    rest = said[match.end() :].lstrip(" T,")
    if match["y"]:
        year, month, day = int(match["y"]), int(match["m"]), int(match["d"])
        if rest and re.search(r"(?:Z|[+-]\d\d:?\d\d)$", rest):
            return datetime.fromisoformat(
                f"{year:04d}-{month:02d}-{day:02d}T{rest.replace(' ', '')}"
            )
        if "." in rest and rest.count(":") == 2:  # noqa: PLR2004 - h:m:s.fraction
            rest = rest.partition(".")[0]
    elif match["y2"]:
        year, month, day = int(match["y2"]), int(match["m2"]), int(match["d2"])
        year += 2000 if year < 100 else 0  # noqa: PLR2004 - two digits
    else:
        one, two, year = int(match["one"]), int(match["two"]), int(match["y3"])
        if day_first is None and one != two:
            if max(one, two) <= _TWELVE:
                raise _AmbiguousError
            day_first = one > _TWELVE
        day, month = (one, two) if day_first else (two, one)
    clock = _clock(rest)
    return _placed(clock.replace(year=year, month=month, day=day), zone)


def _placed(local: datetime, zone: tzinfo) -> datetime:
    """The moment at which a clock of the zone showed this. Raises ValueError.

    In autumn an hour comes twice: which of the two nobody can say. One that never came is an error
    of whoever wrote it.
    """
    first, second = local.replace(tzinfo=zone), local.replace(tzinfo=zone, fold=1)
    before, after = first.utcoffset(), second.utcoffset()
    if before != after:
        raise _TwiceError if before and after and before > after else ValueError(local)
    return first


def _named(said: str) -> datetime:
    for form in _NAMED:
        for clock in _CLOCKS:
            try:
                return datetime.strptime(said, f"{form} {clock}")  # noqa: DTZ007 - the caller's zone
            except ValueError:
                continue
    raise ValueError(said)


def _clock(rest: str) -> datetime:
    """A time of day; a day without one tells no time. Raises ValueError."""
    if not rest:
        raise _NoClockError
    for form in _CLOCKS:
        try:
            return datetime.strptime(rest.upper(), form)  # noqa: DTZ007 - only its clock is taken
        except ValueError:
            continue
    raise ValueError(rest)
