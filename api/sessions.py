"""Sign-out, and the list of the caller's own sessions."""

from datetime import datetime
from uuid import UUID

from litestar import Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from sqlalchemy.ext.asyncio import AsyncSession

from api.house import House
from api.problems import refuses
from api.sign_in import session_cookie
from people import sessions
from people.policy import Act
from people.sessions import Caller, Session


@post(
    "/sign-out",
    operation_id="signOut",
    status_code=204,
    act=Act.ACCOUNT,
    enrolling=True,
    responses=refuses(401, 403),
)
async def sign_out(
    caller: NamedDependency[Caller],
    house: NamedDependency[House],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> Response[None]:
    """End this session; the browser forgets what it holds of us."""
    await sessions.sign_out(db, caller.session_id, now)
    return Response(
        None,
        cookies=[session_cookie(house.settings, "", 0)],
        headers={"Clear-Site-Data": '"cache", "cookies", "storage"'},
    )


@get(
    "/sessions",
    operation_id="listSessions",
    act=Act.ACCOUNT,
    enrolling=True,
    responses=refuses(401),
)
async def list_sessions(
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> list[Session]:
    """The caller's live sessions, newest first."""
    return await sessions.list_sessions(db, caller, now)


@delete(
    "/sessions/{session_id:uuid}",
    operation_id="endSession",
    act=Act.ACCOUNT,
    enrolling=True,
    responses=refuses(401, 403, 404),
)
async def end_session(
    session_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> None:
    """End one of the caller's own sessions; its sockets close."""
    await sessions.end_session(db, caller, session_id, now)


ROUTES = [sign_out, list_sessions, end_session]
