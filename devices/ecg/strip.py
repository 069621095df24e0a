"""An ECG strip as paper shows it, true to the millimetre: geometry first, then SVG. Pure.

A strip is a drawing: a head (what the caller says about it, scale, filter, start) and rows of
paper, each with all leads one above the other. Paper is a millimetre grid, every fifth line bold.
Before each lead (before the first, where they are many) stands the calibration mark, 1 mV high and
0.2 s wide; below a row are its seconds, above it its beats. A missing sample is a gap and never a
line. What goes beyond the paper stops at its edge, as a pen does.

Every number in a drawing is a millimetre. strip_pdf.py makes pages of the same drawing.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Final, Literal
from xml.sax.saxutils import escape, quoteattr

import msgspec
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
SPEEDS_MM_S: Final = (12.5, 25.0, 50.0)
GAINS_MM_MV: Final = (5.0, 10.0, 20.0)

WIDTH_MM: Final = 297.0  # A4 across
HEIGHT_MM: Final = 210.0
MARGIN_MM: Final = 13.5
EDGE_MM: Final = 8.0  # above and below, of a page
PAPER_MM: Final = 270
CALIBRATION_MM: Final = 15  # what the calibration mark has before the trace begins
TRACE_MM: Final = 250  # ten seconds at 25 mm/s
CALIBRATION_S: Final = 0.2
MAX_S: Final = 300.0
MAX_LEADS: Final = 16
MAX_CAPTION: Final = 6
_MAX_WORDS: Final = 150  # what fits into one line
_MAX_NAME: Final = 8
_ABOVE_MM, _BELOW_MM = 5.0, 5.0  # beside the paper of a row: time and beats, seconds
_LINE_MM: Final = 4.6
_LEAST_MM, _MOST_MM = 10.0, 40.0  # of one lead, above its zero and below
_TEXT_MM: Final = 3.2
_SMALL_MM: Final = 2.6
_BUCKET_MM: Final = 0.1  # of more samples than this shows, the highest and the lowest are drawn


class StripLead(msgspec.Struct, frozen=True):
    """One lead in mV; NaN where a sample is missing."""

    name: str
    millivolts: Floats


class Strip(msgspec.Struct, frozen=True, kw_only=True):
    """What is drawn. All words are the caller's, in the reader's language.

    `caption`: lines of the head; `filter`: what was filtered, in words; `scale`: speed and gain in
    words, by default in the symbols of the units; `beats`: samples of the R peaks; `started_at` is
    shown by the clock of its own zone.
    """

    leads: tuple[StripLead, ...]
    rate_hz: float
    started_at: datetime | None = None
    speed_mm_s: float = 25.0
    gain_mm_mv: float = 10.0
    filter: str = ""
    beats: Sequence[int] | NDArray[np.int64] = ()
    caption: tuple[str, ...] = ()
    scale: str = ""


class Style(StrEnum):
    """What a path is; each has one colour and width."""

    FINE = "fine"
    BOLD = "bold"
    CALIBRATION = "calibration"
    TRACE = "trace"
    SECOND = "second"
    BEAT = "beat"


class Path(msgspec.Struct, frozen=True):
    """Lines in the path language of SVG."""

    style: Style
    d: str


class Words(msgspec.Struct, frozen=True):
    """Words at a place; `x` is their beginning, middle or end."""

    x: float
    y: float
    said: str
    size_mm: float = _TEXT_MM
    anchor: Literal["start", "middle", "end"] = "start"


class Block(msgspec.Struct, frozen=True):
    """A part of a drawing that stays in one piece: the head, or a row."""

    height_mm: float
    paths: tuple[Path, ...]
    words: tuple[Words, ...]


class Drawing(msgspec.Struct, frozen=True):
    """A strip, drawn."""

    title: str
    started_at: datetime | None
    head: Block
    rows: tuple[Block, ...]


_LOOK: Final = {
    Style.FINE: ("#f3bcbc", 0.1),
    Style.BOLD: ("#df7f7f", 0.2),
    Style.CALIBRATION: ("#222222", 0.25),
    Style.TRACE: ("#111111", 0.25),
    Style.SECOND: ("#555555", 0.2),
    Style.BEAT: ("#1f4fa3", 0.3),
}


def draw_strip(strip: Strip) -> Drawing:
    """Draw a strip. Raises ValueError for what fits no paper; any samples are drawn."""
    count = _require_drawable(strip)
    head = _head(strip)
    rows_s = TRACE_MM / strip.speed_mm_s
    room = HEIGHT_MM - 2 * EDGE_MM - head.height_mm - _ABOVE_MM - _BELOW_MM
    zeros, paper_mm, middles = _leads_placed(strip, int(room))
    rows = []
    at = 0
    while at * rows_s * strip.rate_hz < count:
        first, last = (
            min(count, int(np.ceil(n * rows_s * strip.rate_hz - 1e-9))) for n in (at, at + 1)
        )
        rows.append(_row(strip, at * rows_s, (first, last), zeros, middles, paper_mm))
        at += 1
    title = " · ".join(strip.caption[:1]) or "ECG"
    return Drawing(_line(title), strip.started_at, head, tuple(rows))


def to_svg(drawing: Drawing) -> str:
    """Give the whole drawing as one picture, its rows one below the other."""
    height = drawing.head.height_mm + sum(row.height_mm for row in drawing.rows) + 2 * EDGE_MM
    return picture(drawing.title, (drawing.head, *drawing.rows), height, "sans-serif")


def picture(title: str, blocks: Iterable[Block], height_mm: float, font: str) -> str:
    """Give blocks as an SVG of A4's width in millimetres; nothing in it can act."""
    size = f"{WIDTH_MM:g}mm", f"{height_mm:g}mm"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{size[0]}" height="{size[1]}"',
        f' viewBox="0 0 {WIDTH_MM:g} {height_mm:g}" role="img" aria-label={quoteattr(title)}>',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH_MM:g}" height="{height_mm:g}" fill="#ffffff"/>',
    ]
    top = EDGE_MM
    for block in blocks:
        parts.append(f'<g transform="translate(0 {top:g})">')
        parts += _drawn(block, font)
        parts.append("</g>")
        top += block.height_mm
    parts.append("</svg>\n")
    return "".join(parts)


