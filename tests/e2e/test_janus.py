"""The same pages with Debian's Janus in the place of our media workers: a visit, and a lesson."""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from classroom import in_a_lesson
from house import House, wait_for
from playwright.sync_api import Browser, expect
from room import Room

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    """A house whose media Janus forwards."""
    if shutil.which("janus") is None:
        if os.environ.get("CI"):
            pytest.fail("needs Debian's package janus")
        pytest.skip("needs Debian's package janus")
    # The address of scripts/loopback: Janus will not use a loopback interface.
    house = House.seeded(YANASHA_MEDIA_ENGINE="janus", YANASHA_RTC_ADDRESS="10.77.0.1")
    house.start()
    yield house
    house.stop()
    house.remove()


# The loudest sample of what is heard of whoever has the floor, over so many milliseconds.
LOUDEST = """async ms => {
    const heard = document.querySelector('[data-testid=floor-voice]').srcObject;
    const context = new AudioContext(), analyser = context.createAnalyser();
    context.createMediaStreamSource(heard).connect(analyser);
    const samples = new Float32Array(analyser.fftSize), until = Date.now() + ms;
    let loudest = 0;
    while (Date.now() < until) {
        await new Promise(next => setTimeout(next, 20));
        analyser.getFloatTimeDomainData(samples);
        loudest = Math.max(loudest, ...samples.map(Math.abs));
    }
    await context.close();
    return loudest;
}"""
BEEPS_EVERY_MS = 1000  # Chromium's own microphone
REVOKED_WITHIN_MS = 500
LOUD = 0.01


def test_doctor_and_patient_see_each_other_over_janus(browser: Browser, house: House) -> None:
    """Frames of the other are decoded on both pages."""
    visit = house.world["visits"][0]
    with ExitStack() as stack:
        rooms = [
            stack.enter_context(Room(browser, house, visit[who], visit["id"]))
            for who in ("doctor_id", "patient_id")
        ]
        for room in rooms:
            room.sign_in()
            room.enter()
            room.join()
        for room in rooms:
            room.sees_the_other()
            assert room.errors == []


def test_a_pupil_is_heard_over_janus_while_he_has_the_floor(
    classroom: Browser, house: House
) -> None:
    """He sees the teacher; with the floor the teacher hears him, without it not. No recording."""
    with in_a_lesson(classroom, house, "teacher.zulfiya", "pupil.aidar") as (teacher, [pupil]):
        pupil.sees_the_teacher()
        pupil.at("hand").click()
        teacher.row("hands", pupil.id).get_by_test_id("give-floor").click()
        wait_for("his voice", lambda: teacher.page.evaluate(LOUDEST, BEEPS_EVERY_MS) > LOUD)
        teacher.at("take-floor").first.click()
        wait_for("no floor", lambda: teacher.floor() is None)
        teacher.page.evaluate(LOUDEST, REVOKED_WITHIN_MS)
        assert teacher.page.evaluate(LOUDEST, BEEPS_EVERY_MS) < LOUD
        teacher.at("record").click()
        teacher.at("confirm-record").click()
        expect(teacher.page.get_by_text("яздырылмый")).to_be_visible()
        expect(teacher.at("recording")).to_have_attribute("data-on", "no")
