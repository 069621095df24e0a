"""Readings over HTTP: from devices, by hand, and on the visit's page."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from api_world import API, Client, World, code, reading


@pytest.fixture
def cuff(as_: Client, world: World) -> httpx.AsyncClient:
    """The patient's cuff."""
    client = as_()
    client.headers["Authorization"] = f"Bearer {world.device_tokens['patient:cuff']}"
    return client


async def test_a_reading_is_stored_once_and_seen_by_doctor_and_patient(
    cuff: httpx.AsyncClient, as_: Client, world: World
) -> None:
    body = {"readings": [reading(1), reading(2)]}
    first = await cuff.post(f"{API}/readings", json=body)
    again = await cuff.post(f"{API}/readings", json=body)
    assert (first.status_code, again.status_code) == (201, 200)
    assert [one["status"] for one in first.json()["results"]] == ["stored", "stored"]
    assert [one["status"] for one in again.json()["results"]] == ["repeated", "repeated"]
    assert [one["id"] for one in first.json()["results"]] == [
        one["id"] for one in again.json()["results"]
    ]
    for who in ("doctor", "patient"):
        seen = (await as_(who).get(f"{API}/visits/{world['visit']}/readings")).json()
        assert [one["sequence"] for one in seen] == [1, 2]
        assert seen[0]["device"]["id"] == str(world["patient:cuff"])
        assert seen[0]["values"]["systolic"] == 128


async def test_a_device_must_show_its_token(as_: Client, world: World) -> None:
    body = {"readings": [reading(1)]}
    for header in ({}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Basic YTpi"}):
        answer = await as_().post(f"{API}/readings", json=body, headers=header)
        assert code(answer) == (401, "not_signed_in")
    by_session = await as_("patient").post(f"{API}/readings", json=body)
    assert code(by_session) == (401, "not_signed_in")
    token = world.device_tokens["patient:cuff"]
    me = await as_().get(f"{API}/me", headers={"Authorization": f"Bearer {token}"})
    assert code(me) == (401, "not_signed_in")


async def test_one_bad_reading_refuses_all_and_is_named(
    cuff: httpx.AsyncClient, as_: Client, world: World
) -> None:
    bad = reading(2, values={"systolic": 400, "diastolic": 80})
    answer = await cuff.post(f"{API}/readings", json={"readings": [reading(1), bad]})
    assert code(answer) == (422, "bad_measurement")
    (error,) = answer.json()["errors"]
    assert (error["field"], error["code"]) == ("readings[1].values.systolic", "out_of_range")
    assert error["params"]["unit"] == "mmHg"
    assert (await as_("doctor").get(f"{API}/visits/{world['visit']}/readings")).json() == []


@pytest.mark.parametrize(
    ("changes", "field", "why"),
    [
        ({"unit": "psi"}, "readings[0].unit", "unit_unknown"),
        ({"unit": ""}, "readings[0].unit", "unit_missing"),
        ({"values": {"systolic": 120}}, "readings[0].values.diastolic", "value_missing"),
        (
            {"taken_at": (datetime.now(UTC) + timedelta(hours=1)).isoformat()},
            "readings[0].taken_at",
            "from_future",
        ),
    ],
)
async def test_what_nobody_should_act_on_is_refused_with_the_reason(
    changes: dict[str, object], field: str, why: str, cuff: httpx.AsyncClient
) -> None:
    answer = await cuff.post(f"{API}/readings", json={"readings": [reading(1, **changes)]})
    assert code(answer) == (422, "bad_measurement")
    assert answer.json()["errors"][0]["field"] == field
    assert answer.json()["errors"][0]["code"] == why


async def test_a_used_number_with_another_reading_is_refused(cuff: httpx.AsyncClient) -> None:
    await cuff.post(f"{API}/readings", json={"readings": [reading(1)]})
    other = reading(1, values={"systolic": 99, "diastolic": 60})
    answer = await cuff.post(f"{API}/readings", json={"readings": [other]})
    assert code(answer) == (409, "sequence_reused")


async def test_malformed_readings_are_named_by_place(cuff: httpx.AsyncClient) -> None:
    extra = await cuff.post(f"{API}/readings", json={"readings": [reading(1, person_id="x")]})
    assert code(extra) == (400, "unknown_field")
    assert extra.json()["errors"][0]["field"] == "readings[0].person_id"
    local = reading(1, taken_at="2026-01-01T10:00:00")
    answer = await cuff.post(f"{API}/readings", json={"readings": [local]})
    assert code(answer) == (400, "malformed_body")
    assert answer.json()["errors"][0]["field"] == "readings[0].taken_at"
    none = await cuff.post(f"{API}/readings", json={"readings": []})
    assert code(none) == (400, "malformed_body")
    many = await cuff.post(f"{API}/readings", json={"readings": [reading(n) for n in range(1001)]})
    assert code(many) == (400, "malformed_body")


async def test_a_revoked_device_is_nobody(
    cuff: httpx.AsyncClient, as_: Client, world: World
) -> None:
    await as_("patient").delete(f"{API}/devices/{world['patient:cuff']}")
    answer = await cuff.post(f"{API}/readings", json={"readings": [reading(1)]})
    assert code(answer) == (401, "not_signed_in")


async def test_a_reading_typed_in_is_stored_once(as_: Client, world: World) -> None:
    client = as_("patient")
    body = reading(7)
    first = await client.post(f"{API}/my/readings", json=body)
    again = await client.post(f"{API}/my/readings", json=body)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    seen = (await as_("doctor").get(f"{API}/visits/{world['visit']}/readings")).json()
    assert [one["id"] for one in seen] == [first.json()["id"]]
    bad = await client.post(f"{API}/my/readings", json=reading(8, unit="psi"))
    assert bad.json()["errors"][0]["field"] == "unit"
    assert code(await as_().post(f"{API}/my/readings", json=body)) == (401, "not_signed_in")
