"""Slides of a lesson: who may show them, who sees them, and that nothing is half stored."""

from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from class_world import LESSON, NOW, OVER, STRANGERS, SchoolClass, furnish, opened
from pdf_zoo import TATAR
from pdf_zoo import deck as pdf_of
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from eschool import takes
from eschool.lesson_room import end_lesson, room
from eschool.lessons import LessonNotRunning
from eschool.pdf_pages import Rendered, render
from eschool.slides import (
    Deck,
    LessonDecks,
    LessonTurns,
    NoSlides,
    SlideNow,
    add_deck,
    deck,
    page_key,
    require_lead,
    require_page,
    slide_now,
    turn,
)
from people import facts
from people.policy import ANONYMOUS
from people.refused import Forbidden, NotFound, OutOfRange
from storage.objects import Objects, ObjectsAway
from storage.s3 import S3Objects
from storage.settings import Settings

TEXTS = [f"{TATAR}\nбер", "Дискриминант", ""]


@pytest.fixture
def rendered(tmp_path: Path) -> Rendered:
    """Three pages as the renderer leaves them."""
    pages = [tmp_path / f"{n:03d}.webp" for n in (1, 2, 3)]
    for n, page in enumerate(pages, start=1):
        page.write_bytes(b"RIFF....WEBP page %d" % n)
    return Rendered(pages, TEXTS)


@pytest.fixture
async def s(db: AsyncSession) -> SchoolClass:
    """A lesson that runs."""
    return await opened(db)


async def lay_out(
    db: AsyncSession, objects: Objects, s: SchoolClass, rendered: Rendered, who: str = "teacher"
) -> UUID:
    """Add the deck as somebody; give its id."""
    actor = await s.actor(db, who)
    added = await add_deck(db, objects, actor, s.lesson, "урок 1.pdf", rendered, NOW)
    return added.id


async def decks(db: AsyncSession) -> int | None:
    return await db.scalar(select(func.count()).select_from(LessonDecks))


class Failing(S3Objects):
    """The real store, which is away after some calls."""

    def __init__(self, settings: Settings, puts: int) -> None:
        super().__init__(settings)
        self.left = puts
        self.tried: list[str] = []

    async def put(self, key: str, data: bytes, content_type: str = "") -> None:
        self.tried.append(key)
        self.left -= 1
        if self.left < 0:
            raise ObjectsAway("away")
        await super().put(key, data, content_type)


async def test_a_pdf_of_the_teacher_is_seen_by_the_class(
    db: AsyncSession, objects: Objects, s: SchoolClass, tmp_path: Path
) -> None:
    """From the file to the picture: the whole way."""
    pdf, folder = tmp_path / "upload", tmp_path / "pages"
    pdf.write_bytes(pdf_of([TATAR, "икенче"]))
    folder.mkdir()
    deck_id = await lay_out(db, objects, s, await render(pdf, folder))
    pupil = await s.actor(db, "pupil")
    seen = await deck(db, pupil, s.lesson, NOW)
    assert seen is not None
    assert (seen.id, seen.name, seen.pages, seen.texts) == (
        deck_id,
        "урок 1.pdf",
        2,
        [TATAR, "икенче"],
    )
    picture = await objects.get(await require_page(db, pupil, deck_id, 2, NOW))
    assert picture == (folder / "002.webp").read_bytes()


async def test_new_slides_are_shown_from_their_first_page(
    db: AsyncSession, objects: Objects, s: SchoolClass, rendered: Rendered
) -> None:
    """At once, on every screen; a second deck takes the place of the first."""
    facts.take(db)
    first = await lay_out(db, objects, s, rendered)
    told = facts.SlideTurned(at=NOW, lesson_id=s.lesson, deck_id=first, page=1)
    assert facts.take(db) == [told]
    assert (await room(db, s.lesson, NOW)).slide == SlideNow(first, 1, 3)
    second = await lay_out(db, objects, s, rendered)
    assert await slide_now(db, s.lesson) == SlideNow(second, 1, 3)
    newest = await deck(db, await s.actor(db, "pupil"), s.lesson, NOW)
    assert newest is not None
    assert newest.id == second


async def test_a_turn_is_told_once(
    db: AsyncSession, objects: Objects, s: SchoolClass, rendered: Rendered
) -> None:
    """Turning to the page that is shown is no turn."""
    deck_id = await lay_out(db, objects, s, rendered)
    facts.take(db)
    teacher = await s.actor(db, "teacher")
    later = NOW + timedelta(seconds=5)
    for _ in range(2):
        assert await turn(db, teacher, s.lesson, 3, later) == SlideNow(deck_id, 3, 3)
    assert facts.take(db) == [
        facts.SlideTurned(at=later, lesson_id=s.lesson, deck_id=deck_id, page=3)
    ]
    assert await slide_now(db, s.lesson) == SlideNow(deck_id, 3, 3)


