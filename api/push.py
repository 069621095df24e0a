"""A browser that allows push."""

from datetime import datetime

from litestar import post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from sqlalchemy.ext.asyncio import AsyncSession

from api.problems import refuses
from people import notice_settings
from people.notice_settings import NewBrowser, NoticeTarget
from people.policy import Act
from people.sessions import Caller


@post(
    "/notices/push",
    operation_id="addPush",
    status_code=201,
    act=Act.ACCOUNT,
    responses=refuses(400, 401, 403, 413, 415, 422),
)
async def add_push(
    data: JSONBody[NewBrowser],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> NoticeTarget:
    """Send push to this browser from now on."""
    return await notice_settings.add_browser(db, caller.actor, data, now)


ROUTES = [add_push]
