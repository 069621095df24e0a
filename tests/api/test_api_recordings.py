"""What is watched of a lesson, and what is sent to it: ranges, slides, segments from the worker."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from api_media import INIT, SEGMENTS, VOICE, VOICE_INIT, add_deck, add_recording
from api_server import WITHIN_S, Server
from api_worker import Worker
from api_world import API, Client, World, code, pdf
from litestar import Litestar
from sqlalchemy import event, text

from eschool import pdf_pages
from rtc.messages import (
    SegmentClosed,
    SegmentStored,
    TakeClosed,
    TakeStored,
    Trespass,
)
from storage.objects import Objects
from storage.settings import Settings

PDF = {"Content-Type": "application/pdf"}
FILES = ("index.m3u8", "init.mp4", "segments/0.m4s", "lesson.mp4", "audio.mp4")


@pytest.fixture
def recording(world: World) -> str:
    """Where the lesson's recording is."""
    return f"{API}/lessons/{world['lesson']}/recording"


async def _recorded(world: World, objects: Objects, audience: str = "class") -> str:
    now = datetime.now(UTC)
    async with world.sessions() as db, db.begin():
        await add_recording(db, objects, world["lesson"], now, audience)
        deck = await add_deck(db, objects, world["lesson"], now - timedelta(seconds=58))
        await db.execute(
            text("UPDATE lessons SET opened_at = starts_at, ended_at = now() WHERE id = :id"),
            {"id": world["lesson"]},
        )
    return deck


@pytest.mark.parametrize("name", FILES)
async def test_a_recording_is_for_those_it_was_made_for(
    as_: Client, world: World, objects: Objects, recording: str, name: str
) -> None:
    assert code(await as_("pupil").get(f"{recording}/{name}"))[0] == 404
    await _recorded(world, objects)
    assert code(await as_().get(f"{recording}/{name}")) == (401, "not_signed_in")
    for stranger in ("pupil_b", "teacher2", "doctor", "school_admin"):
        assert code(await as_(stranger).get(f"{recording}/{name}")) == (404, "not_found")
    for watcher in ("pupil", "teacher"):
        answer = await as_(watcher).get(f"{recording}/{name}")
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "private, no-cache"
    async with world.sessions() as db, db.begin():
        await db.execute(text("UPDATE lesson_takes SET audience = 'school'"))
    assert (await as_("pupil_b").get(f"{recording}/{name}")).status_code == 200
    assert code(await as_("doctor").get(f"{recording}/{name}")) == (404, "not_found")


async def test_a_file_comes_whole_and_by_ranges(
    as_: Client, world: World, objects: Objects, recording: str
) -> None:
    await _recorded(world, objects)
    client = as_("pupil")
    whole = await client.get(f"{recording}/lesson.mp4")
    assert whole.headers["Content-Type"] == "video/mp4"
    assert whole.headers["Accept-Ranges"] == "bytes"
    assert whole.content.startswith(INIT)
    assert whole.content.endswith(b"".join(SEGMENTS))
    assert int(whole.headers["Content-Length"]) == len(whole.content)
    size, joint = len(whole.content), len(whole.content) - len(SEGMENTS[1])
    for first, last in ((0, 9), (joint - 5, joint + 5), (size - 1, size - 1)):
        part = await client.get(
            f"{recording}/lesson.mp4", headers={"Range": f"bytes={first}-{last}"}
        )
        assert part.status_code == 206
        assert part.content == whole.content[first : last + 1]
        assert part.headers["Content-Range"] == f"bytes {first}-{last}/{size}"
    voice = await client.get(f"{recording}/audio.mp4")
    assert voice.headers["Content-Type"] == "audio/mp4"
    assert voice.content.startswith(VOICE_INIT)
    assert voice.content.endswith(b"".join(VOICE))


async def test_the_index_is_read_once_for_all_ranges_and_again_when_it_grew(
    app: Litestar, as_: Client, world: World, objects: Objects, recording: str
) -> None:
    await _recorded(world, objects)
    asked: list[str] = []
    event.listen(
        app.state.house.engine.sync_engine,
        "before_cursor_execute",
        lambda _c, _k, sql, *_rest: asked.append(sql),
    )

    async def ask(name: str) -> tuple[int, str | None, int]:
        """Status, tag, and how often the index was read so far."""
        answer = await as_(name).get(f"{recording}/lesson.mp4", headers={"Range": "bytes=0-1"})
        reads = sum("lesson_segments.lost_ms" in sql for sql in asked)
        return answer.status_code, answer.headers.get("ETag"), reads

    first = await ask("pupil")
    assert first[::2] == (206, 1)
    assert await ask("teacher") == first
    assert (await ask("pupil_b"))[0] == 404  # what is kept is not for everybody
    async with world.sessions() as db, db.begin():
        await db.execute(text("UPDATE lesson_segments SET size = size + 1 WHERE start_ms = 0"))
    status, tag, reads = await ask("pupil")
    assert (status, reads) == (206, 2)
    assert tag != first[1]


