"""Who stands behind a hello: a ticket or a way back is good, or it is kept who tried."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from api.db import cookie_name
from api.house import House
from api.socket_messages import Hello
from api.sockets import Socket
from people.policy import Act, Thing
from people.refused import Forbidden, NotSignedIn
from people.resumes import Shown, resume
from people.sessions import Caller, session_person
from people.tickets import BadWayIn, redeem


async def let_in(
    db: AsyncSession, house: House, socket: Socket, hello: Hello, room_id: UUID
) -> Caller:
    """Give who says hello to a room. Raises NotSignedIn; BadWayIn when it is known who tried."""
    now = house.clock()
    cookie = socket.cookies.get(cookie_name(house.settings), "")
    if hello.resume_token is not None:
        shown = Shown(hello.resume_token, cookie, room_id, hello.tab)
        return await resume(db, house.resume_key, shown, now)
    try:
        return await redeem(db, hello.ticket or "", room_id, now)
    except NotSignedIn as bad:
        if isinstance(bad, BadWayIn) and not bad.stale:
            raise
        why = bad.why if isinstance(bad, BadWayIn) else "unknown"
        # Nobody makes rows of the audit who is not signed in.
        caller = await session_person(db, cookie, now, quietly=True)
        raise BadWayIn(caller.person_id, why) from None


async def keep_refusal(house: House, bad: BadWayIn, act: Act, room_id: UUID, route: str) -> None:
    """Write down who tried to come into a room by what was not good, and why it was not."""
    tried = Forbidden(act, Thing(about=(room_id,)), bad.actor_id)
    await house.forbidden(tried, f"{route} {bad.why}")
