"""Documents that are archives: each part unpacked and counted, macros and files inside refused.

What the archive says of itself is believed nowhere (runs in the child).
"""

import re
import zlib
from pathlib import Path
from typing import Final
from urllib.parse import unquote
from xml.etree import ElementTree as ET
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from storage.file_checks.faults import BadFile, Fault
from storage.file_checks.judge import Verdict
from storage.file_checks.kinds import KINDS, MAX_ENTRIES, MAX_UNPACKED_BYTES, Kind

_CHUNK: Final = 1 << 16
_TYPES: Final = "[Content_Types].xml"
_MANIFEST: Final = "META-INF/manifest.xml"
_XML: Final = (".xml", ".rels", ".vml", ".rdf")
_MACROS: Final = re.compile(
    r"vba\w*\.(bin|xml)|(^|/)(basic|scripts|activex|macrosheets)/|macroenabled", re.IGNORECASE
)
# Archives, programs, old documents, PDF: a file in a file is looked into by nobody.
_INSIDE: Final = (
    *(b"PK\x03\x04", b"Rar!", b"7z\xbc\xaf\x27\x1c", b"\x1f\x8b", b"MZ", b"\x7fELF"),
    *(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"%PDF-", b"BZh", b"\xfd7zXZ"),
)
_SCRIPT: Final = "{urn:oasis:names:tc:opendocument:xmlns:script:1.0}"
_LOOKS: Final = ("content.xml", "styles.xml")  # of the document, and of objects in it
_ELSEWHERE: Final = re.compile(r"\s*([a-zA-Z][a-zA-Z0-9+.-]*:|[/\\])|.*(^|[/\\\s])\.\.([/\\]|$)")
_END: Final = 22  # bytes of an archive's last record without a comment


def check(file: Path, kind: Kind) -> Verdict:
    """Look at every part. Raises BadFile."""
    try:
        with ZipFile(file) as archive:
            parts = archive.infolist()
            _require_plain(archive, parts)
            _require_alone(archive, parts, file)
            texts = _read(archive, parts)
    except (BadZipFile, NotImplementedError, EOFError, zlib.error) as broken:
        raise BadFile(Fault.BROKEN) from broken
    if kind is Kind.ODT:
        _require_odt(parts, texts)
    else:
        _require_office(kind, texts)
    return Verdict(kind=kind, rewritten=False, preview=False)


def _require_plain(archive: ZipFile, parts: list[ZipInfo]) -> None:
    """Refuse locks, macros, parts by odd names or upon each other."""
    if not parts:
        raise BadFile(Fault.BROKEN)
    if len(parts) > MAX_ENTRIES:
        raise BadFile(Fault.UNPACKS_TOO_LARGE)
    if any(part.flag_bits & 0x41 for part in parts):
        raise BadFile(Fault.LOCKED)
    names = [part.filename.casefold() for part in parts]
    odd = any(n.startswith("/") or "\\" in n or ".." in n.split("/") or ":" in n for n in names)
    if odd or len(set(names)) != len(names):
        raise BadFile(Fault.BROKEN)
    if any(map(_MACROS.search, names)):
        raise BadFile(Fault.MACROS)
    # Parts that lie upon each other are how a bomb is packed.
    ordered = sorted(parts, key=lambda part: part.header_offset)
    ends = [part.header_offset + 30 + part.compress_size for part in ordered]
    starts = [*(part.header_offset for part in ordered[1:]), archive.start_dir]
    if any(end > start for end, start in zip(ends, starts, strict=True)):
        raise BadFile(Fault.BROKEN)


def _require_alone(archive: ZipFile, parts: list[ZipInfo], file: Path) -> None:
    """Refuse what has something before its first part or behind its end: another file."""
    with file.open("rb") as opened:
        opened.seek(-_END, 2)
        ends = opened.read(4) == b"PK\x05\x06"
    if min(part.header_offset for part in parts) != 0 or archive.comment or not ends:
        raise BadFile(Fault.POLYGLOT)


def _read(archive: ZipFile, parts: list[ZipInfo]) -> dict[str, bytes]:
    """Unpack everything, keep what is XML and small enough to be read."""
    left, texts = MAX_UNPACKED_BYTES, {}
    for part in parts:
        if part.compress_type not in {ZIP_STORED, ZIP_DEFLATED}:
            raise BadFile(Fault.BROKEN)
        text = part.filename.lower().endswith(_XML) or part.filename == "mimetype"
        kept = bytearray()
        first = True
        with archive.open(part) as opened:
            while chunk := opened.read(_CHUNK):
                left -= len(chunk)
                if left < 0:
                    raise BadFile(Fault.UNPACKS_TOO_LARGE)
                if first and chunk.startswith(_INSIDE):
                    raise BadFile(Fault.NESTED)
                first = False
                if text:
                    kept += chunk
        if text:
            texts[part.filename] = bytes(kept)
            _require_no_entities(texts[part.filename])
    return texts


def _require_no_entities(xml: bytes) -> None:
    """No document type: what it defines grows without end, or is fetched from elsewhere."""
    plain = xml.replace(b"\0", b"")  # UTF-16 as well
    if b"<!DOCTYPE" in plain or b"<!ENTITY" in plain:
        raise BadFile(Fault.ACTIVE)


def _require_office(kind: Kind, texts: dict[str, bytes]) -> None:
    types = texts.get(_TYPES, b"")
    if b"macroEnabled" in types or b"vbaProject" in types:
        raise BadFile(Fault.MACROS)
    if f"{KINDS[kind].media_type}.main+xml".encode() not in types:
        raise BadFile(Fault.MISMATCH)
    for name, xml in texts.items():
        if name.lower().endswith(".rels"):
            _require_own(xml)


def _require_own(relations: bytes) -> None:
    """What lies elsewhere is fetched when the document is opened; only a link waits for a click."""
    for one in _tree(relations).iter():
        elsewhere = one.get("TargetMode", "").lower() == "external"
        if elsewhere and not one.get("Type", "").endswith("/hyperlink"):
            raise BadFile(Fault.ACTIVE)


def _require_odt(parts: list[ZipInfo], texts: dict[str, bytes]) -> None:
    first = parts[0]
    if first.filename != "mimetype" or first.compress_type != ZIP_STORED:
        raise BadFile(Fault.MISMATCH)
    if texts["mimetype"] != KINDS[Kind.ODT].media_type.encode():
        raise BadFile(Fault.MISMATCH)
    if b"encryption-data" in texts.get(_MANIFEST, b""):
        raise BadFile(Fault.LOCKED)
    if "content.xml" not in texts:
        raise BadFile(Fault.BROKEN)
    for name, xml in texts.items():
        if name.rpartition("/")[2].lower() in _LOOKS:
            _require_still(xml)


def _require_still(xml: bytes) -> None:
    """Refuse what runs and what is fetched when the document is opened; links wait for a click."""
    for one in _tree(xml).iter():
        if one.tag.startswith(_SCRIPT):
            raise BadFile(Fault.MACROS)
        if _local(one.tag) != "a" and any(
            _local(name) == "href" and _ELSEWHERE.match(unquote(value))
            for name, value in one.items()
        ):
            raise BadFile(Fault.ACTIVE)


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _tree(xml: bytes) -> ET.Element:
    try:
        return ET.fromstring(xml)  # noqa: S314 - it has no document type, and this is the child
    except ET.ParseError as broken:
        raise BadFile(Fault.BROKEN) from broken
