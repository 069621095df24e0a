"""The caller's own home devices."""

from datetime import datetime
from uuid import UUID

from litestar import delete, get
from litestar.di import NamedDependency
from litestar.params import FromPath
from sqlalchemy.ext.asyncio import AsyncSession

from api.problems import refuses
from people import device_tokens
from people.device_tokens import Device
from people.policy import Act
from people.sessions import Caller


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


ROUTES = [list_devices, revoke_device]
