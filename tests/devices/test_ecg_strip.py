"""An ECG strip measures true: in the picture's text, and in the geometry of the printed page."""

import ctypes
import math
import re
from datetime import UTC, datetime
from typing import NamedTuple
from xml.etree import ElementTree as ET

import numpy as np
import pypdfium2
import pypdfium2.raw as pdfium
import pytest

from devices.ecg.strip import (
    GAINS_MM_MV,
    MAX_CAPTION,
    MAX_LEADS,
    MAX_S,
    SPEEDS_MM_S,
    Strip,
    StripLead,
    draw_strip,
    to_svg,
)
from devices.ecg.strip_pdf import to_pdf

RATE_HZ = 250.0
BEAT_S = 0.8
MM = 72 / 25.4
TRUE_MM = 0.5  # what is promised; what is measured is a hundredth of it
BEGAN = datetime(2026, 11, 22, 22, 1, 5, tzinfo=UTC)


class Line(NamedTuple):
    """One stroke of a page: its colour and its points in mm from the lower left corner."""

    colour: str
    points: tuple[tuple[float, float], ...]


def ecg(seconds: float, rate_hz: float = RATE_HZ) -> np.ndarray:
    """R waves of 1 mV and nothing else, the first at 0.4 s."""
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    return np.exp(-(((t % BEAT_S - 0.4) / 0.015) ** 2))


def strip_of(seconds: float = 6.0, **changed: object) -> Strip:
    fields = {
        "leads": (StripLead("II", ecg(seconds)),),
        "rate_hz": RATE_HZ,
        "started_at": BEGAN,
        "beats": [round(RATE_HZ * (0.4 + BEAT_S * at)) for at in range(round(seconds / BEAT_S))],
        "caption": ("Әнисә Җәләева — приём",),
        "filter": "без фильтра",
        **changed,
    }
    return Strip(**fields)  # type: ignore[arg-type]


def lines_of(pdf: bytes, page: int = 0) -> list[Line]:
    """Measure the strokes of a page where a printer would put them."""
    found = []
    for one in pypdfium2.PdfDocument(pdf)[page].get_objects(max_depth=5):
        if one.type != pdfium.FPDF_PAGEOBJ_PATH:
            continue
        rgba = [ctypes.c_uint() for _ in range(4)]
        pdfium.FPDFPageObj_GetStrokeColor(one, *rgba)
        colour = "#" + "".join(f"{part.value:02x}" for part in rgba[:3])
        matrix = one.get_matrix()
        points: list[tuple[float, float]] = []
        for at in range(pdfium.FPDFPath_CountSegments(one)):
            segment = pdfium.FPDFPath_GetPathSegment(one, at)
            if pdfium.FPDFPathSegment_GetType(segment) == pdfium.FPDF_SEGMENT_MOVETO and points:
                found.append(Line(colour, tuple(points)))
                points = []
            x, y = ctypes.c_float(), ctypes.c_float()
            pdfium.FPDFPathSegment_GetPoint(segment, x, y)
            px, py = matrix.on_point(x.value, y.value)
            points.append((px / MM, py / MM))
        found.append(Line(colour, tuple(points)))
    return found


def of(lines: list[Line], colour: str) -> list[Line]:
    return [line for line in lines if line.colour == colour]


def size(line: Line) -> tuple[float, float]:
    xs, ys = zip(*line.points, strict=True)
    return max(xs) - min(xs), max(ys) - min(ys)


FINE, BOLD, CALIBRATION, TRACE, BEAT = "#f3bcbc", "#df7f7f", "#222222", "#111111", "#1f4fa3"


@pytest.mark.parametrize(
    ("speed", "gain"), [*zip(SPEEDS_MM_S, GAINS_MM_MV, strict=True), (25.0, 20.0)]
)
def test_a_printed_strip_measures_true(speed: float, gain: float) -> None:
    pdf = to_pdf(draw_strip(strip_of(4.8, speed_mm_s=speed, gain_mm_mv=gain)))
    lines = lines_of(pdf)
    mark = size(of(lines, CALIBRATION)[0])
    assert mark[1] == pytest.approx(gain, abs=TRUE_MM / 10)  # 1 mV
    assert mark[0] == pytest.approx(0.2 * speed + 2, abs=TRUE_MM / 10)  # and a millimetre beside
    trace = of(lines, TRACE)[0]
    assert size(trace)[1] == pytest.approx(gain, abs=TRUE_MM / 10)
    tops = _peaks(trace)
    assert len(tops) >= 6
    between = np.diff(tops)
    assert between == pytest.approx(np.full(len(between), BEAT_S * speed), abs=TRUE_MM / 10)
    ticks = [line.points[0][0] for line in of(lines, BEAT)]
    assert ticks == pytest.approx(tops, abs=TRUE_MM / 10)


