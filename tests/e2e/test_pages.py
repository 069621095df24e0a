"""Every page for every reader: three languages, light and dark, a narrow phone, doubled text, keyboard."""

from collections.abc import Iterator

import pytest
from house import House
from looks import NARROW, SCHEMES, looks_right, overflow, tab_to, violations, wear
from playwright.sync_api import Browser, Page, expect
from room import LOCALES, DeviceProgram, Room

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def people(browser: Browser, house: House) -> Iterator[dict[str, Room]]:
    """A doctor and a patient of one visit with devices sending, and a teacher; signed in once."""
    visit, lesson = house.world["visits"][0], house.world["lessons"][0]
    with (
        # A row that slides in while axe looks at colours has none of its own: one reading is enough.
        DeviceProgram(house, visit["patient_id"], "--every", "3600"),
        Room(browser, house, visit["doctor_id"], visit["id"]) as doctor,
        Room(browser, house, visit["patient_id"], visit["id"]) as patient,
        Room(browser, house, lesson["teacher_id"], "") as teacher,
    ):
        for room in (doctor, patient, teacher):
            room.sign_in()
        yield {"doctor": doctor, "patient": patient, "teacher": teacher}


def pages_of(room: Room, role: str) -> list[tuple[str, str]]:
    """Name and address of the pages that this person opens."""
    if role == "teacher":
        return [("day", "#/day"), ("lesson", f"#/lessons/{room.house.world['lessons'][0]['id']}")]
    return [("day", "#/day"), ("visit", f"#/visits/{room.visit_id}")]


def settle(page: Page, name: str) -> None:
    """Wait until the page shows its content and not its skeleton."""
    expect(page.locator("h1")).to_be_visible(timeout=15_000)
    if name == "visit":
        expect(page.get_by_test_id("trouble")).to_have_attribute(
            "data-phase", "open", timeout=15_000
        )
        expect(page.locator("canvas[data-ecg-stream]")).to_be_visible(timeout=15_000)
    expect(page.locator(".skeleton")).to_have_count(0)


@pytest.mark.parametrize("language", LOCALES)
@pytest.mark.parametrize("role", ["doctor", "patient", "teacher"])
def test_pages_have_no_accessibility_violations(
    people: dict[str, Room], role: str, language: str
) -> None:
    """Light and dark, wide and at 320 px, also with text doubled: axe finds nothing, nothing sticks out."""
    room = people[role]
    page = room.page
    page.goto(room.house.url + "/#/day")
    settle(page, "day")
    room.speak(language)
    for name, address in pages_of(room, role):
        page.goto(f"{room.house.url}/{address}")
        settle(page, name)
        looks_right(page, name)


@pytest.mark.parametrize("language", LOCALES)
def test_the_sign_in_page_has_none_either(browser: Browser, house: House, language: str) -> None:
    """The door is for everybody."""
    with browser.new_context(locale=LOCALES[language], viewport=NARROW) as context:
        page = context.new_page()
        page.goto(house.url)
        page.locator(f"input[type=radio][value={language}]").check(force=True)
        for scheme in SCHEMES:
            wear(page, scheme)
            assert violations(page) == [], scheme
            assert overflow(page) == []
        page.evaluate("() => { document.documentElement.style.fontSize = '200%' }")
        assert overflow(page) == []


def test_a_doctor_reaches_the_call_by_keyboard_alone(browser: Browser, house: House) -> None:
    """Login, password, Enter, the visit's link, the main button: never a mouse."""
    visit = house.world["visits"][4]
    with Room(browser, house, visit["doctor_id"], visit["id"]) as doctor:
        page = doctor.page
        page.goto(house.url)
        page.locator("input[name=login]").focus()
        page.keyboard.type(doctor.person["login"])
        page.keyboard.press("Tab")
        page.keyboard.type(doctor.person["password"])
        page.keyboard.press("Enter")
        expect(page.locator("h1")).to_be_focused(timeout=15_000)
        tab_to(page, f'a[href="#/visits/{visit["id"]}"]')
        page.keyboard.press("Enter")
        expect(page.get_by_test_id("visit")).to_be_visible()
        tab_to(page, "[data-testid=call] button")
        page.keyboard.press("Enter")
        expect(doctor.call).to_have_attribute("data-joined", "camera")
