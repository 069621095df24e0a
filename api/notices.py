"""The caller's own notices, and how many wait: asked by an open page, answered when it changes."""

import asyncio
from contextlib import suppress
from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from sqlalchemy.ext.asyncio import AsyncSession

from api import live
from api.house import House
from api.live import Tab
from api.problems import refuses
from people import notices
from people.notices import NoticeList, Unread
from people.policy import Act
from people.refused import NotSignedIn
from people.sessions import Caller, session_alive

# Below what proxies and phones cut off.
WAIT_MAX_S = 25


class ReadUntil(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The newest notice that was on the screen when everything was marked as read."""

    at: Annotated[datetime, msgspec.Meta(tz=True)]


@get("/notices", operation_id="listNotices", act=Act.ACCOUNT, responses=refuses(400, 401, 403, 404))
async def list_notices(
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
    before: FromQuery[UUID | None] = None,
) -> NoticeList:
    """The caller's notices, newest first; those older than `before`."""
    return await notices.list_notices(db, caller.actor, now, before=before)


@get(
    "/notices/unread",
    operation_id="unreadNotices",
    act=Act.ACCOUNT,
    quiet=True,
    responses=refuses(400, 401, 403),
)
async def unread(
    sender: NamedDependency[Caller],
    house: NamedDependency[House],
    wait_s: Annotated[int, QueryParameter(ge=0, le=WAIT_MAX_S)] = 0,
    known: FromQuery[int | None] = None,
) -> Unread:
    """How many notices wait. With `wait_s`: as soon as they are not `known` many, or then.

    Asking keeps no session awake; one that ends ends the waiting.
    """
    tab = Tab()
    # Heard before it is counted, so that nothing falls between.
    house.live.join(tab, [live.notices(sender.person_id), live.session(sender.session_id)])
    try:
        found = await _count(house, sender)
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s if found.count == known else 0):
                while found.count == known:
                    await _changed(tab)
                    found = await _count(house, sender)
        return found
    finally:
        house.live.leave(tab)


async def _changed(tab: Tab) -> None:
    """Sleep until something changed, or the session is over."""
    ended = asyncio.create_task(tab.wait())
    hinted = asyncio.create_task(tab.hints())
    try:
        await asyncio.wait([ended, hinted], return_when=asyncio.FIRST_COMPLETED)
    finally:
        ended.cancel()
        hinted.cancel()


async def _count(house: House, asker: Caller) -> Unread:
    """Count in a transaction of its own: who waits holds no connection."""
    async with house.transaction("GET /notices/unread") as db:
        now = house.clock()
        if not await session_alive(db, asker.session_id, now):
            raise NotSignedIn
        return await notices.unread(db, asker.actor, now)


@post(
    "/notices/{notice_id:uuid}/read",
    operation_id="readNotice",
    status_code=204,
    act=Act.ACCOUNT,
    responses=refuses(401, 403, 404),
)
async def read_notice(
    notice_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> None:
    """Mark one of the caller's notices as read."""
    await notices.read_notice(db, caller.actor, notice_id, now)


@post(
    "/notices/read",
    operation_id="readNotices",
    status_code=204,
    act=Act.ACCOUNT,
    responses=refuses(400, 401, 403, 413, 415),
)
async def read_all(
    data: JSONBody[ReadUntil],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> None:
    """Mark every notice that came until then as read."""
    await notices.read_all(db, caller.actor, data.at, now)


ROUTES = [list_notices, unread, read_notice, read_all]
