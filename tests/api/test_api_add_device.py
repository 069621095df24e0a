"""A person adds a device of their own: its token is shown once, and writes what it was added for."""

import asyncio

import pytest
from api_world import API, Client, code, reading

from people import device_tokens

NEW = {"name": "Cuff in the kitchen", "kinds": ["blood_pressure", "blood_pressure"]}


async def test_nobody_adds_a_device_without_signing_in(as_: Client) -> None:
    assert code(await as_().post(f"{API}/devices", json=NEW)) == (401, "not_signed_in")


async def test_a_devices_token_is_shown_once_and_writes_what_it_was_added_for(as_: Client) -> None:
    patient, device = as_("patient"), as_()
    before = (await patient.get(f"{API}/devices")).json()
    added = await patient.post(f"{API}/devices", json=NEW)
    assert added.status_code == 201
    told = added.json()
    assert (told["name"], told["kinds"]) == ("Cuff in the kitchen", ["blood_pressure"])
    after = await patient.get(f"{API}/devices")
    assert [one["id"] for one in after.json() if one not in before] == [told["id"]]
    assert told["token"] not in after.text
    device.headers["Authorization"] = f"Bearer {told['token']}"
    stored = await device.post(f"{API}/readings", json={"readings": [reading(1)]})
    assert stored.status_code == 201
    beat = reading(2, kind="heart_rate", unit="/min", values={"rate": 70})
    refused = await device.post(f"{API}/readings", json={"readings": [beat]})
    assert code(refused) == (422, "bad_measurement")
    assert (await patient.delete(f"{API}/devices/{told['id']}")).status_code == 204
    late = await device.post(f"{API}/readings", json={"readings": [reading(3)]})
    assert code(late) == (401, "not_signed_in")


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "x" * 81},
        {"kinds": []},
        {"kinds": ["horoscope"]},
        {"person_id": "00000000-0000-0000-0000-000000000000"},
    ],
)
async def test_a_device_that_is_none_is_not_added(as_: Client, wrong: dict[str, object]) -> None:
    answer = await as_("patient").post(f"{API}/devices", json=NEW | wrong)
    assert answer.status_code == 400
    assert len((await as_("patient").get(f"{API}/devices")).json()) == 2


async def test_nobody_has_more_devices_than_a_home_holds(
    as_: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when they are all added at once."""
    monkeypatch.setattr(device_tokens, "MOST_DEVICES", 3)
    patient = as_("patient")
    answers = await asyncio.gather(*(patient.post(f"{API}/devices", json=NEW) for _ in range(4)))
    refused = [answer for answer in answers if answer.status_code != 201]
    assert [code(answer) for answer in refused] == [(409, "too_many_devices")] * 3
    assert refused[0].json()["params"] == {"most": 3}


@pytest.mark.parametrize("name", [" ", "\t\n", "\u200b", "manual", " Desk ", "FILE"])
async def test_a_device_has_a_name_of_its_own(as_: Client, name: str) -> None:
    """Readings by hand, from a file and from a desk are told by those names on every page."""
    answer = await as_("patient").post(f"{API}/devices", json=NEW | {"name": name})
    assert code(answer) == (422, "bad_device_name")
    assert [error["field"] for error in answer.json()["errors"]] == ["name"]
