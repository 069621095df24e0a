"""Sign-in, sessions, the account."""

import asyncio

import httpx
import pytest
from api_world import API, PASSWORD, Client, World, code
from litestar import Litestar
from sqlalchemy.event import listen

from api import door
from api.house import House
from people import passwords


async def test_the_right_password_opens_a_session_and_gives_the_person(as_: Client) -> None:
    client = as_()
    answer = await client.post(
        f"{API}/sign-in", json={"login": "Doctor.Test", "password": PASSWORD}
    )
    assert answer.status_code == 201
    assert answer.json()["staff"] is True
    assert [role["role"] for role in answer.json()["roles"]] == ["doctor"]
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=lax" in cookie.lower()
    assert "Path=/" in cookie
    assert (await client.get(f"{API}/me")).json() == answer.json()


async def test_a_wrong_password_and_an_unknown_login_get_one_answer(as_: Client) -> None:
    client = as_()
    wrong = await client.post(f"{API}/sign-in", json={"login": "doctor.test", "password": "x"})
    unknown = await client.post(f"{API}/sign-in", json={"login": "nobody", "password": "x"})
    assert code(wrong) == code(unknown) == (401, "wrong_login_or_password")
    assert "set-cookie" not in wrong.headers


async def test_guesses_are_throttled_though_each_is_refused(as_: Client) -> None:
    client = as_()
    for _ in range(5):
        await client.post(f"{API}/sign-in", json={"login": "doctor.test", "password": "x"})
    answer = await client.post(
        f"{API}/sign-in",
        json={"login": "doctor.test", "password": PASSWORD},
        headers={"X-Forwarded-For": "203.0.113.9"},
    )
    assert code(answer) == (429, "too_many_attempts")
    assert int(answer.headers["Retry-After"]) == answer.json()["params"]["retry_after_s"] >= 1


@pytest.mark.usefixtures("cheap_hashing")
async def test_a_crowd_at_the_door_leaves_connections_to_those_who_are_in(
    app: Litestar, as_: Client
) -> None:
    """Of the pool's sixteen; looking at a password takes one for its while."""
    house: House = app.state.house
    held: list[int] = []
    back: list[int] = []
    pool = house.engine.sync_engine.pool
    listen(pool, "checkout", lambda *_: held.append(len(held) - len(back)))
    listen(pool, "checkin", lambda *_: back.append(1))
    client = as_()

    async def one(number: int) -> tuple[int, str]:
        body = {"login": f"nobody.{number}", "password": "x"}
        return code(await client.post(f"{API}/sign-in", json=body))

    found = set(await asyncio.gather(*map(one, range(20))))
    assert found == {(401, "wrong_login_or_password")}
    assert 1 <= max(held) < 8


