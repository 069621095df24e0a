"""How calls go: words for the screens, minutes that are kept, totals for the operator."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from api_server import WITHIN_S, Page, Server
from api_worker import Worker
from api_world import World
from sqlalchemy import func, select

from api.metrics import token_of
from eschool.groups import LessonGroupings, room_of
from people.call_minutes import CallMinutes
from people.closed_accounts import close_account
from people.erased_rows import forget_person
from rtc.messages import LinkRow, Quality, Stepped

API = "/api/v1"
GOOD = {"ms": 5000, "kbps": 400, "packets": 250, "rtt_ms": 40, "jitter_ms": 3}


def row(world: World, who: str, **more: Any) -> LinkRow:
    """How a member fares as a viewer."""
    return LinkRow(str(world[who]), "subscribe", **GOOD | more)


async def words(page: Page, world: World, *who: str) -> dict[str, str]:
    """The next words a page hears, by name."""
    told = (await page.of("media_words"))["words"]
    found = {name: told[str(world[name])] for name in who if str(world[name]) in told}
    assert len(found) == len(told), "words of somebody else"
    return found


async def test_a_teacher_hears_everybodys_word_and_a_pupil_his_own(
    worker: Worker, server: Server, world: World
) -> None:
    """Only when it changes; who comes later hears it at the next look, and who left is left out."""
    lesson, everybody = str(world["lesson"]), ("teacher", "pupil", "pupil2")
    async with server.lesson_page("teacher") as teacher, server.lesson_page("pupil") as pupil:
        await worker.until_state(bool, WITHIN_S)
        bad = row(world, "pupil2", lost=60)
        worker.say(Quality(lesson, [row(world, "pupil"), bad]))
        assert await words(teacher, world, *everybody) == {"pupil": "good", "pupil2": "poor"}
        assert await words(pupil, world, *everybody) == {"pupil": "good"}
        worker.say(Quality(lesson, [row(world, "pupil"), bad]))
        worker.say(Stepped(lesson, str(world["pupil"]), "slow", "your_link"))
        worker.say(Quality(lesson, [row(world, "pupil"), bad]))
        assert await words(pupil, world, *everybody) == {"pupil": "fair"}
        assert await words(teacher, world, *everybody) == {"pupil": "fair", "pupil2": "poor"}
        # What the page alone knows makes it worse; a second report in the same moment is too many.
        # Nothing stands still for longer than was looked.
        await pupil.say("media_report", ms=6_000, frozen_ms=20_000, freezes=2)
        await pupil.say("media_report", ms=10_000, frozen_ms=0, freezes=0)
        await pupil.say("media_report", ms=10, frozen_ms=0, freezes=0)
        assert (await pupil.of("problem"))["code"]
        worker.say(Quality(lesson, [row(world, "pupil")]))
        assert await words(pupil, world, *everybody) == {"pupil": "poor"}
        calls = server.house.calls
        assert (calls.figures.frozen_ms, calls.figures.steps) == (6_000, {"slow": 1})
        calls.look(server.house.clock() + timedelta(minutes=1))
        assert await words(pupil, world, *everybody) == {}
        await calls.store()
        await _a_group_was_poor(server, world)
        await _told_to_whom_it_concerns(server, world)


async def _a_group_was_poor(server: Server, world: World) -> None:
    """A class that was divided, then into fewer: groups are rooms, and belong to the lesson."""
    now = server.house.clock()
    grouping = LessonGroupings(
        lesson_id=world["lesson"],
        since=now,
        ends_at=now + timedelta(minutes=5),
        groups=1,
        until=now,
        why="called_back",
    )
    async with server.house.transaction() as db:
        db.add(grouping)
        await db.flush()
        group = room_of(grouping.id, 2)
    server.house.calls.heard(Quality(str(group), [row(world, "teacher", rtt_ms=900)]))
    server.house.calls.look(now + timedelta(minutes=1))
    await server.house.calls.store()


async def _told_to_whom_it_concerns(server: Server, world: World) -> None:
    """The teacher and the school's administrator; a pupil may not, others see no lesson."""
    for name in ("teacher", "school_admin"):
        answer = await server.ask(name, "GET", "/call-timeline")
        told = {one["id"]: one for one in answer.json()["members"]}
        assert set(told) == {str(world[who]) for who in ("pupil", "pupil2", "teacher")}
        assert told[str(world["teacher"])]["stretches"][0]["rtt_ms"] == 900
        pupil = told[str(world["pupil"])]
        assert (pupil["side"], pupil["name"]) == ("pupil", "Тест Pupil")
        stretches = [(one["word"], one["frozen_ms"]) for one in pupil["stretches"]]
        assert stretches == [("good", 0), ("fair", 6_000), ("poor", 0)]
        (bad,) = told[str(world["pupil2"])]["stretches"]
        assert (bad["word"], bad["lost_permille"], bad["kbps"]) == ("poor", 240, 400)
    refused = {"pupil": 403, "teacher2": 404, "clinic_admin": 404, None: 401}
    for who, status in refused.items():
        assert (await server.ask(who, "GET", "/call-timeline")).status_code == status


