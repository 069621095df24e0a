"""A house without anybody: its first administrator, a second factor, a passkey, a proof."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pyotp
import pytest
from house import House
from looks import looks_right
from playwright.sync_api import Browser, Page, expect

pytestmark = pytest.mark.browser

LOGIN, PASSWORD = "gulnara", "зелёный самовар 42"


@pytest.fixture
def empty_house() -> Iterator[House]:
    """As an operator starts it for real: nobody in it, and staff need a second factor."""
    house = House.fresh(YANASHA_STAFF_SECOND_FACTOR="required")
    house.start()
    yield house
    house.stop()
    house.remove()


def begin(page: Page, house: House) -> None:
    """Fill in the form behind the address that the operator's command prints."""
    said = house.run("first-administrator")
    address = re.search(r"(#/enter/first-\S+)", said)
    assert address, said
    # Passkeys belong to a name: localhost, not 127.0.0.1.
    page.goto(f"http://localhost:{house.http_port}/{address.group(1)}")
    form = page.get_by_test_id("first-administrator")
    form.locator("button[type=submit]").click()
    expect(form.locator("input[name=organisation_name]")).to_be_focused()
    for name, value in {
        "organisation_name": "Поликлиника № 1",
        "given_name": "Гөлнара",
        "family_name": "Сафина",
        "login": LOGIN,
        "password": f"{LOGIN}2024",
    }.items():
        form.locator(f"input[name={name}]").fill(value)
    form.locator("button[type=submit]").click()
    expect(form.locator("input[name=password]")).to_have_attribute("aria-invalid", "true")
    form.locator("input[name=password]").fill(PASSWORD)
    form.locator("button[type=submit]").click()


def next_code(phone: pyotp.TOTP) -> str:
    """The code of the next half minute: fits already, and was not used to set the phone up."""
    return phone.at(datetime.now(UTC) + timedelta(seconds=30))


def sign_in(page: Page) -> None:
    page.locator("input[name=login]").fill(LOGIN)
    page.locator("input[name=password]").fill(PASSWORD)
    page.locator("form button[type=submit]").click()


def test_the_first_administrator_gets_in_and_stays_safe(
    browser: Browser, empty_house: House
) -> None:
    context = browser.new_context(locale="ru-RU")
    page = context.new_page()
    begin(page, empty_house)

    # Nothing but making a second factor is open.
    expect(page).to_have_url(re.compile("#/security"))
    page.goto(f"http://localhost:{empty_house.http_port}/#/day")
    expect(page).to_have_url(re.compile("#/security"))
    part = page.get_by_test_id("totp")
    part.get_by_role("button").click()
    secret = part.get_by_test_id("totp-secret").inner_text().replace(" ", "")
    part.locator("input[name=totp]").fill("000000")
    part.locator("button[type=submit]").click()
    expect(part.locator("input[name=totp]")).to_have_attribute("aria-invalid", "true")
    phone = pyotp.TOTP(secret)
    part.locator("input[name=totp]").fill(phone.now())
    part.locator("button[type=submit]").click()
    sheet = page.get_by_test_id("recovery-sheet")
    expect(sheet.locator("li")).to_have_count(10)
    recovery = sheet.locator("li").first.inner_text()
    looks_right(page, "security, recovery sheet")
    sheet.get_by_role("button").last.click()

    # A passkey, made by a device in software.
    cdp = context.new_cdp_session(page)
    cdp.send("WebAuthn.enable")
    device = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    cdp.send("WebAuthn.addVirtualAuthenticator", {"options": device})
    keys = page.get_by_test_id("passkeys")
    keys.get_by_role("button").click()
    keys.locator("input[name=passkey-name]").fill("ноутбук")
    keys.locator("button[type=submit]").click()
    expect(keys.locator("li")).to_have_count(1)

    # Out, and in again by password and code; by a recovery code; by the passkey alone.
    for way in ("totp", "recovery", "passkey"):
        context.clear_cookies()
        page.goto(f"http://localhost:{empty_house.http_port}/")
        page.reload()
        if way == "passkey":
            page.locator("form button[type=button]").last.click()
        else:
            sign_in(page)
            step = page.get_by_test_id("second-step")
            if way == "totp":
                looks_right(page, "second step")
                step.locator("input[name=code]").fill(next_code(phone))
            else:
                step.get_by_role("button", name="запасным кодом").click()
                step.locator("input[name=code]").fill(recovery)
            step.locator("button[type=submit]").click()
        expect(page).to_have_url(re.compile("#/day"))
    page.goto(f"http://localhost:{empty_house.http_port}/#/security")
    expect(page.get_by_test_id("sessions").locator("li")).not_to_have_count(0)
    expect(page.get_by_test_id("recovery")).to_contain_text("9")
    context.close()
