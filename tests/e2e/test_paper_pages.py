"""Papers on other people's desks, and readings of a file as a chart: the school's office, the register, a photo of a code."""

import io
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from conftest import FAKE_MEDIA, launch
from house import House
from looks import looks_right
from PIL import Image
from playwright.sync_api import Browser, Page, Playwright, expect
from room import Guest
from words import sentence

from people.demo import CLINIC_7, demo_id

pytestmark = pytest.mark.browser


def opened(guest: Guest, *names: str) -> Page:
    """The page at this address, once it shows its content."""
    guest.page.goto("/".join([f"{guest.house.url}/#", *names]))
    expect(guest.page.locator("h1")).to_be_visible(timeout=15_000)
    expect(guest.page.locator(".skeleton")).to_have_count(0, timeout=15_000)
    return guest.page


def filmed(picture: bytes, film: Path) -> Path:
    """A film of this picture, as a paper held before a camera."""
    width, height = 640, 480
    with Image.open(io.BytesIO(picture)) as shot:
        paper = Image.new("L", (width, height), 200)
        code = shot.convert("L")
        code.thumbnail((420, 420))
        paper.paste(code, ((width - code.width) // 2, (height - code.height) // 2))
    luma = paper.point(lambda value: 16 + value * 219 // 255).tobytes()
    frame = b"FRAME\n" + luma + b"\x80" * (width * height // 2)
    film.write_bytes(f"YUV4MPEG2 W{width} H{height} F10:1 Ip C420\n".encode() + frame * 10)
    return film


def test_a_certificate_is_taken_by_the_school_verified_by_camera_and_photo_and_revoked(
    playwright: Playwright, browser: Browser, house: House, tmp_path: Path
) -> None:
    """Its office, a stranger with a phone before the code, the clinic's administrator; in three languages."""
    logins = ("admin.svetlana", "doctor.ivan", "admin.gulnara")
    people = [Guest(browser, house, str(demo_id(login))) for login in logins]
    with people[0] as office, people[1] as doctor, people[2] as administrator:
        office.sign_in()
        office.speak("ru")
        desk = opened(office, "received")
        paper = desk.get_by_test_id("received").get_by_role("article").first
        expect(paper).to_contain_text("Айдар Вәлиев")
        number = re.search(r"\d{4}-\d{6}", paper.inner_text())
        assert number is not None
        paper.get_by_role("button", name=sentence("ru", "documents.received_look")).click()
        form = desk.get_by_test_id("form")
        expect(form).to_have_attribute("data-state", "genuine", timeout=15_000)
        expect(form).not_to_contain_text("J06.9")
        looks_right(desk, "office of a school")
        paper.get_by_role("button", name=sentence("ru", "documents.acknowledge")).click()
        expect(paper.get_by_role("button")).to_have_count(0)

        doctor.sign_in()
        doctor.speak("en")
        visit = str(demo_id("visit with a document of pupil.aidar"))
        opened(doctor, "visit-documents", visit).get_by_test_id("documents").get_by_role(
            "link"
        ).click()
        photo = doctor.page.get_by_test_id("qr").last.screenshot()

        administrator.sign_in()
        administrator.speak("tt")
        film = filmed(photo, tmp_path / "paper.y4m")
        phone = launch(playwright, *FAKE_MEDIA, f"--use-file-for-fake-video-capture={film}")
        with phone, phone.new_context(locale="ru-RU") as nobody:
            stranger = nobody.new_page()
            stranger.goto(f"{house.url}/#/verify")
            stranger.get_by_test_id("verify-camera").click()
            verdict = stranger.get_by_test_id("verdict")
            expect(verdict).to_have_attribute("data-state", "genuine", timeout=15_000)
            expect(verdict).to_contain_text(number[0])
            expect(stranger.locator("video")).to_have_count(0)

            register = opened(administrator, "admin", str(demo_id(CLINIC_7)), "register")
            row = register.locator(f"[data-number='{number[0]}']")
            expect(row).to_be_visible(timeout=15_000)
            looks_right(register, "register")
            row.get_by_role("button").click()
            dialog = register.get_by_role("dialog")
            expect(dialog).to_contain_text("Айдар Вәлиев")
            dialog.get_by_role("textbox").fill("Белешмә ялгыш бирелгән")
            dialog.get_by_role(
                "button", name=sentence("tt", "documents.revoke"), exact=True
            ).click()
            expect(row).to_have_attribute("data-state", "revoked", timeout=15_000)
            chosen = {"name": "справка.png", "mimeType": "image/png", "buffer": photo}
            stranger.get_by_test_id("verify-file").set_input_files(chosen)  # type: ignore[arg-type]
            expect(verdict).to_have_attribute("data-state", "revoked", timeout=15_000)
        assert [one.errors for one in people] == [[], [], []]


def test_readings_of_a_file_are_a_chart_read_by_eye_keys_and_table(
    browser: Browser, house: House
) -> None:
    """Looked at, then stored; a day without one is a hole; a year is one press; it looks right."""
    with Guest(browser, house, str(demo_id("patient.maria"))) as patient:
        patient.sign_in()
        patient.speak("en")
        noon = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        table = "Дата;Время;Верхнее, мм рт. ст.;Нижнее, мм рт. ст.;Пульс\n" + "".join(
            f"{noon - timedelta(days=day):%d.%m.%Y;%H:%M};{118 + 3 * day};{76 + day};66\n"
            for day in (1, 2, 3, 6, 9, 10)
        )
        page = opened(patient, "imports")
        broken = f"{table}{noon:%d.%m.%Y;%H:%M};so-so;80;66\n".encode()
        chosen = {"name": "давление.csv", "mimeType": "text/csv", "buffer": broken}
        page.locator("input[type=file]").set_input_files(chosen)  # type: ignore[arg-type]
        store = page.get_by_role("button", name=sentence("en", "imports.store", count=6))
        expect(store).to_be_visible(timeout=15_000)
        expect(page.get_by_text("121/77 mmHg, pulse 66")).to_be_visible()
        expect(page.get_by_text(sentence("en", "imports.why_number_unreadable"))).to_be_visible()
        looks_right(page, "a file of readings")
        store.click()
        done = sentence("en", "imports.done", stored=6, repeated=0)
        expect(page.get_by_role("main").get_by_text(done)).to_be_visible(timeout=15_000)
        page = opened(patient, "records", patient.person["id"])
        chart = page.get_by_test_id("chart")
        chart.locator("select").select_option("blood_pressure")
        expect(chart).to_have_attribute("data-kind", "blood_pressure", timeout=15_000)
        runs = chart.locator("[data-line=systolic] [data-run]")
        expect(runs).not_to_have_count(0)
        assert "6" not in runs.evaluate_all("all => all.map(one => one.dataset.run)")
        chart.get_by_role("slider").focus()
        said = chart.get_by_test_id("chart-moment")
        before = said.inner_text()
        page.keyboard.press("ArrowLeft")
        expect(said).not_to_have_text(before)
        chart.locator("summary").click()
        expect(chart.get_by_role("row").first).to_be_visible()
        looks_right(page, "record with a chart")
        chart.get_by_label(sentence("en", "charts.span_year")).check(force=True)
        expect(said).to_contain_text("–", timeout=15_000)
        assert patient.errors == []
