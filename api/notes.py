"""The doctor's note of a visit."""

from datetime import datetime
from uuid import UUID

from litestar import get, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from sqlalchemy.ext.asyncio import AsyncSession

from api.problems import refuses
from people.policy import Act
from people.sessions import Caller
from telemed import notes
from telemed.notes import Note, NoteChange


@get(
    "/visits/{visit_id:uuid}/note",
    operation_id="getNote",
    act=(Act.READ_NOTE, Act.SEE_VISIT),
    responses=refuses(401, 403, 404),
)
async def get_note(
    visit_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> Note:
    """The note of a visit, to its doctor."""
    return await notes.get_note(db, caller.actor, visit_id, now)


@put(
    "/visits/{visit_id:uuid}/note",
    operation_id="putNote",
    act=(Act.WRITE_NOTE, Act.SEE_VISIT),
    responses=refuses(400, 401, 403, 404, 409, 413, 415),
)
async def put_note(
    visit_id: FromPath[UUID],
    data: JSONBody[NoteChange],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> Note:
    """Replace the text that was read; 409 with the current one when somebody wrote in between."""
    return await notes.put_note(db, caller.actor, visit_id, data, now)


ROUTES = [get_note, put_note]
