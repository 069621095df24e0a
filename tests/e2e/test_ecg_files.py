"""An ECG file in a visit: shown to who has it, kept at a word, read and printed by the doctor."""

import io

import pypdfium2
import pytest
from house import House
from looks import NARROW, WIDE, overflow, violations, wear
from playwright.sync_api import Browser, Locator, expect
from room import SAMPLE, Room

from devices.ecg_files import edf, read
from devices.ecg_files.wfdb import read_record

pytestmark = pytest.mark.browser


def is_drawn(picture: Locator) -> None:
    """The browser has decoded it: it is no broken frame."""
    # A confined interpreter is loaded for the first file, and makes way for everything else.
    expect(picture).to_be_visible(timeout=90_000)
    picture.evaluate("image => image.decode()")
    assert picture.evaluate("image => image.naturalWidth") > 0


def test_a_patients_ecg_file_becomes_the_doctors_strip(browser: Browser, house: House) -> None:
    """Nothing is kept before the patient says so; what the doctor saves is what was handed in."""
    visit, recording = house.world["visits"][0], read_record(SAMPLE)
    file = {"name": "Ночь.edf", "mimeType": "", "buffer": edf.write(recording)}
    with (
        Room(browser, house, visit["patient_id"], visit["id"]) as patient,
        Room(browser, house, visit["doctor_id"], visit["id"]) as doctor,
    ):
        for room in (patient, doctor):
            room.sign_in()
            room.enter()
        page = patient.page
        page.get_by_test_id("ecg-file-input").set_input_files(file)  # type: ignore[arg-type]
        asked = page.get_by_test_id("ecg-file")
        is_drawn(asked.get_by_test_id("ecg-strip"))
        for scheme, size in (("light", WIDE), ("dark", NARROW)):
            page.set_viewport_size(size)
            wear(page, scheme)  # type: ignore[arg-type]
            assert violations(page) == [], scheme
            assert overflow(page) == [], scheme
        ours = '[data-testid=files] li[data-kind="ecg"]'
        assert doctor.page.locator(ours).count() == 0
        asked.locator("button").click()
        expect(asked).to_have_count(0)
        is_drawn(page.locator(f"{ours} img"))

        row = doctor.page.locator(ours)
        row.locator("button").first.click()
        shown = doctor.page.get_by_test_id("ecg-file")
        strip = shown.get_by_test_id("ecg-strip")
        is_drawn(strip)
        # True on the screen too: a millimetre of the strip is one of CSS.
        assert strip.evaluate("image => image.width") == pytest.approx(297 * 96 / 25.4, abs=1)
        before = strip.get_attribute("src")
        shown.locator(".acts button").nth(1).click()
        expect(strip).not_to_have_attribute("src", before or "")
        with doctor.page.expect_download() as sheet:
            shown.locator('a[href*="/print?from_s=10"]').click()
        assert len(pypdfium2.PdfDocument(sheet.value.path())) == 1
        with doctor.page.expect_download() as other:
            shown.locator('a[href$="form=edf"]').click()
        back = read(io.BytesIO(other.value.path().read_bytes()))
        assert (back.samples == recording.samples).all()

        page.goto(f"{house.url}/#/records/{visit['patient_id']}")
        page.get_by_test_id("record-ecg").locator("button").first.click()
        is_drawn(page.get_by_test_id("ecg-strip"))
        assert patient.errors == doctor.errors == []
