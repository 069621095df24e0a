"""Where and when the caller is told when no page is open."""

from datetime import datetime
from uuid import UUID

import msgspec
from litestar import delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from sqlalchemy.ext.asyncio import AsyncSession

from api.house import House
from api.problems import refuses
from people import notice_settings, notice_ways
from people.notice_settings import (
    Confirmation,
    NewAddress,
    NoticeTarget,
    NoticeWays,
    QuietChanges,
    Switch,
)
from people.notice_targets import NoticeWay
from people.notice_ways import NoticeOffers
from people.policy import Act
from people.sessions import Caller
from storage.secrets import secret


class Ways(msgspec.Struct, frozen=True):
    """What the caller chose, and what this installation can carry."""

    ways: NoticeWays
    offers: NoticeOffers


@get("/notices/ways", operation_id="noticeWays", act=Act.ACCOUNT, responses=refuses(401, 403))
async def get_ways(
    caller: NamedDependency[Caller],
    house: NamedDependency[House],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> Ways:
    """Where and when the caller is told."""
    found = await notice_settings.ways(db, caller.actor, now)
    return Ways(found, notice_ways.offers(house.settings))


@put(
    "/notices/quiet",
    operation_id="setQuietHours",
    act=Act.ACCOUNT,
    responses=refuses(400, 401, 403, 413, 415, 422),
)
async def set_quiet(
    data: JSONBody[QuietChanges],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> NoticeWays:
    """Change the caller's quiet hours."""
    return await notice_settings.set_quiet(db, caller.actor, data, now)


@put(
    "/notices/mail",
    operation_id="setNoticeMail",
    status_code=202,
    act=Act.ACCOUNT,
    responses=refuses(400, 401, 403, 413, 415, 422, 429),
)
async def set_mail(
    data: JSONBody[NewAddress],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> NoticeTarget:
    """Name an address; the code that proves it is on its way."""
    return await notice_settings.set_address(db, caller.actor, NoticeWay.MAIL, data, now)


@put(
    "/notices/sms",
    operation_id="setNoticeSms",
    status_code=202,
    act=Act.ACCOUNT,
    responses=refuses(400, 401, 403, 413, 415, 422, 429),
)
async def set_sms(
    data: JSONBody[NewAddress],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> NoticeTarget:
    """Name a number; the code that proves it is on its way."""
    return await notice_settings.set_address(db, caller.actor, NoticeWay.SMS, data, now)


@post(
    "/notices/targets/{target_id:uuid}/confirm",
    operation_id="confirmNoticeTarget",
    status_code=200,
    act=Act.ACCOUNT,
    responses=refuses(400, 401, 403, 404, 413, 415, 422),
)
async def confirm(  # noqa: PLR0917 - called by name
    target_id: FromPath[UUID],
    data: JSONBody[Confirmation],
    caller: NamedDependency[Caller],
    house: NamedDependency[House],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> NoticeTarget:
    """Use an address from now on: its owner has the code."""
    key = secret(house.settings.home, "notice-codes")
    return await notice_settings.confirm(db, caller.actor, target_id, data, now, key=key)


@put(
    "/notices/targets/{target_id:uuid}",
    operation_id="switchNoticeTarget",
    act=Act.ACCOUNT,
    responses=refuses(400, 401, 403, 404, 413, 415),
)
async def switch(
    target_id: FromPath[UUID],
    data: JSONBody[Switch],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> NoticeTarget:
    """Use a way, or leave it unused."""
    return await notice_settings.switch(db, caller.actor, target_id, data, now)


@delete(
    "/notices/targets/{target_id:uuid}",
    operation_id="removeNoticeTarget",
    act=Act.ACCOUNT,
    responses=refuses(401, 403, 404),
)
async def remove(
    target_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> None:
    """Forget an address, number or browser."""
    await notice_settings.remove(db, caller.actor, target_id, now)


ROUTES = [get_ways, set_quiet, set_mail, set_sms, confirm, switch, remove]
