"""Signing in: login and password, the second step, a passkey alone."""

from datetime import datetime
from typing import Any

from litestar import Request, Response, post
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.params import JSONBody
from sqlalchemy.ext.asyncio import AsyncSession

from api.db import asked, cookie_name
from api.house import House
from api.problems import refuses
from people.first_administrator import FirstAdministrator, begin
from people.passkeys import KeyAnswer, KeyQuestion
from people.passwords import as_long_as_a_look
from people.persons import Me
from people.policy import Act
from people.proofs import (
    SecondStepAsked,
    SecondStepTaken,
    ask_alone,
    ask_second,
    sign_in_by_key,
    take_second,
)
from people.second_factors import SecondStep, SignedInAs
from people.sessions import NewSession
from people.sign_in import NotLookedAt, SignIn, sign_in
from storage.secrets import secret
from storage.settings import Settings


def session_cookie(settings: Settings, token: str, max_age_s: int) -> Cookie:
    """The session cookie: no script reads it, no other site sends it with a form."""
    return Cookie(
        key=cookie_name(settings),
        value=token,
        max_age=max_age_s,
        path="/",
        httponly=True,
        secure=settings.secure_cookies,
        samesite="lax",
    )


def network_of(request: Request[Any, Any, Any]) -> str:
    """The caller's address: the peer's, or what our own proxy says of it."""
    return request.client.host if request.client else ""


def origin_of(request: Request[Any, Any, Any], house: House) -> str:
    """The page of ours that asks; a browser signs it into what its passkeys answer."""
    origin = request.headers.get("Origin")
    return origin if origin in house.settings.origins else house.settings.origins[0]


def factor_key(house: House) -> bytes:
    """What secrets of second factors are sealed with."""
    return secret(house.settings.home, "second-factors")


def signed_in(house: House, found: SignedInAs, now: datetime) -> Response[Me]:
    """Whoever is in now, and the cookie of the session."""
    return Response(found.me, cookies=[renewed(house, found.session, now)])


def let_in_answer(
    house: House, found: SignedInAs | SecondStep, now: datetime
) -> Response[Me | SecondStep]:
    """Whoever is in now with the session's cookie, or what is asked next."""
    if isinstance(found, SecondStep):
        return Response(found)
    return Response(found.me, cookies=[renewed(house, found.session, now)])


def renewed(house: House, session: NewSession, now: datetime) -> Cookie:
    """The cookie of a session that has a new token."""
    life_s = int((session.expires_at - now).total_seconds())
    return session_cookie(house.settings, session.token, life_s)


@post(
    "/sign-in",
    operation_id="signIn",
    act=Act.SIGN_IN,
    responses=refuses(400, 401, 403, 413, 415, 429),
)
async def sign_in_route(
    data: JSONBody[SignIn],
    request: Request[Any, Any, Any],
    house: NamedDependency[House],
    now: NamedDependency[datetime],
) -> Response[Me | SecondStep]:
    """Open a session with login and password, or ask who has a second factor for it."""
    required, network = house.settings.staff_factor_required, network_of(request)
    try:
        # Whoever waits for a turn holds no connection: the first query takes one. And whoever is
        # told to come later holds neither.
        async with house.transaction(asked(request)) as db, house.door.turn(network):
            found = await sign_in(
                db, data.login, data.password, network, now, factor_required=required
            )
    except NotLookedAt:
        await as_long_as_a_look()
        raise
    return let_in_answer(house, found, now)


@post(
    "/sign-in/second-step",
    operation_id="takeSecondStep",
    act=Act.SIGN_IN,
    responses=refuses(400, 401, 403, 413, 415, 429),
)
async def second_step(
    data: JSONBody[SecondStepTaken],
    request: Request[Any, Any, Any],
    house: NamedDependency[House],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> Response[Me]:
    """Open the session with the second proof."""
    found = await take_second(db, factor_key(house), data, network_of(request), now)
    return signed_in(house, found, now)


@post(
    "/sign-in/second-step/passkey",
    operation_id="askSecondPasskey",
    act=Act.SIGN_IN,
    responses=refuses(400, 401, 403, 413, 415, 429),
)
async def second_step_question(
    data: JSONBody[SecondStepAsked],
    request: Request[Any, Any, Any],
    house: NamedDependency[House],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> KeyQuestion:
    """What a passkey has to answer at the second step."""
    return await ask_second(db, data, origin_of(request, house), network_of(request), now)


@post(
    "/sign-in/passkey/question",
    operation_id="askPasskey",
    act=Act.SIGN_IN,
    responses=refuses(403, 429),
)
async def passkey_question(
    request: Request[Any, Any, Any],
    house: NamedDependency[House],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> KeyQuestion:
    """What a passkey has to answer as the only step."""
    return await ask_alone(db, origin_of(request, house), network_of(request), now)


@post(
    "/sign-in/passkey",
    operation_id="signInByPasskey",
    act=Act.SIGN_IN,
    responses=refuses(400, 403, 413, 415, 429),
)
async def passkey_route(
    data: JSONBody[KeyAnswer],
    request: Request[Any, Any, Any],
    house: NamedDependency[House],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> Response[Me]:
    """Open a session with a passkey alone."""
    return signed_in(house, await sign_in_by_key(db, data, network_of(request), now), now)


@post(
    "/first-administrator",
    operation_id="beginAsFirstAdministrator",
    act=Act.SIGN_IN,
    responses=refuses(400, 403, 404, 409, 413, 415, 422, 429),
)
async def first_administrator(
    data: JSONBody[FirstAdministrator],
    request: Request[Any, Any, Any],
    house: NamedDependency[House],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> Response[Me]:
    """Make the first organisation and its administrator, with the code printed on the machine."""
    required = house.settings.staff_factor_required
    found = await begin(db, data, network_of(request), now, required=required)
    return signed_in(house, found, now)


ROUTES = [
    sign_in_route,
    second_step,
    second_step_question,
    passkey_question,
    passkey_route,
    first_administrator,
]
