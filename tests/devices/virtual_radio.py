"""Bluetooth without a radio: virtual controllers on one link, devices on one side, the gateway's
link on the other. What goes between them is real ATT and GATT."""

import asyncio
import struct
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager, suppress

from bumble.att import ATT_Error, ErrorCode
from bumble.controller import Controller
from bumble.core import UUID, AdvertisingData, BaseBumbleError
from bumble.device import Advertisement, Device, Peer
from bumble.device import Connection as BumbleConnection
from bumble.gatt import Characteristic, CharacteristicValue, Service
from bumble.gatt_client import CharacteristicProxy
from bumble.hci import Address
from bumble.host import Host
from bumble.link import LocalLink
from bumble.transport.common import AsyncPipeSink

from devices.gateway.link import Connection, LinkLost, NotPaired, NotReached, Seen
from devices.racp import Response, ResponseCode, encode_reply
from devices.racp_meter import Meter

Properties = Characteristic.Properties
READ_REQUIRES_PAIRING = Characteristic.READABLE | Characteristic.READ_REQUIRES_ENCRYPTION
_UNPAIRED = {ErrorCode.INSUFFICIENT_AUTHENTICATION, ErrorCode.INSUFFICIENT_ENCRYPTION}


def device_on(air: LocalLink, address: str, name: str) -> Device:
    """A Bluetooth device with a controller of its own on the air."""
    controller = Controller(name, link=air, public_address=address)
    host = Host(controller, AsyncPipeSink(controller))
    return Device(name=name, address=Address(address), host=host)


class VirtualRadio:
    """The gateway's link over a virtual controller; `mtu` is what it asks for."""

    def __init__(self, device: Device, *, mtu: int | None = None) -> None:
        self._device, self._mtu = device, mtu
        self.connections = 0

    @asynccontextmanager
    async def scan(self, heard: Callable[[Seen], None]) -> AsyncIterator[None]:
        def advertised(said: Advertisement) -> None:
            heard(Seen(said.address.to_string(False), named_by(said), services_of(said)))

        self._device.on("advertisement", advertised)
        await self._device.start_scanning()
        try:
            yield
        finally:
            self._device.remove_listener("advertisement", advertised)
            await self._device.stop_scanning()

    @asynccontextmanager
    async def connect(self, seen: Seen, *, pair: bool = False) -> AsyncIterator[Connection]:
        try:
            async with asyncio.timeout(2):
                link = await self._device.connect(Address(seen.address))
        except (BaseBumbleError, TimeoutError) as error:
            raise NotReached(str(error)) from error
        self.connections += 1
        connected = _Connected(link)
        try:
            await connected.discover(self._mtu, pair=pair)
            yield connected
        finally:
            if not connected.over.is_set():
                with suppress(BaseBumbleError):
                    await link.disconnect()


class _Connected:
    def __init__(self, link: BumbleConnection) -> None:
        self.over = asyncio.Event()
        self._link, self._peer = link, Peer(link)
        self._found: dict[int, CharacteristicProxy[bytes]] = {}
        link.on("disconnection", lambda _: self.over.set())

    async def discover(self, mtu: int | None, *, pair: bool) -> None:
        async with _in_our_words():
            if pair:
                await self._link.pair()
            if mtu is not None:
                await self._peer.request_mtu(mtu)
            await self._peer.discover_services()
            for service in self._peer.services:
                for one in await service.discover_characteristics():
                    self._found[short(one.uuid)] = one

    @property
    def characteristics(self) -> Collection[int]:
        return self._found

    async def read(self, characteristic: int) -> bytes:
        async with _in_our_words():
            return bytes(await self._found[characteristic].read_value())

    async def write(self, characteristic: int, data: bytes) -> None:
        async with _in_our_words():
            await self._found[characteristic].write_value(data, with_response=True)

    async def subscribe(self, characteristic: int, heard: Callable[[bytes], None]) -> None:
        async with _in_our_words():
            await self._found[characteristic].subscribe(heard)

    async def ended(self) -> None:
        await self.over.wait()


@asynccontextmanager
async def _in_our_words() -> AsyncIterator[None]:
    try:
        yield
    except ATT_Error as error:
        raise (NotPaired if error.error_code in _UNPAIRED else LinkLost)(str(error)) from error
    except (BaseBumbleError, asyncio.CancelledError) as error:
        task = asyncio.current_task()
        if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
            raise
        raise LinkLost(str(error)) from error


def services_of(said: Advertisement) -> frozenset[int]:
    """The services a device advertises."""
    lists = said.data.get_all(AdvertisingData.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS)
    return frozenset(short(one) for some in lists for one in some)


def named_by(said: Advertisement) -> str:
    """The name a device advertises."""
    return str(said.data.get(AdvertisingData.COMPLETE_LOCAL_NAME) or "")


