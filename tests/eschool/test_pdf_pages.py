"""Slides from a PDF: teachers' decks become pictures, a zoo of bad files becomes refusals."""

import asyncio
import os
import re
import signal
import sys
from pathlib import Path

import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pdf_zoo import (
    EXECUTABLE,
    GARBAGE,
    TATAR,
    Pdf,
    archive,
    deck,
    endless,
    flood,
    locked,
    page_of_web,
)

from eschool import pdf_pages
from eschool.pdf_pages import BadSlides, Refused, TooLarge, clean, render, scale_of
from storage import limited_child
from storage.limited_child import ChildAway

GOOD = deck([f"{TATAR}\nикенче юл", "Page two"])


def upload(tmp_path: Path, data: bytes) -> tuple[Path, Path]:
    """Give the file of an upload, and the empty folder its pages go to."""
    pdf, folder = tmp_path / "upload", tmp_path / "pages"
    pdf.write_bytes(data)
    folder.mkdir()
    return pdf, folder


def children_of(folder: Path) -> list[int]:
    """Process ids of renderers that work for this folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            said = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if str(folder).encode() in said:
            found.append(int(process.name))
    return found


async def working(folder: Path) -> int:
    """Wait until the renderer is about to open the file; give its process id."""
    while not (folder / "ready").exists():  # noqa: ASYNC110 - another process's file
        await asyncio.sleep(0.01)
    [child] = children_of(folder)
    return child


async def test_a_deck_becomes_pictures_and_the_words_on_them(tmp_path: Path) -> None:
    """In order, at the full width, Tatar letters and lines kept."""
    rendered = await render(*upload(tmp_path, GOOD))
    assert rendered.texts == [f"{TATAR}\nикенче юл", "Page two"]
    assert [page.name for page in rendered.pages] == ["001.webp", "002.webp"]
    for page in rendered.pages:
        with PIL.Image.open(page) as picture:
            assert (picture.format, picture.size) == ("WEBP", (1600, 900))
            colours = picture.convert("RGB")
            red, paper = colours.getpixel((100, 850)), colours.getpixel((1500, 450))
        assert isinstance(red, tuple)
        assert (red[0] > 200, red[1] < 90) == (True, True), "red where the slide has it"
        assert isinstance(paper, tuple)
        assert min(paper) > 250, "a page without a ground is white"


@pytest.mark.parametrize(
    ("size_pt", "size_px"),
    [
        ((595, 842), (1600, 2265)),
        ((20000, 20000), (1600, 1600)),
        ((200, 14000), (36, 2500)),
    ],
)
async def test_no_page_is_larger_than_four_megapixels(
    tmp_path: Path, size_pt: tuple[int, int], size_px: tuple[int, int]
) -> None:
    """However large it says it is."""
    rendered = await render(*upload(tmp_path, deck(["x"], size_pt)))
    with PIL.Image.open(rendered.pages[0]) as picture:
        width, height = picture.size
    assert width * height <= 4_000_000
    assert abs(width - size_px[0]) <= 1
    assert abs(height - size_px[1]) <= 1


async def test_an_enormous_picture_in_a_small_file_is_only_a_page(tmp_path: Path) -> None:
    """1.2 GB of pixels in 1.2 MB: what is sent on is small."""
    rendered = await render(*upload(tmp_path, flood(20_000)))
    assert rendered.pages[0].stat().st_size < 100_000


ZOO = [
    ("an empty file", b"", "not_a_pdf"),
    ("a program", EXECUTABLE, "not_a_pdf"),
    ("a program that says PDF later on", EXECUTABLE + GOOD, "not_a_pdf"),
    ("an archive", archive(), "not_a_pdf"),
    ("a web page with a PDF inside", page_of_web(), "not_a_pdf"),
    ("garbage with a PDF's first line", GARBAGE, "broken_pdf"),
    ("a deck cut in the middle", GOOD[: len(GOOD) // 2], "broken_pdf"),
    ("a deck without pages", Pdf().made(), "broken_pdf"),
    ("a deck with a password", locked(), "pdf_locked"),
    ("a deck of 201 pages", deck(["x"] * 201), "too_many_pages"),
]


@pytest.mark.parametrize(("data", "code"), [row[1:] for row in ZOO], ids=[row[0] for row in ZOO])
async def test_what_is_no_deck_is_refused_in_words(tmp_path: Path, data: bytes, code: str) -> None:
    """With the field and a stable code; no picture is left, no process either."""
    pdf, folder = upload(tmp_path, data)
    with pytest.raises(BadSlides) as refused:
        await render(pdf, folder)
    [error] = refused.value.errors
    assert (refused.value.status, refused.value.code) == (422, code)
    assert (error.field, error.code) == ("slides", code)
    assert not list(folder.glob("*.webp"))
    assert children_of(folder) == []


async def test_more_than_fifty_megabytes_are_not_even_opened(tmp_path: Path) -> None:
    """Whatever they begin with."""
    pdf, folder = upload(tmp_path, GOOD)
    with pdf.open("r+b") as file:
        file.truncate(pdf_pages.MAX_BYTES + 1)
    with pytest.raises(TooLarge) as refused:
        await render(pdf, folder)
    assert (refused.value.status, refused.value.errors[0].field) == (413, "slides")
    assert not list(folder.iterdir())


async def test_a_page_without_end_is_broken_when_its_time_is_up(tmp_path: Path) -> None:
    """The process is gone, and what it had begun is not taken."""
    pdf, folder = upload(tmp_path, endless())
    child = ("eschool.pdf_pages", (str(pdf), str(folder)))
    code = await limited_child._ended(*child, folder, 0.3)
    assert (code, children_of(folder)) == (-signal.SIGKILL, [])
    (folder / "ready").touch()  # however far it came in that time on a busy machine
    with pytest.raises(BadSlides) as refused:
        pdf_pages._taken(folder, code)
    assert refused.value.code == "broken_pdf"


async def test_a_caller_who_leaves_takes_the_process_with_him(tmp_path: Path) -> None:
    """An upload whose page was closed costs nothing more."""
    pdf, folder = upload(tmp_path, endless())
    rendering = asyncio.create_task(render(pdf, folder))
    async with asyncio.timeout(60):
        await working(folder)
    rendering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await rendering
    assert children_of(folder) == []


async def test_the_parser_has_given_up_what_it_does_not_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Time, memory, files and a core are limited before the file is opened; no secret is there."""
    monkeypatch.setenv("YANASHA_SECRET", "canary")
    pdf, folder = upload(tmp_path, endless())
    rendering = asyncio.create_task(render(pdf, folder))
    async with asyncio.timeout(60):
        child = Path("/proc") / str(await working(folder))
    limits = (child / "limits").read_text()
    status = (child / "status").read_text()
    environment = (child / "environ").read_bytes()
    rendering.cancel()
    await asyncio.gather(rendering, return_exceptions=True)
    found = {
        name: int(hard)
        for name, hard in re.findall(r"^Max (.+?) {2,}\d+ +(\d+) ", limits, re.MULTILINE)
    }
    assert found["cpu time"] == pdf_pages.CPU_S
    assert found["address space"] == pdf_pages.MEMORY_BYTES
    assert found["file size"] == pdf_pages.MAX_PICTURE_BYTES
    assert found["open files"] <= 64
    assert found["core file size"] == 0
    assert "NoNewPrivs:\t1" in status
    assert b"canary" not in environment


