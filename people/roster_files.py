"""Lists of people as files: in which encoding, with which columns, one table or a zip of several.

Pure: bytes in, tables of text out. Nothing of a file is ever executed or guessed: a file whose
letters are in doubt is refused as a whole, with a code that says why.

windows-1251 has no ә ө ү җ ң һ. Saved in it they become question marks; people/roster_rows.py
refuses such a row. A file half in UTF-8 and half in windows-1251 is refused here.
"""

import csv
import io
import re
import zipfile
from collections.abc import Collection, Iterator
from typing import Literal
from unicodedata import normalize

import msgspec

from people.refused import FieldError, Refused

MAX_BYTES = 5_000_000
MAX_ROWS = 20_000
MAX_COLUMNS = 200
MAX_ROW = 20_000  # characters
_MAX_FILES = 24
_MAX_UNPACKED = 20_000_000

Encoding = Literal["utf-8", "windows-1251"]

_RUSSIAN = frozenset("АБВГДЕЁЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯабвгдеёжзийклмнопрстуфхцчшщъыьэюя")
_SIGNS = frozenset("№«»–—“”„’‘…•·\u00a0§©")
# Words of KOI8-R come out with small and capital letters exchanged: уПЛПМПЧ.
_KOI8 = re.compile(r"\b[а-яё][А-ЯЁ]{2}")
# A Cyrillic letter of UTF-8 is such a pair of bytes; no Russian word in windows-1251 has it.
_UTF8_PAIR = re.compile(rb"[\xd0-\xd3][\x80-\xa7\xa9-\xb7\xb9-\xbf]")


class RosterRefused(Refused):
    """The file cannot be read as a list of people; `errors` name the file and the reason."""

    status = 422
    code = "roster_refused"

    def __init__(self, file: str, reason: str, **params: str | int) -> None:
        super().__init__((FieldError(file, reason, dict(params)),))


class RosterTooLarge(Refused):
    """More bytes than MAX_BYTES."""

    status = 413
    code = "body_too_large"


class Record(msgspec.Struct, frozen=True):
    """One row of a table: the line it begins on, and its cells of known columns by their names."""

    line: int
    cells: dict[str, str]
    surplus: bool = False  # it has more cells than the table has columns


class Table(msgspec.Struct, frozen=True):
    """One file."""

    name: str
    encoding: Encoding
    columns: frozenset[str]
    records: tuple[Record, ...]


class Known(msgspec.Struct, frozen=True):
    """What somebody reads of a file: nothing else of it is kept."""

    columns: frozenset[str]
    files: frozenset[str]  # of a zip


def tables(data: bytes, known: Known) -> dict[str, Table]:
    """Read a CSV file, or every known CSV file of a zip, by name. Raises RosterRefused."""
    if len(data) > MAX_BYTES:
        raise RosterTooLarge
    if not data.startswith(b"PK\x03\x04"):
        return {"": table("", data, known.columns)}
    unzipped = dict(_unzipped(data))
    if not unzipped:
        raise RosterRefused("zip", "empty")
    return {
        name: table(name, content, known.columns)
        for name, content in unzipped.items()
        if name in known.files
    }


def table(name: str, data: bytes, known: Collection[str]) -> Table:
    """Read one CSV file. Raises RosterRefused."""
    text, encoding = decoded(name, data)
    # Spreadsheets of Russian offices write semicolons; the first line shows which it is.
    first = text.lstrip("\r\n").partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    lines = _Lines(name, text)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    width: int | None = None
    kept: dict[str, int] = {}
    records: list[Record] = []
    line = 1
    try:
        for cells in reader:
            begins, line = line, reader.line_num + 1
            lines.length = 0
            if not any(cell.strip() for cell in cells):
                continue
            if width is None:
                width = len(cells)
                if width > MAX_COLUMNS:
                    raise RosterRefused(name, "too_many_columns", max=MAX_COLUMNS)
                names = {column(cell): place for place, cell in enumerate(cells)}
                kept = {word: place for word, place in names.items() if word in known}
                continue
            if len(records) == MAX_ROWS:
                raise RosterRefused(name, "too_many_rows", max=MAX_ROWS)
            pairs = {word: clean(cells[at]) for word, at in kept.items() if at < len(cells)}
            records.append(Record(begins, pairs, len(cells) > width))
    except csv.Error as broken:
        raise RosterRefused(name, "not_csv", line=line) from broken
    if width is None:
        raise RosterRefused(name, "empty")
    return Table(name, encoding, frozenset(kept), tuple(records))


class _Lines:
    """The lines of a text, as long as one row does not take too many of them."""

    def __init__(self, name: str, text: str) -> None:
        self._name = name
        self._lines = io.StringIO(text, newline="")
        self.length = 0  # of the row that is being read

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.length += len(line)
        if self.length > MAX_ROW:
            raise RosterRefused(self._name, "row_too_long", max=MAX_ROW)
        return line


def decoded(name: str, data: bytes) -> tuple[str, Encoding]:
    """Give the text and its encoding: UTF-8, else windows-1251 if that makes Russian words."""
    try:
        text = data.decode("utf-8-sig")
        encoding: Encoding = "utf-8"
    except UnicodeDecodeError:
        # Every byte but one is a letter there, so that it may decode and still be no words.
        text = data.decode("cp1251", errors="replace")
        encoding = "windows-1251"
        if _KOI8.search(text) or any(
            x >= "\x80" and x not in _RUSSIAN and x not in _SIGNS for x in text
        ):
            mixed = _UTF8_PAIR.search(data) is not None
            reason = "encoding_mixed" if mixed else "encoding_unknown"
            raise RosterRefused(name, reason) from None
    if "\0" in text:
        raise RosterRefused(name, "encoding_unknown")
    return text, encoding


def column(cell: str) -> str:
    """Fold a column's name: `Given Name`, `given_name` and `givenName` are one."""
    return re.sub(r"[\s_.-]", "", normalize("NFC", cell)).casefold()


def clean(cell: str) -> str:
    """Give a cell as one line, its letters composed."""
    return " ".join(normalize("NFC", cell).split())


def _unzipped(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Name and content of each CSV file."""
    # RuntimeError is the library's word for an encrypted file; the others for a broken one.
    wrong = (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, OSError, EOFError)
    left = _MAX_UNPACKED
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = [e for e in archive.infolist() if e.filename.lower().endswith(".csv")]
            for entry in entries[: _MAX_FILES + 1]:
                content = _bounded(archive, entry, left)
                left -= len(content)
                # The name is a key here and never a path.
                yield entry.filename.rpartition("/")[2].lower()[:60], content
    except wrong as broken:
        raise RosterRefused("zip", "not_zip") from broken
    if len(entries) > _MAX_FILES:
        raise RosterRefused("zip", "too_many_files", max=_MAX_FILES)


def _bounded(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, left: int) -> bytes:
    """Unpack at most so many bytes: what a zip says of its sizes is not believed."""
    with archive.open(entry) as file:
        content = file.read(left + 1)
    if len(content) > left:
        raise RosterRefused("zip", "too_large_unpacked")
    return content
