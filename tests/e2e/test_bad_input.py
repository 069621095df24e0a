"""What a person does wrong, or a device, is answered calmly in the reader's language and stores nothing."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from house import House, wait_for
from playwright.sync_api import Browser, Playwright, Route, expect
from room import Room
from words import LANGUAGES, sentence

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def patient(browser: Browser, house: House) -> Iterator[Room]:
    """The patient of the second visit, on its page and not in the call."""
    visit = house.world["visits"][1]
    with Room(browser, house, visit["patient_id"], visit["id"]) as room:
        room.sign_in()
        room.enter()
        yield room
        assert room.errors == []


@pytest.fixture
def cuff(playwright: Playwright, house: House) -> Iterator[Any]:
    """Send readings with the token of the second patient's cuff; gives status and body."""
    patient_id = house.world["visits"][1]["patient_id"]
    request = playwright.request.new_context(base_url=house.url)

    def send(*readings: dict[str, Any], token: str | None = None) -> tuple[int, Any]:
        device = house.device(patient_id, "blood_pressure")
        answer = request.post(
            "/api/v1/readings",
            data={"readings": list(readings)},
            headers={"Authorization": f"Bearer {token or device['token']}"},
        )
        return answer.status, answer.json()

    yield send
    request.dispose()


def pressure(sequence: int, systolic: float, diastolic: float, **more: Any) -> dict[str, Any]:
    """A blood pressure as a cuff sends it."""
    return {
        "kind": "blood_pressure",
        "sequence": sequence,
        "taken_at": datetime.now(UTC).isoformat(),
        "unit": "mmHg",
        "values": {"systolic": systolic, "diastolic": diastolic, "pulse": 71},
        **more,
    }


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_wrong_password_is_said_in_the_readers_language(
    browser: Browser, house: House, language: str
) -> None:
    """The page stays, the login stays, one sentence says what is wrong."""
    person = next(one for one in house.world["persons"] if "administrator" in one["roles"])
    with browser.new_context(locale="ru-RU") as context:
        page = context.new_page()
        page.goto(house.url)
        page.locator(f"input[type=radio][value={language}]").check(force=True)
        page.locator("input[name=login]").fill(person["login"])
        page.locator("input[name=password]").fill("not the password")
        page.locator("form button[type=submit]").click()
        wrong = sentence(language, "common.problem_wrong_login_or_password")
        throttled = sentence(language, "sign-in.too_many_attempts")
        expect(page.get_by_text(wrong).or_(page.get_by_text(throttled)).first).to_be_visible()
        assert page.locator("input[name=login]").input_value() == person["login"]


@pytest.mark.journey("J2.4")
@pytest.mark.parametrize("language", LANGUAGES)
def test_readings_typed_wrongly_are_refused_at_the_field(patient: Room, language: str) -> None:
    """Out of range, in a unit that cannot be meant, swapped, or from the future: each has its sentence."""
    patient.speak(language)
    form = patient.page.get_by_test_id("add-reading")
    rows = patient.page.locator("[data-reading-id]")
    before = rows.count()

    def refused(text: str) -> None:
        form.locator("button[type=submit]").click()
        expect(form.get_by_text(text).first).to_be_visible()

    form.locator("input[name=systolic]").fill("82")
    form.locator("input[name=diastolic]").fill("128")
    refused(sentence(language, "visit.refused_systolic_le_diastolic"))

    form.locator("input[name=systolic]").fill("700")
    form.locator("input[name=diastolic]").fill("80")
    high = sentence(language, "visit.refused_out_of_range", low="\0", high="\0", unit="\0")
    refused(high.split("\0")[0].strip())

    form.locator("input[name=systolic]").fill("128")
    tomorrow = (datetime.now(UTC) + timedelta(days=2)).strftime("%Y-%m-%dT%H:%M")
    form.locator("input[name=taken_at]").fill(tomorrow)
    refused(sentence(language, "visit.refused_from_future"))

    form.locator("select").select_option("glucose")
    form.locator("input[name=taken_at]").fill(datetime.now(UTC).strftime("%Y-%m-%dT%H:%M"))
    form.locator("input[name=glucose]").fill("100")
    refused(high.split("\0")[0].strip())
    form.locator("select").select_option("blood_pressure")
    assert rows.count() == before


