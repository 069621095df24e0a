"""How soon a slide the teacher turns stands on the screens of three pupils, in milliseconds.

The whole product and four pages with live pictures share this machine: from the teacher's press to
the painted page, as the pages themselves note it, over 29 turns at the pace of somebody who reads.
"""

import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from bench.harness import Row, at_most, percentile

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "e2e"))

from classroom import in_a_lesson, leaf_through, record, slides, upload
from conftest import CLASS_CAMERA, launch
from house import House, wait_for

PUPILS = ("pupil.aidar", "pupil.sofia", "pupil.ilnaz")
PAGES = 30
BAR_MS = 200


def measure() -> list[Row]:
    """The rows of a slide's turn, in a lesson that is recorded."""
    house = House.fresh()
    try:
        house.start()
        house.seed()
        with sync_playwright() as driver:
            browser = launch(driver, *CLASS_CAMERA)
            with in_a_lesson(browser, house, "teacher.zulfiya", *PUPILS) as (teacher, pupils):
                record(teacher)
                upload(teacher, slides(*map(str, range(1, PAGES + 1))))
                for desk in (teacher, *pupils):
                    wait_for("the first slide", lambda d=desk: d.slide_shown_at_ms(1))
                took = leaf_through(teacher, pupils, PAGES)
            browser.close()
    finally:
        house.stop()
        house.remove()
    return [
        at_most("slides.turn", percentile(took, 0.95), "ms, p95, press to paint", bar=BAR_MS),
        Row("slides.turn_p50", percentile(took, 0.5), "ms"),
    ]
