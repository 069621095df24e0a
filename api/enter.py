"""Getting in by a card or a one-time link, a new password by a link, and asking for help."""

from datetime import datetime, timedelta
from typing import Any, Final

from litestar import Request, Response, post
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.params import JSONBody
from sqlalchemy.ext.asyncio import AsyncSession

from api.db import cookie_name
from api.house import House
from api.problems import refuses
from api.sign_in import let_in_answer, network_of
from people.asking import AskForHelp, ask_for_help
from people.entering import Shown, enter
from people.new_password import NewPassword, set_new_password
from people.persons import Me
from people.policy import Act
from people.second_factors import SecondStep
from storage.settings import Settings

# As long as browsers keep a cookie at most (RFC 6265bis, 5.5).
_KNOWN_FOR: Final = timedelta(days=400)


def browser_name(settings: Settings) -> str:
    """The cookie by which a card is known on this browser; signing out makes it forgotten."""
    return f"{cookie_name(settings)}-browser"


def browser_cookie(settings: Settings, token: str) -> Cookie:
    """Sent by our own pages only: no way in from elsewhere needs it."""
    return Cookie(
        key=browser_name(settings),
        value=token,
        max_age=int(_KNOWN_FOR.total_seconds()),
        path="/",
        httponly=True,
        secure=settings.secure_cookies,
        samesite="strict",
    )


@post(
    "/enter", operation_id="enter", act=Act.SIGN_IN, responses=refuses(400, 403, 404, 413, 415, 429)
)
async def enter_route(
    data: JSONBody[Shown],
    request: Request[Any, Any, Any],
    house: NamedDependency[House],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> Response[Me | SecondStep]:
    """Open a session with what a card's or a link's QR says."""
    browser = request.cookies.get(browser_name(house.settings))
    entered = await enter(db, data, browser, network_of(request), now)
    answer = let_in_answer(house, entered.found, now)
    if entered.browser is not None:
        answer.set_cookie(browser_cookie(house.settings, entered.browser))
    return answer


@post(
    "/enter/password",
    operation_id="setNewPassword",
    status_code=204,
    act=Act.SIGN_IN,
    responses=refuses(400, 403, 404, 409, 413, 415, 422, 429),
)
async def set_new_password_route(
    data: JSONBody[NewPassword],
    request: Request[Any, Any, Any],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> None:
    """Set one's own password by a one-time link; signing in with it comes after."""
    await set_new_password(db, data, network_of(request), now)


@post(
    "/recover",
    operation_id="askForHelp",
    status_code=202,
    act=Act.SIGN_IN,
    responses=refuses(400, 403, 413, 415, 429),
)
async def ask_for_help_route(
    data: JSONBody[AskForHelp],
    request: Request[Any, Any, Any],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> None:
    """Say that one cannot get in. The answer is the same whoever that is, or is not."""
    await ask_for_help(db, data, network_of(request), now)


ROUTES = [enter_route, set_new_password_route, ask_for_help_route]
