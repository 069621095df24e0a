"""The visit's socket: who may sit in it, what comes, how it ends."""

import asyncio
import time
from uuid import UUID, uuid4

import pytest
from api_server import FRAME_SAMPLES, Server
from api_world import API, reading
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from api.visit_socket import _VisitPage
from devices.frames import decode
from people.sessions import end_sessions_of


async def test_a_page_with_a_ticket_is_welcomed_with_who_is_there(server: Server) -> None:
    ticket = await server.ticket("doctor")
    async with server.visit_socket() as page:
        await page.hello(ticket)
        welcome = await page.of("welcome")
    assert welcome["you"] == str(server.world["doctor"])
    online = {one["side"]: one["online"] for one in welcome["members"]}
    assert online == {"doctor": True, "patient": False}
    assert welcome["streams"] == []


async def test_a_page_without_a_good_ticket_is_closed_4401(server: Server) -> None:
    used = await server.ticket("doctor")
    async with server.visit_socket() as page:
        await page.hello(used)
        await page.of("welcome")
    other = await server.ticket("doctor2", "visit2")
    for ticket in (used, other, "nonsense"):
        async with server.visit_socket() as page:
            await page.hello(ticket)
            assert await page.closed() == 4401


async def test_a_foreign_page_is_closed_4403_before_its_ticket_is_looked_at(
    server: Server,
) -> None:
    ticket = await server.ticket("doctor")
    async with server.visit_socket(origin="https://evil.example") as page:
        assert await page.closed() == 4403
    async with server.visit_socket() as page:
        await page.hello(ticket)
        await page.of("welcome")


