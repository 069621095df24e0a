"""The list of kinds that are taken, and their limits; what is not here is refused.

No HEIC: nothing of ours decodes it, and a phone that is offered JPEG converts it. No SVG, HTML or
GIF, no formats of before 2007, no archives, no films.
"""

from enum import StrEnum
from typing import Final, NamedTuple


class Kind(StrEnum):
    """Kinds of file, by content."""

    JPEG = "jpeg"
    PNG = "png"
    WEBP = "webp"
    PDF = "pdf"
    DOCX = "docx"
    XLSX = "xlsx"
    PPTX = "pptx"
    ODT = "odt"
    TEXT = "text"
    CSV = "csv"
    M4A = "m4a"
    MP3 = "mp3"
    OGG = "ogg"
    ECG = "ecg"  # judged elsewhere: what is in it is not known here (telemed/ecg_files.py)


class About(NamedTuple):
    """Endings, the first being the one a kept file gets; what a browser is told; the most bytes."""

    endings: tuple[str, ...]
    media_type: str
    max_bytes: int


_OFFICE: Final = "application/vnd.openxmlformats-officedocument"
IMAGES: Final = frozenset({Kind.JPEG, Kind.PNG, Kind.WEBP})
ZIPS: Final = frozenset({Kind.DOCX, Kind.XLSX, Kind.PPTX, Kind.ODT})
TEXTS: Final = frozenset({Kind.TEXT, Kind.CSV})
SOUNDS: Final = frozenset({Kind.M4A, Kind.MP3, Kind.OGG})
REWRITTEN: Final = IMAGES | SOUNDS

KINDS: Final[dict[Kind, About]] = {
    Kind.JPEG: About(("jpg", "jpeg", "jfif"), "image/jpeg", 20 << 20),
    Kind.PNG: About(("png",), "image/png", 20 << 20),
    Kind.WEBP: About(("webp",), "image/webp", 20 << 20),
    Kind.PDF: About(("pdf",), "application/pdf", 25 << 20),
    Kind.DOCX: About(("docx",), f"{_OFFICE}.wordprocessingml.document", 25 << 20),
    Kind.XLSX: About(("xlsx",), f"{_OFFICE}.spreadsheetml.sheet", 25 << 20),
    Kind.PPTX: About(("pptx",), f"{_OFFICE}.presentationml.presentation", 25 << 20),
    Kind.ODT: About(("odt",), "application/vnd.oasis.opendocument.text", 25 << 20),
    Kind.TEXT: About(("txt",), "text/plain; charset=utf-8", 2 << 20),
    Kind.CSV: About(("csv",), "text/csv; charset=utf-8", 2 << 20),
    Kind.M4A: About(("m4a",), "audio/mp4", 20 << 20),
    Kind.MP3: About(("mp3",), "audio/mpeg", 20 << 20),
    Kind.OGG: About(("ogg", "oga", "opus"), "audio/ogg", 20 << 20),
    Kind.ECG: About(
        ("edf", "zip", "dcm", "xml", "scp", "atc", "csv"), "application/octet-stream", 25 << 20
    ),
}
MAX_BYTES: Final = max(about.max_bytes for about in KINDS.values())

MAX_PIXELS: Final = 64_000_000  # more than any phone of today puts into one picture
MAX_SIDE_PX: Final = 6000  # a larger picture is scaled down to it
PREVIEW_PX: Final = 1200
MAX_PREVIEW_BYTES: Final = 2 << 20
MAX_PDF_PAGES: Final = 500
MAX_UNPACKED_BYTES: Final = 100 << 20
MAX_ENTRIES: Final = 2000
MAX_SOUND_S: Final = 30 * 60


def kind_of(name: str) -> Kind | None:
    """The kind a file's name says it is; no name makes an ECG."""
    _, dot, ending = name.rpartition(".")
    for kind, about in KINDS.items():
        if dot and ending.lower() in about.endings and kind is not Kind.ECG:
            return kind
    return None
