"""A record in an emergency: the doctor opens it by name, the patient is told, the clinic judges it."""

import pytest
from house import House
from looks import looks_right
from playwright.sync_api import Browser, expect
from room import Guest
from words import sentence

from people.demo import PERSONS, demo_id

pytestmark = pytest.mark.browser

REASON = "Без сознания, нужны прежние измерения"


def test_an_emergency_is_opened_told_and_judged(browser: Browser, house: House) -> None:
    """By the pages, for every look: nothing sticks out and axe finds nothing."""
    logins = ("doctor.ivan", "patient.olga", "admin.gulnara")
    patient = next(one for one in PERSONS if one.login == logins[1])
    people = [Guest(browser, house, str(demo_id(login))) for login in logins]
    with people[0] as doctor, people[1] as told, people[2] as administrator:
        doctor.sign_in()
        doctor.page.goto(f"{house.url}/#/records")
        form = doctor.page.locator("form")
        form.locator("input[name=family]").fill(patient.family_name)
        form.locator("input[name=given]").fill(patient.given_name)
        form.locator("input[name=born]").fill(patient.born)
        form.locator("textarea").fill("срочно")
        form.locator("button[type=submit]").click()
        expect(form.locator("textarea")).to_have_attribute("aria-invalid", "true")
        looks_right(doctor.page, "emergency")
        form.locator("textarea").fill(REASON)
        form.locator("button[type=submit]").click()
        expect(doctor.page.locator("h1")).to_contain_text(patient.family_name, timeout=15_000)
        language = doctor.page.evaluate("document.documentElement.lang")
        close = doctor.page.get_by_role("button", name=sentence(language, "records.close_now"))
        expect(close).to_be_visible()
        looks_right(doctor.page, "record")
        told.sign_in()
        told.page.goto(f"{house.url}/#/notices")
        expect(told.page.locator("main")).to_contain_text("Соколов", timeout=15_000)
        close.click()
        expect(doctor.page.locator("form textarea")).to_be_visible(timeout=15_000)
        administrator.sign_in()
        clinic = administrator.person["organisation_id"]
        administrator.page.goto(f"{house.url}/#/admin/{clinic}/reviews")
        case = administrator.page.locator("article").filter(has_text=REASON)
        expect(case).to_be_visible(timeout=15_000)
        looks_right(administrator.page, "reviews")
        case.locator("button").first.click()
        expect(case.locator("button")).to_have_count(0, timeout=15_000)
        assert [one.errors for one in people] == [[], [], []]
