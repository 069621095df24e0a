"""The page that explains trusting a LAN's certificate: opened before any trust, read by everybody."""

from collections.abc import Iterator

import pytest
from house import House, free_port, wait_for
from looks import looks_right
from playwright.sync_api import Browser, Page, expect
from room import LOCALES

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def lan() -> Iterator[House]:
    """A house started for the local network."""
    ports = {name: str(free_port()) for name in ("YANASHA_HTTPS_PORT", "YANASHA_PLAIN_PORT")}
    house = House.fresh(YANASHA_LAN="1", **ports)
    house.start()
    # The server is ready before its front is: browsers come by the front.
    wait_for("the front", lambda: house.children()["caddy"]["state"] == "ready")
    yield house
    house.stop()
    house.remove()


def all_open(page: Page) -> None:
    """Unfold the steps of every kind of device."""
    for step in page.locator("summary").all():
        step.click()


@pytest.mark.parametrize("language", LOCALES)
def test_a_device_of_the_lan_learns_to_trust_before_it_does(
    browser: Browser, lan: House, language: str
) -> None:
    """Over plain HTTP: the fingerprint that `serve` printed, the file, and the way to https."""
    plain, secure = lan.environ["YANASHA_PLAIN_PORT"], lan.environ["YANASHA_HTTPS_PORT"]
    with browser.new_context(locale=LOCALES[language]) as context:
        page = context.new_page()
        page.goto(f"http://127.0.0.1:{plain}/trust")
        page.locator(f'nav a[lang="{language}"]').click()
        expect(page.locator("html")).to_have_attribute("lang", language)
        # Its own policy lets the page's look through.
        expect(page.locator(".take")).to_have_css("display", "inline-flex")
        printed = page.locator(".fingerprint").inner_text()
        assert any(line.strip() == printed for line in lan.lines), printed
        with page.expect_download() as file:
            page.locator(".take").click()
        assert file.value.suggested_filename == "yanasha.crt"
        expect(page.locator(f'.addresses a[href$=":{secure}"]').first).to_be_visible()
        all_open(page)
        looks_right(page, "trust")


def test_the_way_on_leads_to_the_sign_in_page(browser: Browser, lan: House) -> None:
    """What is not this page goes to https, where the product is."""
    plain = lan.environ["YANASHA_PLAIN_PORT"]
    with browser.new_context(ignore_https_errors=True) as context:
        page = context.new_page()
        page.goto(f"http://localhost:{plain}/")
        expect(page.locator("input[name=password]")).to_be_visible(timeout=15_000)
        assert page.url.startswith(f"https://localhost:{lan.environ['YANASHA_HTTPS_PORT']}/")


def test_outside_a_lan_it_says_that_nothing_is_to_be_done(browser: Browser, house: House) -> None:
    """In three languages, for anyone."""
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(house.url + "/trust")
        expect(page.locator("h1")).to_have_text("Ничего делать не нужно")
        for language in ("tt", "en"):
            expect(page.locator(f'section[lang="{language}"] h2')).to_be_visible()
        all_open(page)
        looks_right(page, "trust")
