"""People in the tables of a file: our own columns, or the shape of OneRoster 1.1 and 1.2.

Pure. Each row is either a person with roles and classes, or a line with a field and a code; what
cannot be believed is never corrected. OneRoster: users.csv, and beside it roles.csv,
demographics.csv, classes.csv and enrollments.csv when they are there.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from typing import Final

import msgspec

from people.persons import Language
from people.roster_files import Encoding, Known, Record, RosterRefused, Table, clean, tables

_MAX_NAME, _MAX_CLASS, _MAX_ID, _MAX_GUARDIANS = 80, 40, 255, 8
# The oldest person known to have lived was born later.
_FIRST_BIRTH = date(1900, 1, 1)

_NAME = re.compile(r"[^\W\d_]+(?:[ '’ʼ.()-]+[^\W\d_]+)*[.)]?")
_CLASS = re.compile(r"(?:[^\W_]|«)[\w «»\"'№().,/-]*")
_ID = re.compile(r"[^\s=+@\-\x00-\x1f\x7f][^\x00-\x1f\x7f]*")
# In the place of a name: the enrolment's class is not in classes.csv.
_NO_CLASS = "\0"
_DAY = re.compile(r"(\d{4})-(\d\d)-(\d\d)|(\d\d)\.(\d\d)\.(\d{4})")


class RosterRole(StrEnum):
    """What a list may make of a person. Nobody becomes an administrator by a list."""

    PUPIL = "pupil"
    TEACHER = "teacher"
    PARENT = "parent"
    PATIENT = "patient"
    DOCTOR = "doctor"
    CLERK = "clerk"


# Who may have a guardian, if the age says so.
CHILDREN: Final = frozenset({RosterRole.PUPIL, RosterRole.PATIENT})


class RosterRow(msgspec.Struct, frozen=True, kw_only=True):
    """A person of a list."""

    file: str
    line: int
    source_id: str | None
    given_name: str
    family_name: str
    born_on: date | None
    language: Language
    roles: tuple[RosterRole, ...]
    classes: tuple[str, ...]
    guardians: tuple[str, ...] = ()  # numbers of the people who are proposed as guardians


class BadRow(msgspec.Struct, frozen=True):
    """A row that is not stored: where it is, which field is at fault, and why, as a code."""

    file: str
    line: int
    field: str
    code: str


class Roster(msgspec.Struct, frozen=True):
    """What a file says. `left_out`: rows that the file itself marks as not in use."""

    encoding: Encoding
    rows: list[RosterRow]
    bad: list[BadRow]
    left_out: int


class _Wrong(Exception):  # noqa: N818 - states a fact
    """A field that is not believed."""

    def __init__(self, field: str, code: str) -> None:
        super().__init__(code)
        self.field, self.code = field, code


_COLUMNS: Final = {
    "source_id": ("sourcedid", "sourceid", "id", "номер", "табельныйномер"),
    "given_name": ("givenname", "firstname", "имя", "исем"),
    "family_name": ("familyname", "lastname", "surname", "фамилия"),
    "born_on": ("bornon", "birthdate", "dateofbirth", "датарождения", "туганкөне", "туукөне"),
    "role": ("role", "роль"),
    "class": ("class", "classname", "класс", "сыйныф"),
    "language": ("language", "язык", "тел"),
    "guardians": (
        *("guardians", "guardian", "guardiansourcedids", "guardiansourcedid"),
        *("номерродителя", "номерародителей", "атаананомеры"),
    ),
    "agents": ("agentsourcedids",),
}
_OF_ONEROSTER: Final = (
    *("status", "enableduser", "usersourcedid", "classsourcedid", "title", "birthdate"),
)
KNOWN: Final = Known(
    columns=frozenset({*(word for words in _COLUMNS.values() for word in words), *_OF_ONEROSTER}),
    files=frozenset(
        f"{name}.csv" for name in ("users", "roles", "demographics", "classes", "enrollments")
    ),
)
_ROLES: Final = {
    RosterRole.PUPIL: ("pupil", "student", "ученик", "ученица", "учащийся", "укучы"),
    RosterRole.TEACHER: ("teacher", "учитель", "учительница", "преподаватель", "укытучы"),
    RosterRole.PARENT: (
        *("parent", "guardian", "relative", "родитель", "мать", "отец"),
        *("опекун", "ата-ана", "әти", "әни"),
    ),
    RosterRole.PATIENT: ("patient", "пациент", "пациентка"),
    RosterRole.DOCTOR: ("doctor", "врач", "табиб"),
    RosterRole.CLERK: ("clerk", "nurse", "aide", "регистратор", "медсестра", "шәфкать туташы"),
}
_ROLE_OF: Final = {word: role for role, words in _ROLES.items() for word in words}
_BY_HAND: Final = frozenset(
    ("administrator", "sysadmin", "districtadministrator", "siteadministrator", "администратор")
)
_LANGUAGES: Final[Mapping[str, Language]] = {
    **dict.fromkeys(("ru", "rus", "русский", "рус"), "ru"),
    **dict.fromkeys(("tt", "tat", "татарский", "татарча"), "tt"),
    **dict.fromkeys(("en", "eng", "английский", "english"), "en"),
}


def read_roster(data: bytes, today: date) -> Roster:
    """Read a file sent as a list of people. Raises RosterRefused, RosterTooLarge."""
    found = tables(data, KNOWN)
    if "" in found:
        return _people(found[""], {}, {}, {}, today)
    users = found.get("users.csv")
    if users is None:
        raise RosterRefused("users.csv", "file_missing")
    classes, taught = _enrolments(found)
    return _people(users, _roles(found, taught), _births(found), classes, today)


def one_row(cells: Mapping[str, str], today: date) -> RosterRow | BadRow:
    """Judge one person typed in as a row of a list is judged."""
    where = [cells["class"]] if cells["class"] else []
    try:
        return _row(("", 0), {k: clean(v) for k, v in cells.items()}, [cells["role"]], where, today)
    except _Wrong as wrong:
        return BadRow("", 0, wrong.field, wrong.code)


def _people(
    table: Table,
    roles: Mapping[str, list[str]],
    births: Mapping[str, str],
    classes: Mapping[str, list[str]],
    today: date,
) -> Roster:
    names = {name: _named(table, words) for name, words in _COLUMNS.items()}
    missing = [name for name in ("given_name", "family_name") if names[name] is None]
    if names["role"] is None and not roles:
        missing.append("role")
    if missing:
        raise RosterRefused(table.name, "columns_missing", columns=", ".join(missing))
    rows: list[RosterRow] = []
    bad: list[BadRow] = []
    seen: set[str] = set()
    agents: dict[int, tuple[str, ...]] = {}
    left_out = 0
    for record in table.records:
        if not _in_use(record):
            left_out += 1
            continue
        cells = {name: record.cells.get(at or "", "") for name, at in names.items()}
        key = cells["source_id"]
        try:
            _whole(record)
            words = roles.get(key) or [cells["role"]]
            where = classes.get(key, []) + ([cells["class"]] if cells["class"] else [])
            cells["born_on"] = cells["born_on"] or births.get(key, "")
            row = _row((table.name, record.line), cells, words, where, today)
            agents[record.line] = _numbers("agents", cells["agents"])
            _once(row, seen)
        except _Wrong as wrong:
            bad.append(BadRow(table.name, record.line, wrong.field, wrong.code))
            continue
        rows.append(row)
    return Roster(table.encoding, _with_agents(rows, agents), bad, left_out)


def _with_agents(rows: list[RosterRow], agents: Mapping[int, tuple[str, ...]]) -> list[RosterRow]:
    """Tell guardians among the agents of OneRoster, who are named on either side or on both.

    Of people of the list only a parent is a guardian; who is not in it may be known here.
    """
    if not any(agents.values()):
        return rows
    numbered = {row.source_id: row for row in rows if row.source_id is not None}
    named: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        if row.source_id is not None and RosterRole.PARENT in row.roles:
            for number in agents[row.line]:
                named[number].append(row.source_id)
    found = []
    for row in rows:
        child = not CHILDREN.isdisjoint(row.roles)
        parents = [
            number
            for number in (*agents[row.line], *named.get(row.source_id or "", ()))
            if number not in numbered or RosterRole.PARENT in numbered[number].roles
        ]
        all_of_them = tuple(dict.fromkeys((*row.guardians, *parents))) if child else row.guardians
        found.append(msgspec.structs.replace(row, guardians=all_of_them))
    return found


def _whole(record: Record) -> None:
    if record.surplus:
        raise _Wrong("", "too_many_cells")


def _once(row: RosterRow, seen: set[str]) -> None:
    if row.source_id in seen:
        raise _Wrong("source_id", "repeated")
    if row.source_id is not None:
        seen.add(row.source_id)


def _row(
    place: tuple[str, int],
    cells: Mapping[str, str],
    words: list[str],
    where: list[str],
    today: date,
) -> RosterRow:
    roles = dict.fromkeys(_role(word) for word in words)
    if where and RosterRole.PUPIL not in roles and RosterRole.TEACHER not in roles:
        raise _Wrong("class", "class_without_pupil")
    if _NO_CLASS in where:
        raise _Wrong("class", "class_unknown")
    pupil = RosterRole.PUPIL in roles
    guardians = _numbers("guardians", cells.get("guardians", ""))
    if guardians and CHILDREN.isdisjoint(roles):
        raise _Wrong("guardians", "guardian_of_no_child")
    return RosterRow(
        file=place[0],
        line=place[1],
        source_id=_text("source_id", cells["source_id"], _ID, _MAX_ID) or None,
        given_name=_name("given_name", cells["given_name"]),
        family_name=_name("family_name", cells["family_name"]),
        born_on=_day(cells["born_on"], today),
        language=_language(cells["language"]),
        roles=tuple(roles),
        classes=tuple(
            dict.fromkeys(_text("class", one, _CLASS, _MAX_CLASS) for one in where if pupil)
        ),
        guardians=guardians,
    )


def _numbers(field: str, value: str) -> tuple[str, ...]:
    """Numbers of the list in one cell, with commas or semicolons between them."""
    parts = [part.strip() for part in re.split("[,;]", value) if part.strip()]
    if len(parts) > _MAX_GUARDIANS:
        raise _Wrong(field, "too_many_guardians")
    return tuple(dict.fromkeys(_text(field, one, _ID, _MAX_ID) for one in parts))


def _name(field: str, value: str) -> str:
    if not value:
        raise _Wrong(field, "missing")
    return _text(field, value, _NAME, _MAX_NAME)


def _text(field: str, value: str, shape: re.Pattern[str], longest: int) -> str:
    """A cell as it is, if it has the shape: what begins as a formula has not."""
    if not value:
        return ""
    # What an encoding could not hold was written as a question mark by whoever saved the file.
    if shape is not _ID and ("?" in value or "\ufffd" in value):
        raise _Wrong(field, "letters_lost")
    if len(value) > longest:
        raise _Wrong(field, "too_long")
    if shape.fullmatch(value) is None:
        raise _Wrong(field, "malformed")
    return value


def _day(value: str, today: date) -> date | None:
    if not value:
        return None
    found = _DAY.fullmatch(value)
    if found is None:
        raise _Wrong("born_on", "malformed")
    parts = [int(part) for part in found.groups() if part]
    year, month, day = parts if found.group(1) else parts[::-1]
    try:
        born_on = date(year, month, day)
    except ValueError:
        raise _Wrong("born_on", "no_such_day") from None
    if not _FIRST_BIRTH <= born_on <= today:
        raise _Wrong("born_on", "out_of_range")
    return born_on


def _role(word: str) -> RosterRole:
    word = word.casefold()
    if not word:
        raise _Wrong("role", "missing")
    if word in _BY_HAND:
        raise _Wrong("role", "role_by_hand")
    if word not in _ROLE_OF:
        raise _Wrong("role", "role_unknown")
    return _ROLE_OF[word]


def _language(word: str) -> Language:
    if not word:
        return "ru"
    if word.casefold() not in _LANGUAGES:
        raise _Wrong("language", "language_unknown")
    return _LANGUAGES[word.casefold()]


def _named(table: Table, words: tuple[str, ...]) -> str | None:
    return next((word for word in words if word in table.columns), None)


def _in_use(record: Record) -> bool:
    """OneRoster: a row may say of itself that it is to be deleted, or that the user is off."""
    return (
        record.cells.get("status", "").casefold() != "tobedeleted"
        and record.cells.get("enableduser", "").casefold() != "false"
    )


def _rows(found: Mapping[str, Table], name: str) -> list[dict[str, str]]:
    table = found.get(name)
    return [r.cells for r in table.records if _in_use(r)] if table else []


def _roles(found: Mapping[str, Table], taught: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Words for roles by user: of roles.csv (1.2), else of enrollments.csv; 1.1 has a column."""
    words: dict[str, list[str]] = defaultdict(list)
    for cells in _rows(found, "roles.csv"):
        words[cells.get("usersourcedid", "")].append(cells.get("role", ""))
    users = found["users.csv"]
    if not words and "role" not in users.columns:
        return {user: list(dict.fromkeys(roles)) for user, roles in taught.items()}
    return words


def _births(found: Mapping[str, Table]) -> dict[str, str]:
    rows = _rows(found, "demographics.csv")
    return {cells.get("sourcedid", ""): cells.get("birthdate", "")[:10] for cells in rows}


def _enrolments(
    found: Mapping[str, Table],
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Names of the classes of each user who learns there, and roles as enrolments know them."""
    titles = {
        cells.get("sourcedid", ""): cells.get("title", "") for cells in _rows(found, "classes.csv")
    }
    classes: dict[str, list[str]] = defaultdict(list)
    roles: dict[str, list[str]] = defaultdict(list)
    for cells in _rows(found, "enrollments.csv"):
        user, role = cells.get("usersourcedid", ""), cells.get("role", "").casefold()
        roles[user].append(role)
        if role == "student":
            classes[user].append(titles.get(cells.get("classsourcedid", ""), _NO_CLASS))
    return classes, roles
