"""Second factors, step-up and guessing over HTTP."""

import itertools
from datetime import UTC, datetime, timedelta

import httpx
import pyotp
import pytest
from api_server import Server
from api_world import API, PASSWORD, Client, World, code
from litestar import Litestar
from sqlalchemy import update

from api.house import House
from api.live import Close
from people.sessions import Sessions, start_session
from people.step_up import FRESH

GUESSES = 200

pytestmark = pytest.mark.usefixtures("cheap_hashing")


def forwarded(guess: int) -> dict[str, str]:
    """Headers by which a guesser claims to come from somewhere else each time."""
    address = f"203.0.{guess}.7"
    return {
        "X-Forwarded-For": address,
        "X-Real-IP": address,
        "Forwarded": f"for={address}",
        "CF-Connecting-IP": address,
    }


def twenty_a_second(house: House) -> None:
    """Let each request of the guesser come 50 ms after the last, however slow the machine is."""
    began, asked = datetime.now(UTC), itertools.count()
    house.clock = lambda: began + next(asked) * timedelta(milliseconds=50)


async def evaluated(
    client: httpx.AsyncClient, path: str, body: dict[str, object], wrong: str
) -> int:
    """How many of the guesses were looked at; every other one has to wait."""
    codes = []
    for guess in range(GUESSES):
        answer = await client.post(API + path, json=body, headers=forwarded(guess))
        codes.append(code(answer)[1])
    assert set(codes) <= {wrong, "too_many_attempts"}
    return codes.count(wrong)


async def enrol(client: httpx.AsyncClient) -> pyotp.TOTP:
    """Set an application up by the code of now; `next_code` is unused then, and fits already."""
    secret = (await client.post(f"{API}/factors/totp")).json()["secret"]
    phone = pyotp.TOTP(secret)
    answer = await client.put(f"{API}/factors/totp", json={"code": phone.now()})
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["recovery_codes"]) == 10
    return phone


def next_code(phone: pyotp.TOTP) -> str:
    return phone.at(datetime.now(UTC) + timedelta(seconds=30))


async def first_step(client: httpx.AsyncClient) -> dict[str, object]:
    body = {"login": "doctor.test", "password": PASSWORD}
    answer = await client.post(f"{API}/sign-in", json=body)
    assert answer.status_code == 201, answer.text
    found: dict[str, object] = answer.json()
    return found


async def test_two_hundred_guesses_at_a_password_are_hardly_looked_at(server: Server) -> None:
    """Over a real socket, with a new forwarded address each."""
    twenty_a_second(server.house)
    async with server.client() as client:
        body: dict[str, object] = {"login": "doctor.test", "password": "guess"}
        looked = await evaluated(client, "/sign-in", body, "wrong_login_or_password")
    print(f"\nguesses at a password: {looked} of {GUESSES} evaluated")
    assert 0 < looked < 10


async def test_two_hundred_guesses_at_a_code_are_hardly_looked_at(
    app: Litestar, as_: Client
) -> None:
    await enrol(as_("doctor"))
    client = as_()
    step = (await first_step(client))["second_step"]
    twenty_a_second(app.state.house)
    body = {"second_step": step, "proof": {"way": "totp", "code": "000000"}}
    looked = await evaluated(client, "/sign-in/second-step", body, "wrong_proof")
    print(f"\nguesses at a code: {looked} of {GUESSES} evaluated")
    assert 0 < looked < 10
    assert code(await client.get(f"{API}/me")) == (401, "not_signed_in")


async def test_two_hundred_guesses_at_step_up_are_hardly_looked_at(
    app: Litestar, as_: Client
) -> None:
    twenty_a_second(app.state.house)
    body: dict[str, object] = {"proof": {"way": "password", "password": "guess"}}
    looked = await evaluated(as_("doctor"), "/step-up", body, "wrong_proof")
    print(f"\nguesses at step-up: {looked} of {GUESSES} evaluated")
    assert 0 < looked < 10


async def test_the_second_step_ends_in_a_session(as_: Client) -> None:
    """The password alone gives no cookie; the code gives one, once."""
    phone = await enrol(as_("doctor"))
    client = as_()
    step = await first_step(client)
    assert step["ways"] == ["totp", "recovery_code"]
    assert not client.cookies
    proof = {"way": "totp", "code": next_code(phone)}
    body = {"second_step": step["second_step"], "proof": proof}
    answer = await client.post(f"{API}/sign-in/second-step", json=body)
    assert answer.status_code == 201, answer.text
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert (await client.get(f"{API}/me")).status_code == 200
    again = await as_().post(f"{API}/sign-in/second-step", json=body)
    assert code(again) == (401, "second_step_over")
    other = {**body, "second_step": (await first_step(as_()))["second_step"]}
    assert code(await as_().post(f"{API}/sign-in/second-step", json=other)) == (403, "wrong_proof")