async def test_a_renderer_that_does_not_start_is_our_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A teacher is not told that a good file is broken."""
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(ChildAway):
        await render(*upload(tmp_path, GOOD))


@pytest.mark.parametrize("trick", ["link", "pipe", "not webp", "missing", "too large", "texts"])
async def test_what_a_captured_renderer_leaves_is_not_trusted(tmp_path: Path, trick: str) -> None:
    """A link to somebody else's file would be shown to the class."""
    secret = tmp_path / "secret"
    secret.write_bytes(b"RIFF0000WEBPcanary")
    pdf, folder = upload(tmp_path, GOOD)
    await render(pdf, folder)
    page = folder / "002.webp"
    page.unlink()
    if trick == "link":
        page.symlink_to(secret)
    elif trick == "pipe":
        os.mkfifo(page)
    elif trick == "not webp":
        page.write_bytes(b"<script>alert(1)</script>")
    elif trick == "too large":
        page.write_bytes(b"RIFF0000WEBP")
        os.truncate(page, pdf_pages.MAX_PICTURE_BYTES + 1)
    elif trick == "texts":
        page.write_bytes(b"RIFF0000WEBP")
        (folder / "texts.json").write_text('["a\\u0000", "b"]')
    with pytest.raises(Refused) as refused:
        pdf_pages._taken(folder, 0)
    assert refused.value.code == "broken_pdf"


@given(st.text(alphabet=st.characters(), max_size=4000))
def test_any_text_becomes_one_the_database_takes(text: str) -> None:
    """Printable, without halves of pairs, bounded; cleaning twice is cleaning once."""
    cleaned = clean(text)
    cleaned.encode()
    assert all(letter == "\n" or letter.isprintable() for letter in cleaned)
    assert len(cleaned) <= 2000
    assert clean(cleaned) == cleaned.strip()


@given(st.floats(), st.floats())
def test_any_page_size_is_refused_or_fits(width: float, height: float) -> None:
    """Nothing, less than nothing and no number at all are no sizes."""
    try:
        scale = scale_of(width, height)
    except ValueError:
        assert not (1 <= width < float("inf") and 1 <= height < float("inf"))
    else:
        assert width * scale <= 1600 * 1.000001
        assert height * scale <= 2500 * 1.000001
