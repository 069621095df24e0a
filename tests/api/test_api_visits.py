"""Visits, notes, lessons, the day, devices: anonymous, foreign, valid, bad input."""

from uuid import uuid4

import pytest
from api_world import API, Client, World, code

VISIT_ROUTES = [
    ("GET", ""),
    ("POST", "/open"),
    ("POST", "/close"),
    ("POST", "/ticket"),
    ("GET", "/readings"),
    ("GET", "/ecg"),
    ("GET", "/note"),
]


@pytest.mark.parametrize(("method", "tail"), VISIT_ROUTES)
async def test_a_visit_is_nothing_to_nobody_and_to_strangers(
    method: str, tail: str, as_: Client, world: World
) -> None:
    url = f"{API}/visits/{world['visit']}{tail}"
    assert code(await as_().request(method, url)) == (401, "not_signed_in")
    for stranger in ("doctor2", "patient2", "doctor_b", "patient_b", "clinic_admin", "teacher"):
        answer = await as_(stranger).request(method, url)
        assert code(answer) == (404, "not_found"), stranger
    missing = f"{API}/visits/{uuid4()}{tail}"
    assert code(await as_("doctor").request(method, missing)) == (404, "not_found")
    assert code(await as_("doctor").request(method, f"{API}/visits/7{tail}"))[0] == 404


async def test_both_sides_see_their_visit_from_their_side(as_: Client, world: World) -> None:
    url = f"{API}/visits/{world['visit']}"
    by_doctor = (await as_("doctor").get(url)).json()
    by_patient = (await as_("patient").get(url)).json()
    assert by_doctor["my_side"] == "doctor"
    assert by_patient["my_side"] == "patient"
    assert by_doctor["other"]["id"] == str(world["patient"])
    assert by_doctor["grants"] == by_patient["grants"] == []


async def test_opening_gives_both_sides_media_and_closing_ends_it(
    as_: Client, world: World
) -> None:
    url = f"{API}/visits/{world['visit']}"
    assert code(await as_("patient").post(f"{url}/open")) == (403, "forbidden")
    opened = (await as_("doctor").post(f"{url}/open")).json()
    assert opened["state"] == "open"
    assert opened["grants"] == ["audio", "video", "screen"]
    assert (await as_("patient").get(url)).json()["grants"] == ["audio", "video", "screen"]
    closed = (await as_("doctor").post(f"{url}/close")).json()
    assert closed["state"] == "closed"
    assert closed["grants"] == []
    assert code(await as_("patient").post(f"{url}/ticket")) == (403, "forbidden")


async def test_a_participant_gets_a_ticket(as_: Client, world: World) -> None:
    answer = await as_("patient").post(f"{API}/visits/{world['visit']}/ticket")
    assert answer.status_code == 201
    assert answer.json().keys() == {"ticket", "expires_at"}
    assert answer.headers["cache-control"] == "no-store"


async def test_the_note_is_the_doctors_and_two_tabs_cannot_overwrite_each_other(
    as_: Client, world: World
) -> None:
    url = f"{API}/visits/{world['visit']}/note"
    doctor = as_("doctor")
    assert code(await as_("patient").get(url)) == (403, "forbidden")
    assert (await doctor.get(url)).json() == {"text": "", "version": 0}
    first = await doctor.put(url, json={"text": "Жалоб нет", "version": 0})
    assert first.json() == {"text": "Жалоб нет", "version": 1}
    stale = await doctor.put(url, json={"text": "Другой текст", "version": 0})
    assert code(stale) == (409, "note_changed")
    assert stale.json()["params"] == {"text": "Жалоб нет", "version": 1}
    extra = await doctor.put(url, json={"text": "a", "version": 1, "written_by": "x"})
    assert code(extra) == (400, "unknown_field")
    nul = await doctor.put(url, json={"text": "a\0b", "version": 1})
    assert code(nul) == (400, "malformed_body")
    quoted = await doctor.put(url, json={"text": "a\\u0000b", "version": 1})
    assert quoted.json() == {"text": "a\\u0000b", "version": 2}
    long = await doctor.put(url, json={"text": "a" * 20_001, "version": 1})
    assert code(long) == (400, "malformed_body")


async def test_my_day_has_my_visits_and_lessons_and_no_others(as_: Client, world: World) -> None:
    doctor = (await as_("doctor").get(f"{API}/day")).json()
    assert [one["id"] for one in doctor["visits"]] == [str(world["visit"])]
    assert doctor["lessons"] == []
    pupil = (await as_("pupil").get(f"{API}/day")).json()
    assert [one["id"] for one in pupil["lessons"]] == [str(world["lesson"])]
    empty = (await as_("doctor").get(f"{API}/day", params={"date": "2020-02-29"})).json()
    assert empty == {"date": "2020-02-29", "visits": [], "lessons": []}
    bad = await as_("doctor").get(f"{API}/day", params={"date": "2020-02-30"})
    assert code(bad) == (400, "malformed_body")
    assert bad.json()["errors"][0]["field"] == "date"


async def test_a_lesson_is_seen_by_its_teacher_and_its_class(as_: Client, world: World) -> None:
    url = f"{API}/lessons/{world['lesson']}"
    assert code(await as_().get(url)) == (401, "not_signed_in")
    assert code(await as_("doctor").get(url)) == (404, "not_found")
    assert (await as_("teacher").get(url)).json()["my_side"] == "teacher"
    assert (await as_("pupil").get(url)).json()["state"] == "planned"


async def test_one_can_revoke_ones_own_device_and_nobody_elses(as_: Client, world: World) -> None:
    patient = as_("patient")
    listed = {one["id"] for one in (await patient.get(f"{API}/devices")).json()}
    assert listed == {str(world["patient:cuff"]), str(world["patient:recorder"])}
    url = f"{API}/devices/{world['patient:cuff']}"
    assert code(await as_().delete(url)) == (401, "not_signed_in")
    assert code(await as_("patient2").delete(url)) == (404, "not_found")
    assert (await patient.delete(url)).status_code == 204
    assert code(await patient.delete(url)) == (404, "not_found")