async def test_staff_without_a_factor_reach_nothing_but_making_one(
    as_: Client, world: World
) -> None:
    """Every other route says so, sockets' tickets too; afterwards everything is open."""
    client = as_()
    assert (await first_step(client))["enrolment_needed"] is True
    assert (await client.get(f"{API}/me")).json()["enrolment_needed"] is True
    visit = f"{API}/visits/{world['visit']}"
    for answer in (
        await client.get(f"{API}/day"),
        await client.get(visit),
        await client.post(f"{visit}/ticket"),
        await client.get(f"{API}/devices"),
    ):
        assert code(answer) == (403, "enrolment_needed")
    await enrol(client)
    assert (await client.get(f"{API}/me")).json()["enrolment_needed"] is False
    assert (await client.get(visit)).status_code == 200


async def test_what_is_sensitive_waits_for_a_proof_and_the_token_changes(
    as_: Client, world: World
) -> None:
    client, old = as_("doctor"), as_("doctor")
    long_ago = datetime.now(UTC) - FRESH - timedelta(seconds=1)
    async with world.sessions() as db, db.begin():
        whose = Sessions.id == world["doctor:session"]
        await db.execute(update(Sessions).where(whose).values(proved_at=long_ago))
    assert code(await client.post(f"{API}/factors/totp")) == (403, "step_up_needed")
    wrong = {"proof": {"way": "password", "password": "guess"}}
    assert code(await client.post(f"{API}/step-up", json=wrong)) == (403, "wrong_proof")
    right = {"proof": {"way": "password", "password": PASSWORD}}
    assert (await client.post(f"{API}/step-up", json=right)).status_code == 204
    assert (await client.post(f"{API}/factors/totp")).status_code == 201
    assert code(await old.get(f"{API}/me")) == (401, "not_signed_in")


async def test_a_changed_password_ends_every_other_session_and_its_sockets(
    server: Server, world: World
) -> None:
    """The page that changed it goes on; another device's room closes at once."""
    async with world.sessions() as db, db.begin():
        now = datetime.now(UTC)
        session = await start_session(db, world["doctor"], "127.0.0.0/24", now, staff=True)
    world.cookies["doctor elsewhere"] = session.token
    async with server.client("doctor") as client, server.page("doctor elsewhere") as page:
        change = {"old": PASSWORD, "new": "зелёный самовар 42"}
        answer = await client.put(f"{API}/password", json=change)
        assert answer.status_code == 204, answer.text
        assert await page.closed() == Close.NOT_SIGNED_IN.value
        assert (await client.get(f"{API}/me")).status_code == 200
    async with server.client("doctor elsewhere") as other:
        assert code(await other.get(f"{API}/me")) == (401, "not_signed_in")
        body = {"login": "doctor.test", "password": PASSWORD}
        answer = await other.post(f"{API}/sign-in", json=body)
        assert code(answer) == (401, "wrong_login_or_password")


@pytest.mark.parametrize(
    ("new", "why"),
    [
        ("коротко", "password_too_short"),
        ("x" * 129, "password_too_long"),
        ("password1", "password_common"),
        ("ЙЦУКЕНГШ", "password_common"),
        ("ddddddddddd", "password_common"),
        ("doctor.test2024", "password_names_you"),
        ("янәшә123456", "password_names_you"),
    ],
)
async def test_a_password_that_is_no_good_is_refused_with_the_reason(
    as_: Client, new: str, why: str
) -> None:
    answer = await as_("doctor").put(f"{API}/password", json={"old": PASSWORD, "new": new})
    assert code(answer) == (422, "weak_password")
    assert [(one["field"], one["code"]) for one in answer.json()["errors"]] == [("new", why)]


async def test_a_wrong_old_password_names_its_field(as_: Client) -> None:
    body = {"old": "guess", "new": "зелёный самовар 42"}
    answer = await as_("doctor").put(f"{API}/password", json=body)
    assert code(answer) == (403, "wrong_proof")
    assert answer.json()["errors"][0]["field"] == "old"
    none = await as_("pupil").put(f"{API}/password", json=body)
    assert code(none) == (409, "no_password")
