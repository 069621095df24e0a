"""The digital profile: the QR a person shows, the doctor's scan, the person's answer."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from sqlalchemy.ext.asyncio import AsyncSession

from api.problems import refuses
from api.sign_in import network_of
from people import shares
from people.codes import ShownCode
from people.policy import Act
from people.sessions import Caller
from people.shares import Answer, NewScan, Scan, Share, ShownPurpose


class NewCode(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a code is for, and whose it is: the caller's own, or a child's."""

    purpose: ShownPurpose
    person_id: UUID | None = None


@post(
    "/codes",
    operation_id="showCode",
    act=(Act.CONSENT, Act.CONSENT_FOR_CHILD_HEALTH),
    responses=refuses(400, 401, 403, 404, 413, 415),
)
async def show_code(
    data: JSONBody[NewCode],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> ShownCode:
    """A code for one use within five minutes; an older one of the caller's is worth nothing."""
    return await shares.show_code(db, caller.actor, data.purpose, data.person_id, now)


@post(
    "/scans",
    operation_id="scanCode",
    act=(Act.SCAN_QR, Act.CONSENT_FOR_CHILD_HEALTH),
    responses=refuses(400, 401, 403, 404, 413, 415, 429),
)
async def scan_code(
    request: Request[Any, Any, Any],
    data: JSONBody[NewScan],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> Scan:
    """Use up a code that somebody shows, and ask him to open what is named."""
    return await shares.scan(db, caller.actor, data, network_of(request), now)


@get(
    "/scans/{share_id:uuid}",
    operation_id="getScan",
    act=Act.SCAN_QR,
    quiet=True,
    responses=refuses(401, 404),
)
async def get_scan(
    share_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> Scan:
    """How the caller's own asking stands."""
    return await shares.get_scan(db, caller.actor, share_id, now)


@get(
    "/shares",
    operation_id="listShares",
    act=(Act.CONSENT, Act.CONSENT_FOR_CHILD_HEALTH),
    quiet=True,
    responses=refuses(401),
)
async def list_shares(
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> list[Share]:
    """Who asked for the caller's record, or for a child's, and what was opened; newest first."""
    return await shares.my_shares(db, caller.actor, now)


@post(
    "/shares/{share_id:uuid}/confirm",
    operation_id="confirmShare",
    status_code=200,
    act=(Act.CONSENT, Act.CONSENT_FOR_CHILD_HEALTH),
    responses=refuses(400, 401, 403, 404, 409, 413, 415),
)
async def confirm_share(
    share_id: FromPath[UUID],
    data: JSONBody[Answer],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> Share:
    """Open what is chosen to the doctor who asked, for so many hours."""
    return await shares.confirm(db, caller.actor, share_id, data, now)


@post(
    "/shares/{share_id:uuid}/refuse",
    operation_id="refuseShare",
    status_code=200,
    act=(Act.CONSENT, Act.CONSENT_FOR_CHILD_HEALTH),
    responses=refuses(401, 403, 404, 409),
)
async def refuse_share(
    share_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> Share:
    """Open nothing."""
    return await shares.refuse(db, caller.actor, share_id, now)


@post(
    "/shares/{share_id:uuid}/end",
    operation_id="endShare",
    status_code=200,
    act=(Act.CONSENT, Act.CONSENT_FOR_CHILD_HEALTH),
    responses=refuses(401, 403, 404, 409),
)
async def end_share(
    share_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> Share:
    """Close what was opened; the next look shows nothing. Closing twice is closing."""
    return await shares.end_share(db, caller.actor, share_id, now)


ROUTES = [show_code, scan_code, get_scan, list_shares, confirm_share, refuse_share, end_share]
