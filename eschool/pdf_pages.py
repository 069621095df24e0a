"""A stranger's PDF becomes pictures and texts, in a process of its own with little to break.

`render` starts `python -I -m eschool.pdf_pages PDF FOLDER` (storage/limited_child.py). The child
confines itself before it opens the file (storage/confine.py). It leaves `001.webp` … and
`texts.json` in FOLDER and tells its verdict by its exit code. What it left is not trusted either:
only plain files of the names expected, and of sane size, are taken.

BadSlides            422, field slides
├── NotAPdf          not_a_pdf: by its first bytes, whatever it is called
├── BrokenPdf        broken_pdf: PDFium cannot read it, or not within the limits
├── PdfLocked        pdf_locked: it asks for a password
└── TooManyPages     too_many_pages, params: max
TooLarge             413 too_large, params: max_bytes
"""

import asyncio
import math
import os
import sys
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any

import msgspec

from people.refused import FieldError, Refused
from storage import limited_child
from storage.confine import Limits, confine
from storage.limited_child import READY, plain_file

MAX_BYTES = 50 << 20
MAX_PAGES = 200
MAX_TEXT = 2000
WIDTH_PX = 1600
HEIGHT_PX = 2500  # at the full width that is 4 megapixels, and an A4 page stands in it
# Generous for two slow cores and 200 pages; the processor's limit is the tighter one.
WALL_S = 120.0
CPU_S = 60
MEMORY_BYTES = 1536 << 20
MAX_PICTURE_BYTES = 8 << 20
_LIMITS = Limits(cpu_s=CPU_S, memory_bytes=MEMORY_BYTES, file_bytes=MAX_PICTURE_BYTES)
_TEXTS = "texts.json"


class Rendered(msgspec.Struct, frozen=True):
    """Pictures of the pages in their order (WebP), and what is written on each."""

    pages: list[Path]
    texts: list[str]


class BadSlides(Refused):
    """This file makes no slides."""

    status = 422

    def __init__(self, **params: Any) -> None:
        super().__init__((FieldError("slides", self.code, params),), **params)


class NotAPdf(BadSlides):
    """It does not begin as a PDF does."""

    code = "not_a_pdf"


class BrokenPdf(BadSlides):
    """It cannot be read to its end, or asks for more than a page may cost."""

    code = "broken_pdf"


class PdfLocked(BadSlides):
    """Nobody can read it without its password."""

    code = "pdf_locked"


class TooManyPages(BadSlides):
    """More pages than a lesson has minutes for."""

    code = "too_many_pages"

    def __init__(self) -> None:
        super().__init__(max=MAX_PAGES)


class TooLarge(Refused):
    """More bytes than slides need."""

    status = 413
    code = "too_large"

    def __init__(self) -> None:
        params = {"max_bytes": MAX_BYTES}
        super().__init__((FieldError("slides", self.code, params),), **params)


class _Verdict(IntEnum):
    """Exit codes of the child, clear of Python's own 1 and 2."""

    RENDERED = 0
    BROKEN = 10
    LOCKED = 11
    TOO_MANY = 12


_Texts = Annotated[
    list[Annotated[str, msgspec.Meta(max_length=MAX_TEXT, pattern=r"^[^\x00]*\Z")]],
    msgspec.Meta(max_length=MAX_PAGES, min_length=1),
]


async def render(pdf: Path, folder: Path, *, wall_s: float = WALL_S) -> Rendered:
    """Render `pdf` into the caller's `folder`, which the caller removes. Raises as above."""
    await asyncio.to_thread(_judge, pdf)
    arguments = (str(pdf), str(folder))
    code = await limited_child.run("eschool.pdf_pages", *arguments, folder=folder, wall_s=wall_s)
    return await asyncio.to_thread(_taken, folder, code)


