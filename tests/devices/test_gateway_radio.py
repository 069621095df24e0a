"""The gateway over true GATT exchanges: a cuff's indications, a meter's memory with the link cut in
the middle, a sensor's records however they are packed."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from bleak.exc import BleakError
from bumble.device import Device
from bumble.link import LocalLink
from device_peer import Desk, desk
from virtual_bleak import backends
from virtual_radio import (
    READ_REQUIRES_PAIRING,
    Peripheral,
    Properties,
    RecordKeeper,
    VirtualRadio,
    device_on,
)

from devices.gateway.buffer import Buffer
from devices.gateway.kept import Counts, Heard, Setup
from devices.gateway.link import Link, LinkLost, NotPaired, NotReached, Seen
from devices.gateway.radio import Radio
from devices.gateway.running import Gateway
from devices.gatt import cgm, glucose
from devices.racp_meter import Meter

NOW = datetime(2026, 3, 10, 8, 0, tzinfo=UTC)
CUFF, METER, SENSOR = "F0:00:00:00:00:01", "F0:00:00:00:00:02", "F0:00:00:00:00:03"

pytestmark = pytest.mark.timeout(30)


def setup(address: str, server: str) -> Setup:
    return Setup(
        address=address, name=address[-2:], model="", zone="UTC", server=server, token=address
    )


class House:
    """A gateway with a radio of its own, its buffer and the server it sends to."""

    def __init__(self, path: Path, peer: Desk, radio: Link) -> None:
        self.path, self.peer, self.radio = path, peer, radio
        self.gateway: Gateway | None = None

    @asynccontextmanager
    async def running(self, *addresses: str) -> AsyncIterator[None]:
        """Run until the block ends; started anew on the same buffer it is a restart."""
        with Buffer.at(self.path) as buffer:
            for address in addresses:
                buffer.add_device(setup(address, self.peer.url), NOW)
            self.gateway = Gateway(buffer, self.radio, lambda: NOW, quiet_s=0.5, again_after_s=0.05)
            task = asyncio.create_task(self.gateway.run())
            try:
                yield
            finally:
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task

    async def until(self, holds: Callable[[Counts], bool]) -> Counts:
        """Return when it holds of the first device's counts."""
        assert self.gateway is not None
        while True:
            counts = self.gateway.buffer.counts(1)
            if holds(counts):
                return counts
            await self.gateway.changed.wait()
            self.gateway.changed.clear()

    def stored(self) -> list[dict[str, object]]:
        """What the server has taken."""
        return [reading for body in self.peer.bodies for reading in body["readings"]]


@pytest.fixture
def air() -> LocalLink:
    return LocalLink()


@asynccontextmanager
async def house(path: Path, air: LocalLink, mtu: int | None = None) -> AsyncIterator[House]:
    central = device_on(air, "F0:00:00:00:00:0A", "gateway")
    await central.power_on()
    with desk() as peer:
        yield House(path / "buffer.sqlite", peer, VirtualRadio(central, mtu=mtu))


async def test_a_cuffs_reading_is_indicated_kept_confirmed_and_stored(
    tmp_path: Path, air: LocalLink
) -> None:
    """And the message of a failed measurement is none, with the reason."""
    cuff = Peripheral(air, CUFF, "cuff", 0x1810)
    cuff.has(0x2A35, Properties.INDICATE)
    cuff.has(0x2A08, Properties.READ, bytes.fromhex("ea07030a080000"))
    await cuff.on()
    async with house(tmp_path, air) as home, home.running(CUFF):
        await cuff.listened_to(0x2A35)
        # 138/88, mean 120 mmHg, 2026-03-10 07:41:59, pulse 60, user 1, cuff loose.
        good = bytes.fromhex("1e8a0058007800ea07030a07293b3c00010200")
        await cuff.indicate(0x2A35, good)
        await cuff.indicate(0x2A35, good)  # a confirmation was lost: it says it again
        await cuff.indicate(0x2A35, bytes.fromhex("00ff07ff07ff07"))
        await cuff.hang_up()
        counts = await home.until(lambda told: told.stored == 1 and bool(told.doubts))
        assert home.gateway is not None
        assert len(home.gateway.buffer.moments(1)) == 1
    assert counts.doubts == {"measurement_failed": 1}
    assert (counts.here, counts.sent, counts.refused) == (0, 0, {})
    (reading,) = home.stored()
    assert reading["values"] == {"systolic": 138, "diastolic": 88, "mean": 120, "pulse": 60}
    assert reading["taken_at"] == "2026-03-10T07:41:59Z"
    assert reading["flags"] == ["cuff_loose", "late"]
    assert home.peer.tokens == [f"Bearer {CUFF}"]