async def test_a_visits_timeline_names_sides_and_goes_with_the_person(
    worker: Worker, server: Server, world: World
) -> None:
    """Its doctor and the clinic's administrator read it, who else sees no visits; then one is erased."""
    async with server.page("doctor") as doctor, server.page("patient") as patient:
        await worker.until_state(bool, WITHIN_S)
        rows = [row(world, "doctor"), row(world, "patient", silent=True)]
        worker.say(Quality(str(world["visit"]), rows))
        assert await words(doctor, world, "doctor", "patient") == {
            "doctor": "good",
            "patient": "lost",
        }
        assert await words(patient, world, "patient") == {"patient": "lost"}
    calls = server.house.calls
    calls.look(server.house.clock() + timedelta(minutes=1))
    await calls.store()

    async def ask(name: str) -> httpx.Response:
        async with server.client(name) as client:
            return await client.get(f"{API}/visits/{world['visit']}/call-timeline")

    for name in ("doctor", "clinic_admin"):
        answer = await ask(name)
        assert str(world["patient"]) not in answer.text
        found = {one["side"]: one["stretches"][0]["word"] for one in answer.json()["members"]}
        assert found == {"doctor": "good", "patient": "lost"}
    for name, status in (("patient", 403), ("doctor2", 404), ("admin_b", 404)):
        assert (await ask(name)).status_code == status
    mine = select(func.count()).where(CallMinutes.person_id == world["patient"])
    async with server.house.transaction() as db:
        assert await db.scalar(mine) == 1
        await forget_person(db, world["patient"], server.house.clock())
        await close_account(db, world["patient"], world["clinic"], server.house.clock())
        assert await db.scalar(mine) == 0
    # The minute that ran meanwhile is over now.
    calls.heard(Quality(str(world["visit"]), [row(world, "patient")]))
    calls.look(server.house.clock() + timedelta(minutes=1))
    await calls.store()
    async with server.house.transaction() as db:
        assert await db.scalar(mine) == 0


@pytest.mark.parametrize("shown", ["", "Bearer ", "Bearer wrong", "token"])
async def test_metrics_are_for_who_has_the_operators_token(
    as_: Callable[..., httpx.AsyncClient], app: Any, shown: str
) -> None:
    """Neither anybody nor an administrator; the token's file is the server's alone."""
    settings = app.state.house.settings
    token = token_of(settings)
    shown = token if shown == "token" else shown
    for name in (None, "clinic_admin"):
        answer = await as_(name).get("/metrics", headers={"Authorization": shown})
        assert answer.status_code == 401
        assert "yanasha_" not in answer.text
    assert (settings.secrets_dir / "metrics-token").stat().st_mode & 0o777 == 0o600
    assert token_of(settings) == token


async def test_metrics_are_totals_without_persons_or_rooms(
    as_: Callable[..., httpx.AsyncClient], app: Any, world: World
) -> None:
    """Each line is one that Prometheus reads; buckets add up; no id is in it."""
    house = app.state.house
    lesson = str(world["lesson"])
    house.calls.heard(Quality(lesson, [row(world, "pupil", lost=5, estimate_kbps=300)]))
    house.calls.heard(Quality(lesson, [row(world, "pupil", lost=125)]))
    bearer = {"Authorization": f"Bearer {token_of(house.settings)}"}
    answer = await as_().get("/metrics", headers=bearer)
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    sample = re.compile(r'[a-z_]+(\{[a-z]+="[^"]+"(,le="[^"]+")?\})? -?[0-9.e+-]+')
    lines = answer.text.splitlines()
    assert [one for one in lines if not one.startswith("#") and not sample.fullmatch(one)] == []
    assert len({one.split()[2] for one in lines if one.startswith("# TYPE")}) >= 9
    values = dict(one.rsplit(" ", 1) for one in lines if not one.startswith("#"))
    loss = 'yanasha_call_loss_ratio_bucket{direction="subscribe",le="%s"}'
    assert [values[loss % edge] for edge in ("0.01", "0.02", "0.5", "+Inf")] == ["0", "1", "2", "2"]
    assert values['yanasha_call_ways{word="poor"}'] == "1"
    assert not re.search(r"[0-9a-f]{8}-[0-9a-f]{4}", answer.text)
    assert UUID(lesson).hex not in answer.text
