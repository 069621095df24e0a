"""Notices as a person meets them: on the open page at once, by a letter that says nothing."""

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from house import ROOT, House, wait_for
from looks import looks_right
from playwright.sync_api import Browser, expect
from room import Guest
from words import sentence

pytestmark = pytest.mark.browser

ADDRESS = "rinat@example.org"
DIAGNOSIS = "Гипертония"
# Another process than the API, as the job runner or a command is.
TELL = """
import asyncio, sys
from datetime import UTC, datetime
from uuid import UUID
from people import tables
from people.notices import notify
from storage.engine import make_engine, sessions
from storage.jobs import enqueue
from storage.settings import Settings
from sqlalchemy import text

async def main(person, organisation, name):
    engine = make_engine(Settings.from_env().database_url)
    async with sessions(engine)() as db, db.begin():
        params = {"at": datetime.now(UTC).isoformat(), "doctor": "Гипертония"}
        await notify(db, UUID(person), "visit_booked", params, datetime.now(UTC), critical=True)
        await enqueue(db, name, owners=[UUID(organisation)])
        await db.execute(text(
            "UPDATE procrastinate_jobs SET status = 'failed', attempts = 10"
            " WHERE task_name = :name"), {"name": name})
    await engine.dispose()

asyncio.run(main(*sys.argv[1:]))
"""


def tell(house: House, person: str, organisation: str, job: str) -> None:
    """Something critical happens to the person, and a job of this name fails in the organisation."""
    words = [sys.executable, "-c", TELL, person, organisation, job]
    subprocess.run(words, cwd=ROOT, env=house.environ, check=True)


def letters(house: House) -> list[str]:
    """Texts to ADDRESS in the drawer of a house without a mail server, oldest first."""
    folder: Path = house.home / "outgoing"
    every = [path.read_text() for path in sorted(folder.glob("*.mail.txt"))]
    return [text for text in every if ADDRESS in text]


def test_a_notice_comes_to_the_open_page_and_by_a_letter_that_says_nothing(
    browser: Browser, house: House
) -> None:
    """An address is proved by its code; the list changes by itself; the letter names nothing."""
    people = {one["login"]: one for one in house.world["persons"]}
    patient, admin = people["patient.rinat"], people["admin.gulnara"]
    with Guest(browser, house, str(patient["id"])) as guest:
        guest.sign_in()
        guest.speak("ru")
        page = guest.page
        page.goto(f"{house.url}/#/notices")
        way = page.get_by_label(sentence("ru", "notices.mail_label"))
        way.fill(ADDRESS)
        send = page.locator("form").filter(has=way).get_by_role("button")
        send.click()
        code = page.get_by_label(sentence("ru", "notices.code_label"))
        expect(code).to_be_visible()
        (letter,) = wait_for("the code", lambda: letters(house), 15)
        found = re.search(r"\b\d{6}\b", letter)
        assert found
        code.fill(found[0])
        page.get_by_role("button", name=sentence("ru", "notices.confirm")).click()
        expect(
            page.get_by_role("radio", name=sentence("ru", "notices.on"), exact=True)
        ).to_be_checked()

        # In a browser without leave for it, push says so instead of doing nothing.
        page.get_by_role("button", name=sentence("ru", "notices.push_on")).click()
        expect(page.get_by_role("alert")).to_contain_text(sentence("ru", "notices.push_denied"))

        before = page.locator("article").count()
        tell(house, str(patient["id"]), str(admin["organisation_id"]), "t.first")
        started = time.monotonic()
        expect(page.locator("article")).to_have_count(before + 1, timeout=2000)
        print(f"on the page {(time.monotonic() - started) * 1000:.0f} ms after the process ended")
        first = page.locator("article").first
        expect(first).to_contain_text(DIAGNOSIS)
        expect(first).to_contain_text(sentence("ru", "notices.critical"))
        wait_for("the letter", lambda: len(letters(house)) == 2, 15)
        assert sentence("ru", "notices.mail_critical") in letters(house)[1]
        assert DIAGNOSIS not in letters(house)[1]
        looks_right(page, "notices with one that is critical")
        page.get_by_role("button", name=sentence("ru", "notices.read_all")).click()
        expect(page.get_by_text(sentence("ru", "notices.unread_none")).first).to_be_visible()
        assert guest.errors == []


def test_what_failed_is_dropped_by_the_administrator_after_a_second_word(
    browser: Browser, house: House
) -> None:
    """Work that failed for good stands on the page until somebody decides."""
    people = {one["login"]: one for one in house.world["persons"]}
    patient, admin = people["patient.olga"], people["admin.gulnara"]
    tell(house, str(patient["id"]), str(admin["organisation_id"]), "t.never")
    with Guest(browser, house, str(admin["id"])) as guest:
        guest.sign_in()
        guest.speak("ru")
        page = guest.page
        page.goto(f"{house.url}/#/admin/{admin['organisation_id']}/letters")
        failed = page.locator("li").filter(has_text="t.never")
        drop = failed.get_by_role("button", name=sentence("ru", "admin.letters_drop"))
        expect(drop).to_be_visible()
        looks_right(page, "letters")
        drop.click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("button", name=sentence("ru", "admin.letters_drop"), exact=True).click()
        expect(failed).to_have_count(0)
        assert guest.errors == []