def radio_of(home: House) -> VirtualRadio:
    assert isinstance(home.radio, VirtualRadio)
    return home.radio


def record(number: int, *, control: bool = False) -> bytes:
    """The record of a meter: 5.5 mmol/L and a little more each time, ten minutes apart."""
    taken = datetime(2026, 3, 1, 7, 0) + timedelta(minutes=10 * number)  # noqa: DTZ001 - as sent
    concentration = (55 + number) / 10_000  # mol/L
    return glucose.encode(
        glucose.Glucose(
            number,
            taken,
            0,
            concentration,
            glucose.MOL_L,
            glucose.CONTROL_SOLUTION if control else 1,
            1,
        )
    )


async def test_a_download_cut_in_the_middle_goes_on_from_there(
    tmp_path: Path, air: LocalLink
) -> None:
    """After a restart of the gateway too: what is on its disk is not asked for again."""
    records = {number: record(number, control=number == 4) for number in range(1, 31)}
    meter = RecordKeeper(
        air, METER, "meter", service=0x1808, stream=0x2A18, meter=Meter(records), cut_after=12
    )
    await meter.on()
    async with house(tmp_path, air) as home:
        async with home.running(METER):
            await meter.heard_out.wait()
            await home.until(lambda told: told.stored == 29)
        assert len(meter.sent) == 30  # each of them once, before the cut and after
        assert meter.asked[-1] == bytes.fromhex("0103010d00")  # report, from 13 on
        assert radio_of(home).connections == 2
        meter.heard_out.clear()
        meter.meter.records |= {number: record(number) for number in (31, 32)}
        async with home.running():
            await meter.heard_out.wait()
            counts = await home.until(lambda told: told.stored == 31)
    assert meter.asked[-1] == bytes.fromhex("0103012000")[:3] + (31).to_bytes(2, "little")
    assert counts.doubts == {"control_solution": 1}
    stored = home.stored()
    assert len({reading["sequence"] for reading in stored}) == len(stored) == 31
    assert {reading["unit"] for reading in stored} == {"mmol/L"}


@pytest.mark.parametrize(("mtu", "packets"), [(None, 20), (185, 2)])
async def test_a_sensors_records_are_the_same_however_they_are_packed(
    tmp_path: Path, air: LocalLink, mtu: int | None, packets: int
) -> None:
    """At the smallest MTU three records fit into a notification, at a larger one thirty."""
    records = {
        offset: cgm.encode([cgm.CgmRecord(100.0 + offset % 7, offset)])
        for offset in range(5, 5 * 61, 5)
    }
    sensor = RecordKeeper(
        air, SENSOR, "sensor", service=0x181F, stream=0x2AA7, meter=Meter(records), packed=True
    )
    sensor.has(0x2AA8, Properties.READ, bytes.fromhex("00000000ffff"))
    sensor.has(0x2AAA, Properties.READ, bytes.fromhex("ea0703090600000c00"))
    await sensor.on()
    async with house(tmp_path, air, mtu) as home, home.running(SENSOR):
        await sensor.heard_out.wait()
        counts = await home.until(lambda told: told.stored >= 60)
    assert (counts.stored, counts.doubts) == (60, {})
    assert len(sensor.sent) == packets
    stored = home.stored()
    assert [reading["values"] for reading in stored] == [
        {"glucose": 100.0 + offset % 7} for offset in records
    ]
    assert {reading["kind"] for reading in stored} == {"cgm_glucose"}


async def test_a_meter_that_counts_anew_is_read_from_the_beginning(
    tmp_path: Path, air: LocalLink
) -> None:
    """A new battery: its numbers are lower than the last one, and mean other records."""
    meter = RecordKeeper(
        air,
        METER,
        "meter",
        service=0x1808,
        stream=0x2A18,
        meter=Meter({n: record(n) for n in range(40, 45)}),
    )
    await meter.on()
    async with house(tmp_path, air) as home, home.running(METER):
        await home.until(lambda told: told.stored == 5)
        meter.meter.records = {n: record(n) for n in (1, 2, 3)}
        await home.until(lambda told: told.stored == 8)
        assert home.gateway is not None
        assert home.gateway.buffer.progress(1, "glucose") == 3


class Switched(VirtualRadio):
    """Its Bluetooth is off at first."""

    def __init__(self, device: Device) -> None:
        super().__init__(device)
        self.tried = 0

    def scan(self, heard: Callable[[Seen], None]) -> AbstractAsyncContextManager[None]:
        self.tried += 1
        if self.tried < 3:
            raise NotReached("no adapter")
        return super().scan(heard)


