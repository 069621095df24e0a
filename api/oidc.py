"""Signing in with, and linking, an account of an outside provider (OpenID Connect).

The browser leaves for the provider and comes back to `/oidc/callback`, which changes nothing: it
hands code and state to the page behind the hash, and the page posts them. No transaction is open
while the provider is asked.
"""

from datetime import datetime
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from litestar import Request, Response, delete, get, post
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from sqlalchemy.ext.asyncio import AsyncSession

from api.db import asked, cookie_name
from api.house import House
from api.problems import refuses
from api.sign_in import let_in_answer, network_of
from people import identities
from people.identities import JOURNEY, Account, Identity
from people.oidc import Provider
from people.persons import Me
from people.policy import ANONYMOUS, Act, Actor
from people.refused import NotFound
from people.second_factors import SecondStep
from people.sessions import Caller
from people.step_up import require_fresh
from storage.settings import Settings


class SignInWays(msgspec.Struct, frozen=True):
    """Which ways in there are beside password and card: the provider's name, if there is one."""

    outside: str | None


class Departure(msgspec.Struct, frozen=True):
    """Where the browser goes to."""

    url: str


class Return(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the provider sent back with the browser."""

    code: Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]
    state: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


def _provider(house: House) -> Provider:
    if house.provider is None:
        raise NotFound
    return house.provider


def _journey_name(settings: Settings) -> str:
    return f"{cookie_name(settings)}-journey"


def _journey_cookie(settings: Settings, token: str, max_age_s: int) -> Cookie:
    """Only the page that set out can come back."""
    return Cookie(
        key=_journey_name(settings),
        value=token,
        max_age=max_age_s,
        path="/",
        httponly=True,
        secure=settings.secure_cookies,
        samesite="strict",
    )


async def _depart(house: House, token: str, now: datetime) -> Response[Departure]:
    url = await _provider(house).door(identities.journey_of(token), now)
    cookie = _journey_cookie(house.settings, token, int(JOURNEY.total_seconds()))
    return Response(Departure(url), cookies=[cookie])


async def _account(
    house: House, back: Return, token: str | None, now: datetime, *, links: Actor = ANONYMOUS
) -> Account:
    """Whom the provider means by what came back."""
    provider = _provider(house)
    async with house.transaction() as db:
        journey = await identities.come_back(db, token, back.state, now, links=links)
    return Account(provider.issuer, await provider.subject(back.code, journey, now))


@get("/sign-in/ways", operation_id="signInWays", act=Act.SIGN_IN, responses=refuses())
async def sign_in_ways(house: NamedDependency[House]) -> SignInWays:
    """Whether there is a provider to sign in with."""
    return SignInWays(house.provider.name if house.provider else None)


@post(
    "/oidc/start",
    operation_id="startOutside",
    act=Act.SIGN_IN,
    responses=refuses(403, 404, 429),
)
async def start_outside(
    request: Request[Any, Any, Any], house: NamedDependency[House], now: NamedDependency[datetime]
) -> Response[Departure]:
    """Set out to the provider to sign in."""
    _provider(house)
    async with house.transaction() as db:
        token = await identities.set_out_to_sign_in(db, network_of(request), now)
    return await _depart(house, token, now)


@get("/oidc/callback", operation_id="comeBack", status_code=303, act=Act.SIGN_IN)
async def come_back(request: Request[Any, Any, Any]) -> Response[None]:
    """Hand what the provider says to the page; nothing is changed by following a link."""
    said = {name: request.query_params.get(name, "")[:2000] for name in ("code", "state")}
    if not all(said.values()) or "error" in request.query_params:
        said = {"error": "refused"}
    headers = {"Location": f"/#/enter/oidc?{urlencode(said)}"}
    return Response(None, headers=headers)


@post(
    "/oidc/finish",
    operation_id="finishOutside",
    act=Act.SIGN_IN,
    responses=refuses(400, 403, 404, 413, 415, 429),
)
async def finish_outside(
    data: JSONBody[Return],
    request: Request[Any, Any, Any],
    house: NamedDependency[House],
    now: NamedDependency[datetime],
) -> Response[Me | SecondStep]:
    """Open a session for whom the provider means, if that account is linked to somebody."""
    token = request.cookies.get(_journey_name(house.settings))
    account = await _account(house, data, token, now)
    async with house.transaction(asked(request)) as db:
        found = await identities.enter_by_identity(
            db,
            account,
            network_of(request),
            now,
            required=house.settings.staff_factor_required,
        )
    answer = let_in_answer(house, found, now)
    answer.set_cookie(_journey_cookie(house.settings, "", 0))
    return answer


@get("/identities", operation_id="listIdentities", act=Act.ACCOUNT, responses=refuses(401))
async def list_identities(
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> list[Identity]:
    """The caller's linked accounts of the provider."""
    return await identities.list_identities(db, caller.actor, now)


@post(
    "/identities/start",
    operation_id="startLinking",
    act=Act.ACCOUNT,
    responses=refuses(401, 403, 404),
)
async def start_linking(
    sender: NamedDependency[Caller],
    house: NamedDependency[House],
    now: NamedDependency[datetime],
) -> Response[Departure]:
    """Set out to the provider to link an account of it to one's own here."""
    _provider(house)
    require_fresh(sender, now)
    async with house.transaction() as db:
        token = await identities.set_out_to_link(db, sender.actor, now)
    return await _depart(house, token, now)


@post(
    "/identities",
    operation_id="linkIdentity",
    status_code=204,
    act=Act.ACCOUNT,
    responses=refuses(400, 401, 403, 404, 409, 413, 415),
)
async def link_identity(
    data: JSONBody[Return],
    request: Request[Any, Any, Any],
    sender: NamedDependency[Caller],
    house: NamedDependency[House],
    now: NamedDependency[datetime],
) -> None:
    """Link the account that the provider means to the caller."""
    token = request.cookies.get(_journey_name(house.settings))
    account = await _account(house, data, token, now, links=sender.actor)
    async with house.transaction(asked(request)) as db:
        await identities.link_identity(db, sender.actor, account, now)


@delete(
    "/identities/{identity_id:uuid}",
    operation_id="unlinkIdentity",
    act=Act.ACCOUNT,
    responses=refuses(401, 403, 404),
)
async def unlink_identity(
    identity_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> None:
    """Forget one of the caller's linked accounts."""
    await identities.unlink_identity(db, caller.actor, identity_id, now)


ROUTES = [
    sign_in_ways,
    start_outside,
    come_back,
    finish_outside,
    list_identities,
    start_linking,
    link_identity,
    unlink_identity,
]
