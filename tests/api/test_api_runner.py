"""The job runner: frames go into objects and are read back as before; lost slides are removed."""

import asyncio
from pathlib import Path
from uuid import UUID

from api_faults import program
from api_server import Server
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from test_api_device_socket import frames

from eschool.slides import page_key
from people.audit import WRITE_PATH
from storage.jobs import enqueue
from storage.objects import Objects
from storage.settings import Settings


async def test_frames_moved_into_objects_are_read_back_whole(
    settings: Settings, server: Server, tmp_path: Path
) -> None:
    async with server.recorder() as recorder:
        await recorder.announce()
        await recorder.send(*range(30))
        await recorder.stored(29)
    old = "UPDATE ecg_frames SET received_at = received_at - interval '2 min' WHERE sequence < 25"
    async with server.world.sessions() as db, db.begin():
        await db.execute(text(old))
        await enqueue(db, "telemed.chunk_stream", stream=recorder.stream.hex)
    left = text("SELECT count(*) FROM ecg_frames").execution_options(**WRITE_PATH)
    async with program(settings, "api.runner", tmp_path / "log"), asyncio.timeout(60):
        while True:
            async with server.world.sessions() as db:
                if await db.scalar(left) == 5:
                    break
            await asyncio.sleep(0.1)
    assert await frames(server, recorder) == list(range(30))


async def test_slides_that_no_deck_names_are_removed(
    settings: Settings, engine: AsyncEngine, objects: Objects, tmp_path: Path
) -> None:
    """By the job of every day, asked for at once here."""
    lost = page_key(UUID("01890000-0000-7000-8000-000000000000"), 1)  # of 2023
    await objects.put(lost, b"RIFF")
    async with AsyncSession(engine) as db, db.begin():
        await enqueue(db, "eschool.lost_slides")
    async with program(settings, "api.runner", tmp_path / "log"), asyncio.timeout(60):
        while True:
            if not await objects.exists(lost):
                break
            await asyncio.sleep(0.1)
