"""The home gateway against the real server: what it keeps is stored once, what is refused is told."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
from api_server import Server
from api_world import API, World

from devices.gateway.buffer import Buffer
from devices.gateway.kept import Heard, Setup, State
from devices.gateway.link import Connection, Seen
from devices.gateway.running import Gateway

CUFF = "F0:00:00:00:00:01"
PRESSURE, GLUCOSE = 0x2A35, 0x2A18


class Silence:
    """A room without devices: what waits is sent all the same."""

    @asynccontextmanager
    async def scan(self, heard: Callable[[Seen], None]) -> AsyncIterator[None]:
        del heard
        yield

    def connect(self, seen: Seen, *, pair: bool = False) -> AbstractAsyncContextManager[Connection]:
        raise NotImplementedError


def message(hexadecimal: str, characteristic: int = PRESSURE) -> Heard:
    return Heard(characteristic, bytes.fromhex(hexadecimal), datetime.now(UTC))


@asynccontextmanager
async def running(path: Path, server: Server, token: str, *heard: Heard) -> AsyncIterator[Gateway]:
    """A gateway whose device has said this."""
    setup = Setup(
        address=CUFF, name="cuff", model="", zone="UTC", server=server.origin, token=token
    )
    with Buffer.at(path / "buffer.sqlite") as buffer:
        buffer.add_device(setup, datetime.now(UTC))
        buffer.keep(1, heard)
        gateway = Gateway(buffer, Silence(), lambda: datetime.now(UTC))
        task = asyncio.create_task(gateway.run())
        try:
            yield gateway
        finally:
            task.cancel()
            await asyncio.wait([task])


async def until(gateway: Gateway, holds: Callable[[], bool]) -> None:
    while not holds():
        await gateway.changed.wait()
        gateway.changed.clear()


async def test_what_a_cuff_said_is_on_the_visits_page_once(
    tmp_path: Path, server: Server, world: World
) -> None:
    """What is refused stands beside it with the reason; a reading whose answer was lost goes again."""
    token = world.device_tokens["patient:cuff"]
    said = (
        message("00800052006300"),
        message("0090010a006300"),  # 400 mmHg
        message("00ff07ff07ff07"),
        message("020100ea07030a081e0078b011", GLUCOSE),
    )
    async with running(tmp_path, server, token, *said) as gateway:
        await until(gateway, lambda: len(gateway.buffer.counts(1).refused) == 2)
        await until(gateway, lambda: gateway.buffer.counts(1).stored == 1)
        counts = gateway.buffer.counts(1)
        assert (counts.here, counts.sent) == (0, 0)
        assert counts.refused == {"out_of_range": 1, "kind_not_of_device": 1}
        assert counts.doubts == {"measurement_failed": 1}
    with Buffer.at(tmp_path / "buffer.sqlite") as buffer:
        db = buffer._db
        db.execute("UPDATE readings SET state = ? WHERE state = 'stored'", (State.SENT,))
    async with running(tmp_path, server, token) as gateway:
        await until(gateway, lambda: gateway.buffer.counts(1).stored == 1)
    doctor = server.client("doctor")
    (seen,) = (await doctor.get(f"{API}/visits/{world['visit']}/readings")).json()
    await doctor.aclose()
    assert seen["values"]["systolic"] == 128


async def test_a_revoked_devices_readings_stay_with_the_gateway(
    tmp_path: Path, server: Server, world: World
) -> None:
    token = world.device_tokens["patient:cuff"]
    async with server.client("patient") as patient:
        answer = await patient.delete(f"{API}/devices/{world['patient:cuff']}")
    assert answer.status_code == httpx.codes.NO_CONTENT
    async with running(tmp_path, server, token, message("00800052006300")) as gateway:
        await until(gateway, lambda: bool(gateway.buffer.devices()[0].refused_by_server))
        counts = gateway.buffer.counts(1)
        assert gateway.buffer.devices()[0].refused_by_server == "not_signed_in"
        assert (counts.here, counts.sent, counts.stored) == (1, 0, 0)
