"""What the gateway asks of a radio: hear devices, connect to one, read, write, subscribe.

    LinkError
      NotReached   the device went to sleep or out of reach before it was connected
      LinkLost     the connection ended while something was asked of it
      NotPaired    the device answers only those it has been paired with

`radio.py` implements it with bleak; tests with two virtual controllers. Characteristics are named
by their 16 bits, as in the Bluetooth SIG's lists.
"""

from collections.abc import Callable, Collection
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol

import msgspec

SERVICES: Final = {
    0x1808: "glucose",
    0x1809: "thermometer",
    0x180D: "heart rate",
    0x1810: "blood pressure",
    0x181D: "weight",
    0x181F: "continuous glucose",
    0x1822: "pulse oximeter",
}


class LinkError(Exception):
    """The radio could not do what was asked; `code` is a stable word for the state shown."""

    code = "link_error"


class NotReached(LinkError):  # noqa: N818 - a fact
    """The device went away before it was connected."""

    code = "not_reached"


class LinkLost(LinkError):  # noqa: N818 - a fact
    """The connection ended."""

    code = "link_lost"


class NotPaired(LinkError):  # noqa: N818 - a fact
    """The device answers only those it has been paired with."""

    code = "not_paired"


class Seen(msgspec.Struct, frozen=True):
    """A device that advertised. `address` is what the radio knows it by, no more."""

    address: str
    name: str
    services: frozenset[int]


class Connection(Protocol):
    """An open connection; every method may raise LinkError."""

    @property
    def characteristics(self) -> Collection[int]:
        """The 16-bit characteristics the device has."""

    async def read(self, characteristic: int) -> bytes:
        """The value."""

    async def write(self, characteristic: int, data: bytes) -> None:
        """Write, and wait for the device's word that it has it."""

    async def subscribe(self, characteristic: int, heard: Callable[[bytes], None]) -> None:
        """Have every indication or notification, each confirmed if it wants to be."""

    async def ended(self) -> None:
        """Return when the connection has ended, whoever ended it."""


class Link(Protocol):
    """A radio."""

    def scan(self, heard: Callable[[Seen], None]) -> AbstractAsyncContextManager[None]:
        """Listen while entered; `heard` may be told of one device many times."""

    def connect(self, seen: Seen, *, pair: bool = False) -> AbstractAsyncContextManager[Connection]:
        """Connect while entered, paired first if asked; NotReached, NotPaired."""
