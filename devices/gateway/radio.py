"""A real radio: the link over bleak, on Linux (BlueZ), macOS and Windows.

bleak is installed from requirements/gateway.txt; the server does not need it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Final

from bleak import BleakClient, BleakScanner
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData, BaseBleakScanner
from bleak.exc import BleakError, BleakGATTProtocolError, BleakGATTProtocolErrorCode

from devices.gateway.link import Connection, LinkLost, NotPaired, NotReached, Seen

# A step that takes longer does not end: a device asleep, a driver that hangs.
STEP_S: Final = 30.0
_BASE: Final = "-0000-1000-8000-00805f9b34fb"
_TROUBLE: Final = (BleakError, OSError, TimeoutError, EOFError)
_WANTS_PAIRING: Final = frozenset(
    {
        BleakGATTProtocolErrorCode.INSUFFICIENT_AUTHENTICATION,
        BleakGATTProtocolErrorCode.INSUFFICIENT_AUTHORIZATION,
        BleakGATTProtocolErrorCode.INSUFFICIENT_ENCRYPTION,
    }
)


class Radio:
    """The machine's Bluetooth adapter. Other backends than the system's are for tests."""

    def __init__(
        self,
        *,
        scanner: type[BaseBleakScanner] | None = None,
        client: type[BaseBleakClient] | None = None,
    ) -> None:
        self._scanner, self._client = scanner, client
        self._devices: dict[str, BLEDevice] = {}

    @asynccontextmanager
    async def scan(self, heard: Callable[[Seen], None]) -> AsyncIterator[None]:
        """Listen while entered."""

        def detected(device: BLEDevice, said: AdvertisementData) -> None:
            # A device must be connected by what was scanned: addresses mean nothing on macOS.
            self._devices[device.address] = device
            services = frozenset(filter(None, map(short, said.service_uuids)))
            heard(Seen(device.address, said.local_name or device.name or "", services))

        # Not by service: some cuffs advertise their maker's own and have the standard one inside.
        scanner = BleakScanner(detected, backend=self._scanner)
        # Passers-by change their addresses all day: only those of the last look are remembered.
        self._devices.clear()
        with _link_errors(NotReached):
            async with asyncio.timeout(STEP_S):
                await scanner.start()
        try:
            yield
        finally:
            with suppress(*_TROUBLE):  # the adapter is gone
                async with asyncio.timeout(STEP_S):
                    await scanner.stop()

    @asynccontextmanager
    async def connect(self, seen: Seen, *, pair: bool = False) -> AsyncIterator[Connection]:
        """Connect while entered."""
        ended = asyncio.Event()
        client = BleakClient(
            self._devices.get(seen.address, seen.address),
            disconnected_callback=lambda _: ended.set(),
            timeout=STEP_S,
            pair=pair,
            backend=self._client,
        )
        with _link_errors(NotReached):
            async with asyncio.timeout(STEP_S):
                await client.connect()
        try:
            yield _Connected(client, ended)
        finally:
            with suppress(*_TROUBLE):  # it is gone already
                async with asyncio.timeout(STEP_S):
                    await client.disconnect()


class _Connected:
    """One connection."""

    def __init__(self, client: BleakClient, ended: asyncio.Event) -> None:
        self._client, self._ended = client, ended
        # A device with two services that share a characteristic (0x2A52) has it twice.
        self._found: dict[int, BleakGATTCharacteristic] = {}
        for one in client.services.characteristics.values():
            number = short(one.uuid)
            if number is not None:
                self._found.setdefault(number, one)

    @property
    def characteristics(self) -> Collection[int]:
        return self._found

    async def read(self, characteristic: int) -> bytes:
        with _link_errors(LinkLost):
            async with asyncio.timeout(STEP_S):
                return bytes(await self._client.read_gatt_char(self._found[characteristic]))

    async def write(self, characteristic: int, data: bytes) -> None:
        with _link_errors(LinkLost):
            async with asyncio.timeout(STEP_S):
                await self._client.write_gatt_char(self._found[characteristic], data, response=True)

    async def subscribe(self, characteristic: int, heard: Callable[[bytes], None]) -> None:
        def came(_: BleakGATTCharacteristic, data: bytearray) -> None:
            heard(bytes(data))

        with _link_errors(LinkLost):
            async with asyncio.timeout(STEP_S):
                await self._client.start_notify(self._found[characteristic], came)

    async def ended(self) -> None:
        await self._ended.wait()


def short(uuid: str) -> int | None:
    """The 16 bits of a Bluetooth SIG number; None for a maker's own."""
    uuid = uuid.lower()
    if len(uuid) != 36 or not uuid.startswith("0000") or not uuid.endswith(_BASE):  # noqa: PLR2004 - as text
        return None
    return int(uuid[4:8], 16)


@contextmanager
def _link_errors(else_: type[NotReached | LinkLost]) -> Iterator[None]:
    """Whatever the radio raises, in the gateway's words."""
    try:
        yield
    except BleakGATTProtocolError as error:
        if error.code in _WANTS_PAIRING:
            raise NotPaired(str(error)) from error
        raise else_(str(error)) from error
    except _TROUBLE as error:
        raise else_(f"Bluetooth: {str(error) or type(error).__name__}") from error
