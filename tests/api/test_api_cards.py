"""Getting in by a card or a one-time link over HTTP: cookies, refusals, throttle, the end."""

import time
from datetime import UTC, date, datetime, timedelta

import httpx
from api_world import API, PASSWORD, Client, World, code
from litestar import Litestar
from sqlalchemy import select, update

from api.live import Close, Tab, session
from people.notices import Notices
from people.passwords import Credentials
from people.persons import Persons
from people.recoveries import Recoveries, tell_of_recoveries
from people.sessions import Sessions
from people.throttle import NETWORK_FREE
from storage.jobs import Work

BORN = date(1988, 5, 17)


async def card_of(client: httpx.AsyncClient, world: World, name: str) -> dict[str, str]:
    """A new card of a person of the clinic, as it is printed."""
    body = {"person_ids": [str(world[name])]}
    answer = await client.post(f"{API}/organisations/{world['clinic']}/cards", json=body)
    assert answer.status_code == 201
    found: dict[str, str] = answer.json()["cards"][0]
    return found


async def born(world: World, name: str) -> None:
    """Let the person's date of birth be known."""
    async with world.sessions() as db, db.begin():
        await db.execute(update(Persons).where(Persons.id == world[name]).values(born_on=BORN))


async def test_a_card_lets_its_person_in_and_is_known_on_that_browser(
    as_: Client, world: World
) -> None:
    """The date of birth is asked once; both cookies are out of reach of scripts."""
    await born(world, "patient")
    card = await card_of(as_("clinic_admin"), world, "patient")
    assert card["asks_birth_date"]
    browser = as_()
    asked = await browser.post(f"{API}/enter", json={"secret": card["secret"]})
    assert code(asked) == (403, "birth_date_needed")
    body = {"secret": card["secret"], "born_on": "1988-05-17"}
    answer = await browser.post(f"{API}/enter", json=body)
    assert (answer.status_code, answer.json()["id"]) == (201, str(world["patient"]))
    cookies = answer.headers.get_list("set-cookie")
    assert {one.partition("=")[0] for one in cookies} == {"yanasha", "yanasha-browser"}
    assert all("HttpOnly" in one and "Path=/" in one for one in cookies)
    assert answer.headers["cache-control"] == "no-store"
    first = browser.cookies["yanasha"]
    again = await browser.post(f"{API}/enter", json={"secret": card["secret"]})
    assert again.status_code == 201
    assert browser.cookies["yanasha"] != first


async def test_a_revoked_card_ends_what_it_opened_at_once(
    as_: Client, world: World, app: Litestar
) -> None:
    """The next request is 401 and the open socket ends, well within a second."""
    admin, browser = as_("clinic_admin"), as_()
    card = await card_of(admin, world, "patient")
    await browser.post(f"{API}/enter", json={"secret": card["secret"]})
    async with world.sessions() as db:
        opened = await db.scalar(select(Sessions).where(Sessions.method == "card"))
    assert opened is not None
    tab = Tab()
    app.state.house.live.join(tab, [session(opened.id)])
    began = time.perf_counter()
    path = f"{API}/organisations/{world['clinic']}/cards/{opened.opened_by}"
    assert (await admin.delete(path)).status_code == 204
    assert tab.ended is Close.NOT_SIGNED_IN
    assert code(await browser.get(f"{API}/me")) == (401, "not_signed_in")
    assert time.perf_counter() - began < 1
    used = await browser.post(f"{API}/enter", json={"secret": card["secret"]})
    assert code(used) == (404, "card_refused")


async def test_two_hundred_guesses_over_http_are_hardly_looked_at(
    as_: Client, world: World
) -> None:
    """Whatever header says where they come from; a right card waits too, where it is not known."""
    admin = as_("clinic_admin")
    mine, other = await card_of(admin, world, "patient"), await card_of(admin, world, "patient2")
    known, guesser = as_(), as_()
    assert (await known.post(f"{API}/enter", json={"secret": mine["secret"]})).status_code == 201
    async with world.sessions() as db, db.begin():
        await db.execute(update(Sessions).values(network="203.0.113.0/24"))
    answers = []
    for guess in range(NETWORK_FREE + 20):
        headers = {"X-Forwarded-For": f"198.51.100.{guess}", "Forwarded": f"for=192.0.2.{guess}"}
        body = {"secret": f"a-guess-at-a-secret-{guess}"}
        answers.append(await guesser.post(f"{API}/enter", json=body, headers=headers))
    statuses = [answer.status_code for answer in answers]
    assert statuses.count(404) <= NETWORK_FREE + 2
    assert set(statuses[NETWORK_FREE + 2 :]) <= {404, 429}
    assert statuses.count(429) >= 15
    assert all("set-cookie" not in answer.headers for answer in answers)
    waits = await guesser.post(f"{API}/enter", json={"secret": other["secret"]})
    assert code(waits) == (429, "too_many_attempts")
    assert (await known.post(f"{API}/enter", json={"secret": mine["secret"]})).status_code == 201