async def test_a_page_whose_session_ends_at_the_door_is_gone_at_once(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the judging of the hello and the first hint it can hear."""
    enter = _VisitPage.enter

    async def slowly(page: _VisitPage, db: AsyncSession) -> None:
        await enter(page, db)
        async with server.world.sessions() as other, other.begin():
            await end_sessions_of(other, page.caller.person_id, page.house.clock())

    ticket = await server.ticket("doctor")
    monkeypatch.setattr(_VisitPage, "enter", slowly)
    async with server.visit_socket() as page:
        started = time.monotonic()
        await page.hello(ticket)
        assert await page.closed() == 4401
    assert time.monotonic() - started < 1


async def test_a_page_that_says_nothing_or_nonsense_first_is_closed(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.sockets.HELLO_WITHIN_S", 0.5)
    async with server.visit_socket() as page:
        await page.say("ping", n=1)
        assert await page.closed() == 1008
    started = time.monotonic()
    async with server.visit_socket() as page:
        assert await page.closed() == 4401
    assert 0.5 <= time.monotonic() - started < 8


async def test_ping_is_answered_and_a_malformed_message_is_told_not_fatal(server: Server) -> None:
    async with server.page("doctor") as page:
        await page.say("ping", n=1, extra=True)
        assert (await page.of("problem"))["code"] == "unknown_field"
        await page.say("ping")
        assert (await page.of("problem"))["code"] == "malformed_body"
        await page.say("ping", n=41)
        assert (await page.of("pong"))["n"] == 41


async def test_a_flood_of_messages_ends_the_socket(server: Server) -> None:
    async with server.page("doctor") as page:
        for n in range(400):
            await page.say("ping", n=n)
        assert await page.closed() == 1008


async def test_a_message_over_64_kib_ends_the_socket(server: Server) -> None:
    async with server.page("doctor") as page:
        await page.ws.send("x" * 70_000)
        assert await page.closed() == 1009


async def test_presence_shows_who_comes_and_goes(server: Server) -> None:
    async with server.page("doctor") as doctor:
        async with server.page("patient"):
            await _sees_patient(doctor, online=True)
        await _sees_patient(doctor, online=False)


async def _sees_patient(page: object, *, online: bool) -> None:
    while True:
        members = (await page.of("presence"))["members"]  # type: ignore[attr-defined]
        if {m["side"]: m["online"] for m in members}["patient"] is online:
            return


async def test_a_second_tab_of_the_same_person_replaces_the_first(server: Server) -> None:
    async with server.page("doctor") as first, server.page("doctor") as second:
        assert await first.closed() == 4409
        await second.say("ping", n=1)
        await second.of("pong")


async def test_a_new_reading_comes_to_both_sides_once(server: Server) -> None:
    token = server.world.device_tokens["patient:cuff"]
    headers = {"Authorization": f"Bearer {token}"}
    once = reading(1)
    async with server.page("doctor") as doctor, server.page("patient") as patient:
        async with server.client() as cuff:
            for body in (once, once, reading(2)):
                answer = await cuff.post(
                    f"{API}/readings", json={"readings": [body]}, headers=headers
                )
                assert answer.is_success
        for page in (doctor, patient):
            got = [(await page.of("reading"))["reading"]["sequence"] for _ in range(2)]
            assert got == [1, 2]
        await doctor.say("ping", n=1)
        await doctor.of("pong")
        assert [m for m in doctor.kept if m["type"] == "reading"] == []


async def test_the_trace_comes_live_as_stored_and_with_vitals(server: Server) -> None:
    async with server.page("doctor") as doctor, server.recorder() as recorder:
        assert await recorder.announce() == -1
        await recorder.send(0, 1, 2)
        await recorder.stored(2)
        opened = await doctor.of("ecg_stream")
        assert opened["stream"]["stream"] == str(recorder.stream)
        frames = [decode(await doctor.frame()) for _ in range(3)]
        assert [frame.sequence for frame in frames] == [0, 1, 2]
        assert frames[2].samples.tolist() == list(range(2, FRAME_SAMPLES + 2))
        # The visit's media leave it room.
        assert server.house.media._rooms[server.world["visit"]].vitals == "flow"
        vitals = await doctor.of("vitals")
        assert vitals["stream"] == str(recorder.stream)
        assert vitals["heart_rate_bpm"] is None
        stopped = await doctor.of("vitals", quality="no_signal", reason=None)
        assert stopped["heart_rate_bpm"] is None


async def test_the_trace_of_another_patient_does_not_come(server: Server) -> None:
    async with server.page("doctor2", "visit2") as page, server.recorder() as recorder:
        await recorder.announce()
        await recorder.send(0)
        await recorder.stored(0)
        await page.say("ping", n=1)
        await page.of("pong")
        assert page.frames == []
        assert [m for m in page.kept if m["type"] in {"ecg_stream", "vitals"}] == []
        assert server.house.media._rooms[server.world["visit2"]].vitals == "none"


async def test_signing_out_ends_the_socket_within_a_second(server: Server) -> None:
    async with server.page("doctor") as page:
        async with server.client("doctor") as client:
            await client.post(f"{API}/sign-out")
        started = time.monotonic()
        await page.of("signed_out")
        assert await page.closed() == 4401
        assert time.monotonic() - started < 1


async def test_closing_the_visit_ends_both_sockets_within_a_second(server: Server) -> None:
    url = f"{API}/visits/{server.world['visit']}"
    async with server.page("doctor") as doctor, server.page("patient") as patient:
        async with server.client("doctor") as client:
            await client.post(f"{url}/open")
            assert (await patient.of("visit"))["state"] == "open"
            await client.post(f"{url}/close")
        started = time.monotonic()
        assert (await patient.of("visit"))["state"] == "closed"
        assert await patient.closed() == 4403
        assert await doctor.closed() == 4403
        assert time.monotonic() - started < 1


async def test_a_right_that_ends_elsewhere_ends_the_socket_too(server: Server) -> None:
    async with server.page("doctor") as page:
        async with server.world.sessions() as db, db.begin():
            await db.execute(
                text("UPDATE relations SET until = now() WHERE actor_id = :id AND kind = 'duty'"),
                {"id": server.world["doctor"]},
            )
        assert await page.closed() in {4403, 4404}


async def test_an_open_page_keeps_its_session_awake(server: Server) -> None:
    ticket = await server.ticket("doctor")
    async with server.world.sessions() as db, db.begin():
        await db.execute(text("UPDATE sessions SET last_seen_at = now() - interval '5 min'"))
    # Nothing but the socket from here on: a request would wake the session by itself.
    async with server.visit_socket() as page, asyncio.timeout(8):
        await page.hello(ticket)
        seen = "SELECT now() - last_seen_at < interval '1 min' FROM sessions WHERE id = :id"
        while True:
            async with server.world.sessions() as db:
                if await db.scalar(text(seen), {"id": server.world["doctor:session"]}):
                    return
            await asyncio.sleep(0.1)


async def test_media_is_away_while_no_worker_is_there(server: Server) -> None:
    async with server.page("doctor") as page:
        await page.of("media_away")
        await page.say("media_ready", audio=True, video=True)
        await page.say("answer", transport="t1", sdp="v=0")
        await page.say("mute", kind="audio", muted=True)
        await page.say("ping", n=2)
        await page.of("pong")


async def test_a_visit_that_is_not_there_cannot_be_asked_for(server: Server) -> None:
    server.world.ids["nowhere"] = uuid4()
    ticket = await server.ticket("doctor")
    async with server.visit_socket("nowhere") as page:
        await page.hello(ticket)
        assert await page.closed() == 4401
    assert UUID(str(server.world["nowhere"]))
