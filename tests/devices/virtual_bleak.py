"""bleak on the virtual radio: the backend a system gives it, so that radio.py speaks true GATT."""

from typing import Any

from bleak.args import SizedBuffer
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient, NotifyCallback
from bleak.backends.descriptor import BleakGATTDescriptor
from bleak.backends.scanner import AdvertisementData, BaseBleakScanner
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import BleakError, BleakGATTProtocolError
from bleak.uuids import normalize_uuid_16
from bumble.att import ATT_Error
from bumble.core import BaseBumbleError
from bumble.device import Advertisement, Device, Peer
from bumble.device import Connection as BumbleConnection
from bumble.hci import Address
from virtual_radio import named_by, services_of, short


class _Scanner(BaseBleakScanner):
    device: Device

    def __init__(self, callback: Any, service_uuids: Any, *_: object, **__: object) -> None:
        super().__init__(callback, service_uuids)

    async def start(self) -> None:
        self.device.on("advertisement", self._advertised)
        await self.device.start_scanning()

    async def stop(self) -> None:
        self.device.remove_listener("advertisement", self._advertised)
        await self.device.stop_scanning()

    def _advertised(self, said: Advertisement) -> None:
        address, name = said.address.to_string(False), named_by(said)
        uuids = [normalize_uuid_16(one) for one in services_of(said)]
        data = AdvertisementData(name, {}, {}, uuids, None, said.rssi, ())
        found = self.create_or_update_device(address, address, name, said, data)
        self.call_detection_callbacks(found, data)


class _Client(BaseBleakClient):
    device: Device
    _link: BumbleConnection | None = None

    @property
    def mtu_size(self) -> int:
        return self._alive().att_mtu

    @property
    def is_connected(self) -> bool:
        return self._link is not None

    def _alive(self) -> BumbleConnection:
        if self._link is None:
            raise BleakError("Not connected")
        return self._link

    async def connect(self, pair: bool, **_: object) -> None:
        self._link = await self.device.connect(Address(self.address))
        self._link.on("disconnection", self._gone)
        if pair:
            await self._link.pair()
        self.services = BleakGATTServiceCollection()
        peer = Peer(self._link)
        await peer.discover_services()
        for service in peer.services:
            uuid = normalize_uuid_16(short(service.uuid))
            self.services.add_service(BleakGATTService(service, service.handle, uuid))
            for one in await service.discover_characteristics():
                uuid = normalize_uuid_16(short(one.uuid))
                of = self.services.services[service.handle]
                self.services.add_characteristic(
                    BleakGATTCharacteristic(one, one.handle, uuid, [], lambda: 20, of)
                )

    def _gone(self, _: int) -> None:
        self._link = None
        if self._disconnected_callback is not None:
            self._disconnected_callback()

    async def disconnect(self) -> None:
        if self._link is not None:
            await self._link.disconnect()

    async def pair(self, *_: object, **__: object) -> None:
        await self._alive().pair()

    async def unpair(self) -> None:
        raise NotImplementedError

    async def read_gatt_char(
        self, characteristic: BleakGATTCharacteristic, **_: object
    ) -> bytearray:
        self._alive()
        try:
            return bytearray(await characteristic.obj.read_value())
        except ATT_Error as error:
            raise BleakGATTProtocolError(error.error_code) from error

    async def read_gatt_descriptor(self, descriptor: BleakGATTDescriptor, **_: object) -> bytearray:
        raise NotImplementedError

    async def write_gatt_char(
        self, characteristic: BleakGATTCharacteristic, data: SizedBuffer, response: bool
    ) -> None:
        self._alive()
        try:
            await characteristic.obj.write_value(bytes(data), with_response=response)
        except BaseBumbleError as error:
            raise BleakError(str(error)) from error

    async def write_gatt_descriptor(self, *_: object) -> None:
        raise NotImplementedError

    async def start_notify(
        self, characteristic: BleakGATTCharacteristic, callback: NotifyCallback, **_: object
    ) -> None:
        self._alive()
        try:
            await characteristic.obj.subscribe(lambda value: callback(bytearray(value)))
        except ATT_Error as error:
            raise BleakGATTProtocolError(error.error_code) from error

    async def stop_notify(self, characteristic: BleakGATTCharacteristic) -> None:
        await characteristic.obj.unsubscribe()


def backends(device: Device) -> tuple[type[BaseBleakScanner], type[BaseBleakClient]]:
    """Scanner and client of bleak that go through this virtual device."""
    return type("Scanner", (_Scanner,), {"device": device}), type(
        "Client", (_Client,), {"device": device}
    )
