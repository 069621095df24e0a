"""The gateway at work: devices come and go beside it, and nothing of one of them ends the others."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from device_peer import Desk, desk

from devices.gateway import buffer as buffers
from devices.gateway import sending
from devices.gateway.buffer import Buffer
from devices.gateway.kept import Heard, Setup
from devices.gateway.link import Connection, NotReached, Seen
from devices.gateway.running import Gateway

NOW = datetime(2026, 3, 10, 8, 0, tzinfo=UTC)
FIRST, SECOND = "F0:00:00:00:00:01", "F0:00:00:00:00:02"
PRESSURE = 0x2A35
SAID = bytes.fromhex("00780050006300")

pytestmark = pytest.mark.timeout(30)


class _Cuff:
    """A connection: says one pressure when it is listened to, and hangs up."""

    characteristics = (PRESSURE,)

    def __init__(self) -> None:
        self._over = asyncio.Event()

    async def read(self, characteristic: int) -> bytes:
        raise NotReached(f"{characteristic:04x}")

    async def write(self, characteristic: int, data: bytes) -> None:
        raise NotReached(f"{characteristic:04x} {data.hex()}")

    async def subscribe(self, characteristic: int, heard: Callable[[bytes], None]) -> None:
        assert characteristic == PRESSURE
        heard(SAID)
        self._over.set()

    async def ended(self) -> None:
        await self._over.wait()


class Room:
    """A radio. Each address of `awake` is connected once more; `broken` ones fail as nobody foresaw."""

    def __init__(self, *awake: str) -> None:
        self.awake, self.broken = list(awake), set[str]()
        self.connected: list[str] = []
        self.off = False
        self.listening = asyncio.Event()

    @asynccontextmanager
    async def scan(self, heard: Callable[[Seen], None]) -> AsyncIterator[None]:
        if self.off:
            raise NotReached("no adapter")
        self.listening.set()
        for address in list(self.awake):
            heard(Seen(address, "", frozenset()))
        yield

    @asynccontextmanager
    async def connect(self, seen: Seen, *, pair: bool = False) -> AsyncIterator[Connection]:
        assert not pair
        if seen.address in self.broken:
            raise RuntimeError("a driver's own error")
        self.connected.append(seen.address)
        self.awake.remove(seen.address)
        yield _Cuff()


Until = Callable[[Callable[[], object]], Awaitable[None]]


def setup(address: str, peer: Desk, token: str) -> Setup:
    return Setup(address=address, name="", model="", zone="UTC", server=peer.url, token=token)


@asynccontextmanager
async def running(path: Path, peer: Desk, room: Room) -> AsyncIterator[tuple[Buffer, Until]]:
    """A gateway that knows the first device; gives the file as a command beside it opens it, and
    what waits until something holds."""
    file = path / "buffer.sqlite"
    with Buffer.at(file) as buffer, Buffer.at(file) as beside:
        buffer.add_device(setup(FIRST, peer, "t"), NOW)
        gateway = Gateway(
            buffer, room, lambda: NOW, again_after_s=0.01, follow_every_s=0.01, rescan_s=0.01
        )
        task = asyncio.create_task(gateway.run())

        async def until(holds: Callable[[], object]) -> None:
            while not holds():
                await gateway.changed.wait()
                gateway.changed.clear()

        try:
            yield beside, until
        finally:
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task


async def test_devices_added_and_changed_beside_a_running_gateway_are_taken_up(
    tmp_path: Path,
) -> None:
    """Each reading goes out with the token its device has, also when its number was another's."""
    room = Room()
    with desk() as peer:
        async with running(tmp_path, peer, room) as (beside, until):
            assert beside.remove_device(FIRST) == 0
            beside.add_device(setup(SECOND, peer, "second"), NOW)
            room.awake += [FIRST, SECOND]
            (known,) = beside.devices()
            await until(lambda: beside.counts(known.id).stored == 1)
            assert room.connected == [SECOND]
            assert peer.tokens == ["Bearer second"]
            beside.add_device(setup(SECOND, peer, "newer"), NOW)
            beside.add_device(setup(FIRST, peer, "again"), NOW)
            await until(lambda: len(peer.tokens) == 2)
            assert peer.tokens[1:] == ["Bearer again"]


