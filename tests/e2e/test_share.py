"""The digital profile by hand: a QR on a patient's phone, a doctor's scan, the answer, the end."""

import pytest
from house import House
from looks import looks_right
from playwright.sync_api import Browser, expect
from room import Guest

pytestmark = pytest.mark.browser

PHONE = {"width": 390, "height": 844}
# Nobody opens this record in an emergency in another test of the same house.
PATIENT, DOCTOR = "patient.timur", "doctor.pavel"


def person_id(house: House, login: str) -> str:
    """The id of one of the demo's cast."""
    return str(next(one for one in house.world["persons"] if one["login"] == login)["id"])


def test_a_patient_opens_the_record_to_a_doctor_and_closes_it(
    browser: Browser, house: House
) -> None:
    """Each side sees what the other did within a second or two; every page looks right."""
    patient_id, doctor_id = (person_id(house, one) for one in (PATIENT, DOCTOR))
    with (
        Guest(browser, house, patient_id, viewport=PHONE) as patient,
        Guest(browser, house, doctor_id) as doctor,
    ):
        for one in (patient, doctor):
            one.sign_in()
        mine, his = patient.page, doctor.page
        mine.goto(f"{house.url}/#/share")
        mine.get_by_test_id("show-code").click()
        expect(mine.get_by_test_id("qr")).to_be_visible()
        looks_right(mine, "the QR")
        code = mine.get_by_test_id("code").inner_text()

        his.goto(f"{house.url}/#/scan")
        field = his.locator("form input")
        field.fill("not a code")
        his.get_by_test_id("use-code").click()
        expect(field).to_have_attribute("aria-invalid", "true")
        field.fill(code)
        his.get_by_test_id("use-code").click()
        looks_right(his, "the scan")
        his.get_by_test_id("field-visits").uncheck()
        his.get_by_test_id("scan-ask").click()
        expect(his.get_by_test_id("scan-state")).to_have_attribute("data-state", "asked")

        asked = mine.get_by_test_id("share-asked")
        expect(asked.get_by_test_id("share-who")).to_contain_text("Орлов")
        expect(asked.get_by_test_id("field-visits")).to_have_count(0)
        looks_right(mine, "the question")
        patient.speak("tt")
        asked.get_by_test_id("share-confirm").click()
        expect(asked).to_have_count(0)
        expect(his.get_by_test_id("scan-state")).to_have_attribute("data-state", "shared")
        expect(his.get_by_test_id("open-record")).to_have_attribute(
            "href", f"#/records/{patient_id}"
        )

        mine.goto(f"{house.url}/#/consents")
        looks_right(mine, "the consents")
        assert record_status(doctor) == 200
        mine.get_by_test_id("share-end").click()
        expect(mine.get_by_test_id("share-end")).to_have_count(0)
        assert record_status(doctor) == 404
        assert not [*patient.errors, *doctor.errors]


def record_status(doctor: Guest) -> int:
    """What the API answers to a look at the patient's record now."""
    clinic = doctor.person["organisation_id"]
    patient = person_id(doctor.house, PATIENT)
    url = f"{doctor.house.url}/api/v1/records/{patient}?organisation_id={clinic}"
    return int(doctor.page.request.get(url).status)


def test_consents_are_given_and_taken_back_and_texts_written(
    browser: Browser, house: House
) -> None:
    """A patient's word, and the text an administrator publishes for it."""
    patient_id, admin_id = (person_id(house, one) for one in ("patient.maria", "admin.boris"))
    with (
        Guest(browser, house, patient_id, viewport=PHONE) as patient,
        Guest(browser, house, admin_id) as admin,
    ):
        for one in (patient, admin):
            one.sign_in()
        page = patient.page
        page.goto(f"{house.url}/#/consents")
        card = page.get_by_test_id("asked-telemedicine")
        card.get_by_test_id("give").click()
        expect(card.get_by_test_id("withdraw")).to_be_visible()
        admin.page.goto(f"{house.url}/#/admin/{admin.person['organisation_id']}/consents")
        text = admin.page.get_by_test_id("text-telemedicine")
        looks_right(admin.page, "the texts")
        text.get_by_test_id("write-text").click()
        words = admin.page.get_by_test_id("words-ru")
        words.fill(words.input_value() + " И ещё одно.")
        admin.page.get_by_test_id("asks-again").check()
        admin.page.get_by_test_id("publish-text").click()
        expect(text).to_contain_text("И ещё одно.")
        page.reload()
        expect(card.get_by_test_id("give")).to_be_visible()
        card.get_by_test_id("give").click()
        card.get_by_test_id("withdraw").click()
        page.get_by_test_id("confirm-withdraw").click()
        expect(card.get_by_test_id("give")).to_be_visible()
        assert not [*patient.errors, *admin.errors]
