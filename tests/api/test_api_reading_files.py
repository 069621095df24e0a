"""Files of readings over HTTP: looked at without a trace, stored once, refused with a reason."""

import hashlib
import json
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from api_world import API, Client, World, code
from sqlalchemy import func, select

from people.audit import WRITE_PATH
from people.device_tokens import FILE, Devices
from telemed.reading_tables import ReadingKeys, Readings

BYTES = {"Content-Type": "application/octet-stream"}


def day(hours: float) -> str:
    """A time not long ago, as a spreadsheet writes it."""
    return f"{datetime.now(UTC) - timedelta(hours=hours):%Y-%m-%d %H:%M:%S}"


def table() -> bytes:
    """Three readings, one of them twice, and three lines that are none."""
    lines = [
        f"{day(50)},128,82,66",
        f"{day(26)},131,85,64",
        f"{day(2)},125,80,",
        f"{day(2)},125,80,",
        f"{day(1)},80,125,60",
        f"{day(1)},high,80,60",
        ",128,82,66",
    ]
    return ("time stamp,SYS (mmHg),DIA (mmHg),pulse\n" + "\n".join(lines) + "\n").encode()


async def ask(client: httpx.AsyncClient, data: bytes, **query: object) -> httpx.Response:
    """Look at a file, or with the digest of one store it."""
    url = f"{API}/my/readings/file" + ("/confirm" if "sha256" in query else "")
    return await client.post(url, params=query, content=data, headers=BYTES)  # type: ignore[arg-type]


async def stored(world: World) -> int:
    """How many readings the patient has."""
    async with world.sessions() as db:
        query = select(func.count()).select_from(Readings)
        query = query.where(Readings.person_id == world["patient"])
        return (await db.scalars(query, execution_options=WRITE_PATH)).one()


async def test_a_file_is_looked_at_without_a_trace_and_then_stored_once(
    as_: Client, world: World
) -> None:
    client, data = as_("patient"), table()
    before = await stored(world)
    answer = await ask(client, data, options=json.dumps({"zone": "UTC"}))
    assert answer.status_code == 200, answer.text
    seen = answer.json()
    assert (seen["format"], seen["readings"], seen["left_out"]) == ("csv", 3, 0)
    assert seen["sha256"] == hashlib.sha256(data).hexdigest()
    assert [column["role"] for column in seen["columns"]] == [
        "time",
        "blood_pressure.systolic",
        "blood_pressure.diastolic",
        "blood_pressure.pulse",
    ]
    assert [(one["kind"], one["count"]) for one in seen["kinds"]] == [("blood_pressure", 3)]
    assert seen["newest"][0]["values"] == {"systolic": 125, "diastolic": 80}
    assert [(row["place"], row["code"], row["field"]) for row in seen["refused"]] == [
        (6, "systolic_le_diastolic", "values.systolic"),
        (7, "number_unreadable", "values.systolic"),
        (8, "time_missing", "taken_at"),
    ]
    assert await stored(world) == before
    first = await ask(client, data, sha256=seen["sha256"])
    again = await ask(client, data, sha256=seen["sha256"])
    assert first.json() == {"stored": 3, "repeated": 0, "refused_total": 3, "left_out": 0}
    assert again.json() == {"stored": 0, "repeated": 3, "refused_total": 3, "left_out": 0}
    assert await stored(world) == before + 3
    async with world.sessions() as db:
        names = await db.scalars(
            select(Devices.name).join(ReadingKeys, ReadingKeys.device_id == Devices.id),
            execution_options=WRITE_PATH,
        )
        assert FILE in set(names.all())


async def test_only_the_chosen_kinds_are_stored_and_only_of_the_file_that_was_seen(
    as_: Client, world: World
) -> None:
    client = as_("patient")
    data = f"timestamp,heart rate,temperature (°C)\n{day(3)},66,36.6\n".encode()
    seen = (await ask(client, data, kinds="temperature")).json()
    assert (len(seen["kinds"]), seen["readings"]) == (2, 1)
    before = await stored(world)
    other = await ask(client, data + b"\n", sha256=seen["sha256"])
    assert code(other) == (409, "readings_file_changed")
    assert await stored(world) == before
    kept = await ask(client, data, sha256=seen["sha256"], kinds="temperature")
    assert kept.json()["stored"] == 1
    assert await stored(world) == before + 1


@pytest.mark.parametrize(
    ("data", "status", "problem"),
    [
        (b"", 422, "readings_file_empty"),
        (b"\x7fELF\0\0\0", 422, "readings_file_unknown"),
        (b"<HealthData>", 422, "readings_file_truncated"),
        (b"<!DOCTYPE a [<!ENTITY b 'c'>]><HealthData/>", 422, "readings_file_not_read"),
        (b"PK\3\4nonsense", 422, "readings_file_broken"),
    ],
)
async def test_a_file_that_cannot_be_read_says_why(
    as_: Client, data: bytes, status: int, problem: str
) -> None:
    assert code(await ask(as_("patient"), data)) == (status, problem)


async def test_a_table_nobody_can_tell_the_columns_of_is_asked_about(as_: Client) -> None:
    client, data = as_("patient"), f"a,b\n{day(1)},66\n".encode()
    seen = (await ask(client, data)).json()
    assert (seen["columns_needed"], seen["header"], seen["readings"]) == (True, ["a", "b"], 0)
    refused = await ask(client, data, sha256=seen["sha256"])
    assert code(refused) == (422, "readings_file_no_columns")
    columns = [{"role": "time"}, {"role": "heart_rate.rate", "unit": "/min"}]
    said = json.dumps({"zone": "Europe/Moscow", "columns": columns})
    told = (await ask(client, data, options=said)).json()
    assert (told["columns_needed"], told["readings"]) == (False, 1)


async def test_what_is_said_of_a_file_must_be_understood(as_: Client) -> None:
    client = as_("patient")
    for query in ({"options": "x"}, {"options": '{"a": 1}'}, {"kinds": "mood"}):
        assert code(await ask(client, table(), **query)) == (400, "malformed_body")
    wrong_zone = await ask(client, table(), options='{"zone": "../etc/passwd"}')
    assert code(wrong_zone) == (422, "readings_file_not_read")


async def test_nobody_who_is_not_signed_in_hands_a_file_in(as_: Client) -> None:
    assert code(await ask(as_(), table())) == (401, "not_signed_in")
    assert code(await ask(as_(), table(), sha256="0" * 64)) == (401, "not_signed_in")


async def test_a_body_of_another_type_is_not_taken_in(as_: Client) -> None:
    client = as_("patient")
    for url in ("file", f"file/confirm?sha256={'0' * 64}"):
        assert (await client.post(f"{API}/my/readings/{url}")).status_code == 415
        assert (await client.post(f"{API}/my/readings/{url}", json={})).status_code == 415
    for sha256 in ("", "?sha256=x"):
        answer = await client.post(f"{API}/my/readings/file/confirm{sha256}", headers=BYTES)
        assert answer.status_code == 400
