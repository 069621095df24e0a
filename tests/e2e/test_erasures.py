"""Erasures and holds: somebody is held, let go and erased by the page."""

import pytest
from house import House
from looks import looks_right
from playwright.sync_api import Browser, Page, expect
from room import Guest
from words import sentence

from people.demo import CLINIC_7, demo_id

pytestmark = pytest.mark.browser

ADD = """
body => fetch(`/api/v1/organisations/${body.place}/people`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body.person),
}).then(answer => answer.status)
"""


def opened(guest: Guest, place: str) -> Page:
    """The section of an organisation, once it shows what there is."""
    guest.page.goto(f"{guest.house.url}/#/admin/{demo_id(place)}/erasures")
    heading = guest.page.get_by_role("heading", name=sentence("ru", "erasures.kept"))
    expect(heading).to_be_visible(timeout=15_000)
    return guest.page


def find(page: Page, name: str) -> None:
    """Look for somebody of the organisation."""
    page.get_by_label(sentence("ru", "erasures.whom")).locator("input").fill(name)
    page.get_by_role("button", name=sentence("ru", "admin.appoint_find")).click()


def press(page: Page, key: str, **params: object) -> None:
    name = sentence("ru", key, **params)
    page.get_by_role("button", name=name, exact=True).first.click()


def test_somebody_is_held_let_go_and_erased(browser: Browser, house: House) -> None:
    """What stands against it is said; with the hold gone and the name typed, the tombstone is left."""
    with Guest(browser, house, str(demo_id("admin.gulnara"))) as administrator:
        administrator.sign_in()
        administrator.speak("ru")
        new = {"given_name": "Зөһрә", "family_name": "Ялгышова", "role": "patient"}
        asked = {"place": str(demo_id(CLINIC_7)), "person": new}
        assert administrator.page.evaluate(ADD, asked) == 201
        page = opened(administrator, CLINIC_7)
        find(page, "Ялгышова")
        expect(page.get_by_text(sentence("ru", "erasures.can"))).to_be_visible(timeout=15_000)
        press(page, "erasures.hold")
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("textbox").first.fill("Дело 2-17")
        looks_right(page, "a hold")
        press(page, "erasures.hold_set")
        expect(dialog).to_have_count(0, timeout=15_000)
        expect(page.get_by_text(sentence("ru", "erasures.against_held"))).to_be_visible()
        looks_right(page, "erasures and holds")
        press(page, "erasures.lift")
        press(page, "erasures.lift_yes")
        press(page, "erasures.erase")
        dialog.get_by_role("textbox").fill("зөһрә ялгышова")
        looks_right(page, "an erasure")
        press(page, "erasures.erase_sure")
        expect(dialog).to_have_count(0, timeout=15_000)
        expect(page.get_by_text(sentence("ru", "erasures.log_yes"))).to_be_visible(timeout=15_000)
        expect(page.get_by_text("Ялгышова", exact=False)).to_have_count(0)
        find(page, "Вәлиев")  # father and son, both with a visit ahead
        ahead = page.get_by_text(sentence("ru", "erasures.against_visit_ahead"))
        expect(ahead).to_be_visible(timeout=15_000)
        assert administrator.errors == []