async def test_a_flood_from_one_network_keeps_nobody_else_out(
    app: Litestar, as_: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though each guess at a login that must wait is answered no sooner than a look takes."""
    look_s = 0.5
    monkeypatch.setattr(passwords, "_hashing_s", lambda: look_s)
    house: House = app.state.house
    now = house.clock()
    house.clock = lambda: now
    client, loop = as_(), asyncio.get_running_loop()

    async def guess() -> float:
        began = loop.time()
        body = {"login": "doctor.test", "password": "x"}
        told.append(code(await client.post(f"{API}/sign-in", json=body)))
        return loop.time() - began

    told: list[tuple[int, str]] = []
    for _ in range(5):
        await guess()
    told.clear()
    flood = [asyncio.create_task(guess()) for _ in range(40)]
    while not house.door.waiting:  # noqa: ASYNC110 - seen from outside
        await asyncio.sleep(0)
    transport = httpx.ASGITransport(app, client=("198.51.100.9", 1))
    async with httpx.AsyncClient(transport=transport, base_url=client.base_url) as elsewhere:
        body = {"login": "patient.test", "password": PASSWORD}
        async with asyncio.timeout(2):
            assert (await elsewhere.post(f"{API}/sign-in", json=body)).status_code == 201
    async with asyncio.timeout(len(flood) * look_s / 2):  # and none behind another's look
        assert min(await asyncio.gather(*flood)) >= look_s
    assert set(told) == {(429, "too_many_attempts")}


async def test_a_network_whose_line_is_full_is_told_at_once(
    app: Litestar, as_: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "MOST_OF_ONE", 0)
    house: House = app.state.house
    house.door.free = 0
    answer = await as_().post(f"{API}/sign-in", json={"login": "doctor.test", "password": "x"})
    assert code(answer) == (429, "too_many_attempts")
    assert answer.headers["Retry-After"] == "1"


async def test_who_waits_too_long_at_the_door_is_told_to_come_again(
    app: Litestar, as_: Client
) -> None:
    house: House = app.state.house
    house.door.wait_s = 0.01
    house.door.free = 0
    answer = await as_().post(f"{API}/sign-in", json={"login": "doctor.test", "password": "x"})
    assert code(answer) == (503, "busy")
    assert answer.headers["Retry-After"] == "1"


async def test_an_unknown_field_of_a_body_is_named(as_: Client) -> None:
    body = {"login": "a", "password": "b", "role": "administrator"}
    answer = await as_().post(f"{API}/sign-in", json=body)
    assert code(answer) == (400, "unknown_field")
    assert answer.json()["errors"] == [{"field": "role", "code": "unknown_field", "params": {}}]


async def test_a_missing_field_a_wrong_type_and_no_json_are_malformed(as_: Client) -> None:
    client = as_()
    missing = await client.post(f"{API}/sign-in", json={"login": "a"})
    assert code(missing) == (400, "malformed_body")
    assert missing.json()["errors"][0]["field"] == "password"
    typed = await client.post(f"{API}/sign-in", json={"login": "a", "password": 5})
    assert typed.json()["errors"][0] == {"field": "password", "code": "malformed", "params": {}}
    headers = {"Content-Type": "application/json"}
    for body in (b"{", b"", b"\xff\xfe", b"[]"):
        answer = await client.post(f"{API}/sign-in", content=body, headers=headers)
        assert code(answer) == (400, "malformed_body"), body


async def test_a_form_of_another_site_cannot_pass_for_json(as_: Client) -> None:
    answer = await as_().post(
        f"{API}/sign-in",
        content=b'{"login":"a","password":"b"}',
        headers={"Content-Type": "text/plain"},
    )
    assert code(answer) == (415, "unsupported_media_type")


async def test_nobody_has_no_account(as_: Client) -> None:
    client = as_()
    for path in ("/me", "/sessions", "/day", "/devices"):
        assert code(await client.get(API + path)) == (401, "not_signed_in")
    assert code(await client.post(f"{API}/sign-out")) == (401, "not_signed_in")
    stale = as_()
    stale.cookies.set("yanasha", "not-a-token")
    assert code(await stale.get(f"{API}/me")) == (401, "not_signed_in")


async def test_the_language_can_be_changed_to_one_of_three(as_: Client) -> None:
    client = as_("patient")
    answer = await client.patch(f"{API}/me", json={"language": "tt"})
    assert answer.json()["language"] == "tt"
    refused = await client.patch(f"{API}/me", json={"language": "fr"})
    assert code(refused) == (400, "malformed_body")


async def test_sign_out_ends_the_session_and_clears_the_browser(as_: Client) -> None:
    client = as_("patient")
    answer = await client.post(f"{API}/sign-out")
    assert answer.status_code == 204
    assert answer.headers["Clear-Site-Data"] == '"cache", "cookies", "storage"'
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert code(await as_("patient").get(f"{API}/me")) == (401, "not_signed_in")


async def test_one_can_end_ones_own_sessions_and_nobody_elses(as_: Client, world: World) -> None:
    client = as_("patient")
    listed = (await client.get(f"{API}/sessions")).json()
    assert [one["id"] for one in listed] == [str(world["patient:session"])]
    foreign = await client.delete(f"{API}/sessions/{world['doctor:session']}")
    assert code(foreign) == (404, "not_found")
    assert (await as_("doctor").get(f"{API}/me")).status_code == 200
    assert (await client.delete(f"{API}/sessions/{listed[0]['id']}")).status_code == 204
    assert code(await client.get(f"{API}/me")) == (401, "not_signed_in")
