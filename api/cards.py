"""Cards, one-time links and requests for help of an organisation's people."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from litestar import delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from sqlalchemy.ext.asyncio import AsyncSession

from api.problems import refuses
from people import cards, links, recoveries
from people.cards import CardHolders, NewCards, Sheet
from people.links import Link, NewLink
from people.policy import Act
from people.recoveries import Recovery
from people.sessions import Caller
from people.step_up import require_fresh


@get(
    "/organisations/{organisation_id:uuid}/cards",
    operation_id="listCards",
    act=Act.MANAGE_PEOPLE,
    responses=refuses(400, 401, 403, 404),
)
async def list_cards(
    *,
    organisation_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
    search: Annotated[str, QueryParameter(max_length=100)] = "",
    after: FromQuery[UUID | None] = None,
) -> CardHolders:
    """People of the organisation who may have a card, and the cards they have."""
    return await cards.list_holders(
        db, caller.actor, organisation_id, now, search=search, after=after
    )


@post(
    "/organisations/{organisation_id:uuid}/cards",
    operation_id="issueCards",
    act=Act.MANAGE_PEOPLE,
    responses=refuses(400, 401, 403, 404, 409, 413, 415, 422),
)
async def issue_cards(
    organisation_id: FromPath[UUID],
    data: JSONBody[NewCards],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> Sheet:
    """Make cards to be printed now: their secrets are never given again. Old ones end."""
    require_fresh(caller, now)
    return await cards.issue_sheet(db, caller.actor, organisation_id, data, now)


@delete(
    "/organisations/{organisation_id:uuid}/cards/{card_id:uuid}",
    operation_id="revokeCard",
    act=Act.MANAGE_PEOPLE,
    responses=refuses(401, 403, 404),
)
async def revoke_card(
    organisation_id: FromPath[UUID],
    card_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> None:
    """End a card; every session it opened ends at once."""
    await cards.revoke_card(db, caller.actor, organisation_id, card_id, now)


@post(
    "/organisations/{organisation_id:uuid}/links",
    operation_id="issueLink",
    act=(Act.LET_IN, Act.MANAGE_PEOPLE),
    responses=refuses(400, 401, 403, 404, 413, 415),
)
async def issue_link(
    organisation_id: FromPath[UUID],
    data: JSONBody[NewLink],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> Link:
    """Make a one-time link that lets a person of the organisation in within 15 minutes."""
    require_fresh(caller, now)
    return await links.issue_link(db, caller.actor, data.person_id, organisation_id, now)


@get(
    "/organisations/{organisation_id:uuid}/recoveries",
    operation_id="listRecoveries",
    act=Act.LET_IN,
    responses=refuses(401, 403, 404),
)
async def list_recoveries(
    organisation_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> list[Recovery]:
    """Who of the organisation cannot get in and asked for help, oldest first."""
    return await recoveries.list_recoveries(db, caller.actor, organisation_id, now)


ROUTES = [list_cards, issue_cards, revoke_card, issue_link, list_recoveries]
