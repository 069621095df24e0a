"""The chat of a lesson."""

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec
from litestar import get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from sqlalchemy.ext.asyncio import AsyncSession

from api.problems import refuses
from eschool import chat
from eschool.chat import ChatMessage, NewMessage
from people.policy import Act
from people.sessions import Caller


class Decision(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The teacher's word on a held message; the first one stands."""

    state: Literal["approved", "refused"]


class ChatMode(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether what pupils write waits for the teacher."""

    held: bool


@get(
    "/lessons/{lesson_id:uuid}/messages",
    operation_id="listMessages",
    act=(Act.JOIN_LESSON, Act.LEAD_LESSON, Act.SEE_LESSON),
    responses=refuses(401, 403, 404),
)
async def list_messages(
    lesson_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> list[ChatMessage]:
    """The chat: all of it to the teacher, to a pupil what is approved and his own."""
    return await chat.messages(db, caller.actor, lesson_id, now)


@post(
    "/lessons/{lesson_id:uuid}/messages",
    operation_id="writeMessage",
    act=(Act.JOIN_LESSON, Act.LEAD_LESSON, Act.SEE_LESSON),
    responses=refuses(400, 401, 403, 404, 409, 413, 415, 422, 429),
)
async def write_message(
    lesson_id: FromPath[UUID],
    data: JSONBody[NewMessage],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> ChatMessage:
    """Write to the class; the same `client_id` again is the same message."""
    return await chat.write(db, caller.actor, lesson_id, data, now)


@put(
    "/lessons/{lesson_id:uuid}/messages/{message_id:uuid}",
    operation_id="decideMessage",
    act=(Act.LEAD_LESSON, Act.JOIN_LESSON, Act.SEE_LESSON),
    responses=refuses(400, 401, 403, 404, 409, 413, 415),
)
async def decide_message(
    *,
    lesson_id: FromPath[UUID],
    message_id: FromPath[UUID],
    data: JSONBody[Decision],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> ChatMessage:
    """Show a held message to the class, or not."""
    verb = chat.approve if data.state == "approved" else chat.refuse
    return await verb(db, caller.actor, lesson_id, message_id, now)


@put(
    "/lessons/{lesson_id:uuid}/chat",
    operation_id="holdChat",
    status_code=204,
    act=(Act.LEAD_LESSON, Act.SEE_LESSON),
    responses=refuses(400, 401, 403, 404, 409, 413, 415),
)
async def hold_chat(
    lesson_id: FromPath[UUID],
    data: JSONBody[ChatMode],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> None:
    """Let what pupils write wait for me, or not."""
    await chat.hold(db, caller.actor, lesson_id, data.held, now)


ROUTES = [list_messages, write_message, decide_message, hold_chat]
