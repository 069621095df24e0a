"""Sessions that end, second tabs, and browsers that lack something."""

import pytest
from conftest import FAKE_MEDIA, launch
from house import House
from playwright.sync_api import Browser, Playwright, expect
from room import Room
from words import LANGUAGES, sentence

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_expired_session_keeps_what_was_typed(
    browser: Browser, house: House, language: str
) -> None:
    """The doctor signs in over the page and goes on; the note is saved as typed."""
    visit = house.world["visits"][2]
    with Room(browser, house, visit["doctor_id"], visit["id"]) as doctor:
        doctor.sign_in()
        doctor.enter()
        doctor.speak(language)
        expect(doctor.trouble).to_have_attribute("data-phase", "open", timeout=15_000)
        origin = {"Origin": house.url}
        mine = doctor.page.request.get(house.url + "/api/v1/sessions").json()
        current = next(one for one in mine if one.get("current", True))
        note = doctor.page.get_by_test_id("note").locator("textarea")
        typed = f"Набрано до конца сеанса, {language}"
        note.fill(typed)
        ended = doctor.page.request.delete(
            f"{house.url}/api/v1/sessions/{current['id']}", headers=origin
        )
        assert ended.status == 204
        dialog = doctor.page.get_by_role("dialog")
        expect(dialog.get_by_text(sentence(language, "sign-in.again_title"))).to_be_visible(
            timeout=10_000
        )
        dialog.locator("input[name=login]").fill(doctor.person["login"])
        dialog.locator("input[name=password]").fill(doctor.person["password"])
        dialog.locator("button[type=submit]").click()
        expect(dialog).to_have_count(0, timeout=15_000)
        assert note.input_value() == typed
        expect(doctor.page.get_by_test_id("note")).to_have_attribute(
            "data-state", "saved", timeout=15_000
        )
        expect(doctor.trouble).to_have_attribute("data-state", "none", timeout=15_000)
        stored = doctor.page.request.get(f"{house.url}/api/v1/visits/{visit['id']}/note").json()
        assert stored["text"] == typed


def test_a_second_tab_takes_over_and_can_be_taken_back(browser: Browser, house: House) -> None:
    """The older tab says where the visit went and offers to take it back."""
    visit = house.world["visits"][2]
    with Room(browser, house, visit["patient_id"], visit["id"]) as patient:
        patient.sign_in()
        patient.enter()
        expect(patient.trouble).to_have_attribute("data-phase", "open", timeout=15_000)
        second = patient.context.new_page()
        second.goto(f"{house.url}/#/visits/{visit['id']}")
        expect(second.get_by_test_id("trouble")).to_have_attribute(
            "data-phase", "open", timeout=15_000
        )
        replaced = patient.page.get_by_test_id("replaced")
        expect(replaced).to_be_visible(timeout=10_000)
        replaced.get_by_role("button").click()
        expect(patient.trouble).to_have_attribute("data-phase", "open", timeout=15_000)
        expect(second.get_by_test_id("replaced")).to_be_visible(timeout=10_000)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_browser_without_camera_joins_all_the_same(
    playwright: Playwright, browser: Browser, house: House, language: str
) -> None:
    """The page says calmly what is missing; the patient sees and hears the doctor."""
    visit = house.world["visits"][3]
    bare = launch(
        playwright, *[flag for flag in FAKE_MEDIA if "device" not in flag and "fake-ui" not in flag]
    )
    try:
        with (
            Room(browser, house, visit["doctor_id"], visit["id"]) as doctor,
            Room(bare, house, visit["patient_id"], visit["id"]) as patient,
        ):
            for room in (doctor, patient):
                room.sign_in()
                room.enter()
            patient.speak(language)
            doctor.join()
            patient.join()
            troubles = [
                sentence(language, f"visit.trouble_video_{reason}")
                for reason in ("absent", "denied")
            ]
            found = patient.page.get_by_text(troubles[0]).or_(patient.page.get_by_text(troubles[1]))
            expect(found.first).to_be_visible(timeout=15_000)
            patient.sees_the_other()
            assert patient.errors == []
    finally:
        bare.close()
