"""The job runner: frames a minute old go into objects, and are read back as if nothing happened."""

import asyncio
from pathlib import Path

from api_faults import program
from api_server import Server
from sqlalchemy import text
from test_api_device_socket import frames

from people.audit import WRITE_PATH
from storage.jobs import enqueue
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