async def test_a_one_time_link_works_once(as_: Client, world: World) -> None:
    """For a patient it is a way in; an older one ends with a newer."""
    admin = as_("clinic_admin")
    path, body = (
        f"{API}/organisations/{world['clinic']}/links",
        {"person_id": str(world["patient"])},
    )
    older = (await admin.post(path, json=body)).json()
    link = (await admin.post(path, json=body)).json()
    assert link["for_staff"] is False
    first = await as_().post(f"{API}/enter", json={"secret": link["secret"]})
    assert (first.status_code, first.json()["id"]) == (201, str(world["patient"]))
    for spent in (older, link):
        answer = await as_().post(f"{API}/enter", json={"secret": spent["secret"]})
        assert code(answer) == (404, "card_refused")
    listed = (await as_("patient").get(f"{API}/notices")).json()["notices"]
    assert "link_issued" in {one["code"] for one in listed}


async def test_the_link_of_staff_sets_a_password_and_opens_no_session(
    as_: Client, world: World
) -> None:
    """The old password and sessions end; a bad one uses nothing up; a login is chosen once."""
    admin = as_("clinic_admin")
    path = f"{API}/organisations/{world['clinic']}/links"
    link = (await admin.post(path, json={"person_id": str(world["doctor"])})).json()
    assert link["for_staff"] is True
    secret, browser = link["secret"], as_()
    asked = await browser.post(f"{API}/enter", json={"secret": secret})
    assert code(asked) == (403, "new_password_needed")
    assert asked.json()["params"] == {"login": "doctor.test"}
    for weak in ("short", "password123", "doctor.test"):
        body = {"secret": secret, "password": weak}
        answer = await browser.post(f"{API}/enter/password", json=body)
        assert code(answer) == (422, "weak_password")
        assert answer.json()["errors"][0]["field"] == "password"
    new = "четыре зелёных трамвая"
    answer = await browser.post(f"{API}/enter/password", json={"secret": secret, "password": new})
    assert answer.status_code == 204
    assert "set-cookie" not in answer.headers
    assert code(await as_("doctor").get(f"{API}/me")) == (401, "not_signed_in")
    for password, status in ((PASSWORD, 401), (new, 201)):
        body = {"login": "doctor.test", "password": password}
        assert (await browser.post(f"{API}/sign-in", json=body)).status_code == status
    again = await as_().post(f"{API}/enter/password", json={"secret": secret, "password": new})
    assert code(again) == (404, "card_refused")
    # Somebody of the staff who has no login yet chooses one that nobody has.
    link = (await admin.post(path, json={"person_id": str(world["doctor2"])})).json()
    for login, status in ((None, 409), ("Doctor.Test", 409), ("two words", 409), ("new.one", 204)):
        body = {"secret": link["secret"], "password": new, "login": login}
        answer = await browser.post(f"{API}/enter/password", json=body)
        assert answer.status_code == status, login
    async with world.sessions() as db:
        found = select(Credentials.login).where(Credentials.person_id == world["doctor2"])
        assert await db.scalar(found) == "new.one"


async def test_asking_for_help_answers_alike_and_those_who_can_help_are_told(
    as_: Client, world: World, app: Litestar
) -> None:
    """202 and nothing in it; then the administrator and the person are told, in a job."""
    browser, house = as_(), app.state.house
    for asked in ("doctor.test", "nobody.at.all", "doctor.test"):
        answer = await browser.post(f"{API}/recover", json={"login_or_number": asked})
        assert (answer.status_code, answer.json()) == (202, None)
    async with world.sessions() as db, db.begin():
        await tell_of_recoveries(Work(db, house.objects, house.settings, house.clock()))
    async with world.sessions() as db:
        assert len((await db.scalars(select(Recoveries))).all()) == 1
        told = (await db.execute(select(Notices.person_id, Notices.code))).all()
    assert (world["doctor"], "recovery_asked") in told
    assert (world["clinic_admin"], "recovery_wanted") in told
    assert {person for person, _ in told} == {world["doctor"], world["clinic_admin"]}


async def test_cards_are_made_by_somebody_who_was_proved_lately(as_: Client, world: World) -> None:
    """An administrator's forgotten page prints no keys."""
    async with world.sessions() as db, db.begin():
        await db.execute(
            update(Sessions).values(proved_at=datetime.now(UTC) - timedelta(minutes=6))
        )
    admin, place = as_("clinic_admin"), f"{API}/organisations/{world['clinic']}"
    person = str(world["patient"])
    made = await admin.post(f"{place}/cards", json={"person_ids": [person]})
    assert code(made) == (403, "step_up_needed")
    linked = await admin.post(f"{place}/links", json={"person_id": person})
    assert code(linked) == (403, "step_up_needed")
    assert (await admin.get(f"{place}/cards")).status_code == 200


async def test_a_lost_factor_is_taken_away_and_every_session_of_it_ends(
    as_: Client, world: World
) -> None:
    """For an administrator's own people, who are told; not for oneself."""
    admin, doctor = as_("clinic_admin"), as_("doctor")
    people = f"{API}/organisations/{world['clinic']}/people"
    assert (await doctor.get(f"{API}/me")).status_code == 200
    answer = await admin.post(f"{people}/{world['doctor']}/reset-factors")
    assert (answer.status_code, answer.content) == (204, b"")
    assert code(await doctor.get(f"{API}/me")) == (401, "not_signed_in")
    own = await admin.post(f"{people}/{world['clinic_admin']}/reset-factors")
    assert code(own) == (403, "forbidden")
    async with world.sessions() as db:
        told = await db.scalars(select(Notices.code).where(Notices.person_id == world["doctor"]))
        assert "factors_reset" in told.all()
