"""Make the pictures of the README: `scripts/loopback .venv/bin/python scripts/screenshots.py`.

Starts the product with its demo people in a folder of its own, lets the demo devices send, and
photographs the pages as a doctor and a patient, a teacher and a pupil see them.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

from classroom import in_a_lesson, record, slides, upload  # noqa: E402 - lies beside the tests
from conftest import FAKE_MEDIA, launch  # noqa: E402
from house import House, wait_for  # noqa: E402
from playwright.sync_api import Browser, sync_playwright  # noqa: E402
from room import in_a_visit  # noqa: E402

PICTURES = ROOT / "docs" / "images"
SECONDS_OF_TRACE = 12


def main() -> None:
    """Write the pictures into docs/images."""
    PICTURES.mkdir(exist_ok=True)
    house = House.fresh()
    try:
        house.start()
        house.seed()
        with sync_playwright() as playwright:
            browser = launch(playwright, *FAKE_MEDIA)
            visit = house.world["visits"][0]
            with in_a_visit(browser, house, visit) as (doctor, patient, _):
                for room in (doctor, patient):
                    room.speak("ru")
                    room.sees_the_other()
                wait_for("the trace", lambda: doctor.last_sequence() > SECONDS_OF_TRACE * 5)
                doctor.page.screenshot(path=PICTURES / "visit-doctor.png")
                patient.page.set_viewport_size({"width": 390, "height": 844})
                patient.page.screenshot(path=PICTURES / "visit-patient.png")
                patient.page.goto(house.url + "/#/day")
                patient.page.locator('a[href^="#/visits/"]').first.wait_for()
                patient.page.screenshot(path=PICTURES / "day.png")
                patient.page.goto(house.url + "/#/looked")
                patient.page.locator("main li").first.wait_for()
                patient.page.screenshot(path=PICTURES / "looked.png")
            lesson(browser, house)
            browser.close()
    finally:
        house.stop()
        house.remove()


def lesson(browser: Browser, house: House) -> None:
    """A lesson under way: the teacher on a laptop, a pupil on a phone."""
    klass = ("pupil.aidar", "pupil.sofia", "pupil.ilnaz")
    with in_a_lesson(browser, house, "teacher.anna", *klass) as (teacher, pupils):
        record(teacher)
        upload(teacher, slides("Дискриминант", "D = b² − 4ac", "x = (−b ± √D) / 2a"))
        wait_for("the slides", lambda: pupils[0].slide_shown_at_ms(1))
        teacher.turn()
        wait_for("the slide", lambda: pupils[0].slide_shown_at_ms(2))
        pupils[1].at("hand").click()
        field = pupils[2].at("chat").locator("textarea, input").first
        field.fill("А если D меньше нуля?")
        field.press("Enter")
        wait_for("the hand", teacher.hands)
        for desk in (teacher, pupils[0]):
            desk.speak("ru")
        pupils[0].sees_the_teacher()
        teacher.page.screenshot(path=PICTURES / "lesson-teacher.png")
        pupils[0].page.set_viewport_size({"width": 390, "height": 844})
        pupils[0].sees_the_teacher()
        pupils[0].page.screenshot(path=PICTURES / "lesson-pupil.png")


if __name__ == "__main__":
    main()
