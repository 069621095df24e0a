"""Which kind of file it is, and the one door through which all of them are read."""

import lzma
import zipfile
import zlib
from collections.abc import Iterator
from enum import StrEnum
from typing import BinaryIO, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from devices.bad_file import BadFile, Fault
from devices.reading_files import apple, csv_file, fhir_bundle
from devices.reading_files.csv_file import Column
from devices.reading_files.rows import FileRow
from devices.safe_xml import Source

# Unpacked; a year of a watch that measures every minute is about one gigabyte.
MAX_XML_BYTES: Final = 4 << 30
MAX_TEXT_BYTES: Final = 16 << 20
_HEAD: Final = 4096


class Format(StrEnum):
    """What is read."""

    CSV = "csv"
    APPLE = "apple"
    FHIR = "fhir"


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a file does not say of itself: the zone of its clocks, and of a CSV its columns."""

    zone: str = "UTC"
    columns: list[Column] | None = None
    day_first: bool | None = None


def format_of(head: bytes) -> Format | None:
    """The kind by the first bytes; None for what is no text and no archive."""
    text = head.lstrip(b"\xef\xbb\xbf \r\n\t")
    if head.startswith(b"PK\x03\x04") or text.startswith(b"<"):
        return Format.APPLE
    if text.startswith(b"{"):
        return Format.FHIR
    if not text or (b"\0" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff"))):
        return None
    return Format.CSV


def read(data: BinaryIO, options: Options) -> Iterator[FileRow]:
    """Read a file; `data` can be sought in. Raises BadFile at once or while rows are taken."""
    head = data.read(_HEAD)
    data.seek(0)
    if not head:
        raise BadFile(Fault.EMPTY)
    form = format_of(head)
    if form is None:
        raise BadFile(Fault.UNKNOWN_FORMAT)
    if form is Format.APPLE:
        yield from _apple(data, zipped=head.startswith(b"PK\x03\x04"))
        return
    whole = data.read(MAX_TEXT_BYTES + 1)
    if len(whole) > MAX_TEXT_BYTES:
        raise BadFile(Fault.TOO_LARGE, "bytes")
    if form is Format.FHIR:
        yield from fhir_bundle.read(whole)
        return
    zone = zone_of(options.zone)
    yield from csv_file.read(whole, options.columns, zone, day_first=options.day_first)


def zone_of(name: str) -> ZoneInfo:
    """A zone by its name. Raises BadFile."""
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadFile(Fault.NOT_READ, "zone") from error


def _apple(data: BinaryIO, *, zipped: bool) -> Iterator[FileRow]:
    if not zipped:
        yield from apple.read(_Bounded(data))
        return
    try:
        with zipfile.ZipFile(data) as archive:
            names = [name for name in archive.namelist() if name.endswith(".xml")]
            # Beside it lies a second one, of clinical documents; both carry the phone's words.
            found = [name for name in names if not name.endswith("_cda.xml")]
            if not found:
                raise BadFile(Fault.UNKNOWN_FORMAT, "zip")
            if len(found) > 1:
                raise BadFile(Fault.NOT_READ, "zip")
            with archive.open(found[0]) as file:
                yield from apple.read(_Bounded(file))
    except (
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
        EOFError,
        ValueError,  # names in no alphabet
        OSError,
        NotImplementedError,
        RuntimeError,  # a password
    ) as error:
        raise BadFile(Fault.DAMAGED, "zip") from error


class _Bounded:
    """A stream of which no more than MAX_XML_BYTES is taken, whatever it promised."""

    def __init__(self, data: Source) -> None:
        self._data = data
        self._left = MAX_XML_BYTES

    def read(self, size: int, /) -> bytes:
        """The next bytes. Raises BadFile."""
        piece = self._data.read(size)
        self._left -= len(piece)
        if self._left < 0:
            raise BadFile(Fault.TOO_LARGE, "bytes")
        return piece
