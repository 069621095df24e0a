"""The lesson's chat: what a pupil writes waits for the teacher, unless the chat is open."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from class_world import NOW, STRANGERS, SchoolClass, furnish, opened
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from eschool.chat import (
    AT_ONCE,
    MAX_AT_ONCE,
    MAX_SHOWN,
    ChatMessage,
    LessonMessages,
    MessageState,
    NewMessage,
    TooManyMessages,
    approve,
    hold,
    message_for,
    messages,
    refuse,
    write,
)
from eschool.lesson_room import end_lesson, open_lesson, room
from eschool.lessons import LessonNotRunning
from people import facts
from people.policy import ANONYMOUS, Act
from people.refused import FieldError, Forbidden, NotFound, OutOfRange
from storage.engine import sessions

SECOND = timedelta(seconds=1)


async def say(
    db: AsyncSession, s: SchoolClass, who: str, text: str = "Сәлам", client_id: UUID | None = None
) -> ChatMessage:
    new = NewMessage(text, client_id or uuid4())
    return await write(db, await s.actor(db, who), s.lesson, new, NOW)


async def seen_by(db: AsyncSession, s: SchoolClass, who: str) -> list[tuple[str, str, bool]]:
    found = await messages(db, await s.actor(db, who), s.lesson, NOW)
    return [(one.text, one.state.value, one.mine) for one in found]


@pytest.mark.parametrize("who", STRANGERS)
async def test_a_stranger_finds_no_chat(db: AsyncSession, who: str) -> None:
    """Neither to read nor to write, nor one message by its id."""
    s = await opened(db)
    said = await say(db, s, "teacher")
    actor = await s.actor(db, who)
    for act in (
        messages(db, actor, s.lesson, NOW),
        write(db, actor, s.lesson, NewMessage("", uuid4()), NOW),
        approve(db, actor, s.lesson, said.id, NOW),
        refuse(db, actor, s.lesson, said.id, NOW),
        hold(db, actor, s.lesson, False, NOW),
    ):
        with pytest.raises(NotFound):
            await act
    assert await message_for(db, actor, s.lesson, said.id, NOW) is None


async def test_nobody_signed_in_finds_no_chat(db: AsyncSession) -> None:
    """Anonymous."""
    s = await opened(db)
    said = await say(db, s, "teacher")
    with pytest.raises(NotFound):
        await messages(db, ANONYMOUS, s.lesson, NOW)
    assert await message_for(db, ANONYMOUS, s.lesson, said.id, NOW) is None


async def test_what_a_pupil_writes_waits_and_what_the_teacher_writes_does_not(
    db: AsyncSession,
) -> None:
    """Only its writer and the teacher see what waits; each is announced."""
    s = await opened(db)
    facts.take(db)
    held = await say(db, s, "pupil", " Кто это? \n")
    shown = await say(db, s, "teacher", "Дискриминант")
    assert (held.state, held.mine, held.person.id) == (MessageState.HELD, True, s["pupil"])
    assert shown.state is MessageState.APPROVED
    told = [
        facts.ChatSaid(at=NOW, lesson_id=s.lesson, message_id=m.id, person_id=m.person.id)
        for m in (held, shown)
    ]
    assert facts.take(db) == told
    mine, theirs = ("Кто это?", "held"), ("Дискриминант", "approved")
    assert await seen_by(db, s, "teacher") == [(*mine, False), (*theirs, True)]
    assert await seen_by(db, s, "pupil") == [(*mine, True), (*theirs, False)]
    assert await seen_by(db, s, "second") == [(*theirs, False)]


@pytest.mark.parametrize("who", ["teacher", "pupil", "second"])
async def test_one_message_is_seen_by_who_sees_it_in_the_list(db: AsyncSession, who: str) -> None:
    """For a tab that hears of an id; and only in the room it was said in."""
    s = await opened(db)
    said = [await say(db, s, "pupil"), await say(db, s, "second"), await say(db, s, "teacher")]
    actor = await s.actor(db, who)
    alone = [await message_for(db, actor, s.lesson, one.id, NOW) for one in said]
    assert [m for m in alone if m is not None] == await messages(db, actor, s.lesson, NOW)
    assert await message_for(db, actor, s.next_lesson, said[2].id, NOW) is None


async def test_the_teacher_decides_and_the_first_decision_stands(db: AsyncSession) -> None:
    """Approved is for all, refused for its writer and the teacher; announced once."""
    s = await opened(db)
    yes, no = await say(db, s, "pupil", "да"), await say(db, s, "pupil", "нет")
    teacher = await s.actor(db, "teacher")
    facts.take(db)
    later = NOW + SECOND
    assert (await approve(db, teacher, s.lesson, yes.id, later)).state is MessageState.APPROVED
    assert (await refuse(db, teacher, s.lesson, no.id, later)).state is MessageState.REFUSED
    told = [
        facts.ChatSaid(at=later, lesson_id=s.lesson, message_id=m.id, person_id=m.person.id)
        for m in (yes, no)
    ]
    assert facts.take(db) == told
    assert (await refuse(db, teacher, s.lesson, yes.id, later)).state is MessageState.APPROVED
    assert (await approve(db, teacher, s.lesson, no.id, later)).state is MessageState.REFUSED
    assert facts.take(db) == []
    assert await seen_by(db, s, "second") == [("да", "approved", False)]
    assert await seen_by(db, s, "pupil") == [("да", "approved", True), ("нет", "refused", True)]
    stored = await db.get_one(LessonMessages, yes.id, populate_existing=True)
    assert (stored.decided_by, stored.decided_at) == (s["teacher"], later)


async def test_a_pupil_decides_nothing(db: AsyncSession) -> None:
    """Neither about messages nor about the chat; the refusals name the act."""
    s = await opened(db)
    said = await say(db, s, "pupil")
    pupil = await s.actor(db, "pupil")
    for act in (
        approve(db, pupil, s.lesson, said.id, NOW),
        refuse(db, pupil, s.lesson, said.id, NOW),
        hold(db, pupil, s.lesson, False, NOW),
    ):
        with pytest.raises(Forbidden) as refusal:
            await act
        assert refusal.value.act is Act.LEAD_LESSON
    assert (await room(db, s.lesson, NOW)).chat_held
    assert await seen_by(db, s, "pupil") == [("Сәлам", "held", True)]


async def test_a_message_of_another_lesson_is_not_found(db: AsyncSession) -> None:
    """Although the same teacher leads both."""
    s = await opened(db)
    said = await say(db, s, "pupil")
    teacher = await s.actor(db, "teacher", NOW)
    await open_lesson(db, teacher, s.next_lesson, NOW + timedelta(days=1))
    for decide in (approve, refuse):
        with pytest.raises(NotFound):
            await decide(db, teacher, s.next_lesson, said.id, NOW + timedelta(days=1))
    assert await seen_by(db, s, "second") == []


async def test_an_open_chat_lets_pupils_speak_at_once(db: AsyncSession) -> None:
    """From then on; what waited goes on waiting. Opened twice is opened once."""
    s = await furnish(db)
    teacher = await s.actor(db, "teacher")
    await open_lesson(db, teacher, s.lesson, NOW)
    await say(db, s, "pupil", "раньше")
    facts.take(db)
    for _ in range(2):
        await hold(db, teacher, s.lesson, False, NOW)
    assert facts.take(db) == [facts.LessonChanged(at=NOW, lesson_id=s.lesson)]
    assert not (await room(db, s.lesson, NOW)).chat_held
    await say(db, s, "pupil", "теперь")
    assert await seen_by(db, s, "second") == [("теперь", "approved", False)]
    await hold(db, teacher, s.lesson, True, NOW)
    assert (await say(db, s, "pupil")).state is MessageState.HELD


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("", False),
        (" \t\n ", False),
        ("я" * 500, True),
        ("я" * 501, False),
        (" " * 600 + "я", True),
    ],
)
async def test_a_text_has_one_to_five_hundred_signs(
    db: AsyncSession, text: str, good: bool
) -> None:
    """Counted after trimming; nothing is stored of what is refused."""
    s = await opened(db)
    if good:
        assert (await say(db, s, "pupil", text)).text == text.strip()
        return
    with pytest.raises(OutOfRange) as refusal:
        await say(db, s, "pupil", text)
    field = FieldError("text", "out_of_range", {"min": 1, "max": 500})
    assert (refusal.value.status, refusal.value.errors) == (422, (field,))
    assert await seen_by(db, s, "teacher") == []


async def test_the_same_client_id_is_the_same_message(db: AsyncSession) -> None:
    """Also when it has been decided meanwhile; for each writer apart."""
    s = await opened(db)
    client = uuid4()
    first = await say(db, s, "pupil", "один", client)
    facts.take(db)
    assert await say(db, s, "pupil", "другое", client) == first
    assert facts.take(db) == []
    await approve(db, await s.actor(db, "teacher"), s.lesson, first.id, NOW)
    again = await say(db, s, "pupil", "один", client)
    assert (again.id, again.state) == (first.id, MessageState.APPROVED)
    other = await say(db, s, "second", "два", client)
    assert (other.text, other.person.id) == ("два", s["second"])


async def test_a_repeat_at_the_same_moment_is_one_message(engine: AsyncEngine) -> None:
    """The page lost its connection and sent again."""
    make = sessions(engine)
    async with make() as db, db.begin():
        s = await opened(db)
    client = uuid4()

    async def send() -> UUID:
        async with make() as db, db.begin():
            return (await say(db, s, "pupil", client_id=client)).id

    assert len(set(await asyncio.gather(*(send() for _ in range(5))))) == 1
    async with make() as db:
        assert len(await seen_by(db, s, "teacher")) == 1


async def test_one_person_writes_ten_messages_in_ten_seconds_at_most(db: AsyncSession) -> None:
    """A repeat is no message more, others are not held up, and time heals."""
    s = await opened(db)
    actor, first = await s.actor(db, "pupil"), uuid4()
    for n in range(MAX_AT_ONCE):
        new = NewMessage("Сәлам", uuid4() if n else first)
        await write(db, actor, s.lesson, new, NOW + n * SECOND / 2)
    with pytest.raises(TooManyMessages) as refused:
        await write(db, actor, s.lesson, NewMessage("Сәлам", uuid4()), NOW + 5 * SECOND)
    assert refused.value.params == {"retry_after_s": 5}
    await write(db, actor, s.lesson, NewMessage("Сәлам", first), NOW + 5 * SECOND)
    await say(db, s, "second")
    await write(db, actor, s.lesson, NewMessage("Сәлам", uuid4()), NOW + AT_ONCE)
    with pytest.raises(TooManyMessages):
        await write(db, actor, s.lesson, NewMessage("Сәлам", uuid4()), NOW + AT_ONCE)


async def test_the_newest_messages_are_shown_in_order(db: AsyncSession) -> None:
    """A flood does not make the answer endless."""
    s = await opened(db)
    for n in range(MAX_SHOWN + 5):
        db.add(
            LessonMessages(
                lesson_id=s.lesson,
                person_id=s["pupil"],
                client_id=uuid4(),
                text=str(n),
                state="approved",
                sent_at=NOW + n * SECOND,
            )
        )
    await db.flush()
    shown = [text for text, _, _ in await seen_by(db, s, "second")]
    assert shown == [str(n) for n in range(5, MAX_SHOWN + 5)]


@pytest.mark.parametrize("state", ["planned", "ended"])
async def test_nothing_is_said_in_a_lesson_that_does_not_run(db: AsyncSession, state: str) -> None:
    """What was said stays readable; only before the lesson may the chat's mode be chosen."""
    s = await (furnish if state == "planned" else opened)(db)
    teacher = await s.actor(db, "teacher")
    if state == "ended":
        said = await say(db, s, "pupil")
        await end_lesson(db, teacher, s.lesson, NOW)
        with pytest.raises(LessonNotRunning):
            await approve(db, teacher, s.lesson, said.id, NOW)
        with pytest.raises(LessonNotRunning):
            await hold(db, teacher, s.lesson, False, NOW)
        assert len(await seen_by(db, s, "pupil")) == 1
    else:
        await hold(db, teacher, s.lesson, False, NOW)
        assert not (await room(db, s.lesson, NOW)).chat_held
    for who in ("teacher", "pupil"):
        with pytest.raises(LessonNotRunning):
            await say(db, s, who)


async def test_who_left_the_class_reads_nothing_more(db: AsyncSession) -> None:
    """Not even what he wrote himself; the others still see it."""
    s = await opened(db)
    await hold(db, await s.actor(db, "teacher"), s.lesson, False, NOW)
    said = await say(db, s, "pupil")
    before = await s.actor(db, "pupil")
    later = NOW + SECOND
    await s.leave(db, "pupil", later)
    with pytest.raises(NotFound):
        await messages(db, before, s.lesson, later)
    with pytest.raises(NotFound):
        await write(db, before, s.lesson, NewMessage("ещё", uuid4()), later)
    assert await message_for(db, before, s.lesson, said.id, later) is None
    assert await seen_by(db, s, "second") == [("Сәлам", "approved", False)]
