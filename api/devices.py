"""The caller's own home devices."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from litestar import delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from sqlalchemy.ext.asyncio import AsyncSession

from api.charts import KindName
from api.problems import refuses
from people import device_tokens
from people.device_tokens import Device
from people.policy import Act
from people.sessions import Caller

# What the devices that are added by hand or by the page are: they send readings with a token.
HOME = "home"


class NewHomeDevice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A device of the caller's own, and what it may send."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=80)]
    kinds: Annotated[list[KindName | Literal["ecg"]], msgspec.Meta(min_length=1, max_length=16)]


class AddedDevice(msgspec.Struct, frozen=True):
    """The device and its token, which is shown this once."""

    id: UUID
    name: str
    kinds: list[str]
    token: str


@post(
    "/devices",
    operation_id="addDevice",
    act=Act.OWN_DEVICES,
    responses=refuses(400, 401, 403, 409, 413, 415, 422),
)
async def add_device(
    data: JSONBody[NewHomeDevice],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> AddedDevice:
    """Add a device of the caller's own: a home gateway sends with its token."""
    new = device_tokens.NewDevice(data.name, HOME, sorted(set(data.kinds)))
    known, token = await device_tokens.add_device(db, caller.actor, caller.person_id, new, now)
    return AddedDevice(known.id, known.name, list(known.kinds), token)


@get("/devices", operation_id="listDevices", act=Act.OWN_DEVICES, responses=refuses(401))
async def list_devices(
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> list[Device]:
    """The caller's devices whose tokens hold."""
    return await device_tokens.list_devices(db, caller.actor, caller.person_id, now)


@delete(
    "/devices/{device_id:uuid}",
    operation_id="revokeDevice",
    act=Act.OWN_DEVICES,
    responses=refuses(401, 403, 404),
)
async def revoke_device(
    device_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> None:
    """End a device's token for good; its socket closes."""
    await device_tokens.revoke_device(db, caller.actor, device_id, now)


ROUTES = [list_devices, add_device, revoke_device]
