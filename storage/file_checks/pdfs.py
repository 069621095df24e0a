"""PDF: read by PDFium to its first page, refused when it does things (runs in the child)."""

import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pypdfium2
import pypdfium2.raw as pdfium

from storage.file_checks import images
from storage.file_checks.faults import BadFile, Fault
from storage.file_checks.judge import Verdict
from storage.file_checks.kinds import MAX_PDF_PAGES, MAX_UNPACKED_BYTES, PREVIEW_PX, Kind

# What a page to be read has no need of: scripts, programs, files inside, forms of XML, films.
_ACTIVE: Final = re.compile(
    rb"/(JavaScript|JS|Launch|EmbeddedFiles?|XFA|RichMedia|ImportData|SubmitForm|GoToE)"
    rb"(?=[\s/<>\[\](){}%]|\Z)"
)
# A name may write any of its letters as #xx (ISO 32000-1, 7.3.5).
_HEX: Final = re.compile(rb"#([0-9A-Fa-f]{2})")
_OBJECTS: Final = re.compile(rb"/ObjStm\b")
_STREAM: Final = re.compile(rb"stream\r?\n")
_DICTIONARY_BYTES: Final = 2000
_MAX_SIDE_PT: Final = 1_000_000
_XFA: Final = frozenset({pdfium.FORMTYPE_XFA_FULL, pdfium.FORMTYPE_XFA_FOREGROUND})


def check(file: Path, preview: Path) -> Verdict:
    """Open it, look for what acts, draw the first page. Raises BadFile."""
    try:
        document = pypdfium2.PdfDocument(file)
    except pypdfium2.PdfiumError as refused:
        locked = refused.err_code == pdfium.FPDF_ERR_PASSWORD
        raise BadFile(Fault.LOCKED if locked else Fault.BROKEN) from refused
    if len(document) < 1:
        raise BadFile(Fault.BROKEN)
    if len(document) > MAX_PDF_PAGES:
        raise BadFile(Fault.TOO_MANY_PAGES)
    if (
        pdfium.FPDFDoc_GetJavaScriptActionCount(document.raw) > 0
        or pdfium.FPDFDoc_GetAttachmentCount(document.raw) > 0
        or pdfium.FPDF_GetFormType(document.raw) in _XFA
        or any(_ACTIVE.search(_plain(part)) for part in _parts(file.read_bytes()))
    ):
        raise BadFile(Fault.ACTIVE)
    page = document[0]
    width, height = page.get_size()
    longest = max(width, height)
    if not (width >= 1 and height >= 1 and longest < _MAX_SIDE_PT):  # nor is NaN
        raise BadFile(Fault.BROKEN)
    images.small(page.render(scale=PREVIEW_PX / longest).to_pil(), preview)
    return Verdict(kind=Kind.PDF, rewritten=False, preview=True)


def _parts(data: bytes) -> Iterator[bytes]:
    """What is written between the streams, and what is packed into streams of objects."""
    at, unpacked = 0, 0
    while (found := _STREAM.search(data, at)) is not None:
        before = data[at : found.start()]
        yield before
        end = data.find(b"endstream", found.end())
        end = len(data) if end < 0 else end
        if _OBJECTS.search(before[-_DICTIONARY_BYTES:]):
            inside = _unpacked(data[found.end() : end], MAX_UNPACKED_BYTES - unpacked)
            unpacked += len(inside)
            yield inside
        at = end
    yield data[at:]


def _unpacked(packed: bytes, most: int) -> bytes:
    """As far as it can be read: PDFium has read it, and is as forgiving."""
    reader = zlib.decompressobj()
    try:
        inside = reader.decompress(packed, most)
    except zlib.error:
        return packed
    if reader.unconsumed_tail:
        raise BadFile(Fault.UNPACKS_TOO_LARGE)
    return inside


def _plain(part: bytes) -> bytes:
    return _HEX.sub(lambda found: bytes([int(found[1], 16)]), part)
