"""What this room takes away of an erased person: what was written in lessons' chats."""

from uuid import UUID

from sqlalchemy import update

from eschool.chat import LessonMessages
from people.erasure import forgets
from storage.jobs import Work


@forgets
async def forget(work: Work, person_id: UUID) -> None:
    """Empty the person's messages; who was in a lesson when stays as ids."""
    await work.db.execute(
        update(LessonMessages)
        .where(LessonMessages.person_id == person_id)
        .values(text="")
        .execution_options(synchronize_session=False)
    )
