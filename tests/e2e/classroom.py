"""People in a lesson: a teacher with slides, pupils at their desks, somebody who watches later."""

import io
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from house import House, wait_for
from PIL import Image, ImageDraw, ImageFont
from playwright.sync_api import Browser, Locator, expect
from room import Guest

LAPTOP, TABLET = {"width": 1280, "height": 900}, {"width": 820, "height": 1180}
FONT = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"


def slides(*titles: str) -> bytes:
    """A PDF with a page for each title."""
    pages = []
    for title in titles:
        page = Image.new("RGB", (1280, 720), "white")
        draw = ImageDraw.Draw(page)
        draw.text((80, 280), title, fill="black", font=ImageFont.truetype(FONT, 96))
        pages.append(page)
    file = io.BytesIO()
    pages[0].save(file, format="PDF", save_all=True, append_images=pages[1:])
    return file.getvalue()


class Desk(Guest):
    """A signed-in person on the page of one lesson."""

    def __init__(
        self, browser: Browser, house: House, login: str, lesson_id: str, **context: Any
    ) -> None:
        person = next(one for one in house.world["persons"] if one["login"] == login)
        super().__init__(browser, house, person["id"], **context)
        self.lesson_id = lesson_id
        self.records_since = 0.0  # time.monotonic of this teacher's start of the recording

    @property
    def id(self) -> str:
        """The person's id."""
        return str(self.person["id"])

    @property
    def lesson(self) -> Locator:
        """The lesson's page with its states."""
        return self.page.get_by_test_id("lesson")

    def at(self, test_id: str) -> Locator:
        """The part of the page with this test id."""
        return self.page.get_by_test_id(test_id)

    def enter(self) -> None:
        """Follow the day's link into the lesson."""
        self.page.locator(f'a[href="#/lessons/{self.lesson_id}"]').first.click()
        expect(self.lesson).to_be_visible()

    def join(self) -> None:
        """Press the one button that lets picture and sound in (and out, for the teacher)."""
        self.at("join-lesson").click()
        expect(self.lesson).to_have_attribute("data-joined", "yes")

    def frames_decoded(self) -> int:
        """framesDecoded over all connections of this page."""
        return int(self.at("stage").get_attribute("data-frames-decoded") or 0)

    def sees_the_teacher(self, timeout_s: float = 20.0, since: int | None = None) -> None:
        """Wait until new frames are decoded, from now on or from frame `since` on: it moves."""
        start = self.frames_decoded() if since is None else since
        wait_for(
            f"{self.person['name']} sees a moving picture",
            lambda: self.frames_decoded() >= start + 15,
            timeout_s,
        )

    def slide_page(self) -> int:
        """The page of the slides this screen shows, 0 for none."""
        pages = self.at("slide").evaluate_all("parts => parts.map(part => part.dataset.page)")
        return int(pages[0] or 0) if pages else 0

    def slide_shown_at_ms(self, page: int) -> float | None:
        """When this screen painted the page, by the machine's clock."""
        slide = self.at("slide").first
        if slide.get_attribute("data-page") != str(page):
            return None
        text = slide.get_attribute("data-shown-at")
        return float(text) if text else None

    def watch_slides(self) -> None:
        """Let the page itself note when it paints each slide: looking from outside costs it time."""
        self.page.evaluate(
            """() => {
                const painted = (window.painted = {});
                const note = () => {
                    for (const { dataset } of document.querySelectorAll('[data-testid=slide]'))
                        if (dataset.shownAt) painted[dataset.page] ??= Number(dataset.shownAt);
                };
                new MutationObserver(note).observe(document.body, {
                    attributes: true, attributeFilter: ['data-shown-at'], subtree: true });
            }"""
        )

    def painted_at_ms(self, page: int) -> float:
        """When this screen painted the page, by the machine's clock; waits until it has."""
        self.page.wait_for_function("page => window.painted[page]", arg=page, timeout=10_000)
        return float(self.page.evaluate("page => window.painted[page]", page))

    def holds_neighbours(self) -> None:
        """Wait until the pages around the one on screen are here: nobody leafs before he has read."""
        self.page.wait_for_function(
            """() => [...document.querySelectorAll('[data-testid=slide] img')]
                .every(image => image.complete && image.naturalWidth > 0)""",
            timeout=10_000,
        )

    def turn(self) -> float:
        """Turn one page on by the button; when it was pressed (ms)."""
        button = self.at("next-slide")
        expect(button).to_be_enabled()
        return float(
            button.evaluate("button => { const at = Date.now(); button.click(); return at; }")
        )

    def hands(self) -> list[str]:
        """Who has a hand raised, in order."""
        return list(
            self.at("hands")
            .locator("[data-person]")
            .evaluate_all("rows => rows.map(row => row.dataset.person)")
        )

    def floor(self) -> str | None:
        """Who has the floor."""
        holders = self.at("floor").evaluate_all("parts => parts.map(part => part.dataset.person)")
        return str(holders[0]) if holders else None

    def row(self, test_id: str, person_id: str) -> Locator:
        """A person's row in a list."""
        return self.at(test_id).locator(f'[data-person="{person_id}"]')


def upload(teacher: Desk, pdf: bytes, name: str = "slides.pdf") -> None:
    """Choose a PDF as the lesson's slides."""
    teacher.page.locator("input[type=file]").first.set_input_files(
        {"name": name, "mimeType": "application/pdf", "buffer": pdf}
    )


def record(teacher: Desk) -> None:
    """Start the recording, and see that it runs."""
    teacher.at("record").click()
    teacher.at("confirm-record").click()
    teacher.records_since = time.monotonic()
    expect(teacher.at("recording")).to_have_attribute("data-on", "yes")


def leaf_through(teacher: Desk, pupils: list[Desk], pages: int) -> list[float]:
    """Turn every page at the pace of somebody who reads; ms from the press to each pupil's paint."""
    for desk in (teacher, *pupils):
        desk.watch_slides()
    took: list[float] = []
    for page in range(2, pages + 1):
        for desk in (teacher, *pupils):
            desk.holds_neighbours()
        pressed = teacher.turn()
        took += [pupil.painted_at_ms(page) - pressed for pupil in pupils]
    return took


def lesson_of(house: House, teacher: str) -> str:
    """The first demo lesson of the teacher with this login."""
    person = next(one for one in house.world["persons"] if one["login"] == teacher)
    lessons = [one for one in house.world["lessons"] if one["teacher_id"] == person["id"]]
    return str(min(lessons, key=lambda one: one["starts_at"])["id"])


@contextmanager
def in_a_lesson(
    browser: Browser, house: House, teacher: str, *pupils: str
) -> Iterator[tuple[Desk, list[Desk]]]:
    """A lesson that has begun: the teacher with camera and microphone, the pupils joined."""
    lesson = lesson_of(house, teacher)
    with ExitStack() as stack:
        desks = [
            stack.enter_context(Desk(browser, house, login, lesson, viewport=size))
            for login, size in {teacher: LAPTOP, **dict.fromkeys(pupils, TABLET)}.items()
        ]
        for desk in desks:
            desk.sign_in()
            desk.enter()
        desks[0].at("open-lesson").click()  # this brings its teacher in
        expect(desks[0].lesson).to_have_attribute("data-joined", "yes")
        for desk in desks[1:]:
            expect(desk.lesson).to_have_attribute("data-state", "running")
            desk.join()
        yield desks[0], desks[1:]
        for desk in desks:
            assert not desk.errors, desk.errors
