"""A conclusion on its way: written, signed, taken along, verified by anybody, revoked; and files of a visit."""

import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from house import ROOT, House
from looks import looks_right
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect
from room import Guest
from words import sentence

pytestmark = pytest.mark.browser

NODE = Path(sys.prefix, "bin", "node")
DECODE = """
import decode from 'qr/decode.js';
import { readFileSync } from 'node:fs';
const [width, height] = process.argv.slice(-2).map(Number);
process.stdout.write(decode({ width, height, data: readFileSync(0) }));
"""


@pytest.fixture(scope="module")
def visit(house: House) -> dict[str, str]:
    """A visit that no other test of this house walks into."""
    return dict(house.world["visits"][6])


@pytest.fixture(scope="module")
def doctor(browser: Browser, house: House, visit: dict[str, str]) -> Iterator[Guest]:
    with Guest(browser, house, visit["doctor_id"]) as guest:
        guest.sign_in()
        guest.speak("tt")
        yield guest
        assert guest.errors == []


@pytest.fixture(scope="module")
def patient(browser: Browser, house: House, visit: dict[str, str]) -> Iterator[Guest]:
    with Guest(browser, house, visit["patient_id"]) as guest:
        guest.sign_in()
        guest.speak("en")
        yield guest
        assert guest.errors == []


def opened(guest: Guest, *names: str) -> Page:
    """The page at this address, once it shows its content."""
    guest.page.goto("/".join([f"{guest.house.url}/#", *names]))
    expect(guest.page.locator("h1")).to_be_visible(timeout=15_000)
    expect(guest.page.locator(".skeleton")).to_have_count(0)
    return guest.page


def scanned(code: Locator) -> str:
    """What a camera reads from this code as it is drawn."""
    with Image.open(io.BytesIO(code.screenshot())) as shot:
        picture = shot.convert("RGBA")
    done = subprocess.run(
        [NODE, "--input-type=module", "--eval", DECODE, "--", *map(str, picture.size)],
        cwd=ROOT / "web",
        input=picture.tobytes(),
        capture_output=True,
        check=True,
    )
    return done.stdout.decode()


def spoiled(address: str) -> str:
    """The same address with one letter changed in what was signed."""
    at = address.index(".", address.index("#/verify/")) - 20
    return address[:at] + ("A" if address[at] != "A" else "B") + address[at + 1 :]


def judged(page: Page, address: str, state: str) -> Locator:
    """Open what a code says where nobody is signed in; give the verdict of this state."""
    page.goto(address)
    verdict = page.get_by_test_id("verdict")
    expect(verdict).to_have_attribute("data-state", state, timeout=15_000)
    expect(verdict.get_by_role("heading")).to_have_text(sentence("ru", f"documents.verify_{state}"))
    return verdict


def test_anybody_tells_a_genuine_conclusion_from_a_forged_and_a_revoked_one(
    browser: Browser, doctor: Guest, patient: Guest, visit: dict[str, str]
) -> None:
    """Its doctor signs it, the patient finds it, a stranger scans it; each in another language."""
    page = opened(doctor, "visits", visit["id"])
    page.get_by_role("link", name=sentence("tt", "documents.title_visit")).click()
    page.locator("select").select_option("conclusion")
    page.get_by_test_id("begin").click()
    form = page.get_by_test_id("document")
    form.get_by_label(sentence("tt", "documents.field_diagnosis")).fill("ОРВИ")
    form.get_by_label(sentence("tt", "documents.field_text")).fill(
        "Үпкәләр чиста, һава җиңел керә."
    )
    page.get_by_test_id("sign-document").click()
    expect(form).to_have_attribute("data-state", "signed", timeout=15_000)
    signed = page.url
    address = scanned(page.get_by_test_id("qr"))
    assert address.startswith(f"{doctor.house.url}/#/verify/")
    looks_right(opened(doctor, "visit-documents", visit["id"]), "documents of a visit")

    mine = opened(patient, "documents")
    listed = mine.get_by_test_id("documents").get_by_role("listitem")
    expect(listed).to_have_count(1)
    looks_right(mine, "my documents")
    listed.get_by_role("link").click()
    expect(mine.get_by_text("Үпкәләр чиста, һава җиңел керә.")).to_be_visible()

    with browser.new_context(locale="ru-RU") as nobody:
        stranger = nobody.new_page()
        verdict = judged(stranger, address, "genuine")
        expect(verdict).to_contain_text(sentence("ru", "documents.kind_conclusion"))
        expect(verdict).not_to_contain_text("ОРВИ")
        looks_right(stranger, "verify")
        judged(stranger, spoiled(address), "forged")

        page.goto(signed)
        page.get_by_role("button", name=sentence("tt", "documents.revoke"), exact=True).click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label(sentence("tt", "documents.revoke_reason")).fill("Диагноз ялгыш язылган")
        dialog.get_by_role("button", name=sentence("tt", "documents.revoke"), exact=True).click()
        expect(form).to_have_attribute("data-state", "revoked")
        judged(stranger, address, "revoked")


def test_a_photo_of_the_patient_is_seen_by_the_doctor(
    doctor: Guest, patient: Guest, visit: dict[str, str]
) -> None:
    """Without a reload, with a preview; the whole picture opens."""
    beside = opened(doctor, "visits", visit["id"]).get_by_test_id("files")
    expect(beside.get_by_role("button").first).to_be_visible()
    own = opened(patient, "visits", visit["id"]).get_by_test_id("files")
    photo = io.BytesIO()
    Image.linear_gradient("L").resize((640, 480)).save(photo, "PNG")
    sent = {"name": "анализ.png", "mimeType": "image/png", "buffer": photo.getvalue()}
    own.get_by_test_id("file-input").set_input_files(sent)  # type: ignore[arg-type]
    expect(own.get_by_role("listitem")).to_contain_text("анализ.png", timeout=15_000)
    row = beside.get_by_role("listitem")
    expect(row).to_contain_text("анализ.png", timeout=15_000)
    expect(row.locator("img")).to_have_js_property("complete", value=True)
    assert row.locator("img").evaluate("picture => picture.naturalWidth") > 0
    row.get_by_role("button").click()
    whole = doctor.page.get_by_role("dialog").get_by_role("img")
    expect(whole).to_have_js_property("naturalWidth", 640)
    doctor.page.keyboard.press("Escape")
