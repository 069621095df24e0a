"""A card, from the printer of the clinic's desk to the patient's phone, and its end."""

import time
from collections.abc import Iterator

import pytest
from house import House
from looks import NARROW, SCHEMES, WIDE, overflow, violations, wear
from playwright.sync_api import Browser, Page, expect
from room import LOCALES, Guest

pytestmark = pytest.mark.browser
PATIENT, ADMIN = "patient.olga", "admin.gulnara"
BORN = "08.03.1980"


def somebody(house: House, login: str) -> dict[str, str]:
    """The demo person with this login."""
    return next(one for one in house.world["persons"] if one["login"] == login)


@pytest.fixture
def admin(browser: Browser, house: House) -> Iterator[Guest]:
    """The administrator of the patient's clinic, at the cards."""
    with Guest(browser, house, somebody(house, ADMIN)["id"]) as guest:
        guest.sign_in()
        guest.page.goto(f"{house.url}/#/admin/{guest.person['organisation_id']}/cards")
        yield guest


def fair(page: Page, name: str) -> None:
    """Wide and light, narrow and dark, and with text doubled: axe finds nothing, nothing sticks out."""
    before = page.viewport_size
    for viewport, scheme in zip((WIDE, NARROW), SCHEMES, strict=True):
        page.set_viewport_size(viewport)
        wear(page, scheme)
        assert violations(page) == [], (name, scheme)
        assert overflow(page) == [], (name, scheme)
    page.evaluate("() => { document.documentElement.style.fontSize = '200%' }")
    assert overflow(page) == [], (name, "text doubled at 320 px", overflow(page))
    page.evaluate("() => { document.documentElement.style.fontSize = '' }")
    page.set_viewport_size(before or WIDE)
    wear(page, "light")


def find(page: Page, name: str) -> None:
    """Search the list for one person."""
    page.get_by_role("searchbox").fill(name)
    page.get_by_role("searchbox").press("Enter")
    expect(page.locator("ul li label input[type=checkbox]")).to_have_count(1)


@pytest.mark.journey("J2.1", "J6.3")
def test_a_printed_card_lets_its_person_in_within_a_minute(
    browser: Browser, house: House, admin: Guest
) -> None:
    """Made, printed two by four on A4, shown on a phone, and worth nothing once it is revoked."""
    page, name = admin.page, somebody(house, PATIENT)["name"]
    find(page, name)
    fair(page, "cards")
    page.locator("ul li label input[type=checkbox]").check()
    page.get_by_role("button", name="Карточкалар ясап бастырырга").click()
    page.get_by_role("dialog").get_by_role("button", name="Карточкалар ясарга").click()
    card = page.get_by_test_id("printed-card")
    expect(card).to_have_count(1)
    expect(card).to_contain_text(name)
    fair(page, "the sheet")
    address = card.locator("[data-address]").get_attribute("data-address")
    assert address is not None
    paper = page.pdf(prefer_css_page_size=True)
    assert paper.count(b"/Type /Page\n") == 1, "one card is one sheet"

    # A phone's camera opens the address.
    began = time.monotonic()
    phone = {"viewport": {"width": 390, "height": 780}, "locale": LOCALES["ru"]}
    with browser.new_context(**phone) as context:
        theirs = context.new_page()
        theirs.goto(address)
        expect(theirs.locator("h1")).to_have_text("Вход по карточке")
        assert theirs.evaluate("location.hash") == "#/enter/here"
        theirs.get_by_role("button", name="Войти").click()
        born = theirs.locator("input[name=bday]")
        expect(born).to_be_focused()
        born.fill(BORN)
        born.press("Enter")
        expect(theirs).to_have_url(f"{house.url}/#/day")
        expect(theirs.locator("h1")).to_be_visible()
        assert time.monotonic() - began < 60

        # The desk takes the card back: the open page is out with its next request.
        page.get_by_role("button", name="Әзер, ябарга").click()
        find(page, name)
        page.get_by_role("button", name=f"Карточканы кире алырга: {name}").click()
        page.get_by_role("dialog").get_by_role("button", name="Карточканы кире алырга").click()
        expect(page.get_by_role("dialog")).to_have_count(0)
        assert theirs.evaluate("fetch('/api/v1/me').then(answer => answer.status)") == 401
        theirs.goto("about:blank")
        theirs.goto(address)
        theirs.get_by_role("button", name="Войти").click()
        expect(theirs.get_by_role("alert")).to_contain_text("не действует")
        fair(theirs, "a card that does not work")
    assert admin.errors == []