def _drawn(block: Block, font: str) -> Iterator[str]:
    for path in block.paths:
        colour, width = _LOOK[path.style]
        yield (
            f'<path class="{path.style}" d={quoteattr(path.d)} fill="none" stroke="{colour}"'
            f' stroke-width="{width}" stroke-linecap="round" stroke-linejoin="round"/>'
        )
    for words in block.words:
        yield (
            f'<text x="{words.x:g}" y="{words.y:g}" font-family={quoteattr(font)}'
            f' font-size="{words.size_mm:g}" text-anchor="{words.anchor}" fill="#111111">'
            f"{escape(words.said)}</text>"
        )


def _require_drawable(strip: Strip) -> int:
    """Give the count of samples of each lead."""
    counts = {lead.millivolts.shape for lead in strip.leads}
    if not 1 <= len(strip.leads) <= MAX_LEADS or len(counts) != 1:
        raise ValueError("leads")
    [shape] = counts
    if len(shape) != 1 or shape[0] == 0 or not strip.rate_hz > 0:
        raise ValueError("samples")
    if shape[0] / strip.rate_hz > MAX_S:
        raise ValueError("length")
    if len(strip.caption) > MAX_CAPTION:
        raise ValueError("caption")
    if strip.speed_mm_s not in SPEEDS_MM_S or strip.gain_mm_mv not in GAINS_MM_MV:
        raise ValueError("scale")
    return int(shape[0])


def _head(strip: Strip) -> Block:
    scale = strip.scale or f"{strip.speed_mm_s:g} mm/s · {strip.gain_mm_mv:g} mm/mV"
    said = [_line(line) for line in strip.caption]
    said.append(_line(" · ".join(part for part in (scale, strip.filter, _moment(strip)) if part)))
    words = tuple(
        Words(MARGIN_MM, (at + 1) * _LINE_MM - 1, line, _TEXT_MM + (at == 0) * 0.8)
        for at, line in enumerate(said)
    )
    return Block(len(said) * _LINE_MM + 1, (), words)


def _moment(strip: Strip) -> str:
    at = strip.started_at
    if at is None:
        return ""
    zone = at.strftime("%z")
    shown = at.strftime("%d.%m.%Y %H:%M:%S")
    return f"{shown} (UTC{zone[:3]}:{zone[3:5]})" if zone else shown


def _leads_placed(strip: Strip, room_mm: int) -> tuple[list[float], float, list[float]]:
    """Where each lead has its zero, how high the paper is, and which level stands at the zero.

    Leads that need more than a page has come closer, and may run into each other.
    """
    gain = strip.gain_mm_mv
    middles, ups, downs = [], [], []
    for lead in strip.leads:
        known = lead.millivolts[np.isfinite(lead.millivolts)].astype(np.float64)
        middle = float(np.median(known)) if len(known) else 0.0
        up = (float(known.max()) - middle) * gain if len(known) else 0.0
        down = (middle - float(known.min())) * gain if len(known) else 0.0
        middles.append(middle)
        ups.append(_fives(max(up, gain) + 1))
        downs.append(_fives(down + 1))
    steps = [ups[0], *(down + up for down, up in zip(downs, ups[1:], strict=False)), downs[-1]]
    if (wanted := sum(steps)) > room_mm:
        # The calibration mark stays on the paper.
        rest = (room_mm - steps[0]) / (wanted - steps[0])
        steps[1:] = [float(int(step * rest)) for step in steps[1:]]
    zeros = np.cumsum(steps).tolist()
    return zeros[:-1], float(zeros[-1]), middles


def _fives(need_mm: float) -> float:
    """Whole bold squares, so that a zero stands on a bold line."""
    return float(np.ceil(min(max(need_mm, _LEAST_MM), _MOST_MM) / 5) * 5)


