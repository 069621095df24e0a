"""The slides of a lesson: sent as a PDF, shown page by page."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, Response, get, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from sqlalchemy.ext.asyncio import AsyncSession

from api import uploads
from api.db import asked
from api.house import House
from api.problems import refuses
from eschool import pdf_pages, slides
from eschool.pdf_pages import TooLarge
from eschool.slides import MAX_NAME, MEDIA_TYPE, Deck, NoSlides, SlideNow
from people.policy import Act
from people.relations import actor_of
from people.sessions import Caller

PDF = "application/pdf"
# A page of a deck never changes; a browser keeps it, nothing between may.
_FOR_EVER = {"Cache-Control": "private, max-age=31536000, immutable"}


class SlideTurn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The page to show; pages are counted from 1."""

    page: int


@put(
    "/lessons/{lesson_id:uuid}/slides",
    operation_id="addSlides",
    act=(Act.LEAD_LESSON, Act.SEE_LESSON),
    responses=refuses(400, 401, 403, 404, 408, 409, 413, 415, 422),
    request_max_body_size=None,
    takes=PDF,
)
async def add_slides(
    *,
    lesson_id: FromPath[UUID],
    request: Request[Any, Any, Any],
    sender: NamedDependency[Caller],
    house: NamedDependency[House],
    now: NamedDependency[datetime],
    name: Annotated[str, QueryParameter(min_length=1, max_length=MAX_NAME)],
) -> Deck:
    """Take a PDF of at most 50 MB for the lesson's slides, and show its first page."""
    async with house.transaction(asked(request)) as db:
        await slides.require_lead(db, sender.actor, lesson_id, now)
    async with (
        uploads.one_at_a_time(house, lesson_id),
        uploads.body_in(
            request,
            house.settings,
            media_type=PDF,
            max_bytes=pdf_pages.MAX_BYTES,
            too_large=TooLarge,
        ) as (pdf, folder),
    ):
        rendered = await pdf_pages.render(pdf, folder)
        later = house.clock()  # minutes may have passed: rights are judged as they are now
        async with house.transaction() as db:
            actor = await actor_of(db, sender.person_id, later)
        async with house.transaction(asked(request)) as db:
            return await slides.add_deck(db, house.objects, actor, lesson_id, name, rendered, later)


@get(
    "/lessons/{lesson_id:uuid}/slides",
    operation_id="getSlides",
    act=(Act.WATCH_LESSON, Act.JOIN_LESSON, Act.WATCH_SCHOOL_LESSON),
    responses=refuses(401, 403, 404),
)
async def get_slides(
    lesson_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> Deck:
    """The newest slides and what is written on them; 404 `no_slides` while there are none."""
    deck = await slides.deck(db, caller.actor, lesson_id, now)
    if deck is None:
        raise NoSlides
    return deck


@get(
    "/lessons/{lesson_id:uuid}/slides/{deck_id:uuid}/{page:int}",
    operation_id="getSlide",
    act=(Act.WATCH_LESSON, Act.JOIN_LESSON, Act.WATCH_SCHOOL_LESSON),
    media_type=MEDIA_TYPE,
    responses=refuses(401, 403, 404),
)
async def get_slide(
    *,
    lesson_id: FromPath[UUID],  # noqa: ARG001 - a deck has one lesson; the path says which
    deck_id: FromPath[UUID],
    page: FromPath[int],
    sender: NamedDependency[Caller],
    house: NamedDependency[House],
    now: NamedDependency[datetime],
) -> Response[bytes]:
    """The picture of a page."""
    async with house.transaction() as db:
        key = await slides.require_page(db, sender.actor, deck_id, page, now)
    picture = await house.objects.get(key)
    return Response(picture, headers=_FOR_EVER)


@put(
    "/lessons/{lesson_id:uuid}/slide",
    operation_id="turnSlide",
    act=(Act.LEAD_LESSON, Act.SEE_LESSON),
    responses=refuses(400, 401, 403, 404, 409, 413, 415, 422),
)
async def turn_slide(
    lesson_id: FromPath[UUID],
    data: JSONBody[SlideTurn],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> SlideNow:
    """Turn to a page, on every screen of the class."""
    return await slides.turn(db, caller.actor, lesson_id, data.page, now)


ROUTES = [add_slides, get_slides, get_slide, turn_slide]