def _peaks(trace: Line) -> list[float]:
    xs, ys = (np.array(part) for part in zip(*trace.points, strict=True))
    high = ys > (ys.min() + ys.max()) / 2
    starts = np.flatnonzero(np.diff(high.astype(int)) == 1) + 1
    return [float(xs[at + np.argmax(ys[at : at + 20])]) for at in starts]


def test_printed_paper_has_a_line_each_millimetre_and_a_bold_one_each_five() -> None:
    lines = lines_of(to_pdf(draw_strip(strip_of())))
    bold = sorted({round(x, 2) for line in of(lines, BOLD) for x, _ in line.points[:1]})
    upright = [line for line in lines if line.colour in {FINE, BOLD} and size(line)[0] < 0.01]
    across = sorted(line.points[0][0] for line in upright)
    assert np.diff(across) == pytest.approx(np.ones(len(across) - 1), abs=0.01)
    assert across[-1] - across[0] == pytest.approx(270, abs=TRUE_MM / 10)
    assert np.diff(bold) == pytest.approx(np.full(len(bold) - 1, 5), abs=0.02)
    level = [line for line in lines if line.colour in {FINE, BOLD} and size(line)[1] < 0.01]
    down = sorted(line.points[0][1] for line in level)
    assert np.diff(down) == pytest.approx(np.ones(len(down) - 1), abs=0.01)


def test_a_page_is_a4_across_and_a_long_strip_takes_more_of_them_without_losing_a_sample() -> None:
    pdf = to_pdf(draw_strip(strip_of(58.0)))
    pages = pypdfium2.PdfDocument(pdf)
    assert [pages[at].get_size() for at in range(len(pages))] == [
        pytest.approx((297 * MM, 210 * MM), abs=0.01)
    ] * len(pages)
    traces = [line for at in range(len(pages)) for line in of(lines_of(pdf, at), TRACE)]
    assert len(traces) == 6  # ten seconds each
    assert sum(len(line.points) for line in traces) == 58 * RATE_HZ
    assert "2 / 2" in pages[1].get_textpage().get_text_bounded()


def test_a_page_says_whose_it_is_in_tatar_letters_and_at_what_scale() -> None:
    said = pypdfium2.PdfDocument(to_pdf(draw_strip(strip_of())))[0].get_textpage()
    text = said.get_text_bounded()
    for words in (
        "Әнисә Җәләева — приём",
        "25 mm/s · 10 mm/mV · без фильтра · 22.11.2026 22:01:05 (UTC+00:00)",
        "II",
    ):
        assert words in text


def test_letters_that_the_font_has_not_do_not_break_a_page() -> None:
    pdf = to_pdf(draw_strip(strip_of(caption=("Anna 🫀 安娜\x00\ud800 и\u0306е\u0308",))))
    assert "Anna ? ?? йё" in pypdfium2.PdfDocument(pdf)[0].get_textpage().get_text_bounded()


def test_the_same_strip_gives_the_same_bytes() -> None:
    first, second = (draw_strip(strip_of()) for _ in range(2))
    assert to_svg(first) == to_svg(second)
    assert to_pdf(first) == to_pdf(second)


def test_a_strip_without_a_date_is_printed_too() -> None:
    assert to_pdf(draw_strip(strip_of(started_at=None))).startswith(b"%PDF-")


def paths(svg: str, kind: str) -> list[str]:
    root = ET.fromstring(svg)  # noqa: S314 - our own
    named = "{http://www.w3.org/2000/svg}path"
    return [one.get("d", "") for one in root.iter(named) if one.get("class") == kind]


def test_the_picture_is_as_many_millimetres_as_it_has_units() -> None:
    root = ET.fromstring(to_svg(draw_strip(strip_of(25.0))))  # noqa: S314 - our own
    width, height = root.get("width", ""), root.get("height", "")
    assert width == "297mm"
    assert root.get("viewBox") == f"0 0 297 {height.removesuffix('mm')}"