async def test_a_range_behind_the_end_head_and_conditions(
    as_: Client, world: World, objects: Objects, recording: str
) -> None:
    await _recorded(world, objects)
    client, url = as_("pupil"), f"{recording}/lesson.mp4"
    head = await client.head(url)
    size, tag = int(head.headers["Content-Length"]), head.headers["ETag"]
    assert (head.status_code, head.content) == (200, b"")
    assert len((await client.get(url)).content) == size
    beyond = await client.get(url, headers={"Range": f"bytes={size}-"})
    assert (beyond.status_code, beyond.headers["Content-Range"]) == (416, f"bytes */{size}")
    same = await client.get(url, headers={"Range": "bytes=0-1", "If-Range": tag})
    assert same.status_code == 206
    other = await client.get(url, headers={"Range": "bytes=0-1", "If-Range": '"other"'})
    assert (other.status_code, len(other.content)) == (200, size)
    assert (await client.get(url, headers={"If-None-Match": tag})).status_code == 304
    assert (await as_().head(url)).status_code == 401


async def test_segments_and_playlist_agree(
    as_: Client, world: World, objects: Objects, recording: str
) -> None:
    deck = await _recorded(world, objects)
    client = as_("pupil")
    lines = (await client.get(f"{recording}/index.m3u8")).text.splitlines()
    names = [line for line in lines if line.startswith("segments/")]
    got = [(await client.get(f"{recording}/{name}")).content for name in names]
    assert got == list(SEGMENTS)
    assert lines[-1] == "#EXT-X-ENDLIST"
    for wrong in ("segments/1.m4s", "segments/99999999999.m4s"):
        assert code(await client.get(f"{recording}/{wrong}")) == (404, "not_found")
    assert code(await client.get(f"{recording}/segments/x.m4s"))[0] in {400, 404}
    shown = (await client.get(recording)).json()
    assert (shown["state"], shown["duration_ms"]) == ("ready", 5000)
    assert [one["deck_id"] for one in shown["chapters"]] == [deck]


async def test_slides_are_for_the_class_and_a_browser_keeps_them(
    as_: Client, world: World, objects: Objects
) -> None:
    lesson = f"{API}/lessons/{world['lesson']}"
    assert code(await as_("pupil").get(f"{lesson}/slides")) == (404, "no_slides")
    async with world.sessions() as db, db.begin():
        deck = await add_deck(db, objects, world["lesson"], datetime.now(UTC))
    page = f"{lesson}/slides/{deck}/2"
    assert code(await as_().get(page)) == (401, "not_signed_in")
    assert code(await as_("pupil_b").get(page)) == (404, "not_found")
    answer = await as_("pupil").get(page)
    assert (answer.headers["Content-Type"], answer.content) == ("image/webp", b"RIFF page 2")
    assert answer.headers["Cache-Control"] == "private, max-age=31536000, immutable"
    for wrong in ("0", "3", str(2**70), "-1"):
        assert code(await as_("pupil").get(f"{lesson}/slides/{deck}/{wrong}"))[0] in {400, 404}


@pytest.fixture(autouse=True)
def home(settings: Settings, world: World) -> None:
    """Lets a test look where uploads lie while they are looked at."""
    world.home = settings.home


def _left(world: World) -> list[Path]:
    assert world.home is not None
    folder = world.home / "uploads"
    return list(folder.iterdir()) if folder.exists() else []


@pytest.mark.parametrize(
    ("body", "kind", "expected"),
    [
        (b"MZ\x90\x00 this program cannot be run", "application/pdf", (422, "not_a_pdf")),
        (b"%PDF-1.7\n garbage", "application/pdf", (422, "broken_pdf")),
        (b"", "application/pdf", (422, "not_a_pdf")),
        (pdf(1), "application/octet-stream", (415, "unsupported_media_type")),
        (pdf(1), "text/html", (415, "unsupported_media_type")),
    ],
)
async def test_what_is_no_pdf_is_refused_and_nothing_is_left(
    as_: Client, world: World, body: bytes, kind: str, expected: Any
) -> None:
    url = f"{API}/lessons/{world['lesson']}/slides?name=x.pdf"
    answer = await as_("teacher").put(url, content=body, headers={"Content-Type": kind})
    assert code(answer) == expected
    assert code(await as_("teacher").get(url)) == (404, "no_slides")
    assert _left(world) == []


async def test_a_file_that_is_too_large_is_refused_before_and_while_it_is_read(
    as_: Client, world: World
) -> None:
    url = f"{API}/lessons/{world['lesson']}/slides?name=x.pdf"
    said = {**PDF, "Content-Length": str(300 << 20)}
    answer = await as_("teacher").put(url, content=b"%PDF-1.7", headers=said)
    assert code(answer) == (413, "too_large")
    sent = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent <= pdf_pages.MAX_BYTES + (4 << 20):
            sent += 1 << 20
            yield b"%PDF" + bytes((1 << 20) - 4)

    answer = await as_("teacher").put(url, content=chunks(), headers=PDF)
    assert code(answer) == (413, "too_large")
    assert _left(world) == []