def short(uuid: UUID) -> int:
    """The 16 bits of a number of the Bluetooth SIG; 0 for others."""
    return int.from_bytes(uuid.to_bytes()[:2], "little") if len(uuid.uuid_bytes) == 2 else 0


class Peripheral:
    """A home device: characteristics of one service, and what it does when it is listened to."""

    def __init__(self, air: LocalLink, address: str, name: str, service: int) -> None:
        self.address = address
        self.heard_out = asyncio.Event()  # it has said all it had to say
        self.device = device_on(air, address, name)
        self._name, self._service = name, service
        self._characteristics: dict[int, Characteristic[bytes]] = {}
        self._listened: dict[int, asyncio.Event] = {}

    def has(
        self,
        characteristic: int,
        properties: Properties,
        value: bytes | CharacteristicValue[bytes] = b"",
        permissions: int = Characteristic.READABLE | Characteristic.WRITEABLE,
    ) -> None:
        """Give it a characteristic."""
        one = Characteristic(
            UUID.from_16_bits(characteristic),
            properties,
            Characteristic.Permissions(permissions),
            value,
        )
        self._listened[characteristic] = asyncio.Event()
        one.on("subscription", lambda *_: self._listened[characteristic].set())
        self._characteristics[characteristic] = one

    async def on(self) -> None:
        """Switch it on: it advertises until somebody connects, and again after that."""
        service = Service(UUID.from_16_bits(self._service), list(self._characteristics.values()))
        self.device.add_service(service)
        kinds = AdvertisingData.Type
        self.device.advertising_data = bytes(
            AdvertisingData(
                [
                    (kinds.COMPLETE_LOCAL_NAME, self._name.encode()),
                    (
                        kinds.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS,
                        struct.pack("<H", self._service),
                    ),
                ]
            )
        )
        await self.device.power_on()
        await self.device.start_advertising(
            auto_restart=True, advertising_interval_min=20, advertising_interval_max=20
        )

    async def listened_to(self, characteristic: int) -> None:
        """Return when somebody has subscribed to it."""
        await self._listened[characteristic].wait()

    async def indicate(self, characteristic: int, data: bytes) -> None:
        """Indicate, and return when it was confirmed."""
        await self.device.indicate_subscribers(self._characteristics[characteristic], data)

    async def notify(self, characteristic: int, data: bytes) -> None:
        await self.device.notify_subscribers(self._characteristics[characteristic], data)

    @property
    def mtu(self) -> int:
        """Of its one connection."""
        (link,) = self.device.connections.values()
        return int(link.att_mtu)

    async def hang_up(self) -> None:
        """End the connection, as devices do that go to sleep."""
        for event in self._listened.values():
            event.clear()
        for link in list(self.device.connections.values()):
            await link.disconnect()


class RecordKeeper(Peripheral):
    """A meter or sensor with a memory: answers its control point as the standard asks.

    `cut_after`: so many records into a download the connection drops, once.
    `packed`: as many records in one notification as the MTU lets through.
    """

    def __init__(
        self,
        air: LocalLink,
        address: str,
        name: str,
        *,
        service: int,
        stream: int,
        meter: Meter,
        cut_after: int | None = None,
        packed: bool = False,
    ) -> None:
        super().__init__(air, address, name, service)
        self.meter = meter
        self.asked: list[bytes] = []
        self.sent: list[bytes] = []
        self._stream, self._cut_after, self._packed = stream, cut_after, packed
        self._tasks: set[asyncio.Task[None]] = set()
        self.has(stream, Properties.NOTIFY)
        self.has(
            0x2A52,
            Properties.WRITE | Properties.INDICATE,
            CharacteristicValue(write=self._written),
        )

    def _written(self, _: BumbleConnection, data: bytes) -> None:
        task = asyncio.create_task(self._answer(bytes(data)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, data: bytes) -> None:
        self.asked.append(data)
        answer = self.meter.on_write(data)
        for said in self._in_packets(answer.records):
            if self._cut_after is not None and len(self.sent) >= self._cut_after:
                self._cut_after = None
                await self.hang_up()
                return
            self.sent.append(said)
            await self.notify(self._stream, said)
        await self.indicate(0x2A52, answer.indication)
        if answer.indication in _LAST_WORDS:
            self.heard_out.set()

    def _in_packets(self, records: Collection[bytes]) -> list[bytes]:
        if not self._packed:
            return list(records)
        packets = [b""] if records else []
        for record in records:
            if len(packets[-1]) + len(record) > self.mtu - 3:
                packets.append(b"")
            packets[-1] += record
        return packets


_LAST_WORDS = {
    encode_reply(Response(1, code)) for code in (ResponseCode.SUCCESS, ResponseCode.NONE_FOUND)
}
