"""Pages of a drawn strip: A4 across, in vectors, millimetre for millimetre. The bytes are the same
for the same drawing.

typst sets an SVG as paths and glyphs, at the size it is told: 72 points are 25.4 mm, and nothing is
scaled to fit. Print at 100 %.
"""

import json
import re
from typing import Final
from unicodedata import normalize

import typst

from devices.ecg.strip import (
    EDGE_MM,
    HEIGHT_MM,
    MARGIN_MM,
    WIDTH_MM,
    Block,
    Drawing,
    Words,
    picture,
)

_FONT: Final = "Libertinus Serif"  # typst brings it; it has Latin, Cyrillic and Tatar letters
_NOT_IN_FONT: Final = re.compile(
    r"[^ -~\n\u00a0-\u017f\u0400-\u0477\u048c-\u04c4\u04c7-\u04cc\u04d0-\u04f9–—‘’“”„•…№−]"
)
_PAGE: Final = b"""
#let said = json(bytes(sys.inputs.said))
#let on = if said.on == none { none } else {
  datetime(year: said.on.at(0), month: said.on.at(1), day: said.on.at(2))
}
#set document(title: said.title, date: on)
#set page(width: 297mm, height: 210mm, margin: 0mm)
#for one in said.pages {
  page(image(bytes(one), format: "svg", width: 297mm, height: 210mm, alt: said.title))
}
"""


def to_pdf(drawing: Drawing) -> bytes:
    """Give the drawing as a PDF; PDF/A-2b where the strip has a date."""
    pages = _pages(drawing)
    number = [
        Words(WIDTH_MM - MARGIN_MM, HEIGHT_MM - EDGE_MM / 2, f"{at} / {len(pages)}", 2.6, "end")
        for at in range(1, len(pages) + 1)
    ]
    on = drawing.started_at
    said = {
        "title": _in_font(drawing.title),
        "on": None if on is None else [on.year, on.month, on.day],
        "pages": [
            _in_font(_svg(drawing, rows, foot)) for rows, foot in zip(pages, number, strict=True)
        ],
    }
    made: bytes = typst.compile(
        _PAGE,
        format="pdf",
        pdf_standards=[] if on is None else "a-2b",
        ignore_system_fonts=True,
        sys_inputs={"said": json.dumps(said, ensure_ascii=False)},
    )
    return made


def _svg(drawing: Drawing, rows: list[Block], foot: Words) -> str:
    # The foot hangs on a block without height, whose place is known.
    used = EDGE_MM + drawing.head.height_mm + sum(row.height_mm for row in rows)
    below = Words(foot.x, foot.y - used, foot.said, foot.size_mm, foot.anchor)
    return picture(drawing.title, (drawing.head, *rows, Block(0, (), (below,))), HEIGHT_MM, _FONT)


def _pages(drawing: Drawing) -> list[list[Block]]:
    """Rows by the page; a row always fits, and none is parted."""
    room = HEIGHT_MM - 2 * EDGE_MM - drawing.head.height_mm
    pages: list[list[Block]] = []
    left = 0.0
    for row in drawing.rows:
        if not pages or row.height_mm > left:
            pages.append([])
            left = room
        pages[-1].append(row)
        left -= row.height_mm
    return pages


def _in_font(said: str) -> str:
    """Only letters the font has: PDF/A refuses a page with a hole in its words."""
    return _NOT_IN_FONT.sub("?", normalize("NFC", said))  # a Mac writes "й" as two letters