async def test_turns_are_in_the_order_in_which_they_took_the_lesson(
    db: AsyncSession, objects: Objects, s: SchoolClass, rendered: Rendered
) -> None:
    """A request that came first and waited longer is the later turn."""
    deck_id = await lay_out(db, objects, s, rendered)
    teacher = await s.actor(db, "teacher")
    await turn(db, teacher, s.lesson, 2, NOW + timedelta(seconds=2))
    await turn(db, teacher, s.lesson, 3, NOW + timedelta(seconds=1))
    assert await slide_now(db, s.lesson) == SlideNow(deck_id, 3, 3)
    last = await db.scalar(select(func.max(LessonTurns.at)))
    assert last == NOW + timedelta(seconds=2)


@pytest.mark.parametrize("page", [0, -1, 4, 2**70])
async def test_a_page_that_is_not_there_is_not_shown(
    db: AsyncSession, objects: Objects, s: SchoolClass, rendered: Rendered, page: int
) -> None:
    """The refusal names both ends."""
    deck_id = await lay_out(db, objects, s, rendered)
    with pytest.raises(OutOfRange) as refused:
        await turn(db, await s.actor(db, "teacher"), s.lesson, page, NOW)
    [error] = refused.value.errors
    assert (error.field, error.params) == ("page", {"min": 1, "max": 3})
    assert await slide_now(db, s.lesson) == SlideNow(deck_id, 1, 3)
    with pytest.raises(NotFound):
        await require_page(db, await s.actor(db, "teacher"), deck_id, page, NOW)


async def test_a_lesson_without_slides_says_so(db: AsyncSession, s: SchoolClass) -> None:
    """To the pupil who looks and to the teacher who turns."""
    teacher = await s.actor(db, "teacher")
    assert await deck(db, await s.actor(db, "pupil"), s.lesson, NOW) is None
    assert await slide_now(db, s.lesson) is None
    with pytest.raises(NoSlides):
        await turn(db, teacher, s.lesson, 1, NOW)


@pytest.mark.parametrize("who", STRANGERS)
async def test_strangers_find_no_slides(
    db: AsyncSession, objects: Objects, s: SchoolClass, rendered: Rendered, who: str
) -> None:
    """As absent as random ids, for reading and for showing; nothing is stored for them."""
    deck_id = await lay_out(db, objects, s, rendered)
    for actor in (await s.actor(db, who), ANONYMOUS):
        for lesson in (s.lesson, uuid4()):
            with pytest.raises(NotFound):
                await deck(db, actor, lesson, NOW)
            with pytest.raises(NotFound):
                await turn(db, actor, lesson, 2, NOW)
            with pytest.raises(NotFound):
                await require_lead(db, actor, lesson, NOW)
        with pytest.raises(NotFound):
            await require_page(db, actor, deck_id, 1, NOW)
        with pytest.raises(NotFound):
            await add_deck(db, objects, actor, s.lesson, "x", rendered, NOW)
    assert await decks(db) == 1


async def test_a_pupil_sees_and_does_not_show(
    db: AsyncSession, settings: Settings, objects: Objects, s: SchoolClass, rendered: Rendered
) -> None:
    """Refused by the policy; the pages that were put are taken away again."""
    deck_id = await lay_out(db, objects, s, rendered)
    pupil, store = await s.actor(db, "pupil"), Failing(settings, 99)
    with pytest.raises(Forbidden):
        await require_lead(db, pupil, s.lesson, NOW)
    with pytest.raises(Forbidden):
        await turn(db, pupil, s.lesson, 2, NOW)
    with pytest.raises(Forbidden):
        await add_deck(db, store, pupil, s.lesson, "x", rendered, NOW)
    assert len(store.tried) == 3
    assert [key for key in store.tried if await objects.exists(key)] == []
    assert await slide_now(db, s.lesson) == SlideNow(deck_id, 1, 3)


async def test_slides_that_cannot_be_stored_whole_are_not_stored(
    db: AsyncSession, settings: Settings, objects: Objects, s: SchoolClass, rendered: Rendered
) -> None:
    """The store goes away after the first page: no row, no object, no fact."""
    facts.take(db)
    store = Failing(settings, 1)
    with pytest.raises(ObjectsAway):
        await add_deck(db, store, await s.actor(db, "teacher"), s.lesson, "x", rendered, NOW)
    assert store.tried
    assert [key for key in store.tried if await objects.exists(key)] == []
    assert await decks(db) == 0
    assert facts.take(db) == []


