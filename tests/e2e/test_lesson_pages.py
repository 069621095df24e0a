"""The lesson's pages for every reader: under way as teacher and pupil see it, and its recording."""

from collections.abc import Iterator

import pytest
from classroom import Desk, in_a_lesson, lesson_of, record, slides, upload
from house import House, wait_for
from looks import looks_right, tab_to
from playwright.sync_api import Browser, expect
from room import LOCALES

pytestmark = pytest.mark.browser

TEACHER, PUPIL = "teacher.marat", "pupil.artem"
NOT_AGREED = "pupil.kamila"


@pytest.fixture(scope="module")
def klass(classroom: Browser, house: House) -> Iterator[tuple[Desk, Desk]]:
    """A lesson with slides, a hand up, a message that waits, and the recording on."""
    with in_a_lesson(classroom, house, TEACHER, PUPIL) as (teacher, [pupil]):
        record(teacher)
        upload(teacher, slides("Реки Татарстана", "Идел", "Чулман"))
        wait_for("the slide", lambda: pupil.slide_shown_at_ms(1))
        pupil.at("hand").click()
        field = pupil.at("chat").locator("textarea, input").first
        field.fill("Можно вопрос?")
        field.press("Enter")
        expect(teacher.at("chat").locator("[data-message-id]")).to_have_count(1)
        yield teacher, pupil


@pytest.mark.parametrize("language", LOCALES)
def test_a_lesson_under_way_has_no_accessibility_violations(
    klass: tuple[Desk, Desk], language: str
) -> None:
    """In each language, as the teacher and as a pupil sees it."""
    for desk in klass:
        desk.speak(language)
        looks_right(desk.page, desk.person["login"])


def test_a_pupil_joins_and_raises_his_hand_by_keyboard_alone(
    classroom: Browser, house: House, klass: tuple[Desk, Desk]
) -> None:
    """The day's link, the one button, the hand: never a mouse.

    Nobody has agreed to her being recorded: the recording waits while she is here, and says why.
    """
    teacher, other = klass
    with Desk(classroom, house, NOT_AGREED, lesson_of(house, TEACHER)) as pupil:
        pupil.sign_in()
        for selector in (
            f'a[href="#/lessons/{pupil.lesson_id}"]',
            "[data-testid=join-lesson]",
            "[data-testid=hand]",
        ):
            expect(pupil.page.locator(selector).first).to_be_visible()
            tab_to(pupil.page, selector)
            pupil.page.keyboard.press("Enter")
        wait_for("the hand", lambda: pupil.id in teacher.hands())
        for desk in (teacher, other, pupil):
            expect(desk.at("recording")).to_have_attribute("data-on", "no")
            expect(desk.at("recording-waits")).to_be_visible()
        expect(teacher.at("recording-waits")).to_contain_text(pupil.person["name"])
        for desk in (other, pupil):
            expect(desk.at("recording-waits")).not_to_contain_text(pupil.person["name"])
    expect(teacher.at("recording")).to_have_attribute("data-on", "yes")


def test_its_recording_has_none_either(klass: tuple[Desk, Desk]) -> None:
    """In each language, with chapters beside the picture."""
    teacher, pupil = klass
    teacher.at("end-lesson").click()
    teacher.at("confirm-end").click()
    expect(pupil.lesson).to_have_attribute("data-state", "ended")
    pupil.page.goto(f"{pupil.house.url}/#/lessons/{pupil.lesson_id}/watch")
    expect(pupil.at("watch")).to_have_attribute("data-state", "ready", timeout=60_000)
    for language in LOCALES:
        pupil.speak(language)
        looks_right(pupil.page, "watch")
