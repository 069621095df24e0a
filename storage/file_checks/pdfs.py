"""PDF: read by PDFium to its first page, refused when it does things (runs in the child)."""

import re
import zlib
from pathlib import Path
from typing import Final

import pypdfium2
import pypdfium2.raw as pdfium

from storage.file_checks import images
from storage.file_checks.faults import BadFile, Fault
from storage.file_checks.judge import Verdict
from storage.file_checks.kinds import MAX_PDF_PAGES, MAX_UNPACKED_BYTES, PREVIEW_PX, Kind

# What a page to be read has no need of: scripts, programs, files inside, forms of XML, films. They
# are looked for in the whole file: what is packed is not hit by chance with names as long as these.
_ACTIVE: Final = re.compile(
    rb"/(JavaScript|Rendition|Launch|EmbeddedFiles?|XFA|RichMedia|ImportData|SubmitForm|GoToE)"
    rb"(?=[\s\0/<>\[\](){}%]|\Z)"
)
# A name may write any of its letters as #xx (ISO 32000-1, 7.3.5).
_HEX: Final = re.compile(rb"#([0-9A-Fa-f]{2})")
_OBJECTS: Final = re.compile(rb"/ObjStm\b")
# A stream of objects as programs write it; any other could say one thing to us and one to a reader.
_PACKED: Final = re.compile(rb"<<([^<>()%#]*/Type\s*/ObjStm(?=[\s/>])[^<>()%#]*)>>\s*stream\r?\n")
_FILTER: Final = re.compile(rb"/Filter\s*(/FlateDecode(?=[\s/]|\Z)|\[\s*/FlateDecode\s*\])")
_MAX_SIDE_PT: Final = 1_000_000
_NO_LOCK: Final = -1
_XFA: Final = frozenset({pdfium.FORMTYPE_XFA_FULL, pdfium.FORMTYPE_XFA_FOREGROUND})


def check(file: Path, preview: Path) -> Verdict:
    """Open it, look for what acts, draw the first page. Raises BadFile."""
    try:
        document = pypdfium2.PdfDocument(file)
    except pypdfium2.PdfiumError as refused:
        locked = refused.err_code == pdfium.FPDF_ERR_PASSWORD
        raise BadFile(Fault.LOCKED if locked else Fault.BROKEN) from refused
    if pdfium.FPDF_GetSecurityHandlerRevision(document.raw) != _NO_LOCK:
        raise BadFile(Fault.LOCKED)  # it opens without a password, but its bytes are not to be read
    if len(document) < 1:
        raise BadFile(Fault.BROKEN)
    if len(document) > MAX_PDF_PAGES:
        raise BadFile(Fault.TOO_MANY_PAGES)
    if (
        pdfium.FPDFDoc_GetJavaScriptActionCount(document.raw) > 0
        or pdfium.FPDFDoc_GetAttachmentCount(document.raw) > 0
        or pdfium.FPDF_GetFormType(document.raw) in _XFA
        or _acts(file.read_bytes())
    ):
        raise BadFile(Fault.ACTIVE)
    page = document[0]
    width, height = page.get_size()
    longest = max(width, height)
    if not (width >= 1 and height >= 1 and longest < _MAX_SIDE_PT):  # nor is NaN
        raise BadFile(Fault.BROKEN)
    images.small(page.render(scale=PREVIEW_PX / longest).to_pil(), preview)
    return Verdict(kind=Kind.PDF, rewritten=False, preview=True)


def _acts(data: bytes) -> bool:
    """Look at the file as it lies, and into streams of objects. Raises BadFile."""
    plain = _plain(data)
    packed = list(_PACKED.finditer(data))
    if _ACTIVE.search(plain) or len(packed) != len(_OBJECTS.findall(plain)):
        return True
    left = MAX_UNPACKED_BYTES
    for found in packed:
        filters = found[1].count(b"/Filter")
        if filters == 0:
            continue  # it was looked at as it lies
        if filters > 1 or not _FILTER.search(found[1]) or b"/DecodeParms" in found[1]:
            return True
        inside = _unpacked(data, found.end(), left)
        left -= len(inside)
        if _ACTIVE.search(_plain(inside)):
            return True
    return False


def _unpacked(data: bytes, start: int, most: int) -> bytes:
    """What is packed from here to its own end, whatever length the file says it has."""
    reader = zlib.decompressobj()
    try:
        inside = reader.decompress(memoryview(data)[start:], most)
    except zlib.error as broken:
        raise BadFile(Fault.BROKEN) from broken
    if not reader.eof:
        raise BadFile(Fault.UNPACKS_TOO_LARGE if reader.unconsumed_tail else Fault.BROKEN)
    return inside


def _plain(part: bytes) -> bytes:
    return _HEX.sub(lambda found: bytes([int(found[1], 16)]), part)
