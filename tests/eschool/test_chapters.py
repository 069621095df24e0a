"""Chapters of a recording: what the class saw on the slides, and when."""

from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
from class_world import LESSON, NOW, opened
from hypothesis import given
from hypothesis import strategies as st
from recorded import SECOND, Recorded, seen_by
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from eschool.pdf_pages import Rendered
from eschool.recordings import (
    Chapter,
    TakeShown,
    chapters,
    presentation,
)
from eschool.slides import LessonTurns, add_deck, turn
from storage.engine import libpq_url, sessions
from storage.objects import Objects
from storage.settings import Settings

DECK = UUID(int=7)


async def test_chapters_are_the_turns_of_the_slides(
    r: Recorded, objects: Objects, tmp_path: Path
) -> None:
    """At their place in the film, with the first line written on the page."""
    page = tmp_path / "page"
    page.write_bytes(b"RIFF....WEBP")
    rendered = Rendered([page] * 3, ["Җир\nшары", "", "Соңгы"])
    deck = await add_deck(r.db, objects, r.teacher, r.s.lesson, "x", rendered, NOW - SECOND)
    take = await r.begin(10)
    await r.segment(take, 4000)
    await r.segment(take, 4000)
    await turn(r.db, r.teacher, r.s.lesson, 2, NOW + 12.25 * SECOND)
    await turn(r.db, r.teacher, r.s.lesson, 3, NOW + 15 * SECOND)
    await turn(r.db, r.teacher, r.s.lesson, 1, NOW + 18 * SECOND)
    await r.end(take, 18)
    assert (await seen_by(r, "pupil", LESSON)).chapters == [
        Chapter(0, deck.id, 1, "Җир"),
        Chapter(2250, deck.id, 2, None),
        Chapter(5000, deck.id, 3, "Соңгы"),
    ]


async def test_a_deck_added_while_somebody_looks_is_no_fault(
    engine: AsyncEngine, settings: Settings
) -> None:
    """The viewer asks again and again; the teacher shows new slides between two of our reads."""
    new_session = sessions(engine)
    async with new_session() as db, db.begin():
        s = await opened(db)
        r = Recorded(db, s, await s.actor(db, "teacher"))
        await r.segment(await r.begin())
    read: list[str] = []

    def add_between(*said: object) -> None:
        statement = str(said[2])
        if "FROM lesson_decks" not in statement and "FROM lesson_turns" not in statement:
            return
        read.append(statement)
        if len(read) == 1:
            row = {"lesson": s.lesson, "deck": uuid4(), "turn": uuid4(), "at": NOW}
            with psycopg.connect(libpq_url(settings.database_url)) as other:
                other.execute(
                    "INSERT INTO lesson_decks (id, lesson_id, name, pages, added_at, texts)"
                    " VALUES (%(deck)s, %(lesson)s, 'x', 1, %(at)s, '{a}')",
                    row,
                )
                other.execute(
                    "INSERT INTO lesson_turns (id, lesson_id, deck_id, page, at)"
                    " VALUES (%(turn)s, %(lesson)s, %(deck)s, 1, %(at)s)",
                    row,
                )

    event.listen(engine.sync_engine, "after_cursor_execute", add_between)
    async with new_session() as db:
        pupil = await s.actor(db, "pupil")
        assert (await presentation(db, pupil, s.lesson, NOW)).chapters == []
        assert len(read) == 2
        [chapter] = (await presentation(db, pupil, s.lesson, NOW)).chapters
        assert chapter.title == "a"


@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(1, 4)), max_size=12),
    st.lists(st.tuples(st.integers(0, 40), st.integers(1, 60)), max_size=4),
)
def test_at_any_moment_the_chapter_is_what_the_class_saw_then(
    turned: list[tuple[int, int]], taken: list[tuple[int, int]]
) -> None:
    """Whatever was turned when, and whenever it was recorded."""
    shown = [
        LessonTurns(lesson_id=DECK, deck_id=DECK, page=page, at=NOW + at * SECOND)
        for at, page in sorted(turned, key=lambda one: one[0])
    ]
    takes, begins_s, base_s = [], 0, 0
    for pause_s, lasts_s in taken:
        begins_s += pause_s
        takes.append(TakeShown(NOW + begins_s * SECOND, base_s * 1000, lasts_s * 1000))
        begins_s, base_s = begins_s + lasts_s, base_s + lasts_s
    found = chapters(takes, shown, {DECK: ["a", "b", "c", "d"]})
    starts = [chapter.start_ms for chapter in found]
    assert starts == sorted(set(starts))
    for take in takes:
        for moment_ms in range(0, take.duration_ms, 1000):
            at = take.started_at + timedelta(milliseconds=moment_ms)
            seen = [turned.page for turned in shown if turned.at <= at]
            now = [c.page for c in found if c.start_ms <= take.base_ms + moment_ms]
            assert now[-1:] == seen[-1:]