def test_a_gap_is_never_a_line() -> None:
    mv = ecg(6.0)
    mv[500:600] = np.nan
    mv[0] = np.inf
    [trace] = paths(to_svg(draw_strip(strip_of(leads=(StripLead("II", mv),)))), "trace")
    runs = trace.split("M")[1:]
    edges = [re.findall(r"[\d.]+", run)[::2] for run in runs]
    began = 13.5 + 15
    assert [float(run[0]) - began for run in edges] == pytest.approx([0.1, 60.0], abs=0.01)
    assert float(edges[0][-1]) - began == pytest.approx(49.9, abs=0.01)


def test_nothing_there_is_paper_without_a_trace() -> None:
    svg = to_svg(draw_strip(strip_of(leads=(StripLead("II", np.full(500, np.nan)),))))
    assert paths(svg, "trace") == []
    assert len(paths(svg, "calibration")) == 1


def test_a_single_sample_is_a_dot() -> None:
    svg = to_svg(draw_strip(strip_of(leads=(StripLead("II", np.zeros(1)),))))
    assert paths(svg, "trace")[0].endswith("h0")


def test_words_cannot_act() -> None:
    words = "<script>alert(1)</script>\" onload='x' &lt;"
    svg = to_svg(
        draw_strip(strip_of(leads=(StripLead("<b>", ecg(1.0)),), caption=(words,), filter=words))
    )
    root = ET.fromstring(svg)  # noqa: S314 - our own
    names = {one.tag.rpartition("}")[2] for one in root.iter()}
    assert names == {"svg", "title", "rect", "g", "path", "text"}
    assert not {name for one in root.iter() for name in one.attrib if name.startswith("on")}
    assert words in "".join(root.itertext())


def test_a_thinned_trace_keeps_its_peaks() -> None:
    mv = np.zeros(20_000)
    mv[10_001], mv[15_003] = 1.0, -0.5
    drawn = draw_strip(strip_of(leads=(StripLead("II", mv),), rate_hz=2000.0, beats=()))
    [trace] = paths(to_svg(drawn), "trace")
    values = np.array([float(one) for one in re.findall(r"[\d.]+", trace)]).reshape(-1, 2)
    assert len(values) < 10_000
    zero = np.median(values[:, 1])
    high, low = values[values[:, 1].argmin()], values[values[:, 1].argmax()]
    assert (zero - high[1], low[1] - zero) == pytest.approx((10, 5), abs=0.01)
    assert high[0] == pytest.approx(28.5 + 10_001 / 2000 * 25, abs=0.01)


def test_twelve_leads_share_a_page_and_everything_stays_on_the_paper() -> None:
    mv = ecg(10.0)
    leads = tuple(StripLead(f"V{at}", mv * (-5 if at % 2 else 30)) for at in range(12))
    lines = lines_of(to_pdf(draw_strip(strip_of(leads=leads))))
    assert len(of(lines, TRACE)) == 12
    paper = [y for line in of(lines, BOLD) for _, y in line.points]
    drawn = [y for line in lines if line.colour in {TRACE, CALIBRATION} for _, y in line.points]
    assert min(drawn) >= min(paper) - 0.01
    assert max(drawn) <= max(paper) + 0.01


@pytest.mark.parametrize(
    "changed",
    [
        {"leads": ()},
        {"leads": (StripLead("I", np.zeros(0)),)},
        {"leads": (StripLead("I", np.zeros(5)), StripLead("II", np.zeros(6)))},
        {"leads": (StripLead("I", np.zeros((5, 2))),)},
        {"leads": (StripLead("I", np.zeros(5)),) * (MAX_LEADS + 1)},
        {"leads": (StripLead("I", np.zeros(int(MAX_S * RATE_HZ) + 1)),)},
        {"caption": ("a",) * (MAX_CAPTION + 1)},
        {"rate_hz": math.nan},
        {"speed_mm_s": 30.0},
        {"gain_mm_mv": 0.0},
    ],
)
def test_what_fits_no_paper_is_refused(changed: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"leads|samples|length|caption|scale"):
        draw_strip(strip_of(1.0, **changed))
