"""The ladder on the page: what a weak link leaves out, why, and the place it gives to the rest."""

import json
import re

import pytest
from classroom import Desk, in_a_lesson, lesson_of, slides, upload
from house import House, wait_for
from looks import looks_right
from playwright.sync_api import Browser, WebSocketRoute, expect
from room import LOCALES

pytestmark = pytest.mark.browser

TEACHER, PUPIL = "teacher.anna", "pupil.daria"  # whose lesson no other test needs


def test_a_page_says_on_which_step_it_stands(classroom: Browser, house: House) -> None:
    """At the lower steps slides and chat have the picture's place, in each language, also at 320 px."""
    sockets: list[WebSocketRoute] = []

    def pass_on(socket: WebSocketRoute) -> None:
        socket.connect_to_server()
        sockets.append(socket)

    lesson_id = lesson_of(house, TEACHER)
    with (
        in_a_lesson(classroom, house, TEACHER) as (teacher, _),
        Desk(classroom, house, PUPIL, lesson_id) as pupil,
    ):
        upload(teacher, slides("Реки Татарстана"))
        pupil.page.route_web_socket(re.compile("/ws/lessons/"), pass_on)
        pupil.sign_in()
        pupil.enter()
        pupil.join()
        wait_for("the slide", lambda: pupil.slide_shown_at_ms(1))
        pictures = pupil.at("stage").locator("[data-source=camera]")
        expect(pictures).to_have_count(1)
        for step in ("voice", "text"):
            told = {"type": "media_step", "step": step, "reason": "your_link"}
            sockets[-1].send(json.dumps(told))
            expect(pupil.at("ladder")).to_have_attribute("data-step", step)
            expect(pupil.lesson).to_have_attribute("data-step", step)
            expect(pupil.at("stage")).to_have_attribute("data-shows", "slide")
            expect(pictures).to_have_count(0)
        expect(pupil.at("tab-chat")).to_have_attribute("aria-pressed", "true")
        said = set[str]()
        for language in LOCALES:
            pupil.speak(language)
            said.add(pupil.at("ladder").inner_text())
        assert len(said) == len(LOCALES)
        looks_right(pupil.page, "the ladder")
        high = {"type": "media_step", "step": "high", "reason": "your_link"}
        sockets[-1].send(json.dumps(high))
        expect(pictures).to_have_count(1)
        expect(pupil.at("ladder")).to_have_count(0, timeout=15_000)  # when it has held
