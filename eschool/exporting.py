"""What this room puts into a person's archive: what the person wrote in lessons' chats."""

from collections.abc import AsyncIterator

from sqlalchemy import select

from eschool.chat import LessonMessages
from people.exports import PAGE, Part, Source, exports, line


@exports
async def export(source: Source) -> AsyncIterator[Part]:
    """Own messages as lines, also those that nobody else was shown."""
    yield "lesson-messages.jsonl", _messages(source)


async def _messages(source: Source) -> AsyncIterator[bytes]:
    me, last = source.caller.person_id, None
    while True:
        query = select(
            LessonMessages.id,
            LessonMessages.lesson_id,
            LessonMessages.text,
            LessonMessages.state,
            LessonMessages.sent_at,
        ).where(LessonMessages.person_id == me)
        if last is not None:
            query = query.where(LessonMessages.id > last)
        async with source.transaction() as db:
            rows = (await db.execute(query.order_by(LessonMessages.id).limit(PAGE))).all()
        for row in rows:
            yield line(row._asdict())
        if len(rows) < PAGE:
            return
        last = rows[-1].id