async def test_a_refused_token_is_replaced_without_a_restart(tmp_path: Path) -> None:
    with desk() as peer:
        peer.answers = [(401, {"code": "not_signed_in"})]
        async with running(tmp_path, peer, Room(FIRST)) as (beside, until):
            await until(lambda: beside.devices()[0].refused_by_server)
            beside.add_device(setup(FIRST, peer, "newer"), NOW, same_person=True)
            await until(lambda: beside.counts(1).stored == 1)
    assert peer.tokens == ["Bearer t", "Bearer newer"]


@pytest.mark.parametrize(
    ("apart", "flags"),
    [
        (timedelta(days=300), ["time_of_arrival", "time_fault"]),
        (timedelta(minutes=-3), ["time_of_arrival", "time_fault"]),
        (timedelta(minutes=1), ["time_of_arrival"]),
    ],
)
async def test_times_by_a_wrong_clock_of_the_gateway_are_doubted(
    tmp_path: Path, apart: timedelta, flags: list[str]
) -> None:
    """A computer without a battery dates what it hears by the day it was last switched off."""
    with desk() as peer:
        peer.clock = NOW + apart
        async with running(tmp_path, peer, Room(FIRST)) as (beside, until):
            await until(lambda: beside.counts(1).stored == 1)
    [body] = peer.bodies
    assert body["readings"][0]["flags"] == flags


async def test_an_error_nobody_foresaw_ends_its_own_connection_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    room = Room(FIRST, SECOND)
    room.broken.add(FIRST)
    with desk() as peer:
        async with running(tmp_path, peer, room) as (beside, until):
            beside.add_device(setup(SECOND, peer, "other"), NOW)
            await until(lambda: beside.counts(2).stored == 1)
            await until(lambda: beside.devices()[0].trouble == "failed")
    assert {record.message for record in caplog.records} == {"a connection ended by RuntimeError"}


async def test_bluetooth_that_was_off_for_a_while_is_told_and_listened_to_again(
    tmp_path: Path,
) -> None:
    """Also when it goes off while the gateway listens: whoever listened then hears no more."""
    room = Room()
    with desk() as peer:
        async with running(tmp_path, peer, room) as (beside, until):
            await room.listening.wait()
            room.off = True
            await until(lambda: beside.devices()[0].trouble == "no_radio")
            room.off = False
            room.awake.append(FIRST)
            await until(lambda: beside.counts(1).stored == 1)


async def test_a_cuff_is_not_asked_when_there_is_no_room_for_its_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would forget what it said."""
    monkeypatch.setattr(buffers, "MOST_WAITING", 1)
    room = Room()
    with desk() as peer:
        peer.answers = [(401, {"code": "not_signed_in"})]
        async with running(tmp_path, peer, room) as (beside, until):
            beside.keep(1, [Heard(PRESSURE, SAID, NOW)])
            room.awake.append(FIRST)
            await until(lambda: beside.devices()[0].trouble == "buffer_full")
            assert room.connected == []


async def test_a_disk_that_takes_nothing_for_a_while_loses_and_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "DISK_WAIT_S", 0.01)
    with desk() as peer:
        async with running(tmp_path, peer, Room(FIRST)) as (beside, until):
            db = beside._db
            db.execute(
                "CREATE TRIGGER full BEFORE UPDATE ON readings WHEN new.state = 'stored' "
                "BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
            )
            await until(lambda: len(peer.bodies) > 2)
            assert beside.counts(1).stored == 0
            db.execute("DROP TRIGGER full")
            await until(lambda: beside.counts(1).stored == 1)
    assert len({body["readings"][0]["sequence"] for body in peer.bodies}) == 1
