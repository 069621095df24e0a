"""The live board: rooms, people, media, failed joins; it keeps no session awake."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from api_server import WITHIN_S, Server
from api_worker import Worker
from api_world import API, Client, World
from litestar import Litestar
from sqlalchemy import select, update

from ops.backup import Done, note
from ops.drill import Drilled
from ops.wal import Shipped
from people.sessions import Sessions
from rtc.messages import RoomState, Stats, StatsAsk, TransportFailed

STATS = Stats(
    rooms=1,
    transports=4,
    packets_in=900,
    packets_out=1800,
    dropped_no_grant=0,
    dropped_send=20,
    dropped_surplus=0,
    resent=7,
    refused_datagrams=0,
    cpu_s=1.0,
)


async def test_the_board_shows_what_runs_in_the_organisation_alone(
    as_: Client, world: World
) -> None:
    """A running lesson by class and teacher; of visits numbers, and no names at all."""
    await as_("teacher").post(f"{API}/lessons/{world['lesson']}/open")
    await as_("doctor").post(f"{API}/visits/{world['visit']}/open")
    school = await as_("school_admin").get(f"{API}/organisations/{world['school']}/board")
    [lesson] = school.json()["lessons"]
    assert lesson["lesson"]["id"] == str(world["lesson"])
    assert (lesson["lesson"]["class_name"], lesson["lesson"]["teacher"]) == ("5А", "Тест Teacher")
    assert (lesson["people"], lesson["lesson"]["recorded"]) == ([], False)
    assert school.json()["visits"] == {"open": 0, "people": 0, "failed_joins": 0}
    assert (school.json()["media"], school.json()["media_away"]) == (None, True)
    assert 0 < school.json()["disk"]["free_bytes"] <= school.json()["disk"]["total_bytes"]
    clinic = await as_("clinic_admin").get(f"{API}/organisations/{world['clinic']}/board")
    assert clinic.json()["lessons"] == []
    assert clinic.json()["visits"]["open"] == 1
    for secret in ("Doctor", "Patient", str(world["visit"]), str(world["patient"])):
        assert secret not in clinic.text


async def test_looking_at_the_board_keeps_no_session_awake(as_: Client, world: World) -> None:
    """A board left open signs out as any other page does."""
    session_id = world["school_admin:session"]
    earlier = datetime.now(UTC) - timedelta(minutes=5)
    async with world.sessions() as db, db.begin():
        await db.execute(
            update(Sessions).where(Sessions.id == session_id).values(last_seen_at=earlier)
        )
    board = f"{API}/organisations/{world['school']}/board"
    seen = select(Sessions.last_seen_at).where(Sessions.id == session_id)
    assert (await as_("school_admin").get(board)).status_code == 200
    async with world.sessions() as db:
        assert await db.scalar(seen) == earlier
    await as_("school_admin").get(f"{API}/me")
    async with world.sessions() as db:
        assert await db.scalar(seen) != earlier


async def test_the_board_tells_when_the_last_backup_and_drill_were(
    as_: Client, world: World, app: Litestar, tmp_path: Path
) -> None:
    """Never, as the commands wrote it down, and never again when that cannot be read; whether the
    log's archive is behind only where there is one."""
    house = app.state.house
    url = f"{API}/organisations/{world['school']}/board"
    house.settings = replace(house.settings, home=tmp_path)
    (tmp_path / "state").mkdir()
    never = {"made_at": None, "drilled_at": None, "drill_passed": False, "log_behind": False}
    assert (await as_("school_admin").get(url)).json()["backups"] == never
    at = datetime(2026, 11, 22, 12, tzinfo=UTC)
    done = Done(
        id="one",
        at=at.isoformat(),
        seconds=1,
        database_bytes=1,
        objects=1,
        new_objects=1,
        counted=True,
    )
    note(house.settings, "last", done)
    note(
        house.settings,
        "drill",
        Drilled(at=at.isoformat(), backup="one", passed=True, seconds=1),
    )
    note(
        house.settings,
        "wal",
        Shipped(at=at.isoformat(), until=None, waiting=1, hole=False, away=True),
    )
    said = {"made_at": "2026-11-22T12:00:00Z", "drilled_at": "2026-11-22T12:00:00Z"}
    said |= {"drill_passed": True, "log_behind": False}
    assert (await as_("school_admin").get(url)).json()["backups"] == said
    house.settings = replace(house.settings, backups="/mnt/backups")
    assert (await as_("school_admin").get(url)).json()["backups"] == said | {"log_behind": True}
    for path in (tmp_path / "state").glob("backup-*.json"):
        path.write_text("{")
    assert (await as_("school_admin").get(url)).json()["backups"] == never


async def test_the_board_tells_what_the_worker_counts_and_who_is_in_the_room(
    worker: Worker, server: Server, world: World
) -> None:
    """People by their open pages; a join that failed counts, one that ended in order does not."""
    lesson_id = str(world["lesson"])
    await server.ask("teacher", "POST", "/open")
    async with server.lesson_page("pupil"), server.client("school_admin") as head:
        await worker.until(lambda told: any(isinstance(one, RoomState) for one in told), WITHIN_S)
        for reason in ("dtls", "peer_closed"):
            worker.say(TransportFailed(lesson_id, str(world["pupil"]), "t1", reason))
        url = f"{API}/organisations/{world['school']}/board"
        asked = asyncio.create_task(head.get(url))
        await worker.until(lambda told: any(isinstance(one, StatsAsk) for one in told), WITHIN_S)
        worker.say(STATS)
        answer = (await asked).json()
    [lesson] = answer["lessons"]
    assert [(one["id"], one["side"]) for one in lesson["people"]] == [
        (str(world["pupil"]), "pupil")
    ]
    assert lesson["failed_joins"] == 1
    assert answer["media"] == {
        "transports": 4,
        "packets_in": 900,
        "packets_out": 1800,
        "lost": 20,
        "resent": 7,
    }
