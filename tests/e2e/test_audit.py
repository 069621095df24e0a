"""Who looked, in the browser: the patient sees it, the administrator too, and nobody can undo it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from house import House, wait_for
from looks import looks_right
from playwright.sync_api import Browser, expect
from room import Guest

from storage.settings import Settings

pytestmark = pytest.mark.browser


@pytest.mark.journey("J6.8")
def test_a_patient_and_the_administrator_see_who_looked_and_a_changed_row_is_found(
    browser: Browser, house: House, tmp_path: Path
) -> None:
    """The doctor opens the visit; then both look, the administrator also by person and as a file."""
    visit = house.world["visits"][3]
    clinic = next(
        one for one in house.world["organisations"] if one["id"] == visit["organisation_id"]
    )
    boss = next(
        one["id"]
        for one in house.world["persons"]
        if "administrator" in one["roles"] and one.get("organisation_id") == clinic["id"]
    )
    doctor_name = house.person(visit["doctor_id"])["name"]
    with Guest(browser, house, visit["doctor_id"]) as doctor:
        doctor.sign_in()
        doctor.page.goto(f"{house.url}/#/visits/{visit['id']}")
        expect(doctor.page.get_by_test_id("visit")).to_be_visible()
        expect(doctor.page.locator(".skeleton")).to_have_count(0)

    with Guest(browser, house, visit["patient_id"]) as patient:
        patient.sign_in()
        patient.page.goto(f"{house.url}/#/looked")
        line = patient.page.locator("li[data-act=see_visit_readings]").first
        expect(line).to_contain_text(doctor_name)
        expect(line).to_contain_text(clinic["name"])
        patient.speak("tt")
        looks_right(patient.page, "looked")
        line.get_by_role("link").click()
        expect(patient.page.get_by_test_id("visit")).to_be_visible()
        assert patient.errors == []

    with Guest(browser, house, boss, accept_downloads=True) as administrator:
        page = administrator.page
        administrator.sign_in()
        page.goto(f"{house.url}/#/admin/{clinic['id']}/audit")
        line = page.locator("li[data-act=see_visit_readings]", has_text=doctor_name).first
        expect(line).to_be_visible()
        line.get_by_role("button", name=doctor_name).click()
        expect(page.locator("li[data-act=see_visit_readings]").first).to_be_visible()
        expect(page.locator("li[data-act=visit_booked]")).to_have_count(0)
        looks_right(page, "audit")
        with page.expect_download() as downloading:
            page.get_by_role("button", name="CSV").click()
        table = tmp_path / "audit.csv"
        downloading.value.save_as(table)
        assert doctor_name in table.read_text(encoding="utf-8-sig")
        assert administrator.errors == []

    assert "The audit is whole." in house.run("audit", "verify")
    with changed_row(house) as row, pytest.raises(AssertionError, match=row):
        house.run("audit", "verify")


@contextmanager
def changed_row(house: House) -> Iterator[str]:
    """Change a sealed row as the database's owner, who has to switch off what forbids it."""
    settings = Settings.from_env(house.environ)
    change = "UPDATE audit_acts SET act = %s WHERE id = %s"
    with psycopg.connect(settings.database_url, autocommit=True) as db:
        db.execute("ALTER TABLE audit_acts DISABLE TRIGGER USER")
        sealed = """
            SELECT act, id FROM audit_acts JOIN audit_seals ON row_id = id ORDER BY sequence LIMIT 1
        """
        act, row = wait_for("a sealed row", lambda: db.execute(sealed).fetchone())
        db.execute(change, ("nothing", row))
        yield f"audit_acts/{row}"
        db.execute(change, (act, row))
        db.execute("ALTER TABLE audit_acts ENABLE TRIGGER USER")
