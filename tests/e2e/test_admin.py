"""The administrator's pages: a list of 500 with a bad row, a role that opens a page, the live board."""

from collections.abc import Iterator

import pytest
from house import House
from looks import NARROW, SCHEMES, WIDE, overflow, violations, wear
from playwright.sync_api import Browser, Page, expect
from room import Guest
from words import sentence

pytestmark = pytest.mark.browser

LETTERS = "абвгдежзик"


def school_list(rows: int, bad: int) -> bytes:
    """A list of pupils as a Russian spreadsheet saves it; one line has no family name."""
    lines = ["номер;имя;фамилия;дата рождения;роль;класс"]
    for n in range(rows):
        name = "".join(LETTERS[int(digit)] for digit in f"{n:03}").capitalize()
        lines.append(f"с{n};Олег;{'' if n == bad else name};01.09.2013;ученик;{n % 9 + 1}Ж")
    return "\r\n".join(lines).encode("cp1251")


@pytest.fixture(scope="module")
def head(browser: Browser, house: House) -> Iterator[Guest]:
    """The administrator of the school."""
    person = next(one for one in house.world["persons"] if one["login"] == "admin.svetlana")
    with Guest(browser, house, person["id"]) as guest:
        guest.sign_in()
        yield guest
        assert guest.errors == []


def enter(head: Guest, section: str) -> Page:
    """Open a section of the administrator's pages by its address."""
    head.page.goto(f"{head.house.url}/#/admin/{head.person['organisation_id']}/{section}")
    expect(head.page.locator("h2#section-title")).to_be_visible(timeout=15_000)
    expect(head.page.locator(".skeleton")).to_have_count(0)
    return head.page


def fair(page: Page, name: str) -> None:
    """Wide and light, narrow and dark, and with text doubled: axe finds nothing, nothing sticks out."""
    for viewport, scheme in zip((WIDE, NARROW), SCHEMES, strict=True):
        page.set_viewport_size(viewport)
        wear(page, scheme)
        assert violations(page) == [], (name, scheme)
        assert overflow(page) == [], (name, scheme)
    page.evaluate("() => { document.documentElement.style.fontSize = '200%' }")
    assert overflow(page) == [], (name, "text doubled at 320 px")
    page.evaluate("() => { document.documentElement.style.fontSize = '' }")
    page.set_viewport_size(WIDE)
    wear(page, "light")


@pytest.mark.journey("J6.2")
def test_a_list_of_500_with_a_bad_row_is_stored_without_it(head: Guest) -> None:
    """In windows-1251; the row is shown by its line; a repeat makes nobody twice."""
    page = enter(head, "import")
    files = {"name": "school.csv", "mimeType": "text/csv", "buffer": school_list(500, 41)}
    page.locator("input[type=file]").set_input_files(files)  # type: ignore[arg-type]
    row = page.locator("table tbody tr")
    expect(row).to_have_count(1, timeout=15_000)
    expect(row.locator("td").first).to_have_text("43")
    expect(page.get_by_text("windows-1251").last).to_be_visible()
    fair(page, "import")
    page.get_by_role("button", name=sentence("ru", "admin.import_skip")).click()
    expect(page.get_by_role("link", name=sentence("ru", "admin.import_to_cards"))).to_be_visible(
        timeout=20_000
    )
    page.locator("input[type=file]").set_input_files(files)  # type: ignore[arg-type]
    new = page.locator("dl div", has_text=sentence("ru", "admin.import_new")).locator("dd")
    expect(new).to_have_text("0", timeout=15_000)


@pytest.mark.journey("J6.6")
def test_people_roles_and_the_board_are_for_every_reader(head: Guest) -> None:
    """A role is given by keyboard and shown; each page in another language."""
    page = enter(head, "people")
    page.locator("input[type=search]").fill("ковал")
    page.keyboard.press("Enter")
    expect(page.locator("main li h3")).to_have_count(1)
    expect(page.locator("main li h3")).to_have_text("Анна Ковалёва")
    head.speak("tt")
    fair(page, "people")
    page.locator("main li button").focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name=sentence("tt", "admin.hat_give")).first.focus()
    assert violations(page) == []
    page.keyboard.press("Enter")
    expect(dialog).to_have_count(0)
    expect(page.locator("main section li")).to_contain_text(sentence("tt", "admin.hat_clerkship"))
    enter(head, "board")
    expect(page.get_by_text(sentence("tt", "admin.board_server_text"))).to_be_visible()
    head.speak("en")
    expect(page.get_by_text(sentence("en", "admin.board_media_on"))).to_be_visible()
    fair(page, "board")
