"""Why was it bad? A doctor opens the timeline of a visit's call, on any screen."""

from uuid import uuid4

import psycopg
import pytest
from house import House
from looks import looks_right
from playwright.sync_api import Browser, expect
from room import Room

from storage.settings import Settings

pytestmark = pytest.mark.browser

MINUTE = """
    INSERT INTO call_minutes (id, room_id, person_id, direction, word, since, until, kbps,
        lost_permille, rtt_ms, jitter_ms, concealed_permille, frozen_ms, step)
    VALUES (%s, %s, %s, 'subscribe', %s, now() - interval '2 min', now() - interval '1 min', 90,
        %s, 240, 12, 90, 12400, 'voice')
"""


def test_a_doctor_reads_when_and_why_the_call_was_bad(browser: Browser, house: House) -> None:
    """By side, with the trouble in words; light and dark, at 320 px, with doubled text."""
    visit = house.world["visits"][2]
    with psycopg.connect(Settings.from_env(house.environ).database_url, autocommit=True) as db:
        for person, word, lost in (("patient_id", "poor", 123), ("doctor_id", "good", 0)):
            db.execute(MINUTE, (uuid4(), visit["id"], visit[person], word, lost))
    with Room(browser, house, visit["doctor_id"], visit["id"]) as doctor:
        doctor.sign_in()
        doctor.speak("ru")
        doctor.enter()
        doctor.join()
        expect(doctor.call).to_have_attribute("data-link", "good", timeout=15_000)
        doctor.page.get_by_role("button", name="Почему связь была плохой?").click()
        told = doctor.page.get_by_test_id("call-timeline")
        patient = told.locator("section", has=doctor.page.get_by_role("heading", name="Пациент"))
        expect(patient).to_contain_text("терялось до 12 % пакетов")
        expect(patient).to_contain_text("видео стояло 12 с")
        beside = told.locator("section", has=doctor.page.get_by_role("heading", name="Врач"))
        expect(beside).to_contain_text("Всё время была хорошей")
        looks_right(doctor.page, "the timeline of a call")
        doctor.page.keyboard.press("Escape")
        expect(told).to_have_count(0)
        assert doctor.errors == []