async def test_a_machine_whose_bluetooth_is_off_says_so_until_it_is_on(
    tmp_path: Path, air: LocalLink
) -> None:
    """And what it holds is sent meanwhile."""
    cuff = Peripheral(air, CUFF, "cuff", 0x1810)
    cuff.has(0x2A35, Properties.INDICATE)
    await cuff.on()
    central = device_on(air, "F0:00:00:00:00:0A", "gateway")
    await central.power_on()
    with Buffer.at(tmp_path / "buffer.sqlite") as buffer, desk() as peer:
        buffer.add_device(setup(CUFF, peer.url), NOW)
        buffer.keep(1, [Heard(0x2A35, bytes.fromhex("00780050006300"), NOW)])
        told: list[str] = []
        gateway = Gateway(buffer, Switched(central), lambda: NOW, quiet_s=0.1, again_after_s=0.05)
        task = asyncio.create_task(gateway.run())
        while "no_radio" not in told or told[-1] != "":
            await gateway.changed.wait()
            gateway.changed.clear()
            told.append(buffer.devices()[0].trouble)
        await cuff.listened_to(0x2A35)
        task.cancel()
        await asyncio.wait([task])
        assert "no_radio" in told
        assert [known.trouble for known in buffer.devices()] == [""]
        assert buffer.counts(1).stored == 1


async def test_bleak_hears_connects_and_brings_what_is_indicated(
    tmp_path: Path, air: LocalLink
) -> None:
    """The radio of the shipped program, over the same air."""
    cuff = Peripheral(air, CUFF, "cuff", 0x1810)
    cuff.has(0x2A35, Properties.INDICATE)
    cuff.has(0x2A2B, Properties.READ, bytes.fromhex("ea07030a08000002000000"))
    await cuff.on()
    central = device_on(air, "F0:00:00:00:00:0A", "gateway")
    await central.power_on()
    scanner, client = backends(central)
    with desk() as peer:
        home = House(tmp_path / "buffer.sqlite", peer, Radio(scanner=scanner, client=client))
        async with home.running(CUFF):
            await cuff.listened_to(0x2A35)
            await cuff.indicate(0x2A35, bytes.fromhex("00780050006300"))
            await cuff.hang_up()
            await home.until(lambda told: told.stored == 1)
            assert home.gateway is not None
            assert len(home.gateway.buffer.moments(1)) == 1
    (reading,) = home.stored()
    assert reading["values"] == {"systolic": 120, "diastolic": 80, "mean": 99}
    assert reading["flags"] == ["time_of_arrival"]


async def test_bleak_tells_a_device_that_wants_to_be_paired_from_one_that_is_gone(
    air: LocalLink,
) -> None:
    cuff = Peripheral(air, CUFF, "cuff", 0x1810)
    cuff.has(0x2A35, Properties.INDICATE)
    cuff.has(0x2A24, Properties.READ, b"UA-651", READ_REQUIRES_PAIRING)
    await cuff.on()
    central = device_on(air, "F0:00:00:00:00:0A", "gateway")
    await central.power_on()
    scanner, client = backends(central)
    radio = Radio(scanner=scanner, client=client)
    seen = await one_seen(radio)
    assert (seen.address, seen.name, seen.services) == (CUFF, "cuff", {0x1810})
    async with radio.connect(seen) as connection:
        assert {0x2A24, 0x2A35} <= set(connection.characteristics)
        with pytest.raises(NotPaired):
            await connection.read(0x2A24)
        await cuff.hang_up()
        await connection.ended()
        with pytest.raises(LinkLost):
            await connection.write(0x2A35, b"")


async def test_an_adapter_that_is_pulled_out_while_it_listens_ends_nothing(
    air: LocalLink,
) -> None:
    """And of passers-by only those of the last look are remembered."""
    central = device_on(air, "F0:00:00:00:00:0A", "gateway")
    await central.power_on()
    scanner, client = backends(central)

    class Pulled(scanner):  # type: ignore[valid-type, misc]
        async def stop(self) -> None:
            await super().stop()
            raise BleakError("no adapter")

    radio = Radio(scanner=Pulled, client=client)
    for number in (1, 2):
        cuff = Peripheral(air, f"F0:00:00:00:00:0{number}", "cuff", 0x1810)
        await cuff.on()
        seen = await one_seen(radio)
        await cuff.device.stop_advertising()
    assert list(radio._devices) == [seen.address]


async def one_seen(radio: Radio) -> Seen:
    """The first device that is heard."""
    found: asyncio.Queue[Seen] = asyncio.Queue()
    async with radio.scan(found.put_nowait):
        return await found.get()
