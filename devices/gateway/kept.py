"""What the buffer holds: devices, bytes as they came, readings and what is known of them."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

import msgspec


class State(StrEnum):
    """What is known of a reading."""

    HERE = "here"
    SENT = "sent"
    STORED = "stored"
    REFUSED = "refused"


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """A device as it was added. `zone`: of its clock; `token`: of the device, at the server.

    `user`: whose readings are taken of a device that several people share, by its own number.
    """

    address: str
    name: str
    model: str
    zone: str
    user: int | None = None
    server: str
    token: str


class Known(Setup, frozen=True, kw_only=True):
    """A device that was added here; `trouble`: of its last connection, empty for a good one."""

    id: int
    heard_at: datetime | None
    trouble: str
    refused_by_server: str


class Heard(msgspec.Struct, frozen=True):
    """Bytes as they came. `read`: values of the device that are needed to understand them."""

    characteristic: int
    data: bytes
    received_at: datetime
    read: Mapping[int, bytes] = {}


class Message(msgspec.Struct, frozen=True):
    """Bytes that were written down and nobody has looked at yet."""

    id: int
    device_id: int
    heard: Heard


class Counts(msgspec.Struct, frozen=True):
    """Readings of one device by state; `refused` and `doubts` by code."""

    here: int
    sent: int
    stored: int
    refused: dict[str, int]
    doubts: dict[str, int]
