"""Make the pictures of the README: `scripts/loopback .venv/bin/python scripts/screenshots.py`.

Starts the product with its demo people in a folder of its own, lets the demo devices send, and
photographs the pages as a doctor and a patient see them.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

from conftest import FAKE_MEDIA, launch  # noqa: E402 - lies beside the tests
from house import House, wait_for  # noqa: E402
from playwright.sync_api import sync_playwright  # noqa: E402
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
            browser.close()
    finally:
        house.stop()
        house.remove()


if __name__ == "__main__":
    main()
