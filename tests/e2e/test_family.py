"""A father's home: his own health, his child's health and school, and what a court closes."""

import pytest
from house import House
from looks import looks_right, violations
from playwright.sync_api import Browser, Page, expect
from room import Guest
from words import sentence

pytestmark = pytest.mark.browser
# The visit ahead, and the one that the child's certificate comes from.
VISITS = ["Иван Соколов", "Иван Соколов"]


def person_of(house: House, login: str) -> str:
    return next(str(one["id"]) for one in house.world["persons"] if one["login"] == login)


def address(house: House, *names: str) -> str:
    return "/".join([f"{house.url}/#", *names])


def settled(page: Page) -> None:
    expect(page.locator("h1")).to_be_visible()
    expect(page.locator(".skeleton")).to_have_count(0)


@pytest.mark.journey("J5.1", "J5.2", "J5.8")
def test_a_father_sees_both_sides_of_his_child_until_a_court_closes_one(
    browser: Browser, house: House
) -> None:
    """One sign-in: his day, the child's visit and lesson; a limit takes health away at once."""
    child, school = person_of(house, "pupil.aidar"), house.person(person_of(house, "pupil.aidar"))
    with (
        Guest(browser, house, person_of(house, "parent.damir")) as father,
        Guest(browser, house, person_of(house, "admin.svetlana")) as head,
    ):
        father.sign_in()
        page = father.page
        home = page.get_by_role("region", name=sentence("ru", "family.children"))
        father.speak("ru")
        expect(home.get_by_role("heading", level=3)).to_have_text("Айдар Вәлиев")
        assert violations(page) == []
        home.get_by_role("link").click()
        settled(page)
        health = page.get_by_role("region", name=sentence("ru", "family.health"))
        lessons = page.get_by_role("region", name=sentence("ru", "family.school"))
        expect(health.get_by_role("heading", level=3)).to_have_text(VISITS)
        expect(lessons.get_by_text("Сүз төркемнәре")).to_be_visible()
        looks_right(page, "child")
        # A class mate of the child is nobody to him.
        page.goto(address(house, "children", person_of(house, "pupil.ilnaz")))
        not_found = sentence("ru", "common.not_found_title")
        expect(page.get_by_role("heading", name=not_found)).to_be_visible()
        page.goto(address(house, "family"))
        settled(page)
        assert violations(page) == []

        head.sign_in()
        office = head.page
        head.speak("ru")
        office.goto(address(house, "admin", str(school["organisation_id"]), "guardians"))
        settled(office)
        looks_right(office, "guardians")
        tie = office.locator("li").filter(has=office.get_by_role("heading", name="Айдар Вәлиев"))
        tie.get_by_role("button", name=sentence("ru", "admin.guardians_limit")).click()
        dialog = office.get_by_role("dialog")
        dialog.get_by_label(sentence("ru", "admin.guardians_paper")).fill("2-145/2026")
        dialog.get_by_role("button", name=sentence("ru", "admin.guardians_set"), exact=True).click()
        expect(tie.get_by_text("2-145/2026").first).to_be_visible()

        page.goto(address(house, "children", child))
        expect(lessons.get_by_text("Сүз төркемнәре")).to_be_visible()
        expect(page.get_by_text(sentence("ru", "family.closed_court"))).to_be_visible()
        expect(health).to_have_count(0)
        expect(page.get_by_text("Иван Соколов")).to_have_count(0)
        tie.get_by_role("button", name=sentence("ru", "admin.guardians_lift")).click()
        expect(tie.get_by_text("2-145/2026")).to_have_count(0)
        page.reload()
        expect(health.get_by_role("heading", level=3)).to_have_text(VISITS)
        assert father.errors == head.errors == []
