"""Readings over HTTP: from devices, by hand, and on the visit's page."""

import asyncio
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from api_world import API, Client, World, code, reading
from litestar import Litestar
from sqlalchemy import event, select

from api.known_devices import KEPT
from people.audit import WRITE_PATH
from people.device_tokens import Devices, KnownDevice
from people.refused import NotSignedIn
from telemed.reading_tables import ReadingKeys


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


async def test_a_revocation_nobody_told_of_acts_at_once(
    cuff: httpx.AsyncClient, app: Litestar, world: World
) -> None:
    """A device known of late is asked for once more in the transaction that stores."""
    first = await cuff.post(f"{API}/readings", json={"readings": [reading(1)]})
    assert first.status_code == 201
    async with world.sessions() as db, db.begin():
        device = await db.get_one(Devices, world["patient:cuff"])
        device.revoked_at = datetime.now(UTC)
    token = world.device_tokens["patient:cuff"]
    known = await app.state.house.devices.of(token, datetime.now(UTC))
    assert known.id == world["patient:cuff"]
    for sequence in (1, 2):
        answer = await cuff.post(f"{API}/readings", json={"readings": [reading(sequence)]})
        assert code(answer) == (401, "not_signed_in")
    async with world.sessions() as db:
        used = await db.scalars(select(ReadingKeys.sequence), execution_options=WRITE_PATH)
        assert used.all() == [1]


async def test_a_device_is_known_for_a_while_and_until_it_is_revoked(
    app: Litestar, as_: Client, world: World
) -> None:
    devices, token = app.state.house.devices, world.device_tokens["patient:cuff"]
    now = datetime.now(UTC)
    first = await devices.of(token, now)
    assert await devices.of(token, now + KEPT / 2) is first
    second = await devices.of(token, now + KEPT)
    assert second is not first
    assert second == first
    await as_("patient").delete(f"{API}/devices/{world['patient:cuff']}")
    with pytest.raises(NotSignedIn):
        await devices.of(token, now + KEPT)


async def test_devices_that_come_at_once_are_looked_up_together(
    app: Litestar, world: World
) -> None:
    """After an outage every device asks in the same second; an unknown token spoils no other's."""
    looks: list[str] = []
    event.listen(
        app.state.house.engine.sync_engine,
        "before_cursor_execute",
        lambda _link, _cursor, statement, *_: looks.append(statement),
    )
    devices, token = app.state.house.devices, world.device_tokens["patient:cuff"]
    asked = [devices.of(one, datetime.now(UTC)) for one in (token, "nobody's", token)]
    first, unknown, second = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(first, KnownDevice)
    assert first == second
    assert first.id == world["patient:cuff"]
    assert isinstance(unknown, NotSignedIn)
    assert sum("FROM devices" in one and "token_sha256" in one for one in looks) == 1


async def test_a_device_that_somebody_holds_keeps_nobody_waiting(
    app: Litestar, world: World
) -> None:
    """Its readings are being stored, say: when it was seen last is written the next time."""
    devices = app.state.house.devices
    async with world.sessions() as db, db.begin():
        held = await db.get_one(Devices, world["patient:cuff"], with_for_update=True)
        async with asyncio.timeout(5):
            for name in ("cuff", "recorder"):
                await devices.of(world.device_tokens[f"patient:{name}"], datetime.now(UTC))
    async with world.sessions() as db:
        seen = select(Devices.id).where(Devices.last_seen_at.is_not(None))
        assert (await db.scalars(seen)).all() == [world["patient:recorder"]]
        assert held.last_seen_at is None


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
