"""What handlers are given by name: the transaction, the clock, the caller, the device.

One request is one transaction. Litestar closes the `db` generator before the answer starts, so a
commit that fails is a 5xx and never a 2xx; what the request announced goes out after the commit.
"""

from collections.abc import AsyncGenerator
from datetime import datetime
from typing import Any

from litestar import Request
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from sqlalchemy.ext.asyncio import AsyncSession

from api.house import House
from people.device_tokens import KnownDevice
from people.refused import NotSignedIn
from people.sessions import Caller, session_person
from people.step_up import EnrolmentNeeded
from storage.settings import Settings


def cookie_name(settings: Settings) -> str:
    """The session cookie; over TLS bound to this host by its prefix (RFC 6265bis)."""
    return "__Host-yanasha" if settings.secure_cookies else "yanasha"


def house_of(state: State) -> House:
    """The process's house."""
    house: House = state.house
    return house


def asked(request: Request[Any, Any, Any]) -> str:
    """The operation a request asks for, never the path a client typed."""
    return f"{request.method} {request.scope.get('path_template', '-')}"


async def transaction(
    request: Request[Any, Any, Any],
    house: NamedDependency[House],
    now: NamedDependency[datetime],  # noqa: ARG001 - two at a time would cost a group of tasks
) -> AsyncGenerator[AsyncSession, None]:
    """The request's transaction."""
    async with house.transaction(asked(request)) as db:
        yield db


def now_of(house: NamedDependency[House]) -> datetime:
    """One time for the whole request."""
    return house.clock()


async def caller_of(
    request: Request[Any, Any, Any],
    house: NamedDependency[House],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> Caller:
    """Who stands behind the session cookie. Raises NotSignedIn, EnrolmentNeeded.

    A route that pages poll is `quiet`: being asked does not keep the session awake.
    """
    token = request.cookies.get(cookie_name(house.settings))
    if not token:
        raise NotSignedIn
    quietly = bool(request.route_handler.opt.get("quiet"))
    caller = await session_person(db, token, now, quietly=quietly)
    if caller.enrolling and not request.route_handler.opt.get("enrolling"):
        raise EnrolmentNeeded
    return caller


async def sender_of(
    request: Request[Any, Any, Any],
    house: NamedDependency[House],
    now: NamedDependency[datetime],
) -> Caller:
    """The caller, looked up in a transaction of its own: for what the ingest writer stores.

    A request that held a connection while waiting for the writer's would starve it.
    """
    async with house.transaction() as db:
        return await caller_of(request, house, db, now)


async def device_by_token(
    request: Request[Any, Any, Any],
    house: NamedDependency[House],
    now: NamedDependency[datetime],
) -> KnownDevice:
    """The device behind `Authorization: Bearer …`, looked up as by `sender_of`, or known of late.

    Raises NotSignedIn; the ingest writer looks once more, in the transaction that stores.
    """
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise NotSignedIn
    return await house.devices.of(token.strip(), now)


DEPENDENCIES = {
    "house": Provide(house_of, sync_to_thread=False),
    "db": Provide(transaction),
    "now": Provide(now_of, sync_to_thread=False),
    "caller": Provide(caller_of),
    "sender": Provide(sender_of),
    "device": Provide(device_by_token),
}
