"""The way back into a room after its socket was lost, and what is not one."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from api_server import Server
from sqlalchemy import text

from people.resumes import LIFE
from people.sessions import end_sessions_of


async def _was_here(server: Server, name: str, tab: str) -> str:
    """The token of a page that was in the visit and has lost its socket."""
    ticket = await server.ticket(name)
    async with server.browser_socket(name) as page:
        await page.say("hello", ticket=ticket, tab=tab)
        token: str = (await page.of("welcome"))["resume_token"]
    return token


async def _refusals(server: Server) -> list[tuple[Any, str, str]]:
    """Whoever was refused at a room's door, for what, and why."""
    async with server.world.sessions() as db:
        rows = await db.execute(text("SELECT actor_id, act, route FROM audit_refusals ORDER BY id"))
        return [tuple(row) for row in rows]


async def test_a_page_comes_back_without_a_ticket_and_takes_the_place_of_its_older_socket(
    server: Server,
) -> None:
    """Shown twice at once it is the newer socket that stays."""
    tab = str(uuid4())
    token = await _was_here(server, "doctor", tab)
    async with server.browser_socket("doctor") as first, server.browser_socket("doctor") as second:
        await first.say("hello", resume_token=token, tab=tab)
        assert (await first.of("welcome"))["you"] == str(server.world["doctor"])
        await second.say("hello", resume_token=token, tab=tab)
        await second.of("welcome")
        assert await first.closed() == 4409
    assert await _refusals(server) == []


async def test_the_way_back_is_renewed_while_the_socket_lives(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.page_socket.RENEW_EVERY_S", -1.0)
    async with server.page("doctor") as page:
        assert (await page.of("way_back"))["resume_token"]


@pytest.mark.parametrize(
    ("who", "room", "change", "why"),
    [
        ("doctor", "visit", "edited", "edited"),
        ("doctor", "visit", "another tab", "for something else"),
        ("doctor", "visit", "late", "expired"),
        ("doctor2", "visit2", "", "foreign session"),
        ("patient", "visit", "", "foreign session"),
        ("doctor", "visit2", "", "for something else"),
        ("doctor", "lesson", "", "for something else"),
        (None, "visit", "", "without its session"),
    ],
)
async def test_any_other_way_back_is_closed_4401_and_written_down(
    server: Server, who: str | None, room: str, change: str, why: str
) -> None:
    """Edited, expired, of another page, room or session, or without the browser's own cookie."""
    tab = str(uuid4())
    token = await _was_here(server, "doctor", tab)
    if change == "edited":
        token = ("B" if token[-5] != "B" else "C").join((token[:-5], token[-4:]))  # its signature
    if change == "late":
        clock = server.house.clock
        server.house.clock = lambda: clock() + LIFE + timedelta(seconds=1)
    async with server.browser_socket(who, room) as page:
        shown = str(uuid4()) if change == "another tab" else tab
        await page.say("hello", resume_token=token, tab=shown)
        assert await page.closed() == 4401
    join = "join_lesson" if room == "lesson" else "join_visit"
    route = "/ws/lessons" if room == "lesson" else "/ws/visits"
    tried = server.world[who or "doctor"]
    assert await _refusals(server) == [(tried, join, f"{route} {why}")]


async def test_after_sign_out_nobody_comes_back(server: Server) -> None:
    tab = str(uuid4())
    token = await _was_here(server, "doctor", tab)
    async with server.world.sessions() as db, db.begin():
        await end_sessions_of(db, server.world["doctor"], server.house.clock())
    async with server.browser_socket("doctor") as page:
        await page.say("hello", resume_token=token, tab=tab)
        assert await page.closed() == 4401
    why = "/ws/visits without its session"
    assert await _refusals(server) == [(server.world["doctor"], "join_visit", why)]


@pytest.mark.parametrize("change", ["used", "unknown", "expired", "for something else"])
async def test_a_ticket_that_is_not_good_is_written_down(server: Server, change: str) -> None:
    """Who tried is known by the ticket, or by the cookie of the browser."""
    ticket = await server.ticket("doctor")
    if change == "used":
        async with server.browser_socket("doctor") as page:
            await page.hello(ticket)
            await page.of("welcome")
    if change == "expired":
        clock = server.house.clock
        server.house.clock = lambda: clock() + LIFE
    room = "visit2" if change == "for something else" else "visit"
    async with server.browser_socket("doctor", room) as page:
        await page.hello("x" * 43 if change == "unknown" else ticket)
        assert await page.closed() == 4401
    why = f"/ws/visits {change}"
    assert await _refusals(server) == [(server.world["doctor"], "join_visit", why)]


async def test_what_ran_out_leaves_no_row_of_who_is_not_signed_in(server: Server) -> None:
    """A token's signature and a ticket's row outlive their use: the audit is not filled by them."""
    tab = str(uuid4())
    ways = {"resume_token": await _was_here(server, "doctor", tab)}
    ways["ticket"] = await server.ticket("doctor")
    clock = server.house.clock
    server.house.clock = lambda: clock() + LIFE + timedelta(seconds=1)
    for name, shown in ways.items():
        async with server.browser_socket(None) as page:
            await page.say("hello", tab=tab, **{name: shown})
            assert await page.closed() == 4401
    assert await _refusals(server) == []


async def test_a_way_back_opens_nothing_once_the_right_to_the_room_has_ended(
    server: Server,
) -> None:
    """The session lives; the visit was closed meanwhile."""
    tab = str(uuid4())
    token = await _was_here(server, "patient", tab)
    async with server.client("doctor") as doctor:
        for act in ("open", "close"):
            url = f"/api/v1/visits/{server.world['visit']}/{act}"
            (await doctor.post(url)).raise_for_status()
    async with server.browser_socket("patient") as page:
        await page.say("hello", resume_token=token, tab=tab)
        assert await page.closed() == 4403
        assert [one["type"] for one in page.kept] == ["problem"]


async def test_a_hello_with_two_ways_in_or_none_is_no_hello(server: Server) -> None:
    for ways in ({}, {"ticket": "a", "resume_token": "b"}):
        async with server.browser_socket("doctor") as page:
            await page.say("hello", tab=str(uuid4()), **ways)
            assert await page.closed() == 1008
