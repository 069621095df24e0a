"""The sockets keep their rooms apart, and the sweep over them is red when the policy does not."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime
from typing import get_args
from uuid import UUID

import pytest
from api_server import Server, free_port, serve
from api_world import World
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sweep_region import Region
from sweep_run import report
from sweep_sockets import MESSAGES, sweep_pages, sweep_recorders

from api.app import create_app
from api.socket_messages import LessonPageMessage, VisitPageMessage
from eschool import lesson_room
from people.organisations import Ref
from people.policy import ACTS, Act, Reach, Rule
from storage.engine import sessions
from storage.settings import Settings


@pytest.fixture
def database_url(region_url: str) -> str:
    """The region's instead of the world's."""
    return region_url


@pytest.fixture
async def server(settings: Settings, engine: AsyncEngine, region: Region) -> AsyncIterator[Server]:
    """The application under uvicorn over the demo."""
    settings = replace(settings, http_port=free_port())
    recorder = region.recorders[-1]["token"]
    tokens = {"recorder": recorder}
    world = World(sessions(engine), cookies=region.cookies, device_tokens=tokens)
    app = create_app(settings)
    async with serve(app, settings):
        yield Server(app, settings.http_port, world)


def test_every_message_of_a_page_has_a_row() -> None:
    """A new message is swept, or this fails."""
    for union in (VisitPageMessage, LessonPageMessage):
        assert {one.__struct_config__.tag for one in get_args(union)} == set(MESSAGES)


async def test_every_socket_tells_everybody_only_what_is_for_him(
    server: Server, region: Region
) -> None:
    found = await sweep_pages(server, region)
    assert not found, report(found)


async def test_a_recorder_sends_to_its_own_stream_only(server: Server, region: Region) -> None:
    assert await sweep_recorders(server, region) == []


async def test_the_sockets_sweep_is_red_when_the_policy_gives_everything(
    server: Server, region: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    _few(region)
    for act in Act:
        monkeypatch.setitem(ACTS, act, (Rule(Reach.ANYONE),))
    # A lesson asks besides who is on its roster: as if everybody were.
    roster = lesson_room.roster

    async def everybody(db: AsyncSession, lesson_id: UUID, now: datetime) -> list[Ref]:
        known = await roster(db, lesson_id, now)
        return [*known, *(Ref(UUID(who), "-") for who in region.cookies)]

    monkeypatch.setattr(lesson_room, "roster", everybody)
    found = await sweep_pages(server, region)
    let_in = {breach.operation.split("/")[2] for breach in found if breach.got == 101}
    assert let_in == {"visits", "lessons"}
    assert any("name of" in breach.expected for breach in found)


def _few(region: Region) -> None:
    """A visit, a lesson, a doctor of the one and three people of elsewhere."""
    region.lessons, region.visits = region.lessons[:1], region.visits[:1]
    people = {region.visits[0]["doctor_id"], *list(region.cookies)[-3:]}
    region.cookies = {who: token for who, token in region.cookies.items() if who in people}