@pytest.mark.journey("J2.6")
def test_a_reading_sent_twice_because_the_answer_got_lost_is_stored_once(patient: Room) -> None:
    """The page tries again by itself and says that it was already stored."""
    patient.speak("ru")
    form = patient.page.get_by_test_id("add-reading")
    rows = patient.page.locator("[data-reading-id]")
    before = rows.count()
    lost: list[int] = []

    def lose_the_answer(route: Route) -> None:
        if lost:
            route.continue_()
            return
        lost.append(route.fetch().status)
        route.abort()

    patient.page.route("**/api/v1/my/readings", lose_the_answer)
    form.locator("input[name=systolic]").fill("131")
    form.locator("input[name=diastolic]").fill("84")
    form.locator("button[type=submit]").click()
    expect(patient.page.get_by_test_id("reading-outcome")).to_have_attribute(
        "data-state", "repeated", timeout=40_000
    )
    expect(patient.page.get_by_text(sentence("ru", "visit.outcome_repeated")).first).to_be_visible()
    patient.page.unroute("**/api/v1/my/readings")
    assert lost == [201]
    wait_for("the one row", lambda: rows.count() == before + 1)


@pytest.mark.journey("J2.4", "J2.6")
def test_a_cuff_is_answered_by_field_and_code(cuff: Any) -> None:
    """What a device sends wrongly names the field and the reason; what it repeats is stored once."""
    base = int(datetime.now(UTC).timestamp() * 1000)
    assert cuff(pressure(base, 128, 82))[0] == 201
    status, body = cuff(pressure(base, 128, 82))
    assert status in (200, 409), body
    again = pressure(base + 1, 127, 81)
    assert cuff(again)[0] == 201
    status, body = cuff(again)
    assert (status, body["results"][0]["status"]) == (200, "repeated")
    for sent, field, code in (
        (pressure(base + 2, 82, 128), "readings[0].values.systolic", "systolic_le_diastolic"),
        (pressure(base + 2, 900, 80), "readings[0].values.systolic", "out_of_range"),
        (pressure(base + 2, 128, 82, unit=""), "readings[0].unit", "unit_missing"),
        (pressure(base + 2, 128, 82, unit="bar"), "readings[0].unit", "unit_unknown"),
        (
            pressure(base + 2, 128, 82, taken_at=(datetime.now(UTC) + timedelta(2)).isoformat()),
            "readings[0].taken_at",
            "from_future",
        ),
    ):
        status, body = cuff(sent)
        assert status == 422, body
        assert body["code"] == "bad_measurement"
        assert [(error["field"], error["code"]) for error in body["errors"]] == [(field, code)]
    soon = pressure(
        base + 3, 128, 82, taken_at=(datetime.now(UTC) + timedelta(minutes=4)).isoformat()
    )
    status, body = cuff(soon)
    assert status == 201
    assert body["results"][0]["flags"] == ["clock_skew"]
    assert cuff(pressure(base + 4, 120, 80), token="stolen" * 8)[0] == 401


@pytest.mark.journey("J2.10")
def test_another_patients_visit_does_not_exist_for_me(patient: Room) -> None:
    """Ids of somebody else answer 404 on every route of a visit, as random ids do."""
    other = patient.house.world["visits"][0]["id"]
    for path in ("", "/readings", "/ecg", "/note"):
        answer = patient.page.request.get(f"{patient.house.url}/api/v1/visits/{other}{path}")
        assert answer.status == 404, path
        assert answer.json()["code"] == "not_found"