async def test_slides_are_laid_out_before_the_lesson_and_not_changed_after_it(
    db: AsyncSession, objects: Objects, rendered: Rendered
) -> None:
    """Afterwards they are history, but they can still be looked at."""
    s = await furnish(db)
    deck_id = await lay_out(db, objects, s, rendered)
    teacher = await s.actor(db, "teacher")
    assert (await turn(db, teacher, s.lesson, 2, NOW)).page == 2
    for verb in (
        require_lead(db, teacher, s.lesson, OVER),
        turn(db, teacher, s.lesson, 1, OVER),
        add_deck(db, objects, teacher, s.lesson, "x", rendered, OVER),
    ):
        with pytest.raises(LessonNotRunning):
            await verb
    pupil = await s.actor(db, "pupil", OVER)
    assert await deck(db, pupil, s.lesson, OVER) is not None
    assert await require_page(db, pupil, deck_id, 3, OVER) == page_key(deck_id, 3)


async def test_the_school_sees_the_slides_of_what_it_may_watch(
    db: AsyncSession, objects: Objects, s: SchoolClass, rendered: Rendered
) -> None:
    """A take for the class shows nothing to a colleague; one for the school shows its slides."""
    deck_id = await lay_out(db, objects, s, rendered)
    teacher, later = await s.actor(db, "teacher"), NOW + LESSON
    await takes.start(db, teacher, s.lesson, "class", NOW)
    for who in ("colleague", "neighbour"):
        with pytest.raises(NotFound):
            await require_page(db, await s.actor(db, who), deck_id, 1, later)
    await takes.start(db, teacher, s.lesson, "school", NOW)
    await end_lesson(db, teacher, s.lesson, later)
    for who in ("colleague", "neighbour"):
        viewer = await s.actor(db, who, later)
        assert await require_page(db, viewer, deck_id, 1, later) == page_key(deck_id, 1)
        assert await deck(db, viewer, s.lesson, later) is not None
    for who in ("head", "foreign_pupil"):
        with pytest.raises(NotFound):
            await require_page(db, await s.actor(db, who), deck_id, 1, later)


async def test_the_school_sees_only_pages_shown_while_a_take_for_it_ran(
    db: AsyncSession, objects: Objects, s: SchoolClass, rendered: Rendered
) -> None:
    """The page on the screen at its start included; the class sees all of them."""
    first = await lay_out(db, objects, s, rendered)
    teacher, later = await s.actor(db, "teacher"), NOW + LESSON

    def at(second: int) -> datetime:
        return NOW + timedelta(seconds=second)

    await turn(db, teacher, s.lesson, 2, at(10))
    await takes.start(db, teacher, s.lesson, "school", at(20))
    await takes.start(db, teacher, s.lesson, "class", at(21))
    await turn(db, teacher, s.lesson, 3, at(30))
    await turn(db, teacher, s.lesson, 1, at(40))
    second = (await add_deck(db, objects, teacher, s.lesson, "y", rendered, at(50))).id
    for who in ("colleague", "neighbour"):
        viewer = await s.actor(db, who, later)
        assert await require_page(db, viewer, first, 2, later) == page_key(first, 2)
        for deck_id, page in ((first, 1), (first, 3), (second, 1), (second, 2)):
            with pytest.raises(NotFound):
                await require_page(db, viewer, deck_id, page, later)
        assert await deck(db, viewer, s.lesson, later) == Deck(
            first, "урок 1.pdf", 3, ["", "Дискриминант", ""]
        )
    for who in ("teacher", "pupil"):
        member = await s.actor(db, who, later)
        for deck_id, page in ((first, 1), (first, 3), (second, 2)):
            assert await require_page(db, member, deck_id, page, later) == page_key(deck_id, page)
        assert await deck(db, member, s.lesson, later) == Deck(second, "y", 3, TEXTS)


async def test_the_school_sees_a_page_as_long_as_a_take_for_it_runs(
    db: AsyncSession, objects: Objects, s: SchoolClass, rendered: Rendered
) -> None:
    """Turned to in the take that still runs; without one there are no slides for the school."""
    teacher, colleague = await s.actor(db, "teacher"), await s.actor(db, "colleague")
    await takes.start(db, teacher, s.lesson, "school", NOW)
    assert await deck(db, colleague, s.lesson, NOW) is None
    deck_id = await lay_out(db, objects, s, rendered)
    for page in (1, 2):
        await turn(db, teacher, s.lesson, page, NOW + timedelta(seconds=page))
        assert await require_page(db, colleague, deck_id, page, NOW) == page_key(deck_id, page)
    with pytest.raises(NotFound):
        await require_page(db, colleague, deck_id, 3, NOW)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("  Дискриминант.pdf ", "Дискриминант.pdf"),
        ("a\nb\x00c\u202ed.pdf", "a b c d.pdf"),
        ("х" * 500, "х" * 200),
        (" \t", "PDF"),
    ],
)
async def test_a_file_name_becomes_one_line(
    *,
    db: AsyncSession,
    objects: Objects,
    s: SchoolClass,
    rendered: Rendered,
    name: str,
    shown: str,
) -> None:
    """Whatever the upload called itself."""
    teacher = await s.actor(db, "teacher")
    added = await add_deck(db, objects, teacher, s.lesson, name, rendered, NOW)
    assert added.name == shown
