"""Notices over HTTP: the count comes as it changes, and keeps no forgotten session awake."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from api_world import API, Client, World, code
from litestar import Litestar
from sqlalchemy import select, text, update

from api.house import House
from people.notices import notify
from people.sessions import Sessions, sign_out
from storage.jobs import enqueue

WITHIN_S = 1.0


@pytest.fixture
async def listening(app: Litestar) -> House:
    """The process, once it hears what other processes do."""
    house: House = app.state.house
    async with asyncio.timeout(10):
        await house.hearing.listening.wait()
    return house


async def _notify(world: World, name: str = "patient", **more: bool) -> None:
    """As another process does it."""
    async with world.sessions() as db, db.begin():
        await notify(db, world[name], "visit_booked", {}, datetime.now(UTC), **more)


def _waiting(client: httpx.AsyncClient, known: int) -> asyncio.Task[httpx.Response]:
    return asyncio.create_task(
        client.get(f"{API}/notices/unread", params={"wait_s": 20, "known": known})
    )


async def _settled(world: World, house: House, name: str = "patient") -> None:
    """Until the page that asked is heard waiting."""
    async with asyncio.timeout(10):
        while not house.live.on(f"notices/{world[name]}"):  # noqa: ASYNC110 - no event of ours
            await asyncio.sleep(0.005)


async def test_a_notice_of_another_process_reaches_the_waiting_page_within_a_second(
    as_: Client, world: World, listening: House
) -> None:
    waiting = _waiting(as_("patient"), 0)
    await _settled(world, listening)
    started = time.monotonic()
    await _notify(world, critical=True)
    async with asyncio.timeout(WITHIN_S):
        found = (await waiting).json()
    print(f"the count came after {(time.monotonic() - started) * 1000:.0f} ms")
    assert found["count"] == 1
    async with asyncio.timeout(WITHIN_S):  # what is new to the page is not waited for
        assert (await _waiting(as_("patient"), 0)).json() == found


async def test_a_session_that_ends_ends_the_waiting(
    as_: Client, world: World, listening: House
) -> None:
    waiting = _waiting(as_("patient"), 0)
    await _settled(world, listening)
    async with world.sessions() as db, db.begin():
        await sign_out(db, world["patient:session"], datetime.now(UTC))
    async with asyncio.timeout(WITHIN_S):
        assert code(await waiting) == (401, "not_signed_in")
    assert listening.live.on(f"notices/{world['patient']}") == frozenset()


async def test_another_persons_notice_wakes_nobody(
    as_: Client, world: World, listening: House
) -> None:
    waiting = _waiting(as_("patient"), 0)
    await _settled(world, listening)
    other = _waiting(as_("patient2"), 0)
    await _settled(world, listening, "patient2")
    await _notify(world, "patient2")
    async with asyncio.timeout(WITHIN_S):
        assert (await other).json()["count"] == 1
    assert not waiting.done()
    waiting.cancel()


async def test_asking_for_the_count_keeps_no_session_awake(as_: Client, world: World) -> None:
    async def idle_until() -> datetime | None:
        async with world.sessions() as db:
            query = select(Sessions.idle_until).where(Sessions.id == world["doctor:session"])
            return await db.scalar(query)

    async with world.sessions() as db, db.begin():
        past = datetime.now(UTC) - timedelta(minutes=5)
        await db.execute(
            update(Sessions).where(Sessions.id == world["doctor:session"]).values(last_seen_at=past)
        )
    before = await idle_until()
    assert (await as_("doctor").get(f"{API}/notices/unread")).status_code == 200
    assert await idle_until() == before
    assert (await as_("doctor").get(f"{API}/notices")).status_code == 200
    assert await idle_until() != before


async def test_the_list_the_page_reads_and_what_it_marks(as_: Client, world: World) -> None:
    me = as_("patient")
    for _ in range(2):
        await _notify(world)
    shown = (await me.get(f"{API}/notices")).json()
    newest, older = shown["notices"]
    assert (newest["code"], newest["read_at"], shown["more"]) == ("visit_booked", None, False)
    older_only = await me.get(f"{API}/notices", params={"before": newest["id"]})
    assert [one["id"] for one in older_only.json()["notices"]] == [older["id"]]
    assert (await me.post(f"{API}/notices/{older['id']}/read")).status_code == 204
    assert (await me.get(f"{API}/notices/unread")).json()["count"] == 1
    stranger = as_("patient2")
    assert code(await stranger.post(f"{API}/notices/{newest['id']}/read")) == (404, "not_found")
    body = {"at": newest["at"]}
    assert (await me.post(f"{API}/notices/read", json=body)).status_code == 204
    assert (await me.get(f"{API}/notices/unread")).json() == {"count": 0, "newest_at": None}
    naive = {"at": "2026-03-02T09:00:00"}
    assert code(await me.post(f"{API}/notices/read", json=naive)) == (400, "malformed_body")


async def test_nobody_waits_longer_than_a_link_lives(as_: Client) -> None:
    for query in ("wait_s=26", "wait_s=-1", "wait_s=x", "known=x"):
        answer = await as_("patient").get(f"{API}/notices/unread?{query}")
        assert code(answer) == (400, "malformed_body"), query


async def test_ways_are_chosen_and_refused_by_their_field(as_: Client, world: World) -> None:
    me = as_("patient")
    found = (await me.get(f"{API}/notices/ways")).json()
    assert (found["ways"]["quiet_from"], found["offers"]["mail"]) == ("22:00", False)
    assert len(found["offers"]["push_key"]) == 87
    target = (await me.put(f"{API}/notices/mail", json={"address": "r@example.org"})).json()
    path = f"{API}/notices/targets/{target['id']}"
    soon = await me.put(f"{API}/notices/mail", json={"address": "r@example.org"})
    assert (code(soon), soon.headers["Retry-After"]) == ((429, "asked_too_soon"), "120")
    for _ in range(2):
        wrong = await me.post(f"{path}/confirm", json={"code": "x"})
        assert code(wrong) == (422, "wrong_code")
    async with world.sessions() as db:  # a refused try counts all the same
        assert await db.scalar(text("SELECT tries FROM notice_targets")) == 2
    assert code(await as_("patient2").delete(path)) == (404, "not_found")
    assert (await me.delete(path)).status_code == 204
    bad = {"endpoint": "http://127.0.0.1/", "p256dh": "", "auth": ""}
    assert code(await me.post(f"{API}/notices/push", json=bad)) == (422, "bad_address")
    late = {"quiet_from": "25:00", "quiet_until": "07:00"}
    refused = await me.put(f"{API}/notices/quiet", json=late)
    assert (code(refused), refused.json()["errors"][0]["field"]) == (
        (422, "bad_time"),
        "quiet_from",
    )


async def _fail(world: World, *owners: str) -> None:
    """A job that failed for good."""
    async with world.sessions() as db, db.begin():
        await enqueue(db, "t.job", owners=[world[one] for one in owners], secret="диагноз")
        await db.execute(text("UPDATE procrastinate_jobs SET status = 'failed', attempts = 10"))


async def test_a_dead_letter_is_its_organisations_and_says_nothing_of_what_is_in_it(
    as_: Client, world: World
) -> None:
    admin, theirs = as_("clinic_admin"), as_("admin_b")
    await _fail(world, "clinic")
    path = f"{API}/organisations/{world['clinic']}/letters"
    (letter,) = (await admin.get(path)).json()
    assert (letter["name"], letter["attempts"], letter["code"]) == ("t.job", 10, "unknown")
    assert "диагноз" not in (await admin.get(path)).text
    assert code(await theirs.get(path)) == (404, "not_found")
    assert code(await as_("doctor").get(path)) == (403, "forbidden")
    own = f"{API}/organisations/{world['clinic_b']}/letters"
    assert (await theirs.get(own)).json() == []
    for one in (f"{own}/{letter['id']}", f"{own}/{letter['id']}/retry"):
        method = "POST" if one.endswith("retry") else "DELETE"
        assert code(await theirs.request(method, one)) == (404, "not_found")
    assert (await admin.delete(f"{path}/{letter['id']}")).status_code == 204
    assert (await admin.get(path)).json() == []
    async with world.sessions() as db:
        acts = (await db.scalars(text("SELECT act FROM audit_acts ORDER BY id"))).all()
        assert acts[-1] == "letter_dropped"


async def test_what_is_the_houses_is_tried_again_by_any_administrator_and_dropped_by_none(
    as_: Client, world: World
) -> None:
    await _fail(world)
    path = f"{API}/organisations/{world['clinic_b']}/letters"
    admin = as_("admin_b")
    (letter,) = (await admin.get(path)).json()
    assert letter["own"] is False
    one = f"{path}/{letter['id']}"
    assert code(await admin.delete(one)) == (404, "not_found")
    assert (await admin.post(f"{one}/retry")).status_code == 204
    assert (await admin.get(path)).json() == []
    assert code(await admin.post(f"{one}/retry")) == (404, "not_found")
    assert code(await admin.post(f"{path}/{10**30}/retry")) == (400, "malformed_body")
    async with world.sessions() as db:
        found = (
            await db.execute(text("SELECT status::text, attempts FROM procrastinate_jobs"))
        ).all()
        assert [tuple(row) for row in found] == [("todo", 0)]