def _row(  # noqa: PLR0917 - one row of the drawing
    strip: Strip,
    begins_s: float,
    span: tuple[int, int],
    zeros: list[float],
    middles: list[float],
    paper_mm: float,
) -> Block:
    first, last = span
    top, left = _ABOVE_MM, MARGIN_MM + CALIBRATION_MM
    paths = [*_paper(top, paper_mm)]
    words = []
    roomy = all(below - zero >= strip.gain_mm_mv + _LINE_MM for zero, below in pairwise(zeros))
    x = (np.arange(first, last) / strip.rate_hz - begins_s) * strip.speed_mm_s + left
    for lead, zero, middle in zip(strip.leads, zeros, middles, strict=True):
        if roomy or zero == zeros[0]:
            paths.append(Path(Style.CALIBRATION, _calibration(strip, top + zero)))
        words.append(Words(MARGIN_MM + 0.8, top + zero + 3.6, _line(lead.name)[:_MAX_NAME]))
        y = top + zero - (lead.millivolts[first:last] - middle) * strip.gain_mm_mv
        trace = _trace(
            x,
            np.where(np.isfinite(y), np.clip(y, top, top + paper_mm), np.nan),
            strip.speed_mm_s / strip.rate_hz,
        )
        if trace:
            paths.append(Path(Style.TRACE, trace))
    beats = np.asarray(strip.beats, np.int64)
    beats = beats[(beats >= first) & (beats < last)]
    ticks = "".join(
        f"M{_mm((at / strip.rate_hz - begins_s) * strip.speed_mm_s + left)} {top - 2.5:g}v2"
        for at in beats.tolist()
    )
    if ticks:
        paths.append(Path(Style.BEAT, ticks))
    bottom = top + paper_mm
    seconds = [
        (second, (second - begins_s) * strip.speed_mm_s + left)
        for second in range(int(np.ceil(begins_s)), int(last / strip.rate_hz) + 1)
    ]
    paths.append(Path(Style.SECOND, "".join(f"M{_mm(at)} {bottom:g}v1.5" for _, at in seconds)))
    words += [
        Words(at, bottom + 4, str(second), _SMALL_MM, "middle")
        for second, at in seconds
        if at <= left + TRACE_MM
    ]
    if strip.started_at is not None:
        begins = strip.started_at + timedelta(seconds=begins_s)
        words.append(Words(MARGIN_MM, top - 1, begins.strftime("%H:%M:%S"), _SMALL_MM))
    return Block(top + paper_mm + _BELOW_MM, tuple(p for p in paths if p.d), tuple(words))


def _paper(top: float, height: float) -> tuple[Path, Path]:
    across = [(f"M{MARGIN_MM + at:g} {top:g}v{height:g}", at) for at in range(PAPER_MM + 1)]
    down = [(f"M{MARGIN_MM:g} {top + at:g}h{PAPER_MM}", at) for at in range(int(height) + 1)]
    lines = across + down
    return (
        Path(Style.FINE, "".join(d for d, at in lines if at % 5)),
        Path(Style.BOLD, "".join(d for d, at in lines if at % 5 == 0)),
    )


def _calibration(strip: Strip, zero: float) -> str:
    """1 mV high and 0.2 s wide, at the scale of the strip."""
    wide, high = CALIBRATION_S * strip.speed_mm_s, strip.gain_mm_mv
    x = MARGIN_MM + 2
    return f"M{x:g} {zero:g}h1V{zero - high:g}h{wide:g}V{zero:g}h1"


def _trace(x: Floats, y: Floats, step_mm: float) -> str:
    """Runs of what is there, each a line of its own."""
    there = np.isfinite(y)
    edges = np.flatnonzero(np.diff(np.concatenate(([False], there, [False]))))
    parts = []
    for first, last in pairwise(edges.tolist()):
        if not there[first]:
            continue
        run_x, run_y = _thinned(x[first:last], y[first:last], step_mm)
        points = [
            f"{_mm(px)} {_mm(py)}" for px, py in zip(run_x.tolist(), run_y.tolist(), strict=True)
        ]
        parts.append(f"M{points[0]}" + (f"L{' '.join(points[1:])}" if points[1:] else "h0"))
    return "".join(parts)


def _thinned(x: Floats, y: Floats, step_mm: float) -> tuple[Floats, Floats]:
    """Leave of each tenth of a millimetre its highest and its lowest sample, in their order."""
    size = int(_BUCKET_MM / step_mm)
    if size <= 2 or len(y) <= 2 * size:  # noqa: PLR2004 - two of two are all
        return x, y
    whole = len(y) // size * size
    buckets = y[:whole].reshape(-1, size)
    starts = np.arange(0, whole, size)
    kept = np.unique(
        np.concatenate(
            (
                starts + buckets.argmin(1),
                starts + buckets.argmax(1),
                np.arange(whole, len(y)),
                [0, len(y) - 1],
            )
        )
    )
    return x[kept], y[kept]


def _mm(value: float) -> str:
    """A hundredth of a millimetre is finer than any printer."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _line(said: str) -> str:
    """One line that fits, of what can be shown."""
    shown = " ".join("".join(c if c.isprintable() else " " for c in said).split(" ")).strip()
    return shown if len(shown) <= _MAX_WORDS else f"{shown[: _MAX_WORDS - 1]}…"
