"""Files with lists of people: what is read, what is refused, and with which word."""

import io
import zipfile
from datetime import date

import pytest

from people.roster_files import (
    MAX_BYTES,
    MAX_COLUMNS,
    MAX_ROW,
    MAX_ROWS,
    RosterRefused,
    RosterTooLarge,
    tables,
)
from people.roster_rows import KNOWN, RosterRole, read_roster

TODAY = date(2026, 3, 2)
HEADER = "sourcedId;given_name;family_name;born_on;role;class"


def csv_of(*rows: str, header: str = HEADER) -> bytes:
    return "\n".join([header, *rows]).encode()


def zipped(**files: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(f"export/{name}.csv", text)
    return out.getvalue()


def refusal(data: bytes) -> str:
    with pytest.raises(RosterRefused) as refused:
        read_roster(data, TODAY)
    (error,) = refused.value.errors
    return error.code


def bad(*rows: str) -> list[tuple[int, str, str]]:
    found = read_roster(csv_of(*rows), TODAY)
    return [(one.line, one.field, one.code) for one in found.bad]


def test_a_row_is_read_whole() -> None:
    """Tatar letters, either way of writing a date, folded column names."""
    found = read_roster(
        csv_of(
            "u1;Гөлнара;Хәйруллина;01.09.2013;Ученик;5Б",
            "u2;Мария (Маша);Римская-Корсакова;2013-09-01;student;5Б",
            header="SourcedID;Given Name;Фамилия;Дата рождения;Роль;Класс",
        ),
        TODAY,
    )
    assert found.bad == []
    assert found.encoding == "utf-8"
    first, second = found.rows
    assert (first.given_name, first.family_name) == ("Гөлнара", "Хәйруллина")
    assert first.born_on == second.born_on == date(2013, 9, 1)
    assert (first.roles, first.classes) == ((RosterRole.PUPIL,), ("5Б",))
    assert (first.line, second.line) == (2, 3)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_each_usual_delimiter_is_seen(delimiter: str, mark: str) -> None:
    """With and without a byte order mark, as spreadsheets write it."""
    text = mark + csv_of("u1;Айдар;Вәлиев;;pupil;7А").decode().replace(";", delimiter)
    (row,) = read_roster(text.encode(), TODAY).rows
    assert (row.family_name, row.classes) == ("Вәлиев", ("7А",))


def test_windows_1251_is_read_when_it_makes_russian_words() -> None:
    """As spreadsheets of Russian offices save it."""
    data = csv_of("№ 7;Пётр;Щукин;;ученик;«5Б»").decode().encode("cp1251")
    found = read_roster(data, TODAY)
    assert found.encoding == "windows-1251"
    assert (found.rows[0].given_name, found.rows[0].source_id) == ("Пётр", "№ 7")


def test_letters_that_windows_1251_lost_are_refused_by_row() -> None:
    """A spreadsheet writes a question mark for ә; the other rows are whole."""
    text = csv_of("u1;Гөлнара;Сафина;;pupil;5Б", "u2;Пётр;Вәлиев;;pupil;5Б", "u3;Олег;Ким;;pupil;")
    found = read_roster(text.decode().encode("cp1251", errors="replace"), TODAY)
    faults = [(one.line, one.field, one.code) for one in found.bad]
    assert faults == [(2, "given_name", "letters_lost"), (3, "family_name", "letters_lost")]
    assert [row.source_id for row in found.rows] == ["u3"]


def test_a_file_in_two_encodings_is_refused() -> None:
    """Somebody put two files together; no row of it can be believed."""
    data = csv_of("u1;Гөлнара;Сафина;;pupil;5Б") + "\nu2;Олег;Ким;;pupil;".encode("cp1251")
    assert refusal(data) == "encoding_mixed"


@pytest.mark.parametrize("encoding", ["utf-16", "koi8-r", "cp866"])
def test_other_encodings_are_refused(encoding: str) -> None:
    """Never guessed: a wrong guess is a wrong name."""
    text = csv_of("u1;Светлана;Миронова;;pupil;5Б").decode()
    assert refusal(text.encode(encoding)) == "encoding_unknown"


@pytest.mark.parametrize(
    ("row", "field", "code"),
    [
        ("u1;;Ким;;pupil;", "given_name", "missing"),
        ("u1;Олег;Ким2;;pupil;", "family_name", "malformed"),
        ("u1;=HYPERLINK(A1);Ким;;pupil;", "given_name", "malformed"),
        ("u1;Олег;@SUM(A1);;pupil;", "family_name", "malformed"),
        ("=1+1;Олег;Ким;;pupil;", "source_id", "malformed"),
        ("u1;Олег;Ким;;pupil;+7А", "class", "malformed"),
        (f"u1;{'О' * 81};Ким;;pupil;", "given_name", "too_long"),
        ("u1;Олег;Ким;31.02.2013;pupil;", "born_on", "no_such_day"),
        ("u1;Олег;Ким;03.03.2026;pupil;", "born_on", "out_of_range"),
        ("u1;Олег;Ким;31.12.1899;pupil;", "born_on", "out_of_range"),
        ("u1;Олег;Ким;1/2/13;pupil;", "born_on", "malformed"),
        ("u1;Олег;Ким;;;", "role", "missing"),
        ("u1;Олег;Ким;;wizard;", "role", "role_unknown"),
        ("u1;Олег;Ким;;administrator;", "role", "role_by_hand"),
        ("u1;Олег;Ким;;parent;7А", "class", "class_without_pupil"),
        ("u1;Олег;Ким;;pupil;7А;surplus", "", "too_many_cells"),
    ],
)
def test_a_bad_row_names_its_line_its_field_and_why(row: str, field: str, code: str) -> None:
    """And the good row beside it is read."""
    assert bad("u0;Анна;Ли;;pupil;7А", row) == [(3, field, code)]


def test_a_number_given_twice_is_bad_the_second_time() -> None:
    """Which of the two is meant nobody can tell."""
    rows = ("u1;Анна;Ли;;pupil;", "u1;Олег;Ким;;pupil;")
    assert bad(*rows) == [(3, "source_id", "repeated")]


def test_the_line_is_that_of_the_file_also_after_a_cell_of_two_lines() -> None:
    """Whoever mends the file looks at lines, not at records."""
    rows = ('u1;"Анна\nМария";Ли;;pupil;', "", "u2;Олег;;;pupil;")
    assert bad(*rows) == [(5, "family_name", "missing")]


def test_what_is_no_table_is_refused() -> None:
    """Empty, without columns we need, or with a quote that never ends."""
    assert refusal(b"") == "empty"
    assert refusal(csv_of("1;2", header="a;b")) == "columns_missing"
    assert refusal(csv_of('u1;"Анна;Ли;;pupil;')) == "not_csv"
    assert refusal(csv_of("u1;Ан\0на;Ли;;pupil;")) == "encoding_unknown"


def test_limits_hold() -> None:
    """Rows and bytes are counted before anything is stored."""
    rows = ["u;Анна;Ли;;pupil;"] * (MAX_ROWS + 1)
    assert refusal(csv_of(*rows)) == "too_many_rows"
    with pytest.raises(RosterTooLarge):
        tables(b"x" * (MAX_BYTES + 1), KNOWN)


def test_a_small_archive_does_not_grow_into_a_large_table() -> None:
    """Columns and the length of a row have limits; what nobody asked for is not kept."""
    wide = ";".join(f"c{n}" for n in range(MAX_COLUMNS + 1))
    assert refusal(csv_of("1;2", header=wide)) == "too_many_columns"
    assert refusal(zipped(users=USERS, extra=wide)) == "columns_missing"
    for long in (";" * (MAX_ROW + 1), '"' + "a\n" * MAX_ROW + '"', ';"\n"' * MAX_ROW):
        assert refusal(csv_of("u1;Анна;Ли;;pupil;", long)) == "row_too_long"
    header = HEADER + ";phone"
    (record,) = tables(csv_of("u1;Анна;Ли;;pupil;;+7", header=header), KNOWN)[""].records
    assert (record.surplus, "phone" in record.cells, record.cells["role"]) == (
        False,
        False,
        "pupil",
    )


def test_a_zip_that_unpacks_to_too_much_is_refused() -> None:
    """Twenty megabytes of spaces pack into twenty kilobytes."""
    assert refusal(zipped(users=" " * 20_000_001)) == "too_large_unpacked"
    assert refusal(zipped(classes="sourcedId,title\n")) == "file_missing"
    assert refusal(b"PK\x03\x04" + b"\0" * 40) == "not_zip"
    assert refusal(zipped(**{f"f{n}": "a\n" for n in range(25)})) == "too_many_files"


USERS = """sourcedId,status,dateLastModified,enabledUser,username,givenName,familyName,agentSourcedIds
p1,active,,true,aidar,Айдар,Вәлиев,
p2,tobedeleted,,true,sofia,София,Кузнецова,
p3,active,,false,mark,Марк,Андреев,
t1,active,,true,anna,Анна,Ковалёва,
a1,active,,true,svetlana,Светлана,Миронова,
p4,active,,true,ilnaz,Илназ,Гарипов,
"""
ROLES = """sourcedId,userSourcedId,roleType,role,orgSourcedId
r1,p1,primary,student,o1
r2,t1,primary,teacher,o1
r3,a1,primary,administrator,o1
r4,p4,primary,student,o1
"""
ENROLMENTS = """sourcedId,status,classSourcedId,schoolSourcedId,userSourcedId,role
e1,active,c7,o1,p1,student
e2,active,c7,o1,t1,teacher
e3,tobedeleted,c8,o1,p1,student
e4,active,c9,o1,p4,student
"""
CLASSES = "sourcedId,status,title\nc7,active,7А\nc8,active,8А\n"
BIRTHS = "sourcedId,birthDate,sex\np1,2012-05-17,male\n"


def test_onerosters_files_are_put_together() -> None:
    """Roles, births and classes come from their own files; who is not in use is left out."""
    data = zipped(
        users=USERS, roles=ROLES, enrollments=ENROLMENTS, classes=CLASSES, demographics=BIRTHS
    )
    found = read_roster(data, TODAY)
    aidar, anna = found.rows
    assert (aidar.source_id, aidar.born_on, aidar.classes) == ("p1", date(2012, 5, 17), ("7А",))
    assert (anna.roles, anna.classes) == ((RosterRole.TEACHER,), ())
    assert found.left_out == 2
    faults = [(one.file, one.line, one.code) for one in found.bad]
    assert faults == [("users.csv", 6, "role_by_hand"), ("users.csv", 7, "class_unknown")]


def test_roles_of_enrolments_do_where_no_other_file_has_them() -> None:
    """A small export of users, classes and enrolments alone."""
    found = read_roster(zipped(users=USERS, enrollments=ENROLMENTS, classes=CLASSES), TODAY)
    assert [(row.source_id, row.roles) for row in found.rows] == [
        ("p1", (RosterRole.PUPIL,)),
        ("t1", (RosterRole.TEACHER,)),
    ]


AGENTS = """sourcedId,givenName,familyName,role,agentSourcedIds
p1,Айдар,Вәлиев,student,"g1,t1,x9"
p2,София,Кузнецова,student,
g1,Дамир,Вәлиев,parent,p1
g2,Анна,Ковалёва,guardian,"p1,p2"
t1,Марат,Юсупов,teacher,p2
"""


def test_parents_among_the_agents_of_oneroster_are_guardians() -> None:
    """Named on either side, once; a teacher is none; who is not in the file may be known here."""
    found = read_roster(zipped(users=AGENTS, demographics=BIRTHS), TODAY)
    assert {row.source_id: row.guardians for row in found.rows} == {
        "p1": ("g1", "x9", "g2"),
        "p2": ("g2",),
        "g1": (),
        "g2": (),
        "t1": (),
    }


def test_a_column_of_ones_own_names_guardians_by_number() -> None:
    """Of a pupil or a patient; a name is no number, and nine guardians are too many."""
    header = HEADER + ";guardians"
    rows = ("u1;Анна;Ли;;pupil;;g1, g2,g1", "u2;Олег;Ким;;parent;;g1", "u3;Ян;Ким;;pupil;;=g1")
    nine = ",".join(f"g{n}" for n in range(9))
    found = read_roster(csv_of(*rows, f"u4;Ия;Ким;;pupil;;{nine}", header=header), TODAY)
    assert [row.guardians for row in found.rows] == [("g1", "g2")]
    assert [(one.line, one.field, one.code) for one in found.bad] == [
        (3, "guardians", "guardian_of_no_child"),
        (4, "guardians", "malformed"),
        (5, "guardians", "too_many_guardians"),
    ]