def _judge(pdf: Path) -> None:
    """Refuse what no parser need see; a mark of UTF-8 or white space at the start is forgiven."""
    with pdf.open("rb") as file:
        if os.fstat(file.fileno()).st_size > MAX_BYTES:
            raise TooLarge
        head = file.read(1024)
    if not head.removeprefix(b"\xef\xbb\xbf").lstrip(b"\0\t\n\f\r ").startswith(b"%PDF-"):
        raise NotAPdf


def _taken(folder: Path, code: int) -> Rendered:
    """Take what the child left, if it is what was asked for."""
    if code == _Verdict.LOCKED:
        raise PdfLocked
    if code == _Verdict.TOO_MANY:
        raise TooManyPages
    if code != _Verdict.RENDERED:  # broken, out of time or memory, or crashed
        raise BrokenPdf
    try:
        texts = msgspec.json.decode(plain_file(folder / _TEXTS, MAX_PICTURE_BYTES), type=_Texts)
        pages = [folder / _name(page) for page in range(1, len(texts) + 1)]
        for page in pages:
            picture = plain_file(page, MAX_PICTURE_BYTES, 12)
            if picture[:4] != b"RIFF" or picture[8:] != b"WEBP":
                raise BrokenPdf
    except (OSError, ValueError) as odd:  # msgspec's errors are ValueErrors
        raise BrokenPdf from odd
    return Rendered(pages, texts)


def _name(page: int) -> str:
    return f"{page:03d}.webp"


# What follows runs in the child.


def scale_of(width_pt: float, height_pt: float) -> float:
    """Pixels a point: the full width, unless the page is too tall for it."""
    if not (1 <= width_pt < math.inf and 1 <= height_pt < math.inf):  # nor is NaN
        raise ValueError("a page without a size")
    return min(WIDTH_PX / width_pt, HEIGHT_PX / height_pt)


def clean(text: str) -> str:
    """Text as the database and the pages take it: no control characters, no halves of pairs."""
    lines = text.encode("utf-8", "ignore").decode().splitlines()
    shown = ("".join(c if c.isprintable() else " " for c in line) for line in lines)
    kept = (" ".join(line.split()) for line in shown)
    return "\n".join(line for line in kept if line)[:MAX_TEXT]


def _render_all(pdf: Path, folder: Path) -> _Verdict:
    # Only here: the parent must not load a parser of strangers' files.
    import PIL.WebPImagePlugin  # noqa: F401, PLC0415
    import pypdfium2  # noqa: PLC0415
    import pypdfium2.raw as pdfium  # noqa: PLC0415

    confine(_LIMITS, reads=[pdf], writes=folder)
    (folder / READY).touch()
    try:
        document = pypdfium2.PdfDocument(pdf)
    except pypdfium2.PdfiumError as refused:
        locked = refused.err_code == pdfium.FPDF_ERR_PASSWORD
        return _Verdict.LOCKED if locked else _Verdict.BROKEN
    if not 1 <= len(document) <= MAX_PAGES:
        return _Verdict.TOO_MANY if len(document) else _Verdict.BROKEN
    texts = []
    for number, page in enumerate(document, start=1):
        picture = page.render(scale=scale_of(*page.get_size())).to_pil().convert("RGB")
        picture.thumbnail((WIDTH_PX, HEIGHT_PX))  # sizes are rounded up
        picture.save(folder / _name(number), "WEBP", quality=80, method=2)
        words = page.get_textpage()
        texts.append(clean(words.get_text_bounded()))
        words.close()
        page.close()
    (folder / _TEXTS).write_bytes(msgspec.json.encode(texts))
    return _Verdict.RENDERED


if __name__ == "__main__":
    try:
        verdict = _render_all(Path(sys.argv[1]), Path(sys.argv[2]))
    except Exception:  # noqa: BLE001 - whatever a stranger's file does to a parser
        verdict = _Verdict.BROKEN
    # No tidying up: a damaged document may crash there, and the pages are written.
    os._exit(verdict)
