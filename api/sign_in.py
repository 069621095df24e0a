"""POST /sign-in."""

from datetime import datetime
from typing import Any

from litestar import Request, Response, post
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.params import JSONBody
from sqlalchemy.ext.asyncio import AsyncSession

from api.db import cookie_name
from api.house import House
from api.problems import refuses
from people.persons import Me
from people.policy import Act
from people.sign_in import SignIn, sign_in
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
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> Response[Me]:
    """Open a session with login and password."""
    found = await sign_in(db, data.login, data.password, network_of(request), now)
    life_s = int((found.session.expires_at - now).total_seconds())
    return Response(found.me, cookies=[session_cookie(house.settings, found.session.token, life_s)])


ROUTES = [sign_in_route]