async def test_one_upload_a_lesson_at_a_time(as_: Client, app: Litestar, world: World) -> None:
    url = f"{API}/lessons/{world['lesson']}/slides?name=x.pdf"
    app.state.house.uploading.add(world["lesson"])
    answer = await as_("teacher").put(url, content=pdf(1), headers=PDF)
    assert code(answer) == (503, "busy")
    app.state.house.uploading.clear()
    answer = await as_("teacher").put(url, content=pdf(1), headers=PDF)
    assert answer.status_code == 200
    assert app.state.house.uploading == set()


async def _take(server: Server) -> str:
    await server.ask("teacher", "POST", "/open")
    await server.ask("teacher", "PUT", "/recording", json={"on": True})
    async with server.world.sessions() as db:
        return str(await db.scalar(text("SELECT id FROM lesson_takes")))


def _segment(server: Server, take: str, start_ms: int) -> SegmentClosed:
    room = str(server.world["lesson"])
    return SegmentClosed(room, take, start_ms, 2500, 1000, 100, 0)


async def _until_up(server: Server) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not server.house.media.up:  # noqa: ASYNC110 - seen from outside
            await asyncio.sleep(0.02)


async def test_a_segment_is_acknowledged_once_it_is_in_the_index(
    worker: Worker, server: Server
) -> None:
    await _until_up(server)
    take, room = await _take(server), str(server.world["lesson"])
    for _ in range(2):
        worker.say(_segment(server, take, 0))
    await worker.until(lambda told: SegmentStored(room, take, 0) in told, WITHIN_S)
    async with server.world.sessions() as db:
        found = (await db.execute(text("SELECT start_ms, size FROM lesson_segments"))).all()
    assert [tuple(row) for row in found] == [(0, 1000)]
    await server.ask("teacher", "PUT", "/recording", json={"on": False})
    worker.say(TakeClosed(room, take, 2500))
    await worker.until(lambda told: TakeStored(room, take) in told, WITHIN_S)
    async with server.world.sessions() as db:
        assert await db.scalar(text("SELECT complete FROM lesson_takes"))


async def test_a_take_is_not_closed_while_it_runs(worker: Worker, server: Server) -> None:
    """The worker came back before the room did: what it keeps of the take must stay with it."""
    await _until_up(server)
    take, room = await _take(server), str(server.world["lesson"])
    worker.say(_segment(server, take, 0))
    worker.say(TakeClosed(room, take, 2500))
    worker.say(_segment(server, take, 2500))
    await worker.until(lambda told: SegmentStored(room, take, 2500) in told, WITHIN_S)
    async with server.world.sessions() as db:
        assert not await db.scalar(text("SELECT complete FROM lesson_takes"))
    assert TakeStored(room, take) not in worker.told
    await server.ask("teacher", "PUT", "/recording", json={"on": False})
    worker.say(TakeClosed(room, take, 5000))
    await worker.until(lambda told: TakeStored(room, take) in told, WITHIN_S)
    async with server.world.sessions() as db:
        assert await db.scalar(text("SELECT complete FROM lesson_takes"))


async def test_what_nobody_knows_is_acknowledged_and_not_kept(
    worker: Worker, server: Server
) -> None:
    await _until_up(server)
    room = str(server.world["lesson"])
    for lesson, take in ((room, str(uuid4())), ("room-1", "take-1")):
        worker.say(SegmentClosed(lesson, take, 0, 2500, 1000, 100, 0))
        worker.say(TakeClosed(lesson, take, 2500))
        await worker.until(lambda told, a=lesson, b=take: TakeStored(a, b) in told, WITHIN_S)
        assert SegmentStored(lesson, take, 0) in worker.told
    async with server.world.sessions() as db:
        assert await db.scalar(text("SELECT count(*) FROM lesson_segments")) == 0


async def test_packets_without_a_grant_leave_a_trace(worker: Worker, server: Server) -> None:
    await _until_up(server)
    room, pupil = server.world["lesson"], server.world["pupil"]
    async with server.lesson_page("pupil"):
        worker.say(Trespass(str(room), str(pupil), "screen"))
        rows = await _refusals(server)
    assert rows == [(UUID(str(pupil)), "publish_screen", UUID(str(room)), "media")]


async def _refusals(server: Server) -> list[tuple[object, ...]]:
    """What was tried in vain, as soon as there is something."""
    query = text("SELECT actor_id, act, about_id, route FROM audit_refusals")
    async with asyncio.timeout(WITHIN_S):
        while True:
            async with server.world.sessions() as db:
                rows = [tuple(row) for row in (await db.execute(query)).all()]
            if rows:
                return rows
            await asyncio.sleep(0.05)
